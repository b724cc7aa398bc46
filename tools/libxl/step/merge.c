/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The steps that merge two layers of images.  Nothing keeps `xl create` from
 * opening an image while it is written, so for that time it has another name:
 * a domain that names it does not start.  Before and after the renaming nobody
 * may have it.  An image that is aside belongs to the journal: recovery goes on
 * with it, or gives it its name back, but not while somebody has it (a qemu-img
 * of the dead run, say).
 */
#include "step/merge.h"

#include <string.h>

#include "host/dependents.h"
#include "host/hash.h"
#include "host/image_merge.h"
#include "plan/unharmed.h"

static bool yes(const struct snap_step *s, const char *key)
{
    return snap_step_get(s, key) != NULL;
}

/* Is there a QEMU that has to do it? */
static int find_qemu(struct snap_act *a, const struct snap_step *s,
                     const struct snap_fs_id ids[2],
                     struct snap_merge_qemu *q, bool *live)
{
    int rc = snap_merge_find_qemu(a, s, ids, 2, q);

    *live = q->has[0] || q->has[1];
    return rc;
}

/* ---- up: what the child needs of the base goes into the child ---- */

static int merge_up_idle(struct snap_act *a, const struct snap_step *s,
                         const struct snap_fs_id ids[2])
{
    const char *path = snap_step_get(s, "path");
    const char *aside = snap_step_get(s, "aside");
    const char *base = snap_step_get(s, "base");
    int rc = snap_step_check_idle(a, s, ids, 2);

    if (!rc) rc = snap_aside_set(a, path, aside);
    if (!rc) rc = snap_step_check_idle(a, s, ids, 2);
    if (!rc)
        rc = snap_image_rebase(a->sc, snap_merge_lock(a), aside, base,
                               snap_step_get(s, "base-format"),
                               snap_step_get(s, "below"),
                               snap_step_get(s, "below-format"));
    return rc ? rc : snap_manifests_note(a, s, aside);
}

static int merge_up(struct snap_act *a, const struct snap_step *s,
                    const struct snap_fs_id ids[2])
{
    struct snap_merge_qemu q;
    bool live;
    int rc = find_qemu(a, s, ids, &q, &live);

    if (!rc && live) return snap_merge_live_up(a, s, &q, ids);
    if (!rc) rc = snap_manifests_check(a, s, &ids[0]);
    return rc ? rc : merge_up_idle(a, s, ids);
}

/* The end of what QEMU was to do; all of it, if QEMU has ended before. */
static int merge_up_end(struct snap_act *a, const struct snap_step *s,
                        const struct snap_fs_id ids[2])
{
    struct snap_merge_qemu q;
    bool live, before;
    int rc = find_qemu(a, s, ids, &q, &live);

    if (!rc && live) return snap_merge_live_up_end(a, s, &q, ids);
    if (!rc)
        rc = snap_dependents_is_on(a->sc, ids[0].real, &ids[1], &before);
    if (rc || !before) return rc;
    a->past_commit = true;
    return merge_up_idle(a, s, ids);
}

/* One of these, for the child and the base by the names that they have. */
typedef int merge_fn(struct snap_act *a, const struct snap_step *s,
                     const struct snap_fs_id ids[2]);

static int with_child(struct snap_act *a, const struct snap_step *s,
                      merge_fn *merge)
{
    struct snap_fs_id ids[2] = { { .real = NULL } };
    int rc = snap_aside_identify(a, snap_step_get(s, "path"),
                                 snap_step_get(s, "aside"), &ids[0]);

    if (!rc) rc = snap_fs_identify(a->sc, snap_step_get(s, "base"), &ids[1]);
    if (!rc) rc = merge(a, s, ids);
    free(ids[0].real);
    free(ids[1].real);
    return rc;
}

static int merge_up_apply(struct snap_act *a, const struct snap_step *s)
{
    return with_child(a, s, merge_up);
}

/* Over the base it is right, however far it came, and also when it was done. */
static int stand_on_base(struct snap_act *a, const struct snap_step *s,
                         const struct snap_fs_id *child)
{
    const char *path = snap_step_get(s, "path");
    const char *aside = snap_step_get(s, "aside");
    const char *base = snap_step_get(s, "base");
    int rc = snap_step_check_idle(a, s, child, 1);

    if (!rc) rc = snap_aside_set(a, path, aside);
    if (!rc) rc = snap_step_check_idle(a, s, child, 1);
    if (!rc)
        rc = snap_image_rebase_back(a->sc, aside, base,
                                    snap_step_get(s, "base-format"));
    if (!rc) rc = snap_manifests_note(a, s, aside);
    return rc ? rc : snap_aside_put_back(a, path, aside, yes(s, "frozen"));
}

static int undo_up(struct snap_act *a, const struct snap_step *s,
                   const struct snap_fs_id ids[2])
{
    const char *path = snap_step_get(s, "path");
    struct snap_merge_qemu q;
    bool live, is = false;
    int rc = find_qemu(a, s, ids, &q, &live);

    if (!rc && live) return snap_merge_live_up_undo(a, s, &q, ids);
    /* Not touched, or by its own name over the base again. */
    if (!rc && snap_fs_leads_to(path, &ids[0]))
        rc = snap_dependents_is_on(a->sc, path, &ids[1], &is);
    if (rc || !is) return rc ? rc : stand_on_base(a, s, &ids[0]);
    rc = snap_manifests_note(a, s, path);
    return rc ? rc : snap_aside_put_back(a, path, snap_step_get(s, "aside"),
                                         yes(s, "frozen"));
}

static int merge_up_undo(struct snap_act *a, const struct snap_step *s)
{
    return with_child(a, s, undo_up);
}

static int merge_end_apply(struct snap_act *a, const struct snap_step *s)
{
    int rc = with_child(a, s, merge_up_end);

    return rc ? rc : snap_aside_put_back(a, snap_step_get(s, "path"),
                                         snap_step_get(s, "aside"),
                                         yes(s, "frozen"));
}

const struct snap_step_ops snap_step_merge_end = { .apply = merge_end_apply };

const struct snap_step_ops snap_step_merge_up = {
    .apply = merge_up_apply, .undo = merge_up_undo,
};

/* ---- down: what the child holds goes into the base --------------- */

static int give_names_back(struct snap_act *a, const struct snap_step *s)
{
    int rc = snap_aside_put_back(a, snap_step_get(s, "top"),
                                 snap_step_get(s, "top-aside"), false);
    int second = snap_aside_put_back(a, snap_step_get(s, "path"),
                          snap_step_get(s, "aside"), yes(s, "frozen"));

    return rc ? rc : second;
}

/* Is there another image beside the base that stands on it? */
static int find_others(struct snap_act *a, const struct snap_fs_id *base,
                       const struct snap_fs_id *top, bool *others)
{
    struct snap_strings on_base = { 0 };
    bool is;
    size_t i;
    int rc = snap_dependents_all(a->sc, base, &on_base);

    *others = false;
    for (i = 0; !rc && !*others && i < on_base.len; i++) {
        rc = snap_fs_compare(a->sc, on_base.data[i], top, &is);
        *others = !is;
    }
    snap_strings_dispose(&on_base);
    return rc;
}

/* Both have their own names, as in the plan or again since: then the child
 * stands on the base, as the only one, and nobody has frozen it. */
static int check_pair(struct snap_act *a, const struct snap_step *s,
                      const struct snap_fs_id ids[2])
{
    const char *top = snap_step_get(s, "top");
    AUTO_FREE char *above = NULL;
    bool frozen, others, ignored, is;
    int rc = find_others(a, &ids[1], &ids[0], &others);

    if (!rc) rc = snap_dependents_is_on(a->sc, top, &ids[1], &is);
    if (!rc) rc = snap_dependents_beside(a->sc, &ids[0], &above);
    if (!rc) rc = snap_fs_get_immutable(a->sc, top, &frozen, &ignored);
    if (!rc && (above || frozen || others || !is))
        rc = snap_fail(a->sc, ERROR_INVAL, "'%s' is not the only image on "
                       "'%s' any more, or something stands on it now; they "
                       "cannot be merged", top, ids[1].real);
    return rc;
}

/* The base first: see merge.h for what the names say. */
static int merge_down_idle(struct snap_act *a, const struct snap_step *s,
                           const struct snap_fs_id ids[2])
{
    const char *path = snap_step_get(s, "path");
    const char *aside = snap_step_get(s, "aside");
    const char *top = snap_step_get(s, "top");
    const char *top_aside = snap_step_get(s, "top-aside");
    int rc = snap_step_check_idle(a, s, ids, 2);

    if (!rc) rc = snap_aside_set(a, path, aside);
    if (!rc) rc = snap_aside_set(a, top, top_aside);
    if (!rc) rc = snap_step_check_idle(a, s, ids, 2);
    if (!rc) rc = snap_check_cancelled(a->sc);
    if (rc) return rc;
    /* The base is not what the snapshot froze any more. */
    a->past_commit = true;
    return snap_image_commit(a->sc, snap_merge_lock(a), top_aside, aside,
                             snap_step_get(s, "format"),
                             snap_step_get_u64(s, "speed"));
}

/* With both by their own names, they must be as in the plan. */
static int merge_down(struct snap_act *a, const struct snap_step *s,
                      const struct snap_fs_id ids[2])
{
    bool top_here = snap_fs_leads_to(snap_step_get(s, "top"), &ids[0]);
    bool here = snap_fs_leads_to(snap_step_get(s, "path"), &ids[1]);
    struct snap_merge_qemu q;
    bool live = false;
    int rc = top_here && here ? check_pair(a, s, ids) : 0;

    if (!rc) rc = find_qemu(a, s, ids, &q, &live);
    if (rc) return rc;
    if (live) return snap_merge_live_down(a, s, &q, ids);
    /* QEMU was on the base, or about to be. */
    if (!top_here && here) return 0;
    return merge_down_idle(a, s, ids);
}

static int identify_pair(struct snap_act *a, const struct snap_step *s,
                         struct snap_fs_id ids[2])
{
    int rc = snap_aside_identify(a, snap_step_get(s, "top"),
                                 snap_step_get(s, "top-aside"), &ids[0]);

    return rc ? rc : snap_aside_identify(a, snap_step_get(s, "path"),
                                         snap_step_get(s, "aside"), &ids[1]);
}

/* Unless somebody has one of them: a qemu-img that does not end writes it. */
static int merge_down_undo(struct snap_act *a, const struct snap_step *s)
{
    struct snap_fs_id ids[2] = { { .real = NULL } };
    struct snap_merge_qemu q;
    bool live = false;
    int rc = identify_pair(a, s, ids);

    if (!rc) rc = find_qemu(a, s, ids, &q, &live);
    /* QEMU has them by the names that they have. */
    if (!rc && !live) {
        if (!snap_fs_leads_to(snap_step_get(s, "top"), &ids[0])
            || !snap_fs_leads_to(snap_step_get(s, "path"), &ids[1]))
            rc = snap_step_check_idle(a, s, ids, 2);
        if (!rc) rc = give_names_back(a, s);
    }
    free(ids[0].real);
    free(ids[1].real);
    return rc;
}

/* Both stay aside: what follows gives the base its name and removes the child.
 * A failure leaves both where they were, as the domain wants them. */
static int merge_down_apply(struct snap_act *a, const struct snap_step *s)
{
    struct snap_fs_id ids[2] = { { .real = NULL } };
    int rc = identify_pair(a, s, ids);

    if (!rc) rc = merge_down(a, s, ids);
    free(ids[0].real);
    free(ids[1].real);
    if (rc) merge_down_undo(a, s);
    return rc;
}

const struct snap_step_ops snap_step_merge_down = {
    .apply = merge_down_apply, .undo = merge_down_undo,
};

/* ---- its name for what was merged into --------------------------- */

/* Of a base (which has all arguments of its merge): if the child has its own
 * name again, somebody gave it that to go on with it. */
static int put_back_apply(struct snap_act *a, const struct snap_step *s)
{
    const char *top = snap_step_get(s, "top");
    struct snap_aside at = { .path = top,
                             .aside = snap_step_get(s, "top-aside") };
    int rc = top ? snap_aside_look(a, &at) : 0;

    if (!rc && at.here) rc = merge_down_apply(a, s);
    return rc ? rc : snap_aside_put_back(a, snap_step_get(s, "path"),
                                         snap_step_get(s, "aside"),
                                         !top && yes(s, "frozen"));
}

const struct snap_step_ops snap_step_put_back = { .apply = put_back_apply };

/* ---- what is not needed any more --------------------------------- */

/* Why it is kept, malloc'd; NULL: nothing that is beside it, or that has what
 * was in it, stands on it, and it is the file of the plan. */
static int find_need(struct snap_act *a, const struct snap_step *s,
                     const struct snap_fs_id *id, char **why)
{
    const char *into = snap_step_get(s, "into");
    AUTO_FREE char *beside = NULL;
    struct snap_fs_id other;
    bool there, is = false;
    int rc = snap_fs_find(a->sc, into, &other, &there);

    if (!rc) rc = snap_dependents_beside(a->sc, id, &beside);
    if (!rc && there) rc = snap_dependents_is_on(a->sc, into, id, &is);
    if (rc) return rc;
    if (id->ino != snap_step_get_u64(s, "ino"))
        *why = snap_strdup("it is not the file that was merged");
    else if (!there)
        *why = snap_printf("'%s', which it was merged into, is not there",
                           into);
    else if (beside || is)
        *why = snap_printf("'%s' stands on it", beside ? beside : into);
    return 0;
}

/* By another name, so that nobody opens it between the look and the end. */
static int discard(struct snap_act *a, const struct snap_step *s,
                   const struct snap_fs_id *id)
{
    const char *path = snap_step_get(s, "path");
    const char *aside = snap_step_get(s, "aside");
    AUTO_FREE char *why = NULL;
    int rc = snap_merge_release(a, s, id);

    if (!rc) rc = find_need(a, s, id, &why);
    if (rc) return rc;
    if (why) {
        snap_act_remark(a, snap_printf("'%s' was not removed: %s", id->real,
                                       why));
        return 0;
    }
    rc = snap_manifests_note_overlay(a, s);
    if (!rc) rc = snap_aside_set(a, path, aside);
    if (!rc) rc = snap_merge_release(a, s, id);
    if (!rc) rc = snap_fs_remove(a->sc, aside);
    if (!rc && yes(s, "spec"))
        snap_act_remark(a, snap_printf("'%s' is gone: an xl.cfg that names it "
                                       "must have, instead: %s", path,
                                       snap_step_get(s, "spec")));
    return rc;
}

static int remove_layer_apply(struct snap_act *a, const struct snap_step *s)
{
    struct snap_aside at = {
        .path = snap_step_get(s, "path"), .aside = snap_step_get(s, "aside"),
    };
    struct snap_fs_id id = { .real = NULL };
    int rc = snap_aside_look(a, &at);

    if (rc || (!at.here && !at.away)) return rc;
    rc = snap_fs_identify(a->sc, at.here ? at.path : at.aside, &id);
    if (!rc) rc = discard(a, s, &id);
    free(id.real);
    return rc;
}

const struct snap_step_ops snap_step_remove_layer = {
    .apply = remove_layer_apply,
};
