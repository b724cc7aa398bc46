/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Who has an image open: processes, loop devices, mounts and what the kernel
 * built on a block device.  It only looks; who calls it decides what a user
 * means.  It does not know domains: a kernel block back end holds a device
 * without a trace outside xenstore, which is the domain room's to read.
 *
 * Files are compared by (device, inode) through /proc/PID/fd/N, so neither
 * renames nor name spaces hide a user.  What cannot be told for sure counts
 * as a user who writes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "host/inuse.h"

#define MAX_MOUNTINFO (8u << 20)

/* What to look for: an image, or a partition of an image that is a disk. */
struct target {
    uint64_t dev, ino;
    bool block;
    size_t image;
};

struct scan {
    struct snap_ctx *sc;
    const struct snap_fs_id *ids;
    const int *skip;
    size_t nskip;
    struct target *targets;
    size_t ntargets;
    struct snap_inuse *out;
    int proc;                   /* /proc */
};

void snap_inuse_dispose(struct snap_inuse *u)
{
    size_t i;

    for (i = 0; i < u->len; i++) free(u->data[i].text);
    free(u->data);
    memset(u, 0, sizeof(*u));
}

/* ---- targets and users ---- */

static void add_target(struct scan *s, size_t image, uint64_t dev,
                       uint64_t ino, bool block)
{
    s->targets = snap_realloc(s->targets,
                              (s->ntargets + 1) * sizeof(*s->targets));
    s->targets[s->ntargets++] = (struct target){
        .dev = dev, .ino = ino, .block = block, .image = image,
    };
}

/* The next target that is this file, behind `after` (NULL: the first): one
 * file may have been asked about twice. */
static const struct target *next_target(const struct scan *s,
                                        const struct target *after,
                                        uint64_t dev, uint64_t ino, bool block)
{
    const struct target *t = after ? after + 1 : s->targets;

    for (; t < s->targets + s->ntargets; t++)
        if (t->dev == dev && t->ino == ino && t->block == block) return t;
    return NULL;
}

/* Takes text. One entry for a process and image, however often it is open. */
static void add_user(struct scan *s, size_t image, int pid, bool writes,
                     char *text)
{
    struct snap_inuse *u = s->out;
    size_t i;

    for (i = 0; pid && i < u->len; i++) {
        if (u->data[i].image != image || u->data[i].pid != pid) continue;
        u->data[i].writes |= writes;
        free(text);
        return;
    }
    u->data = snap_realloc(u->data, (u->len + 1) * sizeof(*u->data));
    u->data[u->len++] = (struct snap_inuse_user){
        .image = image, .pid = pid, .writes = writes, .text = text,
    };
}

/* The first line of a small file below dirfd, harmless to print; "" if there
 * is none. */
static void read_line(int dirfd_, const char *path, char *buf, size_t size)
{
    AUTO_CLOSE int fd = openat(dirfd_, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, buf, size - 1);
    char *p;

    buf[n > 0 ? n : 0] = '\0';
    buf[strcspn(buf, "\n")] = '\0';
    for (p = buf; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f) *p = '?';
}

/* ---- processes ---- */

static bool is_number(const char *s)
{
    return *s && !s[strspn(s, "0123456789")];
}

static bool skipped(const struct scan *s, int pid)
{
    size_t i;

    for (i = 0; i < s->nskip; i++)
        if (s->skip[i] == pid) return true;
    return false;
}

enum use { USE_GONE, USE_NONE, USE_READS, USE_WRITES };

/* How an open descriptor may use its file. O_PATH ones cannot. */
static enum use use_of(const struct scan *s, const char *task,
                       const char *number)
{
    AUTO_FREE char *path = snap_printf("%s/fdinfo/%s", task, number);
    AUTO_CLOSE int fd = openat(s->proc, path, O_RDONLY | O_CLOEXEC);
    char buf[256], *flags;
    unsigned long value;
    ssize_t n;

    if (fd < 0) return errno == ENOENT ? USE_GONE : USE_WRITES;
    n = read(fd, buf, sizeof(buf) - 1);
    if (n < 0) return errno == ENOENT ? USE_GONE : USE_WRITES;
    buf[n] = '\0';
    flags = strstr(buf, "flags:");
    if (!flags) return USE_WRITES;
    value = strtoul(flags + 6, NULL, 8);
    if (value & O_PATH) return USE_NONE;
    return (value & O_ACCMODE) == O_RDONLY ? USE_READS : USE_WRITES;
}

static void add_process(struct scan *s, const struct target *t, int pid,
                        bool writes)
{
    AUTO_FREE char *path = snap_printf("%d/comm", pid);
    char comm[32];

    read_line(s->proc, path, comm, sizeof(comm));
    add_user(s, t->image, pid, writes,
             snap_printf("process %d (%s)", pid, *comm ? comm : "?"));
}

/* DONT_SYNC: a dead file server must not hold us over its files. */
static void look_at_fd(struct scan *s, int dir, const char *task, int pid,
                       const char *number)
{
    const struct target *t;
    uint64_t dev, ino;
    struct statx x;
    enum use use;
    bool block;

    if (statx(dir, number, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &x))
        return;                 /* closed since */
    block = S_ISBLK(x.stx_mode);
    if (!block && !S_ISREG(x.stx_mode)) return;
    dev = block ? makedev(x.stx_rdev_major, x.stx_rdev_minor)
                : makedev(x.stx_dev_major, x.stx_dev_minor);
    ino = block ? 0 : x.stx_ino;
    t = next_target(s, NULL, dev, ino, block);
    if (!t) return;
    use = use_of(s, task, number);
    if (use == USE_GONE || use == USE_NONE) return;
    for (; t; t = next_target(s, t, dev, ino, block))
        add_process(s, t, pid, use == USE_WRITES);
}

/* Vanished is fine; unreadable is not, for root: there could be a user. */
static int cannot_look(struct scan *s, int pid)
{
    if (errno == ENOENT || errno == ESRCH || geteuid()) return 0;
    return snap_fail_errno(s->sc, errno, "cannot see which files process %d "
                           "has open", pid);
}

/* All descriptors of a task, "PID" or "PID/task/TID". Returns 1 when it has
 * some. */
static int look_at_fds(struct scan *s, const char *task, int pid)
{
    AUTO_FREE char *path = snap_printf("%s/fd", task);
    int fd = openat(s->proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *e;
    int rc = 0;
    DIR *d;

    if (fd < 0) return cannot_look(s, pid);
    d = fdopendir(fd);
    if (!d) {
        close(fd);
        return cannot_look(s, pid);
    }
    errno = 0;
    while ((e = readdir(d))) {
        if (is_number(e->d_name)) {
            rc = 1;
            look_at_fd(s, fd, task, pid, e->d_name);
        }
        errno = 0;
    }
    if (errno) rc = cannot_look(s, pid);
    closedir(d);
    return rc;
}

/* A process whose first thread has ended shows no files; its others may. */
static int look_at_threads(struct scan *s, int pid)
{
    AUTO_FREE char *path = snap_printf("%d/task", pid);
    int fd = openat(s->proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *e;
    int rc = 0;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (!d) {
        if (fd >= 0) close(fd);
        return 0;
    }
    while (rc >= 0 && (e = readdir(d))) {
        AUTO_FREE char *task = snap_printf("%d/task/%s", pid, e->d_name);

        if (is_number(e->d_name) && atoi(e->d_name) != pid)
            rc = look_at_fds(s, task, pid);
    }
    closedir(d);
    return rc < 0 ? rc : 0;
}

static int look_at_process(struct scan *s, const char *name)
{
    int pid = atoi(name), rc;

    if (skipped(s, pid)) return 0;
    rc = look_at_fds(s, name, pid);
    if (rc == 0) rc = look_at_threads(s, pid);
    return rc < 0 ? rc : 0;
}

static int look_at_processes(struct scan *s)
{
    struct dirent *e;
    DIR *d = opendir("/proc");
    int rc = 0;

    if (!d) return snap_fail_errno(s->sc, errno, "cannot read /proc");
    s->proc = dirfd(d);
    while (!rc && (e = readdir(d)))
        if (is_number(e->d_name)) rc = look_at_process(s, e->d_name);
    closedir(d);
    return rc;
}

/* ---- loop devices ---- */

static void add_loop(struct scan *s, const char *name, uint64_t dev,
                     uint64_t ino, bool block, bool writes)
{
    const struct target *t = next_target(s, NULL, dev, ino, block);

    for (; t; t = next_target(s, t, dev, ino, block))
        add_user(s, t->image, 0, writes,
                 snap_printf("loop device /dev/%s", name));
}

/* What the kernel itself says; false when it cannot be asked. */
static bool ask_loop(struct scan *s, const char *name)
{
    AUTO_FREE char *path = snap_printf("/dev/%s", name);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct loop_info64 info = { 0 };
    bool writes;

    if (fd < 0) return false;
    if (ioctl(fd, LOOP_GET_STATUS64, &info)) return errno == ENXIO;
    writes = !(info.lo_flags & LO_FLAGS_READ_ONLY);
    add_loop(s, name, info.lo_device, info.lo_inode, false, writes);
    if (info.lo_rdevice)
        add_loop(s, name, info.lo_rdevice, 0, true, writes);
    return true;
}

/* By the path in sysfs; a file that was renamed since is missed, one that was
 * deleted is nobody's image any more. */
static void guess_loop(struct scan *s, const char *name, const char *backing)
{
    struct stat st;

    if (stat(backing, &st)) return;
    if (S_ISREG(st.st_mode))
        add_loop(s, name, st.st_dev, st.st_ino, false, true);
    if (S_ISBLK(st.st_mode)) add_loop(s, name, st.st_rdev, 0, true, true);
}

static void look_at_loop(struct scan *s, const char *name)
{
    AUTO_FREE char *path =
        snap_printf("/sys/block/%s/loop/backing_file", name);
    struct snap_ctx quiet = SNAP_CTX_INIT;
    AUTO_FREE char *backing = NULL;
    size_t len;
    int rc;

    rc = snap_fs_read(&quiet, path, false, 65536, &backing, &len);
    snap_ctx_dispose(&quiet);
    if (rc) return;             /* not bound to a file */
    if (len && backing[len - 1] == '\n') backing[len - 1] = '\0';
    if (!ask_loop(s, name)) guess_loop(s, name, backing);
}

static void look_at_loops(struct scan *s)
{
    DIR *d = opendir("/sys/block");
    struct dirent *e;

    while (d && (e = readdir(d)))
        if (!strncmp(e->d_name, "loop", 4)) look_at_loop(s, e->d_name);
    if (d) closedir(d);
}

/* ---- block devices ---- */

/* A directory of a block device in sysfs, or NULL. One that is there and
 * cannot be read is as good as a user. */
static DIR *open_sys(struct scan *s, size_t image, uint64_t dev,
                     const char *below)
{
    AUTO_FREE char *path = snap_printf("/sys/dev/block/%u:%u/%s", major(dev),
                                       minor(dev), below);
    DIR *d = opendir(path);

    if (!d && errno != ENOENT)
        add_user(s, image, 0, true,
                 snap_printf("perhaps something built on it: '%s' cannot be "
                             "read (%s)", path, strerror(errno)));
    return d;
}

static bool parse_dev(const char *text, uint64_t *dev)
{
    unsigned int maj, min;
    char end;

    if (sscanf(text, "%u:%u%c", &maj, &min, &end) != 2) return false;
    *dev = makedev(maj, min);
    return true;
}

/* A disk's partitions stand below it in sysfs. */
static void add_partitions(struct scan *s, size_t image)
{
    DIR *d = open_sys(s, image, s->ids[image].dev, ".");
    struct dirent *e;
    char number[32];
    uint64_t dev;

    while (d && (e = readdir(d))) {
        AUTO_FREE char *mark = snap_printf("%s/partition", e->d_name);
        AUTO_FREE char *of = snap_printf("%s/dev", e->d_name);

        if (e->d_name[0] == '.' || faccessat(dirfd(d), mark, F_OK, 0))
            continue;
        read_line(dirfd(d), of, number, sizeof(number));
        if (parse_dev(number, &dev)) add_target(s, image, dev, 0, true);
    }
    if (d) closedir(d);
}

/* Device-mapper, RAID and the like. Returns whether there was one. */
static bool look_at_holders(struct scan *s, const struct target *t)
{
    DIR *d = open_sys(s, t->image, t->dev, "holders");
    struct dirent *e;
    bool found = false;
    char name[256];

    while (d && (e = readdir(d))) {
        AUTO_FREE char *of = snap_printf("%s/dm/name", e->d_name);

        if (e->d_name[0] == '.') continue;
        found = true;
        read_line(dirfd(d), of, name, sizeof(name));
        add_user(s, t->image, 0, true, *name
                 ? snap_printf("device-mapper device %s (%s), built on it",
                               name, e->d_name)
                 : snap_printf("block device %s, built on it", e->d_name));
    }
    if (d) closedir(d);
    return found;
}

/* One line of mountinfo: "36 35 98:0 /root /mount/point rw,...". */
static bool look_at_mount(struct scan *s, char *line, const uint64_t dev,
                          size_t image)
{
    char *save = NULL, *field = NULL, *at;
    uint64_t here;
    int i;

    for (i = 0, at = line; i < 3; i++, at = NULL)
        field = strtok_r(at, " ", &save);
    if (!field || !parse_dev(field, &here) || here != dev) return false;
    strtok_r(NULL, " ", &save);
    field = strtok_r(NULL, " ", &save);
    add_user(s, image, 0, true,
             snap_printf("the file system mounted at %s",
                         field ? field : "?"));
    return true;
}

static bool look_at_mounts(struct scan *s, const struct target *t,
                           const char *mountinfo)
{
    AUTO_FREE char *copy = snap_strdup(mountinfo);
    char *save = NULL, *line;

    for (line = strtok_r(copy, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        if (look_at_mount(s, line, t->dev, t->image)) return true;
    return false;
}

/*
 * The kernel knows of users that no list shows: swap, mounts in other name
 * spaces, btrfs.  They claim the device, so an exclusive open is refused;
 * QEMU and block back ends make no claim.
 */
static void try_claim(struct scan *s, size_t image)
{
    const struct snap_fs_id *id = &s->ids[image];
    AUTO_CLOSE int fd = -1;
    struct stat st;

    if (stat(id->real, &st) || !S_ISBLK(st.st_mode) || st.st_rdev != id->dev)
        return;
    fd = open(id->real, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) return;
    add_user(s, image, 0, true, errno == EBUSY
             ? snap_strdup("the kernel (swap, or a file system mounted "
                           "elsewhere)")
             : snap_printf("perhaps the kernel: '%s' cannot be opened (%s)",
                           id->real, strerror(errno)));
}

static void look_at_block(struct scan *s, size_t image, const char *mountinfo)
{
    bool explained = false;
    size_t i;

    for (i = 0; i < s->ntargets; i++) {
        if (!s->targets[i].block || s->targets[i].image != image) continue;
        explained |= look_at_holders(s, &s->targets[i]);
        explained |= look_at_mounts(s, &s->targets[i], mountinfo);
    }
    if (!explained) try_claim(s, image);
}

static int look_at_blocks(struct scan *s, size_t n)
{
    AUTO_FREE char *mountinfo = NULL;
    size_t i, len;
    int rc;

    for (i = 0; i < n; i++) {
        if (!s->ids[i].block) continue;
        rc = mountinfo ? 0 : snap_fs_read(s->sc, "/proc/self/mountinfo",
                                          false, MAX_MOUNTINFO, &mountinfo,
                                          &len);
        if (rc) return rc;
        look_at_block(s, i, mountinfo);
    }
    return 0;
}

/* ---- the scan ---- */

int snap_inuse_scan(struct snap_ctx *sc, const struct snap_fs_id *ids,
                    size_t n, const int *skip_pids, size_t nskip,
                    struct snap_inuse *out)
{
    struct scan s = { .sc = sc, .ids = ids, .skip = skip_pids,
                      .nskip = nskip, .out = out, .proc = -1 };
    size_t i;
    int rc;

    memset(out, 0, sizeof(*out));
    if (!n) return 0;
    for (i = 0; i < n; i++) {
        add_target(&s, i, ids[i].dev, ids[i].ino, ids[i].block);
        if (ids[i].block) add_partitions(&s, i);
    }
    rc = look_at_processes(&s);
    if (!rc) {
        look_at_loops(&s);
        rc = look_at_blocks(&s, n);
    }
    free(s.targets);
    if (rc) snap_inuse_dispose(out);
    return rc;
}

int snap_inuse_of(struct snap_ctx *sc, int pid, const struct snap_fs_id *ids,
                  size_t n, bool *has)
{
    AUTO_FREE char *name = snap_printf("%d", pid);
    AUTO_CLOSE int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct snap_inuse use = { 0 };
    struct scan s = { .sc = sc, .ids = ids, .out = &use, .proc = proc };
    size_t i;
    int rc;

    memset(has, 0, n * sizeof(*has));
    if (proc < 0) return snap_fail_errno(sc, errno, "cannot read /proc");
    for (i = 0; i < n; i++)
        add_target(&s, i, ids[i].dev, ids[i].ino, ids[i].block);
    rc = look_at_fds(&s, name, pid);
    /* It has three files open, at least. */
    if (rc == 0)
        rc = snap_fail(sc, ERROR_FAIL, "cannot see which files process %d "
                       "has open", pid);
    for (i = 0; i < use.len; i++)
        has[use.data[i].image] = true;
    snap_inuse_dispose(&use);
    free(s.targets);
    return rc < 0 ? rc : 0;
}
