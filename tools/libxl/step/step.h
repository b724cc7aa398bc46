/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Steps: what each kind of step does to the world and how it is undone.  The
 * table in step.c has one row a kind; the functions live in one file a
 * subject.  apply and undo are idempotent and take all they need from the
 * step's arguments and from `act`, so that another process can undo or finish
 * them with what the journal holds.
 */
#ifndef SNAP_STEP_H
#define SNAP_STEP_H

#include "format/manifest.h"
#include "host/facts.h"
#include "host/guardian.h"
#include "host/journal.h"
#include "host/worker.h"
#include "plan/plan.h"

/* What a run carries from step to step. */
struct snap_act {
    struct snap_ctx *sc;
    struct snap_xen *xen;
    struct snap_journal *journal;
    struct snap_manifest *manifest;     /* filled in on the way */
    /* ready before the guest stands; NULL in a recovering process */
    const struct snap_facts *facts;
    struct snap_worker *worker;         /* suspends, resumes, destroys */
    struct snap_qmp *qmp;
    struct snap_guardian *guardian;
    int memory_fd;                      /* -1: not open */
    uint64_t header_bytes;              /* of the memory file, before the
                                         * stream */
    const char *header;
    bool live;
    /* snap_now_ms(): the suspend asked for; the guest seen stopped (live);
     * libxl's suspend returned; resumed */
    int64_t asked_ms, stopped_ms, stood_ms, resumed_ms;
    struct snap_strings *notes;
    /* revert */
    const char *build_config;           /* JSON for the header of the image */
    uint64_t stream_offset;
    bool image_as_is;                   /* its header is the right one */
    const char *const *images;          /* real paths that must be idle */
    size_t nimages;
    uint32_t new_domid;
    bool past_commit;                   /* set by the commit step as soon as
                                         * it cannot be taken back */
    bool leave_paused;
    bool unpaused;                      /* by the guardian, already */
    bool more_follows;                  /* another plan, in the same journal */
    bool saved;                         /* libxl's suspend has returned */
    bool withdrawn;                     /* the suspend request, by libxl */
    bool answered;                      /* it was seen to stand, all saved */
    bool building, built;               /* the new domain: begun, there (as
                                         * far as could be seen) */
    bool unclear;                       /* the guest may still suspend */
    bool qemu_silent;                   /* it did not answer in good time */
    bool destroying;                    /* libxl was asked, not yet done */
    bool failed_here;                   /* the step being undone is the one
                                         * that failed in this process */
};

struct snap_step_ops {
    int (*apply)(struct snap_act *a, const struct snap_step *s);
    /* NULL: nothing to undo. Must accept "never happened". */
    int (*undo)(struct snap_act *a, const struct snap_step *s);
};

const struct snap_step_ops *snap_step_ops(enum snap_step_kind kind);

/*
 * Walk a plan: intention to the journal, apply, done.  On a failure before
 * the commit everything begun is undone backwards; after it the rest of the
 * plan is still tried.  Sets *outcome (libxl_snapshot_outcome_t).
 */
int snap_act_run(struct snap_act *a, const struct snap_plan *p, int *outcome);

/* The steps from i on, behind the commit: forward only.  What fails is told, the
 * rest still done, unless it would do harm then. */
int snap_act_finish(struct snap_act *a, const struct snap_plan *p, size_t i);

/* Undo steps [0, n) backwards; every step is tried; first failure returned. */
int snap_act_undo(struct snap_act *a, const struct snap_plan *p, size_t n);

/* The worker of this act, started when there is none (or it died). */
int snap_act_worker(struct snap_act *a, struct snap_worker **w);
/* The QMP connection of this act, opened when there is none; and let go, so
 * that others get theirs (QEMU serves one client at a time). */
int snap_act_qmp(struct snap_act *a, const char *path, struct snap_qmp **q);
void snap_act_drop_qmp(struct snap_act *a);
/* For the user to read; takes the text. */
void snap_act_remark(struct snap_act *a, char *text);

/*
 * An interrupted run's step STEP_BUILD or STEP_BOOT of plan p: was the domain
 * built all the same?  Then it is there, looked after, on the plan's images.
 * What else is there by that name is noted.  In built.c.
 */
int snap_step_was_built(struct snap_act *a, const struct snap_plan *p,
                        const struct snap_step *s, bool *was);

/* The toolstack is told that the disks of a step `config` are on their bases.
 * In config.c. */
int snap_step_name_bases(struct snap_act *a, const struct snap_step *s);

/* Nobody has these images open but who the step says may (qemu-pid), and no
 * domain but its own (domid) names one or has it below its disks. In
 * revert.c. */
int snap_step_check_idle(struct snap_act *a, const struct snap_step *s,
                         const struct snap_fs_id *ids, size_t n);

/*
 * Change the manifest in a snapshot's directory; one that was moved or removed
 * meanwhile is passed over.  `change` returns 1: write it, 0: leave it, or an
 * error.  In manifests.c.
 */
typedef int snap_change_fn(struct snap_act *a, struct snap_manifest *m,
                           void *arg);
int snap_step_change_manifest(struct snap_act *a, const char *dir,
                              snap_change_fn *change, void *arg);

/* The disk of a manifest if it is external, or NULL. */
struct snap_manifest_disk *snap_step_external(struct snap_manifest *m,
                                              const char *vdev);
/* Its overlay is this one now; NULL: none. */
void snap_step_set_overlay(struct snap_manifest_disk *d, const char *overlay);

/*
 * The snapshots that a step of a merge lists (manifest, disk) and an image that
 * they froze: is it as they say?  Note how it looks now, since we wrote to it
 * and it reads the same.  And: what the step merged their overlay into is their
 * overlay.  In manifests.c.
 */
int snap_manifests_check(struct snap_act *a, const struct snap_step *s,
                         const struct snap_fs_id *id);
int snap_manifests_note(struct snap_act *a, const struct snap_step *s,
                        const char *image);
int snap_manifests_note_overlay(struct snap_act *a, const struct snap_step *s);

/* A disk by the toolstack's name (query_disks), or by QEMU's device, which the
 * plan has for that name (query_blocks); NULL: it is not there. In disks.c. */
const struct snap_qmp_disk *
snap_step_find_disk(const struct snap_qmp_disks *q, const char *vdev,
                    const char *qdev);

/* The domain of a step (domid, uuid) stands suspended. In save.c. */
int snap_step_check_stands(struct snap_act *a, const struct snap_step *s);

/* One file a subject. */
extern const struct snap_step_ops
    snap_step_directory, snap_step_memory_file, snap_step_monitor_hold,
    snap_step_suspend, snap_step_ready, snap_step_memory, snap_step_recheck,
    snap_step_disks, snap_step_config, snap_step_resume,
    snap_step_monitor_release, snap_step_seal,
    snap_step_protect, snap_step_manifest, snap_step_current,
    snap_step_overlay, snap_step_remove_overlay, snap_step_copy,
    snap_step_pause,
    snap_step_recheck_idle, snap_step_destroy, snap_step_destroyed,
    snap_step_monitor_end,
    snap_step_apply_tag, snap_step_build, snap_step_boot,
    snap_step_delete_tag_live, snap_step_delete_tag, snap_step_relink,
    snap_step_remove_snapshot,
    snap_step_merge_up, snap_step_merge_end, snap_step_merge_down,
    snap_step_put_back, snap_step_remove_layer,
    snap_step_memory_copy, snap_step_note_images;

#endif
