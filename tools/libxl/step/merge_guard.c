/* SPDX-License-Identifier: LGPL-2.1-only */
/* See merge_guard.h.  The line to it carries one byte: all is well.  Its end
 * without one is our death. */
#include "step/merge_guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/run.h"
#include "libxl_qmp_job.h"

#define QMP_MS 30000
#define RETRY_MS 20
#define ENDS_MS 60000           /* for a job that was told to end */

struct snap_merge_guard {
    pid_t pid;
    int sock;
};

/* ---- the process ------------------------------------------------- */

/* What lets the guest go on, as the job stands; NULL: it does already. */
static const char *what_to_tell(const struct snap_merge_guard_charge *c,
                                const struct snap_qmp_job *j)
{
    bool waits = j->there && !strcmp(j->status, "pending");

    if (!j->there || !strcmp(j->status, "concluded")) return NULL;
    return waits && access(c->child, F_OK) ? "job-finalize" : "job-cancel";
}

static int let_go(struct snap_qmp *q, const struct snap_merge_guard_charge *c)
{
    int64_t deadline_ms = snap_now_ms() + ENDS_MS;
    struct snap_qmp_job j = { 0 };
    const char *told = NULL;
    int rc = 0;

    while (!rc && snap_left_ms(deadline_ms)) {
        const char *tell;

        rc = snap_qmp_job_query(q, c->job, c->type, QMP_MS, &j);
        tell = rc ? NULL : what_to_tell(c, &j);
        if (rc || !tell) break;
        if (tell != told) rc = snap_qmp_job_tell(q, c->job, tell, QMP_MS);
        told = tell;
        if (!rc) rc = snap_qmp_job_await(q, 1000);
    }
    snap_qmp_job_dispose(&j);
    return rc;
}

/* Signals are for who can undo things. */
static void ignore_signals(void)
{
    static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
    struct sigaction ign = { .sa_handler = SIG_IGN };
    size_t i;

    snap_run_clean_signals();
    for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        sigaction(ignored[i], &ign, NULL);
}

static void guard_main(int sock, const struct snap_merge_guard_charge *c,
                       pid_t parent) __attribute__((noreturn));
static void guard_main(int sock, const struct snap_merge_guard_charge *c,
                       pid_t parent)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    struct snap_qmp *q;
    ssize_t n;
    char byte;

    setsid();
    ignore_signals();
    snap_run_null_stdio();
    snap_run_close_fds((const int[]){ sock, c->lock_fd }, c->lock_fd ? 2 : 1);
    /* An error says nothing of who is there. */
    while ((n = read(sock, &byte, 1)) < 0 && getppid() == parent)
        poll(NULL, 0, RETRY_MS);
    if (n == 1) _exit(0);
    if (!snap_qmp_open(&quiet, c->qmp, QMP_MS, &q)) let_go(q, c);
    _exit(0);
}

/* ---- on our side ------------------------------------------------- */

int snap_merge_guard_start(struct snap_ctx *sc,
                           const struct snap_merge_guard_charge *charge,
                           struct snap_merge_guard **out)
{
    struct snap_merge_guard *g;
    pid_t us = getpid(), pid;
    int fds[2], err;

    *out = NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
        return snap_fail_errno(sc, errno, "cannot watch over the guest");
    pid = fork();
    if (!pid) {
        close(fds[1]);
        guard_main(fds[0], charge, us);
    }
    err = errno;
    close(fds[0]);
    if (pid < 0) {
        close(fds[1]);
        return snap_fail_errno(sc, err, "cannot watch over the guest");
    }
    g = snap_zalloc(sizeof(*g));
    *g = (struct snap_merge_guard){ .pid = pid, .sock = fds[1] };
    *out = g;
    return 0;
}

void snap_merge_guard_end(struct snap_merge_guard *g)
{
    if (!g) return;
    /* One that was killed must not end us, too: no SIGPIPE. */
    while (send(g->sock, "Q", 1, MSG_NOSIGNAL) < 0 && errno == EINTR)
        continue;
    close(g->sock);
    snap_run_reap(g->pid, ENDS_MS);
    free(g);
}
