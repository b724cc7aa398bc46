/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Deleting external snapshots.  The frozen base stays as a layer below what
 * stands on it; which images those are is told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/dependents.h"
#include "op/delete.h"

/* Once, whatever names it has. */
static int add_child(struct snap_delete *d, const char *path,
                     struct snap_strings *out)
{
    AUTO_FREE char *real = realpath(path, NULL);

    if (!real)
        return snap_fail_errno(d->sc, errno, "cannot look at '%s'", path);
    if (!snap_strings_have(out, real)) snap_strings_add(out, real);
    return 0;
}

/* The overlays of a manifest that stand on the image. */
static int add_overlays(struct snap_delete *d, const struct snap_manifest *m,
                        const struct snap_fs_id *id, struct snap_strings *out)
{
    bool is;
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < m->ndisks; i++) {
        const char *overlay = m->disks[i].overlay;

        if (!overlay) continue;
        rc = snap_dependents_is_on(d->sc, overlay, id, &is);
        if (!rc && is) rc = add_child(d, overlay, out);
    }
    return rc;
}

/* The images on this one that are beside it, or that manifests name. There may
 * be others. */
static int find_children(struct snap_delete *d, const struct snap_fs_id *id,
                         struct snap_strings *out)
{
    struct snap_strings beside = { 0 };
    size_t i;
    int rc = snap_dependents_all(d->sc, id, &beside);

    for (i = 0; !rc && i < beside.len; i++)
        rc = add_child(d, beside.data[i], out);
    if (!rc) rc = add_overlays(d, &d->p->set->manifest, id, out);
    for (i = 0; !rc && i < d->p->nothers; i++)
        rc = add_overlays(d, &d->p->others[i].manifest, id, out);
    snap_strings_dispose(&beside);
    return rc;
}

static char *who_stands_on_it(const struct snap_strings *children)
{
    if (!children->len)
        return snap_strdup("nothing that is known stands on it any more");
    if (children->len == 1)
        return snap_printf("'%s' stands on it", children->data[0]);
    return snap_printf("%zu images stand on it, '%s' among them",
                       children->len, children->data[0]);
}

int snap_delete_plan_layer(struct snap_delete *d,
                           const struct snap_manifest_disk *md)
{
    struct snap_strings children = { 0 };
    struct snap_fs_id id = { .real = NULL };
    AUTO_FREE char *who = NULL;
    bool there;
    int rc = snap_fs_find(d->sc, md->image, &id, &there);

    if (!rc && !there)
        snap_strings_take(&d->plan.notes, snap_printf(
            "%s: the frozen base '%s' is gone", md->vdev, md->image));
    if (rc || !there) return rc;
    rc = snap_fs_identify(d->sc, md->image, &id);
    if (!rc) rc = find_children(d, &id, &children);
    if (!rc) {
        who = who_stands_on_it(&children);
        snap_strings_take(&d->plan.notes, snap_printf(
            "%s: '%s' stays: %s", md->vdev, id.real, who));
    }
    snap_strings_dispose(&children);
    free(id.real);
    return rc;
}
