/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-revert: lock, facts (revert_facts.c), plan, act, result.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "format/memimage.h"
#include "op/revert.h"

static void dispose_disks(struct snap_revert_disk *disks, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        free(disks[i].id.real);
        snap_chain_dispose(&disks[i].chain);
        free(disks[i].frozen_by);
        free(disks[i].users);
        free(disks[i].writers);
        free(disks[i].unwritable);
        free(disks[i].new_path);
    }
    free(disks);
}

void snap_revert_forget_disks(struct snap_revert *r)
{
    dispose_disks(r->f.disks, r->f.ndisks);
    r->f.disks = NULL;
    r->f.ndisks = 0;
}

void snap_revert_dispose(struct snap_revert *r)
{
    snap_revert_forget_disks(r);
    dispose_disks(r->f.rest, r->f.nrest);
    free(r->f.rest_m);
    snap_strings_dispose(&r->f.excluded);
    free(r->f.stranger);
    free(r->f.memory_path);
    snap_strings_dispose(&r->words);
    free(r->host_qemu);
    snap_facts_dispose(&r->now);
    snap_host_dispose(&r->host);
    snap_domconfig_dispose(&r->config);
    snap_memimage_dispose(&r->image);
    snap_json_free(r->tree);
    snap_manifest_dispose(&r->set);
    snap_plan_dispose(&r->plan);
    snap_worker_stop(r->worker);
    snap_guardian_end(r->guardian);
    if (r->memory_fd >= 0) close(r->memory_fd);
    free(r->header);
}

/* ---- the configuration to build from ----------------------------- */

/* Where a disk will be. What is put back in place keeps the name that the
 * configuration has for it (a link, say), if that still leads there. */
static const char *disk_path(struct snap_revert *r,
                             const struct snap_revert_disk *d)
{
    const struct snap_domconfig_disk *c = snap_domconfig_disk(&r->config,
                                                                  d->m->vdev);

    if (d->new_path) return d->new_path;
    return c && snap_fs_leads_to(c->path, &d->id) ? c->path : d->id.real;
}

int snap_revert_set_disks(struct snap_revert *r)
{
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < r->f.ndisks; i++) {
        const struct snap_revert_disk *d = &r->f.disks[i];
        const char *format = d->m->type == SNAP_DISK_EXTERNAL ? "qcow2"
                                                              : d->m->format;
        const char *path = disk_path(r, d);

        if (strpbrk(path, " \t\n"))
            return snap_fail(r->sc, ERROR_INVAL, "disk '%s': its path '%s' "
                             "has white space, and a domain cannot be started "
                             "from such a path; give the image another name, "
                             "and a set that names it", d->m->vdev, path);
        rc = snap_domconfig_set_disk(r->sc, r->tree, d->m->vdev, path, format,
                                     true);
    }
    return rc;
}

static int compare_image(struct snap_revert *r)
{
    AUTO_JSON struct snap_json *was = NULL;
    int rc = snap_json_parse(r->sc, "the memory image's configuration",
                             r->image.config, strlen(r->image.config), &was);

    if (!rc) r->image_as_is = snap_json_equal(was, r->tree);
    snap_log(r->sc, SNAP_LOG_DEBUG, "the memory image's configuration %s",
             r->image_as_is ? "stays as it is" : "changes");
    return rc;
}

/* The configuration of the memory image, with the right disks, DOMAIN's name
 * and a new VM generation id (the specification wants one after a revert). */
static int final_config(struct snap_revert *r)
{
    unsigned char genid[16];
    AUTO_FREE char *json = NULL;
    int rc;

    rc = snap_revert_set_disks(r);
    if (rc) return rc;
    snap_domconfig_set_name(r->tree, r->p->domain_name);
    snap_domconfig_forget_domid(r->tree);
    if (r->config.has_genid) {
        if (getrandom(genid, sizeof(genid), 0) != sizeof(genid))
            return snap_fail_errno(r->sc, errno, "no random numbers");
        snap_domconfig_set_genid(r->tree, genid);
    }
    rc = compare_image(r);
    if (rc) return rc;
    json = snap_json_print(r->tree);
    return snap_memimage_header(r->sc, json, &r->header, &r->header_len);
}

/* ---- the result -------------------------------------------------- */

/* Another snapshot, of the present just now for one, has it as a base. */
static bool named_by_others(const struct snap_revert *r,
                            const struct snap_fs_id *id)
{
    size_t i, k;

    for (i = 0; i < r->p->nothers; i++)
        for (k = 0; k < r->p->others[i].manifest.ndisks; k++)
            if (snap_fs_leads_to(r->p->others[i].manifest.disks[k].image, id))
                return true;
    return false;
}

/* What the domain wrote until now and nothing names any more. */
static void note_left(struct snap_revert *r, libxl_snapshot_result *result)
{
    size_t i, k;

    for (i = 0; r->now.exists && i < r->now.ndisks; i++) {
        const struct snap_facts_disk *d = &r->now.disks[i];
        struct stat st;
        bool used = false;

        if (!d->have_id || !d->readwrite) continue;
        for (k = 0; k < r->f.ndisks; k++)
            used |= !r->f.disks[k].new_path
                    && snap_fs_same(&r->f.disks[k].id, &d->id);
        for (k = 0; k < r->f.ndisks; k++)
            if (!strcmp(r->f.disks[k].m->vdev, d->vdev)) break;
        if (used || k == r->f.ndisks || stat(d->id.real, &st)) continue;
        /* A frozen base stays for its snapshot. */
        if (snap_fs_same(&r->f.disks[k].id, &d->id)
            || named_by_others(r, &d->id))
            continue;
        snap_strings_take(&result->left, snap_printf(
            "%s (%llu bytes): what %s wrote as %s until now", d->id.real,
            (unsigned long long)st.st_blocks * 512, r->p->domain_name,
            d->vdev));
    }
}

static void advise(const struct snap_revert *r, libxl_snapshot_result *result)
{
    size_t i;

    for (i = 0; i < r->f.ndisks; i++) {
        const struct snap_revert_disk *d = &r->f.disks[i];
        bool external = d->m->type == SNAP_DISK_EXTERNAL;

        if (d->new_path)
            snap_strings_take(&result->advice, snap_spec_print(
                d->m->vdev, external ? "qcow2" : d->m->format, true,
                d->new_path));
    }
}

static void fill_result(struct snap_revert *r, libxl_snapshot_result *result)
{
    result->directory = snap_strdup(r->p->set->directory);
    if (!r->p->disk_only) result->memory_bytes = r->image.size_bytes;
    advise(r, result);
    note_left(r, result);
}

/* ---- acting ------------------------------------------------------ */

static int start_guardian(struct snap_revert *r, struct snap_act *a)
{
    int rc;

    if (!r->now.exists) {
        snap_guardian_end(r->guardian);
        r->guardian = NULL;
        return 0;
    }
    rc = snap_guardian_start(r->sc, &(struct snap_guardian_charge) {
        .domid = r->now.dom.domid,
        .uuid = r->now.dom.uuid,
        .reverting = true,
        .worker_pgid = snap_worker_pgid(a->worker),
        .qemu_pid = r->now.qemu_pid,
        .qemu_start = r->now.qemu_start,
        .monitor = r->now.monitor,
        .lock_fd = r->h->journal.fd,
    }, &a->guardian);
    if (rc || !r->guardian) return rc;
    /* It takes over a domain that is paused by us. */
    snap_guardian_asked(a->guardian);
    snap_guardian_end(r->guardian);
    r->guardian = NULL;
    return 0;
}

/* Past the commit: a half destroyed domain helps nobody, and its monitor
 * would make a second one. */
static void let_destroy_end(struct snap_revert *r, struct snap_act *a)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    int ignored;

    if (a->destroying)
        snap_worker_poll(a->worker, 120000, &ignored, NULL, NULL);
    snap_monitor_end(&quiet, &r->now.monitor, 10000);
    snap_ctx_dispose(&quiet);
}

/* The head, and what recovery has to know besides. */
static int begin_journal(struct snap_revert *r)
{
    struct snap_journal *j = &r->h->journal;
    int rc;

    rc = snap_op_journal_head(r->sc, j, "revert", r->p->domain_name,
                              r->now.exists ? r->now.dom.uuid : NULL,
                              r->now.exists ? (int64_t)r->now.dom.domid : -1,
                              NULL, r->p->retry_command);
    if (!rc && r->guardian) rc = snap_op_journal_mark(r->sc, j, "unpause");
    if (!rc && r->goes_back) rc = snap_op_journal_mark(r->sc, j, "goes_back");
    return rc;
}

/* Nothing was destroyed: a domain that was paused by us before runs again,
 * and while it does not, the guardian stays. */
static void unpause(struct snap_revert *r, int *outcome)
{
    if (snap_op_unpause(r->sc, r->h->xen, r->now.dom.domid,
                        r->now.dom.uuid))
        *outcome = LIBXL_SNAPSHOT_NOT_WHOLE;
    else if (*outcome == LIBXL_SNAPSHOT_REFUSED)
        *outcome = LIBXL_SNAPSHOT_UNDONE;
}

int snap_revert_act(struct snap_revert *r, libxl_snapshot_result *result)
{
    struct snap_act a = {
        .sc = r->sc, .xen = r->h->xen, .journal = &r->h->journal,
        .memory_fd = r->memory_fd, .header = r->header,
        .header_bytes = r->header_len, .notes = &result->notes,
        .stream_offset = r->image.stream_offset, .worker = r->worker,
        .image_as_is = r->image_as_is,
    };
    AUTO_FREE char *quoted = snap_op_quote(r->p->domain_name);
    bool paused = r->guardian;
    int rc, outcome;

    r->worker = NULL;
    rc = begin_journal(r);
    if (!rc) rc = start_guardian(r, &a);
    if (rc) {
        /* With a domain that we paused it is the caller's to close. */
        if (!r->guardian) snap_journal_close(r->sc, &r->h->journal);
        snap_worker_stop(a.worker);
        return rc;
    }
    rc = snap_act_run(&a, &r->plan, &outcome);
    if (rc && a.past_commit) let_destroy_end(r, &a);
    snap_worker_stop(a.worker);
    if (rc && paused && !a.past_commit) unpause(r, &outcome);
    if (outcome == LIBXL_SNAPSHOT_NOT_WHOLE && !a.past_commit)
        snap_guardian_leave(a.guardian);
    else
        snap_guardian_end(a.guardian);
    snap_qmp_close(a.qmp);
    r->built = a.built;
    r->lost = rc && a.past_commit && !a.built;
    result->domid = a.new_domid;
    if (!rc) fill_result(r, result);
    /* Past the commit a revert is finished by doing it again: what was begun
     * is in the plan of the next one, so the journal need not stay; but who
     * keeps the present goes back now. Once the domain is built, recover does
     * the little that is left: it runs, and is not to be reverted again. */
    if (outcome == LIBXL_SNAPSHOT_NOT_WHOLE && a.past_commit && !a.built) {
        struct snap_ctx quiet = SNAP_CTX_INIT;

        snap_op_drop_unused(&quiet, r->h->xen, r->p->domain_name, &r->plan,
                            r->plan.len, a.building);
        snap_ctx_dispose(&quiet);
        if (!r->p->keep || !r->lost)
            snap_journal_close(r->sc, &r->h->journal);
        return snap_op_finish(r->sc, rc, outcome, "%s",
                              r->p->retry_command);
    }
    return snap_op_finish(r->sc, rc, outcome, "xl snapshot-recover %s",
                          quoted);
}

int snap_revert_look(struct snap_revert *r, libxl_snapshot_result *result)
{
    struct snap_revert_request req = {
        .current_path = r->p->current_path, .exclude = r->p->exclude,
        .nexclude = r->p->nexclude, .force = r->p->force,
        .paused = r->p->state == LIBXL_SNAPSHOT_STATE_PAUSED
                  || (r->p->state == LIBXL_SNAPSHOT_STATE_AS_SAVED
                      && !r->p->disk_only && r->p->set->manifest.domain_state
                      && !strcmp(r->p->set->manifest.domain_state,
                                 "paused")),
        .protect = r->p->protect, .stock_xl = r->p->stock_xl,
        .unpause = r->guardian,
    };
    size_t i;
    int rc;

    rc = snap_worker_start(r->sc, r->h->journal.fd, &r->worker);
    if (!rc) rc = snap_revert_gather(r);
    if (!rc) rc = snap_plan_revert(r->sc, &r->f, &req, &r->plan);
    if (!rc) rc = snap_revert_check_world(r);
    if (!rc && !r->p->disk_only) rc = final_config(r);
    if (rc) return rc;
    for (i = 0; i < r->plan.notes.len; i++)
        snap_strings_add(&result->notes, r->plan.notes.data[i]);
    result->plan = snap_plan_text(&r->plan);
    if (r->p->dry_run) advise(r, result);
    return 0;
}

static int revert(struct snap_ctx *sc, struct snap_hold *h,
                  const libxl_snapshot_revert_params *params,
                  libxl_snapshot_result *result)
{
    struct snap_revert r = {
        .sc = sc, .p = params, .h = h, .memory_fd = -1,
    };
    int rc = snap_revert_look(&r, result);

    if (!rc && params->dry_run)
        sc->outcome = LIBXL_SNAPSHOT_DONE;
    else if (!rc)
        rc = snap_revert_act(&r, result);
    snap_revert_dispose(&r);
    return rc;
}

int libxl_snapshot_revert(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_revert_params *params,
                          libxl_snapshot_result *result)
{
    struct snap_hold hold = SNAP_HOLD_INIT;
    int rc;

    snap_op_begin(ctx, result);
    rc = snap_xen_open(ctx, &hold.xen);
    if (!rc) rc = snap_op_lock(ctx, params->domain_name,
                               params->lock_timeout_ms, &hold);
    if (!rc) rc = params->keep
                 ? snap_revert_keeping(ctx, &hold, params, result)
                 : revert(ctx, &hold, params, result);
    snap_hold_drop(&hold);
    return rc;
}
