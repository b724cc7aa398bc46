/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The door to child programs, tried with real children: what they inherit,
 * how their output is bounded, and that no deadline is missed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "host/run.h"
#include "tap.h"

#define SH(script) ((const char *const[]){ "/bin/sh", "-c", script, NULL })

static struct snap_run_opts plain(void)
{
    return (struct snap_run_opts){ .timeout_ms = 20000,
                                   .max_output = 1 << 20 };
}

static void keeps_status_and_output(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_run_opts o = plain();
    struct snap_run_result r;
    int rc;

    rc = snap_run(&sc, SH("printf 'a\\nb'; echo oops >&2; exit 7"), &o, &r);
    is_int(rc, 0, "a program that fails still ran");
    ok(WIFEXITED(r.status) && WEXITSTATUS(r.status) == 7,
       "its exit status is kept");
    is_mem(r.out, r.out_len, "a\nb", 3, "its output is kept");
    is_str(r.err, "oops\n", "its messages are kept");
    snap_run_result_dispose(&r);
    ok(!r.out && !r.err, "a disposed result is empty");

    rc = snap_run(&sc, SH("kill -9 $$"), &o, &r);
    ok(rc == 0 && WIFSIGNALED(r.status) && WTERMSIG(r.status) == SIGKILL,
       "death by a signal is seen");
    is_str(r.out, "", "no output is an empty text");
    snap_run_result_dispose(&r);
    snap_ctx_dispose(&sc);
}

static void passes_arguments_untouched(void)
{
    static const char odd[] = "-x,y='$HOME' \"q\"\n\xc3\xbc;`id`";
    const char *const argv[] = { "printf", "%s|%s", odd, "", NULL };
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_FREE char *out = NULL, *want = snap_printf("%s|", odd);

    is_int(snap_run_ok(&sc, argv, 0, &out), 0, "a bare name is found");
    is_str(out, want, "arguments arrive byte for byte");
    snap_ctx_dispose(&sc);
}

static void cleans_the_environment(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    const char *const argv[] = { "env", NULL };
    AUTO_FREE char *out = NULL;

    setenv("PATH", "/nowhere", 1);
    setenv("LD_PRELOAD_X", "bad", 1);
    setenv("LC_ALL", "de_DE.UTF-8", 1);
    setenv("TERM", "vt100", 1);
    is_int(snap_run_ok(&sc, argv, 0, &out), 0,
           "programs are found whatever PATH our caller has");
    is_str(out, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
           "/sbin:/bin\nLC_ALL=C\nHOME=/root\nTERM=vt100\n",
           "the environment is exactly the short list");
    snap_ctx_dispose(&sc);
}

static void hands_down_only_named_descriptors(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_run_opts o = plain();
    struct snap_run_result r;
    const char *const argv[] = { "ls", "-l", "/proc/self/fd", NULL };
    AUTO_CLOSE int lock = open("/dev/full", O_RDONLY);
    AUTO_CLOSE int keep = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    AUTO_CLOSE int high = fcntl(keep, F_DUPFD, 700);
    int keep_fds[] = { high, keep };
    AUTO_FREE char *want_keep = snap_printf(" %d -> /dev/zero\n", keep);
    AUTO_FREE char *want_high = snap_printf(" %d -> /dev/zero\n", high);
    int rc, links = 0;
    char *p;

    o.keep_fds = keep_fds;
    o.nkeep_fds = 2;
    rc = snap_run(&sc, argv, &o, &r);
    is_int(rc, 0, "a program runs with two descriptors kept");
    like(r.out, want_keep, "it has the first");
    like(r.out, want_high, "it has the second");
    unlike(r.out, "/dev/full", "it has no other, with CLOEXEC or without");
    for (p = r.out; (p = strstr(p, " -> ")); p++) links++;
    is_int(links, 6, "those, stdio and its own: that is all");
    snap_run_result_dispose(&r);
    ok(lock >= 0 && fcntl(keep, F_GETFD) == FD_CLOEXEC,
       "our own descriptors stay as they were");

    is_int(snap_run(&sc, SH("readlink /proc/$$/fd/0"), &o, &r), 0,
           "a program that looks at its stdin runs");
    is_str(r.out, "/dev/null\n", "its stdin is /dev/null");
    snap_run_result_dispose(&r);

    keep_fds[1] = 1;
    is_int(snap_run(&sc, SH("true"), &o, &r), ERROR_INVAL,
           "stdout cannot be among the kept");
    snap_run_result_dispose(&r);
    snap_ctx_dispose(&sc);
}

static void on_usr1(int sig)
{
    (void)sig;
}

static void resets_signals(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    const char *const argv[] = { "cat", "/proc/self/status", NULL };
    AUTO_FREE char *out = NULL;
    sigset_t block, old;
    char *line, *save = NULL;
    bool clean = true;
    int seen = 0;

    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, on_usr1);
    sigfillset(&block);
    sigprocmask(SIG_BLOCK, &block, &old);
    is_int(snap_run_ok(&sc, argv, 0, &out), 0,
           "a program runs while all signals are blocked here");
    sigprocmask(SIG_SETMASK, &old, NULL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
    for (line = strtok_r(out, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "SigBlk", 6) && strncmp(line, "SigIgn", 6) &&
            strncmp(line, "SigCgt", 6))
            continue;
        seen++;
        /* 32 and 33 are glibc's own: no program can set them, and make's
         * posix_spawn leaves them ignored. */
        if (!(strtoull(line + 7, NULL, 16) & ~(3ull << 31))) continue;
        diag("%s", line);
        clean = false;
    }
    ok(clean && seen == 3, "the child has nothing blocked, ignored or caught");
    snap_ctx_dispose(&sc);
}

static void has_its_own_group(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_run_opts o = plain();
    struct snap_run_result r;
    const char *const argv[] = { "cut", "-d", " ", "-f", "1,5,6",
                                 "/proc/self/stat", NULL };
    int pid = 0, group = 0, session = 0;

    is_int(snap_run(&sc, argv, &o, &r), 0, "a program tells its group");
    ok(sscanf(r.out, "%d %d %d", &pid, &group, &session) == 3 &&
       group == pid && session == getsid(0),
       "it leads its own process group in our session");
    snap_run_result_dispose(&r);
    o.new_session = true;
    is_int(snap_run(&sc, argv, &o, &r), 0, "a program tells its session");
    ok(sscanf(r.out, "%d %d %d", &pid, &group, &session) == 3 &&
       group == pid && session == pid,
       "with new_session it leads that as well");
    snap_run_result_dispose(&r);
    snap_ctx_dispose(&sc);
}

/* A pipe that every descendant of a run inherits: it ends with the last. */
struct watch {
    int fds[2];
};

static void watch_start(struct watch *w, struct snap_run_opts *o)
{
    if (pipe2(w->fds, O_CLOEXEC)) bail("pipe: %s", strerror(errno));
    o->keep_fds = &w->fds[1];
    o->nkeep_fds = 1;
}

static bool all_dead(struct watch *w)
{
    struct pollfd p = { .fd = w->fds[0] };
    bool dead;

    close(w->fds[1]);
    dead = poll(&p, 1, 1000) == 1 && (p.revents & POLLHUP);
    close(w->fds[0]);
    return dead;
}

static void kills_the_group_at_the_deadline(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_run_opts o = plain();
    struct snap_run_result r;
    int64_t start = snap_now_ms();
    struct watch w;
    int rc;

    watch_start(&w, &o);
    o.timeout_ms = 300;
    rc = snap_run(&sc, SH("sleep 60 & sleep 60; wait"), &o, &r);
    is_int(rc, ERROR_TIMEDOUT, "a program that does not end is stopped");
    ok(snap_now_ms() - start < 2000, "soon after its deadline");
    like(sc.message, "'/bin/sh' did not end within 0.3 s",
         "the message says who and how long");
    ok(!r.out && !r.err, "nothing is handed back");
    ok(all_dead(&w), "its children are dead, too");
    snap_clear(&sc);

    o.nkeep_fds = 0;
    start = snap_now_ms();
    rc = snap_run(&sc, SH("trap '' TERM INT; exec yes >&2"), &o, &r);
    ok(rc == ERROR_TIMEDOUT && snap_now_ms() - start < 2000,
       "endless talk on stderr does not hold up the deadline");
    snap_ctx_dispose(&sc);
}

static void bounds_output(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_run_opts o = plain();
    struct snap_run_result r;
    int rc;

    o.max_output = 100000;
    rc = snap_run(&sc, SH("yes"), &o, &r);
    is_int(rc, ERROR_FAIL, "more output than allowed is a failure");
    like(sc.message, "more than 100000 bytes", "the message has the bound");
    snap_clear(&sc);

    rc = snap_run(&sc, SH("head -c 100000 /dev/zero"), &o, &r);
    ok(rc == 0 && r.out_len == 100000, "exactly the bound is fine");
    snap_run_result_dispose(&r);

    /* Each side would block on a full pipe if only one were drained. */
    rc = snap_run(&sc, SH("i=0; while test $i -lt 30; do i=$((i + 1)); "
                          "head -c 10000 /dev/zero >&2; done; "
                          "echo end of talk >&2; head -c 90000 /dev/zero"),
                  &o, &r);
    ok(rc == 0 && r.out_len == 90000, "both pipes are drained");
    if (!rc) {
        is_uint(strlen(r.err), 4096, "at most 4 KiB of stderr are kept");
        like(r.err, "end of talk", "they are its end");
    }
    snap_run_result_dispose(&r);
    snap_ctx_dispose(&sc);
}

static bool never(void *arg)
{
    ++*(int *)arg;
    return false;
}

static bool always(void *arg)
{
    ++*(int *)arg;
    return true;
}

static void asks_its_caller(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_run_opts o = plain();
    struct snap_run_result r;
    struct watch w;
    int64_t began_ms;
    int calls = 0, rc, took_ms;

    o.go_on = always;
    o.go_on_arg = &calls;
    began_ms = snap_now_ms();
    rc = snap_run(&sc, SH("sleep 0.5"), &o, &r);
    took_ms = (int)(snap_now_ms() - began_ms);
    /* A loaded machine makes the sleep longer, never the calls denser. */
    ok(rc == 0 && calls >= 2 && calls <= took_ms / 90,
       "the callback comes about every 100 ms (%d times in %d ms)", calls,
       took_ms);
    snap_run_result_dispose(&r);
    calls = 0;
    o.go_on = never;
    watch_start(&w, &o);
    rc = snap_run(&sc, SH("sleep 60"), &o, &r);
    is_int(rc, ERROR_ABORTED, "its refusal stops the program");
    is_int(calls, 1, "it is not asked again");
    ok(all_dead(&w), "the program is dead");
    like(sc.message, "sh' was stopped", "the message names it");
    snap_clear(&sc);
    sc.cancelled = 1;
    o = plain();
    o.go_on = snap_run_not_cancelled;
    o.go_on_arg = &sc;
    is_int(snap_run(&sc, SH("sleep 60"), &o, &r), ERROR_ABORTED,
           "a signal stops the program");
    like(sc.message, "interrupted by a signal while '",
         "the message says that it was the signal");
    snap_ctx_dispose(&sc);
}

static void leaves_daemons_alone(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_run_opts o = plain();
    struct snap_run_result r;
    int64_t start = snap_now_ms();
    struct watch w;
    int rc;

    o.new_session = true;
    rc = snap_run(&sc, SH("sleep 60 & echo $!"), &o, &r);
    ok(rc == 0 && snap_now_ms() - start < 1000,
       "a daemon that holds the pipes is not waited for");
    ok(rc == 0 && atoi(r.out) > 1 && !kill(atoi(r.out), SIGKILL),
       "its parent's output is there, and it lives on");
    snap_run_result_dispose(&r);

    o.new_session = false;
    start = snap_now_ms();
    watch_start(&w, &o);
    rc = snap_run(&sc, SH("sleep 60 & echo $!"), &o, &r);
    ok(rc == 0 && snap_now_ms() - start < 5000,
       "without new_session one that holds them gets a moment");
    ok(all_dead(&w), "and then it is killed");
    snap_run_result_dispose(&r);
    snap_ctx_dispose(&sc);
}

static bool is_locked(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool locked = flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;

    close(fd);
    return locked;
}

static bool is_free_within(const char *path, int timeout_ms)
{
    int64_t deadline = snap_now_ms() + timeout_ms;

    while (is_locked(path)) {
        if (!snap_left_ms(deadline)) return false;
        usleep(10000);
    }
    return true;
}

/* Runs the program with a lock and is killed once it has begun. */
static void die_meanwhile(int lock_fd, const char *script)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_run_opts o = plain();
    struct snap_run_result r;
    int begun[2];
    char byte;
    pid_t pid;

    if (pipe2(begun, O_CLOEXEC)) bail("pipe: %s", strerror(errno));
    pid = fork();
    if (!pid) {
        o.new_session = true;
        o.lock_fd = lock_fd;
        o.stdin_fd = begun[1];
        snap_run(&sc, SH(script), &o, &r);
        _exit(0);
    }
    if (read(begun[0], &byte, 1) != 1) bail("it did not begin");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(begun[0]);
    close(begun[1]);
}

static void keeps_a_lock(void)
{
    char path[] = "/tmp/snap-test-run-XXXXXX";
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_run_opts o = plain();
    struct snap_run_result r;
    int fd = mkostemp(path, O_CLOEXEC);
    AUTO_FREE char *go = snap_printf("%s.go", path);
    AUTO_FREE char *script = NULL;

    close(open(go, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    if (fd < 0 || flock(fd, LOCK_EX)) bail("lock: %s", strerror(errno));
    o.new_session = true;
    o.lock_fd = fd;
    is_int(snap_run(&sc, SH("echo out; echo err >&2; exit 7"), &o, &r), 0,
           "a program runs while a lock is held");
    ok(WIFEXITED(r.status) && WEXITSTATUS(r.status) == 7,
       "its status comes through");
    ok(!strcmp(r.out, "out\n") && !strcmp(r.err, "err\n"),
       "and what it says");
    snap_run_result_dispose(&r);
    is_int(snap_run(&sc, SH("kill -TERM $$"), &o, &r), 0, "one is killed");
    ok(WIFSIGNALED(r.status) && WTERMSIG(r.status) == SIGTERM,
       "its signal comes through");
    snap_run_result_dispose(&r);
    is_int(snap_run(&sc, SH("ls -l /proc/self/fd"), &o, &r), 0,
           "one lists its descriptors");
    ok(!strstr(r.out, path), "the program itself has not got the lock");
    snap_run_result_dispose(&r);

    script = snap_printf("echo >&0; sleep 1; echo a; echo b >&2; rm %s.go",
                         path);
    die_meanwhile(fd, script);
    close(fd);
    ok(is_locked(path), "when we are killed the lock is still held");
    ok(is_free_within(path, 5000), "until the program has ended");
    ok(access(go, F_OK), "which can go on talking, and comes to its end");

    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX)) bail("lock: %s", strerror(errno));
    die_meanwhile(fd, "sleep 60 & echo >&0; exit 0");
    close(fd);
    ok(is_free_within(path, 1000), "what the program leaves behind does not "
       "hold it");
    unlink(path);
    snap_ctx_dispose(&sc);
}

static void says_what_failed(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    const char *const none[] = { "no-such-program-here", NULL };
    const char *const none_abs[] = { "/nonexistent/prog", NULL };
    char *out = NULL;

    is_int(snap_run_ok(&sc, none, 0, &out), ERROR_FAIL,
           "a program that is nowhere in the fixed PATH is a failure");
    like(sc.message, "'no-such-program-here': not found in /usr/local/sbin",
         "the message says where it was looked for");
    snap_clear(&sc);
    is_int(snap_run_ok(&sc, none_abs, 0, &out), ERROR_FAIL,
           "a program that cannot be executed is a failure");
    is_str(sc.message, "cannot start '/nonexistent/prog': No such file or "
           "directory", "the message has the reason");
    snap_clear(&sc);
    is_int(snap_run_ok(&sc, SH("echo first >&2; printf 'the \\033[7m"
                               "reason\\n\\n' >&2; exit 3"), 0, &out),
           ERROR_FAIL, "a status that is not 0 is a failure");
    is_str(sc.message, "'/bin/sh' failed (exit status 3): the ?[7mreason",
           "the message has the status and the last line, made harmless");
    snap_clear(&sc);
    is_int(snap_run_ok(&sc, SH("kill -15 $$"), 0, &out), ERROR_FAIL,
           "death by a signal is a failure");
    is_str(sc.message, "'/bin/sh' was killed by signal 15",
           "the message has the signal");
    is_str(out, NULL, "no output is handed back");
    snap_ctx_dispose(&sc);
}

static void survives_ignored_sigchld(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_run_opts o = plain();
    struct snap_run_result r;

    signal(SIGCHLD, SIG_IGN);
    is_int(snap_run(&sc, SH("exit 0"), &o, &r), ERROR_FAIL,
           "a status that somebody else took is a failure, not a wait");
    like(sc.message, "exit status was lost", "the message says so");
    signal(SIGCHLD, SIG_DFL);
    snap_ctx_dispose(&sc);
}

/* In a child: does fd still refer to something? */
static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static int refuse_close_range(void)
{
    struct sock_filter prog[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog f = { .len = 4, .filter = prog };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &f);
}

/* 0: right; 1: wrong; 2: could not be tried. */
static int close_fds_in_child(bool old_kernel)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        const int keep[] = { 61, 50 };
        int fd;

        for (fd = 40; fd < 70; fd++)
            if (dup2(1, fd) < 0) _exit(2);
        if (old_kernel && refuse_close_range()) _exit(2);
        snap_run_close_fds(keep, 2);
        for (fd = 0; fd < 80; fd++)
            if (is_open(fd) != (fd <= 2 || fd == 50 || fd == 61)) _exit(1);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void closes_descriptors(void)
{
    int got = close_fds_in_child(true);

    is_int(close_fds_in_child(false), 0, "all but the kept are closed");
    if (got == 2)
        skip("no seccomp here to act an old kernel");
    else
        is_int(got, 0, "also where the kernel has no close_range()");
}

/* Our own stdio closed: the pipes must not land there and be lost. */
static void works_without_stdio(void)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        struct snap_ctx sc = SNAP_CTX_INIT;
        char *out = NULL;

        close(0);
        close(1);
        close(2);
        if (snap_run_ok(&sc, SH("echo fine; echo err >&2"), 0, &out))
            _exit(1);
        _exit(strcmp(out, "fine\n") ? 2 : 0);
    }
    waitpid(pid, &status, 0);
    is_int(status, 0, "a caller without stdio gets the output all the same");
}

int main(void)
{
    keeps_status_and_output();
    passes_arguments_untouched();
    cleans_the_environment();
    hands_down_only_named_descriptors();
    resets_signals();
    has_its_own_group();
    kills_the_group_at_the_deadline();
    bounds_output();
    asks_its_caller();
    leaves_daemons_alone();
    keeps_a_lock();
    says_what_failed();
    survives_ignored_sigchld();
    closes_descriptors();
    works_without_stdio();
    return done_testing();
}
