/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Deleting external snapshots: what is to be known of a frozen base and the
 * images on it, for plan/merge.c to decide.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host/users.h"
#include "op/delete.h"
#include "plan/overlay_name.h"
#include "plan/unharmed.h"

static void layer_dispose(struct snap_delete_layer *l)
{
    snap_chain_dispose(&l->chain);
    snap_image_dispose(&l->child);
    snap_strings_dispose(&l->children);
    free(l->ids[0].real);
    free(l->ids[1].real);
    free(l->base_needed);
    free(l->child_needed);
    free(l->child_changed);
    free(l->in_use);
    free(l->merge.why);
}

void snap_delete_dispose_layers(struct snap_delete *d)
{
    size_t i;

    for (i = 0; i < d->nlayers; i++)
        layer_dispose(&d->layers[i]);
    free(d->layers);
    free(d->space);
}

static int images_on(struct snap_delete *d, const struct snap_fs_id *id,
                     struct snap_strings *out)
{
    return snap_op_images_on(d->sc, &d->p->set->manifest, d->p->others,
                             d->p->nothers, id, out);
}

/* ---- the manifests ----------------------------------------------- */

/* malloc'd. A copy that was made by hand has the name of what it is of. */
static char *name_of(const libxl_snapshot_set *set)
{
    const char *base = set->directory ? strrchr(set->directory, '/') + 1 : NULL;

    return !base || !strcmp(base, set->manifest.name)
           ? snap_printf("snapshot '%s'", set->manifest.name)
           : snap_printf("the snapshot in '%s'", set->directory);
}

/* The first other snapshot that froze this image. */
static int frozen_by(struct snap_delete *d, const struct snap_fs_id *id,
                     char **who)
{
    bool is;
    size_t i;
    int rc = 0;

    for (i = 0; !rc && !*who && i < d->p->nothers; i++) {
        rc = snap_op_stands_on(d->sc, &d->p->others[i].manifest, id, &is);
        if (!rc && is) *who = name_of(&d->p->others[i]);
    }
    return rc;
}

static int is_overlay_of(struct snap_delete *d, const struct snap_manifest *m,
                         const struct snap_fs_id *id, bool *is)
{
    size_t i;
    int rc = 0;

    for (i = 0; !rc && !*is && i < m->ndisks; i++)
        if (m->disks[i].overlay)
            rc = snap_fs_compare(d->sc, m->disks[i].overlay, id, is);
    return rc;
}

/* Did that snapshot make the image on `below`: does it name it as its overlay,
 * or, since a revert's is named in no manifest, did it freeze `below`, and is
 * the image called as its overlays on that are? */
static int is_made_by(struct snap_delete *d, const struct snap_manifest *m,
                      const struct snap_fs_id *id,
                      const struct snap_fs_id *below, bool *is)
{
    bool froze = false;
    int rc = is_overlay_of(d, m, id, is);

    if (rc || *is) return rc;
    rc = snap_op_stands_on(d->sc, m, below, &froze);
    *is = froze && m->name
          && snap_is_overlay_name(id->real, below->real, m->name);
    return rc;
}

/* Is an image on `below` an overlay of ours? */
static int is_made(struct snap_delete *d, const struct snap_fs_id *id,
                   const struct snap_fs_id *below, bool *is)
{
    size_t i;
    int rc = is_made_by(d, &d->p->set->manifest, id, below, is);

    for (i = 0; !rc && !*is && i < d->p->nothers; i++)
        rc = is_made_by(d, &d->p->others[i].manifest, id, below, is);
    return rc;
}

static int look_who_made(struct snap_delete *d,
                         const struct snap_delete_layer *l,
                         struct snap_merge_facts *f)
{
    struct snap_fs_id below;
    int rc = is_made(d, &l->ids[1], &l->ids[0], &f->child_is_made);

    if (rc || !f->below) return rc;
    rc = snap_fs_identify(d->sc, f->below->path, &below);
    if (rc) return rc;
    rc = is_made(d, &l->ids[0], &below, &f->base_is_made);
    free(below.real);
    return rc;
}

static bool base_changed(const struct snap_delete_layer *l)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    int rc = snap_check_base(&quiet, l->md, &l->ids[0]);

    snap_ctx_dispose(&quiet);
    return rc;
}

/* A snapshot that froze the child, which is not as noted: nobody may note it
 * again as if it were. */
static int find_changed(struct snap_delete *d, struct snap_delete_layer *l)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    size_t i, k;
    bool is;
    int rc = 0;

    for (i = 0; !rc && !l->child_changed && i < d->p->nothers; i++) {
        const struct snap_manifest *m = &d->p->others[i].manifest;

        for (k = 0; !rc && !l->child_changed && k < m->ndisks; k++) {
            if (m->disks[k].type != SNAP_DISK_EXTERNAL) continue;
            rc = snap_fs_compare(d->sc, m->disks[k].image, &l->ids[1], &is);
            if (!rc && is && snap_check_base(&quiet, &m->disks[k], &l->ids[1]))
                l->child_changed = snap_printf("'%s', which stands on it, was "
                    "written to since snapshot '%s'", l->ids[1].real, m->name);
        }
    }
    snap_ctx_dispose(&quiet);
    return rc;
}

/* ---- looking ----------------------------------------------------- */

static int look_at_base(struct snap_delete *d, struct snap_delete_layer *l)
{
    bool ignored;
    int rc = snap_fs_get_immutable(d->sc, l->ids[0].real, &l->base_frozen,
                                   &ignored);

    if (!rc) rc = frozen_by(d, &l->ids[0], &l->base_needed);
    if (!rc) rc = images_on(d, &l->ids[0], &l->children);
    return rc;
}

static int look_at_child(struct snap_delete *d, struct snap_delete_layer *l)
{
    struct snap_strings above = { 0 };
    const char *child = l->children.data[0];
    bool ignored, waited;
    int rc = 0;

    /* It is changed, too. */
    if (!d->p->dry_run) {
        snap_image_locks_want(&d->h.locks, child, true);
        rc = snap_image_locks_take(d->sc, &d->h.locks, d->p->lock_timeout_ms,
                                   &waited);
    }
    if (!rc) rc = snap_fs_identify(d->sc, child, &l->ids[1]);
    if (!rc) rc = snap_fs_get_immutable(d->sc, child, &l->child_frozen,
                                        &ignored);
    if (!rc) rc = frozen_by(d, &l->ids[1], &l->child_needed);
    if (!rc) rc = images_on(d, &l->ids[1], &above);
    if (!rc && above.len && !l->child_needed)
        l->child_needed = snap_printf("'%s'", above.data[0]);
    if (!rc && l->child_frozen && !l->child_needed)
        l->child_needed = snap_strdup("who made it immutable");
    if (!rc) rc = find_changed(d, l);
    snap_strings_dispose(&above);
    return rc;
}

/* The two lie upon each other in a disk of the running domain. */
static void find_live(struct snap_delete *d, struct snap_delete_layer *l)
{
    const struct snap_facts_disk *disk;
    size_t i, k;

    for (i = 0; !l->live && i < d->now.ndisks; i++) {
        disk = &d->now.disks[i];
        for (k = 1; !l->live && k < disk->chain.len; k++)
            if (snap_fs_leads_to(disk->chain.data[k].path, &l->ids[0])
                && snap_fs_leads_to(disk->chain.data[k - 1].path, &l->ids[1])) {
                l->live = disk;
                l->depth = k;
            }
    }
}

/* Why QEMU cannot be asked to merge them; NULL: it can. malloc'd. The
 * toolstack has to be told of another image when the child is the one that the
 * guest writes. */
static char *why_not_live(struct snap_delete *d,
                          const struct snap_delete_layer *l)
{
    bool ignored;
    char *reason = snap_disk_common_reason(&d->now, l->live, &ignored);

    if (!reason && l->depth == 1)
        reason = snap_disk_driver(true)->refuses(&d->now, l->live);
    return reason;
}

/* It is the domain's QEMU that has them. That it could not be seen how, or that
 * it is busy, is not to say that it cannot merge them. */
static int check_seen(struct snap_delete *d, const struct snap_delete_layer *l)
{
    size_t i;

    if (l->live && l->live->filtered)
        return snap_fail(d->sc, ERROR_INVAL, "disk '%s': a block job (a "
                         "backup, a mirror) works on it in QEMU; wait until it "
                         "has ended", l->live->vdev);
    if (l->live && !l->live->chain_error) return 0;
    if (d->now.qmp_error)
        return snap_fail(d->sc, ERROR_FAIL, "QEMU cannot be asked: %s",
                         d->now.qmp_error);
    for (i = 0; i < d->now.ndisks; i++)
        if (d->now.disks[i].chain_error)
            return snap_fail(d->sc, ERROR_FAIL, "disk '%s': %s",
                             d->now.disks[i].vdev,
                             d->now.disks[i].chain_error);
    return 0;
}

static int look_for_users(struct snap_delete *d, struct snap_delete_layer *l)
{
    AUTO_FREE char *user = NULL, *other = NULL, *reason = NULL;
    int skip[2] = { getpid(), d->now.exists ? d->now.qemu_pid : 0 };
    int rc = snap_users_find(d->sc, d->h.xen, -1, l->ids, 2, skip, 1, &user);

    if (rc || !user) return rc;
    if (d->now.exists) {
        find_live(d, l);
        rc = snap_users_find(d->sc, d->h.xen, d->now.dom.domid, l->ids, 2,
                             skip, 2, &other);
        if (!rc && !other) rc = check_seen(d, l);
    }
    if (rc) return rc;
    if (l->live && !other) reason = why_not_live(d, l);
    if (l->live && !other && !reason) return 0;
    l->in_use = reason ? snap_printf("%s, where it cannot be merged: %s",
                                     user, reason)
                       : snap_printf("%s, and layers are merged only when "
                                     "nobody else has them",
                                     other ? other : user);
    l->live = NULL;
    return 0;
}

/* Neither has a second name, by which somebody could open it meanwhile. */
static int look_at_names(struct snap_delete *d, struct snap_delete_layer *l,
                         bool *linked)
{
    struct stat st;
    size_t i;

    for (i = 0; i < 2; i++) {
        if (stat(l->ids[i].real, &st))
            return snap_fail_errno(d->sc, errno, "cannot look at '%s'",
                                   l->ids[i].real);
        *linked |= st.st_nlink > 1;
    }
    return 0;
}

/* What qemu-img says of them; only once nobody writes them. Else QEMU has said
 * it. */
static int look_into(struct snap_delete *d, struct snap_delete_layer *l)
{
    int rc;

    if (l->live) return 0;
    rc = snap_image_chain(d->sc, l->ids[0].real, l->md->format, &l->chain);

    return rc ? rc : snap_image_info(d->sc, l->ids[1].real, "qcow2",
                                     &l->child);
}

const struct snap_image *snap_delete_layer_below(
    const struct snap_delete_layer *l)
{
    const struct snap_chain *c = l->live ? &l->live->chain : &l->chain;
    size_t i = l->live ? l->depth + 1 : 1;

    return i < c->len ? &c->data[i] : NULL;
}

/* Of a child that is in the middle of a chain, what is on it may be anywhere:
 * its QEMU knows. */
static void name_above(struct snap_delete_layer *l)
{
    if (!l->live || l->depth < 2 || l->child_needed) return;
    l->child_needed = snap_printf("'%s'",
                                  l->live->chain.data[l->depth - 2].path);
}

static int look_at_both(struct snap_delete *d, struct snap_delete_layer *l,
                        struct snap_merge_facts *f)
{
    int rc = look_at_child(d, l);

    f->block = l->ids[0].block || l->ids[1].block;
    if (!rc) rc = look_for_users(d, l);
    if (!rc && !f->block && !l->in_use) {
        rc = look_into(d, l);
        name_above(l);
        f->base = l->live ? &l->live->chain.data[l->depth] : l->chain.data;
        f->child = l->live ? f->base - 1 : &l->child;
        f->below = snap_delete_layer_below(l);
        if (!rc) rc = look_who_made(d, l, f);
    }
    return rc ? rc : look_at_names(d, l, &f->linked);
}

static int decide(struct snap_delete *d, struct snap_delete_layer *l)
{
    struct snap_merge_facts f = { .children = &l->children };
    int rc = look_at_base(d, l);

    if (!rc && !l->base_needed && l->children.len == 1)
        rc = look_at_both(d, l, &f);
    if (rc) return rc;
    f.base_changed = base_changed(l);
    f.base_needed = l->base_needed;
    f.child_needed = l->child_needed;
    f.child_changed = l->child_changed;
    f.in_use = l->in_use;
    snap_plan_merge(&f, &l->merge);
    return 0;
}

static int look(struct snap_delete *d, struct snap_delete_layer *l)
{
    int rc = snap_fs_find(d->sc, l->md->image, &l->ids[0], &l->there);

    if (rc || !l->there) return rc;
    rc = snap_fs_identify(d->sc, l->md->image, &l->ids[0]);
    if (rc) return rc;
    if (d->p->keep_layers) {
        l->merge.why = snap_strdup("layers are to be kept");
        return 0;
    }
    rc = decide(d, l);
    return rc ? snap_within(d->sc, rc, "whether layers can be merged, which "
                            "--keep-layers does not ask") : 0;
}

int snap_delete_look_at_layers(struct snap_delete *d)
{
    const struct snap_manifest *m = &d->p->set->manifest;
    size_t i;
    int rc = 0;

    d->layers = snap_zalloc((m->ndisks + 1) * sizeof(*d->layers));
    for (i = 0; !rc && i < m->ndisks; i++) {
        if (m->disks[i].type != SNAP_DISK_EXTERNAL) continue;
        d->layers[d->nlayers].md = &m->disks[i];
        rc = look(d, &d->layers[d->nlayers++]);
    }
    return rc;
}
