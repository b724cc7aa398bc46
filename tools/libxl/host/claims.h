/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Which other domains, in any state, name an image as their disk or have it
 * below one: xenstore's disks and the qcow2 chains under them, by (device,
 * inode).
 */
#ifndef SNAP_CLAIMS_H
#define SNAP_CLAIMS_H

#include "host/fs.h"
#include "host/xen.h"

struct snap_claim_hit {
    size_t image;           /* index into the ids asked about */
    bool below;             /* it is a backing file of that disk */
    char *text;             /* "domain 'web' (as xvda)" */
};
struct snap_claim_hits {
    struct snap_claim_hit *data;
    size_t len;
};
void snap_claim_hits_dispose(struct snap_claim_hits *h);

/* own_domid: a domain to leave out; negative: none. */
int snap_claims_on(struct snap_ctx *sc, struct snap_xen *x,
                   int64_t own_domid, const struct snap_fs_id *ids, size_t n,
                   struct snap_claim_hits *out);

#endif
