/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The manifest, snapshot.json: what a snapshot is.  Pure: a struct to text
 * and back.  The struct is in libxl_snapshot.h; docs/snapshot-format.md is the
 * specification, and a field exists there before it exists in C.
 */
#ifndef SNAP_MANIFEST_H
#define SNAP_MANIFEST_H

#include "format/json.h"
#include "format/spec.h"

#define SNAP_MANIFEST_VERSION 1
#define SNAP_MANIFEST_MAX_BYTES (1u << 20)

void snap_manifest_dispose(struct snap_manifest *m);

/* A zeroed disk appended to m; the pointer is good until the next append. */
struct snap_manifest_disk *snap_manifest_add_disk(struct snap_manifest *m);

/* Text of a manifest, pretty-printed with a final newline, malloc'd. What it
 * makes of a manifest that snap_manifest_check() accepts can be parsed. */
char *snap_manifest_print(const struct snap_manifest *m);

/* Do the fields hold together (see docs/snapshot-format.md)? Call it before
 * printing: what it refuses could not be read again. 0 or ERROR_INVAL. */
int snap_manifest_check(struct snap_ctx *sc, const char *path,
                        const struct snap_manifest *m);

/*
 * Parse and check one. `path` for messages. Refuses: not JSON, truncated,
 * wrong kind or newer version, an unknown field named in "mandatory", types
 * or values out of range, a name that is not one, relative image paths, a
 * memory path that leaves the directory ("..", absolute). Returns 0 or
 * ERROR_INVAL.
 */
int snap_manifest_parse(struct snap_ctx *sc, const char *path,
                        const char *bytes, size_t len,
                        struct snap_manifest *out);

/*
 * The same for one that an unfinished operation printed into its journal:
 * fields may still be missing, those that are there must be good. Call
 * snap_manifest_check() before it is published.
 */
int snap_manifest_parse_draft(struct snap_ctx *sc, const char *path,
                              const char *bytes, size_t len,
                              struct snap_manifest *out);

#endif
