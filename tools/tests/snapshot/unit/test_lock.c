/* SPDX-License-Identifier: LGPL-2.1-only */
/* The locks of images, which have a fixed place: in a mount namespace of its
 * own. */
#include "host/image_locks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "host/fs.h"
#include "namespace.h"
#include "tap.h"

static char base[] = "/var/lib/base";
static char top[] = "/var/lib/top";
static char other[] = "/var/lib/other";

static struct snap_ctx sc = SNAP_CTX_INIT;
static struct snap_image layers[2] = { { .path = top }, { .path = base } };
static const struct snap_chain chain = { .data = layers, .len = 2 };
static struct snap_image others[2] = { { .path = other }, { .path = base } };
static const struct snap_chain beside = { .data = others, .len = 2 };

static void make(const char *path)
{
    int fd;

    if (snap_fs_allocate(&sc, path, 0, &fd)) bail("%s", sc.message);
    close(fd);
}

static unsigned lock_files(void)
{
    return system("test -z \"$(ls -A " SNAP_LOCK_DIR ")\"") ? 1 : 0;
}

static int take(struct snap_image_locks *l, int timeout_ms, bool *waited)
{
    snap_clear(&sc);
    return snap_image_locks_take(&sc, l, timeout_ms, waited);
}

static void test_shared(void)
{
    AUTO_FREE char *me = snap_printf("(process %d, ", getpid());
    struct snap_image_locks a = { 0 }, b = { 0 }, c = { 0 };
    bool waited = false;

    snap_image_locks_want_chain(&a, &chain, true);
    snap_image_locks_want_chain(&b, &beside, true);
    is_uint(a.len, 2, "a chain has a lock a layer");
    is_int(take(&a, 0, &waited), 0, "they are taken");
    is_int(take(&a, 0, &waited), 0, "twice is as good");
    is_int(take(&b, 0, &waited), 0, "another overlay on that base is free");
    ok(!waited, "nobody had to wait");
    snap_image_locks_drop(&b);
    snap_image_locks_want_chain(&b, &chain, true);
    is_int(take(&b, 0, &waited), ERROR_LOCK_FAIL, "the same top is not");
    like(sc.message, "image '/var/lib/top': another snapshot command works on it",
         "which is said with its name");
    like(sc.message, me, "and who has it");
    snap_image_locks_want(&c, base, true);
    is_int(take(&c, 0, &waited), ERROR_LOCK_FAIL, "nobody may change a base "
           "meanwhile");
    snap_image_locks_drop(&a);
    is_int(take(&c, 0, &waited), ERROR_LOCK_FAIL, "not even when only one "
           "of two is done");
    snap_image_locks_drop(&b);
    is_int(take(&c, 0, &waited), 0, "only behind the last");
    is_uint(lock_files(), 1, "a lock is a file");
    snap_image_locks_drop(&c);
    is_uint(lock_files(), 0, "that goes with the last who has it");
}

static void test_names(void)
{
    struct snap_image_locks a = { 0 }, b = { 0 };
    bool waited = false;

    if (symlink("top", "/var/lib/link")) bail("link: %s", strerror(errno));
    snap_image_locks_want(&a, "/var/lib/../lib/link", false);
    snap_image_locks_want(&a, top, true);
    snap_image_locks_want(&a, "/var/lib/none", true);
    snap_image_locks_want(&a, "/var/lib", true);
    is_uint(a.len, 1, "names that lead to one image are one, others none");
    is_int(take(&a, 0, &waited), 0, "it is locked");
    snap_image_locks_want(&b, "/var/lib/link", false);
    is_int(take(&b, 0, &waited), ERROR_LOCK_FAIL, "alone, as one of its "
           "names asked");
    snap_image_locks_drop(&a);
    is_int(take(&b, 0, &waited), 0, "it can be had");
    snap_image_locks_want(&b, top, true);
    is_int(take(&b, 0, &waited), 0, "and had alone later");
    snap_image_locks_want(&a, top, false);
    is_int(take(&a, 0, &waited), ERROR_LOCK_FAIL, "as others see");
    snap_image_locks_drop(&a);
    snap_image_locks_drop(&b);
}

/* A process that has a lock, and dies of a signal. */
static void test_death(void)
{
    struct snap_image_locks a = { 0 };
    bool waited = false;
    int ready[2];
    char byte;
    pid_t pid;

    if (pipe(ready)) bail("pipe: %s", strerror(errno));
    pid = fork();
    if (!pid) {
        snap_image_locks_want(&a, top, true);
        take(&a, 0, &waited);
        if (write(ready[1], "x", 1) != 1) _exit(1);
        poll(NULL, 0, 300);
        kill(getpid(), SIGKILL);
    }
    if (read(ready[0], &byte, 1) != 1) bail("the child died");
    snap_image_locks_want(&a, top, true);
    is_int(take(&a, 10000, &waited), 0, "the lock of one that is killed is "
           "free");
    ok(waited, "that somebody had it is told");
    waitpid(pid, NULL, 0);
    snap_image_locks_want(&a, base, false);
    take(&a, 0, &waited);
    make(SNAP_LOCK_DIR "/image-dead-1.lock");
    make(SNAP_LOCK_DIR "/other");
    snap_lock_sweep(SNAP_LOCK_SUFFIX);
    ok(access(SNAP_LOCK_DIR "/image-dead-1.lock", F_OK) < 0, "a file that the "
       "dead left is swept");
    is_uint(snap_lock_holder(a.data[0].lock.fd), getpid(), "one that is held "
            "stays");
    ok(!access(SNAP_LOCK_DIR "/other", F_OK), "as does what is no lock");
    unlink(SNAP_LOCK_DIR "/other");
    make(SNAP_LOCK_DIR "/empty.journal");
    make(SNAP_LOCK_DIR "/full.journal");
    if (truncate(SNAP_LOCK_DIR "/full.journal", 1)) bail("truncate");
    snap_lock_sweep(".journal");
    ok(access(SNAP_LOCK_DIR "/empty.journal", F_OK) < 0, "an empty journal "
       "that a power cut left is swept");
    ok(!access(SNAP_LOCK_DIR "/full.journal", F_OK), "one with content stays");
    unlink(SNAP_LOCK_DIR "/full.journal");
    snap_image_locks_drop(&a);
    is_uint(lock_files(), 0, "nothing is left");
}

/* A process takes a lock and is gone; what it forked has it. */
static void test_heir(void)
{
    static const char path[] = SNAP_LOCK_DIR "/heir.lock";
    struct snap_lock l;
    int said[2], heir = 0, fd;
    pid_t pid;

    if (pipe(said)) bail("pipe: %s", strerror(errno));
    pid = fork();
    if (!pid) {
        if (snap_lock_take(&sc, path, false, 0, "x", &l, NULL)) _exit(1);
        pid = fork();
        if (!pid) {
            poll(NULL, 0, 60000);
            _exit(0);
        }
        _exit(write(said[1], &pid, sizeof(pid)) != sizeof(pid));
    }
    waitpid(pid, NULL, 0);
    if (read(said[0], &heir, sizeof(heir)) != sizeof(heir)) bail("no heir");
    fd = open(path, O_RDWR | O_CLOEXEC);
    is_uint(snap_lock_holder(fd), heir, "who has a lock whose taker is gone is "
            "found");
    close(fd);
    kill(heir, SIGKILL);
    unlink(path);
}

int main(void)
{
    if (geteuid() || !own_namespace())
        skip_all("no mount namespace of its own here");
    if (snap_fs_make_dir(&sc, SNAP_LOCK_DIR)) bail("%s", sc.message);
    make(base);
    make(top);
    make(other);
    test_shared();
    test_names();
    test_death();
    test_heir();
    snap_clear(&sc);
    return done_testing();
}
