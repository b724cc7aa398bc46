/* SPDX-License-Identifier: LGPL-2.1-only */
/* What a snapshot takes on the disk.  See space.h. */
#include "space.h"

#include <string.h>

#include "inventory.h"
#include "plan/inventory.h"

/* What the files in its directory take. */
static uint64_t directory_bytes(const struct xl_images *im,
                                const char *directory)
{
    size_t i, k;

    for (i = 0; i < im->paths.len; i++)
        for (k = 0; k < im->dirs[i].len; k++) {
            const struct xl_entry *e = &im->dirs[i].data[k];

            if (!e->broken && !strcmp(e->set.directory, directory))
                return e->size_bytes;
        }
    return 0;
}

static size_t number_of(const libxl_snapshot_inventory *inv,
                        const char *directory)
{
    size_t i;

    for (i = 0; directory && i < inv->nsnapshots; i++)
        if (inv->snapshots[i].own
            && !strcmp(inv->snapshots[i].directory, directory))
            return i;
    return SNAP_INVENTORY_NONE;
}

static struct xl_space count(const struct xl_request *rq,
                             const struct xl_images *im,
                             const char *directory)
{
    size_t at = number_of(&im->inv, directory);
    struct snap_inventory_space s;
    uint64_t own;

    if (at == SNAP_INVENTORY_NONE)
        return (struct xl_space){ .unknown = snap_strdup(
            "it is not one of the domain's in the store") };
    if (im->broken)
        return (struct xl_space){ .unknown = snap_printf(
            "another snapshot may need its images: %s", im->broken) };
    s = snap_inventory_space(&im->inv, at);
    own = directory_bytes(im, directory);
    if (s.exclusive_bytes) xl_images_notes(rq, im);
    return (struct xl_space){
        .exclusive_bytes = own + s.exclusive_bytes,
        .shared_bytes = s.shared_bytes, .reclaimable_bytes = own,
        .unsized_tags = s.ntags, .gone_images = s.ngone,
    };
}

struct xl_space xl_space_of(const struct xl_request *rq, const char *domain,
                            const char *directory)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct xl_images im = { .dirs = NULL };
    struct xl_space out;

    if (xl_images_read(&sc, rq->store, domain, &im))
        out = (struct xl_space){ .unknown = snap_strdup(sc.message) };
    else
        out = count(rq, &im, directory);
    xl_images_dispose(&im);
    snap_ctx_dispose(&sc);
    return out;
}
