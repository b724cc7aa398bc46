/* SPDX-License-Identifier: LGPL-2.1-only */
/* snapshot-create as a part of another operation. */
#ifndef SNAP_OP_CREATE_H
#define SNAP_OP_CREATE_H

#include "op/op.h"

struct snap_create {
    struct snap_ctx *sc;
    const libxl_snapshot_create_params *p;
    struct snap_hold *h;            /* the caller's, with the domain's lock */
    /* Another operation takes it from here: the domain is left paused, the
     * journal open with a mark that the pause is ours, and the guardian, which
     * unpauses the domain if we die, is the caller's. */
    bool hand_over;
    struct snap_guardian *guardian;
    /* what was looked at and decided */
    struct snap_facts facts;
    struct snap_disk_choice *choices;
    struct snap_plan plan;
    struct snap_qmp *qmp;
    struct snap_create_request req;
    struct snap_disk_wish *wishes;
    char *header;
    size_t header_len;
};

/* All of it; *result as from libxl_snapshot_create(). */
int snap_create_run(struct snap_create *c, libxl_snapshot_result *result);
void snap_create_dispose(struct snap_create *c);

#endif
