/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Files by descriptor, for fs.c and copy.c: a path is walked once, what follows
 * works on a descriptor or on a name inside an open directory.  Paths given
 * beside a descriptor are for messages.
 */
#ifndef SNAP_HOST_PLACE_H
#define SNAP_HOST_PLACE_H

#include <sys/stat.h>

#include "snap_internal.h"

/* Path without trailing slashes; "/" stays. malloc'd. */
char *snap_path_trimmed(const char *path);
/* The directory part of a trimmed path: "." where there is none. malloc'd. */
char *snap_path_parent_of(const char *path);

/* A file, there or not, as a name in an open directory. */
struct snap_place {
    int dir;                /* opened for reading, so that it can be synced */
    char *name;
};
#define AUTO_PLACE __attribute__((cleanup(snap_place_leave)))
#define PLACE_INIT { .dir = -1 }

int snap_place_enter(struct snap_ctx *sc, const char *path,
                     struct snap_place *out);
void snap_place_leave(struct snap_place *p);
/* fsync of the directory. */
int snap_place_sync(struct snap_ctx *sc, const struct snap_place *p,
                    const char *path);
/* A new file of ours: exactly 0600, an error where the name is taken. */
int snap_place_create(struct snap_ctx *sc, const struct snap_place *at,
                      const char *path, int *out);

/* Anything but a regular file is refused, and does not hold us. */
int snap_fd_open_regular(struct snap_ctx *sc, const char *path, int flags,
                         struct stat *st, int *out);
int snap_fd_sync(struct snap_ctx *sc, int fd, const char *path);
/* Owner, group and mode of another. */
int snap_fd_own_like(struct snap_ctx *sc, int fd, const char *path,
                     const struct stat *like);
/* Is there clearly too little space?  Asked first, so that a hopeless
 * allocation does not fill the file system for a moment. */
bool snap_fd_hopeless(int fd, uint64_t need_bytes);
/* Fails with the numbers. */
int snap_fd_fail_space(struct snap_ctx *sc, const char *path,
                       uint64_t need_bytes, int fd);

#endif
