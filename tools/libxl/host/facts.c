/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Facts are read in the order: domain, host, configuration, xenstore, QEMU,
 * images, other users.  Later rooms only look at the result.
 */
#include "host/facts.h"

#include <stdio.h>
#include <string.h>

#include <libxl_utils.h>

#include "host/claims.h"
#include "host/inuse.h"

#define CONFIG_TIMEOUT_MS 60000
#ifndef SNAP_XEN_RUN_DIR        /* tests have one of their own */
#define SNAP_XEN_RUN_DIR "/var/run/xen"
#endif

void snap_facts_dispose(struct snap_facts *f)
{
    size_t i;

    for (i = 0; i < f->ndisks; i++) {
        struct snap_facts_disk *d = &f->disks[i];

        free(d->vdev);
        free(d->path);
        free(d->format);
        free(d->backend);
        free(d->script);
        free(d->params);
        free(d->backend_path);
        free(d->node);
        free(d->qdev);
        free(d->qemu_driver);
        free(d->qemu_file);
        snap_strings_dispose(&d->tags);
        free(d->id.real);
        snap_chain_dispose(&d->chain);
        snap_json_free(d->image);
        free(d->chain_error);
        free(d->id_error);
        free(d->users);
    }
    free(f->disks);
    snap_dominfo_dispose(&f->dom);
    snap_host_dispose(&f->host);
    free(f->config_json);
    snap_domconfig_dispose(&f->config);
    free(f->stored_json);
    free(f->qmp_path);
    free(f->qmp_error);
    free(f->qemu_version);
    snap_monitor_dispose(&f->monitor);
    memset(f, 0, sizeof(*f));
}

struct snap_facts_disk *snap_facts_disk(struct snap_facts *f,
                                        const char *vdev)
{
    size_t i;

    for (i = 0; i < f->ndisks; i++)
        if (!strcmp(f->disks[i].vdev, vdev)) return &f->disks[i];
    return NULL;
}

char *snap_facts_qmp_path(uint32_t domid)
{
    return snap_printf("%s/qmp-libxenstat-%u", SNAP_XEN_RUN_DIR, domid);
}

/* ---- the configuration ------------------------------------------- */

static char *get_userdata(struct snap_ctx *sc, struct snap_worker *w,
                          uint32_t domid, const char *id)
{
    char *text = NULL;

    if (snap_worker_call(w, SNAP_WORKER_GET_USERDATA, domid, 0, id,
                         strlen(id) + 1, CONFIG_TIMEOUT_MS,
                         "reading the stored configuration", &text))
        snap_clear(sc);
    return text;
}

static int read_config(struct snap_ctx *sc, struct snap_worker *w,
                       uint32_t domid, struct snap_facts *f)
{
    AUTO_JSON struct snap_json *tree = NULL;
    AUTO_FREE char *xl = NULL;
    int rc;

    rc = snap_worker_call(w, SNAP_WORKER_GET_CONFIG, domid, 0, NULL, 0,
                          CONFIG_TIMEOUT_MS,
                          "reading the domain's configuration",
                          &f->config_json);
    if (rc) return rc;
    rc = snap_json_parse(sc, "libxl's configuration of the domain",
                         f->config_json, strlen(f->config_json), &tree);
    if (rc) return rc;
    rc = snap_domconfig_read(sc, tree, &f->config);
    if (rc) return rc;
    /* The hypervisor cannot tell PVH from HVM. */
    if (f->config.type) f->dom.type = f->config.type;
    f->stored_json = get_userdata(sc, w, domid, "libxl-json");
    xl = get_userdata(sc, w, domid, "xl");
    f->userdata_xl = xl && *xl;
    return 0;
}

static void disk_from_config(const struct snap_domconfig_disk *c,
                             struct snap_facts_disk *d)
{
    d->vdev = snap_strdup(c->vdev);
    d->path = snap_strdup(c->path);
    d->format = snap_strdup(c->format ? c->format : "raw");
    d->script = snap_strdup(c->script);
    d->readwrite = c->readwrite;
    d->cdrom = c->cdrom;
    d->backend_domid = c->backend_domid;
    d->backend = snap_strdup(c->backend ? c->backend : "unknown");
    d->devid = -1;
    d->frontend_state = -1;
}

/* xenstore's name of a backend to libxl's. */
static const char *backend_word(const char *kind)
{
    if (!strcmp(kind, "vbd")) return "phy";
    if (!strcmp(kind, "vbd3")) return "tap";
    return kind;
}

static void join_vbd(struct snap_facts *f, const struct snap_vbd *v)
{
    struct snap_facts_disk *d = snap_facts_disk(f, v->vdev);

    if (!d) {
        snap_strings_take(&f->config.unsupported, snap_printf(
            "its disk '%s' is not in libxl's configuration; detach it with "
            "`xl block-detach`", v->vdev));
        return;
    }
    d->devid = v->devid;
    d->params = snap_strdup(v->params);
    d->backend_path = snap_strdup(v->backend_path);
    d->frontend_state = v->frontend_state;
    if (v->backend_domid) d->backend_domid = v->backend_domid;
    free(d->backend);
    d->backend = snap_strdup(backend_word(v->backend));
}

static void disks_from_config(struct snap_facts *f)
{
    size_t i;

    f->ndisks = f->config.ndisks;
    f->disks = snap_zalloc((f->ndisks + 1) * sizeof(*f->disks));
    for (i = 0; i < f->ndisks; i++)
        disk_from_config(&f->config.disks[i], &f->disks[i]);
}

static int read_disks(struct snap_xen *x, struct snap_facts *f)
{
    struct snap_vbds vbds;
    size_t i;
    int rc;

    disks_from_config(f);
    rc = snap_xen_vbds(x, f->dom.domid, &vbds);
    for (i = 0; i < vbds.len; i++)
        join_vbd(f, &vbds.data[i]);
    snap_vbds_dispose(&vbds);
    return rc;
}

/* ---- QEMU -------------------------------------------------------- */

static void join_qemu(struct snap_ctx *sc, struct snap_facts_disk *d,
                      const struct snap_qmp_disk *q)
{
    size_t i;

    d->node = snap_strdup(q->node);
    d->qdev = snap_strdup(q->qdev);
    d->filtered = q->filtered;
    d->qemu_driver = snap_strdup(q->driver);
    d->qemu_file = snap_strdup(q->file);
    d->qemu_read_only = q->read_only;
    for (i = 0; i < q->tags.len; i++)
        snap_strings_add(&d->tags, q->tags.data[i]);
    d->image = snap_json_copy(q->image);
    if (snap_image_chain_from_json(sc, q->image, &d->chain)
        || snap_image_chain_is_there(sc, &d->chain)) {
        d->chain_error = snap_strdup(sc->message);
        snap_clear(sc);
    }
}

static bool is_disk(const struct snap_facts_disk *d, const char *path)
{
    return path && path[0] == '/' && snap_fs_leads_to(path, &d->id);
}

static void check_qemu_file(struct snap_facts_disk *d)
{
    if (!d->node || !d->have_id || d->chain_error) return;
    if (!is_disk(d, d->qemu_file))
        d->chain_error = snap_printf("QEMU has '%s' open where the "
            "configuration names '%s': somebody changed it by hand",
            d->qemu_file ? d->qemu_file : "?", d->path);
    else if (d->params && !is_disk(d, snap_vbd_path(d->params)))
        d->chain_error = snap_printf("xenstore names '%s' where the "
            "configuration names '%s': somebody changed it by hand",
            d->params, d->path);
}

/* A file that was replaced has its name, and is another: QEMU goes on with the
 * old one, which nobody can find any more. */
static void check_open_layers(struct snap_ctx *sc, int qemu_pid,
                              struct snap_facts_disk *d)
{
    const struct snap_chain *c = &d->chain;
    struct snap_fs_id *ids = snap_zalloc((c->len + 1) * sizeof(*ids));
    bool *open = snap_zalloc(c->len + 1);
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < c->len; i++)
        rc = snap_fs_identify(sc, c->data[i].path, &ids[i]);
    if (!rc) rc = snap_inuse_of(sc, qemu_pid, ids, c->len, open);
    for (i = 0; !rc && i < c->len; i++) {
        d->replaced = !open[i];
        if (d->replaced)
            rc = snap_fail(sc, ERROR_INVAL, "'%s'%s is not the file that QEMU "
                           "(process %d) works on: it was replaced, or its "
                           "file system was mounted anew; put the right one "
                           "back (`ls -l /proc/%d/fd`)", c->data[i].path,
                           i ? ", a backing file," : "", qemu_pid, qemu_pid);
    }
    if (rc) {
        d->chain_error = snap_strdup(sc->message);
        snap_clear(sc);
    }
    for (i = 0; i < c->len; i++)
        free(ids[i].real);
    free(ids);
    free(open);
}

static void count_openings(struct snap_facts_disk *d,
                           const struct snap_qmp_disks *q)
{
    size_t i;

    for (i = 0; d->have_id && i < q->len; i++)
        if (q->data[i].inserted && is_disk(d, q->data[i].file))
            d->opened_times++;
}

static void read_qemu_disks(struct snap_ctx *sc, struct snap_facts *f,
                            struct snap_qmp *qmp)
{
    struct snap_qmp_disks q;
    size_t i;

    if (snap_qmp_query_disks(qmp, SNAP_QMP_TIMEOUT_MS, &q)) {
        f->qmp_error = snap_strdup(sc->message);
        snap_clear(sc);
        return;
    }
    for (i = 0; i < q.len; i++) {
        struct snap_facts_disk *d;

        if (!q.data[i].vdev || !q.data[i].inserted) continue;
        d = snap_facts_disk(f, q.data[i].vdev);
        if (d && !d->node) join_qemu(sc, d, &q.data[i]);
    }
    for (i = 0; i < f->ndisks; i++) {
        count_openings(&f->disks[i], &q);
        check_qemu_file(&f->disks[i]);
        if (f->qemu_pid > 0 && f->disks[i].node && !f->disks[i].chain_error)
            check_open_layers(sc, f->qemu_pid, &f->disks[i]);
    }
    snap_qmp_disks_dispose(&q);
}

static int read_qemu(struct snap_ctx *sc, struct snap_xen *x,
                     struct snap_facts *f, struct snap_qmp **out)
{
    AUTO_QMP struct snap_qmp *qmp = NULL;
    int rc = snap_xen_qemu_pid(x, f->dom.domid, &f->qemu_pid);

    if (rc) return rc;
    f->qmp_path = snap_facts_qmp_path(f->dom.domid);
    if (f->qemu_pid > 0)
        f->qemu_start = snap_process_start_time(f->qemu_pid, NULL);
    if (f->qemu_pid <= 0 && access(f->qmp_path, F_OK)) return 0;
    f->qemu = true;
    if (snap_qmp_open(sc, f->qmp_path, SNAP_QMP_TIMEOUT_MS, &qmp)) {
        f->qmp_error = snap_strdup(sc->message);
        snap_clear(sc);
        return 0;
    }
    f->qemu_version = snap_strdup(snap_qmp_version(qmp));
    read_qemu_disks(sc, f, qmp);
    if (out && !f->qmp_error) {
        *out = qmp;
        qmp = NULL;
    }
    return 0;
}

/* ---- images and who has them open -------------------------------- */

static void identify_images(struct snap_ctx *sc, struct snap_facts *f)
{
    size_t i;
    int rc;

    for (i = 0; i < f->ndisks; i++) {
        struct snap_facts_disk *d = &f->disks[i];

        if (!d->path || d->path[0] != '/') continue;
        rc = snap_fs_identify(sc, d->path, &d->id);
        d->have_id = !rc;
        if (rc && rc != ERROR_NOTFOUND) d->id_error = snap_strdup(sc->message);
        if (rc) snap_clear(sc);
    }
}

static void add_user(struct snap_facts_disk *d, const char *text)
{
    char *more = d->users ? snap_printf("%s, %s", d->users, text)
                          : snap_strdup(text);

    free(d->users);
    d->users = more;
}

/* Other domains, in any state, that name one of our images or have it below
 * one of theirs. */
static int other_domains(struct snap_ctx *sc, struct snap_xen *x,
                         struct snap_facts *f)
{
    struct snap_fs_id *ids = snap_zalloc((f->ndisks + 1) * sizeof(*ids));
    size_t *which = snap_zalloc((f->ndisks + 1) * sizeof(*which));
    struct snap_claim_hits hits;
    size_t i, n = 0;
    int rc;

    for (i = 0; i < f->ndisks; i++) {
        if (!f->disks[i].have_id) continue;
        ids[n] = f->disks[i].id;
        which[n++] = i;
    }
    rc = snap_claims_on(sc, x, f->dom.domid, ids, n, &hits);
    for (i = 0; !rc && i < hits.len; i++)
        add_user(&f->disks[which[hits.data[i].image]], hits.data[i].text);
    snap_claim_hits_dispose(&hits);
    free(ids);
    free(which);
    return rc;
}

static int other_processes(struct snap_ctx *sc, struct snap_facts *f)
{
    struct snap_fs_id *ids = snap_zalloc((f->ndisks + 1) * sizeof(*ids));
    size_t *which = snap_zalloc((f->ndisks + 1) * sizeof(*which));
    int skip[2] = { getpid(), f->qemu_pid };
    struct snap_inuse use = { 0 };
    size_t i, n = 0;
    int rc;

    for (i = 0; i < f->ndisks; i++) {
        /* A disk that is not QEMU's is in the kernel's hands. */
        if (!f->disks[i].have_id || !f->disks[i].node) continue;
        ids[n] = f->disks[i].id;
        which[n++] = i;
    }
    rc = n ? snap_inuse_scan(sc, ids, n, skip, 2, &use) : 0;
    for (i = 0; !rc && i < use.len; i++)
        add_user(&f->disks[which[use.data[i].image]], use.data[i].text);
    snap_inuse_dispose(&use);
    free(ids);
    free(which);
    return rc;
}

/* ---- all of it --------------------------------------------------- */

int snap_facts_read(struct snap_ctx *sc, struct snap_xen *x,
                    struct snap_worker *w, uint32_t domid,
                    struct snap_facts *out, struct snap_qmp **qmp)
{
    int64_t since_ms = snap_now_ms();
    int rc;

    memset(out, 0, sizeof(*out));
    rc = snap_xen_domain(x, domid, &out->dom);
    if (rc)
        return snap_fail(sc, rc, "there is no domain %u", domid);
    out->exists = true;
    rc = snap_xen_host(x, &out->host);
    if (rc) return rc;
    /* That refuses it; and libxl cannot say more of one that is dying. */
    if (domid == 0 || out->dom.dying) return 0;
    snap_lap(sc, &since_ms, "facts: domain and host");
    rc = read_config(sc, w, domid, out);
    if (rc) return rc;
    snap_lap(sc, &since_ms, "facts: configuration");
    out->stubdom = libxl_get_stubdom_id(x->ctx, domid);
    rc = read_disks(x, out);
    if (rc) return rc;
    identify_images(sc, out);
    snap_lap(sc, &since_ms, "facts: xenstore and images");
    rc = read_qemu(sc, x, out, qmp);
    if (rc) return rc;
    snap_lap(sc, &since_ms, "facts: QEMU");
    rc = snap_monitor_find(sc, domid, &out->monitor);
    if (rc) return rc;
    snap_lap(sc, &since_ms, "facts: monitor");
    return 0;
}

int snap_facts_read_users(struct snap_ctx *sc, struct snap_xen *x,
                          struct snap_facts *f)
{
    int64_t since_ms = snap_now_ms();
    int rc = other_domains(sc, x, f);

    if (!rc) rc = other_processes(sc, f);
    snap_lap(sc, &since_ms, "facts: who else");
    return rc;
}

static void read_chain(struct snap_ctx *sc, struct snap_facts_disk *d)
{
    if (!d->have_id || d->cdrom || !d->readwrite) return;
    if (!snap_image_chain(sc, d->id.real, d->format, &d->chain)) return;
    d->chain_error = snap_strdup(sc->message);
    snap_clear(sc);
}

int snap_facts_of_config(struct snap_ctx *sc, const struct snap_json *tree,
                         const char *name, struct snap_facts *out)
{
    size_t i;
    int rc;

    memset(out, 0, sizeof(*out));
    rc = snap_domconfig_read(sc, tree, &out->config);
    if (rc) return rc;
    out->dom.name = snap_strdup(name);
    out->dom.uuid = snap_strdup(out->config.uuid);
    out->dom.type = out->config.type;
    disks_from_config(out);
    identify_images(sc, out);
    for (i = 0; i < out->ndisks; i++)
        read_chain(sc, &out->disks[i]);
    return 0;
}

/* ---- the second look --------------------------------------------- */

static int recheck_vbds(struct snap_ctx *sc, struct snap_xen *x,
                        const struct snap_facts *f)
{
    struct snap_vbds vbds;
    size_t i, k, matched = 0, want = 0;
    int rc = snap_xen_vbds(x, f->dom.domid, &vbds);

    if (rc) return rc;
    for (i = 0; i < f->ndisks; i++) {
        if (f->disks[i].devid < 0) continue;
        want++;
        for (k = 0; k < vbds.len; k++)
            if (vbds.data[k].devid == f->disks[i].devid && vbds.data[k].params
                && f->disks[i].params
                && !strcmp(vbds.data[k].params, f->disks[i].params))
                matched++;
    }
    k = vbds.len;
    snap_vbds_dispose(&vbds);
    if (matched != want || k != want)
        return snap_fail(sc, ERROR_FAIL, "the disks of domain '%s' were "
                         "changed while its memory was saved; try again",
                         f->dom.name);
    return 0;
}

int snap_facts_recheck_qemu(struct snap_ctx *sc, struct snap_qmp *qmp,
                            const struct snap_facts *f)
{
    struct snap_qmp_disks q;
    size_t i, k;
    int rc;

    rc = snap_qmp_query_blocks(qmp, SNAP_QMP_TIMEOUT_MS, &q);
    if (rc) return rc;
    for (i = 0; i < f->ndisks; i++) {
        const struct snap_facts_disk *d = &f->disks[i];
        bool same = !d->node;           /* not QEMU's */

        for (k = 0; k < q.len && !same; k++)
            same = q.data[k].qdev && d->qdev
                   && !strcmp(q.data[k].qdev, d->qdev)
                   && q.data[k].node && !strcmp(q.data[k].node, d->node)
                   && q.data[k].file && d->qemu_file
                   && !strcmp(q.data[k].file, d->qemu_file)
                   && q.data[k].tags.len == d->tags.len;
        if (!same)
            rc = snap_fail(sc, ERROR_FAIL, "disk '%s' was changed inside "
                           "QEMU while memory was saved; try again",
                           d->vdev);
    }
    snap_qmp_disks_dispose(&q);
    return rc;
}

/* QEMU has had these files open since the first look. */
static int recheck_paths(struct snap_ctx *sc, const struct snap_facts *f)
{
    size_t i;

    for (i = 0; i < f->ndisks; i++) {
        const struct snap_facts_disk *d = &f->disks[i];

        if (d->node && d->have_id && !snap_fs_leads_to(d->path, &d->id))
            return snap_fail(sc, ERROR_FAIL, "disk '%s': '%s' was replaced "
                             "while memory was saved", d->vdev, d->path);
    }
    return 0;
}

static int recheck_users(struct snap_ctx *sc, const struct snap_facts *f)
{
    struct snap_fs_id *ids = snap_zalloc((f->ndisks + 1) * sizeof(*ids));
    int skip[2] = { getpid(), f->qemu_pid };
    struct snap_inuse use = { 0 };
    size_t i, n = 0;
    int rc;

    for (i = 0; i < f->ndisks; i++)
        if (f->disks[i].have_id && f->disks[i].node)
            ids[n++] = f->disks[i].id;
    rc = n ? snap_inuse_scan(sc, ids, n, skip, 2, &use) : 0;
    if (!rc && use.len)
        rc = snap_fail(sc, ERROR_FAIL, "image '%s' was opened by %s while "
                       "memory was saved", ids[use.data[0].image].real,
                       use.data[0].text);
    snap_inuse_dispose(&use);
    free(ids);
    return rc;
}

static int recheck_config(struct snap_ctx *sc, struct snap_worker *w,
                          const struct snap_facts *f)
{
    AUTO_FREE char *now = get_userdata(sc, w, f->dom.domid, "libxl-json");

    if ((now != NULL) != (f->stored_json != NULL)
        || (now && strcmp(now, f->stored_json)))
        return snap_fail(sc, ERROR_FAIL, "the configuration of domain '%s' "
                         "was changed while its memory was saved; try again",
                         f->dom.name);
    return 0;
}

int snap_facts_recheck(struct snap_ctx *sc, struct snap_xen *x,
                       struct snap_worker *w, const struct snap_facts *f)
{
    int64_t since_ms = snap_now_ms();
    struct snap_dominfo dom;
    int rc;

    rc = snap_xen_domain(x, f->dom.domid, &dom);
    if (rc || strcmp(dom.uuid, f->dom.uuid))
        rc = snap_fail(sc, ERROR_FAIL, "domain '%s' is gone", f->dom.name);
    snap_dominfo_dispose(&dom);
    if (!rc) rc = recheck_vbds(sc, x, f);
    if (!rc) rc = recheck_config(sc, w, f);
    if (!rc) rc = recheck_paths(sc, f);
    snap_lap(sc, &since_ms, "facts: again: domain, disks, configuration");
    if (!rc) rc = recheck_users(sc, f);
    snap_lap(sc, &since_ms, "facts: again: who else");
    return rc;
}
