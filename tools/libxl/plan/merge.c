/* SPDX-License-Identifier: LGPL-2.1-only */
/* See merge.h. */
#include "plan/merge.h"

#include <string.h>

static int keep(struct snap_merge *out, char *why)
{
    out->way = SNAP_MERGE_KEEP;
    out->why = why;
    return 0;
}

/* Tags would be lost with the child, and names of it would lead nowhere. */
static bool can_go_down(const struct snap_merge_facts *f)
{
    return !f->child_needed && !f->child_has_tags;
}

/* The base is removed then, and tags would be lost with it. One that was there
 * before the first snapshot is not ours to remove, and to copy it for nothing
 * would only cost space. */
static bool can_go_up(const struct snap_merge_facts *f)
{
    return f->base_is_overlay && !f->base_has_tags;
}

static bool prefers_down(const struct snap_merge_facts *f)
{
    return can_go_down(f)
           && (!can_go_up(f) || f->child_bytes <= f->base_bytes);
}

static char *why_neither(const struct snap_merge_facts *f, const char *child)
{
    return snap_printf("%s, and '%s', which stands on it, %s",
                       f->base_is_overlay ? "it holds internal snapshots"
                       : "it was there before the first snapshot", child,
                       f->child_has_tags ? "holds internal snapshots"
                                         : "is needed");
}

static int check_room(struct snap_ctx *sc, const char *into, uint64_t bytes,
                      uint64_t have)
{
    if (bytes <= have) return 0;
    return snap_fail(sc, ERROR_INVAL, "merging into '%s' may take %llu MiB, "
                     "%llu MiB are free there: make room first", into,
                     (unsigned long long)bytes >> 20,
                     (unsigned long long)have >> 20);
}

int snap_plan_merge(struct snap_ctx *sc, const struct snap_merge_facts *f,
                    struct snap_merge *out)
{
    const char *child = f->children->len ? f->children->data[0] : NULL;

    memset(out, 0, sizeof(*out));
    if (f->base_needed)
        return keep(out, snap_printf("%s needs it", f->base_needed));
    if (!child) return keep(out, snap_strdup("no image was found on it"));
    if (f->children->len > 1)
        return keep(out, snap_printf("%zu images stand on it, '%s' and '%s'%s",
                                     f->children->len, child,
                                     f->children->data[1],
                                     f->children->len > 2 ? " among them"
                                                          : ""));
    if (f->in_use)
        return keep(out, snap_printf("%s; layers are merged only when nobody "
                                     "has them open", f->in_use));
    if (prefers_down(f)) {
        out->way = SNAP_MERGE_DOWN;
        out->bytes = f->child_bytes;
        return check_room(sc, f->base, out->bytes, f->base_free);
    }
    if (!can_go_up(f)) return keep(out, why_neither(f, child));
    out->way = SNAP_MERGE_UP;
    out->bytes = f->base_bytes;
    return check_room(sc, child, out->bytes, f->child_free);
}
