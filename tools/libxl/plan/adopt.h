/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The plan of snapshot-adopt: what of each disk belongs to a snapshot that was
 * made by hand, and the steps that write its manifest.  Pure; who asks has
 * looked at the images.
 */
#ifndef SNAP_PLAN_ADOPT_H
#define SNAP_PLAN_ADOPT_H

#include "libxl_snapshot.h"
#include "plan/facts.h"
#include "plan/plan.h"

struct snap_adopt_request {
    const char *name, *directory;
    const libxl_snapshot_adopt_disk *wishes;
    const struct snap_fs_id *bases; /* what each wish for a base leads to */
    size_t nwishes;
    const char *memory;         /* path of an image of `xl save`, or NULL */
    uint64_t memory_bytes;
    bool protect;
};

enum snap_adopt_how {
    SNAP_ADOPT_IGNORED,         /* read-only, CD-ROM, empty */
    SNAP_ADOPT_EXCLUDED,
    SNAP_ADOPT_TAG,
    SNAP_ADOPT_BASE,
};

/* One for each disk of the facts. */
struct snap_adopt_choice {
    const struct snap_facts_disk *disk;
    struct snap_fs_id *layers;  /* of its chain, top first; owned */
    size_t nlayers;             /* the whole chain, or 0: not looked at */
    /* chosen */
    enum snap_adopt_how how;
    size_t layer;               /* that holds the state which was kept */
    const struct snap_image_tag *tag;
    /* for the steps: a base that has the immutable flag already */
    bool immutable;
};
void snap_adopt_choices_dispose(struct snap_adopt_choice *choices, size_t n);

/* Choose for every disk; what is left out goes to the notes of the plan.
 * Refusal: ERROR_INVAL, with what there is to choose from. */
int snap_adopt_choose(struct snap_ctx *sc, const struct snap_facts *f,
                      const struct snap_adopt_request *req,
                      struct snap_adopt_choice *choices, struct snap_plan *p);
/* The steps, once the bases were looked at. */
void snap_adopt_plan(const struct snap_adopt_request *req,
                     const struct snap_adopt_choice *choices, size_t n,
                     struct snap_plan *p);

#endif
