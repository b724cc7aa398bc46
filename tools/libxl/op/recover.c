/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-recover: what an interrupted run left is brought back from its
 * journal.  The guest first: resumed if it stands, its monitor let go.  Then
 * an interrupted create is undone backwards if it had not reached its commit
 * (the resume), or finished if it had.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <libxl_utils.h>

#include "op/op.h"

struct recover {
    struct snap_ctx *sc;
    struct snap_xen *xen;
    struct snap_journal journal;
    struct snap_json *lines;
    const char *what, *uuid, *retry, *name;
    bool rescued;           /* the guardian has seen the guest run */
    bool unfinished;        /* the user has to run `retry` */
    int64_t domid;
    struct snap_manifest manifest;
    struct snap_plan plan;
    size_t begun;           /* steps that were intended */
    bool committed;         /* the commit step is done */
    size_t done;            /* steps done, in order */
};

/* ---- reading a journal ------------------------------------------- */

static int read_head(struct recover *r)
{
    const struct snap_json *head = snap_json_at(r->lines, 0);

    r->what = snap_json_get_str(head, "what");
    r->uuid = snap_json_get_str(head, "uuid");
    r->name = snap_json_get_str(head, "domain");
    r->retry = snap_json_get_str(head, "retry");
    r->domid = -1;
    snap_json_int(snap_json_get(head, "domid"), &r->domid);
    if (!r->what || !r->name)
        return snap_fail(r->sc, ERROR_INVAL, "the journal '%s' has no head "
                         "that can be understood", r->journal.path);
    return 0;
}

/* The last draft counts: it has what the steps found out. */
static int read_manifest(struct recover *r)
{
    const char *text = NULL;
    size_t i;

    for (i = 0; i < snap_json_len(r->lines); i++) {
        const char *t = snap_json_get_str(snap_json_at(r->lines, i),
                                          "manifest");
        if (t) text = t;
    }
    if (!text) return 0;
    return snap_manifest_parse_draft(r->sc, r->journal.path, text,
                                     strlen(text), &r->manifest);
}

static int read_step(struct recover *r, const struct snap_json *line)
{
    const struct snap_json *args = snap_json_get(line, "args");
    const char *word = snap_json_get_str(line, "kind");
    int kind = word ? snap_step_kind_of(word) : -1;
    struct snap_step *s;
    bool commit;
    size_t i;

    if (kind < 0)
        return snap_fail(r->sc, ERROR_INVAL, "the journal '%s' has a step "
                         "'%s' that this version does not know",
                         r->journal.path, word ? word : "?");
    s = snap_plan_add(&r->plan, kind);
    for (i = 0; i < snap_json_len(args); i++) {
        const char *arg = snap_json_str(snap_json_at(args, i));

        if (!arg)
            return snap_fail(r->sc, ERROR_INVAL, "the journal '%s' is "
                             "damaged", r->journal.path);
        snap_strings_add(&s->args, arg);
    }
    if (snap_json_bool(snap_json_get(line, "commit"), &commit) && commit)
        r->plan.commit = r->plan.len - 1;
    return 0;
}

static int read_lines(struct recover *r)
{
    size_t i;
    int rc;

    rc = snap_journal_load(r->sc, &r->journal, &r->lines);
    /* Not even its head was written whole: nothing was begun. */
    if (!rc && !snap_json_len(r->lines)) return 0;
    if (!rc) rc = read_head(r);
    if (!rc) rc = read_manifest(r);
    for (i = 1; !rc && i < snap_json_len(r->lines); i++) {
        const struct snap_json *line = snap_json_at(r->lines, i);
        int64_t n;

        if (snap_json_get(line, "rescued"))
            r->rescued = true;
        else if (snap_json_get(line, "step"))
            rc = read_step(r, line);
        else if (snap_json_int(snap_json_get(line, "intend"), &n)
                 && n >= 0 && (size_t)n < r->plan.len)
            r->begun = n + 1;
        else if (snap_json_int(snap_json_get(line, "done"), &n)
                 && n >= 0 && (size_t)n < r->plan.len)
            r->done = n + 1;
    }
    r->committed = r->done > r->plan.commit;
    return rc;
}

/* ---- the guest --------------------------------------------------- */

static const struct snap_step *find_step(struct recover *r,
                                         enum snap_step_kind kind)
{
    size_t i;

    for (i = 0; i < r->begun && i < r->plan.len; i++)
        if (r->plan.steps[i].kind == kind) return &r->plan.steps[i];
    return NULL;
}

static const struct snap_step *find_kind(struct recover *r,
                                         enum snap_step_kind kind)
{
    size_t i;

    for (i = 0; i < r->plan.len; i++)
        if (r->plan.steps[i].kind == kind) return &r->plan.steps[i];
    return NULL;
}

/* A guest that was asked has acted within a minute, or never will: count from
 * the journal's last line. */
static int time_to_wait(struct recover *r)
{
    struct timespec now;
    struct stat st;
    int64_t age_ms;

    if (r->rescued) return 0;
    if (fstat(r->journal.fd, &st) || clock_gettime(CLOCK_REALTIME, &now))
        return SNAP_RESCUE_WAIT_MS;
    age_ms = (int64_t)(now.tv_sec - st.st_mtim.tv_sec) * 1000;
    if (age_ms < 0) age_ms = 0;
    return age_ms > SNAP_RESCUE_WAIT_MS ? 0
                                        : SNAP_RESCUE_WAIT_MS - (int)age_ms;
}

static int rescue_guest(struct recover *r, libxl_snapshot_result *result)
{
    const struct snap_step *s = find_step(r, STEP_SUSPEND);
    bool resumed = false;
    int rc;

    if (!s || r->committed) return 0;
    rc = snap_rescue(r->sc, r->xen, r->domid, r->uuid,
                     !strcmp(snap_step_get(s, "how"), "live-save"),
                     time_to_wait(r), &resumed);
    /* 1: it did nothing in all that time, and never will. */
    if (resumed)
        snap_strings_take(&result->notes, snap_printf(
            "domain '%s' stood suspended and was resumed", r->name));
    return rc < 0 ? rc : 0;
}

static void release_monitor(struct recover *r, libxl_snapshot_result *result)
{
    const struct snap_step *s = find_step(r, STEP_MONITOR_HOLD);
    struct snap_monitor m = { 0 };
    char state = 0;

    /* Behind a destroy it is ended, not let go. */
    if (!s || (!strcmp(r->what, "revert") && r->begun > r->plan.commit))
        return;
    m.pid = snap_step_get_u64(s, "pid");
    m.start_time = snap_step_get_u64(s, "start");
    if (snap_process_start_time(m.pid, &state) == m.start_time
        && state == 'T')
        snap_strings_take(&result->notes, snap_printf(
            "xl's monitor (process %d) was held and goes on", m.pid));
    snap_monitor_release(&m);
}

/* ---- undo or finish ---------------------------------------------- */

static int forwards(struct snap_act *a, struct recover *r)
{
    size_t i;
    int rc = 0;

    /* What sealing finds out is not in the journal: seal again. */
    for (i = 0; i < r->done; i++)
        if (r->plan.steps[i].kind == STEP_SEAL) break;
    for (; !rc && i < r->plan.len; i++)
        rc = snap_step_ops(r->plan.steps[i].kind)->apply(a,
                                                         &r->plan.steps[i]);
    return rc;
}

static bool domain_is_there(struct recover *r)
{
    struct snap_dominfo dom;
    bool there;

    if (r->domid < 0 || snap_xen_domain(r->xen, r->domid, &dom)) return false;
    there = !r->uuid || !strcmp(dom.uuid, r->uuid);
    snap_dominfo_dispose(&dom);
    return there;
}

/* The tag that the dead run made, if the image is free; overlays stay: the
 * guest may have run on them after it was resumed. */
static int undo_disk_offline(struct snap_act *a, struct recover *r,
                             const struct snap_step *s, size_t i,
                             libxl_snapshot_result *result)
{
    const char *overlay = snap_step_get_nth(s, "overlay", i);
    struct snap_step one = { .kind = STEP_DELETE_TAG };
    int rc;

    if (strcmp(snap_step_get_nth(s, "how", i), "internal")) {
        if (!access(overlay, F_OK))
            snap_strings_take(&result->notes, snap_printf(
                "disk '%s' may have gone on in the overlay '%s': start the "
                "domain from that, or merge it with `qemu-img commit`",
                snap_step_get_nth(s, "vdev", i), overlay));
        return 0;
    }
    (void)r;
    snap_step_arg(&one, "path", snap_step_get_nth(s, "image", i));
    snap_step_arg(&one, "image", snap_step_get_nth(s, "image", i));
    snap_step_arg(&one, "tag", snap_step_get_nth(s, "tag", i));
    rc = snap_step_delete_tag.apply(a, &one);
    snap_strings_dispose(&one.args);
    return rc;
}

/* The host was restarted, or the domain is gone for another reason: images
 * alone are left to put right. */
static int undo_without_domain(struct snap_act *a, struct recover *r,
                               libxl_snapshot_result *result)
{
    const struct snap_step *s = find_step(r, STEP_DISKS);
    size_t i;
    int rc = 0;

    for (i = 0; !rc && s && snap_step_get_nth(s, "vdev", i); i++)
        rc = undo_disk_offline(a, r, s, i, result);
    for (i = r->begun; !rc && i-- > 0;) {
        enum snap_step_kind kind = r->plan.steps[i].kind;

        if (kind == STEP_MEMORY_FILE || kind == STEP_DIRECTORY
            || kind == STEP_MONITOR_HOLD)
            rc = snap_step_ops(kind)->undo(a, &r->plan.steps[i]);
    }
    if (!rc)
        snap_strings_take(&result->notes, snap_printf(
            "the snapshot '%s' of domain '%s', which is gone, was undone",
            r->manifest.name, r->name));
    return rc;
}

static int recover_create(struct recover *r, libxl_snapshot_result *result)
{
    struct snap_act a = {
        .sc = r->sc, .xen = r->xen, .manifest = &r->manifest,
        .memory_fd = -1, .notes = &result->notes,
    };
    int rc;

    if (r->committed && !forwards(&a, r)) {
        snap_strings_take(&result->notes, snap_printf(
            "the snapshot '%s' of domain '%s' was finished",
            r->manifest.name, r->name));
        rc = 0;
        goto out;
    }
    if (r->committed) {
        /* Its memory did not reach the disk, say: then there is none. */
        snap_strings_take(&result->notes, snap_printf(
            "the snapshot '%s' cannot be finished: %s", r->manifest.name,
            r->sc->message ? r->sc->message : "?"));
        snap_clear(r->sc);
    }
    if (!domain_is_there(r)) {
        rc = undo_without_domain(&a, r, result);
    } else {
        rc = snap_act_undo(&a, &r->plan,
                           r->committed ? r->plan.len : r->begun);
        if (!rc)
            snap_strings_take(&result->notes, snap_printf(
                "the snapshot '%s' of domain '%s' was undone",
                r->manifest.name, r->name));
    }
out:
    snap_qmp_close(a.qmp);
    snap_worker_stop(a.worker);
    return rc;
}

/* The destroy was intended, but the domain and its QEMU are both there. */
static bool destroy_never_began(struct recover *r)
{
    const struct snap_step *s = find_step(r, STEP_DESTROY);
    uint64_t start;

    if (!s || r->done > r->plan.commit || !domain_is_there(r)) return false;
    start = snap_step_get_u64(s, "qemu-start");
    return !start || snap_process_start_time(snap_step_get_u64(s, "qemu-pid"),
                                             NULL) == start;
}

/* Overlays and copies that no domain was built on; the next revert makes its
 * own. */
static int drop_new_images(struct snap_act *a, struct recover *r)
{
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < r->begun; i++)
        if (r->plan.steps[i].kind == STEP_OVERLAY
            || r->plan.steps[i].kind == STEP_COPY)
            rc = snap_step_ops(r->plan.steps[i].kind)
                     ->undo(a, &r->plan.steps[i]);
    return rc;
}

static int recover_revert(struct recover *r, libxl_snapshot_result *result)
{
    struct snap_act a = {
        .sc = r->sc, .xen = r->xen, .memory_fd = -1,
        .notes = &result->notes,
    };
    int rc = 0;

    if (r->begun <= r->plan.commit || destroy_never_began(r)) {
        rc = snap_act_undo(&a, &r->plan, r->begun);
        if (!rc)
            snap_strings_take(&result->notes, snap_printf(
                "the revert of domain '%s' had not begun to destroy "
                "anything and was undone", r->name));
    } else {
        const struct snap_step *end = find_kind(r, STEP_MONITOR_END);

        /* It would make a second domain. */
        if (end) rc = snap_step_monitor_end.apply(&a, end);
        if (!rc && !find_step(r, STEP_BUILD)) rc = drop_new_images(&a, r);
        /* Recovery never starts a domain: it says how. */
        r->unfinished = true;
        snap_strings_take(&result->notes, snap_printf(
            "the revert of domain '%s' was interrupted after the old domain "
            "was destroyed; finish it with: %s", r->name,
            r->retry ? r->retry : "xl snapshot-revert"));
    }
    snap_worker_stop(a.worker);
    return rc;
}

static int recover_open(struct recover *r, bool dry_run,
                        libxl_snapshot_result *result)
{
    int rc = read_lines(r);

    if (rc) return rc;
    if (!snap_json_len(r->lines)) {
        snap_strings_take(&result->notes, snap_printf(
            "'%s': nothing was begun", r->journal.path));
        return dry_run ? 0 : snap_journal_close(r->sc, &r->journal);
    }
    if (dry_run) {
        snap_strings_take(&result->notes, snap_printf(
            "an interrupted %s of domain '%s' would be %s", r->what, r->name,
            r->committed ? "finished" : "undone"));
        return 0;
    }
    rc = rescue_guest(r, result);
    if (rc) return rc;
    release_monitor(r, result);
    if (!strcmp(r->what, "create"))
        rc = recover_create(r, result);
    else if (!strcmp(r->what, "revert"))
        rc = recover_revert(r, result);
    else {
        r->unfinished = true;
        snap_strings_take(&result->notes, snap_printf(
            "an interrupted %s of domain '%s': finish it with: %s", r->what,
            r->name, r->retry ? r->retry : "the same command"));
    }
    return rc ? rc : snap_journal_close(r->sc, &r->journal);
}

/* A save or migration that runs now; its pid, or 0. */
static int save_helper(void)
{
    DIR *proc = opendir("/proc");
    struct dirent *e;
    int found = 0;

    while (proc && !found && (e = readdir(proc))) {
        AUTO_FREE char *path = snap_printf("/proc/%s/comm", e->d_name);
        char comm[32] = "";
        FILE *f;

        if (e->d_name[0] < '0' || e->d_name[0] > '9') continue;
        f = fopen(path, "re");
        if (!f) continue;
        /* The kernel keeps 15 characters of a name. */
        if (fgets(comm, sizeof(comm), f)
            && !strncmp(comm, "libxl-save-help", 15))
            found = atoi(e->d_name);
        fclose(f);
    }
    if (proc) closedir(proc);
    return found;
}

/* No run of ours was interrupted, but the domain may stand all the same: an
 * `xl save` was killed, say. */
static int recover_without_journal(struct recover *r, const char *name,
                                   bool dry_run,
                                   libxl_snapshot_result *result)
{
    struct snap_monitor m = { 0 };
    struct snap_dominfo dom;
    uint32_t domid;
    bool resumed, stands;
    int helper, rc = 0;

    stands = !libxl_name_to_domid(r->xen->ctx, name, &domid)
             && !snap_xen_domain(r->xen, domid, &dom);
    if (stands) {
        stands = dom.suspended;
        snap_dominfo_dispose(&dom);
    }
    if (!stands) {
        snap_strings_take(&result->notes, snap_printf(
            "domain '%s': nothing was interrupted", name));
        return 0;
    }
    helper = save_helper();
    if (helper)
        return snap_fail(r->sc, ERROR_INVAL, "domain '%s' stands suspended, "
                         "and a save or a migration works now (process %d), "
                         "perhaps on it; wait until that has ended", name,
                         helper);
    if (!dry_run)
        rc = snap_rescue(r->sc, r->xen, domid, NULL, false, 0, &resumed);
    if (rc < 0) return rc;
    if (!dry_run && !snap_monitor_find(r->sc, domid, &m))
        snap_monitor_release(&m);
    snap_monitor_dispose(&m);
    snap_strings_take(&result->notes, snap_printf(
        "domain '%s' stood suspended, by no run of ours, and %s resumed",
        name, dry_run ? "would be" : "was"));
    return 0;
}

static int recover_one(struct snap_ctx *sc, struct snap_xen *x,
                       const char *name, bool dry_run, int lock_timeout_ms,
                       libxl_snapshot_result *result)
{
    struct recover r = { .sc = sc, .xen = x, .journal.fd = -1 };
    int rc;

    rc = snap_journal_lock(sc, name, lock_timeout_ms, &r.journal);
    if (rc) return rc;
    if (r.journal.open)
        rc = recover_open(&r, dry_run, result);
    else
        rc = recover_without_journal(&r, name, dry_run, result);
    if (!rc && r.unfinished) {
        rc = snap_fail(sc, ERROR_FAIL, "domain '%s' is not whole yet", name);
        free(sc->hint);
        sc->hint = snap_strdup(r.retry);
    }
    snap_journal_unlock(&r.journal);
    snap_json_free(r.lines);
    snap_manifest_dispose(&r.manifest);
    snap_plan_dispose(&r.plan);
    return rc;
}

int libxl_snapshot_recover(libxl_snapshot_ctx *ctx, const char *domain_name,
                           bool dry_run, int lock_timeout_ms,
                           libxl_snapshot_result *result)
{
    AUTO_XEN struct snap_xen *x = NULL;
    AUTO_FREE char *quoted = snap_op_quote(domain_name ? domain_name : "");
    struct snap_strings names = { 0 };
    size_t i;
    int rc, first = 0;

    snap_op_begin(ctx, result);
    rc = snap_xen_open(ctx, &x);
    if (rc) return rc;
    if (domain_name)
        snap_strings_add(&names, domain_name);
    else
        snap_journal_list(&names);
    for (i = 0; i < names.len; i++) {
        int one = recover_one(ctx, x, names.data[i], dry_run,
                              lock_timeout_ms, result);

        if (one && !first) first = one;
    }
    snap_strings_dispose(&names);
    rc = first;
    if (rc && ctx->hint) {
        ctx->outcome = LIBXL_SNAPSHOT_NOT_WHOLE;
        return rc;
    }
    return snap_op_finish(ctx, rc, rc ? LIBXL_SNAPSHOT_NOT_WHOLE
                                      : LIBXL_SNAPSHOT_DONE,
                          "xl snapshot-recover%s%s", domain_name ? " " : "",
                          domain_name ? quoted : "");
}
