/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The locks of the images that a command works on, one file each in the
 * directory of the locks, named after the image's numbers.
 */
#include "host/image_locks.h"

#include "host/fs.h"

static struct snap_image_lock *find(struct snap_image_locks *l,
                                    const struct snap_fs_id *id)
{
    size_t i;

    for (i = 0; i < l->len; i++)
        if (l->data[i].dev == id->dev && l->data[i].ino == id->ino)
            return &l->data[i];
    return NULL;
}

void snap_image_locks_want(struct snap_image_locks *l, const char *path,
                           bool alone)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    struct snap_image_lock *one;
    struct snap_fs_id id;
    int rc = snap_fs_identify(&quiet, path, &id);

    snap_ctx_dispose(&quiet);
    if (rc) return;
    one = find(l, &id);
    if (one) {
        /* Held together with others is not enough any more. */
        if (alone && !one->alone) snap_lock_drop(&one->lock);
        one->alone |= alone;
        free(id.real);
        return;
    }
    l->data = snap_realloc(l->data, (l->len + 1) * sizeof(*l->data));
    one = &l->data[l->len++];
    *one = (struct snap_image_lock){
        .dev = id.dev, .ino = id.ino, .path = id.real, .alone = alone,
        .lock.fd = -1,
    };
}

void snap_image_locks_want_chain(struct snap_image_locks *l,
                                 const struct snap_chain *chain, bool alone)
{
    size_t i;

    for (i = 0; i < chain->len; i++)
        snap_image_locks_want(l, chain->data[i].path, alone && !i);
}

static int by_number(const void *x, const void *y)
{
    const struct snap_image_lock *a = x, *b = y;

    if (a->dev != b->dev) return a->dev < b->dev ? -1 : 1;
    return a->ino < b->ino ? -1 : a->ino > b->ino;
}

int snap_image_locks_take(struct snap_ctx *sc, struct snap_image_locks *l,
                          int timeout_ms, bool *waited)
{
    size_t i;
    int rc;

    if (l->len) qsort(l->data, l->len, sizeof(*l->data), by_number);
    for (i = 0; i < l->len; i++) {
        struct snap_image_lock *one = &l->data[i];
        AUTO_FREE char *path = NULL;
        AUTO_FREE char *what = NULL;

        if (one->lock.fd >= 0) continue;
        path = snap_printf("%s/image-%llx-%llx" SNAP_LOCK_SUFFIX,
                           SNAP_LOCK_DIR, (unsigned long long)one->dev,
                           (unsigned long long)one->ino);
        what = snap_printf("image '%s'", one->path);
        rc = snap_lock_take(sc, path, !one->alone, timeout_ms, what,
                            &one->lock, waited);
        if (rc) return rc;
    }
    return 0;
}

void snap_image_locks_drop(struct snap_image_locks *l)
{
    size_t i;

    for (i = 0; i < l->len; i++) {
        snap_lock_drop(&l->data[i].lock);
        free(l->data[i].path);
    }
    free(l->data);
    *l = (struct snap_image_locks){ 0 };
}
