/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the files of snapshot-delete share. */
#ifndef SNAP_OP_DELETE_H
#define SNAP_OP_DELETE_H

#include "op/op.h"
#include "plan/merge.h"

/* The frozen base of one external disk, and what becomes of it. */
struct snap_delete_layer {
    const struct snap_manifest_disk *md;
    bool there;
    struct snap_fs_id ids[2];           /* the base, its only child */
    struct snap_chain chain;            /* of the base */
    struct snap_image child;
    struct snap_strings children;       /* real paths */
    /* The running domain's disk that has both, at [depth] and above it of its
     * chain; NULL: nobody has them. */
    const struct snap_facts_disk *live;
    size_t depth;
    bool base_frozen, child_frozen;     /* immutable */
    char *base_needed, *child_needed, *child_changed, *in_use;
    struct snap_merge merge;
};

/* What merges need on a file system. */
struct snap_delete_space {
    uint64_t dev, need, have;           /* bytes */
};

struct snap_delete {
    struct snap_ctx *sc;
    const libxl_snapshot_delete_params *p;
    struct snap_hold h;
    struct snap_worker *worker;
    struct snap_facts now;              /* of the domain, if it runs */
    struct snap_delete_layer *layers;
    size_t nlayers;
    struct snap_delete_space *space;
    size_t nspace;
    char *memory;                       /* its memory image, which stays */
    struct snap_plan plan;
};

/* In delete_layers.c: look at the external disks, decide. */
int snap_delete_look_at_layers(struct snap_delete *d);
void snap_delete_dispose_layers(struct snap_delete *d);
/* What the base stands on; NULL: nothing. */
const struct snap_image *snap_delete_layer_below(
    const struct snap_delete_layer *l);

/* Add steps. In delete_merge.c: those that can be undone, which come before the
 * commit; those that cannot; and those when the snapshot is not there any
 * more. The first refuse what does not fit. */
int snap_delete_plan_up(struct snap_delete *d);
int snap_delete_plan_down(struct snap_delete *d);
int snap_delete_plan_removals(struct snap_delete *d);
/* What an xl.cfg must have that names an image which goes. */
void snap_delete_advise(const struct snap_delete *d,
                        libxl_snapshot_result *result);
/* In delete_tags.c, for an internal disk: */
int snap_delete_plan_tag(struct snap_delete *d,
                         const struct snap_manifest_disk *md);
/* In delete_family.c: who descends from it descends from its parent then. */
void snap_delete_plan_family(struct snap_delete *d);

#endif
