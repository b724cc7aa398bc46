/* SPDX-License-Identifier: LGPL-2.1-only */
/* snapshot-create: facts and a request become the plans in expected/. */
#include "tap.h"
#include "world.h"

static void pv_internal(void)
{
    struct world w;

    world_make(&w);
    world_disk(&w, "xvda", "qcow2", "/img/web.qcow2");
    world_expect(&w, "create-pv-internal");
    world_dispose(&w);
}

static void with_monitor(void)
{
    struct world w;

    world_make(&w);
    world_monitor(&w);
    world_disk(&w, "xvda", "qcow2", "/img/web.qcow2");
    world_expect(&w, "create-monitor");
    world_dispose(&w);
}

/* What nobody asked for: a tag where the image can hold one. */
static void auto_choice(void)
{
    struct world w;

    world_make(&w);
    world_disk(&w, "xvda", "raw", "/img/web.raw");
    world_expect(&w, "create-auto-raw-is-external");
    world_dispose(&w);
    world_make(&w);
    world_disk(&w, "xvda", "qcow2", "/img/a.qcow2");
    world_disk(&w, "xvdb", "raw", "/img/b.raw");
    world_expect(&w, "create-auto-two-disks");
    world_dispose(&w);
}

static void default_external(void)
{
    struct world w;

    world_make(&w);
    w.req.default_kind = LIBXL_SNAPSHOT_DISK_EXTERNAL;
    world_disk(&w, "xvda", "qcow2", "/img/a.qcow2");
    world_disk(&w, "xvdb", "raw", "/img/b.raw");
    world_expect(&w, "create-default-external");
    world_dispose(&w);
}

/* An option for one disk goes over the default. */
static void four_disks(void)
{
    struct world w;

    world_make(&w);
    world_monitor(&w);
    w.req.default_kind = LIBXL_SNAPSHOT_DISK_INTERNAL;
    world_disk(&w, "xvda", "qcow2", "/img/a.qcow2");
    world_disk(&w, "xvdb", "qcow2", "/img/b.qcow2");
    world_disk(&w, "xvdc", "raw", "/dev/vg/c");
    world_disk(&w, "xvdd", "qcow2", "/img/d.qcow2");
    world_wish(&w, "xvdb", LIBXL_SNAPSHOT_DISK_EXTERNAL, "qcow2",
               "/fast/b.s1.qcow2");
    world_wish(&w, "xvdc", LIBXL_SNAPSHOT_DISK_EXTERNAL, NULL,
               "/img/c.s1.qcow2");
    world_wish(&w, "xvdd", LIBXL_SNAPSHOT_DISK_AUTO, NULL, NULL);
    world_expect(&w, "create-four-disks");
    world_dispose(&w);
}

static void live(void)
{
    struct world w;

    world_make(&w);
    w.req.live = true;
    world_disk(&w, "xvda", "qcow2", "/img/web.qcow2");
    world_expect(&w, "create-live");
    world_dispose(&w);
}

static void paused_afterwards(void)
{
    struct world w;

    world_make(&w);
    w.req.leave_paused = true;
    world_disk(&w, "xvda", "qcow2", "/img/web.qcow2");
    world_expect(&w, "create-paused-afterwards");
    world_dispose(&w);
}

static void no_protect(void)
{
    struct world w;

    world_make(&w);
    w.req.protect = false;
    w.req.current_path = NULL;
    world_disk(&w, "xvda", "raw", "/img/web.raw");
    world_expect(&w, "create-no-protect-no-current");
    world_dispose(&w);
}

static void excluded(void)
{
    struct world w;

    world_make(&w);
    world_disk(&w, "xvda", "qcow2", "/img/a.qcow2");
    world_disk(&w, "xvdb", "raw", "/img/b.raw");
    world_wish(&w, "xvdb", LIBXL_SNAPSHOT_DISK_EXCLUDE, NULL, NULL);
    world_expect(&w, "create-excluded-is-partial");
    world_dispose(&w);
}

/* Nothing to refuse about a disk that is left out. */
static void excluded_of_phy(void)
{
    struct snap_facts_disk *d;
    struct world w;

    world_make(&w);
    world_disk(&w, "xvda", "qcow2", "/img/a.qcow2");
    d = world_disk(&w, "xvdb", "raw", "/dev/vg/b");
    world_set(&d->backend, "phy");
    world_set(&d->node, NULL);
    world_wish(&w, "xvdb", LIBXL_SNAPSHOT_DISK_EXCLUDE, NULL, NULL);
    world_expect(&w, "create-excluded-phy");
    world_dispose(&w);
}

/* Not part of snapshots, whoever serves them. */
static void ignored(void)
{
    struct snap_facts_disk *d;
    struct world w;

    world_make(&w);
    world_disk(&w, "xvda", "qcow2", "/img/a.qcow2");
    d = world_disk(&w, "xvdb", "raw", "/dev/vg/ro");
    d->readwrite = false;
    world_set(&d->backend, "phy");
    d = world_disk(&w, "xvdc", "raw", "/img/install.iso");
    d->cdrom = true;
    d = world_disk(&w, "xvdd", "raw", "/img/gone.raw");
    world_set(&d->path, NULL);
    d = world_disk(&w, "xvde", "raw", "/img/gone.raw");
    world_set(&d->path, "");
    /* Named with --exclude, one of them stays what it is: left out. */
    world_wish(&w, "xvdc", LIBXL_SNAPSHOT_DISK_EXCLUDE, NULL, NULL);
    world_expect(&w, "create-ignored");
    world_dispose(&w);
}

static void no_disks(void)
{
    struct world w;

    world_make(&w);
    world_expect(&w, "create-no-disks");
    world_dispose(&w);
}

/* The chain below does not change what is done to the top. */
static void second_snapshot(void)
{
    struct snap_facts_disk *d;
    struct world w;

    world_make(&w);
    w.req.name = "s2";
    w.req.directory = "/store/web/s2";
    w.req.overlay_arg = (void *)"s2";
    d = world_disk(&w, "xvda", "qcow2", "/img/web.s1.qcow2");
    world_tag(&d->chain.data[0], "1", "s0");
    world_tag(world_layer(d, "/img/web.raw", "raw"), "1", "other");
    world_wish(&w, "xvda", LIBXL_SNAPSHOT_DISK_EXTERNAL, NULL, NULL);
    world_expect(&w, "create-external-on-overlay");
    world_dispose(&w);
}

/* ---- what the text does not show ---- */

static const struct snap_step *find_step(const struct snap_plan *p,
                                         enum snap_step_kind kind)
{
    size_t i;

    for (i = 0; i < p->len; i++)
        if (p->steps[i].kind == kind) return &p->steps[i];
    bail("there is no %s step", snap_step_word(kind));
}

static void arguments_of_disks(const struct snap_plan *p)
{
    const struct snap_step *s = find_step(p, STEP_DISKS);
    const char *a = snap_step_get_nth(s, "overlay-node", 1);
    const char *b = snap_step_get_nth(s, "overlay-node", 2);

    is_str(snap_step_get(s, "qmp"), "/run/qmp-7",
           "the transaction knows its QEMU");
    is_str(snap_step_get_nth(s, "node", 0), "xvda-qcow2",
           "an internal snapshot knows its node");
    is_str(snap_step_get_nth(s, "tag", 0), "s1", "... and its tag");
    is_str(snap_step_get_nth(s, "overlay", 0), "", "... and has no overlay");
    is_str(snap_step_get_nth(s, "tag", 1), "", "an external one has no tag");
    is_str(snap_step_get_nth(s, "image", 1), "/img/b.raw",
           "... knows the base");
    is_str(snap_step_get_nth(s, "format", 1), "raw", "... and its format");
    ok(snap_name_valid(a) && strlen(a) <= 31 && snap_name_valid(b)
       && strlen(b) <= 31, "overlays' nodes have names that QEMU takes");
    ok(strcmp(a, b), "each overlay's node has a name of its own");
}

static void arguments_of_config(const struct snap_plan *p)
{
    const struct snap_step *s = find_step(p, STEP_CONFIG);

    is_str(snap_step_get(s, "vdev"), "xvdb",
           "only external disks change the configuration");
    is_uint(snap_step_get_u64(s, "devid"), 51728, "their vbd is known");
    is_str(snap_step_get(s, "backend"),
           "/local/domain/0/backend/qdisk/7/51728", "... and its back end");
    is_str(snap_step_get(s, "old-params"), "raw:/img/b.raw",
           "what xenstore says now is known");
    is_str(snap_step_get(s, "new-params"), "qcow2:/img/b.s1.qcow2",
           "what xenstore will say names the overlay as qcow2");
    is_str(snap_step_get(s, "old-format"), "raw",
           "the old format is kept for an undo");
}

static void arguments(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_plan p;
    struct world w;

    world_make(&w);
    world_monitor(&w);
    w.req.live = true;
    world_disk(&w, "xvda", "qcow2", "/img/a.qcow2");
    world_disk(&w, "xvdb", "raw", "/img/b.raw");
    world_disk(&w, "xvdc", "raw", "/img/c.raw");
    if (!is_int(world_plan(&sc, &w, &p), 0, "there is a plan"))
        bail("%s", sc.message);
    arguments_of_disks(&p);
    arguments_of_config(&p);
    is_uint(snap_step_get_u64(find_step(&p, STEP_MEMORY_FILE), "bytes"),
            (256ull + 128 + 64) << 20,
            "a live save has room for pages that are sent again");
    is_str(snap_step_get(find_step(&p, STEP_SUSPEND), "uuid"), w.f.dom.uuid,
           "the suspend knows which domain it means");
    is_uint(snap_step_get_u64(find_step(&p, STEP_MONITOR_HOLD), "start"),
            4242, "the monitor is known by its start time");
    is_str(snap_step_get_nth(find_step(&p, STEP_SEAL), "overlay", 1),
           "/img/c.s1.qcow2", "every overlay is sealed");
    snap_plan_dispose(&p);
    world_dispose(&w);
}

int main(void)
{
    pv_internal();
    with_monitor();
    auto_choice();
    default_external();
    four_disks();
    live();
    paused_afterwards();
    no_protect();
    excluded();
    excluded_of_phy();
    ignored();
    no_disks();
    second_snapshot();
    arguments();
    return done_testing();
}
