/* SPDX-License-Identifier: LGPL-2.1-only */
/* Deleting a snapshot: its children become its parent's. */
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "op/delete.h"

#define CURRENT_MAX_BYTES 65536     /* docs/snapshot-format.md */

/* In the same directory as the snapshot? Both are real paths. */
static bool is_beside(const struct snap_delete *d, const char *path)
{
    AUTO_FREE char *mine = snap_strdup(d->p->set->directory);
    AUTO_FREE char *other = snap_strdup(path);

    return !strcmp(dirname(mine), dirname(other));
}

/* The hint names it: then it is to name its parent. */
static int plan_current(struct snap_delete *d, const char *name,
                        const char *parent)
{
    const char *path = d->p->current_path;
    AUTO_FREE char *real = parent && path ? realpath(path, NULL) : NULL;
    struct snap_ctx quiet = SNAP_CTX_INIT;
    AUTO_FREE char *text = NULL;
    struct snap_step *s;
    size_t len;
    int rc;

    if (!real || !is_beside(d, real)) return 0;
    rc = snap_fs_read(&quiet, path, true, CURRENT_MAX_BYTES, &text, &len);
    snap_ctx_dispose(&quiet);
    if (rc) return 0;           /* a hint */
    text[strcspn(text, "\n")] = '\0';
    if (strcmp(text, name)) return 0;
    s = snap_plan_add(&d->plan, STEP_CURRENT);
    snap_step_arg(s, "path", path);
    snap_step_arg(s, "name", parent);
    return 0;
}

int snap_delete_plan_family(struct snap_delete *d)
{
    const struct snap_manifest *m = &d->p->set->manifest;
    size_t i;

    for (i = 0; i < d->p->nothers; i++) {
        const libxl_snapshot_set *other = &d->p->others[i];
        struct snap_step *s;

        if (!other->directory || !other->manifest.parent
            || strcmp(other->manifest.parent, m->name)
            || !is_beside(d, other->directory))
            continue;
        s = snap_plan_add(&d->plan, STEP_RELINK);
        snap_step_arg(s, "path", other->directory);
        snap_step_arg(s, "instead-of", m->name);
        snap_step_arg(s, "parent", m->parent ? m->parent : "");
    }
    return plan_current(d, m->name, m->parent);
}
