/* SPDX-License-Identifier: LGPL-2.1-only */
/* A guest that was asked to suspend is brought back, however far it got. */
#include "act/fake_xen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/guardian.h"
#include "tap.h"

#define SHUTDOWN "/local/domain/7/control/shutdown"

static struct snap_ctx sc = SNAP_CTX_INIT;

static int rescue(int wait_ms, bool *resumed)
{
    struct snap_xen x;

    snap_clear(&sc);
    fake_open(&sc, &x);
    return snap_rescue(&sc, &x, 7, FAKE_UUID, false, wait_ms, resumed);
}

static void test_standing(void)
{
    bool resumed;
    int i, good = 0;

    for (i = 0; i < 100; i++) {
        fake_begin();
        fake->suspended = true;
        good += !rescue(1000, &resumed) && resumed && !fake->suspended
                && fake->resumed == 1;
    }
    is_int(good, 100, "one that stands is resumed, each time");
    fake_begin();
    fake->suspended = true;
    is_int(rescue(0, &resumed), 0, "also when nothing is to be waited for");
    ok(resumed && !fake->suspended, "and runs");
}

static void test_running(void)
{
    bool resumed;

    fake_begin();
    is_int(rescue(0, &resumed), 0, "one that was never asked is left alone");
    ok(!resumed && !fake->resumed, "it is not resumed");
    fake_set(SHUTDOWN, "suspend");
    is_int(rescue(10000, &resumed), 0, "a request not yet answered is "
           "withdrawn, and nothing waited for");
    is_str(fake_get(SHUTDOWN), "", "xenstore does not ask any more");
    ok(!resumed && !fake->resumed, "it is not resumed");
}

static void test_late(void)
{
    bool resumed;

    fake_begin();
    fake_set(SHUTDOWN, "");
    fake->suspends_after = 4;
    is_int(rescue(10000, &resumed), 0, "one that answered is waited for");
    ok(resumed && fake->resumed == 1, "and resumed when it has suspended "
       "itself");
    fake_begin();
    fake_set(SHUTDOWN, "");
    is_int(rescue(300, &resumed), 1, "one that answered and does nothing may "
           "suspend itself later");
    ok(!resumed, "which is said by 1, and it was not resumed");
}

static void test_failing(void)
{
    bool resumed;

    fake_begin();
    fake->suspended = true;
    fake->resume_rc = ERROR_FAIL;
    is_int(rescue(0, &resumed), ERROR_FAIL, "a resume that fails is an error");
    like(sc.message, "resuming the domain: libxl failed (-3)", "with libxl's "
         "code");
    ok(!resumed, "it was not resumed");
    fake->resume_rc = 1;
    ok(rescue(0, &resumed) < 0, "also when libxl's code is positive");
}

static void test_gone(void)
{
    bool resumed;

    fake_begin();
    fake->exists = false;
    is_int(rescue(10000, &resumed), 0, "one that is gone needs nothing");
    ok(!resumed && !fake->resumed, "and gets nothing");
}

/* In a process that has a guardian, which is killed; does not return. */
static void lose_guardian(void)
{
    AUTO_FREE char *path = snap_printf("/proc/self/task/%d/children",
                                       getpid());
    struct snap_guardian *g;
    int pid = 0;
    FILE *f;

    signal(SIGPIPE, SIG_DFL);
    if (snap_guardian_start(&sc, &(struct snap_guardian_charge) {
            .domid = 7, .uuid = FAKE_UUID, .lock_fd = -1 }, &g))
        _exit(2);
    f = fopen(path, "re");
    if (!f || fscanf(f, "%d", &pid) != 1 || kill(pid, SIGKILL)) _exit(3);
    fclose(f);
    waitpid(pid, NULL, 0);
    snap_guardian_asked(g);
    snap_guardian_end(g);
    _exit(0);
}

static void test_guardian_killed(void)
{
    int status = -1;
    pid_t pid = fork();

    if (!pid) lose_guardian();
    waitpid(pid, &status, 0);
    is_int(status, 0, "who has lost its guardian goes on");
}

/* A process that sleeps until it is killed, in a group of its own. */
static int sleeper(void)
{
    int pid = fork();

    if (!pid) {
        setpgid(0, 0);
        for (;;)
            pause();
    }
    setpgid(pid, pid);
    return pid;
}

enum far { ABOUT_TO_ASK, ASKED, ANSWERED };

/* What the guardian of the last one said. */
static char said[128];

/* We come so far and are killed; true: the guardian said that it was through,
 * within so many seconds. pauses: the domain is to stay paused, but for that. */
static bool die_with_guardian(enum far far, bool pauses, int seconds)
{
    int64_t began_ms = snap_now_ms();
    size_t len = 0;
    ssize_t n;
    int fds[2];
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC)) bail("pipe: %s", strerror(errno));
    pid = fork();
    if (!pid) {
        struct snap_guardian *g;

        if (snap_guardian_start(&sc, &(struct snap_guardian_charge) {
                .domid = 7, .uuid = FAKE_UUID, .lock_fd = fds[1],
                .pauses = pauses }, &g))
            _exit(2);
        snap_guardian_asked(g);
        fake->watch_events += far >= ASKED;
        if (far >= ANSWERED) snap_guardian_answered(g);
        raise(SIGKILL);
    }
    waitpid(pid, NULL, 0);
    close(fds[1]);
    while ((n = read(fds[0], said + len, sizeof(said) - len - 1)) > 0)
        len += n;
    said[len] = '\0';
    close(fds[0]);
    return strstr(said, "rescued")
           && snap_now_ms() - began_ms < seconds * 1000;
}

static void test_guardian(void)
{
    fake_begin();
    fake_set(SHUTDOWN, "");
    ok(die_with_guardian(ABOUT_TO_ASK, false, 5), "for a guest that was not "
       "asked yet the guardian does not wait");
    ok(!fake->resumed, "and does not resume it");
    fake_begin();
    fake_set(SHUTDOWN, "");
    fake->suspends_after = 6;
    ok(die_with_guardian(ASKED, false, 60), "for one that answered it does");
    is_int(fake->resumed, 1, "until it has suspended itself, and resumes it");
    fake_begin();
    fake_set(SHUTDOWN, "");
    ok(die_with_guardian(ANSWERED, false, 5), "for one that had suspended "
       "itself, and runs, it does not");
    fake_begin();
    fake_set(SHUTDOWN, "");
    fake->suspended = true;
    ok(die_with_guardian(ANSWERED, false, 5), "nor for one that still stands");
    is_int(fake->resumed, 1, "which it resumes");
    ok(!strstr(said, "unpaused"), "a pause is none of its business");
    fake_begin();
    fake_set(SHUTDOWN, "");
    fake->paused = true;
    ok(die_with_guardian(ANSWERED, true, 5) && !fake->paused, "one that was "
       "paused for a revert that was to follow goes on");
    like(said, "{\"unpaused\":true}", "which is noted: a pause from now on is "
         "the user's");
}

/* Killed while the worker resumes: it is let finish. */
static void test_resuming(void)
{
    int worker = sleeper();
    struct pollfd p = { .events = POLLIN };
    int fds[2];
    pid_t pid;

    fake_begin();
    fake->suspended = true;
    if (pipe2(fds, O_CLOEXEC)) bail("pipe: %s", strerror(errno));
    pid = fork();
    if (!pid) {
        struct snap_guardian *g;

        if (snap_guardian_start(&sc, &(struct snap_guardian_charge) {
                .domid = 7, .uuid = FAKE_UUID, .worker_pgid = worker,
                .lock_fd = fds[1] }, &g))
            _exit(2);
        snap_guardian_asked(g);
        snap_guardian_answered(g);
        snap_guardian_resuming(g);
        raise(SIGKILL);
    }
    close(fds[1]);
    waitpid(pid, NULL, 0);
    p.fd = fds[0];
    is_int(poll(&p, 1, 500), 0, "the guardian waits for a worker that resumes "
           "the domain");
    ok(!kill(worker, 0) && !fake->resumed, "and leaves both alone");
    fake->suspended = false;
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    is_int(poll(&p, 1, 5000), 1, "then it is through");
    is_int(fake->resumed, 0, "and need not resume it");
    close(fds[0]);
}

/* We have told the guardian that the domain will be destroyed, and are killed
 * before the worker hears of it; end comes when the guardian has ended. */
static void die_before_destroy(int worker, const struct snap_monitor *monitor,
                               int end)
{
    struct snap_guardian *g;

    if (snap_guardian_start(&sc, &(struct snap_guardian_charge) {
            .domid = 7, .uuid = FAKE_UUID, .reverting = true, .pauses = true,
            .worker_pgid = worker, .monitor = *monitor, .lock_fd = end }, &g))
        _exit(2);
    snap_guardian_asked(g);
    snap_guardian_resumed(g);
    raise(SIGKILL);
}

static void test_destroy_unbegun(void)
{
    int64_t began_ms = snap_now_ms();
    int worker = sleeper();
    struct snap_monitor monitor = { .pid = sleeper() };
    int fds[2];
    char byte;
    pid_t pid;

    fake_begin();
    fake->paused = true;
    monitor.start_time = snap_process_start_time(monitor.pid, NULL);
    if (pipe2(fds, O_CLOEXEC)) bail("pipe: %s", strerror(errno));
    pid = fork();
    if (!pid) die_before_destroy(worker, &monitor, fds[1]);
    close(fds[1]);
    waitpid(pid, NULL, 0);
    kill(worker, SIGKILL);
    while (read(fds[0], &byte, 1) > 0)
        continue;
    close(fds[0]);
    ok(snap_now_ms() - began_ms < 8000, "a worker that died before it "
       "destroyed, and that nobody reaps, is not waited for");
    ok(snap_monitor_alive(&monitor), "the monitor of its domain lives");
    is_int(fake->unpaused, 1, "and the domain is unpaused");
    kill(monitor.pid, SIGKILL);
    waitpid(monitor.pid, NULL, 0);
    waitpid(worker, NULL, 0);
}

int main(void)
{
    test_standing();
    test_running();
    test_late();
    test_failing();
    test_guardian_killed();
    test_guardian();
    test_resuming();
    test_destroy_unbegun();
    test_gone();
    snap_clear(&sc);
    return done_testing();
}
