/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Who has an image open?  Xen's QEMU opens images with locking=off, so no
 * image lock tells.  Decided by (device, inode) after following links, over
 * every /proc/PID/fd and every loop device (its backing file, and so the
 * image, counts as used by the loop device).  A block device is also used by
 * what is mounted from it or built on it, and by who uses its partitions.  The
 * domains in xenstore are the domain room's to add: a kernel block back end
 * leaves no other trace.
 */
#ifndef SNAP_INUSE_H
#define SNAP_INUSE_H

#include "host/fs.h"

struct snap_inuse_user {
    size_t image;           /* index into the ids asked about */
    int pid;                /* 0: not a process */
    bool writes;            /* opened for writing (fdinfo flags) */
    char *text;             /* "process 812 (qemu-img)", "loop device
                             * /dev/loop0", "the file system mounted at
                             * /srv", for messages */
};
struct snap_inuse {
    struct snap_inuse_user *data;
    size_t len;
};
void snap_inuse_dispose(struct snap_inuse *u);

/*
 * Scan once for n images; some ms for some hundred processes. One entry for
 * each process and image; O_PATH is no use. Processes in skip_pids (the
 * domain's own QEMU, us) are left out. Processes that vanish are fine; ones we
 * may not read are a failure unless we are not root (then they are left out).
 */
int snap_inuse_scan(struct snap_ctx *sc, const struct snap_fs_id *ids,
                    size_t n, const int *skip_pids, size_t nskip,
                    struct snap_inuse *out);

/* Which of the n images does this process have open? open[i] says. A process
 * that is gone, or whose files we may not see, is an error. */
int snap_inuse_of(struct snap_ctx *sc, int pid, const struct snap_fs_id *ids,
                  size_t n, bool *open);

#endif
