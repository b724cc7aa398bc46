/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Watching over a guest whose disk is made to wait: a process of its own, tied
 * to us by a socket pair.  If we die before all is well, QEMU is let go, to
 * whichever side is right, and snapshot-recover does the rest.
 */
#ifndef SNAP_STEP_MERGE_GUARD_H
#define SNAP_STEP_MERGE_GUARD_H

#include "snap_internal.h"

struct snap_merge_guard;

struct snap_merge_guard_charge {
    const char *qmp;            /* QEMU's socket */
    const char *job, *type;     /* the job that may wait for us */
    const char *child;          /* there: it is taken back, as the child has
                                 * all; not there: it is finished */
    int lock_fd;                /* kept open; 0: none */
};

int snap_merge_guard_start(struct snap_ctx *sc,
                           const struct snap_merge_guard_charge *charge,
                           struct snap_merge_guard **out);
/* The job does not wait any more. NULL is fine. */
void snap_merge_guard_end(struct snap_merge_guard *g);

#endif
