/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Delete leaves the memory image if it is told to, and so does the recovery of
 * one that was interrupted; children get another parent.  A Xen host made of
 * memory, the locks in a mount namespace of its own.
 */
#include "act/fake_xen.h"

#include <errno.h>
#include <libxl_utils.h>
#include <string.h>
#include <sys/stat.h>

#include "format/manifest.h"
#include "host/fs.h"
#include "host/journal.h"
#include "host/run.h"
#include "namespace.h"
#include "tap.h"

#define DIR "/var/lib/s1"
#define MANIFEST DIR "/" SNAP_MANIFEST_FILE
#define MEMORY DIR "/" SNAP_MEMORY_FILE
#define STEP "{\"step\":0,\"kind\":\"remove-snapshot\",\"args\":[\"path\",\"" \
    DIR "\",\"keep\",\"" MEMORY "\"],\"commit\":true}\n"

static struct snap_ctx sc = SNAP_CTX_INIT;
static libxl_snapshot_set set;
static const libxl_snapshot_set *others;
static size_t nothers;
static libxl_snapshot_result result;

/* It is off. */
int libxl_name_to_domid(libxl_ctx *ctx, const char *name, uint32_t *domid)
{
    (void)ctx;
    (void)name;
    (void)domid;
    return ERROR_INVAL;
}

static void must(const char *const *argv)
{
    if (snap_run_ok(&sc, argv, 30000, NULL)) bail("%s", sc.message);
}
#define MUST(...) must((const char *const[]){ __VA_ARGS__, NULL })

static void begin(void)
{
    static const char text[] = "{\"format\":\"xl-snapshot\",\"version\":1,"
        "\"name\":\"s1\",\"created\":\"2026-01-02T03:04:05Z\","
        "\"consistency\":\"full\",\"domain\":{\"name\":\"web\",\"uuid\":\""
        FAKE_UUID "\",\"type\":\"pv\",\"state\":\"running\"},"
        "\"memory\":{\"path\":\"memory.xl\",\"size_bytes\":5,\"head_bytes\":1,"
        "\"head_sha256\":\"9f86d081884c7d659a2feaa0c55ad015"
        "a3bf4f1b2b0b822cd15d6c15b0f00a08\"},\"disks\":[]}";

    snap_clear(&sc);
    libxl_snapshot_set_dispose(&set);
    MUST("rm", "-rf", DIR);
    if (mkdir(DIR, 0700)) bail("mkdir: %s", strerror(errno));
    if (snap_fs_publish(&sc, MANIFEST, text, sizeof(text) - 1, false)
        || snap_fs_publish(&sc, MEMORY, "image", 5, false)
        || libxl_snapshot_load(&sc, DIR, &set))
        bail("%s", sc.message);
    if (chmod(MEMORY, 0644)) bail("chmod: %s", strerror(errno));
}

static int delete(bool keep, bool dry_run)
{
    libxl_snapshot_result_dispose(&result);
    return libxl_snapshot_delete(&sc, &(libxl_snapshot_delete_params){
        .domain_name = "web", .set = &set, .keep_memory = keep,
        .others = others, .nothers = nothers,
        .dry_run = dry_run, .retry_command = "again",
    }, &result);
}

static bool is_there(const char *path)
{
    return !access(path, F_OK);
}

/* All that is left is the memory image, and it is private. */
static bool is_kept(void)
{
    struct stat dir, file;

    return !is_there(MANIFEST) && !stat(DIR, &dir) && !stat(MEMORY, &file)
           && (dir.st_mode & 07777) == 0700 && (file.st_mode & 07777) == 0600
           && file.st_size == 5;
}

static void test_delete(void)
{
    begin();
    ok(!delete(true, true) && is_there(MANIFEST), "a dry run keeps all");
    like(result.plan, "remove " DIR, "it says what goes");
    like(result.plan, "but for " MEMORY "\n", "and what stays");
    ok(!delete(true, false) && is_kept(), "the memory image stays, alone and "
       "for us alone");
    is_str(result.memory, MEMORY, "where it is, is in the result");
    begin();
    ok(!delete(false, false) && !is_there(DIR), "it goes with the rest if "
       "nobody asked for it");
    ok(!result.memory, "and is in no result");
}

static void test_none(void)
{
    begin();
    MUST("rm", MEMORY);
    ok(!delete(true, false) && !is_there(DIR), "one that is gone cannot stay");
    ok(result.notes.len && strstr(result.notes.data[0], "no memory image"),
       "which is told");
    begin();
    MUST("ln", "-sf", "/etc/passwd", MEMORY);
    ok(delete(true, false) && is_there(MANIFEST), "a link to one is refused, "
       "and nothing touched");
}

static void test_recover(void)
{
    static const char head[] = "{\"journal\":1,\"what\":\"delete\","
        "\"domain\":\"web\",\"uuid\":null,\"domid\":-1,\"retry\":\"again\"}\n";
    AUTO_FREE char *text = snap_printf("%s" STEP "{\"intend\":0}\n", head);
    struct snap_journal j;

    begin();
    if (snap_journal_lock(&sc, "web", 0, &j)
        || write(j.fd, text, strlen(text)) < 0)
        bail("no journal: %s", sc.message ? sc.message : strerror(errno));
    snap_journal_unlock(&j);
    libxl_snapshot_result_dispose(&result);
    is_int(libxl_snapshot_recover(&sc, "web", false, 0, &result), 0,
           "a delete that was interrupted is recovered");
    ok(is_kept(), "and keeps the memory image");
}

/* What is in memory is enough for a plan. */
static void test_family(void)
{
    char child[] = "/var/lib/s2", copy[] = "/var/lib/copy", s1[] = "s1",
         s2[] = "s2";
    const libxl_snapshot_set family[] = {
        { .directory = child, .manifest = { .name = s2, .parent = s1 } },
        { .directory = copy, .manifest = { .name = s1 } },
    };

    begin();
    others = family;
    nothers = 1;
    ok(!delete(false, true), "one with a child");
    like(result.plan, "note the parent of /var/lib/s2: none [commit]",
         "leaves it its parent, which is none here");
    nothers = 2;
    ok(!delete(false, true), "one with a child and a copy made by hand");
    unlike(result.plan, "parent", "leaves the child to the copy");
    nothers = 0;
}

int main(void)
{
    if (geteuid() || !own_namespace())
        skip_all("no mount namespace of its own here");
    fake_begin();
    fake->exists = false;
    test_delete();
    test_none();
    test_recover();
    test_family();
    libxl_snapshot_result_dispose(&result);
    libxl_snapshot_set_dispose(&set);
    free(sc.hint);
    snap_clear(&sc);
    return done_testing();
}
