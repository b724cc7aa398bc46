/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-verify: is all of a snapshot there, and unharmed?  It only reads,
 * and needs no Xen.  Each part is looked at whatever the others are like: a
 * finding says of one what is wrong, or what was looked at.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "host/hash.h"
#include "host/image_check.h"
#include "host/inuse.h"
#include "host/private.h"
#include "op/memory.h"
#include "op/op.h"
#include "plan/unharmed.h"

void libxl_snapshot_findings_dispose(libxl_snapshot_findings *f)
{
    size_t i;

    for (i = 0; i < f->len; i++) {
        free(f->data[i].part);
        free(f->data[i].text);
    }
    free(f->data);
    memset(f, 0, sizeof(*f));
}

/* Takes text. */
static void add(libxl_snapshot_findings *f, const char *part, bool good,
                char *text)
{
    f->data = snap_realloc(f->data, (f->len + 1) * sizeof(*f->data));
    f->data[f->len++] = (libxl_snapshot_finding) {
        .part = snap_strdup(part), .good = good, .text = text,
    };
    f->whole &= good;
}

/* The message of a failed look, without the disk, which is the part. */
static char *why(const struct snap_ctx *sc, const char *part)
{
    AUTO_FREE char *disk = snap_printf("disk '%s': ", part);
    const char *text = sc->message ? sc->message : "?";

    if (!strncmp(text, disk, strlen(disk))) text += strlen(disk);
    return snap_strdup(text);
}

/* What a look came to: its message, or `text`, which it takes. */
static void conclude(libxl_snapshot_findings *f, struct snap_ctx *sc, int rc,
                     const char *part, char *text)
{
    if (rc) {
        free(text);
        text = why(sc, part);
        snap_clear(sc);
    }
    add(f, part, !rc, text);
}

/* ---- the directory ----------------------------------------------- */

static int check_entry(struct snap_ctx *sc, DIR *d, const char *dir,
                       const char *name)
{
    AUTO_FREE char *path = snap_printf("%s/%s", dir, name);
    struct stat st;

    if (!strcmp(name, "..")) return 0;
    if (fstatat(dirfd(d), name, &st, AT_SYMLINK_NOFOLLOW))
        return snap_fail_errno(sc, errno, "'%s'", path);
    return snap_private_check(sc, strcmp(name, ".") ? path : dir, &st);
}

static int check_directory(struct snap_ctx *sc, const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int rc = 0;

    if (!d) return snap_fail_errno(sc, errno, "cannot read '%s'", dir);
    while (!rc && (errno = 0, e = readdir(d)))
        rc = check_entry(sc, d, dir, e->d_name);
    if (!rc && errno)
        rc = snap_fail_errno(sc, errno, "cannot read '%s'", dir);
    closedir(d);
    return rc;
}

/* ---- the memory image -------------------------------------------- */

static int check_sum(struct snap_ctx *sc, const struct snap_manifest *m,
                     const char *path, int fd)
{
    char sum[SNAP_HASH_SIZE];
    int rc = snap_hash_file(sc, fd, path, sum);

    if (rc || !strcmp(sum, m->memory_sha256)) return rc;
    return snap_fail(sc, ERROR_INVAL, "the memory image '%s' was changed "
                     "since the snapshot (checksum)", path);
}

/* The configuration in it can be read, and has the snapshot's disks. */
static int check_config(struct snap_ctx *sc, const struct snap_manifest *m,
                        const struct snap_memimage *image)
{
    AUTO_JSON struct snap_json *tree = NULL;
    struct snap_domconfig config = { 0 };
    size_t i;
    int rc = snap_op_memory_config(sc, image, &tree, &config);

    for (i = 0; !rc && i < m->ndisks; i++)
        if (!snap_domconfig_disk(&config, m->disks[i].vdev))
            rc = snap_fail(sc, ERROR_INVAL, "the configuration in the memory "
                           "image has no disk '%s': it is another domain's",
                           m->disks[i].vdev);
    snap_domconfig_dispose(&config);
    return rc;
}

static void verify_memory(struct snap_ctx *sc, const libxl_snapshot_set *set,
                          libxl_snapshot_findings *f)
{
    const struct snap_manifest *m = &set->manifest;
    AUTO_FREE char *path = NULL;
    struct snap_memimage image = { 0 };
    int fd = -1;
    int rc = snap_op_open_memory(sc, set, &path, &fd);

    if (!rc) rc = snap_op_read_memory(sc, m, path, fd, &image);
    if (!rc) rc = check_config(sc, m, &image);
    if (!rc && m->memory_sha256) rc = check_sum(sc, m, path, fd);
    conclude(f, sc, rc, "memory", snap_printf(
        "all of its structure to the end, the checksum of %s",
        m->memory_sha256 ? "all of it" : "its head; not the pages"));
    snap_memimage_dispose(&image);
    if (fd >= 0) close(fd);
}

/* ---- a disk ------------------------------------------------------ */

struct verify_disk {
    struct snap_ctx *sc;
    const struct snap_manifest_disk *m;
    struct snap_fs_id id;
    struct snap_chain chain;
    struct snap_text remarks;
};

static void remark(struct verify_disk *v, const char *fmt, ...)
    SNAP_PRINTF(2, 3);
static void remark(struct verify_disk *v, const char *fmt, ...)
{
    AUTO_FREE char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = snap_vprintf(fmt, ap);
    va_end(ap);
    snap_text_add(&v->remarks, "%s%s", v->remarks.len ? "; " : "", text);
}

static int check_sample(struct verify_disk *v)
{
    char sum[SNAP_HASH_SIZE];
    int rc;

    if (!v->m->sample_sha256) return 0;
    rc = snap_hash_sample(v->sc, v->id.real, sum);
    if (rc || !strcmp(sum, v->m->sample_sha256)) return rc;
    return snap_fail(v->sc, ERROR_INVAL, "disk '%s': the frozen base '%s' has "
                     "other contents than at the snapshot (samples): its "
                     "contents do not fit the memory any more", v->m->vdev,
                     v->id.real);
}

/* Copied images and those from a backup are other files. */
static void compare_identity(struct verify_disk *v)
{
    if (v->m->ino && (v->m->dev != v->id.dev || v->m->ino != v->id.ino))
        remark(v, "'%s' is another file than at the snapshot (a copy?)",
               v->id.real);
}

/* Each layer inside, unless somebody has one of them open. */
static int check_layers(struct verify_disk *v)
{
    struct snap_fs_id *ids = snap_zalloc((v->chain.len + 1) * sizeof(*ids));
    int self = getpid();
    struct snap_inuse use = { 0 };
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < v->chain.len; i++)
        rc = snap_fs_identify(v->sc, v->chain.data[i].path, &ids[i]);
    if (!rc)
        rc = snap_inuse_scan(v->sc, ids, v->chain.len, &self, 1, &use);
    if (!rc && use.len)
        remark(v, "not checked inside: '%s' is in use by %s",
               ids[use.data[0].image].real, use.data[0].text);
    for (i = 0; !rc && !use.len && i < v->chain.len; i++) {
        const struct snap_image *im = &v->chain.data[i];
        struct snap_image_health health;

        rc = snap_image_check(v->sc, im->path, im->format, &health);
        if (!rc && health.corruptions)
            rc = snap_fail(v->sc, ERROR_INVAL, "disk '%s': `qemu-img check` "
                           "finds %d errors in '%s'", v->m->vdev,
                           health.corruptions, im->path);
        if (!rc && health.leaks)
            remark(v, "%d leaked clusters in '%s', which do no harm",
                   health.leaks, im->path);
    }
    for (i = 0; i < v->chain.len; i++) free(ids[i].real);
    free(ids);
    snap_inuse_dispose(&use);
    return rc;
}

static int look_at_disk(struct verify_disk *v)
{
    int rc = snap_fs_identify(v->sc, v->m->image, &v->id);

    if (rc) return rc;
    compare_identity(v);
    rc = snap_image_chain(v->sc, v->id.real, v->m->format, &v->chain);
    if (rc) return rc;
    if (v->m->type == SNAP_DISK_INTERNAL)
        rc = snap_check_tag(v->sc, v->m, v->id.real, &v->chain.data[0]);
    else
        rc = snap_check_base(v->sc, v->m, &v->id);
    if (!rc && v->m->type == SNAP_DISK_EXTERNAL) rc = check_sample(v);
    return rc ? rc : check_layers(v);
}

static void verify_disk(struct snap_ctx *sc, const struct snap_manifest_disk *m,
                        libxl_snapshot_findings *f)
{
    struct verify_disk v = { .sc = sc, .m = m };
    int rc = look_at_disk(&v);
    char *text = snap_printf("%s '%s'%s%s%s", m->type == SNAP_DISK_INTERNAL
                             ? "the tag in" : "the frozen base",
                             v.id.real ? v.id.real : m->image,
                             v.chain.len > 1 ? " and what is below" : "",
                             v.remarks.len ? "; " : "",
                             v.remarks.len ? v.remarks.data : "");

    conclude(f, sc, rc, m->vdev, text);
    snap_chain_dispose(&v.chain);
    free(v.id.real);
    free(v.remarks.data);
}

int libxl_snapshot_verify(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_set *set,
                          libxl_snapshot_findings *out)
{
    const struct snap_manifest *m = &set->manifest;
    size_t i;
    int rc;

    snap_op_begin(ctx, NULL);
    *out = (libxl_snapshot_findings) { .whole = true };
    if (set->directory) {
        rc = check_directory(ctx, set->directory);
        conclude(out, ctx, rc, "directory", snap_printf(
            "'%s', nobody else can read or write it", set->directory));
    }
    if (m->memory_path) verify_memory(ctx, set, out);
    for (i = 0; i < m->ndisks && !ctx->cancelled; i++)
        verify_disk(ctx, &m->disks[i], out);
    rc = snap_check_cancelled(ctx);
    if (!rc) ctx->outcome = LIBXL_SNAPSHOT_DONE;
    return rc;
}
