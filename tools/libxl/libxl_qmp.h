/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A QMP client: one short connection to one QEMU, commands with a deadline,
 * and the few queries and actions that disk snapshots need.  QEMU is not
 * trusted: answers are bounded in size, depth and number.  Not libxl's own
 * client; used by facts and by the disk steps only.
 */
#ifndef LIBXL_QMP_H
#define LIBXL_QMP_H

#include "format/json.h"

struct snap_qmp;

#define SNAP_QMP_MAX_LINE (8u << 20)    /* bytes of one answer or event */
#define SNAP_QMP_MAX_EVENTS 1000        /* kept while waiting */

/*
 * Connect, wait for the greeting, negotiate capabilities; all within
 * timeout_ms.  A full backlog is waited for (QEMU serves one client at a time,
 * backlog 1); a refused connection is tried again for 2 s at most (a QEMU that
 * starts; one that died must not keep a standing guest waiting).  A socket
 * that accepts but stays silent is waited for too, and the message then names
 * the clients that QEMU serves instead of us, with their pids, where the
 * kernel tells; else that another client holds it or QEMU does not answer.
 * 0, ERROR_TIMEDOUT, ERROR_FAIL, ERROR_NOTFOUND (no socket), ERROR_INVAL
 * (path too long, or the other side does not speak QMP).
 *
 * A cancelled context stops nothing here: what was sent has to be answered,
 * and an undo works with the same context.  Every wait has its deadline.
 */
int snap_qmp_open(struct snap_ctx *sc, const char *path, int timeout_ms,
                  struct snap_qmp **out);
void snap_qmp_close(struct snap_qmp *q);            /* NULL is fine */
static inline void snap_auto_qmp(struct snap_qmp **q) { snap_qmp_close(*q); }
#define AUTO_QMP __attribute__((cleanup(snap_auto_qmp)))
/* "7.2.22" from the greeting. */
const char *snap_qmp_version(const struct snap_qmp *q);
/* As given to snap_qmp_open, for messages; both live as long as q. */
const char *snap_qmp_path(const struct snap_qmp *q);
struct snap_ctx *snap_qmp_ctx(const struct snap_qmp *q);

/*
 * Run one command. `arguments` may be NULL; stays the caller's.  *result (may
 * be NULL) is the "return" value, the caller's to free.  An error answer is
 * ERROR_FAIL with QEMU's desc in the message, prefixed by the command.  After
 * a timeout (ERROR_TIMEDOUT), a closed connection (ERROR_FAIL) or garbage
 * (ERROR_INVAL) the connection is dead: whether the command was done is not
 * known, and every later command fails with ERROR_NOT_READY.  Answers with
 * another id are skipped (late answers to a former client), events are kept.
 */
int snap_qmp_command(struct snap_qmp *q, const char *command,
                     const struct snap_json *arguments, int timeout_ms,
                     struct snap_json **result);

/*
 * Several commands sent at once, to save round trips; QEMU runs them in order.
 * Fill in command and arguments; the rest must be zero.  An error answer is no
 * failure of the whole: it stands in `error` (one line, no control
 * characters), and nothing is recorded in the context.  0 when each has an
 * answer; else as snap_qmp_command.
 */
struct snap_qmp_call {
    const char *command;
    struct snap_json *arguments;    /* the call's own; NULL: none */
    struct snap_json *result;       /* NULL when QEMU answered an error */
    char *error;                    /* NULL when it did not */
};
int snap_qmp_calls(struct snap_qmp *q, struct snap_qmp_call *calls, size_t n,
                   int timeout_ms);
/* Frees what the calls own, not the array. */
void snap_qmp_calls_dispose(struct snap_qmp_call *calls, size_t n);

/*
 * Send a command but for its last byte, so that QEMU knows it and does not do
 * it yet; release sends that byte and waits for the answer, as
 * snap_qmp_command.  QEMU's monitor reads its socket byte by byte (in QEMU 7.2
 * monitor_can_read of monitor/monitor.c asks for one at a time): what is sent
 * before a guest stands still does not prolong that.  In between every other
 * command fails with ERROR_NOT_READY.  Closing the connection makes QEMU
 * forget the command: monitor_qmp_event of monitor/qmp.c starts with a new
 * parser for the next client.  snap_qmp_holds: is there one?
 */
int snap_qmp_hold(struct snap_qmp *q, const char *command,
                  const struct snap_json *arguments, int timeout_ms);
int snap_qmp_release(struct snap_qmp *q, int timeout_ms,
                     struct snap_json **result);
bool snap_qmp_holds(const struct snap_qmp *q);

/*
 * Wait for an event of that name (already kept ones count; removed from the
 * kept list). *data is its "data" (may be NULL; NULL for one without data).
 * ERROR_TIMEDOUT leaves the connection usable: nothing was asked.  When more
 * than SNAP_QMP_MAX_EVENTS (or 1 MiB) of events pile up the oldest are lost,
 * so an event is a hint to ask again, never the only proof.
 */
int snap_qmp_wait_event(struct snap_qmp *q, const char *event, int timeout_ms,
                        struct snap_json **data);
/* The same, but 1 and no message when it does not come in time. */
int snap_qmp_poll_event(struct snap_qmp *q, const char *event, int timeout_ms,
                        struct snap_json **data);

/*
 * Who is served by the listener of this unix socket, other than this process:
 * "xentop (pid 4711), python3 (pid 4712)", malloc'd; NULL when nobody is or
 * the kernel does not tell.  In libxl_qmp_holder.c.
 */
char *snap_qmp_holders(const char *path);

/* How a disk of the guest is known to QEMU. */
struct snap_qmp_disk {
    char *vdev;             /* "xvda", "xvda1", as in the configuration; NULL
                             * for an emulated disk (QEMU does not know) */
    char *node;             /* root node name, what commands take */
    char *device;           /* BlockBackend name; "" for xen-disk */
    char *qdev;             /* qom path or device id; NULL: no device */
    char *type;             /* "xen-disk", "xen-cdrom", "ide-hd", ... */
    char *driver;           /* "qcow2", "raw", ... of the root node */
    char *file;             /* the image's filename as QEMU has it */
    char *backing_file;     /* full backing filename, NULL: none */
    bool read_only;
    bool filtered;          /* a running block job has its filter above the
                             * image: QEMU will refuse to snapshot */
    bool inserted;          /* false: an empty drive */
    uint64_t virtual_size_bytes;
    bool encrypted;         /* image.encrypted */
    char *compression;      /* qcow2 "zlib"/"zstd", NULL if unknown */
    bool data_file;         /* qcow2 with an external data file */
    bool dirty_bitmaps;     /* any on the node */
    struct snap_strings tags;      /* internal snapshots: names ... */
    struct snap_strings tag_ids;   /* ... and ids, same order */
    struct snap_json *image;       /* ImageInfo (qapi/block-core.json) of the
                                    * chain, with nested backing-image */
};
struct snap_qmp_disks {
    struct snap_qmp_disk *data;
    size_t len;
};
/*
 * The same by query-block alone, one round trip: vdev, type and filtered stay
 * empty, qdev tells devices apart.  For looking again while a guest stands.
 */
int snap_qmp_query_blocks(struct snap_qmp *q, int timeout_ms,
                          struct snap_qmp_disks *out);
void snap_qmp_disks_dispose(struct snap_qmp_disks *d);

/*
 * All block devices of this QEMU: query-block, and for each one with a qdev
 * path `qom-get` of type, vdev and drive, all sent at once.  xen-disk reports
 * vdev with a partition digit, "xvda0" for "xvda": a lone 0 is stripped, a
 * real partition ("xvda1") stays.  Devices whose qom properties do not exist
 * (ide-hd has no vdev) get vdev NULL.  An answer with members missing or of
 * the wrong type is ERROR_INVAL.  Of an empty drive only vdev, device, qdev
 * and type are known.  A backing chain of more than about 50 layers is
 * refused: query-block nests them, SNAP_JSON_MAX_DEPTH ends it.
 */
int snap_qmp_query_disks(struct snap_qmp *q, int timeout_ms,
                         struct snap_qmp_disks *out);

/* One action of a transaction. */
struct snap_qmp_action {
    bool external;
    const char *node;       /* root node (both kinds) */
    const char *tag;        /* internal: name of the snapshot */
    const char *overlay;    /* external: absolute path; must not exist */
    const char *overlay_node;   /* external: new node name, <= 31 chars */
    const char *overlay_format; /* "qcow2" */
};
/*
 * All or nothing, one `transaction`; n == 0 does nothing.  Names and paths are
 * checked before anything is sent (ERROR_INVAL): QEMU would overwrite an
 * existing overlay file, so one that is not a block device is refused.  On an
 * error overlay files that QEMU left behind are still there: the caller
 * unlinks those it knows it asked for.  After ERROR_TIMEDOUT ask a new
 * connection what was done.
 */
int snap_qmp_transaction(struct snap_qmp *q, const struct snap_qmp_action *a,
                         size_t n, int timeout_ms);
/* The same in two moves, see snap_qmp_hold: the second looks at the overlays'
 * paths again, and sends what is missing; all of it when nothing is held. */
int snap_qmp_transaction_hold(struct snap_qmp *q,
                              const struct snap_qmp_action *a, size_t n,
                              int timeout_ms);
int snap_qmp_transaction_release(struct snap_qmp *q,
                                 const struct snap_qmp_action *a, size_t n,
                                 int timeout_ms);
int snap_qmp_delete_internal(struct snap_qmp *q, const char *node,
                             const char *tag, int timeout_ms);
/*
 * Commit the (still empty) top overlay into its own backing file (never a
 * deeper one, which is QEMU's default) and make that active again:
 * block-commit of the active layer, job-complete, waited for with
 * query-jobs/events, job dismissed.  Leaves no job behind on success, nor when
 * the job itself failed.  A job with this id that an interrupted attempt left
 * is led to its end first, then what is still to do is done: may be repeated.
 * In libxl_qmp_commit.c.
 * ERROR_NOTFOUND: no such node (it never was, or was committed before).
 * ERROR_TIMEDOUT: the job may still run.
 */
int snap_qmp_commit_active(struct snap_qmp *q, const char *top_node,
                           const char *job_id, int timeout_ms);

#endif
