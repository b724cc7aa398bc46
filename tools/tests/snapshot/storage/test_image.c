/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * qemu-img's door, tried with the real qemu-img: odd names, chains, tags,
 * overlays, and headers made to mislead.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "format/json.h"
#include "host/fs.h"
#include "host/image.h"
#include "host/run.h"
#include "tap.h"

static char *tmp;               /* our directory, removed at the end */
static struct snap_ctx sc = SNAP_CTX_INIT;

static char *in_tmp(const char *name)
{
    return snap_printf("%s/%s", tmp, name);
}

/* A tool that must succeed; argv as for exec. */
static void must(const char *const *argv)
{
    if (snap_run_ok(&sc, argv, 0, NULL)) bail("set-up: %s", sc.message);
}

#define MUST(...) must((const char *const[]){ __VA_ARGS__, NULL })

static void make_qcow2(const char *path, const char *size)
{
    MUST("qemu-img", "create", "-q", "-f", "qcow2", path, size);
}

/* Names that programs with options, protocols and shells stumble over. */
static const char *const odd_names[] = {
    "with space", "a,b,,c=d", "it's \"quoted\"", "json:{\"driver\":\"raw\"}",
    "nbd:localhost:1", "\xc3\xbcml\xc3\xa4ut", "new\nline", "-f", "$HOME`id`",
    "back\\slash", "%s%n", "end,",
};
#define ODD (sizeof(odd_names) / sizeof(odd_names[0]))

/* ---- headers ---- */

static void reads_headers(void)
{
    AUTO_FREE char *path = in_tmp("header.qcow2");
    struct snap_image im;
    const struct snap_image_tag *tag;

    make_qcow2(path, "10M");
    MUST("qemu-img", "snapshot", "-c", "first", path);
    MUST("qemu-img", "snapshot", "-c", "second", path);
    MUST("qemu-img", "bitmap", "--add", "-f", "qcow2", path, "bm");
    is_int(snap_image_info(&sc, path, "qcow2", &im), 0, "a header is read");
    is_str(im.path, path, "its path is the one asked for");
    is_str(im.format, "qcow2", "it has its format");
    is_uint(im.virtual_size_bytes, 10 << 20, "it has its virtual size");
    ok(im.actual_size_bytes > 0, "it has its actual size");
    is_str(im.backing, NULL, "it has no backing file");
    is_str(im.compression, "zlib", "it has its compression");
    ok(!im.encrypted && !im.corrupt && !im.data_file,
       "it is plain and in order");
    ok(im.bitmaps.len == 1 && !strcmp(im.bitmaps.data[0], "bm"),
       "it has its bitmap");
    is_uint(im.ntags, 2, "it has two tags");
    tag = snap_image_find_tag(&im, "second");
    ok(tag && !strcmp(tag->id, "2") && tag->date_sec > 1500000000,
       "a tag is found, with id and date");
    ok(!snap_image_find_tag(&im, "2"), "not by its id");
    snap_image_dispose(&im);
    ok(!im.path && !im.ntags, "a disposed header is empty");
}

static void reads_other_formats(void)
{
    AUTO_FREE char *raw = in_tmp("raw"), *vhd = in_tmp("vhd");
    AUTO_FREE char *old = in_tmp("old.qcow2"), *ext = in_tmp("ext.qcow2");
    AUTO_FREE char *data = in_tmp("data"), *opt = NULL;
    struct snap_image im;

    opt = snap_printf("data_file=%s", data);
    MUST("truncate", "-s", "1000000", raw);
    MUST("qemu-img", "create", "-q", "-f", "vpc", vhd, "10M");
    MUST("qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=0.10", old,
         "1M");
    MUST("qemu-img", "create", "-q", "-f", "qcow2", "-o", opt, ext, "1M");
    is_int(snap_image_info(&sc, raw, "raw", &im), 0, "a raw image is read");
    ok(im.virtual_size_bytes >= 1000000 && !im.compression && !im.ntags,
       "it has a size and nothing else");
    snap_image_dispose(&im);
    is_int(snap_image_info(&sc, vhd, "vhd", &im), 0,
           "a vhd image is read under xl's name for it");
    is_str(im.format, "vhd", "and keeps that name");
    snap_image_dispose(&im);
    is_int(snap_image_info(&sc, old, "qcow2", &im), 0, "an old qcow2 is read");
    is_str(im.compression, NULL, "it has no kind of compression");
    snap_image_dispose(&im);
    is_int(snap_image_info(&sc, ext, "qcow2", &im), 0,
           "a qcow2 with a data file is read");
    is_str(im.data_file, data, "the data file is told");
    snap_image_dispose(&im);
}

static void refuses_bad_requests(void)
{
    AUTO_FREE char *path = in_tmp("raw");
    struct snap_image im;

    is_int(snap_image_info(&sc, "relative", "raw", &im), ERROR_INVAL,
           "a relative path is refused");
    like(sc.message, "must be absolute", "the message says why");
    snap_clear(&sc);
    is_int(snap_image_info(&sc, "nbd:localhost:10809", "raw", &im),
           ERROR_INVAL, "a protocol is refused");
    snap_clear(&sc);
    is_int(snap_image_info(&sc, path, "nbd", &im), ERROR_INVAL,
           "a format that is none of xl's is refused");
    like(sc.message, "none of raw, qcow2", "the message has those of xl");
    snap_clear(&sc);
    is_int(snap_image_info(&sc, path, NULL, &im), ERROR_INVAL,
           "no format is refused");
    snap_clear(&sc);
    is_int(snap_image_info(&sc, path, "qcow2", &im), ERROR_FAIL,
           "an image of another format is a failure");
    like(sc.message, path, "the message names the image");
    snap_clear(&sc);
    is_int(snap_image_info(&sc, "/nonexistent/x", "raw", &im), ERROR_FAIL,
           "a missing image is a failure");
    like(sc.message, "No such file", "the message has qemu-img's reason");
    snap_clear(&sc);
}

/* A guest that writes a qcow2 header into its raw disk stays a raw disk. */
static void never_probes(void)
{
    AUTO_FREE char *path = in_tmp("liar");
    struct snap_image im;

    MUST("qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd",
         "-F", "raw", path, "1G");
    is_int(snap_image_info(&sc, path, "raw", &im), 0,
           "a qcow2 header in a raw image is data");
    ok(!im.backing && im.virtual_size_bytes < 1 << 20,
       "its claims are not believed");
    snap_image_dispose(&im);
}

/* ---- overlays ---- */

static void odd_overlay(const char *name, const char *base_format)
{
    AUTO_FREE char *dir = in_tmp("odd"), *base = NULL, *over = NULL;
    struct snap_image im;
    int rc;

    base = snap_printf("%s/%s", dir, name);
    over = snap_printf("%s/%s.over", dir, name);
    MUST("mkdir", "-p", dir);
    MUST("qemu-img", "create", "-q", "-f", base_format, base, "1M");
    rc = snap_image_create_overlay(&sc, over, base, base_format);
    ok(rc == 0, "an overlay stands on a %s image called '%s'", base_format,
       name);
    if (rc) {
        diag("%s", sc.message);
        snap_clear(&sc);
        return;
    }
    rc = snap_image_info(&sc, over, "qcow2", &im);
    ok(rc == 0 && im.backing && !strcmp(im.backing, base) &&
       !strcmp(im.backing_format, base_format), "and names it exactly");
    snap_image_dispose(&im);
    MUST("rm", "-r", "--", dir);
}

static void makes_overlays_on_odd_names(void)
{
    size_t i;

    for (i = 0; i < ODD; i++)
        odd_overlay(odd_names[i], i % 2 ? "qcow2" : "raw");
}

static void overlay_belongs_like_base(void)
{
    AUTO_FREE char *base = in_tmp("base.raw"), *over = in_tmp("over.qcow2");
    struct stat st;
    bool root = !geteuid();

    MUST("truncate", "-s", "3M", base);
    if (root && chown(base, 1234, 4321)) bail("chown: %s", strerror(errno));
    chmod(base, 0640);
    is_int(snap_image_create_overlay(&sc, over, base, "raw"), 0,
           "an overlay is made");
    ok(!stat(over, &st) && (st.st_mode & 07777) == 0640, "with base's mode");
    if (root)
        ok(st.st_uid == 1234 && st.st_gid == 4321, "and its owner and group");
    else
        skip("only root gives files away");
    is_int(snap_image_create_overlay(&sc, over, base, "raw"), ERROR_INVAL,
           "an existing overlay is refused");
    ok(!stat(over, &st) && st.st_size > 0, "and left alone");
    snap_clear(&sc);
}

static void overlay_failures_leave_nothing(void)
{
    AUTO_FREE char *base = in_tmp("base.raw"), *over = in_tmp("not.qcow2");
    AUTO_FREE char *bad = in_tmp("bad-\xff.raw"), *deep = NULL;
    AUTO_FREE char *broken = in_tmp("broken.qcow2");
    struct snap_text t = { 0 };

    is_int(snap_image_create_overlay(&sc, over, "/nonexistent", "raw"),
           ERROR_FAIL, "without a base there is no overlay");
    snap_clear(&sc);
    is_int(snap_image_create_overlay(&sc, over, base, "qcow2"), ERROR_FAIL,
           "nor with the wrong format");
    snap_clear(&sc);
    is_int(snap_image_create_overlay(&sc, "over.qcow2", base, "raw"),
           ERROR_INVAL, "nor at a relative path");
    snap_clear(&sc);
    MUST("truncate", "-s", "1M", bad);
    ok(snap_image_create_overlay(&sc, over, bad, "raw") < 0,
       "nor on a name that cannot be read back");
    like(sc.message, "UTF-8", "the message says why");
    snap_clear(&sc);
    MUST("qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b",
         "/nonexistent", "-F", "raw", broken, "1M");
    ok(snap_image_create_overlay(&sc, over, broken, "qcow2") < 0,
       "nor on a base whose own base is gone");
    snap_clear(&sc);
    snap_text_add(&t, "%s", tmp);
    while (t.len < 1030) snap_text_add(&t, "/.");
    snap_text_add(&t, "/base.raw");
    deep = t.data;
    is_int(snap_image_create_overlay(&sc, over, deep, "raw"), ERROR_INVAL,
           "nor on a path too long for a header");
    snap_clear(&sc);
    ok(access(over, F_OK) && errno == ENOENT, "and no file is left");
}

/* ---- chains ---- */

static void follows_chains(void)
{
    AUTO_FREE char *a = in_tmp("c,a.raw"), *b = in_tmp("c b.qcow2");
    AUTO_FREE char *c = in_tmp("c\"c.qcow2");
    struct snap_chain chain;

    MUST("truncate", "-s", "1M", a);
    if (snap_image_create_overlay(&sc, b, a, "raw") ||
        snap_image_create_overlay(&sc, c, b, "qcow2"))
        bail("%s", sc.message);
    is_int(snap_image_chain(&sc, c, "qcow2", &chain), 0,
           "a chain is followed");
    is_uint(chain.len, 3, "to its end");
    ok(chain.len == 3 && !strcmp(chain.data[0].path, c) &&
       !strcmp(chain.data[1].path, b) && !strcmp(chain.data[2].path, a),
       "from the top down");
    is_str(chain.len == 3 ? chain.data[2].format : NULL, "raw",
           "each with the format that the layer above gives");
    snap_chain_dispose(&chain);
}

static void make_unsafe(const char *path, const char *backing,
                        const char *format)
{
    const char *with[] = {
        "qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", backing, "-F",
        format, path, "1M", NULL,
    };

    must(with);
}

static void refuse_chain(const char *path, const char *part,
                         const char *claim)
{
    struct snap_chain chain;
    int rc = snap_image_chain(&sc, path, "qcow2", &chain);

    ok(rc < 0 && !chain.len, "%s is refused", claim);
    like(sc.message, part, "with the reason");
    if (!rc) snap_chain_dispose(&chain);
    snap_clear(&sc);
}

/* qemu-img does not make an overlay without a backing format any more: remove
 * the header extension (type 0xe2792aca, an unknown one is skipped). */
static void forget_format(const char *path)
{
    AUTO_CLOSE int fd = open(path, O_RDWR);
    char head[1024], *p;
    ssize_t n = pread(fd, head, sizeof(head), 0);

    p = n > 0 ? memmem(head, n, "\xe2\x79\x2a\xca", 4) : NULL;
    if (!p || pwrite(fd, "\x11", 1, p - head) != 1)
        bail("no format extension in %s", path);
}

static void refuses_bad_chains(void)
{
    AUTO_FREE char *a = in_tmp("it's a.qcow2"), *b = in_tmp("loop-b");
    AUTO_FREE char *json = in_tmp("json.qcow2"), *gone = in_tmp("gone.qcow2");
    AUTO_FREE char *vmdk = in_tmp("vmdk.qcow2"), *dev = in_tmp("dev.qcow2");

    make_unsafe(a, b, "qcow2");
    make_unsafe(b, a, "qcow2");
    refuse_chain(a, "stands twice", "a chain that bites its tail");
    forget_format(a);
    refuse_chain(a, "while no domain uses it",
                 "a backing file without format");
    refuse_chain(a, "it'\\''s a.qcow2'", "the same, its path quoted for a "
                 "shell,");
    make_unsafe(json, "json:{\"driver\":\"nbd\",\"host\":\"localhost\"}",
                "raw");
    refuse_chain(json, "only plain paths", "a backing file that is no path");
    make_unsafe(gone, "/nonexistent/base", "raw");
    refuse_chain(gone, "'/nonexistent/base': No such file",
                 "a backing file that is gone");
    make_unsafe(vmdk, "/tmp/x", "vmdk");
    refuse_chain(vmdk, "format 'vmdk'", "a backing format xl does not know");
    make_unsafe(dev, "/dev/zero", "raw");
    refuse_chain(dev, "neither a regular file nor a block device",
                 "a backing file that is a character device");
}

/* Each layer is the second one with other digits in its backing name. */
static void make_long_chain(int layers)
{
    AUTO_FREE char *first = in_tmp("long000"), *second = in_tmp("long001");
    AUTO_FREE char *bytes = NULL;
    char *digits, three[4];
    size_t len;
    int i;

    make_qcow2(first, "1M");
    make_unsafe(second, first, "qcow2");
    if (snap_fs_read(&sc, second, true, 1 << 20, &bytes, &len))
        bail("%s", sc.message);
    digits = memmem(bytes, len, first, strlen(first));
    if (!digits) bail("no backing name in %s", second);
    digits += strlen(first) - 3;
    for (i = 2; i < layers; i++) {
        AUTO_FREE char *path = snap_printf("%s/long%03d", tmp, i);

        snprintf(three, sizeof(three), "%03d", i - 1);
        memcpy(digits, three, 3);
        if (snap_fs_publish(&sc, path, bytes, len, false))
            bail("%s", sc.message);
    }
}

static void refuses_long_chains(void)
{
    AUTO_FREE char *most = in_tmp("long199"), *more = in_tmp("long200");
    struct snap_chain chain;

    make_long_chain(201);
    is_int(snap_image_chain(&sc, most, "qcow2", &chain), 0,
           "a chain of 200 layers is followed");
    is_uint(chain.len, 200, "to its end");
    snap_chain_dispose(&chain);
    refuse_chain(more, "more than 200 layers", "one of 201");
}

/* ---- chains in QEMU's words ---- */

static struct snap_json *parsed(const char *text)
{
    struct snap_json *j;

    if (snap_json_parse(&sc, "test", text, strlen(text), &j))
        bail("%s", sc.message);
    return j;
}

static int chain_of(const char *text, struct snap_chain *chain)
{
    AUTO_JSON struct snap_json *j = parsed(text);

    return snap_image_chain_from_json(&sc, j, chain);
}

#define QCOW2 "\"format\": \"qcow2\", \"virtual-size\": 1048576, " \
    "\"actual-size\": 200704, \"format-specific\": {\"type\": \"qcow2\", " \
    "\"data\": {\"compat\": \"1.1\", \"compression-type\": \"zlib\"}}"
#define BACKED "\"backing-filename\": \"/b\", " \
    "\"full-backing-filename\": \"/b\", \"backing-filename-format\": \"raw\""
#define BASE(name) "\"backing-image\": {\"filename\": \"" name "\", " \
    "\"format\": \"raw\", \"virtual-size\": 1048576}"

static void reads_chains_of_qemu(void)
{
    static const struct { const char *text, *part, *claim; } bad[] = {
        { "[]", "does not describe", "what is no object" },
        { "{\"format\": \"raw\", \"virtual-size\": 1}", "must be absolute",
          "an image without a name" },
        { "{\"filename\": \"json:{}\", \"format\": \"raw\", "
          "\"virtual-size\": 1}", "must be absolute", "a pseudo file name" },
        { "{\"filename\": \"/t\", \"format\": \"throttle\", "
          "\"virtual-size\": 1}", "'throttle'", "a filter" },
        { "{\"filename\": \"/t\", \"format\": \"raw\"}", "'virtual-size'",
          "an image without a size" },
        { "{\"filename\": \"/t\", \"format\": \"raw\", "
          "\"virtual-size\": -1}", "'virtual-size'", "a negative size" },
        { "{\"filename\": \"/t\", \"format\": \"raw\", \"virtual-size\": 1, "
          "\"snapshots\": [{\"id\": 1}]}", "'snapshots'", "an odd tag" },
        { "{\"filename\": \"/t\", " QCOW2 ", " BACKED "}", "do not agree",
          "a chain that QEMU did not open" },
        { "{\"filename\": \"/t\", " QCOW2 ", " BASE("/b") "}", "do not agree",
          "a chain that the header does not know" },
        { "{\"filename\": \"/t\", " QCOW2 ", " BACKED ", " BASE("/dev/null")
          "}", "/b", "a base that is another file" },
    };
    struct snap_chain chain;
    size_t i;
    int rc;

    is_int(chain_of("{\"filename\": \"/t\", " QCOW2 ", " BACKED ", "
                    BASE("/b") "}", &chain), 0, "QEMU's own chain is read");
    ok(chain.len == 2 && !strcmp(chain.data[0].path, "/t") &&
       !strcmp(chain.data[1].path, "/b") &&
       !strcmp(chain.data[1].format, "raw"), "from the top down");
    snap_chain_dispose(&chain);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rc = chain_of(bad[i].text, &chain);
        ok(rc < 0 && !chain.len, "%s is refused", bad[i].claim);
        like(sc.message, bad[i].part, "with the reason");
        if (!rc) snap_chain_dispose(&chain);
        snap_clear(&sc);
    }
}

static void misses_files(void)
{
    AUTO_FREE char *base = in_tmp("there.raw"), *top = in_tmp("there.qcow2");
    struct snap_image layers[2] = { { .path = top }, { .path = base } };
    struct snap_chain chain = { .data = layers, .len = 2 };

    make_qcow2(base, "1M");
    make_qcow2(top, "1M");
    is_int(snap_image_chain_is_there(&sc, &chain), 0, "a chain is there");
    if (unlink(base)) bail("%s: %s", base, strerror(errno));
    ok(snap_image_chain_is_there(&sc, &chain) < 0, "not when a file of it was "
       "renamed");
    like(sc.message, "there.raw', a backing file, is not where it was", "which "
         "is said");
    snap_clear(&sc);
}

static int made_on(const char *text, const char *base, const char *format)
{
    AUTO_JSON struct snap_json *j = parsed(text);

    return snap_image_check_made(&sc, j, base, format);
}

static void judges_new_overlays(void)
{
    static const char good[] = "{\"filename\": \"/t\", " QCOW2 ", " BACKED
                               ", " BASE("/b") "}";

    is_int(made_on(good, "/b", "raw"), 0, "a new overlay on its base is good");
    ok(made_on(good, "/c", "raw") < 0, "one on another base is not");
    like(sc.message, "'/t' stands on '/b' and not on '/c'", "with the reason");
    snap_clear(&sc);
    ok(made_on(good, "/b", "qcow2") < 0,
       "nor one that takes its base for another format");
    like(sc.message, "takes its base '/b' for raw, but it is qcow2",
         "with the reason");
    snap_clear(&sc);
    ok(made_on("{\"filename\": \"/t\", " QCOW2 "}", "/b", "raw") < 0,
       "nor one on nothing");
    like(sc.message, "stands on 'nothing'", "with the reason");
    snap_clear(&sc);
}

/* ---- tags ---- */

static void fill(const char *path, const char *pattern)
{
    AUTO_FREE char *cmd = snap_printf("write -P %s 0 64k", pattern);

    MUST("qemu-io", "-f", "qcow2", "-c", cmd, path);
}

static bool filled(const char *path, const char *pattern)
{
    AUTO_FREE char *cmd = snap_printf("read -P %s 0 64k", pattern);
    const char *const argv[] = { "qemu-io", "-f", "qcow2", "-c", cmd, path,
                                 NULL };
    AUTO_FREE char *out = NULL;

    return !snap_run_ok(&sc, argv, 0, &out) && !strstr(out, "failed");
}

static bool has_tag(const char *path, const char *tag)
{
    struct snap_image im;
    bool has;

    if (snap_image_info(&sc, path, "qcow2", &im)) bail("%s", sc.message);
    has = snap_image_find_tag(&im, tag);
    snap_image_dispose(&im);
    return has;
}

static void goes_back_to_tags(void)
{
    AUTO_FREE char *base = in_tmp("t,base"), *path = in_tmp("t=1,,\"x\"\n,");

    make_qcow2(base, "1M");
    if (snap_image_create_overlay(&sc, path, base, "qcow2"))
        bail("%s", sc.message);
    fill(path, "0xaa");
    MUST("qemu-img", "snapshot", "-c", "one", path);
    fill(path, "0xbb");
    MUST("qemu-img", "snapshot", "-c", "two", path);
    fill(path, "0xcc");
    MUST("qemu-img", "bitmap", "--add", "-f", "qcow2", "--", path,
         "-bm");
    MUST("qemu-img", "bitmap", "--add", "-f", "qcow2", path, "b,m");
    ok(!snap_image_apply_tag(&sc, path, "qcow2", "one", false) &&
       filled(path, "0xaa"), "an image with bitmaps goes back to a tag");
    ok(!snap_image_apply_tag(&sc, path, "qcow2", "two", false) &&
       filled(path, "0xbb"), "and forward to another");
    is_int(snap_image_delete_tag(&sc, path, "qcow2", "one"), 0,
           "a tag is deleted");
    ok(!has_tag(path, "one") && has_tag(path, "two"), "that one alone");
    is_int(snap_image_delete_tag(&sc, path, "qcow2", "one"), ERROR_NOTFOUND,
           "deleted again, it is not found");
    snap_clear(&sc);
    is_int(snap_image_apply_tag(&sc, path, "qcow2", "one", false), ERROR_NOTFOUND,
           "nor is it to go back to");
    snap_clear(&sc);
    ok(filled(path, "0xbb"), "the image is untouched by that");
    MUST("qemu-img", "check", "-q", "-f", "qcow2", path);
}

static void refuses_doubtful_tags(void)
{
    AUTO_FREE char *path = in_tmp("doubt"), *raw = in_tmp("base.raw");

    make_qcow2(path, "1M");
    fill(path, "0xaa");
    MUST("qemu-img", "snapshot", "-c", "x", path);      /* id 1 */
    fill(path, "0xbb");
    MUST("qemu-img", "snapshot", "-c", "1", path);      /* id 2 */
    MUST("qemu-img", "snapshot", "-c", "dup", path);
    MUST("qemu-img", "snapshot", "-c", "dup", path);
    fill(path, "0xcc");
    is_int(snap_image_apply_tag(&sc, path, "qcow2", "1", false), ERROR_INVAL,
           "a tag that is another's id is refused");
    like(sc.message, "more than one", "the message says why");
    snap_clear(&sc);
    is_int(snap_image_delete_tag(&sc, path, "qcow2", "dup"), ERROR_INVAL,
           "a tag that is there twice is refused");
    snap_clear(&sc);
    is_int(snap_image_apply_tag(&sc, path, "qcow2", "2", false), ERROR_NOTFOUND,
           "an id is no tag");
    snap_clear(&sc);
    ok(filled(path, "0xcc"), "the image is untouched");
    is_int(snap_image_apply_tag(&sc, raw, "raw", "x", false), ERROR_INVAL,
           "a raw image has no tags");
    like(sc.message, "only qcow2", "the message says why");
    snap_clear(&sc);
}

/* A dirty guest's doing: the layer below must not be guessed at. */
static void refuses_tags_over_bad_chains(void)
{
    AUTO_FREE char *base = in_tmp("guess.raw"), *path = in_tmp("guess.qcow2");

    MUST("truncate", "-s", "1M", base);
    make_unsafe(path, base, "raw");
    MUST("qemu-img", "snapshot", "-c", "x", path);
    forget_format(path);
    is_int(snap_image_apply_tag(&sc, path, "qcow2", "x", false), ERROR_INVAL,
           "a tag over a base without a format is refused");
    snap_clear(&sc);
}

static void applies_on_block_devices(void)
{
    AUTO_FREE char *path = in_tmp("for-loop"), *dev = NULL;
    const char *const argv[] = { "losetup", "-f", "--show", path, NULL };

    make_qcow2(path, "1M");
    MUST("truncate", "-s", "8M", path);
    if (geteuid() || snap_run_ok(&sc, argv, 0, &dev)) {
        snap_clear(&sc);
        skip("no loop devices here");
        return;
    }
    dev[strcspn(dev, "\n")] = '\0';
    fill(dev, "0xaa");
    MUST("qemu-img", "snapshot", "-c", "one", dev);
    fill(dev, "0xbb");
    ok(!snap_image_apply_tag(&sc, dev, "qcow2", "one", false) && filled(dev, "0xaa"),
       "a qcow2 on a block device goes back, too");
    MUST("losetup", "-d", dev);
}

int main(void)
{
    char template[] = "/tmp/test-image-XXXXXX";
    const char *argv[] = { "rm", "-rf", template, NULL };

    tmp = mkdtemp(template);
    if (!tmp) bail("mkdtemp: %s", strerror(errno));
    reads_headers();
    reads_other_formats();
    refuses_bad_requests();
    never_probes();
    makes_overlays_on_odd_names();
    overlay_belongs_like_base();
    overlay_failures_leave_nothing();
    follows_chains();
    refuses_bad_chains();
    refuses_long_chains();
    reads_chains_of_qemu();
    misses_files();
    judges_new_overlays();
    goes_back_to_tags();
    refuses_doubtful_tags();
    refuses_tags_over_bad_chains();
    applies_on_block_devices();
    is_int(snap_run_ok(&sc, argv, 0, NULL), 0, "all can be removed again");
    snap_ctx_dispose(&sc);
    return done_testing();
}
