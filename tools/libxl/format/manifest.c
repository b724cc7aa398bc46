/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The manifest of a snapshot as text and as a struct.  The tables below are
 * the fields of docs/snapshot-format.md, in its order; printing, parsing and
 * checking all walk them.  It opens no file: the store and the steps do, and
 * call it.
 */
#include "format/manifest.h"

#include <inttypes.h>
#include <string.h>

/*
 * What a string may be
 */

static bool is_filled(const char *s)
{
    return *s != '\0';
}

static bool is_any(const char *s)
{
    return s != NULL;
}

/* '0' stands for a digit, 'x' for a hexadecimal one, others for themselves. */
static bool has_form(const char *s, const char *form)
{
    for (; *form; s++, form++) {
        bool digit = *s >= '0' && *s <= '9';
        bool hex = digit || (*s >= 'a' && *s <= 'f') ||
                   (*s >= 'A' && *s <= 'F');

        if (*form == '0' ? !digit : *form == 'x' ? !hex : *s != *form)
            return false;
    }
    return !*s;
}

static int two_digits(const char *s)
{
    return (s[0] - '0') * 10 + (s[1] - '0');
}

static bool is_time(const char *s)
{
    return has_form(s, "0000-00-00T00:00:00Z") &&
           two_digits(s + 5) >= 1 && two_digits(s + 5) <= 12 &&
           two_digits(s + 8) >= 1 && two_digits(s + 8) <= 31 &&
           two_digits(s + 11) <= 23 && two_digits(s + 14) <= 59 &&
           two_digits(s + 17) <= 60;
}

static bool is_uuid(const char *s)
{
    return has_form(s, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
}

static bool is_sha256(const char *s)
{
    return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

static bool is_vdev(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

    return n >= 1 && n <= 32 && !s[n];
}

static bool is_absolute(const char *s)
{
    return s[0] == '/' && s[1];
}

/* Relative, and no component of it is "..". */
static bool is_inside(const char *s)
{
    if (!*s || *s == '/') return false;
    while (s) {
        if (!strncmp(s, "..", 2) && (!s[2] || s[2] == '/')) return false;
        s = strchr(s, '/');
        if (s) s++;
    }
    return true;
}

static bool is_one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (!strcmp(s, *words)) return true;
    return false;
}

static bool is_domain_type(const char *s)
{
    static const char *const words[] = { "pv", "pvh", "hvm", NULL };

    return is_one_of(s, words);
}

static bool is_state(const char *s)
{
    static const char *const words[] = { "running", "paused", "off", NULL };

    return is_one_of(s, words);
}

static bool is_class(const char *s)
{
    static const char *const words[] = {
        "full", "partial", "quiesced", "offline", "crash", NULL,
    };

    return is_one_of(s, words);
}

static bool is_format(const char *s)
{
    static const char *const words[] = {
        "raw", "qcow", "qcow2", "qed", "vhd", NULL,
    };

    return is_one_of(s, words);
}

/*
 * The fields
 */

enum field_kind { FIELD_STR, FIELD_U64, FIELD_I64, FIELD_BOOL, FIELD_TYPE };

/* When a field is there. Absent numbers are 0, absent strings NULL. */
enum field_rule { MUST, MAY, OF_EXTERNAL, MAY_OF_EXTERNAL, OF_INTERNAL };

struct field {
    const char *key;
    enum field_kind kind;
    enum field_rule rule;
    size_t offset;                  /* in the manifest, or in the disk */
    bool (*good)(const char *s);    /* of a string */
    const char *want;               /* what good() wants, for messages */
};

#define AT(member) offsetof(struct snap_manifest, member)
#define DISK_AT(member) offsetof(struct snap_manifest_disk, member)
#define TEXT is_any, "a string"
#define FILLED is_filled, "a string that is not empty"
#define NAME snap_name_valid, "a snapshot's name"
#define NUMBER NULL, "a number in range"

static const struct field fields_of_root[] = {
    { "name", FIELD_STR, MUST, AT(name), NAME },
    { "description", FIELD_STR, MAY, AT(description), TEXT },
    { "created", FIELD_STR, MUST, AT(created), is_time,
      "a time like 2026-01-02T03:04:05Z" },
    { "parent", FIELD_STR, MAY, AT(parent), NAME },
    { "consistency", FIELD_STR, MUST, AT(consistency), is_class,
      "full, partial, quiesced, offline or crash" },
    { "live", FIELD_BOOL, MAY, AT(live), NULL, "true or false" },
    { "pause_ms", FIELD_I64, MAY, AT(pause_ms), NUMBER },
    { .key = NULL }
};

static const struct field fields_of_domain[] = {
    { "name", FIELD_STR, MUST, AT(domain_name), FILLED },
    { "uuid", FIELD_STR, MUST, AT(domain_uuid), is_uuid, "a uuid" },
    { "type", FIELD_STR, MUST, AT(domain_type), is_domain_type,
      "pv, pvh or hvm" },
    { "state", FIELD_STR, MUST, AT(domain_state), is_state,
      "running, paused or off" },
    { .key = NULL }
};

static const struct field fields_of_versions[] = {
    { "tool", FIELD_STR, MAY, AT(tool_version), TEXT },
    { "xen", FIELD_STR, MAY, AT(xen_version), TEXT },
    { "qemu", FIELD_STR, MAY, AT(qemu_version), TEXT },
    { .key = NULL }
};

static const struct field fields_of_memory[] = {
    { "path", FIELD_STR, MUST, AT(memory_path), is_inside,
      "a path inside the snapshot directory" },
    { "size_bytes", FIELD_U64, MUST, AT(memory_size_bytes), NUMBER },
    { "head_bytes", FIELD_U64, MUST, AT(memory_head_bytes), NUMBER },
    { "head_sha256", FIELD_STR, MUST, AT(memory_head_sha256), is_sha256,
      "a SHA-256 in lower-case hexadecimal digits" },
    { "sha256", FIELD_STR, MAY, AT(memory_sha256), is_sha256,
      "a SHA-256 in lower-case hexadecimal digits" },
    { .key = NULL }
};

static const struct field fields_of_disk[] = {
    { "vdev", FIELD_STR, MUST, DISK_AT(vdev), is_vdev, "a vdev" },
    { "type", FIELD_TYPE, MUST, DISK_AT(type), NULL,
      "internal or external" },
    { "parent", FIELD_STR, MUST, DISK_AT(parent), FILLED },
    { "child", FIELD_STR, MAY, DISK_AT(child), FILLED },
    { "image", FIELD_STR, MUST, DISK_AT(image), is_absolute,
      "an absolute path" },
    { "format", FIELD_STR, MUST, DISK_AT(format), is_format,
      "raw, qcow, qcow2, qed or vhd" },
    { "virtual_size_bytes", FIELD_U64, MAY, DISK_AT(virtual_size_bytes),
      NUMBER },
    { "dev", FIELD_U64, MUST, DISK_AT(dev), NUMBER },
    { "ino", FIELD_U64, MUST, DISK_AT(ino), NUMBER },
    { "overlay", FIELD_STR, MAY_OF_EXTERNAL, DISK_AT(overlay), is_absolute,
      "an absolute path" },
    { "size_bytes", FIELD_U64, OF_EXTERNAL, DISK_AT(size_bytes), NUMBER },
    { "mtime_ns", FIELD_I64, OF_EXTERNAL, DISK_AT(mtime_ns), NUMBER },
    { "sample_sha256", FIELD_STR, MAY, DISK_AT(sample_sha256), is_sha256,
      "a SHA-256 in lower-case hexadecimal digits" },
    { "tag", FIELD_STR, OF_INTERNAL, DISK_AT(tag), NAME },
    { "tag_id", FIELD_STR, OF_INTERNAL, DISK_AT(tag_id), FILLED },
    { .key = NULL }
};

static const struct part {
    const char *key;
    const struct field *fields;
} parts[] = {
    { "domain", fields_of_domain },
    { "versions", fields_of_versions },
    { "memory", fields_of_memory },
    { NULL, NULL }
};

/* Members of the root that are in no table. */
static const char *const others_of_root[] = {
    "format", "version", "mandatory", "excluded", "domain", "versions",
    "memory", "disks", NULL,
};

static const char *const type_words[] = {
    [SNAP_DISK_INTERNAL] = "internal",
    [SNAP_DISK_EXTERNAL] = "external",
};

static const struct field *find_field(const struct field *fields,
                                      const char *key)
{
    for (; fields->key; fields++)
        if (!strcmp(fields->key, key)) return fields;
    return NULL;
}

/* Does this field belong to this disk? Fields of other objects always do. */
static bool applies(const struct field *f, enum snap_disk_type type)
{
    if (f->rule == OF_INTERNAL) return type == SNAP_DISK_INTERNAL;
    if (f->rule == OF_EXTERNAL || f->rule == MAY_OF_EXTERNAL)
        return type == SNAP_DISK_EXTERNAL;
    return true;
}

static bool may_lack(const struct field *f)
{
    return f->rule == MAY || f->rule == MAY_OF_EXTERNAL;
}

static void *place(void *base, const struct field *f)
{
    return (char *)base + f->offset;
}

static const char *string_at(const void *base, const struct field *f)
{
    return *(char *const *)(const void *)((const char *)base + f->offset);
}

/*
 * Checking a struct
 */

struct source {
    struct snap_ctx *sc;
    const char *path;
    bool draft;                     /* fields may be missing */
};

/* "xvda: tag", "memory: path", "name"; where may be NULL. */
static int bad(const struct source *src, const char *where, const char *key,
               const char *why) __attribute__((nonnull(1, 3, 4)));

static int bad(const struct source *src, const char *where, const char *key,
               const char *why)
{
    return snap_fail(src->sc, ERROR_INVAL, "manifest '%s': %s%s%s %s",
                     src->path, where ? where : "", where ? ": " : "", key,
                     why);
}

static int bad_value(const struct source *src, const char *where,
                     const struct field *f)
{
    AUTO_FREE char *why = snap_printf("is not %s", f->want);

    return bad(src, where, f->key, why);
}

static int check_string(const struct source *src, const char *where,
                        const struct field *f, const char *s, bool here)
{
    if (!here) return s ? bad(src, where, f->key, "does not belong here") : 0;
    if (!s && (may_lack(f) || src->draft)) return 0;
    if (!s) return bad(src, where, f->key, "is missing");
    return f->good(s) ? 0 : bad_value(src, where, f);
}

/* The strings of one object. */
static int check_strings(const struct source *src, const char *where,
                         const struct field *f, const void *base,
                         enum snap_disk_type type)
{
    int rc = 0;

    for (; !rc && f->key; f++)
        if (f->kind == FIELD_STR)
            rc = check_string(src, where, f, string_at(base, f),
                              applies(f, type));
    return rc;
}

static int check_spec(const struct source *src,
                      const struct snap_manifest_disk *d, const char *key,
                      const char *text, struct snap_spec *out)
{
    int rc = snap_spec_parse(src->sc, text, out);

    if (rc)
        return snap_within(src->sc, rc, "manifest '%s': %s: %s", src->path,
                           d->vdev, key);
    if (strcmp(out->vdev, d->vdev))
        return bad(src, d->vdev, key, "is the spec of another disk");
    if (!is_absolute(out->target))
        return bad(src, d->vdev, key, "has a target that is not absolute");
    return 0;
}

static int check_pair(const struct source *src,
                      const struct snap_manifest_disk *d,
                      const struct snap_spec *parent,
                      const struct snap_spec *child)
{
    if (!parent->format || strcmp(parent->format, d->format))
        return bad(src, d->vdev, "parent", "has not the image's format");
    if (d->type == SNAP_DISK_INTERNAL) {
        if (strcmp(d->format, "qcow2"))
            return bad(src, d->vdev, "format", "cannot hold a tag");
        if (!d->child) return bad(src, d->vdev, "child", "is missing");
        if (strcmp(parent->target, child->target))
            return bad(src, d->vdev, "child",
                       "is another image than parent, but the type internal");
        return 0;
    }
    if (parent->readwrite)
        return bad(src, d->vdev, "parent",
                   "would let a domain write a frozen base");
    if (!d->child != !d->overlay)
        return bad(src, d->vdev, d->child ? "overlay" : "child", "is missing");
    if (!d->overlay) return 0;
    if (strcmp(child->target, d->overlay))
        return bad(src, d->vdev, "child", "is not the overlay");
    if (!strcmp(d->image, d->overlay))
        return bad(src, d->vdev, "overlay", "is the frozen base itself");
    return 0;
}

static int check_disk(const struct source *src,
                      const struct snap_manifest_disk *d)
{
    struct snap_spec parent = { .vdev = NULL }, child = { .vdev = NULL };
    int rc;

    rc = check_strings(src, d->vdev && is_vdev(d->vdev) ? d->vdev : "disks",
                       fields_of_disk, d, d->type);
    if (!rc) rc = check_spec(src, d, "parent", d->parent, &parent);
    if (!rc && d->child) rc = check_spec(src, d, "child", d->child, &child);
    if (!rc) rc = check_pair(src, d, &parent, &child);
    snap_spec_dispose(&parent);
    snap_spec_dispose(&child);
    return rc;
}

/* Every vdev is in the disks or in excluded, and once. */
static int check_vdevs(const struct source *src, const struct snap_manifest *m)
{
    struct snap_strings seen = { .len = 0 };
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < m->excluded.len + m->ndisks; i++) {
        const char *vdev = i < m->excluded.len ? m->excluded.data[i]
                           : m->disks[i - m->excluded.len].vdev;

        if (!vdev || !is_vdev(vdev))
            rc = bad(src, NULL, "excluded", "has a member that is no vdev");
        else if (snap_strings_have(&seen, vdev))
            rc = bad(src, NULL, vdev, "stands in it twice");
        else
            snap_strings_add(&seen, vdev);
    }
    snap_strings_dispose(&seen);
    return rc;
}

static int check_memory(const struct source *src,
                        const struct snap_manifest *m)
{
    bool full = !strcmp(m->consistency, "full");
    bool partial = !strcmp(m->consistency, "partial");

    if (!m->memory_path)
        return full || partial ? bad(src, NULL, "memory", "is missing") : 0;
    if (!full && !partial)
        return bad(src, NULL, "memory", "does not fit its consistency class");
    if (full && m->excluded.len)
        return bad(src, NULL, "excluded", "is not empty, but the class full");
    if (partial && !m->excluded.len)
        return bad(src, NULL, "excluded", "is empty, but the class partial");
    if (m->memory_head_bytes > m->memory_size_bytes)
        return bad(src, "memory", "head_bytes", "is more than the file has");
    return 0;
}

/* Each object by itself. */
static int check_objects(const struct source *src,
                         const struct snap_manifest *m)
{
    int rc;

    rc = check_strings(src, NULL, fields_of_root, m, 0);
    if (!rc) rc = check_strings(src, "domain", fields_of_domain, m, 0);
    if (!rc) rc = check_strings(src, "versions", fields_of_versions, m, 0);
    if (!rc && m->memory_path)
        rc = check_strings(src, "memory", fields_of_memory, m, 0);
    if (!rc && m->pause_ms < 0)
        rc = bad(src, NULL, "pause_ms", "is negative");
    return rc;
}

static int check_draft(const struct source *src,
                       const struct snap_manifest *m)
{
    size_t i;
    int rc = check_objects(src, m);

    for (i = 0; !rc && i < m->ndisks; i++)
        rc = check_strings(src, m->disks[i].vdev, fields_of_disk,
                           &m->disks[i], m->disks[i].type);
    return rc;
}

/* A bound for check_vdevs(), which compares all with all; libxl has fewer. */
#define MAX_DISKS 1024

int snap_manifest_check(struct snap_ctx *sc, const char *path,
                        const struct snap_manifest *m)
{
    const struct source src = { .sc = sc, .path = path };
    size_t i;
    int rc;

    rc = check_objects(&src, m);
    if (!rc) rc = check_memory(&src, m);
    if (!rc && m->ndisks + m->excluded.len > MAX_DISKS)
        rc = bad(&src, NULL, "disks", "are more than any domain has");
    for (i = 0; !rc && i < m->ndisks; i++) rc = check_disk(&src, &m->disks[i]);
    if (!rc) rc = check_vdevs(&src, m);
    return rc;
}

/*
 * Printing
 */

static void print_field(struct snap_json *object, const struct field *f,
                        const void *base)
{
    const void *p = (const char *)base + f->offset;
    struct snap_json *value = NULL;

    switch (f->kind) {
    case FIELD_STR:
        if (string_at(base, f)) value = snap_json_new_str(string_at(base, f));
        break;
    case FIELD_U64:
        if (!may_lack(f) || *(const uint64_t *)p)
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
            type_words[*(const enum snap_disk_type *)p]);
        break;
    }
    if (value) snap_json_set(object, f->key, value);
}

static void print_fields(struct snap_json *object, const struct field *f,
                         const void *base, enum snap_disk_type type)
{
    for (; f->key; f++)
        if (applies(f, type)) print_field(object, f, base);
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

    for (p = parts; p->key; p++) {
        struct snap_json *object;

        if (p->fields == fields_of_memory && !m->memory_path) continue;
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

        print_fields(object, fields_of_disk, &m->disks[i], m->disks[i].type);
        add_unknown(object, snap_json_get(extra, m->disks[i].vdev));
        snap_json_append(disks, object);
    }
    snap_json_set(root, "disks", disks);
}

static bool is_part(const char *key)
{
    return is_one_of(key, others_of_root) && strcmp(key, "mandatory");
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
    print_fields(root, fields_of_root, m, 0);
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

/*
 * Parsing
 */

static int parse_type(const struct snap_json *j, enum snap_disk_type *out)
{
    const char *word = snap_json_str(j);

    if (!word) return -1;
    if (!strcmp(word, type_words[SNAP_DISK_INTERNAL]))
        *out = SNAP_DISK_INTERNAL;
    else if (!strcmp(word, type_words[SNAP_DISK_EXTERNAL]))
        *out = SNAP_DISK_EXTERNAL;
    else
        return -1;
    return 0;
}

/* Only the JSON type is looked at here; check_strings() looks at strings. */
static bool parse_value(const struct snap_json *j, const struct field *f,
                        void *base)
{
    void *p = place(base, f);

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

    if (!j && here && !may_lack(f) && !src->draft)
        return bad(src, where, f->key, "is missing");
    if (!j) return 0;
    if (!here) return bad(src, where, f->key, "does not belong here");
    return parse_value(j, f, base) ? 0 : bad_value(src, where, f);
}

/* The disk's type, or 0 for other objects, decides which fields apply. */
static int parse_fields(const struct source *src, const char *where,
                        const struct snap_json *object,
                        const struct field *f, void *base,
                        enum snap_disk_type type)
{
    int rc = 0;

    for (; !rc && f->key; f++)
        rc = parse_field(src, where, object, f, base, applies(f, type));
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

        if (find_field(fields, key) || (others && is_one_of(key, others)))
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

    for (p = parts; p->key; p++) {
        const struct snap_json *object = snap_json_get(root, p->key);

        if (!object && p->fields != fields_of_domain) continue;
        if (!object) return bad(src, NULL, p->key, "is missing");
        if (snap_json_type(object) != SNAP_JSON_OBJECT)
            return bad(src, NULL, p->key, "is not an object");
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
        return bad(src, NULL, "excluded", "is not a list of vdevs");
    for (i = 0; i < snap_json_len(a); i++) {
        const char *vdev = snap_json_str(snap_json_at(a, i));

        if (!vdev)
            return bad(src, NULL, "excluded", "is not a list of vdevs");
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
        return bad(src, NULL, "disks", "has a member that is not an object");
    if (!vdev || !is_vdev(vdev))
        return bad(src, "disks", "vdev", "is not a vdev");
    if (parse_type(snap_json_get(j, "type"), &d->type))
        return bad(src, vdev, "type", "is not internal or external");
    rc = parse_fields(src, vdev, j, fields_of_disk, d, d->type);
    if (!rc) keep_unknown(extra, vdev, unknown_of(j, fields_of_disk, NULL));
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
        return bad(src, NULL, "disks", "is not a list of disks");
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
        return find_field(fields_of_root, name) ||
               is_one_of(name, others_of_root);
    for (p = parts; p->key; p++)
        if (strlen(p->key) == (size_t)(dot - name) &&
            !strncmp(name, p->key, (size_t)(dot - name)))
            return find_field(p->fields, dot + 1) != NULL;
    return !strncmp(name, "disks.", 6) &&
           find_field(fields_of_disk, dot + 1) != NULL;
}

static int check_mandatory(const struct source *src,
                           const struct snap_json *root)
{
    const struct snap_json *a = snap_json_get(root, "mandatory");
    size_t i;

    if (!a) return 0;
    if (snap_json_type(a) != SNAP_JSON_ARRAY)
        return bad(src, NULL, "mandatory", "is not a list of names");
    for (i = 0; i < snap_json_len(a); i++) {
        const char *name = snap_json_str(snap_json_at(a, i));

        if (!name)
            return bad(src, NULL, "mandatory", "is not a list of names");
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
        return bad(src, NULL, "version", "is not a number from 1 up");
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
    out->unknown = unknown_of(root, fields_of_root, others_of_root);
    if (snap_json_len(mandatory))
        keep_unknown(&out->unknown, "mandatory", snap_json_copy(mandatory));
    rc = parse_fields(src, NULL, root, fields_of_root, out, 0);
    if (!rc) rc = parse_parts(src, root, out);
    if (!rc) rc = parse_excluded(src, root, out);
    if (!rc) rc = parse_disks(src, root, out);
    if (rc) return rc;
    return src->draft ? check_draft(src, out)
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

/*
 * Owning
 */

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
        if (f->kind == FIELD_STR) free(*(char **)place(base, f));
}

void snap_manifest_dispose(struct snap_manifest *m)
{
    const struct part *p;
    size_t i;

    dispose_strings(fields_of_root, m);
    for (p = parts; p->key; p++) dispose_strings(p->fields, m);
    for (i = 0; i < m->ndisks; i++)
        dispose_strings(fields_of_disk, &m->disks[i]);
    free(m->disks);
    snap_strings_dispose(&m->excluded);
    snap_json_free(m->unknown);
    memset(m, 0, sizeof(*m));
}
