/* SPDX-License-Identifier: LGPL-2.1-only */
/* See adopt.h. */
#include "plan/adopt.h"

#include <string.h>

#define TAGS_SHOWN 8

void snap_adopt_choices_dispose(struct snap_adopt_choice *choices, size_t n)
{
    size_t i, k;

    for (i = 0; choices && i < n; i++) {
        for (k = 0; k < choices[i].nlayers; k++)
            free(choices[i].layers[k].real);
        free(choices[i].layers);
    }
    free(choices);
}

/* ---- what there is ----------------------------------------------- */

static void add_tags(struct snap_text *t, const struct snap_image *im)
{
    size_t i;

    if (!im->ntags) snap_text_add(t, "no tag");
    for (i = 0; i < im->ntags && i < TAGS_SHOWN; i++)
        snap_text_add(t, "%s'%s'", i ? ", " : im->ntags > 1 ? "the tags "
                      : "the tag ", im->tags[i].name);
    if (im->ntags > TAGS_SHOWN)
        snap_text_add(t, " and %zu more", im->ntags - TAGS_SHOWN);
}

/* Of a disk whose chain was read; malloc'd. */
static char *what_there_is(const struct snap_adopt_choice *c)
{
    struct snap_text t = { 0 };
    size_t i;

    snap_text_add(&t, "'%s' holds ", c->layers[0].real);
    add_tags(&t, &c->disk->chain.data[0]);
    snap_text_add(&t, " and stands on %s", c->nlayers > 1 ? "" : "nothing");
    for (i = 1; i < c->nlayers; i++)
        snap_text_add(&t, "%s'%s'", i > 1 ? ", " : "", c->layers[i].real);
    return t.data;
}

/* ---- one disk ---------------------------------------------------- */

static const struct snap_image_tag *find_tag(const struct snap_image *im,
                                             const char *name, size_t *n)
{
    size_t i;

    *n = 0;
    for (i = 0; i < im->ntags; i++)
        if (!strcmp(im->tags[i].name, name)) ++*n;
    return snap_image_find_tag(im, name);
}

static int choose_tag(struct snap_ctx *sc, struct snap_adopt_choice *c,
                      const char *name)
{
    AUTO_FREE char *there = what_there_is(c);
    const char *vdev = c->disk->vdev;
    size_t n;

    c->how = SNAP_ADOPT_TAG;
    c->layer = 0;
    c->tag = find_tag(&c->disk->chain.data[0], name, &n);
    if (!n)
        return snap_fail(sc, ERROR_INVAL, "disk '%s': there is no tag '%s': "
                         "%s", vdev, name, there);
    if (n > 1)
        return snap_fail(sc, ERROR_INVAL, "disk '%s': '%s' holds %zu tags "
                         "'%s': nobody can tell which is meant; delete the "
                         "others", vdev, c->layers[0].real, n, name);
    if (!snap_name_valid(name))
        return snap_fail(sc, ERROR_INVAL, "disk '%s': the tag '%s' cannot be "
                         "a snapshot's: qemu-img takes a number for another "
                         "tag's id, so a tag begins with a letter or '_' and "
                         "has at most 64 of A-Z a-z 0-9 _ . -", vdev, name);
    return 0;
}

static int choose_base(struct snap_ctx *sc, struct snap_adopt_choice *c,
                       const char *path, const struct snap_fs_id *id)
{
    AUTO_FREE char *there = what_there_is(c);
    const char *vdev = c->disk->vdev;

    c->how = SNAP_ADOPT_BASE;
    for (c->layer = 0; c->layer < c->nlayers; c->layer++)
        if (id->real && snap_fs_same(&c->layers[c->layer], id)) break;
    if (c->layer == c->nlayers)
        return snap_fail(sc, ERROR_INVAL, "disk '%s': '%s' is no layer below "
                         "its image: %s", vdev, path, there);
    if (!c->layer)
        return snap_fail(sc, ERROR_INVAL, "disk '%s': '%s' is the image that "
                         "the domain writes, so it is not frozen: %s", vdev,
                         path, there);
    return 0;
}

/* The one that is called like the snapshot, or nobody knows. */
static int choose_unsaid(struct snap_ctx *sc, struct snap_adopt_choice *c,
                         const char *name)
{
    AUTO_FREE char *there = what_there_is(c);
    const char *vdev = c->disk->vdev;

    if (snap_image_find_tag(&c->disk->chain.data[0], name))
        return choose_tag(sc, c, name);
    return snap_fail(sc, ERROR_INVAL, "disk '%s': which state of it belongs "
                     "to the snapshot? There is no tag '%s': %s; give "
                     "%s=tag:TAG, %s=base:PATH or --exclude %s", vdev, name,
                     there, vdev, vdev, vdev);
}

static int choose_one(struct snap_ctx *sc, const struct snap_facts *f,
                      const struct snap_adopt_request *req,
                      const libxl_snapshot_adopt_disk *wish,
                      struct snap_adopt_choice *c, struct snap_plan *p)
{
    const char *vdev = c->disk->vdev;
    bool exclude = wish && wish->kind == LIBXL_SNAPSHOT_ADOPT_EXCLUDE;
    bool ignored;
    AUTO_FREE char *reason = snap_disk_common_reason(f, c->disk, &ignored);

    if (ignored && (!wish || exclude)) {
        c->how = SNAP_ADOPT_IGNORED;
        snap_strings_take(&p->notes, snap_printf("%s is left out: %s", vdev,
                                                 reason));
        return 0;
    }
    if (exclude) {
        c->how = SNAP_ADOPT_EXCLUDED;
        snap_strings_take(&p->notes, snap_printf("%s is left out as asked",
                                                 vdev));
        return 0;
    }
    if (!reason && !c->nlayers)
        reason = snap_strdup("its image could not be looked at");
    if (reason)
        return snap_fail(sc, ERROR_INVAL, "disk '%s': %s%s", vdev,
                         ignored ? "it cannot be part of a snapshot: it is "
                         : "", reason);
    if (!wish) return choose_unsaid(sc, c, req->name);
    return wish->kind == LIBXL_SNAPSHOT_ADOPT_TAG
        ? choose_tag(sc, c, wish->what)
        : choose_base(sc, c, wish->what, &req->bases[wish - req->wishes]);
}

/* ---- all of them ------------------------------------------------- */

static const libxl_snapshot_adopt_disk *
find_wish(const struct snap_adopt_request *req, const char *vdev)
{
    size_t i;

    for (i = 0; i < req->nwishes; i++)
        if (!strcmp(req->wishes[i].vdev, vdev)) return &req->wishes[i];
    return NULL;
}

static int check_wishes(struct snap_ctx *sc, const struct snap_facts *f,
                        const struct snap_adopt_request *req)
{
    size_t i, k;

    for (i = 0; i < req->nwishes; i++) {
        const libxl_snapshot_adopt_disk *w = &req->wishes[i];

        for (k = 0; k < f->ndisks; k++)
            if (!strcmp(f->disks[k].vdev, w->vdev)) break;
        if (k == f->ndisks)
            return snap_fail(sc, ERROR_INVAL, "domain '%s' has no disk '%s'",
                             f->dom.name, w->vdev);
        if (find_wish(req, w->vdev) != w)
            return snap_fail(sc, ERROR_INVAL, "disk '%s' is named twice",
                             w->vdev);
    }
    return 0;
}

/* What holds a disk's state must not be what another disk writes. */
static int check_apart(struct snap_ctx *sc, const struct snap_facts *f,
                       const struct snap_adopt_choice *c)
{
    size_t i, k;

    for (i = 0; i < f->ndisks; i++) {
        if (c[i].how < SNAP_ADOPT_TAG) continue;
        for (k = 0; k < f->ndisks; k++) {
            const struct snap_facts_disk *d = &f->disks[k];

            if (k == i || !d->have_id || !d->readwrite) continue;
            if (snap_fs_same(&c[i].layers[c[i].layer], &d->id))
                return snap_fail(sc, ERROR_INVAL, "disk '%s': disk '%s' "
                                 "writes to '%s'", c[i].disk->vdev, d->vdev,
                                 d->id.real);
        }
    }
    return 0;
}

int snap_adopt_choose(struct snap_ctx *sc, const struct snap_facts *f,
                      const struct snap_adopt_request *req,
                      struct snap_adopt_choice *choices, struct snap_plan *p)
{
    bool any = req->memory;
    size_t i;
    int rc = check_wishes(sc, f, req);

    for (i = 0; !rc && i < f->ndisks; i++) {
        rc = choose_one(sc, f, req, find_wish(req, f->disks[i].vdev),
                        &choices[i], p);
        any |= choices[i].how >= SNAP_ADOPT_TAG;
    }
    if (rc) return rc;
    if (!any)
        return snap_fail(sc, ERROR_INVAL, "no disk of domain '%s' is part of "
                         "it, nor any memory: that is no snapshot",
                         f->dom.name);
    return check_apart(sc, f, choices);
}

/* ---- the steps --------------------------------------------------- */

/* Several disks may stand on one base. */
static bool protected_before(const struct snap_adopt_choice *c, size_t i)
{
    size_t k;

    for (k = 0; k < i; k++)
        if (c[k].how == SNAP_ADOPT_BASE
            && snap_fs_same(&c[k].layers[c[k].layer],
                            &c[i].layers[c[i].layer]))
            return true;
    return false;
}

static void add_protect(const struct snap_adopt_choice *c, size_t n,
                        struct snap_plan *p)
{
    size_t i;

    for (i = 0; i < n; i++) {
        const struct snap_fs_id *base = &c[i].layers[c[i].layer];

        /* A flag that was there is not ours to take off again. */
        if (c[i].how != SNAP_ADOPT_BASE || base->block || c[i].immutable
            || protected_before(c, i))
            continue;
        snap_step_arg(snap_plan_add(p, STEP_PROTECT), "path", base->real);
    }
}

void snap_adopt_plan(const struct snap_adopt_request *req,
                     const struct snap_adopt_choice *choices, size_t n,
                     struct snap_plan *p)
{
    AUTO_FREE char *memory = snap_printf("%s/" SNAP_MEMORY_FILE,
                                         req->directory);
    AUTO_FREE char *manifest = snap_printf("%s/" SNAP_MANIFEST_FILE,
                                           req->directory);
    struct snap_step *s = snap_plan_add(p, STEP_DIRECTORY);

    snap_step_arg(s, "path", req->directory);
    if (req->memory) {
        s = snap_plan_add(p, STEP_MEMORY_COPY);
        snap_step_arg(s, "from", req->memory);
        snap_step_arg(s, "path", memory);
        snap_step_arg_u64(s, "bytes", req->memory_bytes);
    }
    if (req->protect) add_protect(choices, n, p);
    s = snap_plan_add(p, STEP_NOTE_IMAGES);
    snap_step_arg(s, "directory", req->directory);
    p->commit = p->len;
    s = snap_plan_add(p, STEP_MANIFEST);
    snap_step_arg(s, "path", manifest);
}
