/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The images of a snapshot among all others: who stands on them, who has them
 * open, and whether they are this domain's at all.
 */
#include <string.h>

#include "host/claims.h"
#include "host/dependents.h"
#include "host/inuse.h"
#include "host/lineage.h"
#include "op/revert.h"

/* ---- who depends on an image, who uses it ------------------------ */

static void freeze(struct snap_revert_disk *d, char *why)
{
    if (d->frozen_by)
        free(why);
    else
        d->frozen_by = why;
}

static int frozen_by_manifests(struct snap_revert *r,
                               struct snap_revert_disk *d)
{
    bool depends;
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < r->p->nothers; i++) {
        const struct snap_manifest *m = &r->p->others[i].manifest;

        rc = snap_op_stands_on(r->sc, m, &d->id, &depends);
        if (depends)
            freeze(d, snap_printf("snapshot '%s' depends on '%s'", m->name,
                                  d->id.real));
    }
    return rc;
}

/* Below the top of the present chain? */
static int frozen_by_chain(struct snap_revert *r, struct snap_revert_disk *d)
{
    size_t i, k;
    bool same;
    int rc = 0;

    for (i = 0; i < r->now.ndisks; i++) {
        const struct snap_chain *c = &r->now.disks[i].chain;

        for (k = 1; !rc && k < c->len; k++) {
            rc = snap_fs_compare(r->sc, c->data[k].path, &d->id, &same);
            if (same)
                freeze(d, snap_printf("the present disk '%s' is an overlay "
                                      "on '%s'", r->now.disks[i].vdev,
                                      d->id.real));
        }
    }
    return rc;
}

int snap_revert_find_frozen(struct snap_revert *r, struct snap_revert_disk *d)
{
    AUTO_FREE char *beside = NULL;
    int rc;

    if (d->m->type != SNAP_DISK_INTERNAL) return 0;
    rc = frozen_by_manifests(r, d);
    if (!rc) rc = frozen_by_chain(r, d);
    if (rc || d->frozen_by) return rc;
    rc = snap_dependents_beside(r->sc, &d->id, &beside);
    if (beside)
        freeze(d, snap_printf("'%s' is an overlay on '%s'", beside,
                              d->id.real));
    return rc;
}

static void append(char **list, const char *text)
{
    char *more = *list ? snap_printf("%s, %s", *list, text)
                       : snap_strdup(text);

    free(*list);
    *list = more;
}

/* All disks that the domain will write: those of the set and the rest. */
static size_t all_disks(struct snap_revert *r, struct snap_revert_disk ***out)
{
    size_t i, n = 0;

    *out = snap_zalloc((r->f.ndisks + r->f.nrest + 1) * sizeof(**out));
    for (i = 0; i < r->f.ndisks; i++)
        (*out)[n++] = &r->f.disks[i];
    for (i = 0; i < r->f.nrest; i++)
        (*out)[n++] = &r->f.rest[i];
    return n;
}

static int find_processes(struct snap_revert *r,
                          struct snap_revert_disk **disks,
                          const struct snap_fs_id *ids, size_t n)
{
    int skip[2] = { getpid(), r->now.exists ? r->now.qemu_pid : 0 };
    struct snap_inuse use = { 0 };
    size_t i;
    int rc = n ? snap_inuse_scan(r->sc, ids, n, skip, 2, &use) : 0;

    for (i = 0; !rc && i < use.len; i++) {
        struct snap_revert_disk *d = disks[use.data[i].image];

        /* The domain's own loop device or block backend goes with it. */
        if (d->active && !use.data[i].pid) continue;
        append(&d->users, use.data[i].text);
        if (use.data[i].writes) append(&d->writers, use.data[i].text);
    }
    snap_inuse_dispose(&use);
    return rc;
}

static int find_claims(struct snap_revert *r, struct snap_revert_disk **disks,
                       const struct snap_fs_id *ids, size_t n)
{
    struct snap_claim_hits hits;
    size_t i;
    int rc = snap_claims_on(r->sc, r->h->xen,
                            r->now.exists ? (int64_t)r->now.dom.domid : -1,
                            ids, n, &hits);

    for (i = 0; !rc && i < hits.len; i++) {
        struct snap_revert_disk *d = disks[hits.data[i].image];

        append(&d->users, hits.data[i].text);
        if (!hits.data[i].below) append(&d->writers, hits.data[i].text);
    }
    snap_claim_hits_dispose(&hits);
    return rc;
}

int snap_revert_find_users(struct snap_revert *r)
{
    struct snap_revert_disk **disks;
    size_t i, n = all_disks(r, &disks);
    struct snap_fs_id *ids = snap_zalloc((n + 1) * sizeof(*ids));
    int rc;

    for (i = 0; i < n; i++)
        ids[i] = disks[i]->id;
    rc = find_processes(r, disks, ids, n);
    if (!rc) rc = find_claims(r, disks, ids, n);
    free(ids);
    free(disks);
    return rc;
}

/* ---- whose snapshot is it ---------------------------------------- */

/* The present chain of a disk as identities, top first. */
static void chain_ids(struct snap_revert *r, const struct snap_chain *c,
                      const struct snap_fs_id *top, struct snap_fs_id **ids,
                      size_t *n)
{
    size_t i;

    *ids = snap_zalloc((c->len + 1) * sizeof(**ids));
    *n = 0;
    if (top) {
        (*ids)[*n] = *top;
        (*ids)[(*n)++].real = snap_strdup(top->real);
    }
    for (i = top ? 1 : 0; i < c->len; i++) {
        if (snap_fs_identify(r->sc, c->data[i].path, &(*ids)[*n]))
            snap_clear(r->sc);
        else
            ++*n;
    }
}

static void ids_free(struct snap_fs_id *ids, size_t n)
{
    while (n-- > 0)
        free(ids[n].real);
    free(ids);
}

/*
 * 2: the snapshot's own image (or a copy of it, or what it is a copy of) is
 * in the present chain. 1: only a layer below it is, which two domains on one
 * golden image share as well. 0: nothing in common.
 */
static int common_ground(struct snap_revert *r, const struct snap_lineage *l,
                         const struct snap_facts_disk *now,
                         const struct snap_revert_disk *d)
{
    struct snap_fs_id *have, *want;
    size_t nhave, nwant, i, k;
    int answer = 0;

    chain_ids(r, &now->chain, now->have_id ? &now->id : NULL, &have, &nhave);
    chain_ids(r, &d->chain, &d->id, &want, &nwant);
    for (k = 0; k < nwant && !answer; k++)
        for (i = 0; i < nhave && !answer; i++)
            if (snap_lineage_related(l, &have[i], &want[k]))
                answer = k == 0 ? 2 : 1;
    ids_free(have, nhave);
    ids_free(want, nwant);
    return answer;
}

static void judge_disk(struct snap_revert *r, const struct snap_lineage *l,
                       const struct snap_revert_disk *d)
{
    const struct snap_facts_disk *now = snap_facts_disk(&r->now, d->m->vdev);
    bool same_name = r->set.domain_name
                     && !strcmp(r->set.domain_name, r->p->domain_name);
    int ground;

    if (!now) {
        r->f.stranger = snap_printf("the domain has no disk '%s'",
                                    d->m->vdev);
        return;
    }
    ground = common_ground(r, l, now, d);
    if (ground == 2 || (ground == 1 && same_name)) return;
    r->f.stranger = snap_printf("its disk '%s' is on '%s', which has nothing "
                                "in common with '%s'%s", d->m->vdev,
                                now->path ? now->path : "nothing",
                                d->id.real, ground == 1 ? " but a base that "
                                "other domains may share" : "");
}

static void judge_running(struct snap_revert *r)
{
    struct snap_lineage l;
    size_t i;

    snap_lineage_read(r->sc, r->p->current_path, &l);
    for (i = 0; i < r->f.ndisks && !r->f.stranger; i++)
        judge_disk(r, &l, &r->f.disks[i]);
    snap_lineage_dispose(&l);
}

void snap_revert_judge(struct snap_revert *r)
{
    if (r->now.exists)
        judge_running(r);
    else if (r->set.domain_name
             && strcmp(r->set.domain_name, r->p->domain_name))
        r->f.stranger = snap_printf("it was made of a domain called '%s', "
                                    "and no domain '%s' runs whose disks "
                                    "could be compared", r->set.domain_name,
                                    r->p->domain_name);
}
