/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The memory image, read from its first byte to its last: three formats one
 * inside the other (the xl header, the libxl stream, the libxc stream).  It
 * checks what `xl restore` will check, because a file that makes the stock xl
 * fail does so after the running domain is gone.  It never looks at a page of
 * the domain and never writes; the steps of create and revert call it.
 *
 * The streams are little-endian; so is every host that has these domains.
 */
#include "format/memimage.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include <nettle/sha2.h>

/*
 * The formats
 */

#define XL_BYTEORDER        UINT32_C(0x01020304)
#define XL_FLAG_JSON        (1u << 0)
#define XL_FLAG_STREAM_V2   (1u << 1)
#define XL_FLAGS            (XL_FLAG_JSON | XL_FLAG_STREAM_V2)

static const char xl_magic[32] = "Xen saved domain, xl format\n \0 \r";

struct xl_header {
    char magic[32];
    uint32_t byteorder;
    uint32_t mandatory_flags;
    uint32_t optional_flags;
    uint32_t optional_data_len;     /* 4 + config_len */
    uint32_t config_len;            /* with its NUL */
};

#define STREAM_IDENT        UINT64_C(0x4c6962786c466d74)
#define STREAM_VERSION      2
#define STREAM_BIG_ENDIAN   (1u << 0)

struct libxl_header {               /* big-endian */
    uint64_t ident;
    uint32_t version;
    uint32_t options;
};

#define LIBXC_MARKER        UINT64_MAX
#define LIBXC_ID            0x58454e46
#define LIBXC_BIG_ENDIAN    (1u << 0)

struct libxc_header {
    uint64_t marker;
    uint32_t id;                    /* this and the rest are big-endian */
    uint32_t version;
    uint16_t options;
    uint16_t reserved1;
    uint32_t reserved2;
};

struct libxc_domain {
    uint32_t type;
    uint16_t page_shift;
    uint16_t reserved;
    uint32_t xen_major;
    uint32_t xen_minor;
};

struct record {
    uint32_t type;
    uint32_t length;                /* of the body, without its padding */
};

struct page_data {
    uint32_t count;
    uint32_t reserved;
};

enum libxl_record {
    LIBXL_END, LIBXL_LIBXC_CONTEXT, LIBXL_EMULATOR_XENSTORE_DATA,
    LIBXL_EMULATOR_CONTEXT, LIBXL_CHECKPOINT_END, LIBXL_CHECKPOINT_STATE,
};

enum libxc_record {
    XC_END, XC_PAGE_DATA, XC_PV_INFO, XC_PV_P2M_FRAMES, XC_PV_VCPU_BASIC,
    XC_PV_VCPU_EXTENDED, XC_PV_VCPU_XSAVE, XC_SHARED_INFO, XC_TSC_INFO,
    XC_HVM_CONTEXT, XC_HVM_PARAMS, XC_TOOLSTACK, XC_PV_VCPU_MSRS, XC_VERIFY,
    XC_CHECKPOINT, XC_CHECKPOINT_DIRTY_PFN_LIST, XC_STATIC_DATA_END,
    XC_CPUID_POLICY, XC_MSR_POLICY,
};

#define RECORD_OPTIONAL     0x80000000u
/* libxc refuses longer ones; libxl has no limit but writes far shorter. */
#define RECORD_MAX_BYTES    (128u << 20)
#define EMULATOR_HEADER_BYTES 8
#define XENSTORE_MAX_BYTES  (1u << 20)
#define PAGE_SHIFT          12
#define PFN_MASK            UINT64_C(0x000fffffffffffff)
#define PFN_TYPE_SHIFT      60

/* What a record of the libxc stream may be in each kind of domain. */
#define IN_PV   1u
#define IN_HVM  2u
#define REMUS   4u                  /* of a stream with checkpoints */

static const struct {
    const char *name;
    unsigned where;
} libxc_records[] = {
    [XC_END]              = { "END", IN_PV | IN_HVM },
    [XC_PAGE_DATA]        = { "PAGE_DATA", IN_PV | IN_HVM },
    [XC_PV_INFO]          = { "X86_PV_INFO", IN_PV },
    [XC_PV_P2M_FRAMES]    = { "X86_PV_P2M_FRAMES", IN_PV },
    [XC_PV_VCPU_BASIC]    = { "X86_PV_VCPU_BASIC", IN_PV },
    [XC_PV_VCPU_EXTENDED] = { "X86_PV_VCPU_EXTENDED", IN_PV },
    [XC_PV_VCPU_XSAVE]    = { "X86_PV_VCPU_XSAVE", IN_PV },
    [XC_SHARED_INFO]      = { "SHARED_INFO", IN_PV },
    [XC_TSC_INFO]         = { "X86_TSC_INFO", IN_PV | IN_HVM },
    [XC_HVM_CONTEXT]      = { "HVM_CONTEXT", IN_HVM },
    [XC_HVM_PARAMS]       = { "HVM_PARAMS", IN_HVM },
    [XC_TOOLSTACK]        = { "TOOLSTACK", 0 },
    [XC_PV_VCPU_MSRS]     = { "X86_PV_VCPU_MSRS", IN_PV },
    [XC_VERIFY]           = { "VERIFY", REMUS },
    [XC_CHECKPOINT]       = { "CHECKPOINT", REMUS },
    [XC_CHECKPOINT_DIRTY_PFN_LIST] = { "CHECKPOINT_DIRTY_PFN_LIST", REMUS },
    [XC_STATIC_DATA_END]  = { "STATIC_DATA_END", IN_PV | IN_HVM },
    [XC_CPUID_POLICY]     = { "X86_CPUID_POLICY", IN_PV | IN_HVM },
    [XC_MSR_POLICY]       = { "X86_MSR_POLICY", IN_PV | IN_HVM },
};

#define LIBXC_KNOWN (sizeof(libxc_records) / sizeof(*libxc_records))

/*
 * The walk
 */

/* One bit a page frame, up to 512 GiB of domain memory. */
#define SEEN_MAX_BYTES (16u << 20)

struct walk {
    struct snap_ctx *sc;
    int fd;
    const char *path;
    uint64_t at;                    /* the next byte to read */
    uint64_t size;                  /* of the file */
    struct snap_memimage *out;
    uint32_t libxc_version;
    bool pages_begun;               /* head_bytes is known */
    uint64_t seen_records;          /* libxc types met, a bit each */
    unsigned char *seen;            /* page frames that were counted */
    size_t seen_bytes;
};

/* The message of every refusal; returns ERROR_INVAL. */
static int bad(const struct walk *w, const char *fmt, ...) SNAP_PRINTF(2, 3);

static int bad(const struct walk *w, const char *fmt, ...)
{
    AUTO_FREE char *reason = NULL;
    va_list ap;

    va_start(ap, fmt);
    reason = snap_vprintf(fmt, ap);
    va_end(ap);
    return snap_fail(w->sc, ERROR_INVAL, "memory image '%s': %s; do not give "
                     "it to xl restore, take another snapshot", w->path,
                     reason);
}

/* There must be `bytes` more; they are of `what`. */
static int need(const struct walk *w, uint64_t bytes, const char *what)
{
    if (bytes <= w->size - w->at) return 0;
    return bad(w, "cut short: %s at byte %" PRIu64 " needs %" PRIu64
               " bytes, the file ends after %" PRIu64, what, w->at, bytes,
               w->size - w->at);
}

/* pread until all is there: the file's size was checked, so an early end
 * means that somebody changed it meanwhile. */
static int read_at(const struct walk *w, uint64_t at, void *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(w->fd, (char *)buf + done, len - done,
                          (off_t)(at + done));

        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return snap_fail_errno(w->sc, errno, "memory image '%s': reading "
                                   "at byte %" PRIu64, w->path, at + done);
        if (!n)
            return snap_fail(w->sc, ERROR_FAIL, "memory image '%s' became "
                             "shorter while it was read; try again", w->path);
        done += (size_t)n;
    }
    return 0;
}

/* Read `len` bytes of `what` and go on behind them. */
static int take(struct walk *w, void *buf, size_t len, const char *what)
{
    int rc = need(w, len, what);

    if (rc) return rc;
    rc = read_at(w, w->at, buf, len);
    if (rc) return rc;
    w->at += len;
    return 0;
}

static uint64_t padded(uint32_t length)
{
    return ((uint64_t)length + 7) & ~UINT64_C(7);
}

/* A record's header; its body is known to be inside the file. */
static int take_record(struct walk *w, struct record *r, const char *stream)
{
    uint64_t start = w->at;
    int rc;

    rc = take(w, r, sizeof(*r), "a record's header");
    if (rc) return rc;
    r->type = le32toh(r->type);
    r->length = le32toh(r->length);
    if (r->length > RECORD_MAX_BYTES)
        return bad(w, "the %s record 0x%08" PRIx32 " at byte %" PRIu64
                   " claims %" PRIu32 " bytes, more than any has", stream,
                   r->type, start, r->length);
    return need(w, padded(r->length), "a record's body");
}

/*
 * The xl header
 */

static int check_xl_header(const struct walk *w, const struct xl_header *h)
{
    if (memcmp(h->magic, xl_magic, sizeof(xl_magic)))
        return bad(w, "it does not begin as a file of xl save does");
    if (h->byteorder != XL_BYTEORDER)
        return bad(w, "wrong byte order (0x%08" PRIx32 "): it was saved on "
                   "another kind of machine", h->byteorder);
    if (h->mandatory_flags & ~XL_FLAGS)
        return bad(w, "unknown flags 0x%" PRIx32 " in its header: a newer xl "
                   "saved it", h->mandatory_flags & ~XL_FLAGS);
    if (h->mandatory_flags != XL_FLAGS)
        return bad(w, "its flags 0x%" PRIx32 " tell of an old form (no JSON "
                   "configuration or no stream of version 2): xl before Xen "
                   "4.6 saved it", h->mandatory_flags);
    if (h->config_len < 2 || h->config_len > SNAP_MEMIMAGE_MAX_CONFIG)
        return bad(w, "its configuration claims %" PRIu32 " bytes",
                   h->config_len);
    if (h->optional_data_len != h->config_len + sizeof(h->config_len))
        return bad(w, "the lengths in its header disagree (%" PRIu32 " bytes "
                   "of data, %" PRIu32 " of configuration)",
                   h->optional_data_len, h->config_len);
    return 0;
}

static int read_xl_header(struct walk *w)
{
    struct xl_header h;
    int rc;

    rc = take(w, &h, sizeof(h), "the xl header");
    if (rc) return rc;
    rc = check_xl_header(w, &h);
    if (rc) return rc;
    rc = need(w, h.config_len, "the configuration");
    if (rc) return rc;
    w->out->config = snap_zalloc(h.config_len);
    rc = take(w, w->out->config, h.config_len, "the configuration");
    if (rc) return rc;
    if (strnlen(w->out->config, h.config_len) != h.config_len - 1)
        return bad(w, "its configuration does not end with its only NUL");
    w->out->stream_offset = w->at;
    return 0;
}

/*
 * The libxc stream
 */

static int read_libxc_headers(struct walk *w)
{
    struct libxc_header h;
    struct libxc_domain d;
    int rc;

    rc = take(w, &h, sizeof(h), "the libxc image header");
    if (rc) return rc;
    rc = take(w, &d, sizeof(d), "the libxc domain header");
    if (rc) return rc;
    w->libxc_version = be32toh(h.version);
    if (h.marker != LIBXC_MARKER || be32toh(h.id) != LIBXC_ID)
        return bad(w, "no libxc stream where one must begin");
    if (w->libxc_version < 2 || w->libxc_version > 3)
        return bad(w, "its libxc stream has the unknown version %" PRIu32,
                   w->libxc_version);
    if (be16toh(h.options) & LIBXC_BIG_ENDIAN)
        return bad(w, "its libxc stream has the wrong byte order");
    d.type = le32toh(d.type);
    if (d.type != IN_PV && d.type != IN_HVM)
        return bad(w, "unknown kind of domain %" PRIu32, d.type);
    if (le16toh(d.page_shift) != PAGE_SHIFT)
        return bad(w, "pages of 2^%u bytes, not 2^%d", le16toh(d.page_shift),
                   PAGE_SHIFT);
    w->out->hvm = d.type == IN_HVM;
    w->out->xen_major = le32toh(d.xen_major);
    w->out->xen_minor = le32toh(d.xen_minor);
    return 0;
}

/* Bits 63-60 of an entry: page tables of level 1-4, pinned or not, are pages
 * like normal ones; 13 is broken, 14 allocated only, 15 not there. */
enum page_kind { PAGE_FULL, PAGE_ALLOCATED, PAGE_ABSENT, PAGE_UNKNOWN };

static enum page_kind kind_of_page(uint64_t entry)
{
    unsigned type = (unsigned)(entry >> PFN_TYPE_SHIFT);

    if (type <= 4 || (type >= 9 && type <= 12)) return PAGE_FULL;
    if (type == 14) return PAGE_ALLOCATED;
    if (type == 13 || type == 15) return PAGE_ABSENT;
    return PAGE_UNKNOWN;
}

/* A live save sends pages again; each is counted once. */
static int count_page(struct walk *w, uint64_t pfn)
{
    size_t byte;

    if (pfn >= (uint64_t)SEEN_MAX_BYTES * 8)
        return bad(w, "page frame 0x%" PRIx64 " lies beyond the %u GiB that "
                   "a domain may have here", pfn, SEEN_MAX_BYTES >> 15);
    byte = (size_t)(pfn / 8);
    if (byte >= w->seen_bytes) {
        size_t more = w->seen_bytes ? w->seen_bytes : 4096;

        while (more <= byte) more *= 2;
        w->seen = snap_realloc(w->seen, more);
        memset(w->seen + w->seen_bytes, 0, more - w->seen_bytes);
        w->seen_bytes = more;
    }
    if (!(w->seen[byte] & (1u << (pfn % 8)))) w->out->pages++;
    w->seen[byte] |= (unsigned char)(1u << (pfn % 8));
    return 0;
}

static int count_entry(struct walk *w, uint64_t entry, uint64_t *full)
{
    switch (kind_of_page(entry)) {
    case PAGE_FULL:
        ++*full;
        return count_page(w, entry & PFN_MASK);
    case PAGE_ALLOCATED:
        return count_page(w, entry & PFN_MASK);
    case PAGE_ABSENT:
        return 0;
    default:
        return bad(w, "page frame 0x%" PRIx64 " has the unknown type %u",
                   entry & PFN_MASK, (unsigned)(entry >> PFN_TYPE_SHIFT));
    }
}

/* The list of page frames in front of the contents, a piece at a time. */
static int count_entries(struct walk *w, uint64_t at, uint32_t count,
                         uint64_t *full)
{
    uint64_t entries[1024];
    uint32_t i, n;
    int rc;

    for (; count; count -= n, at += n * sizeof(*entries)) {
        n = count < 1024 ? count : 1024;
        rc = read_at(w, at, entries, n * sizeof(*entries));
        if (rc) return rc;
        for (i = 0; i < n; i++) {
            rc = count_entry(w, le64toh(entries[i]), full);
            if (rc) return rc;
        }
    }
    return 0;
}

/* w->at stands on the body. */
static int read_page_data(struct walk *w, const struct record *r)
{
    struct page_data d;
    uint64_t full = 0, list_bytes;
    int rc;

    if (w->libxc_version >= 3 &&
        !(w->seen_records & (1u << XC_STATIC_DATA_END)))
        return bad(w, "pages before the end of the static data");
    if (r->length < sizeof(d))
        return bad(w, "a PAGE_DATA record of %" PRIu32 " bytes", r->length);
    rc = read_at(w, w->at, &d, sizeof(d));
    if (rc) return rc;
    d.count = le32toh(d.count);
    list_bytes = sizeof(d) + (uint64_t)d.count * sizeof(uint64_t);
    if (!d.count || list_bytes > r->length)
        return bad(w, "a PAGE_DATA record of %" PRIu32 " bytes claims "
                   "%" PRIu32 " pages", r->length, d.count);
    rc = count_entries(w, w->at + sizeof(d), d.count, &full);
    if (rc) return rc;
    if (list_bytes + (full << PAGE_SHIFT) != r->length)
        return bad(w, "a PAGE_DATA record of %" PRIu32 " bytes has %" PRIu64
                   " pages with contents, which is another length",
                   r->length, full);
    return 0;
}

/* May this record stand in this stream? An unknown one may when its type says
 * that readers can pass over it. */
static int check_libxc_type(struct walk *w, const struct record *r)
{
    unsigned here = w->out->hvm ? IN_HVM : IN_PV;

    if (r->type & RECORD_OPTIONAL) return 0;
    if (r->type >= LIBXC_KNOWN)
        return bad(w, "unknown libxc record 0x%08" PRIx32 ": a newer Xen "
                   "saved it", r->type);
    if (libxc_records[r->type].where & REMUS)
        return bad(w, "a %s record: it is part of a checkpointed or verified "
                   "stream", libxc_records[r->type].name);
    if (!(libxc_records[r->type].where & here))
        return bad(w, "a %s record in the stream of a %s domain",
                   libxc_records[r->type].name, w->out->hvm ? "HVM" : "PV");
    w->seen_records |= 1u << r->type;
    return 0;
}

/* Without these a restore fails at its very end. */
static int check_libxc_end(const struct walk *w, const struct record *r)
{
    uint64_t must = w->out->hvm ? 1u << XC_HVM_CONTEXT
                                : 1u << XC_PV_INFO | 1u << XC_PV_P2M_FRAMES |
                                  1u << XC_PV_VCPU_BASIC;

    if (r->length)
        return bad(w, "the END record of its libxc stream is not empty");
    if (!w->pages_begun)
        return bad(w, "it holds no memory");
    if ((w->seen_records & must) != must)
        return bad(w, "records are missing that a restore needs at its end");
    return 0;
}

static int read_libxc_stream(struct walk *w)
{
    struct record r;
    uint64_t start;
    int rc;

    rc = read_libxc_headers(w);
    if (rc) return rc;
    for (;;) {
        start = w->at;
        rc = take_record(w, &r, "libxc");
        if (rc) return rc;
        rc = check_libxc_type(w, &r);
        if (rc) return rc;
        if (r.type == XC_END) return check_libxc_end(w, &r);
        if (r.type == XC_PAGE_DATA) {
            if (!w->pages_begun) w->out->head_bytes = start;
            w->pages_begun = true;
            rc = read_page_data(w, &r);
            if (rc) return rc;
        }
        w->at += padded(r.length);
    }
}

/*
 * The libxl stream
 */

static int read_libxl_header(struct walk *w)
{
    struct libxl_header h;
    int rc;

    rc = take(w, &h, sizeof(h), "the libxl stream header");
    if (rc) return rc;
    if (be64toh(h.ident) != STREAM_IDENT)
        return bad(w, "no libxl stream behind its configuration");
    if (be32toh(h.version) != STREAM_VERSION)
        return bad(w, "its libxl stream has the unknown version %" PRIu32,
                   be32toh(h.version));
    if (be32toh(h.options) & STREAM_BIG_ENDIAN)
        return bad(w, "its libxl stream has the wrong byte order");
    return 0;
}

static int read_context(struct walk *w, const struct record *r)
{
    if (r->length)
        return bad(w, "its LIBXC_CONTEXT record is not empty");
    if (w->pages_begun)
        return bad(w, "a second LIBXC_CONTEXT record");
    return read_libxc_stream(w);
}

/*
 * Keys and values in turn, each with its NUL, keys neither empty nor absolute:
 * libxl checks this only when the new domain is half made.
 */
static const char *fault_in_pairs(const char *data, size_t len)
{
    const char *end = data + len;
    bool key = true;

    for (; data < end; data += strlen(data) + 1, key = !key) {
        if (!memchr(data, '\0', (size_t)(end - data)))
            return "has no NUL at its end";
        if (key && (!*data || *data == '/'))
            return "has a key that is empty or absolute";
    }
    return key ? NULL : "has a key without a value";
}

static int check_xenstore_data(const struct walk *w, const struct record *r)
{
    size_t len = r->length - EMULATOR_HEADER_BYTES;
    AUTO_FREE char *data = NULL;
    const char *fault;
    int rc;

    if (len > XENSTORE_MAX_BYTES)
        return bad(w, "%zu bytes of xenstore data of the device model", len);
    data = snap_zalloc(len);
    rc = read_at(w, w->at + EMULATOR_HEADER_BYTES, data, len);
    if (rc) return rc;
    fault = fault_in_pairs(data, len);
    return fault ? bad(w, "the xenstore data of the device model %s", fault)
                 : 0;
}

static int read_emulator(struct walk *w, const struct record *r)
{
    int rc;

    if (!w->out->hvm)
        return bad(w, "the state of a device model in the stream of a PV "
                   "domain");
    if (r->length < EMULATOR_HEADER_BYTES)
        return bad(w, "an emulator record of %" PRIu32 " bytes", r->length);
    if (r->type == LIBXL_EMULATOR_XENSTORE_DATA) {
        rc = check_xenstore_data(w, r);
        if (rc) return rc;
    } else {
        if (w->out->has_emulator)
            return bad(w, "a second EMULATOR_CONTEXT record");
        w->out->has_emulator = true;
    }
    w->at += padded(r->length);
    return 0;
}

static int read_end(const struct walk *w, const struct record *r)
{
    if (r->length)
        return bad(w, "the END record of its libxl stream is not empty");
    if (w->at != w->size)
        return bad(w, "%" PRIu64 " bytes stand behind its END record",
                   w->size - w->at);
    return 0;
}

/*
 * One record; *end tells that it was the last.  The specification lets
 * readers pass over unknown optional records, but the libxl of Xen 4.17 fails
 * on any unknown one: so do we, while the domain is still there.
 */
static int read_libxl_record(struct walk *w, bool *end)
{
    struct record r;
    int rc;

    rc = take_record(w, &r, "libxl");
    if (rc) return rc;
    if (r.type != LIBXL_LIBXC_CONTEXT && r.type <= LIBXL_EMULATOR_CONTEXT &&
        !w->pages_begun)
        return bad(w, "its libxl stream does not begin with the memory");
    switch (r.type) {
    case LIBXL_END:
        *end = true;
        return read_end(w, &r);
    case LIBXL_LIBXC_CONTEXT:
        return read_context(w, &r);
    case LIBXL_EMULATOR_XENSTORE_DATA:
    case LIBXL_EMULATOR_CONTEXT:
        return read_emulator(w, &r);
    case LIBXL_CHECKPOINT_END:
    case LIBXL_CHECKPOINT_STATE:
        return bad(w, "a checkpoint record: it is part of a Remus or COLO "
                   "stream");
    default:
        return bad(w, "unknown libxl record 0x%08" PRIx32 ": a newer Xen "
                   "saved it", r.type);
    }
}

static int read_libxl_stream(struct walk *w)
{
    bool end = false;
    int rc;

    rc = read_libxl_header(w);
    while (!rc && !end) rc = read_libxl_record(w, &end);
    return rc;
}

/*
 * The checksum of the head
 */

static int hash_head(const struct walk *w)
{
    unsigned char digest[SHA256_DIGEST_SIZE];
    AUTO_FREE unsigned char *piece = snap_zalloc(65536);
    struct sha256_ctx sha;
    uint64_t at;
    size_t n;
    int rc;

    sha256_init(&sha);
    for (at = 0; at < w->out->head_bytes; at += n) {
        n = 65536;
        if (n > w->out->head_bytes - at)
            n = (size_t)(w->out->head_bytes - at);
        rc = read_at(w, at, piece, n);
        if (rc) return rc;
        sha256_update(&sha, n, piece);
    }
    sha256_digest(&sha, sizeof(digest), digest);
    snap_hex(digest, sizeof(digest), w->out->head_sha256);
    return 0;
}

static int read_begin(struct walk *w)
{
    struct stat st;

    if (fstat(w->fd, &st))
        return snap_fail_errno(w->sc, errno, "memory image '%s'", w->path);
    if (!S_ISREG(st.st_mode))
        return bad(w, "it is not a regular file");
    w->size = w->out->size_bytes = (uint64_t)st.st_size;
    return read_xl_header(w);
}

static int read_all(struct walk *w)
{
    int rc = read_begin(w);

    if (!rc) rc = read_libxl_stream(w);
    if (!rc) rc = hash_head(w);
    return rc;
}

int snap_memimage_read_config(struct snap_ctx *sc, int fd, const char *path,
                              struct snap_memimage *out)
{
    struct walk w = { .sc = sc, .fd = fd, .path = path, .out = out };
    int rc;

    memset(out, 0, sizeof(*out));
    rc = read_begin(&w);
    if (rc) snap_memimage_dispose(out);
    return rc;
}

int snap_memimage_read(struct snap_ctx *sc, int fd, const char *path,
                       struct snap_memimage *out)
{
    struct walk w = { .sc = sc, .fd = fd, .path = path, .out = out };
    int rc;

    memset(out, 0, sizeof(*out));
    rc = read_all(&w);
    free(w.seen);
    if (rc) snap_memimage_dispose(out);
    return rc;
}

void snap_memimage_dispose(struct snap_memimage *m)
{
    free(m->config);
    memset(m, 0, sizeof(*m));
}

int snap_memimage_header(struct snap_ctx *sc, const char *config,
                         char **buf, size_t *len)
{
    size_t config_len = strlen(config) + 1;
    struct xl_header h = {
        .byteorder = XL_BYTEORDER,
        .mandatory_flags = XL_FLAGS,
    };

    if (config_len < 2 || config_len > SNAP_MEMIMAGE_MAX_CONFIG)
        return snap_fail(sc, ERROR_INVAL, "a configuration of %zu bytes does "
                         "not fit into a memory image (at most %u)",
                         config_len - 1, SNAP_MEMIMAGE_MAX_CONFIG - 1);
    memcpy(h.magic, xl_magic, sizeof(h.magic));
    h.config_len = (uint32_t)config_len;
    h.optional_data_len = (uint32_t)(config_len + sizeof(h.config_len));
    *len = sizeof(h) + config_len;
    *buf = snap_zalloc(*len);
    memcpy(*buf, &h, sizeof(h));
    memcpy(*buf + sizeof(h), config, config_len);
    return 0;
}
