/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Which snapshot descends from which.  Pure: from what manifests say of each
 * other, and from the images: a base that is the overlay which another
 * snapshot made was frozen after that one.
 */
#ifndef SNAP_TREE_H
#define SNAP_TREE_H

#include "format/manifest.h"

#define SNAP_TREE_NONE SIZE_MAX

struct snap_tree_node {
    /* Given: the name it goes by, and what it is (NULL: unreadable). */
    const char *name;
    const struct snap_manifest *m;
    /* Found: the parent's number, or SNAP_TREE_NONE. */
    size_t parent;
    bool by_images;             /* its manifest does not tell, the images do */
    bool parent_missing;        /* its manifest names one that is not there */
    bool in_cycle;              /* it would be its own ancestor: cut */
    size_t nchildren;
    /* Of the walk: how many are above, and is it the last of its siblings? */
    size_t depth;
    bool last;
};

/*
 * Fill in what is found.  A manifest's parent is the snapshot that goes by that
 * name, else the one whose manifest has it (its directory was renamed), if it
 * is the only one.  n log n.
 */
void snap_tree_link(struct snap_tree_node *nodes, size_t n);

/* The numbers of all nodes, parents before their children, siblings in the
 * given order; sets depth and last. malloc'd, n of them. */
size_t *snap_tree_walk(struct snap_tree_node *nodes, size_t n);

#endif
