/* SPDX-License-Identifier: LGPL-2.1-only */
/* Looking beside an image for overlays on it. */
#include "host/dependents.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "format/qcow2.h"

#define MAX_ENTRIES 10000
#define MAX_LAYERS 200

/* The backing name in a qcow2's header as it stands, or NULL. */
static char *backing_name(int dirfd, const char *name)
{
    AUTO_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK
                               | O_NOCTTY);
    unsigned char head[SNAP_QCOW2_HEAD_BYTES];
    char text[SNAP_QCOW2_MAX_BACKING + 1];
    uint64_t at;
    uint32_t len;
    struct stat st;

    if (fd < 0 || fstat(fd, &st)
        || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        || pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head)
        || !snap_qcow2_backing_at(head, &at, &len)
        || pread(fd, text, len, at) != (ssize_t)len)
        return NULL;
    text[len] = 0;
    return snap_strdup(text);
}

/* Does the file of this backing name stand on the image? */
static bool stands_on(const char *dir, const char *name,
                      const struct snap_fs_id *id)
{
    AUTO_FREE char *path = snap_qcow2_resolve(dir, name);
    const char *base = strrchr(id->real, '/');

    if (!path)
        return !strncmp(name, "json:", 5)
               && strstr(name, base ? base + 1 : id->real);
    return snap_fs_leads_to(path, id);
}

static bool may_be_image(const struct dirent *e)
{
    return e->d_type == DT_REG || e->d_type == DT_LNK
           || e->d_type == DT_UNKNOWN;
}

char *snap_dependents_beside(struct snap_ctx *sc, const struct snap_fs_id *id)
{
    AUTO_FREE char *copy = snap_strdup(id->real);
    const char *dir = dirname(copy);
    DIR *d = opendir(dir);
    char *found = NULL;
    struct dirent *e;
    int n = 0;

    (void)sc;
    if (!d) return errno == ENOENT ? NULL : snap_printf("%s/?", dir);
    while (!found && (e = readdir(d))) {
        AUTO_FREE char *name = NULL;

        if (++n > MAX_ENTRIES) {
            found = snap_printf("%s/?", dir);
            break;
        }
        if (!may_be_image(e)) continue;
        name = backing_name(dirfd(d), e->d_name);
        if (name && stands_on(dir, name, id))
            found = snap_printf("%s/%s", dir, e->d_name);
    }
    closedir(d);
    return found;
}

void snap_dependents_layers(const char *path, struct snap_strings *out)
{
    AUTO_FREE char *at = realpath(path, NULL);

    while (at && out->len < MAX_LAYERS) {
        AUTO_FREE char *name = backing_name(AT_FDCWD, at);
        AUTO_FREE char *copy = snap_strdup(at);
        char *below = name ? snap_qcow2_resolve(dirname(copy), name) : NULL;

        free(at);
        at = below ? realpath(below, NULL) : NULL;
        free(below);
        if (at) snap_strings_add(out, at);
    }
}
