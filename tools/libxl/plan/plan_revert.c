/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Revert: look at everything before anything is destroyed, then the steps.
 */
#include "plan/revert.h"
#include "plan/unharmed.h"

#include <stdio.h>
#include <string.h>

int snap_version_compare(const char *a, const char *b)
{
    int i;

    for (i = 0; i < 3; i++) {
        long x = strtol(a, (char **)&a, 10), y = strtol(b, (char **)&b, 10);

        if (x != y) return x < y ? -1 : 1;
        if (*a == '.') a++;
        if (*b == '.') b++;
    }
    return 0;
}

/* ---- refusals ---------------------------------------------------- */

static int check_domain(struct snap_ctx *sc,
                        const struct snap_revert_facts *f)
{
    const struct snap_dominfo *d = &f->now->dom;

    if (strchr(f->domain_name, '/'))
        return snap_fail(sc, ERROR_INVAL, "domain '%s' cannot be built "
                         "again: libxl and xl name log files after a domain, "
                         "and its name has a '/'; give it another with `xl "
                         "rename`", f->domain_name);
    if (f->between_pid)
        return snap_fail(sc, ERROR_INVAL, "xl's monitor (process %d) is just "
                         "restarting domain '%s'; try again when it runs",
                         f->between_pid, f->domain_name);
    if (!f->now->exists) return 0;
    if (d->domid == 0)
        return snap_fail(sc, ERROR_INVAL, "dom0 cannot be reverted");
    if (d->dying)
        return snap_fail(sc, ERROR_INVAL, "domain '%s' is just being torn "
                         "down; try again when it is gone", f->domain_name);
    if (d->suspended)
        return snap_fail(sc, ERROR_INVAL, "domain '%s' stands suspended by "
                         "somebody else (xl save, a migration, an "
                         "interrupted command); wait, run `xl "
                         "snapshot-recover`, or `xl destroy` it first",
                         f->domain_name);
    if (f->now->stubdom)
        return snap_fail(sc, ERROR_INVAL, "domain '%s' has its device model "
                         "in a stub domain, which is not supported",
                         f->domain_name);
    return 0;
}

/* What a disk has that nobody can find is gone with QEMU. */
static int check_findable(struct snap_ctx *sc,
                          const struct snap_revert_facts *f)
{
    size_t i;

    for (i = 0; i < f->now->ndisks; i++)
        if (f->now->disks[i].replaced)
            return snap_fail(sc, ERROR_INVAL, "disk '%s': %s; or `xl "
                             "destroy` the domain first, if nothing on that "
                             "disk is wanted", f->now->disks[i].vdev,
                             f->now->disks[i].chain_error);
    return 0;
}

static int check_versions(struct snap_ctx *sc,
                          const struct snap_revert_facts *f)
{
    const struct snap_host *h = &f->now->host;

    if (h->xen_major < (int)f->xen_major
        || (h->xen_major == (int)f->xen_major
            && h->xen_minor < (int)f->xen_minor))
        return snap_fail(sc, ERROR_INVAL, "the snapshot was made on Xen "
                         "%u.%u, this host runs the older %d.%d: a memory "
                         "image only goes to the same or a newer Xen",
                         f->xen_major, f->xen_minor, h->xen_major,
                         h->xen_minor);
    if (f->config->type && !strcmp(f->config->type, "hvm")
        && f->set->qemu_version && f->qemu_version
        && snap_version_compare(f->qemu_version, f->set->qemu_version) < 0)
        return snap_fail(sc, ERROR_INVAL, "the snapshot of this HVM domain "
                         "was made with QEMU %s, this host has the older %s",
                         f->set->qemu_version, f->qemu_version);
    return 0;
}

static int check_memory(struct snap_ctx *sc,
                        const struct snap_revert_facts *f)
{
    uint64_t pages_kb = f->memory_pages * 4;
    uint64_t target_kb = f->config->target_memkb;

    if (!f->disk_only && target_kb && pages_kb > target_kb + 32768)
        return snap_fail(sc, ERROR_INVAL, "the memory image holds %llu KiB "
                         "but its configuration says memory = %llu KiB: "
                         "`xl restore` could not place all pages",
                         (unsigned long long)pages_kb,
                         (unsigned long long)target_kb);
    if (f->need_kb && f->have_kb < f->need_kb)
        return snap_fail(sc, ERROR_NOMEM, "not enough free host memory: the "
                         "domain needs %llu MiB, %llu MiB are free; stop "
                         "another domain first",
                         (unsigned long long)f->need_kb / 1024,
                         (unsigned long long)f->have_kb / 1024);
    return 0;
}

static bool excluded_again(const struct snap_revert_request *req,
                           const char *vdev)
{
    size_t i;

    for (i = 0; i < req->nexclude; i++)
        if (!strcmp(req->exclude[i], vdev)) return true;
    return false;
}

static const struct snap_revert_disk *
find_disk(const struct snap_revert_facts *f, const char *vdev)
{
    size_t i;

    for (i = 0; i < f->ndisks; i++)
        if (!strcmp(f->disks[i].m->vdev, vdev)) return &f->disks[i];
    return NULL;
}

static int check_excluded(struct snap_ctx *sc,
                          const struct snap_revert_facts *f,
                          const struct snap_revert_request *req)
{
    size_t i, k;

    for (i = 0; !f->disk_only && i < f->excluded.len; i++)
        if (!excluded_again(req, f->excluded.data[i]))
            return snap_fail(sc, ERROR_INVAL, "disk '%s' is not in the "
                             "snapshot: the guest's memory would go back "
                             "but that disk would not, and its file systems "
                             "would break unless nothing was written to it; "
                             "if that is what you want, add --exclude %s",
                             f->excluded.data[i], f->excluded.data[i]);
    for (i = 0; i < req->nexclude; i++) {
        if (!snap_strings_have(&f->excluded, req->exclude[i])
            && !find_disk(f, req->exclude[i]))
            return snap_fail(sc, ERROR_INVAL, "the snapshot's domain has no "
                             "writable disk '%s' to exclude",
                             req->exclude[i]);
        for (k = 0; k < f->ndisks; k++)
            if (!strcmp(f->disks[k].m->vdev, req->exclude[i])) break;
        if (k < f->ndisks)
            return snap_fail(sc, ERROR_INVAL, "disk '%s' is in the snapshot: "
                             "it cannot be left out of the revert, because "
                             "%s would not agree", req->exclude[i],
                             f->disk_only ? "the disks"
                                          : "memory and disk");
    }
    return 0;
}

static int check_internal(struct snap_ctx *sc,
                          const struct snap_revert_disk *d)
{
    int rc;

    if (!d->chain.len)
        return snap_fail(sc, ERROR_INVAL, "disk '%s': '%s' was not read",
                         d->m->vdev, d->id.real);
    rc = snap_check_tag(sc, d->m, d->id.real, d->chain.data);
    if (rc) return rc;
    if (d->users)
        return snap_fail(sc, ERROR_INVAL, "disk '%s': '%s' is in use by %s; "
                         "stop that first", d->m->vdev, d->id.real,
                         d->users);
    if (d->unwritable && !d->frozen_by)
        return snap_fail(sc, ERROR_INVAL, "disk '%s': '%s' cannot be put "
                         "back: %s", d->m->vdev, d->id.real, d->unwritable);
    return 0;
}

/* A disk that stays as it is must be nobody's base and nobody else's. */
static int check_rest(struct snap_ctx *sc, const struct snap_revert_facts *f)
{
    size_t i;

    for (i = 0; i < f->nrest; i++) {
        const struct snap_revert_disk *d = &f->rest[i];

        if (d->frozen_by)
            return snap_fail(sc, ERROR_INVAL, "disk '%s', which is not in "
                             "the snapshot, would be written on '%s', but "
                             "%s; start with a DOMAIN-CONFIG that names its "
                             "present image", d->m->vdev, d->id.real,
                             d->frozen_by);
        if (d->users)
            return snap_fail(sc, ERROR_INVAL, "disk '%s', which is not in "
                             "the snapshot: '%s' is in use by %s; stop that "
                             "first", d->m->vdev, d->id.real, d->users);
    }
    return 0;
}

static int check_external(struct snap_ctx *sc,
                          const struct snap_revert_disk *d)
{
    if (d->writers)
        return snap_fail(sc, ERROR_INVAL, "disk '%s': the frozen base '%s' "
                         "is open for writing in %s", d->m->vdev,
                         d->id.real, d->writers);
    if (d->active)
        return snap_fail(sc, ERROR_INVAL, "disk '%s': the domain writes to "
                         "the frozen base '%s' itself (was it started from "
                         "an old xl.cfg?), so its contents do not fit the "
                         "memory any more", d->m->vdev, d->id.real);
    return snap_check_base(sc, d->m, &d->id);
}

static int check_disks(struct snap_ctx *sc,
                       const struct snap_revert_facts *f)
{
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < f->ndisks; i++) {
        const struct snap_revert_disk *d = &f->disks[i];

        if (d->m->type == SNAP_DISK_INTERNAL)
            rc = check_internal(sc, d);
        else
            rc = check_external(sc, d);
        if (!rc && d->new_path && strpbrk(d->new_path, " \t\n"))
            rc = snap_fail(sc, ERROR_INVAL, "disk '%s': the new image's path "
                           "'%s' has white space, and a domain cannot be "
                           "started from such a path; move the snapshot's "
                           "images", d->m->vdev, d->new_path);
        if (!rc && (d->m->type == SNAP_DISK_EXTERNAL || d->frozen_by)
            && !d->new_path)
            rc = snap_fail(sc, ERROR_INVAL, "disk '%s': there is no place "
                           "beside the block device '%s' for an overlay; "
                           "give a set with target= for it", d->m->vdev,
                           d->id.real);
    }
    return rc;
}

/* ---- the steps --------------------------------------------------- */

static void add_new_images(const struct snap_revert_facts *f,
                           struct snap_plan *p)
{
    size_t i;

    for (i = 0; i < f->ndisks; i++) {
        const struct snap_revert_disk *d = &f->disks[i];
        struct snap_step *s;

        if (d->m->type == SNAP_DISK_EXTERNAL) {
            s = snap_plan_add(p, STEP_OVERLAY);
            snap_step_arg(s, "path", d->new_path);
            snap_step_arg(s, "base", d->id.real);
            snap_step_arg(s, "format", d->m->format);
            snap_step_arg(s, "vdev", d->m->vdev);
        } else if (d->new_path) {
            s = snap_plan_add(p, STEP_COPY);
            snap_step_arg(s, "path", d->new_path);
            snap_step_arg(s, "from", d->id.real);
            snap_step_arg(s, "vdev", d->m->vdev);
            snap_step_arg_u64(s, "bytes",
                              d->chain.data[0].actual_size_bytes);
            snap_strings_take(&p->notes, snap_printf(
                "%s: %s, so the tag is applied to a copy", d->m->vdev,
                d->frozen_by));
        }
    }
}

static void add_monitor_step(const struct snap_revert_facts *f,
                             struct snap_plan *p, enum snap_step_kind kind)
{
    struct snap_step *s;

    if (!f->now->exists || !f->now->monitor.pid) return;
    s = snap_plan_add(p, kind);
    snap_step_arg_u64(s, "pid", f->now->monitor.pid);
    snap_step_arg_u64(s, "start", f->now->monitor.start_time);
}

/* Whatever comes behind it, its undo lets the domain run. */
static void add_pause(const struct snap_revert_facts *f, struct snap_plan *p)
{
    struct snap_step *s = snap_plan_add(p, STEP_PAUSE);

    snap_step_arg_u64(s, "domid", f->now->dom.domid);
    snap_step_arg(s, "uuid", f->now->dom.uuid);
}

static void add_destroy(const struct snap_revert_facts *f,
                        struct snap_plan *p)
{
    const struct snap_dominfo *dom = &f->now->dom;
    struct snap_step *s;
    size_t i;

    add_monitor_step(f, p, STEP_MONITOR_HOLD);
    if (f->now->exists && !dom->paused && !dom->shutdown) add_pause(f, p);
    s = snap_plan_add(p, STEP_RECHECK_IDLE);
    snap_step_arg(s, "domain", f->domain_name);
    for (i = 0; i < f->ndisks; i++)
        if (f->disks[i].m->type == SNAP_DISK_INTERNAL
            && !f->disks[i].new_path)
            snap_step_arg(s, "image", f->disks[i].id.real);
    if (!f->now->exists) return;
    snap_step_arg_u64(s, "domid", dom->domid);
    snap_step_arg(s, "uuid", dom->uuid);
    snap_step_arg_u64(s, "qemu-pid", f->now->qemu_pid);
    p->commit = p->len;
    s = snap_plan_add(p, STEP_DESTROY);
    snap_step_arg_u64(s, "domid", dom->domid);
    snap_step_arg(s, "uuid", dom->uuid);
    snap_step_arg_u64(s, "qemu-pid", f->now->qemu_pid);
    snap_step_arg_u64(s, "qemu-start", f->now->qemu_start);
    add_monitor_step(f, p, STEP_MONITOR_END);
}

static void add_tags(const struct snap_revert_facts *f, struct snap_plan *p)
{
    size_t i;

    for (i = 0; i < f->ndisks; i++) {
        const struct snap_revert_disk *d = &f->disks[i];
        const char *path = d->new_path ? d->new_path : d->id.real;
        struct snap_step *s;

        if (d->m->type != SNAP_DISK_INTERNAL) continue;
        s = snap_plan_add(p, STEP_APPLY_TAG);
        snap_step_arg(s, "path", path);
        snap_step_arg(s, "image", path);
        snap_step_arg(s, "vdev", d->m->vdev);
        snap_step_arg(s, "tag", d->m->tag);
        /* Its own domain is still on its way out. */
        if (f->now->exists)
            snap_step_arg_u64(s, "domid", f->now->dom.domid);
    }
    if (!f->now->exists) return;
    snap_step_arg_u64(snap_plan_add(p, STEP_DESTROYED), "domid",
                      f->now->dom.domid);
}

static void add_boot_args(const struct snap_revert_facts *f,
                          struct snap_step *s)
{
    bool given = strcmp(f->boot_file, "/dev/null");
    size_t i;

    snap_step_arg(s, "by", given ? f->boot_file : "the memory image");
    snap_step_arg(s, "file", f->boot_file);
    for (i = 0; i < f->boot_words->len; i++)
        snap_step_arg(s, "word", f->boot_words->data[i]);
}

static void add_build(const struct snap_revert_facts *f,
                      const struct snap_revert_request *req,
                      struct snap_plan *p)
{
    struct snap_step *s = snap_plan_add(p, f->disk_only ? STEP_BOOT
                                                        : STEP_BUILD);
    size_t i;

    snap_step_arg(s, "domain", f->domain_name);
    snap_step_arg(s, "xl", req->stock_xl);
    snap_step_arg(s, "then", req->paused ? ", leave it paused" : "");
    if (f->disk_only)
        add_boot_args(f, s);
    else
        snap_step_arg(s, "memory", f->memory_path);
    for (i = 0; i < f->ndisks; i++) {
        const struct snap_revert_disk *d = &f->disks[i];
        AUTO_FREE char *was = snap_printf("%llu %lld",
            (unsigned long long)d->id.size_bytes, (long long)d->id.mtime_ns);

        if (d->m->type != SNAP_DISK_EXTERNAL) continue;
        snap_step_arg(s, "base", d->id.real);
        snap_step_arg(s, "base-was", was);
    }
}

/* What stays once the domain is there. */
static void add_marks(const struct snap_revert_facts *f,
                      const struct snap_revert_request *req,
                      struct snap_plan *p)
{
    struct snap_step *s;
    size_t i;

    for (i = 0; req->protect && i < f->ndisks; i++) {
        if (f->disks[i].m->type != SNAP_DISK_EXTERNAL
            || f->disks[i].id.block)
            continue;
        s = snap_plan_add(p, STEP_PROTECT);
        snap_step_arg(s, "path", f->disks[i].id.real);
    }
    if (req->current_path && f->set->name) {
        s = snap_plan_add(p, STEP_CURRENT);
        snap_step_arg(s, "path", req->current_path);
        snap_step_arg(s, "name", f->set->name);
        for (i = 0; i < f->ndisks; i++) {
            if (f->disks[i].m->type != SNAP_DISK_INTERNAL
                || !f->disks[i].new_path)
                continue;
            snap_step_arg(s, "copy", f->disks[i].new_path);
            snap_step_arg(s, "of", f->disks[i].id.real);
        }
    }
}

int snap_plan_revert(struct snap_ctx *sc, const struct snap_revert_facts *f,
                     const struct snap_revert_request *req,
                     struct snap_plan *p)
{
    size_t before;
    int rc;

    rc = check_domain(sc, f);
    if (!rc) rc = check_findable(sc, f);
    if (!rc && !f->disk_only) rc = check_versions(sc, f);
    if (!rc) rc = check_memory(sc, f);
    if (!rc) rc = check_excluded(sc, f, req);
    if (!rc && f->stranger && !req->force)
        rc = snap_fail(sc, ERROR_INVAL, "this snapshot does not look like "
                       "one of domain '%s': %s; if it is, add --force",
                       f->domain_name, f->stranger);
    if (!rc) rc = check_disks(sc, f);
    if (!rc) rc = check_rest(sc, f);
    if (rc) return rc;
    if (f->now->exists && req->unpause) add_pause(f, p);
    add_new_images(f, p);
    p->commit = SIZE_MAX;
    add_destroy(f, p);
    before = p->len;
    add_tags(f, p);
    add_build(f, req, p);
    add_marks(f, req, p);
    /* Off already: the first thing that cannot be taken back. */
    if (p->commit == SIZE_MAX) p->commit = before;
    return 0;
}
