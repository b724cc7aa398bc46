/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A plan: an ordered list of steps, each a kind and string arguments, with
 * exactly one commit among them.  Plans are made by pure functions, printed
 * by --dry-run, written to the journal, and walked by act.
 */
#ifndef SNAP_PLAN_H
#define SNAP_PLAN_H

#include "snap_internal.h"

enum snap_step_kind {
    STEP_DIRECTORY,
    STEP_MEMORY_FILE,
    STEP_MONITOR_HOLD,
    STEP_SUSPEND,
    STEP_READY,
    STEP_MEMORY,
    STEP_RECHECK,
    STEP_DISKS,
    STEP_CONFIG,
    STEP_RESUME,
    STEP_MONITOR_RELEASE,
    STEP_SEAL,
    STEP_PROTECT,
    STEP_MANIFEST,
    STEP_CURRENT,
    STEP_OVERLAY,
    STEP_COPY,
    STEP_PAUSE,
    STEP_RECHECK_IDLE,
    STEP_DESTROY,
    STEP_DESTROYED,
    STEP_MONITOR_END,
    STEP_APPLY_TAG,
    STEP_BUILD,
    STEP_BOOT,
    STEP_REMOVE_OVERLAY,
    STEP_DELETE_TAG_LIVE,
    STEP_DELETE_TAG,
    STEP_RELINK,
    STEP_REMOVE_SNAPSHOT,
    STEP_MERGE_UP,
    STEP_MERGE_END,
    STEP_MERGE_DOWN,
    STEP_PUT_BACK,
    STEP_REMOVE_LAYER,
    STEP_MEMORY_COPY,
    STEP_NOTE_IMAGES,
    STEP_KINDS              /* how many */
};

struct snap_step {
    enum snap_step_kind kind;
    struct snap_strings args;   /* key, value, key, value, ... */
};

struct snap_plan {
    struct snap_step *steps;
    size_t len;
    size_t commit;          /* index of the commit step */
    struct snap_strings notes;  /* what was left out, and why */
};

void snap_plan_dispose(struct snap_plan *p);
/* Append a step; the pointer is good until the next one. */
struct snap_step *snap_plan_add(struct snap_plan *p, enum snap_step_kind kind);
void snap_step_arg(struct snap_step *s, const char *key, const char *value);
void snap_step_arg_u64(struct snap_step *s, const char *key, uint64_t value);
/* The value of a key (the n-th with that name), or NULL. */
const char *snap_step_get(const struct snap_step *s, const char *key);
const char *snap_step_get_nth(const struct snap_step *s, const char *key,
                              size_t n);
uint64_t snap_step_get_u64(const struct snap_step *s, const char *key);

/* The word of a kind in journals and plans; and back (-1: no such word). */
const char *snap_step_word(enum snap_step_kind kind);
int snap_step_kind_of(const char *word);

/* The whole plan as text for --dry-run, one step a line. */
char *snap_plan_text(const struct snap_plan *p);

/* ---- the planners ------------------------------------------------ */

struct snap_facts;
struct snap_facts_disk;

/* How a disk is going to be snapshotted. */
struct snap_disk_choice {
    const struct snap_facts_disk *disk;
    const struct snap_disk_driver *driver;  /* NULL: left out */
    char *overlay;          /* external: path */
    char *overlay_node;
};

struct snap_disk_wish {
    const char *vdev;
    int kind;               /* libxl_snapshot_disk_kind */
    const char *format;
    const char *target;
};

struct snap_create_request {
    const char *name, *directory, *current_path;
    int default_kind;       /* libxl_snapshot_disk_kind */
    const struct snap_disk_wish *wishes;
    size_t nwishes;
    char *(*overlay_path)(void *arg, const char *vdev, const char *image);
    void *overlay_arg;
    bool live, leave_paused, protect;
};

/*
 * A disk driver: a pure planner of one way to snapshot a disk.  A new storage
 * kind is one new file in disk/ and one row in the table there.
 */
struct snap_disk_driver {
    const char *name;       /* "internal", "external": as users write it */
    bool external;
    /* NULL when it can; else the reason and what to change, malloc'd. */
    char *(*refuses)(const struct snap_facts *facts,
                     const struct snap_facts_disk *disk);
};
extern const struct snap_disk_driver *const snap_disk_drivers[];
/* Why no driver at all may touch the disk; NULL: go on and ask the drivers.
 * *ignored: the disk is not part of snapshots (read-only, CD-ROM, empty). */
char *snap_disk_common_reason(const struct snap_facts *facts,
                              const struct snap_facts_disk *disk,
                              bool *ignored);
const struct snap_disk_driver *snap_disk_driver(bool external);

/* Why the domain as a whole cannot be snapshotted (all reasons). */
void snap_plan_domain_reasons(const struct snap_facts *f,
                              struct snap_strings *reasons);
/* Why not --live; NULL: it is possible. malloc'd. */
char *snap_plan_live_reason(const struct snap_facts *f);

/* Choose for every disk; choices[i] belongs to f->disks[i]. Refusal:
 * ERROR_INVAL with the message. */
int snap_plan_choose(struct snap_ctx *sc, const struct snap_facts *f,
                     const struct snap_create_request *req,
                     struct snap_disk_choice *choices, struct snap_plan *p);
int snap_plan_create(struct snap_ctx *sc, const struct snap_facts *f,
                     const struct snap_create_request *req,
                     struct snap_disk_choice *choices, struct snap_plan *p);
void snap_disk_choices_dispose(struct snap_disk_choice *choices, size_t n);

#endif
