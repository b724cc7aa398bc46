/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What is checked of the world once the plan of a revert is known: paths that
 * must be free, space, bridges, scripts.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "op/revert.h"

#define XL_SCRIPTS "/etc/xen/scripts"

static int check_new_path(struct snap_revert *r,
                          const struct snap_revert_disk *d)
{
    uint64_t need = d->chain.data[0].actual_size_bytes, have;
    struct stat st;
    int rc;

    if (!d->new_path) return 0;
    if (!lstat(d->new_path, &st))
        return snap_fail(r->sc, ERROR_INVAL, "disk '%s': '%s' is taken",
                         d->m->vdev, d->new_path);
    if (d->m->type == SNAP_DISK_EXTERNAL) need = 1 << 20;
    rc = snap_fs_free_bytes(r->sc, d->new_path, &have);
    if (rc) return rc;
    if (have < need)
        return snap_fail(r->sc, ERROR_FAIL, "disk '%s': no space for '%s': "
                         "%llu bytes are needed, %llu are free", d->m->vdev,
                         d->new_path, (unsigned long long)need,
                         (unsigned long long)have);
    return 0;
}

static int check_nic(struct snap_revert *r, const char *bridge,
                     const char *script)
{
    AUTO_FREE char *net = snap_printf("/sys/class/net/%s", bridge);
    AUTO_FREE char *full = *script == '/' ? snap_strdup(script)
        : snap_printf(XL_SCRIPTS "/%s", *script ? script : "vif-bridge");
    const char *base = strrchr(full, '/');

    if (access(full, X_OK))
        return snap_fail(r->sc, ERROR_INVAL, "the network script '%s' that "
                         "the configuration names is not there", full);
    /* Only vif-bridge speaks of a bridge of the kernel. */
    if (strcmp(base, "/vif-bridge") || !*bridge || strchr(bridge, '/'))
        return 0;
    if (access(net, F_OK))
        return snap_fail(r->sc, ERROR_INVAL, "there is no bridge '%s', which "
                         "the configuration names; make it, or give a "
                         "DOMAIN-CONFIG with another", bridge);
    return 0;
}

static int check_config_paths(struct snap_revert *r)
{
    size_t i;
    int rc = 0;

    for (i = 0; i < r->config.paths.len; i++)
        if (access(r->config.paths.data[i], R_OK))
            return snap_fail_errno(r->sc, errno, "the configuration names "
                                   "'%s'", r->config.paths.data[i]);
    for (i = 0; !rc && i < r->config.nnics; i++)
        rc = check_nic(r, r->config.nic_bridges.data[i],
                       r->config.nic_scripts.data[i]);
    return rc;
}

/* Disks that stay as they are must be there, too. */
static int check_other_disks(struct snap_revert *r)
{
    size_t i, k;

    for (i = 0; i < r->config.ndisks; i++) {
        const struct snap_domconfig_disk *c = &r->config.disks[i];

        for (k = 0; k < r->set.ndisks; k++)
            if (!strcmp(r->set.disks[k].vdev, c->vdev)) break;
        if (k < r->set.ndisks || !c->path || c->path[0] != '/') continue;
        if (access(c->path, F_OK))
            return snap_fail(r->sc, ERROR_NOTFOUND, "disk '%s': '%s', which "
                             "the configuration names, is not there",
                             c->vdev, c->path);
    }
    return 0;
}

int snap_revert_check_world(struct snap_revert *r)
{
    size_t i;
    int rc = 0;

    if (!r->p->stock_xl || access(r->p->stock_xl, X_OK))
        return snap_fail(r->sc, ERROR_NOTFOUND, "the distribution's xl was "
                         "not found, and it has to build the domain; set "
                         "XL_STOCK to its path");
    for (i = 0; !rc && i < r->f.ndisks; i++)
        rc = check_new_path(r, &r->f.disks[i]);
    if (!rc) rc = check_config_paths(r);
    return rc ? rc : check_other_disks(r);
}
