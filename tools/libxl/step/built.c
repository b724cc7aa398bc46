/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Building a domain by the stock xl, from memory (build.c) or afresh (boot.c),
 * and seeing what came of it.  xl goes on when we die: the old domain is gone,
 * so the new one is what is best for the guest.  The domain's lock is held
 * until xl has ended; recover sees what came of it.
 */
#include "step/built.h"

#include <poll.h>
#include <string.h>
#include <sys/wait.h>

#define OPENED_MS 5000
#define MONITOR_MS 5000

int snap_step_check_bases(struct snap_act *a, const struct snap_step *s)
{
    const char *base;
    size_t i;

    for (i = 0; (base = snap_step_get_nth(s, "base", i)); i++) {
        struct snap_fs_id id;
        AUTO_FREE char *now = NULL;
        int rc = snap_fs_identify(a->sc, base, &id);

        if (rc) return rc;
        free(id.real);
        now = snap_printf("%llu %lld", (unsigned long long)id.size_bytes,
                          (long long)id.mtime_ns);
        if (!id.block && strcmp(now, snap_step_get_nth(s, "base-was", i)))
            return snap_fail(a->sc, ERROR_FAIL, "the frozen base '%s' was "
                             "written to in the last moment: it is not the "
                             "snapshot's any more", base);
    }
    return 0;
}

/* ---- running xl -------------------------------------------------- */

/* A disk that QEMU cannot open is only a line in its log: its backend stays
 * in XenbusStateInitialising (1, xen/include/public/io/xenbus.h), and the
 * guest waits for it for ever. */
static const char *unopened(const struct snap_vbds *v)
{
    size_t i;

    for (i = 0; i < v->len; i++) {
        const struct snap_vbd *d = &v->data[i];

        if (!strcmp(d->backend, "qdisk") && d->backend_state <= 1
            && strcmp(d->device_type ? d->device_type : "", "cdrom"))
            return d->vdev;
    }
    return NULL;
}

/* Wait for QEMU; *vdev: the disk that it did not open, malloc'd, or NULL. */
static int await_opened(struct snap_act *a, char **vdev)
{
    int64_t deadline = snap_now_ms() + OPENED_MS;
    struct snap_vbds v;
    int rc;

    for (*vdev = NULL;; poll(NULL, 0, 50)) {
        rc = snap_xen_vbds(a->xen, a->new_domid, &v);
        free(*vdev);
        *vdev = snap_strdup(unopened(&v));
        snap_vbds_dispose(&v);
        if (rc || !*vdev || !snap_left_ms(deadline)) return rc;
    }
}

/* xl's monitor looks after it: then xl is through.  *found may be false. */
static int await_monitor(struct snap_act *a, bool *found)
{
    int64_t deadline = snap_now_ms() + MONITOR_MS;
    struct snap_monitor m = { 0 };
    int rc;

    for (;;) {
        rc = snap_monitor_find(a->sc, a->new_domid, &m);
        *found = m.pid;
        snap_monitor_dispose(&m);
        if (rc || *found || !snap_left_ms(deadline)) return rc;
        poll(NULL, 0, 10);
    }
}

/* What was asked of xl. */
static const char *verb(const struct snap_step *s)
{
    return s->kind == STEP_BUILD ? "restore" : "create";
}

/* xl says that it built it.  What cannot be seen now is for recover to see:
 * the domain may well run. */
static int check_built(struct snap_act *a, const struct snap_step *s)
{
    const char *name = snap_step_get(s, "domain");
    AUTO_FREE char *vdev = NULL;
    bool found;
    int rc;

    /* Whatever is wrong with it, it has the new images now. */
    a->past_commit = true;
    rc = snap_xen_by_name(a->xen, name, &a->new_domid);
    a->built = rc != ERROR_DOMAIN_NOTFOUND;
    if (!a->built)
        return snap_fail(a->sc, ERROR_FAIL, "`xl %s` said it built domain "
                         "'%s', but it is not there", verb(s), name);
    if (!rc) rc = await_monitor(a, &found);
    if (!rc && !found)
        snap_act_remark(a, snap_printf(
            "xl's monitor of domain '%s' was not found: a reboot of the "
            "guest may not restart it", name));
    if (!rc) rc = await_opened(a, &vdev);
    if (rc || !vdev) return rc;
    a->built = false;
    return snap_fail(a->sc, ERROR_FAIL, "the domain was built, but its QEMU "
                     "could not open the disk '%s', see "
                     "/var/log/xen/qemu-dm-%s.log", vdev, name);
}

static void note_shell(struct snap_act *a, const struct snap_step *s,
                       uint32_t domid)
{
    snap_act_remark(a, snap_printf(
        "`xl %s` left a domain '%s' (%u) behind: look at it, then `xl "
        "destroy %u`", verb(s), snap_step_get(s, "domain"), domid, domid));
}

/* A build that failed late can leave a shell of a domain that holds the name:
 * then nothing can be taken back before somebody has looked at it. */
static int rc_of_failed_build(struct snap_act *a, const struct snap_step *s,
                              int rc)
{
    const char *name = snap_step_get(s, "domain");
    uint32_t domid;

    if (snap_xen_by_name(a->xen, name, &domid) == ERROR_DOMAIN_NOTFOUND)
        return rc;
    a->past_commit = true;
    note_shell(a, s, domid);
    return rc;
}

int snap_step_run_xl(struct snap_act *a, const struct snap_step *s,
                     const char *const *argv, struct snap_run_opts *opts)
{
    struct snap_run_result r = { 0 };
    int64_t began_ms = snap_now_ms();
    int rc;

    opts->max_output = 1 << 20;
    opts->new_session = true;
    opts->lock_fd = a->journal ? a->journal->fd : 0;
    rc = snap_run(a->sc, argv, opts, &r);
    if (!rc && (!WIFEXITED(r.status) || WEXITSTATUS(r.status)))
        rc = snap_fail(a->sc, ERROR_FAIL, "`xl %s` failed (%s %d): %s; see "
                       "also /var/log/xen/xl-%s.log", verb(s),
                       WIFEXITED(r.status) ? "exit status" : "signal",
                       WIFEXITED(r.status) ? WEXITSTATUS(r.status)
                                           : WTERMSIG(r.status),
                       r.err && *r.err ? r.err : "no reason given",
                       snap_step_get(s, "domain"));
    snap_run_result_dispose(&r);
    snap_log(a->sc, SNAP_LOG_DEBUG, "build: xl %s ran for %lld ms", verb(s),
             (long long)(snap_now_ms() - began_ms));
    return rc ? rc_of_failed_build(a, s, rc) : check_built(a, s);
}

/* ---- what came of it, seen later --------------------------------- */

/* Each image that the plan makes is a disk of it. */
static int stands_on_new(struct snap_act *a, const struct snap_plan *p,
                         bool *stands)
{
    struct snap_vbds v;
    size_t i, k;
    int rc = snap_xen_vbds(a->xen, a->new_domid, &v);

    *stands = !rc;
    for (i = 0; *stands && i < p->len; i++) {
        const struct snap_step *s = &p->steps[i];

        if (s->kind != STEP_OVERLAY && s->kind != STEP_COPY) continue;
        for (k = 0; k < v.len; k++) {
            const char *path = snap_vbd_path(v.data[k].params);

            if (path && !strcmp(path, snap_step_get(s, "path"))) break;
        }
        *stands = k < v.len;
    }
    snap_vbds_dispose(&v);
    return rc;
}

int snap_step_was_built(struct snap_act *a, const struct snap_plan *p,
                        const struct snap_step *s, bool *was)
{
    const char *name = snap_step_get(s, "domain");
    AUTO_FREE char *vdev = NULL;
    int rc = snap_xen_by_name(a->xen, name, &a->new_domid);

    *was = false;
    if (rc) return rc == ERROR_DOMAIN_NOTFOUND ? 0 : rc;
    rc = await_monitor(a, was);
    if (!rc && *was) rc = await_opened(a, &vdev);
    if (!rc && vdev) *was = false;
    if (!rc && *was) rc = stands_on_new(a, p, was);
    if (!rc && !*was) note_shell(a, s, a->new_domid);
    return rc;
}
