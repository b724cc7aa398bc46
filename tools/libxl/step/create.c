/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The steps around a domain that stands: the directory, the memory file,
 * holding the monitor, looking again, resuming.  Suspending it and saving its
 * memory is save.c's.
 */
#include "step/step.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define HOLD_TIMEOUT_MS 15000
#define RESUME_TIMEOUT_MS 90000

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

/* ---- looking again ---------------------------------------------- */

static int recheck_apply(struct snap_act *a, const struct snap_step *s)
{
    (void)s;
    return snap_facts_recheck(a->sc, a->xen, a->worker, a->facts);
}

const struct snap_step_ops snap_step_recheck = { .apply = recheck_apply };

/* ---- resume, the commit ------------------------------------------ */

static int see_running(struct snap_act *a, uint32_t domid)
{
    int tries;

    for (tries = 0; tries < 200; tries++) {
        struct snap_dominfo dom;
        bool still = true;
        int rc = snap_xen_domain(a->xen, domid, &dom);

        if (rc == ERROR_DOMAIN_NOTFOUND) return 0;
        if (!rc) {
            still = dom.suspended;
            snap_dominfo_dispose(&dom);
        }
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

    rc = snap_step_check_stands(a, s);
    if (rc) return rc;
    rc = snap_act_worker(a, &w);
    if (rc) return rc;
    if (*snap_step_get(s, "then")) {
        rc = snap_worker_call(w, SNAP_WORKER_PAUSE, domid, 0, NULL, 0,
                              RESUME_TIMEOUT_MS, "pausing the domain", NULL);
        if (rc) return rc;
    }
    snap_guardian_resuming(a->guardian);
    rc = snap_worker_call(w, SNAP_WORKER_RESUME, domid, 1, NULL, 0,
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
