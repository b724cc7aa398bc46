/* SPDX-License-Identifier: LGPL-2.1-only */
/* Linux processes: /proc/PID/stat and comm (proc(5)), pidfd_open(2). */
#include "host/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

static ssize_t read_small(int pid, const char *name, char *buf, size_t cap)
{
    AUTO_FREE char *path = snap_printf("/proc/%d/%s", pid, name);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, cap - 1);

    buf[n > 0 ? n : 0] = '\0';
    return n;
}

int snap_process_or_gone(void)
{
    return errno == ENOENT || errno == ESRCH ? 0 : -1;
}

/* 1; 0: there is none; -1 with errno. */
static int read_stat(int pid, char *state, uint64_t *start_time)
{
    char buf[2048];
    unsigned long long start = 0;
    char *p;

    if (read_small(pid, "stat", buf, sizeof(buf)) < 0)
        return snap_process_or_gone();
    p = strrchr(buf, ')');      /* the name may hold anything */
    if (!p || sscanf(p + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                     "%*s %*s %*s %*s %*s %*s %*s %llu", state, &start) != 2)
        return 0;
    *start_time = start;
    return 1;
}

uint64_t snap_process_start_time(int pid, char *state)
{
    uint64_t start;
    char st;

    if (read_stat(pid, &st, &start) <= 0) return 0;
    if (state) *state = st;
    return start;
}

int snap_process_look(int pid, uint64_t start_time)
{
    uint64_t start;
    char state;
    int is = read_stat(pid, &state, &start);

    if (is <= 0) return is;
    return (!start_time || start == start_time) && state != 'Z'
           && state != 'X';
}

bool snap_process_lives(int pid, uint64_t start_time)
{
    return snap_process_look(pid, start_time) != 0;
}

int snap_process_wait_gone(int pid, uint64_t start_time, int timeout_ms)
{
    int64_t deadline = snap_now_ms() + timeout_ms;
    AUTO_CLOSE int pidfd = syscall(SYS_pidfd_open, pid, 0);

    while (snap_process_lives(pid, start_time)) {
        struct pollfd p = { .fd = pidfd, .events = POLLIN };
        int left = snap_left_ms(deadline);

        if (!left) return ERROR_TIMEDOUT;
        poll(&p, pidfd >= 0, left < 50 ? left : 50);
    }
    return 0;
}

int snap_process_comm(int pid, char comm[SNAP_COMM_SIZE])
{
    ssize_t n = read_small(pid, "comm", comm, SNAP_COMM_SIZE);
    char *p;

    if (n > 0 && comm[n - 1] == '\n') comm[n - 1] = '\0';
    for (p = comm; *p; p++)
        if (*p < ' ' || *p > '~') *p = '?';
    return n < 0 ? -1 : 0;
}

int snap_process_find(snap_process_visit *visit, void *arg)
{
    DIR *proc = opendir("/proc");
    struct dirent *e;
    int is = 0, pid = 0, err;

    if (!proc) return -1;
    while (!is && (errno = 0, e = readdir(proc))) {
        pid = atoi(e->d_name);
        if (pid <= 0 || pid == getpid()) continue;
        is = visit(pid, arg);
    }
    err = errno;
    closedir(proc);
    if (is > 0) return pid;
    errno = err;
    return is < 0 || err ? -1 : 0;
}
