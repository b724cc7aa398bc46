/* SPDX-License-Identifier: LGPL-2.1-only */
/* Reading and writing the `current` file's memory of copies. */
#include "host/lineage.h"

#include <stdio.h>
#include <string.h>

#define CURRENT_MAX_BYTES 65536

void snap_lineage_dispose(struct snap_lineage *l)
{
    free(l->data);
    memset(l, 0, sizeof(*l));
}

static void add_pair(struct snap_lineage *l, struct snap_lineage_pair p)
{
    /* The oldest is forgotten first. */
    if (l->len == SNAP_LINEAGE_MAX) {
        memmove(l->data, l->data + 1, (l->len - 1) * sizeof(*l->data));
        l->len--;
    }
    l->data = snap_realloc(l->data, (l->len + 1) * sizeof(*l->data));
    l->data[l->len++] = p;
}

void snap_lineage_add(struct snap_lineage *l, const struct snap_fs_id *copy,
                      const struct snap_fs_id *of)
{
    add_pair(l, (struct snap_lineage_pair) {
        copy->dev, copy->ino, of->dev, of->ino,
    });
}

char *snap_lineage_name(const char *current_path)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    char *text = NULL;
    size_t len;
    int rc = snap_fs_read(&quiet, current_path, true, CURRENT_MAX_BYTES,
                          &text, &len);

    snap_ctx_dispose(&quiet);
    if (rc) return NULL;
    text[strcspn(text, "\n")] = '\0';
    return text;
}

void snap_lineage_read(struct snap_ctx *sc, const char *current_path,
                       struct snap_lineage *out)
{
    AUTO_FREE char *bytes = NULL;
    char *line, *save = NULL;
    size_t len;
    bool clean = !sc->message;

    memset(out, 0, sizeof(*out));
    if (!current_path || access(current_path, F_OK)) return;
    if (snap_fs_read(sc, current_path, true, CURRENT_MAX_BYTES, &bytes,
                     &len)) {
        if (clean) snap_clear(sc);
        return;
    }
    for (line = strtok_r(bytes, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        unsigned long long v[4];

        if (sscanf(line, "copy %llu %llu of %llu %llu", &v[0], &v[1], &v[2],
                   &v[3]) == 4)
            add_pair(out, (struct snap_lineage_pair) {
                v[0], v[1], v[2], v[3],
            });
    }
}

static bool reached(const struct snap_lineage *l, bool *have, uint64_t dev,
                    uint64_t ino)
{
    size_t i;
    bool grown = false;

    for (i = 0; i < l->len; i++) {
        const struct snap_lineage_pair *p = &l->data[i];

        if (have[i]) continue;
        if ((p->dev == dev && p->ino == ino)
            || (p->of_dev == dev && p->of_ino == ino))
            have[i] = grown = true;
    }
    return grown;
}

bool snap_lineage_related(const struct snap_lineage *l,
                          const struct snap_fs_id *a,
                          const struct snap_fs_id *b)
{
    bool have[SNAP_LINEAGE_MAX] = { false };
    bool grown;
    size_t i;

    if (snap_fs_same(a, b)) return true;
    grown = reached(l, have, a->dev, a->ino);
    while (grown) {
        grown = false;
        for (i = 0; i < l->len; i++) {
            if (!have[i]) continue;
            grown |= reached(l, have, l->data[i].dev, l->data[i].ino);
            grown |= reached(l, have, l->data[i].of_dev,
                             l->data[i].of_ino);
        }
    }
    for (i = 0; i < l->len; i++)
        if (have[i] && ((l->data[i].dev == b->dev && l->data[i].ino == b->ino)
                        || (l->data[i].of_dev == b->dev
                            && l->data[i].of_ino == b->ino)))
            return true;
    return false;
}

char *snap_lineage_text(const struct snap_lineage *l, const char *name)
{
    struct snap_text t = { 0 };
    size_t i;

    snap_text_add(&t, "%s\n", name);
    for (i = 0; i < l->len; i++)
        snap_text_add(&t, "copy %llu %llu of %llu %llu\n",
                      (unsigned long long)l->data[i].dev,
                      (unsigned long long)l->data[i].ino,
                      (unsigned long long)l->data[i].of_dev,
                      (unsigned long long)l->data[i].of_ino);
    return t.data;
}
