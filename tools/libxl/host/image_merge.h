/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Merging two layers that nobody has open: the caller has set aside what is
 * written, and looked.  The upper one, read over the lower one, reads the same
 * at every moment of both ways.  `lock_fd` (0: none) is a lock that is held
 * until qemu-img has ended, also if we die before.  Formats: raw, qcow2.
 */
#ifndef SNAP_IMAGE_MERGE_H
#define SNAP_IMAGE_MERGE_H

#include "snap_internal.h"

/* What `top`, a qcow2, holds goes into `base`, which it stands on, whatever
 * name it has in its header.  top is not changed.  Can be given again.
 * speed_bytes: at most so many a second; 0: any number. */
int snap_image_commit(struct snap_ctx *sc, int lock_fd, const char *top,
                      const char *base, const char *base_format,
                      uint64_t speed_bytes);

/*
 * `path`, a qcow2, gets what it needs of `base`, which it stands on, and stands
 * on `below` from then on; that it reads the same is seen before this returns
 * 0.  After a failure its header may name either: only over base is it right,
 * and snap_image_rebase_back() puts it there.
 */
int snap_image_rebase(struct snap_ctx *sc, int lock_fd, const char *path,
                      const char *base, const char *base_format,
                      const char *below, const char *below_format);
int snap_image_rebase_back(struct snap_ctx *sc, const char *path,
                           const char *base, const char *base_format);

/*
 * Does the image, as it is on disk, hold all that its backing file has of its
 * own?  For one that QEMU has open and streams into: nothing that the guest
 * writes meanwhile changes the answer.  ERROR_FAIL when not.
 */
int snap_image_check_streamed(struct snap_ctx *sc, int lock_fd,
                              const char *path);

#endif
