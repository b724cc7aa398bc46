/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * query_disks and the commit against a real QEMU that has devices: stopped
 * before the first instruction, without an accelerator, so no guest runs.
 * It stands in for an HVM domain's: an emulated IDE disk, a CD-ROM, and a
 * disk without a BlockBackend name whose root node is called as Xen's back
 * end calls it.  Xen's own devices need Xen: that is the lab's.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tap.h"
#include "libxl_qmp.h"
#include "server.h"

#define LONG_MS 30000
#define QEMU "qemu-system-x86_64"
#define RUN(...) run_program((const char *const[]){ __VA_ARGS__, NULL })
#define MUST(...) must(RUN(__VA_ARGS__), #__VA_ARGS__)

struct machine {
    char *dir, *path;
    char *image;                /* of both disks */
    char *overlay;              /* does not exist yet */
    pid_t pid;
    struct snap_ctx sc;
    struct snap_qmp *q;
};

static void must(int status, const char *what)
{
    if (status) bail("%s ended with %d", what, status);
}

/*
 * The image is open twice, as libxl does it for HVM: by the IDE disk and by
 * the other one, both without locks.
 */
static void start(struct machine *m, const char *image)
{
    AUTO_FREE char *monitor = NULL, *ide = NULL, *file = NULL;

    monitor = snap_printf("unix:%s,server=on,wait=off", m->path);
    ide = snap_printf("file.filename=%s,file.locking=off,if=ide,index=0,"
                      "media=disk,format=qcow2,cache=writeback", image);
    file = snap_printf("file,node-name=f,locking=off,filename=%s", image);
    m->pid = start_program((const char *const[]){
        QEMU, "-S", "-nodefaults", "-display", "none", "-m", "16",
        "-machine", "pc,accel=tcg", "-qmp", monitor, "-drive", ide,
        "-drive", "if=none,id=ide-5632,media=cdrom",
        "-device", "ide-cd,drive=ide-5632,bus=ide.1,id=cd0",
        "-blockdev", file, "-blockdev", "qcow2,node-name=xvda-qcow2,file=f",
        "-device", "virtio-blk-pci,drive=xvda-qcow2,share-rw=on", NULL });
    if (!await_path(m->path)) bail(QEMU " did not start");
    if (snap_qmp_open(&m->sc, m->path, LONG_MS, &m->q)) {
        bail("%s", m->sc.message);
    }
}

static void prepare(struct machine *m)
{
    *m = (struct machine){ .q = NULL };
    m->dir = make_dir();
    m->path = snap_printf("%s/qmp", m->dir);
    m->image = snap_printf("%s/image", m->dir);
    m->overlay = snap_printf("%s/overlay", m->dir);
}

static void end(struct machine *m)
{
    snap_clear(&m->sc);
    if (snap_qmp_command(m->q, "quit", NULL, LONG_MS, NULL)) {
        diag("quit: %s", m->sc.message);
    }
    snap_clear(&m->sc);
    snap_qmp_close(m->q);
    if (!end_program(m->pid)) diag(QEMU " did not quit");
    remove_dir(m->dir);
    free(m->dir);
    free(m->path);
    free(m->image);
    free(m->overlay);
}

/* The one that serves as Xen's disk. */
static const struct snap_qmp_disk *xvda(const struct snap_qmp_disks *disks)
{
    static const struct snap_qmp_disk none;
    size_t i;

    for (i = 0; i < disks->len; i++) {
        if (!disks->data[i].device[0]) return &disks->data[i];
    }
    return &none;
}

static void query(struct machine *m, struct snap_qmp_disks *disks)
{
    if (snap_qmp_query_disks(m->q, LONG_MS, disks)) {
        bail("query_disks: %s", m->sc.message);
    }
}

static void check_devices(const struct machine *m,
                          const struct snap_qmp_disks *disks)
{
    const struct snap_qmp_disk *d = disks->data;

    if (!is_uint(disks->len, 3, "three drives are found")) return;
    is_str(d[0].device, "ide0-hd0", "the IDE disk's BlockBackend has a name");
    is_str(d[0].type, "ide-hd", "its type is known");
    is_str(d[0].vdev, NULL, "its vdev is not");
    is_str(d[0].file, m->image, "its image is known");
    ok(!d[0].filtered, "nothing stands above its node");
    is_str(d[1].type, "ide-cd", "the CD-ROM's type is known");
    is_str(d[1].qdev, "cd0", "a device with an id is called by it");
    ok(!d[1].inserted, "it is empty");
    is_str(d[2].node, "xvda-qcow2", "the other disk's root node");
    is_str(d[2].file, m->image, "the same image");
    is_str(d[2].driver, "qcow2", "its format");
    is_str(d[2].compression, "zlib", "its compression");
    is_uint(d[2].virtual_size_bytes, 8 << 20, "its size");
    is_uint(d[2].tags.len, 1, "its internal snapshot");
    is_str(d[2].tags.len ? d[2].tags.data[0] : NULL, "old", "by name");
    ok(d[2].dirty_bitmaps, "its stored bitmap");
    ok(d[2].inserted && !d[2].read_only && !d[2].encrypted
       && !d[2].data_file && !d[2].filtered && !d[2].backing_file,
       "nothing else");
}

static void test_query(void)
{
    struct snap_qmp_disks disks;
    struct machine m;

    prepare(&m);
    MUST("qemu-img", "create", "-q", "-f", "qcow2", m.image, "8M");
    MUST("qemu-img", "snapshot", "-c", "old", m.image);
    MUST("qemu-img", "bitmap", "--add", m.image, "backup");
    start(&m, m.image);
    query(&m, &disks);
    check_devices(&m, &disks);
    snap_qmp_disks_dispose(&disks);
    end(&m);
}

/* The base has the same file name as the IDE disk's node. */
static void test_snapshot_and_commit(void)
{
    struct snap_qmp_disks disks;
    struct snap_qmp_action action = {
        .external = true, .node = "xvda-qcow2", .overlay_node = "snap-xvda",
        .overlay_format = "qcow2",
    };
    struct machine m;

    prepare(&m);
    MUST("qemu-img", "create", "-q", "-f", "qcow2", m.image, "8M");
    start(&m, m.image);
    action.overlay = m.overlay;
    is_int(snap_qmp_transaction(m.q, &action, 1, LONG_MS), 0,
           "a disk without a BlockBackend name gets an overlay");
    query(&m, &disks);
    is_str(xvda(&disks)->node, "snap-xvda", "its root node is the overlay's");
    is_str(xvda(&disks)->file, m.overlay, "its image is the overlay");
    is_str(xvda(&disks)->backing_file, m.image, "which stands on the base");
    ok(!xvda(&disks)->filtered, "nothing stands above the overlay");
    snap_qmp_disks_dispose(&disks);
    is_int(snap_qmp_commit_active(m.q, "snap-xvda", "undo", LONG_MS), 0,
           "the right one of two nodes on the same file is committed into");
    query(&m, &disks);
    is_str(xvda(&disks)->node, "xvda-qcow2", "its root node is the base's");
    is_str(xvda(&disks)->file, m.image, "its image, too");
    ok(!xvda(&disks)->read_only, "it can be written");
    snap_qmp_disks_dispose(&disks);
    end(&m);
}

/* A running job stands above the node: with a filter that query-block tells
 * (backup) or looks through (mirror). */
static void begin_job(struct machine *m, const char *command)
{
    static const char null[] = "{\"driver\": \"null-co\", \"node-name\": "
        "\"null\", \"size\": 8388608, \"read-zeroes\": true}";
    static const char slow[] = "{\"job-id\": \"b\", \"device\": "
        "\"xvda-qcow2\", \"target\": \"null\", \"sync\": \"full\", "
        "\"speed\": 1}";
    AUTO_JSON struct snap_json *target = NULL, *job = NULL;

    prepare(m);
    MUST("qemu-img", "create", "-q", "-f", "qcow2", m->image, "8M");
    MUST("qemu-io", "-f", "qcow2", "-c", "write -q 0 8M", m->image);
    start(m, m->image);
    if (snap_json_parse(&m->sc, "null", null, strlen(null), &target)
        || snap_json_parse(&m->sc, "job", slow, strlen(slow), &job)
        || snap_qmp_command(m->q, "blockdev-add", target, LONG_MS, NULL)
        || snap_qmp_command(m->q, command, job, LONG_MS, NULL)) {
        bail("%s", m->sc.message);
    }
}

static void test_during_job(const char *command, const char *driver)
{
    const struct snap_qmp_action action = {
        .node = "xvda-qcow2", .tag = "s1",
    };
    struct snap_qmp_disks disks;
    struct machine m;

    begin_job(&m, command);
    query(&m, &disks);
    is_str(xvda(&disks)->driver, driver, "during %s the driver is %s", command,
           driver);
    ok(xvda(&disks)->filtered, "during %s a filter is seen", command);
    is_int(snap_qmp_transaction(m.q, &action, 1, LONG_MS), ERROR_FAIL,
           "during %s QEMU refuses to snapshot, indeed", command);
    note("%s", m.sc.message);
    snap_qmp_disks_dispose(&disks);
    end(&m);
}

/* query-block nests the layers; some depth must be enough. */
static void test_deep_chain(size_t layers, int want)
{
    struct snap_qmp_disks disks;
    struct machine m;
    char *below, *top;
    size_t i;

    prepare(&m);
    below = snap_printf("%s/0", m.dir);
    MUST("qemu-img", "create", "-q", "-f", "qcow2", below, "8M");
    for (i = 1; i < layers; i++) {
        top = snap_printf("%s/%zu", m.dir, i);
        MUST("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b",
             below, "-u", top, "8M");
        free(below);
        below = top;
    }
    start(&m, below);
    is_int(snap_qmp_query_disks(m.q, LONG_MS, &disks), want,
           "a chain of %zu layers gives %d", layers, want);
    if (want)
        like(m.sc.message, "deeper", "the message says why");
    else
        is_str(xvda(&disks)->file, below, "it is read");
    snap_qmp_disks_dispose(&disks);
    if (want) {                 /* the connection is dead: a new one to quit */
        snap_qmp_close(m.q);
        snap_clear(&m.sc);
        if (snap_qmp_open(&m.sc, m.path, LONG_MS, &m.q)) {
            bail("%s", m.sc.message);
        }
    }
    free(below);
    end(&m);
}

int main(void)
{
    if (!have_program(QEMU) || !have_program("qemu-io")) {
        skip_all("needs " QEMU " (Debian package qemu-system-x86) and "
                 "qemu-io (qemu-utils)");
    }
    test_query();
    test_snapshot_and_commit();
    test_during_job("blockdev-backup", "copy-before-write");
    test_during_job("blockdev-mirror", "qcow2");
    test_deep_chain(50, 0);
    test_deep_chain(60, 0);
    return done_testing();
}
