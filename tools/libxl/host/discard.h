/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Removing an image for good: the one that was looked at and no other.  That
 * nobody needs it is the caller's proof.
 */
#ifndef SNAP_DISCARD_H
#define SNAP_DISCARD_H

#include "host/fs.h"

/*
 * Remove the file at the path if it is that file (device, inode, size, time of
 * the last write), a regular one and under this one name.  Links are not
 * followed.  *gone: it was removed, also if the directory could not be synced
 * then, which is an error.
 */
int snap_discard(struct snap_ctx *sc, const char *path,
                 const struct snap_fs_id *id, bool *gone);

#endif
