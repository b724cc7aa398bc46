/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The door to files: identity, reading, directories, publishing, space, the
 * immutable flag; copies are copy.c's.  It gives no meaning to what it reads
 * and writes; images are image.c's, users of files inuse.c's.  Every room that
 * needs a file comes here.  A path is walked once: what follows works on descriptors
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
#include "host/place.h"

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
    rc = snap_fd_open_regular(sc, path,
                              O_RDONLY | (nofollow ? O_NOFOLLOW : 0), &st,
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
        rc = snap_fd_sync(sc, parent, path);
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
    AUTO_PLACE struct snap_place at = PLACE_INIT;
    int rc;

    rc = snap_place_enter(sc, path, &at);
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

static char *draft_name(const char *target)
{
    return snap_printf(".%s.new", target);
}

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
                         const struct snap_place *at, const char *path,
                         bool replace)
{
    int rc;

    rc = snap_fd_sync(sc, d->fd, path);
    if (rc) return rc;
    if (!replace && draft_add(d, at->name)) {
        if (errno != EEXIST)
            return snap_fail_errno(sc, errno, "cannot publish '%s'", path);
        return snap_fail(sc, ERROR_INVAL, "'%s' exists already", path);
    }
    if (replace && draft_replace(d, at->name))
        return snap_fail_errno(sc, errno, "cannot replace '%s'", path);
    return snap_place_sync(sc, at, path);
}

/* like: NULL: it is ours alone. */
static int publish(struct snap_ctx *sc, const char *path, const char *bytes,
                   size_t len, bool replace, const struct stat *like)
{
    AUTO_PLACE struct snap_place at = PLACE_INIT;
    struct draft d = { .fd = -1 };
    int rc;

    rc = snap_place_enter(sc, path, &at);
    if (rc) return rc;
    d.dir = at.dir;
    d.name = draft_name(at.name);
    if (draft_open(&d) || write_all(d.fd, bytes, len))
        rc = snap_fail_errno(sc, errno, "cannot write '%s'", path);
    else if (like)
        rc = snap_fd_own_like(sc, d.fd, path, like);
    if (!rc) rc = draft_publish(sc, &d, &at, path, replace);
    draft_drop(&d);
    return rc;
}

int snap_fs_publish(struct snap_ctx *sc, const char *path, const char *bytes,
                    size_t len, bool replace)
{
    return publish(sc, path, bytes, len, replace, NULL);
}

int snap_fs_publish_like(struct snap_ctx *sc, const char *path,
                         const char *bytes, size_t len, bool replace,
                         const struct stat *like)
{
    return publish(sc, path, bytes, len, replace, like);
}

int snap_fs_unpublish(struct snap_ctx *sc, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t dir = slash ? (size_t)(slash + 1 - path) : 0;
    AUTO_FREE char *name = draft_name(path + dir);
    AUTO_FREE char *draft = snap_printf("%.*s%s", (int)dir, path, name);
    int rc = snap_fs_remove(sc, draft);

    return rc ? rc : snap_fs_remove(sc, path);
}

/* ---- space ---- */

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
    if (snap_fd_hopeless(fd, size_bytes))
        return snap_fd_fail_space(sc, path, size_bytes, fd);
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
        return snap_fd_fail_space(sc, path, size_bytes, fd);
    }
    return snap_fail_errno(sc, errno, "cannot allocate space for '%s'", path);
}

int snap_fs_allocate(struct snap_ctx *sc, const char *path,
                     uint64_t size_bytes, int *fd)
{
    AUTO_PLACE struct snap_place at = PLACE_INIT;
    AUTO_CLOSE int file = -1;
    int rc;

    *fd = -1;
    rc = snap_place_enter(sc, path, &at);
    if (rc) return rc;
    rc = snap_place_create(sc, &at, path, &file);
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
    AUTO_FREE char *at = snap_path_trimmed(path);
    struct statvfs v;
    char *up;

    while (statvfs(at, &v)) {
        if (errno != ENOENT || !strcmp(at, "/") || !strcmp(at, "."))
            return snap_fail_errno(sc, errno, "cannot tell the free space at "
                                   "'%s'", path);
        up = snap_path_parent_of(at);
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
    return snap_fd_sync(sc, fd, path);
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

/* Where the kernel or the file system has no renaming without replacing, a
 * second name, which link() does not make over another, does. */
static int move_to_free(const char *from, const char *to)
{
    if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE)) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -1;
    if (linkat(AT_FDCWD, from, AT_FDCWD, to, 0)) return -1;
    return unlink(from);
}

int snap_fs_move(struct snap_ctx *sc, const char *from, const char *to)
{
    AUTO_FREE char *dir = snap_path_parent_of(to);

    if (!move_to_free(from, to)) return snap_fs_sync_dir(sc, dir);
    if (errno == EEXIST)
        return snap_fail(sc, ERROR_INVAL, "cannot rename '%s': '%s' exists",
                         from, to);
    return snap_fail_errno(sc, errno, "cannot rename '%s' to '%s'", from, to);
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

/* ---- owners ---- */

int snap_fs_own_like(struct snap_ctx *sc, const char *path, const char *like)
{
    AUTO_CLOSE int fd = -1;
    struct stat st, model;
    int rc;

    if (stat(like, &model))
        return snap_fail_errno(sc, errno, "cannot look at '%s'", like);
    rc = snap_fd_open_regular(sc, path, O_RDONLY | O_NOFOLLOW, &st, &fd);
    if (rc) return rc;
    return snap_fd_own_like(sc, fd, path, &model);
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
