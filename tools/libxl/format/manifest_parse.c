/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A manifest from text, every byte of which may be somebody else's.
 */
#include <inttypes.h>
#include <string.h>

#include "format/manifest_fields.h"

static int parse_type(const struct snap_json *j, enum snap_disk_type *out)
{
    const char *word = snap_json_str(j);

    if (!word) return -1;
    if (!strcmp(word, snap_disk_type_words[SNAP_DISK_INTERNAL]))
        *out = SNAP_DISK_INTERNAL;
    else if (!strcmp(word, snap_disk_type_words[SNAP_DISK_EXTERNAL]))
        *out = SNAP_DISK_EXTERNAL;
    else
        return -1;
    return 0;
}

/* Only the JSON type is looked at here; check_strings() looks at strings. */
static bool parse_value(const struct snap_json *j, const struct field *f,
                        void *base)
{
    void *p = snap_field_place(base, f);

    switch (f->kind) {
    case FIELD_STR:
        if (!snap_json_str(j)) return false;
        *(char **)p = snap_strdup(snap_json_str(j));
        return true;
    case FIELD_U64:
        return snap_json_uint(j, p);
    case FIELD_I64:
        return snap_json_int(j, p);
    case FIELD_BOOL:
        return snap_json_bool(j, p);
    case FIELD_TYPE:
        return !parse_type(j, p);
    }
    return false;
}

static int parse_field(const struct source *src, const char *where,
                       const struct snap_json *object, const struct field *f,
                       void *base, bool here)
{
    const struct snap_json *j = snap_json_get(object, f->key);

    if (!j && here && !snap_field_may_lack(f) && !src->draft)
        return snap_field_bad(src, where, f->key, "is missing");
    if (!j) return 0;
    if (!here)
        return snap_field_bad(src, where, f->key, "does not belong here");
    return parse_value(j, f, base) ? 0 : snap_field_bad_value(src, where, f);
}

/* The disk's type, or 0 for other objects, decides which fields apply. */
static int parse_fields(const struct source *src, const char *where,
                        const struct snap_json *object,
                        const struct field *f, void *base,
                        enum snap_disk_type type)
{
    int rc = 0;

    for (; !rc && f->key; f++)
        rc = parse_field(src, where, object, f, base,
                         snap_field_applies(f, type));
    return rc;
}

/* Members of an object that stand in no table: a new object, or NULL. */
static struct snap_json *unknown_of(const struct snap_json *object,
                                    const struct field *fields,
                                    const char *const *others)
{
    struct snap_json *extra = NULL;
    size_t i;

    for (i = 0; i < snap_json_len(object); i++) {
        const char *key = snap_json_key_at(object, i);

        if (snap_field_find(fields, key)
            || (others && snap_field_is_one_of(key, others)))
            continue;
        if (!extra) extra = snap_json_new_object();
        snap_json_set(extra, key,
                      snap_json_copy(snap_json_value_at(object, i)));
    }
    return extra;
}

/* Takes extra; NULL is nothing to keep. */
static void keep_unknown(struct snap_json **all, const char *key,
                         struct snap_json *extra)
{
    if (!extra) return;
    if (!*all) *all = snap_json_new_object();
    snap_json_set(*all, key, extra);
}

static int parse_parts(const struct source *src, const struct snap_json *root,
                       struct snap_manifest *out)
{
    const struct part *p;
    int rc;

    for (p = snap_manifest_parts; p->key; p++) {
        const struct snap_json *object = snap_json_get(root, p->key);

        if (!object && p->fields != snap_fields_of_domain) continue;
        if (!object) return snap_field_bad(src, NULL, p->key, "is missing");
        if (snap_json_type(object) != SNAP_JSON_OBJECT)
            return snap_field_bad(src, NULL, p->key, "is not an object");
        rc = parse_fields(src, p->key, object, p->fields, out, 0);
        if (rc) return rc;
        keep_unknown(&out->unknown, p->key,
                     unknown_of(object, p->fields, NULL));
    }
    return 0;
}

static int parse_excluded(const struct source *src,
                          const struct snap_json *root,
                          struct snap_manifest *out)
{
    const struct snap_json *a = snap_json_get(root, "excluded");
    size_t i;

    if (!a) return 0;
    if (snap_json_type(a) != SNAP_JSON_ARRAY || snap_json_len(a) > MAX_DISKS)
        return snap_field_bad(src, NULL, "excluded", "is not a list of vdevs");
    for (i = 0; i < snap_json_len(a); i++) {
        const char *vdev = snap_json_str(snap_json_at(a, i));

        if (!vdev)
            return snap_field_bad(src, NULL, "excluded",
                                  "is not a list of vdevs");
        snap_strings_add(&out->excluded, vdev);
    }
    return 0;
}

static int parse_disk(const struct source *src, const struct snap_json *j,
                      struct snap_manifest *out, struct snap_json **extra)
{
    struct snap_manifest_disk *d = snap_manifest_add_disk(out);
    const char *vdev = snap_json_get_str(j, "vdev");
    int rc;

    if (snap_json_type(j) != SNAP_JSON_OBJECT)
        return snap_field_bad(src, NULL, "disks",
                              "has a member that is not an object");
    if (!vdev || !snap_field_is_vdev(vdev))
        return snap_field_bad(src, "disks", "vdev", "is not a vdev");
    if (parse_type(snap_json_get(j, "type"), &d->type))
        return snap_field_bad(src, vdev, "type", "is not internal or external");
    rc = parse_fields(src, vdev, j, snap_fields_of_disk, d, d->type);
    if (!rc)
        keep_unknown(extra, vdev, unknown_of(j, snap_fields_of_disk, NULL));
    return rc;
}

static int parse_disks(const struct source *src, const struct snap_json *root,
                       struct snap_manifest *out)
{
    const struct snap_json *a = snap_json_get(root, "disks");
    struct snap_json *extra = NULL;
    size_t i;
    int rc = 0;

    if (snap_json_type(a) != SNAP_JSON_ARRAY || snap_json_len(a) > MAX_DISKS)
        return snap_field_bad(src, NULL, "disks", "is not a list of disks");
    for (i = 0; !rc && i < snap_json_len(a); i++)
        rc = parse_disk(src, snap_json_at(a, i), out, &extra);
    keep_unknown(&out->unknown, "disks", extra);
    return rc;
}

/* "name" of the root, "memory.path", "disks.tag". */
static bool known_name(const char *name)
{
    const char *dot = strchr(name, '.');
    const struct part *p;

    if (!dot)
        return snap_field_find(snap_fields_of_root, name) ||
               snap_field_is_one_of(name, snap_others_of_root);
    for (p = snap_manifest_parts; p->key; p++)
        if (strlen(p->key) == (size_t)(dot - name) &&
            !strncmp(name, p->key, (size_t)(dot - name)))
            return snap_field_find(p->fields, dot + 1) != NULL;
    return !strncmp(name, "disks.", 6) &&
           snap_field_find(snap_fields_of_disk, dot + 1) != NULL;
}

static int check_mandatory(const struct source *src,
                           const struct snap_json *root)
{
    const struct snap_json *a = snap_json_get(root, "mandatory");
    size_t i;

    if (!a) return 0;
    if (snap_json_type(a) != SNAP_JSON_ARRAY)
        return snap_field_bad(src, NULL, "mandatory", "is not a list of names");
    for (i = 0; i < snap_json_len(a); i++) {
        const char *name = snap_json_str(snap_json_at(a, i));

        if (!name)
            return snap_field_bad(src, NULL, "mandatory",
                                  "is not a list of names");
        if (!known_name(name))
            return snap_fail(src->sc, ERROR_INVAL, "manifest '%s': one must "
                             "know its field '%.64s', this version does not; "
                             "use a newer xl-snapshot", src->path, name);
    }
    return 0;
}

/* Which kind, which version: before anything else is believed. */
static int check_kind(const struct source *src, const struct snap_json *root)
{
    const char *kind = snap_json_get_str(root, "format");
    const char *tool = snap_json_get_str(snap_json_get(root, "versions"),
                                         "tool");
    uint64_t version;

    if (!kind || strcmp(kind, "xl-snapshot"))
        return snap_fail(src->sc, ERROR_INVAL, "manifest '%s': it is not the "
                         "manifest of a snapshot (no format "
                         "\"xl-snapshot\")", src->path);
    if (!snap_json_uint(snap_json_get(root, "version"), &version) || !version)
        return snap_field_bad(src, NULL, "version",
                              "is not a number from 1 up");
    if (version > SNAP_MANIFEST_VERSION)
        return snap_fail(src->sc, ERROR_INVAL, "manifest '%s': its format "
                         "has version %" PRIu64 ", this xl-snapshot knows %d; "
                         "use version %.64s of xl-snapshot, which wrote it, "
                         "or a newer one", src->path, version,
                         SNAP_MANIFEST_VERSION, tool ? tool : "(unnamed)");
    return check_mandatory(src, root);
}

static int parse_root(const struct source *src, const struct snap_json *root,
                      struct snap_manifest *out)
{
    const struct snap_json *mandatory = snap_json_get(root, "mandatory");
    int rc;

    if (snap_json_type(root) != SNAP_JSON_OBJECT)
        return snap_fail(src->sc, ERROR_INVAL,
                         "manifest '%s': it is not a JSON object", src->path);
    rc = check_kind(src, root);
    if (rc) return rc;
    out->unknown = unknown_of(root, snap_fields_of_root, snap_others_of_root);
    if (snap_json_len(mandatory))
        keep_unknown(&out->unknown, "mandatory", snap_json_copy(mandatory));
    rc = parse_fields(src, NULL, root, snap_fields_of_root, out, 0);
    if (!rc) rc = parse_parts(src, root, out);
    if (!rc) rc = parse_excluded(src, root, out);
    if (!rc) rc = parse_disks(src, root, out);
    if (rc) return rc;
    return src->draft ? snap_field_check_draft(src, out)
                      : snap_manifest_check(src->sc, src->path, out);
}

static int parse(const struct source *src, const char *bytes, size_t len,
                 struct snap_manifest *out)
{
    AUTO_FREE char *what = snap_printf("manifest '%s'", src->path);
    AUTO_JSON struct snap_json *root = NULL;
    int rc;

    memset(out, 0, sizeof(*out));
    if (len > SNAP_MANIFEST_MAX_BYTES)
        return snap_fail(src->sc, ERROR_INVAL, "%s: %zu bytes; more than %u "
                         "are refused", what, len, SNAP_MANIFEST_MAX_BYTES);
    rc = snap_json_parse(src->sc, what, bytes, len, &root);
    if (!rc) rc = parse_root(src, root, out);
    if (rc) snap_manifest_dispose(out);
    return rc;
}

int snap_manifest_parse(struct snap_ctx *sc, const char *path,
                        const char *bytes, size_t len,
                        struct snap_manifest *out)
{
    const struct source src = { .sc = sc, .path = path };

    return parse(&src, bytes, len, out);
}

int snap_manifest_parse_draft(struct snap_ctx *sc, const char *path,
                              const char *bytes, size_t len,
                              struct snap_manifest *out)
{
    const struct source src = { .sc = sc, .path = path, .draft = true };

    return parse(&src, bytes, len, out);
}
