/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The guardian process and the rescue of a domain.  The line to it carries one
 * byte a phase: 'S' a suspend is asked for ('s': by somebody who did not wait
 * for the guardian to watch), 'A' the guest has answered it, 'U' the worker
 * resumes the domain, 'R' it was resumed, 'W' the worker is gone (its number
 * may be somebody else's soon), 'Q' quit.  The end of the line without a 'Q'
 * is our death.  One byte comes back: it watches.
 */
#include "host/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "host/run.h"
#include "host/worker.h"

#define RESUME_TIMEOUT_MS 90000
#define DESTROY_BEGINS_MS 10000
#define RESUME_ENDS_MS 30000
#define WATCHES_MS 5000
#define RETRY_MS 20

struct snap_guardian {
    pid_t pid;
    int sock;
    bool watches;
};

/* ---- rescue ------------------------------------------------------ */

static int resume(struct snap_ctx *sc, struct snap_xen *x, uint32_t domid)
{
    AUTO_WORKER struct snap_worker *w = NULL;
    struct snap_dominfo dom;
    int rc, tries;

    rc = snap_worker_start(sc, -1, &w);
    if (rc) return rc;
    rc = snap_worker_call(w, SNAP_WORKER_RESUME, domid, 0, NULL, 0,
                          RESUME_TIMEOUT_MS, "resuming the domain", NULL);
    snap_log(sc, SNAP_LOG_DEBUG, "rescue: resuming it came to %d", rc);
    if (rc) return rc;
    for (tries = 0; tries < 100; tries++) {
        bool still = true;

        rc = snap_xen_domain(x, domid, &dom);
        if (rc == ERROR_DOMAIN_NOTFOUND) return 0;
        if (!rc) {
            still = dom.suspended;
            snap_dominfo_dispose(&dom);
        }
        if (!still) return 0;
        poll(NULL, 0, 20);
    }
    return snap_fail(sc, ERROR_FAIL, "domain %u was resumed but still stands "
                     "suspended", domid);
}

static void log_dirty_off(struct snap_ctx *sc, uint32_t domid)
{
    AUTO_WORKER struct snap_worker *w = NULL;
    bool clean = !sc->message;

    if (snap_worker_start(sc, -1, &w)
        || snap_worker_call(w, SNAP_WORKER_LOG_DIRTY_OFF, domid, 0, NULL, 0,
                            10000, "switching log-dirty mode off", NULL)) {
        snap_log(sc, SNAP_LOG_DETAIL, "%s", sc->message);
        if (clean) snap_clear(sc);
    }
}

enum standing { GONE, RUNS, STANDS };

/* What does the domain do? Negative: that is not known. */
static int look_at(struct snap_xen *x, uint32_t domid, const char *uuid)
{
    struct snap_dominfo dom;
    int rc = snap_xen_domain(x, domid, &dom);
    int answer;

    if (rc) return rc == ERROR_DOMAIN_NOTFOUND ? GONE : rc;
    if (uuid && strcmp(dom.uuid, uuid))
        answer = GONE;
    else
        answer = dom.suspended ? STANDS : RUNS;
    snap_dominfo_dispose(&dom);
    return answer;
}

int snap_rescue(struct snap_ctx *sc, struct snap_xen *x, uint32_t domid,
                const char *uuid, bool live, int wait_ms, bool *resumed)
{
    int64_t deadline = snap_now_ms() + wait_ms;
    int now = look_at(x, domid, uuid);
    bool withdrawn = false;
    int rc = 0;

    *resumed = false;
    snap_log(sc, SNAP_LOG_DEBUG, "rescue: the domain %s, at most %d ms",
             now == GONE ? "is gone" : now == STANDS ? "stands" : "runs",
             wait_ms);
    if (now == GONE) return 0;
    if (now < 0) return now;
    if (now == RUNS) {
        rc = snap_xen_withdraw_suspend(x, domid);
        if (rc < 0) return rc;
        withdrawn = rc == 0;
        snap_log(sc, SNAP_LOG_DEBUG, "rescue: the request was %s",
                 withdrawn ? "withdrawn" : "not there any more");
    }
    /* The guest may have answered just before; and one that answered will
     * suspend in its own time. */
    while (now == RUNS && !withdrawn && snap_left_ms(deadline) > 0) {
        poll(NULL, 0, 100);
        now = look_at(x, domid, uuid);
        if (now == GONE) return 0;
        if (now < 0) return now;
    }
    if (now == STANDS) {
        rc = resume(sc, x, domid);
        *resumed = !rc;
    } else {
        rc = withdrawn || !wait_ms ? 0 : 1;
    }
    if (live && rc >= 0) log_dirty_off(sc, domid);
    return rc;
}

/* ---- the process ------------------------------------------------- */

static void end_worker(int pgid)
{
    int tries;

    if (pgid <= 0) return;
    for (tries = 0; tries < 200; tries++) {
        if (kill(-pgid, SIGKILL)) return;   /* ESRCH: all gone */
        poll(NULL, 0, 10);
    }
}

/* The lock is the journal: "rescued", that whoever recovers need not wait for
 * the guest once more; "unpaused", that a pause from now on is somebody
 * else's. One that cannot be written costs that wait, or that pause. */
static void note(const struct snap_guardian_charge *c, const char *what)
{
    AUTO_FREE char *line = snap_printf("{\"%s\":true}\n", what);

    if (c->lock_fd >= 0 && write(c->lock_fd, line, strlen(line)) < 0) return;
}

static void unpause(struct snap_ctx *sc, const struct snap_guardian_charge *c)
{
    AUTO_XEN struct snap_xen *x = NULL;
    AUTO_WORKER struct snap_worker *w = NULL;
    struct snap_dominfo dom;
    bool ours;

    if (snap_xen_open(sc, &x) || snap_xen_domain(x, c->domid, &dom)) return;
    ours = dom.paused && !dom.dying && !strcmp(dom.uuid, c->uuid);
    snap_dominfo_dispose(&dom);
    if (!ours) return;
    if (!snap_worker_start(sc, -1, &w)
        && !snap_worker_call(w, SNAP_WORKER_UNPAUSE, c->domid, 0, NULL, 0,
                             RESUME_TIMEOUT_MS, "unpausing the domain", NULL))
        note(c, "unpaused");
}

static bool may_stand(char phase)
{
    return phase && strchr("SsAU", phase);
}

/* A live save asks the guest only at its end: one that never was asked will
 * not suspend itself, nor will one that has answered. */
static int time_to_wait(struct snap_xen *eye, uint32_t domid, char phase)
{
    if (phase == 'S' && eye->xs && !snap_xen_suspend_was_asked(eye, domid))
        return 0;
    return phase == 'S' || phase == 's' ? SNAP_RESCUE_WAIT_MS : 0;
}

/* It goes on although we died, and ends by itself. */
static void await_worker(const struct snap_guardian_charge *c, int timeout_ms)
{
    if (c->worker_pgid > 0)
        snap_process_wait_gone(c->worker_pgid, c->worker_start, timeout_ms);
}

static void act_on_death(const struct snap_guardian_charge *c,
                         struct snap_xen *eye, char phase)
{
    bool asked = may_stand(phase);
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_XEN struct snap_xen *x = NULL;
    int tries, wait_ms;
    bool resumed;

    /* Half a resume is a domain whose end xenstore does not tell. */
    if (phase == 'U') await_worker(c, RESUME_ENDS_MS);
    /* It may be about to ask. */
    end_worker(c->worker_pgid);
    wait_ms = asked ? time_to_wait(eye, c->domid, phase) : 0;
    /* QEMU may be slow to answer: an HVM domain cannot run without it. */
    for (tries = 0; asked && tries < 20; tries++) {
        snap_clear(&sc);
        if (!x && snap_xen_open(&sc, &x)) {
            poll(NULL, 0, 1000);
            continue;
        }
        if (snap_rescue(&sc, x, c->domid, c->uuid, c->live, wait_ms,
                        &resumed) >= 0) {
            note(c, "rescued");
            break;
        }
        poll(NULL, 0, 1000);
    }
    if (c->pauses) unpause(&sc, c);
    snap_monitor_release(&c->monitor);
}

static bool qemu_is_gone(const struct snap_guardian_charge *c)
{
    return c->qemu_pid > 0
           && !snap_process_lives(c->qemu_pid, c->qemu_start);
}

/* The worker died with us before it heard that it shall destroy: it has
 * ended, and the domain and its QEMU are whole. */
static bool destroy_never_began(const struct snap_guardian_charge *c)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_XEN struct snap_xen *x = NULL;
    int64_t deadline = snap_now_ms() + DESTROY_BEGINS_MS;
    struct snap_dominfo dom;
    bool whole;

    /* It may stay a zombie: who reaps it now has other things to do. */
    while (c->worker_pgid > 0
           && snap_process_lives(c->worker_pgid, c->worker_start)) {
        if (qemu_is_gone(c) || !snap_left_ms(deadline)) return false;
        poll(NULL, 0, 10);
    }
    if (qemu_is_gone(c)) return false;
    if (snap_xen_open(&sc, &x) || snap_xen_domain(x, c->domid, &dom))
        return false;
    whole = !dom.dying && !strcmp(dom.uuid, c->uuid);
    snap_dominfo_dispose(&dom);
    return whole;
}

static void act_on_death_of_revert(const struct snap_guardian_charge *c,
                                   char phase)
{
    struct snap_ctx sc = SNAP_CTX_INIT;

    if (phase == 'R' && destroy_never_began(c)) phase = 'S';
    if (phase == 'R') {
        snap_monitor_end(&sc, &c->monitor, 10000);
        return;
    }
    end_worker(c->worker_pgid);
    if (may_stand(phase)) unpause(&sc, c);
    snap_monitor_release(&c->monitor);
}

/* See the request from before it is made; nothing is seen if that fails. */
static void begin_to_watch(struct snap_ctx *sc, struct snap_xen *eye,
                           const struct snap_guardian_charge *c, int line)
{
    if (!c->reverting && snap_xen_open_xenstore(sc, eye))
        snap_xen_watch_suspend(eye, c->domid);
    send(line, "w", 1, MSG_NOSIGNAL);
}

static void guardian_main(int in, const struct snap_guardian_charge *c,
                          pid_t parent)
{
    struct sigaction ign = { .sa_handler = SIG_IGN };
    int keep[2] = { in, c->lock_fd };
    struct snap_guardian_charge mine = *c;
    struct snap_ctx quiet = SNAP_CTX_INIT;
    struct snap_xen eye = { .sc = NULL };
    char phase = 0, next;
    ssize_t n;

    setsid();
    snap_run_clean_signals();
    sigaction(SIGINT, &ign, NULL);
    sigaction(SIGTERM, &ign, NULL);
    sigaction(SIGHUP, &ign, NULL);
    sigaction(SIGPIPE, &ign, NULL);
    snap_run_null_stdio();
    snap_run_close_fds(keep, c->lock_fd >= 0 ? 2 : 1);
    begin_to_watch(&quiet, &eye, c, in);
    for (;;) {
        n = read(in, &next, 1);
        if (!n || (n < 0 && getppid() != parent)) break;
        if (n < 0) {            /* that says nothing of who is there */
            poll(NULL, 0, RETRY_MS);
            continue;
        }
        if (next == 'Q') _exit(0);
        if (next == 'W')
            mine.worker_pgid = 0;
        else
            phase = next;
    }
    if (c->reverting)
        act_on_death_of_revert(&mine, phase);
    else
        act_on_death(&mine, &eye, phase);
    _exit(0);
}

int snap_guardian_start(struct snap_ctx *sc,
                        const struct snap_guardian_charge *charge,
                        struct snap_guardian **out)
{
    struct snap_guardian *g = snap_zalloc(sizeof(*g));
    struct snap_guardian_charge mine = *charge;
    pid_t us = getpid();
    int fds[2], err;

    *out = NULL;
    mine.worker_start = snap_process_start_time(mine.worker_pgid, NULL);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
        free(g);
        return snap_fail_errno(sc, errno, "cannot start the guardian");
    }
    g->pid = fork();
    if (!g->pid) {
        close(fds[1]);
        guardian_main(fds[0], &mine, us);
    }
    err = errno;
    close(fds[0]);
    g->sock = fds[1];
    if (g->pid < 0) {
        close(fds[1]);
        free(g);
        return snap_fail_errno(sc, err, "cannot start the guardian");
    }
    *out = g;
    return 0;
}

static void say(struct snap_guardian *g, char phase)
{
    if (!g) return;
    /* One that was killed must not end us, too: no SIGPIPE. */
    while (send(g->sock, &phase, 1, MSG_NOSIGNAL) < 0 && errno == EINTR)
        continue;
}

void snap_guardian_asked(struct snap_guardian *g)
{
    struct pollfd p = { .events = POLLIN };
    char byte;

    if (!g) return;
    p.fd = g->sock;
    if (!g->watches && poll(&p, 1, WATCHES_MS) > 0)
        g->watches = recv(g->sock, &byte, 1, 0) == 1;
    say(g, g->watches ? 'S' : 's');
}

void snap_guardian_answered(struct snap_guardian *g)
{
    say(g, 'A');
}

void snap_guardian_resuming(struct snap_guardian *g)
{
    say(g, 'U');
}

void snap_guardian_resumed(struct snap_guardian *g)
{
    say(g, 'R');
}

void snap_guardian_worker_gone(struct snap_guardian *g)
{
    say(g, 'W');
}

void snap_guardian_end(struct snap_guardian *g)
{
    if (!g) return;
    say(g, 'Q');
    close(g->sock);
    while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    free(g);
}

void snap_guardian_leave(struct snap_guardian *g)
{
    if (!g) return;
    close(g->sock);
    free(g);
}
