/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Merging down while the domain runs (block-commit of the active layer): what
 * the child holds is copied into the base, and at the end the guest's requests
 * wait until we let QEMU go over to it.  In between both hold the same, and the
 * child is set aside: from then on it is the base that is right, whatever dies,
 * and the toolstack is told.
 */
#include "step/live.h"
#include "step/merge_guard.h"

#include <string.h>

/* ---- which of the two does the guest write ----------------------- */

static int find_root(const struct snap_live *l, bool *on_base)
{
    struct snap_qmp_disks disks;
    const struct snap_qmp_disk *d;
    struct snap_qmp *q;
    int rc = snap_live_qmp(l, &q);

    *on_base = false;
    if (!rc) rc = snap_qmp_query_disks(q, SNAP_QMP_TIMEOUT_MS, &disks);
    snap_act_drop_qmp(l->a);
    if (rc) return rc;
    d = snap_step_find_disk(&disks, snap_live_arg(l, "vdev"), NULL);
    if (!d)
        rc = snap_fail(l->a->sc, ERROR_FAIL, "disk '%s' is not in QEMU any "
                       "more", snap_live_arg(l, "vdev"));
    else
        *on_base = snap_fs_leads_to(d->file, &l->base);
    snap_qmp_disks_dispose(&disks);
    return rc;
}

/* ---- what the toolstack believes --------------------------------- */

static const struct snap_vbd *find_vbd(const struct snap_vbds *v,
                                       const char *vdev)
{
    size_t i;

    for (i = 0; i < v->len; i++)
        if (v->data[i].vdev && !strcmp(v->data[i].vdev, vdev))
            return &v->data[i];
    return NULL;
}

/* xenstore's word for raw is that of a driver it once had. */
static char *params_of(const char *format, const char *path)
{
    return snap_printf("%s:%s", strcmp(format, "raw") ? format : "aio", path);
}

/* As the step `config` has it, with the name that is there now. */
static void describe_turn(const struct snap_live *l, const struct snap_vbd *v,
                          bool to_base, struct snap_step *s)
{
    AUTO_FREE char *base = params_of(snap_live_arg(l, "format"),
                                     snap_live_arg(l, "path"));
    AUTO_FREE char *child = params_of("qcow2", snap_live_arg(l, "top"));

    snap_step_arg_u64(s, "domid", l->qemu->domid);
    snap_step_arg(s, "vdev", v->vdev);
    snap_step_arg_u64(s, "devid", v->devid);
    snap_step_arg(s, "backend", v->backend_path);
    snap_step_arg(s, "old-params", to_base ? base : v->params);
    snap_step_arg(s, "new-params", to_base ? v->params : child);
    snap_step_arg(s, "old-path", snap_live_arg(l, "path"));
    snap_step_arg(s, "new-path", snap_live_arg(l, "top"));
    snap_step_arg(s, "old-format", snap_live_arg(l, "format"));
}

static int tell_toolstack(const struct snap_live *l, bool to_base)
{
    struct snap_step s = { .kind = STEP_CONFIG };
    const struct snap_vbd *v;
    struct snap_vbds vbds;
    int rc = snap_xen_vbds(l->a->xen, l->qemu->domid, &vbds);

    if (rc) return rc;
    v = find_vbd(&vbds, snap_live_arg(l, "vdev"));
    if (v && !to_base
        && !snap_fs_leads_to(snap_vbd_path(v->params), &l->base)) {
        rc = 0;                 /* it was not told of the base */
    } else if (v) {
        describe_turn(l, v, to_base, &s);
        rc = to_base ? snap_step_name_bases(l->a, &s)
                     : snap_step_config.apply(l->a, &s);
    } else {
        rc = snap_fail(l->a->sc, ERROR_FAIL, "disk '%s' is not a disk of the "
                       "domain any more", snap_live_arg(l, "vdev"));
    }
    snap_strings_dispose(&s.args);
    snap_vbds_dispose(&vbds);
    return rc;
}

/* ---- the two sides of the change --------------------------------- */

static int set_child_aside(const struct snap_live *l)
{
    return snap_aside_set(l->a, snap_live_arg(l, "top"),
                          snap_live_arg(l, "top-aside"));
}

/* QEMU is on the base.  The toolstack names the child until here, which is not
 * there by that name: a reboot of the guest fails, loudly. */
static int stay_on_base(const struct snap_live *l)
{
    int rc = set_child_aside(l);

    return rc ? rc : tell_toolstack(l, true);
}

/* QEMU is on the child.  In the other order: what the toolstack names is always
 * what is right, or is not there. */
static int stay_on_child(const struct snap_live *l)
{
    int rc = tell_toolstack(l, false);

    return rc ? rc : snap_aside_put_back(l->a, snap_live_arg(l, "top"),
                                         snap_live_arg(l, "top-aside"), false);
}

/* Something failed after the guest's requests were stopped, or it is not known
 * whether QEMU went over: what it says now counts.  The child gets its name
 * before the guest can write it again. */
static int see_where(const struct snap_live *l, int rc)
{
    bool on_base;
    int second = find_root(l, &on_base);

    if (!second && on_base) {
        second = stay_on_base(l);
        if (!second) snap_clear(l->a->sc);
        return second;
    }
    if (!second) second = stay_on_child(l);
    if (!second) snap_live_cancel(l);
    return rc;
}

/* To where both hold the same, and the guest's requests wait. */
static int stop_requests(const struct snap_live *l)
{
    struct snap_qmp_job j = { 0 };
    int rc = snap_live_ask(l, &j);

    if (!rc && snap_live_is(&j, "ready")) {
        rc = snap_live_tell(l, "job-complete");
        if (!rc) rc = snap_live_await(l, "pending", "concluded", &j);
    }
    if (!rc && !snap_live_is(&j, "pending")) rc = snap_live_fail_ended(l, &j);
    snap_qmp_job_dispose(&j);
    return rc;
}

/* QEMU goes over, and the requests with it. */
static int let_go_over(const struct snap_live *l)
{
    struct snap_qmp_job j = { 0 };
    int rc = snap_live_tell(l, "job-finalize");

    if (!rc) rc = snap_live_await(l, "concluded", NULL, &j);
    if (!rc && j.there) rc = snap_live_tell(l, "job-dismiss");
    if (!rc && j.error) rc = snap_live_fail_ended(l, &j);
    snap_qmp_job_dispose(&j);
    return rc;
}

static int change_over(const struct snap_live *l)
{
    struct snap_qmp *q;
    bool on_base;
    int rc = snap_live_qmp(l, &q);

    if (!rc) rc = stop_requests(l);
    if (!rc) rc = set_child_aside(l);
    if (!rc) rc = let_go_over(l);
    snap_act_drop_qmp(l->a);
    /* Soon: until then a reboot fails. */
    if (!rc) rc = tell_toolstack(l, true);
    if (!rc) rc = find_root(l, &on_base);
    if (!rc && !on_base) rc = snap_live_fail(l, "ended without an effect");
    return rc ? see_where(l, rc) : 0;
}

/* Who dies while the guest's disk waits leaves somebody to let it go on. */
static int change_over_guarded(const struct snap_live *l)
{
    struct snap_merge_guard *guard;
    const struct snap_merge_guard_charge charge = {
        .qmp = l->qmp, .job = l->id, .type = l->type,
        .child = snap_live_arg(l, "top"),
        .lock_fd = snap_merge_lock(l->a),
    };
    int rc = snap_merge_guard_start(l->a->sc, &charge, &guard);

    if (!rc) rc = change_over(l);
    snap_merge_guard_end(guard);
    return rc;
}

/* ---- the job ----------------------------------------------------- */

/* The job of a run that died is led on.  Without one QEMU is on the child,
 * which has its own name then. */
static int start_down(struct snap_live *l)
{
    const struct snap_qmp_merge m = {
        .job_id = l->id, .top = &l->child, .base = &l->base,
        .top_format = "qcow2", .base_format = snap_live_arg(l, "format"),
        .speed = snap_step_get_u64(l->s, "speed"),
    };
    struct snap_qmp_job j = { 0 };
    struct snap_qmp *q;
    int rc = snap_live_qmp(l, &q);

    if (!rc) rc = snap_live_ask(l, &j);
    /* It was taken back, or failed, after we had died. */
    if (!rc && snap_live_is(&j, "concluded")) {
        rc = snap_live_tell(l, "job-dismiss");
        j.there = false;
    }
    if (!rc && !j.there) rc = stay_on_child(l);
    if (!rc && !j.there) {
        l->child.real = (char *)snap_live_arg(l, "top");
        rc = snap_qmp_start_commit(q, &m, SNAP_QMP_TIMEOUT_MS);
    }
    snap_qmp_job_dispose(&j);
    snap_act_drop_qmp(l->a);
    return rc;
}

/* The child may be aside, with QEMU still on it: a run died in the middle. */
static int lead_down(struct snap_live *l)
{
    bool on_base;
    int rc = find_root(l, &on_base);

    if (!rc && on_base) {
        rc = snap_live_cancel(l);     /* it has ended: this dismisses it */
        return rc ? rc : stay_on_base(l);
    }
    if (!rc) rc = snap_live_check_others(l);
    if (!rc) rc = snap_aside_freeze(l->a, l->base.real, false);
    if (!rc) rc = snap_check_cancelled(l->a->sc);
    if (rc) return rc;
    /* The base is not what the snapshot froze any more. */
    l->a->past_commit = true;
    rc = start_down(l);
    if (!rc) rc = snap_live_lead(l, "ready");
    return rc ? rc : change_over_guarded(l);
}

int snap_merge_live_down(struct snap_act *a, const struct snap_step *s,
                         const struct snap_merge_qemu *q,
                         const struct snap_fs_id ids[2])
{
    AUTO_SNAP_LIVE struct snap_live l;

    snap_live_init(&l, a, s, q, ids, "commit");
    return lead_down(&l);
}
