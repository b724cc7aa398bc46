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

#include "op/interrupted.h"
#include "op/op.h"

struct recover {
    struct snap_ctx *sc;
    struct snap_xen *xen;
    struct snap_journal journal;
    struct snap_image_locks locks;
    struct snap_json *lines;            /* run borrows from them */
    struct snap_interrupted run;
    bool unfinished;        /* the user has to run `retry` */
};

/* ---- the guest --------------------------------------------------- */

/* A guest that was asked has acted within a minute, or never will: count from
 * the journal's last line. */
static int time_to_wait(struct recover *r)
{
    struct timespec now;
    struct stat st;
    int64_t age_ms;

    if (r->run.runs || r->run.answered) return 0;
    if (fstat(r->journal.fd, &st) || clock_gettime(CLOCK_REALTIME, &now))
        return SNAP_RESCUE_WAIT_MS;
    age_ms = (int64_t)(now.tv_sec - st.st_mtim.tv_sec) * 1000;
    if (age_ms < 0) age_ms = 0;
    return age_ms > SNAP_RESCUE_WAIT_MS ? 0
                                        : SNAP_RESCUE_WAIT_MS - (int)age_ms;
}

static int rescue_guest(struct recover *r, libxl_snapshot_result *result)
{
    const struct snap_step *s = snap_interrupted_begun(&r->run,
                                                       STEP_SUSPEND);
    bool resumed = false;
    int rc;

    if (!s || r->run.committed) return 0;
    rc = snap_rescue(r->sc, r->xen, r->run.domid, r->run.uuid,
                     !strcmp(snap_step_get(s, "how"), "live-save"),
                     time_to_wait(r), &resumed);
    /* 1: it did nothing in all that time, and never will. */
    if (resumed)
        snap_strings_take(&result->notes, snap_printf(
            "domain '%s' stood suspended and was resumed", r->run.name));
    return rc < 0 ? rc : 0;
}

static int domain_is_there(struct recover *r, bool *there)
{
    struct snap_dominfo dom;
    int rc;

    *there = false;
    if (r->run.domid < 0) return 0;
    rc = snap_xen_domain(r->xen, r->run.domid, &dom);
    if (rc) return rc == ERROR_DOMAIN_NOTFOUND ? 0 : rc;
    *there = !r->run.uuid || !strcmp(dom.uuid, r->run.uuid);
    snap_dominfo_dispose(&dom);
    return 0;
}

/* The one that the run held, or wanted to; false: none. */
static bool held_monitor(const struct snap_interrupted *run,
                         struct snap_monitor *m)
{
    const struct snap_step *s = snap_interrupted_begun(run,
                                                       STEP_MONITOR_HOLD);

    *m = (struct snap_monitor){ 0 };
    if (!s) return false;
    m->pid = snap_step_get_u64(s, "pid");
    m->start_time = snap_step_get_u64(s, "start");
    return m->pid;
}

static void release_monitor(struct recover *r, libxl_snapshot_result *result)
{
    const struct snap_interrupted *run = &r->run;
    struct snap_monitor m;
    char state = 0;

    if (!held_monitor(run, &m)) return;
    /* Behind a destroy it is ended, not let go. */
    if (!strcmp(run->what, "revert") && run->begun > run->plan.commit) return;
    if (snap_process_start_time(m.pid, &state) == m.start_time
        && state == 'T')
        snap_strings_take(&result->notes, snap_printf(
            "xl's monitor (process %d) was held and goes on", m.pid));
    snap_monitor_release(&m);
}

/* The domain is there, but nobody waits for it any more. A note is worth no
 * failure. */
static void tell_unwatched(struct recover *r, libxl_snapshot_result *result)
{
    struct snap_monitor m;
    bool there;

    if (!held_monitor(&r->run, &m) || snap_monitor_alive(&m)) return;
    if (domain_is_there(r, &there))
        snap_clear(r->sc);
    else if (there)
        snap_strings_take(&result->notes, snap_op_unwatched(r->run.name));
}

/* ---- undo or finish ---------------------------------------------- */

/* The steps from i on. */
static int forwards(struct snap_act *a, const struct snap_interrupted *run,
                    size_t i)
{
    const struct snap_step *steps = run->plan.steps;
    int rc = 0;

    for (; !rc && i < run->plan.len; i++)
        rc = snap_step_ops(steps[i].kind)->apply(a, &steps[i]);
    return rc;
}

/* The number of that step, or how many are done if it is not among them. */
static size_t done_or(const struct snap_interrupted *run,
                      enum snap_step_kind kind)
{
    size_t i;

    for (i = 0; i < run->done && run->plan.steps[i].kind != kind; i++)
        continue;
    return i;
}

/* The tag that the dead run made, if the image is free; overlays stay: the
 * guest may have run on them after it was resumed. */
static int undo_disk_offline(struct snap_act *a, const struct snap_step *s,
                             size_t i, libxl_snapshot_result *result)
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
    const struct snap_interrupted *run = &r->run;
    const struct snap_step *s = snap_interrupted_begun(run, STEP_DISKS);
    size_t i;
    int rc = 0;

    for (i = 0; !rc && s && snap_step_get_nth(s, "vdev", i); i++)
        rc = undo_disk_offline(a, s, i, result);
    for (i = run->begun; !rc && i-- > 0;) {
        enum snap_step_kind kind = run->plan.steps[i].kind;

        if (kind == STEP_MEMORY_FILE || kind == STEP_DIRECTORY
            || kind == STEP_MONITOR_HOLD)
            rc = snap_step_ops(kind)->undo(a, &run->plan.steps[i]);
    }
    if (!rc)
        snap_strings_take(&result->notes, snap_printf(
            "the snapshot '%s' of domain '%s', which is gone, was undone",
            run->manifest.name, run->name));
    return rc;
}

/* Or an adoption, which ends with its commit. */
static int recover_create(struct recover *r, libxl_snapshot_result *result)
{
    struct snap_interrupted *run = &r->run;
    struct snap_act a = {
        .sc = r->sc, .xen = r->xen, .manifest = &run->manifest,
        .memory_fd = -1, .notes = &result->notes,
    };
    bool there;
    int rc;

    if (run->committed) {
        /* What sealing finds out is not in the journal: seal again. */
        rc = forwards(&a, run, done_or(run, STEP_SEAL));
        if (!rc)
            snap_strings_take(&result->notes, snap_printf(
                "the snapshot '%s' of domain '%s' was finished",
                run->manifest.name, run->name));
        /* A disk that is full or a read that failed may be better next time:
         * nothing is thrown away for that. */
        if (rc != ERROR_INVAL && rc != ERROR_NOTFOUND) goto out;
        /* Its memory did not reach the disk, say: then there is none. */
        snap_strings_take(&result->notes, snap_printf(
            "the snapshot '%s' cannot be finished: %s", run->manifest.name,
            r->sc->message ? r->sc->message : "?"));
        snap_clear(r->sc);
    }
    /* Nothing of an adoption is the domain's. */
    there = !strcmp(run->what, "adopt");
    rc = there ? 0 : domain_is_there(r, &there);
    if (!rc && !there) {
        rc = undo_without_domain(&a, r, result);
    } else if (!rc) {
        rc = snap_act_undo(&a, &run->plan,
                           run->committed ? run->plan.len : run->begun);
        if (!rc)
            snap_strings_take(&result->notes, snap_printf(
                "the snapshot '%s' of domain '%s' was undone",
                run->manifest.name, run->name));
    }
out:
    snap_qmp_close(a.qmp);
    snap_worker_stop(a.worker);
    return rc;
}

/* The destroy was intended, but the domain and its QEMU are both well. */
static bool destroy_never_began(struct recover *r, bool there)
{
    const struct snap_interrupted *run = &r->run;
    const struct snap_step *s = snap_interrupted_begun(run, STEP_DESTROY);
    uint64_t start;

    if (!s || run->done > run->plan.commit || !there) return false;
    start = snap_step_get_u64(s, "qemu-start");
    return !start
           || snap_process_lives(snap_step_get_u64(s, "qemu-pid"), start);
}

/* From memory or by a boot; NULL: neither was begun. */
static const struct snap_step *begun_build(const struct snap_interrupted *run)
{
    const struct snap_step *s = snap_interrupted_begun(run, STEP_BUILD);

    return s ? s : snap_interrupted_begun(run, STEP_BOOT);
}

/* The domain is there, on its images.  *next: what is left then. */
static int is_built(struct snap_act *a, const struct snap_interrupted *run,
                    bool *built, size_t *next)
{
    const struct snap_step *s = begun_build(run);
    size_t i = s ? s - run->plan.steps : 0;

    *next = run->done > i ? run->done : i + 1;
    *built = s && run->done > i;
    return s && !*built ? snap_step_was_built(a, &run->plan, s, built) : 0;
}

static int undo_revert(struct snap_act *a, struct recover *r,
                       libxl_snapshot_result *result)
{
    const struct snap_interrupted *run = &r->run;
    int rc = snap_act_undo(a, &run->plan, run->begun);

    /* It was the way back of one that had. */
    r->unfinished = run->goes_back;
    if (!rc)
        snap_strings_take(&result->notes, run->goes_back ? snap_printf(
            "domain '%s' was destroyed by a revert that failed, and is "
            "off; finish it with: %s", run->name,
            run->retry ? run->retry : "xl snapshot-revert") : snap_printf(
            "the revert of domain '%s' had not begun to destroy "
            "anything and was undone", run->name));
    return rc;
}

/* The old domain is gone, and no new one is there. */
static int leave_destroyed(struct snap_act *a, struct recover *r,
                           libxl_snapshot_result *result)
{
    const struct snap_interrupted *run = &r->run;
    const struct snap_step *end =
        snap_interrupted_planned(run, STEP_MONITOR_END);
    int rc = 0;

    /* It would make a second domain. */
    if (end) rc = snap_step_monitor_end.apply(a, end);
    if (!rc)
        rc = snap_op_drop_unused(r->sc, r->xen, run->name, &run->plan,
                                 run->begun,
                                 begun_build(run));
    /* Recovery never starts a domain: it says how. */
    r->unfinished = true;
    snap_strings_take(&result->notes, snap_printf(
        "the revert of domain '%s' was interrupted after the old domain "
        "was destroyed; finish it with: %s", run->name,
        run->retry ? run->retry : "xl snapshot-revert"));
    return rc;
}

static int recover_revert(struct recover *r, libxl_snapshot_result *result)
{
    const struct snap_interrupted *run = &r->run;
    struct snap_act a = {
        .sc = r->sc, .xen = r->xen, .memory_fd = -1,
        .notes = &result->notes, .unpaused = run->unpaused,
    };
    bool there, built;
    size_t next;
    int rc = domain_is_there(r, &there);

    if (!rc) rc = is_built(&a, run, &built, &next);
    if (rc) return rc;
    if (built)
        rc = forwards(&a, run, next);
    else if (run->begun <= run->plan.commit || destroy_never_began(r, there))
        rc = undo_revert(&a, r, result);
    else
        rc = leave_destroyed(&a, r, result);
    if (!rc && built)
        snap_strings_take(&result->notes, snap_printf(
            "the revert of domain '%s' was finished", run->name));
    snap_worker_stop(a.worker);
    return rc;
}

/* From its commit on it is finished. */
static bool to_finish(const struct snap_interrupted *run)
{
    return strcmp(run->what, "delete") ? run->committed
                                       : run->begun > run->plan.commit;
}

/* The images that a merge has, by whichever of their names they are there. */
static void want_merged(struct recover *r)
{
    static const char *const keys[] = {
        "path", "aside", "top", "top-aside", "base",
    };
    size_t i, k;

    for (i = 0; i < r->run.plan.len; i++) {
        const struct snap_step *s = &r->run.plan.steps[i];

        if (s->kind != STEP_MERGE_UP && s->kind != STEP_MERGE_DOWN) continue;
        for (k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
            if (snap_step_get(s, keys[k]))
                snap_image_locks_want(&r->locks, snap_step_get(s, keys[k]),
                                      true);
    }
}

/* Up to its commit nothing is lost; from then on it is finished, with a mark in
 * the journal for each step: one that was done before another recovery must not
 * be done again by that, when its images are in use again. */
static int recover_delete(struct recover *r, libxl_snapshot_result *result)
{
    const struct snap_interrupted *run = &r->run;
    bool finish = to_finish(run);
    struct snap_act a = {
        .sc = r->sc, .xen = r->xen, .journal = &r->journal, .memory_fd = -1,
        .notes = &result->notes,
    };
    int rc = snap_journal_mend(r->sc, &r->journal);

    if (!rc)
        rc = finish ? snap_act_finish(&a, &run->plan, run->done)
                    : snap_act_undo(&a, &run->plan, run->begun);
    if (!rc)
        snap_strings_take(&result->notes, snap_printf(
            "deleting a snapshot of domain '%s' was %s", run->name,
            finish ? "finished" : run->begun ? "undone" : "not begun"));
    snap_qmp_close(a.qmp);
    snap_worker_stop(a.worker);
    return rc;
}

static int recover_open(struct recover *r, bool dry_run, int lock_timeout_ms,
                        libxl_snapshot_result *result)
{
    const struct snap_interrupted *run = &r->run;
    int rc;

    rc = snap_journal_load(r->sc, &r->journal, &r->lines);
    if (rc) return rc;
    if (!snap_json_len(r->lines)) {
        /* Not even its head was written whole. */
        snap_strings_take(&result->notes, snap_printf(
            "'%s': nothing was begun", r->journal.path));
        return dry_run ? 0 : snap_journal_close(r->sc, &r->journal);
    }
    rc = snap_interrupted_read(r->sc, r->journal.path, r->lines, &r->run);
    if (rc) return rc;
    if (dry_run) {
        snap_strings_take(&result->notes, snap_printf(
            "an interrupted %s of domain '%s' would be %s", run->what,
            run->name, to_finish(run) ? "finished" : "undone"));
        return 0;
    }
    rc = rescue_guest(r, result);
    if (rc) return rc;
    release_monitor(r, result);
    /* A revert was to follow, which does not now. */
    if (run->unpause && !run->unpaused)
        rc = snap_op_unpause(r->sc, r->xen, run->domid, run->uuid);
    /* The guest does not wait for these. */
    want_merged(r);
    if (!rc) rc = snap_op_lock_images(r->sc, &run->manifest, lock_timeout_ms,
                                      &r->locks);
    if (rc) return rc;
    if (!strcmp(run->what, "create") || !strcmp(run->what, "adopt"))
        rc = recover_create(r, result);
    else if (!strcmp(run->what, "revert"))
        rc = recover_revert(r, result);
    else
        rc = recover_delete(r, result);
    if (!rc) rc = snap_journal_close(r->sc, &r->journal);
    if (!rc) tell_unwatched(r, result);
    return rc;
}

/* The kernel keeps 15 characters of a name. */
static int is_save_helper(int pid, void *arg)
{
    char comm[SNAP_COMM_SIZE];

    (void)arg;
    if (snap_process_comm(pid, comm)) return snap_process_or_gone();
    return !strcmp(comm, "libxl-save-help");
}

/* A monitor that is stopped although no run of ours holds it goes on. */
static void let_monitor_go(const struct snap_monitor *m,
                           libxl_snapshot_result *result)
{
    char state = 0;

    if (!m->pid || snap_process_start_time(m->pid, &state) != m->start_time
        || state != 'T')
        return;
    snap_monitor_release(m);
    snap_strings_take(&result->notes, snap_printf(
        "xl's monitor (process %d) was stopped and goes on", m->pid));
}

/* No run of ours was interrupted, but the domain may stand all the same: an
 * `xl save` was killed, say. */
static int resume_stray(struct recover *r, const char *name, uint32_t domid,
                        bool dry_run, libxl_snapshot_result *result)
{
    int helper = snap_process_find(is_save_helper, NULL);
    bool resumed;
    int rc = 0;

    if (helper < 0)
        return snap_fail_errno(r->sc, errno, "domain '%s' stands suspended, "
                               "and whether a save or a migration works on it "
                               "cannot be seen in /proc", name);
    if (helper > 0)
        return snap_fail(r->sc, ERROR_INVAL, "domain '%s' stands suspended, "
                         "and a save or a migration works now (process %d), "
                         "perhaps on it; wait until that has ended", name,
                         helper);
    if (!dry_run)
        rc = snap_rescue(r->sc, r->xen, domid, NULL, false, 0, &resumed);
    if (rc < 0) return rc;
    snap_strings_take(&result->notes, snap_printf(
        "domain '%s' stood suspended, by no run of ours, and %s resumed",
        name, dry_run ? "would be" : "was"));
    return 0;
}

static int recover_without_journal(struct recover *r, const char *name,
                                   bool dry_run,
                                   libxl_snapshot_result *result)
{
    struct snap_monitor m = { 0 };
    struct snap_dominfo dom;
    uint32_t domid;
    bool stands = false;
    int rc;

    rc = snap_xen_by_name(r->xen, name, &domid);
    if (!rc) rc = snap_xen_domain(r->xen, domid, &dom);
    if (!rc) {
        stands = dom.suspended;
        snap_dominfo_dispose(&dom);
        rc = snap_monitor_find(r->sc, domid, &m);
    }
    if (rc && rc != ERROR_DOMAIN_NOTFOUND) return rc;
    rc = stands ? resume_stray(r, name, domid, dry_run, result) : 0;
    if (!rc && !dry_run) let_monitor_go(&m, result);
    snap_monitor_dispose(&m);
    if (!rc && !result->notes.len)
        snap_strings_take(&result->notes, snap_printf(
            "domain '%s': nothing was interrupted", name));
    return rc;
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
        rc = recover_open(&r, dry_run, lock_timeout_ms, result);
    else
        rc = recover_without_journal(&r, name, dry_run, result);
    if (!rc && r.unfinished) {
        rc = snap_fail(sc, ERROR_FAIL, "domain '%s' is not whole yet", name);
        free(sc->hint);
        sc->hint = snap_strdup(r.run.retry);
    }
    snap_image_locks_drop(&r.locks);
    snap_journal_unlock(&r.journal);
    snap_interrupted_dispose(&r.run);
    snap_json_free(r.lines);
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
        rc = snap_journal_list(ctx, &names);
    /* Those that were found are recovered, whatever else there is. */
    for (i = 0; i < names.len; i++) {
        int one = recover_one(ctx, x, names.data[i], dry_run,
                              lock_timeout_ms, result);

        if (one && !first) first = one;
    }
    snap_strings_dispose(&names);
    if (!dry_run) {
        snap_lock_sweep(SNAP_LOCK_SUFFIX);
        /* An empty journal tells of nothing. */
        snap_lock_sweep(SNAP_JOURNAL_SUFFIX);
    }
    if (!rc) rc = first;
    if (rc && ctx->hint) {
        ctx->outcome = LIBXL_SNAPSHOT_NOT_WHOLE;
        return rc;
    }
    return snap_op_finish(ctx, rc, rc ? LIBXL_SNAPSHOT_NOT_WHOLE
                                      : LIBXL_SNAPSHOT_DONE,
                          "xl snapshot-recover%s%s", domain_name ? " " : "",
                          domain_name ? quoted : "");
}
