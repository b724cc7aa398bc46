/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A revert that keeps the present: look whether it could be done, snapshot the
 * domain, which then stays paused, look again, revert; and back to the new
 * snapshot if the domain cannot be built.  The domain does not run in between,
 * so nothing that it does is lost.
 */
#include <string.h>

#include "op/create.h"
#include "op/revert.h"

struct keeping {
    struct snap_ctx *sc;
    struct snap_hold *h;
    const libxl_snapshot_revert_params *p;
    libxl_snapshot_create_params create;
    libxl_snapshot_result kept;     /* of the snapshot of the present */
    libxl_snapshot_set set;         /* it; borrows from kept */
    libxl_snapshot_set *others;     /* those of the caller, and it */
    libxl_snapshot_result *result;
};

/* What `from` says goes to the end of what `to` says. */
static void move_strings(struct snap_strings *to, struct snap_strings *from)
{
    size_t i;

    for (i = 0; i < from->len; i++)
        snap_strings_add(to, from->data[i]);
    snap_strings_dispose(from);
}

/* ---- before anything is touched ---------------------------------- */

/* A revert that would be refused is not worth a snapshot. */
static int could_be_done(struct keeping *k)
{
    struct snap_revert r = {
        .sc = k->sc, .p = k->p, .h = k->h, .memory_fd = -1,
    };
    libxl_snapshot_result ignored = { 0 };
    int rc;

    rc = snap_revert_look(&r, k->p->dry_run ? k->result : &ignored);
    libxl_snapshot_result_dispose(&ignored);
    snap_revert_dispose(&r);
    return rc;
}

static int dry_run(struct keeping *k)
{
    char *first = k->kept.plan, *then = k->result->plan;

    k->result->plan = snap_printf("%s%s", first ? first : "",
                                  then ? then : "");
    free(then);
    k->sc->outcome = LIBXL_SNAPSHOT_DONE;
    return 0;
}

/* ---- the snapshot ------------------------------------------------ */

static int keep(struct keeping *k, struct snap_guardian **guardian)
{
    struct snap_create c = {
        .sc = k->sc, .p = &k->create, .h = k->h, .hand_over = true,
    };
    int rc = snap_create_run(&c, &k->kept);

    *guardian = c.guardian;
    c.guardian = NULL;
    /* Made, but not whole: the error says so, and it runs on. */
    if (rc && k->sc->outcome == LIBXL_SNAPSHOT_NOT_WHOLE)
        snap_op_unpause(k->sc, k->h->xen, c.facts.dom.domid,
                        c.facts.dom.uuid);
    snap_create_dispose(&c);
    if (rc || k->p->dry_run) return rc;
    k->set = (libxl_snapshot_set){
        .directory = (char *)k->create.directory,
        .manifest = k->kept.manifest,
    };
    k->others = snap_zalloc((k->p->nothers + 1) * sizeof(*k->others));
    if (k->p->nothers)
        memcpy(k->others, k->p->others, k->p->nothers * sizeof(*k->others));
    k->others[k->p->nothers] = k->set;
    return 0;
}

/* Overlays that the snapshot gave the domain, which never runs on them, go
 * at the end of this revert. */
static void drop_overlays(struct keeping *k, struct snap_revert *r)
{
    const struct snap_manifest *m = &k->kept.manifest;
    size_t i;

    for (i = 0; i < m->ndisks; i++) {
        const struct snap_manifest_disk *d = &m->disks[i];
        struct snap_step *s;

        if (d->type != SNAP_DISK_EXTERNAL || !d->overlay) continue;
        s = snap_plan_add(&r->plan, STEP_REMOVE_OVERLAY);
        snap_step_arg(s, "path", d->overlay);
        snap_step_arg(s, "base", d->image);
    }
}

/* So what the revert said of them is not true any more. */
static void do_not_list_overlays(struct keeping *k)
{
    const struct snap_manifest *m = &k->kept.manifest;
    struct snap_strings left = k->result->left;
    size_t i, n;

    k->result->left = (struct snap_strings){ 0 };
    for (i = 0; i < m->ndisks; i++) {
        const char *overlay = m->disks[i].overlay;

        if (m->disks[i].type != SNAP_DISK_EXTERNAL || !overlay) continue;
        for (n = 0; n < left.len; n++) {
            size_t len = strlen(overlay);

            if (!strncmp(left.data[n], overlay, len)
                && left.data[n][len] == ' ')
                left.data[n][0] = 0;
        }
    }
    for (n = 0; n < left.len; n++)
        if (*left.data[n]) snap_strings_add(&k->result->left, left.data[n]);
    snap_strings_dispose(&left);
}

/* The domain goes on in them. */
static void advise_overlays(struct keeping *k)
{
    const struct snap_manifest *m = &k->kept.manifest;
    size_t i;

    for (i = 0; i < m->ndisks; i++)
        if (m->disks[i].type == SNAP_DISK_EXTERNAL)
            snap_strings_add(&k->result->advice, m->disks[i].child);
}

/* ---- the revert -------------------------------------------------- */

/* The old domain is gone and the new one could not be built. */
static int go_back(struct keeping *k, int rc)
{
    libxl_snapshot_revert_params p = *k->p;
    struct snap_revert r = {
        .sc = k->sc, .p = &p, .h = k->h, .memory_fd = -1, .goes_back = true,
    };
    libxl_snapshot_result back = { 0 };
    AUTO_FREE char *quoted = snap_op_quote(k->p->domain_name);
    char *why = k->sc->message;
    bool built;
    int again;

    p.set = &k->set;
    p.keep = NULL;
    p.domain_config = NULL;
    p.disk_only = false;
    p.exclude = (const char *const *)k->kept.manifest.excluded.data;
    p.nexclude = k->kept.manifest.excluded.len;
    p.state = LIBXL_SNAPSHOT_STATE_RUNNING;
    p.retry_command = k->p->keep_command;
    snap_log(k->sc, SNAP_LOG_NOTE, "%s: going back to what domain '%s' was",
             why ? why : "?", p.domain_name);
    /* The first error is the one to report, whatever comes of this. */
    k->sc->message = NULL;
    free(k->sc->hint);
    k->sc->hint = NULL;
    /* A signal has had its effect. */
    k->sc->cancelled = 0;
    again = snap_revert_look(&r, &back);
    if (!again) drop_overlays(k, &r);
    if (!again) again = snap_revert_act(&r, &back);
    built = r.built;
    snap_revert_dispose(&r);
    if (k->sc->message)
        snap_log(k->sc, SNAP_LOG_NOTE, "going back failed, too: %s",
                 k->sc->message);
    free(k->sc->message);
    k->sc->message = why;
    k->sc->rc = rc;
    if (again && !built) {
        /* The command that finishes it must not find a run of ours open. */
        snap_journal_close(k->sc, &k->h->journal);
    } else {
        do_not_list_overlays(k);
        move_strings(&k->result->advice, &back.advice);
        snap_log(k->sc, SNAP_LOG_NOTE, "domain '%s' is back where it was, "
                 "which is snapshot '%s', too", p.domain_name,
                 k->create.name);
    }
    libxl_snapshot_result_dispose(&back);
    if (again && built)
        return snap_op_finish(k->sc, rc, LIBXL_SNAPSHOT_NOT_WHOLE,
                              "xl snapshot-recover %s", quoted);
    return snap_op_finish(k->sc, rc, again ? LIBXL_SNAPSHOT_NOT_WHOLE
                                           : LIBXL_SNAPSHOT_UNDONE,
                          "%s", k->p->keep_command);
}

/* Refused although it was possible before; the journal is that of the
 * snapshot, which is whole, with the mark that the pause is ours. */
static void let_go(struct keeping *k, struct snap_revert *r)
{
    AUTO_FREE char *quoted = snap_op_quote(k->p->domain_name);

    if (snap_op_unpause(k->sc, k->h->xen, k->create.domid,
                        k->kept.manifest.domain_uuid)) {
        snap_guardian_leave(r->guardian);
        r->guardian = NULL;
        snap_op_finish(k->sc, 0, LIBXL_SNAPSHOT_NOT_WHOLE,
                       "xl snapshot-recover %s", quoted);
        return;
    }
    snap_journal_close(k->sc, &k->h->journal);
    k->sc->outcome = LIBXL_SNAPSHOT_UNDONE;
}

static int revert(struct keeping *k, struct snap_guardian *guardian)
{
    libxl_snapshot_revert_params p = *k->p;
    struct snap_revert r = {
        .sc = k->sc, .p = &p, .h = k->h, .memory_fd = -1,
        .guardian = guardian,
    };
    bool built, lost;
    int rc;

    p.others = k->others;
    p.nothers++;
    rc = snap_revert_look(&r, k->result);
    if (!rc) drop_overlays(k, &r);
    if (!rc) rc = snap_revert_act(&r, k->result);
    built = r.built;
    lost = r.lost;
    if (rc && r.guardian) let_go(k, &r);
    snap_revert_dispose(&r);
    if (lost) return go_back(k, rc);
    if (built) do_not_list_overlays(k);
    if (built) return rc;
    advise_overlays(k);
    snap_log(k->sc, SNAP_LOG_NOTE, "the snapshot '%s' of domain '%s' is made "
             "and stays", k->create.name, p.domain_name);
    return rc;
}

int snap_revert_keeping(struct snap_ctx *sc, struct snap_hold *h,
                        const libxl_snapshot_revert_params *params,
                        libxl_snapshot_result *result)
{
    struct keeping k = {
        .sc = sc, .h = h, .p = params, .create = *params->keep,
        .result = result,
    };
    struct snap_guardian *guardian = NULL;
    int rc;

    k.create.live = false;
    k.create.leave_paused = false;
    k.create.dry_run = params->dry_run;
    k.create.lock_timeout_ms = params->lock_timeout_ms;
    rc = could_be_done(&k);
    if (!rc) rc = keep(&k, &guardian);
    if (!rc && params->dry_run)
        rc = dry_run(&k);
    else if (!rc)
        rc = revert(&k, guardian);
    move_strings(&result->notes, &k.kept.notes);
    free(k.others);
    libxl_snapshot_result_dispose(&k.kept);
    return rc;
}
