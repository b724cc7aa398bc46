/* SPDX-License-Identifier: LGPL-2.1-only */
/* Who depends on an image: real qcow2 files beside it, made by qemu-img, and
 * files that are none. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "host/dependents.h"
#include "host/run.h"
#include "tap.h"

static char tmp[] = "/tmp/snap-dependents-XXXXXX";
static struct snap_ctx sc = SNAP_CTX_INIT;

static char *in_tmp(const char *name)
{
    return snap_printf("%s/%s", tmp, name);
}

static void forget(const char *name)
{
    AUTO_FREE char *path = in_tmp(name);

    if (unlink(path)) bail("unlink %s: %s", path, strerror(errno));
}

static void qemu_img(const char *const *argv)
{
    AUTO_FREE char *out = NULL;

    if (snap_run_ok(&sc, argv, 30000, &out)) bail("%s", sc.message);
}

static void image(const char *name, const char *format)
{
    AUTO_FREE char *path = in_tmp(name);
    const char *argv[] = {
        "qemu-img", "create", "-q", "-f", format, path, "1M", NULL,
    };

    qemu_img(argv);
}

/* -u: the backing file is not opened, so it may be anything. */
static void overlay(const char *name, const char *backing,
                    const char *version)
{
    AUTO_FREE char *path = in_tmp(name);
    AUTO_FREE char *compat = snap_printf("compat=%s", version);
    const char *argv[] = {
        "qemu-img", "create", "-q", "-u", "-f", "qcow2", "-o", compat, "-F",
        "raw", "-b", backing, path, "1M", NULL,
    };

    qemu_img(argv);
}

static void bytes(const char *name, const void *data, size_t len)
{
    AUTO_FREE char *path = in_tmp(name);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                             0600);

    if (fd < 0 || write(fd, data, len) != (ssize_t)len)
        bail("%s: %s", path, strerror(errno));
}

/* The file beside base.raw that depends on it, or NULL: its name alone. */
static void depends(const char *want, const char *claim)
{
    AUTO_FREE char *base = in_tmp("base.raw");
    AUTO_FREE char *whole = want ? in_tmp(want) : NULL;
    AUTO_FREE char *got = NULL;
    struct snap_fs_id id;

    if (snap_fs_identify(&sc, base, &id)) bail("%s", sc.message);
    if (snap_dependents_beside(&sc, &id, &got)) bail("%s", sc.message);
    is_str(got, whole, "%s", claim);
    is_str(sc.message, NULL, "... and nothing is an error");
    free(id.real);
}

/* One overlay at a time: make, look, remove. */
static void one(const char *backing, bool found, const char *claim)
{
    overlay("o.qcow2", backing, "1.1");
    depends(found ? "o.qcow2" : NULL, claim);
    forget("o.qcow2");
}

static void test_names(void)
{
    AUTO_FREE char *absolute = in_tmp("base.raw");
    AUTO_FREE char *file = snap_printf("file:%s", absolute);
    AUTO_FREE char *link = in_tmp("link.raw");

    one(absolute, true, "an absolute name is found");
    one("base.raw", true, "a relative name is found");
    one("./base.raw", true, "... with a dot");
    one("file:base.raw", true, "... with a protocol");
    one(file, true, "an absolute name with a protocol is found");
    one("missing.raw", false, "a name that leads nowhere is nobody's");
    one("other.raw", false, "another file's overlay is not ours");
    one("/etc/hostname", false, "a file elsewhere is not ours");
    one("/", false, "a directory is no image");
    one("nbd://localhost/base.raw", false, "a network disk is not ours");
    one("json:{\"driver\":\"nbd\",\"host\":\"localhost\"}", false,
        "... in the words of json: neither");
    one("json:{\"file\":{\"driver\":\"file\",\"filename\":\"base.raw\"}}",
        true, "a name in the words of json that holds ours is taken for one");
    if (symlink(absolute, link)) bail("symlink: %s", strerror(errno));
    one("link.raw", true, "a name that is a link to it is found");
    forget("link.raw");
}

static void test_versions(void)
{
    overlay("o.qcow2", "base.raw", "0.10");
    depends("o.qcow2", "a qcow2 of version 2 is read");
    forget("o.qcow2");
}

/* An overlay is known by its bytes, whatever it is called. */
static void test_kinds_of_files(void)
{
    AUTO_FREE char *fifo = in_tmp("fifo"), *dir = in_tmp("dir");
    AUTO_FREE char *link = in_tmp("link");

    overlay(".hidden", "base.raw", "1.1");
    depends(".hidden", "a file without a suffix is read");
    forget(".hidden");
    if (mkdir(dir, 0700) || mkfifo(fifo, 0600) || symlink(fifo, link))
        bail("%s: %s", tmp, strerror(errno));
    overlay("dir/o.qcow2", "../base.raw", "1.1");
    depends(NULL, "only files beside are looked at; a fifo does not block");
    forget("fifo");
    forget("link");
    forget("dir/o.qcow2");
    rmdir(dir);
}

/* A header of 104 bytes as version 3 has it, its numbers hostile. */
static void header(const char *name, uint64_t offset, uint32_t len,
                   size_t size)
{
    unsigned char head[512] = { 'Q', 'F', 'I', 0xfb, 0, 0, 0, 3 };
    int i;

    for (i = 0; i < 8; i++) head[8 + i] = offset >> (8 * (7 - i));
    for (i = 0; i < 4; i++) head[16 + i] = len >> (8 * (3 - i));
    memcpy(head + 112, "base.raw", 8);
    bytes(name, head, size);
}

static void hostile(uint64_t offset, uint32_t len, size_t size, bool found,
                    const char *claim)
{
    header("h.qcow2", offset, len, size);
    depends(found ? "h.qcow2" : NULL, claim);
    forget("h.qcow2");
}

static void test_hostile(void)
{
    hostile(112, 8, 512, true, "a header made by hand is read");
    hostile(112, 8, 119, false, "a name cut off by the file's end is none");
    hostile(112, 8, 19, false, "a header cut off is none");
    hostile(112, 8, 0, false, "an empty file is none");
    hostile(112, 1023, 512, false, "a size beyond the file is none");
    hostile(112, UINT32_MAX, 512, false, "a size of all ones is none");
    hostile(UINT64_MAX, 8, 512, false, "an offset of all ones is none");
    hostile(112, 9, 512, true, "a NUL ends a name");
    hostile(120, 8, 512, false, "a name of NULs is none");
    hostile(0, 0, 512, false, "a qcow2 without a backing file is none");
}

static void test_replaced(void)
{
    AUTO_FREE char *base = in_tmp("base.raw");

    overlay("two.qcow2", "base.raw", "1.1");
    if (unlink(base)) bail("unlink: %s", strerror(errno));
    image("base.raw", "qcow2");
    depends("two.qcow2", "what a name leads to now counts");
    forget("two.qcow2");
    depends(NULL, "an image does not depend on itself");
    forget("base.raw");
    image("base.raw", "raw");
}

static void test_many(void)
{
    AUTO_FREE char *name = NULL;
    unsigned i;

    for (i = 0; i < 300; i++) {
        free(name);
        name = snap_printf("file-%03u", i);
        bytes(name, "QFI", 3);
    }
    depends(NULL, "300 files that are no overlays");
    overlay("o.qcow2", "base.raw", "1.1");
    depends("o.qcow2", "... and one among them that is");
    forget("o.qcow2");
    for (i = 0; i < 300; i++) {
        free(name);
        name = snap_printf("file-%03u", i);
        forget(name);
    }
}

static bool is_on(const char *name, const struct snap_fs_id *id)
{
    AUTO_FREE char *path = in_tmp(name);
    bool is;

    if (snap_dependents_is_on(&sc, path, id, &is)) bail("%s", sc.message);
    return is;
}

static void test_all(void)
{
    AUTO_FREE char *base = in_tmp("base.raw");
    AUTO_FREE char *one = in_tmp("one.qcow2");
    AUTO_FREE char *two = in_tmp("two.qcow2");
    struct snap_strings all = { 0 };
    struct snap_fs_id id;

    overlay("one.qcow2", "base.raw", "1.1");
    overlay("two.qcow2", base, "1.1");
    overlay("three.qcow2", "other.raw", "1.1");
    if (snap_fs_identify(&sc, base, &id)) bail("%s", sc.message);
    is_int(snap_dependents_all(&sc, &id, &all), 0, "all dependents");
    is_uint(all.len, 2, "are those on this image");
    ok(snap_strings_have(&all, one) && snap_strings_have(&all, two), "each of "
       "them");
    ok(is_on("one.qcow2", &id) && is_on("two.qcow2", &id), "one is asked "
       "about: it is");
    ok(!is_on("three.qcow2", &id) && !is_on("base.raw", &id)
       && !is_on("none.qcow2", &id), "or is not");
    snap_strings_dispose(&all);
    free(id.real);
    forget("one.qcow2");
    forget("two.qcow2");
    forget("three.qcow2");
}

static void test_gone(void)
{
    struct snap_fs_id id = { .real = snap_printf("%s/none/a", tmp) };
    char *got = NULL;

    ok(!snap_dependents_beside(&sc, &id, &got) && !got,
       "a directory that is not there has no dependents");
    free(id.real);
}

int main(void)
{
    if (access("/usr/bin/qemu-img", X_OK)) skip_all("there is no qemu-img");
    if (!mkdtemp(tmp)) bail("mkdtemp: %s", strerror(errno));
    image("base.raw", "raw");
    image("other.raw", "raw");
    depends(NULL, "alone, an image has no dependents");
    test_names();
    test_versions();
    test_kinds_of_files();
    test_hostile();
    test_replaced();
    test_many();
    test_all();
    test_gone();
    forget("base.raw");
    forget("other.raw");
    if (!is_int(rmdir(tmp), 0, "the test leaves nothing behind"))
        diag("%s: %s", tmp, strerror(errno));
    return done_testing();
}
