/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What becomes of a frozen base whose snapshot is deleted.  Pure: facts in, a
 * decision with its reason out.
 *
 * The base stays where it is (keep); or the only image on it, the child, is
 * written into it and goes (down); or the child gets what it needs of the base,
 * which goes (up).  What a file is called is worth something: an image that was
 * there before the first snapshot is what the user knows, and never goes.
 */
#ifndef SNAP_PLAN_MERGE_H
#define SNAP_PLAN_MERGE_H

#include "host/image.h"

struct snap_merge_facts {
    const struct snap_image *base, *child;  /* child: NULL, not looked at */
    const struct snap_image *below;     /* of the base; NULL: it stands alone */
    bool block;                 /* the base or the child is a block device */
    bool linked;                /* or has a second name */
    bool child_is_made;         /* by a snapshot or a revert of ours, */
    bool base_changed;          /* it was written to since the snapshot */
    bool base_is_made;          /* and the base, too */
    const char *base_needed;    /* who wants it as it is; NULL: nobody */
    const struct snap_strings *children;    /* the images on it */
    const char *child_needed;   /* who stands on it or names it; NULL: nobody */
    const char *child_changed;  /* what names it, and it is not as noted; NULL */
    const char *in_use;         /* who has one of them open; NULL: nobody */
};

enum snap_merge_way { SNAP_MERGE_KEEP, SNAP_MERGE_DOWN, SNAP_MERGE_UP };

struct snap_merge {
    enum snap_merge_way way;
    uint64_t bytes;             /* to copy, at most */
    char *why;                  /* keep: the reason; malloc'd */
};

void snap_plan_merge(const struct snap_merge_facts *f, struct snap_merge *out);

#endif
