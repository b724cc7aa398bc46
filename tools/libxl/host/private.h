/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Files and directories that hold secrets: they are ours, and nobody else can
 * read or write them.
 */
#ifndef SNAP_PRIVATE_H
#define SNAP_PRIVATE_H

#include <sys/stat.h>

#include "snap_internal.h"

/* Is what lstat(2) says of a path that of a private one? 0 or ERROR_INVAL. */
int snap_private_check(struct snap_ctx *sc, const char *path,
                       const struct stat *st);
/* Is it so but for its mode, so that the next can mend it? */
bool snap_private_is_open(const struct stat *st);
/* Take away what others may do with a file or directory of ours. Durable. */
int snap_private_make(struct snap_ctx *sc, const char *path);

#endif
