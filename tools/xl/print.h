/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Results as text and as JSON from one table of fields, so that the two
 * cannot drift apart.  A table describes a struct; who calls brings both.
 */
#ifndef XL_PRINT_H
#define XL_PRINT_H

#include <stdio.h>

#include "format/json.h"

enum xl_field_kind {
    FIELD_TEXT,                 /* char * */
    FIELD_TIME,                 /* char *, ISO 8601; short in a table */
    FIELD_BOOL,                 /* bool */
    FIELD_COUNT,                /* uint64_t */
    FIELD_BYTES,                /* uint64_t */
    FIELD_MS,                   /* int64_t */
    FIELD_LIST,                 /* struct snap_strings */
};

struct xl_field {
    const char *key;            /* in JSON; NULL: not there */
    const char *label;          /* in text; NULL: not there */
    enum xl_field_kind kind;
    size_t offset;
    const char *none;           /* text for NULL, 0 and an empty list; NULL:
                                 * the line is left out */
};

#define XL_FIELDS(t) (sizeof(t) / sizeof((t)[0]))

/* Sets every key of the table in `o`. */
void xl_fields_json(const struct xl_field *table, size_t n, const void *base,
                    struct snap_json *o);
/* "Label:      value" lines. */
void xl_fields_text(FILE *f, const struct xl_field *table, size_t n,
                    const void *base, int indent);
/* A table with the labels as headings; columns as wide as they must be. more:
 * called behind each row, to say more of it on lines of its own; or NULL. */
void xl_fields_table(FILE *f, const struct xl_field *table, size_t n,
                     const void *const *rows, size_t nrows,
                     void (*more)(FILE *f, const void *row));

#endif
