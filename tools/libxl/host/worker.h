/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Every libxl call that can wait, in a child of ours with a context of its
 * own: libxl can crash (it does when a stream header cannot be written) or be
 * killed in the middle, and we still resume the guest.  One request at a
 * time; the reply can be awaited with a deadline and with work in between.
 * The worker and its helpers form one process group, so that they can be
 * ended together.
 */
#ifndef SNAP_WORKER_H
#define SNAP_WORKER_H

#include "snap_internal.h"

enum snap_worker_op {
    SNAP_WORKER_GET_CONFIG,     /* -> JSON of the domain's configuration */
    SNAP_WORKER_SUSPEND,        /* flag: live; writes the stream to fd */
    SNAP_WORKER_RESUME,         /* suspend_cancel = 1; flag: our death does not
                                 * stop it, somebody waits for its end */
    SNAP_WORKER_PAUSE,
    SNAP_WORKER_UNPAUSE,
    SNAP_WORKER_DESTROY,
    SNAP_WORKER_GET_USERDATA,   /* text: id -> its bytes */
    SNAP_WORKER_SET_USERDATA,   /* text: id NUL bytes */
    SNAP_WORKER_NEED_MEMORY,    /* text: JSON config -> KiB as text */
    SNAP_WORKER_LOG_DIRTY_OFF,
};

struct snap_worker;

/* extra_fd: kept open in the worker: where SUSPEND writes, or the domain's
 * lock for a worker whose DESTROY may outlive us; -1: none. Stays the
 * caller's. */
int snap_worker_start(struct snap_ctx *sc, int extra_fd,
                      struct snap_worker **out);
/* Ends the process group and reaps. NULL is fine. */
void snap_worker_stop(struct snap_worker *w);
static inline void snap_auto_worker(struct snap_worker **w)
{
    snap_worker_stop(*w);
}
#define AUTO_WORKER __attribute__((cleanup(snap_auto_worker)))
/* It died, or did not answer in time (its late answer would be taken for the
 * next one's): only good for being stopped. */
bool snap_worker_is_dead(const struct snap_worker *w);
int snap_worker_pgid(const struct snap_worker *w);

/* Send a request; the reply is awaited separately. */
int snap_worker_send(struct snap_worker *w, enum snap_worker_op op,
                     uint32_t domid, int flag, const char *text, size_t len);
/*
 * Wait for the reply for at most timeout_ms: 0 and *rc_out = libxl's code,
 * *text (malloc'd, NUL-terminated; the result, or libxl's first error line);
 * 1 when there is none yet; ERROR_FAIL when the worker died (no message).
 */
int snap_worker_poll(struct snap_worker *w, int timeout_ms, int *rc_out,
                     char **text, size_t *len);
/* Both, with a deadline. An error's message is "WHAT: libxl's line". */
int snap_worker_call(struct snap_worker *w, enum snap_worker_op op,
                     uint32_t domid, int flag, const char *text, size_t len,
                     int timeout_ms, const char *what, char **result);

#endif
