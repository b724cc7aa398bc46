/* SPDX-License-Identifier: LGPL-2.1-only */
/* See users.h. */
#include "host/users.h"

#include <unistd.h>

static char *say(const struct snap_fs_id *id, const char *who)
{
    return snap_printf("'%s' is in use by %s", id->real, who);
}

int snap_users_find(struct snap_ctx *sc, struct snap_xen *x,
                    int64_t own_domid, const struct snap_fs_id *ids, size_t n,
                    const int *skip_pids, size_t nskip, char **text)
{
    struct snap_claim_hits hits = { 0 };
    struct snap_inuse use = { 0 };
    int rc = snap_inuse_scan(sc, ids, n, skip_pids, nskip, &use);

    *text = NULL;
    if (!rc && use.len)
        *text = say(&ids[use.data[0].image], use.data[0].text);
    else if (!rc)
        rc = snap_claims_on(sc, x, own_domid, ids, n, &hits);
    if (!rc && hits.len)
        *text = say(&ids[hits.data[0].image], hits.data[0].text);
    snap_claim_hits_dispose(&hits);
    snap_inuse_dispose(&use);
    return rc;
}

int snap_users_find_writer(struct snap_ctx *sc, const struct snap_fs_id *id,
                           char **who)
{
    const int self = getpid();
    struct snap_inuse use = { 0 };
    size_t i;
    int rc = snap_inuse_scan(sc, id, 1, &self, 1, &use);

    *who = NULL;
    for (i = 0; !rc && !*who && i < use.len; i++)
        if (use.data[i].writes) *who = snap_strdup(use.data[i].text);
    snap_inuse_dispose(&use);
    return rc;
}
