/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Merging two layers that nobody has open: the caller has set aside what is
 * written, and looked.  Both ways can be interrupted at any moment and given
 * again: the upper image reads the same all the time, as long as it is read
 * over the lower one.
 */
#ifndef SNAP_IMAGE_MERGE_H
#define SNAP_IMAGE_MERGE_H

#include "snap_internal.h"

/* What `top`, a qcow2, holds goes into `base`, which it stands on, whatever
 * name it has in its header.  top is not changed. `base_format`: raw, qcow2. */
int snap_image_commit(struct snap_ctx *sc, const char *top, const char *base,
                      const char *base_format);

/* `path`, a qcow2, gets what it needs of `base`, which it stands on, and stands
 * on `below` from then on. Done is done: one that stands there already is left
 * alone; one that stands on neither is an error. */
int snap_image_rebase(struct snap_ctx *sc, const char *path, const char *base,
                      const char *below, const char *below_format);

#endif
