/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Merging up while the domain runs (block-stream): the child gets a copy of
 * what it needs of the base.  The job stops before it changes the child's
 * header, so that what it copied can be on disk before: of a header that is
 * newer than its tables a power cut would make another disk.
 */
#include "step/live.h"

#include "host/dependents.h"
#include "host/image_merge.h"

static int start_up(const struct snap_live *l)
{
    struct snap_fs_id below;
    struct snap_qmp_merge m = {
        .job_id = l->id, .top = &l->child, .base = &below,
        .top_format = "qcow2", .base_format = snap_live_arg(l, "below-format"),
        .speed = snap_step_get_u64(l->s, "speed"),
    };
    struct snap_qmp *q;
    int rc = snap_fs_identify(l->a->sc, snap_live_arg(l, "below"), &below);

    if (rc) return rc;
    rc = snap_live_qmp(l, &q);
    if (!rc) rc = snap_qmp_start_stream(q, &m, SNAP_QMP_TIMEOUT_MS);
    snap_act_drop_qmp(l->a);
    free(below.real);
    return rc;
}

/* What was copied reaches the disk before the header that relies on it. */
static int make_durable(const struct snap_live *l)
{
    int rc = snap_qmp_flush(l->a->qmp, &l->child, "qcow2", SNAP_QMP_TIMEOUT_MS);

    if (!rc) rc = snap_fs_sync_file(l->a->sc, l->child.real);
    return rc ? rc : snap_image_check_streamed(l->a->sc, snap_merge_lock(l->a),
                                               l->child.real);
}

/* The guest goes on the while; only the header changes. */
static int let_go_up(const struct snap_live *l)
{
    struct snap_qmp_job j = { 0 };
    struct snap_qmp *q;
    bool stays = true;
    int rc = snap_live_qmp(l, &q);

    if (!rc) rc = make_durable(l);
    if (!rc) {
        l->a->past_commit = true;
        rc = snap_live_tell(l, "job-finalize");
    }
    if (!rc) rc = snap_live_await(l, "concluded", NULL, &j);
    if (!rc)
        rc = snap_dependents_is_on(l->a->sc, l->child.real, &l->base, &stays);
    if (!rc && stays) rc = snap_live_fail_ended(l, &j);
    snap_qmp_job_dispose(&j);
    snap_act_drop_qmp(l->a);
    return rc;
}

/* It is as it was, or reads the same; who froze it is told how it looks. */
static int settle_child(const struct snap_live *l)
{
    int rc = snap_fs_sync_file(l->a->sc, l->child.real);

    if (!rc) rc = snap_manifests_note(l->a, l->s, l->child.real);
    if (!rc && snap_live_arg(l, "frozen"))
        rc = snap_aside_freeze(l->a, l->child.real, true);
    return rc;
}

/* Until all is copied, by a job that may be there already. */
static int copy_up(const struct snap_live *l)
{
    struct snap_qmp_job j = { 0 };
    int rc = snap_live_check_others(l);

    if (!rc) rc = snap_aside_freeze(l->a, l->child.real, false);
    if (!rc) rc = snap_live_look(l, &j);
    if (!rc && !j.there) rc = start_up(l);
    snap_qmp_job_dispose(&j);
    return rc ? rc : snap_live_lead(l, "pending");
}

int snap_merge_live_up(struct snap_act *a, const struct snap_step *s,
                       const struct snap_merge_qemu *q,
                       const struct snap_fs_id ids[2])
{
    AUTO_SNAP_LIVE struct snap_live l;
    int rc = snap_manifests_check(a, s, &ids[0]);

    snap_live_init(&l, a, s, q, ids, "stream");
    return rc ? rc : copy_up(&l);
}

/* Up to its end a job has changed nothing that can be read. */
int snap_merge_live_up_undo(struct snap_act *a, const struct snap_step *s,
                            const struct snap_merge_qemu *q,
                            const struct snap_fs_id ids[2])
{
    AUTO_SNAP_LIVE struct snap_live l;
    int rc;

    snap_live_init(&l, a, s, q, ids, "stream");
    rc = snap_live_cancel(&l);
    return rc ? rc : settle_child(&l);
}

int snap_merge_live_up_end(struct snap_act *a, const struct snap_step *s,
                           const struct snap_merge_qemu *q,
                           const struct snap_fs_id ids[2])
{
    AUTO_SNAP_LIVE struct snap_live l;
    bool before;
    int rc = snap_dependents_is_on(a->sc, ids[0].real, &ids[1], &before);

    snap_live_init(&l, a, s, q, ids, "stream");
    if (!rc && before) rc = copy_up(&l);
    if (!rc && before) rc = let_go_up(&l);
    return rc ? rc : settle_child(&l);
}
