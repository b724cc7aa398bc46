/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The plan of snapshot-create: facts and a request in, steps or a refusal
 * out.  Pure but for the overlay_path callback, which is the caller's policy.
 */
#include <string.h>

#include "libxl_snapshot.h"
#include "plan/facts.h"
#include "plan/plan.h"

/* Room for what is not guest memory: headers, page tables, device state. */
#define MEMORY_MARGIN_BYTES (64ull << 20)

void snap_disk_choices_dispose(struct snap_disk_choice *choices, size_t n)
{
    size_t i;

    for (i = 0; choices && i < n; i++) {
        free(choices[i].overlay);
        free(choices[i].overlay_node);
    }
    free(choices);
}

/* ---- the domain -------------------------------------------------- */

static const char *shutdown_word(int reason)
{
    switch (reason) {
    case LIBXL_SHUTDOWN_REASON_POWEROFF: return "powered off";
    case LIBXL_SHUTDOWN_REASON_REBOOT: return "rebooting";
    case LIBXL_SHUTDOWN_REASON_CRASH: return "crashed";
    case LIBXL_SHUTDOWN_REASON_WATCHDOG: return "stopped by its watchdog";
    default: return "shut down";
    }
}

static char *state_reason(const struct snap_facts *f)
{
    const struct snap_dominfo *d = &f->dom;

    if (d->domid == 0)
        return snap_strdup("it is dom0, which cannot be saved");
    if (d->dying)
        return snap_strdup("it is dying: its domain is being torn down");
    if (d->suspended)
        return snap_printf("it stands suspended by somebody else (xl save, a "
                           "migration, an interrupted command); wait, or run "
                           "`xl snapshot-recover %s`", d->name);
    if (d->shutdown)
        return snap_printf("it is %s; start it first",
                           shutdown_word(d->shutdown_reason));
    if (d->paused)
        return snap_printf("it is paused, and a paused guest cannot answer "
                           "the suspend request; run `xl unpause %s` first",
                           d->name);
    return NULL;
}

void snap_plan_domain_reasons(const struct snap_facts *f,
                              struct snap_strings *reasons)
{
    char *state = state_reason(f);
    size_t i;

    if (state) snap_strings_take(reasons, state);
    if (f->stubdom)
        snap_strings_take(reasons, snap_printf(
            "its device model runs in stub domain %u, where images have "
            "other names; set device_model_stubdomain_override=0",
            f->stubdom));
    for (i = 0; i < f->config.unsupported.len; i++)
        snap_strings_add(reasons, f->config.unsupported.data[i]);
}

char *snap_plan_live_reason(const struct snap_facts *f)
{
    if (!strcmp(f->dom.type, "pv") && !f->host.pv_log_dirty)
        return snap_strdup("this Xen is built without shadow paging, so it "
                           "cannot track what a PV guest writes; leave "
                           "--live out, or run the guest as PVH");
    if (!strcmp(f->dom.type, "hvm"))
        return snap_strdup("QEMU deactivates its disk images at the end of a "
                           "live save of an HVM guest, and a write in that "
                           "state stops it; leave --live out");
    if (strcmp(f->dom.type, "pv") && !f->host.hap)
        return snap_strdup("this host has no hardware assisted paging, so "
                           "Xen cannot track what the guest writes; leave "
                           "--live out");
    return NULL;
}

static int check_domain(struct snap_ctx *sc, const struct snap_facts *f,
                        const struct snap_create_request *req)
{
    struct snap_strings reasons = { 0 };
    AUTO_FREE char *live = req->live ? snap_plan_live_reason(f) : NULL;
    int rc = 0;

    snap_plan_domain_reasons(f, &reasons);
    if (reasons.len)
        rc = snap_fail(sc, ERROR_INVAL, "domain '%s' cannot be snapshotted: "
                       "%s", f->dom.name, reasons.data[0]);
    else if (live)
        rc = snap_fail(sc, ERROR_INVAL, "domain '%s': --live is not "
                       "possible: %s", f->dom.name, live);
    snap_strings_dispose(&reasons);
    return rc;
}

/* ---- the disks --------------------------------------------------- */

static const struct snap_disk_wish *
find_wish(const struct snap_create_request *req, const char *vdev)
{
    size_t i;

    for (i = 0; i < req->nwishes; i++)
        if (!strcmp(req->wishes[i].vdev, vdev)) return &req->wishes[i];
    return NULL;
}

static int check_wishes(struct snap_ctx *sc, const struct snap_facts *f,
                        const struct snap_create_request *req)
{
    size_t i, k;

    for (i = 0; i < req->nwishes; i++) {
        for (k = 0; k < f->ndisks; k++)
            if (!strcmp(f->disks[k].vdev, req->wishes[i].vdev)) break;
        if (k == f->ndisks)
            return snap_fail(sc, ERROR_INVAL, "domain '%s' has no disk '%s'",
                             f->dom.name, req->wishes[i].vdev);
        for (k = 0; k < i; k++)
            if (!strcmp(req->wishes[k].vdev, req->wishes[i].vdev))
                return snap_fail(sc, ERROR_INVAL, "disk '%s' is named twice",
                                 req->wishes[i].vdev);
    }
    return 0;
}

static const struct snap_disk_driver *
pick_driver(const struct snap_facts *f, const struct snap_facts_disk *d,
            int kind, char **reason)
{
    size_t i;

    *reason = NULL;
    for (i = 0; snap_disk_drivers[i]; i++) {
        const struct snap_disk_driver *drv = snap_disk_drivers[i];

        if (kind == LIBXL_SNAPSHOT_DISK_INTERNAL && drv->external) continue;
        if (kind == LIBXL_SNAPSHOT_DISK_EXTERNAL && !drv->external) continue;
        free(*reason);
        *reason = drv->refuses(f, d);
        if (!*reason) return drv;
    }
    return NULL;
}

/* FNV-1a: only to keep node names short and apart from each other. */
static uint32_t short_hash(const char *a, const char *b)
{
    uint32_t h = 2166136261u;

    for (; *a; a++) h = (h ^ (unsigned char)*a) * 16777619u;
    for (; *b; b++) h = (h ^ (unsigned char)*b) * 16777619u;
    return h;
}

static int choose_overlay(struct snap_ctx *sc,
                          const struct snap_create_request *req,
                          const struct snap_disk_wish *wish,
                          struct snap_disk_choice *c)
{
    const struct snap_facts_disk *d = c->disk;

    if (wish && wish->format && strcmp(wish->format, "qcow2"))
        return snap_fail(sc, ERROR_INVAL, "disk '%s': an overlay is always "
                         "qcow2, not %s", d->vdev, wish->format);
    if (wish && wish->target)
        c->overlay = snap_strdup(wish->target);
    else
        c->overlay = req->overlay_path(req->overlay_arg, d->vdev,
                                       d->id.real);
    if (!c->overlay)
        return snap_fail(sc, ERROR_INVAL, "disk '%s': there is no place "
                         "beside the block device '%s' for an overlay; give "
                         "target= in a SNAPSHOT-CONFIG", d->vdev, d->path);
    if (c->overlay[0] != '/')
        return snap_fail(sc, ERROR_INVAL, "disk '%s': the overlay's path "
                         "'%s' must be absolute", d->vdev, c->overlay);
    if (strpbrk(c->overlay, " \t\n"))
        return snap_fail(sc, ERROR_INVAL, "disk '%s': the overlay's path "
                         "'%s' has white space, and a domain cannot be "
                         "started from such a path; give target= in a "
                         "SNAPSHOT-CONFIG", d->vdev, c->overlay);
    c->overlay_node = snap_printf("xlsnap-%.8s-%08x", d->vdev,
                                  short_hash(req->name, c->overlay));
    return 0;
}

static int choose_one(struct snap_ctx *sc, const struct snap_facts *f,
                      const struct snap_create_request *req,
                      struct snap_disk_choice *c, struct snap_plan *p)
{
    const struct snap_facts_disk *d = c->disk;
    const struct snap_disk_wish *wish = find_wish(req, d->vdev);
    int kind = wish ? wish->kind : LIBXL_SNAPSHOT_DISK_AUTO;
    AUTO_FREE char *reason = NULL;
    bool ignored, left_out;

    left_out = kind == LIBXL_SNAPSHOT_DISK_EXCLUDE;
    reason = snap_disk_common_reason(f, d, &ignored);
    if (ignored) {
        if (wish && !left_out)
            return snap_fail(sc, ERROR_INVAL, "disk '%s' cannot be "
                             "snapshotted: it is %s", d->vdev, reason);
        snap_strings_take(&p->notes, snap_printf("%s is left out: %s",
                                                 d->vdev, reason));
        return 0;
    }
    if (left_out) {
        snap_strings_take(&p->notes, snap_printf(
            "%s is left out as asked: the snapshot is partial", d->vdev));
        return 0;
    }
    if (reason)
        return snap_fail(sc, ERROR_INVAL, "disk '%s': %s", d->vdev, reason);
    if (kind == LIBXL_SNAPSHOT_DISK_AUTO) kind = req->default_kind;
    c->driver = pick_driver(f, d, kind, &reason);
    if (!c->driver)
        return snap_fail(sc, ERROR_INVAL, "disk '%s': %s", d->vdev, reason);
    return c->driver->external ? choose_overlay(sc, req, wish, c) : 0;
}

/* The name must be free inside every image: as a tag in any layer. */
static int check_tags(struct snap_ctx *sc, const struct snap_facts_disk *d,
                      const char *name)
{
    size_t i;

    if (snap_strings_have(&d->tags, name))
        return snap_fail(sc, ERROR_INVAL, "disk '%s': its image already "
                         "holds a snapshot '%s'; choose another name",
                         d->vdev, name);
    for (i = 0; i < d->chain.len; i++)
        if (snap_image_find_tag(&d->chain.data[i], name))
            return snap_fail(sc, ERROR_INVAL, "disk '%s': its layer '%s' "
                             "already holds a snapshot '%s'; choose another "
                             "name", d->vdev, d->chain.data[i].path, name);
    return 0;
}

/* A disk whose image another disk of the domain stands on is a base. */
static int check_below(struct snap_ctx *sc, const struct snap_facts *f,
                       const struct snap_disk_choice *c)
{
    size_t i, k, n;

    for (i = 0; i < f->ndisks; i++) {
        if (!c[i].driver || !c[i].disk->have_id) continue;
        for (k = 0; k < f->ndisks; k++)
            for (n = 1; k != i && n < f->disks[k].chain.len; n++)
                if (!strcmp(f->disks[k].chain.data[n].path,
                            c[i].disk->id.real))
                    return snap_fail(sc, ERROR_INVAL, "disk '%s': disk '%s' "
                                     "is an overlay on its image '%s', which "
                                     "must not be written any more",
                                     c[i].disk->vdev, f->disks[k].vdev,
                                     c[i].disk->id.real);
    }
    return 0;
}

/* Two vdevs on one image, or two overlays at one path, cannot be. */
static int check_apart(struct snap_ctx *sc, const struct snap_facts *f,
                       const struct snap_disk_choice *c)
{
    size_t i, k;

    for (i = 0; i < f->ndisks; i++) {
        for (k = 0; k < i; k++) {
            if ((c[i].driver || c[k].driver)
                && c[k].disk->have_id && c[i].disk->have_id
                && snap_fs_same(&c[i].disk->id, &c[k].disk->id))
                return snap_fail(sc, ERROR_INVAL, "disks '%s' and '%s' are "
                                 "the same image", c[k].disk->vdev,
                                 c[i].disk->vdev);
            if (c[i].overlay && c[k].overlay
                && !strcmp(c[i].overlay, c[k].overlay))
                return snap_fail(sc, ERROR_INVAL, "disks '%s' and '%s' would "
                                 "get the same overlay '%s'; give target= in "
                                 "a SNAPSHOT-CONFIG", c[k].disk->vdev,
                                 c[i].disk->vdev, c[i].overlay);
        }
    }
    return 0;
}

int snap_plan_choose(struct snap_ctx *sc, const struct snap_facts *f,
                     const struct snap_create_request *req,
                     struct snap_disk_choice *choices, struct snap_plan *p)
{
    size_t i;
    int rc;

    rc = check_wishes(sc, f, req);
    if (rc) return rc;
    for (i = 0; i < f->ndisks; i++) {
        choices[i].disk = &f->disks[i];
        rc = choose_one(sc, f, req, &choices[i], p);
        if (rc) return rc;
        if (choices[i].driver)
            rc = check_tags(sc, &f->disks[i], req->name);
        if (rc) return rc;
    }
    rc = check_apart(sc, f, choices);
    return rc ? rc : check_below(sc, f, choices);
}

/* ---- the steps --------------------------------------------------- */

static void add_files(const struct snap_facts *f,
                      const struct snap_create_request *req,
                      const char *memory, struct snap_plan *p)
{
    uint64_t bytes = f->dom.current_kb * 1024 + MEMORY_MARGIN_BYTES;
    struct snap_step *s;

    /* A live save sends again what was written meanwhile. */
    if (req->live) bytes += f->dom.current_kb * 1024 / 2;
    s = snap_plan_add(p, STEP_DIRECTORY);
    snap_step_arg(s, "path", req->directory);
    s = snap_plan_add(p, STEP_MEMORY_FILE);
    snap_step_arg(s, "path", memory);
    snap_step_arg_u64(s, "bytes", bytes);
}

static void add_suspend(const struct snap_facts *f,
                        const struct snap_create_request *req,
                        const char *memory, struct snap_plan *p)
{
    struct snap_step *s;

    if (f->monitor.pid) {
        s = snap_plan_add(p, STEP_MONITOR_HOLD);
        snap_step_arg_u64(s, "pid", f->monitor.pid);
        snap_step_arg_u64(s, "start", f->monitor.start_time);
    }
    s = snap_plan_add(p, STEP_SUSPEND);
    snap_step_arg_u64(s, "domid", f->dom.domid);
    snap_step_arg(s, "uuid", f->dom.uuid);
    snap_step_arg(s, "path", memory);
    snap_step_arg(s, "how", req->live ? "live-save" : "save");
}

static void add_saved(const struct snap_facts *f, const char *memory,
                      struct snap_plan *p)
{
    struct snap_step *s = snap_plan_add(p, STEP_MEMORY);

    snap_step_arg_u64(s, "domid", f->dom.domid);
    snap_step_arg(s, "uuid", f->dom.uuid);
    snap_step_arg(s, "path", memory);
    snap_plan_add(p, STEP_RECHECK);
}

/* STEP_READY and STEP_DISKS: the transaction is handed over in the one and
 * released in the other. */
static void add_transaction(const struct snap_facts *f,
                            const struct snap_create_request *req,
                            const struct snap_disk_choice *c,
                            enum snap_step_kind kind, struct snap_plan *p)
{
    struct snap_step *s = NULL;
    size_t i;

    for (i = 0; i < f->ndisks; i++) {
        if (!c[i].driver) continue;
        if (!s) {
            s = snap_plan_add(p, kind);
            snap_step_arg(s, "qmp", f->qmp_path);
        }
        snap_step_arg(s, "vdev", c[i].disk->vdev);
        snap_step_arg(s, "how", c[i].driver->name);
        snap_step_arg(s, "node", c[i].disk->node);
        snap_step_arg(s, "qdev", c[i].disk->qdev);
        snap_step_arg(s, "image", c[i].disk->id.real);
        snap_step_arg(s, "file", c[i].disk->qemu_file);
        snap_step_arg(s, "format", c[i].disk->format);
        snap_step_arg(s, "tag", c[i].driver->external ? "" : req->name);
        snap_step_arg(s, "overlay", c[i].overlay);
        snap_step_arg(s, "overlay-node", c[i].overlay_node);
    }
}

static void add_config(const struct snap_facts *f,
                       const struct snap_disk_choice *c, struct snap_plan *p)
{
    struct snap_step *s = NULL;
    size_t i;

    for (i = 0; i < f->ndisks; i++) {
        const struct snap_facts_disk *d = c[i].disk;
        AUTO_FREE char *params = NULL;

        if (!c[i].driver || !c[i].driver->external) continue;
        if (!s) {
            s = snap_plan_add(p, STEP_CONFIG);
            snap_step_arg_u64(s, "domid", f->dom.domid);
        }
        params = snap_printf("qcow2:%s", c[i].overlay);
        snap_step_arg(s, "vdev", d->vdev);
        snap_step_arg_u64(s, "devid", d->devid);
        snap_step_arg(s, "backend", d->backend_path);
        snap_step_arg(s, "old-params", d->params);
        snap_step_arg(s, "new-params", params);
        snap_step_arg(s, "old-path", d->path);
        snap_step_arg(s, "new-path", c[i].overlay);
        snap_step_arg(s, "old-format", d->format);
    }
}

static void add_after(const struct snap_facts *f,
                      const struct snap_create_request *req,
                      const struct snap_disk_choice *c, struct snap_plan *p)
{
    AUTO_FREE char *manifest = snap_printf("%s/%s", req->directory,
                                           SNAP_MANIFEST_FILE);
    struct snap_step *s;
    size_t i;

    if (f->monitor.pid) {
        s = snap_plan_add(p, STEP_MONITOR_RELEASE);
        snap_step_arg_u64(s, "pid", f->monitor.pid);
        snap_step_arg_u64(s, "start", f->monitor.start_time);
    }
    s = snap_plan_add(p, STEP_SEAL);
    snap_step_arg(s, "directory", req->directory);
    for (i = 0; i < f->ndisks; i++)
        if (c[i].overlay) snap_step_arg(s, "overlay", c[i].overlay);
    for (i = 0; req->protect && i < f->ndisks; i++) {
        if (!c[i].driver || !c[i].driver->external || c[i].disk->id.block)
            continue;
        s = snap_plan_add(p, STEP_PROTECT);
        snap_step_arg(s, "path", c[i].disk->id.real);
    }
    s = snap_plan_add(p, STEP_MANIFEST);
    snap_step_arg(s, "path", manifest);
    if (req->current_path) {
        s = snap_plan_add(p, STEP_CURRENT);
        snap_step_arg(s, "path", req->current_path);
        snap_step_arg(s, "name", req->name);
    }
}

int snap_plan_create(struct snap_ctx *sc, const struct snap_facts *f,
                     const struct snap_create_request *req,
                     struct snap_disk_choice *choices, struct snap_plan *p)
{
    AUTO_FREE char *memory = snap_printf("%s/%s", req->directory,
                                         SNAP_MEMORY_FILE);
    struct snap_step *s;
    int rc;

    if (!snap_name_valid(req->name))
        return snap_fail(sc, ERROR_INVAL, "'%s' cannot be a snapshot's name: "
                         "it starts with a letter or '_', goes on with "
                         "letters, digits, '_', '.', '-', and has at most 64 "
                         "characters", req->name);
    rc = check_domain(sc, f, req);
    if (rc) return rc;
    rc = snap_plan_choose(sc, f, req, choices, p);
    if (rc) return rc;
    add_files(f, req, memory, p);
    add_suspend(f, req, memory, p);
    add_transaction(f, req, choices, STEP_READY, p);
    add_saved(f, memory, p);
    /* The toolstack is told first: dying in between leaves it with the name
     * of a file that is not there, which fails loudly, never with the name of
     * a base while QEMU writes to the overlay. */
    add_config(f, choices, p);
    add_transaction(f, req, choices, STEP_DISKS, p);
    p->commit = p->len;
    s = snap_plan_add(p, STEP_RESUME);
    snap_step_arg_u64(s, "domid", f->dom.domid);
    snap_step_arg(s, "uuid", f->dom.uuid);
    snap_step_arg(s, "then", req->leave_paused ? ", leave it paused" : "");
    add_after(f, req, choices, p);
    return 0;
}
