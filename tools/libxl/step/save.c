/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The steps in which a domain is suspended and its memory saved.  libxl does
 * both in one call, which the worker makes; it is watched from here, in two
 * steps, so that in between the rest can be made ready.
 */
#include "step/step.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* libxl itself waits 60 s for the answer and 60 s for the suspension. */
#define SAVE_STALL_MS 150000
#define STAND_POLL_MS 10
#define SAVE_POLL_MS 100

/* ---- what libxl's call came to ----------------------------------- */

static int suspend_failed(struct snap_act *a, int xl_rc, const char *line)
{
    const char *name = a->facts->dom.name;
    struct snap_dominfo dom;
    int rc;

    /* libxl does not say it like that. */
    rc = snap_xen_domain(a->xen, a->facts->dom.domid, &dom);
    if (rc)
        snap_clear(a->sc);
    else
        snap_dominfo_dispose(&dom);
    if (rc == ERROR_DOMAIN_NOTFOUND)
        return snap_fail(a->sc, rc, "domain '%s' (%u) is gone: it rebooted, "
                         "powered off or was destroyed while its memory was "
                         "saved", name, a->facts->dom.domid);
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

/* The worker's answer is there: rc of the channel, xl_rc of libxl. */
static int save_returned(struct snap_act *a, int rc, int xl_rc,
                         const char *line)
{
    a->saved = true;
    a->stood_ms = snap_now_ms();
    if (rc)
        return snap_fail(a->sc, rc, "saving memory: the process that called "
                         "libxl died; is there space left where the memory "
                         "image goes?");
    return xl_rc ? suspend_failed(a, xl_rc, line) : 0;
}

/* Wait a little for the answer. 1: it has not come. */
static int poll_save(struct snap_act *a, int timeout_ms)
{
    AUTO_FREE char *line = NULL;
    int xl_rc = 0;
    int rc = snap_worker_poll(a->worker, timeout_ms, &xl_rc, &line, NULL);

    if (rc <= 0) return save_returned(a, rc, xl_rc, line);
    if (!a->sc->cancelled) return 1;
    return snap_fail(a->sc, ERROR_ABORTED, "interrupted by a signal while "
                     "memory was saved");
}

/* ---- suspend ----------------------------------------------------- */

/* Asked, until the domain stands: what follows is true of a domain that does
 * nothing any more. A live save stops it only at its end. */
static int suspend_apply(struct snap_act *a, const struct snap_step *s)
{
    uint32_t domid = snap_step_get_u64(s, "domid");
    int rc;

    snap_xen_watch_suspend(a->xen, domid);
    a->asked_ms = snap_now_ms();
    snap_guardian_asked(a->guardian);
    rc = snap_worker_send(a->worker, SNAP_WORKER_SUSPEND, domid, a->live,
                          NULL, 0);
    if (rc) return save_returned(a, rc, 0, NULL);
    if (a->live) return 0;
    while ((rc = poll_save(a, STAND_POLL_MS)) > 0
           && !snap_xen_is_suspended(a->xen, domid))
        if (snap_now_ms() - a->asked_ms > SAVE_STALL_MS)
            return snap_fail(a->sc, ERROR_TIMEDOUT, "libxl did not suspend "
                             "the domain within %d s, nor give up: is "
                             "xenstored stuck?", SAVE_STALL_MS / 1000);
    return rc < 0 ? rc : 0;
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
    asked = a->asked_ms && !a->withdrawn && !a->answered
            && snap_xen_suspend_was_asked(a->xen, domid);
    rc = snap_rescue(a->sc, a->xen, domid, snap_step_get(s, "uuid"),
                     !strcmp(snap_step_get(s, "how"), "live-save"),
                     asked ? SNAP_RESCUE_WAIT_MS : 0, &resumed);
    if (!rc) snap_guardian_resumed(a->guardian);
    if (rc <= 0) return rc;
    a->unclear = true;
    return snap_fail(a->sc, ERROR_FAIL, "the guest may still suspend itself: "
                     "it answered the request but did not act");
}

const struct snap_step_ops snap_step_suspend = {
    .apply = suspend_apply, .undo = suspend_undo,
};


/* ---- the memory -------------------------------------------------- */

/* How far the memory file has grown. Not by its offset: reading that waits
 * for a write in progress, for ever when the storage hangs. */
static off_t file_size(struct snap_act *a)
{
    struct stat st;

    return fstat(a->memory_fd, &st) ? -1 : st.st_size;
}

/* The save's end, watching the file grow. */
static int await_save(struct snap_act *a, const struct snap_step *s,
                      uint64_t total)
{
    uint32_t domid = snap_step_get_u64(s, "domid");
    int64_t moved_ms = snap_now_ms();
    off_t last = -1;

    while (!a->saved) {
        int rc = poll_save(a, a->live ? STAND_POLL_MS : SAVE_POLL_MS);
        off_t at = file_size(a);

        if (rc <= 0) return rc;
        /* When did a live save stop the guest? */
        if (a->live && !a->stopped_ms && snap_xen_is_suspended(a->xen, domid))
            a->stopped_ms = snap_now_ms();
        if (at != last) moved_ms = snap_now_ms();
        last = at;
        if (at > 0)
            snap_report_progress(a->sc, "memory", at, total, false);
        if (snap_now_ms() - moved_ms > SAVE_STALL_MS)
            return snap_fail(a->sc, ERROR_TIMEDOUT, "saving memory made no "
                             "progress for %d s: is the storage stuck?",
                             SAVE_STALL_MS / 1000);
    }
    return 0;
}

/* The END record of the libxl stream: eight zero bytes. */
static int check_end(struct snap_act *a, const char *path)
{
    off_t at = file_size(a);
    char end[8] = "no end";
    static const char zero[8];

    if (at < 0 || (at >= 8 && pread(a->memory_fd, end, 8, at - 8) < 0))
        return snap_fail_errno(a->sc, errno, "the memory image '%s' cannot be "
                               "read", path);
    if (at < (off_t)a->header_bytes + 24 || memcmp(end, zero, 8))
        return snap_fail(a->sc, ERROR_FAIL, "the memory image '%s' does not "
                         "end as it should", path);
    return 0;
}

int snap_step_check_stands(struct snap_act *a, const struct snap_step *s)
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

static int memory_apply(struct snap_act *a, const struct snap_step *s)
{
    uint64_t total = a->facts->dom.current_kb * 1024;
    int rc = await_save(a, s, total);

    if (rc) return rc;
    snap_report_progress(a->sc, "memory", file_size(a), total, true);
    rc = check_end(a, snap_step_get(s, "path"));
    if (!rc) rc = snap_step_check_stands(a, s);
    if (rc) return rc;
    a->answered = true;
    snap_guardian_answered(a->guardian);
    return 0;
}

/* Undone with the suspend. */
const struct snap_step_ops snap_step_memory = { .apply = memory_apply };
