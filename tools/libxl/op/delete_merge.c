/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The steps of a delete that merge layers, in three parts of the plan.  A child
 * that got what it needs of the base (up) reads as before, so this comes before
 * the commit and can be undone.  A base that is written (down) is not the
 * snapshot's any more: that is the commit.  What is not needed any more goes at
 * the end.
 */
#include <limits.h>
#include <string.h>

#include "op/delete.h"

#define ASIDE ".xl-merging"     /* behind the name of an image meanwhile */
#define USUAL_SPEED (100ull << 20)      /* bytes a second */

static char *aside(const char *path)
{
    return snap_printf("%s" ASIDE, path);
}

/* ---- does it fit ------------------------------------------------- */

/* `bytes` more for the file of that id, on whose file system others may want
 * space as well. */
static int reserve(struct snap_delete *d, const struct snap_fs_id *id,
                   uint64_t bytes)
{
    struct snap_delete_space *s;
    size_t i;
    int rc;

    for (i = 0; i < d->nspace && d->space[i].dev != id->dev; i++)
        continue;
    if (i == d->nspace) {
        d->space = snap_realloc(d->space, (i + 1) * sizeof(*d->space));
        d->space[d->nspace++] = (struct snap_delete_space){ .dev = id->dev };
        rc = snap_fs_free_bytes(d->sc, id->real, &d->space[i].have);
        if (rc) return rc;
    }
    s = &d->space[i];
    s->need += bytes;
    if (s->need <= s->have) return 0;
    return snap_fail(d->sc, ERROR_INVAL, "merging into '%s' may take %llu MiB "
                     "on its file system, %llu MiB are free there: make room "
                     "first, or keep the layers with --keep-layers", id->real,
                     (unsigned long long)s->need >> 20,
                     (unsigned long long)s->have >> 20);
}

static int check_name(struct snap_delete *d, const char *path)
{
    AUTO_FREE char *other = aside(path);
    struct snap_fs_id ignored;
    bool there;
    int rc = snap_fs_find(d->sc, other, &ignored, &there);

    if (!rc && strlen(strrchr(other, '/') + 1) > NAME_MAX)
        rc = snap_fail(d->sc, ERROR_INVAL, "the name of '%s' is too long to be "
                       "merged; keep the layers with --keep-layers", path);
    if (!rc && there)
        rc = snap_fail(d->sc, ERROR_INVAL, "'%s' is in the way of a merge; "
                       "look at it, and move it away", other);
    return rc;
}

/* The file that is written, and the names that are wanted. */
static int check_merge(struct snap_delete *d, const struct snap_delete_layer *l)
{
    bool up = l->merge.way == SNAP_MERGE_UP;
    int rc = check_name(d, l->ids[1].real);

    if (!rc && !up) rc = check_name(d, l->ids[0].real);
    return rc ? rc : reserve(d, &l->ids[up], l->merge.bytes);
}

/* ---- steps ------------------------------------------------------- */

/* The snapshots that froze the image, or (`overlay`) that made it. */
static int add_manifests(struct snap_delete *d, struct snap_step *s,
                         const struct snap_fs_id *id, bool overlay)
{
    size_t i, k;
    bool is;
    int rc = 0;

    for (i = 0; !rc && i < d->p->nothers; i++) {
        const struct snap_manifest *m = &d->p->others[i].manifest;

        for (k = 0; !rc && k < m->ndisks; k++) {
            const struct snap_manifest_disk *md = &m->disks[k];
            const char *path = overlay ? md->overlay : md->image;

            if (md->type != SNAP_DISK_EXTERNAL || !path) continue;
            rc = snap_fs_compare(d->sc, path, id, &is);
            if (rc || !is) continue;
            snap_step_arg(s, "manifest", d->p->others[i].directory);
            snap_step_arg(s, "disk", md->vdev);
        }
    }
    return rc;
}

static void add_aside(struct snap_step *s, const char *path, bool frozen)
{
    AUTO_FREE char *other = aside(path);

    snap_step_arg(s, "path", path);
    snap_step_arg(s, "aside", other);
    if (frozen) snap_step_arg(s, "frozen", "yes");
}

/* How long it may take, by the rate that was asked for or one that is modest
 * for a disk. */
static char *estimate(const struct snap_delete *d, uint64_t bytes)
{
    uint64_t rate = d->p->speed_bytes ? d->p->speed_bytes : USUAL_SPEED;

    return snap_printf("about %llu s at %llu KiB/s",
                       (unsigned long long)(bytes / rate + 1),
                       (unsigned long long)(rate + 1023) / 1024);
}

static void tell(struct snap_delete *d, const struct snap_delete_layer *l)
{
    bool up = l->merge.way == SNAP_MERGE_UP;
    AUTO_FREE char *time = estimate(d, l->merge.bytes);

    snap_strings_take(&d->plan.notes, snap_printf(
        "%s: '%s' is merged into '%s'%s, up to %llu KiB are copied, %s",
        l->md->vdev, l->ids[!up].real, l->ids[up].real,
        l->live ? " by QEMU, while the domain runs" : "",
        (unsigned long long)(l->merge.bytes + 1023) / 1024, time));
}

/* What whoever does a merge needs besides the images: the domain that has
 * them, by the name that it keeps when it is rebooted. */
static void add_manner(struct snap_delete *d, struct snap_step *s,
                       const struct snap_delete_layer *l)
{
    if (l->live) snap_step_arg(s, "uuid", d->now.dom.uuid);
    if (d->p->speed_bytes) snap_step_arg_u64(s, "speed", d->p->speed_bytes);
}

/* The domain may have the disk by another name by now. */
static const char *vdev_of(const struct snap_delete_layer *l)
{
    return l->live ? l->live->vdev : l->md->vdev;
}

static int add_up(struct snap_delete *d, const struct snap_delete_layer *l,
                  enum snap_step_kind kind)
{
    const struct snap_image *below = snap_delete_layer_below(l);
    struct snap_step *s = snap_plan_add(&d->plan, kind);

    snap_step_arg(s, "vdev", vdev_of(l));
    add_aside(s, l->ids[1].real, l->child_frozen);
    snap_step_arg(s, "base", l->ids[0].real);
    snap_step_arg(s, "base-format", l->md->format);
    snap_step_arg(s, "below", below->path);
    snap_step_arg(s, "below-format", below->format);
    snap_step_arg_u64(s, "bytes", l->merge.bytes);
    add_manner(d, s, l);
    return add_manifests(d, s, &l->ids[1], false);
}

/* QEMU's job waits for its end until nothing is to be undone any more. */
static int plan_up(struct snap_delete *d, const struct snap_delete_layer *l)
{
    int rc = check_merge(d, l);

    if (rc) return rc;
    tell(d, l);
    rc = add_up(d, l, STEP_MERGE_UP);
    if (!rc && !l->live)
        add_aside(snap_plan_add(&d->plan, STEP_PUT_BACK), l->ids[1].real,
                  l->child_frozen);
    return rc;
}

int snap_delete_plan_up(struct snap_delete *d)
{
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < d->nlayers; i++) {
        struct snap_delete_layer *l = &d->layers[i];

        if (!l->there)
            snap_strings_take(&d->plan.notes, snap_printf(
                "%s: the frozen base '%s' is gone", l->md->vdev,
                l->md->image));
        else if (l->merge.way == SNAP_MERGE_KEEP)
            snap_strings_take(&d->plan.notes, snap_printf(
                "%s: '%s' stays: %s", l->md->vdev, l->ids[0].real,
                l->merge.why));
        else if (l->merge.way == SNAP_MERGE_UP)
            rc = plan_up(d, l);
        else
            rc = check_merge(d, l);
    }
    return rc;
}

/* Its put-back has all that the merge has: see there. */
static void add_down(struct snap_delete *d, const struct snap_delete_layer *l,
                     enum snap_step_kind kind)
{
    AUTO_FREE char *top_aside = aside(l->ids[1].real);
    struct snap_step *s = snap_plan_add(&d->plan, kind);

    snap_step_arg(s, "vdev", vdev_of(l));
    add_aside(s, l->ids[0].real, l->base_frozen);
    snap_step_arg(s, "format", l->md->format);
    snap_step_arg(s, "top", l->ids[1].real);
    snap_step_arg(s, "top-aside", top_aside);
    snap_step_arg_u64(s, "bytes", l->merge.bytes);
    add_manner(d, s, l);
}

int snap_delete_plan_down(struct snap_delete *d)
{
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < d->nlayers; i++)
        if (d->layers[i].live && d->layers[i].merge.way == SNAP_MERGE_UP)
            rc = add_up(d, &d->layers[i], STEP_MERGE_END);
    for (i = 0; !rc && i < d->nlayers; i++) {
        if (d->layers[i].merge.way != SNAP_MERGE_DOWN) continue;
        tell(d, &d->layers[i]);
        add_down(d, &d->layers[i], STEP_MERGE_DOWN);
        add_down(d, &d->layers[i], STEP_PUT_BACK);
    }
    return rc;
}

/* Of the two the one that is not needed any more. */
static int plan_removal(struct snap_delete *d,
                        const struct snap_delete_layer *l)
{
    bool up = l->merge.way == SNAP_MERGE_UP;
    AUTO_FREE char *spec = snap_spec_print(vdev_of(l), l->md->format, true,
                                           l->ids[0].real);
    struct snap_step *s = snap_plan_add(&d->plan, STEP_REMOVE_LAYER);

    add_aside(s, l->ids[!up].real, false);
    snap_step_arg_u64(s, "ino", l->ids[!up].ino);
    snap_step_arg(s, "into", l->ids[up].real);
    if (!up) snap_step_arg(s, "spec", spec);
    if (l->live) snap_step_arg(s, "uuid", d->now.dom.uuid);
    return add_manifests(d, s, &l->ids[!up], true);
}

int snap_delete_plan_removals(struct snap_delete *d)
{
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < d->nlayers; i++)
        if (d->layers[i].there && d->layers[i].merge.way != SNAP_MERGE_KEEP)
            rc = plan_removal(d, &d->layers[i]);
    return rc;
}

void snap_delete_advise(const struct snap_delete *d,
                        libxl_snapshot_result *result)
{
    size_t i;

    for (i = 0; i < d->plan.len; i++) {
        const struct snap_step *s = &d->plan.steps[i];

        if (!snap_step_get(s, "spec")) continue;
        snap_strings_add(&result->advice, snap_step_get(s, "spec"));
        snap_strings_add(&result->instead, snap_step_get(s, "path"));
    }
}
