/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The steps that take a domain's memory: the directory, the memory file,
 * holding the monitor, suspending, looking again, resuming.
 */
#include "step/step.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define HOLD_TIMEOUT_MS 15000
#define RESUME_TIMEOUT_MS 90000
/* libxl itself waits 60 s for the answer and 60 s for the suspension. */
#define SAVE_STALL_MS 150000
#define LIVE_POLL_MS 10

/* ---- files ------------------------------------------------------- */

static int directory_apply(struct snap_act *a, const struct snap_step *s)
{
    return snap_fs_new_dir(a->sc, snap_step_get(s, "path"));
}

static int directory_undo(struct snap_act *a, const struct snap_step *s)
{
    if (a->failed_here) return 0;       /* somebody else's, or never made */
    return snap_fs_remove_dir(a->sc, snap_step_get(s, "path"));
}

const struct snap_step_ops snap_step_directory = {
    .apply = directory_apply, .undo = directory_undo,
};

static int memory_file_apply(struct snap_act *a, const struct snap_step *s)
{
    const char *path = snap_step_get(s, "path");
    int rc;

    rc = snap_fs_allocate(a->sc, path, snap_step_get_u64(s, "bytes"),
                          &a->memory_fd);
    if (rc) return rc;
    /* Our own header first: libxl crashes when a stream's first bytes cannot
     * be written, and this finds out. */
    if (write(a->memory_fd, a->header, a->header_bytes)
        != (ssize_t)a->header_bytes)
        return snap_fail_errno(a->sc, errno ? errno : ENOSPC,
                               "cannot write '%s'", path);
    /* The worker inherits the descriptor, so it starts here. */
    rc = snap_worker_start(a->sc, a->memory_fd, &a->worker);
    if (rc) return rc;
    return snap_guardian_start(a->sc, &(struct snap_guardian_charge) {
        .domid = a->facts->dom.domid,
        .uuid = a->facts->dom.uuid,
        .live = a->live,
        .pauses = a->leave_paused,
        .worker_pgid = snap_worker_pgid(a->worker),
        .monitor = a->facts->monitor,
        .lock_fd = a->journal->fd,
    }, &a->guardian);
}

static int memory_file_undo(struct snap_act *a, const struct snap_step *s)
{
    if (a->memory_fd >= 0) close(a->memory_fd);
    /* No descriptor: it could not be made, so it is not ours. */
    if (a->failed_here && a->memory_fd < 0) return 0;
    a->memory_fd = -1;
    return snap_fs_remove(a->sc, snap_step_get(s, "path"));
}

const struct snap_step_ops snap_step_memory_file = {
    .apply = memory_file_apply, .undo = memory_file_undo,
};

/* ---- the monitor ------------------------------------------------- */

static void monitor_of(const struct snap_step *s, struct snap_monitor *m)
{
    memset(m, 0, sizeof(*m));
    m->pid = snap_step_get_u64(s, "pid");
    m->start_time = snap_step_get_u64(s, "start");
}

static int monitor_hold_apply(struct snap_act *a, const struct snap_step *s)
{
    struct snap_monitor m;

    monitor_of(s, &m);
    return snap_monitor_hold(a->sc, &m, HOLD_TIMEOUT_MS);
}

static int monitor_let_go(struct snap_act *a, const struct snap_step *s)
{
    struct snap_monitor m;

    /* It would exit if the guest still suspends: the guardian's to release. */
    if (a->unclear) return 0;
    monitor_of(s, &m);
    snap_monitor_release(&m);
    return 0;
}

const struct snap_step_ops snap_step_monitor_hold = {
    .apply = monitor_hold_apply, .undo = monitor_let_go,
};
const struct snap_step_ops snap_step_monitor_release = {
    .apply = monitor_let_go,
};

static int monitor_end_apply(struct snap_act *a, const struct snap_step *s)
{
    struct snap_monitor m;

    monitor_of(s, &m);
    return snap_monitor_end(a->sc, &m, HOLD_TIMEOUT_MS);
}

const struct snap_step_ops snap_step_monitor_end = {
    .apply = monitor_end_apply,
};

/* ---- suspend ----------------------------------------------------- */

static int suspend_failed(struct snap_act *a, int xl_rc, const char *line)
{
    const char *name = a->facts->dom.name;

    /* libxl withdrew the request: the guest never saw it, nothing comes. */
    a->withdrawn = line && strstr(line, "didn't acknowledge suspend");
    if (xl_rc == ERROR_GUEST_TIMEDOUT)
        return snap_fail(a->sc, xl_rc, "the guest of domain '%s' did not "
                         "answer the suspend request within 60 s: is it "
                         "still booting, without PV drivers, or hanging?",
                         name);
    return snap_fail(a->sc, xl_rc, "saving the memory of domain '%s' failed "
                     "(libxl %d): %s", name, xl_rc,
                     line && *line ? line : "no reason given");
}

/* How far the memory file has grown. Not by its offset: reading that waits
 * for a write in progress, for ever when the storage hangs. */
static off_t file_size(struct snap_act *a)
{
    struct stat st;

    return fstat(a->memory_fd, &st) ? -1 : st.st_size;
}

/* Wait for the save, watching the file grow. */
static int await_save(struct snap_act *a, uint64_t total, int *xl_rc,
                      char **line)
{
    int64_t moved_ms = snap_now_ms();
    off_t last = -1;

    for (;;) {
        off_t at;
        int rc = snap_worker_poll(a->worker, a->live ? LIVE_POLL_MS : 100,
                                  xl_rc, line, NULL);

        if (rc <= 0) return rc;
        /* A live save stops the guest only at its end: when? */
        if (a->live && !a->stopped_ms
            && snap_xen_is_suspended(a->xen, a->facts->dom.domid))
            a->stopped_ms = snap_now_ms();
        if (a->sc->cancelled)
            return snap_fail(a->sc, ERROR_ABORTED, "interrupted by a signal "
                             "while memory was saved");
        at = file_size(a);
        if (at != last) moved_ms = snap_now_ms();
        last = at;
        if (at > 0)
            snap_report_progress(a->sc, "memory", at, total, false);
        if (snap_now_ms() - moved_ms > SAVE_STALL_MS)
            return snap_fail(a->sc, ERROR_TIMEDOUT, "saving memory made no "
                             "progress for %d s: is the storage stuck?",
                             SAVE_STALL_MS / 1000);
    }
}

/* The END record of the libxl stream: eight zero bytes. */
static int check_end(struct snap_act *a, const char *path)
{
    off_t at = file_size(a);
    char end[8];
    static const char zero[8];

    if (at < (off_t)a->header_bytes + 24
        || pread(a->memory_fd, end, 8, at - 8) != 8 || memcmp(end, zero, 8))
        return snap_fail(a->sc, ERROR_FAIL, "the memory image '%s' does not "
                         "end as it should", path);
    return 0;
}

static int check_stands(struct snap_act *a, const struct snap_step *s)
{
    struct snap_dominfo dom;
    bool ok;

    if (snap_xen_domain(a->xen, snap_step_get_u64(s, "domid"), &dom))
        return snap_fail(a->sc, ERROR_FAIL, "the domain vanished while its "
                         "memory was saved");
    ok = dom.suspended && !strcmp(dom.uuid, snap_step_get(s, "uuid"));
    snap_dominfo_dispose(&dom);
    if (!ok)
        return snap_fail(a->sc, ERROR_FAIL, "the domain does not stand "
                         "suspended although its memory was saved: somebody "
                         "else resumed it");
    return 0;
}

static int suspend_apply(struct snap_act *a, const struct snap_step *s)
{
    AUTO_FREE char *line = NULL;
    uint64_t total = a->facts->dom.current_kb * 1024;
    int rc, xl_rc;

    snap_xen_watch_suspend(a->xen, snap_step_get_u64(s, "domid"));
    a->asked_ms = snap_now_ms();
    snap_guardian_asked(a->guardian);
    rc = snap_worker_send(a->worker, SNAP_WORKER_SUSPEND,
                          snap_step_get_u64(s, "domid"), a->live, NULL, 0);
    if (!rc) rc = await_save(a, total, &xl_rc, &line);
    a->stood_ms = snap_now_ms();
    if (rc && !a->sc->message)
        return snap_fail(a->sc, rc, "saving memory: the process that called "
                         "libxl died; is there space left where the memory "
                         "image goes?");
    if (rc) return rc;
    if (xl_rc) return suspend_failed(a, xl_rc, line);
    snap_report_progress(a->sc, "memory", file_size(a), total, true);
    rc = check_end(a, snap_step_get(s, "path"));
    return rc ? rc : check_stands(a, s);
}

/* Also the undo of everything before: the guest runs again. */
static int suspend_undo(struct snap_act *a, const struct snap_step *s)
{
    uint32_t domid = snap_step_get_u64(s, "domid");
    bool resumed, asked;
    int rc;

    /* A worker in the middle of a save must not suspend the guest later. */
    snap_worker_stop(a->worker);
    a->worker = NULL;
    snap_guardian_worker_gone(a->guardian);
    /* Recovery comes long after: whoever was asked has acted by then. */
    asked = a->asked_ms && !a->withdrawn
            && snap_xen_suspend_was_asked(a->xen, domid);
    rc = snap_rescue(a->sc, a->xen, domid, snap_step_get(s, "uuid"),
                     !strcmp(snap_step_get(s, "how"), "live-save"),
                     asked ? SNAP_RESCUE_WAIT_MS : 0, &resumed);
    a->unclear = rc > 0;
    if (rc > 0)
        return snap_fail(a->sc, ERROR_FAIL, "the guest may still suspend "
                         "itself: it answered the request but did not act");
    if (!rc) snap_guardian_resumed(a->guardian);
    return rc;
}

const struct snap_step_ops snap_step_suspend = {
    .apply = suspend_apply, .undo = suspend_undo,
};

static int recheck_apply(struct snap_act *a, const struct snap_step *s)
{
    (void)s;
    return snap_facts_recheck(a->sc, a->xen, a->worker, a->qmp, a->facts);
}

const struct snap_step_ops snap_step_recheck = { .apply = recheck_apply };

/* ---- resume, the commit ------------------------------------------ */

static int see_running(struct snap_act *a, uint32_t domid)
{
    int tries;

    for (tries = 0; tries < 200; tries++) {
        struct snap_dominfo dom;
        bool still;

        if (snap_xen_domain(a->xen, domid, &dom)) return 0;
        still = dom.suspended;
        snap_dominfo_dispose(&dom);
        if (!still) return 0;
        poll(NULL, 0, 10);
    }
    return snap_fail(a->sc, ERROR_FAIL, "domain %u was resumed but still "
                     "stands suspended", domid);
}

static int resume_apply(struct snap_act *a, const struct snap_step *s)
{
    uint32_t domid = snap_step_get_u64(s, "domid");
    struct snap_worker *w;
    int64_t resumed_ms;
    int rc;

    rc = check_stands(a, s);
    if (rc) return rc;
    rc = snap_act_worker(a, &w);
    if (rc) return rc;
    if (*snap_step_get(s, "then")) {
        rc = snap_worker_call(w, SNAP_WORKER_PAUSE, domid, 0, NULL, 0,
                              RESUME_TIMEOUT_MS, "pausing the domain", NULL);
        if (rc) return rc;
    }
    rc = snap_worker_call(w, SNAP_WORKER_RESUME, domid, 0, NULL, 0,
                          RESUME_TIMEOUT_MS, "resuming the domain", NULL);
    if (rc) return rc;
    resumed_ms = snap_now_ms();
    a->past_commit = true;
    rc = see_running(a, domid);
    if (rc) return rc;
    a->resumed_ms = resumed_ms;
    snap_guardian_resumed(a->guardian);
    if (a->manifest && a->asked_ms)
        a->manifest->pause_ms = a->resumed_ms
            - (!a->live ? a->asked_ms
               : a->stopped_ms ? a->stopped_ms : a->stood_ms);
    return 0;
}

/* A domain that was to stay paused, and now is to be as before. */
static int resume_undo(struct snap_act *a, const struct snap_step *s)
{
    return *snap_step_get(s, "then") ? snap_step_pause.undo(a, s) : 0;
}

const struct snap_step_ops snap_step_resume = {
    .apply = resume_apply, .undo = resume_undo,
};
