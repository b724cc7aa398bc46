/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The door to files: identity, reading, directories, publishing, space, the
 * immutable flag, copies.  It gives no meaning to what it reads and writes;
 * images are image.c's, users of files inuse.c's.  Every room that needs a
 * file comes here.  A path is walked once: what follows works on descriptors
 * or on a name inside an open directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "host/fs.h"

#define COPY_PIECE (1u << 20)

/* ---- a file as a name in an open directory ---- */

struct place {
    int dir;                /* opened for reading, so that it can be synced */
    char *name;
};

static void leave(struct place *p)
{
    if (p->dir >= 0) close(p->dir);
    free(p->name);
}

#define AUTO_PLACE __attribute__((cleanup(leave)))
#define PLACE_INIT { .dir = -1 }

/* Path without trailing slashes; "/" stays. malloc'd. */
static char *trimmed(const char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/') len--;
    return snap_strndup(path, len);
}

/* The directory part of a trimmed path: "." where there is none. malloc'd. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash) return snap_strdup(".");
    while (slash > path && slash[-1] == '/') slash--;
    return snap_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int enter(struct snap_ctx *sc, const char *path, struct place *out)
{
    AUTO_FREE char *whole = trimmed(path);
    AUTO_FREE char *parent = parent_of(whole);
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

static int sync_fd(struct snap_ctx *sc, int fd, const char *path)
{
    if (!fsync(fd)) return 0;
    return snap_fail_errno(sc, errno, "cannot write '%s' to stable storage",
                           path);
}

static int sync_place(struct snap_ctx *sc, const struct place *p,
                      const char *path)
{
    if (!fsync(p->dir)) return 0;
    return snap_fail_errno(sc, errno, "cannot write the directory of '%s' to "
                           "stable storage", path);
}

/* ---- identity ---- */

/* The path the kernel knows for an open file; no second walk. malloc'd. */
static char *path_of_fd(int fd)
{
    char link[64], buf[PATH_MAX + 1];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, buf, sizeof(buf) - 1);
    if (n < 0) return NULL;
    buf[n] = '\0';
    if (buf[0] == '/') return snap_strdup(buf);
    errno = ENOENT;             /* outside our root */
    return NULL;
}

/* O_PATH descriptors become real ones through /proc. */
static int reopen(int fd, int flags)
{
    char link[64];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return open(link, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static int block_size(int path_fd, uint64_t *out)
{
    AUTO_CLOSE int fd = reopen(path_fd, O_RDONLY);

    if (fd < 0) return -1;
    return ioctl(fd, BLKGETSIZE64, out);
}

int snap_fs_identify(struct snap_ctx *sc, const char *path,
                     struct snap_fs_id *out)
{
    AUTO_CLOSE int fd = -1;
    struct stat st;

    memset(out, 0, sizeof(*out));
    fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st))
        return snap_fail_errno(sc, errno, "cannot look at '%s'", path);
    if (S_ISREG(st.st_mode)) {
        out->dev = st.st_dev;
        out->ino = st.st_ino;
        out->size_bytes = st.st_size;
    } else if (S_ISBLK(st.st_mode)) {
        out->dev = st.st_rdev;
        out->block = true;
        if (block_size(fd, &out->size_bytes))
            return snap_fail_errno(sc, errno, "cannot tell the size of the "
                                   "block device '%s'", path);
    } else {
        return snap_fail(sc, ERROR_INVAL, "'%s' is neither a regular file "
                         "nor a block device", path);
    }
    out->mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) +
                    st.st_mtim.tv_nsec;
    out->real = path_of_fd(fd);
    if (!out->real)
        return snap_fail_errno(sc, errno, "cannot tell the real path of '%s'",
                               path);
    return 0;
}

bool snap_fs_same(const struct snap_fs_id *a, const struct snap_fs_id *b)
{
    return a->block == b->block && a->dev == b->dev && a->ino == b->ino;
}

bool snap_fs_leads_to(const char *path, const struct snap_fs_id *id)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    struct snap_fs_id other;
    bool same = false;

    if (path && !snap_fs_identify(&quiet, path, &other)) {
        same = snap_fs_same(&other, id);
        free(other.real);
    }
    snap_ctx_dispose(&quiet);
    return same;
}

int snap_fs_find(struct snap_ctx *sc, const char *path,
                 struct snap_fs_id *out, bool *there)
{
    struct stat st;

    *out = (struct snap_fs_id){ .real = NULL };
    *there = false;
    if (stat(path, &st)) {
        if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return 0;
        return snap_fail_errno(sc, errno, "cannot look at '%s'", path);
    }
    out->block = S_ISBLK(st.st_mode);
    out->dev = out->block ? st.st_rdev : st.st_dev;
    out->ino = out->block ? 0 : st.st_ino;
    *there = true;
    return 0;
}

int snap_fs_compare(struct snap_ctx *sc, const char *path,
                    const struct snap_fs_id *id, bool *same)
{
    struct snap_fs_id other;
    int rc;

    *same = false;
    if (!path) return 0;
    rc = snap_fs_find(sc, path, &other, same);
    if (*same) *same = snap_fs_same(&other, id);
    return rc;
}

bool snap_fs_same_file(const char *x, const char *y)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    struct snap_fs_id id;
    bool same = false;

    if (x && !snap_fs_identify(&quiet, x, &id)) {
        same = snap_fs_leads_to(y, &id);
        free(id.real);
    }
    snap_ctx_dispose(&quiet);
    return same;
}

/* ---- reading ---- */

static int open_regular(struct snap_ctx *sc, const char *path, int flags,
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

/* Up to max bytes, and one more to see that there is more. */
static int read_up_to(struct snap_ctx *sc, int fd, const char *path,
                      size_t max, struct snap_text *t)
{
    char buf[65536];
    ssize_t n;

    while (t->len <= max) {
        n = read(fd, buf, sizeof(buf));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return snap_fail_errno(sc, errno, "cannot read '%s'", path);
        snap_text_add_bytes(t, buf, n);
        if (!n) return 0;
    }
    return snap_fail(sc, ERROR_INVAL, "'%s' is larger than %zu bytes, which "
                     "is more than such a file may have", path, max);
}

int snap_fs_read(struct snap_ctx *sc, const char *path, bool nofollow,
                 size_t max, char **bytes, size_t *len)
{
    AUTO_CLOSE int fd = -1;
    struct snap_text t = { 0 };
    struct stat st;
    int rc;

    *bytes = NULL;
    *len = 0;
    rc = open_regular(sc, path, O_RDONLY | (nofollow ? O_NOFOLLOW : 0), &st,
                      &fd);
    if (rc) return rc;
    rc = read_up_to(sc, fd, path, max, &t);
    if (rc) {
        free(t.data);
        return rc;
    }
    *bytes = t.data;
    *len = t.len;
    return 0;
}

/* ---- directories ---- */

/* Make one directory with exactly 0700, whatever the umask, and sync its
 * parent. Returns 1 when something of that name is there already. */
static int make_one(struct snap_ctx *sc, int parent, const char *name,
                    const char *path)
{
    struct stat st;
    int rc;

    if (mkdirat(parent, name, 0700)) {
        if (errno == EEXIST) return 1;
        return snap_fail_errno(sc, errno, "cannot make the directory '%s'",
                               path);
    }
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) ||
        ((st.st_mode & 0777) != 0700 &&
         fchmodat(parent, name, 0700, AT_SYMLINK_NOFOLLOW)))
        rc = snap_fail_errno(sc, errno, "cannot set the mode of '%s'", path);
    else
        rc = sync_fd(sc, parent, path);
    if (rc) unlinkat(parent, name, AT_REMOVEDIR);
    return rc;
}

/* Go down one step, making it where it is missing. Replaces *dir. */
static int descend(struct snap_ctx *sc, int *dir, const char *name,
                   const char *path)
{
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    int next = openat(*dir, name, flags), rc;

    if (next < 0 && errno == ENOENT) {
        rc = make_one(sc, *dir, name, path);
        if (rc < 0) return rc;
        next = openat(*dir, name, flags);
    }
    if (next < 0)
        return snap_fail_errno(sc, errno, "cannot enter the directory '%s' "
                               "at '%s'", path, name);
    close(*dir);
    *dir = next;
    return 0;
}

/* Who else can write the directory can swap what we put there. */
static int check_private(struct snap_ctx *sc, int dir, const char *path)
{
    struct stat st;

    if (fstat(dir, &st))
        return snap_fail_errno(sc, errno, "cannot look at '%s'", path);
    if (st.st_uid != geteuid())
        return snap_fail(sc, ERROR_INVAL, "the directory '%s' belongs to "
                         "user %u, not to us; chown it or use another", path,
                         st.st_uid);
    if (st.st_mode & 0022)
        return snap_fail(sc, ERROR_INVAL, "the directory '%s' can be written "
                         "by others (mode %04o); run: chmod go-w", path,
                         st.st_mode & 07777);
    return 0;
}

int snap_fs_make_dir(struct snap_ctx *sc, const char *path)
{
    AUTO_CLOSE int dir = -1;
    AUTO_FREE char *parts = snap_strdup(path);
    char *part, *save = NULL;
    int rc;

    if (!*path)
        return snap_fail(sc, ERROR_INVAL, "an empty path is no directory");
    dir = open(*path == '/' ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return snap_fail_errno(sc, errno, "cannot open '/'");
    for (part = strtok_r(parts, "/", &save); part;
         part = strtok_r(NULL, "/", &save)) {
        rc = descend(sc, &dir, part, path);
        if (rc) return rc;
    }
    return check_private(sc, dir, path);
}

int snap_fs_new_dir(struct snap_ctx *sc, const char *path)
{
    AUTO_PLACE struct place at = PLACE_INIT;
    int rc;

    rc = enter(sc, path, &at);
    if (rc) return rc;
    rc = make_one(sc, at.dir, at.name, path);
    if (rc == 1)
        return snap_fail(sc, ERROR_INVAL, "'%s' exists already", path);
    return rc;
}

/* ---- publishing ---- */

/*
 * A file on its way: nameless where the file system can (nothing is left
 * behind even by a power cut).  Else, and for the moment before it takes the
 * place of another, it has a name of its target's, so that one that was left
 * behind goes when the target is written again.  Whoever could put something
 * there could put it at the target as well: the name is only ever made, never
 * opened.
 */
struct draft {
    int dir;                /* borrowed */
    int fd;
    bool named;
    char *name;             /* that it has or will have */
};

static bool no_tmpfile(int errnoval)
{
    return errnoval == EOPNOTSUPP || errnoval == EISDIR || errnoval == EINVAL;
}

static int draft_open(struct draft *d)
{
    d->fd = openat(d->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (d->fd < 0 && no_tmpfile(errno)) {
        unlinkat(d->dir, d->name, 0);
        d->fd = openat(d->dir, d->name,
                       O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        d->named = d->fd >= 0;
    }
    if (d->fd < 0) return -1;
    return fchmod(d->fd, 0600);
}

static void draft_drop(struct draft *d)
{
    if (d->fd >= 0) close(d->fd);
    if (d->named) unlinkat(d->dir, d->name, 0);
    free(d->name);
}

static int draft_link(const struct draft *d, const char *name)
{
    char link[64];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", d->fd);
    return linkat(AT_FDCWD, link, d->dir, name, AT_SYMLINK_FOLLOW);
}

static int write_all(int fd, const char *bytes, size_t len)
{
    ssize_t n;

    while (len) {
        n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        bytes += n;
        len -= n;
    }
    return 0;
}

/* Over what is there. rename() wants a name, so a nameless draft gets one for
 * a moment. */
static int draft_replace(struct draft *d, const char *name)
{
    if (!d->named) {
        unlinkat(d->dir, d->name, 0);
        if (draft_link(d, d->name)) return -1;
        d->named = true;
    }
    if (renameat(d->dir, d->name, d->dir, name)) return -1;
    d->named = false;
    return 0;
}

/* Only where nothing is. link() refuses an existing name on every file
 * system; the draft's own name goes in draft_drop(). */
static int draft_add(struct draft *d, const char *name)
{
    if (!d->named) return draft_link(d, name);
    if (!renameat2(d->dir, d->name, d->dir, name, RENAME_NOREPLACE)) {
        d->named = false;
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) return -1;
    return linkat(d->dir, d->name, d->dir, name, 0);
}

static int draft_publish(struct snap_ctx *sc, struct draft *d,
                         const struct place *at, const char *path,
                         bool replace)
{
    int rc;

    rc = sync_fd(sc, d->fd, path);
    if (rc) return rc;
    if (!replace && draft_add(d, at->name)) {
        if (errno != EEXIST)
            return snap_fail_errno(sc, errno, "cannot publish '%s'", path);
        return snap_fail(sc, ERROR_INVAL, "'%s' exists already", path);
    }
    if (replace && draft_replace(d, at->name))
        return snap_fail_errno(sc, errno, "cannot replace '%s'", path);
    return sync_place(sc, at, path);
}

int snap_fs_publish(struct snap_ctx *sc, const char *path, const char *bytes,
                    size_t len, bool replace)
{
    AUTO_PLACE struct place at = PLACE_INIT;
    struct draft d = { .fd = -1 };
    int rc;

    rc = enter(sc, path, &at);
    if (rc) return rc;
    d.dir = at.dir;
    d.name = snap_printf(".%s.new", at.name);
    if (draft_open(&d) || write_all(d.fd, bytes, len))
        rc = snap_fail_errno(sc, errno, "cannot write '%s'", path);
    else
        rc = draft_publish(sc, &d, &at, path, replace);
    draft_drop(&d);
    return rc;
}

/* ---- space ---- */

static int fail_space(struct snap_ctx *sc, const char *path, uint64_t need,
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

/* Is there clearly too little?  Asked first, so that a hopeless allocation
 * does not fill the file system for a moment. */
static bool hopeless(int fd, uint64_t need)
{
    struct statvfs v;

    if (fstatvfs(fd, &v) || !v.f_blocks) return false;
    return (uint64_t)v.f_bfree * v.f_frsize < need;
}

/* On tmpfs to allocate is to clear every page, which takes as long as writing
 * it: there only the free space is looked at, and a save that runs out of it
 * is undone. */
#define HELD_BYTES (1 << 20)
static bool in_memory(int fd)
{
    struct statfs f;

    return !fstatfs(fd, &f) && f.f_type == TMPFS_MAGIC;
}

static int reserve(struct snap_ctx *sc, int fd, const char *path,
                   uint64_t size_bytes)
{
    off_t from = 0;
    int r, ignored;

    if (!size_bytes) return 0;
    if (size_bytes > INT64_MAX)
        return snap_fail(sc, ERROR_INVAL, "'%s' cannot be that large", path);
    if (hopeless(fd, size_bytes)) return fail_space(sc, path, size_bytes, fd);
    /* The end of the room is held all the same, and given back by trim: what
     * is written last (a manifest beside it) finds space then. */
    if (in_memory(fd) && size_bytes > HELD_BYTES)
        from = size_bytes - HELD_BYTES;
    do {
        r = fallocate(fd, FALLOC_FL_KEEP_SIZE, from, size_bytes - from);
    } while (r && errno == EINTR);
    if (!r || errno == EOPNOTSUPP || errno == ENOSYS) return 0;
    if (errno == ENOSPC || errno == EDQUOT) {
        /* Give back what it got, so that the message counts it as free. */
        ignored = ftruncate(fd, 0);
        (void)ignored;
        return fail_space(sc, path, size_bytes, fd);
    }
    return snap_fail_errno(sc, errno, "cannot allocate space for '%s'", path);
}

/* A new file of ours: exactly 0600, an error where the name is taken. */
static int create_file(struct snap_ctx *sc, const struct place *at,
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

int snap_fs_allocate(struct snap_ctx *sc, const char *path,
                     uint64_t size_bytes, int *fd)
{
    AUTO_PLACE struct place at = PLACE_INIT;
    AUTO_CLOSE int file = -1;
    int rc;

    *fd = -1;
    rc = enter(sc, path, &at);
    if (rc) return rc;
    rc = create_file(sc, &at, path, &file);
    if (rc) return rc;
    rc = reserve(sc, file, path, size_bytes);
    if (rc) {
        unlinkat(at.dir, at.name, 0);
        return rc;
    }
    *fd = file;
    file = -1;
    return 0;
}

int snap_fs_trim(struct snap_ctx *sc, int fd, const char *path,
                 uint64_t size_bytes)
{
    /* Also with an unchanged size: it drops the blocks behind the end. */
    if (size_bytes <= INT64_MAX && !ftruncate(fd, size_bytes)) return 0;
    return snap_fail_errno(sc, size_bytes > INT64_MAX ? EFBIG : errno,
                           "cannot cut '%s' to its size", path);
}

/* Asks the nearest ancestor that exists: directories may be yet to make. */
int snap_fs_free_bytes(struct snap_ctx *sc, const char *path, uint64_t *out)
{
    AUTO_FREE char *at = trimmed(path);
    struct statvfs v;
    char *up;

    while (statvfs(at, &v)) {
        if (errno != ENOENT || !strcmp(at, "/") || !strcmp(at, "."))
            return snap_fail_errno(sc, errno, "cannot tell the free space at "
                                   "'%s'", path);
        up = parent_of(at);
        free(at);
        at = up;
    }
    *out = v.f_blocks ? (uint64_t)v.f_bavail * v.f_frsize : UINT64_MAX;
    return 0;
}

/* ---- syncing and removing ---- */

static int sync_path(struct snap_ctx *sc, const char *path, int flags)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);

    if (fd < 0) return snap_fail_errno(sc, errno, "cannot open '%s'", path);
    return sync_fd(sc, fd, path);
}

int snap_fs_sync_file(struct snap_ctx *sc, const char *path)
{
    return sync_path(sc, path, O_NOCTTY);
}

int snap_fs_sync_dir(struct snap_ctx *sc, const char *path)
{
    return sync_path(sc, path, O_DIRECTORY);
}

int snap_fs_remove(struct snap_ctx *sc, const char *path)
{
    if (!unlink(path) || errno == ENOENT) return 0;
    return snap_fail_errno(sc, errno, "cannot remove '%s'", path);
}

int snap_fs_remove_dir(struct snap_ctx *sc, const char *path)
{
    if (!rmdir(path) || errno == ENOENT) return 0;
    return snap_fail_errno(sc, errno, "cannot remove the directory '%s'",
                           path);
}

/* ---- the immutable flag ---- */

static bool no_flags(int errnoval)
{
    return errnoval == ENOTTY || errnoval == EOPNOTSUPP ||
           errnoval == EINVAL || errnoval == ENOSYS;
}

/* The inode's flags; *fd is -1 for what has none (a block device, a file
 * system without them). The argument is an int whatever the header says. */
static int open_flags(struct snap_ctx *sc, const char *path, int *fd,
                      unsigned int *flags)
{
    struct stat st;
    int errnoval;

    *flags = 0;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0 || fstat(*fd, &st))
        return snap_fail_errno(sc, errno, "cannot open '%s'", path);
    if (S_ISREG(st.st_mode) && !ioctl(*fd, FS_IOC_GETFLAGS, flags)) return 0;
    errnoval = S_ISREG(st.st_mode) ? errno : ENOTTY;
    close(*fd);
    *fd = -1;
    if (no_flags(errnoval)) return 0;
    return snap_fail_errno(sc, errnoval, "cannot read the flags of '%s'",
                           path);
}

int snap_fs_get_immutable(struct snap_ctx *sc, const char *path, bool *on,
                          bool *have)
{
    AUTO_CLOSE int fd = -1;
    unsigned int flags;
    int rc;

    *on = *have = false;
    rc = open_flags(sc, path, &fd, &flags);
    if (rc || fd < 0) return rc;
    *have = true;
    *on = flags & FS_IMMUTABLE_FL;
    return 0;
}

int snap_fs_set_immutable(struct snap_ctx *sc, const char *path, bool on)
{
    AUTO_CLOSE int fd = -1;
    unsigned int flags, wanted;
    int rc;

    rc = open_flags(sc, path, &fd, &flags);
    if (rc) return rc;
    if (fd < 0) return 1;
    wanted = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
    if (wanted == flags) return 0;
    if (ioctl(fd, FS_IOC_SETFLAGS, &wanted)) {
        if (no_flags(errno)) return 1;
        return snap_fail_errno(sc, errno, "cannot %s the immutable flag of "
                               "'%s'", on ? "set" : "lift", path);
    }
    /* Some file systems take the call and forget the flag. */
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags))
        return snap_fail_errno(sc, errno, "cannot read the flags of '%s'",
                               path);
    return !(flags & FS_IMMUTABLE_FL) == !on ? 0 : 1;
}

/* ---- owners and copies ---- */

static int own_fd(struct snap_ctx *sc, int fd, const char *path,
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

int snap_fs_own_like(struct snap_ctx *sc, const char *path, const char *like)
{
    AUTO_CLOSE int fd = -1;
    struct stat st, model;
    int rc;

    if (stat(like, &model))
        return snap_fail_errno(sc, errno, "cannot look at '%s'", like);
    rc = open_regular(sc, path, O_RDONLY | O_NOFOLLOW, &st, &fd);
    if (rc) return rc;
    return own_fd(sc, fd, path, &model);
}

struct copy {
    struct snap_ctx *sc;
    const char *from, *to, *what;
    int in, out;
    struct stat st;             /* of the source, before */
    uint64_t done_bytes, total_bytes;
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
            return snap_fail(c->sc, ERROR_ABORTED, "copying '%s' was stopped",
                             c->from);
        n = copy_some(c, at, end - at < COPY_PIECE ? end - at : COPY_PIECE);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == ENOSPC || errno == EDQUOT))
            return fail_space(c->sc, c->to, c->total_bytes, c->out);
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
    if (hopeless(c->out, c->total_bytes))
        return fail_space(c->sc, c->to, c->total_bytes, c->out);
    rc = copy_extents(c);
    free(c->buf);
    c->buf = NULL;
    return rc;
}

/* Everything after the target exists; a failure removes it again. */
static int copy_into(struct copy *c, const struct place *at)
{
    int rc;

    rc = copy_contents(c);
    if (!rc) rc = check_unchanged(c);
    if (!rc) rc = own_fd(c->sc, c->out, c->to, &c->st);
    if (!rc) rc = sync_fd(c->sc, c->out, c->to);
    if (!rc) rc = sync_place(c->sc, at, c->to);
    if (rc) {
        unlinkat(at->dir, at->name, 0);
        return rc;
    }
    snap_report_progress(c->sc, c->what, c->done_bytes, c->total_bytes, true);
    return 0;
}

int snap_fs_copy(struct snap_ctx *sc, const char *from, const char *to,
                 const char *what)
{
    AUTO_PLACE struct place at = PLACE_INIT;
    AUTO_CLOSE int in = -1;
    AUTO_CLOSE int out = -1;
    struct copy c = { .sc = sc, .from = from, .to = to,
                      .what = what ? what : "copy" };
    int rc;

    rc = open_regular(sc, from, O_RDONLY, &c.st, &in);
    if (rc) return rc;
    rc = enter(sc, to, &at);
    if (rc) return rc;
    rc = create_file(sc, &at, to, &out);
    if (rc) return rc;
    c.in = in;
    c.out = out;
    return copy_into(&c, &at);
}

/* ---- names ---- */

static bool plain_in_name(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || (c && strchr("_-.+=", c));
}

char *snap_fs_encode_name(const char *name)
{
    struct snap_text t = { 0 };
    const char *p;

    if (!*name) return snap_strdup("%");
    for (p = name; *p; p++) {
        if (plain_in_name(*p) && (p != name || *p != '.'))
            snap_text_add_bytes(&t, p, 1);
        else
            snap_text_add(&t, "%%%02X", (unsigned char)*p);
    }
    return t.data;
}
