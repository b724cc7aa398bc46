/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A domain that its caller locks before he reads its snapshots: who has the
 * lock when, seen from another process, in a mount namespace of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "namespace.h"
#include "op/op.h"
#include "tap.h"

static const char interrupted[] = "{\"journal\": 1, \"what\": \"create\"}\n";

/* Can another process not lock the domain? */
static bool is_locked(const char *domain)
{
    int status;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid < 0) bail("fork: %s", strerror(errno));
    if (!pid) {
        libxl_snapshot_ctx *ctx = libxl_snapshot_ctx_alloc(NULL);
        int rc = libxl_snapshot_lock(ctx, domain, NULL, 0);

        libxl_snapshot_ctx_free(ctx);
        _exit(rc == ERROR_LOCK_FAIL ? 1 : rc ? 2 : 0);
    }
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)
        || WEXITSTATUS(status) > 1)
        bail("the other process failed");
    return WEXITSTATUS(status) == 1;
}

static int take_images(struct snap_ctx *sc, struct snap_hold *h)
{
    bool ignored;
    int rc = snap_image_locks_take(sc, &h->locks, 0, &ignored);

    snap_clear(sc);
    return rc;
}

static void test_is_taken_over(void)
{
    libxl_snapshot_ctx *ctx = libxl_snapshot_ctx_alloc(NULL);
    struct snap_hold h = SNAP_HOLD_INIT, other = SNAP_HOLD_INIT;

    is_int(libxl_snapshot_lock(ctx, "web", NULL, 0), 0, "a domain is locked");
    ok(is_locked("web") && !is_locked("db"), "that one alone");
    is_int(snap_op_lock(ctx, "db", 0, &other), 0,
           "an operation on another domain locks that");
    is_int(snap_op_lock(ctx, "web", 0, &h), 0,
           "an operation on it takes the lock over");
    snap_hold_drop(&other);
    ok(is_locked("web") && !is_locked("db"), "and has it meanwhile");
    snap_hold_drop(&h);
    ok(!is_locked("web"), "its end unlocks");
    is_int(snap_op_lock(ctx, "web", 0, &h), 0,
           "a second one takes the lock itself");
    snap_hold_drop(&h);
    libxl_snapshot_ctx_free(ctx);
}

static void test_is_given_up(void)
{
    libxl_snapshot_ctx *ctx = libxl_snapshot_ctx_alloc(NULL);

    if (libxl_snapshot_lock(ctx, "web", NULL, 0)) bail("it cannot be locked");
    is_int(libxl_snapshot_lock(ctx, "db", NULL, 0), 0, "another one is locked");
    ok(is_locked("db") && !is_locked("web"), "instead of the first");
    libxl_snapshot_ctx_free(ctx);
    ok(!is_locked("db"), "the end of the context unlocks it");
}

/* Of a snapshot with one image. */
static void test_images(void)
{
    char image[] = "/var/lib/img";
    struct snap_manifest_disk disk = { .image = image };
    libxl_snapshot_set set = { .manifest = { .disks = &disk, .ndisks = 1 } };
    libxl_snapshot_ctx *ctx = libxl_snapshot_ctx_alloc(NULL);
    struct snap_hold h = SNAP_HOLD_INIT, other = SNAP_HOLD_INIT;

    if (close(open(image, O_CREAT | O_WRONLY, 0600))) bail("%s", image);
    is_int(libxl_snapshot_lock(ctx, "web", &set, 0), 0,
           "a domain is locked with a snapshot's images");
    snap_image_locks_want(&other.locks, image, false);
    is_int(take_images(ctx, &other), ERROR_LOCK_FAIL, "nobody else has them");
    if (snap_op_lock(ctx, "web", 0, &h)) bail("it is not taken over");
    is_int(snap_op_lock_images(ctx, &set.manifest, 0, &h.locks), 0,
           "the operation has them");
    is_int(take_images(ctx, &other), ERROR_LOCK_FAIL, "as long as it lasts");
    snap_hold_drop(&h);
    is_int(take_images(ctx, &other), 0, "its end unlocks them");
    is_int(libxl_snapshot_lock(ctx, "web", &set, 0), ERROR_LOCK_FAIL,
           "images that somebody else has are waited for");
    ok(!is_locked("web"), "and in vain nothing stays locked");
    snap_hold_drop(&other);
    libxl_snapshot_ctx_free(ctx);
}

static void test_interrupted(void)
{
    AUTO_FREE char *path = snap_journal_path("web");
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    libxl_snapshot_ctx *ctx = libxl_snapshot_ctx_alloc(NULL);

    if (fd < 0 || write(fd, interrupted, sizeof(interrupted) - 1) < 0)
        bail("%s: %s", path, strerror(errno));
    ok(libxl_snapshot_lock(ctx, "web", NULL, 0) < 0,
       "one with an open journal is refused");
    is_int(libxl_snapshot_outcome(ctx), LIBXL_SNAPSHOT_NOT_WHOLE,
           "as not whole");
    like(libxl_snapshot_hint(ctx), "xl snapshot-recover web",
         "what is to be done first is told");
    is_int(flock(fd, LOCK_EX | LOCK_NB), 0, "and nobody has the lock");
    libxl_snapshot_ctx_free(ctx);
}

int main(void)
{
    if (geteuid() || !own_namespace())
        skip_all("no mount namespace of its own here");
    test_is_taken_over();
    test_is_given_up();
    test_images();
    test_interrupted();
    return done_testing();
}
