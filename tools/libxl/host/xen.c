/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Reading the host: domains, disks as xenstore has them, what Xen can do.
 * The paths in xenstore are those of docs/misc/xenstore-paths of Xen 4.17.
 */
#include "host/xen.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <libxl_utils.h>
#include <xenstore.h>
#include <xentoollog.h>

/* ---- libxl's log: keep the last error, hand the rest to our log ---- */

struct keeper {
    xentoollog_logger vtable;
    struct snap_ctx *sc;
    char **last_line;
};

static void keeper_vmessage(xentoollog_logger *lg, xentoollog_level level,
                            int errnoval, const char *context,
                            const char *format, va_list al)
{
    struct keeper *k = (struct keeper *)lg;
    AUTO_FREE char *text = snap_vprintf(format, al);

    (void)context;
    if (errnoval > 0) {
        char *more = snap_printf("%s: %s", text, strerror(errnoval));
        free(text);
        text = more;
    }
    if (level >= XTL_ERROR) {
        /* The first error of a call is its cause; later ones are echoes. */
        if (!*k->last_line)
            *k->last_line = snap_strdup(text);
    }
    if (level >= XTL_WARN)
        snap_log(k->sc, SNAP_LOG_DETAIL, "libxl: %s", text);
}

static void keeper_progress(xentoollog_logger *lg, const char *context,
                            const char *doing, int percent,
                            unsigned long done, unsigned long total)
{
    (void)lg; (void)context; (void)doing;
    (void)percent; (void)done; (void)total;
}

static void keeper_destroy(xentoollog_logger *lg)
{
    free(lg);
}

struct xentoollog_logger *snap_xen_logger(struct snap_ctx *sc,
                                          char **last_line)
{
    struct keeper *k = snap_zalloc(sizeof(*k));

    k->vtable.vmessage = keeper_vmessage;
    k->vtable.progress = keeper_progress;
    k->vtable.destroy = keeper_destroy;
    k->sc = sc;
    k->last_line = last_line;
    return &k->vtable;
}

/* ---- opening ----------------------------------------------------- */

int snap_xen_open(struct snap_ctx *sc, struct snap_xen **out)
{
    struct snap_xen *x = snap_zalloc(sizeof(*x));

    *out = NULL;
    if (geteuid() != 0) {
        free(x);
        return snap_fail(sc, ERROR_FAIL,
                         "not root: snapshots are made as root in dom0");
    }
    x->sc = sc;
    x->lg = snap_xen_logger(sc, &x->last_log);
    if (access("/proc/xen/privcmd", F_OK) && access("/dev/xen/privcmd", F_OK))
        goto no_xen;
    x->xs = xs_open(0);
    if (!x->xs)
        goto no_xen;
    if (libxl_ctx_alloc(&x->ctx, LIBXL_VERSION, 0, x->lg))
        goto no_xen;
    *out = x;
    return 0;

no_xen:
    snap_xen_close(x);
    return snap_fail(sc, ERROR_FAIL,
                     "no Xen here: neither hypervisor nor xenstore answers; "
                     "run this in dom0 of a Xen host, with xenstored started");
}

bool snap_xen_open_xenstore(struct snap_ctx *sc, struct snap_xen *x)
{
    *x = (struct snap_xen){ .sc = sc, .xs = xs_open(0) };
    return x->xs;
}

void snap_xen_close(struct snap_xen *x)
{
    if (!x) return;
    if (x->ctx) libxl_ctx_free(x->ctx);
    if (x->xs) xs_close(x->xs);
    if (x->lg) xtl_logger_destroy(x->lg);
    free(x->last_log);
    free(x);
}

/* ---- xenstore ---------------------------------------------------- */

static char *read_path(struct snap_xen *x, xs_transaction_t t,
                       const char *path)
{
    unsigned int len;
    char *raw = xs_read(x->xs, t, path, &len);
    char *text;

    if (!raw) return NULL;
    /* A NUL inside could make two readers see two strings: cut there. */
    text = snap_strndup(raw, strnlen(raw, len));
    free(raw);
    return text;
}

char *snap_xen_read(struct snap_xen *x, const char *fmt, ...)
{
    AUTO_FREE char *path = NULL;
    char *text;
    va_list ap;

    va_start(ap, fmt);
    path = snap_vprintf(fmt, ap);
    va_end(ap);
    text = read_path(x, XBT_NULL, path);
    if (!text && errno != ENOENT) x->read_errno = errno;
    return text;
}

int snap_xen_all_read(struct snap_xen *x, const char *what, uint32_t domid)
{
    int err = x->read_errno;

    x->read_errno = 0;
    return err ? snap_fail_errno(x->sc, err, "xenstore: cannot read %s of "
                                 "domain %u", what, domid) : 0;
}

int snap_xen_qemu_pid(struct snap_xen *x, uint32_t domid, int *pid)
{
    AUTO_FREE char *text = NULL;

    x->read_errno = 0;
    text = snap_xen_read(x, "/local/domain/%u/image/device-model-pid", domid);
    *pid = text ? atoi(text) : 0;
    return snap_xen_all_read(x, "the device model", domid);
}

static long read_number(struct snap_xen *x, const char *dir, const char *key)
{
    AUTO_FREE char *text = snap_xen_read(x, "%s/%s", dir, key);
    char *end;
    long v;

    if (!text || !*text) return -1;
    v = strtol(text, &end, 10);
    return *end ? -1 : v;
}

int snap_xen_dir(struct snap_xen *x, struct snap_strings *out,
                 const char *fmt, ...)
{
    AUTO_FREE char *path = NULL;
    unsigned int n, i;
    char **names;
    va_list ap;

    va_start(ap, fmt);
    path = snap_vprintf(fmt, ap);
    va_end(ap);
    names = xs_directory(x->xs, XBT_NULL, path, &n);
    if (!names) {
        if (errno == ENOENT) return 0;
        return snap_fail_errno(x->sc, errno, "xenstore: cannot list '%s'",
                               path);
    }
    for (i = 0; i < n; i++)
        snap_strings_add(out, names[i]);
    free(names);
    return 0;
}

/* ---- domains ----------------------------------------------------- */

void snap_dominfo_dispose(struct snap_dominfo *i)
{
    free(i->name);
    free(i->uuid);
    memset(i, 0, sizeof(*i));
}

static const char *type_name(libxl_domain_type t)
{
    switch (t) {
    case LIBXL_DOMAIN_TYPE_PV: return "pv";
    case LIBXL_DOMAIN_TYPE_PVH: return "pvh";
    case LIBXL_DOMAIN_TYPE_HVM: return "hvm";
    default: return "unknown";
    }
}

int snap_xen_domain(struct snap_xen *x, uint32_t domid,
                    struct snap_dominfo *out)
{
    libxl_dominfo info;
    char uuid[LIBXL_UUID_FMTLEN + 1];
    int rc;

    memset(out, 0, sizeof(*out));
    libxl_dominfo_init(&info);
    rc = libxl_domain_info(x->ctx, &info, domid);
    if (rc) {
        libxl_dominfo_dispose(&info);
        if (rc == ERROR_DOMAIN_NOTFOUND) return rc;
        return snap_fail(x->sc, rc, "libxl cannot look at domain %u (%d)",
                         domid, rc);
    }
    snprintf(uuid, sizeof(uuid), LIBXL_UUID_FMT,
             LIBXL_UUID_BYTES(info.uuid));
    out->domid = domid;
    out->uuid = snap_strdup(uuid);
    x->read_errno = 0;
    out->name = snap_xen_read(x, "/local/domain/%u/name", domid);
    if (!out->name) out->name = snap_strdup("");
    out->paused = info.paused;
    out->dying = info.dying;
    out->shutdown = info.shutdown;
    out->shutdown_reason = info.shutdown ? (int)info.shutdown_reason : -1;
    out->suspended = info.shutdown
                     && info.shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND;
    out->current_kb = info.current_memkb;
    out->max_kb = info.max_memkb;
    out->type = type_name(info.domain_type);
    libxl_dominfo_dispose(&info);
    /* It is what its lock is called. */
    rc = snap_xen_all_read(x, "the name", domid);
    if (rc) snap_dominfo_dispose(out);
    return rc;
}

bool snap_xen_is_suspended(struct snap_xen *x, uint32_t domid)
{
    libxl_dominfo info;
    bool suspended;

    libxl_dominfo_init(&info);
    suspended = !libxl_domain_info(x->ctx, &info, domid) && info.shutdown
                && info.shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND;
    libxl_dominfo_dispose(&info);
    return suspended;
}

/* libxl looks up by domid only: walk the list. */
static int find_uuid(struct snap_xen *x, const libxl_uuid *uuid,
                     uint32_t *domid)
{
    int n, i, rc = ERROR_DOMAIN_NOTFOUND;
    libxl_dominfo *list = libxl_list_domain(x->ctx, &n);

    if (!list)
        return snap_fail(x->sc, ERROR_FAIL, "libxl does not tell which "
                         "domains there are");
    for (i = 0; i < n && rc; i++) {
        if (memcmp(libxl_uuid_bytearray_const(&list[i].uuid),
                   libxl_uuid_bytearray_const(uuid), 16))
            continue;
        *domid = list[i].domid;
        rc = 0;
    }
    libxl_dominfo_list_free(list, n);
    return rc;
}

int snap_xen_await_gone(struct snap_xen *x, uint32_t domid, int timeout_ms)
{
    int64_t deadline = snap_now_ms() + timeout_ms;
    int rc;

    while ((rc = libxl_domain_info(x->ctx, NULL, domid))
           != ERROR_DOMAIN_NOTFOUND) {
        if (!snap_left_ms(deadline))
            return rc ? snap_fail(x->sc, rc, "libxl cannot look at domain %u "
                                  "(%d)", domid, rc) : ERROR_TIMEDOUT;
        poll(NULL, 0, 20);
    }
    return 0;
}

int snap_xen_by_name(struct snap_xen *x, const char *name, uint32_t *domid)
{
    int rc = libxl_name_to_domid(x->ctx, name, domid);

    /* So libxl says that there is none. */
    if (rc == ERROR_INVAL) return ERROR_DOMAIN_NOTFOUND;
    if (rc)
        return snap_fail(x->sc, rc, "libxl cannot look for domain '%s' (%d)",
                         name, rc);
    return 0;
}

int snap_xen_find(struct snap_xen *x, const char *text, uint32_t *domid)
{
    libxl_uuid uuid;
    char *end;
    unsigned long n;
    int rc;

    /* As in xl: a name wins over a number. */
    rc = snap_xen_by_name(x, text, domid);
    if (rc != ERROR_DOMAIN_NOTFOUND) return rc;
    if (!libxl_uuid_from_string(&uuid, text))
        return find_uuid(x, &uuid, domid);
    if (*text < '0' || *text > '9')
        return ERROR_DOMAIN_NOTFOUND;
    errno = 0;
    n = strtoul(text, &end, 10);
    if (errno || *end || n > 0x7fefu)
        return ERROR_DOMAIN_NOTFOUND;
    *domid = n;
    rc = libxl_domain_info(x->ctx, NULL, *domid);
    if (rc && rc != ERROR_DOMAIN_NOTFOUND)
        return snap_fail(x->sc, rc, "libxl cannot look at domain %u (%d)",
                         *domid, rc);
    return rc;
}

/* ---- disks as xenstore has them ---------------------------------- */

void snap_vbds_dispose(struct snap_vbds *v)
{
    size_t i;

    for (i = 0; i < v->len; i++) {
        free(v->data[i].vdev);
        free(v->data[i].backend);
        free(v->data[i].backend_path);
        free(v->data[i].params);
        free(v->data[i].mode);
        free(v->data[i].device_type);
    }
    free(v->data);
    memset(v, 0, sizeof(*v));
}

const char *snap_vbd_path(const char *params)
{
    const char *colon;

    if (!params) return NULL;
    /* qdisk: "<driver>:<path>"; phy and file: the path alone. */
    if (params[0] == '/') return params;
    colon = strchr(params, ':');
    return colon ? colon + 1 : params;
}

/* ".../backend/<kind>/<frontend domid>/<devid>" */
static void split_backend(const char *path, struct snap_vbd *v)
{
    const char *p = strstr(path, "/backend/");
    const char *end;
    unsigned dom;

    if (sscanf(path, "/local/domain/%u/", &dom) == 1)
        v->backend_domid = dom;
    if (!p) return;
    p += strlen("/backend/");
    end = strchr(p, '/');
    if (end) v->backend = snap_strndup(p, end - p);
}

static void read_vbd(struct snap_xen *x, uint32_t domid, const char *dev,
                     struct snap_vbd *v)
{
    AUTO_FREE char *lib = snap_printf("/libxl/%u/device/vbd/%s", domid, dev);
    AUTO_FREE char *fe = NULL;

    v->devid = atoi(dev);
    v->backend_path = snap_xen_read(x, "%s/backend", lib);
    if (!v->backend_path) v->backend_path = snap_strdup("");
    split_backend(v->backend_path, v);
    if (!v->backend) v->backend = snap_strdup("unknown");
    v->vdev = snap_xen_read(x, "%s/dev", lib);
    if (!v->vdev) v->vdev = snap_xen_read(x, "%s/dev", v->backend_path);
    if (!v->vdev) v->vdev = snap_strdup("?");
    v->params = snap_xen_read(x, "%s/params", v->backend_path);
    if (!v->params || !*v->params) {
        free(v->params);
        v->params = snap_xen_read(x, "%s/params", lib);
    }
    v->mode = snap_xen_read(x, "%s/mode", v->backend_path);
    v->device_type = snap_xen_read(x, "%s/device-type", v->backend_path);
    v->backend_state = read_number(x, v->backend_path, "state");
    fe = snap_xen_read(x, "%s/frontend", lib);
    v->frontend_state = fe ? read_number(x, fe, "state") : -1;
}

int snap_xen_vbds(struct snap_xen *x, uint32_t domid, struct snap_vbds *out)
{
    struct snap_strings devs = { 0 };
    size_t i;
    int rc;

    memset(out, 0, sizeof(*out));
    x->read_errno = 0;
    rc = snap_xen_dir(x, &devs, "/libxl/%u/device/vbd", domid);
    if (devs.len)
        out->data = snap_zalloc(devs.len * sizeof(*out->data));
    for (i = 0; i < devs.len; i++)
        read_vbd(x, domid, devs.data[i], &out->data[out->len++]);
    snap_strings_dispose(&devs);
    return rc ? rc : snap_xen_all_read(x, "the disks", domid);
}

void snap_claims_dispose(struct snap_claims *c)
{
    size_t i;

    for (i = 0; i < c->len; i++) {
        free(c->data[i].domain);
        free(c->data[i].vdev);
        free(c->data[i].path);
    }
    free(c->data);
    memset(c, 0, sizeof(*c));
}

static int claim_domain(struct snap_xen *x, const char *id,
                        struct snap_claims *out)
{
    struct snap_vbds vbds;
    uint32_t domid = strtoul(id, NULL, 10);
    size_t i;
    int rc = snap_xen_vbds(x, domid, &vbds);

    out->data = snap_realloc(out->data, (out->len + vbds.len + 1)
                                        * sizeof(*out->data));
    for (i = 0; i < vbds.len; i++) {
        const char *path = snap_vbd_path(vbds.data[i].params);
        struct snap_claim *c;

        if (!path || path[0] != '/') continue;
        c = &out->data[out->len++];
        c->domid = domid;
        c->domain = snap_xen_read(x, "/local/domain/%u/name", domid);
        if (!c->domain) c->domain = snap_strdup("?");
        c->vdev = snap_strdup(vbds.data[i].vdev);
        c->path = snap_strdup(path);
        c->qcow2 = !strncmp(vbds.data[i].params, "qcow2:", 6);
    }
    snap_vbds_dispose(&vbds);
    return rc;
}

int snap_xen_claims(struct snap_xen *x, struct snap_claims *out)
{
    struct snap_strings doms = { 0 };
    size_t i;
    int rc;

    memset(out, 0, sizeof(*out));
    rc = snap_xen_dir(x, &doms, "/libxl");
    for (i = 0; !rc && i < doms.len; i++)
        if (doms.data[i][0] >= '0' && doms.data[i][0] <= '9')
            rc = claim_domain(x, doms.data[i], out);
    snap_strings_dispose(&doms);
    return rc;
}

/* One try inside a transaction: 0, 1 again, negative. */
static int set_params_once(struct snap_xen *x, char *const paths[2],
                           const char *old_params, const char *new_params)
{
    xs_transaction_t t = xs_transaction_start(x->xs);
    int i;

    if (t == XBT_NULL) return ERROR_FAIL;
    for (i = 0; i < 2; i++) {
        AUTO_FREE char *now = read_path(x, t, paths[i]);

        if (!now || (strcmp(now, old_params) && strcmp(now, new_params)))
            goto abort;
        if (!xs_write(x->xs, t, paths[i], new_params, strlen(new_params)))
            goto abort;
    }
    if (xs_transaction_end(x->xs, t, false)) return 0;
    return errno == EAGAIN ? 1 : ERROR_FAIL;

abort:
    xs_transaction_end(x->xs, t, true);
    return ERROR_FAIL;
}

int snap_xen_set_params(struct snap_xen *x, uint32_t domid, int devid,
                        const char *backend_path, const char *old_params,
                        const char *new_params)
{
    AUTO_FREE char *be = snap_printf("%s/params", backend_path);
    AUTO_FREE char *lib = snap_printf("/libxl/%u/device/vbd/%d/params",
                                      domid, devid);
    char *const paths[2] = { be, lib };
    int tries, rc;

    for (tries = 0; tries < 100; tries++) {
        rc = set_params_once(x, paths, old_params, new_params);
        if (rc <= 0) break;
    }
    if (rc)
        return snap_fail(x->sc, ERROR_FAIL,
                         "xenstore: '%s' is not '%s' any more: the disk "
                         "was changed by somebody else", be, old_params);
    return 0;
}

int snap_xen_withdraw_suspend(struct snap_xen *x, uint32_t domid)
{
    AUTO_FREE char *path = snap_printf("/local/domain/%u/control/shutdown",
                                       domid);
    int tries;

    for (tries = 0; tries < 100; tries++) {
        xs_transaction_t t = xs_transaction_start(x->xs);
        AUTO_FREE char *now = NULL;

        if (t == XBT_NULL) break;
        now = read_path(x, t, path);
        if (!now || strcmp(now, "suspend")) {
            xs_transaction_end(x->xs, t, true);
            return 1;
        }
        xs_write(x->xs, t, path, "", 0);
        if (xs_transaction_end(x->xs, t, false)) return 0;
        if (errno != EAGAIN) break;
    }
    return snap_fail(x->sc, ERROR_FAIL, "xenstore: cannot withdraw the "
                     "suspend request of domain %u", domid);
}

void snap_xen_watch_suspend(struct snap_xen *x, uint32_t domid)
{
    AUTO_FREE char *path = snap_printf("/local/domain/%u/control/shutdown",
                                       domid);

    xs_watch(x->xs, path, "suspend");
}

bool snap_xen_suspend_was_asked(struct snap_xen *x, uint32_t domid)
{
    AUTO_FREE char *path = snap_printf("/local/domain/%u/control/shutdown",
                                       domid);
    AUTO_FREE char *port = snap_xen_read(x, "/local/domain/%u/device/suspend/"
                                         "event-channel", domid);
    int fired = 0;
    char **event;

    if (port && *port) return true;
    /* A reply to a read comes after all events before it. */
    free(snap_xen_read(x, "%s", path));
    while ((event = xs_check_watch(x->xs))) {
        fired++;
        free(event);
    }
    xs_unwatch(x->xs, path, "suspend");
    /* One event says only that the watch was set. */
    return fired != 1;
}

/* ---- the host ---------------------------------------------------- */

void snap_host_dispose(struct snap_host *h)
{
    free(h->xen_version);
    memset(h, 0, sizeof(*h));
}

int snap_xen_host(struct snap_xen *x, struct snap_host *out)
{
    const libxl_version_info *v = libxl_get_version_info(x->ctx);
    libxl_physinfo phys;

    memset(out, 0, sizeof(*out));
    if (!v)
        return snap_fail(x->sc, ERROR_FAIL, "Xen does not tell its version");
    out->xen_major = v->xen_version_major;
    out->xen_minor = v->xen_version_minor;
    out->xen_version = snap_printf("%d.%d%s", v->xen_version_major,
                                   v->xen_version_minor,
                                   v->xen_version_extra);
    out->dom0_balloons = !v->commandline
                         || !strstr(v->commandline, "dom0_mem=");
    libxl_physinfo_init(&phys);
    if (libxl_get_physinfo(x->ctx, &phys)) {
        libxl_physinfo_dispose(&phys);
        return snap_fail(x->sc, ERROR_FAIL, "Xen does not tell what the "
                         "host has (physinfo)");
    }
    out->pv_log_dirty = phys.cap_shadow;
    out->hap = phys.cap_hap;
    out->free_kb = (phys.free_pages + phys.scrub_pages)
                   * (uint64_t)(v->pagesize / 1024);
    libxl_physinfo_dispose(&phys);
    return 0;
}
