/* SPDX-License-Identifier: LGPL-2.1-only */
/* What is not over. See operations.h. */
#include "operations.h"

#include "libxl_snapshot.h"
#include "say.h"

static void tell_operation(const struct xl_request *rq,
                           const libxl_snapshot_operation *o)
{
    AUTO_FREE char *quoted = xl_shell_quote(o->domain);

    if (o->pid)
        xl_note(rq, "A snapshot-%s of domain '%s' is at work (process %d).",
                o->what, o->domain, o->pid);
    else
        xl_message("A snapshot-%s of domain '%s' was interrupted; run "
                   "`xl snapshot-recover %s`.", o->what, o->domain, quoted);
}

static struct snap_json *operation_json(const libxl_snapshot_operation *o)
{
    struct snap_json *j = snap_json_new_object();
    AUTO_FREE char *domain = xl_json_text(o->domain);
    AUTO_FREE char *what = xl_json_text(o->what);

    snap_json_set_str(j, "domain", domain);
    snap_json_set_str(j, "what", what);
    if (o->pid) snap_json_set_int(j, "pid", o->pid);
    return j;
}

void xl_show_operations(const struct xl_request *rq, const char *domain,
                        struct snap_json *json)
{
    struct snap_json *list = json ? snap_json_new_array() : NULL;
    libxl_snapshot_operation *o;
    size_t i, n;

    libxl_snapshot_operations(domain, &o, &n);
    for (i = 0; i < n; i++) {
        if (list)
            snap_json_append(list, operation_json(&o[i]));
        else
            tell_operation(rq, &o[i]);
    }
    libxl_snapshot_operations_free(o, n);
    if (json) snap_json_set(json, "operations", list);
}
