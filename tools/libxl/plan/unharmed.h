/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Is a disk of a snapshot still what its manifest says?  Pure; who asks has
 * looked at the image.
 */
#ifndef SNAP_UNHARMED_H
#define SNAP_UNHARMED_H

#include "format/manifest.h"
#include "host/fs.h"
#include "host/image.h"

/* Does the image hold the disk's tag, once, and the one that was made then?
 * `real`: its path, for messages. 0, ERROR_NOTFOUND: it is gone, ERROR_INVAL. */
int snap_check_tag(struct snap_ctx *sc, const struct snap_manifest_disk *m,
                   const char *real, const struct snap_image *image);

/* Was the frozen base left alone? 0 or ERROR_INVAL. */
int snap_check_base(struct snap_ctx *sc, const struct snap_manifest_disk *m,
                    const struct snap_fs_id *id);

#endif
