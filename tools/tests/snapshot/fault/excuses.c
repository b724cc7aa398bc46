/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Why some points are visited by no scene, and who else tries what they are
 * for.  The last has no function.
 */
#include "fault/sweep.h"

#define SLOW "only when the other side is slow, which the fake host is not"
#define BLOCK "for block devices, loops and their holders: storage/, unit/"
#define HELD "when another process has the lock: unit/test_lock"
#define QUEUE "when another client holds QEMU's socket: qmp/, and the lab"
#define TMPFILE "on file systems without nameless files: unit/test_fs"

const struct excuse excuses[] = {
    { "out_of_memory", NULL, "the process ends there by itself" },
    { "copy_some", "pread", "where copy_file_range cannot: unit/test_fs" },
    { "copy_some", "pwrite", "where copy_file_range cannot: unit/test_fs" },
    { "snap_fs_set_immutable", NULL, "the flag is tried in the lab" },
    { "draft_add", NULL, TMPFILE },
    { "draft_open", NULL, TMPFILE },
    { "descend", "openat", "when a directory goes while we make it" },
    { "block_size", NULL, BLOCK },
    { "reopen", NULL, BLOCK },
    { "try_claim", NULL, BLOCK },
    { "look_at_holders", NULL, BLOCK },
    { "add_partitions", NULL, BLOCK },
    { "open_sys", NULL, BLOCK },
    { "guess_loop", NULL, BLOCK },
    { "ask_loop", NULL, BLOCK },
    { "snap_lock_holder", NULL, HELD },
    { "has_lock", NULL, HELD },
    { "lock_within", "poll", HELD },
    { "snap_monitor_hold", "poll", SLOW },
    { "see_running", "poll", SLOW },
    { "await_opened", "poll", SLOW },
    { "wait_destroyed", "poll", SLOW },
    { "connect_until", "poll", SLOW },
    { "act_on_death", "poll", SLOW },
    { "resume", "poll", SLOW },
    { "reap", "poll", SLOW },
    { "end_worker", "poll", SLOW },
    { "snap_rescue", "poll", SLOW },
    { "snap_xen_is_suspended", NULL, SLOW },
    { "snap_xen_withdraw_suspend", NULL,
      "the fake guest answers at once: act/test_rescue" },
    { "check_two_overlays", "stat", "two overlays of one name: the lab" },
    { "final_config", "getrandom", "HVM only: the lab" },
    { "read_host_qemu", "access", "without QEMU's words of itself: the lab" },
    { "read_qemu", "access", "without QEMU's number in xenstore: the lab" },
    { "read_user_config", NULL, "with the user's xl.cfg: the lab" },
    { "check_other_disks", NULL, "with disks that are left out: the lab" },
    { "check_config_paths", NULL, "with a kernel file: the lab" },
    { "check_nic", NULL, "with a vif: the lab" },
    { "check_overlay", "stat", "with a link at the overlay's path: qmp/" },
    { "child_exec", "fcntl", "for descriptors that a child keeps: unit/" },
    { "close_fds_one_by_one", NULL, "on kernels without close_range(2)" },
    { "snap_qmp_holders", NULL, QUEUE },
    { "holds_peer", NULL, QUEUE },
    { "find_peers", NULL, QUEUE },
    { "ask_kernel", NULL, QUEUE },
    { NULL, NULL, NULL },
};
