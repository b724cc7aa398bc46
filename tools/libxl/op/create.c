/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-create: lock, facts, plan, act, result.
 */
#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "format/memimage.h"
#include "op/create.h"

/* What was looked at and decided. */
static void forget(struct snap_create *c)
{
    snap_disk_choices_dispose(c->choices, c->facts.ndisks);
    c->choices = NULL;
    snap_plan_dispose(&c->plan);
    snap_facts_dispose(&c->facts);
    snap_qmp_close(c->qmp);
    c->qmp = NULL;
    free(c->wishes);
    c->wishes = NULL;
}

void snap_create_dispose(struct snap_create *c)
{
    forget(c);
    snap_guardian_end(c->guardian);
    free(c->header);
}

static void make_request(struct snap_create *c)
{
    const libxl_snapshot_create_params *p = c->p;
    size_t i;

    c->wishes = snap_zalloc((p->ndisks + 1) * sizeof(*c->wishes));
    for (i = 0; i < p->ndisks; i++) {
        c->wishes[i].vdev = p->disks[i].vdev;
        c->wishes[i].kind = p->disks[i].kind;
        c->wishes[i].format = p->disks[i].format;
        c->wishes[i].target = p->disks[i].target;
    }
    c->req = (struct snap_create_request) {
        .name = p->name, .directory = p->directory,
        .current_path = p->current_path, .default_kind = p->default_kind,
        .wishes = c->wishes, .nwishes = p->ndisks,
        .overlay_path = p->overlay_path, .overlay_arg = p->overlay_arg,
        .live = p->live, .leave_paused = p->leave_paused || c->hand_over,
        .protect = p->protect,
    };
}

/* ---- before anything is touched ---------------------------------- */

static int check_overlay(struct snap_ctx *sc, const struct snap_disk_choice *c)
{
    AUTO_FREE char *copy = snap_strdup(c->overlay);
    struct stat st;
    int failed;

    if (!lstat(c->overlay, &st))
        return snap_fail(sc, ERROR_INVAL, "disk '%s': the overlay's path "
                         "'%s' is taken; give another target= or remove "
                         "that file", c->disk->vdev, c->overlay);
    if (errno != ENOENT && errno != ENOTDIR)
        return snap_fail_errno(sc, errno, "disk '%s': cannot look at the "
                               "overlay's path '%s'", c->disk->vdev,
                               c->overlay);
    failed = stat(dirname(copy), &st);
    if (failed && errno != ENOENT && errno != ENOTDIR)
        return snap_fail_errno(sc, errno, "disk '%s': cannot look at the "
                               "directory of the overlay '%s'", c->disk->vdev,
                               c->overlay);
    return failed || !S_ISDIR(st.st_mode)
        ? snap_fail(sc, ERROR_INVAL, "disk '%s': the directory of the overlay "
                    "'%s' does not exist", c->disk->vdev, c->overlay) : 0;
}

/* Two spellings of one path: the same name in the same directory. */
static int check_two_overlays(struct snap_ctx *sc,
                              const struct snap_disk_choice *a,
                              const struct snap_disk_choice *b)
{
    AUTO_FREE char *x = a->overlay ? snap_strdup(a->overlay) : NULL;
    AUTO_FREE char *y = b->overlay ? snap_strdup(b->overlay) : NULL;
    struct stat in_x, in_y;

    if (!x || !y || strcmp(strrchr(x, '/'), strrchr(y, '/'))) return 0;
    if (stat(dirname(x), &in_x) || stat(dirname(y), &in_y))
        return snap_fail_errno(sc, errno, "disk '%s': the directory of the "
                               "overlay '%s'", b->disk->vdev, b->overlay);
    if (in_x.st_dev != in_y.st_dev || in_x.st_ino != in_y.st_ino)
        return 0;
    return snap_fail(sc, ERROR_INVAL, "disks '%s' and '%s' would get the "
                     "same overlay '%s'; give target= in a SNAPSHOT-CONFIG",
                     b->disk->vdev, a->disk->vdev, a->overlay);
}

static int preflight(struct snap_create *c)
{
    size_t i, k;
    int rc = 0;

    for (i = 0; i < c->facts.ndisks; i++) {
        if (!c->choices[i].overlay) continue;
        rc = check_overlay(c->sc, &c->choices[i]);
        for (k = 0; !rc && k < i; k++)
            rc = check_two_overlays(c->sc, &c->choices[i], &c->choices[k]);
        if (rc) return rc;
    }
    return snap_op_check_directory(c->sc, c->p->directory, c->p->name,
                                   c->p->dry_run);
}

/* An external disk stands in the memory image as its frozen base, read-only,
 * so that `xl restore` of that file by hand cannot write a base. */
static int make_header(struct snap_create *c)
{
    AUTO_JSON struct snap_json *tree = NULL;
    AUTO_FREE char *json = NULL;
    size_t i;
    int rc;

    rc = snap_json_parse(c->sc, "libxl's configuration",
                         c->facts.config_json, strlen(c->facts.config_json),
                         &tree);
    for (i = 0; !rc && i < c->facts.ndisks; i++) {
        if (!c->choices[i].driver || !c->choices[i].driver->external)
            continue;
        rc = snap_domconfig_set_disk(c->sc, tree, c->choices[i].disk->vdev,
                                     c->choices[i].disk->path,
                                     c->choices[i].disk->format, false);
    }
    if (rc) return rc;
    /* As `xl save` does: a new domid at the next start. */
    snap_domconfig_forget_domid(tree);
    json = snap_json_print(tree);
    return snap_memimage_header(c->sc, json, &c->header, &c->header_len);
}

/* ---- the manifest ------------------------------------------------ */

static void manifest_disk(struct snap_create *c,
                          const struct snap_disk_choice *ch,
                          struct snap_manifest *m)
{
    const struct snap_facts_disk *d = ch->disk;
    struct snap_manifest_disk *md = snap_manifest_add_disk(m);
    bool external = ch->driver->external;

    md->vdev = snap_strdup(d->vdev);
    md->type = external ? SNAP_DISK_EXTERNAL : SNAP_DISK_INTERNAL;
    md->image = snap_strdup(d->id.real);
    md->format = snap_strdup(d->format);
    md->parent = snap_spec_print(d->vdev, d->format, !external, d->id.real);
    md->child = external
        ? snap_spec_print(d->vdev, "qcow2", true, ch->overlay)
        : snap_strdup(md->parent);
    md->overlay = snap_strdup(ch->overlay);
    if (!external) md->tag = snap_strdup(c->p->name);
    if (d->chain.len)
        md->virtual_size_bytes = d->chain.data[0].virtual_size_bytes;
    md->dev = d->id.dev;
    md->ino = d->id.ino;
    md->size_bytes = d->id.size_bytes;
    md->mtime_ns = d->id.mtime_ns;
}

static void make_manifest(struct snap_create *c, struct snap_manifest *m)
{
    size_t i;

    m->name = snap_strdup(c->p->name);
    m->description = snap_strdup(c->p->description);
    m->created = snap_op_utc(time(NULL));
    m->domain_name = snap_strdup(c->facts.dom.name);
    m->domain_uuid = snap_strdup(c->facts.dom.uuid);
    m->domain_type = snap_strdup(c->facts.dom.type);
    m->domain_state = snap_strdup("running");
    m->parent = snap_strdup(c->p->parent);
    m->live = c->p->live;
    m->tool_version = snap_strdup(PACKAGE_VERSION);
    m->xen_version = snap_strdup(c->facts.host.xen_version);
    m->qemu_version = snap_strdup(c->facts.qemu_version);
    m->memory_path = snap_strdup(SNAP_MEMORY_FILE);
    for (i = 0; i < c->facts.ndisks; i++) {
        const struct snap_facts_disk *d = &c->facts.disks[i];

        if (c->choices[i].driver)
            manifest_disk(c, &c->choices[i], m);
        else if (d->readwrite && !d->cdrom && d->path && *d->path)
            snap_strings_add(&m->excluded, d->vdev);
    }
    m->consistency = snap_strdup(m->excluded.len ? "partial" : "full");
}

/* ---- acting ------------------------------------------------------ */

static int act(struct snap_create *c, libxl_snapshot_result *result)
{
    struct snap_act a = {
        .sc = c->sc, .xen = c->h->xen, .journal = &c->h->journal,
        .manifest = &result->manifest, .facts = &c->facts, .qmp = c->qmp,
        .memory_fd = -1, .header = c->header, .header_bytes = c->header_len,
        .live = c->p->live, .leave_paused = c->req.leave_paused,
        .more_follows = c->hand_over, .notes = &result->notes,
    };
    AUTO_FREE char *quoted = snap_op_quote(c->facts.dom.name);
    int rc, outcome;

    rc = snap_op_journal_head(c->sc, &c->h->journal, "create",
                              c->facts.dom.name, c->facts.dom.uuid,
                              c->facts.dom.domid, &result->manifest, NULL);
    /* The pause will not be what the user asked for. */
    if (!rc && c->hand_over)
        rc = snap_op_journal_mark(c->sc, &c->h->journal, "unpause");
    if (rc) {
        snap_journal_close(c->sc, &c->h->journal);
        return rc;
    }
    rc = snap_act_run(&a, &c->plan, &outcome);
    c->qmp = a.qmp;
    snap_worker_stop(a.worker);
    if (!rc && c->hand_over) {
        snap_guardian_worker_gone(a.guardian);
        c->guardian = a.guardian;
    } else if (outcome == LIBXL_SNAPSHOT_NOT_WHOLE && !a.resumed_ms) {
        /* The guest may stand, or may still suspend itself. */
        snap_guardian_leave(a.guardian);
    } else {
        snap_guardian_end(a.guardian);
    }
    if (!a.unclear) snap_monitor_release(&c->facts.monitor);
    if (a.memory_fd >= 0) close(a.memory_fd);
    result->pause_ms = result->manifest.pause_ms;
    if (a.resumed_ms) result->still_ms = a.resumed_ms - a.stood_ms;
    return snap_op_finish(c->sc, rc, outcome, "xl snapshot-recover %s",
                          quoted);
}

static void advise(libxl_snapshot_result *result)
{
    const struct snap_manifest *m = &result->manifest;
    size_t i;

    for (i = 0; i < m->ndisks; i++)
        if (m->disks[i].type == SNAP_DISK_EXTERNAL)
            snap_strings_add(&result->advice, m->disks[i].child);
}

static void fill_result(struct snap_create *c, libxl_snapshot_result *result)
{
    result->directory = snap_strdup(c->p->directory);
    result->domid = c->facts.dom.domid;
    result->memory_bytes = result->manifest.memory_size_bytes;
    advise(result);
}

/* Facts and plan. */
static int look(struct snap_create *c, struct snap_worker *w)
{
    int rc;

    rc = snap_facts_read(c->sc, c->h->xen, w, c->p->domid, &c->facts, &c->qmp);
    if (!rc) rc = snap_facts_read_users(c->sc, c->h->xen, &c->facts);
    if (rc) return rc;
    make_request(c);
    c->choices = snap_zalloc((c->facts.ndisks + 1) * sizeof(*c->choices));
    rc = snap_plan_create(c->sc, &c->facts, &c->req, c->choices, &c->plan);
    return rc ? rc : preflight(c);
}

/* Which images there are to lock is known only when they were looked at: who
 * had to wait for one looks again. */
static int look_and_lock(struct snap_create *c, struct snap_worker *w)
{
    bool waited;
    int rc;

    do {
        size_t i;

        waited = false;
        rc = look(c, w);
        if (rc || c->p->dry_run) return rc;
        for (i = 0; i < c->facts.ndisks; i++)
            if (c->choices[i].driver)
                snap_image_locks_want_chain(&c->h->locks,
                                            &c->facts.disks[i].chain, true);
        rc = snap_image_locks_take(c->sc, &c->h->locks, c->p->lock_timeout_ms,
                                   &waited);
        if (waited) forget(c);
    } while (!rc && waited);
    return rc;
}

int snap_create_run(struct snap_create *c, libxl_snapshot_result *result)
{
    AUTO_WORKER struct snap_worker *w = NULL;
    size_t i;
    int rc;

    rc = snap_worker_start(c->sc, -1, &w);
    if (!rc) rc = look_and_lock(c, w);
    if (rc) return rc;
    for (i = 0; i < c->plan.notes.len; i++)
        snap_strings_add(&result->notes, c->plan.notes.data[i]);
    if (!c->facts.monitor.pid)
        snap_strings_take(&result->notes,
                          snap_op_unwatched(c->facts.dom.name));
    result->plan = snap_plan_text(&c->plan);
    make_manifest(c, &result->manifest);
    if (c->p->dry_run) {
        advise(result);
        c->sc->outcome = LIBXL_SNAPSHOT_DONE;
        return 0;
    }
    rc = make_header(c);
    if (!rc) rc = act(c, result);
    if (!rc) fill_result(c, result);
    return rc;
}

int libxl_snapshot_create(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_create_params *params,
                          libxl_snapshot_result *result)
{
    struct snap_hold hold = SNAP_HOLD_INIT;
    struct snap_create c = { .sc = ctx, .p = params, .h = &hold };
    struct snap_dominfo dom;
    int rc;

    snap_op_begin(ctx, result);
    rc = snap_xen_open(ctx, &hold.xen);
    if (rc) return rc;
    rc = snap_xen_domain(hold.xen, params->domid, &dom);
    if (rc) {
        snap_fail(ctx, rc, "there is no domain %u", params->domid);
    } else {
        rc = snap_op_lock(ctx, dom.name, params->lock_timeout_ms, &hold);
        snap_dominfo_dispose(&dom);
    }
    if (!rc) rc = snap_create_run(&c, result);
    snap_create_dispose(&c);
    snap_hold_drop(&hold);
    return rc;
}
