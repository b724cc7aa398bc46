/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The snapshot library as a fake, for one test program: it says what it was
 * asked for, into the file $FAKE_LOG, and does what $FAKE says.  Included by
 * the test that defines main(); the real one is then not linked.
 */
#ifndef FAKE_LIBRARY_H
#define FAKE_LIBRARY_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/manifest.h"
#include "host/fs.h"
#include "plan/inventory.h"

#define FAKE_UUID "5f3c8a52-6c0e-4a8e-9d8c-3f2f0e6f7b11"

static libxl_snapshot_outcome_t fake_outcome_value = LIBXL_SNAPSHOT_REFUSED;

static inline void SNAP_PRINTF(1, 2) fake_log(const char *fmt, ...)
{
    const char *path = getenv("FAKE_LOG");
    FILE *f = path ? fopen(path, "a") : NULL;
    va_list ap;

    if (!f) return;
    va_start(ap, fmt);
    vfprintf(f, fmt, ap);
    va_end(ap);
    putc('\n', f);
    fclose(f);
}

static inline bool fake_is(const char *what)
{
    const char *env = getenv("FAKE");

    return env && !strcmp(env, what);
}

static inline const char *fake_text(const char *s)
{
    return s ? s : "-";
}

/* ---- the context ----------------------------------------------------- */

libxl_snapshot_ctx *libxl_snapshot_ctx_alloc(const libxl_snapshot_callbacks
                                             *callbacks)
{
    struct snap_ctx *sc = snap_zalloc(sizeof(*sc));

    if (callbacks) {
        sc->arg = callbacks->arg;
        sc->log = callbacks->log;
        sc->progress = callbacks->progress;
    }
    return sc;
}

void libxl_snapshot_ctx_free(libxl_snapshot_ctx *ctx)
{
    if (!ctx) return;
    snap_ctx_dispose(ctx);
    free(ctx);
}

const char *libxl_snapshot_error(const libxl_snapshot_ctx *ctx)
{
    return ctx->message;
}

const char *libxl_snapshot_hint(const libxl_snapshot_ctx *ctx)
{
    return ctx->hint;
}

void libxl_snapshot_cancel(libxl_snapshot_ctx *ctx)
{
    ctx->cancelled = 1;
}

libxl_snapshot_outcome_t libxl_snapshot_outcome(const libxl_snapshot_ctx *c)
{
    (void)c;
    return fake_outcome_value;
}

void libxl_snapshot_result_dispose(libxl_snapshot_result *r)
{
    free(r->plan);
    free(r->directory);
    free(r->memory);
    snap_strings_dispose(&r->advice);
    snap_strings_dispose(&r->left);
    snap_strings_dispose(&r->notes);
    snap_manifest_dispose(&r->manifest);
    memset(r, 0, sizeof(*r));
}

void libxl_snapshot_set_dispose(libxl_snapshot_set *set)
{
    free(set->directory);
    snap_manifest_dispose(&set->manifest);
    memset(set, 0, sizeof(*set));
}

int libxl_snapshot_find_domain(libxl_snapshot_ctx *ctx, const char *domain,
                               uint32_t *domid, char **name)
{
    if (fake_is("no xen"))
        return snap_fail(ctx, ERROR_FAIL, "no Xen here");
    if (strcmp(domain, "web") && strcmp(domain, "5") &&
        strcmp(domain, FAKE_UUID))
        return ERROR_DOMAIN_NOTFOUND;
    *domid = 5;
    *name = snap_strdup("web");
    return 0;
}

/* "FROM TO" in $FAKE_MEANWHILE: what somebody did who had the lock first. */
int libxl_snapshot_lock(libxl_snapshot_ctx *ctx, const char *domain_name,
                        const libxl_snapshot_set *set, int timeout_ms)
{
    const char *meanwhile = getenv("FAKE_MEANWHILE");
    char from[200], to[200];

    if (meanwhile && sscanf(meanwhile, "%199s %199s", from, to) == 2) {
        fake_log("lock domain=%s images of %s timeout=%d", domain_name,
                 set ? set->manifest.name : "none", timeout_ms);
        if (rename(from, to)) fake_log("cannot rename '%s'", from);
    }
    if (!fake_is("interrupted")) return 0;
    fake_outcome_value = LIBXL_SNAPSHOT_NOT_WHOLE;
    ctx->hint = snap_strdup("xl snapshot-recover web");
    return snap_fail(ctx, ERROR_FAIL, "an earlier one is not finished");
}

int libxl_snapshot_load(libxl_snapshot_ctx *ctx, const char *path,
                        libxl_snapshot_set *set)
{
    AUTO_FREE char *manifest = snap_printf("%s/" SNAP_MANIFEST_FILE, path);
    AUTO_FREE char *bytes = NULL;
    size_t len;
    int rc;

    memset(set, 0, sizeof(*set));
    rc = snap_fs_read(ctx, manifest, true, SNAP_MANIFEST_MAX_BYTES, &bytes,
                      &len);
    if (!rc)
        rc = snap_manifest_parse(ctx, manifest, bytes, len, &set->manifest);
    if (!rc) set->directory = snap_strdup(path);
    return rc;
}

/* ---- the end of every operation -------------------------------------- */

/* Waits for a signal that cancels, at most ten seconds. */
static inline int fake_wait(struct snap_ctx *sc)
{
    int i;

    fake_log("waiting");
    for (i = 0; i < 1000 && !sc->cancelled; i++)
        usleep(10000);
    fake_outcome_value = LIBXL_SNAPSHOT_UNDONE;
    return snap_fail(sc, ERROR_FAIL, sc->cancelled ? "interrupted"
                                                   : "no signal came");
}

static inline void fake_progress(struct snap_ctx *sc)
{
    const char *text = getenv("FAKE_PROGRESS");
    struct snap_progress p = { "memory", 0, 1000 << 20, false };
    int i, n = text ? atoi(text) : 0;

    for (i = 1; sc->progress && i <= n; i++) {
        p.done_bytes = p.total_bytes / (uint64_t)n * (uint64_t)i;
        p.finished = i == n;
        sc->progress(sc->arg, &p);
    }
    if (!n || !sc->log) return;
    sc->log(sc->arg, SNAP_LOG_DEBUG, "a debug line");
    sc->log(sc->arg, SNAP_LOG_DETAIL, "a detail");
    sc->log(sc->arg, SNAP_LOG_NOTE, "a note\033[m");
}

static inline int fake_end(struct snap_ctx *sc, libxl_snapshot_result *r)
{
    fake_progress(sc);
    r->plan = snap_strdup(fake_is("planned") ? "do this\n  - a remark\n"
                                             : "do this\nthen that\n");
    if (fake_is("wait")) return fake_wait(sc);
    if (fake_is("refuse"))
        return snap_fail(sc, ERROR_INVAL, "it is\nraining");
    if (fake_is("silent")) return ERROR_FAIL;
    if (fake_is("undone")) {
        fake_outcome_value = LIBXL_SNAPSHOT_UNDONE;
        return snap_fail(sc, ERROR_FAIL, "disk full");
    }
    if (fake_is("not whole")) {
        fake_outcome_value = LIBXL_SNAPSHOT_NOT_WHOLE;
        sc->hint = snap_strdup("xl snapshot-recover 'a b'");
        return snap_fail(sc, ERROR_FAIL, "half of it is done");
    }
    fake_outcome_value = LIBXL_SNAPSHOT_DONE;
    if (fake_is("words") || fake_is("planned"))
        snap_strings_add(&r->notes, "a remark");
    if (fake_is("words")) {
        snap_strings_add(&r->left, "/img/old.qcow2 (12 bytes): old");
        snap_strings_add(&r->advice,
                         "format=qcow2,vdev=xvda,access=rw,target=/img/n");
    }
    return 0;
}

/* ---- the operations -------------------------------------------------- */

int libxl_snapshot_create(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_create_params *p,
                          libxl_snapshot_result *r)
{
    static const char *const kinds[] = { "auto", "internal", "external",
                                         "exclude" };
    const char *image = getenv("FAKE_IMAGE");
    size_t i;

    fake_log("create domid=%u name=%s description=%s", p->domid, p->name,
             fake_text(p->description));
    fake_log("directory=%s", p->directory);
    fake_log("current=%s parent=%s", fake_text(p->current_path),
             fake_text(p->parent));
    fake_log("kind=%s live=%d paused=%d protect=%d dry=%d lock=%d",
             kinds[p->default_kind], p->live, p->leave_paused, p->protect,
             p->dry_run, p->lock_timeout_ms);
    for (i = 0; i < p->ndisks; i++)
        fake_log("disk %s %s format=%s target=%s", p->disks[i].vdev,
                 kinds[p->disks[i].kind], fake_text(p->disks[i].format),
                 fake_text(p->disks[i].target));
    if (image) {
        AUTO_FREE char *path = p->overlay_path(p->overlay_arg, "xvda", image);

        fake_log("overlay=%s", fake_text(path));
    }
    memset(r, 0, sizeof(*r));
    r->still_ms = 1234;
    r->pause_ms = 1300;
    r->memory_bytes = 4096;
    r->manifest.consistency = snap_strdup("full");
    return fake_end(ctx, r);
}

int libxl_snapshot_adopt(libxl_snapshot_ctx *ctx,
                         const libxl_snapshot_adopt_params *p,
                         libxl_snapshot_result *r)
{
    static const char *const kinds[] = { "tag", "base", "exclude" };
    size_t i;

    fake_log("adopt domain=%s name=%s description=%s", p->domain_name,
             p->name, fake_text(p->description));
    fake_log("directory=%s", p->directory);
    fake_log("config=%s parent=%s memory=%s", fake_text(p->domain_config),
             fake_text(p->parent), fake_text(p->memory));
    fake_log("offline=%d protect=%d dry=%d lock=%d stock=%s", p->offline,
             p->protect, p->dry_run, p->lock_timeout_ms,
             fake_text(p->stock_xl));
    for (i = 0; i < p->ndisks; i++)
        fake_log("disk %s %s %s", p->disks[i].vdev, kinds[p->disks[i].kind],
                 fake_text(p->disks[i].what));
    memset(r, 0, sizeof(*r));
    r->memory_bytes = 4096;
    r->manifest.consistency = snap_strdup("full");
    r->manifest.created = snap_strdup("2026-01-02T03:04:05Z");
    return fake_end(ctx, r);
}

int libxl_snapshot_revert(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_revert_params *p,
                          libxl_snapshot_result *r)
{
    const char *image = getenv("FAKE_IMAGE");
    size_t i;

    fake_log("revert domain=%s snapshot=%s directory=%s", p->domain_name,
             fake_text(p->set->manifest.name), fake_text(p->set->directory));
    fake_log("config=%s current=%s", fake_text(p->domain_config),
             fake_text(p->current_path));
    fake_log("state=%d force=%d protect=%d dry=%d", p->state, p->force,
             p->protect, p->dry_run);
    fake_log("disk_only=%d", p->disk_only);
    for (i = 0; i < p->nexclude; i++)
        fake_log("exclude=%s", p->exclude[i]);
    for (i = 0; i < p->nothers; i++)
        fake_log("other=%s", p->others[i].manifest.name);
    fake_log("stock=%s", fake_text(p->stock_xl));
    fake_log("retry=%s", fake_text(p->retry_command));
    if (image) {
        AUTO_FREE char *path = p->overlay_path(p->overlay_arg, "xvda", image);

        fake_log("overlay=%s", fake_text(path));
    }
    memset(r, 0, sizeof(*r));
    r->domid = 6;
    return fake_end(ctx, r);
}

int libxl_snapshot_delete(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_delete_params *p,
                          libxl_snapshot_result *r)
{
    size_t i;

    fake_log("delete domain=%s directory=%s keep_layers=%d speed=%llu dry=%d",
             p->domain_name, p->set->directory, p->keep_layers,
             (unsigned long long)p->speed_bytes, p->dry_run);
    if (p->keep_memory) fake_log("keep memory");
    for (i = 0; i < p->nothers; i++)
        fake_log("other=%s", p->others[i].manifest.name);
    memset(r, 0, sizeof(*r));
    if (p->keep_memory)
        r->memory = snap_printf("%s/memory.xl", p->set->directory);
    return fake_end(ctx, r);
}

int libxl_snapshot_recover(libxl_snapshot_ctx *ctx, const char *domain,
                           bool dry_run, int lock_timeout_ms,
                           libxl_snapshot_result *r)
{
    int rc;

    fake_log("recover domain=%s dry=%d lock=%d", fake_text(domain), dry_run,
             lock_timeout_ms);
    memset(r, 0, sizeof(*r));
    rc = fake_end(ctx, r);
    free(r->plan);
    r->plan = NULL;
    return rc;
}

/* $FAKE_OPERATIONS: one of "a b", by the process of that number; 0: none. */
void libxl_snapshot_operations(const char *domain,
                               libxl_snapshot_operation **list, size_t *n)
{
    const char *pid = getenv("FAKE_OPERATIONS");

    *n = pid ? 1 : 0;
    *list = snap_zalloc(sizeof(**list));
    if (!pid) return;
    (*list)->domain = snap_strdup(domain ? domain : "a b");
    (*list)->what = snap_strdup("create");
    (*list)->pid = atoi(pid);
}

void libxl_snapshot_operations_free(libxl_snapshot_operation *list, size_t n)
{
    if (n) {
        free(list->domain);
        free(list->what);
    }
    free(list);
}

void libxl_snapshot_report_dispose(libxl_snapshot_report *r)
{
    size_t i;

    for (i = 0; i < r->ndisks; i++) {
        free(r->disks[i].vdev);
        free(r->disks[i].path);
        free(r->disks[i].internal_reason);
        free(r->disks[i].external_reason);
    }
    free(r->disks);
    free(r->name);
    free(r->live_reason);
    snap_strings_dispose(&r->reasons);
    memset(r, 0, sizeof(*r));
}

/* A disk for each letter of $FAKE_DISKS: i, e: only that kind; n: neither;
 * r: read-only. */
void libxl_snapshot_findings_dispose(libxl_snapshot_findings *f)
{
    memset(f, 0, sizeof(*f));
}

int libxl_snapshot_verify(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_set *set,
                          libxl_snapshot_findings *f)
{
    (void)ctx;
    (void)set;
    *f = (libxl_snapshot_findings) { .whole = true };
    return 0;
}

void libxl_snapshot_mends_dispose(libxl_snapshot_mends *l)
{
    size_t i;

    for (i = 0; i < l->len; i++) {
        free(l->data[i].part);
        free(l->data[i].text);
    }
    free(l->data);
    memset(l, 0, sizeof(*l));
}

/* One that can be mended, and with $FAKE_UNCLEAR one that cannot. */
int libxl_snapshot_repair(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_repair_params *p,
                          libxl_snapshot_mends *mends)
{
    libxl_snapshot_result ignored = { .plan = NULL };
    bool unclear = getenv("FAKE_UNCLEAR");
    size_t i;
    int rc = fake_end(ctx, &ignored);

    libxl_snapshot_result_dispose(&ignored);
    fake_log("repair domain=%s directory=%s", p->domain_name, p->directory);
    fake_log("current=%s protect=%d dry=%d lock=%d", p->current_path,
             p->protect, p->dry_run, p->lock_timeout_ms);
    fake_log("unread=%s retry=%s", fake_text(p->unread), p->retry_command);
    for (i = 0; i < p->nothers; i++)
        fake_log("other=%s", p->others[i].manifest.name);
    *mends = (libxl_snapshot_mends){ .len = 1 + unclear };
    mends->data = snap_zalloc(2 * sizeof(*mends->data));
    mends->data[0] = (libxl_snapshot_mend){
        .part = snap_strdup("parent"), .text = snap_strdup("gone; none then"),
        .can = true, .done = !rc && !p->dry_run,
    };
    if (unclear)
        mends->data[1] = (libxl_snapshot_mend){
            .part = snap_strdup("name"),
            .text = snap_strdup("nobody\033 knows"),
        };
    return rc;
}

void libxl_snapshot_inventory_dispose(libxl_snapshot_inventory *inventory)
{
    snap_inventory_dispose(inventory);
}

/* One that is abandoned, where $FAKE_ABANDONED is set. */
int libxl_snapshot_images(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_images_params *p,
                          libxl_snapshot_inventory *out)
{
    *out = (libxl_snapshot_inventory){ .domain = NULL };
    if (!getenv("FAKE_ABANDONED"))
        return snap_fail(ctx, ERROR_FAIL, "the fake has no images");
    *out = (libxl_snapshot_inventory){
        .domain = snap_strdup(p->domain_name), .running = true, .nimages = 1,
        .images = snap_zalloc(sizeof(*out->images)),
    };
    out->images[0].path = snap_strdup("/img/b.s1-r1.qcow2");
    out->images[0].size_bytes = 196608;
    out->images[0].use = SNAP_USE_ABANDONED;
    return 0;
}

int libxl_snapshot_remove_abandoned(libxl_snapshot_ctx *ctx,
                                    const libxl_snapshot_remove_params *p,
                                    libxl_snapshot_removal *removal)
{
    libxl_snapshot_result ignored = { .plan = NULL };
    int rc;

    *removal = (libxl_snapshot_removal){ .removed.len = 0 };
    fake_log("remove domain=%s snapshots=%zu of %zu retry=%s", p->domain_name,
             p->now->nown, p->now->nown + p->now->nothers, p->retry_command);
    rc = fake_end(ctx, &ignored);
    snap_strings_add(rc ? &removal->stayed : &removal->removed,
                     p->listed->images[0].path);
    libxl_snapshot_result_dispose(&ignored);
    return rc;
}

void libxl_snapshot_removal_dispose(libxl_snapshot_removal *removal)
{
    snap_strings_dispose(&removal->removed);
    snap_strings_dispose(&removal->stayed);
}

int libxl_snapshot_check(libxl_snapshot_ctx *ctx, uint32_t domid,
                         libxl_snapshot_report *r)
{
    const char *disks = getenv("FAKE_DISKS");
    size_t i, n = disks ? strlen(disks) : 0;

    memset(r, 0, sizeof(*r));
    fake_log("check domid=%u", domid);
    if (fake_is("refuse"))
        return snap_fail(ctx, ERROR_FAIL, "nothing can be read");
    r->name = snap_strdup("web");
    r->domid = domid;
    if (fake_is("paused"))
        snap_strings_add(&r->reasons, "it is paused; unpause it");
    if (fake_is("no live"))
        r->live_reason = snap_strdup("a PV domain");
    r->disks = snap_zalloc((n + 1) * sizeof(*r->disks));
    r->ndisks = n;
    for (i = 0; i < n; i++) {
        libxl_snapshot_disk_report *d = &r->disks[i];

        d->vdev = snap_printf("xvd%c", (char)('a' + i));
        d->path = snap_printf("/img/%zu", i);
        d->ignored = disks[i] == 'r';
        if (disks[i] != 'i')
            d->internal_reason = snap_strdup("a raw image cannot");
        if (disks[i] != 'e')
            d->external_reason = snap_strdup("a device has no room");
    }
    return 0;
}

#endif
