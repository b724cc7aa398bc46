/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the files of repair share. */
#ifndef SNAP_OP_REPAIR_H
#define SNAP_OP_REPAIR_H

#include "op/op.h"

/* How one of the mends is done. */
struct snap_mend {
    /* It changes the manifest in the directory `path`, or does something to
     * `path`; neither: it cannot be mended. */
    snap_change_fn *change;
    int (*act)(struct snap_act *a, const struct snap_mend *m);
    char *path;
    char *vdev;
    char *from, *to;            /* names or paths, by what it is */
    struct snap_fs_id id;       /* real is NULL */
};

struct snap_repair {
    struct snap_ctx *sc;
    const libxl_snapshot_repair_params *p;
    struct snap_hold h;
    libxl_snapshot_set set;     /* as it is behind the locks */
    libxl_snapshot_mends *mends;
    struct snap_mend *how;      /* one for each of them */
};

/* Takes text. To be filled in; the pointer is good until the next one. */
struct snap_mend *snap_repair_add(struct snap_repair *r, const char *part,
                                  char *text);

/* Look, and add what is to be mended, in the order in which it has to be done:
 * whenever that ends, what is there then means the same. */
int snap_repair_look_at_family(struct snap_repair *r);  /* repair_family.c */
int snap_repair_look_at_disks(struct snap_repair *r);   /* repair_disks.c */

#endif
