/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Deleting internal snapshots: by QMP where the domain's QEMU has the image as
 * its active layer, by qemu-img where nobody has it open; refused anywhere
 * else.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host/dependents.h"
#include "host/inuse.h"
#include "op/delete.h"

/* Another manifest that stands on this image: its base, or a tag in a chain
 * above it. */
static int refuse_dependents(struct snap_delete *d,
                             const struct snap_manifest_disk *md,
                             const struct snap_fs_id *id)
{
    AUTO_FREE char *beside = NULL;
    bool depends;
    size_t i;
    int rc;

    for (i = 0; i < d->p->nothers; i++) {
        const struct snap_manifest *m = &d->p->others[i].manifest;

        rc = snap_op_stands_on(d->sc, m, id, &depends);
        if (rc) return rc;
        if (depends)
            return snap_fail(d->sc, ERROR_INVAL, "disk '%s': snapshot '%s' "
                             "depends on '%s', so nothing in that image may "
                             "change; delete that one first", md->vdev,
                             m->name, id->real);
    }
    rc = snap_dependents_beside(d->sc, id, &beside);
    if (rc) return rc;
    if (beside)
        return snap_fail(d->sc, ERROR_INVAL, "disk '%s': '%s' is an overlay "
                         "on '%s', so nothing in that image may change",
                         md->vdev, beside, id->real);
    return 0;
}

/* A copy of the snapshot's directory (they are the user's to copy): the tag
 * stays for the other one. */
static const char *also_named_by(struct snap_delete *d,
                                 const struct snap_manifest_disk *md,
                                 const struct snap_fs_id *id)
{
    size_t i, k;

    for (i = 0; i < d->p->nothers; i++) {
        const struct snap_manifest *m = &d->p->others[i].manifest;

        for (k = 0; k < m->ndisks; k++)
            if (m->disks[k].tag && !strcmp(m->disks[k].tag, md->tag)
                && snap_fs_leads_to(m->disks[k].image, id))
                return d->p->others[i].directory;
    }
    return NULL;
}

/* The tag must be the one that was made then. */
static int check_tag_id(struct snap_delete *d,
                        const struct snap_manifest_disk *md,
                        const struct snap_image *im)
{
    const struct snap_image_tag *tag = snap_image_find_tag(im, md->tag);

    if (!tag || !md->tag_id || !strcmp(tag->id, md->tag_id)) return 0;
    return snap_fail(d->sc, ERROR_INVAL, "disk '%s': the tag '%s' in '%s' is "
                     "not the one that was made then (id %s, was %s); look "
                     "at it with qemu-img snapshot -l", md->vdev, md->tag,
                     md->image, tag->id, md->tag_id);
}

/* The disk of the running domain whose active layer is this image. */
static const struct snap_facts_disk *active_on(struct snap_delete *d,
                                               const struct snap_fs_id *id)
{
    size_t i;

    for (i = 0; d->now.exists && i < d->now.ndisks; i++)
        if (d->now.disks[i].have_id
            && (d->now.disks[i].node || d->now.qmp_error)
            && snap_fs_same(&d->now.disks[i].id, id))
            return &d->now.disks[i];
    return NULL;
}

static int add_live(struct snap_delete *d, const struct snap_facts_disk *live,
                    const struct snap_manifest_disk *md,
                    const struct snap_fs_id *id)
{
    bool ignored;
    AUTO_FREE char *reason = snap_disk_common_reason(&d->now, live, &ignored);
    struct snap_step *s;
    int rc;

    if (reason)
        return snap_fail(d->sc, ERROR_INVAL, "disk '%s': %s", md->vdev,
                         reason);
    rc = live->chain.len ? check_tag_id(d, md, &live->chain.data[0]) : 0;
    if (rc) return rc;
    s = snap_plan_add(&d->plan, STEP_DELETE_TAG_LIVE);
    snap_step_arg(s, "qmp", d->now.qmp_path);
    snap_step_arg(s, "vdev", live->vdev);
    snap_step_arg(s, "path", id->real);
    snap_step_arg(s, "tag", md->tag);
    snap_step_arg_u64(s, "domid", d->now.dom.domid);
    snap_step_arg(s, "image", id->real);
    return 0;
}

static int add_idle(struct snap_delete *d, const struct snap_manifest_disk *md,
                    const struct snap_fs_id *id)
{
    int skip[1] = { getpid() };
    struct snap_inuse use = { 0 };
    struct snap_image im;
    struct snap_step *s;
    int rc;

    rc = snap_inuse_scan(d->sc, id, 1, skip, 1, &use);
    if (!rc && use.len)
        rc = snap_fail(d->sc, ERROR_INVAL, "disk '%s': '%s' is in use by %s",
                       md->vdev, id->real, use.data[0].text);
    snap_inuse_dispose(&use);
    if (!rc) rc = snap_image_info(d->sc, id->real, "qcow2", &im);
    if (rc) return rc;
    rc = check_tag_id(d, md, &im);
    snap_image_dispose(&im);
    if (rc) return rc;
    s = snap_plan_add(&d->plan, STEP_DELETE_TAG);
    snap_step_arg(s, "path", id->real);
    snap_step_arg(s, "image", id->real);
    snap_step_arg(s, "tag", md->tag);
    return 0;
}

int snap_delete_plan_tag(struct snap_delete *d,
                         const struct snap_manifest_disk *md)
{
    const struct snap_facts_disk *live;
    const char *twin;
    struct snap_fs_id id;
    int rc;

    if (access(md->image, F_OK)) {
        if (errno != ENOENT && errno != ENOTDIR)
            return snap_fail_errno(d->sc, errno, "disk '%s': cannot look at "
                                   "'%s'", md->vdev, md->image);
        snap_strings_take(&d->plan.notes, snap_printf(
            "%s: '%s' is gone, so is its tag", md->vdev, md->image));
        return 0;
    }
    rc = snap_fs_identify(d->sc, md->image, &id);
    if (rc) return rc;
    live = active_on(d, &id);
    twin = also_named_by(d, md, &id);
    if (twin)
        snap_strings_take(&d->plan.notes, snap_printf(
            "%s: tag '%s' stays: '%s' names it, too", md->vdev, md->tag,
            twin));
    rc = twin ? 0 : refuse_dependents(d, md, &id);
    if (!rc && !twin)
        rc = live ? add_live(d, live, md, &id) : add_idle(d, md, &id);
    free(id.real);
    return rc;
}
