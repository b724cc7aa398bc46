/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The guardian: a process of its own, tied to us by a socket pair.  When we die
 * while the guest stands still it ends our worker, resumes (or unpauses) the
 * domain and lets the monitor go on; once a revert has begun to destroy, it
 * ends the monitor, which would make a second domain.
 * It keeps the domain's lock until it is through.
 * rescue() is what it does; snapshot-recover and undo call the same.
 */
#ifndef SNAP_GUARDIAN_H
#define SNAP_GUARDIAN_H

#include "host/monitor.h"
#include "host/xen.h"

struct snap_guardian;

struct snap_guardian_charge {
    uint32_t domid;
    const char *uuid;
    bool reverting;             /* asked: it was paused, not suspended;
                                 * resumed: it is being destroyed */
    bool pauses;                /* it may have been paused, to stay so */
    bool live;                  /* log-dirty mode may have been left on */
    int worker_pgid;            /* 0: none */
    uint64_t worker_start;      /* the guardian sees to it */
    int qemu_pid;               /* 0: none; of the domain that is destroyed */
    uint64_t qemu_start;
    struct snap_monitor monitor;
    int lock_fd;                /* kept open; -1: none */
};

int snap_guardian_start(struct snap_ctx *sc,
                        const struct snap_guardian_charge *charge,
                        struct snap_guardian **out);
/* From now on / no longer may the guest be suspended because of us. */
void snap_guardian_asked(struct snap_guardian *g);
void snap_guardian_resumed(struct snap_guardian *g);
/* The guest has answered: it stands, and runs again only when it was
 * resumed, which the worker of the charge is about to be told to do. */
void snap_guardian_answered(struct snap_guardian *g);
void snap_guardian_resuming(struct snap_guardian *g);
/* The worker was stopped and reaped. */
void snap_guardian_worker_gone(struct snap_guardian *g);
/* Leave it on duty although we end: the guest may still suspend itself. */
void snap_guardian_leave(struct snap_guardian *g);
/* All is well: it ends. NULL is fine. */
void snap_guardian_end(struct snap_guardian *g);

/*
 * Bring a domain back that may have been asked to suspend: withdraw a request
 * nobody answered, wait for one that was answered (up to wait_ms), resume a
 * suspended domain and see it running.  Returns 0 when the domain certainly
 * runs or is gone; 1 when a suspension may still come; negative with a
 * message when it stands and could not be resumed.  *resumed: it stood and
 * was resumed.
 */
int snap_rescue(struct snap_ctx *sc, struct snap_xen *x, uint32_t domid,
                const char *uuid, bool live, int wait_ms, bool *resumed);

/* How long an acknowledged suspend may take: libxl waits 60 s itself. */
#define SNAP_RESCUE_WAIT_MS 65000

#endif
