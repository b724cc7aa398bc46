/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The step that builds the domain: by the stock `xl restore`, which reads the
 * memory image, behind a header with the right disks.  xl and the process that
 * feeds it go on when we die: the old domain is gone, so the new one is what is
 * best for the guest.  The domain's lock is held until xl has ended; recover
 * sees what came of it.
 */
#include "step/step.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "host/run.h"

#define BUILD_TIMEOUT_MS (3600 * 1000)
#define BUILD_STALL_MS 300000
#define PIPE_BYTES (1 << 20)
#define OPENED_MS 5000
#define MONITOR_MS 5000

/* ---- feeding `xl restore` ---------------------------------------- */

/* Header and stream into the pipe; a child, because xl reads meanwhile. It
 * has an offset of its own and tells it in *at, which is shared memory: the
 * descriptor's offset is nobody's. */
static void feed(struct snap_act *a, int out, volatile loff_t *at)
{
    const int keep[] = { a->memory_fd, out };
    const char *p = a->header;
    size_t left = a->header_bytes;
    loff_t from = a->stream_offset;

    /* Ctrl-C is not for it. */
    setsid();
    snap_run_close_fds(keep, 2);
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

/* ---- `xl restore` ------------------------------------------------ */

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
        .new_session = true, .lock_fd = a->journal ? a->journal->fd : 0,
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

/* ---- what came of it --------------------------------------------- */

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

/* Wait for QEMU; *vdev: the disk that it did not open, malloc'd, or NULL. */
static int await_opened(struct snap_act *a, char **vdev)
{
    int64_t deadline = snap_now_ms() + OPENED_MS;
    struct snap_vbds v;
    int rc;

    for (*vdev = NULL;; poll(NULL, 0, 50)) {
        rc = snap_xen_vbds(a->xen, a->new_domid, &v);
        free(*vdev);
        *vdev = snap_strdup(unopened(&v));
        snap_vbds_dispose(&v);
        if (rc || !*vdev || !snap_left_ms(deadline)) return rc;
    }
}

/* xl's monitor looks after it: then xl is through.  *found may be false. */
static int await_monitor(struct snap_act *a, bool *found)
{
    int64_t deadline = snap_now_ms() + MONITOR_MS;
    struct snap_monitor m = { 0 };
    int rc;

    for (;;) {
        rc = snap_monitor_find(a->sc, a->new_domid, &m);
        *found = m.pid;
        snap_monitor_dispose(&m);
        if (rc || *found || !snap_left_ms(deadline)) return rc;
        poll(NULL, 0, 10);
    }
}

/* xl says that it built it.  What cannot be seen now is for recover to see:
 * the domain may well run. */
static int check_built(struct snap_act *a, const struct snap_step *s)
{
    const char *name = snap_step_get(s, "domain");
    AUTO_FREE char *vdev = NULL;
    bool found;
    int rc;

    /* Whatever is wrong with it, it has the new images now. */
    a->past_commit = true;
    rc = snap_xen_by_name(a->xen, name, &a->new_domid);
    a->built = rc != ERROR_DOMAIN_NOTFOUND;
    if (!a->built)
        return snap_fail(a->sc, ERROR_FAIL, "`xl restore` said it built "
                         "domain '%s', but it is not there", name);
    if (!rc) rc = await_monitor(a, &found);
    if (!rc && !found && a->notes)
        snap_strings_take(a->notes, snap_printf(
            "xl's monitor of domain '%s' was not found: a reboot of the "
            "guest may not restart it", name));
    if (!rc) rc = await_opened(a, &vdev);
    if (rc || !vdev) return rc;
    a->built = false;
    return snap_fail(a->sc, ERROR_FAIL, "the domain was built, but its QEMU "
                     "could not open the disk '%s', see "
                     "/var/log/xen/qemu-dm-%s.log", vdev, name);
}

static void note_shell(struct snap_act *a, const char *name, uint32_t domid)
{
    if (a->notes)
        snap_strings_take(a->notes, snap_printf(
            "`xl restore` left a domain '%s' (%u) behind: look at it, then "
            "`xl destroy %u`", name, domid, domid));
}

/* A build that failed late can leave a shell of a domain that holds the name:
 * then nothing can be taken back before somebody has looked at it. */
static int rc_of_failed_build(struct snap_act *a, const struct snap_step *s,
                              int rc)
{
    const char *name = snap_step_get(s, "domain");
    uint32_t domid;

    if (snap_xen_by_name(a->xen, name, &domid) == ERROR_DOMAIN_NOTFOUND)
        return rc;
    a->past_commit = true;
    note_shell(a, name, domid);
    return rc;
}

/* Each image that the plan makes is a disk of it. */
static int stands_on_new(struct snap_act *a, const struct snap_plan *p,
                         bool *stands)
{
    struct snap_vbds v;
    size_t i, k;
    int rc = snap_xen_vbds(a->xen, a->new_domid, &v);

    *stands = !rc;
    for (i = 0; *stands && i < p->len; i++) {
        const struct snap_step *s = &p->steps[i];

        if (s->kind != STEP_OVERLAY && s->kind != STEP_COPY) continue;
        for (k = 0; k < v.len; k++) {
            const char *path = snap_vbd_path(v.data[k].params);

            if (path && !strcmp(path, snap_step_get(s, "path"))) break;
        }
        *stands = k < v.len;
    }
    snap_vbds_dispose(&v);
    return rc;
}

int snap_step_was_built(struct snap_act *a, const struct snap_plan *p,
                        const struct snap_step *s, bool *was)
{
    const char *name = snap_step_get(s, "domain");
    AUTO_FREE char *vdev = NULL;
    int rc = snap_xen_by_name(a->xen, name, &a->new_domid);

    *was = false;
    if (rc) return rc == ERROR_DOMAIN_NOTFOUND ? 0 : rc;
    rc = await_monitor(a, was);
    if (!rc && *was) rc = await_opened(a, &vdev);
    if (!rc && vdev) *was = false;
    if (!rc && *was) rc = stands_on_new(a, p, was);
    if (!rc && !*was) note_shell(a, name, a->new_domid);
    return rc;
}

/* ---- the step ---------------------------------------------------- */

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
    a->building = true;
    return build(a, s);
}

const struct snap_step_ops snap_step_build = { .apply = build_apply };
