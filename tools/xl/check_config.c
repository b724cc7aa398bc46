/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-check --config.  Reads the xl.cfg, the images that it names, the
 * store, and of the domain, if it runs, what it has now; cfgcheck.c judges.
 */
#include "check_config.h"

#include <stdio.h>
#include <string.h>

#include "cfgcheck.h"
#include "cfgdisk.h"
#include "host/dependents.h"
#include "operations.h"
#include "say.h"
#include "session.h"
#include "store.h"

struct check {
    const struct xl_request *rq;
    char *text;
    struct xl_cfg cfg;
    struct xl_cfg_disks disks;
    char *domain;
    struct xl_entries store;
    bool runs;
    char *not_asked;            /* why Xen could not be; NULL: it was */
    libxl_snapshot_report now;  /* of the domain, if it runs */
    struct xl_cfg_finding *findings;
    size_t n;
    bool good;
};

static void check_dispose(struct check *c)
{
    size_t i;

    for (i = 0; i < c->n; i++)
        xl_cfg_finding_dispose(&c->findings[i]);
    free(c->findings);
    libxl_snapshot_report_dispose(&c->now);
    free(c->not_asked);
    free(c->domain);
    xl_entries_dispose(&c->store);
    xl_cfg_disks_dispose(&c->disks);
    xl_cfg_close(&c->cfg);
    free(c->text);
}

/* ---- reading --------------------------------------------------------- */

static int read_config(struct snap_ctx *sc, struct check *c)
{
    size_t len;
    int rc;

    rc = snap_fs_read(sc, c->rq->config, false, XL_CFG_MAX_BYTES, &c->text,
                      &len);
    if (!rc) rc = xl_cfg_open(sc, c->rq->config, c->text, len, &c->cfg);
    if (!rc) rc = xl_cfg_disks_read(sc, &c->cfg, &c->disks);
    return rc;
}

static void not_asked(struct check *c, const struct xl_session *s)
{
    const char *why = libxl_snapshot_error(s->ctx);

    c->not_asked = snap_strdup(why ? why : "no reason was given");
}

/* A domain that is off needs no Xen; without Xen, it is off. */
static void ask_xen(struct check *c)
{
    AUTO_FREE char *name = NULL;
    struct xl_session s;
    uint32_t domid;
    int rc;

    xl_session_open(&s, c->rq, false);
    rc = libxl_snapshot_find_domain(s.ctx, c->domain, &domid, &name);
    if (rc && rc != ERROR_DOMAIN_NOTFOUND) not_asked(c, &s);
    xl_session_close(&s);
    if (rc) return;
    xl_session_open(&s, c->rq, false);
    rc = libxl_snapshot_check(s.ctx, domid, &c->now);
    c->runs = !rc;
    if (rc) not_asked(c, &s);
    xl_session_close(&s);
}

/* ---- an image -------------------------------------------------------- */

/* By its name, or by what it was when it was frozen. */
static int is_base(struct snap_ctx *sc, const struct snap_manifest_disk *m,
                   const struct snap_fs_id *id, bool *is)
{
    *is = m->type == SNAP_DISK_EXTERNAL && !id->block && m->dev == id->dev &&
        m->ino == id->ino && m->size_bytes == id->size_bytes &&
        m->mtime_ns == id->mtime_ns;
    if (*is || m->type != SNAP_DISK_EXTERNAL) return 0;
    return snap_fs_compare(sc, m->image, id, is);
}

/* Whose frozen base it is, malloc'd. */
static int find_snapshot(struct snap_ctx *sc, const struct check *c,
                         const struct snap_fs_id *id, char **out)
{
    size_t i, k;

    for (i = 0; i < c->store.len; i++) {
        const struct snap_manifest *m = &c->store.data[i].set.manifest;

        for (k = 0; k < m->ndisks; k++) {
            bool is;
            int rc = is_base(sc, &m->disks[k], id, &is);

            if (rc) return rc;
            if (!is) continue;
            *out = snap_printf("snapshot '%s' of domain '%s'",
                               c->store.data[i].name,
                               m->domain_name ? m->domain_name : "?");
            return 0;
        }
    }
    return 0;
}

static int look_at_image(struct snap_ctx *sc, const struct check *c,
                         struct xl_cfg_look *l, char **frozen, char **above)
{
    struct snap_fs_id id;
    int rc;

    if (*l->image != '/')
        return snap_fail(sc, ERROR_INVAL, "'%s' leads elsewhere from each "
                         "directory; write a path from the root", l->image);
    rc = snap_fs_find(sc, l->image, &id, &l->there);
    if (rc || !l->there) return rc;
    rc = snap_fs_identify(sc, l->image, &id);
    if (!rc) rc = find_snapshot(sc, c, &id, frozen);
    /* Nothing stands beside a device. */
    if (!rc && !id.block) rc = snap_dependents_beside(sc, &id, above);
    l->same = !rc && l->now && snap_fs_leads_to(l->now, &id);
    free(id.real);
    l->frozen = *frozen;
    l->above = *above;
    return rc;
}

/* ---- a disk ---------------------------------------------------------- */

static const char *left_out(const libxl_device_disk *d)
{
    if (d->is_cdrom) return "a CD-ROM";
    if (!d->readwrite) return "read-only";
    if (d->script || d->backend_domname) return "not an image of this host";
    if (!d->pdev_path || !*d->pdev_path) return "empty";
    return NULL;
}

static void what_it_has(const struct check *c, struct xl_cfg_look *l)
{
    size_t i;

    for (i = 0; c->runs && i < c->now.ndisks; i++)
        if (c->now.disks[i].vdev && !strcmp(c->now.disks[i].vdev, l->vdev)) {
            l->now = c->now.disks[i].path;
            l->now_format = c->now.disks[i].format;
        }
}

static void add_finding(struct check *c, struct xl_cfg_finding f)
{
    c->findings = snap_realloc(c->findings,
                               (c->n + 1) * sizeof(*c->findings));
    c->findings[c->n++] = f;
    c->good &= f.good;
}

static void check_disk(struct check *c, const libxl_device_disk *d)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct xl_cfg_look l = {
        .vdev = d->vdev,
        .format = libxl_disk_format_to_string(d->format),
        .image = d->pdev_path,
        .left_out = left_out(d),
    };
    AUTO_FREE char *frozen = NULL;
    AUTO_FREE char *above = NULL;

    what_it_has(c, &l);
    if (!l.left_out && look_at_image(&sc, c, &l, &frozen, &above))
        l.failed = sc.message;
    add_finding(c, xl_cfg_judge(&l));
    snap_ctx_dispose(&sc);
}

/* What cannot be read may name any image. */
static void check_store(struct check *c)
{
    size_t i;

    for (i = 0; i < c->store.len; i++)
        if (c->store.data[i].broken)
            add_finding(c, (struct xl_cfg_finding) {
                .part = snap_strdup(c->store.data[i].directory),
                .text = snap_printf("which images it needs is not known: %s",
                                    c->store.data[i].broken),
            });
}

/* ---- the answer ------------------------------------------------------ */

static void print_finding(const struct xl_cfg_finding *f)
{
    AUTO_FREE char *line = snap_printf("%s: %s: %s", f->part,
                                       f->left_out ? "left out"
                                       : f->good ? "good" : "BAD", f->text);
    AUTO_FREE char *clean = xl_clean(line);
    AUTO_FREE char *entry = f->entry ? xl_clean(f->entry) : NULL;

    xl_put_line(stdout, clean);
    if (entry) printf("    %s\n", entry);   /* unwrapped, to be pasted */
}

static void print_text(const struct check *c)
{
    AUTO_FREE char *line = snap_printf(
        c->good ? "Domain '%s' can be started from '%s'%s."
                : "Domain '%s' must not be started from '%s'%s.",
        c->domain, c->rq->config, c->runs ? " when it is off" : "");
    AUTO_FREE char *clean = xl_clean(line);
    size_t i;

    for (i = 0; i < c->n; i++) print_finding(&c->findings[i]);
    xl_put_line(stdout, clean);
    if (c->not_asked)
        xl_note(c->rq, "Note: only files were looked at, since Xen could not "
                "be asked: %s", c->not_asked);
    if (!c->good)
        xl_note(c->rq, "snapshot-create, -revert and -delete keep it right "
                "with --update-config FILE.");
}

static struct snap_json *finding_json(const struct xl_cfg_finding *f)
{
    struct snap_json *j = snap_json_new_object();
    AUTO_FREE char *part = xl_json_text(f->part);
    AUTO_FREE char *text = xl_json_text(f->text);
    AUTO_FREE char *entry = xl_json_text(f->entry);

    snap_json_set_str(j, "part", part);
    snap_json_set_bool(j, "good", f->good);
    snap_json_set_bool(j, "left_out", f->left_out);
    snap_json_set_str(j, "text", text);
    snap_json_set_str(j, "entry", entry);
    return j;
}

static void print_json(const struct check *c)
{
    struct snap_json *o = snap_json_new_object();
    struct snap_json *list = snap_json_new_array();
    AUTO_FREE char *name = xl_json_text(c->domain);
    AUTO_FREE char *config = xl_json_text(c->rq->config);
    AUTO_FREE char *why = xl_json_text(c->not_asked);
    size_t i;

    for (i = 0; i < c->n; i++)
        snap_json_append(list, finding_json(&c->findings[i]));
    snap_json_set_int(o, "exit", c->good ? XL_DONE : XL_REFUSED);
    snap_json_set_str(o, "domain", name);
    snap_json_set_str(o, "config", config);
    snap_json_set_bool(o, "running", c->runs);
    snap_json_set_str(o, "xen_reason", why);
    snap_json_set_bool(o, "can_start", c->good);
    snap_json_set(o, "findings", list);
    xl_show_operations(c->rq, c->domain, o);
    xl_print_json(o);
}

static int check_and_print(struct check *c)
{
    size_t i;
    int status = 0;

    if (c->rq->nargs)
        status = xl_domain_name(c->rq, c->rq->args[0], true, &c->domain);
    else
        c->domain = snap_strdup(c->disks.name);
    if (status) return status;
    ask_xen(c);
    c->good = true;
    for (i = 0; i < c->disks.len; i++)
        check_disk(c, &c->disks.data[i].d);
    check_store(c);
    if (xl_given(c->rq, OPT_JSON)) {
        print_json(c);
    } else {
        print_text(c);
        xl_show_operations(c->rq, c->domain, NULL);
    }
    return c->good ? XL_DONE : XL_REFUSED;
}

int xl_check_config(const struct xl_request *rq)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct check c = { .rq = rq };
    int status;

    if (read_config(&sc, &c) || xl_store_list_all(&sc, rq->store, &c.store))
        status = xl_fail(rq, XL_REFUSED, NULL, "%s", sc.message);
    else
        status = check_and_print(&c);
    check_dispose(&c);
    snap_ctx_dispose(&sc);
    return status;
}
