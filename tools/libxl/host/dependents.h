/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Who depends on an image: qcow2 files beside it that name it as their
 * backing file.
 */
#ifndef SNAP_DEPENDENTS_H
#define SNAP_DEPENDENTS_H

#include "host/fs.h"

/*
 * The first such file, malloc'd, or NULL. What cannot be told counts as a
 * dependent: a directory that cannot be read or has more than 10000 entries,
 * a qcow2 whose backing name is no plain path but holds the image's name.
 */
char *snap_dependents_beside(struct snap_ctx *sc, const struct snap_fs_id *id);

/* The plain paths below a qcow2, top first, as their headers name them; at
 * most 200. */
void snap_dependents_layers(const char *path, struct snap_strings *out);

#endif
