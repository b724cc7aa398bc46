/* SPDX-License-Identifier: LGPL-2.1-only */
/* The step that gives a child of a deleted snapshot its grandparent. */
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

/* One that was moved or removed meanwhile, or has another parent by now, is
 * left alone. */
static int relink_apply(struct snap_act *a, const struct snap_step *s)
{
    AUTO_FREE char *path = snap_printf("%s/%s", snap_step_get(s, "path"),
                                       SNAP_MANIFEST_FILE);
    const char *parent = snap_step_get(s, "parent");
    AUTO_FREE char *bytes = NULL;
    struct snap_manifest m;
    size_t len;
    int rc;

    if (access(path, F_OK) && (errno == ENOENT || errno == ENOTDIR)) return 0;
    rc = snap_fs_read(a->sc, path, true, SNAP_MANIFEST_MAX_BYTES, &bytes,
                      &len);
    if (!rc) rc = snap_manifest_parse(a->sc, path, bytes, len, &m);
    if (rc) return rc;
    if (m.parent && !strcmp(m.parent, snap_step_get(s, "instead-of"))) {
        free(m.parent);
        m.parent = *parent ? snap_strdup(parent) : NULL;
        a->past_commit = true;
        rc = publish(a, path, &m);
    }
    snap_manifest_dispose(&m);
    return rc;
}

const struct snap_step_ops snap_step_relink = { .apply = relink_apply };
