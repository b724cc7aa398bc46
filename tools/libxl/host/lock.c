/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * flock(2), and the files that it is taken on.  The last user removes the
 * file, so who has locked one looks whether it is still the one of that name.
 */
#include "host/lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "host/process.h"

#define POLL_MS 50

/* The number of a file that a line about a lock names, or 0: "1: FLOCK ADVISORY
 * WRITE 812 fe:00:131 0 EOF", in fdinfo with "lock:" before it. *pid: who took
 * it. */
static unsigned long long locked_file(const char *line, int *pid)
{
    unsigned long long ino;
    unsigned maj, min;

    if (!strncmp(line, "lock:", 5)) line += 5;
    return sscanf(line, "%*s FLOCK %*s %*s %d %x:%x:%llu", pid, &maj, &min,
                  &ino) == 4 ? ino : 0;
}

/* Does the process have that lock, from whomever? */
static int has_lock(int pid, void *arg)
{
    AUTO_FREE char *dir = snap_printf("/proc/%d/fdinfo", pid);
    const unsigned long long *ino = arg;
    DIR *d = opendir(dir);
    struct dirent *e;
    bool has = false;

    while (d && !has && (e = readdir(d))) {
        AUTO_FREE char *path = snap_printf("%s/%s", dir, e->d_name);
        FILE *f = fopen(path, "re");
        char line[256];
        int ignored;

        while (f && fgets(line, sizeof(line), f))
            has |= locked_file(line, &ignored) == *ino;
        if (f) fclose(f);
    }
    if (d) closedir(d);
    return has;
}

int snap_lock_holder(int fd)
{
    FILE *f = fopen("/proc/locks", "re");
    char line[256];
    struct stat st;
    unsigned long long ino = 0;
    int holder = 0, heir = 0, pid;

    if (!f) return 0;
    if (!fstat(fd, &st)) ino = st.st_ino;
    while (ino && fgets(line, sizeof(line), f))
        if (locked_file(line, &pid) == ino) holder = pid;
    fclose(f);
    /* A lock outlives the process that took it in those that were forked. */
    if (holder > 0 && kill(holder, 0) && errno == ESRCH)
        heir = snap_process_find(has_lock, &ino);
    return heir > 0 ? heir : holder;
}

static int fail_held(struct snap_ctx *sc, int fd, const char *what,
                     int timeout_ms)
{
    int pid = snap_lock_holder(fd);
    char comm[SNAP_COMM_SIZE];

    if (pid <= 0)
        return snap_fail(sc, ERROR_LOCK_FAIL, "%s: another snapshot command "
                         "works on it and did not end within %d s", what,
                         timeout_ms / 1000);
    snap_process_comm(pid, comm);
    return snap_fail(sc, ERROR_LOCK_FAIL, "%s: another snapshot command "
                     "works on it (process %d, %s) and did not end within "
                     "%d s; wait for it or give --lock-timeout", what, pid,
                     *comm ? comm : "gone", timeout_ms / 1000);
}

static int lock_within(struct snap_ctx *sc, int fd, int how, int timeout_ms,
                       const char *what, bool *waited)
{
    int64_t deadline = snap_now_ms() + timeout_ms;

    while (flock(fd, how | LOCK_NB)) {
        int left = snap_left_ms(deadline);

        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK)
            return snap_fail_errno(sc, errno, "%s: cannot be locked", what);
        if (!left) return fail_held(sc, fd, what, timeout_ms);
        if (sc->cancelled)
            return snap_fail(sc, ERROR_ABORTED, "%s: interrupted by a signal "
                             "while another snapshot command works on it",
                             what);
        *waited = true;
        poll(NULL, 0, left < POLL_MS ? left : POLL_MS);
    }
    return 0;
}

static bool still_named(int fd, const char *path)
{
    struct stat a, b;

    return !fstat(fd, &a) && !lstat(path, &b) && a.st_ino == b.st_ino
           && a.st_dev == b.st_dev;
}

int snap_lock_take(struct snap_ctx *sc, const char *path, bool shared,
                   int timeout_ms, const char *what, struct snap_lock *out,
                   bool *waited)
{
    bool ignored;
    int fd = -1, rc;

    if (!waited) waited = &ignored;
    *out = (struct snap_lock){ .fd = -1 };
    do {
        if (fd >= 0) close(fd);
        fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
                  0600);
        if (fd < 0)
            return snap_fail_errno(sc, errno, "%s: cannot open '%s'", what,
                                   path);
        rc = lock_within(sc, fd, shared ? LOCK_SH : LOCK_EX, timeout_ms, what,
                         waited);
        if (rc) {
            close(fd);
            return rc;
        }
    } while (!still_named(fd, path));
    out->fd = fd;
    out->path = snap_strdup(path);
    return 0;
}

void snap_lock_drop(struct snap_lock *l)
{
    struct stat st;

    if (l->fd < 0 || !l->path) return;
    /* Others that share it would be left with a file without a name. */
    if (!fstat(l->fd, &st) && !st.st_size && !flock(l->fd, LOCK_EX | LOCK_NB)
        && still_named(l->fd, l->path))
        unlink(l->path);
    close(l->fd);
    free(l->path);
    *l = (struct snap_lock){ .fd = -1 };
}

void snap_lock_sweep(const char *suffix)
{
    DIR *d = opendir(SNAP_LOCK_DIR);
    struct dirent *e;

    if (!d) return;
    while ((e = readdir(d))) {
        size_t n = strlen(e->d_name), s = strlen(suffix);
        struct snap_lock l;

        if (n <= s || strcmp(e->d_name + n - s, suffix)) continue;
        l.path = snap_printf("%s/%s", SNAP_LOCK_DIR, e->d_name);
        l.fd = open(l.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (l.fd < 0) {
            free(l.path);
            continue;
        }
        snap_lock_drop(&l);
    }
    closedir(d);
}
