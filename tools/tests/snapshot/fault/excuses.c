/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Why some points are visited by no scene, and who else tries what they are
 * for.  The last has no function.
 */
#include "fault/sweep.h"

#define SLOW "only when the other side is slow just then: by chance"
#define BLOCK "this machine has no loop devices"

const struct excuse excuses[] = {
    { "out_of_memory", NULL, "the process ends there by itself" },
    { "snap_fs_set_immutable", NULL, "the flag is tried in the lab" },
    { "draft_add", NULL, "where nothing may be replaced: unit/test_fs" },
    { "descend", "openat", "when a directory goes while we make it" },
    { "block_size", NULL, BLOCK, true },
    { "reopen", NULL, BLOCK, true },
    { "try_claim", NULL, BLOCK, true },
    { "look_at_holders", NULL, BLOCK, true },
    { "add_partitions", NULL, BLOCK, true },
    { "open_sys", NULL, BLOCK, true },
    { "guess_loop", NULL, BLOCK, true },
    { "ask_loop", NULL, BLOCK, true },
    { "snap_monitor_hold", "poll", SLOW },
    { "see_running", "poll", SLOW },
    { "await_opened", "poll", SLOW },
    { "snap_xen_await_gone", "poll", SLOW },
    { "connect_until", "poll", SLOW },
    { "act_on_death", "poll", SLOW },
    { "destroy_never_began", "poll", SLOW },
    { "resume", "poll", SLOW },
    { "rest", "poll", SLOW },
    { "reap", "poll", SLOW },
    { "end_worker", "poll", SLOW },
    { "snap_rescue", "poll", SLOW },
    { "snap_xen_is_suspended", NULL, SLOW },
    { "final_config", "getrandom", "HVM only: the lab" },
    { "read_host_qemu", "access", "without QEMU's words of itself: the lab" },
    { "read_qemu", "access", "without QEMU's number in xenstore: the lab" },
    { "check_overlay", "stat", "with a link at the overlay's path: qmp/" },
    { "child_exec", "fcntl", "for descriptors that a child keeps: unit/" },
    { NULL, NULL, NULL },
};
