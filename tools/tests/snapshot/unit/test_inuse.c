/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Who has an image open, tried with real processes and, where we are root and
 * the kernel lets us, with loop devices, mounts and device-mapper.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "host/inuse.h"
#include "host/run.h"
#include "tap.h"

static char *tmp;               /* our directory, removed at the end */
static struct snap_ctx sc = SNAP_CTX_INIT;

static char *in_tmp(const char *name)
{
    return snap_printf("%s/%s", tmp, name);
}

static void make_file(const char *path, off_t size)
{
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);

    if (fd < 0 || ftruncate(fd, size))
        bail("cannot make %s: %s", path, strerror(errno));
}

/* ---- one scan, asked in the ways that tests ask ---- */

/* For one path; pid 0 skips nobody. */
static struct snap_inuse scan(const char *path, int skip_pid)
{
    struct snap_inuse u = { 0 };
    struct snap_fs_id id;

    if (snap_fs_identify(&sc, path, &id)) bail("%s", sc.message);
    if (snap_inuse_scan(&sc, &id, 1, &skip_pid, skip_pid ? 1 : 0, &u)) {
        diag("%s", sc.message);
        snap_clear(&sc);
    }
    free(id.real);
    return u;
}

static const struct snap_inuse_user *user_pid(const struct snap_inuse *u,
                                              int pid)
{
    size_t i;

    for (i = 0; i < u->len; i++)
        if (u->data[i].pid == pid) return &u->data[i];
    return NULL;
}

static const struct snap_inuse_user *user_text(const struct snap_inuse *u,
                                               const char *part)
{
    size_t i;

    for (i = 0; i < u->len; i++)
        if (strstr(u->data[i].text, part)) return &u->data[i];
    return NULL;
}

static bool used_by_text(const char *path, const char *part)
{
    struct snap_inuse u = scan(path, 0);
    bool found = user_text(&u, part);
    size_t i;

    for (i = 0; !found && i < u.len; i++) diag("user: %s", u.data[i].text);
    snap_inuse_dispose(&u);
    return found;
}

static bool unused(const char *path)
{
    struct snap_inuse u = scan(path, 0);
    bool none = !u.len;
    size_t i;

    for (i = 0; i < u.len; i++) diag("user: %s", u.data[i].text);
    snap_inuse_dispose(&u);
    return none;
}

/* ---- children that hold files ---- */

static void *hold_on(void *arg)
{
    for (;;) pause();
    return arg;
}

/* A process that has `path` open; it has opened when we return. */
static pid_t start_holder(const char *path, int flags, bool thread_only)
{
    int ready[2];
    char c;
    pid_t pid;

    if (pipe(ready) || (pid = fork()) < 0) bail("fork: %s", strerror(errno));
    if (pid == 0) {
        pthread_t t;

        if (path && open(path, flags) < 0) _exit(1);
        if (thread_only && pthread_create(&t, NULL, hold_on, NULL)) _exit(2);
        if (write(ready[1], "x", 1) != 1) _exit(3);
        close(ready[0]);
        close(ready[1]);
        if (thread_only) pthread_exit(NULL);
        hold_on(NULL);
    }
    close(ready[1]);
    if (read(ready[0], &c, 1) != 1) bail("no child");
    close(ready[0]);
    if (thread_only) usleep(100000);
    return pid;
}

static void stop_holder(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* ---- processes ---- */

static void sees_ourselves(void)
{
    AUTO_FREE char *path = in_tmp("own");
    struct snap_inuse u;
    int fd, fd2;

    make_file(path, 0);
    ok(unused(path), "a closed file has no user");
    fd = open(path, O_RDONLY);
    u = scan(path, 0);
    ok(u.len == 1 && u.data[0].pid == getpid() && !u.data[0].writes,
       "a file that we read has us as its only user, who does not write");
    snap_inuse_dispose(&u);
    ok(!u.data && !u.len, "a disposed answer is empty");
    u = scan(path, getpid());
    is_uint(u.len, 0, "but not when we are among the skipped");
    snap_inuse_dispose(&u);
    fd2 = open(path, O_WRONLY);
    u = scan(path, 0);
    ok(u.len == 1 && u.data[0].writes,
       "open twice, it still has one user, who writes");
    snap_inuse_dispose(&u);
    close(fd2);
    close(fd);
    fd = open(path, O_PATH);
    ok(unused(path), "an O_PATH descriptor is no use");
    close(fd);
}

static void sees_other_processes(void)
{
    AUTO_FREE char *path = in_tmp("image"), *link_ = in_tmp("link");
    AUTO_FREE char *hard = in_tmp("hard"), *moved = in_tmp("moved");
    AUTO_FREE char *want = NULL;
    const struct snap_inuse_user *r, *w;
    struct snap_inuse u;
    pid_t reader, writer;

    make_file(path, 0);
    if (symlink("image", link_) || link(path, hard))
        bail("links: %s", strerror(errno));
    reader = start_holder(link_, O_RDONLY, false);
    writer = start_holder(hard, O_RDWR, false);
    want = snap_printf("process %d (%.15s)", writer,
                       program_invocation_short_name);
    if (rename(path, moved)) bail("rename: %s", strerror(errno));
    u = scan(moved, 0);
    r = user_pid(&u, reader);
    w = user_pid(&u, writer);
    is_uint(u.len, 2, "two processes are two users, by whatever name they "
            "opened it and whatever it is called now");
    ok(r && !r->writes, "the one that reads is said to read");
    ok(w && w->writes, "the one that writes to write");
    is_str(w ? w->text : NULL, want, "the text has number and name");
    snap_inuse_dispose(&u);
    stop_holder(reader);
    stop_holder(writer);
    ok(unused(moved), "both gone, there is none");
}

static void sees_what_threads_hold(void)
{
    AUTO_FREE char *path = in_tmp("thread");
    struct snap_inuse u;
    pid_t pid;

    make_file(path, 0);
    pid = start_holder(path, O_RDWR, true);
    u = scan(path, 0);
    ok(user_pid(&u, pid), "a process whose first thread has ended is seen");
    snap_inuse_dispose(&u);
    stop_holder(pid);
}

static void tells_images_apart(void)
{
    AUTO_FREE char *a = in_tmp("img-a"), *b = in_tmp("img-b");
    struct snap_fs_id ids[3];
    struct snap_inuse u;
    bool seen[3] = { false };
    size_t i;
    pid_t pid;

    make_file(a, 0);
    make_file(b, 0);
    if (snap_fs_identify(&sc, a, &ids[0]) ||
        snap_fs_identify(&sc, b, &ids[1]) || snap_fs_identify(&sc, b, &ids[2]))
        bail("%s", sc.message);
    pid = start_holder(b, O_WRONLY, false);
    is_int(snap_inuse_scan(&sc, ids, 3, NULL, 0, &u), 0,
           "several images are asked about at once");
    for (i = 0; i < u.len; i++) seen[u.data[i].image] = true;
    ok(u.len == 2 && !seen[0] && seen[1] && seen[2],
       "each user is told for his image, and for all that ask about it");
    snap_inuse_dispose(&u);
    is_int(snap_inuse_scan(&sc, ids, 0, NULL, 0, &u), 0,
           "no image has no user");
    stop_holder(pid);
    for (i = 0; i < 3; i++) free(ids[i].real);
}

/* As facts asks: are these the files that QEMU has? */
static void knows_what_one_has(void)
{
    AUTO_FREE char *a = in_tmp("has-a"), *b = in_tmp("has-b");
    AUTO_FREE char *other = in_tmp("has-other");
    struct snap_fs_id ids[3];
    bool has[3];
    size_t i;
    pid_t pid;

    make_file(a, 0);
    make_file(b, 0);
    make_file(other, 0);
    pid = start_holder(b, O_RDONLY, false);
    if (snap_fs_identify(&sc, a, &ids[0]) ||
        snap_fs_identify(&sc, b, &ids[1]))
        bail("%s", sc.message);
    if (rename(other, b) || snap_fs_identify(&sc, b, &ids[2]))
        bail("%s: %s", b, strerror(errno));
    is_int(snap_inuse_of(&sc, pid, ids, 3, has), 0,
           "a process is asked what it has open");
    ok(!has[0] && has[1], "it has that one, and not another");
    ok(!has[2], "nor one that took the name since");
    stop_holder(pid);
    ok(snap_inuse_of(&sc, pid, ids, 3, has) < 0, "one that is gone cannot be "
       "asked");
    like(sc.message, "cannot see which files process ", "which is said");
    snap_clear(&sc);
    for (i = 0; i < 3; i++) free(ids[i].real);
}

static void needs_no_root(void)
{
    AUTO_FREE char *path = in_tmp("not-root");
    struct snap_fs_id id;
    int status;
    pid_t pid;

    make_file(path, 0);
    if (snap_fs_identify(&sc, path, &id)) bail("%s", sc.message);
    pid = fork();
    if (pid == 0) {
        struct snap_inuse u;

        if (!geteuid() && setuid(65534)) _exit(2);
        _exit(snap_inuse_scan(&sc, &id, 1, NULL, 0, &u) ? 1 : 0);
    }
    waitpid(pid, &status, 0);
    is_int(status, 0, "without root, what may not be read is left out");
    free(id.real);
}

#define CROWD 200

static void is_fast(void)
{
    AUTO_FREE char *path = in_tmp("fast");
    pid_t pids[CROWD];
    struct snap_inuse u;
    int64_t start, took;
    size_t i;

    make_file(path, 0);
    for (i = 0; i < CROWD; i++)
        pids[i] = start_holder(i ? NULL : path, O_RDONLY, false);
    start = snap_now_ms();
    u = scan(path, 0);
    took = snap_now_ms() - start;
    /* A generous bound: the machine may be busy with other tests. */
    if (getenv("VALGRIND"))
        skip("under valgrind time says nothing");
    else
        ok(u.len == 1 && took < 1000, "one of %d processes is found in %d ms",
           CROWD, (int)took);
    snap_inuse_dispose(&u);
    for (i = 0; i < CROWD; i++) stop_holder(pids[i]);
}

/* ---- loop devices and what stands on them ---- */

/* Run a tool and take its first line; NULL when that does not work here. */
static char *tool(const char *const *argv)
{
    char *out = NULL;

    if (snap_run_ok(&sc, argv, 0, &out)) {
        note("%s", sc.message);
        snap_clear(&sc);
        return NULL;
    }
    out[strcspn(out, "\n")] = '\0';
    return out;
}

#define TOOL(...) tool((const char *const[]){ __VA_ARGS__, NULL })

static void detach(const char *dev)
{
    free(TOOL("losetup", "-d", dev));
}

/* Scans are of our own name space here and of another in the parent. */
static int mount_and_scan(const char *dev, int ready, int done)
{
    AUTO_FREE char *at = in_tmp("mnt point");
    char c;

    if (mkdir(at, 0700) || unshare(CLONE_NEWNS) ||
        mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) ||
        mount(dev, at, "ext4", 0, ""))
        return 99;
    if (!used_by_text(dev, "the file system mounted at /tmp/test-inuse-"))
        return 1;
    if (write(ready, "x", 1) != 1 || read(done, &c, 1) < 0) return 2;
    return 0;
}

static void sees_mounts(const char *dev)
{
    int ready[2], done[2], status = 0;
    AUTO_FREE char *made = TOOL("mkfs.ext4", "-q", dev);
    char c;
    pid_t pid;

    if (pipe(ready) || pipe(done) || (pid = fork()) < 0)
        bail("fork: %s", strerror(errno));
    if (pid == 0) {
        close(done[1]);
        _exit(made ? mount_and_scan(dev, ready[1], done[0]) : 99);
    }
    close(ready[1]);
    close(done[0]);
    if (read(ready[0], &c, 1) == 1)
        ok(used_by_text(dev, "the kernel (swap, or a file system mounted"),
           "a device that is mounted in another name space has a user");
    else
        skip("no mount to look at from outside");
    close(done[1]);
    close(ready[0]);
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 99)
        skip("ext4 cannot be made and mounted here");
    else
        is_int(status, 0, "one that is mounted in ours names the place");
    ok(unused(dev), "one that is not has none");
}

static void sees_device_users(const char *dev)
{
    pid_t pid = start_holder(dev, O_RDWR, false);
    struct snap_inuse u = scan(dev, 0);
    const struct snap_inuse_user *p = user_pid(&u, pid);

    ok(p && p->writes, "a process that has a block device open is seen");
    snap_inuse_dispose(&u);
    stop_holder(pid);
}

static void sees_holders(const char *dev)
{
    AUTO_FREE char *table = snap_printf("0 1024 linear %s 0", dev);
    AUTO_FREE char *made = TOOL("dmsetup", "create", "test-inuse", "--table",
                                table);

    if (!made) {
        skip("no device-mapper here");
        return;
    }
    ok(used_by_text(dev, "device-mapper device test-inuse (dm-"),
       "a device-mapper device built on it is named");
    free(TOOL("dmsetup", "remove", "test-inuse"));
}

/* An MBR with one partition: 1 MiB from the first MiB on. */
static void write_partition_table(const char *path)
{
    static const unsigned char entry[16] = {
        0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0,
    };
    AUTO_CLOSE int fd = open(path, O_RDWR);

    if (pwrite(fd, entry, 16, 446) != 16 ||
        pwrite(fd, "\x55\xaa", 2, 510) != 2)
        bail("cannot write %s: %s", path, strerror(errno));
}

static void sees_partitions(void)
{
    AUTO_FREE char *path = in_tmp("parted");
    AUTO_FREE char *dev = NULL;
    AUTO_FREE char *part = NULL;
    struct snap_inuse u;
    pid_t pid;

    make_file(path, 4 << 20);
    write_partition_table(path);
    dev = TOOL("losetup", "-f", "-P", "--show", path);
    part = snap_printf("%sp1", dev ? dev : "");
    if (!dev || access(part, F_OK)) {
        skip("no partitions on loop devices here");
    } else {
        pid = start_holder(part, O_RDWR, false);
        u = scan(dev, 0);
        ok(user_pid(&u, pid), "a user of a partition is one of the disk");
        snap_inuse_dispose(&u);
        stop_holder(pid);
    }
    if (dev) detach(dev);
}

static void sees_loop_devices(void)
{
    AUTO_FREE char *path = in_tmp("looped, with\nan odd name");
    AUTO_FREE char *moved = in_tmp("looped2");
    AUTO_FREE char *dev = NULL;
    AUTO_FREE char *want = NULL;
    AUTO_FREE char *ro = NULL;
    const struct snap_inuse_user *p;
    struct snap_inuse u;

    make_file(path, 8 << 20);
    dev = TOOL("losetup", "-f", "--show", path);
    if (!dev) {
        skip("no loop devices here");
        return;
    }
    if (rename(path, moved)) bail("rename: %s", strerror(errno));
    want = snap_printf("loop device %s", dev);
    u = scan(moved, 0);
    p = user_text(&u, want);
    ok(p && !p->pid && p->writes, "a loop device is a user who writes, also "
       "after the file was renamed");
    snap_inuse_dispose(&u);
    ok(unused(dev), "the loop device itself has no user");
    sees_device_users(dev);
    sees_holders(dev);
    sees_mounts(dev);
    detach(dev);
    ok(unused(moved), "detached, it is none any more");

    ro = TOOL("losetup", "-r", "-f", "--show", moved);
    u = scan(moved, 0);
    p = user_text(&u, "loop device");
    ok(p && !p->writes, "a read-only one does not write");
    snap_inuse_dispose(&u);
    if (ro) detach(ro);
}

int main(void)
{
    char template[] = "/tmp/test-inuse-XXXXXX";
    const char *argv[] = { "rm", "-rf", template, NULL };

    /* Under valgrind it would be called like that. */
    prctl(PR_SET_NAME, program_invocation_short_name);
    tmp = mkdtemp(template);
    if (!tmp) bail("mkdtemp: %s", strerror(errno));
    sees_ourselves();
    sees_other_processes();
    sees_what_threads_hold();
    tells_images_apart();
    knows_what_one_has();
    needs_no_root();
    is_fast();
    if (geteuid()) {
        skip("loop devices need root");
    } else {
        sees_loop_devices();
        sees_partitions();
    }
    is_int(snap_run_ok(&sc, argv, 0, NULL), 0, "all can be removed again");
    snap_ctx_dispose(&sc);
    return done_testing();
}
