/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The manifest of a snapshot as a struct, and printed.  No file of it is opened
 * here: the store and the steps do that.
 */
#include "format/manifest_fields.h"

#include <string.h>

/* ---- printing ---------------------------------------------------- */

static void print_field(struct snap_json *object, const struct field *f,
                        const void *base)
{
    const void *p = (const char *)base + f->offset;
    struct snap_json *value = NULL;

    switch (f->kind) {
    case FIELD_STR:
        if (snap_field_string(base, f))
            value = snap_json_new_str(snap_field_string(base, f));
        break;
    case FIELD_U64:
        if (!snap_field_may_lack(f) || *(const uint64_t *)p)
            value = snap_json_new_uint(*(const uint64_t *)p);
        break;
    case FIELD_I64:
        value = snap_json_new_int(*(const int64_t *)p);
        break;
    case FIELD_BOOL:
        value = snap_json_new_bool(*(const bool *)p);
        break;
    case FIELD_TYPE:
        value = snap_json_new_str(
            snap_disk_type_words[*(const enum snap_disk_type *)p]);
        break;
    }
    if (value) snap_json_set(object, f->key, value);
}

static void print_fields(struct snap_json *object, const struct field *f,
                         const void *base, enum snap_disk_type type)
{
    for (; f->key; f++)
        if (snap_field_applies(f, type)) print_field(object, f, base);
}

/* Members of `extra` that `object` does not have. */
static void add_unknown(struct snap_json *object,
                        const struct snap_json *extra)
{
    size_t i;

    for (i = 0; i < snap_json_len(extra); i++) {
        const char *key = snap_json_key_at(extra, i);

        if (key && !snap_json_get(object, key))
            snap_json_set(object, key,
                          snap_json_copy(snap_json_value_at(extra, i)));
    }
}

static void print_parts(struct snap_json *root, const struct snap_manifest *m)
{
    const struct part *p;

    for (p = snap_manifest_parts; p->key; p++) {
        struct snap_json *object;

        if (p->fields == snap_fields_of_memory && !m->memory_path) continue;
        object = snap_json_new_object();
        print_fields(object, p->fields, m, 0);
        add_unknown(object, snap_json_get(m->unknown, p->key));
        snap_json_set(root, p->key, object);
    }
}

static void print_disks(struct snap_json *root, const struct snap_manifest *m)
{
    const struct snap_json *extra = snap_json_get(m->unknown, "disks");
    struct snap_json *disks = snap_json_new_array();
    size_t i;

    for (i = 0; i < m->ndisks; i++) {
        struct snap_json *object = snap_json_new_object();

        print_fields(object, snap_fields_of_disk, &m->disks[i],
                     m->disks[i].type);
        add_unknown(object, snap_json_get(extra, m->disks[i].vdev));
        snap_json_append(disks, object);
    }
    snap_json_set(root, "disks", disks);
}

static bool is_part(const char *key)
{
    return snap_field_is_one_of(key, snap_others_of_root)
           && strcmp(key, "mandatory");
}

/* The root's own unknown members, and "mandatory", which we only hand on. */
static void print_unknown(struct snap_json *root, const struct snap_json *all)
{
    size_t i;

    for (i = 0; i < snap_json_len(all); i++) {
        const char *key = snap_json_key_at(all, i);

        if (key && !is_part(key) && !snap_json_get(root, key))
            snap_json_set(root, key,
                          snap_json_copy(snap_json_value_at(all, i)));
    }
}

char *snap_manifest_print(const struct snap_manifest *m)
{
    AUTO_JSON struct snap_json *root = snap_json_new_object();
    size_t i;

    snap_json_set_str(root, "format", "xl-snapshot");
    snap_json_set_int(root, "version", SNAP_MANIFEST_VERSION);
    print_fields(root, snap_fields_of_root, m, 0);
    if (m->excluded.len) {
        snap_json_set(root, "excluded", snap_json_new_array());
        for (i = 0; i < m->excluded.len; i++)
            snap_json_append(snap_json_get(root, "excluded"),
                             snap_json_new_str(m->excluded.data[i]));
    }
    print_parts(root, m);
    print_disks(root, m);
    print_unknown(root, m->unknown);
    return snap_json_print_pretty(root);
}

/* ---- owning ------------------------------------------------------ */

struct snap_manifest_disk *snap_manifest_add_disk(struct snap_manifest *m)
{
    struct snap_manifest_disk *d;

    m->disks = snap_realloc(m->disks, (m->ndisks + 1) * sizeof(*m->disks));
    d = &m->disks[m->ndisks++];
    memset(d, 0, sizeof(*d));
    return d;
}

static void dispose_strings(const struct field *f, void *base)
{
    for (; f->key; f++)
        if (f->kind == FIELD_STR) free(*(char **)snap_field_place(base, f));
}

void snap_manifest_dispose(struct snap_manifest *m)
{
    const struct part *p;
    size_t i;

    dispose_strings(snap_fields_of_root, m);
    for (p = snap_manifest_parts; p->key; p++) dispose_strings(p->fields, m);
    for (i = 0; i < m->ndisks; i++)
        dispose_strings(snap_fields_of_disk, &m->disks[i]);
    free(m->disks);
    snap_strings_dispose(&m->excluded);
    snap_json_free(m->unknown);
    memset(m, 0, sizeof(*m));
}
