/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Who depends on an image: qcow2 files beside it that name it as their
 * backing file.
 */
#ifndef SNAP_DEPENDENTS_H
#define SNAP_DEPENDENTS_H

#include "host/fs.h"

/* The first such file, malloc'd, or NULL. Reads at most 10000 entries. */
char *snap_dependents_beside(struct snap_ctx *sc, const struct snap_fs_id *id);

#endif
