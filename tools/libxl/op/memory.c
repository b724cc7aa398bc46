/* SPDX-License-Identifier: LGPL-2.1-only */
/* See memory.h. */
#include "op/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int snap_op_open_memory(struct snap_ctx *sc, const libxl_snapshot_set *set,
                        char **path, int *fd)
{
    const char *name = set->manifest.memory_path;
    struct stat st;

    *path = name[0] == '/' || !set->directory
        ? snap_strdup(name) : snap_printf("%s/%s", set->directory, name);
    *fd = open(*path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0 || fstat(*fd, &st))
        return snap_fail_errno(sc, errno, "cannot open the memory image '%s'",
                               *path);
    if (!S_ISREG(st.st_mode))
        return snap_fail(sc, ERROR_INVAL, "the memory image '%s' is not a "
                         "regular file", *path);
    return 0;
}

int snap_op_read_memory(struct snap_ctx *sc, const struct snap_manifest *m,
                        const char *path, int fd, struct snap_memimage *image)
{
    int rc = snap_memimage_read(sc, fd, path, image);

    if (rc) return rc;
    if (m->memory_size_bytes && m->memory_size_bytes != image->size_bytes)
        return snap_fail(sc, ERROR_INVAL, "the memory image '%s' has %llu "
                         "bytes, the manifest says %llu: it is not the one "
                         "that was made", path,
                         (unsigned long long)image->size_bytes,
                         (unsigned long long)m->memory_size_bytes);
    if (m->memory_head_sha256
        && strcmp(m->memory_head_sha256, image->head_sha256))
        return snap_fail(sc, ERROR_INVAL, "the head of the memory image "
                         "'%s' was changed since the snapshot (checksum)",
                         path);
    return 0;
}

int snap_op_memory_config(struct snap_ctx *sc,
                          const struct snap_memimage *image,
                          struct snap_json **tree,
                          struct snap_domconfig *config)
{
    int rc = snap_json_parse(sc, "the memory image's configuration",
                             image->config, strlen(image->config), tree);

    return rc ? rc : snap_domconfig_read(sc, *tree, config);
}

int snap_op_check_kind(struct snap_ctx *sc, const char *path,
                       const struct snap_memimage *image,
                       const struct snap_domconfig *config)
{
    const char *type = config->type ? config->type : "?";
    bool hvm = !strcmp(type, "hvm");

    if (image->hvm == (strcmp(type, "pv") != 0)
        && image->has_emulator == hvm)
        return 0;
    return snap_fail(sc, ERROR_INVAL, "the memory image '%s' is not one of a "
                     "%s guest, as its configuration says: it is not whole",
                     path, type);
}
