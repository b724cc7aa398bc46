/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Finding, holding and ending xl's monitor.  The wait line is logged by
 * create_domain() of xl (tools/xl/xl_vmcontrol.c, Xen 4.17); the log is
 * /var/log/xen/xl-<name>.log, appended to by every start of that domain, so
 * only the last wait line counts, and only for the pid that it names.
 */
#include "host/monitor.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LOG_TAIL_BYTES 16384

void snap_monitor_dispose(struct snap_monitor *m)
{
    free(m->log);
    memset(m, 0, sizeof(*m));
}

bool snap_monitor_alive(const struct snap_monitor *m)
{
    return m->pid && snap_process_lives(m->pid, m->start_time);
}

/* ---- the log ----------------------------------------------------- */

static const char *find_last(const char *buf, size_t len, const char *word)
{
    const char *last = NULL, *p = buf;

    while ((p = memmem(p, len - (p - buf), word, strlen(word)))) {
        last = p;
        p++;
    }
    return last;
}

/* A line "Waiting for domain NAME (domid N) to die [pid P]"; NAME may hold
 * anything, so read it from the right. */
static long parse_wait_line(const char *line, size_t len, long *pid)
{
    AUTO_FREE char *text = snap_strndup(line, len);
    const char *mark = NULL, *p = text;
    long domid;

    while ((p = strstr(p, " (domid ")))
        mark = p++;
    if (!mark || sscanf(mark, " (domid %ld) to die [pid %ld]", &domid, pid)
                 != 2)
        return -1;
    return domid;
}

long snap_monitor_log_domid(const char *tail, size_t len, long *pid)
{
    const char *line = find_last(tail, len, "Waiting for domain ");
    const char *end;

    if (!line) return -1;
    end = memchr(line, '\n', len - (line - tail));
    if (!end) end = tail + len;
    return parse_wait_line(line, end - line, pid);
}

/* 1 and the log's end, malloc'd; 0: it is no log; -1 with errno. */
static int log_tail(const char *path, char **tail, size_t *len)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    AUTO_FREE char *buf = NULL;
    struct stat st;
    off_t from;
    ssize_t n;

    if (fd < 0) return errno == ENOENT ? 0 : -1;
    if (fstat(fd, &st)) return -1;
    if (!S_ISREG(st.st_mode)) return 0;
    buf = snap_zalloc(LOG_TAIL_BYTES);
    from = st.st_size > LOG_TAIL_BYTES ? st.st_size - LOG_TAIL_BYTES : 0;
    n = pread(fd, buf, LOG_TAIL_BYTES, from);
    if (n < 0) return -1;
    *len = n;
    *tail = buf;
    buf = NULL;
    return 1;
}

/* "….log", or "….log.3" once libxl has rotated it. */
static bool is_log_name(const char *base)
{
    const char *dot = strrchr(base, '.');

    if (dot && dot[1] && !dot[1 + strspn(dot + 1, "0123456789")]) {
        size_t n = dot - base;

        return n >= 4 && !strncmp(dot - 4, ".log", 4);
    }
    return dot && !strcmp(dot, ".log");
}

/* 1 and the path of an xl log on descriptor 1 of a process; 0; -1. */
static int stdout_is_xl_log(int pid, char *path, size_t cap)
{
    char link[64];
    const char *base;
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/%d/fd/1", pid);
    n = readlink(link, path, cap - 1);
    if (n < 0) return snap_process_or_gone();
    path[n] = 0;
    base = strrchr(path, '/');
    return base && !strncmp(base, "/xl-", 4) && is_log_name(base);
}

typedef int visit_fn(int pid, const char *log, void *arg);

struct visit {
    visit_fn *fn;
    void *arg;
};

/* One that ends while we look is none. Whatever else goes wrong is told: a
 * monitor that was not found is not held, and ends with the suspend. */
static int look_at_process(int pid, void *arg)
{
    const struct visit *v = arg;
    char path[PATH_MAX], comm[SNAP_COMM_SIZE];
    int is;

    if (snap_process_comm(pid, comm)) return snap_process_or_gone();
    is = strcmp(comm, "xl") ? 0 : stdout_is_xl_log(pid, path, sizeof(path));
    return is > 0 ? v->fn(pid, path, v->arg) : is;
}

/* Calls visit for every process that could be a monitor, until it says 1: then
 * *found is that pid. Its -1, with errno, is an error. */
static int each_monitor(struct snap_ctx *sc, visit_fn *visit, void *arg,
                        int *found)
{
    struct visit v = { .fn = visit, .arg = arg };

    *found = snap_process_find(look_at_process, &v);
    if (*found >= 0) return 0;
    *found = 0;
    return snap_fail_errno(sc, errno, "cannot look for xl's monitor of the "
                           "domain in /proc");
}

struct by_domid {
    uint32_t domid;
    char *log;
};

static int waits_for_domid(int pid, const char *log, void *arg)
{
    struct by_domid *want = arg;
    AUTO_FREE char *tail = NULL;
    size_t len = 0;
    long of_pid = -1;
    int is = log_tail(log, &tail, &len);

    if (is <= 0) return is;
    if (snap_monitor_log_domid(tail, len, &of_pid) != (long)want->domid
        || of_pid != pid)
        return 0;
    want->log = snap_strdup(log);
    return 1;
}

int snap_monitor_find(struct snap_ctx *sc, uint32_t domid,
                      struct snap_monitor *out)
{
    struct by_domid want = { .domid = domid };
    int rc;

    memset(out, 0, sizeof(*out));
    rc = each_monitor(sc, waits_for_domid, &want, &out->pid);
    out->log = want.log;
    if (out->pid) {
        out->start_time = snap_process_start_time(out->pid, NULL);
        if (!out->start_time) snap_monitor_dispose(out);
    }
    return rc;
}

/* A log whose last words are about ending or restarting the domain. */
static int stands_between(int pid, const char *log, void *arg)
{
    const char *want_log = arg;
    AUTO_FREE char *tail = NULL;
    size_t len = 0;
    const char *wait, *done;
    const char *base = strrchr(log, '/');
    int is;

    (void)pid;
    if (!base || strcmp(base + 1, want_log)) return 0;
    is = log_tail(log, &tail, &len);
    if (is <= 0) return is;
    wait = find_last(tail, len, "Waiting for domain ");
    done = find_last(tail, len, "Done. Rebooting now");
    return done && (!wait || done > wait);
}

int snap_monitor_between(struct snap_ctx *sc, const char *domain_name,
                         int *pid)
{
    AUTO_FREE char *log = snap_printf("xl-%s.log", domain_name);

    return each_monitor(sc, stands_between, log, pid);
}

/* ---- holding ----------------------------------------------------- */

/* May there be a lock of this process in /proc/locks? "1: POSIX ADVISORY WRITE
 * 812 fe:00:131 0 EOF" */
static bool owns_lock(int pid)
{
    FILE *f = fopen("/proc/locks", "re");
    char line[256];
    bool owns = false;

    if (!f) return true;        /* not known is not "none" */
    while (fgets(line, sizeof(line), f)) {
        int owner = -1;

        if (strstr(line, "->")) continue;       /* only waits */
        if (sscanf(line, "%*s %*s %*s %*s %d", &owner) == 1 && owner == pid)
            owns = true;
    }
    fclose(f);
    return owns;
}

static bool wait_state(const struct snap_monitor *m, const char *states,
                       int timeout_ms)
{
    int64_t deadline = snap_now_ms() + timeout_ms;

    for (;;) {
        char state = 0;

        if (snap_process_start_time(m->pid, &state) != m->start_time)
            return false;
        if (strchr(states, state)) return true;
        if (!snap_left_ms(deadline)) return false;
        poll(NULL, 0, 1);
    }
}

int snap_monitor_hold(struct snap_ctx *sc, const struct snap_monitor *m,
                      int timeout_ms)
{
    int64_t deadline = snap_now_ms() + timeout_ms;

    if (!m->pid) return 0;
    while (snap_monitor_alive(m)) {
        char state = 0;

        /* Stopped already, by one of us that could not finish. */
        if (snap_process_start_time(m->pid, &state) && state == 'T'
            && !owns_lock(m->pid))
            return 0;
        if (wait_state(m, "S", 20) && !owns_lock(m->pid)) {
            kill(m->pid, SIGSTOP);
            /* It may have taken a lock between the look and the stop. */
            if (wait_state(m, "T", 1000) && !owns_lock(m->pid)) return 0;
            kill(m->pid, SIGCONT);
        }
        if (!snap_left_ms(deadline))
            return snap_fail(sc, ERROR_TIMEDOUT, "xl's monitor of the domain "
                             "(pid %d) is busy and cannot be held: try again "
                             "when no other xl command runs", m->pid);
        poll(NULL, 0, 10);
    }
    return snap_fail(sc, ERROR_FAIL, "xl's monitor of the domain (pid %d) "
                     "ended just now: is the domain shutting down?", m->pid);
}

void snap_monitor_release(const struct snap_monitor *m)
{
    if (snap_monitor_alive(m)) kill(m->pid, SIGCONT);
}

int snap_monitor_end(struct snap_ctx *sc, const struct snap_monitor *m,
                     int timeout_ms)
{
    int is = m->pid ? snap_process_look(m->pid, m->start_time) : 0;

    if (is < 0)
        return snap_fail_errno(sc, errno, "cannot look at xl's monitor (pid "
                               "%d)", m->pid);
    if (!is) return 0;
    kill(m->pid, SIGKILL);
    if (snap_process_wait_gone(m->pid, m->start_time, timeout_ms))
        return snap_fail(sc, ERROR_TIMEDOUT, "xl's monitor (pid %d) does not "
                         "end", m->pid);
    return 0;
}
