/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Merging layers that the domain's QEMU has, by a job of it.  The job survives
 * us, so it is looked at by short connections (others want the socket, too) and
 * led on from wherever it stands.
 *
 * Up (block-stream): the child gets a copy of what it needs of the base.  The
 * job stops before it changes the child's header, so that what it copied can be
 * on disk before: of a header that is newer than its tables a power cut would
 * make another disk.
 *
 * Down (block-commit of the active layer): what the child holds is copied into
 * the base, and at the end the guest's requests wait until we let QEMU go over
 * to it.  In between both hold the same, and the child is set aside: from then
 * on it is the base that is right, whatever dies, and the toolstack is told.
 */
#include "step/merge.h"
#include "step/merge_guard.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "host/dependents.h"
#include "host/image_merge.h"
#include "host/process.h"
#include "host/users.h"
#include "libxl_qmp_job.h"

#define QMP_MS SNAP_QMP_TIMEOUT_MS
#define LOOK_MS 500             /* between two looks at a job */
#define STOP_MS 60000           /* for a job that was told to end */

/* One merge, wherever it stands. */
struct live {
    struct snap_act *a;
    const struct snap_step *s;
    const struct snap_merge_qemu *qemu;
    struct snap_fs_id child, base;      /* borrowed */
    char *qmp;                  /* its socket */
    const char *type;           /* of the job */
    char *id;                   /* and its name */
    uint64_t first_total;       /* bytes, when it was seen first */
};

static void live_dispose(struct live *l)
{
    free(l->qmp);
    free(l->id);
}
#define AUTO_LIVE __attribute__((cleanup(live_dispose)))

static const char *arg(const struct live *l, const char *key)
{
    return snap_step_get(l->s, key);
}

static int fail_job(const struct live *l, const char *why)
{
    return snap_fail(l->a->sc, ERROR_FAIL, "disk '%s': QEMU's job that merges "
                     "'%s' and '%s' %s", arg(l, "vdev"), l->child.real,
                     l->base.real, why);
}

/* ---- whose images ------------------------------------------------ */

static int read_qemu_pid(struct snap_act *a, uint32_t domid, int *pid)
{
    AUTO_FREE char *text = NULL;
    int rc;

    a->xen->read_errno = 0;
    text = snap_xen_read(a->xen, "/local/domain/%u/image/device-model-pid",
                         domid);
    rc = snap_xen_all_read(a->xen, "the device model", domid);
    *pid = text ? atoi(text) : 0;
    return rc;
}

int snap_merge_find_qemu(struct snap_act *a, const struct snap_step *s,
                         const struct snap_fs_id *ids, size_t n,
                         struct snap_merge_qemu *q)
{
    const char *uuid = snap_step_get(s, "uuid");
    int rc;

    *q = (struct snap_merge_qemu){ 0 };
    if (!uuid) return 0;
    rc = snap_xen_find(a->xen, uuid, &q->domid);
    if (rc) return rc == ERROR_DOMAIN_NOTFOUND ? 0 : rc;
    rc = read_qemu_pid(a, q->domid, &q->pid);
    if (rc || q->pid <= 0 || !snap_process_start_time(q->pid, NULL)) return rc;
    return snap_inuse_of(a->sc, q->pid, ids, n, q->has);
}

/* Nobody else; claim: as far as xenstore tells, the domain neither. */
static int check_others(struct snap_act *a, const struct snap_merge_qemu *q,
                        const struct snap_fs_id *ids, size_t n, bool claim)
{
    int skip[2] = { getpid(), q->pid };
    AUTO_FREE char *user = NULL;
    int rc = snap_users_find(a->sc, a->xen, claim ? -1 : (int64_t)q->domid,
                             ids, n, skip, 2, &user);

    return rc || !user ? rc : snap_fail(a->sc, ERROR_FAIL, "image %s", user);
}

/* ---- asking QEMU ------------------------------------------------- */

/* Each look has a connection of its own. */
static int open_qmp(const struct live *l, struct snap_qmp **q)
{
    snap_act_drop_qmp(l->a);
    return snap_act_qmp(l->a, l->qmp, q);
}

static int look_at_job(const struct live *l, struct snap_qmp_job *j)
{
    struct snap_qmp *q;
    int rc = open_qmp(l, &q);

    if (!rc) rc = snap_qmp_job_query(q, l->id, l->type, QMP_MS, j);
    snap_act_drop_qmp(l->a);
    return rc;
}

static bool is(const struct snap_qmp_job *j, const char *status)
{
    return j->there && !strcmp(j->status, status);
}

/* By the connection that is open. *j is what it ended as, or was when it was
 * not there any more; a job that does not end is left. */
static int await(const struct live *l, const char *status, const char *other,
                 struct snap_qmp_job *j)
{
    int64_t deadline_ms = snap_now_ms() + STOP_MS;
    int rc;

    for (;;) {
        rc = snap_qmp_job_query(l->a->qmp, l->id, l->type, QMP_MS, j);
        if (rc || !j->there || is(j, status) || (other && is(j, other)))
            return rc;
        if (!snap_left_ms(deadline_ms))
            return fail_job(l, "does not do what it is told");
        rc = snap_qmp_job_await(l->a->qmp, LOOK_MS);
        if (rc) return rc;
    }
}

/* It ends, whatever it was doing, and QEMU stays on the child. */
static int cancel(const struct live *l)
{
    struct snap_qmp_job j = { 0 };
    struct snap_qmp *q;
    int rc = open_qmp(l, &q);

    if (!rc) rc = snap_qmp_job_query(q, l->id, l->type, QMP_MS, &j);
    if (!rc && j.there && !is(&j, "concluded"))
        rc = snap_qmp_job_tell(q, l->id, "job-cancel", QMP_MS);
    if (!rc && j.there) rc = await(l, "concluded", NULL, &j);
    if (!rc && j.there)
        rc = snap_qmp_job_tell(q, l->id, "job-dismiss", QMP_MS);
    snap_qmp_job_dispose(&j);
    snap_act_drop_qmp(l->a);
    return rc;
}

/* The time is QEMU's; a signal ends it. */
static void rest(const struct live *l)
{
    int64_t until_ms = snap_now_ms() + LOOK_MS;
    int left_ms;

    while (!l->a->sc->cancelled && (left_ms = snap_left_ms(until_ms)))
        poll(NULL, 0, left_ms < 100 ? left_ms : 100);
}

static void show(const struct live *l, const struct snap_qmp_job *j,
                 bool finished)
{
    AUTO_FREE char *what = snap_printf("merge %s", arg(l, "vdev"));

    snap_report_progress(l->a->sc, what, finished ? j->total : j->done,
                         j->total, finished);
}

/* What a job that has ended by itself died of. */
static int fail_ended(const struct live *l, const struct snap_qmp_job *j)
{
    AUTO_FREE char *why = NULL;

    if (j->error)
        why = snap_printf("failed: %s", j->error);
    else
        why = snap_strdup("ended early, and does not say why: is there space "
                          "left? Its log is in /var/log/xen");
    return fail_job(l, why);
}

/* A guest that writes faster than the job may copy would keep it from its end.
 * The limit is for what there was to copy at first. */
static int hurry(struct live *l, const struct snap_qmp_job *j)
{
    struct snap_qmp *q;
    int rc;

    if (!l->first_total) l->first_total = j->total;
    if (!snap_step_get_u64(l->s, "speed") || strcmp(l->type, "commit")
        || j->done < l->first_total || !is(j, "running"))
        return 0;
    rc = open_qmp(l, &q);
    if (!rc) rc = snap_qmp_job_lift_speed(q, l->id, QMP_MS);
    snap_act_drop_qmp(l->a);
    return rc;
}

/*
 * Until the job waits for us, in that status or in "pending", which comes last.
 */
static int lead(struct live *l, const char *status)
{
    struct snap_qmp_job j = { 0 };
    int rc;

    for (;;) {
        rc = look_at_job(l, &j);
        if (rc || is(&j, status) || is(&j, "pending")) break;
        if (!j.there || is(&j, "concluded")) {
            rc = fail_ended(l, &j);
            cancel(l);
            break;
        }
        if (l->a->sc->cancelled) {
            rc = snap_fail(l->a->sc, ERROR_ABORTED, "interrupted by a signal");
            cancel(l);
            break;
        }
        show(l, &j, false);
        rc = hurry(l, &j);
        if (rc) break;
        rest(l);
    }
    if (!rc) show(l, &j, true);
    snap_qmp_job_dispose(&j);
    return rc;
}

static void set_out(struct live *l, struct snap_act *a,
                    const struct snap_step *s,
                    const struct snap_merge_qemu *q,
                    const struct snap_fs_id ids[2], const char *type)
{
    *l = (struct live){
        .a = a, .s = s, .qemu = q, .child = ids[0], .base = ids[1],
        .type = type, .qmp = snap_facts_qmp_path(q->domid),
        .id = snap_printf("xlsnap-merge-%s", snap_step_get(s, "vdev")),
    };
}

/* ---- up ---------------------------------------------------------- */

static int start_up(const struct live *l)
{
    struct snap_fs_id below;
    struct snap_qmp_merge m = {
        .job_id = l->id, .top = &l->child, .base = &below,
        .top_format = "qcow2", .base_format = arg(l, "below-format"),
        .speed = snap_step_get_u64(l->s, "speed"),
    };
    struct snap_qmp *q;
    int rc = snap_fs_identify(l->a->sc, arg(l, "below"), &below);

    if (rc) return rc;
    rc = open_qmp(l, &q);
    if (!rc) rc = snap_qmp_start_stream(q, &m, QMP_MS);
    snap_act_drop_qmp(l->a);
    free(below.real);
    return rc;
}

/* What was copied reaches the disk before the header that relies on it. */
static int make_durable(const struct live *l)
{
    int rc = snap_qmp_flush(l->a->qmp, &l->child, "qcow2", QMP_MS);

    if (!rc) rc = snap_fs_sync_file(l->a->sc, l->child.real);
    return rc ? rc : snap_image_check_streamed(l->a->sc, l->child.real);
}

/* The guest goes on the while; only the header changes. */
static int let_go_up(const struct live *l)
{
    struct snap_qmp_job j = { 0 };
    struct snap_qmp *q;
    bool stays = true;
    int rc = open_qmp(l, &q);

    if (!rc) rc = make_durable(l);
    if (!rc) {
        l->a->past_commit = true;
        rc = snap_qmp_job_tell(q, l->id, "job-finalize", QMP_MS);
    }
    if (!rc) rc = await(l, "concluded", NULL, &j);
    if (!rc)
        rc = snap_dependents_is_on(l->a->sc, l->child.real, &l->base, &stays);
    if (!rc && stays) rc = fail_ended(l, &j);
    snap_qmp_job_dispose(&j);
    snap_act_drop_qmp(l->a);
    return rc;
}

/* It is as it was, or reads the same; who froze it is told how it looks. */
static int settle_child(const struct live *l)
{
    int rc = snap_fs_sync_file(l->a->sc, l->child.real);

    if (!rc) rc = snap_manifests_note(l->a, l->s, l->child.real);
    if (!rc && arg(l, "frozen"))
        rc = snap_aside_freeze(l->a, l->child.real, true);
    return rc;
}

/* Until all is copied, by a job that may be there already. */
static int copy_up(struct live *l)
{
    struct snap_qmp_job j = { 0 };
    int rc = check_others(l->a, l->qemu,
                          (const struct snap_fs_id[]){ l->child, l->base }, 2,
                          false);

    if (!rc) rc = snap_aside_freeze(l->a, l->child.real, false);
    if (!rc) rc = look_at_job(l, &j);
    if (!rc && !j.there) rc = start_up(l);
    snap_qmp_job_dispose(&j);
    return rc ? rc : lead(l, "pending");
}

int snap_merge_live_up(struct snap_act *a, const struct snap_step *s,
                       const struct snap_merge_qemu *q,
                       const struct snap_fs_id ids[2])
{
    AUTO_LIVE struct live l;
    int rc = snap_manifests_check(a, s, &ids[0]);

    set_out(&l, a, s, q, ids, "stream");
    return rc ? rc : copy_up(&l);
}

/* Up to its end a job has changed nothing that can be read. */
int snap_merge_live_up_undo(struct snap_act *a, const struct snap_step *s,
                            const struct snap_merge_qemu *q,
                            const struct snap_fs_id ids[2])
{
    AUTO_LIVE struct live l;
    int rc;

    set_out(&l, a, s, q, ids, "stream");
    rc = cancel(&l);
    return rc ? rc : settle_child(&l);
}

int snap_merge_live_up_end(struct snap_act *a, const struct snap_step *s,
                           const struct snap_merge_qemu *q,
                           const struct snap_fs_id ids[2])
{
    AUTO_LIVE struct live l;
    bool before;
    int rc = snap_dependents_is_on(a->sc, ids[0].real, &ids[1], &before);

    set_out(&l, a, s, q, ids, "stream");
    if (!rc && before) rc = copy_up(&l);
    if (!rc && before) rc = let_go_up(&l);
    return rc ? rc : settle_child(&l);
}

/* ---- down: which of the two does the guest write ----------------- */

static int find_root(const struct live *l, bool *on_base)
{
    struct snap_qmp_disks disks;
    const struct snap_qmp_disk *d;
    struct snap_qmp *q;
    int rc = open_qmp(l, &q);

    *on_base = false;
    if (!rc) rc = snap_qmp_query_disks(q, QMP_MS, &disks);
    snap_act_drop_qmp(l->a);
    if (rc) return rc;
    d = snap_step_find_disk(&disks, arg(l, "vdev"), NULL);
    if (!d)
        rc = snap_fail(l->a->sc, ERROR_FAIL, "disk '%s' is not in QEMU any "
                       "more", arg(l, "vdev"));
    else
        *on_base = snap_fs_leads_to(d->file, &l->base);
    snap_qmp_disks_dispose(&disks);
    return rc;
}

/* ---- down: what the toolstack believes --------------------------- */

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
static void describe_turn(const struct live *l, const struct snap_vbd *v,
                          struct snap_step *s)
{
    AUTO_FREE char *params = params_of(arg(l, "format"), arg(l, "path"));

    snap_step_arg_u64(s, "domid", l->qemu->domid);
    snap_step_arg(s, "vdev", v->vdev);
    snap_step_arg_u64(s, "devid", v->devid);
    snap_step_arg(s, "backend", v->backend_path);
    snap_step_arg(s, "old-params", params);
    snap_step_arg(s, "new-params", v->params);
    snap_step_arg(s, "old-path", arg(l, "path"));
    snap_step_arg(s, "old-format", arg(l, "format"));
}

static int tell_toolstack(const struct live *l)
{
    struct snap_step s = { .kind = STEP_CONFIG };
    const struct snap_vbd *v;
    struct snap_vbds vbds;
    int rc = snap_xen_vbds(l->a->xen, l->qemu->domid, &vbds);

    if (rc) return rc;
    v = find_vbd(&vbds, arg(l, "vdev"));
    if (v) {
        describe_turn(l, v, &s);
        rc = snap_step_name_bases(l->a, &s);
    } else {
        rc = snap_fail(l->a->sc, ERROR_FAIL, "disk '%s' is not a disk of the "
                       "domain any more", arg(l, "vdev"));
    }
    snap_strings_dispose(&s.args);
    snap_vbds_dispose(&vbds);
    return rc;
}

/* ---- down: the two sides of the change --------------------------- */

/* QEMU is on the base.  The toolstack names the child until here, which is not
 * there by that name: a reboot of the guest fails, loudly. */
static int stay_on_base(const struct live *l)
{
    int rc = snap_aside_set(l->a, arg(l, "top"), arg(l, "top-aside"));

    return rc ? rc : tell_toolstack(l);
}

/* Something failed after the guest's requests were stopped, or it is not known
 * whether QEMU went over: what it says now counts.  The child gets its name
 * before the guest can write it again. */
static int see_where(const struct live *l, int rc)
{
    bool on_base;
    int second = find_root(l, &on_base);

    if (!second && on_base) {
        second = stay_on_base(l);
        if (!second) snap_clear(l->a->sc);
        return second;
    }
    if (!second)
        second = snap_aside_put_back(l->a, arg(l, "top"), arg(l, "top-aside"),
                                     false);
    if (!second) cancel(l);
    return rc;
}

/* To where both hold the same, and the guest's requests wait. */
static int stop_requests(const struct live *l)
{
    struct snap_qmp_job j = { 0 };
    int rc = snap_qmp_job_query(l->a->qmp, l->id, l->type, QMP_MS, &j);

    if (!rc && is(&j, "ready")) {
        rc = snap_qmp_job_tell(l->a->qmp, l->id, "job-complete", QMP_MS);
        if (!rc) rc = await(l, "pending", "concluded", &j);
    }
    if (!rc && !is(&j, "pending")) rc = fail_ended(l, &j);
    snap_qmp_job_dispose(&j);
    return rc;
}

/* QEMU goes over, and the requests with it. */
static int let_go_over(const struct live *l)
{
    struct snap_qmp_job j = { 0 };
    int rc = snap_qmp_job_tell(l->a->qmp, l->id, "job-finalize", QMP_MS);

    if (!rc) rc = await(l, "concluded", NULL, &j);
    if (!rc && j.there)
        rc = snap_qmp_job_tell(l->a->qmp, l->id, "job-dismiss", QMP_MS);
    if (!rc && j.error) rc = fail_ended(l, &j);
    snap_qmp_job_dispose(&j);
    return rc;
}

static int change_over(const struct live *l)
{
    struct snap_qmp *q;
    bool on_base;
    int rc = open_qmp(l, &q);

    if (!rc) rc = stop_requests(l);
    if (!rc)
        rc = snap_aside_set(l->a, arg(l, "top"), arg(l, "top-aside"));
    if (!rc) rc = let_go_over(l);
    snap_act_drop_qmp(l->a);
    if (!rc) rc = find_root(l, &on_base);
    if (!rc && !on_base) rc = fail_job(l, "ended without an effect");
    return rc ? see_where(l, rc) : 0;
}

/* Who dies while the guest's disk waits leaves somebody to let it go on. */
static int change_over_guarded(const struct live *l)
{
    struct snap_merge_guard *guard;
    const struct snap_merge_guard_charge charge = {
        .qmp = l->qmp, .job = l->id, .type = l->type,
        .child = arg(l, "top"),
        .lock_fd = l->a->journal ? l->a->journal->fd : 0,
    };
    int rc = snap_merge_guard_start(l->a->sc, &charge, &guard);

    if (!rc) rc = change_over(l);
    snap_merge_guard_end(guard);
    return rc ? rc : tell_toolstack(l);
}

/* The job of a run that died is led on.  Without one QEMU is on the child,
 * which has its own name then. */
static int start_down(struct live *l)
{
    const struct snap_qmp_merge m = {
        .job_id = l->id, .top = &l->child, .base = &l->base,
        .top_format = "qcow2", .base_format = arg(l, "format"),
        .speed = snap_step_get_u64(l->s, "speed"),
    };
    struct snap_qmp_job j = { 0 };
    struct snap_qmp *q;
    int rc = open_qmp(l, &q);

    if (!rc) rc = snap_qmp_job_query(q, l->id, l->type, QMP_MS, &j);
    /* It was taken back, or failed, after we had died. */
    if (!rc && is(&j, "concluded")) {
        rc = snap_qmp_job_tell(q, l->id, "job-dismiss", QMP_MS);
        j.there = false;
    }
    if (!rc && !j.there)
        rc = snap_aside_put_back(l->a, arg(l, "top"), arg(l, "top-aside"),
                                 false);
    if (!rc && !j.there) {
        l->child.real = (char *)arg(l, "top");
        rc = snap_qmp_start_commit(q, &m, QMP_MS);
    }
    snap_qmp_job_dispose(&j);
    snap_act_drop_qmp(l->a);
    return rc;
}

/* The child may be aside, with QEMU still on it: a run died in the middle. */
static int lead_down(struct live *l)
{
    const struct snap_fs_id both[] = { l->child, l->base };
    bool on_base;
    int rc = find_root(l, &on_base);

    if (!rc && on_base) {
        rc = cancel(l);     /* it has ended: this dismisses it */
        return rc ? rc : stay_on_base(l);
    }
    if (!rc) rc = check_others(l->a, l->qemu, both, 2, false);
    if (!rc) rc = snap_aside_freeze(l->a, l->base.real, false);
    if (!rc && l->a->sc->cancelled)
        rc = snap_fail(l->a->sc, ERROR_ABORTED, "interrupted by a signal");
    if (rc) return rc;
    /* The base is not what the snapshot froze any more. */
    l->a->past_commit = true;
    rc = start_down(l);
    if (!rc) rc = lead(l, "ready");
    return rc ? rc : change_over_guarded(l);
}

int snap_merge_live_down(struct snap_act *a, const struct snap_step *s,
                         const struct snap_merge_qemu *q,
                         const struct snap_fs_id ids[2])
{
    AUTO_LIVE struct live l;
    int rc;

    set_out(&l, a, s, q, ids, "commit");
    rc = lead_down(&l);
    return rc;
}

/* ---- what is not needed any more --------------------------------- */

static int check_disk(struct snap_act *a, const struct snap_qmp_disk *d,
                      const struct snap_fs_id *id)
{
    struct snap_chain chain;
    size_t i;
    int rc;

    if (!d->inserted || !d->image) return 0;
    rc = snap_image_chain_from_json(a->sc, d->image, &chain);
    if (rc) return rc;
    for (i = 0; !rc && i < chain.len; i++)
        if (snap_fs_leads_to(chain.data[i].path, id))
            rc = snap_fail(a->sc, ERROR_FAIL, "image '%s' is in use by the "
                           "domain's disk '%s'", id->real,
                           d->vdev ? d->vdev : d->file);
    snap_chain_dispose(&chain);
    return rc;
}

static int check_disks(struct snap_act *a, const struct snap_merge_qemu *q,
                       const struct snap_fs_id *id)
{
    AUTO_FREE char *path = snap_facts_qmp_path(q->domid);
    struct snap_qmp_disks disks;
    struct snap_qmp *qmp;
    size_t i;
    int rc;

    snap_act_drop_qmp(a);
    rc = snap_act_qmp(a, path, &qmp);
    if (!rc) rc = snap_qmp_query_disks(qmp, QMP_MS, &disks);
    snap_act_drop_qmp(a);
    if (rc) return rc;
    for (i = 0; !rc && i < disks.len; i++)
        rc = check_disk(a, &disks.data[i], id);
    snap_qmp_disks_dispose(&disks);
    return rc;
}

/* QEMU keeps the node that it opened first until the disk is taken away, also
 * when nothing reads it any more. */
int snap_merge_check_unused(struct snap_act *a, const struct snap_step *s,
                            const struct snap_fs_id *id)
{
    struct snap_merge_qemu q;
    int rc = snap_merge_find_qemu(a, s, id, 1, &q);

    if (!rc && q.has[0]) rc = check_disks(a, &q, id);
    return rc ? rc : check_others(a, &q, id, 1, true);
}
