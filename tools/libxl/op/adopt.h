/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the files of snapshot-adopt share. */
#ifndef SNAP_OP_ADOPT_H
#define SNAP_OP_ADOPT_H

#include "op/memory.h"
#include "op/op.h"
#include "plan/adopt.h"

struct snap_adopt {
    struct snap_ctx *sc;
    const libxl_snapshot_adopt_params *p;
    struct snap_hold h;
    /* the memory image, if there is one */
    struct snap_memimage image;
    struct snap_json *tree;             /* the configuration in it */
    struct snap_domconfig config;
    int64_t saved_sec;                  /* when it was written */
    /* what was looked at and decided */
    struct snap_facts facts;
    struct snap_fs_id *bases;           /* of the wishes */
    struct snap_adopt_request req;
    struct snap_adopt_choice *choices;
    struct snap_plan plan;
};

/* The memory image, once. */
int snap_adopt_read_memory(struct snap_adopt *a);
/* The domain's disks, choices, plan. */
int snap_adopt_look(struct snap_adopt *a);
/* What the last look found. */
void snap_adopt_forget(struct snap_adopt *a);

#endif
