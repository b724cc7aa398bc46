/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The locks of images.  A command has those that it changes or freezes for
 * itself alone, and those below them together with others: domains on one
 * base do not wait for each other, but for whoever changes that base.  All
 * are taken in one order, that of their numbers.
 */
#ifndef SNAP_IMAGE_LOCKS_H
#define SNAP_IMAGE_LOCKS_H

#include "host/image.h"
#include "host/lock.h"

struct snap_image_lock {
    uint64_t dev, ino;      /* as in struct snap_fs_id */
    char *path;             /* for messages */
    bool alone;
    struct snap_lock lock;  /* fd -1: not taken */
};
struct snap_image_locks {
    struct snap_image_lock *data;
    size_t len;
};

/* Remember an image to lock, by what its path leads to; one that leads
 * nowhere is passed over. */
void snap_image_locks_want(struct snap_image_locks *l, const char *path,
                           bool alone);
/* The same for a chain: its top as told, what is below with others. */
void snap_image_locks_want_chain(struct snap_image_locks *l,
                                 const struct snap_chain *chain, bool alone);
/* Lock what is wanted and not yet held, each within timeout_ms. On a failure
 * what is held stays so. *waited is set when somebody had one of them first. */
int snap_image_locks_take(struct snap_ctx *sc, struct snap_image_locks *l,
                          int timeout_ms, bool *waited);
void snap_image_locks_drop(struct snap_image_locks *l);

#endif
