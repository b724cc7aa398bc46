/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Repair on real images and directories, without a Xen: what can be told is
 * put right, all else stays as it is. The locks are in a mount namespace of its
 * own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "format/manifest.h"
#include "host/hash.h"
#include "host/journal.h"
#include "host/run.h"
#include "op/op.h"
#include "namespace.h"
#include "tap.h"

static char dir[] = "/tmp/snap-repair-XXXXXX";
static struct snap_ctx sc = SNAP_CTX_INIT;
static libxl_snapshot_mends mends;
static const char *unread;
static bool protect, dry_run;

static void must(const char *const *argv)
{
    if (snap_run_ok(&sc, argv, 30000, NULL)) bail("%s", sc.message);
}
#define MUST(...) must((const char *const[]){ __VA_ARGS__, NULL })

/* In the images' directory, or in the domain's. */
static char *img(const char *name)
{
    return snap_printf("%s/img/%s", dir, name);
}

static char *web(const char *name)
{
    return snap_printf("%s/web/%s", dir, name);
}

static void overlay(const char *name, const char *base)
{
    AUTO_FREE char *path = img(name);
    AUTO_FREE char *below = img(base);

    MUST("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b",
         below, path);
}

static void add_disk(struct snap_manifest *m, const char *base,
                     const char *above)
{
    struct snap_manifest_disk *d = snap_manifest_add_disk(m);
    struct snap_fs_id id;

    d->image = img(base);
    d->sample_sha256 = snap_zalloc(SNAP_HASH_SIZE);
    if (snap_fs_identify(&sc, d->image, &id)
        || snap_hash_sample(&sc, d->image, d->sample_sha256))
        bail("%s", sc.message);
    d->vdev = snap_strdup("xvdb");
    d->type = SNAP_DISK_EXTERNAL;
    d->format = snap_strdup("qcow2");
    d->parent = snap_spec_print("xvdb", "qcow2", false, d->image);
    d->overlay = img(above);
    d->child = snap_spec_print("xvdb", "qcow2", true, d->overlay);
    d->virtual_size_bytes = 16 << 20;
    d->dev = id.dev;
    d->ino = id.ino;
    d->size_bytes = id.size_bytes;
    d->mtime_ns = id.mtime_ns;
    free(id.real);
}

static void write_manifest(const char *directory, const struct snap_manifest *m)
{
    AUTO_FREE char *path = snap_printf("%s/%s", directory, SNAP_MANIFEST_FILE);
    AUTO_FREE char *text = snap_manifest_print(m);

    if (snap_manifest_check(&sc, path, m)
        || snap_fs_publish(&sc, path, text, strlen(text), true))
        bail("%s", sc.message);
}

static void snapshot(const char *name, const char *parent, const char *base,
                     const char *above)
{
    AUTO_FREE char *directory = web(name);
    struct snap_manifest m = {
        .name = snap_strdup(name), .parent = snap_strdup(parent),
        .created = snap_strdup("2026-01-02T03:04:05Z"),
        .consistency = snap_strdup("offline"),
        .domain_name = snap_strdup("web"),
        .domain_uuid = snap_strdup("5f3c8a52-6c0e-4a8e-9d8c-3f2f0e6f7b11"),
        .domain_type = snap_strdup("pvh"), .domain_state = snap_strdup("off"),
    };

    add_disk(&m, base, above);
    if (mkdir(directory, 0700)) bail("%s: %s", directory, strerror(errno));
    write_manifest(directory, &m);
    snap_manifest_dispose(&m);
}

/* b <- b.s1 <- b.s2, which s1 and s2 made. */
static void make(void)
{
    AUTO_FREE char *all = snap_printf("%s/img", dir);
    AUTO_FREE char *snapshots = snap_printf("%s/web", dir);
    AUTO_FREE char *base = img("b");

    snap_clear(&sc);
    protect = dry_run = false;
    unread = NULL;
    if (!access(base, F_OK)) snap_fs_set_immutable(&sc, base, false);
    MUST("rm", "-rf", all, snapshots);
    MUST("mkdir", "-m", "700", all, snapshots);
    MUST("qemu-img", "create", "-q", "-f", "qcow2", base, "16M");
    MUST("qemu-io", "-f", "qcow2", "-c", "write -q -P 7 0 1M", base);
    overlay("b.s1", "b");
    snapshot("s1", NULL, "b", "b.s1");
    overlay("b.s2", "b.s1");
    snapshot("s2", "s1", "b.s1", "b.s2");
}

static void load(const char *directory, libxl_snapshot_set *set)
{
    if (libxl_snapshot_load(&sc, directory, set)) bail("%s", sc.message);
}

/* Every other directory in the domain's is another snapshot. */
static int repair_in(const char *directory)
{
    static const char *const names[] = { "s1", "s2", "first", "odd name" };
    AUTO_FREE char *current = web("current");
    libxl_snapshot_set others[4] = { { 0 } };
    libxl_snapshot_repair_params p = {
        .domain_name = "web", .directory = directory, .current_path = current,
        .others = others, .unread = unread, .protect = protect,
        .dry_run = dry_run, .retry_command = "again",
    };
    size_t i;
    int rc;

    for (i = 0; i < 4; i++) {
        AUTO_FREE char *path = web(names[i]);

        if (strcmp(path, directory) && !access(path, F_OK))
            load(path, &others[p.nothers++]);
    }
    libxl_snapshot_mends_dispose(&mends);
    snap_clear(&sc);
    rc = libxl_snapshot_repair(&sc, &p, &mends);
    for (i = 0; i < p.nothers; i++) libxl_snapshot_set_dispose(&others[i]);
    for (i = 0; i < mends.len; i++)
        note("%s: %d%d: %s", mends.data[i].part, mends.data[i].can,
             mends.data[i].done, mends.data[i].text);
    return rc;
}

static int repair(const char *name)
{
    AUTO_FREE char *directory = web(name);

    return repair_in(directory);
}

static const libxl_snapshot_mend *find(const char *part, const char *text)
{
    size_t i;

    for (i = 0; i < mends.len; i++)
        if (!strcmp(mends.data[i].part, part)
            && strstr(mends.data[i].text, text))
            return &mends.data[i];
    return NULL;
}

/* This is the only mend, and was made. */
static bool mended(const char *part, const char *text)
{
    const libxl_snapshot_mend *m = find(part, text);

    return m && m->done && mends.len == 1;
}

static bool not_mended(const char *part, const char *text)
{
    const libxl_snapshot_mend *m = find(part, text);

    return m && !m->can && !m->done;
}

static bool is_whole(const char *name)
{
    AUTO_FREE char *directory = web(name);
    libxl_snapshot_findings f;
    libxl_snapshot_set set;
    bool whole;

    load(directory, &set);
    whole = !libxl_snapshot_verify(&sc, &set, &f) && f.whole;
    libxl_snapshot_findings_dispose(&f);
    libxl_snapshot_set_dispose(&set);
    return whole;
}

/* Does the manifest hold that text? */
static bool says(const char *name, const char *text)
{
    AUTO_FREE char *directory = web(name);
    AUTO_FREE char *path = snap_printf("%s/%s", directory, SNAP_MANIFEST_FILE);
    AUTO_FREE char *bytes = NULL;
    size_t len;

    if (snap_fs_read(&sc, path, true, 1 << 20, &bytes, &len))
        bail("%s", sc.message);
    return strstr(bytes, text);
}

/* ---- names ------------------------------------------------------- */

static void has_parent(const char *name, const char *parent)
{
    AUTO_FREE char *directory = web(name);
    libxl_snapshot_set set;

    load(directory, &set);
    free(set.manifest.parent);
    set.manifest.parent = snap_strdup(parent);
    write_manifest(directory, &set.manifest);
    libxl_snapshot_set_dispose(&set);
}

static void test_parent(void)
{
    make();
    ok(!repair("s2") && !mends.len, "a snapshot that is in order stays as it "
       "is");
    has_parent("s2", "lost");
    dry_run = true;
    ok(!repair("s2") && find("parent", "'lost'")->can && says("s2", "lost"),
       "a dry run lists, and changes nothing");
    dry_run = false;
    unread = "'x' is broken";
    ok(!repair("s2") && not_mended("parent", "'x' is broken")
       && says("s2", "lost"), "whether a parent is gone cannot be told while "
       "one cannot be read");
    unread = NULL;
    ok(!repair("s2") && mended("parent", "the images show 's1'")
       && says("s2", "\"parent\": \"s1\""), "a parent that is gone becomes the "
       "one that the images show");
    has_parent("s1", "lost");
    ok(!repair("s1") && mended("parent", "none is known")
       && !says("s1", "lost"), "or none where they show none");
}

/* s1 <- s2 <- first, and s2 is removed by hand. */
static void test_ancestor(void)
{
    AUTO_FREE char *gone = NULL;

    make();
    overlay("b.first", "b.s2");
    snapshot("first", "s2", "b.s2", "b.first");
    gone = web("s2");
    MUST("rm", "-r", gone);
    ok(!repair("first") && mended("parent", "the images show 's1'")
       && says("first", "\"parent\": \"s1\""), "if the one before is gone, it "
       "is the one before that");
    gone[strlen(gone) - 1] = '1';
    MUST("rm", "-r", gone);
    ok(!repair("first") && mended("parent", "none is known"), "as long as "
       "there is one");
}

static void moved(const char *from, const char *to)
{
    AUTO_FREE char *old = web(from);
    AUTO_FREE char *new = web(to);

    if (rename(old, new)) bail("%s: %s", old, strerror(errno));
}

static void current(const char *text)
{
    AUTO_FREE char *path = web("current");

    if (snap_fs_publish(&sc, path, text, strlen(text), true))
        bail("%s", sc.message);
}

static bool current_is(const char *text)
{
    AUTO_FREE char *path = web("current");
    AUTO_FREE char *bytes = NULL;
    size_t len;

    return !snap_fs_read(&sc, path, true, 4096, &bytes, &len)
           && !strcmp(bytes, text);
}

static void test_name(void)
{
    make();
    current("s1\ncopy 1 2 of 3 4\n");
    moved("s1", "first");
    ok(!repair("first") && mends.len == 3
       && says("first", "\"name\": \"first\""), "a snapshot gets the name of "
       "its directory");
    ok(says("s2", "\"parent\": \"first\""), "its child knows that");
    ok(current_is("first\ncopy 1 2 of 3 4\n"), "and so does the hint, which "
       "forgets nothing");
    ok(!repair("s2") && !mends.len, "the child needs nothing then");
    make();
    snapshot("first", NULL, "b", "b.s1");
    moved("s1", "odd name");
    moved("first", "s1");
    current("s1\n");
    ok(!repair("odd name") && mends.len == 1
       && not_mended("name", "no name for one"), "a directory with another "
       "kind of name stays, and who has the old one");
    moved("odd name", "first");
    ok(!repair("first") && not_mended("name", "has in its manifest"),
       "nor is a name given that another has in its manifest");
    ok(!repair("s1") && not_mended("name", "has in its manifest")
       && current_is("s1\n"), "so of two that changed places none is touched");
}

static void test_copied(void)
{
    AUTO_FREE char *old = web("s1");
    AUTO_FREE char *new = web("first");

    make();
    current("s1\n");
    MUST("cp", "-a", old, new);
    ok(!repair("first") && mended("name", "'first' instead")
       && says("s2", "\"parent\": \"s1\"") && current_is("s1\n"), "a copy "
       "beside it gets a name, and not what belongs to the other");
}

static void test_elsewhere(void)
{
    AUTO_FREE char *old = NULL;
    AUTO_FREE char *new = snap_printf("%s/kept", dir);

    make();
    old = web("s2");
    if (rename(old, new)) bail("%s", strerror(errno));
    ok(!repair_in(new) && !mends.len, "outside of the domain's directory a "
       "name is the manifest's own, and a parent in there is found");
    MUST("rm", "-r", new);
}

/* ---- disks ------------------------------------------------------- */

static void remove_image(const char *name)
{
    AUTO_FREE char *path = img(name);

    if (unlink(path)) bail("%s: %s", path, strerror(errno));
}

static void test_overlay(void)
{
    make();
    remove_image("b.s2");
    ok(!repair("s2") && mended("xvdb", "is gone from")
       && !says("s2", "overlay") && !says("s2", "child"), "an overlay that is "
       "gone is forgotten");
    ok(!repair("s2") && !mends.len && is_whole("s2"), "and not missed");
    make();
    remove_image("b.s2");
    overlay("b.s2-r1", "b.s1");
    ok(!repair("s2") && mended("xvdb", "b.s2-r1' instead")
       && says("s2", "access=rw,target=") && says("s2", "b.s2-r1\""),
       "the only image on the base takes its place");
    make();
    remove_image("b.s2");
    overlay("b.s2-r1", "b.s1");
    overlay("b.s2-r2", "b.s1");
    ok(!repair("s2") && mended("xvdb", "2 images stand on it")
       && !says("s2", "overlay"), "of two none does");
    make();
    remove_image("b.s2");
    overlay("b.s2", "b");
    ok(!repair("s2") && mended("xvdb", "does not stand on"), "an overlay on "
       "another base is none");
}

/* In place of the base, by this command of cp(1). */
static void copy_base(const char *how)
{
    AUTO_FREE char *base = img("b");
    AUTO_FREE char *copy = img("copy");

    MUST("cp", how, base, copy);
    MUST("mv", copy, base);
}

static void write_base(off_t at)
{
    AUTO_FREE char *base = img("b");
    AUTO_CLOSE int fd = open(base, O_WRONLY);

    if (pwrite(fd, "x", 1, at) != 1) bail("%s: %s", base, strerror(errno));
}

static void test_copies(void)
{
    AUTO_FREE char *base = img("b");

    make();
    copy_base("-a");
    ok(!repair("s1") && mended("xvdb", "another file than at the snapshot"),
       "a base that was restored is taken for what it is");
    ok(!repair("s1") && !mends.len && is_whole("s1"), "its numbers are noted");
    make();
    copy_base("--no-preserve=all");
    MUST("touch", base);
    ok(!is_whole("s1") && !repair("s1") && mended("xvdb", "another file")
       && is_whole("s1"), "also if it has another time");
    make();
    copy_base("-a");
    write_base(1000);
    ok(!repair("s1") && !mends.len && !is_whole("s1"), "a copy with other "
       "contents is not");
    make();
    copy_base("-a");
    MUST("truncate", "-s", "+512", base);
    ok(!repair("s1") && !mends.len && !is_whole("s1"), "nor one of another "
       "size");
    make();
    MUST("touch", base);
    ok(!repair("s1") && !mends.len && !is_whole("s1"), "the same file with "
       "another time was written to, whatever the samples say");
}

static bool is_immutable(void)
{
    AUTO_FREE char *base = img("b");
    bool on, have;

    return !snap_fs_get_immutable(&sc, base, &on, &have) && on;
}

static void test_flag(void)
{
    AUTO_FREE char *base = img("b");
    int said[2];
    pid_t writer;
    char c;

    make();
    if (pipe(said)) bail("pipe: %s", strerror(errno));
    if (snap_fs_set_immutable(&sc, base, true)) {
        skip("the file system has no immutable flag");
        return;
    }
    protect = true;
    ok(!repair("s1") && !mends.len, "a protected base stays so");
    snap_fs_set_immutable(&sc, base, false);
    writer = fork();
    if (!writer) {
        AUTO_CLOSE int fd = open(base, O_WRONLY);

        if (write(said[1], "x", 1) == 1) pause();
        _exit(fd < 0);
    }
    if (read(said[0], &c, 1) != 1) bail("no writer");
    ok(!repair("s1") && not_mended("xvdb", "is open for writing by process")
       && !is_immutable(), "one that somebody can write to is told");
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    ok(!repair("s1") && mended("xvdb", "is not immutable") && is_immutable(),
       "a base that is not gets its flag");
    make();
    MUST("touch", base);
    protect = true;
    ok(!repair("s1") && !mends.len && !is_immutable(), "but not if it was "
       "written to");
}

/* ---- permissions ------------------------------------------------- */

static void has_memory(const char *name)
{
    AUTO_FREE char *directory = web(name);
    AUTO_FREE char *path = snap_printf("%s/" SNAP_MEMORY_FILE, directory);
    libxl_snapshot_set set;

    load(directory, &set);
    free(set.manifest.consistency);
    set.manifest.consistency = snap_strdup("full");
    set.manifest.memory_path = snap_strdup(SNAP_MEMORY_FILE);
    set.manifest.memory_head_sha256 = snap_printf("%064d", 0);
    write_manifest(directory, &set.manifest);
    libxl_snapshot_set_dispose(&set);
    MUST("touch", path);
    MUST("chmod", "664", path);
}

static void test_modes(void)
{
    AUTO_FREE char *directory = web("s1");
    AUTO_FREE char *manifest = web("s1/" SNAP_MANIFEST_FILE);
    AUTO_FREE char *stray = web("s1/stray");

    make();
    if (chmod(directory, 0755) || chmod(manifest, 0644)
        || symlink("/etc/passwd", stray))
        bail("%s", strerror(errno));
    ok(!is_whole("s1") && !repair("s1") && mends.len == 2
       && find("directory", "mode 0755")->done
       && find("directory", "mode 0644")->done, "what others may do with "
       "directory and manifest is taken away");
    ok(!is_whole("s1"), "what has no place there is left to the user");
    unlink(stray);
    ok(is_whole("s1"), "the rest is in order");
    has_memory("s1");
    ok(!repair("s1") && mended("memory", "mode 0664") && !repair("s1")
       && !mends.len, "and with the memory image");
}

static void test_interrupted(void)
{
    static const char line[] = "{\"journal\": 1, \"what\": \"create\"}\n";
    struct snap_journal j;

    make();
    has_parent("s2", "lost");
    if (snap_journal_lock(&sc, "web", 0, &j)
        || write(j.fd, line, sizeof(line) - 1) < 0)
        bail("no journal: %s", sc.message ? sc.message : strerror(errno));
    ok(repair("s2") && says("s2", "lost"), "while somebody works on the domain "
       "nothing is mended");
    snap_journal_unlock(&j);
    ok(repair("s2") && says("s2", "lost"), "nor while a command is not "
       "finished");
    like(sc.hint, "snapshot-recover web", "which is what to do first");
    MUST("rm", "-r", SNAP_LOCK_DIR);
    sc.cancelled = 1;
    ok(repair("s2") && says("s2", "lost"), "nor after a signal");
    sc.cancelled = 0;
}

int main(void)
{
    if (access("/usr/bin/qemu-img", X_OK)) skip_all("there is no qemu-img");
    if (geteuid() || !own_namespace())
        skip_all("no mount namespace of its own here");
    if (!mkdtemp(dir)) bail("mkdtemp: %s", strerror(errno));
    test_parent();
    test_ancestor();
    test_name();
    test_copied();
    test_elsewhere();
    test_overlay();
    test_copies();
    test_flag();
    test_modes();
    test_interrupted();
    make();
    libxl_snapshot_mends_dispose(&mends);
    free(sc.hint);
    snap_clear(&sc);
    MUST("rm", "-r", dir);
    return done_testing();
}
