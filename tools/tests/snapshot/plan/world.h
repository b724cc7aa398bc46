/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Facts written by hand: a small running domain that can be snapshotted and
 * reverted, to be changed by a test before it is planned.  Not the reading of
 * facts; nothing here touches the world but the files in expected/.
 */
#ifndef SNAP_TEST_WORLD_H
#define SNAP_TEST_WORLD_H

#include "libxl_snapshot.h"
#include "plan/facts.h"
#include "plan/plan.h"
#include "plan/revert.h"

#define WORLD_DISKS 8

/* A create: facts and a request. */
struct world {
    struct snap_facts f;
    struct snap_create_request req;
    struct snap_disk_wish wishes[WORLD_DISKS];
};

/* Domain 7, 'web', PV, 256 MiB, no disks, no monitor; --protect, no
 * --live. */
void world_make(struct world *w);
void world_dispose(struct world *w);
/* xl's monitor, process 812. */
void world_monitor(struct world *w);
/* A writable disk that QEMU serves; good until world_dispose(). A path in
 * /dev is a block device. */
struct snap_facts_disk *world_disk(struct world *w, const char *vdev,
                                   const char *format, const char *path);
/* One more layer below a disk's image; the pointer is good until the next. */
struct snap_image *world_layer(struct snap_facts_disk *d, const char *path,
                               const char *format);
void world_tag(struct snap_image *im, const char *id, const char *name);
void world_wish(struct world *w, const char *vdev, int kind,
                const char *format, const char *target);
/* Replace a malloc'd string. */
void world_set(char **s, const char *value);

/* Beside the image, named by the request; NULL for what is in /dev. */
char *world_overlay_path(void *arg, const char *vdev, const char *image);

/* A revert: the present, the snapshot and a request. */
struct past {
    struct world now;
    struct snap_manifest set;
    struct snap_domconfig config;
    struct snap_revert_facts f;
    struct snap_strings words;
    struct snap_revert_request req;
    const char *exclude[WORLD_DISKS];
};

/* The domain of world_make(), running, and its snapshot 'before', which has
 * no disks. */
void past_make(struct past *p);
void past_dispose(struct past *p);
void past_off(struct past *p);
/* Without its memory, by the words name="web" and memory="256" behind a
 * file. */
void past_disk_only(struct past *p, const char *file);
/* A disk with a tag: applied in place. The index of the disk. */
size_t past_internal(struct past *p, const char *vdev, const char *path);
/* A frozen base that gets a new overlay beside it. */
size_t past_external(struct past *p, const char *vdev, const char *format,
                     const char *path);
/* Others depend on the image of disk i: it becomes a copy. */
void past_frozen(struct past *p, size_t i, const char *by);
void past_exclude(struct past *p, const char *vdev);

/* Plans; p->f.disks[i].m are set here. The return code is the planner's. */
int world_plan(struct snap_ctx *sc, struct world *w, struct snap_plan *p);
int past_plan(struct snap_ctx *sc, struct past *past, struct snap_plan *p);

/* One claim: the plan's text equals expected/NAME.txt. SNAP_UPDATE=1 in the
 * environment writes the file instead, to be read and committed. */
void world_expect(struct world *w, const char *name);
void past_expect(struct past *p, const char *name);

#endif
