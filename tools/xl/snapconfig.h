/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * SNAPSHOT-CONFIG: a file in xl.cfg syntax that says what snapshot-create
 * shall make, or that describes a set made by hand (xl save, qemu-img) for
 * snapshot-revert.  Read with libxlutil.  A key that is not known is an
 * error: a word that is silently ignored may have been the one that mattered.
 */
#ifndef XL_SNAPCONFIG_H
#define XL_SNAPCONFIG_H

#include "libxl_snapshot.h"

enum xl_config_type { XL_TYPE_NONE, XL_TYPE_INTERNAL, XL_TYPE_EXTERNAL };

struct xl_config_disk {
    char *vdev;
    enum xl_config_type type;
    char *format;
    bool exclude;
    char *target;               /* of the new overlay; may be relative */
    char *parent;               /* the frozen image; may be relative */
    char *tag;
    bool path_first;            /* it was "path,format,vdev": target */
};

struct xl_config {
    char *path;                 /* of the file, for messages */
    char *name, *description, *memory;
    enum xl_config_type type;
    int live;                   /* -1: not said */
    struct xl_config_disk *disks;
    size_t ndisks;
};

void xl_config_dispose(struct xl_config *c);
/* Parse `len` bytes with a NUL behind them. 0 or ERROR_INVAL with a message
 * that names path and key. */
int xl_config_parse(struct snap_ctx *sc, const char *path, const char *text,
                    size_t len, struct xl_config *out);
/* Read a file and parse it. */
int xl_config_read(struct snap_ctx *sc, const char *path,
                   struct xl_config *out);
/* Words of the file; `where` and `path` are for messages. 0 or ERROR_INVAL. */
int xl_config_parse_type(struct snap_ctx *sc, const char *where,
                         const char *text, enum xl_config_type *out);
int xl_config_parse_disk(struct snap_ctx *sc, const char *path,
                         const char *item, struct xl_config_disk *d);
/* A path in the file: absolute, or relative to the file's directory. */
char *xl_config_resolve(const struct xl_config *c, const char *path);

/* Text of a hand-written set into what the library reverts to. */
int xl_config_read_set(struct snap_ctx *sc, const char *path,
                       const char *text, size_t len, const char *domain,
                       libxl_snapshot_set *set);

#endif
