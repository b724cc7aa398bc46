/* SPDX-License-Identifier: LGPL-2.1-only */
/* Deleting a snapshot: its children become its parent's, if no copy is left. */
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "host/lineage.h"
#include "op/delete.h"

/* In the same directory as the snapshot? Both are real paths. */
static bool is_beside(const struct snap_delete *d, const char *path)
{
    AUTO_FREE char *mine = snap_strdup(d->p->set->directory);
    AUTO_FREE char *other = snap_strdup(path);

    return !strcmp(dirname(mine), dirname(other));
}

/* The hint names it: then it is to name its parent. */
static void plan_current(struct snap_delete *d, const char *name,
                         const char *parent)
{
    const char *path = d->p->current_path;
    AUTO_FREE char *real = parent && path ? realpath(path, NULL) : NULL;
    AUTO_FREE char *current = NULL;
    struct snap_step *s;

    if (!real || !is_beside(d, real)) return;
    current = snap_lineage_name(path);
    if (!current || strcmp(current, name)) return;
    s = snap_plan_add(&d->plan, STEP_CURRENT);
    snap_step_arg(s, "path", path);
    snap_step_arg(s, "name", parent);
}

/* A copy of the snapshot's directory, made by hand: what descends from one
 * descends from the other, which stays. */
static bool has_copy(const struct snap_delete *d)
{
    const struct snap_manifest *m = &d->p->set->manifest;
    size_t i;

    for (i = 0; i < d->p->nothers; i++) {
        const libxl_snapshot_set *other = &d->p->others[i];

        if (other->directory && is_beside(d, other->directory)
            && !strcmp(other->manifest.name, m->name))
            return true;
    }
    return false;
}

void snap_delete_plan_family(struct snap_delete *d)
{
    const struct snap_manifest *m = &d->p->set->manifest;
    size_t i;

    if (has_copy(d)) return;
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
    plan_current(d, m->name, m->parent);
}
