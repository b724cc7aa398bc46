/* SPDX-License-Identifier: LGPL-2.1-only */
/* A file as a name in an open directory, and as a descriptor. */
#include "host/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

void snap_place_leave(struct snap_place *p)
{
    if (p->dir >= 0) close(p->dir);
    free(p->name);
}

char *snap_path_trimmed(const char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/') len--;
    return snap_strndup(path, len);
}

char *snap_path_parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash) return snap_strdup(".");
    while (slash > path && slash[-1] == '/') slash--;
    return snap_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int snap_place_enter(struct snap_ctx *sc, const char *path,
                     struct snap_place *out)
{
    AUTO_FREE char *whole = snap_path_trimmed(path);
    AUTO_FREE char *parent = snap_path_parent_of(whole);
    const char *slash = strrchr(whole, '/');
    const char *name = slash ? slash + 1 : whole;

    if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
        return snap_fail(sc, ERROR_INVAL, "'%s' does not name a file", path);
    out->dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (out->dir < 0)
        return snap_fail_errno(sc, errno, "cannot open the directory of '%s'",
                               path);
    out->name = snap_strdup(name);
    return 0;
}

int snap_fd_sync(struct snap_ctx *sc, int fd, const char *path)
{
    if (!fsync(fd)) return 0;
    return snap_fail_errno(sc, errno, "cannot write '%s' to stable storage",
                           path);
}

int snap_place_sync(struct snap_ctx *sc, const struct snap_place *p,
                    const char *path)
{
    if (!fsync(p->dir)) return 0;
    return snap_fail_errno(sc, errno, "cannot write the directory of '%s' to "
                           "stable storage", path);
}

int snap_place_create(struct snap_ctx *sc, const struct snap_place *at,
                      const char *path, int *out)
{
    int fd = openat(at->dir, at->name,
                    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 && errno == EEXIST)
        return snap_fail(sc, ERROR_INVAL, "'%s' exists already", path);
    if (fd < 0) return snap_fail_errno(sc, errno, "cannot create '%s'", path);
    *out = fd;
    if (!fchmod(fd, 0600)) return 0;
    unlinkat(at->dir, at->name, 0);
    return snap_fail_errno(sc, errno, "cannot set the mode of '%s'", path);
}

/* ---- descriptors ---- */

int snap_fd_open_regular(struct snap_ctx *sc, const char *path, int flags,
                         struct stat *st, int *out)
{
    /* O_NONBLOCK: a FIFO put in its place must not hold us. */
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 && errno == ELOOP && (flags & O_NOFOLLOW))
        return snap_fail(sc, ERROR_INVAL, "'%s' is a symbolic link, which is "
                         "not followed here", path);
    if (fd < 0) return snap_fail_errno(sc, errno, "cannot open '%s'", path);
    *out = fd;
    if (fstat(fd, st))
        return snap_fail_errno(sc, errno, "cannot look at '%s'", path);
    if (!S_ISREG(st->st_mode))
        return snap_fail(sc, ERROR_INVAL, "'%s' is not a regular file", path);
    return 0;
}

bool snap_fd_hopeless(int fd, uint64_t need)
{
    struct statvfs v;

    if (fstatvfs(fd, &v) || !v.f_blocks) return false;
    return (uint64_t)v.f_bfree * v.f_frsize < need;
}

int snap_fd_fail_space(struct snap_ctx *sc, const char *path, uint64_t need,
                       int fd)
{
    struct statvfs v;
    uint64_t avail = 0;

    if (!fstatvfs(fd, &v)) avail = (uint64_t)v.f_bavail * v.f_frsize;
    return snap_fail(sc, ERROR_FAIL, "no space for '%s': it needs %llu MiB, "
                     "%llu MiB are free; make room or use another place",
                     path, (unsigned long long)((need + 0xfffff) >> 20),
                     (unsigned long long)(avail >> 20));
}

int snap_fd_own_like(struct snap_ctx *sc, int fd, const char *path,
                     const struct stat *like)
{
    struct stat st;

    if (fstat(fd, &st))
        return snap_fail_errno(sc, errno, "cannot look at '%s'", path);
    /* Owner before mode: chown clears bits, and nobody gains in between. */
    if ((st.st_uid != like->st_uid || st.st_gid != like->st_gid) &&
        fchown(fd, like->st_uid, like->st_gid))
        return snap_fail_errno(sc, errno, "cannot give '%s' to user %u and "
                               "group %u", path, like->st_uid, like->st_gid);
    if (fchmod(fd, like->st_mode & 0777))
        return snap_fail_errno(sc, errno, "cannot set the mode of '%s'", path);
    return 0;
}
