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

/* 1 and the backing name in a qcow2's header as it stands, malloc'd; 0: there
 * is none; -1 with errno: that is not known. *qcow2: is it one? */
static int read_name(int dirfd, const char *name, bool *qcow2, char **out)
{
    AUTO_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK
                               | O_NOCTTY);
    unsigned char head[SNAP_QCOW2_HEAD_BYTES];
    char text[SNAP_QCOW2_MAX_BACKING + 1];
    uint64_t at;
    uint32_t len;
    struct stat st;
    ssize_t n;

    *qcow2 = false;
    /* A link to nothing, a socket. */
    if (fd < 0)
        return errno == ENOENT || errno == ENXIO || errno == ELOOP ? 0 : -1;
    if (fstat(fd, &st)) return -1;
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) return 0;
    n = pread(fd, head, sizeof(head), 0);
    if (n < 0) return -1;
    if (n < (ssize_t)sizeof(head)) return 0;
    *qcow2 = snap_qcow2_is(head);
    if (!snap_qcow2_backing_at(head, &at, &len)) return 0;
    n = pread(fd, text, len, at);
    if (n < 0) return -1;
    if (n < (ssize_t)len) return 0;
    text[len] = 0;
    *out = snap_strdup(text);
    return 1;
}

static int backing_name(int dirfd, const char *name, char **out)
{
    bool qcow2;

    return read_name(dirfd, name, &qcow2, out);
}

/* Does the file of this backing name stand on the image? 1, 0, -1 and errno */
static int stands_on(const char *dir, const char *name,
                     const struct snap_fs_id *id)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    AUTO_FREE char *path = snap_qcow2_resolve(dir, name);
    const char *base = strrchr(id->real, '/');
    bool same;
    int rc, err;

    if (!path)
        return !strncmp(name, "json:", 5)
               && strstr(name, base ? base + 1 : id->real);
    rc = snap_fs_compare(&quiet, path, id, &same);
    err = errno;
    snap_ctx_dispose(&quiet);
    errno = err;
    return rc ? -1 : same;
}

static bool may_be_image(const struct dirent *e)
{
    return e->d_type == DT_REG || e->d_type == DT_LNK
           || e->d_type == DT_UNKNOWN;
}

/* 1: this file of the directory is an overlay on the image; 0; -1, errno. */
static int depends(DIR *d, const char *dir, const struct dirent *e,
                   const struct snap_fs_id *id)
{
    AUTO_FREE char *name = NULL;
    int has;

    if (!may_be_image(e)) return 0;
    has = backing_name(dirfd(d), e->d_name, &name);
    return has > 0 ? stands_on(dir, name, id) : has;
}

/* Those beside the image; `first`: one is enough. *more: there are too many
 * files to look at. */
static int scan(struct snap_ctx *sc, const struct snap_fs_id *id, bool first,
                struct snap_strings *out, bool *more)
{
    AUTO_FREE char *copy = snap_strdup(id->real);
    const char *dir = dirname(copy);
    DIR *d = opendir(dir);
    struct dirent *e;
    int n = 0, is = 0, err;

    while (d && is >= 0 && !(first && out->len) && n <= MAX_ENTRIES
           && (errno = 0, e = readdir(d))) {
        is = ++n > MAX_ENTRIES ? 0 : depends(d, dir, e, id);
        if (is > 0)
            snap_strings_take(out, snap_printf("%s/%s", dir, e->d_name));
    }
    err = errno;
    *more = n > MAX_ENTRIES;
    if (d) closedir(d);
    if (*more || (first && out->len) || (!d && err == ENOENT)
        || (d && is >= 0 && !err))
        return 0;
    return snap_fail_errno(sc, err, "cannot see which images in '%s' stand on "
                           "'%s'", dir, id->real);
}

int snap_dependents_beside(struct snap_ctx *sc, const struct snap_fs_id *id,
                           char **found)
{
    struct snap_strings list = { 0 };
    bool more;
    int rc = scan(sc, id, true, &list, &more);

    *found = NULL;
    if (!rc && list.len)
        *found = snap_strdup(list.data[0]);
    else if (!rc && more)
        *found = snap_printf("%.*s/?", (int)(strrchr(id->real, '/')
                                             - id->real), id->real);
    snap_strings_dispose(&list);
    return rc;
}

int snap_dependents_all(struct snap_ctx *sc, const struct snap_fs_id *id,
                        struct snap_strings *out)
{
    bool more;
    int rc = scan(sc, id, false, out, &more);

    if (rc || !more) return rc;
    return snap_fail(sc, ERROR_FAIL, "there are too many files beside '%s' to "
                     "see which of them stand on it", id->real);
}

int snap_dependents_is_on(struct snap_ctx *sc, const char *path,
                          const struct snap_fs_id *id, bool *is)
{
    AUTO_FREE char *copy = snap_strdup(path);
    AUTO_FREE char *name = NULL;
    int has = backing_name(AT_FDCWD, path, &name);

    if (has > 0) has = stands_on(dirname(copy), name, id);
    *is = has > 0;
    return has >= 0 ? 0 : snap_fail_errno(sc, errno, "cannot see what '%s' "
                                          "stands on", path);
}

int snap_dependents_layers(struct snap_ctx *sc, const char *path,
                           struct snap_strings *out)
{
    AUTO_FREE char *at = realpath(path, NULL);

    while (at && out->len < MAX_LAYERS) {
        AUTO_FREE char *name = NULL;
        AUTO_FREE char *copy = snap_strdup(at);
        int has = backing_name(AT_FDCWD, at, &name);
        char *below;

        if (has < 0) break;
        below = has ? snap_qcow2_resolve(dirname(copy), name) : NULL;
        if (!below) return 0;
        free(at);
        at = realpath(below, NULL);
        if (!at && errno == ENOENT) {
            free(below);
            return 0;
        }
        free(below);
        if (at) snap_strings_add(out, at);
    }
    if (out->len == MAX_LAYERS) return 0;
    return snap_fail_errno(sc, errno, "cannot see what '%s' stands on", path);
}

/* ---- a whole directory ------------------------------------------- */

void snap_qcow2_files_dispose(struct snap_qcow2_files *l)
{
    size_t i;

    for (i = 0; i < l->len; i++) {
        free(l->data[i].path);
        free(l->data[i].backing);
    }
    free(l->data);
    memset(l, 0, sizeof(*l));
}

/* The entry, if it is a qcow2. -1 and errno */
static int add_file(DIR *d, const char *dir, const struct dirent *e,
                    struct snap_qcow2_files *out)
{
    AUTO_FREE char *name = NULL;
    bool qcow2;

    if (!may_be_image(e)) return 0;
    if (read_name(dirfd(d), e->d_name, &qcow2, &name) < 0) return -1;
    if (!qcow2) return 0;
    out->data = snap_grown(out->data, out->len, sizeof(*out->data));
    out->data[out->len++] = (struct snap_qcow2_file){
        .path = snap_printf("%s/%s", dir, e->d_name),
        .backing = name ? snap_qcow2_resolve(dir, name) : NULL,
    };
    return 0;
}

static int by_path(const void *x, const void *y)
{
    const struct snap_qcow2_file *a = x, *b = y;

    return strcmp(a->path, b->path);
}

int snap_dependents_list(struct snap_ctx *sc, const char *dir,
                         struct snap_qcow2_files *out)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int n = 0, bad = 0, err;

    while (d && !bad && n <= MAX_ENTRIES && (errno = 0, e = readdir(d)))
        bad = ++n > MAX_ENTRIES ? 0 : add_file(d, dir, e, out);
    err = errno;
    if (d) closedir(d);
    if (out->len)
        qsort(out->data, out->len, sizeof(*out->data), by_path);
    if (n > MAX_ENTRIES)
        return snap_fail(sc, ERROR_FAIL, "there are more than %d files in "
                         "'%s', too many to see which images are there",
                         MAX_ENTRIES, dir);
    if (d && !bad && !err) return 0;
    return snap_fail_errno(sc, err, "cannot see which images are in '%s'",
                           dir);
}
