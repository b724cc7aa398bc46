/* SPDX-License-Identifier: LGPL-2.1-only */
/* The memory image of a snapshot, as revert and verify look at it. */
#ifndef SNAP_OP_MEMORY_H
#define SNAP_OP_MEMORY_H

#include "format/memimage.h"
#include "libxl_snapshot.h"

/* *path (malloc'd) and *fd are the caller's, also on failure. The set must
 * name a memory image. */
int snap_op_open_memory(struct snap_ctx *sc, const libxl_snapshot_set *set,
                        char **path, int *fd);
/* Read through, and compared with what the manifest says of it. */
int snap_op_read_memory(struct snap_ctx *sc, const struct snap_manifest *m,
                        const char *path, int fd, struct snap_memimage *image);

#endif
