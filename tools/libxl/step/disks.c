/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The steps that change disks of a running domain: the one transaction in
 * which QEMU snapshots them all, telling the toolstack about new images, and
 * deleting a tag.
 */
#include "step/step.h"

#include <string.h>

#define TRANSACTION_TIMEOUT_MS 120000
#define COMMIT_TIMEOUT_MS 600000
#define USERDATA_TIMEOUT_MS 30000

static bool is_internal(const struct snap_step *s, size_t i)
{
    return !strcmp(snap_step_get_nth(s, "how", i), "internal");
}

/* By the toolstack's name (query_disks), or by QEMU's device, which the plan
 * has for that name (query_blocks). */
static const struct snap_qmp_disk *find_disk(const struct snap_qmp_disks *q,
                                             const char *vdev,
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

static int run_transaction(struct snap_act *a, const struct snap_step *s,
                           struct snap_qmp *qmp)
{
    struct snap_qmp_action *acts;
    size_t n = 0;
    int rc;

    acts = snap_zalloc((s->args.len + 1) * sizeof(*acts));
    for (; snap_step_get_nth(s, "vdev", n); n++) {
        acts[n].external = !is_internal(s, n);
        acts[n].node = snap_step_get_nth(s, "node", n);
        acts[n].tag = snap_step_get_nth(s, "tag", n);
        acts[n].overlay = snap_step_get_nth(s, "overlay", n);
        acts[n].overlay_node = snap_step_get_nth(s, "overlay-node", n);
        acts[n].overlay_format = "qcow2";
    }
    rc = snap_qmp_transaction(qmp, acts, n, TRANSACTION_TIMEOUT_MS);
    free(acts);
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
        const struct snap_qmp_disk *d = find_disk(&q, vdev,
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

/* Only one that nothing stands on and nobody has open. */
static int drop_overlay(struct snap_act *a, const char *overlay)
{
    struct snap_step look = { .kind = STEP_RECHECK_IDLE };
    int rc;

    if (access(overlay, F_OK)) return 0;
    snap_step_arg(&look, "image", overlay);
    rc = snap_step_recheck_idle.apply(a, &look);
    snap_strings_dispose(&look.args);
    return rc ? rc : snap_fs_remove(a->sc, overlay);
}

static int undo_one(struct snap_act *a, const struct snap_step *s, size_t i,
                    const struct snap_qmp_disk *d, struct snap_qmp *qmp)
{
    const char *tag = snap_step_get_nth(s, "tag", i);
    const char *node = snap_step_get_nth(s, "overlay-node", i);
    const char *overlay = snap_step_get_nth(s, "overlay", i);
    int rc = 0;

    if (is_internal(s, i)) {
        if (d && snap_strings_have(&d->tags, tag))
            rc = snap_qmp_delete_internal(qmp, d->node, tag,
                                          TRANSACTION_TIMEOUT_MS);
        return rc;
    }
    if (!d)
        return snap_fail(a->sc, ERROR_FAIL, "disk '%s' is not in QEMU any "
                         "more, so its overlay '%s' cannot be merged back",
                         snap_step_get_nth(s, "vdev", i), overlay);
    if (d->node && !strcmp(d->node, node))
        rc = snap_qmp_commit_active(qmp, node, "xlsnap-undo",
                                    COMMIT_TIMEOUT_MS);
    return rc ? rc : drop_overlay(a, overlay);
}

/* QEMU undoes its own half of a failed transaction; what is left are whole
 * ones (a later step failed) and overlay files it made before failing. */
static int disks_undo(struct snap_act *a, const struct snap_step *s)
{
    struct snap_qmp_disks q;
    struct snap_qmp *qmp;
    const char *vdev;
    size_t i;
    int rc, first = 0;

    /* The old connection may have died with what went wrong. */
    snap_qmp_close(a->qmp);
    a->qmp = NULL;
    rc = snap_act_qmp(a, snap_step_get(s, "qmp"), &qmp);
    if (!rc) rc = snap_qmp_query_disks(qmp, SNAP_QMP_TIMEOUT_MS, &q);
    if (rc) return rc;
    for (i = 0; (vdev = snap_step_get_nth(s, "vdev", i)); i++) {
        rc = undo_one(a, s, i, find_disk(&q, vdev, NULL), qmp);
        if (rc && !first) first = rc;
    }
    snap_qmp_disks_dispose(&q);
    return first;
}

const struct snap_step_ops snap_step_disks = {
    .apply = disks_apply, .undo = disks_undo,
};

/* ---- what the toolstack believes --------------------------------- */

static int get_stored(struct snap_act *a, uint32_t domid,
                      struct snap_json **tree)
{
    AUTO_FREE char *text = NULL;
    struct snap_worker *w;
    int rc;

    rc = snap_act_worker(a, &w);
    if (rc) return rc;
    rc = snap_worker_call(w, SNAP_WORKER_GET_USERDATA, domid, 0, "libxl-json",
                          sizeof("libxl-json"), USERDATA_TIMEOUT_MS,
                          "reading the stored configuration", &text);
    if (rc) return rc;
    if (!text)
        return snap_fail(a->sc, ERROR_FAIL, "libxl has no stored "
                         "configuration of domain %u", domid);
    return snap_json_parse(a->sc, "the stored configuration", text,
                           strlen(text), tree);
}

static int put_stored(struct snap_act *a, uint32_t domid,
                      const struct snap_json *tree)
{
    AUTO_FREE char *json = snap_json_print(tree);
    struct snap_text msg = { 0 };
    struct snap_worker *w;
    int rc;

    rc = snap_act_worker(a, &w);
    if (rc) return rc;
    /* id, NUL, the text with its NUL: libxl stores strlen + 1 itself. */
    snap_text_add_bytes(&msg, "libxl-json", sizeof("libxl-json"));
    snap_text_add_bytes(&msg, json, strlen(json) + 1);
    rc = snap_worker_call(w, SNAP_WORKER_SET_USERDATA, domid, 0, msg.data,
                          msg.len, USERDATA_TIMEOUT_MS,
                          "storing the configuration", NULL);
    free(msg.data);
    return rc;
}

/* Both directions of one change, as keys into the step's arguments. */
struct turn {
    const char *from_params, *to_params, *to_path;
    bool to_overlay;
};

static int turn_json(struct snap_act *a, const struct snap_step *s,
                     const struct turn *t, struct snap_json *tree)
{
    const char *vdev;
    size_t i;
    int rc = 0;

    for (i = 0; !rc && (vdev = snap_step_get_nth(s, "vdev", i)); i++)
        rc = snap_domconfig_set_disk(a->sc, tree, vdev,
                                     snap_step_get_nth(s, t->to_path, i),
                                     t->to_overlay ? "qcow2" :
                                     snap_step_get_nth(s, "old-format", i),
                                     true);
    return rc;
}

/* libxl's userdata has its own lock for each call only: somebody may write
 * between our read and our write, so look again afterwards. */
static int turn_stored(struct snap_act *a, const struct snap_step *s,
                       const struct turn *t)
{
    uint32_t domid = snap_step_get_u64(s, "domid");
    int tries, rc;

    for (tries = 0; tries < 5; tries++) {
        AUTO_JSON struct snap_json *tree = NULL;
        AUTO_JSON struct snap_json *seen = NULL;

        rc = get_stored(a, domid, &tree);
        if (!rc) rc = turn_json(a, s, t, tree);
        if (!rc) rc = put_stored(a, domid, tree);
        if (!rc) rc = get_stored(a, domid, &seen);
        if (rc) return rc;
        if (snap_json_equal(tree, seen)) return 0;
    }
    return snap_fail(a->sc, ERROR_FAIL, "the stored configuration of domain "
                     "%u keeps being changed by somebody else", domid);
}

static int turn_params(struct snap_act *a, const struct snap_step *s,
                       const struct turn *t)
{
    size_t i;
    int rc = 0;

    for (i = 0; !rc && snap_step_get_nth(s, "vdev", i); i++)
        rc = snap_xen_set_params(a->xen, snap_step_get_u64(s, "domid"),
                                 atoi(snap_step_get_nth(s, "devid", i)),
                                 snap_step_get_nth(s, "backend", i),
                                 snap_step_get_nth(s, t->from_params, i),
                                 snap_step_get_nth(s, t->to_params, i));
    return rc;
}

static int config_apply(struct snap_act *a, const struct snap_step *s)
{
    static const struct turn forth = {
        "old-params", "new-params", "new-path", true,
    };
    int rc = turn_params(a, s, &forth);

    return rc ? rc : turn_stored(a, s, &forth);
}

static int config_undo(struct snap_act *a, const struct snap_step *s)
{
    static const struct turn back = {
        "new-params", "old-params", "old-path", false,
    };
    int rc = turn_params(a, s, &back);

    return rc ? rc : turn_stored(a, s, &back);
}

const struct snap_step_ops snap_step_config = {
    .apply = config_apply, .undo = config_undo,
};

/* ---- deleting a tag ---------------------------------------------- */

static int delete_tag_live_apply(struct snap_act *a, const struct snap_step *s)
{
    struct snap_qmp_disks q;
    const struct snap_qmp_disk *d;
    struct snap_qmp *qmp;
    int rc;

    rc = snap_act_qmp(a, snap_step_get(s, "qmp"), &qmp);
    if (!rc) rc = snap_qmp_query_disks(qmp, SNAP_QMP_TIMEOUT_MS, &q);
    if (rc) return rc;
    d = find_disk(&q, snap_step_get(s, "vdev"), NULL);
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

const struct snap_step_ops snap_step_delete_tag = {
    .apply = delete_tag_apply,
};
