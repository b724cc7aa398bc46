/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The steps after the commit of a create: to disk, protect, the manifest, the
 * hint; their like for what was made by hand; and removing a snapshot's
 * directory.
 */
#include "step/step.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "format/memimage.h"
#include "host/hash.h"
#include "host/lineage.h"
#include "host/private.h"

/* ---- seal -------------------------------------------------------- */

/* The memory image: cut to its length, read through, synced. */
static int seal_memory(struct snap_act *a, const char *path)
{
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    struct snap_memimage m;
    struct stat st;
    int rc;

    if (fd < 0 || fstat(fd, &st))
        return snap_fail_errno(a->sc, errno, "cannot open '%s'", path);
    rc = snap_fs_trim(a->sc, fd, path, st.st_size);
    if (!rc) rc = snap_memimage_read(a->sc, fd, path, &m);
    if (rc) return rc;
    a->manifest->memory_size_bytes = m.size_bytes;
    a->manifest->memory_head_bytes = m.head_bytes;
    free(a->manifest->memory_head_sha256);
    a->manifest->memory_head_sha256 = snap_strdup(m.head_sha256);
    snap_memimage_dispose(&m);
    if (fsync(fd))
        return snap_fail_errno(a->sc, errno, "cannot sync '%s'", path);
    return 0;
}

static int sync_parent(struct snap_act *a, const char *path)
{
    AUTO_FREE char *copy = snap_strdup(path);

    return snap_fs_sync_dir(a->sc, dirname(copy));
}

/* What identifies an image; of a frozen base also how it looks, now that nobody
 * writes it any more. */
static int note_image(struct snap_act *a, struct snap_manifest_disk *d)
{
    struct snap_fs_id id;
    int rc = snap_fs_identify(a->sc, d->image, &id);

    if (rc) return rc;
    d->dev = id.dev;
    d->ino = id.ino;
    d->size_bytes = id.size_bytes;
    d->mtime_ns = id.mtime_ns;
    free(id.real);
    if (d->type != SNAP_DISK_EXTERNAL) return 0;
    free(d->sample_sha256);
    d->sample_sha256 = snap_zalloc(SNAP_HASH_SIZE);
    return snap_hash_sample(a->sc, d->image, d->sample_sha256);
}

static int seal_disk(struct snap_act *a, struct snap_manifest_disk *d)
{
    int rc = note_image(a, d);

    if (rc || !d->overlay) return rc;
    rc = snap_fs_own_like(a->sc, d->overlay, d->image);
    if (!rc) rc = snap_fs_sync_file(a->sc, d->overlay);
    return rc ? rc : sync_parent(a, d->overlay);
}

static int seal_apply(struct snap_act *a, const struct snap_step *s)
{
    const char *dir = snap_step_get(s, "directory");
    AUTO_FREE char *memory = snap_printf("%s/%s", dir, SNAP_MEMORY_FILE);
    size_t i;
    int rc;

    rc = seal_memory(a, memory);
    for (i = 0; !rc && i < a->manifest->ndisks; i++)
        rc = seal_disk(a, &a->manifest->disks[i]);
    return rc ? rc : snap_fs_sync_dir(a->sc, dir);
}

const struct snap_step_ops snap_step_seal = { .apply = seal_apply };

/* ---- what was made by hand --------------------------------------- */

static int memory_copy_apply(struct snap_act *a, const struct snap_step *s)
{
    AUTO_FREE char *head = snap_strdup(a->manifest->memory_head_sha256);
    const char *from = snap_step_get(s, "from");
    const char *path = snap_step_get(s, "path");
    int rc;

    rc = snap_fs_copy_private(a->sc, from, path, "copy memory");
    if (!rc) rc = seal_memory(a, path);
    if (rc || !strcmp(head, a->manifest->memory_head_sha256)) return rc;
    return snap_fail(a->sc, ERROR_FAIL, "'%s' was exchanged before it was "
                     "copied", from);
}

/* The directory is ours, so whatever has the name is. */
static int memory_copy_undo(struct snap_act *a, const struct snap_step *s)
{
    return snap_fs_remove(a->sc, snap_step_get(s, "path"));
}

const struct snap_step_ops snap_step_memory_copy = {
    .apply = memory_copy_apply, .undo = memory_copy_undo,
};

/* The plan was made before a base was protected: nobody wrote to it since. */
static int note_again(struct snap_act *a, struct snap_manifest_disk *d)
{
    const struct snap_manifest_disk before = *d;
    int rc = note_image(a, d);

    if (rc) return rc;
    if (before.dev != d->dev || before.ino != d->ino)
        return snap_fail(a->sc, ERROR_FAIL, "disk '%s': '%s' was exchanged "
                         "meanwhile", d->vdev, d->image);
    if (d->type == SNAP_DISK_INTERNAL
        || (before.size_bytes == d->size_bytes
            && before.mtime_ns == d->mtime_ns))
        return 0;
    return snap_fail(a->sc, ERROR_FAIL, "disk '%s': somebody wrote to the "
                     "base '%s' meanwhile", d->vdev, d->image);
}

static int note_images_apply(struct snap_act *a, const struct snap_step *s)
{
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < a->manifest->ndisks; i++)
        rc = note_again(a, &a->manifest->disks[i]);
    return rc ? rc : snap_fs_sync_dir(a->sc, snap_step_get(s, "directory"));
}

const struct snap_step_ops snap_step_note_images = {
    .apply = note_images_apply,
};

/* ---- protect ----------------------------------------------------- */

static int protect_apply(struct snap_act *a, const struct snap_step *s)
{
    const char *path = snap_step_get(s, "path");
    int rc = snap_fs_set_immutable(a->sc, path, true);

    if (rc <= 0) return rc;
    snap_act_remark(a, snap_printf(
        "the file system of '%s' cannot protect it: nothing but care keeps "
        "other programs from writing to this frozen base", path));
    return 0;
}

/* Only recovery comes here: a base must be writable to be merged into. */
static int protect_undo(struct snap_act *a, const struct snap_step *s)
{
    int rc = snap_fs_set_immutable(a->sc, snap_step_get(s, "path"), false);

    return rc < 0 ? rc : 0;
}

const struct snap_step_ops snap_step_protect = {
    .apply = protect_apply, .undo = protect_undo,
};

/* ---- the manifest and the hint ----------------------------------- */

static int manifest_apply(struct snap_act *a, const struct snap_step *s)
{
    AUTO_FREE char *text = snap_manifest_print(a->manifest);
    int rc;

    rc = snap_fs_publish(a->sc, snap_step_get(s, "path"), text, strlen(text),
                         true);
    return rc ? rc : sync_parent(a, snap_step_get(s, "path"));
}

static int manifest_undo(struct snap_act *a, const struct snap_step *s)
{
    return snap_fs_unpublish(a->sc, snap_step_get(s, "path"));
}

const struct snap_step_ops snap_step_manifest = {
    .apply = manifest_apply, .undo = manifest_undo,
};

/* The hint's text: what is current, and which images are whose copies. */
static char *current_text(struct snap_act *a, const struct snap_step *s)
{
    struct snap_lineage l;
    const char *copy;
    char *text;
    size_t i;

    snap_lineage_read(a->sc, snap_step_get(s, "path"), &l);
    for (i = 0; (copy = snap_step_get_nth(s, "copy", i)); i++) {
        struct snap_fs_id id, of;

        if (snap_fs_identify(a->sc, copy, &id)) continue;
        if (!snap_fs_identify(a->sc, snap_step_get_nth(s, "of", i), &of)) {
            snap_lineage_add(&l, &id, &of);
            free(of.real);
        }
        free(id.real);
    }
    text = snap_lineage_text(&l, snap_step_get(s, "name"));
    snap_lineage_dispose(&l);
    return text;
}

static int current_apply(struct snap_act *a, const struct snap_step *s)
{
    bool clean = !a->sc->message;
    AUTO_FREE char *text = current_text(a, s);

    /* Only a hint: that it cannot be written is worth a note, no more. */
    if (!snap_fs_publish(a->sc, snap_step_get(s, "path"), text, strlen(text),
                         true)
        || !clean)
        return 0;
    snap_act_remark(a, snap_strdup(a->sc->message));
    snap_clear(a->sc);
    return 0;
}

const struct snap_step_ops snap_step_current = { .apply = current_apply };

/* ---- removing ---------------------------------------------------- */

static int remove_rest(struct snap_act *a, const char *dir)
{
    AUTO_FREE char *memory = snap_printf("%s/%s", dir, SNAP_MEMORY_FILE);
    int rc = snap_fs_remove(a->sc, memory);

    if (rc) return rc;
    if (!rmdir(dir) || errno == ENOENT) return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return snap_fail_errno(a->sc, errno, "cannot remove '%s'", dir);
    snap_act_remark(a, snap_printf(
        "'%s' holds files that are not the snapshot's and was kept", dir));
    return 0;
}

static int remove_snapshot_apply(struct snap_act *a, const struct snap_step *s)
{
    const char *dir = snap_step_get(s, "path");
    const char *keep = snap_step_get(s, "keep");
    AUTO_FREE char *manifest = snap_printf("%s/%s", dir, SNAP_MANIFEST_FILE);
    int rc;

    /* By an earlier try that was interrupted, or by hand since. */
    if (access(dir, F_OK) && errno == ENOENT) return 0;
    /* The manifest first: a snapshot is listed whole or not at all. */
    rc = snap_fs_unpublish(a->sc, manifest);
    a->past_commit |= !rc;
    if (!rc) rc = snap_fs_sync_dir(a->sc, dir);
    if (rc) return rc;
    if (!keep) return remove_rest(a, dir);
    if (!access(keep, F_OK)) return snap_private_make(a->sc, keep);
    if (errno == ENOENT) return remove_rest(a, dir);
    return snap_fail_errno(a->sc, errno, "cannot look at '%s'", keep);
}

const struct snap_step_ops snap_step_remove_snapshot = {
    .apply = remove_snapshot_apply,
};
