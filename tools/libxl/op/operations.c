/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What runs now and what was interrupted, from the journals.
 */
#include "op/op.h"

static void add_operation(const char *domain, libxl_snapshot_operation **list,
                          size_t *n)
{
    libxl_snapshot_operation o = { .pid = 0 };

    if (!snap_journal_peek(domain, &o.what, &o.pid)) return;
    o.domain = snap_strdup(domain);
    *list = snap_realloc(*list, (*n + 1) * sizeof(**list));
    (*list)[(*n)++] = o;
}

void libxl_snapshot_operations(const char *domain_name,
                               libxl_snapshot_operation **list, size_t *n)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    struct snap_strings names = { 0 };
    size_t i;

    *list = NULL;
    *n = 0;
    if (domain_name)
        snap_strings_add(&names, domain_name);
    else
        snap_journal_list(&quiet, &names);
    for (i = 0; i < names.len; i++)
        add_operation(names.data[i], list, n);
    snap_strings_dispose(&names);
    snap_ctx_dispose(&quiet);
}

void libxl_snapshot_operations_free(libxl_snapshot_operation *list, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        free(list[i].domain);
        free(list[i].what);
    }
    free(list);
}
