/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The images themselves, one for each file: what it is, what is in it, what it
 * stands on.  That one cannot be read is a fact about it, no failure.
 */
#include <string.h>

#include "op/inventory.h"

#define MAX_IMAGES 10000

/* The error of a look becomes a fact, unless we are to end. */
static int take_reason(struct snap_reader *r, int rc, char **reason)
{
    if (r->sc->cancelled) return rc;
    *reason = snap_strdup(r->sc->message ? r->sc->message : "?");
    snap_clear(r->sc);
    return 0;
}

/* Not of any file: of a path where none is. */
static struct snap_fs_id id_of_nothing(const char *path)
{
    struct snap_fs_id id = { .dev = UINT64_C(14695981039346656037),
                             .ino = 1, .block = true };

    for (; *path; path++)
        id.dev = (id.dev ^ (unsigned char)*path) * UINT64_C(1099511628211);
    return id;
}

static int look_at_file(struct snap_reader *r, const char *path,
                        struct snap_inventory_image *im)
{
    struct snap_fs_id id;
    struct stat st;
    bool have;
    int rc;

    if (stat(path, &st))
        return snap_fail_errno(r->sc, errno, "cannot look at '%s'", path);
    rc = snap_fs_identify(r->sc, path, &id);
    if (!rc) rc = snap_fs_get_immutable(r->sc, path, &im->immutable, &have);
    if (!rc && (id.block ? st.st_rdev : st.st_ino) != (id.block ? id.dev
                                                                : id.ino))
        rc = snap_fail(r->sc, ERROR_FAIL, "'%s' was replaced meanwhile", path);
    im->links = id.block ? 1 : st.st_nlink;
    im->size_bytes = (uint64_t)st.st_blocks * 512;
    im->virtual_size_bytes = id.size_bytes;
    im->mtime_ns = id.mtime_ns;
    im->path = id.real;
    return rc;
}

static int new_image(struct snap_reader *r, const char *path,
                     const struct snap_fs_id *id, bool there, size_t *at)
{
    struct snap_inventory *inv = r->inv;
    struct snap_inventory_image *im;
    int rc = 0;

    if (inv->nimages == MAX_IMAGES)
        return snap_fail(r->sc, ERROR_FAIL, "there are more than %d images: "
                         "too many to look at", MAX_IMAGES);
    inv->images = snap_grown(inv->images, inv->nimages, sizeof(*inv->images));
    *at = inv->nimages++;
    im = &inv->images[*at];
    *im = (struct snap_inventory_image){
        .gone = !there, .below = SNAP_INVENTORY_NONE,
        .dev = there ? id->dev : 0, .ino = there ? id->ino : 0,
        .block = there && id->block,
    };
    snap_id_map_put(&r->images, id, *at);
    if (there) rc = look_at_file(r, path, im);
    if (rc) rc = take_reason(r, rc, &im->unread);
    if (!im->path) im->path = snap_strdup(path);
    return rc;
}

int snap_reader_add(struct snap_reader *r, const char *path,
                    const char *format, const char *vdev, size_t *at)
{
    struct snap_inventory_image *im;
    struct snap_fs_id id;
    bool there;
    int rc = snap_fs_find(r->sc, path, &id, &there);

    if (rc) return rc;
    if (!there) id = id_of_nothing(path);
    *at = snap_id_map_get(&r->images, &id);
    if (*at == SNAP_ID_MAP_NONE) rc = new_image(r, path, &id, there, at);
    if (rc) return rc;
    im = &r->inv->images[*at];
    if (!im->format) im->format = snap_strdup(format);
    if (!im->vdev) im->vdev = snap_strdup(vdev);
    return 0;
}

/* ---- what is in it ----------------------------------------------- */

/* The tags move over. */
static void take_tags(struct snap_inventory_image *im, struct snap_image *from)
{
    size_t i;

    im->tags = snap_zalloc((from->ntags + 1) * sizeof(*im->tags));
    for (i = 0; i < from->ntags; i++) {
        struct snap_image_tag *t = &from->tags[i];

        im->tags[i] = (struct snap_inventory_tag){
            .name = t->name, .id = t->id,
            .vm_state_bytes = t->vm_state_bytes, .date_sec = t->date_sec,
            .snapshot = SNAP_INVENTORY_NONE,
        };
        t->name = t->id = NULL;
    }
    im->ntags = from->ntags;
}

static int take_backing(struct snap_reader *r, size_t at,
                        const struct snap_image *from)
{
    struct snap_inventory_image *im = &r->inv->images[at];
    AUTO_FREE char *vdev = snap_strdup(im->vdev);
    size_t below;
    int rc;

    if (!from->backing) return 0;
    if (!from->backing_format)
        im->unread = snap_strdup("its header does not say which format its "
                                 "backing file has");
    rc = snap_reader_add(r, from->backing, from->backing_format, vdev, &below);
    if (!rc) r->inv->images[at].below = below;  /* they may have moved */
    return rc;
}

static int look_into(struct snap_reader *r, size_t at)
{
    struct snap_inventory_image *im = &r->inv->images[at];
    struct snap_image info;
    int rc;

    if (im->gone || im->unread) return 0;
    if (!im->format) im->virtual_size_bytes = 0;
    if (!im->format || !strcmp(im->format, "raw")) return 0;
    rc = snap_image_info(r->sc, im->path, im->format, &info);
    if (rc) return take_reason(r, rc, &im->unread);
    im->virtual_size_bytes = info.virtual_size_bytes;
    take_tags(im, &info);
    rc = take_backing(r, at, &info);
    snap_image_dispose(&info);
    return rc;
}

int snap_reader_look(struct snap_reader *r, size_t from)
{
    int rc = 0;

    for (; !rc && from < r->inv->nimages; from++) rc = look_into(r, from);
    return rc;
}
