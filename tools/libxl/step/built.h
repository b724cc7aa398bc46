/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the steps that build a domain share. */
#ifndef SNAP_STEP_BUILT_H
#define SNAP_STEP_BUILT_H

#include "host/run.h"
#include "step/step.h"

/* What the overlays stand on is still what it was when it was looked at: the
 * old domain's QEMU may have had it open, and is gone only now. */
int snap_step_check_bases(struct snap_act *a, const struct snap_step *s);

/* Have xl build the domain of the step, and see that it is there, looked after,
 * with all its disks open. Of *opts the caller says the time and the input. */
int snap_step_run_xl(struct snap_act *a, const struct snap_step *s,
                     const char *const *argv, struct snap_run_opts *opts);

#endif
