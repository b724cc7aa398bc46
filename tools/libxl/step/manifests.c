/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Changing the manifests of other snapshots: the step that gives a child of a
 * deleted snapshot its grandparent, and what steps need that change images.
 */
#include "step/step.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host/hash.h"
#include "plan/unharmed.h"

static int publish(struct snap_act *a, const char *path,
                   const struct snap_manifest *m)
{
    AUTO_FREE char *text = NULL;
    int rc = snap_manifest_check(a->sc, path, m);

    if (rc) return rc;
    text = snap_manifest_print(m);
    return snap_fs_publish(a->sc, path, text, strlen(text), true);
}

int snap_step_change_manifest(struct snap_act *a, const char *dir,
                              snap_change_fn *change, void *arg)
{
    AUTO_FREE char *path = snap_printf("%s/%s", dir, SNAP_MANIFEST_FILE);
    AUTO_FREE char *bytes = NULL;
    struct snap_manifest m;
    size_t len;
    int rc;

    if (access(path, F_OK) && (errno == ENOENT || errno == ENOTDIR)) return 0;
    rc = snap_fs_read(a->sc, path, true, SNAP_MANIFEST_MAX_BYTES, &bytes,
                      &len);
    if (!rc) rc = snap_manifest_parse(a->sc, path, bytes, len, &m);
    if (rc) return rc;
    rc = change(a, &m, arg);
    if (rc > 0) rc = publish(a, path, &m);
    snap_manifest_dispose(&m);
    return rc;
}

/* One that has another parent by now is left alone. */
static int relink(struct snap_act *a, struct snap_manifest *m, void *arg)
{
    const struct snap_step *s = arg;
    const char *parent = snap_step_get(s, "parent");

    if (!m->parent || strcmp(m->parent, snap_step_get(s, "instead-of")))
        return 0;
    free(m->parent);
    m->parent = *parent ? snap_strdup(parent) : NULL;
    a->past_commit = true;
    return 1;
}

static int relink_apply(struct snap_act *a, const struct snap_step *s)
{
    return snap_step_change_manifest(a, snap_step_get(s, "path"), relink,
                                     (void *)s);
}

const struct snap_step_ops snap_step_relink = { .apply = relink_apply };

/* ---- what was merged --------------------------------------------- */

struct noting {
    const struct snap_fs_id *id;    /* of the image, now */
    const char *vdev;
    char sample[SNAP_HASH_SIZE];
    const char *overlay;            /* instead of the one that is named */
};

struct snap_manifest_disk *snap_step_external(struct snap_manifest *m,
                                              const char *vdev)
{
    size_t i;

    for (i = 0; i < m->ndisks; i++)
        if (!strcmp(m->disks[i].vdev, vdev)
            && m->disks[i].type == SNAP_DISK_EXTERNAL)
            return &m->disks[i];
    return NULL;
}

void snap_step_set_overlay(struct snap_manifest_disk *d, const char *overlay)
{
    free(d->overlay);
    d->overlay = snap_strdup(overlay);
    free(d->child);
    d->child = overlay ? snap_spec_print(d->vdev, "qcow2", true, overlay)
                       : NULL;
}

static int check_noted(struct snap_act *a, struct snap_manifest *m, void *arg)
{
    const struct noting *n = arg;
    const struct snap_manifest_disk *d = snap_step_external(m, n->vdev);

    return d ? snap_check_base(a->sc, d, n->id) : 0;
}

/* If it is that file still that the manifest means. */
static int note(struct snap_act *a, struct snap_manifest *m, void *arg)
{
    const struct noting *n = arg;
    struct snap_manifest_disk *d = snap_step_external(m, n->vdev);

    (void)a;
    if (!d || d->ino != n->id->ino) return 0;
    d->size_bytes = n->id->size_bytes;
    d->mtime_ns = n->id->mtime_ns;
    free(d->sample_sha256);
    d->sample_sha256 = snap_strdup(n->sample);
    return 1;
}

static int note_overlay(struct snap_act *a, struct snap_manifest *m, void *arg)
{
    const struct noting *n = arg;
    struct snap_manifest_disk *d = snap_step_external(m, n->vdev);

    (void)a;
    if (!d) return 0;
    snap_step_set_overlay(d, n->overlay);
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

int snap_manifests_check(struct snap_act *a, const struct snap_step *s,
                         const struct snap_fs_id *id)
{
    struct noting n = { .id = id };

    return each_manifest(a, s, check_noted, &n);
}

int snap_manifests_note(struct snap_act *a, const struct snap_step *s,
                        const char *image)
{
    struct snap_fs_id id;
    struct noting n = { .id = &id };
    int rc;

    if (!snap_step_get(s, "manifest")) return 0;
    rc = snap_fs_identify(a->sc, image, &id);
    if (rc) return rc;
    rc = snap_hash_sample(a->sc, image, n.sample);
    if (!rc) rc = each_manifest(a, s, note, &n);
    free(id.real);
    return rc;
}

int snap_manifests_note_overlay(struct snap_act *a, const struct snap_step *s)
{
    struct noting n = { .overlay = snap_step_get(s, "into") };

    return each_manifest(a, s, note_overlay, &n);
}
