/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The `current` file of a domain: its first line names the snapshot that the
 * present state descends from; the lines "copy DEV INO of DEV INO" behind it
 * remember which images are copies that a revert made (of an image that
 * others depend on), so that a domain running on a copy is still known as the
 * one whose snapshot is in the original.
 */
#ifndef SNAP_LINEAGE_H
#define SNAP_LINEAGE_H

#include "host/fs.h"

struct snap_lineage_pair {
    uint64_t dev, ino, of_dev, of_ino;
};
struct snap_lineage {
    struct snap_lineage_pair *data;
    size_t len;
};
#define SNAP_LINEAGE_MAX 256

/* The first line, whatever it says, malloc'd. NULL: absent or unreadable. */
char *snap_lineage_name(const char *current_path);
/* Absent or unreadable: empty. */
void snap_lineage_read(struct snap_ctx *sc, const char *current_path,
                       struct snap_lineage *out);
void snap_lineage_dispose(struct snap_lineage *l);
void snap_lineage_add(struct snap_lineage *l, const struct snap_fs_id *copy,
                      const struct snap_fs_id *of);
/* Are the two connected by copies (or the same)? */
bool snap_lineage_related(const struct snap_lineage *l,
                          const struct snap_fs_id *a,
                          const struct snap_fs_id *b);
/* The file's text for a name. malloc'd. */
char *snap_lineage_text(const struct snap_lineage *l, const char *name);

#endif
