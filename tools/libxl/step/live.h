/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A merge that QEMU does, wherever it stands: what the two ways of
 * merge_live_up.c and merge_live_down.c share.  The job survives us, so it is
 * looked at by short connections (others want the socket, too) and led on.
 */
#ifndef SNAP_STEP_LIVE_H
#define SNAP_STEP_LIVE_H

#include "libxl_qmp_job.h"
#include "step/merge.h"

struct snap_live {
    struct snap_act *a;
    const struct snap_step *s;
    const struct snap_merge_qemu *qemu;
    struct snap_fs_id child, base;      /* borrowed */
    char *qmp;                  /* its socket */
    const char *type;           /* of the job */
    char *id;                   /* and its name */
};

/* ids: the child, the base, as long as *l. */
void snap_live_init(struct snap_live *l, struct snap_act *a,
                    const struct snap_step *s,
                    const struct snap_merge_qemu *q,
                    const struct snap_fs_id ids[2], const char *type);
void snap_live_dispose(struct snap_live *l);
#define AUTO_SNAP_LIVE __attribute__((cleanup(snap_live_dispose)))

const char *snap_live_arg(const struct snap_live *l, const char *key);

/* Nobody else has the two, nor any other domain. */
int snap_live_check_others(const struct snap_live *l);

/* A connection of its own for what follows; snap_act_drop_qmp() ends it. By it:
 * how is the job, and a command for it. */
int snap_live_qmp(const struct snap_live *l, struct snap_qmp **q);
int snap_live_ask(const struct snap_live *l, struct snap_qmp_job *j);
int snap_live_tell(const struct snap_live *l, const char *command);

/* How is the job, by a connection of its own. */
int snap_live_look(const struct snap_live *l, struct snap_qmp_job *j);
bool snap_live_is(const struct snap_qmp_job *j, const char *status);
/* By the connection that is open, until the job has that status, or the other
 * (NULL: none), or is not there.  *j: as it was when it was there last.  A job
 * that does not get there in a minute is left. */
int snap_live_await(const struct snap_live *l, const char *status,
                    const char *other, struct snap_qmp_job *j);
/* Until the job waits for us, in that status or in "pending", which comes last.
 * A signal cancels it. */
int snap_live_lead(const struct snap_live *l, const char *status);
/* It ends, whatever it was doing, and QEMU stays on the child. */
int snap_live_cancel(const struct snap_live *l);

int snap_live_fail(const struct snap_live *l, const char *why);
/* What a job that has ended by itself died of. */
int snap_live_fail_ended(const struct snap_live *l,
                         const struct snap_qmp_job *j);

#endif
