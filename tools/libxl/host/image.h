/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * qemu-img, run for what it is good at: reading image headers and changing
 * images that nobody has open.  Formats always come from the caller (the
 * toolstack's configuration), never from probing; backing names are read back
 * after creation.  Who calls a writing function has proven that the image is
 * not in use.
 */
#ifndef SNAP_IMAGE_H
#define SNAP_IMAGE_H

#include "snap_internal.h"

struct snap_image_tag {
    char *id, *name;
    uint64_t vm_state_bytes;
    int64_t date_sec;
};
struct snap_image {
    char *path;                 /* as asked */
    char *format;               /* xl's name: raw qcow2 qcow qed vhd */
    uint64_t virtual_size_bytes, actual_size_bytes;
    char *backing;              /* full-backing-filename; NULL: none */
    char *backing_format;       /* xl's name ("vhd") where it has one, else as
                                 * in the header; NULL: not given */
    bool encrypted, corrupt;
    char *compression;          /* "zlib", "zstd"; NULL: not qcow2 v3 */
    char *data_file;            /* NULL: none */
    struct snap_strings bitmaps;
    struct snap_image_tag *tags;
    size_t ntags;
};
void snap_image_dispose(struct snap_image *im);

/* One layer (no --backing-chain), opened with -U (shared): header facts of an
 * image in use may be stale, the caller knows. `format` as configured, xl's
 * name or QEMU's (vhd, vpc). A backing file that is no absolute path (json:,
 * nbd:) is refused. Paths must be absolute here and everywhere below. */
int snap_image_info(struct snap_ctx *sc, const char *path, const char *format,
                    struct snap_image *out);
const struct snap_image_tag *snap_image_find_tag(const struct snap_image *im,
                                                 const char *name);

/*
 * The chain from `path` down, top first; follows backing + backing_format
 * with one info each (a backing file without a format is refused, naming the
 * `qemu-img rebase -u -F` that mends it; a loop or more than 200 layers too).
 */
struct snap_chain {
    struct snap_image *data;
    size_t len;
};
void snap_chain_dispose(struct snap_chain *c);
int snap_image_chain(struct snap_ctx *sc, const char *path,
                     const char *format, struct snap_chain *out);

/* The chain in QEMU's own words: an ImageInfo with nested "backing-image", as
 * `inserted.image` of query-block has it. The same refusals; header and open
 * files must agree. */
struct snap_json;
int snap_image_chain_from_json(struct snap_ctx *sc,
                               const struct snap_json *image,
                               struct snap_chain *out);

/* Are the files of a chain that QEMU described there? It goes on in one that
 * was renamed or removed, and nobody can start a domain from that. */
int snap_image_chain_is_there(struct snap_ctx *sc,
                              const struct snap_chain *chain);

/* Does an overlay that QEMU has just made, in its own words as above, stand
 * on `base`, and take it for an image of `base_format` (xl's name)? ERROR_FAIL
 * when not: QEMU would read the base wrongly, or another one. */
int snap_image_check_made(struct snap_ctx *sc, const struct snap_json *image,
                          const char *base, const char *base_format);

/* New overlay on base: `create -f qcow2 -F base_format -b base`, read back
 * and compared; fails if path exists. Owner, group, mode as base; fsynced. */
int snap_image_create_overlay(struct snap_ctx *sc, const char *path,
                              const char *base, const char *base_format);
/* Removes every dirty bitmap, then `snapshot -a TAG`. The tag must exist
 * exactly once. fsynced; the time limit is generous. `checked`: the caller has
 * read the chain and found the tag once, so the image is not read again unless
 * qemu-img refuses (as it does when there are bitmaps, which QEMU writes when
 * it ends). */
int snap_image_apply_tag(struct snap_ctx *sc, const char *path,
                         const char *format, const char *tag, bool checked);
int snap_image_delete_tag(struct snap_ctx *sc, const char *path,
                          const char *format, const char *tag);

/* A path as a value in --image-opts, where commas are doubled. */
void snap_image_opts_path(struct snap_text *t, const char *path);

#endif
