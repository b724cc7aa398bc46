/* SPDX-License-Identifier: LGPL-2.1-only */
/* Numbers by file. */
#include "host/idmap.h"

#include <string.h>

#define FIRST_CAP 64

/* The file's place, or the free one where it belongs. */
static struct snap_id_slot *seek(const struct snap_id_map *m,
                                 const struct snap_fs_id *id)
{
    uint64_t at = (id->dev * 31 + id->ino) * UINT64_C(0x9e3779b97f4a7c15);

    for (at ^= at >> 32;; at++) {
        struct snap_id_slot *s = &m->slots[at & (m->cap - 1)];

        if (!s->used || (s->dev == id->dev && s->ino == id->ino
                         && s->block == id->block))
            return s;
    }
}

size_t snap_id_map_get(const struct snap_id_map *m,
                       const struct snap_fs_id *id)
{
    const struct snap_id_slot *s = m->cap ? seek(m, id) : NULL;

    return s && s->used ? s->number : SNAP_ID_MAP_NONE;
}

static void grow(struct snap_id_map *m)
{
    struct snap_id_map old = *m;
    size_t i;

    m->cap = old.cap ? 2 * old.cap : FIRST_CAP;
    m->slots = snap_zalloc(m->cap * sizeof(*m->slots));
    for (i = 0; i < old.cap; i++) {
        const struct snap_id_slot *s = &old.slots[i];
        struct snap_fs_id id = { .dev = s->dev, .ino = s->ino,
                                 .block = s->block };

        if (s->used) *seek(m, &id) = *s;
    }
    free(old.slots);
}

void snap_id_map_put(struct snap_id_map *m, const struct snap_fs_id *id,
                     size_t number)
{
    struct snap_id_slot *s;

    if (2 * (m->len + 1) > m->cap) grow(m);
    s = seek(m, id);
    if (s->used) return;
    *s = (struct snap_id_slot){ .dev = id->dev, .ino = id->ino,
                                .block = id->block, .used = true,
                                .number = number };
    m->len++;
}

void snap_id_map_dispose(struct snap_id_map *m)
{
    free(m->slots);
    *m = (struct snap_id_map){ .slots = NULL };
}
