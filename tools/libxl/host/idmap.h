/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Numbers by file: what a file is called does not matter, its device and inode
 * do.  A table with half of its places free.
 */
#ifndef SNAP_IDMAP_H
#define SNAP_IDMAP_H

#include "host/fs.h"

#define SNAP_ID_MAP_NONE SIZE_MAX

struct snap_id_slot {
    uint64_t dev, ino;
    bool block, used;
    size_t number;
};
struct snap_id_map {
    struct snap_id_slot *slots;
    size_t len, cap;            /* cap is a power of two, or 0 */
};
/* The file's number, or NONE. */
size_t snap_id_map_get(const struct snap_id_map *m,
                       const struct snap_fs_id *id);
/* One that has a number keeps it. */
void snap_id_map_put(struct snap_id_map *m, const struct snap_fs_id *id,
                     size_t number);
void snap_id_map_dispose(struct snap_id_map *m);

#endif
