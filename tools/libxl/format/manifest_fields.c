/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The tables of the manifest's fields: those of docs/snapshot-format.md, in
 * its order, and what their strings may be.
 */
#include "format/manifest_fields.h"

#include <string.h>

/* ---- what a string may be ---------------------------------------- */

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

bool snap_field_is_vdev(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

    return n >= 1 && n <= 32 && !s[n];
}

bool snap_field_is_absolute(const char *s)
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

bool snap_field_is_one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (!strcmp(s, *words)) return true;
    return false;
}

static bool is_domain_type(const char *s)
{
    static const char *const words[] = { "pv", "pvh", "hvm", NULL };

    return snap_field_is_one_of(s, words);
}

static bool is_state(const char *s)
{
    static const char *const words[] = { "running", "paused", "off", NULL };

    return snap_field_is_one_of(s, words);
}

static bool is_class(const char *s)
{
    static const char *const words[] = {
        "full", "partial", "quiesced", "offline", "crash", NULL,
    };

    return snap_field_is_one_of(s, words);
}

static bool is_format(const char *s)
{
    static const char *const words[] = {
        "raw", "qcow", "qcow2", "qed", "vhd", NULL,
    };

    return snap_field_is_one_of(s, words);
}

/* ---- the fields ------------------------------------------------- */

#define AT(member) offsetof(struct snap_manifest, member)
#define DISK_AT(member) offsetof(struct snap_manifest_disk, member)
#define TEXT is_any, "a string"
#define FILLED is_filled, "a string that is not empty"
#define NAME snap_name_valid, "a snapshot's name"
#define NUMBER NULL, "a number in range"

const struct field snap_fields_of_root[] = {
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

const struct field snap_fields_of_domain[] = {
    { "name", FIELD_STR, MUST, AT(domain_name), FILLED },
    { "uuid", FIELD_STR, MUST, AT(domain_uuid), is_uuid, "a uuid" },
    { "type", FIELD_STR, MUST, AT(domain_type), is_domain_type,
      "pv, pvh or hvm" },
    { "state", FIELD_STR, MUST, AT(domain_state), is_state,
      "running, paused or off" },
    { .key = NULL }
};

const struct field snap_fields_of_versions[] = {
    { "tool", FIELD_STR, MAY, AT(tool_version), TEXT },
    { "xen", FIELD_STR, MAY, AT(xen_version), TEXT },
    { "qemu", FIELD_STR, MAY, AT(qemu_version), TEXT },
    { .key = NULL }
};

const struct field snap_fields_of_memory[] = {
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

const struct field snap_fields_of_disk[] = {
    { "vdev", FIELD_STR, MUST, DISK_AT(vdev), snap_field_is_vdev, "a vdev" },
    { "type", FIELD_TYPE, MUST, DISK_AT(type), NULL,
      "internal or external" },
    { "parent", FIELD_STR, MUST, DISK_AT(parent), FILLED },
    { "child", FIELD_STR, MAY, DISK_AT(child), FILLED },
    { "image", FIELD_STR, MUST, DISK_AT(image), snap_field_is_absolute,
      "an absolute path" },
    { "format", FIELD_STR, MUST, DISK_AT(format), is_format,
      "raw, qcow, qcow2, qed or vhd" },
    { "virtual_size_bytes", FIELD_U64, MAY, DISK_AT(virtual_size_bytes),
      NUMBER },
    { "dev", FIELD_U64, MUST, DISK_AT(dev), NUMBER },
    { "ino", FIELD_U64, MUST, DISK_AT(ino), NUMBER },
    { "overlay", FIELD_STR, MAY_OF_EXTERNAL, DISK_AT(overlay),
      snap_field_is_absolute, "an absolute path" },
    { "size_bytes", FIELD_U64, OF_EXTERNAL, DISK_AT(size_bytes), NUMBER },
    { "mtime_ns", FIELD_I64, OF_EXTERNAL, DISK_AT(mtime_ns), NUMBER },
    { "sample_sha256", FIELD_STR, MAY, DISK_AT(sample_sha256), is_sha256,
      "a SHA-256 in lower-case hexadecimal digits" },
    { "tag", FIELD_STR, OF_INTERNAL, DISK_AT(tag), NAME },
    { "tag_id", FIELD_STR, OF_INTERNAL, DISK_AT(tag_id), FILLED },
    { .key = NULL }
};

const struct part snap_manifest_parts[] = {
    { "domain", snap_fields_of_domain },
    { "versions", snap_fields_of_versions },
    { "memory", snap_fields_of_memory },
    { NULL, NULL }
};

const char *const snap_others_of_root[] = {
    "format", "version", "mandatory", "excluded", "domain", "versions",
    "memory", "disks", NULL,
};

const char *const snap_disk_type_words[] = {
    [SNAP_DISK_INTERNAL] = "internal",
    [SNAP_DISK_EXTERNAL] = "external",
};

const struct field *snap_field_find(const struct field *fields,
                                    const char *key)
{
    for (; fields->key; fields++)
        if (!strcmp(fields->key, key)) return fields;
    return NULL;
}

bool snap_field_applies(const struct field *f, enum snap_disk_type type)
{
    if (f->rule == OF_INTERNAL) return type == SNAP_DISK_INTERNAL;
    if (f->rule == OF_EXTERNAL || f->rule == MAY_OF_EXTERNAL)
        return type == SNAP_DISK_EXTERNAL;
    return true;
}

bool snap_field_may_lack(const struct field *f)
{
    return f->rule == MAY || f->rule == MAY_OF_EXTERNAL;
}

void *snap_field_place(void *base, const struct field *f)
{
    return (char *)base + f->offset;
}

const char *snap_field_string(const void *base, const struct field *f)
{
    return *(char *const *)(const void *)((const char *)base + f->offset);
}
