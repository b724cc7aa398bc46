/* SPDX-License-Identifier: LGPL-2.1-only */
/* Looking beside an image for overlays on it. */
#include "host/dependents.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>

#include "format/qcow2.h"

#define MAX_ENTRIES 10000

/* The backing file that a file names, as an absolute path, or NULL. */
static char *backing_of(int dirfd, const char *dir, const char *name)
{
    AUTO_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK
                               | O_NOCTTY);
    unsigned char head[SNAP_QCOW2_HEAD_BYTES];
    char text[SNAP_QCOW2_MAX_BACKING + 1];
    uint64_t at;
    uint32_t len;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)
        || pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head)
        || !snap_qcow2_backing_at(head, &at, &len)
        || pread(fd, text, len, at) != (ssize_t)len)
        return NULL;
    text[len] = 0;
    return snap_qcow2_resolve(dir, text);
}

char *snap_dependents_beside(struct snap_ctx *sc, const struct snap_fs_id *id)
{
    AUTO_FREE char *copy = snap_strdup(id->real);
    const char *dir = dirname(copy);
    DIR *d = opendir(dir);
    char *found = NULL;
    struct dirent *e;
    int n = 0;

    if (!d) return NULL;
    while (!found && n++ < MAX_ENTRIES && (e = readdir(d))) {
        AUTO_FREE char *backing = NULL;
        struct snap_fs_id other;

        if (e->d_type != DT_REG && e->d_type != DT_LNK
            && e->d_type != DT_UNKNOWN)
            continue;
        backing = backing_of(dirfd(d), dir, e->d_name);
        if (!backing) continue;
        if (snap_fs_identify(sc, backing, &other)) {
            snap_clear(sc);
            continue;
        }
        if (snap_fs_same(&other, id))
            found = snap_printf("%s/%s", dir, e->d_name);
        free(other.real);
    }
    closedir(d);
    return found;
}
