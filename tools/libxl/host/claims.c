/* SPDX-License-Identifier: LGPL-2.1-only */
/* Other domains' claims on images. */
#include "host/claims.h"

#include <string.h>

#include "host/dependents.h"

void snap_claim_hits_dispose(struct snap_claim_hits *h)
{
    size_t i;

    for (i = 0; i < h->len; i++)
        free(h->data[i].text);
    free(h->data);
    memset(h, 0, sizeof(*h));
}

static void add_hit(struct snap_claim_hits *out, size_t image, bool below,
                    const struct snap_claim *c)
{
    struct snap_claim_hit *h;

    out->data = snap_realloc(out->data, (out->len + 1) * sizeof(*h));
    h = &out->data[out->len++];
    h->image = image;
    h->below = below;
    h->text = snap_printf("domain '%s' (as %s%s)", c->domain, c->vdev,
                          below ? ", below an overlay" : "");
}

static int match(struct snap_ctx *sc, const char *path, bool below,
                 const struct snap_claim *c, const struct snap_fs_id *ids,
                 size_t n, struct snap_claim_hits *out)
{
    struct snap_fs_id id;
    bool there;
    size_t i;
    int rc = snap_fs_find(sc, path, &id, &there);

    for (i = 0; there && i < n; i++)
        if (snap_fs_same(&id, &ids[i])) add_hit(out, i, below, c);
    return rc;
}

int snap_claims_on(struct snap_ctx *sc, struct snap_xen *x,
                   int64_t own_domid, const struct snap_fs_id *ids, size_t n,
                   struct snap_claim_hits *out)
{
    struct snap_claims claims;
    size_t i, k;
    int rc = snap_xen_claims(x, &claims);

    memset(out, 0, sizeof(*out));
    for (i = 0; !rc && i < claims.len; i++) {
        const struct snap_claim *c = &claims.data[i];
        struct snap_strings layers = { 0 };

        if ((int64_t)c->domid == own_domid) continue;
        rc = match(sc, c->path, false, c, ids, n, out);
        if (!rc && c->qcow2) rc = snap_dependents_layers(sc, c->path, &layers);
        for (k = 0; !rc && k < layers.len; k++)
            rc = match(sc, layers.data[k], true, c, ids, n, out);
        snap_strings_dispose(&layers);
    }
    snap_claims_dispose(&claims);
    return rc;
}
