/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The QMP client against the real qemu-storage-daemon: transactions, their
 * rollback, deletion and commit, with the images checked afterwards.
 *
 * What it cannot show: query_disks (the daemon has query-block, but it lists
 * guest devices only, and there are none; see test_qmp_qemu) and anything of
 * Xen's own back end.  Each node has an NBD export: it stands for the
 * BlockBackend that a device would be, and is how data gets in.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tap.h"
#include "libxl_qmp.h"
#include "server.h"

#define LONG_MS 30000
#define RUN(...) run_program((const char *const[]){ __VA_ARGS__, NULL })
#define MUST(...) must(RUN(__VA_ARGS__), #__VA_ARGS__)

static void must(int status, const char *what)
{
    if (status) bail("%s ended with %d", what, status);
}

/*
 * One daemon: node "a" is qcow2 on a backing file, node "b" qcow2, node "r"
 * raw, each on a file of its name.
 */
struct daemon {
    struct server s;            /* its directory, socket and process */
    char *nbd;
    char *deep, *a, *b, *r;     /* image files */
    char *overlay;              /* does not exist yet */
    struct snap_ctx sc;
    struct snap_qmp *q;
};

static char *in_dir(const struct daemon *d, const char *name)
{
    return snap_printf("%s/%s", d->s.dir, name);
}

static void make_images(struct daemon *d)
{
    d->deep = in_dir(d, "deep");
    d->a = in_dir(d, "a");
    d->b = in_dir(d, "b");
    d->r = in_dir(d, "r");
    d->overlay = in_dir(d, "overlay");
    MUST("qemu-img", "create", "-q", "-f", "qcow2", d->deep, "8M");
    MUST("qemu-io", "-f", "qcow2", "-c", "write -q -P 1 0 4M", d->deep);
    MUST("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b",
         d->deep, d->a);
    MUST("qemu-io", "-f", "qcow2", "-c", "write -q -P 2 0 2M", d->a);
    MUST("qemu-img", "create", "-q", "-f", "qcow2", d->b, "8M");
    MUST("qemu-img", "create", "-q", "-f", "raw", d->r, "8M");
}

static void start(struct daemon *d)
{
    *d = (struct daemon){ .q = NULL };
    AUTO_FREE char *monitor = NULL, *nbd = NULL;
    AUTO_FREE char *fa = NULL, *fb = NULL, *fr = NULL;

    d->s.dir = make_dir();
    d->s.path = in_dir(d, "qmp");
    d->nbd = in_dir(d, "nbd");
    make_images(d);
    monitor = snap_printf("socket,path=%s,server=on,wait=off,id=c", d->s.path);
    nbd = snap_printf("addr.type=unix,addr.path=%s", d->nbd);
    fa = snap_printf("file,node-name=fa,filename=%s", d->a);
    fb = snap_printf("file,node-name=fb,filename=%s", d->b);
    fr = snap_printf("file,node-name=fr,filename=%s", d->r);
    d->s.pid = start_program((const char *const[]){
        "qemu-storage-daemon", "--chardev", monitor, "--monitor", "chardev=c",
        "--nbd-server", nbd,
        "--blockdev", fa, "--blockdev", "qcow2,node-name=a,file=fa",
        "--blockdev", fb, "--blockdev", "qcow2,node-name=b,file=fb",
        "--blockdev", fr, "--blockdev", "raw,node-name=r,file=fr",
        "--export", "nbd,id=ea,node-name=a,writable=on",
        "--export", "nbd,id=eb,node-name=b,writable=on",
        "--export", "nbd,id=er,node-name=r,writable=on", NULL });
    if (!await_path(d->s.path)) bail("qemu-storage-daemon did not start");
    if (snap_qmp_open(&d->sc, d->s.path, LONG_MS, &d->q)) {
        bail("%s", d->sc.message);
    }
}

/* Let it close its images, so that they can be looked at. */
static void quit(struct daemon *d)
{
    if (!d->q) return;
    if (snap_qmp_command(d->q, "quit", NULL, LONG_MS, NULL)) {
        bail("%s", d->sc.message);
    }
    snap_qmp_close(d->q);
    d->q = NULL;
    if (!end_program(d->s.pid)) bail("the daemon did not quit");
}

static void end(struct daemon *d)
{
    snap_clear(&d->sc);
    quit(d);
    remove_dir(d->s.dir);
    free(d->s.dir);
    free(d->s.path);
    free(d->nbd);
    free(d->deep);
    free(d->a);
    free(d->b);
    free(d->r);
    free(d->overlay);
}

/* Write a pattern through an export, as a guest would: 64 KiB at 1 MiB. */
static bool write_to(struct daemon *d, const char *export, int pattern)
{
    AUTO_FREE char *url = snap_printf("nbd+unix:///%s?socket=%s", export,
                                      d->nbd);
    AUTO_FREE char *write = snap_printf("write -q -P %d 1M 64k", pattern);

    return !RUN("qemu-io", "-f", "raw", "-c", write, "-c", "flush", url);
}

static bool reads(const char *image, const char *format, int pattern)
{
    AUTO_FREE char *read = snap_printf("read -q -P %d 1M 64k", pattern);
    const char *const argv[] = { "qemu-io", "-r", "-U", "-f", format, "-c",
                                 read, image, NULL };
    AUTO_FREE char *text = read_program(argv);

    /* What differs is said on stdout. */
    return text && !strstr(text, "failed");
}

static char *info(const char *image, const char *format)
{
    const char *const argv[] = { "qemu-img", "info", "-U", "-f", format,
                                 "--output=json", image, NULL };
    char *text = read_program(argv);

    if (!text) bail("qemu-img info %s", image);
    return text;
}

static bool has_tag(const char *image, const char *tag)
{
    AUTO_FREE char *text = info(image, "qcow2");
    AUTO_FREE char *name = snap_printf("\"name\": \"%s\"", tag);

    return strstr(text, name);
}

static bool is_sound(const char *image)
{
    return !RUN("qemu-img", "check", "-q", "-f", "qcow2", image);
}

static char *sum(const char *path)
{
    const char *const argv[] = { "sha256sum", path, NULL };
    char *text = read_program(argv);

    if (!text) bail("sha256sum %s", path);
    return text;
}

static size_t count_jobs(struct daemon *d)
{
    AUTO_JSON struct snap_json *jobs = NULL;

    if (snap_qmp_command(d->q, "query-jobs", NULL, LONG_MS, &jobs)) {
        bail("%s", d->sc.message);
    }
    return snap_json_len(jobs);
}

static struct snap_qmp_action tag_on(const char *node, const char *tag)
{
    return (struct snap_qmp_action){ .node = node, .tag = tag };
}

static struct snap_qmp_action overlay_on(const struct daemon *d,
                                         const char *node)
{
    return (struct snap_qmp_action){
        .external = true, .node = node, .overlay = d->overlay,
        .overlay_node = "ov", .overlay_format = "qcow2",
    };
}

/*
 * Internal snapshots
 */

static void test_internal(void)
{
    struct daemon d;
    struct snap_qmp_disks disks;

    start(&d);
    const struct snap_qmp_action both[] = { tag_on("a", "s1"),
                                            tag_on("b", "s1") };

    like(snap_qmp_version(d.q), ".", "the daemon says its version");
    note("version %s", snap_qmp_version(d.q));
    is_int(snap_qmp_query_disks(d.q, LONG_MS, &disks), 0,
           "the daemon answers query-block");
    is_uint(disks.len, 0, "but has no guest devices");
    snap_qmp_disks_dispose(&disks);
    is_int(snap_qmp_transaction(d.q, both, 2, LONG_MS), 0,
           "two internal snapshots in one transaction");
    is_int(snap_qmp_transaction(d.q, both, 2, LONG_MS), ERROR_FAIL,
           "the same once more is refused");
    like(d.sc.message, "transaction: ", "the message names the command");
    note("%s", d.sc.message);
    snap_clear(&d.sc);
    ok(write_to(&d, "b", 9), "the guest writes on");
    is_int(snap_qmp_delete_internal(d.q, "a", "s1", LONG_MS), 0,
           "one of them is deleted");
    is_int(snap_qmp_delete_internal(d.q, "a", "s1", LONG_MS), ERROR_FAIL,
           "deleting it again is refused");
    like(d.sc.message, "does not exist", "the message says why");
    quit(&d);
    ok(!has_tag(d.a, "s1") && has_tag(d.b, "s1"),
       "the images have what was left");
    ok(is_sound(d.a) && is_sound(d.b), "the images are sound");
    ok(reads(d.b, "qcow2", 9), "the present state has what was written");
    MUST("qemu-img", "snapshot", "-a", "s1", d.b);
    ok(reads(d.b, "qcow2", 0), "the snapshot has what was there before");
    end(&d);
}

static void test_held_transaction(void)
{
    struct snap_qmp_disks disks;
    struct daemon d;

    start(&d);
    const struct snap_qmp_action both[] = { tag_on("a", "s1"),
                                            tag_on("b", "s1") };

    is_int(snap_qmp_transaction_hold(d.q, both, 2, LONG_MS), 0,
           "a transaction is sent but for its last byte");
    snap_qmp_close(d.q);
    is_int(snap_qmp_open(&d.sc, d.s.path, LONG_MS, &d.q), 0,
           "the connection is lost; the next one works");
    is_int(snap_qmp_query_disks(d.q, LONG_MS, &disks), 0,
           "and is not taken for the end of that");
    snap_qmp_disks_dispose(&disks);
    ok(!has_tag(d.a, "s1") && !has_tag(d.b, "s1"), "nothing was done");
    is_int(snap_qmp_transaction_hold(d.q, both, 2, LONG_MS), 0,
           "it is sent again");
    ok(!has_tag(d.a, "s1") && !has_tag(d.b, "s1"), "nothing is done yet");
    is_int(snap_qmp_transaction_release(d.q, both, 2, LONG_MS), 0,
           "with the last byte it is done");
    ok(has_tag(d.a, "s1") && has_tag(d.b, "s1"), "to both disks");
    snap_qmp_transaction_hold(d.q, both, 2, LONG_MS);
    is_int(snap_qmp_transaction_release(d.q, both, 2, LONG_MS), ERROR_FAIL,
           "once more it fails");
    like(d.sc.message, "transaction: ", "the message names the command");
    snap_clear(&d.sc);
    ok(write_to(&d, "b", 9), "the guest writes on");
    end(&d);
}

static void test_held_overlay(void)
{
    struct daemon d;

    start(&d);
    const struct snap_qmp_action act = overlay_on(&d, "a");

    is_int(snap_qmp_transaction_hold(d.q, &act, 1, LONG_MS), 0,
           "a transaction with an overlay is sent but for its last byte");
    MUST("touch", d.overlay);
    is_int(snap_qmp_transaction_release(d.q, &act, 1, LONG_MS), ERROR_INVAL,
           "a file that came to the overlay's path meanwhile is not written");
    like(d.sc.message, "exists already", "the message says why");
    snap_qmp_close(d.q);
    if (snap_qmp_open(&d.sc, d.s.path, LONG_MS, &d.q)) {
        bail("%s", d.sc.message);
    }
    end(&d);
}

static void test_internal_rollback(void)
{
    struct daemon d;

    start(&d);
    const struct snap_qmp_action raw[] = { tag_on("a", "s1"),
                                           tag_on("r", "s1") };
    const struct snap_qmp_action unknown[] = { tag_on("a", "s1"),
                                               tag_on("nope", "s1") };

    is_int(snap_qmp_transaction(d.q, raw, 2, LONG_MS), ERROR_FAIL,
           "a raw image among them fails the transaction");
    note("%s", d.sc.message);
    snap_clear(&d.sc);
    is_int(snap_qmp_transaction(d.q, unknown, 2, LONG_MS), ERROR_FAIL,
           "a node that does not exist fails it");
    note("%s", d.sc.message);
    snap_clear(&d.sc);
    quit(&d);
    ok(!has_tag(d.a, "s1"), "the first action was rolled back each time");
    ok(is_sound(d.a), "the image is sound");
    end(&d);
}

/*
 * External snapshots
 */

static void test_external(void)
{
    struct daemon d;
    char *before, *after, *text;

    start(&d);
    const struct snap_qmp_action mixed[] = { overlay_on(&d, "a"),
                                             tag_on("b", "s1") };
    const struct snap_qmp_action base[] = { tag_on("a", "s2") };

    is_int(snap_qmp_transaction(d.q, mixed, 2, LONG_MS), 0,
           "an overlay and an internal snapshot in one transaction");
    is_int(snap_qmp_transaction(d.q, base, 1, LONG_MS), ERROR_FAIL,
           "the frozen base takes no internal snapshot any more");
    like(d.sc.message, "root", "the message says that it is not on top");
    snap_clear(&d.sc);
    before = sum(d.a);
    ok(write_to(&d, "a", 7), "the guest writes on");
    after = sum(d.a);
    is_str(after, before, "the base is not written any more");
    is_int(snap_qmp_transaction(d.q, mixed, 2, LONG_MS), ERROR_INVAL,
           "an overlay that exists is not overwritten");
    snap_clear(&d.sc);
    quit(&d);
    text = info(d.overlay, "qcow2");
    like(text, d.a, "the overlay stands on the base");
    like(text, "\"backing-filename-format\": \"qcow2\"",
         "with the format written down");
    ok(reads(d.overlay, "qcow2", 7) && !reads(d.overlay, "qcow2", 2)
       && reads(d.a, "qcow2", 2) && !reads(d.a, "qcow2", 7),
       "the overlay has the new data, the base the old");
    ok(is_sound(d.overlay) && is_sound(d.a) && has_tag(d.b, "s1"),
       "the images are sound");
    free(text);
    free(before);
    free(after);
    end(&d);
}

/* With the action that QEMU has for it. */
static void test_abort(void)
{
    struct daemon d;
    AUTO_FREE char *text = NULL;
    AUTO_JSON struct snap_json *arguments = NULL;

    start(&d);
    text = snap_printf(
        "{\"actions\": [{\"type\": \"blockdev-snapshot-internal-sync\", "
        "\"data\": {\"device\": \"b\", \"name\": \"s1\"}}, "
        "{\"type\": \"blockdev-snapshot-sync\", \"data\": {\"node-name\": "
        "\"a\", \"snapshot-file\": \"%s\", \"snapshot-node-name\": \"ov\", "
        "\"format\": \"qcow2\"}}, {\"type\": \"abort\", \"data\": {}}]}",
        d.overlay);
    if (snap_json_parse(&d.sc, "text", text, strlen(text), &arguments)) {
        bail("%s", d.sc.message);
    }
    is_int(snap_qmp_command(d.q, "transaction", arguments, LONG_MS, NULL),
           ERROR_FAIL, "an aborted transaction fails");
    like(d.sc.message, "bort", "the message says so");
    ok(!access(d.overlay, F_OK), "the overlay that QEMU made stays behind");
    snap_clear(&d.sc);
    ok(write_to(&d, "a", 5), "the guest writes on");
    quit(&d);
    ok(reads(d.a, "qcow2", 5), "into the image that it had before");
    ok(!has_tag(d.b, "s1"), "the internal snapshot was rolled back");
    ok(is_sound(d.a) && is_sound(d.b), "the images are sound");
    end(&d);
}

static void test_external_rollback(void)
{
    struct daemon d;

    start(&d);
    const struct snap_qmp_action failing[] = { overlay_on(&d, "a"),
                                               tag_on("r", "s1") };
    const struct snap_qmp_action again[] = { overlay_on(&d, "a") };

    is_int(snap_qmp_transaction(d.q, failing, 2, LONG_MS), ERROR_FAIL,
           "a failing second action fails the transaction");
    snap_clear(&d.sc);
    ok(!access(d.overlay, F_OK), "the overlay that QEMU made stays behind");
    if (unlink(d.overlay)) diag("unlink");
    is_int(snap_qmp_transaction(d.q, again, 1, LONG_MS), 0,
           "without it the next attempt works");
    end(&d);
}

/*
 * Commit
 */

static void test_commit(void)
{
    struct daemon d;
    char *deep_before, *deep_after;

    start(&d);
    const struct snap_qmp_action action[] = { overlay_on(&d, "a") };

    deep_before = sum(d.deep);
    if (snap_qmp_transaction(d.q, action, 1, LONG_MS)) {
        bail("%s", d.sc.message);
    }
    is_int(snap_qmp_commit_active(d.q, "ov", "undo-a", LONG_MS), 0,
           "an empty overlay is committed");
    is_uint(count_jobs(&d), 0, "no job is left");
    ok(write_to(&d, "a", 6), "the guest writes on");
    is_int(snap_qmp_commit_active(d.q, "ov", "undo-a", LONG_MS),
           ERROR_NOTFOUND, "the same once more finds no such node");
    snap_clear(&d.sc);
    is_int(snap_qmp_commit_active(d.q, "b", "undo-b", LONG_MS), ERROR_FAIL,
           "an image without a backing file has nothing to commit into");
    like(d.sc.message, "no backing file", "the message says so");
    snap_clear(&d.sc);
    unlink(d.overlay);
    is_int(snap_qmp_transaction(d.q, action, 1, LONG_MS), 0,
           "the next overlay may have the same names");
    ok(write_to(&d, "a", 8), "the guest writes into it");
    is_int(snap_qmp_commit_active(d.q, "ov", "undo-a", LONG_MS), 0,
           "an overlay with data is committed");
    is_uint(count_jobs(&d), 0, "no job is left");
    quit(&d);
    ok(reads(d.a, "qcow2", 8), "its data are in its own backing file");
    deep_after = sum(d.deep);
    is_str(deep_after, deep_before, "the file below that is untouched");
    ok(is_sound(d.a) && is_sound(d.deep), "the images are sound");
    free(deep_before);
    free(deep_after);
    end(&d);
}

/* A raw image and the file node under it have the same name. */
static void test_commit_raw(void)
{
    struct daemon d;

    start(&d);
    const struct snap_qmp_action action[] = { overlay_on(&d, "r") };

    is_int(snap_qmp_transaction(d.q, action, 1, LONG_MS), 0,
           "a raw image gets an overlay");
    ok(write_to(&d, "r", 4), "the guest writes into it");
    ok(reads(d.r, "raw", 0), "not into the raw image");
    is_int(snap_qmp_commit_active(d.q, "ov", "undo-r", LONG_MS), 0,
           "an overlay on a raw image is committed");
    ok(reads(d.r, "raw", 4), "its data are in the raw image");
    ok(write_to(&d, "r", 3), "the guest writes on");
    ok(reads(d.r, "raw", 3), "into the raw image again");
    end(&d);
}

/* Another process began the commit and was killed. */
static void test_commit_adopted(void)
{
    static const char text[] = "{\"job-id\": \"undo-a\", \"device\": \"ov\", "
        "\"base-node\": \"a\", \"auto-dismiss\": false}";
    AUTO_JSON struct snap_json *arguments = NULL;
    struct daemon d;

    start(&d);
    const struct snap_qmp_action action[] = { overlay_on(&d, "a") };

    if (snap_json_parse(&d.sc, "text", text, strlen(text), &arguments)
        || snap_qmp_transaction(d.q, action, 1, LONG_MS)
        || snap_qmp_command(d.q, "block-commit", arguments, LONG_MS, NULL)) {
        bail("%s", d.sc.message);
    }
    snap_qmp_close(d.q);
    if (snap_qmp_open(&d.sc, d.s.path, LONG_MS, &d.q)) {
        bail("%s", d.sc.message);
    }
    is_uint(count_jobs(&d), 1, "a job survives the connection");
    is_int(snap_qmp_commit_active(d.q, "ov", "undo-a", LONG_MS), 0,
           "a new connection leads it to its end");
    is_uint(count_jobs(&d), 0, "no job is left");
    ok(write_to(&d, "a", 5) && reads(d.a, "qcow2", 5),
       "the base is active again");
    end(&d);
}

static void test_one_client(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_qmp *other = NULL;
    struct daemon d;

    start(&d);
    is_int(snap_qmp_open(&sc, d.s.path, 300, &other), ERROR_TIMEDOUT,
           "the real one serves one client at a time");
    snap_clear(&sc);
    snap_qmp_close(d.q);
    is_int(snap_qmp_open(&sc, d.s.path, LONG_MS, &d.q), 0,
           "and the next when that one has gone");
    end(&d);
}

int main(void)
{
    if (!have_program("qemu-storage-daemon") || !have_program("qemu-io")) {
        skip_all("needs qemu-storage-daemon (Debian package qemu-system-"
                 "common) and qemu-io (qemu-utils)");
    }
    test_internal();
    test_held_transaction();
    test_held_overlay();
    test_internal_rollback();
    test_external();
    test_abort();
    test_external_rollback();
    test_commit();
    test_commit_raw();
    test_commit_adopted();
    test_one_client();
    return done_testing();
}
