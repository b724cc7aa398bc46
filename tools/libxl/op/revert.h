/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the files of snapshot-revert share. */
#ifndef SNAP_OP_REVERT_H
#define SNAP_OP_REVERT_H

#include "format/memimage.h"
#include "op/op.h"
#include "plan/revert.h"

struct snap_revert {
    struct snap_ctx *sc;
    const libxl_snapshot_revert_params *p;
    struct snap_hold *h;            /* the caller's, with the domain's lock */
    /* The domain is paused by us already, and this one unpauses it if we die;
     * NULL: it is as it was. Ours to end. */
    struct snap_guardian *guardian;
    bool goes_back;                 /* after a revert that failed */
    /* out: the new domain is there; the old one is gone, and that is not */
    bool built, lost;
    struct snap_worker *worker;
    struct snap_facts now;
    struct snap_host host;
    struct snap_manifest set;       /* ours: completed from the image */
    int memory_fd;
    struct snap_memimage image;
    bool image_as_is;               /* tree is the image's, unchanged */
    struct snap_json *tree;         /* the image's configuration */
    bool stored;                    /* it is known: else there is the user's
                                     * alone */
    struct snap_strings words;      /* of a boot: settings for xl */
    struct snap_domconfig config;
    char *host_qemu;
    struct snap_revert_facts f;
    struct snap_plan plan;
    char *header;
    size_t header_len;
};

/* Facts and plan: everything but acting. */
int snap_revert_look(struct snap_revert *r, libxl_snapshot_result *result);
int snap_revert_act(struct snap_revert *r, libxl_snapshot_result *result);

/* A revert that snapshots the present state first; params->keep is not NULL.
 * In revert_keep.c. */
int snap_revert_keeping(struct snap_ctx *sc, struct snap_hold *h,
                        const libxl_snapshot_revert_params *params,
                        libxl_snapshot_result *result);

/* Everything that the plan depends on; nothing is changed. The images of the
 * set are locked, unless it is a dry run. */
int snap_revert_gather(struct snap_revert *r);
/* What is checked of the world once the plan is known: paths that must be
 * free, space, bridges, scripts. */
int snap_revert_check_world(struct snap_revert *r);

/* Parts of gathering. In revert_source.c: */
int snap_revert_read_memory(struct snap_revert *r);
int snap_revert_complete_set(struct snap_revert *r);
int snap_revert_merge_config(struct snap_revert *r);
/* In revert_boot.c, for a revert of disks alone: */
int snap_revert_read_config(struct snap_revert *r);
int snap_revert_take_user_config(struct snap_revert *r);
int snap_revert_choose_words(struct snap_revert *r);
/* In revert.c: the tree with its disks as they will be. */
int snap_revert_set_disks(struct snap_revert *r);
/* In revert_images.c: */
int snap_revert_find_frozen(struct snap_revert *r,
                            struct snap_revert_disk *d);
int snap_revert_find_users(struct snap_revert *r);
void snap_revert_judge(struct snap_revert *r);

/* What was read of the images of the set. */
void snap_revert_forget_disks(struct snap_revert *r);
void snap_revert_dispose(struct snap_revert *r);

#endif
