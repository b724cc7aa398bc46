/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Merging two layers that nobody has open.  Both ways can be interrupted at
 * any moment and given again: until the last write the upper image stands on
 * the lower one and reads the same.
 */
#ifndef SNAP_IMAGE_MERGE_H
#define SNAP_IMAGE_MERGE_H

#include "snap_internal.h"

/* `qemu-img commit`: what is in `top`, a qcow2, goes into the image below it,
 * which must be `base` in that format. top stays, and holds nothing then. */
int snap_image_commit(struct snap_ctx *sc, const char *top, const char *base,
                      const char *base_format);
/* Does a qcow2 hold nothing of its own, as after a commit?  ERROR_FAIL: it
 * does, so it must not be removed. */
int snap_image_check_empty(struct snap_ctx *sc, const char *path);

/* `qemu-img rebase`: `path`, a qcow2, gets what it needs of `base`, which it
 * stands on, and stands on `below` from then on (NULL: on nothing). Done is
 * done: one that stands there already is left alone. */
int snap_image_rebase(struct snap_ctx *sc, const char *path, const char *base,
                      const char *below, const char *below_format);

#endif
