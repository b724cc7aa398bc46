/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The fields of the manifest, as tables: what printing, checking and parsing
 * walk.  For the files of format/ that do.
 */
#ifndef SNAP_MANIFEST_FIELDS_H
#define SNAP_MANIFEST_FIELDS_H

#include "format/manifest.h"

enum field_kind { FIELD_STR, FIELD_U64, FIELD_I64, FIELD_BOOL, FIELD_TYPE };

/* When a field is there. Absent numbers are 0, absent strings NULL. */
enum field_rule { MUST, MAY, OF_EXTERNAL, MAY_OF_EXTERNAL, OF_INTERNAL };

struct field {
    const char *key;                /* NULL ends a table */
    enum field_kind kind;
    enum field_rule rule;
    size_t offset;                  /* in the manifest, or in the disk */
    bool (*good)(const char *s);    /* of a string */
    const char *want;               /* what good() wants, for messages */
};

/* An object of the root, and the fields in it. */
struct part {
    const char *key;                /* NULL ends the table */
    const struct field *fields;
};

extern const struct field snap_fields_of_root[];
extern const struct field snap_fields_of_domain[];
extern const struct field snap_fields_of_versions[];
extern const struct field snap_fields_of_memory[];
extern const struct field snap_fields_of_disk[];
/* domain, versions, memory */
extern const struct part snap_manifest_parts[];
/* Members of the root that are in no table; ended by NULL. */
extern const char *const snap_others_of_root[];
/* By enum snap_disk_type. */
extern const char *const snap_disk_type_words[];

/* NULL: there is none of that name. */
const struct field *snap_field_find(const struct field *fields,
                                    const char *key);
/* Does this field belong to this disk? Fields of other objects always do. */
bool snap_field_applies(const struct field *f, enum snap_disk_type type);
bool snap_field_may_lack(const struct field *f);
/* Where it is in the struct that begins at `base`. */
void *snap_field_place(void *base, const struct field *f);
const char *snap_field_string(const void *base, const struct field *f);

/* ---- what a string may be ---------------------------------------- */

bool snap_field_is_vdev(const char *s);
bool snap_field_is_absolute(const char *s);
/* `words` is ended by NULL. */
bool snap_field_is_one_of(const char *s, const char *const *words);

/* ---- what is wrong (manifest_check.c) ----------------------------- */

struct source {
    struct snap_ctx *sc;
    const char *path;
    bool draft;                     /* fields may be missing */
};

/* A bound for those who compare all disks with all; libxl has fewer. */
#define MAX_DISKS 1024

/* "xvda: tag", "memory: path", "name"; where may be NULL. ERROR_INVAL. */
int snap_field_bad(const struct source *src, const char *where, const char *key,
                   const char *why) __attribute__((nonnull(1, 3, 4)));
int snap_field_bad_value(const struct source *src, const char *where,
                         const struct field *f);
/* The fields of a draft, each by itself: they may be missing. */
int snap_field_check_draft(const struct source *src,
                           const struct snap_manifest *m);

#endif
