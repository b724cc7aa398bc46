/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-verify: is all of a snapshot there, and unharmed?  With --repair,
 * after the library has mended what it can.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "inventory.h"
#include "operations.h"
#include "others.h"
#include "say.h"
#include "session.h"

struct verification {
    const struct xl_request *rq;
    char *domain, *where;
    libxl_snapshot_set set;
    libxl_snapshot_mends mends;
    libxl_snapshot_findings findings;
};

/* ---- repair ------------------------------------------------------ */

/* Why one of those by whose names it may be known cannot be read; NULL: all
 * can. malloc'd. */
static char *find_unread(const struct xl_others *o, const char *domain_dir)
{
    const struct xl_entries *const lists[] = { &o->beside, &o->store };
    size_t i, k, n = strlen(domain_dir);

    for (i = 0; i < 2; i++) {
        for (k = 0; k < lists[i]->len; k++) {
            const struct xl_entry *e = &lists[i]->data[k];

            if (e->broken && (!i || (!strncmp(e->directory, domain_dir, n)
                                     && e->directory[n] == '/')))
                return snap_printf("'%s' is broken: %s", e->directory,
                                   e->broken);
        }
    }
    return NULL;
}

static int repair_with(struct verification *v, struct xl_session *s,
                       const struct xl_others *o)
{
    const struct xl_request *rq = v->rq;
    AUTO_FREE char *dir = xl_store_domain_dir(rq->store, v->domain);
    AUTO_FREE char *current = snap_printf("%s/" XL_CURRENT_FILE, dir);
    AUTO_FREE char *unread = find_unread(o, dir);
    const char *args[] = { v->domain, v->set.directory, NULL };
    AUTO_FREE char *retry = xl_request_command(rq, args);
    libxl_snapshot_repair_params p = {
        .domain_name = v->domain,
        .directory = v->set.directory,
        .current_path = current,
        .others = o->sets,
        .nothers = o->nsets,
        .unread = unread,
        .protect = !xl_given(rq, OPT_NO_PROTECT),
        .dry_run = xl_given(rq, OPT_DRY_RUN),
        .lock_timeout_ms = rq->lock_timeout_ms,
        .retry_command = retry,
    };
    int rc = libxl_snapshot_repair(s->ctx, &p, &v->mends);

    return rc ? xl_session_failed(s, rc) : 0;
}

static int load_again(struct verification *v)
{
    AUTO_FREE char *directory = snap_strdup(v->set.directory);
    struct snap_ctx sc = SNAP_CTX_INIT;
    int status = 0;

    libxl_snapshot_set_dispose(&v->set);
    if (xl_store_load(&sc, directory, &v->set))
        status = xl_fail(v->rq, XL_REFUSED, NULL, "%s", sc.message);
    snap_ctx_dispose(&sc);
    return status;
}

/* As it and the others are now that nobody changes them. */
static int repair_locked(struct verification *v, struct xl_session *s)
{
    struct xl_others others = { .nsets = 0 };
    int status = load_again(v);

    if (!status)
        status = xl_others_find(v->rq, v->set.directory, NULL, &others);
    if (!status) status = repair_with(v, s, &others);
    xl_others_dispose(&others);
    return status;
}

static int repair(struct verification *v)
{
    struct xl_session s;
    int status;

    if (!v->set.directory)
        return xl_fail(v->rq, XL_REFUSED, NULL, "'%s' is a hand-written file, "
                       "not a snapshot's directory: mend by hand what was "
                       "made by hand", v->where);
    status = xl_check_owner(v->rq, v->domain, &v->set);
    if (status) return status;
    xl_session_open(&s, v->rq, true);
    status = xl_session_lock(&s, v->domain, xl_given(v->rq, OPT_DRY_RUN)
                             ? NULL : &v->set);
    if (!status) status = repair_locked(v, &s);
    xl_session_close(&s);
    /* What is verified then is what was made of it. */
    return status ? status : load_again(v);
}

/* ---- the result -------------------------------------------------- */

static bool is_good(const struct verification *v)
{
    size_t i;

    for (i = 0; i < v->mends.len && v->mends.data[i].can; i++) continue;
    return v->findings.whole && i == v->mends.len;
}

static void print_line(const char *part, const char *word, const char *text)
{
    AUTO_FREE char *line = snap_printf("%s: %s: %s", part, word, text);
    AUTO_FREE char *clean = xl_clean(line);

    xl_put_line(stdout, clean);
}

static const char *mend_word(const libxl_snapshot_mend *m)
{
    return m->done ? "mended" : m->can ? "would be mended" : "NOT mended";
}

static void print_text(const struct verification *v)
{
    const libxl_snapshot_findings *f = &v->findings;
    const char *name = v->set.manifest.name;
    AUTO_FREE char *line = snap_printf(
        "Snapshot '%s' of domain '%s' is %s.", name ? name : "?", v->domain,
        f->whole ? "whole" : "damaged");
    AUTO_FREE char *clean = xl_clean(line);
    size_t i;

    for (i = 0; i < v->mends.len; i++)
        print_line(v->mends.data[i].part, mend_word(&v->mends.data[i]),
                   v->mends.data[i].text);
    for (i = 0; i < f->len; i++)
        print_line(f->data[i].part, f->data[i].good ? "good" : "BAD",
                   f->data[i].text);
    xl_put_line(stdout, clean);
}

static struct snap_json *finding_json(const libxl_snapshot_finding *f)
{
    struct snap_json *j = snap_json_new_object();
    AUTO_FREE char *text = xl_json_text(f->text);

    snap_json_set_str(j, "part", f->part);
    snap_json_set_bool(j, "good", f->good);
    snap_json_set_str(j, "text", text);
    return j;
}

static struct snap_json *mend_json(const libxl_snapshot_mend *m)
{
    struct snap_json *j = snap_json_new_object();
    AUTO_FREE char *text = xl_json_text(m->text);

    snap_json_set_str(j, "part", m->part);
    snap_json_set_bool(j, "can", m->can);
    snap_json_set_bool(j, "done", m->done);
    snap_json_set_str(j, "text", text);
    return j;
}

static void add_mends(const struct verification *v, struct snap_json *o)
{
    struct snap_json *list = snap_json_new_array();
    size_t i;

    for (i = 0; i < v->mends.len; i++)
        snap_json_append(list, mend_json(&v->mends.data[i]));
    snap_json_set_bool(o, "dry_run", xl_given(v->rq, OPT_DRY_RUN));
    snap_json_set(o, "mends", list);
}

static void print_json(const struct verification *v)
{
    const libxl_snapshot_findings *f = &v->findings;
    struct snap_json *o = snap_json_new_object();
    struct snap_json *list = snap_json_new_array();
    AUTO_FREE char *name = xl_json_text(v->domain);
    AUTO_FREE char *directory = xl_json_text(v->set.directory);
    size_t i;

    for (i = 0; i < f->len; i++)
        snap_json_append(list, finding_json(&f->data[i]));
    snap_json_set_int(o, "exit", is_good(v) ? XL_DONE : XL_REFUSED);
    snap_json_set_str(o, "domain", name);
    snap_json_set_str(o, "snapshot", v->set.manifest.name);
    snap_json_set_str(o, "directory", directory);
    snap_json_set_bool(o, "whole", f->whole);
    snap_json_set(o, "findings", list);
    if (xl_given(v->rq, OPT_REPAIR)) add_mends(v, o);
    xl_show_operations(v->rq, v->domain, o);
    xl_print_json(o);
}

/* ---- the command ------------------------------------------------- */

static int verify(struct verification *v)
{
    struct xl_session s;
    int rc, status = 0;

    xl_session_open(&s, v->rq, true);
    rc = libxl_snapshot_verify(s.ctx, &v->set, &v->findings);
    if (rc) status = xl_session_refused(&s, rc);
    xl_session_close(&s);
    if (rc) return status;
    if (xl_given(v->rq, OPT_JSON)) {
        print_json(v);
    } else {
        print_text(v);
        xl_show_operations(v->rq, v->domain, NULL);
    }
    return is_good(v) ? XL_DONE : XL_REFUSED;
}

int xl_snapshot_verify(struct xl_request *rq)
{
    struct verification v = { .rq = rq };
    bool mends = xl_given(rq, OPT_REPAIR);
    int status;

    if (xl_given(rq, OPT_ORPHANS)) return xl_verify_orphans(rq);
    if (xl_given(rq, OPT_NO_PROTECT) && !mends)
        return xl_fail_usage(rq->command->name, xl_given(rq, OPT_JSON),
                             "--no-protect goes with --repair");
    status = xl_domain_name(rq, rq->args[0], !mends, &v.domain);
    if (!status) status = xl_find_set(rq, v.domain, &v.set, &v.where);
    if (!status && mends) status = repair(&v);
    if (!status) status = verify(&v);
    libxl_snapshot_mends_dispose(&v.mends);
    libxl_snapshot_findings_dispose(&v.findings);
    libxl_snapshot_set_dispose(&v.set);
    free(v.domain);
    free(v.where);
    return status;
}
