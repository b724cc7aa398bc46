/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The door to files, tried on the file system of the temporary directory,
 * and on a small tmpfs where we may mount one. Old kernels and poor file
 * systems are acted by a system call filter in a forked child.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "host/fs.h"
#include "host/run.h"
#include "tap.h"

static char *tmp;               /* our directory, removed at the end */
static struct snap_ctx sc = SNAP_CTX_INIT;

static char *in_tmp(const char *name)
{
    return snap_printf("%s/%s", tmp, name);
}

static void put(const char *path, const char *text)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        bail("cannot write %s: %s", path, strerror(errno));
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    return lstat(path, &st) ? 0 : st.st_mode & 07777;
}

static uint64_t space_of(const char *path)
{
    struct stat st;

    return stat(path, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

static int entries(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;

    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n - 2;
}

/* Make one system call fail with errnoval from now on; with `bits`, only when
 * they are all set in its third argument. */
static int refuse(int number, unsigned int bits, int errnoval)
{
    struct sock_filter prog[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)number, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 offsetof(struct seccomp_data, args[2])),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, bits, 0, 1),
        BPF_STMT(BPF_RET | BPF_K,
                 SECCOMP_RET_ERRNO | (unsigned int)errnoval),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog f = { .len = sizeof(prog) / sizeof(prog[0]),
                            .filter = prog };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &f);
}

#define NOT_TRIED 99

static int exit_of(pid_t pid)
{
    int status;

    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

/* ---- identity ---- */

static void identifies_files(void)
{
    AUTO_FREE char *file = in_tmp("img"), *hard = in_tmp("hard");
    AUTO_FREE char *soft = in_tmp("soft,\n\"x\""), *other = in_tmp("other");
    AUTO_FREE char *real = realpath(tmp, NULL), *want = NULL;
    struct snap_fs_id a, b, c, d;
    struct stat st;

    want = snap_printf("%s/img", real);
    put(file, "12345");
    put(other, "12345");
    if (link(file, hard) || symlink("./img", soft) || stat(file, &st))
        bail("links: %s", strerror(errno));
    is_int(snap_fs_identify(&sc, file, &a), 0, "a file is identified");
    ok(a.dev == st.st_dev && a.ino == st.st_ino && !a.block &&
       a.size_bytes == 5, "by device, inode and size");
    is_str(a.real, want, "its real path is told");
    is_int(snap_fs_identify(&sc, soft, &b), 0, "a link is followed");
    is_str(b.real, want, "the real path is the link's target");
    snap_fs_identify(&sc, hard, &c);
    snap_fs_identify(&sc, other, &d);
    ok(snap_fs_same(&a, &b) && snap_fs_same(&a, &c),
       "a symbolic and a hard link are the same image");
    ok(!snap_fs_same(&a, &d), "an equal copy is not");
    ok(snap_fs_leads_to(soft, &a) && snap_fs_leads_to(hard, &a)
       && !snap_fs_leads_to(other, &a), "whether a path leads to it is told");
    ok(snap_fs_same_file(soft, hard) && !snap_fs_same_file(file, other),
       "whether two paths lead to one file, too");
    ok(!snap_fs_leads_to(NULL, &a) && !snap_fs_leads_to("/none", &a)
       && !snap_fs_same_file(NULL, NULL) && !snap_fs_same_file(file, "/none")
       && !snap_fs_same_file("/none", "/none"),
       "what is not there leads nowhere");
    free(a.real);
    free(b.real);
    free(c.real);
    free(d.real);
}

static void refuses_what_is_no_image(void)
{
    AUTO_FREE char *none = in_tmp("none");
    struct snap_fs_id id;

    is_int(snap_fs_identify(&sc, none, &id), ERROR_NOTFOUND,
           "what does not exist is not found");
    like(sc.message, none, "the message names it");
    snap_clear(&sc);
    is_int(snap_fs_identify(&sc, tmp, &id), ERROR_INVAL,
           "a directory is no image");
    snap_clear(&sc);
    is_int(snap_fs_identify(&sc, "/dev/null", &id), ERROR_INVAL,
           "a character device is no image");
    snap_clear(&sc);
}

/* ---- reading ---- */

static void reads_small_files(void)
{
    AUTO_FREE char *file = in_tmp("small"), *soft = in_tmp("to-small");
    AUTO_FREE char *fifo = in_tmp("fifo");
    AUTO_FREE char *bytes = NULL;
    size_t len;

    put(file, "0123456789");
    if (symlink("small", soft) || mkfifo(fifo, 0600))
        bail("links: %s", strerror(errno));
    is_int(snap_fs_read(&sc, file, true, 10, &bytes, &len), 0,
           "a file of exactly the bound is read");
    ok(len == 10 && !strcmp(bytes, "0123456789"), "and has a NUL behind it");
    free(bytes);
    is_int(snap_fs_read(&sc, file, true, 9, &bytes, &len), ERROR_INVAL,
           "one byte more than the bound is refused");
    is_str(bytes, NULL, "nothing is handed back");
    snap_clear(&sc);
    is_int(snap_fs_read(&sc, soft, true, 10, &bytes, &len), ERROR_INVAL,
           "a link is refused where links are not followed");
    like(sc.message, "symbolic link", "the message says why");
    snap_clear(&sc);
    is_int(snap_fs_read(&sc, soft, false, 10, &bytes, &len), 0,
           "else it is followed");
    free(bytes);
    is_int(snap_fs_read(&sc, fifo, false, 10, &bytes, &len), ERROR_INVAL,
           "a FIFO is refused without waiting for its writer");
    snap_clear(&sc);
    is_int(snap_fs_read(&sc, "/dev/zero", false, 10, &bytes, &len),
           ERROR_INVAL, "a device is refused");
    snap_clear(&sc);
    is_int(snap_fs_read(&sc, "/nonexistent", false, 10, &bytes, &len),
           ERROR_NOTFOUND, "a missing file is not found");
    snap_clear(&sc);
    is_int(snap_fs_read(&sc, "/proc/self/stat", false, 4096, &bytes, &len),
           0, "a file that claims no size is read whole");
    ok(len > 20, "to its end");
    free(bytes);
    bytes = NULL;
}

/* ---- directories ---- */

static void makes_directories(void)
{
    AUTO_FREE char *deep = in_tmp("a/b//c/"), *b = in_tmp("a/b");
    AUTO_FREE char *file = in_tmp("a/file"), *below = in_tmp("a/file/x");
    AUTO_FREE char *one = in_tmp("a/one"), *lost = in_tmp("q/r");
    mode_t old = umask(0777);

    is_int(snap_fs_make_dir(&sc, deep), 0, "directories are made in depth");
    umask(0);
    is_uint(mode_of(b), 0700, "with mode 0700 under a umask of 0777");
    is_int(snap_fs_make_dir(&sc, deep), 0, "made again, they are fine");
    is_int(snap_fs_new_dir(&sc, one), 0, "one new directory is made");
    umask(old);
    is_uint(mode_of(one), 0700, "with mode 0700 under no umask");
    is_int(snap_fs_new_dir(&sc, one), ERROR_INVAL,
           "but not where one exists");
    like(sc.message, "exists already", "the message says so");
    snap_clear(&sc);
    is_int(snap_fs_new_dir(&sc, lost), ERROR_NOTFOUND,
           "nor below a directory that does not");
    snap_clear(&sc);
    is_int(snap_fs_new_dir(&sc, "/"), ERROR_INVAL, "nor at the root");
    snap_clear(&sc);
    put(file, "");
    ok(snap_fs_make_dir(&sc, below) < 0, "a file is no directory");
    snap_clear(&sc);

    chmod(b, 0775);
    is_int(snap_fs_make_dir(&sc, b), ERROR_INVAL,
           "a directory that the group may write is refused");
    like(sc.message, "chmod go-w", "the message says what to do");
    snap_clear(&sc);
    chmod(b, 0755);
    is_int(snap_fs_make_dir(&sc, b), 0, "one that others only read is fine");
    if (geteuid()) {
        skip("only root can make a directory of somebody else");
        return;
    }
    if (chown(b, 65534, 65534)) bail("chown: %s", strerror(errno));
    is_int(snap_fs_make_dir(&sc, b), ERROR_INVAL,
           "a directory of somebody else is refused");
    snap_clear(&sc);
}

static void removes(void)
{
    AUTO_FREE char *dir = in_tmp("rm"), *file = in_tmp("rm/file");

    is_int(snap_fs_remove(&sc, file), 0, "what is not there is removed");
    snap_fs_new_dir(&sc, dir);
    put(file, "x");
    ok(snap_fs_remove_dir(&sc, dir) < 0 && !access(file, F_OK),
       "a directory with something in it is not removed");
    snap_clear(&sc);
    ok(snap_fs_remove(&sc, dir) < 0, "a directory is no file");
    snap_clear(&sc);
    ok(!snap_fs_remove(&sc, file) && access(file, F_OK),
       "a file is removed");
    ok(!snap_fs_remove_dir(&sc, dir) && access(dir, F_OK),
       "an empty directory is removed");
    is_int(snap_fs_remove_dir(&sc, dir), 0, "and once more");
}

static void moves(void)
{
    AUTO_FREE char *from = in_tmp("from"), *to = in_tmp("to");

    put(from, "x");
    put(to, "y");
    ok(snap_fs_move(&sc, from, to) < 0, "a file is not renamed over another");
    like(sc.message, "exists", "which is said");
    snap_clear(&sc);
    unlink(to);
    is_int(snap_fs_move(&sc, from, to), 0, "where nothing is, it is renamed");
    ok(access(from, F_OK) && !access(to, F_OK), "and has that name only");
    ok(snap_fs_move(&sc, from, to) < 0, "what is not there is not renamed");
    snap_clear(&sc);
    unlink(to);
}

/* ---- publishing ---- */

static bool holds(const char *path, const char *text)
{
    AUTO_FREE char *bytes = NULL;
    size_t len;

    return !snap_fs_read(&sc, path, true, 1000, &bytes, &len) &&
           !strcmp(bytes, text);
}

/* Exit status of the first thing that went wrong; also for children. */
static int publish_story(const char *dir)
{
    AUTO_FREE char *path = snap_printf("%s/x,y", dir);
    AUTO_FREE char *sub = snap_printf("%s/sub", dir);

    if (snap_fs_new_dir(&sc, dir)) return 1;
    if (snap_fs_publish(&sc, path, "one", 3, false)) return 2;
    if (!holds(path, "one") || mode_of(path) != 0600) return 3;
    if (snap_fs_publish(&sc, path, "two", 3, false) != ERROR_INVAL) return 4;
    if (!holds(path, "one")) return 5;
    snap_clear(&sc);
    if (chmod(path, 0666) || snap_fs_publish(&sc, path, "three", 5, true))
        return 6;
    if (!holds(path, "three") || mode_of(path) != 0600) return 7;
    /* A directory cannot be replaced by a file. */
    if (snap_fs_new_dir(&sc, sub)) return 8;
    if (snap_fs_publish(&sc, sub, "x", 1, true) >= 0) return 9;
    snap_clear(&sc);
    return entries(dir) == 2 ? 0 : 10;
}

static void publishes(void)
{
    AUTO_FREE char *dir = in_tmp("pub"), *old = in_tmp("pub-old");
    AUTO_FREE char *lost = in_tmp("nowhere/x");
    mode_t mask = umask(0777);
    pid_t pid;
    int got;

    is_int(publish_story(dir), 0, "publishing adds or replaces, refuses to "
           "replace unasked, is 0600 and leaves nothing beside it");
    umask(mask);
    is_int(snap_fs_publish(&sc, lost, "x", 1, true), ERROR_NOTFOUND,
           "publishing in no directory fails");
    snap_clear(&sc);
    pid = fork();
    if (pid == 0) {
        if (refuse(SYS_openat, O_TMPFILE, EOPNOTSUPP) ||
            refuse(SYS_renameat2, 0, EINVAL))
            _exit(NOT_TRIED);
        _exit(publish_story(old));
    }
    got = exit_of(pid);
    if (got == NOT_TRIED)
        skip("no system call filter here");
    else
        is_int(got, 0, "all the same on a file system without nameless "
               "files and exclusive renames");
}

/* A full disk in the middle of each step. */
static int failing_publish(const char *dir, int call, int errnoval)
{
    AUTO_FREE char *path = snap_printf("%s/x", dir);
    pid_t pid = fork();

    if (pid == 0) {
        if (refuse(call, 0, errnoval)) _exit(NOT_TRIED);
        if (snap_fs_publish(&sc, path, "new", 3, true) >= 0) _exit(1);
        _exit(holds(path, "old") && entries(dir) == 1 ? 0 : 2);
    }
    return exit_of(pid);
}

static void fails_without_a_trace(void)
{
    static const struct {
        int call, errnoval;
        const char *claim;
    } cases[] = {
        { SYS_write, ENOSPC, "a write that fails leaves the old file alone" },
        { SYS_fsync, EIO, "so does an fsync that fails" },
        { SYS_linkat, EMLINK, "so does a link that fails" },
        { SYS_renameat, EIO, "so does a rename that fails" },
    };
    AUTO_FREE char *dir = in_tmp("fail"), *path = in_tmp("fail/x");
    size_t i;
    int got;

    snap_fs_new_dir(&sc, dir);
    put(path, "old");
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        got = failing_publish(dir, cases[i].call, cases[i].errnoval);
        if (got == NOT_TRIED)
            skip("no system call filter here");
        else
            is_int(got, 0, "%s", cases[i].claim);
    }
}

/* ---- space ---- */

static void allocates(void)
{
    AUTO_FREE char *path = in_tmp("mem");
    mode_t mask = umask(0777);
    uint64_t before = 0, after = 0;
    struct stat st;
    int fd = -1, again = -1;

    is_int(snap_fs_allocate(&sc, path, 8 << 20, &fd), 0,
           "space is allocated");
    umask(mask);
    is_uint(mode_of(path), 0600, "mode 0600 whatever the umask");
    ok(fstat(fd, &st) == 0 && st.st_size == 0, "the file is still empty");
    before = space_of(path);
    if (before < 8 << 20)
        skip("no fallocate() on this file system");
    else
        ok(before >= 8 << 20, "but has its blocks");
    is_int(snap_fs_allocate(&sc, path, 1, &again), ERROR_INVAL,
           "an existing file is refused");
    ok(again == -1 && !access(path, F_OK), "and left alone");
    snap_clear(&sc);
    if (write(fd, "12345", 5) != 5) bail("write: %s", strerror(errno));
    is_int(snap_fs_trim(&sc, fd, path, 5), 0, "it is cut to what was written");
    after = space_of(path);
    ok(fstat(fd, &st) == 0 && st.st_size == 5 && after < 1 << 20,
       "and gives back the rest (%ju bytes left)", (uintmax_t)after);
    close(fd);
    is_int(snap_fs_allocate(&sc, "/nonexistent/x", 1, &fd), ERROR_NOTFOUND,
           "there must be a directory");
    snap_clear(&sc);
}

static void refuses_what_does_not_fit(void)
{
    AUTO_FREE char *path = in_tmp("huge");
    int fd = 0;

    is_int(snap_fs_allocate(&sc, path, UINT64_C(1) << 60, &fd), ERROR_FAIL,
           "more than the file system has is refused");
    like(sc.message, "no space", "the message says so");
    like(sc.message, "1099511627776 MiB", "and how much it needs");
    ok(fd == -1 && access(path, F_OK), "no file is left");
    snap_clear(&sc);
}

static int allocate_without_fallocate(const char *path)
{
    pid_t pid = fork();

    if (pid == 0) {
        int fd;

        if (refuse(SYS_fallocate, 0, EOPNOTSUPP)) _exit(NOT_TRIED);
        if (snap_fs_allocate(&sc, path, 1 << 20, &fd)) _exit(1);
        close(fd);
        unlink(path);
        _exit(snap_fs_allocate(&sc, path, UINT64_C(1) << 60, &fd) == ERROR_FAIL
              && access(path, F_OK) ? 0 : 2);
    }
    return exit_of(pid);
}

static void tells_free_space(void)
{
    AUTO_FREE char *path = in_tmp("no/such/dir/yet"), *old = in_tmp("noalloc");
    uint64_t here = 0, there = 0;
    int got = allocate_without_fallocate(old);

    if (got == NOT_TRIED)
        skip("no system call filter here");
    else
        is_int(got, 0, "without fallocate() free space is still checked");
    ok(!snap_fs_free_bytes(&sc, tmp, &here) &&
       !snap_fs_free_bytes(&sc, path, &there) && here && there,
       "free space is told also for a directory yet to be made");
    ok(here / 2 < there && there / 2 < here, "and is that of its ancestor");
    is_int(snap_fs_free_bytes(&sc, "relative/x", &there), 0,
           "also for a relative path");
}

/* ---- syncing ---- */

static void syncs(void)
{
    AUTO_FREE char *file = in_tmp("img");

    is_int(snap_fs_sync_file(&sc, file), 0, "a file is synced");
    is_int(snap_fs_sync_dir(&sc, tmp), 0, "a directory is synced");
    ok(snap_fs_sync_dir(&sc, file) < 0, "a file is no directory");
    snap_clear(&sc);
    is_int(snap_fs_sync_file(&sc, "/nonexistent"), ERROR_NOTFOUND,
           "what does not exist cannot be synced");
    snap_clear(&sc);
}

/* ---- the immutable flag ---- */

/* Claims that hold where the flag exists. */
static void keeps_the_flag(const char *path)
{
    bool on, have;

    is_int(snap_fs_set_immutable(&sc, path, true), 0,
           "the flag is set once more");
    ok(!snap_fs_get_immutable(&sc, path, &on, &have) && on && have,
       "it is seen");
    ok(open(path, O_WRONLY) < 0 && unlink(path) < 0,
       "the file can be neither written nor removed");
    is_int(snap_fs_set_immutable(&sc, path, false), 0, "it is lifted");
    is_int(snap_fs_set_immutable(&sc, path, false), 0, "and lifted again");
    ok(!snap_fs_get_immutable(&sc, path, &on, &have) && !on && have,
       "it is gone");
}

static void sets_the_immutable_flag(void)
{
    AUTO_FREE char *path = in_tmp("base");
    bool on = true, have = true;
    int rc;

    put(path, "base");
    rc = snap_fs_set_immutable(&sc, path, true);
    if (rc == 1 || geteuid())
        skip("the immutable flag needs root and a file system that has it");
    else if (rc < 0)
        skip("the immutable flag: %s", sc.message);
    else
        keeps_the_flag(path);
    snap_clear(&sc);
    is_int(snap_fs_get_immutable(&sc, "/proc/self/stat", &on, &have), 0,
           "a file system without flags is no error");
    ok(!on && !have, "it just has none");
    is_int(snap_fs_set_immutable(&sc, "/proc/self/stat", true), 1,
           "setting it there says so");
    ok(!snap_fs_get_immutable(&sc, "/dev/null", &on, &have) && !have,
       "a device has none either");
    is_int(snap_fs_get_immutable(&sc, "/nonexistent", &on, &have),
           ERROR_NOTFOUND, "what does not exist is not found");
    snap_clear(&sc);
}

/* ---- copies ---- */

#define SPARSE_SIZE (64 << 20)

/* Data at both ends and, not page-aligned, in the middle. */
static void make_sparse(const char *path)
{
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0640);
    static char block[3000000];

    memset(block, 'x', sizeof(block));
    if (fd < 0 || ftruncate(fd, SPARSE_SIZE) ||
        pwrite(fd, "begin", 5, 0) != 5 ||
        pwrite(fd, block, sizeof(block), 20000001) != sizeof(block) ||
        pwrite(fd, "end", 3, SPARSE_SIZE - 3) != 3 ||
        fchmod(fd, 0640))
        bail("cannot make %s: %s", path, strerror(errno));
}

static bool equal_files(const char *a, const char *b)
{
    const char *const argv[] = { "cmp", "-s", a, b, NULL };
    bool same = !snap_run_ok(&sc, argv, 0, NULL);

    snap_clear(&sc);
    return same;
}

struct seen {
    uint64_t last, total;
    int calls, finished;
    bool monotonous;
};

static void on_progress(void *arg, const struct snap_progress *p)
{
    struct seen *s = arg;

    if (p->done_bytes < s->last || p->done_bytes > p->total_bytes)
        s->monotonous = false;
    s->last = p->done_bytes;
    s->total = p->total_bytes;
    s->calls++;
    s->finished += p->finished;
}

static int copy_by_hand(const char *from, const char *to)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (refuse(SYS_copy_file_range, 0, EXDEV)) _exit(NOT_TRIED);
        _exit(snap_fs_copy(&sc, from, to, "x") ? 1 : 0);
    }
    return exit_of(pid);
}

static void copies(void)
{
    AUTO_FREE char *from = in_tmp("sparse,\n"), *to = in_tmp("copy");
    AUTO_FREE char *hand = in_tmp("hand");
    struct seen seen = { .monotonous = true };
    int got;

    make_sparse(from);
    sc.progress = on_progress;
    sc.arg = &seen;
    is_int(snap_fs_copy(&sc, from, to, "copy xvda"), 0, "an image is copied");
    ok(equal_files(from, to), "byte for byte");
    is_uint(mode_of(to), 0640, "with its mode");
    ok(space_of(to) < 8 << 20, "its holes stay holes (%ju bytes)",
       (uintmax_t)space_of(to));
    ok(seen.monotonous && seen.finished == 1,
       "progress rises to the end (%d reports)", seen.calls);
    is_int(snap_fs_copy(&sc, from, to, "x"), ERROR_INVAL,
           "an existing target is refused");
    ok(equal_files(from, to), "and left alone");
    snap_clear(&sc);
    sc.progress = NULL;
    got = copy_by_hand(from, hand);
    if (got == NOT_TRIED)
        skip("no system call filter here");
    else
        ok(got == 0 && equal_files(from, hand) && space_of(hand) < 8 << 20,
           "the same where the kernel does not copy for us");
}

/* Does the file system share blocks between files? */
static bool clones(const char *from)
{
    AUTO_FREE char *to = in_tmp("clone");
    AUTO_CLOSE int in = open(from, O_RDONLY);
    AUTO_CLOSE int out = open(to, O_WRONLY | O_CREAT, 0600);

    return !ioctl(out, FICLONE, in);
}

static void copies_in_private(void)
{
    AUTO_FREE char *from = in_tmp("open"), *to = in_tmp("private");

    put(from, "memory");
    if (chmod(from, 0666)) bail("chmod: %s", strerror(errno));
    is_int(snap_fs_copy_private(&sc, from, to, "copy memory"), 0,
           "a file is copied for us alone");
    ok(equal_files(from, to), "byte for byte");
    is_uint(mode_of(to), 0600, "whoever may read the original");
}

static void copies_fail_whole(void)
{
    AUTO_FREE char *from = in_tmp("sparse,\n"), *to = in_tmp("stopped");

    sc.cancelled = 1;
    if (clones(from)) {
        skip("the file system clones: nothing to stop");
    } else {
        ok(snap_fs_copy(&sc, from, to, "x") == ERROR_ABORTED &&
           access(to, F_OK), "a copy that is stopped leaves nothing");
        like(sc.message, "interrupted by a signal while '",
             "the message says that it was the signal");
    }
    sc.cancelled = 0;
    snap_clear(&sc);
    is_int(snap_fs_copy(&sc, "/nonexistent", to, "x"), ERROR_NOTFOUND,
           "without a source there is no copy");
    snap_clear(&sc);
    ok(snap_fs_copy(&sc, tmp, to, "x") < 0 && access(to, F_OK),
       "a directory is not copied");
    snap_clear(&sc);
}

static void gives_owners(void)
{
    AUTO_FREE char *like_it = in_tmp("owner"), *path = in_tmp("owned");
    AUTO_FREE char *soft = in_tmp("owned-link");
    struct stat st;

    put(like_it, "");
    put(path, "");
    if (symlink("owned", soft)) bail("symlink: %s", strerror(errno));
    if (!geteuid() && chown(like_it, 1234, 4321))
        bail("chown: %s", strerror(errno));
    chmod(like_it, 0604);
    is_int(snap_fs_own_like(&sc, path, like_it), 0, "a file is made alike");
    is_uint(mode_of(path), 0604, "in its mode");
    if (geteuid())
        skip("only root gives files away");
    else
        ok(!stat(path, &st) && st.st_uid == 1234 && st.st_gid == 4321,
           "in owner and group");
    ok(snap_fs_own_like(&sc, soft, like_it) < 0,
       "a link put in its place is refused");
    snap_clear(&sc);
}

static void publishes_alike(void)
{
    AUTO_FREE char *path = in_tmp("alike");
    struct stat like, st;

    put(path, "old");
    if (!geteuid() && chown(path, 1234, 4321))
        bail("chown: %s", strerror(errno));
    if (chmod(path, 0604) || stat(path, &like)) bail("%s", strerror(errno));
    is_int(snap_fs_publish_like(&sc, path, "new", 3, true, &like), 0,
           "a file is replaced by one alike");
    ok(holds(path, "new"), "with other contents");
    ok(!stat(path, &st) && st.st_uid == like.st_uid &&
       st.st_gid == like.st_gid && st.st_mode == like.st_mode &&
       st.st_ino != like.st_ino, "owner, group and mode");
    is_int(snap_fs_publish_like(&sc, path, "x", 1, false, &like), ERROR_INVAL,
           "but not unasked");
    snap_clear(&sc);
}

static void unpublishes(void)
{
    AUTO_FREE char *path = in_tmp("mistake"), *left = in_tmp(".mistake.new");

    put(path, "x");
    put(left, "half");
    is_int(snap_fs_unpublish(&sc, path), 0, "what was published goes");
    ok(access(path, F_OK) && access(left, F_OK), "with what a process left "
       "that died in between");
    is_int(snap_fs_unpublish(&sc, path), 0, "neither need be there");
}

/* ---- a disk that fills up, in a tmpfs of our own ---- */

static int on_small_disk(void)
{
    AUTO_FREE char *at = in_tmp("small-disk");
    AUTO_FREE char *path = snap_printf("%s/mem", at);
    AUTO_FREE char *from = in_tmp("sparse,\n");
    uint64_t before, after;
    int fd;

    if (mkdir(at, 0700) || unshare(CLONE_NEWNS) ||
        mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) ||
        mount("none", at, "tmpfs", 0, "size=2m"))
        return NOT_TRIED;
    if (snap_fs_free_bytes(&sc, path, &before) || before > 2 << 20) return 1;
    if (snap_fs_allocate(&sc, path, 3 << 20, &fd) != ERROR_FAIL) return 2;
    if (!strstr(sc.message, "needs 3 MiB, 2 MiB are free")) return 3;
    snap_clear(&sc);
    if (snap_fs_copy(&sc, from, path, "x") != ERROR_FAIL) return 4;
    if (!strstr(sc.message, "no space")) return 5;
    snap_clear(&sc);
    if (entries(at)) return 6;
    if (snap_fs_free_bytes(&sc, path, &after) || after != before) return 7;
    return 0;
}

static void survives_full_disks(void)
{
    pid_t pid = fork();
    int got;

    if (pid == 0) _exit(on_small_disk());
    got = exit_of(pid);
    if (got == NOT_TRIED)
        skip("a small tmpfs cannot be mounted here");
    else
        is_int(got, 0, "a disk that is too small is left as it was");
}

/* ---- names ---- */

static void encodes_names(void)
{
    static const struct { const char *name, *want; } cases[] = {
        { "guest-1_a.b+c=d", "guest-1_a.b+c=d" },
        { "", "%" },
        { "%", "%25" },
        { ".", "%2E" },
        { "..", "%2E." },
        { "../x", "%2E.%2Fx" },
        { ".hidden", "%2Ehidden" },
        { "a b\n\x01", "a%20b%0A%01" },
        { "\xc3\xbc", "%C3%BC" },
        { "-x", "-x" },
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO_FREE char *got = snap_fs_encode_name(cases[i].name);

        is_str(got, cases[i].want, "a domain's name becomes '%s'",
               cases[i].want);
    }
}

int main(void)
{
    char template[] = "/tmp/test-fs-XXXXXX";
    const char *argv[] = { "rm", "-rf", template, NULL };

    tmp = mkdtemp(template);
    if (!tmp) bail("mkdtemp: %s", strerror(errno));
    identifies_files();
    refuses_what_is_no_image();
    reads_small_files();
    makes_directories();
    removes();
    moves();
    publishes();
    fails_without_a_trace();
    allocates();
    refuses_what_does_not_fit();
    tells_free_space();
    syncs();
    sets_the_immutable_flag();
    copies();
    copies_in_private();
    copies_fail_whole();
    gives_owners();
    publishes_alike();
    unpublishes();
    survives_full_disks();
    encodes_names();
    is_int(snap_run_ok(&sc, argv, 0, NULL), 0, "all can be removed again");
    snap_ctx_dispose(&sc);
    return done_testing();
}
