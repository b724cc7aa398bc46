/* SPDX-License-Identifier: LGPL-2.1-only */
/* What snapshot-revert refuses before anything is destroyed, with the whole
 * message: it names the object, the reason and what to do. */
#include "tap.h"
#include "world.h"

struct refusal {
    const char *claim;
    void (*change)(struct past *p);
    int rc;
    const char *message;
};

/* Running; xvda has the tag, xvdb is a frozen base. */
static void sound(struct past *p)
{
    past_make(p);
    past_internal(p, "xvda", "/img/a.qcow2");
    past_external(p, "xvdb", "raw", "/img/b.raw");
}

static void refused(struct past *past, int want, const char *message,
                    const char *claim)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_plan p;
    int rc = past_plan(&sc, past, &p);

    is_str(sc.message, message, "%s", claim);
    if (rc != want || sc.rc != want || p.len)
        ok(false, "%s: code %d and no steps", claim, want);
    snap_plan_dispose(&p);
    snap_ctx_dispose(&sc);
}

static void accepted(struct past *past, const char *claim)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_plan p;

    is_int(past_plan(&sc, past, &p), 0, "%s", claim);
    if (sc.message) diag("refused: %s", sc.message);
    snap_plan_dispose(&p);
    snap_ctx_dispose(&sc);
}

static void accepted_after(void (*change)(struct past *p), const char *claim)
{
    struct past p;

    sound(&p);
    change(&p);
    accepted(&p, claim);
    past_dispose(&p);
}

static void try_all(const struct refusal *rows, size_t n)
{
    struct past p;
    size_t i;

    for (i = 0; i < n; i++) {
        sound(&p);
        rows[i].change(&p);
        refused(&p, rows[i].rc, rows[i].message, rows[i].claim);
        past_dispose(&p);
    }
}
#define TRY_ALL(rows) try_all(rows, sizeof(rows) / sizeof(rows[0]))

/* ---- the domain ---- */

static void between(struct past *p)
{
    past_off(p);
    p->f.between_pid = 812;
}

static void is_dom0(struct past *p) { p->now.f.dom.domid = 0; }
static void is_dying(struct past *p) { p->now.f.dom.dying = true; }

static void is_suspended(struct past *p)
{
    p->now.f.dom.suspended = p->now.f.dom.shutdown = true;
}

static void has_replaced(struct past *p)
{
    struct snap_facts_disk *d = world_disk(&p->now, "xvdb", "raw", "/b");

    d->replaced = true;
    world_set(&d->chain_error, "it was replaced");
}
static void has_stubdom(struct past *p) { p->now.f.stubdom = 9; }

static void test_domain(void)
{
    static const struct refusal rows[] = {
        { "a domain between a destroy and a create is refused", between,
          ERROR_INVAL, "xl's monitor (process 812) is just restarting domain "
          "'web'; try again when it runs" },
        { "dom0 is refused", is_dom0, ERROR_INVAL, "dom0 cannot be "
          "reverted" },
        { "a dying domain is refused", is_dying, ERROR_INVAL, "domain 'web' "
          "is just being torn down; try again when it is gone" },
        { "a suspended domain is refused", is_suspended, ERROR_INVAL,
          "domain 'web' stands suspended by somebody else (xl save, a "
          "migration, an interrupted command); wait, run `xl "
          "snapshot-recover`, or `xl destroy` it first" },
        { "a disk whose file no name leads to any more is refused",
          has_replaced, ERROR_INVAL, "disk 'xvdb': it was replaced; or `xl "
          "destroy` the domain first, if nothing on that disk is wanted" },
        { "a stub domain is refused", has_stubdom, ERROR_INVAL, "domain "
          "'web' has its device model in a stub domain, which is not "
          "supported" },
    };

    TRY_ALL(rows);
}

/* ---- versions ---- */

static void older_xen(struct past *p) { p->f.xen_minor = 18; }

static void much_older_xen(struct past *p)
{
    p->f.xen_major = 5;
    p->f.xen_minor = 0;
}

static void older_xen_off(struct past *p)
{
    past_off(p);
    older_xen(p);
}

static void newer_xen(struct past *p)
{
    p->f.xen_major = 3;
    p->f.xen_minor = 99;
}

static void hvm_older_qemu(struct past *p)
{
    world_set(&p->config.type, "hvm");
    world_set(&p->set.qemu_version, "10.0.1");
}

static void hvm_newer_qemu(struct past *p)
{
    world_set(&p->config.type, "hvm");
    world_set(&p->set.qemu_version, "7.2.9");
}

static void hvm_unknown_qemu(struct past *p)
{
    world_set(&p->config.type, "hvm");
    p->f.qemu_version = NULL;
}

static void pv_older_qemu(struct past *p)
{
    world_set(&p->set.qemu_version, "10.0.1");
}

static void test_versions(void)
{
    static const struct refusal rows[] = {
        { "an older Xen is refused", older_xen, ERROR_INVAL, "the snapshot "
          "was made on Xen 4.18, this host runs the older 4.17: a memory "
          "image only goes to the same or a newer Xen" },
        { "an older major version is refused", much_older_xen, ERROR_INVAL,
          "the snapshot was made on Xen 5.0, this host runs the older 4.17: "
          "a memory image only goes to the same or a newer Xen" },
        { "... for a domain that is off, too", older_xen_off, ERROR_INVAL,
          "the snapshot was made on Xen 4.18, this host runs the older 4.17: "
          "a memory image only goes to the same or a newer Xen" },
        { "an older QEMU is refused for HVM: 10 is newer than 7",
          hvm_older_qemu, ERROR_INVAL, "the snapshot of this HVM domain was "
          "made with QEMU 10.0.1, this host has the older 7.2.22" },
    };

    TRY_ALL(rows);
    accepted_after(newer_xen, "a newer Xen is accepted");
    accepted_after(hvm_newer_qemu,
                   "a newer QEMU is accepted: 22 is more than 9");
    accepted_after(hvm_unknown_qemu, "an unknown QEMU is accepted");
    accepted_after(pv_older_qemu, "PV memory does not depend on QEMU");
}

/* ---- memory ---- */

static void too_many_pages(struct past *p)
{
    p->f.memory_pages = (256 + 32) * 256 + 1;
}

static void some_pages_more(struct past *p)
{
    p->f.memory_pages = (256 + 32) * 256;
}

static void no_target(struct past *p)
{
    p->config.target_memkb = 0;
    too_many_pages(p);
}

static void host_is_full(struct past *p)
{
    p->f.need_kb = 300 * 1024;
    p->f.have_kb = 300 * 1024 - 1;
}

static void host_just_fits(struct past *p)
{
    p->f.need_kb = p->f.have_kb = 300 * 1024;
}

static void need_unknown(struct past *p) { p->f.need_kb = p->f.have_kb = 0; }

static void test_memory(void)
{
    static const struct refusal rows[] = {
        { "more pages than the target are refused", too_many_pages,
          ERROR_INVAL, "the memory image holds 294916 KiB but its "
          "configuration says memory = 262144 KiB: `xl restore` could not "
          "place all pages" },
        { "a full host is refused", host_is_full, ERROR_NOMEM, "not enough "
          "free host memory: the domain needs 300 MiB, 299 MiB are free; "
          "stop another domain first" },
    };

    TRY_ALL(rows);
    accepted_after(some_pages_more,
                   "32 MiB beyond the target are firmware and video memory");
    accepted_after(no_target, "without a target there is nothing to compare");
    accepted_after(host_just_fits, "a host with just enough is accepted");
    accepted_after(need_unknown, "an unknown need is accepted");
}

/* ---- left-out disks, strangers ---- */

static void left_out(struct past *p)
{
    snap_strings_add(&p->f.excluded, "xvdc");
    snap_strings_add(&p->f.excluded, "xvdd");
    past_exclude(p, "xvdc");
}

static void left_out_named(struct past *p)
{
    left_out(p);
    past_exclude(p, "xvdd");
}

static void left_out_of_set(struct past *p) { past_exclude(p, "xvdb"); }

static void forced_left_out(struct past *p)
{
    left_out(p);
    p->req.force = true;
}

static void stranger(struct past *p)
{
    p->f.stranger = snap_strdup("the domain has no disk 'xvdb'");
}

static void forced_stranger(struct past *p)
{
    stranger(p);
    p->req.force = true;
}

static void test_doubts(void)
{
    static const char broken[] = "disk 'xvdd' is not in the snapshot: the "
        "guest's memory would go back but that disk would not, and its file "
        "systems would break unless nothing was written to it; if that is "
        "what you want, add --exclude xvdd";
    static const struct refusal rows[] = {
        { "a disk that was left out must be named again", left_out,
          ERROR_INVAL, broken },
        { "... --force is no answer to that", forced_left_out, ERROR_INVAL,
          broken },
        { "a disk of the snapshot cannot be left out", left_out_of_set,
          ERROR_INVAL, "disk 'xvdb' is in the snapshot: it cannot be left "
          "out of the revert, because memory and disk would not agree" },
        { "a stranger's snapshot is refused", stranger, ERROR_INVAL, "this "
          "snapshot does not look like one of domain 'web': the domain has "
          "no disk 'xvdb'; if it is, add --force" },
    };

    TRY_ALL(rows);
    accepted_after(left_out_named, "all left-out disks named again suffice");
    accepted_after(forced_stranger, "--force goes over a doubt of identity");
}

/* ---- disks with a tag ---- */

static struct snap_revert_disk *xvda(struct past *p) { return &p->f.disks[0]; }
static struct snap_revert_disk *xvdb(struct past *p) { return &p->f.disks[1]; }

static void no_tag(struct past *p)
{
    world_set(&xvda(p)->chain.data[0].tags[0].name, "other");
}

/* A number is an id for qemu-img, never for us. */
static void tag_is_an_id(struct past *p)
{
    no_tag(p);
    world_set(&xvda(p)->chain.data[0].tags[0].id, "before");
}

static void tag_in_base_only(struct past *p)
{
    no_tag(p);
    xvda(p)->chain.data = snap_realloc(xvda(p)->chain.data,
                                       2 * sizeof(struct snap_image));
    xvda(p)->chain.data[1] = (struct snap_image) {
        .path = snap_strdup("/img/base.qcow2"),
    };
    xvda(p)->chain.len = 2;
    world_tag(&xvda(p)->chain.data[1], "3", "before");
}

static void tag_twice(struct past *p)
{
    world_tag(&xvda(p)->chain.data[0], "4", "before");
}

static void tag_made_again(struct past *p)
{
    world_set(&xvda(p)->chain.data[0].tags[0].id, "8");
}

static void tag_without_id(struct past *p)
{
    tag_made_again(p);
    world_set(&p->set.disks[0].tag_id, NULL);
}

static void tag_users(struct past *p)
{
    xvda(p)->users = snap_strdup("domain 'db' (as xvdb)");
}

static void forced(struct past *p, void (*change)(struct past *p))
{
    change(p);
    p->req.force = true;
}

static void forced_users(struct past *p) { forced(p, tag_users); }
static void forced_no_tag(struct past *p) { forced(p, no_tag); }

/* Frozen, but a copy has nowhere to go. */
static void no_place_for_copy(struct past *p)
{
    xvda(p)->frozen_by = snap_strdup("snapshot 'x' depends on it");
}

static void test_internal(void)
{
    static const char no_more[] = "disk 'xvda': '/img/a.qcow2' holds no "
        "snapshot 'before' any more";
    static const struct refusal rows[] = {
        { "a tag that is gone is refused", no_tag, ERROR_NOTFOUND, no_more },
        { "... --force does not bring it back", forced_no_tag,
          ERROR_NOTFOUND, no_more },
        { "an id that looks like the tag is not the tag", tag_is_an_id,
          ERROR_NOTFOUND, no_more },
        { "a tag of a layer below is not the image's", tag_in_base_only,
          ERROR_NOTFOUND, no_more },
        { "a tag that is there twice is refused", tag_twice, ERROR_INVAL,
          "disk 'xvda': '/img/a.qcow2' holds 2 snapshots called 'before': "
          "nobody can tell which is meant; rename or delete the others" },
        { "a tag that was made again is refused", tag_made_again,
          ERROR_INVAL, "disk 'xvda': the snapshot 'before' in '/img/a.qcow2' "
          "is not the one that was made then (id 8, was 3)" },
        { "an image in use is refused", tag_users, ERROR_INVAL, "disk "
          "'xvda': '/img/a.qcow2' is in use by domain 'db' (as xvdb); "
          "stop that first" },
        { "... --force never goes over in use", forced_users, ERROR_INVAL,
          "disk 'xvda': '/img/a.qcow2' is in use by domain 'db' (as "
          "xvdb); stop that first" },
        { "a copy must have a place", no_place_for_copy, ERROR_INVAL, "disk "
          "'xvda': there is no place beside the block device '/img/a.qcow2' "
          "for an overlay; give a set with target= for it" },
    };

    TRY_ALL(rows);
    accepted_after(tag_without_id, "a hand-written set knows no id");
}

/* ---- frozen bases ---- */

static void base_writers(struct past *p)
{
    xvdb(p)->users = snap_strdup("qemu-nbd (process 55)");
    xvdb(p)->writers = snap_strdup("qemu-nbd (process 55)");
}

static void forced_writers(struct past *p) { forced(p, base_writers); }

static void base_readers(struct past *p)
{
    xvdb(p)->users = snap_strdup("tar (process 56)");
}

static void base_grown(struct past *p) { xvdb(p)->id.size_bytes++; }
static void base_touched(struct past *p) { xvdb(p)->id.mtime_ns++; }
static void base_older(struct past *p) { xvdb(p)->id.mtime_ns--; }

static void by_hand(struct past *p)
{
    p->set.disks[1].mtime_ns = 0;
    p->set.disks[1].size_bytes = 0;
}

static void device_touched(struct past *p)
{
    xvdb(p)->id.block = true;
    base_touched(p);
}

static void device_resized(struct past *p)
{
    device_touched(p);
    base_grown(p);
}

static void no_place(struct past *p) { world_set(&xvdb(p)->new_path, NULL); }

static void test_external(void)
{
    static const char written[] = "disk 'xvdb': the frozen base "
        "'/img/b.raw' was written to since the snapshot: its contents do not "
        "fit the memory any more; put a copy from then (cp -a) in its place, "
        "if there is one";
    static const char open_for[] = "disk 'xvdb': the frozen base "
        "'/img/b.raw' is open for writing in qemu-nbd (process 55)";
    static const struct refusal rows[] = {
        { "a base with a writer is refused", base_writers, ERROR_INVAL,
          open_for },
        { "... --force never goes over in use", forced_writers, ERROR_INVAL,
          open_for },
        { "a base of another size is refused", base_grown, ERROR_INVAL,
          written },
        { "a base that was written later is refused", base_touched,
          ERROR_INVAL, written },
        { "a base with an earlier time is refused", base_older, ERROR_INVAL,
          written },
        { "a device of another size is refused", device_resized,
          ERROR_INVAL, written },
        { "an overlay must have a place", no_place, ERROR_INVAL, "disk "
          "'xvdb': there is no place beside the block device '/img/b.raw' "
          "for an overlay; give a set with target= for it" },
    };

    TRY_ALL(rows);
    accepted_after(base_readers, "a reader of a frozen base does no harm");
    accepted_after(by_hand, "a hand-written set knows no size and time");
    accepted_after(device_touched, "the time of a device's node says nothing");
}

int main(void)
{
    test_domain();
    test_versions();
    test_memory();
    test_doubts();
    test_internal();
    test_external();
    return done_testing();
}
