/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What a snapshot says: its memory image, the configuration in it, a user's
 * own, and the set of disks completed from both.
 */
#include <libgen.h>
#include <string.h>

#include "op/memory.h"
#include "op/revert.h"

/* ---- the memory image -------------------------------------------- */

static int open_memory(struct snap_revert *r)
{
    if (!r->p->set->manifest.memory_path)
        return snap_fail(r->sc, ERROR_INVAL, "the snapshot has no memory "
                         "image: only its disks can be reverted to");
    return snap_op_open_memory(r->sc, r->p->set, &r->f.memory_path,
                               &r->memory_fd);
}

int snap_revert_read_memory(struct snap_revert *r)
{
    int rc = open_memory(r);

    if (!rc)
        rc = snap_op_read_memory(r->sc, &r->p->set->manifest,
                                 r->f.memory_path, r->memory_fd, &r->image);
    if (!rc)
        rc = snap_op_memory_config(r->sc, &r->image, &r->tree, &r->config);
    if (rc) return rc;
    rc = snap_op_check_kind(r->sc, r->f.memory_path, &r->image, &r->config);
    if (rc) return rc;
    r->stored = true;
    r->f.memory_pages = r->image.pages;
    r->f.xen_major = r->image.xen_major;
    r->f.xen_minor = r->image.xen_minor;
    r->f.config = &r->config;
    return 0;
}

/* ---- the user's xl.cfg ------------------------------------------- */

int snap_revert_merge_config(struct snap_revert *r)
{
    AUTO_JSON struct snap_json *user = NULL;
    struct snap_strings vdevs = { 0 };
    size_t i;
    int rc;

    if (!r->p->domain_config) return 0;
    rc = snap_op_ask_xl(r->sc, r->p->stock_xl, r->p->domain_config, NULL,
                        &user);
    for (i = 0; i < r->set.ndisks; i++)
        snap_strings_add(&vdevs, r->set.disks[i].vdev);
    if (!rc)
        rc = snap_domconfig_merge(r->sc, r->tree, user, r->p->domain_name,
                                  &vdevs);
    if (rc) rc = snap_within(r->sc, rc, "configuration '%s'",
                             r->p->domain_config);
    snap_strings_dispose(&vdevs);
    if (rc) return rc;
    /* What it names now is what counts from here on. */
    snap_domconfig_dispose(&r->config);
    return snap_domconfig_read(r->sc, r->tree, &r->config);
}

/* ---- the set of disks -------------------------------------------- */

/* A hand-written set may lack what the memory image's configuration has. */
static int complete_disk(struct snap_revert *r, struct snap_manifest_disk *d,
                         const struct snap_manifest_disk *from)
{
    const struct snap_domconfig_disk *c = snap_domconfig_disk(&r->config,
                                                              from->vdev);

    if (!c || c->cdrom)
        return snap_fail(r->sc, ERROR_INVAL, "disk '%s' of the snapshot is "
                         "not in the %s configuration", from->vdev,
                         r->stored ? "memory image's" : "given");
    if (!r->stored && from->type == SNAP_DISK_EXTERNAL && !from->format)
        return snap_fail(r->sc, ERROR_INVAL, "disk '%s': nothing says which "
                         "format '%s' has; give its format= in the set",
                         from->vdev, from->image);
    d->vdev = snap_strdup(from->vdev);
    d->type = from->type;
    d->image = snap_strdup(from->image ? from->image : c->path);
    d->format = snap_strdup(from->format ? from->format
                            : c->format ? c->format : "raw");
    d->overlay = snap_strdup(from->overlay);
    d->tag = snap_strdup(from->tag ? from->tag : r->p->set->manifest.name);
    d->tag_id = snap_strdup(from->tag_id);
    d->size_bytes = from->size_bytes;
    d->mtime_ns = from->mtime_ns;
    if (!d->image)
        return snap_fail(r->sc, ERROR_INVAL, "disk '%s': no image is named, "
                         "neither in the set nor in the memory image",
                         d->vdev);
    if (d->type == SNAP_DISK_INTERNAL && !d->tag)
        return snap_fail(r->sc, ERROR_INVAL, "disk '%s': no tag is named; "
                         "give name= in the set", d->vdev);
    return 0;
}

/* A hand-written set over a memory image of ours: there an external disk
 * stands read-only, as its frozen base, so only the manifest beside it tells
 * that the guest could write it. */
static int forgotten_disks(struct snap_revert *r)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    AUTO_FREE char *copy = NULL;
    libxl_snapshot_set beside;
    size_t i, k;

    if (r->p->set->directory || !r->f.memory_path) return 0;
    copy = snap_strdup(r->f.memory_path);
    if (!libxl_snapshot_load(&quiet, dirname(copy), &beside)) {
        for (i = 0; i < beside.manifest.ndisks; i++) {
            const char *vdev = beside.manifest.disks[i].vdev;

            for (k = 0; k < r->set.ndisks; k++)
                if (!strcmp(r->set.disks[k].vdev, vdev)) break;
            if (k == r->set.ndisks
                && !snap_strings_have(&r->f.excluded, vdev))
                snap_strings_add(&r->f.excluded, vdev);
        }
    }
    libxl_snapshot_set_dispose(&beside);
    snap_ctx_dispose(&quiet);
    return 0;
}

int snap_revert_complete_set(struct snap_revert *r)
{
    const struct snap_manifest *from = &r->p->set->manifest;
    size_t i, k;
    int rc = 0;

    r->set.name = snap_strdup(from->name);
    r->set.qemu_version = snap_strdup(from->qemu_version);
    r->set.domain_name = snap_strdup(from->domain_name
                                     ? from->domain_name : r->config.name);
    for (i = 0; !rc && i < from->ndisks; i++)
        rc = complete_disk(r, snap_manifest_add_disk(&r->set),
                           &from->disks[i]);
    if (rc) return rc;
    for (i = 0; i < r->config.ndisks; i++) {
        const struct snap_domconfig_disk *c = &r->config.disks[i];

        if (c->cdrom || !c->readwrite || !c->path || !*c->path) continue;
        for (k = 0; k < r->set.ndisks; k++)
            if (!strcmp(r->set.disks[k].vdev, c->vdev)) break;
        if (k == r->set.ndisks)
            snap_strings_add(&r->f.excluded, c->vdev);
    }
    rc = forgotten_disks(r);
    if (rc) return rc;
    r->f.set = &r->set;
    return 0;
}
