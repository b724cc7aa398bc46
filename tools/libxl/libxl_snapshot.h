/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxlsnapshot: snapshots of Xen domains, memory and disks at one instant.
 *
 * This is the interface of the library: mechanism only.  Callers give
 * explicit paths; where snapshots are stored, how they are named by default
 * and what the user typed is the caller's policy (tools/xl).
 *
 * Every function that returns an int returns 0, or a negative error code of
 * <libxl.h> with a message in the context (libxl_snapshot_error): what, which,
 * why, what to do.  libxl_snapshot_outcome then says what that means for the
 * user's domain.  The library never prints, but for one line when memory runs
 * out, which ends the process.
 *
 * Set what is not needed in parameters to zero.  A result is made empty first,
 * so it can be disposed of after a failure, too; its strings belong to it.
 *
 * What is declared here is there since 0.1, unless its comment says "Since"
 * and a later version.
 *
 * One context is used by one thread at a time, for one operation, and to find
 * and lock its domain before; allocate a new one for the next.  The process
 * must be root in dom0.  It forks; children are reaped by pid, so the caller
 * must not reap with waitpid(-1).
 */
#ifndef LIBXL_SNAPSHOT_H
#define LIBXL_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- what the others are made of --------------------------------- */

/* How much a log line matters; the caller's callback decides what it shows. */
enum snap_log_level {
    SNAP_LOG_DEBUG,
    SNAP_LOG_DETAIL,
    SNAP_LOG_NOTE,          /* people should read it even without -v */
};

/* One measure of a long wait: bytes of memory written, copied, fed. */
struct snap_progress {
    const char *what;       /* "memory", "copy xvda" */
    uint64_t done_bytes;
    uint64_t total_bytes;   /* an estimate; 0 when unknown */
    bool finished;
};

/* A list of strings, each owned. data[len] is NULL once something was added,
 * so it serves as an argv. */
struct snap_strings {
    char **data;
    size_t len;
};

/* In a snapshot's directory. What has the first is a snapshot. */
#define SNAP_MANIFEST_FILE "snapshot.json"
#define SNAP_MEMORY_FILE "memory.xl"

enum snap_disk_type { SNAP_DISK_INTERNAL, SNAP_DISK_EXTERNAL };

/*
 * One disk of a snapshot. parent and child are whole xl disk specs.
 * internal: parent and child name the same image; tag and tag_id are set.
 * external: parent is the frozen base (access=ro), child the overlay that the
 * domain writes from then on; size_bytes and mtime_ns are the base's.
 */
struct snap_manifest_disk {
    char *vdev;
    enum snap_disk_type type;
    char *parent;
    char *child;            /* NULL: external, and the overlay is gone */
    char *image;            /* real path: the qcow2 with the tag, or base */
    char *format;           /* of image: raw, qcow, qcow2, qed, vhd */
    char *overlay;          /* external: path of the overlay made; NULL: gone */
    char *tag;              /* internal */
    char *tag_id;           /* internal: qcow2 snapshot id, text */
    uint64_t virtual_size_bytes;
    uint64_t dev, ino;      /* identify image */
    uint64_t size_bytes;    /* st_size of the frozen base (external) */
    int64_t mtime_ns;       /* st_mtime of the frozen base (external) */
    char *sample_sha256;    /* of pieces of it; NULL: not made */
};

/*
 * What a snapshot is, from its snapshot.json; docs/snapshot-format.md says
 * what each field means. Strings are malloc'd; NULL where a field that may be
 * absent is.
 */
struct snap_manifest {
    char *name;
    char *description;      /* may be NULL */
    char *created;          /* "2026-01-02T03:04:05Z" */
    char *domain_name;
    char *domain_uuid;
    char *domain_type;      /* "pv", "pvh", "hvm" */
    char *domain_state;     /* "running", "paused", "off" */
    char *parent;           /* name of the parent snapshot, NULL: unknown */
    char *consistency;      /* full partial quiesced offline crash */
    bool live;
    int64_t pause_ms;
    char *tool_version, *xen_version, *qemu_version;
    char *memory_path;      /* relative to the directory, or absolute in a
                             * hand-written set; NULL: no memory */
    uint64_t memory_size_bytes;
    uint64_t memory_head_bytes;
    char *memory_head_sha256;
    char *memory_sha256;    /* of the whole; NULL: not computed */
    struct snap_strings excluded;   /* vdevs of writable disks left out */
    struct snap_manifest_disk *disks;
    size_t ndisks;
    /* Optional fields we do not know, kept for printing, in an object of the
     * manifest's own shape, but with "disks" an object by vdev. NULL: none. */
    struct snap_json *unknown;
};
typedef struct snap_manifest libxl_snapshot_manifest;

/* ---- the context ------------------------------------------------- */

typedef struct snap_ctx libxl_snapshot_ctx;

typedef struct {
    void *arg;
    /* One line of text, without a newline. May be NULL. */
    void (*log)(void *arg, enum snap_log_level level, const char *text);
    /* About ten times a second during long work. May be NULL. */
    void (*progress)(void *arg, const struct snap_progress *progress);
} libxl_snapshot_callbacks;

/* `callbacks` is copied, may be NULL. The context is the caller's to free. */
libxl_snapshot_ctx *libxl_snapshot_ctx_alloc(const libxl_snapshot_callbacks
                                             *callbacks);
/* NULL is fine. */
void libxl_snapshot_ctx_free(libxl_snapshot_ctx *ctx);
/* The first error of the operation, or NULL. Like all texts it may quote what
 * comes from outside: clean it before it goes to a terminal. */
const char *libxl_snapshot_error(const libxl_snapshot_ctx *ctx);
/* The exact command that finishes or mends what is not whole, or NULL. */
const char *libxl_snapshot_hint(const libxl_snapshot_ctx *ctx);
/* Async-signal-safe: ask the running operation to undo itself and end. */
void libxl_snapshot_cancel(libxl_snapshot_ctx *ctx);

/* The exit statuses of xl. */
typedef enum {
    LIBXL_SNAPSHOT_DONE = 0,
    LIBXL_SNAPSHOT_REFUSED = 1,     /* nothing was touched */
    LIBXL_SNAPSHOT_UNDONE = 3,      /* failed; all is as before */
    LIBXL_SNAPSHOT_NOT_WHOLE = 4,   /* the hint says how to finish */
} libxl_snapshot_outcome_t;
/* What a finished operation means for the domain. */
libxl_snapshot_outcome_t
libxl_snapshot_outcome(const libxl_snapshot_ctx *ctx);

/*
 * Find a running domain by name, number or uuid. *domid and *name (malloc'd,
 * the caller's) when found; ERROR_DOMAIN_NOTFOUND, without a message, when
 * there is none: to a revert that is no error, the domain may be off.
 */
int libxl_snapshot_find_domain(libxl_snapshot_ctx *ctx, const char *domain,
                               uint32_t *domid, char **name);

/* ---- create ------------------------------------------------------ */

typedef enum {
    LIBXL_SNAPSHOT_DISK_AUTO,       /* internal where it can, else external */
    LIBXL_SNAPSHOT_DISK_INTERNAL,
    LIBXL_SNAPSHOT_DISK_EXTERNAL,
    LIBXL_SNAPSHOT_DISK_EXCLUDE,
} libxl_snapshot_disk_kind;

typedef struct {
    const char *vdev;
    libxl_snapshot_disk_kind kind;
    const char *format;     /* of a new overlay: NULL or "qcow2" */
    const char *target;     /* absolute path of a new overlay, NULL: ask the
                             * overlay_path callback */
} libxl_snapshot_disk;

typedef struct {
    uint32_t domid;
    const char *name;           /* [A-Za-z_][A-Za-z0-9_.-]{0,63} */
    const char *description;    /* NULL: none */
    const char *directory;      /* absolute; made by create, must not exist */
    const char *current_path;   /* the hint file to update; NULL: none */
    const char *parent;         /* name of the parent snapshot; NULL */
    libxl_snapshot_disk_kind default_kind;
    const libxl_snapshot_disk *disks;   /* for some vdevs */
    size_t ndisks;
    /* Where an overlay on `image` (a real path) goes; malloc'd, or NULL for
     * "no place": the disk is refused with that reason. Asked for each disk
     * that may become external and has no target. */
    char *(*overlay_path)(void *arg, const char *vdev, const char *image);
    void *overlay_arg;
    bool live;                  /* memory is written while the guest runs */
    bool leave_paused;
    bool protect;               /* immutable flag on frozen bases */
    bool dry_run;
    int lock_timeout_ms;
    const char *stock_xl;       /* for hints and revert: path of stock xl */
} libxl_snapshot_create_params;

typedef struct {
    char *plan;                 /* the steps as text, one a line */
    char *directory;
    uint32_t domid;             /* after revert: of the new domain */
    int64_t pause_ms;           /* suspend asked for .. resumed */
    int64_t still_ms;           /* suspend returned .. resumed */
    uint64_t memory_bytes;
    struct snap_strings advice; /* disk= entries for the user's xl.cfg */
    /* Of each, if there are any: only in place of one with this image. */
    struct snap_strings instead;
    struct snap_strings left;   /* files kept: "path (N bytes): what it is" */
    struct snap_strings notes;  /* left-out disks and other remarks */
    char *memory;               /* delete: path of the memory image that stays;
                                 * NULL: none */
    libxl_snapshot_manifest manifest;
} libxl_snapshot_result;
/* Frees what is in it. */
void libxl_snapshot_result_dispose(libxl_snapshot_result *result);

/*
 * Snapshot a running domain: memory and disks.  See docs/design.md for the
 * order of events.  On success the directory holds a sealed snapshot and the
 * domain runs (or is paused) under the same domid.
 */
int libxl_snapshot_create(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_create_params *params,
                          libxl_snapshot_result *result);

/* ---- adopt ------------------------------------------------------- */

typedef enum {
    LIBXL_SNAPSHOT_ADOPT_TAG,       /* what: an internal snapshot's name */
    LIBXL_SNAPSHOT_ADOPT_BASE,      /* what: absolute path of the layer */
    LIBXL_SNAPSHOT_ADOPT_EXCLUDE,
} libxl_snapshot_adopt_kind;

typedef struct {
    const char *vdev;
    libxl_snapshot_adopt_kind kind;
    const char *what;
} libxl_snapshot_adopt_disk;

typedef struct {
    const char *domain_name;
    const char *domain_config;  /* of a domain that is off: path of its xl.cfg;
                                 * NULL: the one in the memory image */
    const char *name;           /* as for create, like the next four */
    const char *description;
    const char *directory;
    const char *parent;
    const char *stock_xl;       /* reads the xl.cfg */
    /* Of a disk that is not there, the tag called like the snapshot. */
    const libxl_snapshot_adopt_disk *disks;
    size_t ndisks;
    const char *memory;         /* path of an image of `xl save`, which is
                                 * copied; NULL: disks alone */
    bool offline;               /* the domain was off then; without memory */
    bool protect;               /* immutable flag on frozen bases */
    bool dry_run;
    int lock_timeout_ms;
} libxl_snapshot_adopt_params;

/*
 * Write a manifest for a snapshot that was made by hand, by libvirt or by
 * qemu-img: tags in the disks' present images, or layers below them that nobody
 * writes any more, of a domain that runs or is off.  Whether memory and disks
 * are of one instant cannot be seen.  Since 0.1.
 */
int libxl_snapshot_adopt(libxl_snapshot_ctx *ctx,
                         const libxl_snapshot_adopt_params *params,
                         libxl_snapshot_result *result);

/* ---- reading ----------------------------------------------------- */

typedef struct {
    char *directory;            /* where the manifest is, absolute; NULL for
                                 * a hand-written set */
    libxl_snapshot_manifest manifest;
} libxl_snapshot_set;
/* Frees what is in it. */
void libxl_snapshot_set_dispose(libxl_snapshot_set *set);

/* Read a snapshot: `path` is its directory or its manifest. ERROR_NOTFOUND:
 * the directory is there, but no snapshot in it. */
int libxl_snapshot_load(libxl_snapshot_ctx *ctx, const char *path,
                        libxl_snapshot_set *set);

/*
 * Lock a domain before its snapshots are read for an operation that changes
 * them, so that they are still so when it begins; and with `set` (NULL: none)
 * the images that it names, which a delete or a repair of it would lock.  Waits
 * up to timeout_ms for each.  The next operation of this context on that domain
 * takes the locks over, and its end unlocks; without one ctx_free does.  An
 * operation whose domain is not locked takes the lock itself, which is after
 * its parameters were made.  An error, also when an earlier one is to be
 * recovered, has an outcome and a hint.
 */
int libxl_snapshot_lock(libxl_snapshot_ctx *ctx, const char *domain_name,
                        const libxl_snapshot_set *set, int timeout_ms);

/* ---- verify ------------------------------------------------------ */

/* Of one part of a snapshot: "directory", "memory", or a virtual device. */
typedef struct {
    char *part;
    bool good;
    char *text;                 /* what was looked at, or what is wrong */
} libxl_snapshot_finding;
typedef struct {
    libxl_snapshot_finding *data;
    size_t len;
    bool whole;                 /* all are good */
} libxl_snapshot_findings;
/* Frees what is in it. */
void libxl_snapshot_findings_dispose(libxl_snapshot_findings *findings);

/*
 * Is all of a snapshot there, and unharmed?  Only reads, and needs no Xen.
 * Images that nobody has open are read through by `qemu-img check`, which takes
 * long when they are large.  0 with findings also when some are bad.
 */
int libxl_snapshot_verify(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_set *set,
                          libxl_snapshot_findings *findings);

/* ---- repair ------------------------------------------------------ */

/* Something about a snapshot that is not right. */
typedef struct {
    char *part;                 /* "directory", "memory", "name", "parent", or
                                 * a virtual device */
    char *text;                 /* what is wrong, and what it becomes; or why
                                 * that cannot be told */
    bool can;                   /* it can be mended without guessing */
    bool done;                  /* it was */
} libxl_snapshot_mend;
typedef struct {
    libxl_snapshot_mend *data;
    size_t len;
} libxl_snapshot_mends;
/* Frees what is in it. */
void libxl_snapshot_mends_dispose(libxl_snapshot_mends *mends);

typedef struct {
    const char *domain_name;
    const char *directory;      /* of the snapshot */
    const char *current_path;   /* the hint file, in the directory where the
                                 * domain's snapshots are called by the names
                                 * of theirs; NULL: there is none */
    /* The domain's other snapshots, and all that may have its images. */
    const libxl_snapshot_set *others;
    size_t nothers;
    /* Why one of the domain's cannot be read, so that nothing is known from
     * what is not found among them; NULL: all can. */
    const char *unread;
    bool protect;               /* set a lost immutable flag */
    bool dry_run;               /* only list */
    int lock_timeout_ms;
    const char *retry_command;  /* the user's command, for the hint */
} libxl_snapshot_repair_params;

/*
 * Mend what a manifest has wrong of its snapshot and what can be told without
 * guessing: other names and numbers of what is still the same, a parent or an
 * overlay that is gone; permissions; immutable flags.  Contents are neither
 * changed, nor accepted when they differ.  Each change is whole by itself; on
 * a failure those before it are done, and the same call makes the rest.  What
 * else is wrong libxl_snapshot_verify finds.
 */
int libxl_snapshot_repair(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_repair_params *params,
                          libxl_snapshot_mends *mends);

/* ---- images ------------------------------------------------------ */

/* A number that is none, of an image or a snapshot in the lists below. */
#define SNAP_INVENTORY_NONE SIZE_MAX

struct snap_inventory_tag {
    char *name, *id;
    uint64_t vm_state_bytes;    /* all that qemu-img tells of its size */
    int64_t date_sec;
    size_t snapshot;            /* found: whose it is, or NONE */
};

/* What an image is for: the first of these that is true. */
enum snap_inventory_use {
    SNAP_USE_GONE,              /* it is named, but not there */
    SNAP_USE_ACTIVE,            /* a domain has it as its disk */
    SNAP_USE_BASE,              /* frozen by a snapshot */
    SNAP_USE_BELOW,             /* other images stand on it */
    SNAP_USE_DISK,              /* it holds the tag of a snapshot */
    SNAP_USE_ABANDONED,         /* an overlay of ours that nobody needs */
    SNAP_USE_OVERLAY,           /* another image that stands on one of these */
    SNAP_USE_FOREIGN,
};

/* One for each file, whatever names it has. */
struct snap_inventory_image {
    char *path;                 /* real; as it is named where it is gone */
    char *format;               /* xl's name; NULL: nobody says */
    char *vdev;                 /* whose it is or that it is below; NULL */
    bool gone;
    char *unread;               /* why what is in it is not known; NULL */
    uint64_t dev, ino, links;
    bool block, immutable;
    uint64_t size_bytes;        /* that it takes on the disk */
    uint64_t virtual_size_bytes;    /* 0: unknown */
    int64_t mtime_ns;
    size_t below;               /* what it stands on, or NONE */
    struct snap_inventory_tag *tags;
    size_t ntags;
    struct snap_strings domains;    /* that have it as their disk */
    bool own;                   /* the domain in question is one of them */
    bool claimed;               /* it is in the chain of some domain's disk */
    char *user;                 /* who has it open; NULL: not looked, nobody */
    /* Found. */
    enum snap_inventory_use use;
    size_t first_link, nlinks;  /* of manifests, external ones first */
    size_t nbases;              /* how many of them froze it */
    size_t made_by;             /* the snapshot whose overlay it is, or NONE */
    size_t above;               /* how many stand on it */
    bool present;               /* in a chain that the domain has now */
    char *doubt;                /* it looks abandoned; why it is not to be
                                 * removed */
};

/* A disk of a manifest, and what its paths lead to (or NONE). */
struct snap_inventory_link {
    size_t snapshot;
    const struct snap_manifest_disk *disk;      /* borrowed */
    size_t image, overlay;
    bool tag_there;             /* found, of internal ones */
};

struct snap_inventory_snapshot {
    const struct snap_manifest *m;  /* borrowed, as is the next */
    const char *directory;
    bool own;                   /* the domain's in question */
};

/* A qcow2 beside them that has nothing to do with them, as far as is known. */
struct snap_inventory_file {
    char *path;
    uint64_t size_bytes;
};

struct snap_inventory {
    char *domain;               /* NULL: of all */
    bool running;
    char *no_domains;           /* why Xen could not be asked; NULL: it was */
    struct snap_inventory_snapshot *snapshots;
    size_t nsnapshots;
    struct snap_inventory_link *links;
    size_t nlinks;
    struct snap_inventory_image *images;
    size_t nimages;
    struct snap_inventory_file *foreign;
    size_t nforeign;
};
typedef struct snap_inventory libxl_snapshot_inventory;
/* Frees what is in it. */
void libxl_snapshot_inventory_dispose(libxl_snapshot_inventory *inventory);

typedef struct {
    const char *domain_name;    /* NULL: of no certain one */
    /* Its snapshots, whose images are looked at, and all others that may have
     * some of these: none must be left out, or what is theirs looks like
     * nobody's. */
    const libxl_snapshot_set *own;
    size_t nown;
    const libxl_snapshot_set *others;
    size_t nothers;
} libxl_snapshot_images_params;

/*
 * Which images there are of a domain, what they stand on and what each is for.
 * Only reads.  Without Xen, or if the domain does not run, by what the
 * manifests name.  That an image cannot be read is in the result; a directory
 * that cannot be read is an error.  The result borrows the manifests.
 */
int libxl_snapshot_images(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_images_params *params,
                          libxl_snapshot_inventory *out);

typedef struct {
    const char *domain_name;
    /* All manifests, read behind libxl_snapshot_lock: what was listed may be
     * hours old. */
    const libxl_snapshot_images_params *now;
    /* What somebody has agreed to: what is abandoned in there. */
    const libxl_snapshot_inventory *listed;
    int lock_timeout_ms;
    const char *retry_command;  /* the user's command, for the hint */
} libxl_snapshot_remove_params;

typedef struct {
    struct snap_strings removed;    /* paths */
    struct snap_strings stayed;     /* "path: why" */
} libxl_snapshot_removal;
/* Frees what is in it. */
void libxl_snapshot_removal_dispose(libxl_snapshot_removal *removal);

/*
 * Remove the overlays that were found abandoned, each if it is the same file
 * and still abandoned, under the locks of the domain and of the images.  A
 * result also on failure: an error if one of them stayed; not whole then if
 * another was removed.
 */
int libxl_snapshot_remove_abandoned(libxl_snapshot_ctx *ctx,
                                    const libxl_snapshot_remove_params *params,
                                    libxl_snapshot_removal *removal);

/* ---- revert ------------------------------------------------------ */

typedef enum {
    LIBXL_SNAPSHOT_STATE_AS_SAVED,
    LIBXL_SNAPSHOT_STATE_RUNNING,
    LIBXL_SNAPSHOT_STATE_PAUSED,
} libxl_snapshot_state;

typedef struct {
    const char *domain_name;
    /* A loaded snapshot, or a hand-written set: disks then may lack image,
     * format and identity (taken from the memory image's configuration). */
    const libxl_snapshot_set *set;
    const char *domain_config;  /* path of a user's xl.cfg, or NULL */
    const char *current_path;
    const char *const *exclude; /* vdevs accepted as changed (partial) */
    size_t nexclude;
    /* Snapshots known to the caller: what they name as a frozen base is not
     * written, a copy is. */
    const libxl_snapshot_set *others;
    size_t nothers;
    /* Where the new overlay (or the copy of a shared image) goes. */
    char *(*overlay_path)(void *arg, const char *vdev, const char *image);
    void *overlay_arg;
    libxl_snapshot_state state;
    /* Snapshot the present state of the running domain first, as these say
     * (but for live, leave_paused, dry_run and the timeout): the domain does
     * not run in between, and if it cannot be built any more it goes back
     * there. NULL: do not. */
    const libxl_snapshot_create_params *keep;
    const char *keep_command;   /* that reverts to it, for the hint */
    /* Without the memory: the domain is booted on the snapshot's disks, by
     * domain_config, or else by the configuration in the memory image. A set
     * without a memory image can be reverted to in no other way. */
    bool disk_only;
    bool force;                 /* over doubts about identity only */
    bool protect;
    bool dry_run;
    int lock_timeout_ms;
    const char *stock_xl;       /* absolute path */
    const char *retry_command;  /* the user's command, for the hint */
} libxl_snapshot_revert_params;

/*
 * Put a domain, running or off, back at a snapshot: memory and disks. All that
 * it needs is looked at before the present domain is destroyed. On success the
 * domain runs (or is paused) under a new domid.
 */
int libxl_snapshot_revert(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_revert_params *params,
                          libxl_snapshot_result *result);

/* ---- delete, check, recover -------------------------------------- */

typedef struct {
    const char *domain_name;
    const libxl_snapshot_set *set;
    const char *current_path;
    /* The other snapshots in the same store directory, to find dependents. */
    const libxl_snapshot_set *others;
    size_t nothers;
    bool keep_layers;           /* merge nothing */
    bool keep_memory;           /* the memory image stays, alone in its
                                 * directory */
    uint64_t speed_bytes;       /* a second, at most, for merges that QEMU
                                 * does and for those into the base; 0: as
                                 * fast as it goes */
    bool dry_run;
    int lock_timeout_ms;
    const char *retry_command;  /* the user's command, for the hint */
} libxl_snapshot_delete_params;

/* Drops tags and merges layers that nobody needs (by QEMU when the domain runs,
 * by qemu-img when nobody has the image open), makes its children its parent's,
 * removes the directory. What stays, and why, is in the result's
 * notes; entries for an xl.cfg that are right then in its advice. */
int libxl_snapshot_delete(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_delete_params *params,
                          libxl_snapshot_result *result);

typedef struct {
    char *vdev, *path, *format, *backend;
    bool writable;
    bool ignored;               /* read-only, CD-ROM, empty: not part of it */
    char *internal_reason;      /* NULL: an internal snapshot can be made */
    char *external_reason;      /* NULL: an external one can */
} libxl_snapshot_disk_report;

typedef struct {
    char *name, *uuid, *type;
    uint32_t domid;
    struct snap_strings reasons;    /* why the domain cannot; empty: it can */
    char *live_reason;              /* NULL: --live is possible */
    libxl_snapshot_disk_report *disks;
    size_t ndisks;
} libxl_snapshot_report;
/* Frees what is in it. */
void libxl_snapshot_report_dispose(libxl_snapshot_report *report);

/* Can this domain be snapshotted? Reads only. 0 with a report even when the
 * answer is no. */
int libxl_snapshot_check(libxl_snapshot_ctx *ctx, uint32_t domid,
                         libxl_snapshot_report *report);

/* A command that works on a domain now, or was interrupted there. */
typedef struct {
    char *domain, *what;        /* "create", "revert", "delete", "adopt" */
    int pid;                    /* of the process that works on it; 0: none,
                                 * recover has to */
} libxl_snapshot_operation;
/* All of them, or those of one domain. They are looked at without a lock: an
 * answer may be old when it arrives. */
void libxl_snapshot_operations(const char *domain_name,
                               libxl_snapshot_operation **list, size_t *n);
/* Frees the list and what is in it. */
void libxl_snapshot_operations_free(libxl_snapshot_operation *list, size_t n);

/* Finish or undo what was interrupted: resume a domain that a create left
 * suspended, let its monitor go on, put its images right. `domain_name` or
 * NULL for every domain with a journal. What was done is in result->notes. */
int libxl_snapshot_recover(libxl_snapshot_ctx *ctx, const char *domain_name,
                           bool dry_run, int lock_timeout_ms,
                           libxl_snapshot_result *result);

#endif
