/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The step that builds the domain from memory: by the stock `xl restore`, which
 * reads the memory image, behind a header with the right disks.  The process
 * that feeds it goes on when we die, as xl does (see built.c).
 */
#include "step/built.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#define BUILD_TIMEOUT_MS (3600 * 1000)
#define BUILD_STALL_MS 300000
#define PIPE_BYTES (1 << 20)

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
        .timeout_ms = BUILD_TIMEOUT_MS, .stdin_fd = read_end,
        .go_on = watch_build, .go_on_arg = &watch,
    };

    return snap_step_run_xl(a, s, argv, &opts);
}

/* ---- the step ---------------------------------------------------- */

static int build(struct snap_act *a, const struct snap_step *s)
{
    AUTO_CLOSE int read_end = -1;
    volatile loff_t *at;
    pid_t feeder = -1;
    int rc;

    /* Nothing in its configuration changes: xl reads the file itself, which
     * spares a copy through a pipe. */
    if (a->image_as_is) return run_restore(a, s, a->memory_fd, NULL);
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
    return rc;
}

static int build_apply(struct snap_act *a, const struct snap_step *s)
{
    int rc = snap_step_check_bases(a, s);

    a->building = true;
    return rc ? rc : build(a, s);
}

const struct snap_step_ops snap_step_build = { .apply = build_apply };
