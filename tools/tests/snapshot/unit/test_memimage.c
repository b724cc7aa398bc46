/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The claims of format/memimage.c.  Small memory images are put together by
 * hand, one for a PV and one for an HVM domain, then spoiled in every way:
 * whatever is not whole is refused, and nothing that a file says can harm.
 */
#include "format/memimage.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include <nettle/sha2.h>

#include "tap.h"

static const char config[] = "{\"c_info\":{\"name\":\"g1\"}}";

/*
 * Putting images together
 */

/* An image under construction, and where things stand in it. */
struct image {
    struct snap_text b;
    size_t config, stream, options, context, libxc, domain, pv_info;
    size_t first_page, xc_end, emulator, end;
};

static void put32(struct image *im, uint32_t v)
{
    v = htole32(v);
    snap_text_add_bytes(&im->b, &v, sizeof(v));
}

static void put64(struct image *im, uint64_t v)
{
    v = htole64(v);
    snap_text_add_bytes(&im->b, &v, sizeof(v));
}

static void put32_be(struct image *im, uint32_t v)
{
    v = htobe32(v);
    snap_text_add_bytes(&im->b, &v, sizeof(v));
}

static void put_zeros(struct image *im, size_t n)
{
    AUTO_FREE char *zeros = snap_zalloc(n);

    snap_text_add_bytes(&im->b, zeros, n);
}

/* A record with a body of n zeros, padded. */
static void put_record(struct image *im, uint32_t type, uint32_t n)
{
    put32(im, type);
    put32(im, n);
    put_zeros(im, (n + 7) & ~7u);
}

/* A PAGE_DATA record; `full` of the entries have contents. */
static void put_pages(struct image *im, const uint64_t *entries,
                      uint32_t count, uint32_t full)
{
    uint32_t i;

    put32(im, 1);
    put32(im, 8 + 8 * count + 4096 * full);
    put32(im, count);
    put32(im, 0);
    for (i = 0; i < count; i++) put64(im, entries[i]);
    put_zeros(im, 4096 * (size_t)full);
}

static void put_xl_header(struct image *im)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    size_t len;
    char *bytes;

    if (snap_memimage_header(&sc, config, &bytes, &len)) bail("no header");
    snap_text_add_bytes(&im->b, bytes, len);
    free(bytes);
    im->config = len - sizeof(config);
    snap_ctx_dispose(&sc);
}

static void put_stream_headers(struct image *im, uint32_t domain_type)
{
    im->stream = im->b.len;
    snap_text_add_bytes(&im->b, "LibxlFmt", 8);
    put32_be(im, 2);
    im->options = im->b.len;
    put32_be(im, 0);
    im->context = im->b.len;
    put_record(im, 1, 0);
    im->libxc = im->b.len;
    put64(im, UINT64_MAX);
    put32_be(im, 0x58454e46);
    put32_be(im, 3);
    put_zeros(im, 8);
    im->domain = im->b.len;
    put32(im, domain_type);
    put32(im, 12);                  /* page_shift and a reserved u16 */
    put32(im, 4);
    put32(im, 17);
}

static void put_end(struct image *im)
{
    im->end = im->b.len;
    put_record(im, 0, 0);
}

#define TYPE(t, pfn) (((uint64_t)(t) << 60) | (pfn))

/* Page tables, pinned ones, a broken, an allocated and an absent page, and a
 * page sent twice: 5 distinct frames. */
static void make_pv(struct image *im)
{
    static const uint64_t one[] = {
        TYPE(0, 7), TYPE(1, 3), TYPE(12, 0x8000), TYPE(13, 9), TYPE(15, 10),
        TYPE(14, 11),
    };
    static const uint64_t two[] = { TYPE(0, 7), TYPE(4, 100) };

    *im = (struct image){ .config = 0 };
    put_xl_header(im);
    put_stream_headers(im, 1);
    put_record(im, 0x10, 0);
    im->pv_info = im->b.len;
    put_record(im, 2, 8);
    put_record(im, 3, 16);
    im->first_page = im->b.len;
    put_pages(im, one, 6, 3);
    put_pages(im, two, 2, 2);
    put_record(im, 8, 24);
    put_record(im, 7, 40);
    put_record(im, 4, 21);
    put_record(im, 0x80000077, 3);
    im->xc_end = im->b.len;
    put_record(im, 0, 0);
    put_end(im);
}

static void make_hvm(struct image *im)
{
    static const uint64_t one[] = { TYPE(0, 0), TYPE(0, 0xfeffc) };

    *im = (struct image){ .config = 0 };
    put_xl_header(im);
    put_stream_headers(im, 2);
    put_record(im, 0x11, 24);
    put_record(im, 0x12, 16);
    put_record(im, 0x10, 0);
    im->first_page = im->b.len;
    put_pages(im, one, 2, 2);
    put_record(im, 9, 100);
    put_record(im, 10, 24);
    im->xc_end = im->b.len;
    put_record(im, 0, 0);
    im->emulator = im->b.len;
    put32(im, 2);
    put32(im, 8 + 7);
    put32(im, 2);
    put32(im, 0);
    snap_text_add_bytes(&im->b, "ab\0cde\0\0", 8);
    put_record(im, 3, 8 + 333);
    put_end(im);
}

static void drop(struct image *im)
{
    free(im->b.data);
}

static void set32(struct image *im, size_t at, uint32_t v)
{
    v = htole32(v);
    memcpy(im->b.data + at, &v, sizeof(v));
}

/*
 * Reading them
 */

static int read_with(int (*reader)(struct snap_ctx *sc, int fd,
                                   const char *path,
                                   struct snap_memimage *out),
                     struct snap_ctx *sc, const char *bytes, size_t len,
                     struct snap_memimage *out)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    int rc;

    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len) bail("no memfd");
    rc = reader(sc, fd, "/d/memory.xl", out);
    close(fd);
    return rc;
}

static int read_bytes(struct snap_ctx *sc, const char *bytes, size_t len,
                      struct snap_memimage *out)
{
    return read_with(snap_memimage_read, sc, bytes, len, out);
}

static void refused(const struct image *im, const char *reason,
                    const char *claim)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_memimage m;
    int rc = read_bytes(&sc, im->b.data, im->b.len, &m);

    if (ok(rc == ERROR_INVAL && !m.config, "%s", claim))
        like(sc.message, reason, "and the message says '%s'", reason);
    like(sc.message, "/d/memory.xl", "and names the file");
    like(sc.message, "do not give it to xl restore", "and warns");
    snap_memimage_dispose(&m);
    snap_ctx_dispose(&sc);
}

static void head_hash(const struct image *im, char hex[65])
{
    unsigned char digest[32];
    struct sha256_ctx sha;
    int i;

    sha256_init(&sha);
    sha256_update(&sha, im->first_page, (unsigned char *)im->b.data);
    sha256_digest(&sha, sizeof(digest), digest);
    for (i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void test_pv(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_memimage m;
    struct image im;
    char hex[65];

    make_pv(&im);
    if (!ok(!read_bytes(&sc, im.b.data, im.b.len, &m), "a PV image is read"))
        diag("%s", sc.message);
    is_str(m.config, config, "its configuration is found");
    is_uint(m.stream_offset, im.stream, "its stream is found");
    is_uint(m.size_bytes, im.b.len, "its size is told");
    is_uint(m.head_bytes, im.first_page, "its head ends at the first pages");
    head_hash(&im, hex);
    is_str(m.head_sha256, hex, "its head's checksum is SHA-256");
    is_uint(m.pages, 5, "its pages are counted once each, absent ones not");
    ok(!m.hvm, "it is no HVM image");
    is_uint(m.xen_major, 4, "its Xen is told");
    is_uint(m.xen_minor, 17, "with the minor version");
    ok(!m.has_emulator, "it has no device model");
    snap_memimage_dispose(&m);
    snap_ctx_dispose(&sc);
    drop(&im);
}

static void test_hvm(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_memimage m;
    struct image im;

    make_hvm(&im);
    if (!ok(!read_bytes(&sc, im.b.data, im.b.len, &m), "an HVM image is read"))
        diag("%s", sc.message);
    ok(m.hvm, "it is an HVM image");
    ok(m.has_emulator, "it has a device model");
    is_uint(m.pages, 2, "its pages are counted");
    snap_memimage_dispose(&m);
    set32(&im, im.libxc + 12, htobe32(2));
    ok(!read_bytes(&sc, im.b.data, im.b.len, &m),
       "a libxc stream of version 2 is read");
    snap_memimage_dispose(&m);
    snap_ctx_dispose(&sc);
    drop(&im);
}

static void test_truncation_of(void (*make)(struct image *), const char *kind)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_memimage m;
    size_t len, accepted = 0, silent = 0;
    struct image im;
    int fd = memfd_create("image", MFD_CLOEXEC);

    make(&im);
    if (fd < 0 || write(fd, im.b.data, im.b.len) != (ssize_t)im.b.len)
        bail("no memfd");
    for (len = im.b.len; len-- > 0; ) {
        if (ftruncate(fd, (off_t)len)) bail("no truncation");
        if (!snap_memimage_read(&sc, fd, "cut", &m)) accepted++;
        if (!sc.message || !strstr(sc.message, "cut short")) silent++;
        snap_memimage_dispose(&m);
        snap_clear(&sc);
    }
    is_int(accepted, 0, "%s image cut short at any byte is refused", kind);
    is_int(silent, 0, "and each message says that it is cut short");
    close(fd);
    snap_ctx_dispose(&sc);
    drop(&im);
}

/* Spoil a PV image by one u32 and have it refused. */
static void spoiled(size_t at_of(const struct image *), uint32_t v,
                    const char *reason, const char *claim)
{
    struct image im;

    make_pv(&im);
    set32(&im, at_of(&im), v);
    refused(&im, reason, claim);
    drop(&im);
}

static size_t at_magic(const struct image *im) { (void)im; return 28; }
static size_t at_order(const struct image *im) { (void)im; return 32; }
static size_t at_flags(const struct image *im) { (void)im; return 36; }
static size_t at_optional_len(const struct image *im) { (void)im; return 44; }
static size_t at_config_len(const struct image *im) { (void)im; return 48; }
static size_t at_ident(const struct image *im) { return im->stream; }
static size_t at_version(const struct image *im) { return im->stream + 8; }
static size_t at_options(const struct image *im) { return im->options; }
static size_t at_context(const struct image *im) { return im->context; }
static size_t at_context_len(const struct image *im)
{
    return im->context + 4;
}
static size_t at_marker(const struct image *im) { return im->libxc; }
static size_t at_id(const struct image *im) { return im->libxc + 8; }
static size_t at_xc_version(const struct image *im) { return im->libxc + 12; }
static size_t at_xc_options(const struct image *im) { return im->libxc + 16; }
static size_t at_domain_type(const struct image *im) { return im->domain; }
static size_t at_page_shift(const struct image *im) { return im->domain + 4; }
static size_t at_pv_info(const struct image *im) { return im->pv_info; }
static size_t at_pages_len(const struct image *im)
{
    return im->first_page + 4;
}
static size_t at_pages_count(const struct image *im)
{
    return im->first_page + 8;
}
/* The upper half of the first entry: type and high bits of the frame. */
static size_t at_entry_high(const struct image *im)
{
    return im->first_page + 20;
}
static size_t at_xc_end_len(const struct image *im) { return im->xc_end + 4; }
static size_t at_end(const struct image *im) { return im->end; }
static size_t at_end_len(const struct image *im) { return im->end + 4; }

static void test_xl_header(void)
{
    struct image im;

    spoiled(at_magic, 0x41414141, "does not begin", "wrong magic is refused");
    spoiled(at_order, 0x04030201, "wrong byte order",
            "the other byte order is refused");
    spoiled(at_flags, 7, "unknown flags 0x4", "a new flag is refused");
    spoiled(at_flags, 1, "old form", "a legacy stream is refused");
    spoiled(at_flags, 0, "old form", "a text configuration is refused");
    spoiled(at_optional_len, 4, "disagree",
            "lengths that disagree are refused");
    spoiled(at_optional_len, UINT32_MAX, "disagree", "so is an absurd one");
    spoiled(at_config_len, 0, "claims 0 bytes", "no configuration is refused");
    spoiled(at_config_len, UINT32_MAX, "claims 4294967295 bytes",
            "an absurd configuration is refused");
    make_pv(&im);
    im.b.data[im.stream - 1] = ' ';
    refused(&im, "only NUL", "a configuration without its NUL is refused");
    im.b.data[im.stream - 1] = '\0';
    im.b.data[im.config + 3] = '\0';
    refused(&im, "only NUL", "a configuration with a NUL inside is refused");
    drop(&im);
}

static void test_stream_headers(void)
{
    spoiled(at_ident, 0, "no libxl stream", "a wrong ident is refused");
    spoiled(at_version, htobe32(3), "unknown version 3",
            "a newer libxl stream is refused");
    spoiled(at_options, htobe32(1), "wrong byte order",
            "a big-endian libxl stream is refused");
    spoiled(at_context, 3, "does not begin with the memory",
            "a stream that begins with the device model is refused");
    spoiled(at_context, 0, "does not begin with the memory",
            "a stream without memory is refused");
    spoiled(at_context_len, 8, "not empty",
            "a LIBXC_CONTEXT with a body is refused");
    spoiled(at_marker, 0, "no libxc stream", "a legacy marker is refused");
    spoiled(at_id, 0, "no libxc stream", "a wrong libxc id is refused");
    spoiled(at_xc_version, htobe32(4), "unknown version 4",
            "a newer libxc stream is refused");
    spoiled(at_xc_version, htobe32(1), "unknown version 1",
            "an older libxc stream is refused");
    spoiled(at_xc_options, 0x0100, "wrong byte order",
            "a big-endian libxc stream is refused");
    spoiled(at_domain_type, 3, "unknown kind of domain",
            "an unknown kind of domain is refused");
    spoiled(at_page_shift, 16, "2^16", "another page size is refused");
}

static void test_records(void)
{
    spoiled(at_pv_info, 0x13, "unknown libxc record 0x00000013",
            "an unknown mandatory libxc record is refused");
    spoiled(at_pv_info, 0x7fffffff, "unknown libxc record",
            "so is the last mandatory type");
    spoiled(at_pv_info, 0x0d, "VERIFY", "a verify record is refused");
    spoiled(at_pv_info, 0x0e, "CHECKPOINT", "a checkpoint record is refused");
    spoiled(at_pv_info, 0x0f, "CHECKPOINT_DIRTY", "so is its page list");
    spoiled(at_pv_info, 0x0b, "TOOLSTACK", "a toolstack record is refused");
    spoiled(at_pv_info, 9, "HVM_CONTEXT record in the stream of a PV domain",
            "HVM state in a PV stream is refused");
    spoiled(at_pv_info, 0x80000001, "records are missing",
            "a PV stream without PV_INFO is refused");
    spoiled(at_xc_end_len, 8, "not empty",
            "a libxc END with a body is refused");
    spoiled(at_end_len, 8, "cut short", "a libxl END with a body is refused");
    spoiled(at_end, 1, "second LIBXC_CONTEXT", "a second memory is refused");
    spoiled(at_end, 3, "device model in the stream of a PV domain",
            "a device model in a PV stream is refused");
    spoiled(at_end, 4, "checkpoint", "the end of a checkpoint is refused");
    spoiled(at_end, 5, "checkpoint", "the state of a checkpoint is refused");
    spoiled(at_end, 6, "unknown libxl record 0x00000006",
            "an unknown mandatory libxl record is refused");
    spoiled(at_end, 0x80000006, "unknown libxl record 0x80000006",
            "an unknown optional libxl record is refused: libxl fails on it");
    spoiled(at_end_len, UINT32_MAX, "more than any has",
            "an absurd libxl record is refused");
}

static void test_pages(void)
{
    struct image im;

    spoiled(at_pages_len, UINT32_MAX, "more than any has",
            "an absurd page record is refused");
    spoiled(at_pages_len, 128u << 20, "cut short",
            "a page record longer than the file is refused");
    spoiled(at_pages_len, 7, "of 7 bytes", "a tiny page record is refused");
    spoiled(at_pages_count, 0, "claims 0 pages", "no pages are refused");
    spoiled(at_pages_count, UINT32_MAX, "claims 4294967295 pages",
            "absurdly many pages are refused");
    spoiled(at_pages_count, 5, "another length",
            "a wrong number of pages is refused");
    spoiled(at_entry_high, 0x50000000, "unknown type 5",
            "an unknown type of page is refused");
    spoiled(at_entry_high, 0x80000000, "unknown type 8",
            "a pinned page that is no table is refused");
    spoiled(at_entry_high, 0xf0000000, "another length",
            "a page too many in a record is refused");
    spoiled(at_entry_high, 1, "page frame 0x100000007 lies beyond the 512 GiB",
            "a page frame beyond 2^32 is refused");
    make_pv(&im);
    set32(&im, im.first_page + 16, 1u << 27);
    refused(&im, "beyond the 512 GiB", "the first frame beyond is refused");
    set32(&im, im.first_page + 16, (1u << 27) - 1);
    im.b.data[im.pv_info - 8] = 0x12;       /* was STATIC_DATA_END */
    refused(&im, "before the end of the static data",
            "pages before the end of the static data are refused");
    drop(&im);
}

static void test_last_frame(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_memimage m;
    struct image im;

    make_pv(&im);
    set32(&im, im.first_page + 16, (1u << 27) - 1);
    is_int(read_bytes(&sc, im.b.data, im.b.len, &m), 0,
           "the last frame of 512 GiB is accepted");
    snap_memimage_dispose(&m);
    snap_ctx_dispose(&sc);
    drop(&im);
}

static void test_tail(void)
{
    struct image im;

    make_pv(&im);
    put_zeros(&im, 1);
    refused(&im, "1 bytes stand behind its END", "a byte too many is refused");
    put_zeros(&im, 4095);
    refused(&im, "4096 bytes stand behind its END",
            "a file that was not trimmed is refused");
    drop(&im);
    make_pv(&im);
    im.b.len = im.xc_end;
    put_record(&im, 0, 8);
    put_end(&im);
    refused(&im, "not empty", "an END of libxc with a body is refused");
    im.b.len = im.xc_end + 8;
    set32(&im, im.xc_end + 4, 0);
    put_record(&im, 0, 8);
    refused(&im, "not empty", "an END of libxl with a body is refused");
    im.b.len = im.first_page;
    put_record(&im, 0, 0);
    refused(&im, "holds no memory", "a stream without pages is refused");
    drop(&im);
}

/* The HVM image with other xenstore data, of 8 bytes with the padding. */
static void bad_pairs(const char *data, uint32_t len, const char *reason)
{
    struct image im;

    make_hvm(&im);
    set32(&im, im.emulator + 4, 8 + len);
    memcpy(im.b.data + im.emulator + 16, data, 8);
    refused(&im, reason, "bad xenstore data of the device model is refused");
    drop(&im);
}

static void test_emulator(void)
{
    struct image im;

    bad_pairs("ab\0cdefg", 8, "no NUL at its end");
    bad_pairs("ab\0\0\0\0\0\0", 3, "key without a value");
    bad_pairs("\0b\0\0\0\0\0\0", 3, "empty or absolute");
    bad_pairs("/a\0b\0\0\0\0", 5, "empty or absolute");
    make_hvm(&im);
    set32(&im, im.emulator, 3);
    refused(&im, "second EMULATOR_CONTEXT", "two device models are refused");
    set32(&im, im.emulator, 2);
    set32(&im, im.emulator + 4, 4);
    refused(&im, "emulator record of 4 bytes",
            "an emulator record without its header is refused");
    drop(&im);
    make_hvm(&im);
    im.b.len = im.emulator;
    put_record(&im, 2, 8 + (1u << 20) + 1);
    refused(&im, "1048577 bytes of xenstore data",
            "too much xenstore data is refused");
    drop(&im);
}

/* Every byte outside the pages becomes four others. Whatever the reader says,
 * it must come back, and with a message when it refuses. */
static void test_mutation_of(void (*make)(struct image *), const char *kind)
{
    static const unsigned char flips[] = { 0x01, 0x40, 0x80, 0xff };
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_memimage m;
    size_t i, k, silent = 0;
    struct image im;
    int fd = memfd_create("image", MFD_CLOEXEC);

    make(&im);
    if (fd < 0 || write(fd, im.b.data, im.b.len) != (ssize_t)im.b.len)
        bail("no memfd");
    for (i = 0; i < im.b.len * sizeof(flips); i++) {
        unsigned char c;

        k = i / sizeof(flips);
        if (k > im.first_page + 80 && k + 400 < im.xc_end) continue;
        c = (unsigned char)im.b.data[k] ^ flips[i % sizeof(flips)];
        if (pwrite(fd, &c, 1, (off_t)k) != 1) bail("no write");
        if (snap_memimage_read(&sc, fd, "x", &m) && !sc.message) silent++;
        snap_memimage_dispose(&m);
        snap_clear(&sc);
        if (pwrite(fd, im.b.data + k, 1, (off_t)k) != 1) bail("no write");
    }
    is_int(silent, 0, "whatever a byte of %s image becomes, the answer comes",
           kind);
    close(fd);
    snap_ctx_dispose(&sc);
    drop(&im);
}

static void test_not_a_file(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_memimage m;
    int ends[2];

    is_int(read_bytes(&sc, "", 0, &m), ERROR_INVAL, "no bytes are refused");
    snap_clear(&sc);
    if (pipe(ends)) bail("no pipe");
    is_int(snap_memimage_read(&sc, ends[0], "p", &m), ERROR_INVAL,
           "a pipe is refused");
    like(sc.message, "not a regular file", "and the message says so");
    snap_clear(&sc);
    close(ends[0]);
    close(ends[1]);
    is_int(snap_memimage_read(&sc, -1, "gone", &m), ERROR_FAIL,
           "a descriptor that is none fails");
    snap_ctx_dispose(&sc);
}

static void test_config_alone(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_memimage m;
    struct image im;

    make_pv(&im);
    is_int(read_with(snap_memimage_read_config, &sc, im.b.data, im.stream,
                     &m), 0, "the configuration needs nothing behind it");
    is_str(m.config, config, "... and is all there");
    snap_memimage_dispose(&m);
    is_int(read_with(snap_memimage_read_config, &sc, im.b.data,
                     im.stream - 1, &m), ERROR_INVAL,
           "... but is wanted whole");
    ok(!m.config, "... and else there is none");
    drop(&im);
    snap_ctx_dispose(&sc);
}

static void test_header(void)
{
    static const char want[] =
        "Xen saved domain, xl format\n \0 \r"
        "\4\3\2\1" "\3\0\0\0" "\0\0\0\0" "\7\0\0\0" "\3\0\0\0" "{}";
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_FREE char *long_config = snap_zalloc(SNAP_MEMIMAGE_MAX_CONFIG + 1);
    char *bytes = NULL;
    size_t len = 0;

    is_int(snap_memimage_header(&sc, "{}", &bytes, &len), 0,
           "a header is made");
    is_mem(bytes, len, want, sizeof(want), "byte for byte as xl makes it");
    free(bytes);
    memset(long_config, ' ', SNAP_MEMIMAGE_MAX_CONFIG);
    is_int(snap_memimage_header(&sc, long_config, &bytes, &len), ERROR_INVAL,
           "a configuration that nobody could read back is refused");
    snap_clear(&sc);
    is_int(snap_memimage_header(&sc, "", &bytes, &len), ERROR_INVAL,
           "so is an empty one");
    snap_ctx_dispose(&sc);
}

int main(void)
{
    test_header();
    test_pv();
    test_hvm();
    test_xl_header();
    test_stream_headers();
    test_records();
    test_pages();
    test_last_frame();
    test_tail();
    test_emulator();
    test_not_a_file();
    test_config_alone();
    test_truncation_of(make_pv, "a PV");
    test_truncation_of(make_hvm, "an HVM");
    test_mutation_of(make_pv, "a PV");
    test_mutation_of(make_hvm, "an HVM");
    return done_testing();
}
