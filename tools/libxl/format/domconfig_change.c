/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Changing the tree of a domain configuration: what a snapshot changes, and
 * what a user's xl.cfg may.  The tree was read by domconfig.c before.
 */
#include "format/domconfig.h"

#include <inttypes.h>
#include <string.h>

#define C_INFO "c_info"
#define B_INFO "b_info"

/*
 * Changing the tree
 */

static struct snap_json *disk_of(const struct snap_json *tree,
                                 const char *vdev)
{
    const struct snap_json *a = snap_json_get(tree, "disks");
    size_t i;

    for (i = 0; i < snap_json_len(a); i++) {
        struct snap_json *d = snap_json_at(a, i);
        const char *name = snap_json_get_str(d, "vdev");

        if (name && !strcmp(name, vdev)) return d;
    }
    return NULL;
}

int snap_domconfig_set_disk(struct snap_ctx *sc, struct snap_json *tree,
                            const char *vdev, const char *path,
                            const char *format, bool readwrite)
{
    struct snap_json *d = disk_of(tree, vdev);
    const char *backend = snap_json_get_str(d, "backend");

    if (!d)
        return snap_fail(sc, ERROR_INVAL, "domain configuration: it has no "
                         "disk '%s'", vdev);
    snap_json_set_str(d, "pdev_path", path);
    if (format) snap_json_set_str(d, "format", format);
    if (format && strcmp(format, "raw") && backend &&
        strcmp(backend, "unknown"))
        snap_json_set_str(d, "backend", "qdisk");
    if (readwrite)
        snap_json_set_int(d, "readwrite", 1);
    else
        snap_json_remove(d, "readwrite");
    return 0;
}

/* The member `key` of the root, made where it is missing. */
static struct snap_json *part_of(struct snap_json *tree, const char *key)
{
    if (snap_json_type(snap_json_get(tree, key)) != SNAP_JSON_OBJECT)
        snap_json_set(tree, key, snap_json_new_object());
    return snap_json_get(tree, key);
}

void snap_domconfig_set_name(struct snap_json *tree, const char *name)
{
    snap_json_set_str(part_of(tree, C_INFO), "name", name);
}

void snap_domconfig_set_uuid(struct snap_json *tree, const char *uuid)
{
    snap_json_set_str(part_of(tree, C_INFO), "uuid", uuid);
}

void snap_domconfig_forget_domid(struct snap_json *tree)
{
    snap_json_remove(snap_json_get(tree, C_INFO), "domid");
}

void snap_domconfig_set_genid(struct snap_json *tree,
                              const unsigned char genid[16])
{
    struct snap_json *hvm = snap_json_get(snap_json_get(tree, B_INFO),
                                          "type.hvm");
    struct snap_json *bytes;
    int i;

    if (!snap_json_get(hvm, "ms_vm_genid")) return;
    bytes = snap_json_new_array();
    for (i = 0; i < 16; i++)
        snap_json_append(bytes, snap_json_new_int(genid[i]));
    snap_json_set(hvm, "ms_vm_genid", bytes);
}

/*
 * Merging a user's configuration
 */

static int differ(struct snap_ctx *sc, const char *what, const char *user,
                  const char *stored)
{
    return snap_fail(sc, ERROR_INVAL, "the given configuration has the %s "
                     "'%s', the snapshot '%s'; a domain can only be put back "
                     "with the same", what, user, stored);
}

static int compare_str(struct snap_ctx *sc, const char *what,
                       const char *user, const char *stored)
{
    return strcmp(user, stored) ? differ(sc, what, user, stored) : 0;
}

static int compare_int(struct snap_ctx *sc, const char *what, int64_t user,
                       int64_t stored)
{
    AUTO_FREE char *u = snap_printf("%" PRId64, user);
    AUTO_FREE char *s = snap_printf("%" PRId64, stored);

    return compare_str(sc, what, u, s);
}

static int compare_vdevs(struct snap_ctx *sc, const struct snap_domconfig *u,
                         const struct snap_domconfig *s)
{
    size_t i;

    for (i = 0; i < s->ndisks; i++)
        if (!snap_domconfig_disk(u, s->disks[i].vdev))
            return snap_fail(sc, ERROR_INVAL, "the given configuration has "
                             "no disk '%s', the snapshot has one; add it",
                             s->disks[i].vdev);
    for (i = 0; i < u->ndisks; i++)
        if (!snap_domconfig_disk(s, u->disks[i].vdev))
            return snap_fail(sc, ERROR_INVAL, "the given configuration has "
                             "the disk '%s', the snapshot has none; remove "
                             "it", u->disks[i].vdev);
    return 0;
}

static int compare_name(struct snap_ctx *sc, const struct snap_domconfig *u,
                        const char *domain_name)
{
    if (!strcmp(u->name, domain_name)) return 0;
    return snap_fail(sc, ERROR_INVAL, "the given configuration is for the "
                     "domain '%s', not '%s'; give that domain's", u->name,
                     domain_name);
}

/* What guest and disks are made for. */
static int compare_devices(struct snap_ctx *sc,
                           const struct snap_domconfig *u,
                           const struct snap_domconfig *s)
{
    int rc = compare_str(sc, "type", u->type, s->type);

    if (!rc) rc = compare_vdevs(sc, u, s);
    if (!rc)
        rc = compare_int(sc, "number of vifs", (int64_t)u->nnics,
                         (int64_t)s->nnics);
    return rc;
}

/* What is in the memory image. */
static int compare_sizes(struct snap_ctx *sc, const struct snap_domconfig *u,
                         const struct snap_domconfig *s)
{
    int rc = compare_int(sc, "memory (KiB)", u->target_memkb,
                         s->target_memkb);

    if (!rc)
        rc = compare_int(sc, "maxmem (KiB)", u->max_memkb, s->max_memkb);
    if (!rc) rc = compare_int(sc, "vcpus", u->max_vcpus, s->max_vcpus);
    return rc;
}

int snap_domconfig_fits(struct snap_ctx *sc, const struct snap_domconfig *user,
                        const struct snap_domconfig *stored,
                        const char *domain_name)
{
    int rc = compare_name(sc, user, domain_name);

    return rc || !stored ? rc : compare_devices(sc, user, stored);
}

/* A restored guest, and QEMU's saved state, have the kind of vif they had. */
static int compare_nics(struct snap_ctx *sc, const struct snap_json *stored,
                        const struct snap_json *user)
{
    static const char *const keys[] = { "nictype", "model" };
    const struct snap_json *s = snap_json_get(stored, "nics");
    const struct snap_json *u = snap_json_get(user, "nics");
    size_t i, k;

    for (i = 0; i < snap_json_len(u); i++) {
        for (k = 0; k < sizeof(keys) / sizeof(*keys); k++) {
            const char *a = snap_json_get_str(snap_json_at(u, i), keys[k]);
            const char *b = snap_json_get_str(snap_json_at(s, i), keys[k]);

            if (a && b && strcmp(a, b))
                return differ(sc, k ? "vif model" : "vif type", a, b);
        }
    }
    return 0;
}

/* The user's value, or none: then libxl's default. */
static void copy_field(struct snap_json *to, const struct snap_json *from,
                       const char *key)
{
    const struct snap_json *value = snap_json_get(from, key);

    if (snap_json_type(value) == SNAP_JSON_NULL)
        snap_json_remove(to, key);
    else
        snap_json_set(to, key, snap_json_copy(value));
}

static void copy_nic(struct snap_json *to, const struct snap_json *from)
{
    static const char *const keys[] = {
        "bridge", "script", "ip", "ifname", "gatewaydev",
        "rate_bytes_per_interval", "rate_interval_usecs",
    };
    size_t i;

    for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        copy_field(to, from, keys[i]);
    if (snap_json_get_str(from, "mac")) copy_field(to, from, "mac");
}

static void copy_disk(struct snap_json *to, const struct snap_json *from)
{
    static const char *const keys[] = {
        "pdev_path", "format", "backend", "script",
    };
    size_t i;

    for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        copy_field(to, from, keys[i]);
}

static void copy_all(struct snap_json *stored, const struct snap_json *user,
                     const struct snap_strings *snapshotted)
{
    static const char *const actions[] = {
        "on_poweroff", "on_reboot", "on_watchdog", "on_crash",
        "on_soft_reset",
    };
    const struct snap_json *nics = snap_json_get(stored, "nics");
    const struct snap_json *disks = snap_json_get(stored, "disks");
    size_t i;

    for (i = 0; i < sizeof(actions) / sizeof(*actions); i++)
        copy_field(stored, user, actions[i]);
    for (i = 0; i < snap_json_len(nics); i++)
        copy_nic(snap_json_at(nics, i),
                 snap_json_at(snap_json_get(user, "nics"), i));
    for (i = 0; i < snap_json_len(disks); i++) {
        struct snap_json *d = snap_json_at(disks, i);
        const char *vdev = snap_json_get_str(d, "vdev");

        if (!snap_strings_have(snapshotted, vdev))
            copy_disk(d, disk_of(user, vdev));
    }
}

int snap_domconfig_merge(struct snap_ctx *sc, struct snap_json *stored,
                         const struct snap_json *user,
                         const char *domain_name,
                         const struct snap_strings *snapshotted)
{
    struct snap_domconfig u, s;
    int rc;

    rc = snap_domconfig_read(sc, user, &u);
    if (rc) return snap_within(sc, rc, "the given configuration");
    rc = snap_domconfig_read(sc, stored, &s);
    if (rc) {
        snap_domconfig_dispose(&u);
        return snap_within(sc, rc, "the snapshot's configuration");
    }
    rc = snap_domconfig_fits(sc, &u, &s, domain_name);
    if (!rc) rc = compare_sizes(sc, &u, &s);
    if (!rc) rc = compare_nics(sc, stored, user);
    if (!rc) copy_all(stored, user, snapshotted);
    snap_domconfig_dispose(&u);
    snap_domconfig_dispose(&s);
    return rc;
}
