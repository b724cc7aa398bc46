/* SPDX-License-Identifier: LGPL-2.1-only */
/* What snapshot-create refuses, with the whole message: it names the object,
 * the reason and what to do. */
#include "tap.h"
#include "world.h"

/* One refusal: the smallest change of a sound world. */
struct refusal {
    const char *claim;
    void (*change)(struct world *w);
    const char *message;
};

static struct snap_facts_disk *xvda(struct world *w)
{
    return &w->f.disks[0];
}

/* Running, with the monitor, and one qcow2 disk: xvda. */
static void sound(struct world *w)
{
    world_make(w);
    world_monitor(w);
    world_disk(w, "xvda", "qcow2", "/img/a.qcow2");
}

/* ERROR_INVAL, the message, and a plan without steps. */
static void refused(struct world *w, const char *message, const char *claim)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_plan p;
    int rc = world_plan(&sc, w, &p);

    is_str(sc.message, message, "%s", claim);
    if (rc != ERROR_INVAL || sc.rc != rc || p.len)
        ok(false, "%s: ERROR_INVAL and no steps", claim);
    snap_plan_dispose(&p);
    snap_ctx_dispose(&sc);
}

static void try_all(const struct refusal *rows, size_t n)
{
    struct world w;
    size_t i;

    for (i = 0; i < n; i++) {
        sound(&w);
        rows[i].change(&w);
        refused(&w, rows[i].message, rows[i].claim);
        world_dispose(&w);
    }
}
#define TRY_ALL(rows) try_all(rows, sizeof(rows) / sizeof(rows[0]))

/* ---- the domain ---- */

static void is_dom0(struct world *w) { w->f.dom.domid = 0; }
static void is_dying(struct world *w) { w->f.dom.dying = true; }

static void is_suspended(struct world *w)
{
    /* As Xen reports it: suspended is a way of being shut down. */
    w->f.dom.suspended = w->f.dom.shutdown = true;
    w->f.dom.shutdown_reason = LIBXL_SHUTDOWN_REASON_SUSPEND;
}

static void shut(struct world *w, int reason)
{
    w->f.dom.shutdown = true;
    w->f.dom.shutdown_reason = reason;
}

static void is_off(struct world *w)
{
    shut(w, LIBXL_SHUTDOWN_REASON_POWEROFF);
}

static void is_rebooting(struct world *w)
{
    shut(w, LIBXL_SHUTDOWN_REASON_REBOOT);
}

static void is_crashed(struct world *w)
{
    shut(w, LIBXL_SHUTDOWN_REASON_CRASH);
}

static void is_watchdogged(struct world *w)
{
    shut(w, LIBXL_SHUTDOWN_REASON_WATCHDOG);
}

static void is_soft_reset(struct world *w)
{
    shut(w, LIBXL_SHUTDOWN_REASON_SOFT_RESET);
}

static void is_paused(struct world *w) { w->f.dom.paused = true; }
static void has_stubdom(struct world *w) { w->f.stubdom = 9; }

static void has_unsupported(struct world *w)
{
    snap_strings_add(&w->f.config.unsupported, "it has a vTPM; remove vtpm=");
}

static void test_domain(void)
{
    static const struct refusal rows[] = {
        { "dom0 is refused", is_dom0, "domain 'web' cannot be snapshotted: "
          "it is dom0, which cannot be saved" },
        { "a dying domain is refused", is_dying, "domain 'web' cannot be "
          "snapshotted: it is dying: its domain is being torn down" },
        { "a suspended domain is refused", is_suspended, "domain 'web' "
          "cannot be snapshotted: it stands suspended by somebody else (xl "
          "save, a migration, an interrupted command); wait, or run `xl "
          "snapshot-recover web`" },
        { "a domain that powered off is refused", is_off, "domain 'web' "
          "cannot be snapshotted: it is powered off; start it first" },
        { "a rebooting domain is refused", is_rebooting, "domain 'web' "
          "cannot be snapshotted: it is rebooting; start it first" },
        { "a crashed domain is refused", is_crashed, "domain 'web' cannot be "
          "snapshotted: it is crashed; start it first" },
        { "a domain that its watchdog stopped is refused", is_watchdogged,
          "domain 'web' cannot be snapshotted: it is stopped by its "
          "watchdog; start it first" },
        { "a domain shut down for another reason is refused", is_soft_reset,
          "domain 'web' cannot be snapshotted: it is shut down; start it "
          "first" },
        { "a paused domain is refused: it cannot answer", is_paused,
          "domain 'web' cannot be snapshotted: it is paused, and a paused "
          "guest cannot answer the suspend request; run `xl unpause web` "
          "first" },
        { "a stub domain is refused", has_stubdom, "domain 'web' cannot be "
          "snapshotted: its device model runs in stub domain 9, where images "
          "have other names; set device_model_stubdomain_override=0" },
        { "an unsupported device is refused", has_unsupported, "domain 'web' "
          "cannot be snapshotted: it has a vTPM; remove vtpm=" },
    };

    TRY_ALL(rows);
}

static void test_all_reasons(void)
{
    struct snap_strings reasons = { 0 };
    struct world w;

    sound(&w);
    snap_plan_domain_reasons(&w.f, &reasons);
    is_uint(reasons.len, 0, "a sound domain has no reason against it");
    is_paused(&w);
    has_stubdom(&w);
    has_unsupported(&w);
    snap_strings_add(&w.f.config.unsupported, "it has a PCI device");
    snap_plan_domain_reasons(&w.f, &reasons);
    if (is_uint(reasons.len, 4, "all reasons are told, not the first")) {
        like(reasons.data[0], "it is paused", "the state comes first");
        like(reasons.data[1], "stub domain 9", "then the stub domain");
        is_str(reasons.data[3], "it has a PCI device",
               "then all that the configuration has");
    }
    snap_strings_dispose(&reasons);
    world_dispose(&w);
}

/* ---- --live ---- */

static void live_pv(struct world *w)
{
    w->req.live = true;
    w->f.host.pv_log_dirty = false;
}

static void live_hvm(struct world *w)
{
    w->req.live = true;
    w->f.dom.type = "hvm";
}

static void live_pvh(struct world *w)
{
    w->req.live = true;
    w->f.dom.type = "pvh";
    w->f.host.hap = false;
}

static void is_live_possible(const char *type, bool log_dirty, bool hap)
{
    AUTO_FREE char *reason = NULL;
    struct world w;

    sound(&w);
    w.f.dom.type = type;
    w.f.host.pv_log_dirty = log_dirty;
    w.f.host.hap = hap;
    reason = snap_plan_live_reason(&w.f);
    is_str(reason, NULL, "--live of %s is possible (log dirty %d, hap %d)",
           type, log_dirty, hap);
    world_dispose(&w);
}

static void test_live(void)
{
    static const struct refusal rows[] = {
        { "--live of a PV guest needs shadow paging", live_pv, "domain "
          "'web': --live is not possible: this Xen is built without shadow "
          "paging, so it cannot track what a PV guest writes; leave --live "
          "out, or run the guest as PVH" },
        { "--live of an HVM guest is refused", live_hvm, "domain 'web': "
          "--live is not possible: QEMU deactivates its disk images at the "
          "end of a live save of an HVM guest, and a write in that state "
          "stops it; leave --live out" },
        { "--live of a PVH guest needs hardware assisted paging", live_pvh,
          "domain 'web': --live is not possible: this host has no hardware "
          "assisted paging, so Xen cannot track what the guest writes; leave "
          "--live out" },
    };

    TRY_ALL(rows);
    is_live_possible("pv", true, false);
    is_live_possible("pvh", false, true);
}

/* ---- names ---- */

static void try_name(const char *name)
{
    AUTO_FREE char *want = snap_printf("'%s' cannot be a snapshot's name: it "
        "starts with a letter or '_', goes on with letters, digits, '_', "
        "'.', '-', and has at most 64 characters", name);
    struct world w;

    sound(&w);
    w.req.name = name;
    refused(&w, want, "a hostile name is refused");
    world_dispose(&w);
}

static void test_names(void)
{
    static const char *const hostile[] = {
        "", ".", "..", "../s", "a/b", "/", "1", "7days", "-n", ".hidden",
        "a b", "a\n", "a\tb", "a,b", "a=b", "a:b", "a%s", "a;rm", "a'b",
        "a\"b", "a\\b", "a*", "\xc3\xa9", "a\xff", "a\x01", "a@b", "a#b",
    };
    char long_name[66];
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_plan p;
    struct world w;
    size_t i;

    for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
        try_name(hostile[i]);
    memset(long_name, 'x', 65);
    long_name[65] = 0;
    try_name(long_name);
    long_name[64] = 0;
    sound(&w);
    w.req.name = long_name;
    is_int(world_plan(&sc, &w, &p), 0, "a name of 64 characters is taken");
    snap_plan_dispose(&p);
    w.req.name = "_a.b-9";
    is_int(world_plan(&sc, &w, &p), 0, "every character that may be is taken");
    snap_plan_dispose(&p);
    snap_ctx_dispose(&sc);
    world_dispose(&w);
}

static void tag_by_qemu(struct world *w)
{
    snap_strings_add(&xvda(w)->tags, "s0");
    snap_strings_add(&xvda(w)->tags, "s1");
}

static void tag_in_top(struct world *w)
{
    world_tag(&xvda(w)->chain.data[0], "1", "s1");
}

static void tag_below(struct world *w)
{
    world_layer(xvda(w), "/img/mid.qcow2", "qcow2");
    world_tag(world_layer(xvda(w), "/img/base.qcow2", "qcow2"), "1", "s1");
}

static void tag_below_external(struct world *w)
{
    tag_below(w);
    w->req.default_kind = LIBXL_SNAPSHOT_DISK_EXTERNAL;
}

static void tag_in_second_disk(struct world *w)
{
    struct snap_facts_disk *d = world_disk(w, "xvdb", "qcow2",
                                           "/img/b.qcow2");

    world_tag(&d->chain.data[0], "1", "s1");
}

static void test_names_in_use(void)
{
    static const struct refusal rows[] = {
        { "a tag that QEMU knows is in use", tag_by_qemu, "disk 'xvda': its "
          "image already holds a snapshot 's1'; choose another name" },
        { "a tag in the image is in use", tag_in_top, "disk 'xvda': its "
          "layer '/img/a.qcow2' already holds a snapshot 's1'; choose "
          "another name" },
        { "a tag in any layer is in use", tag_below, "disk 'xvda': its layer "
          "'/img/base.qcow2' already holds a snapshot 's1'; choose another "
          "name" },
        { "... for an external snapshot too", tag_below_external, "disk "
          "'xvda': its layer '/img/base.qcow2' already holds a snapshot "
          "'s1'; choose another name" },
        { "a tag in any disk is in use", tag_in_second_disk, "disk 'xvdb': "
          "its layer '/img/b.qcow2' already holds a snapshot 's1'; choose "
          "another name" },
    };

    TRY_ALL(rows);
}

/* ---- what keeps every driver away ---- */

static void driver_domain(struct world *w) { xvda(w)->backend_domid = 3; }

static void block_script(struct world *w)
{
    world_set(&xvda(w)->script, "block-iscsi");
}

static void phy(struct world *w)
{
    world_set(&xvda(w)->backend, "phy");
    world_set(&xvda(w)->node, NULL);
}

static void tapdisk(struct world *w) { world_set(&xvda(w)->backend, "tap"); }

static void standalone(struct world *w)
{
    world_set(&xvda(w)->backend, "standalone");
}

static void relative(struct world *w)
{
    world_set(&xvda(w)->path, "a.qcow2");
}

static void image_gone(struct world *w) { xvda(w)->have_id = false; }

static void no_qmp(struct world *w)
{
    world_set(&w->f.qmp_error, "/run/qmp-7: Connection refused");
}

static void not_in_qemu(struct world *w)
{
    world_set(&xvda(w)->node, NULL);
}

static void opened_twice(struct world *w) { xvda(w)->opened_times = 2; }
static void block_job(struct world *w) { xvda(w)->filtered = true; }
static void qemu_ro(struct world *w) { xvda(w)->qemu_read_only = true; }

static void other_format(struct world *w)
{
    world_set(&xvda(w)->qemu_driver, "raw");
}

static void chain_unread(struct world *w)
{
    world_set(&xvda(w)->chain_error, "its layer '/img/x' has no format; run "
              "qemu-img rebase -u");
}

static void data_file(struct world *w)
{
    world_set(&xvda(w)->chain.data[0].data_file, "/img/a.data");
}

static void encrypted(struct world *w)
{
    world_layer(xvda(w), "/img/base.qcow2", "qcow2")->encrypted = true;
}

static void zstd(struct world *w)
{
    world_set(&xvda(w)->chain.data[0].compression, "zstd");
}

static void corrupt(struct world *w)
{
    world_layer(xvda(w), "/img/mid.qcow2", "qcow2");
    world_layer(xvda(w), "/img/base.qcow2", "qcow2")->corrupt = true;
}

static void has_users(struct world *w)
{
    world_set(&xvda(w)->users, "qemu-nbd (process 55), domain 'db' (9, as "
              "xvdb)");
}

static void test_common(void)
{
    static const struct refusal rows[] = {
        { "a driver domain's disk is refused", driver_domain, "disk 'xvda': "
          "served by a driver domain (domain 3), whose QEMU cannot be "
          "reached; serve it from dom0" },
        { "a block script's disk is refused", block_script, "disk 'xvda': "
          "set up by the block script 'block-iscsi', so the image is not a "
          "file that can be snapshotted; use a qcow2 or raw image with "
          "backendtype=qdisk" },
        { "a phy disk is refused", phy, "disk 'xvda': served by the kernel "
          "(phy), out of QEMU's reach; use a qcow2 image, or a raw one with "
          "backendtype=qdisk, or leave it out with --exclude" },
        { "a tapdisk is refused", tapdisk, "disk 'xvda': served by tapdisk, "
          "which has no snapshots here; use backendtype=qdisk, or "
          "--exclude" },
        { "an unknown back end is refused by name", standalone, "disk "
          "'xvda': served by the backend 'standalone', which has no "
          "snapshots here; use backendtype=qdisk, or --exclude" },
        { "a relative path is refused", relative, "disk 'xvda': its path "
          "'a.qcow2' is not absolute" },
        { "an image that is gone is refused", image_gone, "disk 'xvda': its "
          "image '/img/a.qcow2' is not there any more" },
        { "a QEMU that does not answer is a refusal", no_qmp, "disk 'xvda': "
          "QEMU cannot be asked: /run/qmp-7: Connection refused" },
        { "a disk that QEMU does not have is refused", not_in_qemu, "disk "
          "'xvda': QEMU does not have it open; see "
          "/var/log/xen/qemu-dm-web.log for the reason" },
        { "an image that QEMU has open twice is refused", opened_twice,
          "disk 'xvda': QEMU has the image open 2 times, as an emulated and "
          "as a PV disk; wait until the guest's PV drivers have unplugged "
          "the emulated one" },
        { "a disk with a block job is refused", block_job, "disk 'xvda': a "
          "block job (a backup, a mirror) works on it in QEMU; wait until it "
          "has ended" },
        { "a disk that QEMU cannot write is refused", qemu_ro, "disk 'xvda': "
          "QEMU has it open read-only although the configuration says "
          "writable" },
        { "two opinions on the format are a refusal", other_format, "disk "
          "'xvda': the configuration says qcow2, QEMU uses it as raw; stop "
          "the domain and mend its configuration" },
        { "a chain that cannot be read is a refusal", chain_unread, "disk "
          "'xvda': its layer '/img/x' has no format; run qemu-img rebase "
          "-u" },
        { "an external data file is refused", data_file, "disk 'xvda': its "
          "layer '/img/a.qcow2' keeps its data in an external data file, "
          "which a snapshot does not freeze; convert it with qemu-img "
          "convert" },
        { "an encrypted layer is refused", encrypted, "disk 'xvda': its "
          "layer '/img/base.qcow2' is encrypted, which Xen's QEMU cannot "
          "open again" },
        { "zstd compression is refused", zstd, "disk 'xvda': its layer "
          "'/img/a.qcow2' uses zstd compression, which Xen's QEMU cannot "
          "open; convert it with -o compression_type=zlib" },
        { "a corrupt layer is refused", corrupt, "disk 'xvda': its layer "
          "'/img/base.qcow2' is marked corrupt; run qemu-img check on it "
          "while the domain is off" },
        { "an image in two hands is refused", has_users, "disk 'xvda': its "
          "image is also open in: qemu-nbd (process 55), domain 'db' (9, as "
          "xvdb); an image in two hands cannot be snapshotted" },
    };

    TRY_ALL(rows);
}

/* ---- the drivers ---- */

static void raw_internal(struct world *w)
{
    w->req.default_kind = LIBXL_SNAPSHOT_DISK_INTERNAL;
    world_disk(w, "xvdb", "raw", "/img/b.raw");
}

static void vhd_internal(struct world *w)
{
    world_disk(w, "xvdb", "vhd", "/img/b.vhd");
    world_wish(w, "xvdb", LIBXL_SNAPSHOT_DISK_INTERNAL, NULL, NULL);
}

static void vhd_auto(struct world *w)
{
    world_disk(w, "xvdb", "vhd", "/img/b.vhd");
}

static void config_update(struct world *w)
{
    w->f.userdata_xl = true;
    w->req.default_kind = LIBXL_SNAPSHOT_DISK_EXTERNAL;
}

static void config_update_auto(struct world *w)
{
    w->f.userdata_xl = true;
    world_disk(w, "xvdb", "raw", "/img/b.raw");
}

static void on_device(struct world *w)
{
    world_disk(w, "xvdb", "raw", "/dev/vg/b");
}

static void not_qcow2(struct world *w)
{
    world_wish(w, "xvda", LIBXL_SNAPSHOT_DISK_EXTERNAL, "raw",
               "/img/over.raw");
}

static void relative_target(struct world *w)
{
    world_wish(w, "xvda", LIBXL_SNAPSHOT_DISK_EXTERNAL, "qcow2",
               "over.qcow2");
}
static void spaced_target(struct world *w)
{
    world_wish(w, "xvda", LIBXL_SNAPSHOT_DISK_EXTERNAL, "qcow2",
               "/a b/over.qcow2");
}

static void test_drivers(void)
{
    static const struct refusal rows[] = {
        { "a raw image cannot hold a tag", raw_internal, "disk 'xvdb': a raw "
          "image cannot hold an internal snapshot; use --external" },
        { "nor can a vhd image", vhd_internal, "disk 'xvdb': a vhd image "
          "cannot hold an internal snapshot; use --external" },
        { "no driver takes a vhd image: the last one says why", vhd_auto,
          "disk 'xvdb': an overlay on a vhd image is not supported; convert "
          "it to qcow2, or leave it out with --exclude" },
        { "a `config-update` forbids external snapshots", config_update,
          "disk 'xvda': the domain has a configuration from `xl "
          "config-update`, which at a guest reboot would start the frozen "
          "base; use --internal, or recreate the domain" },
        { "... those that nobody asked for too", config_update_auto, "disk "
          "'xvdb': the domain has a configuration from `xl config-update`, "
          "which at a guest reboot would start the frozen base; use "
          "--internal, or recreate the domain" },
        { "there is no place beside a block device", on_device, "disk "
          "'xvdb': there is no place beside the block device '/dev/vg/b' for "
          "an overlay; give target= in a SNAPSHOT-CONFIG" },
        { "an overlay is qcow2 and nothing else", not_qcow2, "disk 'xvda': "
          "an overlay is always qcow2, not raw" },
        { "an overlay's path is absolute", relative_target, "disk 'xvda': "
          "the overlay's path 'over.qcow2' must be absolute" },
        { "... and without white space", spaced_target, "disk 'xvda': the "
          "overlay's path '/a b/over.qcow2' has white space, and a domain "
          "cannot be started from such a path; give target= in a "
          "SNAPSHOT-CONFIG" },
    };
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_plan p;
    struct world w;

    TRY_ALL(rows);
    sound(&w);
    w.f.userdata_xl = true;
    is_int(world_plan(&sc, &w, &p), 0,
           "a `config-update` does not forbid an internal snapshot");
    snap_plan_dispose(&p);
    snap_ctx_dispose(&sc);
    world_dispose(&w);
    ok(!snap_disk_driver(false)->external && snap_disk_driver(true)->external,
       "drivers are found by what they do");
}

/* ---- wishes, and disks against each other ---- */

static void no_such_disk(struct world *w)
{
    world_wish(w, "xvdz", LIBXL_SNAPSHOT_DISK_EXCLUDE, NULL, NULL);
}

static void named_twice(struct world *w)
{
    world_wish(w, "xvda", LIBXL_SNAPSHOT_DISK_INTERNAL, NULL, NULL);
    world_wish(w, "xvda", LIBXL_SNAPSHOT_DISK_EXCLUDE, NULL, NULL);
}

static void wished_cdrom(struct world *w)
{
    world_disk(w, "xvdb", "raw", "/img/b.iso")->cdrom = true;
    world_wish(w, "xvdb", LIBXL_SNAPSHOT_DISK_EXTERNAL, NULL, NULL);
}

static void wished_empty(struct world *w)
{
    world_set(&world_disk(w, "xvdb", "raw", "/img/b.iso")->path, NULL);
    world_wish(w, "xvdb", LIBXL_SNAPSHOT_DISK_AUTO, NULL, NULL);
}

static void wished_read_only(struct world *w)
{
    world_disk(w, "xvdb", "qcow2", "/img/b.qcow2")->readwrite = false;
    world_wish(w, "xvdb", LIBXL_SNAPSHOT_DISK_INTERNAL, NULL, NULL);
}

static void same_image(struct world *w)
{
    struct snap_facts_disk *d = world_disk(w, "xvdb", "qcow2",
                                           "/img/link-to-a.qcow2");

    d->id.ino = xvda(w)->id.ino;
}

static void second_is_read_only(struct world *w)
{
    same_image(w);
    w->f.disks[1].readwrite = false;
}

static void base_of_another(struct world *w)
{
    world_layer(world_disk(w, "xvdb", "qcow2", "/img/top.qcow2"),
                xvda(w)->id.real, "qcow2");
}

static void same_image_read_only(struct world *w)
{
    struct snap_facts_disk *d;

    xvda(w)->readwrite = false;
    d = world_disk(w, "xvdb", "qcow2", "/img/link-to-a.qcow2");
    d->id.ino = xvda(w)->id.ino;
}

static void same_overlay(struct world *w)
{
    world_disk(w, "xvdb", "raw", "/img/b.raw");
    world_wish(w, "xvda", LIBXL_SNAPSHOT_DISK_EXTERNAL, NULL,
               "/fast/o.qcow2");
    world_wish(w, "xvdb", LIBXL_SNAPSHOT_DISK_EXTERNAL, NULL,
               "/fast/o.qcow2");
}

/* a.qcow2 and a.raw: the caller's policy names both overlays alike. */
static void same_overlay_by_policy(struct world *w)
{
    w->req.default_kind = LIBXL_SNAPSHOT_DISK_EXTERNAL;
    world_disk(w, "xvdb", "raw", "/img/a.raw");
}

static void test_wishes(void)
{
    static const struct refusal rows[] = {
        { "a vdev that the domain does not have is refused", no_such_disk,
          "domain 'web' has no disk 'xvdz'" },
        { "a vdev named twice is refused", named_twice, "disk 'xvda' is "
          "named twice" },
        { "a CD-ROM that is asked for is refused", wished_cdrom, "disk "
          "'xvdb' cannot be snapshotted: it is a CD-ROM" },
        { "an empty drive that is asked for is refused", wished_empty,
          "disk 'xvdb' cannot be snapshotted: it is an empty drive" },
        { "a read-only disk that is asked for is refused", wished_read_only,
          "disk 'xvdb' cannot be snapshotted: it is read-only" },
        { "two disks on one image are refused", same_image, "disks 'xvda' "
          "and 'xvdb' are the same image" },
        { "... when the second is only read, too", second_is_read_only,
          "disks 'xvda' and 'xvdb' are the same image" },
        { "a disk that another one stands on is refused", base_of_another,
          "disk 'xvda': disk 'xvdb' is an overlay on its image "
          "'/img/a.qcow2', which must not be written any more" },
        { "... when the first is only read, too", same_image_read_only,
          "disks 'xvda' and 'xvdb' are the same image" },
        { "two overlays at one path are refused", same_overlay, "disks "
          "'xvda' and 'xvdb' would get the same overlay '/fast/o.qcow2'; "
          "give target= in a SNAPSHOT-CONFIG" },
        { "... when the caller's policy names them so, too",
          same_overlay_by_policy, "disks 'xvda' and 'xvdb' would get the "
          "same overlay '/img/a.s1.qcow2'; give target= in a "
          "SNAPSHOT-CONFIG" },
    };

    TRY_ALL(rows);
}

/* Which disks are no part of snapshots is said with the reason. */
static void test_ignored(void)
{
    AUTO_FREE char *reason = NULL;
    struct world w;
    bool ignored = true;

    sound(&w);
    reason = snap_disk_common_reason(&w.f, xvda(&w), &ignored);
    ok(!reason && !ignored, "nothing keeps drivers away from a sound disk");
    phy(&w);
    reason = snap_disk_common_reason(&w.f, xvda(&w), &ignored);
    ok(reason && !ignored, "a phy disk is refused, not ignored");
    free(reason);
    xvda(&w)->readwrite = false;
    reason = snap_disk_common_reason(&w.f, xvda(&w), &ignored);
    ok(ignored, "a read-only phy disk is ignored, not refused");
    is_str(reason, "read-only", "... and why is said");
    world_dispose(&w);
}

int main(void)
{
    test_domain();
    test_all_reasons();
    test_live();
    test_names();
    test_names_in_use();
    test_common();
    test_drivers();
    test_wishes();
    test_ignored();
    return done_testing();
}
