/* SPDX-License-Identifier: LGPL-2.1-only */
/* The backing name in a qcow2 header, hostile ones included. */
#include "format/qcow2.h"
#include "tap.h"

static void put(unsigned char *p, int n, uint64_t v)
{
    while (n-- > 0) {
        p[n] = v & 0xff;
        v >>= 8;
    }
}

/* A header, magic and all; the rest of the 20 bytes is what is asked about. */
static bool at(uint64_t offset, uint32_t len, uint64_t *got_offset,
               uint32_t *got_len)
{
    unsigned char head[SNAP_QCOW2_HEAD_BYTES] = { 'Q', 'F', 'I', 0xfb };

    put(head + 4, 4, 3);
    put(head + 8, 8, offset);
    put(head + 16, 4, len);
    return snap_qcow2_backing_at(head, got_offset, got_len);
}

static void bounds(uint64_t offset, uint32_t len, bool want,
                   const char *claim)
{
    uint64_t o = 0;
    uint32_t l = 0;

    is_int(at(offset, len, &o, &l), want, "%s", claim);
    if (want && (o != offset || l != len))
        ok(false, "%s: the numbers are those of the header", claim);
}

static void test_header(void)
{
    unsigned char head[SNAP_QCOW2_HEAD_BYTES] = { 0 };
    uint64_t offset;
    uint32_t len;

    ok(!snap_qcow2_backing_at(head, &offset, &len), "zeros are no qcow2");
    memcpy(head, "QFI\xfa", 4);
    put(head + 8, 8, 512);
    put(head + 16, 4, 10);
    ok(!snap_qcow2_backing_at(head, &offset, &len), "nor is another magic");
    memcpy(head, "QFI\xfb", 4);
    ok(snap_qcow2_backing_at(head, &offset, &len) && offset == 512
       && len == 10, "numbers are big-endian");
    bounds(0, 0, false, "no backing file: offset and size are 0");
    bounds(512, 0, false, "an empty name is none");
    bounds(512, 1, true, "a name of one byte");
    bounds(512, 1023, true, "the longest name that QEMU takes");
    bounds(512, 1024, false, "a longer one is refused");
    bounds(512, UINT32_MAX, false, "a size of all ones is refused");
    bounds(71, 10, false, "a name inside the header is refused");
    bounds(72, 10, true, "a name right behind a header of version 2");
    bounds((2 << 20) - 1, 10, true, "the end of the largest first cluster");
    bounds(2 << 20, 10, false, "behind it is refused");
    bounds(UINT64_MAX, 10, false, "an offset of all ones is refused");
    bounds(1ull << 63, 10, false, "a negative offset is refused");
    bounds((1ull << 32) + 512, 10, false, "an offset is not cut to 32 bits");
}

static void resolves(const char *name, const char *want, const char *claim)
{
    AUTO_FREE char *got = snap_qcow2_resolve("/img", name);

    is_str(got, want, "%s", claim);
}

static void test_resolve(void)
{
    resolves("/other/base.raw", "/other/base.raw", "an absolute name stays");
    resolves("base.raw", "/img/base.raw",
             "a relative one is found beside the overlay");
    resolves("../base.raw", "/img/../base.raw", "... also from above");
    resolves("file:/b.raw", "/b.raw", "the file protocol is a file");
    resolves("file:b.raw", "/img/b.raw", "... a relative one too");
    resolves("./a:b.raw", "/img/./a:b.raw",
             "a colon behind a slash is part of a name");
    resolves("/x/a:b.raw", "/x/a:b.raw", "... of an absolute one too");
    resolves("nbd://host/disk", NULL, "a network disk is no file");
    resolves("nbd:host:10809", NULL, "... in the old spelling neither");
    resolves("json:{\"driver\":\"nbd\"}", NULL, "json: is no file name");
    resolves("fat:floppy", NULL, "any protocol is no file name");
}

int main(void)
{
    test_header();
    test_resolve();
    return done_testing();
}
