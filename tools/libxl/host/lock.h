/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Locks that the kernel holds: flock(2) on files made for it, so that none can
 * be stale.  A lock lasts until its last descriptor is closed, and children
 * that are to have none of it close theirs.  Never on an image itself: over
 * NFS a flock is a lock of the kind that QEMU takes.
 */
#ifndef SNAP_LOCK_H
#define SNAP_LOCK_H

#include "snap_internal.h"

#ifndef SNAP_LOCK_DIR           /* tests have one of their own */
#define SNAP_LOCK_DIR "/var/lib/xen/snapshots/.journal"
#endif
#define SNAP_LOCK_SUFFIX ".lock"

struct snap_lock {
    int fd;                 /* read and write, appending; close-on-exec */
    char *path;
};

/*
 * Lock the file at `path`, made when it is not there (its directory is): for
 * us alone, or shared with others that only read.  Waits up to timeout_ms,
 * then ERROR_LOCK_FAIL says who holds it; `what` begins that message ("domain
 * 'web'").  *waited (or NULL): somebody had it first.
 */
int snap_lock_take(struct snap_ctx *sc, const char *path, bool shared,
                   int timeout_ms, const char *what, struct snap_lock *out,
                   bool *waited);
/* Unlock; a file that is empty and that nobody else has goes, too. */
void snap_lock_drop(struct snap_lock *l);
/* Remove the files with that suffix that are empty and that nobody has locked:
 * those who had them were killed. */
void snap_lock_sweep(const char *suffix);
/* Who holds the lock on this file, from /proc/locks; one that lives, if there
 * is one.  0: nobody, unknown. */
int snap_lock_holder(int fd);

#endif
