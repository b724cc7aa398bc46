/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-adopt: a manifest for a snapshot that was made by hand.  Lock,
 * facts, plan, act; the images are not changed, but for the immutable flag.
 */
#include "op/adopt.h"

#include <string.h>
#include <time.h>

/* The last second that a manifest's date can say. */
#define LAST_SECOND 253402300799

/* ---- the manifest ------------------------------------------------ */

/* Its latest tag, else its memory, else its latest base. */
static int64_t latest(const struct snap_adopt *a, enum snap_adopt_how how)
{
    int64_t found = -1;
    size_t i;

    for (i = 0; i < a->facts.ndisks; i++) {
        const struct snap_adopt_choice *c = &a->choices[i];
        int64_t t;

        if (c->how != how) continue;
        t = how == SNAP_ADOPT_TAG ? c->tag->date_sec
            : c->layers[c->layer].block ? -1
            : c->layers[c->layer].mtime_ns / 1000000000;
        if (t > found) found = t;
    }
    return found;
}

/* Dates come from images, which may say anything. */
static char *created(const struct snap_adopt *a)
{
    int64_t t = latest(a, SNAP_ADOPT_TAG);

    if (t < 0 && a->p->memory) t = a->saved_sec;
    if (t < 0) t = latest(a, SNAP_ADOPT_BASE);
    return snap_op_utc(t < 0 || t > LAST_SECOND ? time(NULL) : t);
}

static void manifest_disk(const struct snap_adopt_choice *c,
                          struct snap_manifest *m)
{
    struct snap_manifest_disk *d = snap_manifest_add_disk(m);
    const struct snap_fs_id *id = &c->layers[c->layer];
    const struct snap_image *im = &c->disk->chain.data[c->layer];
    bool external = c->how == SNAP_ADOPT_BASE;

    d->vdev = snap_strdup(c->disk->vdev);
    d->type = external ? SNAP_DISK_EXTERNAL : SNAP_DISK_INTERNAL;
    d->image = snap_strdup(id->real);
    d->format = snap_strdup(im->format);
    d->parent = snap_spec_print(d->vdev, d->format, !external, id->real);
    d->child = external
        ? snap_spec_print(d->vdev, im[-1].format, true, id[-1].real)
        : snap_strdup(d->parent);
    if (external) {
        d->overlay = snap_strdup(id[-1].real);
    } else {
        d->tag = snap_strdup(c->tag->name);
        d->tag_id = snap_strdup(c->tag->id);
    }
    d->virtual_size_bytes = im->virtual_size_bytes;
    d->dev = id->dev;
    d->ino = id->ino;
    d->size_bytes = id->size_bytes;
    d->mtime_ns = id->mtime_ns;
}

static void manifest_memory(const struct snap_adopt *a,
                            struct snap_manifest *m)
{
    m->memory_path = snap_strdup(SNAP_MEMORY_FILE);
    m->memory_size_bytes = a->image.size_bytes;
    m->memory_head_bytes = a->image.head_bytes;
    m->memory_head_sha256 = snap_strdup(a->image.head_sha256);
    m->xen_version = snap_printf("%u.%u", a->image.xen_major,
                                 a->image.xen_minor);
}

static int make_manifest(const struct snap_adopt *a, struct snap_manifest *m)
{
    const struct snap_facts *f = &a->facts;
    size_t i;

    m->name = snap_strdup(a->p->name);
    m->description = snap_strdup(a->p->description);
    m->created = created(a);
    m->domain_name = snap_strdup(f->dom.name);
    m->domain_uuid = snap_strdup(f->dom.uuid);
    m->domain_type = snap_strdup(f->dom.type);
    m->domain_state = snap_strdup(a->p->offline ? "off" : "running");
    m->parent = snap_strdup(a->p->parent);
    m->tool_version = snap_strdup(PACKAGE_VERSION);
    if (a->p->memory) manifest_memory(a, m);
    for (i = 0; i < f->ndisks; i++) {
        if (a->choices[i].how >= SNAP_ADOPT_TAG)
            manifest_disk(&a->choices[i], m);
        else if (a->choices[i].how == SNAP_ADOPT_EXCLUDED)
            snap_strings_add(&m->excluded, f->disks[i].vdev);
    }
    m->consistency = snap_strdup(!a->p->memory ? a->p->offline ? "offline"
                                 : "crash" : m->excluded.len ? "partial"
                                 : "full");
    return snap_manifest_check(a->sc, SNAP_MANIFEST_FILE, m);
}

/* ---- acting ------------------------------------------------------ */

static int act(struct snap_adopt *a, libxl_snapshot_result *result)
{
    struct snap_act act = {
        .sc = a->sc, .xen = a->h.xen, .journal = &a->h.journal,
        .manifest = &result->manifest, .memory_fd = -1,
        .notes = &result->notes,
    };
    AUTO_FREE char *quoted = snap_op_quote(a->p->domain_name);
    int rc, outcome = LIBXL_SNAPSHOT_REFUSED;

    rc = snap_op_journal_head(a->sc, &a->h.journal, "adopt",
                              a->p->domain_name, NULL, -1, &result->manifest,
                              NULL);
    if (rc)
        snap_journal_close(a->sc, &a->h.journal);
    else
        rc = snap_act_run(&act, &a->plan, &outcome);
    return snap_op_finish(a->sc, rc, outcome, "xl snapshot-recover %s",
                          quoted);
}

/* Images are locked as create does. */
static void want_locks(struct snap_adopt *a)
{
    size_t i;

    for (i = 0; i < a->facts.ndisks; i++) {
        const struct snap_adopt_choice *c = &a->choices[i];

        if (c->how < SNAP_ADOPT_TAG) continue;
        snap_image_locks_want_chain(&a->h.locks, &c->disk->chain, false);
        snap_image_locks_want(&a->h.locks, c->layers[c->layer].real, true);
    }
}

/* Which images there are to lock is known only when they were looked at: who
 * had to wait for one looks again. */
static int look_and_lock(struct snap_adopt *a)
{
    bool waited;
    int rc;

    do {
        waited = false;
        rc = snap_adopt_look(a);
        if (rc || a->p->dry_run) return rc;
        want_locks(a);
        rc = snap_image_locks_take(a->sc, &a->h.locks, a->p->lock_timeout_ms,
                                   &waited);
        if (waited) snap_adopt_forget(a);
    } while (!rc && waited);
    return rc;
}

static int adopt(struct snap_adopt *a, libxl_snapshot_result *result)
{
    size_t i;
    int rc = snap_xen_open(a->sc, &a->h.xen);

    if (!rc)
        rc = snap_op_lock(a->sc, a->p->domain_name, a->p->lock_timeout_ms,
                          &a->h);
    if (!rc) rc = snap_adopt_read_memory(a);
    if (!rc) rc = look_and_lock(a);
    if (!rc) rc = make_manifest(a, &result->manifest);
    if (!rc)
        rc = snap_op_check_directory(a->sc, a->p->directory, a->p->name,
                                     a->p->dry_run);
    if (rc) return rc;
    for (i = 0; i < a->plan.notes.len; i++)
        snap_strings_add(&result->notes, a->plan.notes.data[i]);
    if (a->p->memory)
        snap_strings_add(&result->notes, "that the memory and the disks are "
                         "of one instant is your word: nothing in them tells, "
                         "and a guest that gets back others destroys its file "
                         "systems");
    result->plan = snap_plan_text(&a->plan);
    result->directory = snap_strdup(a->p->directory);
    result->memory_bytes = result->manifest.memory_size_bytes;
    if (!a->p->dry_run) return act(a, result);
    a->sc->outcome = LIBXL_SNAPSHOT_DONE;
    return 0;
}

int libxl_snapshot_adopt(libxl_snapshot_ctx *ctx,
                         const libxl_snapshot_adopt_params *params,
                         libxl_snapshot_result *result)
{
    struct snap_adopt a = { .sc = ctx, .p = params, .h = SNAP_HOLD_INIT };
    int rc;

    snap_op_begin(ctx, result);
    rc = adopt(&a, result);
    snap_adopt_forget(&a);
    snap_memimage_dispose(&a.image);
    snap_json_free(a.tree);
    snap_domconfig_dispose(&a.config);
    snap_hold_drop(&a.h);
    return rc;
}
