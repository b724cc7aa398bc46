/* SPDX-License-Identifier: LGPL-2.1-only */
/* The disks of an xl.cfg.  See cfgdisk.h. */
#include "cfgdisk.h"

#include <errno.h>
#include <string.h>

#define MAX_DISKS 1024

int xl_cfg_disk_parse(struct snap_ctx *sc, const struct xl_cfg *c,
                      const char *spec, libxl_device_disk *out)
{
    libxl_device_disk_init(out);
    if (!xlu_disk_parse(c->xlu, 1, &spec, out) && out->vdev) return 0;
    return xl_cfg_fail(sc, c, "libxlutil does not take an entry of disk");
}

char *xl_cfg_disk_settings(const libxl_device_disk *d)
{
    /* The context is for messages, and this fails for want of memory only. */
    char *json = libxl_device_disk_to_json(NULL, (libxl_device_disk *)d);

    return json ? json : snap_strdup("");
}

const struct xl_cfg_disk *xl_cfg_disks_find(const struct xl_cfg_disks *l,
                                            const char *vdev)
{
    size_t i;

    for (i = 0; i < l->len; i++)
        if (!strcmp(l->data[i].d.vdev, vdev))
            return &l->data[i];
    return NULL;
}

static int add(struct snap_ctx *sc, const struct xl_cfg *c, const char *spec,
               struct xl_cfg_disks *out)
{
    struct xl_cfg_disk *e = &out->data[out->len];
    int rc;

    if (!spec)
        return snap_fail(sc, ERROR_INVAL, "%s: entry %zu of disk is not a "
                         "string", c->path, out->len + 1);
    e->spec = spec;
    rc = xl_cfg_disk_parse(sc, c, spec, &e->d);
    if (!rc && xl_cfg_disks_find(out, e->d.vdev))
        rc = snap_fail(sc, ERROR_INVAL, "%s: disk '%s' is there twice",
                       c->path, e->d.vdev);
    if (rc)
        libxl_device_disk_dispose(&e->d);
    else
        out->len++;
    return rc;
}

static int read_list(struct snap_ctx *sc, const struct xl_cfg *c,
                     struct xl_cfg_disks *out)
{
    XLU_ConfigList *list;
    int i, n, rc;

    rc = xlu_cfg_get_list(c->xlu, "disk", &list, &n, 1);
    if (rc == ESRCH) return 0;
    if (rc)
        return snap_fail(sc, ERROR_INVAL, "%s: disk is not a list", c->path);
    if (n > MAX_DISKS)
        return snap_fail(sc, ERROR_INVAL, "%s: more than %d disks", c->path,
                         MAX_DISKS);
    out->data = snap_zalloc((size_t)(n + 1) * sizeof(*out->data));
    for (i = 0; !rc && i < n; i++)
        rc = add(sc, c, xlu_cfg_get_listitem(list, i), out);
    return rc;
}

int xl_cfg_disks_read(struct snap_ctx *sc, const struct xl_cfg *c,
                      struct xl_cfg_disks *out)
{
    int rc;

    memset(out, 0, sizeof(*out));
    if (xlu_cfg_get_string(c->xlu, "name", &out->name, 1) || !*out->name)
        return snap_fail(sc, ERROR_INVAL, "%s: there is no name; is it the "
                         "xl.cfg of a domain?", c->path);
    rc = read_list(sc, c, out);
    if (rc) xl_cfg_disks_dispose(out);
    return rc;
}

void xl_cfg_disks_dispose(struct xl_cfg_disks *l)
{
    size_t i;

    for (i = 0; i < l->len; i++)
        libxl_device_disk_dispose(&l->data[i].d);
    free(l->data);
    memset(l, 0, sizeof(*l));
}
