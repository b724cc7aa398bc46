/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The manifest, snapshot.json: what a snapshot is.  Pure: a struct to text
 * and back.  docs/snapshot-format.md is the specification; a field exists
 * there before it exists here.
 */
#ifndef SNAP_MANIFEST_H
#define SNAP_MANIFEST_H

#include "format/json.h"
#include "format/spec.h"

#define SNAP_MANIFEST_FILE "snapshot.json"
#define SNAP_MEMORY_FILE "memory.xl"
#define SNAP_MANIFEST_VERSION 1
#define SNAP_MANIFEST_MAX_BYTES (1u << 20)

enum snap_disk_type { SNAP_DISK_INTERNAL, SNAP_DISK_EXTERNAL };

/*
 * One disk of a snapshot. parent and child are whole xl disk specs.
 * internal: parent and child name the same image; tag and tag_id are set.
 * external: parent is the frozen base (access=ro), child the overlay that the
 * domain writes from then on; size_bytes and mtime_ns are the base's.
 */
struct snap_manifest_disk {
    char *vdev;
    enum snap_disk_type type;
    char *parent;
    char *child;
    char *image;            /* real path: the qcow2 with the tag, or base */
    char *format;           /* of image: raw, qcow, qcow2, qed, vhd */
    char *overlay;          /* external: path of the overlay made */
    char *tag;              /* internal */
    char *tag_id;           /* internal: qcow2 snapshot id, text */
    uint64_t virtual_size_bytes;
    uint64_t dev, ino;      /* identify image */
    uint64_t size_bytes;    /* st_size of the frozen base (external) */
    int64_t mtime_ns;       /* st_mtime of the frozen base (external) */
    char *sample_sha256;    /* of pieces of it (host/hash.h); NULL: not made */
};

/* Strings are malloc'd; NULL where a field that may be absent is. */
struct snap_manifest {
    char *name;
    char *description;      /* may be NULL */
    char *created;          /* "2026-01-02T03:04:05Z" */
    char *domain_name;
    char *domain_uuid;
    char *domain_type;      /* "pv", "pvh", "hvm" */
    char *domain_state;     /* "running", "paused", "off" */
    char *parent;           /* name of the parent snapshot, NULL: unknown */
    char *consistency;      /* full partial quiesced offline crash */
    bool live;
    int64_t pause_ms;
    char *tool_version, *xen_version, *qemu_version;
    char *memory_path;      /* relative to the directory, or absolute in a
                             * hand-written set; NULL: no memory */
    uint64_t memory_size_bytes;
    uint64_t memory_head_bytes;
    char *memory_head_sha256;
    char *memory_sha256;    /* of the whole; NULL: not computed */
    struct snap_strings excluded;   /* vdevs of writable disks left out */
    struct snap_manifest_disk *disks;
    size_t ndisks;
    /* Optional fields we do not know, kept for printing, in an object of the
     * manifest's own shape, but with "disks" an object by vdev. NULL: none. */
    struct snap_json *unknown;
};

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
