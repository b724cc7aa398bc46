/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Who depends on an image: qcow2 files beside it that name it as their
 * backing file.
 */
#ifndef SNAP_DEPENDENTS_H
#define SNAP_DEPENDENTS_H

#include "host/fs.h"

/*
 * *found is the first such file, malloc'd, or NULL.  A directory with more than
 * 10000 entries counts as one that has some, and a qcow2 whose backing name is
 * no plain path as one if it holds the image's name.  An error when a file or
 * the directory cannot be read.
 */
int snap_dependents_beside(struct snap_ctx *sc, const struct snap_fs_id *id,
                           char **found);

/* All of them are added to *out; an error when there are too many entries. */
int snap_dependents_all(struct snap_ctx *sc, const struct snap_fs_id *id,
                        struct snap_strings *out);
/* Is the file a qcow2 that stands on the image? One that is not there is not. */
int snap_dependents_is_on(struct snap_ctx *sc, const char *path,
                          const struct snap_fs_id *id, bool *is);

/* The plain paths below a qcow2, top first, as their headers name them, as far
 * as they are there; at most 200. An error when they cannot be read. */
int snap_dependents_layers(struct snap_ctx *sc, const char *path,
                           struct snap_strings *out);

/* The qcow2 files of a directory; links are followed. */
struct snap_qcow2_file {
    char *path;
    char *backing;              /* absolute; NULL: none, or no plain path */
};
struct snap_qcow2_files {
    struct snap_qcow2_file *data;
    size_t len;
};
void snap_qcow2_files_dispose(struct snap_qcow2_files *l);
/* In *out, which was empty, sorted by path. An error when the directory or a
 * file cannot be read, or when there are too many. */
int snap_dependents_list(struct snap_ctx *sc, const char *dir,
                         struct snap_qcow2_files *out);

#endif
