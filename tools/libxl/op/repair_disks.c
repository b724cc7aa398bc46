/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Repairing what a manifest says of an external disk: the numbers of a frozen
 * base that is another file now, the overlay, and the base's immutable flag.
 */
#include <string.h>

#include "host/dependents.h"
#include "host/hash.h"
#include "host/users.h"
#include "op/repair.h"
#include "plan/unharmed.h"

struct base {
    struct snap_repair *r;
    const struct snap_manifest_disk *d;
    struct snap_fs_id id;
    bool unharmed;              /* or it will be as the manifest says then */
};

static struct snap_mend *add(struct base *b, char *text)
{
    struct snap_mend *m = snap_repair_add(b->r, b->d->vdev, text);

    m->vdev = snap_strdup(b->d->vdev);
    m->path = snap_strdup(b->r->set.directory);
    return m;
}

/* ---- another file ------------------------------------------------ */

static int note_numbers(struct snap_act *a, struct snap_manifest *m, void *arg)
{
    const struct snap_mend *mend = arg;
    struct snap_manifest_disk *d = snap_step_external(m, mend->vdev);

    (void)a;
    if (!d) return 0;
    d->dev = mend->id.dev;
    d->ino = mend->id.ino;
    d->mtime_ns = mend->id.mtime_ns;
    return 1;
}

/* As far as the manifest tells: its size, its head with the header, samples. */
static int has_same_contents(struct base *b, bool *same)
{
    struct snap_ctx *sc = b->r->sc;
    struct snap_image im = { .path = NULL };
    char sum[SNAP_HASH_SIZE];
    int rc;

    *same = false;
    if (!b->d->sample_sha256 || b->d->size_bytes != b->id.size_bytes) return 0;
    rc = snap_hash_sample(sc, b->id.real, sum);
    if (rc || strcmp(sum, b->d->sample_sha256)) return rc;
    rc = snap_image_info(sc, b->id.real, b->d->format, &im);
    *same = !rc && !im.corrupt
            && (!b->d->virtual_size_bytes
                || b->d->virtual_size_bytes == im.virtual_size_bytes);
    snap_image_dispose(&im);
    return rc;
}

/* The same file with another time was written to, whatever the samples say;
 * another file may be a copy. A device's numbers are nobody's. */
static int look_at_identity(struct base *b)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    struct snap_mend *m;
    bool same;
    int rc;

    b->unharmed = !snap_check_base(&quiet, b->d, &b->id);
    snap_ctx_dispose(&quiet);
    if (b->id.block || (b->d->dev == b->id.dev && b->d->ino == b->id.ino))
        return 0;
    rc = has_same_contents(b, &same);
    if (rc || !same) return rc;
    m = add(b, snap_printf("the frozen base '%s' is another file than at the "
                           "snapshot, with the same contents (samples); its "
                           "numbers are noted", b->id.real));
    m->change = note_numbers;
    m->id = b->id;
    m->id.real = NULL;
    b->unharmed = true;
    return 0;
}

/* ---- the overlay ------------------------------------------------- */

static int note_overlay(struct snap_act *a, struct snap_manifest *m, void *arg)
{
    const struct snap_mend *mend = arg;
    struct snap_manifest_disk *d = snap_step_external(m, mend->vdev);

    (void)a;
    if (!d || !d->overlay || strcmp(d->overlay, mend->from)) return 0;
    snap_step_set_overlay(d, mend->to);
    return 1;
}

/* What the overlay's place is taken by, with the reason. */
static char *instead(const struct snap_strings *on)
{
    if (on->len == 1)
        return snap_printf("'%s' instead, the only image on it", on->data[0]);
    if (!on->len) return snap_strdup("none instead: nothing stands on it");
    return snap_printf("none instead: %zu images stand on it", on->len);
}

static int look_at_overlay(struct base *b)
{
    struct snap_repair *r = b->r;
    AUTO_FREE char *text = NULL;
    struct snap_strings on = { 0 };
    struct snap_mend *m;
    bool is = true;
    int rc = b->d->overlay ? snap_dependents_is_on(r->sc, b->d->overlay,
                                                   &b->id, &is) : 0;

    if (rc || is) return rc;
    rc = snap_op_images_on(r->sc, &r->set.manifest, r->p->others,
                           r->p->nothers, &b->id, &on);
    if (!rc) {
        text = instead(&on);
        m = add(b, snap_printf("its overlay '%s' %s the frozen base '%s'; %s",
                               b->d->overlay, access(b->d->overlay, F_OK)
                               ? "is gone from" : "does not stand on",
                               b->id.real, text));
        m->change = note_overlay;
        m->from = snap_strdup(b->d->overlay);
        m->to = on.len == 1 ? snap_strdup(on.data[0]) : NULL;
    }
    snap_strings_dispose(&on);
    return rc;
}

/* ---- the flag ---------------------------------------------------- */

static int protect(struct snap_act *a, const struct snap_mend *m)
{
    int rc = snap_fs_set_immutable(a->sc, m->to, true);

    if (rc <= 0) return rc;
    return snap_fail(a->sc, ERROR_FAIL, "the file system of '%s' does not keep "
                     "the immutable flag: give --no-protect", m->to);
}

/* One that was written is frozen no more. */
static int look_at_flag(struct base *b)
{
    AUTO_FREE char *who = NULL;
    struct snap_mend *m;
    bool on, have;
    int rc;

    if (!b->r->p->protect || !b->unharmed) return 0;
    rc = snap_fs_get_immutable(b->r->sc, b->id.real, &on, &have);
    if (rc || on || !have) return rc;
    rc = snap_users_find_writer(b->r->sc, &b->id, &who);
    if (rc) return rc;
    m = add(b, snap_printf("the frozen base '%s' is not immutable; %s%s",
                           b->id.real, who ? "it cannot be now: it is open for "
                           "writing by " : "it is made so", who ? who : ""));
    if (who) return 0;
    m->act = protect;
    m->to = snap_strdup(b->id.real);
    return 0;
}

/* A base that is not there, or is nothing that could be one, verify finds. */
static int look_at_disk(struct base *b)
{
    struct snap_ctx *sc = b->r->sc;
    int rc = snap_fs_identify(sc, b->d->image, &b->id);

    if (rc == ERROR_NOTFOUND || rc == ERROR_INVAL) {
        snap_clear(sc);
        return 0;
    }
    if (!rc) rc = look_at_overlay(b);
    if (!rc) rc = look_at_identity(b);
    if (!rc) rc = look_at_flag(b);
    free(b->id.real);
    return rc;
}

int snap_repair_look_at_disks(struct snap_repair *r)
{
    const struct snap_manifest *m = &r->set.manifest;
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < m->ndisks; i++) {
        struct base b = { .r = r, .d = &m->disks[i] };

        if (m->disks[i].type == SNAP_DISK_EXTERNAL) rc = look_at_disk(&b);
    }
    return rc;
}
