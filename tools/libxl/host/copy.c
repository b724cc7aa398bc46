/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Copying a file: cloned where the file system can, else extent by extent, so
 * that holes stay holes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "host/fs.h"
#include "host/place.h"

#define COPY_PIECE (1u << 20)

struct copy {
    struct snap_ctx *sc;
    const char *from, *to, *what;
    int in, out;
    struct stat st;             /* of the source, before */
    uint64_t done_bytes, total_bytes;
    bool private;               /* 0600 and ours, whatever the source is */
    char *buf;                  /* once the kernel would not copy for us */
};

/* Errors of copy_file_range(2) that mean "do it yourself". */
static bool not_in_kernel(int errnoval)
{
    return errnoval == EXDEV || errnoval == EINVAL || errnoval == ENOSYS ||
           errnoval == EOPNOTSUPP;
}

/* At most len bytes at `at`; how many, 0 at the end of the file, -1: errno. */
static ssize_t copy_some(struct copy *c, off_t at, size_t len)
{
    off_t in_at = at, out_at = at;
    ssize_t n, written;

    if (!c->buf) {
        n = copy_file_range(c->in, &in_at, c->out, &out_at, len, 0);
        if (n > 0) return n;
        if (n < 0 && !not_in_kernel(errno)) return -1;
        c->buf = snap_zalloc(COPY_PIECE);
    }
    n = pread(c->in, c->buf, len, at);
    if (n <= 0) return n;
    written = pwrite(c->out, c->buf, n, at);
    if (written) return written;
    errno = EIO;
    return -1;
}

static int copy_extent(struct copy *c, off_t at, off_t end)
{
    ssize_t n;

    while (at < end) {
        if (c->sc && c->sc->cancelled)
            return snap_fail(c->sc, ERROR_ABORTED, "interrupted by a signal "
                             "while '%s' was copied", c->from);
        n = copy_some(c, at, end - at < COPY_PIECE ? end - at : COPY_PIECE);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == ENOSPC || errno == EDQUOT))
            return snap_fd_fail_space(c->sc, c->to, c->total_bytes, c->out);
        if (n < 0)
            return snap_fail_errno(c->sc, errno, "cannot copy '%s' to '%s'",
                                   c->from, c->to);
        if (!n)
            return snap_fail(c->sc, ERROR_FAIL, "'%s' shrank while it was "
                             "copied; who writes it?", c->from);
        at += n;
        c->done_bytes += n;
        snap_report_progress(c->sc, c->what, c->done_bytes, c->total_bytes,
                             false);
    }
    return 0;
}

/* The next piece with data; a file system that cannot tell is all data.
 * Returns 1 when the rest is a hole, -1: errno. */
static int next_extent(const struct copy *c, off_t at, off_t *start,
                       off_t *end)
{
    *start = lseek(c->in, at, SEEK_DATA);
    if (*start < 0 && errno == ENXIO) return 1;
    if (*start < 0 && errno == EINVAL) {
        *start = at;
        *end = c->st.st_size;
        return 0;
    }
    if (*start < 0) return -1;
    *end = lseek(c->in, *start, SEEK_HOLE);
    return *end < 0 ? -1 : 0;
}

static int copy_extents(struct copy *c)
{
    off_t at = 0, start, end;
    int rc;

    if (ftruncate(c->out, c->st.st_size))
        return snap_fail_errno(c->sc, errno, "cannot make '%s' %llu bytes "
                               "long", c->to,
                               (unsigned long long)c->st.st_size);
    while (at < c->st.st_size) {
        rc = next_extent(c, at, &start, &end);
        if (rc < 0)
            return snap_fail_errno(c->sc, errno, "cannot find the data in "
                                   "'%s'", c->from);
        if (rc) break;
        if (end > c->st.st_size) end = c->st.st_size;
        rc = copy_extent(c, start, end);
        if (rc) return rc;
        at = end;
    }
    return 0;
}

/* An image that changed under the copy gave something that never was. */
static int check_unchanged(struct copy *c)
{
    struct stat now;

    if (fstat(c->in, &now))
        return snap_fail_errno(c->sc, errno, "cannot look at '%s'", c->from);
    if (now.st_size == c->st.st_size &&
        now.st_mtim.tv_sec == c->st.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == c->st.st_mtim.tv_nsec)
        return 0;
    return snap_fail(c->sc, ERROR_FAIL, "'%s' changed while it was copied; "
                     "who writes it?", c->from);
}

static int copy_contents(struct copy *c)
{
    int rc;

    if (!ioctl(c->out, FICLONE, c->in)) return 0;
    c->total_bytes = (uint64_t)c->st.st_blocks * 512;
    if (c->total_bytes > (uint64_t)c->st.st_size)
        c->total_bytes = c->st.st_size;
    if (snap_fd_hopeless(c->out, c->total_bytes))
        return snap_fd_fail_space(c->sc, c->to, c->total_bytes, c->out);
    rc = copy_extents(c);
    free(c->buf);
    c->buf = NULL;
    return rc;
}

/* Everything after the target exists; a failure removes it again. */
static int copy_into(struct copy *c, const struct snap_place *at)
{
    int rc;

    rc = copy_contents(c);
    if (!rc) rc = check_unchanged(c);
    if (!rc && !c->private)
        rc = snap_fd_own_like(c->sc, c->out, c->to, &c->st);
    if (!rc) rc = snap_fd_sync(c->sc, c->out, c->to);
    if (!rc) rc = snap_place_sync(c->sc, at, c->to);
    if (rc) {
        unlinkat(at->dir, at->name, 0);
        return rc;
    }
    snap_report_progress(c->sc, c->what, c->done_bytes, c->total_bytes, true);
    return 0;
}

static int copy_file(struct copy *c)
{
    AUTO_PLACE struct snap_place at = PLACE_INIT;
    AUTO_CLOSE int in = -1;
    AUTO_CLOSE int out = -1;
    int rc;

    rc = snap_fd_open_regular(c->sc, c->from, O_RDONLY, &c->st, &in);
    if (rc) return rc;
    rc = snap_place_enter(c->sc, c->to, &at);
    if (rc) return rc;
    rc = snap_place_create(c->sc, &at, c->to, &out);
    if (rc) return rc;
    c->in = in;
    c->out = out;
    return copy_into(c, &at);
}

int snap_fs_copy(struct snap_ctx *sc, const char *from, const char *to,
                 const char *what)
{
    struct copy c = { .sc = sc, .from = from, .to = to,
                      .what = what ? what : "copy" };

    return copy_file(&c);
}

int snap_fs_copy_private(struct snap_ctx *sc, const char *from,
                         const char *to, const char *what)
{
    struct copy c = { .sc = sc, .from = from, .to = to, .what = what,
                      .private = true };

    return copy_file(&c);
}
