/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The qcow2 files beside the images: those that stand on one of them, whatever
 * is in between, are images, too; of the others nothing but the size is told.
 * Each directory is read once, and of each file the header.  A guest can write
 * such a header into a raw disk: what is found here is shown, but is not known
 * to be a qcow2 as what manifests and domains name is.
 */
#include <string.h>

#include "host/place.h"
#include "op/inventory.h"

static int add_near(struct snap_reader *r, struct snap_qcow2_file *f)
{
    struct snap_near n = { .state = NEAR_NEW };
    bool there;
    int rc = snap_fs_find(r->sc, f->path, &n.id, &there);

    if (rc || !there) return rc;
    if (f->backing)
        rc = snap_fs_find(r->sc, f->backing, &n.base, &n.has_base);
    if (rc || snap_id_map_get(&r->near, &n.id) != SNAP_ID_MAP_NONE) return rc;
    r->nears = snap_grown(r->nears, r->nnears, sizeof(*r->nears));
    n.path = f->path;
    f->path = NULL;
    snap_id_map_put(&r->near, &n.id, r->nnears);
    r->nears[r->nnears++] = n;
    return 0;
}

/* Beside a block device are other devices. */
static int look_beside(struct snap_reader *r,
                       const struct snap_inventory_image *im)
{
    AUTO_FREE char *dir = snap_path_parent_of(im->path);
    struct snap_qcow2_files files = { 0 };
    struct snap_fs_id id;
    bool there;
    size_t i;
    int rc;

    if (im->block || im->gone) return 0;
    rc = snap_fs_find(r->sc, dir, &id, &there);
    if (rc || snap_id_map_get(&r->dirs, &id) != SNAP_ID_MAP_NONE) return rc;
    snap_id_map_put(&r->dirs, &id, 0);
    rc = snap_dependents_list(r->sc, dir, &files);
    for (i = 0; !rc && i < files.len; i++) rc = add_near(r, &files.data[i]);
    snap_qcow2_files_dispose(&files);
    return rc;
}

/* Does this stand on one of the images?  Whoever is met on the way down stands
 * where this does. */
static void relate(struct snap_reader *r, size_t from)
{
    size_t at = from;
    int state = NEAR_OTHER;

    while (at != SNAP_ID_MAP_NONE && r->nears[at].state == NEAR_NEW) {
        struct snap_near *n = &r->nears[at];

        n->state = NEAR_WALKED;
        at = SNAP_ID_MAP_NONE;
        if (n->has_base && snap_id_map_get(&r->images, &n->base)
                           != SNAP_ID_MAP_NONE)
            state = NEAR_OURS;
        else if (n->has_base)
            at = snap_id_map_get(&r->near, &n->base);
    }
    if (at != SNAP_ID_MAP_NONE && r->nears[at].state == NEAR_OURS)
        state = NEAR_OURS;
    for (at = from; at != SNAP_ID_MAP_NONE
                    && r->nears[at].state == NEAR_WALKED;
         at = snap_id_map_get(&r->near, &r->nears[at].base))
        r->nears[at].state = state;
}

/* What stands on the image of a disk is that disk's, too.  Each way down is
 * marked as it is walked, so the next one is short. */
static void inherit_vdevs(struct snap_inventory *inv)
{
    size_t i, k, from, left;

    for (i = 0; i < inv->nimages; i++) {
        left = inv->nimages;
        for (from = i; from != SNAP_INVENTORY_NONE && !inv->images[from].vdev
                       && left--;)
            from = inv->images[from].below;
        if (from == SNAP_INVENTORY_NONE) continue;
        for (k = i; !inv->images[k].vdev && inv->images[from].vdev;
             k = inv->images[k].below)
            inv->images[k].vdev = snap_strdup(inv->images[from].vdev);
    }
}

static int add_ours(struct snap_reader *r)
{
    size_t i, at;
    int rc = 0;

    for (i = 0; i < r->nnears; i++)
        if (r->nears[i].state == NEAR_OTHER) r->nears[i].state = NEAR_NEW;
    for (i = 0; i < r->nnears; i++) relate(r, i);
    for (i = 0; !rc && i < r->nnears; i++) {
        const struct snap_near *n = &r->nears[i];

        if (n->state == NEAR_OURS
            && snap_id_map_get(&r->images, &n->id) == SNAP_ID_MAP_NONE)
            rc = snap_reader_add(r, n->path, "qcow2", NULL, &at);
    }
    return rc;
}

int snap_reader_near(struct snap_reader *r)
{
    size_t done = 0, n, i;
    int rc = 0;

    while (!rc && done < r->inv->nimages) {
        n = r->inv->nimages;
        for (i = done; !rc && i < n; i++)
            rc = look_beside(r, &r->inv->images[i]);
        if (!rc) rc = add_ours(r);
        if (!rc) rc = snap_reader_look(r, n);
        done = n;
    }
    inherit_vdevs(r->inv);
    return rc;
}

void snap_reader_foreign(struct snap_reader *r)
{
    struct snap_inventory *inv = r->inv;
    struct stat st;
    size_t i;

    inv->foreign = snap_zalloc((r->nnears + 1) * sizeof(*inv->foreign));
    for (i = 0; i < r->nnears; i++) {
        struct snap_near *n = &r->nears[i];

        if (n->named || stat(n->path, &st)
            || snap_id_map_get(&r->images, &n->id) != SNAP_ID_MAP_NONE)
            continue;
        inv->foreign[inv->nforeign++] = (struct snap_inventory_file){
            .path = n->path, .size_bytes = (uint64_t)st.st_blocks * 512,
        };
        n->path = NULL;
    }
}
