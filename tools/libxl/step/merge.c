/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The steps that merge layers of images, remove what is left over, and tell
 * the manifests that name what was changed.  They have no undo: a delete that
 * was begun is finished.
 */
#include "step/step.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host/dependents.h"
#include "host/image_merge.h"

/* ---- images ------------------------------------------------------ */

/* The flag of a frozen base goes, or comes back. */
static int set_frozen(struct snap_act *a, const char *path, bool on)
{
    int rc = snap_fs_set_immutable(a->sc, path, on);

    return rc < 0 ? rc : 0;
}

static int merge_down_apply(struct snap_act *a, const struct snap_step *s)
{
    const char *base = snap_step_get(s, "path");
    const char *top = snap_step_get(s, "top");
    int rc;

    /* It is removed when it is not needed any more. */
    if (access(top, F_OK) && errno == ENOENT) return 0;
    rc = snap_step_recheck_idle.apply(a, s);
    if (rc) return rc;
    a->past_commit = true;
    rc = set_frozen(a, base, false);
    if (!rc)
        rc = snap_image_commit(a->sc, top, base, snap_step_get(s, "format"));
    return rc;
}

static int merge_up_apply(struct snap_act *a, const struct snap_step *s)
{
    const char *path = snap_step_get(s, "path");
    const char *base = snap_step_get(s, "base");
    bool frozen = snap_step_get(s, "frozen");
    int rc;

    rc = snap_step_recheck_idle.apply(a, s);
    if (rc) return rc;
    a->past_commit = true;
    if (frozen) rc = set_frozen(a, path, false);
    if (!rc)
        rc = snap_image_rebase(a->sc, path, base, snap_step_get(s, "below"),
                               snap_step_get(s, "below-format"));
    if (!rc && frozen) rc = set_frozen(a, path, true);
    return rc;
}

const struct snap_step_ops snap_step_merge_down = {
    .apply = merge_down_apply,
};
const struct snap_step_ops snap_step_merge_up = { .apply = merge_up_apply };

/* Does the image say itself that it is not needed? Emptied by a commit, or what
 * stood on it does not any more. */
static int check_useless(struct snap_act *a, const struct snap_step *s,
                         const struct snap_fs_id *id)
{
    const char *path = snap_step_get(s, "path");
    const char *into = snap_step_get(s, "into");
    AUTO_FREE char *beside = NULL;
    bool is = false;
    int rc = snap_dependents_beside(a->sc, id, &beside);

    if (!rc && !beside) rc = snap_dependents_is_on(a->sc, into, id, &is);
    if (rc) return rc;
    if (beside || is)
        return snap_fail(a->sc, ERROR_FAIL, "'%s' stands on '%s', which was "
                         "to be removed", beside ? beside : into, path);
    return snap_step_get(s, "emptied") ? snap_image_check_empty(a->sc, path)
                                       : 0;
}

/* Nobody may stand on it, or have it open. */
static int remove_layer_apply(struct snap_act *a, const struct snap_step *s)
{
    const char *path = snap_step_get(s, "path");
    struct snap_fs_id id = { .real = NULL };
    int rc;

    if (access(path, F_OK) && errno == ENOENT) return 0;
    rc = snap_step_recheck_idle.apply(a, s);
    if (!rc) rc = snap_fs_identify(a->sc, path, &id);
    if (!rc) rc = check_useless(a, s, &id);
    free(id.real);
    if (!rc) rc = set_frozen(a, path, false);
    if (!rc) rc = snap_fs_remove(a->sc, path);
    return rc;
}

const struct snap_step_ops snap_step_remove_layer = {
    .apply = remove_layer_apply,
};

/* ---- manifests --------------------------------------------------- */

typedef int change_fn(struct snap_act *a, const struct snap_step *s,
                      struct snap_manifest *m);

/* Of a snapshot that was moved or removed meanwhile there is nothing to
 * change. */
static int rewrite(struct snap_act *a, const struct snap_step *s,
                   change_fn *change)
{
    AUTO_FREE char *path = snap_printf("%s/%s", snap_step_get(s, "path"),
                                       SNAP_MANIFEST_FILE);
    AUTO_FREE char *text = NULL;
    AUTO_FREE char *bytes = NULL;
    struct snap_manifest m;
    size_t len;
    int rc;

    if (access(path, F_OK) && (errno == ENOENT || errno == ENOTDIR)) return 0;
    rc = snap_fs_read(a->sc, path, true, SNAP_MANIFEST_MAX_BYTES, &bytes,
                      &len);
    if (!rc) rc = snap_manifest_parse(a->sc, path, bytes, len, &m);
    if (rc) return rc;
    a->past_commit = true;
    rc = change(a, s, &m);
    if (!rc) rc = snap_manifest_check(a->sc, path, &m);
    if (!rc) {
        text = snap_manifest_print(&m);
        rc = snap_fs_publish(a->sc, path, text, strlen(text), true);
    }
    snap_manifest_dispose(&m);
    return rc;
}

/* The overlay that a snapshot made is gone; another has what was in it. */
static void replace_overlay(struct snap_manifest_disk *d, const char *image)
{
    free(d->overlay);
    d->overlay = snap_strdup(image);
    free(d->child);
    d->child = snap_spec_print(d->vdev, "qcow2", true, image);
}

/* A frozen base that was merged into reads the same, and looks otherwise. */
static int renote(struct snap_act *a, const struct snap_step *s,
                  struct snap_manifest *m)
{
    const char *image = snap_step_get(s, "image");
    const char *instead = snap_step_get(s, "instead-of");
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < m->ndisks; i++) {
        struct snap_manifest_disk *d = &m->disks[i];

        if (d->type != SNAP_DISK_EXTERNAL) continue;
        if (snap_fs_same_file(d->overlay, instead)) replace_overlay(d, image);
        if (snap_fs_same_file(d->image, image))
            rc = snap_step_note_image(a, d);
    }
    return rc;
}

static int renote_apply(struct snap_act *a, const struct snap_step *s)
{
    return rewrite(a, s, renote);
}

static int relink(struct snap_act *a, const struct snap_step *s,
                  struct snap_manifest *m)
{
    const char *parent = snap_step_get(s, "parent");

    (void)a;
    free(m->parent);
    m->parent = parent && *parent ? snap_strdup(parent) : NULL;
    return 0;
}

static int relink_apply(struct snap_act *a, const struct snap_step *s)
{
    return rewrite(a, s, relink);
}

const struct snap_step_ops snap_step_renote = { .apply = renote_apply };
const struct snap_step_ops snap_step_relink = { .apply = relink_apply };
