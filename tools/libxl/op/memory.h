/* SPDX-License-Identifier: LGPL-2.1-only */
/* The memory image of a snapshot, as revert, verify and adopt look at it. */
#ifndef SNAP_OP_MEMORY_H
#define SNAP_OP_MEMORY_H

#include "format/domconfig.h"
#include "format/memimage.h"
#include "libxl_snapshot.h"

/* *path (malloc'd) and *fd are the caller's, also on failure. The set must
 * name a memory image. */
int snap_op_open_memory(struct snap_ctx *sc, const libxl_snapshot_set *set,
                        char **path, int *fd);
/* Read through, and compared with what the manifest says of it. */
int snap_op_read_memory(struct snap_ctx *sc, const struct snap_manifest *m,
                        const char *path, int fd, struct snap_memimage *image);
/* The configuration in it; *tree and *config are the caller's, also on
 * failure. */
int snap_op_memory_config(struct snap_ctx *sc,
                          const struct snap_memimage *image,
                          struct snap_json **tree,
                          struct snap_domconfig *config);
/* The stream's kind of guest against the configuration's: `xl restore` finds
 * out only after the old domain is gone. */
int snap_op_check_kind(struct snap_ctx *sc, const char *path,
                       const struct snap_memimage *image,
                       const struct snap_domconfig *config);

#endif
