/* SPDX-License-Identifier: LGPL-2.1-only */
/* Owner and mode of what holds secrets. See private.h. */
#include "host/private.h"

#include <errno.h>
#include <fcntl.h>

static int check_kind(struct snap_ctx *sc, const char *path,
                      const struct stat *st)
{
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
        return snap_fail(sc, ERROR_INVAL, "'%s' is neither a file nor a "
                         "directory, and has no place there", path);
    if (st->st_uid != geteuid())
        return snap_fail(sc, ERROR_INVAL, "'%s' belongs to user %u, who could "
                         "change it: `chown root` it, if it is to be trusted",
                         path, (unsigned)st->st_uid);
    return 0;
}

static bool others_may(const struct stat *st)
{
    return st->st_mode & 077;
}

int snap_private_check(struct snap_ctx *sc, const char *path,
                       const struct stat *st)
{
    int rc = check_kind(sc, path, st);

    if (rc || !others_may(st)) return rc;
    return snap_fail(sc, ERROR_INVAL, "'%s' is open to others (mode %04o): "
                     "`chmod go=` it", path, st->st_mode & 07777);
}

bool snap_private_is_open(const struct stat *st)
{
    return (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))
           && st->st_uid == geteuid() && others_may(st);
}

int snap_private_make(struct snap_ctx *sc, const char *path)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW
                             | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    int rc;

    if (fd < 0 || fstat(fd, &st))
        return snap_fail_errno(sc, errno, "cannot look at '%s'", path);
    rc = check_kind(sc, path, &st);
    if (rc) return rc;
    if (fchmod(fd, st.st_mode & 0700) || fsync(fd))
        return snap_fail_errno(sc, errno, "cannot take '%s' from others",
                               path);
    return 0;
}
