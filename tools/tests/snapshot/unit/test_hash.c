/* SPDX-License-Identifier: LGPL-2.1-only */
/* Checksums of files, against those of sha256sum. */
#include "host/hash.h"
#include "tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE (64 << 10)

static struct snap_ctx sc = SNAP_CTX_INIT;
static char path[] = "/tmp/snap-hash-XXXXXX";
static int fd;

static void cut(off_t size)
{
    if (ftruncate(fd, 0) || ftruncate(fd, size)) bail("%s", strerror(errno));
}

static void put(off_t at, const char *byte)
{
    if (pwrite(fd, byte, 1, at) != 1) bail("%s", strerror(errno));
}

static void test_file(void)
{
    char hex[SNAP_HASH_SIZE];

    cut(0);
    is_int(snap_hash_file(&sc, fd, path, hex), 0, "a checksum of nothing");
    is_str(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852"
           "b855", "is the known one");
    put(0, "a");
    put(1, "b");
    put(2, "c");
    is_int(snap_hash_file(&sc, fd, path, hex), 0, "of three letters");
    is_str(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f200"
           "15ad", "too");
    cut(3 * PIECE + 1);
    is_int(snap_hash_file(&sc, fd, path, hex), 0, "of more than a piece");
    is_str(hex, "be81d1c97be9b357b04908d6b167b102995c4d2eaa03c61bfd3b4d16c116"
           "9cfb", "as well");
    sc.cancelled = 1;
    is_int(snap_hash_file(&sc, fd, path, hex), ERROR_ABORTED, "a signal ends "
           "it");
    sc.cancelled = 0;
    snap_clear(&sc);
}

/* Does another byte there change the sample? */
static bool sees(off_t at)
{
    char before[SNAP_HASH_SIZE], after[SNAP_HASH_SIZE];

    if (snap_hash_sample(&sc, path, before)) return false;
    put(at, "x");
    if (snap_hash_sample(&sc, path, after)) return false;
    put(at, "");
    return strcmp(before, after);
}

static void test_sample(void)
{
    enum { SIZE = 65 * 8192 };
    char small[SNAP_HASH_SIZE], large[SNAP_HASH_SIZE];

    cut(SIZE);
    ok(sees(0) && sees(PIECE - 1), "the first 64 KiB are in it");
    ok(!sees(9 * 8192 - 1), "not what is between the samples");
    ok(sees(9 * 8192) && sees(9 * 8192 + 4095), "each sample is 4 KiB");
    ok(!sees(9 * 8192 + 4096), "and no more");
    ok(sees(64 * 8192), "the last is there");
    is_int(snap_hash_sample(&sc, path, small), 0, "a file of zeros");
    cut(SIZE + 1);
    is_int(snap_hash_sample(&sc, path, large), 0, "and a longer one");
    ok(strcmp(small, large), "have other samples");
    cut(10);
    is_int(snap_hash_sample(&sc, path, small), 0, "a small file has one");
    is_int(snap_hash_sample(&sc, "/nowhere", small), ERROR_NOTFOUND,
           "a missing one has not");
    like(sc.message, "cannot read '/nowhere'", "which is said");
    snap_clear(&sc);
}

int main(void)
{
    fd = mkstemp(path);
    if (fd < 0) bail("%s: %s", path, strerror(errno));
    test_file();
    test_sample();
    unlink(path);
    close(fd);
    return done_testing();
}
