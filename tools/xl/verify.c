/* SPDX-License-Identifier: LGPL-2.1-only */
/* snapshot-verify: is all of a snapshot there, and unharmed? */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "inventory.h"
#include "operations.h"
#include "others.h"
#include "say.h"
#include "session.h"

static void print_finding(const libxl_snapshot_finding *f)
{
    AUTO_FREE char *line = snap_printf("%s: %s: %s", f->part,
                                       f->good ? "good" : "BAD", f->text);
    AUTO_FREE char *clean = xl_clean(line);

    xl_put_line(stdout, clean);
}

static void print_text(const char *domain, const libxl_snapshot_set *set,
                       const libxl_snapshot_findings *f)
{
    AUTO_FREE char *line = snap_printf(
        "Snapshot '%s' of domain '%s' is %s.",
        set->manifest.name ? set->manifest.name : "?", domain,
        f->whole ? "whole" : "damaged");
    AUTO_FREE char *clean = xl_clean(line);
    size_t i;

    for (i = 0; i < f->len; i++) print_finding(&f->data[i]);
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

static void print_json(const struct xl_request *rq, const char *domain,
                       const libxl_snapshot_set *set,
                       const libxl_snapshot_findings *f)
{
    struct snap_json *o = snap_json_new_object();
    struct snap_json *list = snap_json_new_array();
    AUTO_FREE char *name = xl_json_text(domain);
    AUTO_FREE char *directory = xl_json_text(set->directory);
    size_t i;

    for (i = 0; i < f->len; i++)
        snap_json_append(list, finding_json(&f->data[i]));
    snap_json_set_int(o, "exit", f->whole ? XL_DONE : XL_REFUSED);
    snap_json_set_str(o, "domain", name);
    snap_json_set_str(o, "snapshot", set->manifest.name);
    snap_json_set_str(o, "directory", directory);
    snap_json_set_bool(o, "whole", f->whole);
    snap_json_set(o, "findings", list);
    xl_show_operations(rq, domain, o);
    xl_print_json(o);
}

int xl_snapshot_verify(struct xl_request *rq)
{
    libxl_snapshot_findings findings = { 0 };
    libxl_snapshot_set set = { 0 };
    AUTO_FREE char *domain = NULL;
    AUTO_FREE char *where = NULL;
    struct xl_session s;
    int rc, status;

    if (xl_given(rq, OPT_ORPHANS)) return xl_verify_orphans(rq);
    status = xl_domain_name(rq, rq->args[0], true, &domain);
    if (!status) status = xl_find_set(rq, domain, &set, &where);
    if (status) return status;
    xl_session_open(&s, rq, true);
    rc = libxl_snapshot_verify(s.ctx, &set, &findings);
    if (rc) status = xl_session_refused(&s, rc);
    xl_session_close(&s);
    if (!rc) {
        status = findings.whole ? XL_DONE : XL_REFUSED;
        if (xl_given(rq, OPT_JSON)) {
            print_json(rq, domain, &set, &findings);
        } else {
            print_text(domain, &set, &findings);
            xl_show_operations(rq, domain, NULL);
        }
    }
    libxl_snapshot_findings_dispose(&findings);
    libxl_snapshot_set_dispose(&set);
    return status;
}
