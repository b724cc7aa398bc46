/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The steps that change disks of a running domain: making ready and doing the
 * one transaction in which QEMU snapshots them all, and deleting a tag.
 */
#include "step/step.h"

#include <string.h>

#define TRANSACTION_TIMEOUT_MS 120000
#define COMMIT_TIMEOUT_MS 600000
/* The guest stands while a QEMU that has been silent is asked once more. */
#define SILENT_TIMEOUT_MS 5000

static bool is_internal(const struct snap_step *s, size_t i)
{
    return !strcmp(snap_step_get_nth(s, "how", i), "internal");
}

const struct snap_qmp_disk *
snap_step_find_disk(const struct snap_qmp_disks *q, const char *vdev,
                    const char *qdev)
{
    size_t i;

    for (i = 0; i < q->len; i++) {
        const struct snap_qmp_disk *d = &q->data[i];

        if (!d->inserted) continue;
        if ((d->vdev && !strcmp(d->vdev, vdev))
            || (!d->vdev && qdev && d->qdev && !strcmp(d->qdev, qdev)))
            return d;
    }
    return NULL;
}

/* ---- the transaction --------------------------------------------- */

/* QEMU does not say which: name them all, with what was to be made. */
static int name_disks(struct snap_act *a, const struct snap_step *s, int rc)
{
    struct snap_text t = { 0 };
    const char *vdev;
    size_t i;

    for (i = 0; (vdev = snap_step_get_nth(s, "vdev", i)); i++)
        snap_text_add(&t, "%s%s %s '%s'", i ? ", " : "", vdev,
                      is_internal(s, i) ? "in" : "to",
                      snap_step_get_nth(s, is_internal(s, i) ? "image"
                                                             : "overlay", i));
    rc = snap_within(a->sc, rc, "snapshotting the disks (%s; is there space "
                     "where they are?)", t.data);
    free(t.data);
    return rc;
}

/* The step's disks as QEMU wants them; *n of them, the array malloc'd. */
static struct snap_qmp_action *actions_of(const struct snap_step *s, size_t *n)
{
    struct snap_qmp_action *acts;

    acts = snap_zalloc((s->args.len + 1) * sizeof(*acts));
    for (*n = 0; snap_step_get_nth(s, "vdev", *n); ++*n) {
        struct snap_qmp_action *act = &acts[*n];

        act->external = !is_internal(s, *n);
        act->node = snap_step_get_nth(s, "node", *n);
        act->tag = snap_step_get_nth(s, "tag", *n);
        act->overlay = snap_step_get_nth(s, "overlay", *n);
        act->overlay_node = snap_step_get_nth(s, "overlay-node", *n);
        act->overlay_format = "qcow2";
    }
    return acts;
}

/* QEMU is asked what it has while memory is still being written, and told all
 * of the transaction but its last byte: afterwards the guest waits for one
 * byte. What is changed in QEMU in between makes the transaction fail, or is
 * found by looking at what it made. */
static int ready_apply(struct snap_act *a, const struct snap_step *s)
{
    AUTO_FREE struct snap_qmp_action *acts = NULL;
    struct snap_qmp *qmp;
    size_t n;
    int rc;

    rc = snap_act_qmp(a, snap_step_get(s, "qmp"), &qmp);
    if (!rc) rc = snap_facts_recheck_qemu(a->sc, qmp, a->facts);
    if (rc) return rc;
    acts = actions_of(s, &n);
    return snap_qmp_transaction_hold(qmp, acts, n, SNAP_QMP_TIMEOUT_MS);
}

/* QEMU forgets half a command with the connection that it came by. */
static int ready_undo(struct snap_act *a, const struct snap_step *s)
{
    (void)s;
    snap_act_drop_qmp(a);
    return 0;
}

const struct snap_step_ops snap_step_ready = {
    .apply = ready_apply, .undo = ready_undo,
};

static int run_transaction(struct snap_act *a, const struct snap_step *s,
                           struct snap_qmp *qmp)
{
    AUTO_FREE struct snap_qmp_action *acts = NULL;
    size_t n;
    int rc;

    acts = actions_of(s, &n);
    rc = snap_qmp_transaction_release(qmp, acts, n, TRANSACTION_TIMEOUT_MS);
    a->qemu_silent = rc == ERROR_TIMEDOUT;
    return rc ? name_disks(a, s, rc) : 0;
}

static struct snap_manifest_disk *manifest_disk(struct snap_act *a,
                                                const char *vdev)
{
    size_t i;

    for (i = 0; a->manifest && i < a->manifest->ndisks; i++)
        if (!strcmp(a->manifest->disks[i].vdev, vdev))
            return &a->manifest->disks[i];
    return NULL;
}

static int verify_internal(struct snap_act *a, const struct snap_step *s,
                           size_t i, const char *vdev,
                           const struct snap_qmp_disk *d)
{
    const char *tag = snap_step_get_nth(s, "tag", i);
    struct snap_manifest_disk *m = manifest_disk(a, vdev);
    size_t k;

    if (strcmp(d->node, snap_step_get_nth(s, "node", i))
        || strcmp(d->file, snap_step_get_nth(s, "file", i)))
        return snap_fail(a->sc, ERROR_FAIL, "disk '%s' was changed inside "
                         "QEMU in the last moment; try again", vdev);
    for (k = 0; k < d->tags.len; k++) {
        if (strcmp(d->tags.data[k], tag)) continue;
        if (m && k < d->tag_ids.len) {
            free(m->tag_id);
            m->tag_id = snap_strdup(d->tag_ids.data[k]);
        }
        return 0;
    }
    return snap_fail(a->sc, ERROR_FAIL, "disk '%s': QEMU said the snapshot "
                     "was made, but the image does not list '%s'", vdev,
                     tag);
}

static int verify_external(struct snap_act *a, const struct snap_step *s,
                           size_t i, const char *vdev,
                           const struct snap_qmp_disk *d)
{
    const char *overlay = snap_step_get_nth(s, "overlay", i);
    const char *node = snap_step_get_nth(s, "overlay-node", i);
    int rc;

    if (!d->node || strcmp(d->node, node) || !d->file
        || strcmp(d->file, overlay) || !d->driver
        || strcmp(d->driver, "qcow2") || d->read_only)
        return snap_fail(a->sc, ERROR_FAIL, "disk '%s': QEMU said the "
                         "overlay was made, but does not write to '%s'",
                         vdev, overlay);
    rc = snap_image_check_made(a->sc, d->image,
                               snap_step_get_nth(s, "image", i),
                               snap_step_get_nth(s, "format", i));
    return rc ? snap_within(a->sc, rc, "disk '%s'", vdev) : 0;
}

static int verify(struct snap_act *a, const struct snap_step *s,
                  struct snap_qmp *qmp)
{
    struct snap_qmp_disks q;
    const char *vdev;
    size_t i;
    int rc;

    rc = snap_qmp_query_blocks(qmp, SNAP_QMP_TIMEOUT_MS, &q);
    if (rc) return rc;
    for (i = 0; !rc && (vdev = snap_step_get_nth(s, "vdev", i)); i++) {
        const struct snap_qmp_disk *d = snap_step_find_disk(&q, vdev,
                                            snap_step_get_nth(s, "qdev", i));

        if (!d)
            rc = snap_fail(a->sc, ERROR_FAIL, "disk '%s' vanished from QEMU",
                           vdev);
        else if (is_internal(s, i))
            rc = verify_internal(a, s, i, vdev, d);
        else
            rc = verify_external(a, s, i, vdev, d);
    }
    snap_qmp_disks_dispose(&q);
    return rc;
}

static int disks_apply(struct snap_act *a, const struct snap_step *s)
{
    struct snap_qmp *qmp;
    int rc;

    rc = snap_act_qmp(a, snap_step_get(s, "qmp"), &qmp);
    if (rc) return rc;
    rc = run_transaction(a, s, qmp);
    return rc ? rc : verify(a, s, qmp);
}

/* QEMU must be back on the base: the toolstack is told so next. */
static int undo_external(struct snap_act *a, const struct snap_step *s,
                         size_t i, const struct snap_qmp_disk *d,
                         struct snap_qmp *qmp)
{
    const char *vdev = snap_step_get_nth(s, "vdev", i);
    const char *node = snap_step_get_nth(s, "overlay-node", i);
    const char *file = snap_step_get_nth(s, "file", i);

    if (!d)
        return snap_fail(a->sc, ERROR_FAIL, "disk '%s' is not in QEMU any "
                         "more, so its overlay '%s' cannot be merged back",
                         vdev, snap_step_get_nth(s, "overlay", i));
    if (!strcmp(d->node, node))
        return snap_qmp_commit_active(qmp, node, "xlsnap-undo",
                                      COMMIT_TIMEOUT_MS);
    if (strcmp(d->file, file))
        return snap_fail(a->sc, ERROR_FAIL, "disk '%s': QEMU writes to '%s', "
                         "neither to the base '%s' nor to our overlay; "
                         "somebody else snapshotted it", vdev, d->file, file);
    return 0;
}

static int undo_one(struct snap_act *a, const struct snap_step *s, size_t i,
                    const struct snap_qmp_disk *d, struct snap_qmp *qmp)
{
    const char *tag = snap_step_get_nth(s, "tag", i);

    if (!is_internal(s, i)) return undo_external(a, s, i, d, qmp);
    if (!d || !snap_strings_have(&d->tags, tag)) return 0;
    return snap_qmp_delete_internal(qmp, d->node, tag, TRANSACTION_TIMEOUT_MS);
}

/* QEMU undoes its own half of a failed transaction; what is left are whole
 * ones (a later step failed). Files of overlays go with the configuration that
 * names them. */
static int disks_undo(struct snap_act *a, const struct snap_step *s)
{
    int timeout_ms = a->qemu_silent ? SILENT_TIMEOUT_MS : SNAP_QMP_TIMEOUT_MS;
    struct snap_qmp_disks q;
    const char *vdev;
    size_t i;
    int rc, first = 0;

    /* The old connection may have died with what went wrong. */
    snap_act_drop_qmp(a);
    rc = snap_qmp_open(a->sc, snap_step_get(s, "qmp"), timeout_ms, &a->qmp);
    if (!rc) rc = snap_qmp_query_disks(a->qmp, timeout_ms, &q);
    if (rc) return rc;
    for (i = 0; (vdev = snap_step_get_nth(s, "vdev", i)); i++) {
        rc = undo_one(a, s, i, snap_step_find_disk(&q, vdev, NULL), a->qmp);
        if (rc && !first) first = rc;
    }
    snap_qmp_disks_dispose(&q);
    return first;
}

const struct snap_step_ops snap_step_disks = {
    .apply = disks_apply, .undo = disks_undo,
};

/* ---- deleting a tag ---------------------------------------------- */

/* Nobody has the image open: looked at again right before the write. */
static int delete_tag_apply(struct snap_act *a, const struct snap_step *s)
{
    const char *path = snap_step_get(s, "path");
    struct snap_image im;
    int rc;

    rc = snap_step_recheck_idle.apply(a, s);
    if (!rc) rc = snap_image_info(a->sc, path, "qcow2", &im);
    if (rc) return rc;
    a->past_commit = true;
    if (snap_image_find_tag(&im, snap_step_get(s, "tag")))
        rc = snap_image_delete_tag(a->sc, path, "qcow2",
                                   snap_step_get(s, "tag"));
    snap_image_dispose(&im);
    return rc;
}

/* The domain whose QEMU was to do it has ended since. */
static int is_gone(struct snap_act *a, const struct snap_step *s, bool *gone)
{
    struct snap_dominfo dom;
    int rc = snap_xen_domain(a->xen, snap_step_get_u64(s, "domid"), &dom);

    *gone = rc == ERROR_DOMAIN_NOTFOUND;
    if (!rc) snap_dominfo_dispose(&dom);
    return *gone ? 0 : rc;
}

static int delete_tag_live_apply(struct snap_act *a, const struct snap_step *s)
{
    struct snap_qmp_disks q;
    const struct snap_qmp_disk *d;
    struct snap_qmp *qmp;
    bool gone;
    int rc;

    rc = is_gone(a, s, &gone);
    if (!rc && gone) return delete_tag_apply(a, s);
    if (!rc) rc = snap_act_qmp(a, snap_step_get(s, "qmp"), &qmp);
    if (!rc) rc = snap_qmp_query_disks(qmp, SNAP_QMP_TIMEOUT_MS, &q);
    if (rc) return rc;
    d = snap_step_find_disk(&q, snap_step_get(s, "vdev"), NULL);
    a->past_commit = true;
    if (d && snap_strings_have(&d->tags, snap_step_get(s, "tag")))
        rc = snap_qmp_delete_internal(qmp, d->node, snap_step_get(s, "tag"),
                                      COMMIT_TIMEOUT_MS);
    snap_qmp_disks_dispose(&q);
    return rc;
}

const struct snap_step_ops snap_step_delete_tag_live = {
    .apply = delete_tag_live_apply,
};

const struct snap_step_ops snap_step_delete_tag = {
    .apply = delete_tag_apply,
};
