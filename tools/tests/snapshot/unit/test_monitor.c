/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * xl's monitor: what its log says, and finding, holding and ending processes
 * that look like one.  They are children of ours called "xl" whose standard
 * output is a log; no Xen is needed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "host/monitor.h"
#include "tap.h"

/* No domain of a real host has this number (they end at 32751). */
#define DOMID 1999999999u

static char tmp[] = "/tmp/snap-monitor-XXXXXX";
static struct snap_ctx sc = SNAP_CTX_INIT;

/* ---- the log, as text ---- */

static void says_bytes(const char *log, size_t len, long domid, long pid,
                       const char *claim)
{
    /* A copy of its own: a byte read behind it is seen by the sanitizer. */
    char *copy = snap_zalloc(len);
    long got_pid = -1, got;

    if (len) memcpy(copy, log, len);
    got = snap_monitor_log_domid(copy, len, &got_pid);
    is_int(got, domid, "%s", claim);
    if (domid >= 0) is_int(got_pid, pid, "... waits in process %ld", pid);
    free(copy);
}

static void says(const char *log, long domid, long pid, const char *claim)
{
    says_bytes(log, strlen(log), domid, pid, claim);
}

static void test_log(void)
{
    says("Waiting for domain web (domid 7) to die [pid 812]\n", 7, 812,
         "a wait line names domain and process");
    says("Waiting for domain web (domid 7) to die [pid 812]", 7, 812,
         "the last line may lack its end");
    says("", -1, 0, "an empty log waits for nothing");
    says("libxl: error: something else\n", -1, 0, "other lines do not wait");
    says("Waiting for domain web (domid 7) to die [pid 812]\n"
         "Domain 7 has shut down, reason code 1 0x1\n"
         "Action for shutdown reason code 1 is restart\n"
         "Domain 7 needs to be cleaned up: destroying the domain\n"
         "Done. Rebooting now\n"
         "Waiting for domain web (domid 8) to die [pid 812]\n", 8, 812,
         "after a reboot the last wait counts");
    says("Waiting for domain web (domid 7) to die [pid 812]\n"
         "Waiting for domain web (domid 9) to die [pid 977]\n", 9, 977,
         "a later monitor's wait counts");
    says("Waiting for domain web (domid 7) to die [pid 812]\n"
         "Waiting for event\n", 7, 812, "another wait is no wait");
}

static void test_log_names(void)
{
    says("Waiting for domain a (domid 9) b (domid 7) to die [pid 812]\n", 7,
         812, "a name may hold what looks like a domid");
    says("Waiting for domain x (domid 9) to die [pid 1] (domid 7) to die "
         "[pid 812]\n", 7, 812, "... or like all of the line's end");
    says("Waiting for domain Waiting for domain x (domid 7) to die [pid "
         "812]\n", 7, 812, "... or like the line's beginning");
    says("Waiting for domain  (domid 7) to die [pid 812]\n", 7, 812,
         "a name may be empty");
    says("Waiting for domain (((] %s%n \xff\xfe (domid 7) to die [pid "
         "812]\n", 7, 812, "... or anything else");
    says("Waiting for domain a\\nb (domid 7) to die [pid 812]\n", 7, 812,
         "... a backslash is no line end");
}

static void test_log_torn(void)
{
    static const char nul[] = "\0\0\0Waiting for domain web (domid 7) to die "
                              "[pid 812]\n";

    says("or domain web (domid 7) to die [pid 812]\n", -1, 0,
         "a line whose beginning was cut off is none");
    says("Waiting for domain web (domid 7) to di", -1, 0,
         "a line whose end was cut off is none");
    says("Waiting for domain web (domid 7) to die [pid ", -1, 0,
         "... right before the process, too");
    says("Waiting for domain web (dom", -1, 0, "... inside the domid, too");
    says("Waiting for domain ", -1, 0, "... behind the first words, too");
    says("Waiting for domain web (domid 7) to die [pid 812]\n"
         "Waiting for domain web (domid 8) to di", -1, 0,
         "a torn last line does not bring back the one before");
    says("Waiting for domain web (domid x) to die [pid 812]\n", -1, 0,
         "letters are no domid");
    says("Waiting for domain web (domid 7) to live [pid 812]\n", -1, 0,
         "other words are no wait");
    says_bytes(nul, sizeof(nul) - 1, 7, 812,
               "NUL bytes before a line do no harm");
    says_bytes("Waiting for domain we\0b (domid 7) to die [pid 812]\n", 50,
               -1, 0, "NUL bytes in a line are no name");
    says("Waiting for domain web (domid 99999999999999999999) to die [pid "
         "812]\n", INT64_MAX, 812, "a number too large is nobody's");
}

/* ---- processes ---- */

enum habit { SLEEPS, LOCKS, SPINS, CALLED_SH };

static char *log_path(const char *name)
{
    return snap_printf("%s/%s", tmp, name);
}

static void append(const char *log, const char *text)
{
    AUTO_FREE char *path = log_path(log);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
                             0600);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        bail("%s: %s", path, strerror(errno));
}

static void __attribute__((noreturn)) live(const char *path,
                                           enum habit habit, int ready)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, habit == CALLED_SH ? "sh" : "xl");
    if (fd < 0 || dup2(fd, 1) != 1) _exit(1);
    if (habit == LOCKS) flock(fd, LOCK_EX);
    close(ready);
    while (habit == SPINS)
        ;
    for (;;) pause();
}

/* A child that logs to tmp/LOG; returns when it has settled. */
static int spawn(const char *log, enum habit habit)
{
    AUTO_FREE char *path = log_path(log);
    int ready[2], pid;
    char byte;

    if (pipe2(ready, O_CLOEXEC)) bail("pipe: %s", strerror(errno));
    pid = fork();
    if (pid < 0) bail("fork: %s", strerror(errno));
    if (!pid) {
        close(ready[0]);
        live(path, habit, ready[1]);
    }
    close(ready[1]);
    while (read(ready[0], &byte, 1) < 0 && errno == EINTR)
        ;
    close(ready[0]);
    return pid;
}

static void reap(int pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void waits(const char *log, const char *name, unsigned domid, int pid)
{
    AUTO_FREE char *line = snap_printf(
        "Waiting for domain %s (domid %u) to die [pid %d]\n", name, domid,
        pid);

    append(log, line);
}

/* The monitor of a domid, or 0. */
static int found(unsigned domid)
{
    struct snap_monitor m;
    int pid;

    if (snap_monitor_find(&sc, domid, &m)) bail("%s", sc.message);
    pid = m.pid;
    if (pid && m.start_time != snap_process_start_time(pid, NULL))
        ok(false, "a found monitor is known by its start time");
    snap_monitor_dispose(&m);
    return pid;
}

static struct snap_monitor as_monitor(int pid)
{
    return (struct snap_monitor) {
        .pid = pid, .start_time = snap_process_start_time(pid, NULL),
    };
}

static void test_find(void)
{
    int pid = spawn("xl-t (1).log", SLEEPS), other;

    is_int(found(DOMID), 0, "without a wait line it is no monitor");
    waits("xl-t (1).log", "t (1)", DOMID, pid);
    is_int(found(DOMID), pid, "the process that the wait line names is it");
    is_int(found(DOMID - 1), 0, "of another domain it is not");
    waits("xl-t (1).log", "t (1)", DOMID - 1, pid);
    is_int(found(DOMID), 0, "after a reboot it is no more the old domain's");
    is_int(found(DOMID - 1), pid, "... but the new one's");
    waits("xl-t (1).log", "t (1)", DOMID, pid + 1);
    is_int(found(DOMID), 0, "a line that names another process is not its");
    other = spawn("xl-t (1).log", SLEEPS);
    waits("xl-t (1).log", "t (1)", DOMID, other);
    is_int(found(DOMID), other, "two on one log: the line tells which");
    reap(other);
    is_int(found(DOMID), 0, "a monitor that is gone is not found");
    reap(pid);
}

static void test_not_monitors(void)
{
    int sh = spawn("xl-sh.log", CALLED_SH), odd = spawn("other.log", SLEEPS);

    waits("xl-sh.log", "sh", DOMID, sh);
    waits("other.log", "other", DOMID, odd);
    is_int(found(DOMID), 0, "neither another program nor one whose output is "
           "no xl log is a monitor");
    reap(sh);
    reap(odd);
}

static void test_long_log(void)
{
    int pid = spawn("xl-long.log", SLEEPS), i;

    for (i = 0; i < 1000; i++)
        append("xl-long.log", "libxl: a line of forty characters, no more\n");
    waits("xl-long.log", "long", DOMID, pid);
    is_int(found(DOMID), pid, "of a long log the end is read");
    for (i = 0; i < 100; i++)
        append("xl-long.log", "libxl: a line of forty characters, no more\n");
    is_int(found(DOMID), pid, "... with some lines behind the wait");
    reap(pid);
}

static int between(const char *name)
{
    int pid;

    if (snap_monitor_between(&sc, name, &pid)) bail("%s", sc.message);
    return pid;
}

static void test_between(void)
{
    int pid = spawn("xl-b.log", SLEEPS);

    is_int(between("b"), 0,
           "a monitor that has said nothing stands nowhere");
    waits("xl-b.log", "b", DOMID, pid);
    is_int(between("b"), 0,
           "one that waits does not stand between");
    append("xl-b.log", "Domain 7 has shut down, reason code 1 0x1\n"
           "Done. Rebooting now\n");
    is_int(between("b"), pid,
           "one that is rebooting its domain does");
    is_int(between("a"), 0, "... of no other domain");
    is_int(between("xl-b"), 0, "... by its whole name");
    is_int(between("/b"), 0, "... and no path");
    waits("xl-b.log", "b", DOMID + 1, pid);
    is_int(between("b"), 0, "no more when it waits again");
    reap(pid);
}

/* ---- holding ---- */

static char state_of(int pid)
{
    char state = 0;

    snap_process_start_time(pid, &state);
    return state;
}

static bool becomes(int pid, char state)
{
    int64_t deadline = snap_now_ms() + 2000;

    while (state_of(pid) != state && snap_left_ms(deadline))
        poll(NULL, 0, 5);
    return state_of(pid) == state;
}

static void test_hold(void)
{
    int pid = spawn("xl-hold.log", SLEEPS);
    struct snap_monitor m = as_monitor(pid), none = { 0 };

    is_int(snap_monitor_hold(&sc, &m, 2000), 0, "a sleeping monitor is held");
    is_int(state_of(pid), 'T', "... it stands");
    ok(snap_monitor_alive(&m), "... and is still there");
    snap_monitor_release(&m);
    ok(becomes(pid, 'S'), "let go, it sleeps on");
    snap_monitor_release(&m);
    ok(becomes(pid, 'S'), "to let it go again is fine");
    m.start_time++;
    ok(!snap_monitor_alive(&m), "another start time is another process");
    is_int(snap_monitor_end(&sc, &m, 1000), 0, "... which is gone: fine");
    ok(becomes(pid, 'S'), "... and whose number's new owner is not ended");
    is_int(snap_monitor_hold(&sc, &none, 0), 0, "no monitor: nothing to hold");
    ok(!snap_monitor_alive(&none), "... nobody is there");
    is_str(sc.message, NULL, "none of that is an error");
    reap(pid);
}

static void fails_to_hold(int pid, const char *claim)
{
    struct snap_monitor m = as_monitor(pid);
    AUTO_FREE char *want = snap_printf("xl's monitor of the domain (pid %d) "
        "is busy and cannot be held: try again when no other xl command "
        "runs", pid);

    is_int(snap_monitor_hold(&sc, &m, 100), ERROR_TIMEDOUT, "%s", claim);
    is_str(sc.message, want, "... with the reason");
    ok(state_of(pid) != 'T', "... and it does not stay stopped");
    snap_clear(&sc);
    reap(pid);
}

static void test_busy(void)
{
    fails_to_hold(spawn("xl-locks.log", LOCKS),
                  "one that owns a lock is not held");
    fails_to_hold(spawn("xl-spins.log", SPINS), "one that works is not held");
}

static void test_end(void)
{
    int pid = spawn("xl-end.log", SLEEPS);
    struct snap_monitor m = as_monitor(pid);
    AUTO_FREE char *want = snap_printf("xl's monitor of the domain (pid %d) "
        "ended just now: is the domain shutting down?", pid);

    is_int(snap_monitor_hold(&sc, &m, 2000), 0, "it is held");
    is_int(snap_monitor_end(&sc, &m, 2000), 0, "a held monitor can be ended");
    ok(!snap_monitor_alive(&m), "... it is gone, even if nobody reaped it");
    is_int(snap_monitor_end(&sc, &m, 2000), 0, "to end it again is fine");
    is_int(snap_monitor_hold(&sc, &m, 2000), ERROR_FAIL,
           "one that is gone cannot be held");
    is_str(sc.message, want, "... with the reason");
    snap_clear(&sc);
    snap_monitor_release(&m);
    waitpid(pid, NULL, 0);
    ok(!snap_monitor_alive(&m), "nor can it be let go");
}

static void test_wait_gone(void)
{
    int pid = spawn("xl-gone.log", SLEEPS);
    uint64_t start = snap_process_start_time(pid, NULL);
    int64_t before = snap_now_ms();

    ok(start, "a process has a start time");
    is_int(snap_process_wait_gone(pid, start, 60), ERROR_TIMEDOUT,
           "a wait for a process that stays ends");
    ok(snap_now_ms() - before >= 60, "... not before its time");
    is_str(sc.message, NULL, "... without a message");
    is_int(snap_process_wait_gone(pid, start + 1, 5000), 0,
           "another process of that number is gone already");
    reap(pid);
    is_int(snap_process_wait_gone(pid, start, 5000), 0, "gone is gone");
    is_uint(snap_process_start_time(pid, NULL), 0,
            "no process, no start time");
}

static void clean(void)
{
    static const char *const logs[] = {
        "xl-t (1).log", "xl-sh.log", "other.log", "xl-long.log", "xl-b.log",
        "xl-hold.log", "xl-locks.log", "xl-spins.log", "xl-end.log",
        "xl-gone.log",
    };
    size_t i;

    for (i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
        AUTO_FREE char *path = log_path(logs[i]);

        unlink(path);
    }
    is_int(rmdir(tmp), 0, "the test leaves nothing behind");
}

int main(void)
{
    test_log();
    test_log_names();
    test_log_torn();
    if (!mkdtemp(tmp)) bail("mkdtemp: %s", strerror(errno));
    test_find();
    test_not_monitors();
    test_long_log();
    test_between();
    test_hold();
    test_busy();
    test_end();
    test_wait_gone();
    clean();
    return done_testing();
}
