/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What is asked of QEMU about disks, against tables of answers: how devices
 * of each kind are read, what is refused, what is sent, and where a commit
 * can end.  What a real QEMU does with it is test_qmp_qsd's and
 * test_qmp_qemu's.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tap.h"
#include "libxl_qmp.h"
#include "server.h"

#define LONG_MS 20000
#define OK(value) "{\"return\": " value ", \"id\": $ID}"
#define NO(desc) "{\"error\": {\"class\": \"GenericError\", \"desc\": \"" \
    desc "\"}, \"id\": $ID}"

static struct snap_qmp *open_at(struct snap_ctx *sc, struct server *s,
                                const struct reply *rows)
{
    struct snap_qmp *q;

    server_start(s, server_serve_table, rows);
    if (snap_qmp_open(sc, s->path, LONG_MS, &q)) bail("%s", sc->message);
    return q;
}

static void close_at(struct snap_ctx *sc, struct server *s, struct snap_qmp *q)
{
    snap_clear(sc);
    snap_qmp_close(q);
    server_end(s);
}

/*
 * query_disks
 */

#define QCOW2(name, more) \
    "{\"filename\": \"" name "\", \"format\": \"qcow2\", " \
    "\"virtual-size\": 1073741824, \"dirty-flag\": false" more "}"
#define NODE(node, drv, file, image, more) \
    "{\"node-name\": \"" node "\", \"drv\": \"" drv "\", \"file\": \"" file \
    "\", \"ro\": false, \"encrypted\": false, \"image\": " image more "}"
#define DEVICE(device, more) \
    "{\"device\": \"" device "\", \"removable\": false, \"locked\": false, " \
    "\"type\": \"unknown\"" more "}"
#define QDEV(n) ", \"qdev\": \"/machine/unattached/device[" #n "]\""

static const struct reply all_kinds[] = {
    { "\"query-block\"", NULL, OK("["
      DEVICE("ide0-hd0", QDEV(5) ", \"inserted\": "
             NODE("#block163", "qcow2", "/i/a.qcow2",
                  QCOW2("/i/a.qcow2", ""), "")) ","
      DEVICE("", QDEV(7) ", \"inserted\": "
             NODE("xvda-qcow2", "qcow2", "/i/a.qcow2",
                  QCOW2("/i/a.qcow2", ", \"backing-filename\": \"b\", "
                  "\"full-backing-filename\": \"/i/b\", \"snapshots\": ["
                  "{\"id\": \"1\", \"name\": \"first\", "
                  "\"vm-state-size\": 0}, {\"id\": \"4\", \"name\": \"\"}], "
                  "\"format-specific\": {\"type\": \"qcow2\", \"data\": {"
                  "\"compat\": \"1.1\", \"compression-type\": \"zstd\"}}"),
                  ", \"backing_file\": \"b\"")) ","
      DEVICE("", QDEV(8) ", \"inserted\": "
             "{\"node-name\": \"xvdb1-raw\", \"drv\": \"raw\", \"file\": "
             "\"/dev/vg/b\", \"ro\": true, \"encrypted\": false, "
             "\"dirty-bitmaps\": [{\"name\": \"b0\"}], \"image\": "
             "{\"filename\": \"/dev/vg/b\", \"format\": \"raw\", "
             "\"virtual-size\": 512}}") ","
      DEVICE("", QDEV(9) ", \"tray_open\": false") ","
      DEVICE("ide-5632", ", \"qdev\": \"ide-5632\", \"tray_open\": true") ","
      DEVICE("", QDEV(10) ", \"inserted\": "
             NODE("xvdd-qcow2", "qcow2", "/i/d.qcow2",
                  QCOW2("/i/d.qcow2", ", \"encrypted\": true, "
                  "\"format-specific\": {\"type\": \"qcow2\", \"data\": {"
                  "\"data-file\": \"d.raw\", \"bitmaps\": [{\"name\": "
                  "\"p\"}]}}"), "")) ","
      DEVICE("orphan", ", \"inserted\": "
             NODE("o", "qcow2", "/i/o", QCOW2("/i/o", ""),
                  ", \"backing_file\": \"json:{}\""))
      "]") },
    { "device[5]", "\"type\"", OK("\"ide-hd\"") },
    { "device[5]", "\"drive\"", OK("\"ide0-hd0\"") },
    { "device[5]", "\"vdev\"", NO("Property 'ide-hd.vdev' not found") },
    { "device[7]", "\"type\"", OK("\"xen-disk\"") },
    { "device[7]", "\"drive\"", OK("\"xvda-qcow2\"") },
    { "device[7]", "\"vdev\"", OK("\"xvda0\"") },
    { "device[8]", "\"type\"", OK("\"xen-disk\"") },
    { "device[8]", "\"drive\"", OK("\"#block900\"") },
    { "device[8]", "\"vdev\"", OK("\"xvdb1\"") },
    { "device[9]", "\"type\"", OK("\"xen-cdrom\"") },
    { "device[9]", "\"drive\"", OK("\"\"") },
    { "device[9]", "\"vdev\"", OK("\"xvdc0\"") },
    { "device[10]", "\"type\"", OK("\"xen-disk\"") },
    { "device[10]", "\"drive\"", NO("Property not found") },
    { "device[10]", "\"vdev\"", OK("\"xvdd10\"") },
    { "ide-5632", "\"type\"", OK("\"ide-cd\"") },
    { "ide-5632", "\"drive\"", OK("\"ide-5632\"") },
    { "ide-5632", "\"vdev\"", NO("Property 'ide-cd.vdev' not found") },
    { 0 }
};

static void check_xen_disk(const struct snap_qmp_disk *d)
{
    is_str(d->vdev, "xvda", "xen-disk: the partition digit is stripped");
    is_str(d->node, "xvda-qcow2", "xen-disk: the root node");
    is_str(d->device, "", "xen-disk: its BlockBackend has no name");
    is_str(d->qdev, "/machine/unattached/device[7]", "xen-disk: its path");
    is_str(d->type, "xen-disk", "xen-disk: its type");
    is_str(d->driver, "qcow2", "xen-disk: its format");
    is_str(d->file, "/i/a.qcow2", "xen-disk: its file");
    is_str(d->backing_file, "/i/b", "xen-disk: the full backing file name");
    ok(d->inserted && !d->read_only && !d->encrypted && !d->data_file
       && !d->dirty_bitmaps && !d->filtered, "xen-disk: nothing special");
    is_uint(d->virtual_size_bytes, 1 << 30, "xen-disk: its size");
    is_str(d->compression, "zstd", "xen-disk: its compression");
    is_str(snap_json_get_str(d->image, "full-backing-filename"), "/i/b",
           "xen-disk: what QEMU knows of the image is handed on");
    is_uint(d->tags.len, 2, "xen-disk: two internal snapshots");
    is_str(d->tags.data[0], "first", "xen-disk: the first one's name");
    is_str(d->tag_ids.data[0], "1", "xen-disk: the first one's id");
    is_str(d->tags.data[1], "", "xen-disk: one without a name has its place");
    is_str(d->tag_ids.data[1], "4", "xen-disk: the second one's id");
}

static void test_all_kinds(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, all_kinds);
    struct snap_qmp_disks disks;
    const struct snap_qmp_disk *d;

    is_int(snap_qmp_query_disks(q, LONG_MS, &disks), 0,
           "devices of all kinds are read");
    is_str(sc.message, NULL, "a property that is not there is no error");
    if (!is_uint(disks.len, 7, "each is there")) goto out;
    d = disks.data;
    is_str(d[0].vdev, NULL, "ide-hd: no vdev is known");
    is_str(d[0].device, "ide0-hd0", "ide-hd: its BlockBackend");
    is_str(d[0].node, "#block163", "ide-hd: a root node of its own");
    is_str(d[0].file, d[1].file, "ide-hd: the image is open twice");
    ok(!d[0].filtered && !d[0].compression && !d[0].backing_file
       && !d[0].tags.len, "ide-hd: what is not there is not invented");
    check_xen_disk(&d[1]);
    is_str(d[2].vdev, "xvdb1", "a partition keeps its digit");
    ok(d[2].read_only && d[2].dirty_bitmaps, "read-only and bitmaps are seen");
    ok(d[2].filtered, "a node above the root is seen (a job's filter)");
    is_str(d[3].vdev, "xvdc", "xen-cdrom: an empty drive has a vdev");
    is_str(d[3].type, "xen-cdrom", "xen-cdrom: and a type");
    ok(!d[3].inserted && !d[3].node && !d[3].file && !d[3].filtered
       && !d[3].image,
       "xen-cdrom: but nothing in it");
    is_str(d[4].qdev, "ide-5632", "ide-cd: a device id serves as path");
    ok(!d[4].inserted, "ide-cd: an open tray is empty");
    is_str(d[5].vdev, "xvdd10", "the 0 of partition 10 stays");
    ok(d[5].encrypted && d[5].data_file && d[5].dirty_bitmaps,
       "encryption, data file and stored bitmaps are seen");
    ok(!d[6].qdev && !d[6].type && !d[6].vdev && d[6].inserted,
       "a drive without a device has neither type nor vdev");
    is_str(d[6].backing_file, "json:{}", "an overridden backing file is told");
out:
    snap_qmp_disks_dispose(&disks);
    snap_qmp_disks_dispose(&disks);
    is_uint(disks.len, 0, "the list may be freed twice");
    close_at(&sc, &s, q);
}

static void test_no_disks(void)
{
    static const struct reply rows[] = {
        { "\"query-block\"", NULL, OK("[]") }, { 0 }
    };
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, rows);
    struct snap_qmp_disks disks;

    is_int(snap_qmp_query_disks(q, LONG_MS, &disks), 0,
           "a QEMU without disks is read");
    is_uint(disks.len, 0, "it has none");
    snap_qmp_disks_dispose(&disks);
    close_at(&sc, &s, q);
}

/* One answer to query-block (and qom-get) that is wrong in one place. */
struct wrong {
    const char *claim;
    const char *message;
    struct reply rows[4];
};

#define ONE(device) { { "\"query-block\"", NULL, OK("[" device "]") }, \
                      { "\"qom-get\"", NULL, NO("none") } }
#define INSERTED(node) ONE(DEVICE("", ", \"inserted\": " node))
#define IMAGE(image) INSERTED(NODE("n", "qcow2", "/f", image, ""))
#define GOOD QCOW2("/f", "")
#define PROPERTY(name, value) \
    { { "\"query-block\"", NULL, OK("[" DEVICE("", QDEV(1)) "]") }, \
      { "\"" name "\"", NULL, OK(value) }, \
      { "\"qom-get\"", NULL, NO("none") } }

static const struct wrong wrongs[] = {
    { "an error instead of the list", "query-block: out of luck",
      { { "\"query-block\"", NULL, NO("out of luck") } } },
    { "no list", "no list",
      { { "\"query-block\"", NULL, OK("{\"a\": 1}") } } },
    { "an entry that is a string", "'device' of entry 0 is missing",
      ONE("\"x\"") },
    { "an entry without a device", "'device' of entry 0 is missing",
      ONE("{\"qdev\": \"x\"}") },
    { "a device that is a number", "'device' of entry 0 has the wrong type",
      ONE("{\"device\": 1}") },
    { "a device name that moves the cursor", "'device' of entry 0 has control",
      ONE("{\"device\": \"\\u001b[2J\"}") },
    { "the second entry wrong", "'qdev' of entry 1 has the wrong type",
      ONE(DEVICE("a", "") "," DEVICE("b", ", \"qdev\": {}")) },
    { "inserted that is a list", "'inserted' of entry 0 has the wrong type",
      INSERTED("[]") },
    { "a node without a name", "'node-name' of entry 0 is missing",
      INSERTED("{\"drv\": \"raw\"}") },
    { "a node without a format", "'drv' of entry 0 is missing",
      INSERTED("{\"node-name\": \"n\", \"file\": \"/f\", \"ro\": true}") },
    { "a node without a file", "'file' of entry 0 is missing",
      INSERTED("{\"node-name\": \"n\", \"drv\": \"raw\", \"ro\": true}") },
    { "a node that does not say whether it is read-only",
      "'ro' of entry 0 is missing",
      INSERTED("{\"node-name\": \"n\", \"drv\": \"raw\", \"file\": \"/f\"}") },
    { "read-only in a string", "'ro' of entry 0 has the wrong type",
      INSERTED("{\"node-name\": \"n\", \"drv\": \"raw\", \"file\": \"/f\", "
               "\"ro\": \"no\"}") },
    { "a node without an image", "'image' of entry 0 is missing",
      INSERTED("{\"node-name\": \"n\", \"drv\": \"raw\", \"file\": \"/f\", "
               "\"ro\": false}") },
    { "bitmaps that are a number",
      "'dirty-bitmaps' of entry 0 has the wrong type",
      INSERTED(NODE("n", "qcow2", "/f", GOOD, ", \"dirty-bitmaps\": 1")) },
    { "an image without a size", "'virtual-size' of entry 0 is missing",
      IMAGE("{\"filename\": \"/f\"}") },
    { "a negative size", "'virtual-size' of entry 0 is no size",
      IMAGE("{\"virtual-size\": -1}") },
    { "a size that is no integer", "'virtual-size' of entry 0 is no size",
      IMAGE("{\"virtual-size\": 1.5}") },
    { "a size beyond all", "'virtual-size' of entry 0 is no size",
      IMAGE("{\"virtual-size\": 99999999999999999999}") },
    { "a backing file that is a list",
      "'full-backing-filename' of entry 0 has the wrong type",
      IMAGE(QCOW2("/f", ", \"full-backing-filename\": []")) },
    { "snapshots that are an object",
      "'snapshots' of entry 0 has the wrong type",
      IMAGE(QCOW2("/f", ", \"snapshots\": {}")) },
    { "a snapshot without an id", "'snapshots' of entry 0 lacks a name",
      IMAGE(QCOW2("/f", ", \"snapshots\": [{\"name\": \"x\"}]")) },
    { "a snapshot whose name is null", "'snapshots' of entry 0 lacks a name",
      IMAGE(QCOW2("/f", ", \"snapshots\": [{\"name\": null, "
                  "\"id\": \"1\"}]")) },
    { "details that are a string",
      "'format-specific' of entry 0 has the wrong type",
      IMAGE(QCOW2("/f", ", \"format-specific\": \"x\"")) },
    { "a compression that is a number",
      "'compression-type' of entry 0 has the wrong type",
      IMAGE(QCOW2("/f", ", \"format-specific\": {\"data\": "
                  "{\"compression-type\": 1}}")) },
    { "a type that is a list", "'type' of entry 0 is no string",
      PROPERTY("type", "[]") },
    { "a vdev that is a number", "'vdev' of entry 0 is no string",
      PROPERTY("vdev", "51712") },
    { "a vdev with a line end", "'vdev' of entry 0 has control characters",
      PROPERTY("vdev", "\"xvda\\n0\"") },
    { "a drive that is null", "'drive' of entry 0 is no string",
      PROPERTY("drive", "null") },
};

static void test_wrong(const struct wrong *w)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, w->rows);
    struct snap_qmp_disks disks = { .len = 99 };
    bool error_answer = strstr(w->rows[0].answer, "\"error\"");

    is_int(snap_qmp_query_disks(q, LONG_MS, &disks),
           error_answer ? ERROR_FAIL : ERROR_INVAL, "%s is refused", w->claim);
    ok(!disks.len && !disks.data, "%s: no disk is handed out", w->claim);
    like(sc.message, w->message, "%s: the message says where", w->claim);
    close_at(&sc, &s, q);
}

/*
 * The transaction and deletion
 */

static void script_transaction(int listener, const void *arg)
{
    int fd = server_greet(listener);
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_json *heard, *wanted;
    char *line = server_expect(fd, "\"transaction\"");

    if (snap_json_parse(&sc, "heard", line, strlen(line), &heard)
        || snap_json_parse(&sc, "wanted", arg, strlen(arg), &wanted)) {
        _exit(1);
    }
    if (!snap_json_equal(snap_json_get(heard, "arguments"), wanted)) {
        diag("heard %s", line);
        _exit(1);
    }
    server_answer(fd, line, OK("{}"));
    server_await_end(fd);
}

static void test_transaction(void)
{
    static const char wanted[] = "{\"actions\": ["
        "{\"type\": \"blockdev-snapshot-internal-sync\", \"data\": "
        "{\"device\": \"xvda-qcow2\", \"name\": \"s1\"}}, "
        "{\"type\": \"blockdev-snapshot-sync\", \"data\": "
        "{\"node-name\": \"xvdb-raw\", \"snapshot-file\": "
        "\"/nonexistent/b.s1\", \"snapshot-node-name\": \"snap-xvdb.1\", "
        "\"format\": \"qcow2\", \"mode\": \"absolute-paths\"}}]}";
    const struct snap_qmp_action actions[] = {
        { .node = "xvda-qcow2", .tag = "s1" },
        { .external = true, .node = "xvdb-raw",
          .overlay = "/nonexistent/b.s1", .overlay_node = "snap-xvdb.1",
          .overlay_format = "qcow2" },
    };
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q;

    server_start(&s, script_transaction, wanted);
    if (snap_qmp_open(&sc, s.path, LONG_MS, &q)) bail("%s", sc.message);
    is_int(snap_qmp_transaction(q, NULL, 0, LONG_MS), 0,
           "a transaction of nothing asks nothing");
    is_int(snap_qmp_transaction(q, actions, 2, LONG_MS), 0,
           "both kinds go into one transaction");
    snap_qmp_close(q);
    ok(server_end(&s), "QEMU heard exactly these actions");
}

static void script_hear_nothing(int listener, const void *arg)
{
    int fd = server_greet(listener);

    (void)arg;
    if (server_hear(fd)) _exit(1);
}

/* These must be refused before QEMU hears of them. */
static void test_bad_actions(void)
{
    struct snap_qmp_action good = {
        .external = true, .node = "n", .overlay = "/nonexistent/x",
        .overlay_node = "o", .overlay_format = "qcow2",
    };
    struct snap_qmp_action bad[] = {
        { .tag = "s1" }, { .node = "", .tag = "s1" }, { .node = "n" },
        { .node = "n", .tag = "1" }, { .node = "n", .tag = "a b" },
        good, good, good, good, good, good, good, good, good,
    };
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q;
    char *link = NULL, *loose = NULL;
    size_t i, refused = 0, n = sizeof(bad) / sizeof(bad[0]);

    server_start(&s, script_hear_nothing, NULL);
    if (snap_qmp_open(&sc, s.path, LONG_MS, &q)) bail("%s", sc.message);
    link = snap_printf("%s/link", s.dir);
    loose = snap_printf("%s/loose", s.dir);
    if (symlink(s.path, link) || symlink("nowhere", loose)) bail("symlink");
    bad[5].overlay = "relative.qcow2";
    bad[6].overlay = NULL;
    bad[7].overlay = s.path;                    /* exists */
    bad[8].overlay = link;                      /* leads to what exists */
    bad[9].overlay = loose;                     /* would be followed */
    bad[10].overlay_node = "01234567890123456789012345678901";
    bad[11].overlay_node = "#block1";
    bad[12].overlay_node = NULL;
    bad[13].overlay_format = NULL;
    for (i = 0; i < n; i++) {
        const struct snap_qmp_action both[] = { good, bad[i] };

        refused += snap_qmp_transaction(q, both, 2, LONG_MS) < 0 && sc.message;
        note("%s", sc.message ? sc.message : "no message");
        snap_clear(&sc);
    }
    is_uint(refused, n, "%zu kinds of bad actions are refused", n);
    snap_qmp_close(q);
    ok(server_end(&s), "QEMU never heard of them");
    free(link);
    free(loose);
}

static void test_errors(void)
{
    static const struct reply rows[] = {
        { "\"transaction\"", NULL, NO("Need a root block node") },
        { "snapshot-delete-internal-sync", "\"gone\"",
          NO("Snapshot with id 'null' and name 'gone' does not exist") },
        { "snapshot-delete-internal-sync", "\"device\":\"xvda-qcow2\"",
          OK("{\"id\": \"1\", \"name\": \"s1\"}") },
        { 0 }
    };
    const struct snap_qmp_action action = { .node = "n", .tag = "s1" };
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, rows);

    is_int(snap_qmp_transaction(q, &action, 1, LONG_MS), ERROR_FAIL,
           "a transaction that QEMU refuses is a failure");
    like(sc.message, "transaction: Need a root block node",
         "the message is QEMU's");
    snap_clear(&sc);
    is_int(snap_qmp_delete_internal(q, "xvda-qcow2", "s1", LONG_MS), 0,
           "an internal snapshot is deleted");
    is_int(snap_qmp_delete_internal(q, "xvda-qcow2", "gone", LONG_MS),
           ERROR_FAIL, "one that is not there is a failure");
    like(sc.message, "does not exist", "the message says so");
    close_at(&sc, &s, q);
}

/*
 * The commit
 */

/* The overlay stands on b, b on a; an emulated disk has b open as well. */
#define NODES OK("[" \
    "{\"node-name\": \"#ide\", \"drv\": \"qcow2\", \"file\": \"/i/b\"}," \
    "{\"node-name\": \"#file\", \"drv\": \"file\", \"file\": \"/i/b\"}," \
    "{\"node-name\": \"#deep\", \"drv\": \"qcow2\", \"file\": \"/i/a\"}," \
    "{\"node-name\": \"ov\", \"drv\": \"qcow2\", \"file\": \"/i/ov\", " \
    "\"backing_file\": \"b\", \"image\": " \
    "{\"full-backing-filename\": \"/i/b\"}}," \
    "{\"node-name\": \"xvda-qcow2\", \"drv\": \"qcow2\", " \
    "\"file\": \"/i/b\"}]")
#define JOB(status, more) \
    OK("[{\"id\": \"other\", \"type\": \"backup\", \"status\": " \
       "\"running\"}, {\"id\": \"j\", \"type\": \"commit\", \"status\": \"" \
       status "\", \"current-progress\": 0, \"total-progress\": 0" more "}]")
#define CHANGED "{\"event\": \"JOB_STATUS_CHANGE\", \"data\": {}}\r\n"
#define NO_JOBS OK("[]")
#define START \
    { "\"query-named-block-nodes\"", "\"flat\":true", NODES }, \
    { "\"block-commit\"", "\"#ide\"", NO("'#ide' is not in this chain") }, \
    { "\"block-commit\"", "\"#file\"", NO("'#file' is not in this chain") }, \
    { "\"block-commit\"", "\"base-node\":\"xvda-qcow2\"", CHANGED OK("{}") }

struct commit_case {
    const char *claim;
    int rc;
    const char *message;
    int timeout_ms;
    struct reply rows[16];
};

static const struct commit_case commits[] = {
    { "a commit", 0, NULL, LONG_MS, {
        { "\"query-jobs\"", NULL, NO_JOBS }, START,
        { "\"query-jobs\"", NULL, JOB("running", "") },
        { "\"query-jobs\"", NULL, JOB("ready", "") },
        { "\"job-complete\"", "\"j\"", CHANGED OK("{}") },
        { "\"job-complete\"", "\"j\"", NO("once is enough") },
        { "\"query-jobs\"", NULL, JOB("ready", "") },
        { "\"query-jobs\"", NULL, JOB("waiting", "") },
        { "\"query-jobs\"", NULL, JOB("concluded", "") },
        { "\"job-dismiss\"", "\"j\"", OK("{}") } } },
    { "a commit that fails", ERROR_FAIL, "the commit of 'ov' failed: No space",
      LONG_MS, {
        { "\"query-jobs\"", NULL, NO_JOBS }, START,
        { "\"query-jobs\"", NULL,
          JOB("concluded", ", \"error\": \"No space\"") },
        { "\"job-dismiss\"", "\"j\"", OK("{}") } } },
    { "a commit that an interrupted attempt had begun", 0, NULL, LONG_MS, {
        { "\"query-jobs\"", NULL, JOB("ready", "") },
        { "\"query-jobs\"", NULL, JOB("ready", "") },
        { "\"job-complete\"", "\"j\"", OK("{}") },
        { "\"query-jobs\"", NULL, JOB("concluded", "") },
        { "\"job-dismiss\"", "\"j\"", OK("{}") },
        { "\"query-named-block-nodes\"", NULL, OK("[]") } } },
    { "a commit that an interrupted attempt had ended", 0, NULL, LONG_MS, {
        { "\"query-jobs\"", NULL, JOB("concluded", "") },
        { "\"job-dismiss\"", "\"j\"", OK("{}") },
        { "\"query-named-block-nodes\"", NULL, OK("[]") } } },
    { "a commit after one of another disk that was left", ERROR_FAIL,
      "block-commit of 'ov': heard", LONG_MS, {
        { "\"query-jobs\"", NULL, JOB("concluded", "") },
        { "\"job-dismiss\"", "\"j\"", OK("{}") },
        { "\"query-named-block-nodes\"", NULL, NODES },
        { "\"block-commit\"", NULL, NO("heard") } } },
    { "a commit that had failed before, tried anew", 0, NULL, LONG_MS, {
        { "\"query-jobs\"", NULL,
          JOB("concluded", ", \"error\": \"No space\"") },
        { "\"query-jobs\"", NULL,
          JOB("concluded", ", \"error\": \"No space\"") },
        { "\"job-dismiss\"", "\"j\"", OK("{}") }, START,
        { "\"query-jobs\"", NULL, JOB("concluded", "") },
        { "\"job-dismiss\"", "\"j\"", OK("{}") } } },
    { "a job that disappears", ERROR_FAIL, "somebody else dismissed it",
      LONG_MS, {
        { "\"query-jobs\"", NULL, NO_JOBS }, START } },
    { "a job that does not end", ERROR_TIMEDOUT, "its job 'j' goes on", 500, {
        { "\"query-jobs\"", NULL, NO_JOBS }, START,
        { "\"query-jobs\"", NULL, JOB("running", "") } } },
    { "a job of another kind", ERROR_INVAL, "it is not ours", LONG_MS, {
        { "\"query-jobs\"", NULL, OK("[{\"id\": \"j\", \"type\": "
          "\"backup\", \"status\": \"running\"}]") } } },
    { "a job without a status", ERROR_INVAL, "the job 'j' has no status",
      LONG_MS, {
        { "\"query-jobs\"", NULL,
          OK("[{\"id\": \"j\", \"type\": \"commit\"}]") } } },
    { "a job whose error moves the cursor", ERROR_INVAL, "is no text",
      LONG_MS, {
        { "\"query-jobs\"", NULL,
          JOB("concluded", ", \"error\": \"\\u001b[2J\"") } } },
    { "no such node", ERROR_NOTFOUND, "has no node 'ov'", LONG_MS, {
        { "\"query-jobs\"", NULL, NO_JOBS },
        { "\"query-named-block-nodes\"", NULL, OK("[]") } } },
    { "a node without a backing file", ERROR_FAIL, "it has no backing file",
      LONG_MS, {
        { "\"query-jobs\"", NULL, NO_JOBS },
        { "\"query-named-block-nodes\"", NULL, OK("[{\"node-name\": \"ov\", "
          "\"file\": \"/i/ov\", \"image\": {}}, {\"node-name\": \"x\"}]") },
        { "\"block-commit\"", NULL, OK("{}") } } },
    { "a base that is busy", ERROR_FAIL, "block-commit of 'ov': busy",
      LONG_MS, {
        { "\"query-jobs\"", NULL, NO_JOBS },
        { "\"query-named-block-nodes\"", NULL, NODES },
        { "\"block-commit\"", NULL, NO("busy") } } },
};

static void test_commit(const struct commit_case *c)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, c->rows);

    is_int(snap_qmp_commit_active(q, "ov", "j", c->timeout_ms), c->rc,
           "%s ends with %d", c->claim, c->rc);
    if (c->message)
        like(sc.message, c->message, "%s: the message says so", c->claim);
    else
        is_str(sc.message, NULL, "%s: no error is recorded", c->claim);
    close_at(&sc, &s, q);
}

int main(void)
{
    size_t i;

    test_all_kinds();
    test_no_disks();
    for (i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        test_wrong(&wrongs[i]);
    }
    test_transaction();
    test_bad_actions();
    test_errors();
    for (i = 0; i < sizeof(commits) / sizeof(commits[0]); i++) {
        test_commit(&commits[i]);
    }
    return done_testing();
}
