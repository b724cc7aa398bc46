/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What the files of the fault sweep share: the control of the fault points,
 * the host that an operation works on, and the scenes.
 */
#ifndef FAULT_SWEEP_H
#define FAULT_SWEEP_H

#include "fault/points.h"
#include "act/fake_xen.h"
#include "libxl_snapshot.h"

/* ---- points.c ---------------------------------------------------- */

enum fault_mode {
    FAULT_NONE, FAULT_ERROR, FAULT_KILL,
    FAULT_KILL_ALL,             /* its children, the guardian say, with it */
};

#define FAULT_MAX_POINTS 4096

/* Shared by all processes of a run. */
struct fault_control {
    enum fault_mode mode;
    unsigned armed;             /* the number of a point */
    unsigned skip;              /* how often one passes it first */
    bool fired;
    int errnoval;               /* what it failed with */
    bool recording;             /* visits count, others do not */
    bool old_kernel;            /* it lacks what was new once */
    unsigned char visited[FAULT_MAX_POINTS];    /* how often, at most 255 */
};
extern struct fault_control *control;
/* In a process that is part of the host: no faults, no records. */
extern bool fault_outside;

unsigned fault_count(void);
const struct fault_point *fault_point(unsigned number);
void fault_begin(void);         /* once: makes *control */
/* Zeroed memory that forked processes have in common. */
void *fault_share(size_t len);

/* ---- host.c: the domain's host ----------------------------------- */

#define HOST_DISKS 2

struct host_disk {
    char vdev[8], node[64], file[256];
    char below[64];             /* the node under it; empty: the usual one */
};

/* A block job in QEMU; no id: none. */
struct host_job {
    char id[64], type[16], status[16];
    unsigned disk;
    char top[256], base[256];   /* files */
};

/* Beyond what act/fake_xen.h has: QEMU, xl's monitor, and what is in RAM. */
struct host {
    pid_t keeper;               /* when it is gone the others go */
    pid_t qemu, monitor;
    struct host_disk disk[HOST_DISKS];
    unsigned grown;             /* how often images grew */
    unsigned char ram;          /* the guest's, and what its disks hold too */
    struct host_job jobs[HOST_DISKS];
    bool time_flies;            /* by fake->skew_ms */
    /* Somebody beside the command works, until another turn begins. */
    unsigned turn, works_in_turn;
};
extern struct host *host;

/* Domains have a vif and a kernel of their own, as those of users have. */
extern bool host_furnished;

/* A running domain with these images; dir: where the monitor's log goes. */
void host_start(const char *dir, const char *const images[HOST_DISKS]);
/* QEMU and the monitor end. */
void host_stop(void);
/* The value that the guest wrote to both disks and has in RAM. */
void host_guest_writes(unsigned char value);
/* Do RAM and each disk hold the same? */
bool host_agrees(void);
/* NULL, or what the toolstack has wrong of the running domain; malloc'd. */
char *host_disorder(void);

/* ---- loops.c ----------------------------------------------------- */

/* Does this machine have loop devices for us? */
bool loops_work(void);
/* A block device of that file, for the disk; a link to it, malloc'd. */
char *loops_attach(unsigned disk, const char *file);
/* Of all disks. */
void loops_detach(void);

/* ---- qemu.c ------------------------------------------------------ */

/* Serve QMP on a listening socket as the domain's QEMU; does not return. */
void qemu_serve(int listener) __attribute__((noreturn));
/* The file of a layer of a disk, 0 is the top; NULL: there is none. */
const char *qemu_layer(unsigned disk, unsigned layer);
/* QEMU writes another file of the disk's chain; or headers have changed. */
void qemu_goes_to(unsigned disk, const char *file);
/* It keeps the top of the chain open, as one that it opened with the disk. */
void qemu_keeps_top(unsigned disk);
/* The disk and the layer of a node. */
bool qemu_find_node(const char *node, unsigned *disk, unsigned *layer);

/* ---- qemu_jobs.c ------------------------------------------------- */

struct snap_json;
/* The answer to query-jobs. */
struct snap_json *jobs_query(void);
/* Obey a command about jobs. 1: it is none; 0: it could not be done; -1: it
 * was. */
int jobs_obey(const char *command, const struct snap_json *args);

/* ---- scenes.c ---------------------------------------------------- */

struct scene {
    const char *name;
    /* What was before: a snapshot s1, an interrupted run; NULL: nothing. */
    void (*before)(const struct scene *scene);
    /* The operation; its outcome. */
    int (*run)(const struct scene *scene, libxl_snapshot_ctx *sc);
    libxl_snapshot_disk_kind first, second;     /* of the disks */
    bool live, off, keep, keep_memory;
    /* How many external ones stand on that; which of all is deleted, from 1. */
    unsigned above, deletes;
    bool grows;                 /* the present images hold most */
    bool slow;                  /* what is done is seen later */
    bool old_kernel;
    bool furnished;             /* and the user gives its xl.cfg */
    bool apart;                 /* overlays of one name, in two directories */
    bool block;                 /* the images stand on block devices */
    bool disk_only;             /* without memory */
    bool no_journal;            /* the operation keeps none */
    const char *dies_in;        /* the step that the interrupted run began */
};
extern const struct scene scenes[];
extern const unsigned nscenes;
/* In this process it is the command of a hint: without --keep, say. */
extern bool scene_again;

/* The hint that the operation is to be given again. */
#define SCENE_AGAIN "again"
/* The directory of a run: images in img, snapshots in store, logs in log. */
extern char scene_dir[128];
/* A new host, as the scene finds it. */
void scene_set(const struct scene *scene);
/* It is taken down. */
void scene_clear(void);
/* `xl snapshot-recover`; its outcome. */
int scene_recover(libxl_snapshot_ctx *sc);

/* ---- look.c ------------------------------------------------------ */

/* What the images hold, too. */
extern bool look_sees_contents;
/* All that can be seen of the scene's host, as text, the same whenever it is
 * the same; malloc'd. */
char *scene_look(void);

/* ---- excuses.c --------------------------------------------------- */

/* Points that no scene can come by; call NULL: all of the function. */
struct excuse {
    const char *function, *call, *why;
    bool block;                 /* only where there are no loop devices */
};
extern const struct excuse excuses[];

#endif
