/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Where a new overlay goes and what it is called: beside the real path of a
 * regular file, named after the image and the snapshot, never a name that is
 * taken.  Policy of xl, given to the library as a callback.
 */
#ifndef XL_OVERLAY_H
#define XL_OVERLAY_H

#include "snap_internal.h"

struct xl_overlay {
    const char *domain_dir;     /* whose snapshots' names may be in an image's
                                 * name; NULL: none known */
    const char *snapshot;       /* the name of the snapshot */
    bool revert;                /* <stem>.<snapshot>-r<N>.qcow2 */
    const struct xl_overlay *beside;    /* whose paths are taken, too, though
                                         * not made yet; or NULL */
    struct snap_strings vdevs, images, paths;   /* what was handed out */
};

void xl_overlay_dispose(struct xl_overlay *o);
/* The callback; `arg` is a struct xl_overlay. The same question gets the same
 * answer; two disks never get the same path. */
char *xl_overlay_path(void *arg, const char *vdev, const char *image);
/* The image's base name without what a format or an earlier overlay put
 * behind it: "disk.s1-r2.qcow2" -> "disk". malloc'd. */
char *xl_overlay_stem(const char *domain_dir, const char *image);

#endif
