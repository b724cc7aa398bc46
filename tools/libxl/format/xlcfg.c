/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * From libxl's JSON to the settings of an xl.cfg, by tables: a row is a field,
 * the setting's name, and how its value is written.  What no row names is not
 * written, and then found by xlcfg_diff.c.
 */
#include "format/xlcfg.h"

#include <inttypes.h>
#include <string.h>

#include "format/spec.h"

enum kind {
    TEXT, NUMBER,
    FLAG,                   /* a defbool: "True", "False" */
    MIB,                    /* KiB, in whole MiB */
    CHOICE,                 /* an enumeration, with xl's spelling */
    ACTION,                 /* the same, absent: "destroy" */
    LENGTH,                 /* of an array */
    LIST,                   /* an array of strings */
    GENID,                  /* a new one */
    RATE,                   /* of a vif, from two fields */
    IF_SET, UNLESS_SET,     /* the name alone, when it is true or false */
};

struct row {
    const char *path;       /* '/' between members */
    const char *key;
    enum kind kind;
};

#define C "c_info/"
#define B "b_info/"
#define PV "b_info/type.pv/"
#define PVH "b_info/type.pvh/"
#define HVM "b_info/type.hvm/"

static const struct row own_rows[] = {
    { C "name", "name", TEXT },
    { C "uuid", "uuid", TEXT },
};

static const struct row rows[] = {
    { C "type", "type", TEXT },
    { C "hap", "hap", FLAG },
    { C "oos", "oos", FLAG },
    { C "pool_name", "pool", TEXT },
    { C "passthrough", "passthrough", TEXT },
    { B "max_vcpus", "maxvcpus", NUMBER },
    { B "avail_vcpus", "vcpus", LENGTH },
    { B "tsc_mode", "tsc_mode", TEXT },
    { B "target_memkb", "memory", MIB },
    { B "max_memkb", "maxmem", MIB },
    { B "video_memkb", "videoram", MIB },
    { B "shadow_memkb", "shadow_memory", MIB },
    { B "rtc_timeoffset", "rtc_timeoffset", NUMBER },
    { B "localtime", "localtime", FLAG },
    { B "disable_migrate", "nomigrate", FLAG },
    { B "max_grant_frames", "max_grant_frames", NUMBER },
    { B "max_maptrack_frames", "max_maptrack_frames", NUMBER },
    { B "max_grant_version", "max_grant_version", NUMBER },
    { B "device_model_version", "device_model_version", CHOICE },
    { B "device_model", "device_model_override", TEXT },
    { B "device_model_user", "device_model_user", TEXT },
    { B "extra", "device_model_args", LIST },
    { B "extra_pv", "device_model_args_pv", LIST },
    { B "extra_hvm", "device_model_args_hvm", LIST },
    { B "sched_params/weight", "cpu_weight", NUMBER },
    { B "sched_params/cap", "cap", NUMBER },
    { B "event_channels", "max_event_channels", NUMBER },
    { B "kernel", "kernel", TEXT },
    { B "cmdline", "cmdline", TEXT },
    { B "ramdisk", "ramdisk", TEXT },
    { B "acpi", "acpi", FLAG },
    { B "bootloader", "bootloader", TEXT },
    { B "bootloader_args", "bootloader_args", LIST },
    { B "timer_mode", "timer_mode", TEXT },
    { B "nested_hvm", "nestedhvm", FLAG },
    { B "apic", "apic", FLAG },
    { B "dm_restrict", "dm_restrict", FLAG },
    { B "altp2m", "altp2m", TEXT },
    { B "vpmu", "vpmu", FLAG },
    { PV "e820_host", "e820_host", FLAG },
    { PVH "pvshim", "pvshim", FLAG },
    { PVH "pvshim_path", "pvshim_path", TEXT },
    { PVH "pvshim_cmdline", "pvshim_cmdline", TEXT },
    { PVH "pvshim_extra", "pvshim_extra", TEXT },
    { HVM "firmware", "firmware_override", TEXT },
    { HVM "bios", "bios", TEXT },
    { HVM "pae", "pae", FLAG },
    { HVM "acpi_s3", "acpi_s3", FLAG },
    { HVM "acpi_s4", "acpi_s4", FLAG },
    { HVM "acpi_laptop_slate", "acpi_laptop_slate", FLAG },
    { HVM "nx", "nx", FLAG },
    { HVM "viridian", "viridian", FLAG },
    { HVM "hpet", "hpet", FLAG },
    { HVM "vpt_align", "vpt_align", FLAG },
    { HVM "mmio_hole_memkb", "mmio_hole", MIB },
    { HVM "system_firmware", "bios_path_override", TEXT },
    { HVM "smbios_firmware", "smbios_firmware", TEXT },
    { HVM "acpi_firmware", "acpi_firmware", TEXT },
    { HVM "hdtype", "hdtype", TEXT },
    { HVM "nographic", "nographic", FLAG },
    { HVM "vga/kind", "vga", CHOICE },
    { HVM "vnc/enable", "vnc", FLAG },
    { HVM "vnc/listen", "vnclisten", TEXT },
    { HVM "vnc/display", "vncdisplay", NUMBER },
    { HVM "vnc/findunused", "vncunused", FLAG },
    { HVM "keymap", "keymap", TEXT },
    { HVM "sdl/enable", "sdl", FLAG },
    { HVM "sdl/opengl", "opengl", FLAG },
    { HVM "sdl/display", "display", TEXT },
    { HVM "sdl/xauthority", "xauthority", TEXT },
    { HVM "spice/enable", "spice", FLAG },
    { HVM "spice/port", "spiceport", NUMBER },
    { HVM "spice/tls_port", "spicetls_port", NUMBER },
    { HVM "spice/host", "spicehost", TEXT },
    { HVM "spice/disable_ticketing", "spicedisable_ticketing", FLAG },
    { HVM "spice/agent_mouse", "spiceagent_mouse", FLAG },
    { HVM "spice/vdagent", "spicevdagent", FLAG },
    { HVM "spice/clipboard_sharing", "spice_clipboard_sharing", FLAG },
    { HVM "serial", "serial", TEXT },
    { HVM "serial_list", "serial", LIST },
    { HVM "boot", "boot", TEXT },
    { HVM "usb", "usb", FLAG },
    { HVM "usbversion", "usbversion", NUMBER },
    { HVM "usbdevice", "usbdevice", TEXT },
    { HVM "usbdevice_list", "usbdevice", LIST },
    { HVM "vkb_device", "vkb_device", FLAG },
    { HVM "soundhw", "soundhw", TEXT },
    { HVM "xen_platform_pci", "xen_platform_pci", FLAG },
    { HVM "vendor_device", "vendor_device", TEXT },
    { HVM "ms_vm_genid", "ms_vm_genid", GENID },
    { "on_poweroff", "on_poweroff", ACTION },
    { "on_reboot", "on_reboot", ACTION },
    { "on_watchdog", "on_watchdog", ACTION },
    { "on_crash", "on_crash", ACTION },
    { "on_soft_reset", "on_soft_reset", ACTION },
};

/* Of a disk, beside what every disk spec has. */
static const struct row disk_rows[] = {
    { "backend", "backendtype", TEXT },
    { "backend_domname", "backend", TEXT },
    { "script", "script", TEXT },
    { "specification", "specification", TEXT },
    { "is_cdrom", "devtype=cdrom", IF_SET },
    { "direct_io_safe", "direct-io-safe", IF_SET },
    { "discard_enable", "discard", IF_SET },
    { "discard_enable", "no-discard", UNLESS_SET },
    { "trusted", "trusted", IF_SET },
    { "trusted", "untrusted", UNLESS_SET },
};

static const struct row nic_rows[] = {
    { "devid", "devid", NUMBER },
    { "mac", "mac", TEXT },
    { "nictype", "type", CHOICE },
    { "model", "model", TEXT },
    { "bridge", "bridge", TEXT },
    { "gatewaydev", "gatewaydev", TEXT },
    { "script", "script", TEXT },
    { "ip", "ip", TEXT },
    { "ifname", "vifname", TEXT },
    { "backend_domname", "backend", TEXT },
    { "mtu", "mtu", NUMBER },
    { "rate_bytes_per_interval", "rate", RATE },
    { "trusted", "trusted", IF_SET },
    { "trusted", "untrusted", UNLESS_SET },
};

static const struct row vfb_rows[] = {
    { "vnc/enable", "vnc", FLAG },
    { "vnc/listen", "vnclisten", TEXT },
    { "vnc/display", "vncdisplay", NUMBER },
    { "vnc/findunused", "vncunused", FLAG },
    { "sdl/enable", "sdl", FLAG },
    { "sdl/opengl", "opengl", FLAG },
    { "sdl/display", "display", TEXT },
    { "sdl/xauthority", "xauthority", TEXT },
    { "keymap", "keymap", TEXT },
};

#define ROWS(table) (table), sizeof(table) / sizeof(*(table))

/* ---- values ------------------------------------------------------ */

static const struct snap_json *lookup(const struct snap_json *j,
                                      const char *path)
{
    while (j && *path) {
        size_t n = strcspn(path, "/");
        AUTO_FREE char *key = snap_strndup(path, n);

        j = snap_json_get(j, key);
        path += path[n] ? n + 1 : n;
    }
    return j;
}

/* 1 true, 0 false, -1 neither; libxl has defbools, bools and ints for it. */
static int truth(const struct snap_json *j)
{
    const char *s = snap_json_str(j);
    int64_t n;
    bool b;

    if (s) return !strcmp(s, "True") ? 1 : !strcmp(s, "False") ? 0 : -1;
    if (snap_json_bool(j, &b)) return b;
    return snap_json_int(j, &n) ? n != 0 : -1;
}

/* Where xl spells a choice in another way than libxl's JSON does. */
static char *spelled_for_xl(const char *s)
{
    static const char *const words[][2] = {
        { "restart_rename", "rename-restart" }, { "std", "stdvga" },
        { "vif_ioemu", "ioemu" },
    };
    char *spelled, *p;
    size_t i;

    for (i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (!strcmp(s, words[i][0])) return snap_strdup(words[i][1]);
    spelled = snap_strdup(s);
    for (p = spelled; *p; p++)
        if (*p == '_') *p = '-';
    return spelled;
}

/* Bytes in an interval, as xl takes it: bytes a second and the interval. */
static char *rate(const struct snap_json *object, uint64_t bytes)
{
    uint64_t us;

    if (!snap_json_uint(snap_json_get(object, "rate_interval_usecs"), &us)
        || !us || bytes > UINT64_MAX / 1000000)
        return NULL;
    return snap_printf("%" PRIu64 "B/s@%" PRIu64 "us", bytes * 1000000 / us,
                       us);
}

static char *number(const struct row *row, const struct snap_json *object,
                    uint64_t n)
{
    if (row->kind == RATE) return rate(object, n);
    if (row->kind == MIB) {
        if (!n) return NULL;
        n = n / 1024 + (n % 1024 != 0);
    }
    return snap_printf("%" PRIu64, n);
}

/* The value of a field as xl takes it, malloc'd; NULL: it has none, or none
 * that this kind of row can write. */
static char *value(const struct row *row, const struct snap_json *object)
{
    const struct snap_json *j = lookup(object, row->path);
    const char *s = snap_json_str(j);
    uint64_t n;

    switch (row->kind) {
    case ACTION:
        return spelled_for_xl(s ? s : "destroy");
    case CHOICE:
        return s ? spelled_for_xl(s) : NULL;
    case TEXT:
        return s && *s ? snap_strdup(s) : NULL;
    case FLAG:
        return truth(j) < 0 ? NULL : snap_printf("%d", truth(j));
    case LENGTH:
        return snap_json_len(j) ? snap_printf("%zu", snap_json_len(j)) : NULL;
    case GENID:
        return snap_json_len(j) ? snap_strdup("generate") : NULL;
    default:
        return snap_json_uint(j, &n) ? number(row, object, n) : NULL;
    }
}

/* ---- words ------------------------------------------------------- */

/* A string in quotes, for libxlutil's grammar. */
static int add_quoted(struct snap_ctx *sc, struct snap_text *t,
                      const char *key, const char *s)
{
    if (strchr(s, '\n'))
        return snap_fail(sc, ERROR_INVAL, "the configuration has a line break "
                         "in what would be %s=, which cannot be given to "
                         "`xl create`; give a DOMAIN-CONFIG", key);
    snap_text_add(t, "\"");
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') snap_text_add(t, "\\");
        snap_text_add_bytes(t, s, 1);
    }
    snap_text_add(t, "\"");
    return 0;
}

static int add_word(struct snap_ctx *sc, const char *key, const char *s,
                    struct snap_strings *words)
{
    struct snap_text t = { 0 };
    int rc;

    snap_text_add(&t, "%s=", key);
    rc = add_quoted(sc, &t, key, s);
    snap_strings_take(words, t.data);
    return rc;
}

/* key=["...","..."]; an empty one is a word, too: the user's may have some. */
static int add_list(struct snap_ctx *sc, const char *key,
                    const struct snap_strings *items,
                    struct snap_strings *words)
{
    struct snap_text t = { 0 };
    size_t i;
    int rc = 0;

    snap_text_add(&t, "%s=[", key);
    for (i = 0; !rc && i < items->len; i++) {
        if (i) snap_text_add(&t, ",");
        rc = add_quoted(sc, &t, key, items->data[i]);
    }
    snap_text_add(&t, "]");
    snap_strings_take(words, t.data);
    return rc;
}

static int add_string_list(struct snap_ctx *sc, const char *key,
                           const struct snap_json *list,
                           struct snap_strings *words)
{
    struct snap_strings items = { 0 };
    size_t i;
    int rc;

    if (!snap_json_len(list)) return 0;
    for (i = 0; i < snap_json_len(list); i++) {
        const char *s = snap_json_str(snap_json_at(list, i));

        snap_strings_add(&items, s ? s : "");
    }
    rc = add_list(sc, key, &items, words);
    snap_strings_dispose(&items);
    return rc;
}

static int add_rows(struct snap_ctx *sc, const struct snap_json *tree,
                    const struct row *table, size_t n,
                    struct snap_strings *words)
{
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < n; i++) {
        const struct row *row = &table[i];
        AUTO_FREE char *s = NULL;

        if (row->kind == LIST) {
            rc = add_string_list(sc, row->key, lookup(tree, row->path),
                                 words);
            continue;
        }
        s = value(row, tree);
        if (s) rc = add_word(sc, row->key, s, words);
    }
    return rc;
}

/* ---- vcpus pinned to cpus ---------------------------------------- */

static char *cpus_of(const struct snap_json *map)
{
    struct snap_text t = { 0 };
    uint64_t n;
    size_t i;

    snap_text_add(&t, "%s", "");
    for (i = 0; i < snap_json_len(map); i++)
        if (snap_json_uint(snap_json_at(map, i), &n))
            snap_text_add(&t, "%s%" PRIu64, t.len ? "," : "", n);
    return t.data;
}

/* A list has a map for each vcpu and turns NUMA placement off, a string is for
 * all of them. */
static int add_pins(struct snap_ctx *sc, const struct snap_json *tree,
                    const char *path, const char *key,
                    struct snap_strings *words)
{
    const struct snap_json *maps = lookup(tree, path);
    struct snap_strings items = { 0 };
    size_t i;
    int rc;

    if (!snap_json_len(maps)) return 0;
    for (i = 0; i < snap_json_len(maps); i++)
        snap_strings_take(&items, cpus_of(snap_json_at(maps, i)));
    rc = truth(lookup(tree, B "numa_placement"))
         ? add_word(sc, key, items.data[0], words)
         : add_list(sc, key, &items, words);
    snap_strings_dispose(&items);
    return rc;
}

/* ---- devices ----------------------------------------------------- */

/* key=value, for all rows that have one, with commas between. */
static char *spec(const struct snap_json *device, const struct row *table,
                  size_t n)
{
    struct snap_text t = { 0 };
    size_t i;

    snap_text_add(&t, "%s", "");
    for (i = 0; i < n; i++) {
        const struct row *row = &table[i];
        AUTO_FREE char *s = NULL;

        if (row->kind == IF_SET || row->kind == UNLESS_SET) {
            if (truth(lookup(device, row->path)) == (row->kind == IF_SET))
                snap_text_add(&t, "%s%s", t.len ? "," : "", row->key);
            continue;
        }
        s = value(row, device);
        if (s) snap_text_add(&t, "%s%s=%s", t.len ? "," : "", row->key, s);
    }
    return t.data;
}

static char *disk_spec(const struct snap_json *disk)
{
    const char *target = snap_json_get_str(disk, "pdev_path");
    AUTO_FREE char *more = spec(disk, ROWS(disk_rows));
    AUTO_FREE char *all = snap_spec_print(
        snap_json_get_str(disk, "vdev"), snap_json_get_str(disk, "format"),
        truth(snap_json_get(disk, "readwrite")) == 1, target ? target : "");

    return snap_printf("%s%s%s", more, *more ? "," : "", all);
}

static char *nic_spec(const struct snap_json *nic)
{
    return spec(nic, ROWS(nic_rows));
}

static char *vfb_spec(const struct snap_json *vfb)
{
    return spec(vfb, ROWS(vfb_rows));
}

static int add_devices(struct snap_ctx *sc, const char *key,
                       const struct snap_json *devices,
                       char *(*spec_of)(const struct snap_json *device),
                       struct snap_strings *words)
{
    struct snap_strings items = { 0 };
    size_t i;
    int rc;

    for (i = 0; i < snap_json_len(devices); i++)
        snap_strings_take(&items, spec_of(snap_json_at(devices, i)));
    rc = add_list(sc, key, &items, words);
    snap_strings_dispose(&items);
    return rc;
}

/* ---- all of it --------------------------------------------------- */

static int check_bound(struct snap_ctx *sc, const struct snap_strings *words)
{
    size_t i, bytes = 0;

    for (i = 0; i < words->len; i++)
        bytes += strlen(words->data[i]) + 1;
    if (bytes <= SNAP_XLCFG_MAX_BYTES) return 0;
    return snap_fail(sc, ERROR_INVAL, "the configuration is %zu bytes long as "
                     "settings of `xl create`, %u are possible; give a "
                     "DOMAIN-CONFIG", bytes, SNAP_XLCFG_MAX_BYTES);
}

int snap_xlcfg_own_words(struct snap_ctx *sc, const struct snap_json *tree,
                         struct snap_strings *words)
{
    int rc = add_rows(sc, tree, ROWS(own_rows), words);

    if (!rc)
        rc = add_devices(sc, "disk", snap_json_get(tree, "disks"), disk_spec,
                         words);
    return rc ? rc : check_bound(sc, words);
}

int snap_xlcfg_words(struct snap_ctx *sc, const struct snap_json *tree,
                     struct snap_strings *words)
{
    int rc = add_rows(sc, tree, ROWS(rows), words);

    if (!rc)
        rc = add_pins(sc, tree, B "vcpu_hard_affinity", "cpus", words);
    if (!rc)
        rc = add_pins(sc, tree, B "vcpu_soft_affinity", "cpus_soft", words);
    if (!rc)
        rc = add_devices(sc, "vif", snap_json_get(tree, "nics"), nic_spec,
                         words);
    if (!rc)
        rc = add_devices(sc, "vfb", snap_json_get(tree, "vfbs"), vfb_spec,
                         words);
    return rc ? rc : snap_xlcfg_own_words(sc, tree, words);
}
