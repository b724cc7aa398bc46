/* SPDX-License-Identifier: LGPL-2.1-only */
/* Only the file that was looked at is removed. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/discard.h"
#include "tap.h"

static char dir[] = "/tmp/snap-discard-XXXXXX";
static char *path, *other;
static struct snap_ctx sc = SNAP_CTX_INIT;

static void make(const char *at)
{
    int fd;

    unlink(at);
    if (snap_fs_allocate(&sc, at, 0, &fd)) bail("%s", sc.message);
    close(fd);
}

/* The file as it was looked at. */
static struct snap_fs_id look(void)
{
    struct snap_fs_id id;

    make(path);
    if (snap_fs_identify(&sc, path, &id)) bail("%s", sc.message);
    free(id.real);
    id.real = NULL;
    return id;
}

static void stays(const struct snap_fs_id *id, const char *part,
                  const char *claim)
{
    struct stat st;
    bool gone;

    ok(snap_discard(&sc, path, id, &gone) && !gone && !lstat(path, &st), "%s "
       "stays", claim);
    like(sc.message, part, "which is said");
    snap_clear(&sc);
}

static void test_changed(void)
{
    const struct timespec times[2] = { { 1, 0 }, { 1, 0 } };
    struct snap_fs_id id = look();

    if (utimensat(AT_FDCWD, path, times, 0)) bail("%s", strerror(errno));
    stays(&id, "written or replaced", "one that was written");
    id = look();
    id.size_bytes++;
    stays(&id, "written or replaced", "one of another size");
    id = look();
    make(other);
    if (rename(other, path)) bail("%s", strerror(errno));
    stays(&id, "written or replaced", "another file in its place");
    id = look();
    if (rename(path, other) || symlink(other, path))
        bail("%s", strerror(errno));
    stays(&id, "written or replaced", "a link to it in its place");
    unlink(other);
    id = look();
    if (link(path, other)) bail("%s", strerror(errno));
    stays(&id, "hard link", "one with another name");
    unlink(other);
}

static void test_removed(void)
{
    struct snap_fs_id id = look();
    bool gone;

    is_int(snap_discard(&sc, path, &id, &gone), 0, "the file that was looked "
           "at is removed");
    ok(gone && access(path, F_OK), "it is gone");
    is_int(snap_discard(&sc, path, &id, &gone), ERROR_NOTFOUND, "it cannot be "
           "removed twice");
    snap_clear(&sc);
}

int main(void)
{
    if (!mkdtemp(dir)) bail("mkdtemp: %s", strerror(errno));
    path = snap_printf("%s/image", dir);
    other = snap_printf("%s/other", dir);
    test_changed();
    test_removed();
    is_int(rmdir(dir), 0, "nothing is left");
    free(path);
    free(other);
    return done_testing();
}
