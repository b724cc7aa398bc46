/* SPDX-License-Identifier: LGPL-2.1-only */
/* The memory of copies in the `current` file, hostile files included. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "host/lineage.h"
#include "tap.h"

static char tmp[] = "/tmp/snap-lineage-XXXXXX";
static char *path;
static struct snap_ctx sc = SNAP_CTX_INIT;

/* ---- helpers ---- */

static struct snap_fs_id id(uint64_t dev, uint64_t ino)
{
    return (struct snap_fs_id) { .dev = dev, .ino = ino };
}

static bool related(const struct snap_lineage *l, uint64_t a, uint64_t b)
{
    struct snap_fs_id x = id(1, a), y = id(1, b);

    return snap_lineage_related(l, &x, &y);
}

static void copied(struct snap_lineage *l, uint64_t copy, uint64_t of)
{
    struct snap_fs_id x = id(1, copy), y = id(1, of);

    snap_lineage_add(l, &x, &y);
}

static void write_bytes(const char *bytes, size_t len)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                             0600);

    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
        bail("cannot write %s: %s", path, strerror(errno));
}

static struct snap_lineage read_text(const char *text)
{
    struct snap_lineage l;

    write_bytes(text, strlen(text));
    snap_lineage_read(&sc, path, &l);
    return l;
}

/* ---- who is related ---- */

static void test_related(void)
{
    struct snap_lineage l = { 0 };
    struct snap_fs_id a = id(1, 10), elsewhere = id(2, 10);

    ok(related(&l, 10, 10), "an image is related to itself");
    ok(!related(&l, 10, 11), "nothing else is, without a line");
    copied(&l, 11, 10);
    ok(related(&l, 11, 10) && related(&l, 10, 11),
       "a copy and its original are, both ways");
    ok(!snap_lineage_related(&l, &a, &elsewhere),
       "the same inode of another device is another image");
    copied(&l, 12, 11);
    ok(related(&l, 12, 10), "a copy of a copy is");
    copied(&l, 13, 10);
    ok(related(&l, 13, 12), "two copies of one original are");
    copied(&l, 21, 20);
    ok(!related(&l, 21, 10), "two families are not");
    copied(&l, 21, 13);
    ok(related(&l, 20, 12), "... until one line joins them");
    copied(&l, 10, 12);
    ok(related(&l, 10, 21) && !related(&l, 10, 99), "a circle ends");
    snap_lineage_dispose(&l);
    ok(!l.len && !l.data, "a disposed one is empty");
}

/* The worst order for a search: each line helps only the one before it. */
static void test_long_line(void)
{
    struct snap_lineage l = { 0 };
    unsigned i;

    for (i = SNAP_LINEAGE_MAX; i > 0; i--) copied(&l, 100 + i, 99 + i);
    is_uint(l.len, SNAP_LINEAGE_MAX, "so many copies are remembered");
    ok(related(&l, 100, 100 + SNAP_LINEAGE_MAX),
       "the first is related to the last");
    copied(&l, 5001, 5000);
    is_uint(l.len, SNAP_LINEAGE_MAX, "one more does not make it longer");
    ok(related(&l, 5000, 5001), "the newest is remembered");
    ok(!related(&l, 100 + SNAP_LINEAGE_MAX, 99 + SNAP_LINEAGE_MAX),
       "the oldest is forgotten");
    snap_lineage_dispose(&l);
}

/* ---- the file ---- */

static void test_round_trip(void)
{
    struct snap_lineage l = { 0 }, back;
    struct snap_fs_id big = id(UINT64_MAX, UINT64_MAX - 1), small = id(0, 1);
    AUTO_FREE char *text = NULL, *alone = NULL;

    alone = snap_lineage_text(&l, "s1");
    is_str(alone, "s1\n", "without copies the file is a name");
    copied(&l, 11, 10);
    snap_lineage_add(&l, &big, &small);
    text = snap_lineage_text(&l, "s1");
    is_str(text, "s1\ncopy 1 11 of 1 10\ncopy 18446744073709551615 "
           "18446744073709551614 of 0 1\n", "copies follow, one a line");
    back = read_text(text);
    is_uint(back.len, 2, "it is read back");
    ok(back.len == 2
       && !memcmp(back.data, l.data, 2 * sizeof(*l.data)), "... as it was");
    snap_lineage_dispose(&l);
    snap_lineage_dispose(&back);
}

static void reads_none(const char *text, const char *claim)
{
    struct snap_lineage l = read_text(text);

    is_uint(l.len, 0, "%s", claim);
    snap_lineage_dispose(&l);
}

static void test_hostile(void)
{
    static const char nul[] = "s1\ncopy 1 2 of 1 3\0\ncopy 1 4 of 1 5\n";
    struct snap_lineage l;

    reads_none("", "an empty file has no copies");
    reads_none("s1\n", "a name alone has none");
    reads_none("s1", "... nor without a line's end");
    reads_none("s1\ncopy 1 2 of 1\n", "a short line is none");
    reads_none("s1\ncopy 1 2 from 1 3\n", "another word is none");
    reads_none("s1\ncopy a b of c d\n", "letters are no numbers");
    reads_none("s1\nCOPY 1 2 of 1 3\n", "case counts");
    reads_none("s1\nxcopy 1 2 of 1 3\n", "a line begins with its word");
    l = read_text("s1\ncopy 1 2 of 1\njunk\n\ncopy 1 2 of 1 3");
    is_uint(l.len, 1, "good lines among bad ones are read");
    snap_lineage_dispose(&l);
    write_bytes(nul, sizeof(nul) - 1);
    snap_lineage_read(&sc, path, &l);
    ok(l.len <= 2, "a NUL byte does no harm");
    snap_lineage_dispose(&l);
}

static void test_many_lines(void)
{
    struct snap_text t = { 0 };
    struct snap_lineage l;
    unsigned i;

    snap_text_add(&t, "s1\n");
    for (i = 0; i < 1000; i++)
        snap_text_add(&t, "copy 1 %u of 1 %u\n", 2000 + i, 5000 + i);
    l = read_text(t.data);
    is_uint(l.len, SNAP_LINEAGE_MAX, "a thousand lines are cut to the last");
    ok(related(&l, 2999, 5999) && !related(&l, 2000, 5000),
       "... of the file");
    snap_lineage_dispose(&l);
    while (t.len < 70000) snap_text_add(&t, "copy 1 2 of 1 3\n");
    l = read_text(t.data);
    is_uint(l.len, 0, "a file of more than 64 KiB is not read");
    snap_lineage_dispose(&l);
    free(t.data);
}

/* It is a hint: what cannot be read is no error, and hides none. */
static void test_unreadable(void)
{
    AUTO_FREE char *link = snap_printf("%s/link", tmp);
    AUTO_FREE char *none = snap_printf("%s/none", tmp);
    struct snap_ctx with = SNAP_CTX_INIT;
    struct snap_lineage l;

    write_bytes("s1\ncopy 1 2 of 1 3\n", 19);
    if (symlink(path, link)) bail("symlink: %s", strerror(errno));
    snap_lineage_read(&sc, link, &l);
    is_uint(l.len, 0, "a link is not followed");
    snap_lineage_read(&sc, none, &l);
    is_uint(l.len, 0, "a file that is not there has no copies");
    snap_lineage_read(&sc, tmp, &l);
    is_uint(l.len, 0, "nor has a directory");
    snap_lineage_read(&sc, NULL, &l);
    is_uint(l.len, 0, "nor has no path");
    is_str(sc.message, NULL, "none of that is an error");
    snap_fail(&with, ERROR_FAIL, "the first error");
    snap_lineage_read(&with, link, &l);
    is_str(with.message, "the first error", "an earlier error stays");
    snap_ctx_dispose(&with);
    unlink(link);
}

int main(void)
{
    if (!mkdtemp(tmp)) bail("mkdtemp: %s", strerror(errno));
    path = snap_printf("%s/current", tmp);
    test_related();
    test_long_line();
    test_round_trip();
    test_hostile();
    test_many_lines();
    test_unreadable();
    is_str(sc.message, NULL, "no error was recorded");
    unlink(path);
    rmdir(tmp);
    free(path);
    return done_testing();
}
