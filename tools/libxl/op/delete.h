/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the files of snapshot-delete share. */
#ifndef SNAP_OP_DELETE_H
#define SNAP_OP_DELETE_H

#include "op/op.h"

struct snap_delete {
    struct snap_ctx *sc;
    const libxl_snapshot_delete_params *p;
    struct snap_hold h;
    struct snap_worker *worker;
    struct snap_facts now;          /* of the domain, if it runs */
    struct snap_plan plan;
};

/* Add the steps for one disk. In delete_tags.c, internal: */
int snap_delete_plan_tag(struct snap_delete *d,
                         const struct snap_manifest_disk *md);
/* In delete_layers.c, external; there are none, but something to be told: */
int snap_delete_plan_layer(struct snap_delete *d,
                           const struct snap_manifest_disk *md);
/* In delete_family.c: who descends from it descends from its parent then. */
void snap_delete_plan_family(struct snap_delete *d);

#endif
