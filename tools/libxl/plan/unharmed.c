/* SPDX-License-Identifier: LGPL-2.1-only */
/* See unharmed.h. */
#include "plan/unharmed.h"

#include <string.h>

int snap_check_tag(struct snap_ctx *sc, const struct snap_manifest_disk *m,
                   const char *real, const struct snap_image *image)
{
    const struct snap_image_tag *tag = snap_image_find_tag(image, m->tag);
    size_t i, n = 0;

    if (!tag)
        return snap_fail(sc, ERROR_NOTFOUND, "disk '%s': '%s' holds no "
                         "snapshot '%s' any more", m->vdev, real, m->tag);
    for (i = 0; i < image->ntags; i++)
        if (!strcmp(image->tags[i].name, m->tag)) n++;
    if (n > 1)
        return snap_fail(sc, ERROR_INVAL, "disk '%s': '%s' holds %zu "
                         "snapshots called '%s': nobody can tell which is "
                         "meant; rename or delete the others", m->vdev, real,
                         n, m->tag);
    if (m->tag_id && strcmp(m->tag_id, tag->id))
        return snap_fail(sc, ERROR_INVAL, "disk '%s': the snapshot '%s' in "
                         "'%s' is not the one that was made then (id %s, "
                         "was %s)", m->vdev, m->tag, real, tag->id,
                         m->tag_id);
    return 0;
}

int snap_check_base(struct snap_ctx *sc, const struct snap_manifest_disk *m,
                    const struct snap_fs_id *id)
{
    /* A hand-written set knows no size or time. */
    if (!m->mtime_ns) return 0;
    if (m->size_bytes == id->size_bytes
        && (id->block || m->mtime_ns == id->mtime_ns))
        return 0;
    return snap_fail(sc, ERROR_INVAL, "disk '%s': the frozen base '%s' was "
                     "written to since the snapshot: its contents do not fit "
                     "the memory any more; put a copy from then (cp -a) in its "
                     "place, if there is one", m->vdev, id->real);
}
