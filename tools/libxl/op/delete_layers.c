/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Deleting external snapshots: what is to be known of a frozen base and the
 * images on it, for plan/merge.c to decide.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/dependents.h"
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

/* ---- who stands on what ------------------------------------------ */

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

static int add_if_on(struct snap_delete *d, const char *path,
                     const struct snap_fs_id *id, struct snap_strings *out)
{
    bool is = false;
    int rc = path ? snap_dependents_is_on(d->sc, path, id, &is) : 0;

    return rc || !is ? rc : add_child(d, path, out);
}

/* The images of a manifest that stand on the image. */
static int add_named(struct snap_delete *d, const struct snap_manifest *m,
                     const struct snap_fs_id *id, struct snap_strings *out)
{
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < m->ndisks; i++) {
        rc = add_if_on(d, m->disks[i].overlay, id, out);
        if (!rc) rc = add_if_on(d, m->disks[i].image, id, out);
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
    if (!rc) rc = add_named(d, &d->p->set->manifest, id, out);
    for (i = 0; !rc && i < d->p->nothers; i++)
        rc = add_named(d, &d->p->others[i].manifest, id, out);
    snap_strings_dispose(&beside);
    return rc;
}

/* ---- the manifests ----------------------------------------------- */

/* The first other snapshot that froze this image. */
static int frozen_by(struct snap_delete *d, const struct snap_fs_id *id,
                     char **who)
{
    bool is;
    size_t i;
    int rc = 0;

    for (i = 0; !rc && !*who && i < d->p->nothers; i++) {
        rc = snap_op_stands_on(d->sc, &d->p->others[i].manifest, id, &is);
        if (!rc && is)
            *who = snap_printf("snapshot '%s'",
                               d->p->others[i].manifest.name);
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

    if (rc || l->chain.len < 2) return rc;
    rc = snap_fs_identify(d->sc, l->chain.data[1].path, &below);
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
    if (!rc) rc = find_children(d, &l->ids[0], &l->children);
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
    if (!rc) rc = find_children(d, &l->ids[1], &above);
    if (!rc && above.len && !l->child_needed)
        l->child_needed = snap_printf("'%s'", above.data[0]);
    if (!rc && l->child_frozen && !l->child_needed)
        l->child_needed = snap_strdup("who made it immutable");
    if (!rc) rc = find_changed(d, l);
    snap_strings_dispose(&above);
    return rc;
}

static int look_for_users(struct snap_delete *d, struct snap_delete_layer *l)
{
    AUTO_FREE char *user = NULL;
    int self = getpid();
    int rc = snap_users_find(d->sc, d->h.xen, -1, l->ids, 2, &self, 1, &user);

    if (user)
        l->in_use = snap_printf("%s, and layers are merged only when nobody "
                                "has them", user);
    return rc;
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

/* What qemu-img says of them; only once nobody writes them. */
static int look_into(struct snap_delete *d, struct snap_delete_layer *l)
{
    int rc = snap_image_chain(d->sc, l->ids[0].real, l->md->format, &l->chain);

    return rc ? rc : snap_image_info(d->sc, l->ids[1].real, "qcow2",
                                     &l->child);
}

static int decide(struct snap_delete *d, struct snap_delete_layer *l)
{
    struct snap_merge_facts f = { .children = &l->children };
    int rc = look_at_base(d, l);

    if (!rc && !l->base_needed && l->children.len == 1) {
        rc = look_at_child(d, l);
        f.block = l->ids[0].block || l->ids[1].block;
        if (!rc) rc = look_for_users(d, l);
        if (!rc && !f.block && !l->in_use) rc = look_into(d, l);
        if (!rc && l->chain.len) rc = look_who_made(d, l, &f);
        if (!rc) rc = look_at_names(d, l, &f.linked);
    }
    if (rc) return rc;
    f.base_changed = base_changed(l);
    f.base_needed = l->base_needed;
    f.child_needed = l->child_needed;
    f.child_changed = l->child_changed;
    f.in_use = l->in_use;
    f.base = l->chain.data;
    f.below = l->chain.len > 1 ? &l->chain.data[1] : NULL;
    f.child = &l->child;
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
