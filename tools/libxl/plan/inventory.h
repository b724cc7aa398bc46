/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The images of a domain: which there are, what stands on what, what each is
 * for, and who needs it.  Pure: op/inventory.c fills in what is given, tests
 * write it by hand.  The structs are in libxl_snapshot.h.
 */
#ifndef SNAP_INVENTORY_H
#define SNAP_INVENTORY_H

#include "format/manifest.h"

void snap_inventory_dispose(struct snap_inventory *inv);

/* Fill in what is found, which sorts the links. n log n; can be repeated. */
void snap_inventory_judge(struct snap_inventory *inv);

const char *snap_inventory_use_word(enum snap_inventory_use use);

/* What a snapshot needs of the images' space. */
struct snap_inventory_space {
    uint64_t exclusive_bytes;   /* of layers that nothing else needs */
    uint64_t shared_bytes;      /* of those that something else needs, too */
    size_t ntags;               /* of unknown size in them */
    size_t ngone;               /* images that are not there */
};
struct snap_inventory_space
snap_inventory_space(const struct snap_inventory *inv, size_t snapshot);

#endif
