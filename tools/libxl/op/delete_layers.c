/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Deleting external snapshots: what is to be known of a frozen base and the
 * images on it, and the steps for what plan/merge.c decides.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host/claims.h"
#include "host/dependents.h"
#include "host/inuse.h"
#include "op/delete.h"
#include "plan/merge.h"

/* What was looked at for one disk. */
struct layer {
    const struct snap_manifest_disk *md;
    struct snap_fs_id ids[2];           /* the base, its only child */
    struct snap_chain chain;            /* of the base */
    struct snap_image child;
    struct snap_strings children;
    bool child_frozen;
    char *base_needed, *child_needed, *in_use;
    struct snap_merge_facts f;
};

static void layer_dispose(struct layer *l)
{
    snap_chain_dispose(&l->chain);
    snap_image_dispose(&l->child);
    snap_strings_dispose(&l->children);
    free(l->ids[0].real);
    free(l->ids[1].real);
    free(l->base_needed);
    free(l->child_needed);
    free(l->in_use);
}

/* ---- who stands on what ------------------------------------------ */

static int add_child(struct snap_delete *d, const char *path,
                     const struct snap_fs_id *id, struct snap_strings *out)
{
    AUTO_FREE char *real = NULL;
    bool is = false;
    int rc = path ? snap_dependents_is_on(d->sc, path, id, &is) : 0;

    if (rc || !is) return rc;
    real = realpath(path, NULL);
    if (!real)
        return snap_fail_errno(d->sc, errno, "cannot look at '%s'", path);
    if (!snap_strings_have(out, real)) snap_strings_add(out, real);
    return 0;
}

/* The images on this one: those beside it, and those that manifests name,
 * wherever they are. */
static int find_children(struct snap_delete *d, const struct snap_fs_id *id,
                         struct snap_strings *out)
{
    const struct snap_manifest *mine = &d->p->set->manifest;
    struct snap_strings beside = { 0 };
    size_t i, k;
    int rc = snap_dependents_all(d->sc, id, &beside);

    for (i = 0; !rc && i < beside.len; i++)
        rc = add_child(d, beside.data[i], id, out);
    for (i = 0; !rc && i < mine->ndisks; i++)
        rc = add_child(d, mine->disks[i].overlay, id, out);
    for (i = 0; !rc && i < d->p->nothers; i++) {
        const struct snap_manifest *m = &d->p->others[i].manifest;

        for (k = 0; !rc && k < m->ndisks; k++) {
            rc = add_child(d, m->disks[k].overlay, id, out);
            if (!rc) rc = add_child(d, m->disks[k].image, id, out);
        }
    }
    snap_strings_dispose(&beside);
    return rc;
}

/* The first other snapshot that has this image: as its frozen base, or (also
 * `tags`) with its tag. */
static int named_by(struct snap_delete *d, const struct snap_fs_id *id,
                    bool tags, char **who)
{
    size_t i, k;
    bool is;
    int rc = 0;

    for (i = 0; !rc && !*who && i < d->p->nothers; i++) {
        const struct snap_manifest *m = &d->p->others[i].manifest;

        for (k = 0; !rc && !*who && k < m->ndisks; k++) {
            if (!tags && m->disks[k].type != SNAP_DISK_EXTERNAL) continue;
            rc = snap_fs_compare(d->sc, m->disks[k].image, id, &is);
            if (!rc && is) *who = snap_printf("snapshot '%s'", m->name);
        }
    }
    return rc;
}

/* Is it an overlay that another snapshot of ours made? */
static int is_overlay(struct snap_delete *d, const struct snap_fs_id *id,
                      bool *is)
{
    size_t i, k;
    int rc = 0;

    *is = false;
    for (i = 0; !rc && !*is && i < d->p->nothers; i++) {
        const struct snap_manifest *m = &d->p->others[i].manifest;

        for (k = 0; !rc && !*is && k < m->ndisks; k++)
            if (m->disks[k].overlay)
                rc = snap_fs_compare(d->sc, m->disks[k].overlay, id, is);
    }
    return rc;
}

/* ---- facts ------------------------------------------------------- */

static int look_at_base(struct snap_delete *d, struct layer *l)
{
    const struct snap_image *im;
    int rc = snap_image_chain(d->sc, l->ids[0].real, l->md->format, &l->chain);

    if (rc) return rc;
    im = &l->chain.data[0];
    l->f.base = l->ids[0].real;
    l->f.base_format = l->md->format;
    l->f.base_bytes = im->actual_size_bytes;
    l->f.base_has_tags = im->ntags;
    rc = is_overlay(d, &l->ids[0], &l->f.base_is_overlay);
    if (!rc) rc = named_by(d, &l->ids[0], false, &l->base_needed);
    if (!rc) rc = find_children(d, &l->ids[0], &l->children);
    l->f.base_needed = l->base_needed;
    l->f.children = &l->children;
    return rc;
}

static int look_at_child(struct snap_delete *d, struct layer *l)
{
    struct snap_strings above = { 0 };
    const char *child = l->children.data[0];
    bool ignored, waited;
    int rc = snap_fs_identify(d->sc, child, &l->ids[1]);

    /* It is changed, too. */
    if (!rc && !d->p->dry_run) {
        snap_image_locks_want(&d->h.locks, child, true);
        rc = snap_image_locks_take(d->sc, &d->h.locks, d->p->lock_timeout_ms,
                                   &waited);
    }
    if (!rc) rc = snap_image_info(d->sc, child, "qcow2", &l->child);
    if (rc) return rc;
    l->f.child_bytes = l->child.actual_size_bytes;
    l->f.child_has_tags = l->child.ntags;
    rc = snap_fs_get_immutable(d->sc, child, &l->child_frozen, &ignored);
    if (!rc) rc = named_by(d, &l->ids[1], true, &l->child_needed);
    if (!rc) rc = find_children(d, &l->ids[1], &above);
    if (!rc && above.len && !l->child_needed)
        l->child_needed = snap_printf("'%s'", above.data[0]);
    snap_strings_dispose(&above);
    l->f.child_needed = l->child_needed;
    return rc;
}

static int look_for_users(struct snap_delete *d, struct layer *l)
{
    struct snap_claim_hits claims;
    struct snap_inuse use = { 0 };
    int self = getpid();
    int rc = snap_inuse_scan(d->sc, l->ids, 2, &self, 1, &use);

    if (!rc && use.len)
        l->in_use = snap_printf("'%s' is in use by %s",
                                l->ids[use.data[0].image].real,
                                use.data[0].text);
    snap_inuse_dispose(&use);
    if (rc || l->in_use) goto out;
    rc = snap_claims_on(d->sc, d->h.xen, -1, l->ids, 2, &claims);
    if (!rc && claims.len)
        l->in_use = snap_printf("'%s' is in use by %s",
                                l->ids[claims.data[0].image].real,
                                claims.data[0].text);
    snap_claim_hits_dispose(&claims);
out:
    l->f.in_use = l->in_use;
    return rc;
}

static int gather(struct snap_delete *d, struct layer *l)
{
    int rc = look_at_base(d, l);

    if (rc || l->base_needed || l->children.len != 1) return rc;
    rc = look_at_child(d, l);
    if (!rc) rc = look_for_users(d, l);
    if (!rc) rc = snap_fs_free_bytes(d->sc, l->f.base, &l->f.base_free);
    if (!rc) rc = snap_fs_free_bytes(d->sc, l->children.data[0],
                                     &l->f.child_free);
    return rc;
}

/* ---- steps ------------------------------------------------------- */

static struct snap_step *add_step(struct snap_delete *d, struct layer *l,
                                  enum snap_step_kind kind, const char *path)
{
    struct snap_step *s = snap_plan_add(&d->plan, kind);

    snap_step_arg(s, "vdev", l->md->vdev);
    snap_step_arg(s, "path", path);
    return s;
}

/* Both, to be seen idle right before. */
static void add_idle(struct snap_step *s, const struct layer *l)
{
    snap_step_arg(s, "image", l->ids[0].real);
    snap_step_arg(s, "image", l->ids[1].real);
}

static void add_bytes(struct snap_step *s, uint64_t bytes)
{
    AUTO_FREE char *text = snap_printf("%llu", (unsigned long long)bytes);

    snap_step_arg(s, "bytes", text);
}

static struct snap_step *add_removal(struct snap_delete *d, struct layer *l,
                                     const char *path, const char *into)
{
    struct snap_step *s = add_step(d, l, STEP_REMOVE_LAYER, path);

    snap_step_arg(s, "image", path);
    snap_step_arg(s, "into", into);
    return s;
}

static void merge_down(struct snap_delete *d, struct layer *l,
                       const struct snap_merge *m)
{
    const char *child = l->children.data[0];
    struct snap_step *s = add_step(d, l, STEP_MERGE_DOWN, l->f.base);

    snap_step_arg(s, "format", l->md->format);
    snap_step_arg(s, "top", child);
    add_bytes(s, m->bytes);
    add_idle(s, l);
    snap_step_arg(add_removal(d, l, child, l->f.base), "emptied", "yes");
    snap_strings_take(&d->advice, snap_spec_print(
        l->md->vdev, l->md->format, true, l->f.base));
}

static bool names_either(const struct snap_manifest *m, const char *base,
                         const char *child)
{
    size_t i;

    for (i = 0; i < m->ndisks; i++)
        if (m->disks[i].type == SNAP_DISK_EXTERNAL
            && (snap_fs_same_file(m->disks[i].image, child)
                || snap_fs_same_file(m->disks[i].overlay, base)))
            return true;
    return false;
}

/* Manifests that have the child as their frozen base, or the base, which goes,
 * as their overlay. */
static void renote(struct snap_delete *d, const char *base, const char *child)
{
    size_t i;

    for (i = 0; i < d->p->nothers; i++) {
        struct snap_step *s;

        if (!d->p->others[i].directory
            || !names_either(&d->p->others[i].manifest, base, child))
            continue;
        s = snap_plan_add(&d->plan, STEP_RENOTE);
        snap_step_arg(s, "path", d->p->others[i].directory);
        snap_step_arg(s, "image", child);
        snap_step_arg(s, "instead-of", base);
    }
}

static void merge_up(struct snap_delete *d, struct layer *l,
                     const struct snap_merge *m)
{
    const struct snap_image *below = l->chain.len > 1 ? &l->chain.data[1]
                                                      : NULL;
    const char *child = l->children.data[0];
    struct snap_step *s = add_step(d, l, STEP_MERGE_UP, child);

    snap_step_arg(s, "base", l->f.base);
    if (below) {
        snap_step_arg(s, "below", below->path);
        snap_step_arg(s, "below-format", below->format);
    }
    if (l->child_frozen) snap_step_arg(s, "frozen", "yes");
    add_bytes(s, m->bytes);
    add_idle(s, l);
    renote(d, l->f.base, child);
    add_removal(d, l, l->f.base, child);
}

int snap_delete_plan_layer(struct snap_delete *d,
                           const struct snap_manifest_disk *md)
{
    struct layer l = { .md = md };
    struct snap_merge m = { .why = NULL };
    bool there;
    int rc = snap_fs_find(d->sc, md->image, &l.ids[0], &there);

    if (!rc && !there)
        snap_strings_take(&d->plan.notes, snap_printf(
            "%s: the frozen base '%s' is gone", md->vdev, md->image));
    if (rc || !there) return rc;
    rc = snap_fs_identify(d->sc, md->image, &l.ids[0]);
    if (!rc) rc = gather(d, &l);
    if (!rc) rc = snap_plan_merge(d->sc, &l.f, &m);
    if (!rc && m.way == SNAP_MERGE_KEEP)
        snap_strings_take(&d->plan.notes, snap_printf(
            "%s: '%s' stays: %s", md->vdev, l.f.base, m.why));
    else if (!rc && m.way == SNAP_MERGE_DOWN)
        merge_down(d, &l, &m);
    else if (!rc)
        merge_up(d, &l, &m);
    free(m.why);
    layer_dispose(&l);
    return rc;
}
