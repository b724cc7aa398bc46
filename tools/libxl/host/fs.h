/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The door to files: everything that creates, writes, renames, removes or
 * syncs one, and what identifies an image.  Never follows a path twice when a
 * descriptor will do.
 */
#ifndef SNAP_FS_H
#define SNAP_FS_H

#include <sys/stat.h>

#include "snap_internal.h"

/* (device, inode) after following links: what an image is. */
struct snap_fs_id {
    uint64_t dev, ino;
    uint64_t size_bytes;        /* st_size; block device: its size */
    int64_t mtime_ns;           /* block device: of its node, says nothing */
    bool block;                 /* a block device: dev/ino are st_rdev, 0 */
    char *real;                 /* realpath, malloc'd */
};
/* ERROR_NOTFOUND when it does not exist; ERROR_INVAL when it is neither a
 * regular file nor a block device. */
int snap_fs_identify(struct snap_ctx *sc, const char *path,
                     struct snap_fs_id *out);
bool snap_fs_same(const struct snap_fs_id *a, const struct snap_fs_id *b);
/* Only what tells one file from another of what is at a path, nothing to free;
 * *there is false where nothing is. An error when it cannot be looked at. */
int snap_fs_find(struct snap_ctx *sc, const char *path,
                 struct snap_fs_id *out, bool *there);
/* Does this path lead to that file?  For what would do harm if it does: an
 * error when it cannot be looked at, but for a path where nothing is. */
int snap_fs_compare(struct snap_ctx *sc, const char *path,
                    const struct snap_fs_id *id, bool *same);
/* Does this path lead to that file; do two paths lead to one?  What cannot be
 * looked at, or is NULL, does not; there is no message. */
bool snap_fs_leads_to(const char *path, const struct snap_fs_id *id);
bool snap_fs_same_file(const char *x, const char *y);

/* What follows fails with ERROR_NOTFOUND where a path is not there, with
 * ERROR_INVAL where something is of the wrong kind or exists already. */

/* Whole small file into memory, NUL-terminated behind len; regular files
 * only (O_NOFOLLOW when nofollow), at most max bytes else ERROR_INVAL. */
int snap_fs_read(struct snap_ctx *sc, const char *path, bool nofollow,
                 size_t max, char **bytes, size_t *len);

/* mkdir -p with mode 0700 for what is new; the last must be a directory that
 * belongs to us (euid) and that nobody else may write; fsyncs parents. */
int snap_fs_make_dir(struct snap_ctx *sc, const char *path);
/* Exactly one new directory, 0700; ERROR_INVAL if the path exists. */
int snap_fs_new_dir(struct snap_ctx *sc, const char *path);

/* Write bytes to a temporary beside path, fsync, rename over it (replace:
 * false refuses an existing one), fsync the directory. Mode 0600. A failure
 * leaves no temporary; one of the last fsync leaves the new file. */
int snap_fs_publish(struct snap_ctx *sc, const char *path, const char *bytes,
                    size_t len, bool replace);
/* The same with owner, group and permission bits of `like`. */
int snap_fs_publish_like(struct snap_ctx *sc, const char *path,
                         const char *bytes, size_t len, bool replace,
                         const struct stat *like);
/* What was published goes, and what a process that died then left beside it;
 * neither need be there. */
int snap_fs_unpublish(struct snap_ctx *sc, const char *path);

/* O_EXCL|O_CREAT|O_RDWR|O_CLOEXEC, 0600, with size_bytes of space allocated
 * by fallocate(2) without changing the visible size (KEEP_SIZE); a file system
 * without fallocate, and tmpfs, is checked by statvfs. ENOSPC: message with
 * need and free; the file is removed again. *fd is the caller's. */
int snap_fs_allocate(struct snap_ctx *sc, const char *path,
                     uint64_t size_bytes, int *fd);
/* Cut to `size`, giving back what was allocated behind it. */
int snap_fs_trim(struct snap_ctx *sc, int fd, const char *path,
                 uint64_t size_bytes);
int snap_fs_sync_file(struct snap_ctx *sc, const char *path);  /* opens RO */
int snap_fs_sync_dir(struct snap_ctx *sc, const char *path);
/* unlink; "not there" is success. */
int snap_fs_remove(struct snap_ctx *sc, const char *path);
int snap_fs_remove_dir(struct snap_ctx *sc, const char *path);  /* rmdir */
/* Another name in the same directory, which is synced. ERROR_INVAL if there is
 * something by that name. */
int snap_fs_move(struct snap_ctx *sc, const char *from, const char *to);
int snap_fs_free_bytes(struct snap_ctx *sc, const char *path, uint64_t *out);
/* statvfs free space (f_bavail) at path, or at its nearest ancestor that is
 * there; UINT64_MAX where the file system does not tell (ramfs). */

/* The immutable flag (FS_IMMUTABLE_FL). get: *have false where the file
 * system has no flags, and for devices. set is idempotent, reads back, and
 * returns 1 when not supported. Links are followed. */
int snap_fs_get_immutable(struct snap_ctx *sc, const char *path, bool *on,
                          bool *have);
int snap_fs_set_immutable(struct snap_ctx *sc, const char *path, bool on);

/* Copy an image: FICLONE, else copy by SEEK_DATA/SEEK_HOLE in 1 MiB pieces
 * with progress; O_EXCL target with the source's owner, group, mode; fsync of
 * it and its directory; removed again on failure. Regular files only; a source
 * that changes meanwhile is a failure; sc->cancelled gives ERROR_ABORTED. */
int snap_fs_copy(struct snap_ctx *sc, const char *from, const char *to,
                 const char *what);
/* The same, but 0600 and ours from the beginning: a memory image. */
int snap_fs_copy_private(struct snap_ctx *sc, const char *from,
                         const char *to, const char *what);
/* Owner, group and permission bits of `like` onto path, a regular file (no
 * link is followed to it). */
int snap_fs_own_like(struct snap_ctx *sc, const char *path, const char *like);

/* Percent-encode a domain's name into one path component: letters, digits,
 * '_', '-', '.', '+', '=' stay, but a leading '.' and everything else become
 * %XX (upper-case hex). Never empty ("" -> "%"). malloc'd. */
char *snap_fs_encode_name(const char *name);

#endif
