/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Reading SNAPSHOT-CONFIG.  The syntax is cfgtext.c's; on top of it the keys,
 * and what a hand-written set means.  Items of disk= are snapconfig_disk.c's.
 * See snapconfig.h.
 */
#include <errno.h>
#include <string.h>

#include "cfgtext.h"
#include "format/manifest.h"
#include "host/fs.h"
#include "say.h"
#include "snapconfig.h"

#define CONFIG_MAX_DISKS 256

static void disk_dispose(struct xl_config_disk *d)
{
    free(d->vdev);
    free(d->format);
    free(d->target);
    free(d->parent);
    free(d->tag);
}

void xl_config_dispose(struct xl_config *c)
{
    size_t i;

    for (i = 0; i < c->ndisks; i++)
        disk_dispose(&c->disks[i]);
    free(c->disks);
    free(c->path);
    free(c->name);
    free(c->description);
    free(c->memory);
    memset(c, 0, sizeof(*c));
}

char *xl_config_resolve(const struct xl_config *c, const char *path)
{
    AUTO_FREE char *file = xl_absolute(c->path);

    if (path[0] == '/')
        return snap_strdup(path);
    *strrchr(file, '/') = 0;
    return snap_printf("%s/%s", file, path);
}

/* ---- the keys -------------------------------------------------------- */

/* Puts every key into `keys`; refuses one that is there twice. */
static int scan_keys(struct snap_ctx *sc, const char *path, const char *s,
                     struct snap_strings *keys)
{
    struct xl_cfg_setting at;
    int rc;

    while ((rc = xl_cfg_next(sc, path, &s, &at)) > 0) {
        char *key = snap_strndup(at.key, at.key_len);
        bool twice = !at.adds && snap_strings_have(keys, key);

        snap_strings_take(keys, key);
        if (twice)
            return snap_fail(sc, ERROR_INVAL, "%s: '%s' is set twice", path,
                             key);
    }
    return rc;
}

static int check_keys(struct snap_ctx *sc, const char *path,
                      const struct snap_strings *keys)
{
    static const char *const known[] = {
        "name", "description", "memory", "live", "type", "disk", "disks",
    };
    size_t i, k, n = sizeof(known) / sizeof(known[0]);

    for (i = 0; i < keys->len; i++) {
        for (k = 0; k < n && strcmp(known[k], keys->data[i]); k++)
            ;
        if (k == n)
            return snap_fail(sc, ERROR_INVAL, "%s: unknown key '%s'; the "
                             "keys are name, description, memory, live, "
                             "type and disk", path, keys->data[i]);
    }
    if (snap_strings_have(keys, "disk") && snap_strings_have(keys, "disks"))
        return snap_fail(sc, ERROR_INVAL, "%s: 'disk' and 'disks' are the "
                         "same key; use one of them", path);
    return 0;
}

/* ---- values ---------------------------------------------------------- */

static int add_disk(struct snap_ctx *sc, struct xl_config *c,
                    const char *item)
{
    struct xl_config_disk *d;
    size_t i;
    int rc;

    c->disks = snap_realloc(c->disks, (c->ndisks + 1) * sizeof(*c->disks));
    d = &c->disks[c->ndisks++];
    memset(d, 0, sizeof(*d));
    rc = xl_config_parse_disk(sc, c->path, item, d);
    for (i = 0; !rc && i + 1 < c->ndisks; i++)
        if (!strcmp(c->disks[i].vdev, d->vdev))
            rc = snap_fail(sc, ERROR_INVAL, "%s: disk '%s' is named twice",
                           c->path, d->vdev);
    return rc;
}

static int read_disks(struct snap_ctx *sc, XLU_Config *cfg, const char *key,
                      struct xl_config *c)
{
    XLU_ConfigList *list;
    const char *item;
    int i, n, rc;

    rc = xlu_cfg_get_list(cfg, key, &list, &n, 1);
    if (rc == ESRCH) return 0;
    if (rc)
        return snap_fail(sc, ERROR_INVAL, "%s: '%s' is to be a list: "
                         "%s = [ 'vdev=xvda', ... ]", c->path, key, key);
    if (n > CONFIG_MAX_DISKS)
        return snap_fail(sc, ERROR_INVAL, "%s: more than %d disks", c->path,
                         CONFIG_MAX_DISKS);
    for (i = 0; i < n; i++) {
        item = xlu_cfg_get_listitem(list, i);
        if (!item)
            return snap_fail(sc, ERROR_INVAL, "%s: item %d of '%s' is not a "
                             "string", c->path, i + 1, key);
        rc = add_disk(sc, c, item);
        if (rc) return rc;
    }
    return 0;
}

static int read_string(struct snap_ctx *sc, XLU_Config *cfg, const char *key,
                       const char *path, char **out)
{
    const char *value;
    int rc;

    rc = xlu_cfg_get_string(cfg, key, &value, 1);
    if (rc == ESRCH) return 0;
    if (rc || !*value)
        return snap_fail(sc, ERROR_INVAL, "%s: '%s' is to be a string that "
                         "is not empty", path, key);
    if (!xl_utf8_valid(value))
        return snap_fail(sc, ERROR_INVAL, "%s: '%s' is not valid UTF-8",
                         path, key);
    *out = snap_strdup(value);
    return 0;
}

static int read_live(struct snap_ctx *sc, XLU_Config *cfg,
                     struct xl_config *c)
{
    long value;
    int rc;

    c->live = -1;
    rc = xlu_cfg_get_long(cfg, "live", &value, 1);
    if (rc == ESRCH) return 0;
    if (rc || value < 0 || value > 1)
        return snap_fail(sc, ERROR_INVAL, "%s: 'live' is to be 0 or 1",
                         c->path);
    c->live = (int)value;
    return 0;
}

static int read_values(struct snap_ctx *sc, XLU_Config *cfg,
                       struct xl_config *c)
{
    AUTO_FREE char *type = NULL;
    int rc;

    rc = read_string(sc, cfg, "name", c->path, &c->name);
    if (!rc) rc = read_string(sc, cfg, "description", c->path,
                              &c->description);
    if (!rc) rc = read_string(sc, cfg, "memory", c->path, &c->memory);
    if (!rc) rc = read_string(sc, cfg, "type", c->path, &type);
    if (!rc && type) rc = xl_config_parse_type(sc, c->path, type, &c->type);
    if (!rc) rc = read_live(sc, cfg, c);
    if (!rc) rc = read_disks(sc, cfg, "disk", c);
    if (!rc) rc = read_disks(sc, cfg, "disks", c);
    return rc;
}

static int parse_with(struct snap_ctx *sc, XLU_Config *cfg, const char *text,
                      struct xl_config *out)
{
    struct snap_strings keys = { 0 };
    int rc;

    rc = scan_keys(sc, out->path, text, &keys);
    if (!rc) rc = check_keys(sc, out->path, &keys);
    if (!rc) rc = read_values(sc, cfg, out);
    snap_strings_dispose(&keys);
    return rc;
}

static int parse_text(struct snap_ctx *sc, const char *text, size_t len,
                      struct xl_config *out)
{
    struct xl_cfg cfg;
    int rc;

    rc = xl_cfg_open(sc, out->path, text, len, &cfg);
    if (!rc) rc = parse_with(sc, cfg.xlu, text, out);
    xl_cfg_close(&cfg);
    return rc;
}

int xl_config_parse(struct snap_ctx *sc, const char *path, const char *text,
                    size_t len, struct xl_config *out)
{
    int rc;

    memset(out, 0, sizeof(*out));
    out->live = -1;
    out->path = snap_strdup(path);
    rc = parse_text(sc, text, len, out);
    if (rc) xl_config_dispose(out);
    return rc;
}

int xl_config_read(struct snap_ctx *sc, const char *path,
                   struct xl_config *out)
{
    AUTO_FREE char *text = NULL;
    size_t len;
    int rc;

    memset(out, 0, sizeof(*out));
    rc = snap_fs_read(sc, path, false, XL_CFG_MAX_BYTES, &text, &len);
    if (rc) return rc;
    return xl_config_parse(sc, path, text, len, out);
}

/* ---- a hand-written set ---------------------------------------------- */

static int set_disk(struct snap_ctx *sc, const struct xl_config *c,
                    const struct xl_config_disk *from,
                    struct snap_manifest *m)
{
    struct snap_manifest_disk *to;
    enum xl_config_type type = from->type ? from->type
        : from->parent ? XL_TYPE_EXTERNAL
        : from->tag ? XL_TYPE_INTERNAL
        : c->type ? c->type : XL_TYPE_INTERNAL;
    const char *tag = from->tag ? from->tag : c->name;

    if (from->path_first || from->target)
        return snap_fail(sc, ERROR_INVAL, "%s: disk '%s': target= is for "
                         "snapshot-create; to revert, name the frozen image "
                         "with parent=", c->path, from->vdev);
    if (from->exclude) {
        snap_strings_add(&m->excluded, from->vdev);
        return 0;
    }
    if (type == XL_TYPE_EXTERNAL && !from->parent)
        return snap_fail(sc, ERROR_INVAL, "%s: disk '%s': name the frozen "
                         "image with parent=", c->path, from->vdev);
    if (type == XL_TYPE_INTERNAL && !tag)
        return snap_fail(sc, ERROR_INVAL, "%s: disk '%s': name the internal "
                         "snapshot with tag=, or all of them with name=",
                         c->path, from->vdev);
    if (type == XL_TYPE_INTERNAL && !snap_name_valid(tag))
        return snap_fail(sc, ERROR_INVAL, "%s: disk '%s': the tag '%s' "
                         "cannot be used: a tag begins with a letter or '_' "
                         "and has at most 64 of A-Z a-z 0-9 _ . -; "
                         "qemu-img would take a number for an id", c->path,
                         from->vdev, tag);

    to = snap_manifest_add_disk(m);
    to->vdev = snap_strdup(from->vdev);
    to->format = snap_strdup(from->format);
    if (type == XL_TYPE_EXTERNAL) {
        to->type = SNAP_DISK_EXTERNAL;
        to->image = xl_config_resolve(c, from->parent);
    } else {
        to->type = SNAP_DISK_INTERNAL;
        to->tag = snap_strdup(tag);
    }
    return 0;
}

static int set_from_config(struct snap_ctx *sc, const struct xl_config *c,
                           const char *domain, struct snap_manifest *m)
{
    size_t i;
    int rc;

    if (!c->ndisks)
        return snap_fail(sc, ERROR_INVAL, "%s: 'disk' is missing: say for "
                         "each disk which snapshot it goes back to, or "
                         "'vdev=...,exclude'", c->path);
    m->name = snap_strdup(c->name);
    m->description = snap_strdup(c->description);
    m->domain_name = snap_strdup(domain);
    if (c->memory) m->memory_path = xl_config_resolve(c, c->memory);
    for (i = 0; i < c->ndisks; i++) {
        rc = set_disk(sc, c, &c->disks[i], m);
        if (rc) return rc;
    }
    return 0;
}

int xl_config_read_set(struct snap_ctx *sc, const char *path,
                       const char *text, size_t len, const char *domain,
                       libxl_snapshot_set *set)
{
    struct xl_config c;
    int rc;

    memset(set, 0, sizeof(*set));
    rc = xl_config_parse(sc, path, text, len, &c);
    if (rc) return rc;
    rc = set_from_config(sc, &c, domain, &set->manifest);
    if (!rc && c.name && !snap_name_valid(c.name))
        rc = snap_fail(sc, ERROR_INVAL, "%s: name '%s': a snapshot's name "
                       "begins with a letter or '_' and has at most 64 of "
                       "A-Z a-z 0-9 _ . -", path, c.name);
    xl_config_dispose(&c);
    if (rc) {
        libxl_snapshot_set_dispose(set);
        memset(set, 0, sizeof(*set));
    }
    return rc;
}
