/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What becomes of a frozen base whose snapshot is deleted.  Pure: facts in, a
 * decision with its reason out.
 *
 * The base B stays where it is (keep); or the only image C on it is written
 * into it, and is gone (down); or C gets what it needs of B, which is gone then
 * (up).  What a file is called is worth something: an image that was there
 * before the first snapshot is what the user knows, and never goes.
 */
#ifndef SNAP_PLAN_MERGE_H
#define SNAP_PLAN_MERGE_H

#include "snap_internal.h"

struct snap_merge_facts {
    const char *base, *base_format;
    uint64_t base_bytes;        /* allocated */
    bool base_is_overlay;       /* a snapshot of ours made it */
    bool base_has_tags;         /* of anybody */
    const char *base_needed;    /* who wants it as it is; NULL: nobody */
    const struct snap_strings *children;    /* the images on it */
    uint64_t child_bytes;       /* of the first, allocated */
    bool child_has_tags;
    const char *child_needed;   /* who stands on that or names it; NULL */
    const char *in_use;         /* who has one of them open; NULL: nobody */
    uint64_t base_free, child_free;     /* bytes, where they are */
};

enum snap_merge_way { SNAP_MERGE_KEEP, SNAP_MERGE_DOWN, SNAP_MERGE_UP };

struct snap_merge {
    enum snap_merge_way way;
    uint64_t bytes;             /* to copy, at most */
    char *why;                  /* keep: the reason; malloc'd */
};

/* 0, or ERROR_INVAL with a message: it does not fit. */
int snap_plan_merge(struct snap_ctx *sc, const struct snap_merge_facts *f,
                    struct snap_merge *out);

#endif
