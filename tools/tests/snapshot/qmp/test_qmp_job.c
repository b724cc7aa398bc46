/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The jobs that merge layers, against a real QEMU with a device, whose disk has
 * its own thread as Xen's have: stopped before the first instruction, so no
 * guest runs.  The chain is low <- middle <- high <- top.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tap.h"
#include "host/image.h"
#include "host/image_merge.h"
#include "libxl_qmp_job.h"
#include "server.h"
#include "step/merge_guard.h"

#define LONG_MS 30000
#define QEMU "qemu-system-x86_64"
#define RUN(...) run_program((const char *const[]){ __VA_ARGS__, NULL })
#define MUST(...) must(RUN(__VA_ARGS__), #__VA_ARGS__)

enum { LOW, MIDDLE, HIGH, TOP, LAYERS };

struct machine {
    char *dir, *path;
    struct snap_fs_id files[LAYERS];
    pid_t pid;
    struct snap_ctx sc;
    struct snap_qmp *q;
};

static void must(int status, const char *what)
{
    if (status) bail("%s ended with %d", what, status);
}

/* Each layer has a MiB of its own behind that of the one below. */
static void make_images(struct machine *m)
{
    static const char *const names[] = { "low", "middle", "high", "top" };
    AUTO_FREE char *below = NULL;
    int i;

    for (i = 0; i < LAYERS; i++) {
        AUTO_FREE char *path = snap_printf("%s/%s", m->dir, names[i]);
        AUTO_FREE char *write = snap_printf("write -q -P %d %dM 1M", i + 1, i);

        if (below)
            MUST("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2",
                 "-b", below, path);
        else
            MUST("qemu-img", "create", "-q", "-f", "qcow2", path, "8M");
        MUST("qemu-io", "-f", "qcow2", "-c", write, path);
        free(below);
        below = snap_strdup(path);
        if (snap_fs_identify(&m->sc, path, &m->files[i]))
            bail("%s", m->sc.message);
    }
}

static void start(struct machine *m)
{
    AUTO_FREE char *monitor = NULL, *file = NULL;

    *m = (struct machine){ .q = NULL };
    m->dir = make_dir();
    m->path = snap_printf("%s/qmp", m->dir);
    make_images(m);
    monitor = snap_printf("unix:%s,server=on,wait=off", m->path);
    file = snap_printf("file,node-name=f,locking=off,filename=%s",
                       m->files[TOP].real);
    m->pid = start_program((const char *const[]){
        QEMU, "-S", "-nodefaults", "-display", "none", "-m", "16",
        "-machine", "pc,accel=tcg", "-qmp", monitor,
        "-object", "iothread,id=t", "-blockdev", file,
        "-blockdev", "qcow2,node-name=xvda-qcow2,file=f",
        "-device", "virtio-blk-pci,drive=xvda-qcow2,share-rw=on,iothread=t",
        NULL });
    if (!await_path(m->path)) bail(QEMU " did not start");
    if (snap_qmp_open(&m->sc, m->path, LONG_MS, &m->q))
        bail("%s", m->sc.message);
}

static void quit(struct machine *m)
{
    if (!m->q) return;
    snap_clear(&m->sc);
    if (snap_qmp_command(m->q, "quit", NULL, LONG_MS, NULL))
        diag("quit: %s", m->sc.message);
    snap_clear(&m->sc);
    snap_qmp_close(m->q);
    m->q = NULL;
    is_int(end_program(m->pid), true, "QEMU ends well");
}

static void end(struct machine *m)
{
    int i;

    quit(m);
    snap_ctx_dispose(&m->sc);
    remove_dir(m->dir);
    for (i = 0; i < LAYERS; i++)
        free(m->files[i].real);
    free(m->dir);
    free(m->path);
}

/* All four patterns are read through this image. */
static bool reads(const char *image)
{
    const char *const argv[] = {
        "qemu-io", "-r", "-U", "-f", "qcow2", "-c", "read -q -P 1 0 1M",
        "-c", "read -q -P 2 1M 1M", "-c", "read -q -P 3 2M 1M",
        "-c", "read -q -P 4 3M 1M", image, NULL,
    };
    AUTO_FREE char *text = read_program(argv);

    /* What differs is said on stdout. */
    return text && !strstr(text, "failed");
}

/* The file names of a chain, top first, by the headers; static. */
static const char *chain(struct machine *m, int layer)
{
    static char text[200];
    struct snap_chain c;
    size_t i;

    text[0] = '\0';
    if (snap_image_chain(&m->sc, m->files[layer].real, "qcow2", &c))
        bail("%s", m->sc.message);
    for (i = 0; i < c.len; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
                 i ? " " : "", strrchr(c.data[i].path, '/') + 1);
    snap_chain_dispose(&c);
    return text;
}

static struct snap_qmp_merge pair(struct machine *m, int top, int base)
{
    return (struct snap_qmp_merge){
        .job_id = "j", .top = &m->files[top], .base = &m->files[base],
        .top_format = "qcow2", .base_format = "qcow2",
    };
}

/* Wait until the job has this status; "": until it is gone. */
static bool comes_to(struct machine *m, const char *type, const char *status)
{
    struct snap_qmp_job j = { 0 };
    bool is = false;
    int i;

    for (i = 0; i < 300 && !is; i++) {
        if (snap_qmp_job_query(m->q, "j", type, LONG_MS, &j))
            bail("query: %s", m->sc.message);
        is = j.there ? !strcmp(j.status, status) : !*status;
        if (!is) poll(NULL, 0, 100);
    }
    snap_qmp_job_dispose(&j);
    return is;
}

static int tell(struct machine *m, const char *command)
{
    return snap_qmp_job_tell(m->q, "j", command, LONG_MS);
}

/* The file that the device writes. */
static bool writes(struct machine *m, int layer)
{
    struct snap_qmp_disks disks;
    bool is;

    if (snap_qmp_query_disks(m->q, LONG_MS, &disks))
        bail("query_disks: %s", m->sc.message);
    is = disks.len == 1
         && snap_fs_leads_to(disks.data[0].file, &m->files[layer]);
    snap_qmp_disks_dispose(&disks);
    return is;
}

/* ---- stream ------------------------------------------------------ */

static void stream(int top, int base, const char *before, const char *after)
{
    AUTO_JSON struct snap_json *nodes = NULL;
    struct snap_qmp_merge merge;
    struct machine m;

    start(&m);
    merge = pair(&m, top, base);
    is_int(snap_qmp_start_stream(m.q, &merge, LONG_MS), 0, "a stream starts");
    ok(comes_to(&m, "stream", "pending"), "it stops before its end");
    is_str(chain(&m, TOP), before, "no header is changed until then");
    is_int(snap_image_check_streamed(&m.sc, 0, m.files[top].real), ERROR_FAIL,
           "what was copied is not all on disk, which is seen");
    snap_clear(&m.sc);
    is_int(snap_qmp_flush(m.q, &m.files[top], "qcow2", LONG_MS), 0,
           "it can be flushed");
    is_int(snap_image_check_streamed(&m.sc, 0, m.files[top].real), 0,
           "then it is there");
    ok(reads(m.files[TOP].real), "and the disk reads the same");
    is_int(tell(&m, "job-finalize"), 0, "it may end");
    ok(comes_to(&m, "stream", ""), "and is gone by itself");
    is_int(snap_qmp_nodes(m.q, LONG_MS, &nodes), 0, "QEMU can be asked for its "
           "nodes then, which is not so before a stream is dismissed");
    is_str(chain(&m, TOP), after, "the layer between is out of the chain");
    quit(&m);
    ok(reads(m.files[TOP].real), "the disk reads the same");
    end(&m);
}

static void test_stream_fails(void)
{
    struct snap_qmp_merge merge;
    struct snap_qmp_job j = { 0 };
    struct machine m;

    start(&m);
    merge = pair(&m, TOP, MIDDLE);
    merge.speed = 1;
    is_int(snap_qmp_start_stream(m.q, &merge, LONG_MS), 0,
           "a slow stream starts");
    is_int(snap_qmp_start_stream(m.q, &merge, LONG_MS), ERROR_FAIL,
           "but not twice");
    like(m.sc.message, "/top': Node ", "which QEMU says");
    snap_clear(&m.sc);
    is_int(snap_qmp_job_query(m.q, "j", "commit", LONG_MS, &j), ERROR_INVAL,
           "it is no commit");
    like(m.sc.message, "'j' is no commit: it is not ours", "which is said");
    snap_clear(&m.sc);
    snap_qmp_job_dispose(&j);
    is_int(tell(&m, "job-cancel"), 0, "it can be cancelled");
    ok(comes_to(&m, "stream", ""), "and is gone");
    is_str(chain(&m, TOP), "top high middle low", "the chain is as it was");
    unlink(m.files[LOW].real);
    merge.base = &m.files[LOW];
    is_int(snap_qmp_start_stream(m.q, &merge, LONG_MS), ERROR_NOTFOUND,
           "a file that nobody has by its name is not merged");
    like(m.sc.message, "/low' open as qcow2",
         "which is said");
    snap_clear(&m.sc);
    is_int(snap_qmp_flush(m.q, &m.files[LOW], "qcow2", LONG_MS),
           ERROR_NOTFOUND, "nor flushed");
    end(&m);
}

/* ---- commit ------------------------------------------------------ */

/* The upper layer was opened with the device and stays open, on the lower one,
 * which could not be frozen. */
static void sever(struct machine *m)
{
    AUTO_FREE char *overlay = snap_printf("%s/next", m->dir);
    struct snap_qmp_disks disks;
    struct snap_qmp_action action = {
        .external = true, .overlay = overlay, .overlay_node = "next",
        .overlay_format = "qcow2",
    };

    if (snap_qmp_query_disks(m->q, LONG_MS, &disks))
        bail("query_disks: %s", m->sc.message);
    action.node = disks.data[0].node;
    is_int(snap_qmp_transaction(m->q, &action, 1, LONG_MS), ERROR_FAIL,
           "the lower layer is in use by the upper one, which nothing reads");
    snap_clear(&m->sc);
    unlink(overlay);
    is_int(snap_qmp_sever(m->q, m->files[TOP].real, LONG_MS), 0,
           "QEMU can be told to let go of it");
    is_int(snap_qmp_transaction(m->q, &action, 1, LONG_MS), 0,
           "then it can be snapshotted");
    is_int(snap_qmp_sever(m->q, m->files[TOP].real, LONG_MS), 0,
           "once more changes nothing");
    is_int(snap_qmp_sever(m->q, "/no/such", LONG_MS), 0,
           "nor does an image that QEMU has not");
    snap_qmp_disks_dispose(&disks);
}

static void test_commit(void)
{
    struct snap_qmp_merge merge;
    struct machine m;

    start(&m);
    merge = pair(&m, TOP, HIGH);
    is_int(snap_qmp_start_commit(m.q, &merge, LONG_MS), 0, "a commit starts");
    ok(comes_to(&m, "commit", "ready"), "it waits when all is copied");
    ok(writes(&m, TOP), "the guest writes to the upper layer");
    is_int(tell(&m, "job-complete"), 0, "it may go on");
    ok(comes_to(&m, "commit", "pending"), "and stops before its end");
    ok(writes(&m, TOP), "the guest is where it was");
    ok(reads(m.files[HIGH].real), "the lower layer has all, on disk");
    is_int(tell(&m, "job-cancel"), 0, "it can be taken back there");
    ok(comes_to(&m, "commit", "concluded"), "which ends it");
    is_int(tell(&m, "job-dismiss"), 0, "it is to be dismissed");
    ok(writes(&m, TOP), "the guest stays on the upper layer");
    is_int(snap_qmp_start_commit(m.q, &merge, LONG_MS), 0, "once more");
    ok(comes_to(&m, "commit", "ready"), "it is ready");
    is_int(tell(&m, "job-complete"), 0, "it goes on");
    ok(comes_to(&m, "commit", "pending"), "it stops");
    is_int(tell(&m, "job-finalize"), 0, "it may end");
    ok(comes_to(&m, "commit", "concluded"), "it ends");
    is_int(tell(&m, "job-dismiss"), 0, "it is dismissed");
    ok(writes(&m, HIGH), "the guest writes to the lower layer");
    sever(&m);
    quit(&m);
    ok(reads(m.files[HIGH].real), "which reads as the upper one did");
    end(&m);
}

/* ---- who dies while the guest's disk waits ----------------------- */

/* A process that starts a guard for it and ends, well or not. */
static void guard_and_end(struct machine *m, const char *child, bool well)
{
    const struct snap_merge_guard_charge charge = {
        .qmp = m->path, .job = "j", .type = "commit", .child = child,
    };
    pid_t pid = fork();

    if (pid < 0) bail("fork");
    if (!pid) {
        struct snap_merge_guard *g;

        if (snap_merge_guard_start(&m->sc, &charge, &g)) _exit(1);
        if (well) snap_merge_guard_end(g);
        _exit(0);
    }
    if (waitpid(pid, NULL, 0) != pid) bail("waitpid");
}

static void reopen(struct machine *m)
{
    if (snap_qmp_open(&m->sc, m->path, LONG_MS, &m->q))
        bail("%s", m->sc.message);
}

static void test_guard(bool aside, int where)
{
    AUTO_FREE char *other = NULL;
    struct snap_qmp_merge merge;
    struct machine m;

    start(&m);
    merge = pair(&m, TOP, HIGH);
    other = snap_printf("%s.aside", m.files[TOP].real);
    if (snap_qmp_start_commit(m.q, &merge, LONG_MS)
        || !comes_to(&m, "commit", "ready") || tell(&m, "job-complete")
        || !comes_to(&m, "commit", "pending"))
        bail("no commit: %s", m.sc.message);
    guard_and_end(&m, m.files[TOP].real, true);
    ok(comes_to(&m, "commit", "pending"), "a guard that is not needed does "
       "nothing");
    if (aside && rename(m.files[TOP].real, other)) bail("rename");
    snap_qmp_close(m.q);
    guard_and_end(&m, m.files[TOP].real, false);
    poll(NULL, 0, 500);         /* it is in nobody's way */
    reopen(&m);
    ok(comes_to(&m, "commit", "concluded"), "it lets the guest go on");
    ok(writes(&m, where), aside ? "in the base when the child is aside"
                                : "in the child when that has its name");
    if (aside && rename(other, m.files[TOP].real)) bail("rename");
    end(&m);
}

int main(void)
{
    if (!have_program(QEMU) || !have_program("qemu-io"))
        skip_all("needs " QEMU " (Debian package qemu-system-x86) and "
                 "qemu-io (qemu-utils)");
    stream(TOP, MIDDLE, "top high middle low", "top middle low");
    stream(HIGH, LOW, "top high middle low", "top high low");
    test_stream_fails();
    test_commit();
    test_guard(false, TOP);
    test_guard(true, HIGH);
    return done_testing();
}
