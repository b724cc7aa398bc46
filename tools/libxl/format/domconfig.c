/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl's domain configuration as JSON: read into a struct for the plans,
 * changed in the tree where a snapshot changes it.  It is not a second
 * definition of libxl's types: what it does not name passes untouched.  The
 * readers of facts and the steps that rewrite configurations call it.
 */
#include "format/domconfig.h"

#include <string.h>

#define C_INFO "c_info"
#define B_INFO "b_info"

/*
 * Readers of one field.  Absent, and null where libxl writes it for "none",
 * is the default; another type is a refusal that names the field.
 */

static int wrong_type(struct snap_ctx *sc, const char *where, const char *key,
                      const char *want)
{
    return snap_fail(sc, ERROR_INVAL, "domain configuration: %s.%s is not %s",
                     where, key, want);
}

static bool absent(const struct snap_json *j)
{
    return snap_json_type(j) == SNAP_JSON_NULL;
}

/* *out becomes a copy, or NULL for absent and for "". */
static int read_str(struct snap_ctx *sc, const struct snap_json *object,
                    const char *where, const char *key, char **out)
{
    const struct snap_json *j = snap_json_get(object, key);
    const char *s = snap_json_str(j);

    *out = NULL;
    if (absent(j)) return 0;
    if (!s) return wrong_type(sc, where, key, "a string");
    if (*s) *out = snap_strdup(s);
    return 0;
}

/* An enumeration, whose zero libxl calls "unknown". */
static int read_enum(struct snap_ctx *sc, const struct snap_json *object,
                     const char *where, const char *key, char **out)
{
    int rc = read_str(sc, object, where, key, out);

    if (!rc && *out && !strcmp(*out, "unknown")) {
        free(*out);
        *out = NULL;
    }
    return rc;
}

static int read_count(struct snap_ctx *sc, const struct snap_json *object,
                      const char *where, const char *key, int64_t *out)
{
    const struct snap_json *j = snap_json_get(object, key);

    *out = 0;
    if (absent(j)) return 0;
    if (!snap_json_int(j, out) || *out < 0)
        return wrong_type(sc, where, key, "a number that is not negative");
    return 0;
}

/* libxl has C ints and C bools for yes and no. */
static int read_flag(struct snap_ctx *sc, const struct snap_json *object,
                     const char *where, const char *key, bool *out)
{
    const struct snap_json *j = snap_json_get(object, key);
    int64_t n = 0;

    *out = false;
    if (absent(j) || snap_json_bool(j, out)) return 0;
    if (!snap_json_int(j, &n)) return wrong_type(sc, where, key, "a flag");
    *out = n != 0;
    return 0;
}

/* "<default>" is false for every defbool that is asked for here. */
static int read_defbool(struct snap_ctx *sc, const struct snap_json *object,
                        const char *where, const char *key, bool *out)
{
    const struct snap_json *j = snap_json_get(object, key);
    const char *s = snap_json_str(j);

    *out = false;
    if (absent(j)) return 0;
    if (!s || (strcmp(s, "True") && strcmp(s, "False") &&
               strcmp(s, "<default>")))
        return wrong_type(sc, where, key, "\"True\" or \"False\"");
    *out = !strcmp(s, "True");
    return 0;
}

/* The member must be `type` or absent; *out is NULL then. */
static int read_node(struct snap_ctx *sc, const struct snap_json *object,
                     const char *where, const char *key,
                     enum snap_json_type type, const struct snap_json **out)
{
    const struct snap_json *j = snap_json_get(object, key);

    *out = NULL;
    if (absent(j)) return 0;
    if (snap_json_type(j) != type)
        return wrong_type(sc, where, key, type == SNAP_JSON_ARRAY ?
                          "an array" : "an object");
    *out = j;
    return 0;
}

/*
 * The parts
 */

static int check_uuid(struct snap_ctx *sc, const char *uuid)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    size_t i;

    if (!uuid) return 0;
    for (i = 0; i < sizeof(form) - 1; i++) {
        bool good = form[i] == 'x' ? uuid[i] &&
                    strchr("0123456789abcdefABCDEF", uuid[i]) != NULL
                    : uuid[i] == '-';

        if (!good) return wrong_type(sc, C_INFO, "uuid", "a uuid");
    }
    return uuid[i] ? wrong_type(sc, C_INFO, "uuid", "a uuid") : 0;
}

static int read_c_info(struct snap_ctx *sc, const struct snap_json *tree,
                       struct snap_domconfig *out)
{
    const struct snap_json *c;
    bool driver_domain = false;
    int rc;

    rc = read_node(sc, tree, "the root", C_INFO, SNAP_JSON_OBJECT, &c);
    if (!rc) rc = read_str(sc, c, C_INFO, "name", &out->name);
    if (!rc) rc = read_str(sc, c, C_INFO, "uuid", &out->uuid);
    if (!rc) rc = check_uuid(sc, out->uuid);
    if (!rc) rc = read_enum(sc, c, C_INFO, "type", &out->type);
    if (!rc)
        rc = read_defbool(sc, c, C_INFO, "driver_domain", &driver_domain);
    if (rc) return rc;
    if (!out->name) return wrong_type(sc, C_INFO, "name", "a name");
    if (!out->type || (strcmp(out->type, "pv") && strcmp(out->type, "pvh") &&
                       strcmp(out->type, "hvm")))
        return wrong_type(sc, C_INFO, "type", "\"pv\", \"pvh\" or \"hvm\"");
    if (driver_domain)
        snap_strings_add(&out->unsupported,
                         "a driver domain serves others, who would not come "
                         "back with it; remove driver_domain");
    return 0;
}

/* b_info's union: its member is named by the domain's type. */
static int read_union(struct snap_ctx *sc, const struct snap_json *b,
                      const char *type, const struct snap_json **out)
{
    AUTO_FREE char *key = snap_printf("type.%s", type);

    return read_node(sc, b, B_INFO, key, SNAP_JSON_OBJECT, out);
}

/* Only absolute ones: libxl looks others up in directories of its own. */
static int read_path(struct snap_ctx *sc, const struct snap_json *object,
                     const char *where, const char *key,
                     struct snap_domconfig *out)
{
    AUTO_FREE char *path = NULL;
    int rc = read_str(sc, object, where, key, &path);

    if (!rc && path && path[0] == '/' && !snap_strings_have(&out->paths, path))
        snap_strings_add(&out->paths, path);
    return rc;
}

static int read_paths(struct snap_ctx *sc, const struct snap_json *b,
                      const struct snap_json *u, struct snap_domconfig *out)
{
    static const char *const in_b[] = {
        "kernel", "ramdisk", "device_tree", "bootloader", "device_model",
    };
    static const char *const in_u[] = {
        /* the first three are pv's and deprecated, but still read */
        "kernel", "ramdisk", "bootloader", "firmware", "system_firmware",
        "smbios_firmware", "acpi_firmware", "pvshim_path",
    };
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < sizeof(in_b) / sizeof(*in_b); i++)
        rc = read_path(sc, b, B_INFO, in_b[i], out);
    for (i = 0; !rc && i < sizeof(in_u) / sizeof(*in_u); i++)
        rc = read_path(sc, u, B_INFO ".type", in_u[i], out);
    return rc;
}

static int read_genid(struct snap_ctx *sc, const struct snap_json *u,
                      struct snap_domconfig *out)
{
    const struct snap_json *a;
    int64_t byte;
    size_t i;
    int rc;

    rc = read_node(sc, u, B_INFO ".type", "ms_vm_genid", SNAP_JSON_ARRAY, &a);
    if (rc || !a) return rc;
    if (snap_json_len(a) != 16)
        return wrong_type(sc, B_INFO, "ms_vm_genid", "16 bytes");
    for (i = 0; i < 16; i++) {
        if (!snap_json_int(snap_json_at(a, i), &byte) || byte < 0 ||
            byte > 255)
            return wrong_type(sc, B_INFO, "ms_vm_genid", "16 bytes");
        if (byte) out->has_genid = true;
    }
    return 0;
}

/*
 * What a snapshot cannot carry
 */

/* A row: a member, and what to say when it is set. */
struct obstacle {
    const char *key;
    const char *reason;
};

static const struct obstacle arrays_of_root[] = {
    { "pcidevs", "a PCI device keeps state that nobody can save; remove "
                 "pci" },
    { "rdms", "reserved device memory belongs to passed-through hardware; "
              "remove rdm" },
    { "dtdevs", "a device-tree device keeps state that nobody can save; "
                "remove dtdev" },
    { "vtpms", "the secrets of a virtual TPM stay outside of the snapshot; "
               "remove vtpm" },
    { "p9s", "files shared by 9pfs would not go back with the domain; remove "
             "p9" },
    { "pvcallsifs", "sockets of PV calls cannot go back; remove pvcalls" },
    { "vdispls", "a virtual display's state is not saved; remove vdispl" },
    { "vsnds", "a virtual sound card's state is not saved; remove vsnd" },
    { "channels", "what went over a channel cannot go back; remove "
                  "channel" },
    { "usbctrls", "a USB controller's state is not saved; remove usbctrl" },
    { "usbdevs", "a USB device's state is not saved; remove usbdev" },
};

static const struct obstacle arrays_of_b_info[] = {
    { "vnuma_nodes", "libxl cannot save a domain with vNUMA; remove vnuma" },
    { "ioports", "I/O ports give the domain hardware whose state is not "
                 "saved; remove ioports" },
    { "irqs", "interrupts give the domain hardware whose state is not saved; "
              "remove irqs" },
    { "iomem", "I/O memory gives the domain hardware whose state is not "
               "saved; remove iomem" },
};

static const struct obstacle defbools_of_b_info[] = {
    { "device_model_stubdomain", "the device model runs in a stubdomain, "
      "whose disks have other paths; set device_model_stubdomain_override=0" },
    { "dm_restrict", "a restricted device model cannot open new images; set "
                     "dm_restrict=0" },
    { "nested_hvm", "the state of nested HVM is not saved; set nestedhvm=0" },
};

static const struct obstacle defbools_of_hvm[] = {
    { "nested_hvm", "the state of nested HVM is not saved; set nestedhvm=0" },
    { "altp2m", "alternate page maps are not saved; set altp2m=\"disabled\"" },
    { "gfx_passthru", "a passed-through graphics card keeps state that "
                      "nobody can save; set gfx_passthru=0" },
};

#define ROWS(table) (table), sizeof(table) / sizeof(*(table))

static int find_arrays(struct snap_ctx *sc, const struct snap_json *object,
                       const char *where, const struct obstacle *rows,
                       size_t nrows, struct snap_domconfig *out)
{
    const struct snap_json *a;
    size_t i;
    int rc;

    for (i = 0; i < nrows; i++) {
        rc = read_node(sc, object, where, rows[i].key, SNAP_JSON_ARRAY, &a);
        if (rc) return rc;
        if (snap_json_len(a))
            snap_strings_add(&out->unsupported, rows[i].reason);
    }
    return 0;
}

static int find_defbools(struct snap_ctx *sc, const struct snap_json *object,
                         const char *where, const struct obstacle *rows,
                         size_t nrows, struct snap_domconfig *out)
{
    bool set;
    size_t i;
    int rc;

    for (i = 0; i < nrows; i++) {
        rc = read_defbool(sc, object, where, rows[i].key, &set);
        if (rc) return rc;
        if (set && !snap_strings_have(&out->unsupported, rows[i].reason))
            snap_strings_add(&out->unsupported, rows[i].reason);
    }
    return 0;
}

static bool known_in_root(const char *key)
{
    static const char *const known[] = {
        C_INFO, B_INFO, "disks", "nics", "vfbs", "vkbs",
    };
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (!strcmp(key, known[i])) return true;
    for (i = 0; i < sizeof(arrays_of_root) / sizeof(*arrays_of_root); i++)
        if (!strcmp(key, arrays_of_root[i].key)) return true;
    return false;
}

/* A newer libxl has classes of devices that we have never heard of. */
static void find_unknown(const struct snap_json *tree,
                         struct snap_domconfig *out)
{
    size_t i;

    for (i = 0; i < snap_json_len(tree); i++) {
        const char *key = snap_json_key_at(tree, i);

        if (!known_in_root(key) &&
            snap_json_len(snap_json_value_at(tree, i)))
            snap_strings_take(&out->unsupported, snap_printf(
                "the devices '%.64s' are unknown to this version; remove "
                "them", key));
    }
}

/* A string member that must be absent or `good`. */
static int find_string(struct snap_ctx *sc, const struct snap_json *object,
                       const char *key, const char *good, const char *reason,
                       struct snap_domconfig *out)
{
    AUTO_FREE char *s = NULL;
    int rc = read_enum(sc, object, B_INFO, key, &s);

    if (!rc && s && strcmp(s, good))
        snap_strings_add(&out->unsupported, reason);
    return rc;
}

/* usbdevice=host:... hands a real device on, tablets and mice are QEMU's. */
static bool real_usb(const struct snap_json *j)
{
    const char *s = snap_json_str(j);

    return s && !strncmp(s, "host:", 5);
}

static int find_hvm(struct snap_ctx *sc, const struct snap_json *u,
                    struct snap_domconfig *out)
{
    const struct snap_json *rdm, *list;
    bool real = real_usb(snap_json_get(u, "usbdevice"));
    size_t i;
    int rc;

    rc = find_defbools(sc, u, B_INFO ".type.hvm", ROWS(defbools_of_hvm), out);
    if (!rc)
        rc = read_node(sc, u, B_INFO ".type.hvm", "rdm", SNAP_JSON_OBJECT,
                       &rdm);
    if (!rc)
        rc = find_string(sc, rdm, "strategy", "ignore",
                         "reserved device memory belongs to passed-through "
                         "hardware; remove rdm", out);
    if (!rc)
        rc = read_node(sc, u, B_INFO ".type.hvm", "usbdevice_list",
                       SNAP_JSON_ARRAY, &list);
    if (rc) return rc;
    for (i = 0; i < snap_json_len(list); i++)
        if (real_usb(snap_json_at(list, i))) real = true;
    if (real)
        snap_strings_add(&out->unsupported,
                         "a host's USB device keeps state that nobody can "
                         "save; remove it from usbdevice");
    return 0;
}

static int find_obstacles(struct snap_ctx *sc, const struct snap_json *tree,
                          const struct snap_json *b, const struct snap_json *u,
                          struct snap_domconfig *out)
{
    int rc;

    rc = find_arrays(sc, tree, "the root", ROWS(arrays_of_root), out);
    if (!rc) rc = find_arrays(sc, b, B_INFO, ROWS(arrays_of_b_info), out);
    if (!rc) rc = find_defbools(sc, b, B_INFO, ROWS(defbools_of_b_info), out);
    if (!rc)
        rc = find_string(sc, b, "altp2m", "disabled", "alternate page maps "
                         "are not saved; set altp2m=\"disabled\"", out);
    if (!rc)
        rc = find_string(sc, b, "device_model_version", "qemu_xen",
                         "the old device model has no QMP; set "
                         "device_model_version=\"qemu-xen\"", out);
    if (!rc && !strcmp(out->type, "hvm")) rc = find_hvm(sc, u, out);
    if (!rc) find_unknown(tree, out);
    return rc;
}

/* A domain whose target is not named starts with all its memory. */
static int read_b_info(struct snap_ctx *sc, const struct snap_json *tree,
                       struct snap_domconfig *out)
{
    const struct snap_json *b, *u = NULL;
    int rc;

    rc = read_node(sc, tree, "the root", B_INFO, SNAP_JSON_OBJECT, &b);
    if (!rc) rc = read_union(sc, b, out->type, &u);
    if (!rc) rc = read_count(sc, b, B_INFO, "max_vcpus", &out->max_vcpus);
    if (!rc) rc = read_count(sc, b, B_INFO, "max_memkb", &out->max_memkb);
    if (!rc)
        rc = read_count(sc, b, B_INFO, "target_memkb", &out->target_memkb);
    if (!rc) rc = read_paths(sc, b, u, out);
    if (!rc) rc = read_genid(sc, u, out);
    if (!rc) rc = find_obstacles(sc, tree, b, u, out);
    if (rc) return rc;
    if (!out->max_vcpus) out->max_vcpus = 1;
    if (!out->target_memkb) out->target_memkb = out->max_memkb;
    if (!out->max_memkb) out->max_memkb = out->target_memkb;
    return 0;
}

/*
 * Devices
 */

static int find_disk_obstacles(struct snap_ctx *sc, const struct snap_json *j,
                               const char *where,
                               const struct snap_domconfig_disk *d,
                               struct snap_domconfig *out)
{
    AUTO_FREE char *specification = NULL;
    bool colo = false, colo_restore = false;
    int rc;

    rc = read_enum(sc, j, where, "specification", &specification);
    if (!rc) rc = read_defbool(sc, j, where, "colo_enable", &colo);
    if (!rc)
        rc = read_defbool(sc, j, where, "colo_restore_enable", &colo_restore);
    if (rc) return rc;
    if (specification && strcmp(specification, "xen"))
        snap_strings_take(&out->unsupported, snap_printf(
            "disk '%s': a %s disk has no Xen back end; set "
            "specification=xen", d->vdev, specification));
    if (colo || colo_restore)
        snap_strings_take(&out->unsupported, snap_printf(
            "disk '%s': a COLO disk is written by two hosts; remove colo",
            d->vdev));
    return 0;
}

const struct snap_domconfig_disk *
snap_domconfig_disk(const struct snap_domconfig *c, const char *vdev)
{
    size_t i;

    for (i = 0; i < c->ndisks; i++)
        if (c->disks[i].vdev && !strcmp(c->disks[i].vdev, vdev))
            return &c->disks[i];
    return NULL;
}

static int read_disk(struct snap_ctx *sc, const struct snap_json *j,
                     const char *where, struct snap_domconfig *out)
{
    struct snap_domconfig_disk *d = &out->disks[out->ndisks];
    AUTO_FREE char *vdev = NULL;
    int rc;

    if (snap_json_type(j) != SNAP_JSON_OBJECT)
        return snap_fail(sc, ERROR_INVAL,
                         "domain configuration: %s is not an object", where);
    rc = read_str(sc, j, where, "vdev", &vdev);
    if (rc) return rc;
    if (!vdev) return wrong_type(sc, where, "vdev", "a name");
    if (snap_domconfig_disk(out, vdev))
        return snap_fail(sc, ERROR_INVAL, "domain configuration: the disk "
                         "'%s' stands in it twice", vdev);
    d->vdev = vdev;
    vdev = NULL;
    out->ndisks++;
    rc = read_str(sc, j, where, "pdev_path", &d->path);
    if (!rc) rc = read_enum(sc, j, where, "format", &d->format);
    if (!rc) rc = read_enum(sc, j, where, "backend", &d->backend);
    if (!rc) rc = read_str(sc, j, where, "script", &d->script);
    if (!rc) rc = read_flag(sc, j, where, "is_cdrom", &d->cdrom);
    if (!rc) rc = read_flag(sc, j, where, "readwrite", &d->readwrite);
    if (!rc) rc = read_flag(sc, j, where, "removable", &d->removable);
    if (!rc) rc = read_flag(sc, j, where, "direct_io_safe",
                            &d->direct_io_safe);
    if (!rc) rc = read_count(sc, j, where, "backend_domid",
                             &d->backend_domid);
    if (!rc) rc = read_str(sc, j, where, "backend_domname",
                           &d->backend_domname);
    if (!rc) rc = find_disk_obstacles(sc, j, where, d, out);
    return rc;
}

static int read_disks(struct snap_ctx *sc, const struct snap_json *tree,
                      struct snap_domconfig *out)
{
    const struct snap_json *a;
    size_t i;
    int rc;

    rc = read_node(sc, tree, "the root", "disks", SNAP_JSON_ARRAY, &a);
    if (rc) return rc;
    out->disks = snap_zalloc((snap_json_len(a) + 1) * sizeof(*out->disks));
    for (i = 0; i < snap_json_len(a); i++) {
        AUTO_FREE char *where = snap_printf("disks[%zu]", i);

        rc = read_disk(sc, snap_json_at(a, i), where, out);
        if (rc) return rc;
    }
    return 0;
}

/* One field of a nic onto its list; "" where there is none, so that the
 * lists run in parallel. */
static int read_nic_field(struct snap_ctx *sc, const struct snap_json *j,
                          const char *where, const char *key,
                          struct snap_strings *list)
{
    char *s = NULL;
    int rc = read_str(sc, j, where, key, &s);

    if (!rc) snap_strings_take(list, s ? s : snap_strdup(""));
    return rc;
}

static int read_nics(struct snap_ctx *sc, const struct snap_json *tree,
                     struct snap_domconfig *out)
{
    const struct snap_json *a, *j;
    int rc;

    rc = read_node(sc, tree, "the root", "nics", SNAP_JSON_ARRAY, &a);
    if (rc) return rc;
    for (; out->nnics < snap_json_len(a); out->nnics++) {
        AUTO_FREE char *where = snap_printf("nics[%zu]", out->nnics);

        j = snap_json_at(a, out->nnics);
        if (snap_json_type(j) != SNAP_JSON_OBJECT)
            return snap_fail(sc, ERROR_INVAL,
                             "domain configuration: %s is not an object",
                             where);
        rc = read_nic_field(sc, j, where, "mac", &out->nic_macs);
        if (!rc)
            rc = read_nic_field(sc, j, where, "bridge", &out->nic_bridges);
        if (!rc)
            rc = read_nic_field(sc, j, where, "script", &out->nic_scripts);
        if (rc) return rc;
    }
    return 0;
}

/* vfbs and vkbs are carried as they are, but must be lists. */
static int check_consoles(struct snap_ctx *sc, const struct snap_json *tree)
{
    const struct snap_json *a;
    int rc;

    rc = read_node(sc, tree, "the root", "vfbs", SNAP_JSON_ARRAY, &a);
    if (!rc) rc = read_node(sc, tree, "the root", "vkbs", SNAP_JSON_ARRAY, &a);
    return rc;
}

int snap_domconfig_read(struct snap_ctx *sc, const struct snap_json *tree,
                        struct snap_domconfig *out)
{
    int rc;

    memset(out, 0, sizeof(*out));
    if (snap_json_type(tree) != SNAP_JSON_OBJECT)
        return snap_fail(sc, ERROR_INVAL,
                         "domain configuration: it is not a JSON object");
    rc = read_c_info(sc, tree, out);
    if (!rc) rc = read_b_info(sc, tree, out);
    if (!rc) rc = read_disks(sc, tree, out);
    if (!rc) rc = read_nics(sc, tree, out);
    if (!rc) rc = check_consoles(sc, tree);
    if (rc) snap_domconfig_dispose(out);
    return rc;
}

static void dispose_disk(struct snap_domconfig_disk *d)
{
    free(d->vdev);
    free(d->path);
    free(d->format);
    free(d->backend);
    free(d->script);
    free(d->backend_domname);
}

void snap_domconfig_dispose(struct snap_domconfig *c)
{
    size_t i;

    for (i = 0; i < c->ndisks; i++) dispose_disk(&c->disks[i]);
    free(c->disks);
    free(c->name);
    free(c->uuid);
    free(c->type);
    snap_strings_dispose(&c->nic_macs);
    snap_strings_dispose(&c->nic_bridges);
    snap_strings_dispose(&c->nic_scripts);
    snap_strings_dispose(&c->unsupported);
    snap_strings_dispose(&c->paths);
    memset(c, 0, sizeof(*c));
}
