/* SPDX-License-Identifier: LGPL-2.1-only */
/* Checksums of files: SHA-256, as 64 lower-case hexadecimal digits. */
#ifndef SNAP_HASH_H
#define SNAP_HASH_H

#include "snap_internal.h"

#define SNAP_HASH_SIZE 65       /* with the NUL */

/* Of all that a descriptor has; with progress ("checksum"), and
 * ERROR_ABORTED when sc->cancelled. `path` for messages. */
int snap_hash_file(struct snap_ctx *sc, int fd, const char *path,
                   char hex[SNAP_HASH_SIZE]);

/* Of some pieces of a regular file or block device, which docs/
 * snapshot-format.md lays down: not more than 320 KiB are read. */
int snap_hash_sample(struct snap_ctx *sc, const char *path,
                     char hex[SNAP_HASH_SIZE]);

#endif
