/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A run that ended before its end, as its journal tells it: the lines of the
 * journal in, how far it came out.  It touches nothing.
 */
#ifndef SNAP_INTERRUPTED_H
#define SNAP_INTERRUPTED_H

#include "format/json.h"
#include "format/manifest.h"
#include "plan/plan.h"

struct snap_interrupted {
    /* borrowed from the lines; retry and uuid may be NULL */
    const char *what, *name, *uuid, *retry;
    int64_t domid;              /* -1 when the journal does not say */
    struct snap_manifest manifest;
    struct snap_plan plan;
    size_t begun;               /* so many steps were intended, */
    size_t done;                /* and so many are done, in order */
    bool failed;                /* the next one failed, and others behind it
                                 * were tried */
    bool committed;             /* the commit step is done */
    /* The guest ran again after it was asked to suspend: it will not stand
     * because of this run any more. */
    bool runs;
    bool answered;              /* it has stood: it will not by that request
                                 * again */
    bool unpause;               /* it paused the domain, for itself only */
    bool unpaused;              /* and let it go on: a pause is not its */
    bool goes_back;             /* after a revert that destroyed the domain */
};

/*
 * Read the lines of the journal at `path` (for messages), an array that
 * outlives *out and has a head.  ERROR_INVAL for a journal that cannot be
 * understood; *out is to be disposed of in any case.
 */
int snap_interrupted_read(struct snap_ctx *sc, const char *path,
                          const struct snap_json *lines,
                          struct snap_interrupted *out);
void snap_interrupted_dispose(struct snap_interrupted *run);

/* The first step of that kind that was begun, or that was planned; or NULL. */
const struct snap_step *
snap_interrupted_begun(const struct snap_interrupted *run,
                       enum snap_step_kind kind);
const struct snap_step *
snap_interrupted_planned(const struct snap_interrupted *run,
                         enum snap_step_kind kind);

#endif
