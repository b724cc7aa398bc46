/* SPDX-License-Identifier: LGPL-2.1-only */
/* Does anybody have an image?  Who has it open (inuse.h), and which domain names
 * it or has it below a disk (claims.h). */
#ifndef SNAP_USERS_H
#define SNAP_USERS_H

#include "host/claims.h"
#include "host/inuse.h"

/*
 * *text: "'/img/a.qcow2' is in use by process 812 (qemu-img)", of the first who
 * is found, malloc'd; NULL: nobody has one of them.  Left out are the processes
 * in skip_pids and own_domid (negative: none).
 */
int snap_users_find(struct snap_ctx *sc, struct snap_xen *x,
                    int64_t own_domid, const struct snap_fs_id *ids, size_t n,
                    const int *skip_pids, size_t nskip, char **text);

/* *who: "process 812 (qemu-img)", the first who has the image open for writing,
 * other than this process, malloc'd; NULL: nobody. */
int snap_users_find_writer(struct snap_ctx *sc, const struct snap_fs_id *id,
                           char **who);

#endif
