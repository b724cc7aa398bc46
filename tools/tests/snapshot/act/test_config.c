/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the toolstack is told of new images, and how it is taken back. */
#include "act/fake_xen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "step/step.h"
#include "tap.h"

#define LIB "/libxl/7/device/vbd/51712"
#define BACKEND "/local/domain/0/backend/qdisk/7/51712"

static char tmp[] = "/tmp/snap-config-XXXXXX";
static char *base, *overlay;
static struct snap_ctx sc = SNAP_CTX_INIT;

/* ---- a domain with one disk ---- */

static void make_file(const char *path, const char *bytes, size_t len)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                             0600);

    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
        bail("%s: %s", path, strerror(errno));
}

/* The head of a qcow2 that names a backing file: see docs/interop/qcow2.txt
 * of QEMU; the rest is never looked at. */
static void make_overlay(const char *on)
{
    char head[4096] = "QFI\xfb\0\0\0\3";

    head[14] = 2;                               /* backing name at 512 */
    head[19] = (char)strlen(on);
    head[23] = 16;                              /* cluster bits */
    memcpy(head + 512, on, strlen(on));
    make_file(overlay, head, sizeof(head));
}

static char *params(const char *path)
{
    return snap_printf("qcow2:%s", path);
}

static void make_domain(void)
{
    AUTO_FREE char *p = params(base);

    fake_begin();
    fake_set(LIB "/backend", BACKEND);
    fake_set(LIB "/dev", "xvda");
    fake_set(LIB "/params", p);
    fake_set(BACKEND "/params", p);
    snprintf(fake->userdata, sizeof(fake->userdata), "{\"disks\":[{"
             "\"pdev_path\":\"%s\",\"vdev\":\"xvda\",\"format\":\"qcow2\","
             "\"readwrite\":1}]}", base);
    unlink(overlay);
    make_file(base, "base", 4);
}

static void make_step(struct snap_step *s)
{
    AUTO_FREE char *old = params(base), *new = params(overlay);

    memset(s, 0, sizeof(*s));
    s->kind = STEP_CONFIG;
    snap_step_arg(s, "domid", "7");
    snap_step_arg(s, "vdev", "xvda");
    snap_step_arg(s, "devid", "51712");
    snap_step_arg(s, "backend", BACKEND);
    snap_step_arg(s, "old-params", old);
    snap_step_arg(s, "new-params", new);
    snap_step_arg(s, "old-path", base);
    snap_step_arg(s, "new-path", overlay);
    snap_step_arg(s, "old-format", "qcow2");
}

static bool all_name(const char *path)
{
    AUTO_FREE char *want = params(path);
    AUTO_FREE char *quoted = snap_printf("\"%s\"", path);

    return !strcmp(fake_get(LIB "/params"), want)
           && !strcmp(fake_get(BACKEND "/params"), want)
           && strstr(fake->userdata, quoted);
}

struct run {
    struct snap_xen xen;
    struct snap_strings notes;
    struct snap_act act;
    struct snap_step step;
};

static void begin(struct run *r)
{
    memset(r, 0, sizeof(*r));
    make_domain();
    fake_open(&sc, &r->xen);
    r->act = (struct snap_act) {
        .sc = &sc, .xen = &r->xen, .memory_fd = -1, .notes = &r->notes,
    };
    make_step(&r->step);
}

static void end(struct run *r)
{
    snap_worker_stop(r->act.worker);
    snap_strings_dispose(&r->step.args);
    snap_strings_dispose(&r->notes);
    snap_clear(&sc);
}

static int apply(struct run *r)
{
    return snap_step_config.apply(&r->act, &r->step);
}

static int undo(struct run *r)
{
    return snap_step_config.undo(&r->act, &r->step);
}

/* ---- claims ---- */

static void test_there_and_back(void)
{
    struct run r;

    begin(&r);
    is_int(apply(&r), 0, "the toolstack is told");
    ok(all_name(overlay), "xenstore and libxl name the overlay");
    is_int(apply(&r), 0, "told again, nothing changes");
    ok(all_name(overlay), "they name it still");
    make_overlay(base);
    is_int(undo(&r), 0, "it is taken back, after QEMU has left the overlay");
    ok(all_name(base), "they name the base again");
    ok(access(overlay, F_OK), "the overlay is removed, although the domain "
       "itself named it");
    is_int(undo(&r), 0, "taken back again, nothing changes");
    ok(all_name(base), "they name the base still");
    end(&r);
}

static void test_never_applied(void)
{
    struct run r;

    begin(&r);
    is_int(undo(&r), 0, "what never happened is taken back");
    ok(all_name(base), "and changes nothing");
    end(&r);
}

static void test_somebody_elses(void)
{
    struct run r;

    begin(&r);
    make_file(overlay, "mine", 4);
    is_int(apply(&r), 0, "a file came to the overlay's path");
    is_int(undo(&r), 0, "the names are taken back");
    ok(!access(overlay, F_OK), "what is no overlay on the base stays");
    ok(r.notes.len == 1 && strstr(r.notes.data[0], "was left where it is"),
       "which is said");
    make_overlay("/somewhere/else");
    is_int(undo(&r), 0, "nor is one on another base");
    ok(!access(overlay, F_OK), "removed");
    end(&r);
}

/* A process that has the overlay open until its pipe is closed. */
static pid_t hold_open(int *pipe_end)
{
    int fds[2];
    pid_t pid;

    if (pipe(fds)) bail("pipe");
    pid = fork();
    if (!pid) {
        int fd = open(overlay, O_RDWR);
        char c;

        close(fds[1]);
        if (read(fds[0], &c, 1) < 0 || fd < 0) _exit(1);
        _exit(0);
    }
    close(fds[0]);
    *pipe_end = fds[1];
    usleep(200000);
    return pid;
}

static void test_still_open(void)
{
    struct run r;
    int end_of_pipe;
    pid_t pid;

    begin(&r);
    apply(&r);
    make_overlay(base);
    pid = hold_open(&end_of_pipe);
    ok(undo(&r) < 0, "an overlay that a process has open is not removed");
    like(sc.message, "is in use by process", "with the reason");
    ok(!access(overlay, F_OK), "it is there");
    ok(all_name(base), "but the toolstack names the base");
    close(end_of_pipe);
    waitpid(pid, NULL, 0);
    snap_clear(&sc);
    is_int(undo(&r), 0, "later it can be finished");
    ok(access(overlay, F_OK), "and it is gone");
    end(&r);
}

static void test_changed_by_others(void)
{
    struct run r;

    begin(&r);
    fake_set(BACKEND "/params", "qcow2:/another.qcow2");
    ok(apply(&r) < 0, "a disk that somebody else changed is refused");
    like(sc.message, "was changed by somebody else", "with the reason");
    is_str(fake_get(LIB "/params") + 6, base, "and nothing is written");
    end(&r);
}

int main(void)
{
    if (!mkdtemp(tmp)) bail("mkdtemp: %s", strerror(errno));
    base = snap_printf("%s/a.qcow2", tmp);
    overlay = snap_printf("%s/a.s1.qcow2", tmp);
    test_there_and_back();
    test_never_applied();
    test_somebody_elses();
    test_still_open();
    test_changed_by_others();
    unlink(base);
    unlink(overlay);
    rmdir(tmp);
    free(base);
    free(overlay);
    return done_testing();
}
