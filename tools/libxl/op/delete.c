/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-delete: layers that nobody needs are merged, tags go, children get
 * their grandparent, then the snapshot's directory goes, and what was merged.
 */
#include "op/delete.h"

#include <errno.h>
#include <string.h>

#include "host/private.h"

static int plan_tags(struct snap_delete *d)
{
    const struct snap_manifest *m = &d->p->set->manifest;
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < m->ndisks; i++)
        if (m->disks[i].type == SNAP_DISK_INTERNAL)
            rc = snap_delete_plan_tag(d, &m->disks[i]);
    return rc;
}

/* The memory image that is to be kept, if there is one. */
static int look_at_memory(struct snap_delete *d)
{
    const libxl_snapshot_set *set = d->p->set;
    const char *name = set->manifest.memory_path;
    AUTO_FREE char *path = NULL;
    struct stat st;

    if (!d->p->keep_memory) return 0;
    path = name ? snap_printf("%s/%s", set->directory, name) : NULL;
    if (path && !lstat(path, &st)) {
        d->memory = path;
        path = NULL;
        return snap_private_is_open(&st)
               ? 0 : snap_private_check(d->sc, d->memory, &st);
    }
    if (path && errno != ENOENT)
        return snap_fail_errno(d->sc, errno, "cannot look at '%s'", path);
    snap_strings_add(&d->plan.notes, "there is no memory image that could be "
                     "kept");
    return 0;
}

static int make_plan(struct snap_delete *d)
{
    struct snap_step *s;
    int rc = look_at_memory(d);

    if (!rc) rc = snap_delete_look_at_layers(d);
    if (!rc) rc = snap_delete_plan_up(d);
    if (rc) return rc;
    d->plan.commit = d->plan.len;
    rc = snap_delete_plan_down(d);
    if (!rc) rc = plan_tags(d);
    if (rc) return rc;
    snap_delete_plan_family(d);
    s = snap_plan_add(&d->plan, STEP_REMOVE_SNAPSHOT);
    snap_step_arg(s, "path", d->p->set->directory);
    if (d->memory) snap_step_arg(s, "keep", d->memory);
    return snap_delete_plan_removals(d);
}

static int act(struct snap_delete *d, libxl_snapshot_result *result)
{
    struct snap_act a = {
        .sc = d->sc, .xen = d->h.xen, .journal = &d->h.journal, .memory_fd = -1,
        .worker = d->worker, .notes = &result->notes,
    };
    AUTO_FREE char *quoted = snap_op_quote(d->p->domain_name);
    int rc, outcome = LIBXL_SNAPSHOT_REFUSED;

    d->worker = NULL;
    rc = snap_op_journal_head(d->sc, &d->h.journal, "delete",
                              d->p->domain_name, NULL, -1,
                              &d->p->set->manifest, d->p->retry_command);
    if (rc)
        snap_journal_close(d->sc, &d->h.journal);
    else
        rc = snap_act_run(&a, &d->plan, &outcome);
    snap_worker_stop(a.worker);
    snap_qmp_close(a.qmp);
    /* Its manifest may be gone: only the journal knows what is left to do. */
    return snap_op_finish(d->sc, rc, outcome, "xl snapshot-recover %s",
                          quoted);
}

static int delete(struct snap_delete *d, libxl_snapshot_result *result)
{
    uint32_t domid;
    size_t i;
    int rc;

    if (!d->p->set->directory)
        return snap_fail(d->sc, ERROR_INVAL, "a hand-written set has no "
                         "directory that could be deleted");
    rc = snap_xen_open(d->sc, &d->h.xen);
    if (!rc) rc = snap_op_lock(d->sc, d->p->domain_name,
                               d->p->lock_timeout_ms, &d->h);
    /* Before anything is looked at: which they are is in the manifest. */
    if (!rc && !d->p->dry_run)
        rc = snap_op_lock_images(d->sc, &d->p->set->manifest,
                                 d->p->lock_timeout_ms, &d->h.locks);
    if (!rc) rc = snap_worker_start(d->sc, -1, &d->worker);
    if (!rc) rc = snap_xen_by_name(d->h.xen, d->p->domain_name, &domid);
    if (!rc)
        rc = snap_facts_read(d->sc, d->h.xen, d->worker, domid, &d->now, NULL);
    else if (rc == ERROR_DOMAIN_NOTFOUND)
        rc = 0;
    if (!rc) rc = make_plan(d);
    if (rc) return rc;
    for (i = 0; i < d->plan.notes.len; i++)
        snap_strings_add(&result->notes, d->plan.notes.data[i]);
    snap_delete_advise(d, result);
    result->plan = snap_plan_text(&d->plan);
    result->directory = snap_strdup(d->p->set->directory);
    result->memory = snap_strdup(d->memory);
    if (!d->p->dry_run) return act(d, result);
    d->sc->outcome = LIBXL_SNAPSHOT_DONE;
    return 0;
}

int libxl_snapshot_delete(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_delete_params *params,
                          libxl_snapshot_result *result)
{
    struct snap_delete d = { .sc = ctx, .p = params, .h = SNAP_HOLD_INIT };
    int rc;

    snap_op_begin(ctx, result);
    rc = delete(&d, result);
    snap_plan_dispose(&d.plan);
    snap_delete_dispose_layers(&d);
    free(d.memory);
    snap_facts_dispose(&d.now);
    snap_worker_stop(d.worker);
    snap_hold_drop(&d.h);
    return rc;
}
