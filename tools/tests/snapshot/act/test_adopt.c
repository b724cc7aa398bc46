/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Snapshots that were made by hand become some of ours: real images, a Xen host
 * made of memory on which the domain is off, the locks and images in a mount
 * namespace of its own.
 */
#include "act/fake_xen.h"

#include <errno.h>
#include <fcntl.h>
#include <libxl_utils.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act/stream.h"
#include "format/memimage.h"
#include "host/journal.h"
#include "host/run.h"
#include "namespace.h"
#include "tap.h"

#define DIR "/var/lib/img"
#define A DIR "/a.qcow2"
#define BASE DIR "/b.img"
#define TOP DIR "/b.1.qcow2"
#define MEMORY DIR "/web.save"
#define XL DIR "/xl"
#define CFG DIR "/web.cfg"
#define STORE DIR "/store"
#define SNAPSHOT STORE "/s1"

static struct snap_ctx sc = SNAP_CTX_INIT;
static libxl_snapshot_adopt_disk disks[2];
static libxl_snapshot_adopt_params params;
static libxl_snapshot_result result;
static libxl_snapshot_set set;

/* The fake has domains by their number. */
int libxl_name_to_domid(libxl_ctx *ctx, const char *name, uint32_t *domid)
{
    (void)ctx;
    *domid = fake->domid;
    return fake->exists && !strcmp(name, fake->name) ? 0 : ERROR_INVAL;
}

static void must(const char *const *argv)
{
    if (snap_run_ok(&sc, argv, 30000, NULL)) bail("%s", sc.message);
}
#define MUST(...) must((const char *const[]){ __VA_ARGS__, NULL })

static void write_file(const char *path, const char *bytes, size_t len,
                       int mode)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);

    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len || fchmod(fd, mode))
        bail("%s: %s", path, strerror(errno));
}

/* libxl's JSON of the domain with these disks besides xvda; malloc'd. */
static char *config(const char *name, const char *more)
{
    return snap_printf(
        "{\"c_info\":{\"type\":\"pvh\",\"name\":\"%s\",\"uuid\":\"" FAKE_UUID
        "\"},\"b_info\":{\"max_vcpus\":1,\"avail_vcpus\":[0],"
        "\"max_memkb\":4096,\"target_memkb\":4096,\"type.pvh\":{}},"
        "\"disks\":[{\"pdev_path\":\"" A "\",\"vdev\":\"xvda\","
        "\"format\":\"qcow2\",\"readwrite\":1}%s]}", name, more);
}

#define XVDB ",{\"pdev_path\":\"" TOP "\",\"vdev\":\"xvdb\"," \
    "\"format\":\"qcow2\",\"readwrite\":1}"

/* An image that `xl save` of such a domain could have written. */
static void save(const char *more)
{
    AUTO_FREE char *text = config("web", more);
    AUTO_FREE char *head = NULL;
    struct snap_text t = { 0 };
    size_t len;

    if (snap_memimage_header(&sc, text, &head, &len)) bail("%s", sc.message);
    snap_text_add_bytes(&t, head, len);
    stream_put(&t);
    write_file(MEMORY, t.data, t.len, 0644);
    free(t.data);
}

/* The stock xl prints that, whatever it is asked. */
static void xl_prints(const char *name, const char *more)
{
    AUTO_FREE char *text = config(name, more);
    AUTO_FREE char *script = snap_printf("#!/bin/sh\necho '%s'\n", text);

    write_file(XL, script, strlen(script), 0755);
}

/* xvda has the tag s1, xvdb was frozen; the domain is off. */
static void begin(void)
{
    snap_clear(&sc);
    fake_begin();
    fake->exists = false;
    MUST("rm", "-rf", DIR, SNAP_LOCK_DIR);
    MUST("mkdir", "-p", "-m", "700", STORE);
    MUST("qemu-img", "create", "-q", "-f", "qcow2", A, "1M");
    MUST("qemu-img", "snapshot", "-c", "old", A);
    MUST("qemu-img", "snapshot", "-c", "s1", A);
    MUST("truncate", "-s", "1M", BASE);
    MUST("touch", "-d", "2020-02-03 04:05:06 UTC", BASE, CFG);
    MUST("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", BASE,
         TOP);
    save(XVDB);
    xl_prints("web", XVDB);
    disks[0] = (libxl_snapshot_adopt_disk) {
        "xvdb", LIBXL_SNAPSHOT_ADOPT_BASE, BASE,
    };
    params = (libxl_snapshot_adopt_params) {
        .domain_name = "web", .domain_config = CFG, .name = "s1",
        .directory = SNAPSHOT, .parent = "s0", .stock_xl = XL,
        .disks = disks, .ndisks = 1,
    };
}

static int adopt(void)
{
    libxl_snapshot_result_dispose(&result);
    libxl_snapshot_set_dispose(&set);
    snap_clear(&sc);
    return libxl_snapshot_adopt(&sc, &params, &result);
}

/* It can be read, and verify has nothing against it. */
static void is_whole(const char *claim)
{
    libxl_snapshot_findings findings;
    size_t i;

    if (libxl_snapshot_load(&sc, SNAPSHOT, &set)
        || libxl_snapshot_verify(&sc, &set, &findings)) {
        ok(false, "%s: %s", claim, sc.message);
        return;
    }
    ok(findings.whole, "%s", claim);
    for (i = 0; i < findings.len; i++)
        if (!findings.data[i].good) diag("%s", findings.data[i].text);
    libxl_snapshot_findings_dispose(&findings);
}

static void refused(const char *message, const char *claim)
{
    int rc = adopt();

    ok(rc && sc.outcome == LIBXL_SNAPSHOT_REFUSED, "refused: %s", claim);
    like(sc.message, message, "with the reason");
    ok(access(SNAPSHOT, F_OK), "and nothing is left behind");
}

/* ---- what is adopted ---- */

static void test_disks(void)
{
    const struct snap_manifest *m = &set.manifest;

    begin();
    is_int(adopt(), 0, "a tag and a base are adopted");
    is_int(sc.outcome, LIBXL_SNAPSHOT_DONE, "and that is all");
    is_whole("verify finds it whole");
    is_str(m->consistency, "crash", "it is as after a power cut");
    is_str(m->parent, "s0", "it has its parent");
    ok(m->ndisks == 2 && m->disks[0].type == SNAP_DISK_INTERNAL
       && !strcmp(m->disks[0].tag_id, "2"), "with the tag's id");
    is_str(m->disks[1].parent, "format=raw,vdev=xvdb,access=ro,target=" BASE,
           "the base is frozen");
    is_str(m->disks[1].child, "format=qcow2,vdev=xvdb,access=rw,target=" TOP,
           "below what the domain writes");
    ok(m->disks[1].sample_sha256 && m->disks[1].mtime_ns, "it is noted how "
       "the base looks");
    ok(strcmp(m->created, "2020-02-03T04:05:06Z") > 0, "its time is the tag's");
    begin();
    disks[1] = (libxl_snapshot_adopt_disk) {
        "xvda", LIBXL_SNAPSHOT_ADOPT_EXCLUDE, NULL,
    };
    params.ndisks = 2;
    params.offline = true;
    is_int(adopt(), 0, "a base alone is");
    is_whole("and is whole");
    is_str(m->created, "2020-02-03T04:05:06Z", "its time is the base's");
    ok(!strcmp(m->consistency, "offline")
       && !strcmp(m->domain_state, "off"), "it was off, as was said");
    ok(snap_strings_have(&m->excluded, "xvda"), "what it has not is named");
}

static void test_memory(void)
{
    struct stat st;

    begin();
    params.memory = MEMORY;
    params.domain_config = NULL;
    is_int(adopt(), 0, "with memory, whose configuration says which disks");
    is_whole("it is whole");
    is_str(set.manifest.consistency, "full", "it is full");
    is_str(set.manifest.xen_version, "4.17", "made by that Xen");
    ok(!stat(SNAPSHOT "/" SNAP_MEMORY_FILE, &st)
       && (st.st_mode & 07777) == 0600, "nobody else can read the copy");
    like(result.notes.data[0], "is your word", "what cannot be seen is told");
}

static void test_dry_run(void)
{
    begin();
    params.dry_run = true;
    is_int(adopt(), 0, "a dry run is done");
    like(result.plan, "write " SNAPSHOT "/" SNAP_MANIFEST_FILE, "with a plan");
    ok(access(SNAPSHOT, F_OK), "and makes nothing");
}

/* ---- what is refused ---- */

static void test_bad_memory(void)
{
    begin();
    params.memory = MEMORY;
    MUST("truncate", "-s", "-8", MEMORY);
    refused("cut short", "an image that is cut short");
    save("");
    refused("without disk 'xvdb', which domain 'web' has", "one with a disk "
            "less");
    save(XVDB ",{\"pdev_path\":\"/x\",\"vdev\":\"xvdc\",\"readwrite\":1}");
    refused("with disk 'xvdc', which domain 'web' has not", "one with a disk "
            "more");
    unlink(MEMORY);
    if (mkfifo(MEMORY, 0600)) bail("mkfifo: %s", strerror(errno));
    refused("is not a regular file", "a FIFO");
    unlink(MEMORY);
    if (symlink(CFG, MEMORY)) bail("symlink: %s", strerror(errno));
    refused("is a symbolic link", "a link");
}

static void test_bad_chain(void)
{
    begin();
    unlink(BASE);
    refused("'" BASE "': No such file", "a base that is gone");
    disks[0].kind = LIBXL_SNAPSHOT_ADOPT_TAG;
    refused("disk 'xvdb': ", "an image without its backing file");
    begin();
    MUST("qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b",
         TOP, BASE, "1M");
    MUST("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", BASE,
         TOP);
    refused("stands twice in its own chain", "a chain without an end");
    begin();
    disks[0].what = TOP;
    refused("is the image that the domain writes", "the present image");
    disks[0].what = A;
    refused("is no layer below its image", "another disk's image");
    disks[0].what = DIR "/new\nline";
    refused("new\nline", "a name with a newline that is not there");
}

static void test_bad_config(void)
{
    begin();
    xl_prints("other", XVDB);
    refused("of domain 'other', not of 'web'", "another domain's xl.cfg");
    params.domain_config = NULL;
    refused("give its xl.cfg with --config", "a domain that is off, without "
            "its xl.cfg");
    params.domain_config = CFG;
    unlink(CFG);
    if (mkfifo(CFG, 0600)) bail("mkfifo: %s", strerror(errno));
    refused("it is not a regular file", "a FIFO");
}

static void test_bad_place(void)
{
    static const char line[] = "{\"journal\": 1, \"what\": \"create\"}\n";
    struct snap_journal j;

    begin();
    MUST("mkdir", SNAPSHOT);
    ok(adopt() && sc.outcome == LIBXL_SNAPSHOT_REFUSED, "refused: a directory "
       "that is there");
    like(sc.message, "the name 's1' is in use", "with the reason");
    ok(!rmdir(SNAPSHOT), "and it stays as it was");
    if (snap_journal_lock(&sc, "web", 0, &j)
        || write(j.fd, line, sizeof(line) - 1) < 0)
        bail("no journal: %s", sc.message ? sc.message : strerror(errno));
    snap_journal_unlock(&j);
    ok(adopt() && sc.outcome == LIBXL_SNAPSHOT_NOT_WHOLE
       && access(SNAPSHOT, F_OK), "refused: while another command is not "
       "finished");
}

static void test_written(void)
{
    int said[2];
    pid_t pid;
    char c;

    begin();
    if (pipe(said)) bail("pipe: %s", strerror(errno));
    pid = fork();
    if (!pid) {
        AUTO_CLOSE int fd = open(BASE, O_RDWR);

        if (write(said[1], "x", 1) == 1) pause();
        _exit(fd < 0);
    }
    if (read(said[0], &c, 1) != 1) bail("no child");
    refused("has it open for writing", "a base that somebody writes");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    begin();
    fake->exists = true;
    snprintf(fake->name, sizeof(fake->name), "other");
    fake_set("/libxl/7/device/vbd/51712/params", "raw:" BASE);
    refused("it is the disk of domain", "a base that is another domain's "
            "disk");
}

int main(void)
{
    if (access("/usr/bin/qemu-img", X_OK)) skip_all("there is no qemu-img");
    if (geteuid() || !own_namespace())
        skip_all("no mount namespace of its own here");
    test_disks();
    test_memory();
    test_dry_run();
    test_bad_memory();
    test_bad_chain();
    test_bad_config();
    test_bad_place();
    test_written();
    libxl_snapshot_result_dispose(&result);
    libxl_snapshot_set_dispose(&set);
    free(sc.hint);
    snap_clear(&sc);
    return done_testing();
}
