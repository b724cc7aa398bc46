/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The steps of a revert: new images, the old domain's end, and tags.  How the
 * domain is built again is in build.c.
 */
#include "step/step.h"

#include <poll.h>
#include <string.h>

#include "host/users.h"

#define DESTROY_TIMEOUT_MS 120000
#define QEMU_GONE_MS 60000

/* ---- new images -------------------------------------------------- */

static int overlay_apply(struct snap_act *a, const struct snap_step *s)
{
    return snap_image_create_overlay(a->sc, snap_step_get(s, "path"),
                                     snap_step_get(s, "base"),
                                     snap_step_get(s, "format"));
}

static int copy_apply(struct snap_act *a, const struct snap_step *s)
{
    AUTO_FREE char *what = snap_printf("copy %s", snap_step_get(s, "vdev"));

    return snap_fs_copy(a->sc, snap_step_get(s, "from"),
                        snap_step_get(s, "path"), what);
}

/* Creating refuses a path that is taken and removes what it began: when it
 * failed here, what stands there is not ours. */
static int new_image_undo(struct snap_act *a, const struct snap_step *s)
{
    if (a->failed_here) return 0;
    return snap_fs_remove(a->sc, snap_step_get(s, "path"));
}

const struct snap_step_ops snap_step_overlay = {
    .apply = overlay_apply, .undo = new_image_undo,
};
const struct snap_step_ops snap_step_copy = {
    .apply = copy_apply, .undo = new_image_undo,
};

/* ---- the old domain's end ---------------------------------------- */

/* One that is paused already stays so: Xen counts. */
static int pause_apply(struct snap_act *a, const struct snap_step *s)
{
    struct snap_dominfo dom;
    struct snap_worker *w;
    bool paused;
    int rc = snap_act_worker(a, &w);

    if (rc) return rc;
    snap_guardian_asked(a->guardian);
    if (!snap_xen_domain(a->xen, snap_step_get_u64(s, "domid"), &dom)) {
        paused = dom.paused;
        snap_dominfo_dispose(&dom);
        if (paused) return 0;
    }
    return snap_worker_call(w, SNAP_WORKER_PAUSE,
                            snap_step_get_u64(s, "domid"), 0, NULL, 0,
                            DESTROY_TIMEOUT_MS, "pausing the domain", NULL);
}

static int pause_undo(struct snap_act *a, const struct snap_step *s)
{
    uint32_t domid = snap_step_get_u64(s, "domid");
    struct snap_dominfo dom;
    struct snap_worker *w;
    bool ours;
    int rc;

    if (a->unpaused) return 0;
    rc = snap_xen_domain(a->xen, domid, &dom);
    if (rc) return rc == ERROR_DOMAIN_NOTFOUND ? 0 : rc;
    ours = dom.paused && !strcmp(dom.uuid, snap_step_get(s, "uuid"));
    snap_dominfo_dispose(&dom);
    if (!ours) return 0;
    rc = snap_act_worker(a, &w);
    if (rc) return rc;
    return snap_worker_call(w, SNAP_WORKER_UNPAUSE, domid, 0, NULL, 0,
                            DESTROY_TIMEOUT_MS, "unpausing the domain", NULL);
}

const struct snap_step_ops snap_step_pause = {
    .apply = pause_apply, .undo = pause_undo,
};

/* Same domain as in the plan, or still none of that name. */
static int recheck_domain(struct snap_act *a, const struct snap_step *s)
{
    const char *name = snap_step_get(s, "domain");
    const char *uuid = snap_step_get(s, "uuid");
    struct snap_dominfo dom;
    uint32_t domid;
    bool same;
    int rc;

    if (!name) return 0;
    rc = snap_xen_by_name(a->xen, name, &domid);
    if (rc && rc != ERROR_DOMAIN_NOTFOUND) return rc;
    if (rc) {
        if (!uuid) return 0;
        return snap_fail(a->sc, ERROR_FAIL, "domain '%s' vanished meanwhile",
                         name);
    }
    if (!uuid)
        return snap_fail(a->sc, ERROR_FAIL, "somebody started a domain '%s' "
                         "meanwhile", name);
    if (snap_xen_domain(a->xen, domid, &dom))
        return snap_fail(a->sc, ERROR_FAIL, "domain '%s' vanished meanwhile",
                         name);
    same = domid == snap_step_get_u64(s, "domid") && !strcmp(dom.uuid, uuid);
    snap_dominfo_dispose(&dom);
    if (!same)
        return snap_fail(a->sc, ERROR_FAIL, "domain '%s' is not the one it "
                         "was: it was restarted meanwhile", name);
    return 0;
}

int snap_step_check_idle(struct snap_act *a, const struct snap_step *s,
                         const struct snap_fs_id *ids, size_t n)
{
    int skip[2] = { getpid(), snap_step_get_u64(s, "qemu-pid") };
    uint64_t own = snap_step_get_u64(s, "domid");
    AUTO_FREE char *user = NULL;
    int rc;

    if (!n) return 0;
    rc = snap_users_find(a->sc, a->xen, own ? (int64_t)own : -1, ids, n, skip,
                         2, &user);
    return rc || !user ? rc : snap_fail(a->sc, ERROR_FAIL, "image %s", user);
}

static int recheck_idle_apply(struct snap_act *a, const struct snap_step *s)
{
    struct snap_fs_id *ids = snap_zalloc((s->args.len + 1) * sizeof(*ids));
    const char *path;
    size_t i, n;
    int rc;

    rc = recheck_domain(a, s);
    for (n = 0; !rc && (path = snap_step_get_nth(s, "image", n)); n++)
        rc = snap_fs_identify(a->sc, path, &ids[n]);
    if (!rc) rc = snap_step_check_idle(a, s, ids, n);
    for (i = 0; i <= n; i++)
        free(ids[i].real);
    free(ids);
    return rc;
}

const struct snap_step_ops snap_step_recheck_idle = {
    .apply = recheck_idle_apply,
};

/* Gone from Xen, too: its name is free then. */
static int wait_destroyed(struct snap_act *a, uint32_t domid)
{
    int rc = snap_xen_await_gone(a->xen, domid, DESTROY_TIMEOUT_MS);

    if (rc != ERROR_TIMEDOUT) return rc;
    return snap_fail(a->sc, rc, "domain %u was destroyed but does not go "
                     "away: does somebody hold its memory?", domid);
}

/* Take libxl's answer to the destroy; 1: it has not come. */
static int poll_destroy(struct snap_act *a, int timeout_ms)
{
    AUTO_FREE char *line = NULL;
    int rc, xl_rc = 0;

    rc = snap_worker_poll(a->worker, timeout_ms, &xl_rc, &line, NULL);
    if (rc > 0) return 1;
    a->destroying = false;
    if (rc)
        return snap_fail(a->sc, rc, "destroying the domain: the process that "
                         "called libxl died");
    if (xl_rc)
        return snap_fail(a->sc, xl_rc, "destroying the domain: libxl failed "
                         "(%d): %s", xl_rc, line && *line ? line
                                                          : "no reason given");
    return 0;
}

static int await_qemu_gone(struct snap_act *a, const struct snap_step *s)
{
    int64_t deadline = snap_now_ms() + QEMU_GONE_MS;

    while (snap_process_wait_gone(snap_step_get_u64(s, "qemu-pid"),
                                  snap_step_get_u64(s, "qemu-start"), 100)) {
        int rc = a->destroying ? poll_destroy(a, 0) : 0;

        if (rc < 0) return rc;
        if (!snap_left_ms(deadline))
            return snap_fail(a->sc, ERROR_TIMEDOUT, "the domain's QEMU "
                             "(process %s) does not end, so its images cannot "
                             "be touched", snap_step_get(s, "qemu-pid"));
    }
    return 0;
}

/* libxl ends QEMU first and then waits for devices and memory for seconds;
 * the images are free as soon as QEMU is gone, so the rest is waited for by
 * the step behind the disks'. */
static int destroy_apply(struct snap_act *a, const struct snap_step *s)
{
    struct snap_worker *w;
    int rc;

    rc = snap_act_worker(a, &w);
    if (rc) return rc;
    /* From here on nobody may unpause it any more. */
    a->past_commit = true;
    snap_guardian_resumed(a->guardian);
    rc = snap_worker_send(w, SNAP_WORKER_DESTROY,
                              snap_step_get_u64(s, "domid"), 0, NULL, 0);
    if (rc)
        return snap_fail(a->sc, rc, "destroying the domain: the process that "
                         "calls libxl died");
    a->destroying = true;
    return await_qemu_gone(a, s);
}

static int destroyed_apply(struct snap_act *a, const struct snap_step *s)
{
    int rc = a->destroying ? poll_destroy(a, DESTROY_TIMEOUT_MS) : 0;

    if (rc > 0)
        return snap_fail(a->sc, ERROR_TIMEDOUT, "destroying the domain: "
                         "libxl did not answer within %d s",
                         DESTROY_TIMEOUT_MS / 1000);
    if (rc) return rc;
    return wait_destroyed(a, snap_step_get_u64(s, "domid"));
}

const struct snap_step_ops snap_step_destroy = { .apply = destroy_apply };
const struct snap_step_ops snap_step_destroyed = { .apply = destroyed_apply };

/* ---- tags -------------------------------------------------------- */

static int apply_tag_apply(struct snap_act *a, const struct snap_step *s)
{
    int rc = recheck_idle_apply(a, s);

    if (rc) return rc;
    a->past_commit = true;
    return snap_image_apply_tag(a->sc, snap_step_get(s, "path"), "qcow2",
                                snap_step_get(s, "tag"), true);
}

const struct snap_step_ops snap_step_apply_tag = { .apply = apply_tag_apply };
