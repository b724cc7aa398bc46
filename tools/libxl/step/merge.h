/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What the steps that merge layers share.  Two ways lead to the same end: by
 * qemu-img, when nobody has the images (merge.c), and by a job of the QEMU
 * that has them (merge_live.c).  Which one is decided when the step is done,
 * because the domain may have ended, or been started again, since the plan.
 *
 * What is true is told by names alone, so that whoever comes next knows it
 * without QEMU.  Of a merge down: as long as the child has its own name, all
 * is in it; when it is aside and the base has its own name, all is in the base;
 * when both are aside, it is being copied.
 */
#ifndef SNAP_STEP_MERGE_H
#define SNAP_STEP_MERGE_H

#include "step/step.h"

/* ---- names (aside.c) --------------------------------------------- */

struct snap_aside {
    const char *path, *aside;
    bool here, away;            /* by which of the two names it is there */
};

/* Fills in here and away; two files by the two names are an error. */
int snap_aside_look(struct snap_act *a, struct snap_aside *at);
/* Whichever name it has, it has the other one then, its directory synced.
 * `frozen`: it gets its immutable flag with its own name. */
int snap_aside_set(struct snap_act *a, const char *path, const char *aside);
int snap_aside_put_back(struct snap_act *a, const char *path,
                        const char *aside, bool frozen);
/* The file, by the name that it has. */
int snap_aside_identify(struct snap_act *a, const char *path,
                        const char *aside, struct snap_fs_id *id);
/* The flag of a frozen base goes, or comes back, where there is one. */
int snap_aside_freeze(struct snap_act *a, const char *path, bool on);

/* For programs that may outlive us: the domain's lock; 0: there is none. */
int snap_merge_lock(const struct snap_act *a);

/* ---- by QEMU (merge_live.c) -------------------------------------- */

/* The QEMU of a step's domain (uuid), if that runs and has one of these images
 * open; has[] says which. */
struct snap_merge_qemu {
    uint32_t domid;
    int pid;
    bool has[2];
};
int snap_merge_find_qemu(struct snap_act *a, const struct snap_step *s,
                         const struct snap_fs_id *ids, size_t n,
                         struct snap_merge_qemu *q);

/* ids: the child, the base.  Up to where all is copied and the job waits, which
 * can be undone; and the rest, which cannot. */
int snap_merge_live_up(struct snap_act *a, const struct snap_step *s,
                       const struct snap_merge_qemu *q,
                       const struct snap_fs_id ids[2]);
int snap_merge_live_up_undo(struct snap_act *a, const struct snap_step *s,
                            const struct snap_merge_qemu *q,
                            const struct snap_fs_id ids[2]);
int snap_merge_live_up_end(struct snap_act *a, const struct snap_step *s,
                           const struct snap_merge_qemu *q,
                           const struct snap_fs_id ids[2]);
/* May be repeated, wherever an earlier one ended. */
int snap_merge_live_down(struct snap_act *a, const struct snap_step *s,
                         const struct snap_merge_qemu *q,
                         const struct snap_fs_id ids[2]);
/* Nobody has the image of the step.  But the domain's QEMU may still have it
 * open, if no disk of the guest reads it any more: it is told to let go of what
 * is below. */
int snap_merge_release(struct snap_act *a, const struct snap_step *s,
                       const struct snap_fs_id *id);

#endif
