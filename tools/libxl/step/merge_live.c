/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Merging layers that the domain's QEMU has: whose they are, leading its job,
 * and having QEMU let go of what it does not read any more.
 */
#include "step/live.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "host/process.h"
#include "host/users.h"

#define LOOK_MS 500             /* between two looks at a job */
#define STOP_MS 60000           /* for a job that was told to end */

/* ---- whose images ------------------------------------------------ */

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
    rc = snap_xen_qemu_pid(a->xen, q->domid, &q->pid);
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

int snap_live_check_others(const struct snap_live *l)
{
    const struct snap_fs_id both[] = { l->child, l->base };

    return check_others(l->a, l->qemu, both, 2, false);
}

/* ---- one merge ---------------------------------------------------- */

void snap_live_init(struct snap_live *l, struct snap_act *a,
                    const struct snap_step *s,
                    const struct snap_merge_qemu *q,
                    const struct snap_fs_id ids[2], const char *type)
{
    *l = (struct snap_live){
        .a = a, .s = s, .qemu = q, .child = ids[0], .base = ids[1],
        .type = type, .qmp = snap_facts_qmp_path(q->domid),
        .id = snap_printf("xlsnap-merge-%s", snap_step_get(s, "vdev")),
    };
}

void snap_live_dispose(struct snap_live *l)
{
    free(l->qmp);
    free(l->id);
}

const char *snap_live_arg(const struct snap_live *l, const char *key)
{
    return snap_step_get(l->s, key);
}

int snap_live_fail(const struct snap_live *l, const char *why)
{
    return snap_fail(l->a->sc, ERROR_FAIL, "disk '%s': QEMU's job that merges "
                     "'%s' and '%s' %s", snap_live_arg(l, "vdev"),
                     l->child.real, l->base.real, why);
}

/* ---- asking QEMU ------------------------------------------------- */

int snap_live_qmp(const struct snap_live *l, struct snap_qmp **q)
{
    snap_act_drop_qmp(l->a);
    return snap_act_qmp(l->a, l->qmp, q);
}

int snap_live_ask(const struct snap_live *l, struct snap_qmp_job *j)
{
    return snap_qmp_job_query(l->a->qmp, l->id, l->type, SNAP_QMP_TIMEOUT_MS,
                              j);
}

int snap_live_tell(const struct snap_live *l, const char *command)
{
    return snap_qmp_job_tell(l->a->qmp, l->id, command, SNAP_QMP_TIMEOUT_MS);
}

int snap_live_look(const struct snap_live *l, struct snap_qmp_job *j)
{
    struct snap_qmp *q;
    int rc = snap_live_qmp(l, &q);

    if (!rc) rc = snap_live_ask(l, j);
    snap_act_drop_qmp(l->a);
    return rc;
}

bool snap_live_is(const struct snap_qmp_job *j, const char *status)
{
    return j->there && !strcmp(j->status, status);
}

int snap_live_await(const struct snap_live *l, const char *status,
                    const char *other, struct snap_qmp_job *j)
{
    int64_t deadline_ms = snap_now_ms() + STOP_MS;
    int rc;

    for (;;) {
        rc = snap_live_ask(l, j);
        if (rc || !j->there || snap_live_is(j, status)
            || (other && snap_live_is(j, other)))
            return rc;
        if (!snap_left_ms(deadline_ms))
            return snap_live_fail(l, "does not do what it is told");
        rc = snap_qmp_job_await(l->a->qmp, LOOK_MS);
        if (rc) return rc;
    }
}

int snap_live_cancel(const struct snap_live *l)
{
    struct snap_qmp_job j = { 0 };
    struct snap_qmp *q;
    int rc = snap_live_qmp(l, &q);

    if (!rc) rc = snap_live_ask(l, &j);
    if (!rc && j.there && !snap_live_is(&j, "concluded"))
        rc = snap_live_tell(l, "job-cancel");
    if (!rc && j.there) rc = snap_live_await(l, "concluded", NULL, &j);
    if (!rc && j.there) rc = snap_live_tell(l, "job-dismiss");
    snap_qmp_job_dispose(&j);
    snap_act_drop_qmp(l->a);
    return rc;
}

/* The time is QEMU's; a signal ends it. */
static void rest(const struct snap_live *l)
{
    int64_t until_ms = snap_now_ms() + LOOK_MS;
    int left_ms;

    while (!l->a->sc->cancelled && (left_ms = snap_left_ms(until_ms)))
        poll(NULL, 0, left_ms < 100 ? left_ms : 100);
}

static void show(const struct snap_live *l, const struct snap_qmp_job *j,
                 bool finished)
{
    AUTO_FREE char *what = snap_printf("merge %s", snap_live_arg(l, "vdev"));

    snap_report_progress(l->a->sc, what, finished ? j->total : j->done,
                         j->total, finished);
}

int snap_live_fail_ended(const struct snap_live *l,
                         const struct snap_qmp_job *j)
{
    AUTO_FREE char *why = NULL;

    if (j->error)
        why = snap_printf("failed: %s", j->error);
    else
        why = snap_strdup("ended early, and does not say why: is there space "
                          "left? Its log is in /var/log/xen");
    return snap_live_fail(l, why);
}

/* A guest that writes faster than the job may copy would keep it from its end.
 * The limit is for what there was to copy at first. */
static int hurry(const struct snap_live *l, const struct snap_qmp_job *j)
{
    struct snap_qmp *q;
    int rc;

    if (!snap_live_arg(l, "speed") || strcmp(l->type, "commit")
        || !snap_live_is(j, "running")
        || j->done < snap_step_get_u64(l->s, "bytes"))
        return 0;
    rc = snap_live_qmp(l, &q);
    if (!rc) rc = snap_qmp_job_lift_speed(q, l->id, SNAP_QMP_TIMEOUT_MS);
    snap_act_drop_qmp(l->a);
    return rc;
}

int snap_live_lead(const struct snap_live *l, const char *status)
{
    struct snap_qmp_job j = { 0 };
    int rc;

    for (;;) {
        rc = snap_live_look(l, &j);
        if (rc || snap_live_is(&j, status) || snap_live_is(&j, "pending"))
            break;
        if (!j.there || snap_live_is(&j, "concluded")) {
            rc = snap_live_fail_ended(l, &j);
            snap_live_cancel(l);
            break;
        }
        rc = snap_check_cancelled(l->a->sc);
        if (rc) {
            snap_live_cancel(l);
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

static int check_disks(struct snap_act *a, const struct snap_qmp_disks *disks,
                       const struct snap_fs_id *id)
{
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < disks->len; i++)
        rc = check_disk(a, &disks->data[i], id);
    return rc;
}

/* That it keeps what is below in use is a nuisance, and no failure. */
static void let_go(struct snap_act *a, const char *path)
{
    if (!snap_qmp_sever(a->qmp, path, SNAP_QMP_TIMEOUT_MS)) return;
    snap_act_remark(a, snap_printf("%s; so snapshots by a new overlay can be "
                                   "made of that disk again when the domain "
                                   "was off", a->sc->message));
    snap_clear(a->sc);
}

static int release(struct snap_act *a, const struct snap_merge_qemu *q,
                   const struct snap_step *s, const struct snap_fs_id *id)
{
    AUTO_FREE char *path = snap_facts_qmp_path(q->domid);
    struct snap_qmp_disks disks;
    struct snap_qmp *qmp;
    int rc;

    snap_act_drop_qmp(a);
    rc = snap_act_qmp(a, path, &qmp);
    if (!rc) rc = snap_qmp_query_disks(qmp, SNAP_QMP_TIMEOUT_MS, &disks);
    if (!rc) {
        rc = check_disks(a, &disks, id);
        snap_qmp_disks_dispose(&disks);
    }
    if (!rc) let_go(a, snap_step_get(s, "path"));
    snap_act_drop_qmp(a);
    return rc;
}

/* QEMU keeps the node that it opened first until the disk is taken away, also
 * when nothing reads it any more. */
int snap_merge_release(struct snap_act *a, const struct snap_step *s,
                       const struct snap_fs_id *id)
{
    struct snap_merge_qemu q;
    int rc = snap_merge_find_qemu(a, s, id, 1, &q);

    if (!rc && q.has[0]) rc = release(a, &q, s, id);
    return rc ? rc : check_others(a, &q, id, 1, true);
}
