/* SPDX-License-Identifier: LGPL-2.1-only */
/* Removing an image. */
#include "host/discard.h"

#include <errno.h>
#include <fcntl.h>

#include "host/place.h"

static bool is_it(const struct stat *st, const struct snap_fs_id *id)
{
    return S_ISREG(st->st_mode) && !id->block && st->st_dev == id->dev
        && st->st_ino == id->ino && (uint64_t)st->st_size == id->size_bytes
        && st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec
           == id->mtime_ns;
}

int snap_discard(struct snap_ctx *sc, const char *path,
                 const struct snap_fs_id *id, bool *gone)
{
    AUTO_PLACE struct snap_place at = PLACE_INIT;
    struct stat st;
    int rc = snap_place_enter(sc, path, &at);

    *gone = false;
    if (rc) return rc;
    if (fstatat(at.dir, at.name, &st, AT_SYMLINK_NOFOLLOW))
        return snap_fail_errno(sc, errno, "cannot look at '%s'", path);
    if (!is_it(&st, id))
        return snap_fail(sc, ERROR_INVAL, "'%s' was written or replaced since "
                         "it was looked at", path);
    if (st.st_nlink != 1)
        return snap_fail(sc, ERROR_INVAL, "'%s' has another name, too (a hard "
                         "link)", path);
    if (unlinkat(at.dir, at.name, 0))
        return snap_fail_errno(sc, errno, "cannot remove '%s'", path);
    *gone = true;
    return snap_place_sync(sc, &at, path);
}
