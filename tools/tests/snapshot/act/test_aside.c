/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Images that have another name while they are merged: from every state that
 * an interruption may have left, and with what somebody did to them meanwhile.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "step/merge.h"
#include "tap.h"

static char dir[] = "/tmp/test-aside-XXXXXX";
static struct snap_ctx sc = SNAP_CTX_INIT;
static struct snap_act act = { .sc = &sc, .memory_fd = -1 };
static char *path, *aside;

static void write_file(const char *name)
{
    FILE *f = fopen(name, "w");

    if (!f || fclose(f)) bail("%s: %s", name, strerror(errno));
}

static void begin(void)
{
    snap_clear(&sc);
    unlink(path);
    unlink(aside);
}

static void is_only(const char *there, const char *gone, const char *claim)
{
    ok(!access(there, F_OK) && access(gone, F_OK), "%s", claim);
}

static void test_set(void)
{
    begin();
    write_file(path);
    is_int(snap_aside_set(&act, path, aside), 0, "an image is set aside");
    is_only(aside, path, "it has the other name alone");
    is_int(snap_aside_set(&act, path, aside), 0, "and again");
    is_only(aside, path, "nothing is different");
    if (link(aside, path)) bail("link: %s", strerror(errno));
    is_int(snap_aside_set(&act, path, aside), 0, "one that has both names");
    is_only(aside, path, "loses its own");
}

static void test_put_back(void)
{
    begin();
    write_file(aside);
    is_int(snap_aside_put_back(&act, path, aside, false), 0,
           "it is put back");
    is_only(path, aside, "it has its own name alone");
    is_int(snap_aside_put_back(&act, path, aside, false), 0, "and again");
    is_only(path, aside, "nothing is different");
    if (link(path, aside)) bail("link: %s", strerror(errno));
    is_int(snap_aside_put_back(&act, path, aside, false), 0,
           "one that has both names");
    is_only(path, aside, "loses the other");
}

static void test_replaced(void)
{
    struct snap_fs_id id = { .real = NULL };

    begin();
    write_file(path);
    write_file(aside);
    ok(snap_aside_set(&act, path, aside) < 0, "two files by the two names");
    like(sc.message, "somebody put another file in its place",
         "are not touched");
    snap_clear(&sc);
    ok(snap_aside_put_back(&act, path, aside, false) < 0 && !access(path, F_OK)
       && !access(aside, F_OK), "nor is one put over the other");
    snap_clear(&sc);
    ok(snap_aside_identify(&act, path, aside, &id) < 0,
       "which of them it is cannot be told");
}

static void test_gone(void)
{
    struct snap_fs_id id = { .real = NULL };

    begin();
    is_int(snap_aside_set(&act, path, aside), ERROR_NOTFOUND,
           "what has neither name is missed");
    like(sc.message, path, "by its own");
    like(sc.message, aside, "and the other");
    like(sc.message, "mount its file system, or put it back",
         "with what to do");
    is_int(snap_aside_put_back(&act, path, aside, false), ERROR_NOTFOUND,
           "it cannot be put back");
    is_int(snap_aside_identify(&act, path, aside, &id), ERROR_NOTFOUND,
           "nor be identified");
}

int main(void)
{
    if (!mkdtemp(dir)) bail("no directory for the test");
    path = snap_printf("%s/b.qcow2", dir);
    aside = snap_printf("%s/b.qcow2.xl-merging", dir);
    test_set();
    test_put_back();
    test_replaced();
    test_gone();
    begin();
    rmdir(dir);
    free(path);
    free(aside);
    return done_testing();
}
