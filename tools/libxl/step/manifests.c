/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Changing the manifests of other snapshots: the step that gives a child of a
 * deleted snapshot its grandparent, and what steps need that change images.
 */
#include "step/step.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

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
