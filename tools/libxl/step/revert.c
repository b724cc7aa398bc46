/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The steps of a revert: new images, the old domain's end, tags, and building
 * the domain by the stock `xl restore`.
 */
#include "step/step.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "host/claims.h"
#include "host/inuse.h"
#include "host/run.h"

#define DESTROY_TIMEOUT_MS 120000
#define QEMU_GONE_MS 60000
#define BUILD_TIMEOUT_MS (3600 * 1000)
#define BUILD_STALL_MS 300000
#define PIPE_BYTES (1 << 20)
#define OPENED_MS 5000

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

/* No other domain names one of these images, or has it below its own. */
static int claimed(struct snap_act *a, const struct snap_step *s,
                   const struct snap_fs_id *ids, size_t n)
{
    uint64_t own = snap_step_get_u64(s, "domid");
    struct snap_claim_hits hits;
    int rc = snap_claims_on(a->sc, a->xen, own ? (int64_t)own : -1, ids, n,
                            &hits);

    if (!rc && hits.len)
        rc = snap_fail(a->sc, ERROR_FAIL, "image '%s' is in use by %s",
                       ids[hits.data[0].image].real, hits.data[0].text);
    snap_claim_hits_dispose(&hits);
    return rc;
}

static int idle_images(struct snap_act *a, const struct snap_step *s,
                       struct snap_fs_id *ids, size_t *n)
{
    int skip[2] = { getpid(), snap_step_get_u64(s, "qemu-pid") };
    struct snap_inuse use = { 0 };
    const char *path;
    int rc = 0;

    for (*n = 0; (path = snap_step_get_nth(s, "image", *n)); ++*n) {
        rc = snap_fs_identify(a->sc, path, &ids[*n]);
        if (rc) return rc;
    }
    if (!*n) return 0;
    rc = snap_inuse_scan(a->sc, ids, *n, skip, 2, &use);
    if (!rc && use.len)
        rc = snap_fail(a->sc, ERROR_FAIL, "image '%s' is in use by %s",
                       ids[use.data[0].image].real, use.data[0].text);
    snap_inuse_dispose(&use);
    return rc ? rc : claimed(a, s, ids, *n);
}

static int recheck_idle_apply(struct snap_act *a, const struct snap_step *s)
{
    struct snap_fs_id *ids = snap_zalloc((s->args.len + 1) * sizeof(*ids));
    size_t i, n = 0;
    int rc;

    rc = recheck_domain(a, s);
    if (!rc) rc = idle_images(a, s, ids, &n);
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
    int64_t deadline = snap_now_ms() + DESTROY_TIMEOUT_MS;

    while (!libxl_domain_info(a->xen->ctx, NULL, domid)) {
        if (!snap_left_ms(deadline))
            return snap_fail(a->sc, ERROR_TIMEDOUT, "domain %u was destroyed "
                             "but does not go away: does somebody hold its "
                             "memory?", domid);
        poll(NULL, 0, 20);
    }
    return 0;
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

/* ---- build ------------------------------------------------------- */

/* Header and stream into the pipe; a child, because xl reads meanwhile. It
 * has an offset of its own and tells it in *at, which is shared memory: the
 * descriptor's offset is nobody's. */
static void feed(struct snap_act *a, int out, volatile loff_t *at)
{
    const char *p = a->header;
    size_t left = a->header_bytes;
    loff_t from = a->stream_offset;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snap_run_clean_signals();
    while (left) {
        ssize_t n = write(out, p, left);

        if (n <= 0) _exit(1);
        p += n;
        left -= n;
    }
    for (;;) {
        ssize_t n = splice(a->memory_fd, &from, out, NULL, PIPE_BYTES,
                           SPLICE_F_MOVE | SPLICE_F_MORE);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) _exit(1);
        if (n == 0) _exit(0);
        *at = from;
    }
}

struct build_watch {
    struct snap_act *a;
    uint64_t total;
    volatile loff_t *at;    /* shared with the feeder */
    loff_t last;
    int64_t moved_ms;
};

static bool watch_build(void *arg)
{
    struct build_watch *w = arg;
    loff_t at;

    if (!w->at) return true;        /* xl has an offset of its own */
    at = *w->at;

    if (at != w->last) w->moved_ms = snap_now_ms();
    w->last = at;
    snap_report_progress(w->a->sc, "memory", at, w->total, false);
    return snap_now_ms() - w->moved_ms < BUILD_STALL_MS;
}

static int start_feeder(struct snap_act *a, int *read_end, pid_t *feeder,
                        volatile loff_t *at)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC))
        return snap_fail_errno(a->sc, errno, "cannot make a pipe");
    fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES);
    *feeder = fork();
    if (!*feeder) {
        close(fds[0]);
        feed(a, fds[1], at);
    }
    close(fds[1]);
    *read_end = fds[0];
    if (*feeder < 0)
        return snap_fail_errno(a->sc, errno, "cannot fork");
    return 0;
}

static int run_restore(struct snap_act *a, const struct snap_step *s,
                       int read_end, volatile loff_t *at)
{
    bool paused = *snap_step_get(s, "then");
    struct stat st;
    const char *argv[] = {
        snap_step_get(s, "xl"), "restore", paused ? "-p" : "/dev/stdin",
        paused ? "/dev/stdin" : NULL, NULL,
    };
    struct build_watch watch = {
        .a = a, .moved_ms = snap_now_ms(), .at = at,
        .total = fstat(a->memory_fd, &st) ? 0 : st.st_size,
    };
    struct snap_run_opts opts = {
        .timeout_ms = BUILD_TIMEOUT_MS, .max_output = 1 << 20,
        .stdin_fd = read_end, .go_on = watch_build, .go_on_arg = &watch,
        .new_session = true,
    };
    struct snap_run_result r = { 0 };
    int64_t began_ms = snap_now_ms();
    int rc;

    rc = snap_run(a->sc, argv, &opts, &r);
    if (!rc && (!WIFEXITED(r.status) || WEXITSTATUS(r.status)))
        rc = snap_fail(a->sc, ERROR_FAIL, "`xl restore` failed (%s %d): %s; "
                       "see also /var/log/xen/xl-%s.log",
                       WIFEXITED(r.status) ? "exit status" : "signal",
                       WIFEXITED(r.status) ? WEXITSTATUS(r.status)
                                           : WTERMSIG(r.status),
                       r.err && *r.err ? r.err : "no reason given",
                       snap_step_get(s, "domain"));
    snap_run_result_dispose(&r);
    snap_log(a->sc, SNAP_LOG_DEBUG, "build: xl restore ran for %lld ms",
             (long long)(snap_now_ms() - began_ms));
    return rc;
}

/* A disk that QEMU cannot open is only a line in its log: its backend stays
 * in XenbusStateInitialising (1, xen/include/public/io/xenbus.h), and the
 * guest waits for it for ever. */
static const char *unopened(const struct snap_vbds *v)
{
    size_t i;

    for (i = 0; i < v->len; i++) {
        const struct snap_vbd *d = &v->data[i];

        if (!strcmp(d->backend, "qdisk") && d->backend_state <= 1
            && strcmp(d->device_type ? d->device_type : "", "cdrom"))
            return d->vdev;
    }
    return NULL;
}

static int check_opened(struct snap_act *a, const struct snap_step *s)
{
    int64_t deadline = snap_now_ms() + OPENED_MS;
    AUTO_FREE char *vdev = NULL;
    struct snap_vbds v;
    int rc;

    for (;;) {
        rc = snap_xen_vbds(a->xen, a->new_domid, &v);
        free(vdev);
        vdev = snap_strdup(unopened(&v));
        snap_vbds_dispose(&v);
        if (rc || !vdev) return rc;
        if (!snap_left_ms(deadline))
            return snap_fail(a->sc, ERROR_FAIL, "the domain was built, but "
                             "its QEMU could not open the disk '%s', see "
                             "/var/log/xen/qemu-dm-%s.log", vdev,
                             snap_step_get(s, "domain"));
        poll(NULL, 0, 50);
    }
}

/* It is there, with this name, and a monitor looks after it. */
static int check_built(struct snap_act *a, const struct snap_step *s)
{
    const char *name = snap_step_get(s, "domain");
    struct snap_monitor m = { 0 };
    int tries, rc;

    /* Whatever is wrong with it, it has the new images now. */
    a->past_commit = true;
    rc = snap_xen_by_name(a->xen, name, &a->new_domid);
    if (rc)
        return snap_fail(a->sc, ERROR_FAIL, "`xl restore` said it built "
                         "domain '%s', but it is not there", name);
    for (tries = 0; tries < 500; tries++) {
        rc = snap_monitor_find(a->sc, a->new_domid, &m);
        if (rc) return rc;
        if (m.pid) break;
        poll(NULL, 0, 10);
    }
    if (!m.pid && a->notes)
        snap_strings_take(a->notes, snap_printf(
            "xl's monitor of domain '%s' was not found: a reboot of the "
            "guest may not restart it", name));
    snap_monitor_dispose(&m);
    return check_opened(a, s);
}

/* What the overlays stand on is still what it was when it was looked at: the
 * old domain's QEMU may have had it open, and is gone only now. */
static int check_bases(struct snap_act *a, const struct snap_step *s)
{
    const char *base;
    size_t i;

    for (i = 0; (base = snap_step_get_nth(s, "base", i)); i++) {
        struct snap_fs_id id;
        AUTO_FREE char *now = NULL;
        int rc = snap_fs_identify(a->sc, base, &id);

        if (rc) return rc;
        free(id.real);
        now = snap_printf("%llu %lld", (unsigned long long)id.size_bytes,
                          (long long)id.mtime_ns);
        if (!id.block && strcmp(now, snap_step_get_nth(s, "base-was", i)))
            return snap_fail(a->sc, ERROR_FAIL, "the frozen base '%s' was "
                             "written to in the last moment: memory and disk "
                             "would not agree", base);
    }
    return 0;
}

/* A build that failed late can leave a shell of a domain that holds the name:
 * then nothing can be taken back before somebody has looked at it. */
static int rc_of_failed_build(struct snap_act *a, const struct snap_step *s,
                              int rc)
{
    uint32_t domid;

    if (snap_xen_by_name(a->xen, snap_step_get(s, "domain"), &domid)
        == ERROR_DOMAIN_NOTFOUND)
        return rc;
    a->past_commit = true;
    if (a->notes)
        snap_strings_take(a->notes, snap_printf(
            "`xl restore` left a domain '%s' (%u) behind: look at it, then "
            "`xl destroy %u`", snap_step_get(s, "domain"), domid, domid));
    return rc;
}

/* Nothing in its configuration changes: `xl restore` reads the file itself,
 * which spares a copy through a pipe. */
static int build_as_is(struct snap_act *a, const struct snap_step *s)
{
    int rc = run_restore(a, s, a->memory_fd, NULL);

    return rc ? rc_of_failed_build(a, s, rc) : check_built(a, s);
}

static int build(struct snap_act *a, const struct snap_step *s)
{
    AUTO_CLOSE int read_end = -1;
    volatile loff_t *at;
    pid_t feeder = -1;
    int rc;

    rc = check_bases(a, s);
    if (rc) return rc;
    if (a->image_as_is) return build_as_is(a, s);
    at = mmap(NULL, sizeof(*at), PROT_READ | PROT_WRITE,
              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return snap_fail_errno(a->sc, errno, "cannot share memory");
    rc = start_feeder(a, &read_end, &feeder, at);
    if (!rc) rc = run_restore(a, s, read_end, at);
    if (feeder > 0) {
        kill(feeder, SIGKILL);
        snap_run_reap(feeder, 5000);
    }
    munmap((void *)at, sizeof(*at));
    if (!rc) return check_built(a, s);
    return rc_of_failed_build(a, s, rc);
}

static int build_apply(struct snap_act *a, const struct snap_step *s)
{
    int rc;

    a->building = true;
    rc = build(a, s);
    a->built = !rc;
    return rc;
}

const struct snap_step_ops snap_step_build = { .apply = build_apply };
