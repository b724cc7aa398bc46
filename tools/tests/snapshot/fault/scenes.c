/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the sweep runs: each scene is a host, and one operation on it. */
#include "fault/sweep.h"

#include <ftw.h>
#include <sys/un.h>

#include "host/hash.h"
#include "host/journal.h"
#include "qmp/server.h"
#include "tap.h"

#define OLD 0x11                /* what the guest wrote before the snapshot */
#define NEW 0x22                /* and after */
#define LOCK_MS 60000
#define SNAPSHOTS_MAX 8

char scene_dir[128];
bool scene_again;
static int lock_ms = LOCK_MS;

static char *path_of(const char *name)
{
    return snap_printf("%s/%s", scene_dir, name);
}

/* ---- what a command says ----------------------------------------- */

/* The first free name; arg: the scene. */
static char *overlay_path(void *arg, const char *vdev, const char *image)
{
    const struct scene *s = arg;
    int n;

    (void)image;
    for (n = 1;; n++) {
        char *path = snap_printf(s->apart ? "%s/img/%s/%d.qcow2"
                                          : "%s/img/%s.%d.qcow2", scene_dir,
                                 vdev, n);

        if (access(path, F_OK)) return path;
        free(path);
    }
}

struct create {
    libxl_snapshot_create_params p;
    libxl_snapshot_disk disks[HOST_DISKS];
    char *directory, *current, *name, *parent;
};

/* The snapshots of a scene are s1, s2 and so on, each of the one before. */
static char *directory_of(unsigned number)
{
    AUTO_FREE char *in_store = snap_printf("store/s%u", number);

    return path_of(in_store);
}

static void say_create(const struct scene *s, unsigned number,
                       struct create *c)
{

    *c = (struct create){
        .disks = { { .vdev = "xvda", .kind = s->first },
                   { .vdev = "xvdb", .kind = s->second } },
        .directory = directory_of(number),
        .current = path_of("store/current"),
        .name = snap_printf("s%u", number),
        .parent = number > 1 ? snap_printf("s%u", number - 1) : NULL,
    };
    c->p = (libxl_snapshot_create_params){
        .domid = fake->domid, .name = c->name, .directory = c->directory,
        .current_path = c->current, .disks = c->disks, .ndisks = HOST_DISKS,
        .parent = c->parent,
        .overlay_path = overlay_path, .overlay_arg = (void *)s,
        .live = s->live,
        .lock_timeout_ms = lock_ms,
    };
}

static void forget_create(struct create *c)
{
    free(c->directory);
    free(c->current);
    free(c->name);
    free(c->parent);
}

static int run_create(const struct scene *s, libxl_snapshot_ctx *sc)
{
    libxl_snapshot_result result = { 0 };
    struct create c;

    say_create(s, s->before ? s->above + 2 : 1, &c);
    libxl_snapshot_create(sc, &c.p, &result);
    libxl_snapshot_result_dispose(&result);
    forget_create(&c);
    return libxl_snapshot_outcome(sc);
}

/* ---- a host where others work, too ------------------------------- */

/* They end when their turn does, or the command. */
static bool others_go_on(pid_t command, unsigned turn)
{
    host->works_in_turn = turn;
    usleep(2000);
    return host->turn == turn && !kill(command, 0);
}

/* The lock is held by somebody who has it from one that is gone. */
static void hold_lock(pid_t command, unsigned turn)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    struct snap_journal j;

    if (snap_journal_lock(&quiet, fake->name, LOCK_MS, &j) || fork())
        _exit(0);
    while (others_go_on(command, turn)) continue;
}

/* QEMU talks to one client at a time. It takes long, for who waits. */
static void hold_qemu(pid_t command, unsigned turn)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(to.sun_path, sizeof(to.sun_path), "%s/qmp-libxenstat-%u",
             fault_run_dir, fake->domid);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) || fork()) _exit(0);
    while (others_go_on(command, turn)) {
        host->time_flies = true;
        fake->skew_ms += 500;
    }
    host->time_flies = false;
}

/* The command is given while somebody is in its way, and refused. */
static void try_beside(void (*other)(pid_t, unsigned), const struct scene *s,
                       libxl_snapshot_ctx *sc)
{
    pid_t command = getpid(), pid;

    host->turn++;
    pid = fork();
    if (pid < 0) bail("fork: %s", strerror(errno));
    if (!pid) {
        fault_outside = true;
        other(command, host->turn);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    while (host->works_in_turn != host->turn) usleep(1000);
    lock_ms = 50;
    if (!run_create(s, sc)) bail("it was not in the way, turn %u", host->turn);
    lock_ms = LOCK_MS;
    host->turn++;
}

static int run_create_beside(const struct scene *s, libxl_snapshot_ctx *sc)
{
    try_beside(hold_lock, s, sc);
    try_beside(hold_qemu, s, sc);
    return run_create(s, sc);
}

static int run_revert(const struct scene *s, libxl_snapshot_ctx *sc)
{
    AUTO_FREE char *directory = path_of("store/s1");
    AUTO_FREE char *xl = path_of("bin/xl");
    libxl_snapshot_result result = { 0 };
    libxl_snapshot_set set = { 0 };
    struct create keep;

    say_create(s, 2, &keep);
    if (!libxl_snapshot_load(sc, directory, &set))
        libxl_snapshot_revert(sc, &(libxl_snapshot_revert_params){
            .domain_name = fake->name, .set = &set,
            .current_path = keep.current, .overlay_path = overlay_path,
            .overlay_arg = (void *)s,
            .keep = s->keep && !scene_again ? &keep.p : NULL,
            .keep_command = "back",
            .lock_timeout_ms = LOCK_MS, .stock_xl = xl,
            .domain_config = s->furnished ? xl : NULL,
            .disk_only = s->disk_only,
            .retry_command = SCENE_AGAIN,
        }, &result);
    libxl_snapshot_set_dispose(&set);
    libxl_snapshot_result_dispose(&result);
    forget_create(&keep);
    return libxl_snapshot_outcome(sc);
}

/* What the snapshot s1 consists of, once more, as if others had made it. */
static int run_adopt(const struct scene *s, libxl_snapshot_ctx *sc)
{
    AUTO_FREE char *base = path_of("img/a.qcow2");
    AUTO_FREE char *memory = path_of("store/s1/" SNAP_MEMORY_FILE);
    AUTO_FREE char *directory = path_of("store/adopted");
    AUTO_FREE char *xl = path_of("bin/xl");
    const libxl_snapshot_adopt_disk disks[] = {
        { "xvda", LIBXL_SNAPSHOT_ADOPT_BASE, base },
        { "xvdb", LIBXL_SNAPSHOT_ADOPT_TAG, "s1" },
    };
    libxl_snapshot_result result = { 0 };

    libxl_snapshot_adopt(sc, &(libxl_snapshot_adopt_params){
        .domain_name = fake->name, .name = "adopted", .directory = directory,
        .domain_config = s->off ? xl : NULL, .stock_xl = xl,
        .disks = disks, .ndisks = HOST_DISKS,
        .memory = memory, .lock_timeout_ms = LOCK_MS,
    }, &result);
    libxl_snapshot_result_dispose(&result);
    return libxl_snapshot_outcome(sc);
}

/* Not the one that is deleted. */
static int load_others(const struct scene *s, libxl_snapshot_ctx *sc,
                       libxl_snapshot_set *others, size_t *n)
{
    unsigned i;
    int rc = 0;

    for (*n = 0, i = 1; !rc && i <= s->above + 1; i++) {
        AUTO_FREE char *directory = directory_of(i);

        if (i != s->deletes)
            rc = libxl_snapshot_load(sc, directory, &others[(*n)++]);
    }
    return rc;
}

static int run_delete(const struct scene *s, libxl_snapshot_ctx *sc)
{
    AUTO_FREE char *directory = directory_of(s->deletes);
    AUTO_FREE char *current = path_of("store/current");
    libxl_snapshot_result result = { 0 };
    libxl_snapshot_set set = { 0 }, others[SNAPSHOTS_MAX] = { { 0 } };
    size_t i, n = 0;

    if (!libxl_snapshot_load(sc, directory, &set)
        && !load_others(s, sc, others, &n))
        libxl_snapshot_delete(sc, &(libxl_snapshot_delete_params){
            .domain_name = fake->name, .set = &set, .current_path = current,
            .others = others, .nothers = n, .keep_memory = s->keep_memory,
            .lock_timeout_ms = LOCK_MS, .retry_command = SCENE_AGAIN,
        }, &result);
    for (i = 0; i < n; i++) libxl_snapshot_set_dispose(&others[i]);
    libxl_snapshot_set_dispose(&set);
    libxl_snapshot_result_dispose(&result);
    return libxl_snapshot_outcome(sc);
}

int scene_recover(libxl_snapshot_ctx *sc)
{
    libxl_snapshot_result result = { 0 };

    libxl_snapshot_recover(sc, fake->name, false, LOCK_MS, &result);
    libxl_snapshot_result_dispose(&result);
    return libxl_snapshot_outcome(sc);
}

static int run_recover(const struct scene *s, libxl_snapshot_ctx *sc)
{
    (void)s;
    return scene_recover(sc);
}

/* As at boot: whatever was interrupted. */
static int run_recover_all(const struct scene *s, libxl_snapshot_ctx *sc)
{
    libxl_snapshot_result result = { 0 };

    (void)s;
    libxl_snapshot_recover(sc, NULL, false, LOCK_MS, &result);
    libxl_snapshot_result_dispose(&result);
    return libxl_snapshot_outcome(sc);
}

static int run_check(const struct scene *s, libxl_snapshot_ctx *sc)
{
    AUTO_FREE char *number = snap_printf("%u", fake->domid);
    const char *const names[] = { FAKE_UUID, number, fake->name };
    libxl_snapshot_report report = { 0 };
    uint32_t domid;
    unsigned i;

    (void)s;
    for (i = 0; i < 3; i++) {
        AUTO_FREE char *name = NULL;

        if (libxl_snapshot_find_domain(sc, names[i], &domid, &name))
            return libxl_snapshot_outcome(sc);
    }
    libxl_snapshot_check(sc, domid, &report);
    libxl_snapshot_report_dispose(&report);
    return libxl_snapshot_outcome(sc);
}

static int run_verify(const struct scene *s, libxl_snapshot_ctx *sc)
{
    AUTO_FREE char *directory = path_of("store/s1");
    libxl_snapshot_findings findings = { 0 };
    libxl_snapshot_set set = { 0 };

    (void)s;
    if (!libxl_snapshot_load(sc, directory, &set))
        libxl_snapshot_verify(sc, &set, &findings);
    libxl_snapshot_findings_dispose(&findings);
    libxl_snapshot_set_dispose(&set);
    return libxl_snapshot_outcome(sc);
}

static int run_repair(const struct scene *s, libxl_snapshot_ctx *sc)
{
    AUTO_FREE char *directory = directory_of(1);
    AUTO_FREE char *current = path_of("store/current");
    libxl_snapshot_mends mends;

    (void)s;
    libxl_snapshot_repair(sc, &(libxl_snapshot_repair_params){
        .domain_name = fake->name, .directory = directory,
        .current_path = current, .lock_timeout_ms = LOCK_MS,
        .retry_command = SCENE_AGAIN,
    }, &mends);
    libxl_snapshot_mends_dispose(&mends);
    return libxl_snapshot_outcome(sc);
}

static int load_first(libxl_snapshot_ctx *sc, libxl_snapshot_set *set,
                      libxl_snapshot_images_params *p)
{
    AUTO_FREE char *directory = directory_of(1);

    *p = (libxl_snapshot_images_params){ .domain_name = fake->name,
                                         .own = set, .nown = 1 };
    libxl_snapshot_set_dispose(set);
    return libxl_snapshot_load(sc, directory, set);
}

static bool finds_abandoned(const libxl_snapshot_inventory *inv)
{
    size_t i;

    for (i = 0; i < inv->nimages; i++)
        if (inv->images[i].use == SNAP_USE_ABANDONED) return true;
    return false;
}

static int remove_listed(libxl_snapshot_ctx *sc,
                         const libxl_snapshot_inventory *listed)
{
    libxl_snapshot_removal removal = { .removed.len = 0 };
    libxl_snapshot_images_params now;
    libxl_snapshot_set again = { 0 };

    if (!libxl_snapshot_lock(sc, fake->name, NULL, LOCK_MS)
        && !load_first(sc, &again, &now))
        libxl_snapshot_remove_abandoned(sc, &(libxl_snapshot_remove_params){
            .domain_name = fake->name, .now = &now, .listed = listed,
            .lock_timeout_ms = LOCK_MS, .retry_command = SCENE_AGAIN,
        }, &removal);
    libxl_snapshot_removal_dispose(&removal);
    libxl_snapshot_set_dispose(&again);
    return libxl_snapshot_outcome(sc);
}

/* What cannot be seen to be abandoned is not, and is not removed. */
static int run_abandoned(const struct scene *s, libxl_snapshot_ctx *sc)
{
    libxl_snapshot_images_params p;
    libxl_snapshot_inventory listed = { .domain = NULL };
    libxl_snapshot_set set = { 0 };
    int outcome = LIBXL_SNAPSHOT_REFUSED;

    (void)s;
    if (!load_first(sc, &set, &p) && !libxl_snapshot_images(sc, &p, &listed)
        && finds_abandoned(&listed))
        outcome = remove_listed(sc, &listed);
    else if (!libxl_snapshot_error(sc))
        snap_fail(sc, ERROR_FAIL, "%s", listed.no_domains ? listed.no_domains
                  : "an image cannot be read");
    libxl_snapshot_inventory_dispose(&listed);
    libxl_snapshot_set_dispose(&set);
    return outcome;
}

/* ---- what was before --------------------------------------------- */

/* In a process of its own, which may be told to die. */
static int in_child(const struct scene *s,
                    int (*run)(const struct scene *, libxl_snapshot_ctx *))
{
    pid_t pid = fork();
    int status = 0;

    if (pid < 0) bail("fork: %s", strerror(errno));
    if (!pid) {
        libxl_snapshot_ctx *sc = libxl_snapshot_ctx_alloc(NULL);
        int outcome;

        fake->looks_fast = getpid();
        outcome = run(s, sc);
        if (outcome) diag("%s: before: %s", s->name, libxl_snapshot_error(sc));
        _exit(outcome);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The guest writes more to its present images than there is below. */
static void grow(void)
{
    unsigned i;

    for (i = 0; i < HOST_DISKS; i++)
        if (run_program((const char *const[]){
                "qemu-io", "-f", "qcow2", "-c", "write -q -P 5 256k 512k",
                host->disk[i].file, NULL }))
            bail("qemu-io cannot write to %s", host->disk[i].file);
    host->grown++;
}

static void a_snapshot(const struct scene *s)
{
    struct scene first = { .name = s->name, .first = s->first,
                           .second = s->second };
    unsigned i;

    if (in_child(&first, run_create)) bail("%s: no snapshot", s->name);
    host_guest_writes(NEW);
    first.first = first.second = LIBXL_SNAPSHOT_DISK_EXTERNAL;
    first.before = a_snapshot;
    for (i = 0; i < s->above; i++) {
        first.above = i;
        if (in_child(&first, run_create)) bail("%s: no s%u", s->name, i + 2);
    }
    if (s->grows) grow();
    if (!s->off) return;
    libxl_domain_destroy(NULL, fake->domid, NULL);
    host_stop();
}

/* Its manifest has a sum of all memory. */
static void a_summed_snapshot(const struct scene *s)
{
    AUTO_FREE char *memory = path_of("store/s1/" SNAP_MEMORY_FILE);
    AUTO_FREE char *manifest = path_of("store/s1/" SNAP_MANIFEST_FILE);
    AUTO_FREE char *edit = NULL;
    struct snap_ctx quiet = SNAP_CTX_INIT;
    char sum[SNAP_HASH_SIZE];
    AUTO_CLOSE int fd = -1;

    a_snapshot(s);
    fd = open(memory, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || snap_hash_file(&quiet, fd, memory, sum))
        bail("cannot sum '%s'", memory);
    edit = snap_printf("s/\"head_bytes\"/\"sha256\": \"%s\", &/", sum);
    if (run_program((const char *const[]){ "sed", "-i", edit, manifest, NULL }))
        bail("cannot change '%s'", manifest);
}

/* An overlay that a revert left, as its name says, and an image that has
 * nothing to do with it. */
static void a_leftover(const struct scene *s)
{
    AUTO_FREE char *base = path_of("img/a.qcow2");
    AUTO_FREE char *left = path_of("img/a.s1-r1.qcow2");
    AUTO_FREE char *other = path_of("img/other.qcow2");

    a_snapshot(s);
    if (run_program((const char *const[]){
            "qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b",
            base, left, NULL })
        || run_program((const char *const[]){
            "qemu-img", "create", "-q", "-f", "qcow2", other, "1M", NULL }))
        bail("qemu-img cannot create '%s'", left);
}

/* A snapshot whose overlay is gone, whose base was restored, which was renamed
 * and opened to others. Of that only the overlay is seen by scene_look(): what
 * is between two mends is not one of two states. */
static void a_neglected_one(const struct scene *s)
{
    AUTO_FREE char *directory = directory_of(1);
    AUTO_FREE char *manifest = path_of("store/s1/" SNAP_MANIFEST_FILE);
    AUTO_FREE char *current = path_of("store/current");
    AUTO_FREE char *overlay = path_of("img/xvda.1.qcow2");
    AUTO_FREE char *base = path_of("img/a.qcow2");
    AUTO_FREE char *copy = path_of("img/copy");

    a_snapshot(s);
    if (unlink(overlay) || chmod(directory, 0755)
        || run_program((const char *const[]){ "cp", "-a", base, copy, NULL })
        || rename(copy, base)
        || run_program((const char *const[]){
            "sed", "-i", "s/\"name\": \"s1\"/\"name\": \"old\"/", manifest,
            NULL })
        || run_program((const char *const[]){ "sed", "-i", "s/s1/old/",
                                              current, NULL }))
        bail("cannot neglect '%s'", directory);
}

/* The point where a line of the journal is synced. */
static unsigned journal_sync(void)
{
    unsigned i;

    for (i = 0; i < fault_count(); i++)
        if (!strcmp(fault_point(i)->function, "sync_journal")
            && !strcmp(fault_point(i)->call, "fdatasync"))
            return i;
    bail("no such point");
}

/* How many syncs before the step is intended: the head, and one a step. */
static unsigned syncs_before(const char *step, bool revert)
{
    static const char *const of_create[] = {
        "directory", "memory-file", "monitor-hold", "suspend", "ready",
        "memory", "recheck", "config", "disks", "resume", "committed",
        "seal", NULL,
    };
    static const char *const of_revert[] = {
        "monitor-hold", "pause", "recheck-idle", "destroy", NULL,
    };
    const char *const *steps = revert ? of_revert : of_create;
    unsigned i;

    for (i = 0; steps[i] && strcmp(steps[i], step); i++) continue;
    return i + 1;
}

/* Killed with its guardian. */
static void interrupt(const struct scene *s, bool revert)
{
    struct scene first = *s;

    first.before = NULL;
    control->mode = FAULT_KILL_ALL;
    control->armed = journal_sync();
    control->skip = syncs_before(s->dies_in, revert);
    control->fired = false;
    if (in_child(&first, revert ? run_revert : run_create) >= 0)
        bail("%s: it lived", s->name);
    control->mode = FAULT_NONE;
}

static void an_interrupted_revert(const struct scene *s)
{
    a_snapshot(s);
    interrupt(s, true);
}

static void an_interrupted_create(const struct scene *s)
{
    interrupt(s, false);
    if (!s->off) return;
    libxl_domain_destroy(NULL, fake->domid, NULL);
    host_stop();
}

/* Killed when the guest was asked, and has not answered yet. */
static void an_unanswered_request(const struct scene *s)
{
    AUTO_FREE char *request = snap_printf("/local/domain/%u/control/shutdown",
                                          fake->domid);

    an_interrupted_create(s);
    fake->suspended = false;
    fake_set(request, "suspend");
}

/* By an `xl save` that was killed, say. */
static void a_suspend(const struct scene *s)
{
    (void)s;
    kill(host->monitor, SIGSTOP);
    fake->suspended = true;
}

const struct scene scenes[] = {
    { "create-internal", NULL, run_create,
      LIBXL_SNAPSHOT_DISK_INTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL },
    { "create-external-mixed", NULL, run_create,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL },
    { "create-live", NULL, run_create,
      LIBXL_SNAPSHOT_DISK_INTERNAL, LIBXL_SNAPSHOT_DISK_EXTERNAL,
      .live = true },
    { "create-slow", NULL, run_create,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .slow = true },
    { "create-old-kernel", NULL, run_create,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_EXTERNAL,
      .old_kernel = true, .apart = true },
    { "create-beside", NULL, run_create_beside,
      LIBXL_SNAPSHOT_DISK_INTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL },
    { "revert-internal", a_snapshot, run_revert,
      LIBXL_SNAPSHOT_DISK_INTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL },
    { "revert-external", a_snapshot, run_revert,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL },
    { "revert-keep", a_snapshot, run_revert,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .keep = true },
    { "revert-off", a_snapshot, run_revert,
      LIBXL_SNAPSHOT_DISK_INTERNAL, LIBXL_SNAPSHOT_DISK_EXTERNAL,
      .off = true },
    { "revert-frozen", a_snapshot, run_revert,
      LIBXL_SNAPSHOT_DISK_INTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .above = 1 },
    { "revert-slow", a_snapshot, run_revert,
      LIBXL_SNAPSHOT_DISK_INTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .slow = true },
    { "revert-old-kernel", a_snapshot, run_revert,
      LIBXL_SNAPSHOT_DISK_INTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .above = 1, .old_kernel = true },
    { "revert-config", a_snapshot, run_revert,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_EXTERNAL,
      .furnished = true },
    { "revert-disk-only", a_snapshot, run_revert,
      LIBXL_SNAPSHOT_DISK_INTERNAL, LIBXL_SNAPSHOT_DISK_EXTERNAL,
      .disk_only = true },
    { "revert-disk-only-config", a_snapshot, run_revert,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .disk_only = true, .off = true, .furnished = true },
    { "create-block", NULL, run_create,
      LIBXL_SNAPSHOT_DISK_INTERNAL, LIBXL_SNAPSHOT_DISK_EXTERNAL,
      .block = true },
    { "revert-block", a_snapshot, run_revert,
      LIBXL_SNAPSHOT_DISK_INTERNAL, LIBXL_SNAPSHOT_DISK_EXTERNAL,
      .block = true },
    { "delete", a_snapshot, run_delete,
      LIBXL_SNAPSHOT_DISK_INTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .deletes = 1 },
    { "delete-off", a_snapshot, run_delete,
      LIBXL_SNAPSHOT_DISK_INTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .off = true, .deletes = 1 },
    { "delete-keep-memory", a_snapshot, run_delete,
      LIBXL_SNAPSHOT_DISK_INTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .off = true, .deletes = 1, .keep_memory = true },
    { "delete-layers", a_snapshot, run_delete,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .deletes = 1 },
    { "delete-down", a_snapshot, run_delete,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .off = true, .deletes = 1 },
    { "delete-up", a_snapshot, run_delete,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_EXTERNAL,
      .off = true, .above = 1, .deletes = 2, .grows = true },
    { "delete-middle", a_snapshot, run_delete,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_EXTERNAL,
      .off = true, .above = 2, .deletes = 2, .old_kernel = true },
    { "delete-first", a_snapshot, run_delete,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_EXTERNAL,
      .above = 1, .deletes = 1 },
    { "delete-last", a_snapshot, run_delete,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_EXTERNAL,
      .above = 1, .deletes = 2 },
    { "delete-live-up", a_snapshot, run_delete,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_EXTERNAL,
      .above = 1, .deletes = 2, .grows = true },
    { "delete-live-middle", a_snapshot, run_delete,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_EXTERNAL,
      .above = 2, .deletes = 2 },
    { "adopt", a_snapshot, run_adopt,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL },
    { "adopt-off", a_snapshot, run_adopt,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .off = true },
    { "check", NULL, run_check,
      LIBXL_SNAPSHOT_DISK_AUTO, LIBXL_SNAPSHOT_DISK_AUTO },
    { "abandoned", a_leftover, run_abandoned,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL },
    { "verify", a_summed_snapshot, run_verify,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .off = true },
    { "repair", a_neglected_one, run_repair,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .off = true, .no_journal = true },
    { "recover-suspended", an_interrupted_create, run_recover_all,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .dies_in = "recheck" },
    { "recover-asked", an_unanswered_request, run_recover,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .dies_in = "ready" },
    { "recover-undo", an_interrupted_create, run_recover,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .dies_in = "resume" },
    { "recover-finish", an_interrupted_create, run_recover,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .dies_in = "seal" },
    { "recover-off", an_interrupted_create, run_recover,
      LIBXL_SNAPSHOT_DISK_EXTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .dies_in = "resume", .off = true },
    { "recover-paused", an_interrupted_revert, run_recover,
      LIBXL_SNAPSHOT_DISK_INTERNAL, LIBXL_SNAPSHOT_DISK_INTERNAL,
      .dies_in = "destroy" },
    { "recover-stray", a_suspend, run_recover,
      LIBXL_SNAPSHOT_DISK_AUTO, LIBXL_SNAPSHOT_DISK_AUTO,
      .dies_in = "none" },
};
const unsigned nscenes = sizeof(scenes) / sizeof(scenes[0]);

/* ---- the stage --------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void make_stage(void)
{
    static const char *const dirs[] = {
        "", "img", "img/xvda", "img/xvdb", "store", "log", "bin",
    };
    static const char *const programs[] = { "bin/xl", "bin/vif-bridge" };
    unsigned i;

    nftw(scene_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    nftw(fault_lock_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (mkdir(fault_lock_dir, 0700)) bail("%s", strerror(errno));
    for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        AUTO_FREE char *dir = path_of(dirs[i]);

        if (mkdir(dir, 0700)) bail("%s: %s", dir, strerror(errno));
    }
    for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        AUTO_FREE char *path = path_of(programs[i]);
        int fd = open(path, O_WRONLY | O_CREAT, 0755);

        if (fd < 0) bail("%s: %s", path, strerror(errno));
        close(fd);
    }
}

void scene_clear(void)
{
    if (host) host_stop();
    loops_detach();
}

/* Other scenes may be played, also by other sweeps, and their monitors are
 * found in /proc as well. A number is taken by a name for a socket, which goes
 * with the processes that have it. */
static uint32_t own_domid(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    static uint32_t domid;
    int fd, n;

    if (domid) return domid;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (domid = 10; domid < 30000; domid += 10) {
        n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1,
                     "snap-fault-%u", domid);
        if (!bind(fd, (struct sockaddr *)&name,
                  offsetof(struct sockaddr_un, sun_path) + 1 + n))
            return domid;
    }
    bail("no number for a domain: %s", strerror(errno));
}

static char *make_image(const struct scene *s, unsigned disk)
{
    char *file = path_of(disk ? "img/b.qcow2" : "img/a.qcow2"), *link;

    if (run_program((const char *const[]){ "qemu-img", "create", "-q", "-f",
                    "qcow2", file, "1M", NULL }))
        bail("qemu-img cannot create %s", file);
    if (!s->block) return file;
    link = loops_attach(disk, file);
    free(file);
    return link;
}

void scene_set(const struct scene *s)
{
    char *images[HOST_DISKS];
    unsigned i;

    scene_clear();
    control->mode = FAULT_NONE;
    make_stage();
    for (i = 0; i < HOST_DISKS; i++) images[i] = make_image(s, i);
    fake_begin();
    fake->domid = own_domid();
    fake->look_ms = 3000;
    fake->save_us = 30000;
    fake->slow_ms = s->slow ? 40 : 0;
    control->old_kernel = s->old_kernel;
    look_sees_contents = s->off && s->run == run_delete;
    host_furnished = s->furnished;
    host_start(scene_dir, (const char *const *)images);
    for (i = 0; i < HOST_DISKS; i++) free(images[i]);
    host_guest_writes(OLD);
    if (s->before) s->before(s);
}
