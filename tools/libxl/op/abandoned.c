/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Removing overlays that nobody needs.  They were listed for somebody to agree
 * to, which may have taken hours: behind the locks everything is read again,
 * and each is looked at once more right before it goes.  In doubt it stays.
 * Each removal is whole by itself: there is no plan and no journal.
 */
#include <string.h>

#include "host/claims.h"
#include "host/discard.h"
#include "host/inuse.h"
#include "op/inventory.h"
#include "plan/inventory.h"

void libxl_snapshot_removal_dispose(libxl_snapshot_removal *r)
{
    snap_strings_dispose(&r->removed);
    snap_strings_dispose(&r->stayed);
}

struct removal {
    struct snap_ctx *sc;
    const libxl_snapshot_remove_params *p;
    struct snap_hold h;
    struct snap_inventory now;
    struct snap_id_map numbers;         /* of the images in it */
    libxl_snapshot_removal *out;
};

/* What was listed for itself alone, what is below it with others. */
static int lock_images(struct removal *r)
{
    const struct snap_inventory *inv = r->p->listed;
    bool ignored;
    size_t i;

    for (i = 0; i < inv->nimages; i++) {
        const struct snap_inventory_image *im = &inv->images[i];

        if (im->use != SNAP_USE_ABANDONED) continue;
        snap_image_locks_want(&r->h.locks, im->path, true);
        snap_image_locks_want(&r->h.locks, inv->images[im->below].path,
                              false);
    }
    return snap_image_locks_take(r->sc, &r->h.locks, r->p->lock_timeout_ms,
                                 &ignored);
}

static int look_again(struct removal *r)
{
    size_t i;
    int rc = snap_op_images(r->sc, r->p->now, &r->now);

    for (i = 0; !rc && i < r->now.nimages; i++) {
        struct snap_fs_id id = { .dev = r->now.images[i].dev,
                                 .ino = r->now.images[i].ino,
                                 .block = r->now.images[i].block };

        snap_id_map_put(&r->numbers, &id, i);
    }
    return rc;
}

/* Is it still the file that was listed, and still abandoned? */
static int check_listed(struct removal *r,
                        const struct snap_inventory_image *listed)
{
    struct snap_fs_id id = { .dev = listed->dev, .ino = listed->ino };
    size_t at = snap_id_map_get(&r->numbers, &id);
    const struct snap_inventory_image *im;

    if (at == SNAP_ID_MAP_NONE || strcmp(r->now.images[at].path, listed->path)
        || r->now.images[at].mtime_ns != listed->mtime_ns)
        return snap_fail(r->sc, ERROR_INVAL, "it was written or replaced "
                         "since it was listed");
    im = &r->now.images[at];
    if (im->use == SNAP_USE_ABANDONED) return 0;
    return snap_fail(r->sc, ERROR_INVAL, "%s%s", im->doubt ? "" : "it is "
                     "needed now: ", im->doubt ? im->doubt
                     : snap_inventory_use_word(im->use));
}

/* Nobody has it open, no domain has it, nothing stands on it. */
static int check_users(struct removal *r, const struct snap_fs_id *id)
{
    struct snap_claim_hits hits = { .len = 0 };
    struct snap_inuse use = { .len = 0 };
    AUTO_FREE char *above = NULL;
    int self = getpid();
    int rc = snap_dependents_beside(r->sc, id, &above);

    if (!rc && above)
        rc = snap_fail(r->sc, ERROR_INVAL, "'%s' stands on it", above);
    if (!rc) rc = snap_claims_on(r->sc, r->h.xen, -1, id, 1, &hits);
    if (!rc && hits.len)
        rc = snap_fail(r->sc, ERROR_INVAL, "%s has it", hits.data[0].text);
    if (!rc) rc = snap_inuse_scan(r->sc, id, 1, &self, 1, &use);
    if (!rc && use.len)
        rc = snap_fail(r->sc, ERROR_INVAL, "it is in use by %s",
                       use.data[0].text);
    snap_claim_hits_dispose(&hits);
    snap_inuse_dispose(&use);
    return rc;
}

static int remove_file(struct removal *r,
                       const struct snap_inventory_image *listed, bool *gone)
{
    struct snap_fs_id id;
    int rc = snap_fs_identify(r->sc, listed->path, &id);

    if (rc) return rc;
    if (id.dev != listed->dev || id.ino != listed->ino
        || id.mtime_ns != listed->mtime_ns)
        rc = snap_fail(r->sc, ERROR_INVAL, "it was written or replaced since "
                       "it was listed");
    if (!rc) rc = check_users(r, &id);
    if (!rc) rc = snap_discard(r->sc, listed->path, &id, gone);
    free(id.real);
    return rc;
}

/* What kept it is in the result; that something did is an error at the end. */
static void remove_one(struct removal *r,
                       const struct snap_inventory_image *listed)
{
    bool gone = false;
    int rc = snap_check_cancelled(r->sc);

    if (!rc) rc = check_listed(r, listed);
    if (!rc) rc = remove_file(r, listed, &gone);
    if (gone) snap_strings_add(&r->out->removed, listed->path);
    if (!rc) return;
    if (!gone)
        snap_strings_take(&r->out->stayed, snap_printf("%s: %s", listed->path,
                                                       r->sc->message));
    else
        snap_log(r->sc, SNAP_LOG_NOTE, "%s", r->sc->message);
    snap_clear(r->sc);
}

static int remove_all(struct removal *r)
{
    const struct snap_inventory *inv = r->p->listed;
    size_t i;
    int rc = snap_xen_open(r->sc, &r->h.xen);

    if (!rc) rc = snap_op_lock(r->sc, r->p->domain_name,
                               r->p->lock_timeout_ms, &r->h);
    if (!rc) rc = lock_images(r);
    if (!rc) rc = look_again(r);
    if (rc) return rc;
    for (i = 0; i < inv->nimages; i++)
        if (inv->images[i].use == SNAP_USE_ABANDONED)
            remove_one(r, &inv->images[i]);
    if (!r->out->stayed.len)
        return snap_op_finish(r->sc, 0, LIBXL_SNAPSHOT_DONE, "%s", "");
    rc = snap_fail(r->sc, ERROR_FAIL, "%zu removed, %zu stayed; the first: %s",
                   r->out->removed.len, r->out->stayed.len,
                   r->out->stayed.data[0]);
    return snap_op_finish(r->sc, rc, r->out->removed.len
                          ? LIBXL_SNAPSHOT_NOT_WHOLE : LIBXL_SNAPSHOT_REFUSED,
                          "%s", r->p->retry_command);
}

int libxl_snapshot_remove_abandoned(libxl_snapshot_ctx *ctx,
                                    const libxl_snapshot_remove_params *params,
                                    libxl_snapshot_removal *removal)
{
    struct removal r = {
        .sc = ctx, .p = params, .h = SNAP_HOLD_INIT, .out = removal,
    };
    int rc;

    snap_op_begin(ctx, NULL);
    *removal = (libxl_snapshot_removal){ .removed.len = 0 };
    rc = remove_all(&r);
    snap_inventory_dispose(&r.now);
    snap_id_map_dispose(&r.numbers);
    snap_hold_drop(&r.h);
    return rc;
}
