/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Whether a manifest's fields hold together, and the words for what does not.
 */
#include <string.h>

#include "format/manifest_fields.h"

int snap_field_bad(const struct source *src, const char *where, const char *key,
                   const char *why)
{
    return snap_fail(src->sc, ERROR_INVAL, "manifest '%s': %s%s%s %s",
                     src->path, where ? where : "", where ? ": " : "", key,
                     why);
}

int snap_field_bad_value(const struct source *src, const char *where,
                         const struct field *f)
{
    AUTO_FREE char *why = snap_printf("is not %s", f->want);

    return snap_field_bad(src, where, f->key, why);
}

static int check_string(const struct source *src, const char *where,
                        const struct field *f, const char *s, bool here)
{
    if (!here)
        return s ? snap_field_bad(src, where, f->key, "does not belong here")
                 : 0;
    if (!s && (snap_field_may_lack(f) || src->draft)) return 0;
    if (!s) return snap_field_bad(src, where, f->key, "is missing");
    return f->good(s) ? 0 : snap_field_bad_value(src, where, f);
}

/* The strings of one object. */
static int check_strings(const struct source *src, const char *where,
                         const struct field *f, const void *base,
                         enum snap_disk_type type)
{
    int rc = 0;

    for (; !rc && f->key; f++)
        if (f->kind == FIELD_STR)
            rc = check_string(src, where, f, snap_field_string(base, f),
                              snap_field_applies(f, type));
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
        return snap_field_bad(src, d->vdev, key, "is the spec of another disk");
    if (!snap_field_is_absolute(out->target))
        return snap_field_bad(src, d->vdev, key,
                              "has a target that is not absolute");
    return 0;
}

static int check_pair(const struct source *src,
                      const struct snap_manifest_disk *d,
                      const struct snap_spec *parent,
                      const struct snap_spec *child)
{
    if (!parent->format || strcmp(parent->format, d->format))
        return snap_field_bad(src, d->vdev, "parent",
                              "has not the image's format");
    if (d->type == SNAP_DISK_INTERNAL) {
        if (strcmp(d->format, "qcow2"))
            return snap_field_bad(src, d->vdev, "format", "cannot hold a tag");
        if (!d->child)
            return snap_field_bad(src, d->vdev, "child", "is missing");
        if (strcmp(parent->target, child->target))
            return snap_field_bad(src, d->vdev, "child", "is another image "
                                  "than parent, but the type internal");
        return 0;
    }
    if (parent->readwrite)
        return snap_field_bad(src, d->vdev, "parent",
                              "would let a domain write a frozen base");
    if (!d->child != !d->overlay)
        return snap_field_bad(src, d->vdev, d->child ? "overlay" : "child",
                              "is missing");
    if (!d->overlay) return 0;
    if (strcmp(child->target, d->overlay))
        return snap_field_bad(src, d->vdev, "child", "is not the overlay");
    if (!strcmp(d->image, d->overlay))
        return snap_field_bad(src, d->vdev, "overlay",
                              "is the frozen base itself");
    return 0;
}

static int check_disk(const struct source *src,
                      const struct snap_manifest_disk *d)
{
    struct snap_spec parent = { .vdev = NULL }, child = { .vdev = NULL };
    int rc;

    rc = check_strings(src, d->vdev && snap_field_is_vdev(d->vdev) ? d->vdev
                                                                   : "disks",
                       snap_fields_of_disk, d, d->type);
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

        if (!vdev || !snap_field_is_vdev(vdev))
            rc = snap_field_bad(src, NULL, "excluded",
                                "has a member that is no vdev");
        else if (snap_strings_have(&seen, vdev))
            rc = snap_field_bad(src, NULL, vdev, "stands in it twice");
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
        return full || partial
               ? snap_field_bad(src, NULL, "memory", "is missing") : 0;
    if (!full && !partial)
        return snap_field_bad(src, NULL, "memory",
                              "does not fit its consistency class");
    if (full && m->excluded.len)
        return snap_field_bad(src, NULL, "excluded",
                              "is not empty, but the class full");
    if (partial && !m->excluded.len)
        return snap_field_bad(src, NULL, "excluded",
                              "is empty, but the class partial");
    if (m->memory_head_bytes > m->memory_size_bytes)
        return snap_field_bad(src, "memory", "head_bytes",
                              "is more than the file has");
    return 0;
}

/* Each object by itself. */
static int check_objects(const struct source *src,
                         const struct snap_manifest *m)
{
    int rc;

    rc = check_strings(src, NULL, snap_fields_of_root, m, 0);
    if (!rc) rc = check_strings(src, "domain", snap_fields_of_domain, m, 0);
    if (!rc) rc = check_strings(src, "versions", snap_fields_of_versions, m, 0);
    if (!rc && m->memory_path)
        rc = check_strings(src, "memory", snap_fields_of_memory, m, 0);
    if (!rc && m->pause_ms < 0)
        rc = snap_field_bad(src, NULL, "pause_ms", "is negative");
    return rc;
}

int snap_field_check_draft(const struct source *src,
                           const struct snap_manifest *m)
{
    size_t i;
    int rc = check_objects(src, m);

    for (i = 0; !rc && i < m->ndisks; i++)
        rc = check_strings(src, m->disks[i].vdev, snap_fields_of_disk,
                           &m->disks[i], m->disks[i].type);
    return rc;
}

int snap_manifest_check(struct snap_ctx *sc, const char *path,
                        const struct snap_manifest *m)
{
    const struct source src = { .sc = sc, .path = path };
    size_t i;
    int rc;

    rc = check_objects(&src, m);
    if (!rc) rc = check_memory(&src, m);
    if (!rc && m->ndisks + m->excluded.len > MAX_DISKS)
        rc = snap_field_bad(&src, NULL, "disks",
                            "are more than any domain has");
    for (i = 0; !rc && i < m->ndisks; i++) rc = check_disk(&src, &m->disks[i]);
    if (!rc) rc = check_vdevs(&src, m);
    return rc;
}
