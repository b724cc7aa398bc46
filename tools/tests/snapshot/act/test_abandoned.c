/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Abandoned overlays are removed, and what only looks like one stays: real
 * images, a Xen host made of memory, the locks in a mount namespace of its own.
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

#include "format/manifest.h"
#include "host/journal.h"
#include "host/run.h"
#include "namespace.h"
#include "tap.h"

#define DIR "/var/lib/img"
#define BASE DIR "/b.img"
#define PRESENT DIR "/b.s1-r3.qcow2"
#define OLD DIR "/b.s1-r1.qcow2"
#define OLDER DIR "/b.s1.qcow2"
#define VBD "/libxl/7/device/vbd/51712"

static struct snap_ctx sc = SNAP_CTX_INIT;
static libxl_snapshot_set sets[2];      /* the second one: only when asked */
static size_t nsets;
static libxl_snapshot_inventory listed;
static libxl_snapshot_removal removal;

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

static void overlay(const char *path, const char *base, const char *format)
{
    MUST("qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b", base,
         path);
}

static void has_disk(const char *vbd, const char *path)
{
    AUTO_FREE char *name = snap_printf("%s/params", vbd);
    AUTO_FREE char *params = snap_printf("qcow2:%s", path);

    fake_set(name, params);
}

static void froze(size_t set, const char *image, const char *format)
{
    struct snap_manifest *m = &sets[set].manifest;
    struct snap_manifest_disk *d = snap_manifest_add_disk(m);

    m->name = snap_strdup(set ? "s2" : "s1");
    d->vdev = snap_strdup("xvda");
    d->type = SNAP_DISK_EXTERNAL;
    d->image = snap_strdup(image);
    d->format = snap_strdup(format);
}

/* A domain that was reverted to s1 twice, and what that left; listed. */
static void begin(void)
{
    libxl_snapshot_images_params p = { .domain_name = "web", .own = sets,
                                       .nown = 1 };
    size_t i;

    snap_clear(&sc);
    fake_begin();
    MUST("rm", "-rf", DIR);
    if (mkdir(DIR, 0700)) bail("mkdir: %s", strerror(errno));
    MUST("truncate", "-s", "1M", BASE);
    overlay(PRESENT, BASE, "raw");
    overlay(OLD, BASE, "raw");
    overlay(OLDER, BASE, "raw");
    has_disk(VBD, PRESENT);
    for (i = 0; i < 2; i++) libxl_snapshot_set_dispose(&sets[i]);
    froze(0, BASE, "raw");
    nsets = 1;
    libxl_snapshot_inventory_dispose(&listed);
    if (libxl_snapshot_images(&sc, &p, &listed)) bail("%s", sc.message);
}

static int remove_listed(void)
{
    libxl_snapshot_images_params now = { .domain_name = "web", .own = sets,
                                         .nown = nsets };
    libxl_snapshot_remove_params p = {
        .domain_name = "web", .now = &now, .listed = &listed,
        .retry_command = "again",
    };

    libxl_snapshot_removal_dispose(&removal);
    return libxl_snapshot_remove_abandoned(&sc, &p, &removal);
}

static bool is_there(const char *path)
{
    return !access(path, F_OK);
}

static void test_removed(void)
{
    begin();
    is_int(remove_listed(), 0, "what is abandoned is removed");
    is_int(sc.outcome, LIBXL_SNAPSHOT_DONE, "which is done then");
    ok(!is_there(OLD) && !is_there(OLDER), "both are gone");
    ok(is_there(BASE) && is_there(PRESENT), "the others are not");
    ok(snap_strings_have(&removal.removed, OLD) && removal.removed.len == 2
       && !removal.stayed.len, "which is told");
}

/* Behind a change since the listing, OLD stays, and OLDER goes. */
static void stays(const char *part, const char *claim)
{
    ok(remove_listed() < 0, "%s: that is no success", claim);
    ok(is_there(OLD), "it stays");
    ok(!is_there(OLDER), "the other one goes");
    is_int(sc.outcome, LIBXL_SNAPSHOT_NOT_WHOLE, "so it is not whole");
    is_str(sc.hint, "again", "and can be repeated");
    if (removal.stayed.len == 1)
        like(removal.stayed.data[0], part, "why is told");
    else
        ok(false, "one stayed");
}

static void test_changed(void)
{
    begin();
    MUST("touch", "-d", "2001-01-01", OLD);
    stays("written or replaced", "written since");
    begin();
    MUST("cp", "-p", OLD, DIR "/copy");
    MUST("mv", DIR "/copy", OLD);
    stays("written or replaced", "replaced since");
    begin();
    MUST("ln", OLD, DIR "/link");
    stays("hard links", "with another name");
    begin();
    overlay(DIR "/top.qcow2", OLD, "qcow2");
    stays("it is needed now: below", "something stands on it");
    begin();
    overlay(DIR "/top.img", OLD, "qcow2");
    MUST("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b",
         "json:{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\","
         "\"filename\":\"" OLD "\"}}", DIR "/top.img");
    stays("stands on it", "something stands on it that names it oddly");
    begin();
    froze(1, OLD, "qcow2");
    nsets = 2;
    stays("it is needed now: base", "a snapshot froze it");
    begin();
    MUST("qemu-img", "snapshot", "-c", "mine", OLD);
    stays("written or replaced", "with a tag");
}

static void test_domains(void)
{
    begin();
    fake_set("/local/domain/9/name", "other");
    has_disk("/libxl/9/device/vbd/51712", OLD);
    stays("it is needed now: active", "another domain has it");
    begin();
    has_disk(VBD, OLD);
    ok(remove_listed() < 0 && is_there(OLD), "the domain itself has it");
    begin();
    fake->exists = false;
    ok(remove_listed() < 0 && is_there(OLD) && is_there(OLDER), "the domain "
       "runs no more: nothing goes");
    is_int(sc.outcome, LIBXL_SNAPSHOT_REFUSED, "so nothing was touched");
    like(sc.message, "does not run", "which is said");
    begin();
    snprintf(fake->unreadable, sizeof(fake->unreadable), VBD "/params");
    ok(remove_listed() < 0 && is_there(OLD) && is_there(OLDER), "what domains "
       "have cannot be read: nothing goes");
}

static void test_open(void)
{
    int said[2];
    char c;
    pid_t pid;

    begin();
    if (pipe(said)) bail("pipe: %s", strerror(errno));
    pid = fork();
    if (!pid) {
        AUTO_CLOSE int fd = open(OLD, O_RDONLY);

        if (write(said[1], "x", 1) == 1) pause();
        _exit(fd < 0);
    }
    if (read(said[0], &c, 1) != 1) bail("no child");
    stays("in use by process", "somebody has it open");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void test_interrupted(void)
{
    static const char line[] = "{\"journal\": 1, \"what\": \"create\"}\n";
    struct snap_journal j;

    begin();
    if (snap_journal_lock(&sc, "web", 0, &j)
        || write(j.fd, line, sizeof(line) - 1) < 0)
        bail("no journal: %s", sc.message ? sc.message : strerror(errno));
    snap_journal_unlock(&j);
    ok(remove_listed() < 0 && is_there(OLD), "while another command is not "
       "finished nothing goes");
    like(sc.hint, "snapshot-recover web", "what is to be done first is told");
    MUST("rm", "-r", SNAP_LOCK_DIR);
    begin();
    sc.cancelled = 1;
    ok(remove_listed() < 0 && is_there(OLD) && is_there(OLDER), "after a "
       "signal nothing goes");
    sc.cancelled = 0;
}

int main(void)
{
    if (access("/usr/bin/qemu-img", X_OK)) skip_all("there is no qemu-img");
    if (geteuid() || !own_namespace())
        skip_all("no mount namespace of its own here");
    test_removed();
    test_changed();
    test_domains();
    test_open();
    test_interrupted();
    libxl_snapshot_inventory_dispose(&listed);
    libxl_snapshot_removal_dispose(&removal);
    libxl_snapshot_set_dispose(&sets[0]);
    libxl_snapshot_set_dispose(&sets[1]);
    free(sc.hint);
    snap_clear(&sc);
    return done_testing();
}
