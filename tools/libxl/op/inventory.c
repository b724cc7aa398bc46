/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The inventory of images: what manifests and domains name, what is below
 * that, and what is beside it.  It only reads.  Where Xen cannot be asked (no
 * Xen, not root) it says so and goes by the manifests.
 */
#include <errno.h>
#include <string.h>

#include "host/claims.h"
#include "host/inuse.h"
#include "op/inventory.h"
#include "plan/inventory.h"

/* ---- what manifests name ----------------------------------------- */

static void add_snapshots(struct snap_reader *r)
{
    const libxl_snapshot_images_params *p = r->p;
    struct snap_inventory *inv = r->inv;
    size_t i, n = p->nown + p->nothers;

    inv->snapshots = snap_zalloc((n + 1) * sizeof(*inv->snapshots));
    for (i = 0; i < n; i++) {
        bool own = i < p->nown;
        const libxl_snapshot_set *s = own ? &p->own[i]
                                          : &p->others[i - p->nown];

        inv->snapshots[inv->nsnapshots++] = (struct snap_inventory_snapshot){
            .m = &s->manifest, .directory = s->directory, .own = own,
        };
    }
}

static void add_link(struct snap_inventory *inv, size_t snapshot,
                     const struct snap_manifest_disk *d, size_t image,
                     size_t overlay)
{
    inv->links = snap_grown(inv->links, inv->nlinks, sizeof(*inv->links));
    inv->links[inv->nlinks++] = (struct snap_inventory_link){
        .snapshot = snapshot, .disk = d, .image = image, .overlay = overlay,
    };
}

/* An overlay that is gone is nobody's loss. */
static int add_overlay(struct snap_reader *r, const char *path,
                       const char *vdev, size_t *at)
{
    struct snap_fs_id id;
    bool there = false;
    int rc = path ? snap_fs_find(r->sc, path, &id, &there) : 0;

    *at = SNAP_INVENTORY_NONE;
    return rc || !there ? rc : snap_reader_add(r, path, "qcow2", vdev, at);
}

static int add_own(struct snap_reader *r, size_t snapshot)
{
    const struct snap_manifest *m = r->inv->snapshots[snapshot].m;
    size_t i, image, overlay;
    int rc = 0;

    for (i = 0; !rc && i < m->ndisks; i++) {
        const struct snap_manifest_disk *d = &m->disks[i];

        if (!d->image) continue;        /* of a hand-written set */
        rc = snap_reader_add(r, d->image, d->format, d->vdev, &image);
        if (!rc) rc = add_overlay(r, d->overlay, d->vdev, &overlay);
        if (!rc) add_link(r->inv, snapshot, d, image, overlay);
    }
    return rc;
}

/* The number of an image, if it is one of them.  One that is only beside them
 * is noted as somebody's. */
static size_t named(struct snap_reader *r, const struct snap_fs_id *id)
{
    size_t near = snap_id_map_get(&r->near, id);

    if (near != SNAP_ID_MAP_NONE) r->nears[near].named = true;
    return snap_id_map_get(&r->images, id);
}

static int find_named(struct snap_reader *r, const char *path, size_t *at)
{
    struct snap_fs_id id;
    bool there = false;
    int rc = path ? snap_fs_find(r->sc, path, &id, &there) : 0;

    *at = there ? named(r, &id) : SNAP_INVENTORY_NONE;
    return rc;
}

/* The snapshots of others count where they have images of ours. */
static int link_other(struct snap_reader *r, size_t snapshot)
{
    const struct snap_manifest *m = r->inv->snapshots[snapshot].m;
    size_t i, image, overlay;
    int rc = 0;

    for (i = 0; !rc && i < m->ndisks; i++) {
        const struct snap_manifest_disk *d = &m->disks[i];

        rc = find_named(r, d->image, &image);
        if (!rc) rc = find_named(r, d->overlay, &overlay);
        if (!rc && (image != SNAP_INVENTORY_NONE
                    || overlay != SNAP_INVENTORY_NONE))
            add_link(r->inv, snapshot, d, image, overlay);
    }
    return rc;
}

/* ---- what domains have ------------------------------------------- */

static bool is_own(const struct snap_reader *r, const struct snap_claim *c)
{
    return r->p->domain_name && !strcmp(c->domain, r->p->domain_name);
}

static int ask_xen(struct snap_reader *r)
{
    AUTO_XEN struct snap_xen *x = NULL;
    uint32_t domid;
    int rc = snap_xen_open(r->sc, &x);

    if (rc) {
        r->inv->no_domains = snap_strdup(r->sc->message);
        snap_clear(r->sc);
        return 0;
    }
    rc = snap_xen_claims(x, &r->claims);
    if (rc || !r->p->domain_name) return rc;
    rc = snap_xen_by_name(x, r->p->domain_name, &domid);
    r->inv->running = !rc;
    return rc == ERROR_DOMAIN_NOTFOUND ? 0 : rc;
}

static int add_own_disks(struct snap_reader *r)
{
    size_t i, at;
    int rc = 0;

    for (i = 0; !rc && i < r->claims.len; i++) {
        const struct snap_claim *c = &r->claims.data[i];

        if (is_own(r, c))
            rc = snap_reader_add(r, c->path, c->qcow2 ? "qcow2" : NULL,
                                 c->vdev, &at);
    }
    return rc;
}

static int mark_layers(struct snap_reader *r, const struct snap_claim *c)
{
    struct snap_strings layers = { 0 };
    size_t i, at;
    int rc = snap_dependents_layers(r->sc, c->path, &layers);

    for (i = 0; !rc && i < layers.len; i++) {
        rc = find_named(r, layers.data[i], &at);
        if (at != SNAP_INVENTORY_NONE) r->inv->images[at].claimed = true;
    }
    snap_strings_dispose(&layers);
    return rc;
}

static int mark_claim(struct snap_reader *r, const struct snap_claim *c)
{
    struct snap_inventory_image *im;
    struct snap_fs_id id;
    bool there;
    size_t at;
    int rc = snap_fs_find(r->sc, c->path, &id, &there);

    if (rc || !there) return rc;
    at = named(r, &id);
    if (at != SNAP_INVENTORY_NONE) {
        im = &r->inv->images[at];
        im->claimed = true;
        im->own |= is_own(r, c);
        if (!snap_strings_have(&im->domains, c->domain))
            snap_strings_add(&im->domains, c->domain);
    }
    return c->qcow2 ? mark_layers(r, c) : 0;
}

/* ---- who has what looks abandoned open --------------------------- */

static int look_for_users(struct snap_reader *r)
{
    struct snap_inventory *inv = r->inv;
    struct snap_fs_id *ids = snap_zalloc((inv->nimages + 1) * sizeof(*ids));
    size_t *numbers = snap_zalloc((inv->nimages + 1) * sizeof(*numbers));
    struct snap_inuse use = { 0 };
    int rc = 0, self = getpid();
    size_t i, n = 0;

    for (i = 0; i < inv->nimages; i++) {
        const struct snap_inventory_image *im = &inv->images[i];

        if (im->use != SNAP_USE_ABANDONED) continue;
        ids[n] = (struct snap_fs_id){ .dev = im->dev, .ino = im->ino,
                                      .block = im->block, .real = im->path };
        numbers[n++] = i;
    }
    if (n) rc = snap_inuse_scan(r->sc, ids, n, &self, 1, &use);
    for (i = 0; !rc && i < use.len; i++) {
        char **user = &inv->images[numbers[use.data[i].image]].user;

        if (!*user) *user = snap_strdup(use.data[i].text);
    }
    snap_inuse_dispose(&use);
    free(numbers);
    free(ids);
    return rc;
}

/* ---- all of it --------------------------------------------------- */

static int read_inventory(struct snap_reader *r)
{
    size_t i;
    int rc;

    add_snapshots(r);
    rc = ask_xen(r);
    if (!rc) rc = add_own_disks(r);
    for (i = 0; !rc && i < r->p->nown; i++) rc = add_own(r, i);
    if (!rc) rc = snap_reader_look(r, 0);
    if (!rc) rc = snap_reader_near(r);
    for (i = r->p->nown; !rc && i < r->inv->nsnapshots; i++)
        rc = link_other(r, i);
    for (i = 0; !rc && i < r->claims.len; i++)
        rc = mark_claim(r, &r->claims.data[i]);
    if (rc) return rc;
    snap_reader_foreign(r);
    snap_inventory_judge(r->inv);
    rc = look_for_users(r);
    snap_inventory_judge(r->inv);
    return rc;
}

void libxl_snapshot_inventory_dispose(libxl_snapshot_inventory *inventory)
{
    snap_inventory_dispose(inventory);
}

static void reader_dispose(struct snap_reader *r)
{
    size_t i;

    for (i = 0; i < r->nnears; i++) free(r->nears[i].path);
    free(r->nears);
    snap_claims_dispose(&r->claims);
    snap_id_map_dispose(&r->images);
    snap_id_map_dispose(&r->near);
    snap_id_map_dispose(&r->dirs);
}

int snap_op_images(struct snap_ctx *sc, const libxl_snapshot_images_params *p,
                   struct snap_inventory *out)
{
    struct snap_reader r = { .sc = sc, .p = p, .inv = out };
    int rc;

    *out = (struct snap_inventory){ .domain = snap_strdup(p->domain_name) };
    rc = read_inventory(&r);
    reader_dispose(&r);
    if (rc) snap_inventory_dispose(out);
    return rc;
}

int libxl_snapshot_images(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_images_params *params,
                          libxl_snapshot_inventory *out)
{
    int rc;

    snap_op_begin(ctx, NULL);
    rc = snap_op_images(ctx, params, out);
    if (!rc) ctx->outcome = LIBXL_SNAPSHOT_DONE;
    return rc;
}
