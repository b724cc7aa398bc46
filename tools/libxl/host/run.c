/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The door to child programs: fork, clean up, exec, drain, reap.  It knows
 * nothing of what the programs do; qemu-img's door is image.c, the domain's
 * is elsewhere.  Nothing here goes through a shell.  Any room that needs a
 * program may call it; rooms that fork by themselves use the two clean-up
 * functions at the top.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "host/run.h"

#define FIXED_PATH \
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#define DEFAULT_TIMEOUT_MS 60000
#define DEFAULT_MAX_OUTPUT (4u << 20)
#define MAX_ERR 4096
/* Reads in one go: a child that never stops talking must not keep us from
 * looking at the clock.  More than a pipe holds. */
#define MAX_READS 16
#define POLL_CALLBACK_MS 100
/* Without a pidfd the child is looked at in growing steps up to this. */
#define MAX_STEP_MS 50
/* How long the pipes may stay open after the child itself is gone. */
#define LINGER_MS 1000
/* How long a killed child may take to die (it can hang in the kernel). */
#define REAP_MS 10000

/* ---- for children: ours, and those of rooms that fork by themselves ---- */

void snap_run_clean_signals(void)
{
    struct sigaction sa = { .sa_handler = SIG_DFL };
    sigset_t none;
    int sig;

    /* Refused for SIGKILL, SIGSTOP and libc's own: nothing to reset there. */
    for (sig = 1; sig < NSIG; sig++)
        sigaction(sig, &sa, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool fd_kept(int fd, const int *keep, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (keep[i] == fd) return true;
    return false;
}

/* For kernels and sandboxes without close_range(2). */
static void close_fds_one_by_one(const int *keep, size_t n)
{
    struct dirent *e;
    DIR *d = opendir("/proc/self/fd");
    int fd, limit;

    if (!d) {
        limit = (int)sysconf(_SC_OPEN_MAX);
        for (fd = 3; fd < limit; fd++)
            if (!fd_kept(fd, keep, n)) close(fd);
        return;
    }
    while ((e = readdir(d))) {
        fd = atoi(e->d_name);   /* "." and ".." are 0 */
        if (fd > 2 && fd != dirfd(d) && !fd_kept(fd, keep, n)) close(fd);
    }
    closedir(d);
}

void snap_run_close_fds(const int *keep, size_t n)
{
    int from = 3, next;
    size_t i;

    /* Close the gaps between the kept ones, in rising order. */
    for (;;) {
        next = -1;
        for (i = 0; i < n; i++)
            if (keep[i] >= from && (next < 0 || keep[i] < next))
                next = keep[i];
        if (next < 0) break;
        if (next > from && close_range(from, next - 1, 0)) goto fallback;
        from = next + 1;
    }
    if (!close_range(from, ~0u, 0)) return;
fallback:
    close_fds_one_by_one(keep, n);
}

/* ---- starting ---- */

struct child {
    struct snap_ctx *sc;
    const char *name;           /* argv[0], for messages */
    const struct snap_run_opts *opts;
    struct snap_run_result *result;
    pid_t pid;
    int pidfd;                  /* -1: none here, look now and then */
    int out, err;               /* our ends; -1 after end of file */
    int64_t deadline_ms;
    int64_t last_poll_ms;
    int step_ms;
    bool exited;                /* seen dead, not yet reaped */
    bool lost;                  /* reaped by somebody else */
};

static void close_pair(int fds[2])
{
    if (fds[0] >= 0) close(fds[0]);
    if (fds[1] >= 0) close(fds[1]);
    fds[0] = fds[1] = -1;
}

/* A pipe with both ends above 2, also where our caller closed 0, 1 or 2. */
static int pipe_above_stdio(int fds[2])
{
    int raw[2], i, saved;

    fds[0] = fds[1] = -1;
    if (pipe2(raw, O_CLOEXEC)) return -1;
    for (i = 0; i < 2; i++)
        fds[i] = fcntl(raw[i], F_DUPFD_CLOEXEC, 3);
    saved = errno;
    close_pair(raw);
    if (fds[0] >= 0 && fds[1] >= 0) return 0;
    close_pair(fds);
    errno = saved;
    return -1;
}

/* The program's path: argv[0] with a slash is taken as it is, everything else
 * is looked for in the fixed PATH, never in the caller's. NULL: not there. */
static char *find_program(const char *name)
{
    const char *dir = FIXED_PATH, *end;
    struct stat st;
    char *path;

    if (strchr(name, '/')) return snap_strdup(name);
    for (; *dir; dir = *end ? end + 1 : end) {
        end = strchrnul(dir, ':');
        path = snap_printf("%.*s/%s", (int)(end - dir), dir, name);
        if (!stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK))
            return path;
        free(path);
    }
    return NULL;
}

static void make_environment(struct snap_strings *env)
{
    const char *term = getenv("TERM");

    snap_strings_add(env, "PATH=" FIXED_PATH);
    snap_strings_add(env, "LC_ALL=C");
    snap_strings_add(env, "HOME=/root");
    if (term) snap_strings_take(env, snap_printf("TERM=%s", term));
}

/* What the child needs between fork and exec, all prepared before the fork. */
struct start {
    const char *path;
    char *const *argv;
    char *const *env;
    const struct snap_run_opts *opts;
    int *keep;                  /* opts->keep_fds and the report pipe */
    size_t nkeep;
    int null_fd, out_fd, err_fd, report_fd;
    int read_fds[2];            /* our ends of its stdout and stderr */
};

static void reap_into(pid_t pid, int *status)
{
    while (waitpid(pid, status, 0) < 0 && errno == EINTR)
        continue;
}

/* End as another process did. */
static void __attribute__((noreturn)) end_like(int status)
{
    struct rlimit no_core = { 0, 0 };

    if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
    setrlimit(RLIMIT_CORE, &no_core);
    snap_run_clean_signals();
    raise(WTERMSIG(status));
    _exit(127);
}

/*
 * The caller of this waits in it for the program, whose part its return is,
 * and ends like it.  0, or -1 with errno.
 */
static int stay_with_lock(const struct start *s)
{
    const int keep[] = { s->opts->lock_fd, s->read_fds[0], s->read_fds[1] };
    int status = 127 << 8;
    pid_t pid;

    /* Ignored, as our caller may have it, it would take the status away. */
    signal(SIGCHLD, SIG_DFL);
    pid = fork();
    if (pid <= 0) return pid;
    /* A program that talks to nobody any more would die of SIGPIPE; what it
     * says fits into the pipes. */
    snap_run_null_stdio();
    snap_run_close_fds(keep, 3);
    reap_into(pid, &status);
    end_like(status);
}

static void child_exec(const struct start *s)
{
    size_t i;
    int errnoval;

    if (s->opts->new_session) {
        if (setsid() < 0) goto fail;
    } else if (setpgid(0, 0)) {
        goto fail;
    }
    if (dup2(s->opts->stdin_fd ? s->opts->stdin_fd : s->null_fd, 0) < 0
        || dup2(s->out_fd, 1) < 0 || dup2(s->err_fd, 2) < 0)
        goto fail;
    if (s->opts->lock_fd > 0 && stay_with_lock(s)) goto fail;
    snap_run_close_fds(s->keep, s->nkeep);
    for (i = 0; i < s->opts->nkeep_fds; i++)
        if (fcntl(s->opts->keep_fds[i], F_SETFD, 0)) goto fail;
    umask(022);
    snap_run_clean_signals();
    execve(s->path, s->argv, s->env);
fail:
    errnoval = errno;
    /* Nobody to tell if this fails: the parent sees exit status 127. */
    if (write(s->report_fd, &errnoval, sizeof(errnoval)) < 0) _exit(127);
    _exit(127);
}

/* Signals are blocked over the fork: no handler of ours may run in the child,
 * where it would write to our pipes. */
static pid_t fork_child(const struct start *s)
{
    sigset_t all, old;
    pid_t pid;
    int saved;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    pid = fork();
    if (pid == 0) child_exec(s);
    saved = errno;
    sigprocmask(SIG_SETMASK, &old, NULL);
    errno = saved;
    return pid;
}

/* Wait until the child has exec'd (0) or said why it could not (its errno).
 * Afterwards its process group exists and can be killed. */
static int read_report(int fd)
{
    int errnoval = 0;
    ssize_t n;

    do {
        n = read(fd, &errnoval, sizeof(errnoval));
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(errnoval) ? errnoval : 0;
}

static int spawn(struct child *c, struct start *s, int report[2])
{
    int errnoval;

    c->pid = fork_child(s);
    if (c->pid < 0)
        return snap_fail_errno(c->sc, errno, "cannot start '%s': fork",
                               c->name);
    close(report[1]);
    report[1] = -1;
    errnoval = read_report(report[0]);
    if (!errnoval) {
        c->pidfd = pidfd_open(c->pid, 0);
        return 0;
    }
    reap_into(c->pid, NULL);
    /* Not by errno: "no such program" must not read as "no such object". */
    return snap_fail(c->sc, ERROR_FAIL, "cannot start '%s': %s", s->path,
                     strerror(errnoval));
}

static void set_nonblocking(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int check_opts(struct snap_ctx *sc, const char *const *argv,
                      const struct snap_run_opts *opts)
{
    size_t i;

    if (!argv || !argv[0] || !*argv[0] || opts->timeout_ms <= 0)
        return snap_fail(sc, ERROR_INVAL,
                         "cannot run a program without name or deadline");
    for (i = 0; i < opts->nkeep_fds; i++)
        if (opts->keep_fds[i] <= 2)
            return snap_fail(sc, ERROR_INVAL,
                             "cannot run '%s': descriptor %d cannot be kept",
                             argv[0], opts->keep_fds[i]);
    return 0;
}

static int start_child(struct child *c, const char *const *argv)
{
    AUTO_FREE char *path = find_program(argv[0]);
    AUTO_FREE int *keep = NULL;
    AUTO_CLOSE int null_fd = -1;
    struct snap_strings env = { 0 };
    int out[2] = { -1, -1 }, err[2] = { -1, -1 }, report[2] = { -1, -1 };
    struct start s = { .opts = c->opts };
    int rc;

    if (!path)
        return snap_fail(c->sc, ERROR_FAIL,
                         "cannot start '%s': not found in %s; install it",
                         argv[0], FIXED_PATH);
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0 || pipe_above_stdio(out) || pipe_above_stdio(err) ||
        pipe_above_stdio(report)) {
        rc = snap_fail_errno(c->sc, errno, "cannot start '%s'", argv[0]);
        goto out;
    }
    keep = snap_zalloc((c->opts->nkeep_fds + 1) * sizeof(*keep));
    if (c->opts->nkeep_fds)
        memcpy(keep, c->opts->keep_fds, c->opts->nkeep_fds * sizeof(*keep));
    keep[c->opts->nkeep_fds] = report[1];
    make_environment(&env);
    s.path = path;
    s.argv = (char *const *)argv;
    s.env = env.data;
    s.keep = keep;
    s.nkeep = c->opts->nkeep_fds + 1;
    s.null_fd = null_fd;
    s.out_fd = out[1];
    s.err_fd = err[1];
    s.read_fds[0] = out[0];
    s.read_fds[1] = err[0];
    s.report_fd = report[1];
    rc = spawn(c, &s, report);
    if (rc) goto out;
    c->out = out[0];
    c->err = err[0];
    out[0] = err[0] = -1;
    set_nonblocking(c->out);
    set_nonblocking(c->err);
out:
    close_pair(out);
    close_pair(err);
    close_pair(report);
    snap_strings_dispose(&env);
    return rc;
}

/* ---- draining ---- */

static void pipe_ended(int *fd)
{
    close(*fd);
    *fd = -1;
}

/* stdout is kept whole or the run fails. */
static int drain_out(struct child *c)
{
    struct snap_run_result *r = c->result;
    size_t max = c->opts->max_output;
    char buf[16384];
    ssize_t n;
    int i;

    for (i = 0; i < MAX_READS && c->out >= 0; i++) {
        n = read(c->out, buf, sizeof(buf));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return 0;
        /* Half of what it said is not what it said. */
        if (n < 0)
            return snap_fail_errno(c->sc, errno, "cannot read what '%s' says",
                                   c->name);
        if (n == 0) {
            pipe_ended(&c->out);
            return 0;
        }
        if ((size_t)n > max - r->out_len)
            return snap_fail(c->sc, ERROR_FAIL,
                             "'%s' printed more than %zu bytes: stopped",
                             c->name, max);
        r->out = snap_realloc(r->out, r->out_len + n + 1);
        memcpy(r->out + r->out_len, buf, n);
        r->out_len += n;
        r->out[r->out_len] = '\0';
    }
    return 0;
}

static void keep_end(char *err, const char *bytes, size_t n)
{
    size_t have = strlen(err), drop;

    if (n > MAX_ERR) {
        bytes += n - MAX_ERR;
        n = MAX_ERR;
    }
    if (have + n > MAX_ERR) {
        drop = have + n - MAX_ERR;
        memmove(err, err + drop, have - drop);
        have -= drop;
    }
    memcpy(err + have, bytes, n);
    err[have + n] = '\0';
}

/* stderr is text for messages: only its end is kept, NULs become spaces. */
static void drain_err(struct child *c)
{
    char buf[16384];
    ssize_t n, i;
    int reads;

    for (reads = 0; reads < MAX_READS && c->err >= 0; reads++) {
        n = read(c->err, buf, sizeof(buf));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            pipe_ended(&c->err);
            return;
        }
        for (i = 0; i < n; i++)
            if (!buf[i]) buf[i] = ' ';
        keep_end(c->result->err, buf, n);
    }
}

static int drain(struct child *c)
{
    drain_err(c);
    return drain_out(c);
}

/* ---- waiting ---- */

/* Somebody reaps all our children (a libxl context in its default mode, or
 * SIGCHLD ignored): how the program ended cannot be known. */
static int lost_child(struct child *c)
{
    c->lost = true;
    return snap_fail_errno(c->sc, errno, "'%s' ran, but its exit status was "
                           "lost", c->name);
}

/* Is it dead?  Left unreaped, so that its group's number stays ours. */
static int look_for_exit(struct child *c)
{
    siginfo_t si = { 0 };
    int r;

    do {
        r = waitid(P_PID, c->pid, &si, WEXITED | WNOHANG | WNOWAIT);
    } while (r < 0 && errno == EINTR);
    if (r < 0) return lost_child(c);
    c->exited = si.si_pid == c->pid;
    return 0;
}

static int wait_ms(struct child *c)
{
    int ms = snap_left_ms(c->deadline_ms);

    if (c->opts->go_on && ms > POLL_CALLBACK_MS) ms = POLL_CALLBACK_MS;
    if (c->pidfd < 0 && !c->exited) {
        if (ms > c->step_ms) ms = c->step_ms;
        c->step_ms = c->step_ms >= MAX_STEP_MS / 2 ? MAX_STEP_MS
                                                   : c->step_ms * 2;
    }
    return ms;
}

/* Sleep until something happens; poll() skips negative descriptors. */
static void sleep_a_while(struct child *c)
{
    struct pollfd p[3] = {
        { .fd = c->out, .events = POLLIN },
        { .fd = c->err, .events = POLLIN },
        { .fd = c->exited ? -1 : c->pidfd, .events = POLLIN },
    };

    poll(p, 3, wait_ms(c));
}

/* The caller's callback and the deadline; negative: stop now. */
static int check_limits(struct child *c)
{
    int64_t now = snap_now_ms();

    if (c->opts->go_on && now - c->last_poll_ms >= POLL_CALLBACK_MS) {
        c->last_poll_ms = now;
        if (!c->opts->go_on(c->opts->go_on_arg))
            return snap_fail(c->sc, ERROR_ABORTED, c->sc->cancelled
                             ? "interrupted by a signal while '%s' ran"
                             : "'%s' was stopped", c->name);
    }
    if (now < c->deadline_ms) return 0;
    return snap_fail(c->sc, ERROR_TIMEDOUT,
                     "'%s' did not end within %d.%d s and was killed",
                     c->name, c->opts->timeout_ms / 1000,
                     c->opts->timeout_ms % 1000 / 100);
}

static int wait_for_exit(struct child *c)
{
    int rc;

    for (;;) {
        rc = look_for_exit(c);
        if (rc) return rc;
        rc = drain(c);
        if (rc) return rc;
        if (c->exited) return 0;
        rc = check_limits(c);
        if (rc) return rc;
        sleep_a_while(c);
    }
}

/*
 * The child is gone.  What it wrote is in the pipes; a grandchild may hold
 * them open: one that daemonised on purpose (new_session) is not waited for,
 * any other gets a moment.
 */
static int drain_rest(struct child *c)
{
    int64_t now = snap_now_ms();
    int rc;

    rc = drain(c);
    if (rc || c->opts->new_session) return rc;
    if (c->deadline_ms > now + LINGER_MS) c->deadline_ms = now + LINGER_MS;
    while ((c->out >= 0 || c->err >= 0) && snap_left_ms(c->deadline_ms)) {
        sleep_a_while(c);
        rc = drain(c);
        if (rc) return rc;
    }
    return 0;
}

/* A killed child can still hang in the kernel (dead storage): bounded. */
static int reap(struct child *c)
{
    int64_t deadline_ms = snap_now_ms() + REAP_MS;
    pid_t pid;

    for (;;) {
        pid = waitpid(c->pid, &c->result->status, WNOHANG);
        if (pid == c->pid) return 0;
        if (pid < 0 && errno != EINTR) return lost_child(c);
        if (!snap_left_ms(deadline_ms))
            return snap_fail(c->sc, ERROR_TIMEDOUT, "'%s' (process %d) hangs "
                             "in the kernel and cannot be killed", c->name,
                             (int)c->pid);
        poll(NULL, 0, 5);
    }
}

/* ---- the story ---- */

static void forget(struct child *c)
{
    if (c->out >= 0) close(c->out);
    if (c->err >= 0) close(c->err);
    if (c->pidfd >= 0) close(c->pidfd);
}

bool snap_run_not_cancelled(void *sc)
{
    return !((const struct snap_ctx *)sc)->cancelled;
}

int snap_run(struct snap_ctx *sc, const char *const *argv,
             const struct snap_run_opts *opts, struct snap_run_result *out)
{
    struct child c = {
        .sc = sc, .opts = opts, .result = out, .pidfd = -1, .out = -1,
        .err = -1, .step_ms = 1,
    };
    int rc, rc2;

    memset(out, 0, sizeof(*out));
    rc = check_opts(sc, argv, opts);
    if (rc) return rc;
    c.name = argv[0];
    out->out = snap_strdup("");
    out->err = snap_zalloc(MAX_ERR + 1);
    c.last_poll_ms = snap_now_ms();
    c.deadline_ms = c.last_poll_ms + opts->timeout_ms;
    rc = start_child(&c, argv);
    if (rc) goto out;
    rc = wait_for_exit(&c);
    if (!rc) rc = drain_rest(&c);
    /* The child is unreaped, so the group is still its own.  A plain run
     * leaves nobody behind. */
    if (!c.lost) {
        if (rc || !opts->new_session) kill(-c.pid, SIGKILL);
        rc2 = reap(&c);
        if (!rc) rc = rc2;
    }
out:
    forget(&c);
    if (rc) snap_run_result_dispose(out);
    return rc;
}

void snap_run_result_dispose(struct snap_run_result *r)
{
    free(r->out);
    free(r->err);
    memset(r, 0, sizeof(*r));
}

/* The last line with something in it, fit for a message. malloc'd. */
static char *last_line(const char *text)
{
    size_t end = strlen(text), start;
    char *line, *p;

    while (end && strchr("\r\n\t ", text[end - 1])) end--;
    for (start = end; start && text[start - 1] != '\n'; start--)
        continue;
    line = snap_strndup(text + start, end - start);
    for (p = line; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f) *p = '?';
    return line;
}

static int fail_status(struct snap_ctx *sc, const char *name,
                       const struct snap_run_result *r)
{
    AUTO_FREE char *line = last_line(r->err);
    const char *colon = *line ? ": " : "";

    if (WIFSIGNALED(r->status))
        return snap_fail(sc, ERROR_FAIL, "'%s' was killed by signal %d%s%s",
                         name, WTERMSIG(r->status), colon, line);
    return snap_fail(sc, ERROR_FAIL, "'%s' failed (exit status %d)%s%s",
                     name, WEXITSTATUS(r->status), colon, line);
}

int snap_run_ok(struct snap_ctx *sc, const char *const *argv, int timeout_ms,
                char **out)
{
    const struct snap_run_opts opts = {
        .timeout_ms = timeout_ms > 0 ? timeout_ms : DEFAULT_TIMEOUT_MS,
        .max_output = DEFAULT_MAX_OUTPUT,
    };
    struct snap_run_result r;
    int rc;

    if (out) *out = NULL;
    rc = snap_run(sc, argv, &opts, &r);
    if (rc) return rc;
    if (!WIFEXITED(r.status) || WEXITSTATUS(r.status)) {
        rc = fail_status(sc, argv[0], &r);
    } else if (out) {
        *out = r.out;
        r.out = NULL;
    }
    snap_run_result_dispose(&r);
    return rc;
}

void snap_run_null_stdio(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC), i;

    if (fd < 0) return;
    for (i = 0; i <= 2; i++)
        dup2(fd, i);
    if (fd > 2) close(fd);
}

void snap_run_reap(int pid, int timeout_ms)
{
    int64_t deadline_ms = snap_now_ms() + timeout_ms;
    int pause_ms = 1;

    for (;;) {
        pid_t got = waitpid(pid, NULL, WNOHANG);

        if (got > 0 || (got < 0 && errno != EINTR)) return;
        if (!snap_left_ms(deadline_ms)) return;
        poll(NULL, 0, pause_ms);
        if (pause_ms < 20) pause_ms *= 2;
    }
}
