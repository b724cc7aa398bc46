/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The steps that merge two layers of images.  Nothing keeps `xl create` from
 * opening an image while it is written, so for that time it has another name:
 * a domain that names it does not start.  Before and after the renaming nobody
 * may have it.  An image that is aside belongs to the journal: recovery goes on
 * with it, or gives it its name back.
 */
#include "step/step.h"

#include <string.h>

#include "host/dependents.h"
#include "host/hash.h"
#include "host/image_merge.h"
#include "plan/unharmed.h"

/* ---- setting aside ----------------------------------------------- */

struct place {
    const char *path, *aside;
    bool here, away;            /* by which of the two names it is there */
};

/* What a renaming by link() and unlink() left, if it was interrupted, is one
 * file with two names. */
static int look(struct snap_act *a, struct place *at)
{
    struct snap_fs_id here, away;
    int rc = snap_fs_find(a->sc, at->path, &here, &at->here);

    if (!rc) rc = snap_fs_find(a->sc, at->aside, &away, &at->away);
    if (rc) return rc;
    if (!at->here && !at->away)
        return snap_fail(a->sc, ERROR_NOTFOUND, "neither '%s' nor '%s' is "
                         "there", at->path, at->aside);
    if (at->here && at->away && !snap_fs_same(&here, &away))
        return snap_fail(a->sc, ERROR_INVAL, "'%s' was set aside as '%s' while "
                         "it is merged, and somebody put another file in its "
                         "place; move that away", at->path, at->aside);
    return 0;
}

/* The flag of a frozen base goes, or comes back. */
static int set_frozen(struct snap_act *a, const char *path, bool on)
{
    int rc = snap_fs_set_immutable(a->sc, path, on);

    return rc < 0 ? rc : 0;
}

static int set_aside(struct snap_act *a, const char *path, const char *aside)
{
    struct place at = { .path = path, .aside = aside };
    int rc = look(a, &at);

    if (rc || !at.here) return rc;
    if (at.away) return snap_fs_remove(a->sc, path);
    rc = set_frozen(a, path, false);
    return rc ? rc : snap_fs_move(a->sc, path, aside);
}

static int put_back(struct snap_act *a, const char *path, const char *aside,
                    bool frozen)
{
    struct place at = { .path = path, .aside = aside };
    int rc = look(a, &at);

    if (!rc && at.here && at.away) rc = snap_fs_remove(a->sc, aside);
    else if (!rc && at.away) rc = snap_fs_move(a->sc, aside, path);
    return rc || !frozen ? rc : set_frozen(a, path, true);
}

static int identify(struct snap_act *a, const char *path, const char *aside,
                    struct snap_fs_id *id)
{
    struct place at = { .path = path, .aside = aside };
    int rc = look(a, &at);

    return rc ? rc : snap_fs_identify(a->sc, at.here ? path : aside, id);
}

static bool yes(const struct snap_step *s, const char *key)
{
    return snap_step_get(s, key) != NULL;
}

static int put_back_apply(struct snap_act *a, const struct snap_step *s)
{
    return put_back(a, snap_step_get(s, "path"), snap_step_get(s, "aside"),
                    yes(s, "frozen"));
}

const struct snap_step_ops snap_step_put_back = { .apply = put_back_apply };

/* ---- the manifests that name an image ---------------------------- */

struct noting {
    const struct snap_fs_id *id;    /* of the image, now */
    const char *vdev;
    char sample[SNAP_HASH_SIZE];
    const char *overlay;            /* instead of the one that is named */
};

static struct snap_manifest_disk *disk_of(const struct noting *n,
                                          struct snap_manifest *m)
{
    size_t i;

    for (i = 0; i < m->ndisks; i++)
        if (!strcmp(m->disks[i].vdev, n->vdev)
            && m->disks[i].type == SNAP_DISK_EXTERNAL)
            return &m->disks[i];
    return NULL;
}

static int check_noted(struct snap_act *a, struct snap_manifest *m, void *arg)
{
    const struct noting *n = arg;
    const struct snap_manifest_disk *d = disk_of(n, m);

    return d ? snap_check_base(a->sc, d, n->id) : 0;
}

static int note(struct snap_act *a, struct snap_manifest *m, void *arg)
{
    const struct noting *n = arg;
    struct snap_manifest_disk *d = disk_of(n, m);

    (void)a;
    if (!d) return 0;
    d->size_bytes = n->id->size_bytes;
    d->mtime_ns = n->id->mtime_ns;
    free(d->sample_sha256);
    d->sample_sha256 = snap_strdup(n->sample);
    return 1;
}

static int note_overlay(struct snap_act *a, struct snap_manifest *m, void *arg)
{
    const struct noting *n = arg;
    struct snap_manifest_disk *d = disk_of(n, m);

    (void)a;
    if (!d) return 0;
    free(d->overlay);
    d->overlay = snap_strdup(n->overlay);
    free(d->child);
    d->child = snap_spec_print(d->vdev, "qcow2", true, n->overlay);
    return 1;
}

/* For each snapshot that the step lists. */
static int each_manifest(struct snap_act *a, const struct snap_step *s,
                         snap_change_fn *change, struct noting *n)
{
    const char *dir;
    size_t i;
    int rc = 0;

    for (i = 0; !rc && (dir = snap_step_get_nth(s, "manifest", i)); i++) {
        n->vdev = snap_step_get_nth(s, "disk", i);
        rc = snap_step_change_manifest(a, dir, change, n);
    }
    return rc;
}

/* A frozen base that was written to by us reads the same and looks otherwise:
 * its snapshots are told. */
static int note_again(struct snap_act *a, const struct snap_step *s,
                      const char *aside)
{
    struct snap_fs_id id;
    struct noting n = { .id = &id };
    int rc;

    if (!yes(s, "manifest")) return 0;
    rc = snap_fs_identify(a->sc, aside, &id);
    if (rc) return rc;
    rc = snap_hash_sample(a->sc, aside, n.sample);
    if (!rc) rc = each_manifest(a, s, note, &n);
    free(id.real);
    return rc;
}

/* ---- up: what the child needs of the base goes into the child ---- */

/* The first time it is as its snapshots say; later it may be half done. */
static int check_child(struct snap_act *a, const struct snap_step *s,
                       const struct snap_fs_id *child)
{
    struct noting n = { .id = child };

    if (!snap_fs_leads_to(snap_step_get(s, "path"), child)) return 0;
    return each_manifest(a, s, check_noted, &n);
}

static int merge_up(struct snap_act *a, const struct snap_step *s,
                    struct snap_fs_id ids[2])
{
    const char *path = snap_step_get(s, "path");
    const char *aside = snap_step_get(s, "aside");
    const char *base = snap_step_get(s, "base");
    int rc = identify(a, path, aside, &ids[0]);

    if (!rc) rc = snap_fs_identify(a->sc, base, &ids[1]);
    if (!rc) rc = check_child(a, s, &ids[0]);
    if (!rc) rc = snap_step_check_idle(a, s, ids, 2);
    if (!rc) rc = set_aside(a, path, aside);
    if (!rc) rc = snap_step_check_idle(a, s, ids, 2);
    if (!rc)
        rc = snap_image_rebase(a->sc, aside, base, snap_step_get(s, "below"),
                               snap_step_get(s, "below-format"));
    return rc ? rc : note_again(a, s, aside);
}

static int merge_up_apply(struct snap_act *a, const struct snap_step *s)
{
    struct snap_fs_id ids[2] = { { .real = NULL } };
    int rc = merge_up(a, s, ids);

    free(ids[0].real);
    free(ids[1].real);
    return rc;
}

/* It reads the same, however far it came. */
static int merge_up_undo(struct snap_act *a, const struct snap_step *s)
{
    struct place at = {
        .path = snap_step_get(s, "path"), .aside = snap_step_get(s, "aside"),
    };
    int rc = look(a, &at);

    if (!rc && !at.here) rc = note_again(a, s, at.aside);
    return rc ? rc : put_back(a, at.path, at.aside, yes(s, "frozen"));
}

const struct snap_step_ops snap_step_merge_up = {
    .apply = merge_up_apply, .undo = merge_up_undo,
};

/* ---- down: what the child holds goes into the base --------------- */

static int merge_down_undo(struct snap_act *a, const struct snap_step *s)
{
    int rc = put_back(a, snap_step_get(s, "top"), snap_step_get(s, "top-aside"),
                      false);
    int second = put_back(a, snap_step_get(s, "path"),
                          snap_step_get(s, "aside"), yes(s, "frozen"));

    return rc ? rc : second;
}

static int merge_down(struct snap_act *a, const struct snap_step *s,
                      struct snap_fs_id ids[2])
{
    const char *path = snap_step_get(s, "path");
    const char *aside = snap_step_get(s, "aside");
    const char *top = snap_step_get(s, "top");
    const char *top_aside = snap_step_get(s, "top-aside");
    bool is = true;
    int rc = identify(a, top, top_aside, &ids[0]);

    if (!rc) rc = identify(a, path, aside, &ids[1]);
    if (!rc && snap_fs_leads_to(top, &ids[0])
        && snap_fs_leads_to(path, &ids[1]))
        rc = snap_dependents_is_on(a->sc, top, &ids[1], &is);
    if (!rc && !is)
        rc = snap_fail(a->sc, ERROR_FAIL, "image '%s' does not stand on '%s' "
                       "any more", top, path);
    if (!rc) rc = snap_step_check_idle(a, s, ids, 2);
    if (!rc) rc = set_aside(a, top, top_aside);
    if (!rc) rc = set_aside(a, path, aside);
    if (!rc) rc = snap_step_check_idle(a, s, ids, 2);
    if (rc) return rc;
    /* The base is not what the snapshot froze any more. */
    a->past_commit = true;
    return snap_image_commit(a->sc, top_aside, aside,
                             snap_step_get(s, "format"));
}

/* Both stay aside: what follows gives the base its name and removes the child.
 * A failure leaves both where they were, as the domain wants them. */
static int merge_down_apply(struct snap_act *a, const struct snap_step *s)
{
    struct snap_fs_id ids[2] = { { .real = NULL } };
    int rc = merge_down(a, s, ids);

    free(ids[0].real);
    free(ids[1].real);
    if (rc) merge_down_undo(a, s);
    return rc;
}

const struct snap_step_ops snap_step_merge_down = {
    .apply = merge_down_apply, .undo = merge_down_undo,
};

/* ---- what is not needed any more --------------------------------- */

/* Nobody has it open, and nothing that is beside it, or that has what was in
 * it, stands on it. */
static int check_useless(struct snap_act *a, const struct snap_step *s,
                         const struct snap_fs_id *id)
{
    const char *into = snap_step_get(s, "into");
    AUTO_FREE char *beside = NULL;
    bool is = false;
    int rc = snap_step_check_idle(a, s, id, 1);

    if (!rc) rc = snap_dependents_beside(a->sc, id, &beside);
    if (!rc && !beside) rc = snap_dependents_is_on(a->sc, into, id, &is);
    if (rc || (!beside && !is)) return rc;
    return snap_fail(a->sc, ERROR_FAIL, "'%s' stands on '%s', which was to be "
                     "removed", beside ? beside : into, id->real);
}

static int remove_layer_apply(struct snap_act *a, const struct snap_step *s)
{
    const char *path = snap_step_get(s, "path");
    struct noting n = { .overlay = snap_step_get(s, "into") };
    struct snap_fs_id id = { .real = NULL };
    bool there;
    int rc = snap_fs_find(a->sc, path, &id, &there);

    if (!rc && there) {
        rc = snap_fs_identify(a->sc, path, &id);
        if (!rc) rc = check_useless(a, s, &id);
        free(id.real);
        if (!rc) rc = set_frozen(a, path, false);
        if (!rc) rc = snap_fs_remove(a->sc, path);
    }
    return rc ? rc : each_manifest(a, s, note_overlay, &n);
}

const struct snap_step_ops snap_step_remove_layer = {
    .apply = remove_layer_apply,
};
