/* SPDX-License-Identifier: LGPL-2.1-only */
/* See merge.h. */
#include "plan/merge.h"

#include <string.h>

/* Why neither way could be gone, by what they are; NULL: nothing is against
 * it. */
static const char *why_unfit(const struct snap_image *im)
{
    if (im->encrypted) return "is encrypted";
    if (im->corrupt) return "is marked corrupt";
    if (im->data_file) return "has its data in another file";
    if (im->bitmaps.len) return "has dirty bitmaps, which would be lost";
    if (strcmp(im->format, "qcow2") && strcmp(im->format, "raw"))
        return "is neither qcow2 nor raw";
    return NULL;
}

static char *why_kept(const struct snap_merge_facts *f)
{
    const struct snap_strings *c = f->children;
    const struct snap_image *const both[] = { f->base, f->child };
    size_t i;

    if (f->base_needed) return snap_printf("%s needs it", f->base_needed);
    if (!c->len) return snap_strdup("nothing that is known stands on it any "
                                    "more");
    if (c->len > 1)
        return snap_printf("%zu images stand on it, '%s' and '%s'%s", c->len,
                           c->data[0], c->data[1],
                           c->len > 2 ? " among them" : "");
    if (f->block) return snap_printf("'%s' stands on it, and what is on a "
                                     "block device is not merged", c->data[0]);
    if (f->linked)
        return snap_printf("it or '%s', which stands on it, has another name, "
                           "too (a hard link)", c->data[0]);
    if (f->in_use) return snap_strdup(f->in_use);
    if (f->base_changed)
        return snap_printf("it was written to since the snapshot, so '%s', "
                           "which stands on it, does not fit it any more",
                           c->data[0]);
    if (f->child_changed) return snap_strdup(f->child_changed);
    if (!f->child_is_made)
        return snap_printf("'%s', which stands on it, is not known to be of a "
                           "snapshot", c->data[0]);
    for (i = 0; i < 2; i++)
        if (why_unfit(both[i]))
            return snap_printf("'%s' %s", both[i]->path, why_unfit(both[i]));
    if (f->child->virtual_size_bytes != f->base->virtual_size_bytes)
        return snap_printf("'%s', which stands on it, has another size",
                           f->child->path);
    /* A tag reads what it has not from below, like the image. */
    if (f->child->ntags)
        return snap_printf("'%s', which stands on it, holds internal "
                           "snapshots", f->child->path);
    return NULL;
}

/* The base goes then. To copy one that has to stay would only cost space. */
static bool can_go_up(const struct snap_merge_facts *f)
{
    return f->base_is_made && f->below && !f->base->ntags
           && f->below->virtual_size_bytes == f->base->virtual_size_bytes
           && (!strcmp(f->below->format, "qcow2")
               || !strcmp(f->below->format, "raw"));
}

void snap_plan_merge(const struct snap_merge_facts *f, struct snap_merge *out)
{
    bool up;

    *out = (struct snap_merge){ .why = why_kept(f) };
    if (out->why) return;
    up = can_go_up(f);
    if (!up && f->child_needed) {
        out->why = snap_printf("it %s, and '%s', which stands on it, is needed "
                               "by %s", f->base->ntags
                               ? "holds internal snapshots"
                               : "may have been there before the first "
                                 "snapshot", f->child->path, f->child_needed);
        return;
    }
    if (up && (f->child_needed || f->base->actual_size_bytes
                                  < f->child->actual_size_bytes)) {
        out->way = SNAP_MERGE_UP;
        out->bytes = f->base->actual_size_bytes;
    } else {
        out->way = SNAP_MERGE_DOWN;
        out->bytes = f->child->actual_size_bytes;
    }
}
