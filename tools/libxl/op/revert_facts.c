/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Law 3, look before you leap: all that a revert will need is read and
 * checked here, before anything is destroyed.  The snapshot's side is
 * revert_source.c's, its images' revert_images.c's.
 */
#include <errno.h>
#include <string.h>

#include "host/run.h"
#include "op/revert.h"

#define XL_TIMEOUT_MS 60000
#define DYING_MS 30000
#define DEVICE_MODEL "/usr/libexec/xen-qemu-system-i386"
/* Less dom0 memory than this no autoballooning is counted on. */
#define DOM0_FLOOR_KB (1024 * 1024)

/* ---- memory of the host ------------------------------------------ */

static int read_memory_need(struct snap_revert *r)
{
    AUTO_FREE char *json = snap_json_print(r->tree);
    AUTO_FREE char *kb = NULL;
    struct snap_dominfo dom0;
    int rc;

    rc = snap_worker_call(r->worker, SNAP_WORKER_NEED_MEMORY, 0, 0, json,
                          strlen(json) + 1, XL_TIMEOUT_MS,
                          "reading how much memory the domain needs", &kb);
    if (rc) return rc;
    r->f.need_kb = strtoull(kb, NULL, 10);
    r->f.have_kb = r->host.free_kb;
    if (r->now.exists) r->f.have_kb += r->now.dom.current_kb;
    if (r->host.dom0_balloons && !snap_xen_domain(r->h->xen, 0, &dom0)) {
        if (dom0.current_kb > DOM0_FLOOR_KB)
            r->f.have_kb += dom0.current_kb - DOM0_FLOOR_KB;
        snap_dominfo_dispose(&dom0);
    }
    return 0;
}

/* ---- all of it --------------------------------------------------- */

/* A domain whose QEMU is gone (it is half destroyed, say) still has disks
 * that tell whose they are. */
static void read_chains_without_qemu(struct snap_revert *r)
{
    size_t i;

    for (i = 0; i < r->now.ndisks; i++) {
        struct snap_facts_disk *d = &r->now.disks[i];

        if (d->chain.len || d->chain_error || !d->have_id || !d->format)
            continue;
        if (!snap_image_chain(r->sc, d->id.real, d->format, &d->chain))
            continue;
        snap_log(r->sc, SNAP_LOG_DETAIL, "%s", r->sc->message);
        snap_clear(r->sc);
    }
}

/* One that is being torn down, after an interrupted revert say, has its memory
 * still, but no name any more: by uuid. One that stays is judged later. */
static int await_dying(struct snap_revert *r)
{
    int64_t deadline = snap_now_ms() + DYING_MS;
    struct snap_dominfo dom;
    uint32_t domid;
    bool dying;
    int rc;

    if (!r->config.uuid) return 0;
    rc = snap_xen_find(r->h->xen, r->config.uuid, &domid);
    if (!rc) rc = snap_xen_domain(r->h->xen, domid, &dom);
    if (rc) return rc == ERROR_DOMAIN_NOTFOUND ? 0 : rc;
    dying = dom.dying;
    snap_dominfo_dispose(&dom);
    if (!dying) return 0;
    do {
        rc = snap_xen_await_gone(r->h->xen, domid, 200);
    } while (rc == ERROR_TIMEDOUT && snap_left_ms(deadline)
             && !r->sc->cancelled);
    if (r->sc->cancelled)
        return snap_fail(r->sc, ERROR_ABORTED, "interrupted by a signal while "
                         "domain %u was being torn down", domid);
    return rc == ERROR_TIMEDOUT ? 0 : rc;
}

static int read_now(struct snap_revert *r)
{
    uint32_t domid;
    int rc = 0;

    rc = await_dying(r);
    if (!rc) rc = snap_xen_host(r->h->xen, &r->host);
    if (rc) return rc;
    rc = snap_xen_by_name(r->h->xen, r->p->domain_name, &domid);
    if (!rc) {
        rc = snap_facts_read(r->sc, r->h->xen, r->worker, domid, &r->now, NULL);
    } else if (rc == ERROR_DOMAIN_NOTFOUND) {
        rc = snap_monitor_between(r->sc, r->p->domain_name,
                                  &r->f.between_pid);
        if (!rc) rc = snap_xen_host(r->h->xen, &r->now.host);
    }
    if (!rc) read_chains_without_qemu(r);
    r->f.now = &r->now;
    r->f.domain_name = r->p->domain_name;
    return rc;
}

/* The chain of an image: QEMU's own words where it is the running domain's
 * active layer, qemu-img's else. */
static int read_chain(struct snap_revert *r, struct snap_revert_disk *d)
{
    size_t i;

    for (i = 0; i < r->now.ndisks; i++) {
        const struct snap_facts_disk *now = &r->now.disks[i];

        if (now->image && !now->chain_error && now->have_id
            && snap_fs_same(&now->id, &d->id)
            && !strcmp(now->format, d->m->format))
            return snap_image_chain_from_json(r->sc, now->image, &d->chain);
    }
    return snap_image_chain(r->sc, d->id.real, d->m->format, &d->chain);
}

/* Why an image could not be written; qemu-img finds out only after the old
 * domain is gone. */
static char *why_unwritable(const char *path)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    bool on = false, have = false;
    int rc = snap_fs_get_immutable(&quiet, path, &on, &have);

    snap_ctx_dispose(&quiet);
    if (!rc && have && on)
        return snap_printf("it is immutable although no snapshot stands on "
                           "it; run `chattr -i` on it");
    if (access(path, W_OK))
        return snap_printf("%s", strerror(errno));
    return NULL;
}

static int find_state(struct snap_revert *r, struct snap_revert_disk *d)
{
    size_t i;
    int rc = snap_revert_find_frozen(r, d);

    d->unwritable = why_unwritable(d->id.real);
    for (i = 0; i < r->now.ndisks; i++)
        if (r->now.disks[i].have_id && r->now.disks[i].readwrite
            && snap_fs_same(&r->now.disks[i].id, &d->id))
            d->active = true;
    return rc;
}

/* What a disk that is not in the set is on, from now on: where the running
 * domain has it, unless a DOMAIN-CONFIG says so itself. */
static int keep_present(struct snap_revert *r, const char *vdev)
{
    const struct snap_facts_disk *now = snap_facts_disk(&r->now, vdev);

    if (r->p->domain_config || !now || !now->path || !*now->path) return 0;
    return snap_domconfig_set_disk(r->sc, r->tree, vdev, now->path,
                                   now->format, true);
}

static int read_rest(struct snap_revert *r)
{
    size_t i, n = r->f.excluded.len;
    int rc = 0;

    for (i = 0; !rc && i < n; i++)
        rc = keep_present(r, r->f.excluded.data[i]);
    if (rc) return rc;
    snap_domconfig_dispose(&r->config);
    rc = snap_domconfig_read(r->sc, r->tree, &r->config);
    r->f.rest = snap_zalloc((n + 1) * sizeof(*r->f.rest));
    r->f.rest_m = snap_zalloc((n + 1) * sizeof(*r->f.rest_m));
    for (i = 0; !rc && i < n; i++) {
        const struct snap_domconfig_disk *c =
            snap_domconfig_disk(&r->config, r->f.excluded.data[i]);
        struct snap_revert_disk *d = &r->f.rest[r->f.nrest];

        if (!c || !c->path || c->path[0] != '/') continue;
        /* Only written in place, as an internal one is. */
        r->f.rest_m[r->f.nrest].vdev = r->f.excluded.data[i];
        r->f.rest_m[r->f.nrest].type = SNAP_DISK_INTERNAL;
        d->m = &r->f.rest_m[r->f.nrest];
        rc = snap_fs_identify(r->sc, c->path, &d->id);
        if (rc) return snap_within(r->sc, rc, "disk '%s'", d->m->vdev);
        r->f.nrest++;
        rc = find_state(r, d);
        if (rc) return rc;
    }
    return rc;
}

static int read_disk(struct snap_revert *r, size_t i)
{
    struct snap_revert_disk *d = &r->f.disks[i];
    int rc;

    d->m = &r->set.disks[i];
    rc = snap_fs_identify(r->sc, d->m->image, &d->id);
    if (!rc) rc = read_chain(r, d);
    if (!rc) rc = find_state(r, d);
    if (rc) return snap_within(r->sc, rc, "disk '%s'", d->m->vdev);
    if (d->m->type == SNAP_DISK_EXTERNAL || d->frozen_by)
        d->new_path = r->p->overlay_path(r->p->overlay_arg, d->m->vdev,
                                         d->id.real);
    return 0;
}

static int read_disks(struct snap_revert *r)
{
    size_t i;
    int rc = 0;

    snap_revert_forget_disks(r);
    r->f.ndisks = r->set.ndisks;
    r->f.disks = snap_zalloc((r->f.ndisks + 1) * sizeof(*r->f.disks));
    for (i = 0; !rc && i < r->f.ndisks; i++)
        rc = read_disk(r, i);
    return rc;
}

/* An image that gets its tag applied is for us alone; what a new overlay will
 * stand on, or a copy is made of, others may have as well. Who had to wait
 * for one reads again. */
static int read_and_lock_disks(struct snap_revert *r)
{
    bool waited;
    int rc;

    do {
        size_t i;

        waited = false;
        rc = read_disks(r);
        if (rc || r->p->dry_run) return rc;
        for (i = 0; i < r->f.ndisks; i++)
            snap_image_locks_want_chain(&r->h->locks, &r->f.disks[i].chain,
                                        !r->f.disks[i].new_path);
        rc = snap_image_locks_take(r->sc, &r->h->locks, r->p->lock_timeout_ms,
                                   &waited);
    } while (!rc && waited);
    return rc;
}

static void read_host_qemu(struct snap_revert *r)
{
    const char *argv[] = { DEVICE_MODEL, "--version", NULL };
    AUTO_FREE char *text = NULL;
    const char *p;

    /* Only HVM carries QEMU's state in its memory image. */
    if (!r->config.type || strcmp(r->config.type, "hvm")
        || access(DEVICE_MODEL, X_OK))
        return;
    if (snap_run_ok(r->sc, argv, XL_TIMEOUT_MS, &text)) {
        snap_clear(r->sc);
        return;
    }
    p = strstr(text, "version ");
    if (p) r->host_qemu = snap_strdup(p + strlen("version "));
    r->f.qemu_version = r->host_qemu;
}

int snap_revert_gather(struct snap_revert *r)
{
    int64_t since_ms = snap_now_ms();
    int rc;

    rc = r->p->disk_only ? snap_revert_read_config(r)
                         : snap_revert_read_memory(r);
    snap_lap(r->sc, &since_ms, "gather: memory image");
    if (!rc) rc = read_now(r);
    snap_lap(r->sc, &since_ms, "gather: the domain now");
    if (!rc) rc = snap_revert_complete_set(r);
    if (!rc)
        rc = r->p->disk_only ? snap_revert_take_user_config(r)
                             : snap_revert_merge_config(r);
    if (!rc) rc = read_and_lock_disks(r);
    if (!rc) rc = read_rest(r);
    snap_lap(r->sc, &since_ms, "gather: its disks then");
    if (!rc) rc = snap_revert_find_users(r);
    snap_lap(r->sc, &since_ms, "gather: who has them");
    if (!rc) rc = read_memory_need(r);
    snap_lap(r->sc, &since_ms, "gather: memory of the host");
    if (!rc && r->p->disk_only) rc = snap_revert_choose_words(r);
    if (rc) return rc;
    read_host_qemu(r);
    snap_revert_judge(r);
    return 0;
}
