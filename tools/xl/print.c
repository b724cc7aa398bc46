/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Text and JSON from a table of fields.  See print.h.
 */
#include <string.h>

#include "print.h"
#include "progress.h"
#include "say.h"

#define AT(type) (*(const type *)((const char *)base + f->offset))

static struct snap_json *field_json(const struct xl_field *f,
                                    const void *base)
{
    AUTO_FREE char *text = NULL;

    switch (f->kind) {
    case FIELD_TEXT:
    case FIELD_TIME:
        text = xl_json_text(AT(char *));
        return snap_json_new_str(text);
    case FIELD_BOOL:
        return snap_json_new_bool(AT(bool));
    case FIELD_COUNT:
    case FIELD_BYTES:
        return snap_json_new_int((int64_t)AT(uint64_t));
    case FIELD_MS:
        return snap_json_new_int(AT(int64_t));
    case FIELD_LIST:
        return xl_strings_json(&AT(struct snap_strings));
    }
    return snap_json_new_str(NULL);
}

void xl_fields_json(const struct xl_field *table, size_t n, const void *base,
                    struct snap_json *o)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (table[i].key)
            snap_json_set(o, table[i].key, field_json(&table[i], base));
}

static char *list_text(const struct snap_strings *l)
{
    struct snap_text t = { 0 };
    size_t i;

    for (i = 0; i < l->len; i++)
        snap_text_add(&t, "%s%s", i ? " " : "", l->data[i]);
    return t.data;
}

static char *time_text(const char *iso)
{
    char *s = snap_strdup(iso);

    /* 2026-01-02T03:04:05Z -> 2026-01-02 03:04 */
    if (s && strlen(s) == 20 && s[10] == 'T') {
        s[10] = ' ';
        s[16] = 0;
    }
    return s;
}

/* NULL: nothing to say. malloc'd. */
static char *raw_text(const struct xl_field *f, const void *base, bool brief)
{
    switch (f->kind) {
    case FIELD_TEXT:
        return snap_strdup(AT(char *));
    case FIELD_TIME:
        return brief ? time_text(AT(char *)) : snap_strdup(AT(char *));
    case FIELD_BOOL:
        return AT(bool) ? snap_strdup("yes") : NULL;
    case FIELD_COUNT:
        return AT(uint64_t) ? snap_printf("%llu", (unsigned long long)
                                          AT(uint64_t)) : NULL;
    case FIELD_BYTES:
        if (!AT(uint64_t)) return NULL;
        return brief ? xl_bytes_brief(AT(uint64_t))
                     : xl_bytes_text(AT(uint64_t));
    case FIELD_MS:
        return AT(int64_t) ? snap_printf("%lld ms", (long long)AT(int64_t))
                           : NULL;
    case FIELD_LIST:
        return list_text(&AT(struct snap_strings));
    }
    return NULL;
}

static char *field_text(const struct xl_field *f, const void *base,
                        bool brief)
{
    AUTO_FREE char *text = raw_text(f, base, brief);

    if (text && *text)
        return xl_clean(text);
    return snap_strdup(f->none);
}

void xl_fields_text(FILE *out, const struct xl_field *table, size_t n,
                    const void *base, int indent)
{
    size_t i, width = 0;

    for (i = 0; i < n; i++)
        if (table[i].label && strlen(table[i].label) > width)
            width = strlen(table[i].label);
    for (i = 0; i < n; i++) {
        AUTO_FREE char *text = NULL;

        if (!table[i].label) continue;
        text = field_text(&table[i], base, false);
        if (text)
            fprintf(out, "%*s%s:%*s %s\n", indent, "", table[i].label,
                    (int)(width - strlen(table[i].label)), "", text);
    }
}

/* Columns that text takes on a terminal: characters, not bytes. */
static size_t columns(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static bool to_the_right(const struct xl_field *f)
{
    return f->kind == FIELD_COUNT || f->kind == FIELD_BYTES ||
        f->kind == FIELD_MS;
}

static void put_cell(FILE *out, const struct xl_field *f, const char *text,
                     size_t width, bool last)
{
    int pad = (int)(width - columns(text));

    if (to_the_right(f))
        fprintf(out, "%*s%s%s", pad, "", text, last ? "" : " ");
    else
        fprintf(out, "%s%*s", text, last ? 0 : pad + 1, "");
}

void xl_fields_table(FILE *out, const struct xl_field *table, size_t n,
                     const void *const *rows, size_t nrows,
                     void (*more)(FILE *f, const void *row))
{
    size_t *width = snap_zalloc((n + 1) * sizeof(*width));
    size_t i, r, last = 0;

    for (i = 0; i < n; i++) {
        if (!table[i].label) continue;
        last = i;
        width[i] = columns(table[i].label);
        for (r = 0; r < nrows; r++) {
            AUTO_FREE char *text = field_text(&table[i], rows[r], true);

            if (text && columns(text) > width[i])
                width[i] = columns(text);
        }
    }
    for (i = 0; i < n; i++)
        if (table[i].label)
            put_cell(out, &table[i], table[i].label, width[i], i == last);
    putc('\n', out);
    for (r = 0; r < nrows; r++) {
        for (i = 0; i < n; i++) {
            AUTO_FREE char *text = NULL;

            if (!table[i].label) continue;
            text = field_text(&table[i], rows[r], true);
            put_cell(out, &table[i], text ? text : "-", width[i], i == last);
        }
        putc('\n', out);
        if (more) more(out, rows[r]);
    }
    free(width);
}
