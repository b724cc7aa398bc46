/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the files of the inventory share: what is read so far. */
#ifndef SNAP_OP_INVENTORY_H
#define SNAP_OP_INVENTORY_H

#include "host/dependents.h"
#include "host/idmap.h"
#include "op/op.h"

/* A qcow2 that is beside an image. */
struct snap_near {
    char *path;
    struct snap_fs_id id, base;
    bool has_base;
    bool named;                 /* by a manifest or a domain */
    enum { NEAR_NEW, NEAR_WALKED, NEAR_OURS, NEAR_OTHER } state;
};

struct snap_reader {
    struct snap_ctx *sc;
    const libxl_snapshot_images_params *p;
    struct snap_inventory *inv;
    struct snap_id_map images, near, dirs;  /* numbers in the lists */
    struct snap_claims claims;
    struct snap_near *nears;
    size_t nnears;
};

/* In inventory_images.c.  The image at a path: its number, new or not. `format`
 * and `vdev`, or NULL, are taken where nobody said it before. */
int snap_reader_add(struct snap_reader *r, const char *path,
                    const char *format, const char *vdev, size_t *at);
/* Look into all images, from number `from` on; what is below is added. */
int snap_reader_look(struct snap_reader *r, size_t from);

/* In inventory_near.c.  Look beside all images, and add what stands on one,
 * until there is nothing new. */
int snap_reader_near(struct snap_reader *r);
/* What is beside and has nothing to do with them goes to inv->foreign. */
void snap_reader_foreign(struct snap_reader *r);

/* In inventory.c.  libxl_snapshot_images() as a part of an operation. */
int snap_op_images(struct snap_ctx *sc, const libxl_snapshot_images_params *p,
                   struct snap_inventory *out);

#endif
