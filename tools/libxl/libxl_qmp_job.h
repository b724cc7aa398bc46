/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Jobs of QEMU's block layer: looking at one, telling it something, and the
 * two kinds that merge layers.  A job lives in QEMU and survives the
 * connection; how it is led is the caller's.
 */
#ifndef LIBXL_QMP_JOB_H
#define LIBXL_QMP_JOB_H

#include "host/fs.h"
#include "libxl_qmp.h"

/* A job as query-jobs has it (JobInfo in qapi/job.json of QEMU 7.2). */
struct snap_qmp_job {
    bool there;
    char *status;           /* "running", "ready", "pending", ... */
    char *error;            /* NULL: none (yet) */
    uint64_t done, total;   /* bytes, as far as QEMU knows */
};
void snap_qmp_job_dispose(struct snap_qmp_job *j);

/* The job of that id, and of that type ("commit", "stream"): another is not
 * ours, and ERROR_INVAL.  One that is not there is no error.  *j is empty, or
 * from an earlier call. */
int snap_qmp_job_query(struct snap_qmp *q, const char *id, const char *type,
                       int timeout_ms, struct snap_qmp_job *j);
/* job-complete, job-finalize, job-cancel, job-dismiss. */
int snap_qmp_job_tell(struct snap_qmp *q, const char *id, const char *command,
                      int timeout_ms);
/* No limit to its speed any more. */
int snap_qmp_job_lift_speed(struct snap_qmp *q, const char *id,
                            int timeout_ms);
/* Sleep until a job may have moved, wait_ms at most. */
int snap_qmp_job_await(struct snap_qmp *q, int wait_ms);

/* query-named-block-nodes.  Not while a block-stream has concluded and was not
 * dismissed: QEMU 7.2 crashes then (its copy-on-read filter is out of the graph
 * by then, but has a name, and bdrv_refresh_filename of block.c looks for its
 * child).  So streams here are dismissed by QEMU itself. */
int snap_qmp_nodes(struct snap_qmp *q, int timeout_ms,
                   struct snap_json **nodes);
const struct snap_json *snap_qmp_node_named(const struct snap_json *nodes,
                                            const char *name);

/* Two layers of one chain that lie upon each other. */
struct snap_qmp_merge {
    const char *job_id;
    const struct snap_fs_id *top, *base;    /* their files */
    const char *top_format, *base_format;   /* as QEMU has them */
    uint64_t speed;         /* bytes a second; 0: as fast as it can */
};

/*
 * Start a job that copies into `top` (anywhere in a chain) what it has not of
 * its own, from all layers between it and `base`, which is its backing file in
 * the end, by the name of base->real.  It stops in "pending": what it copied is
 * in QEMU, not in the file.  A job that failed is gone without a word.
 */
int snap_qmp_start_stream(struct snap_qmp *q, const struct snap_qmp_merge *m,
                          int timeout_ms);
/*
 * Start a job that copies what `top`, an active layer, has into `base`, which
 * is the active one in the end.  It stops in "ready", goes on with job-complete
 * and stops in "pending": then both hold the same, base is flushed, and the
 * guest's requests wait for job-finalize or job-cancel (mirror_run of
 * block/mirror.c, QEMU 7.2).  It is to be dismissed.
 */
int snap_qmp_start_commit(struct snap_qmp *q, const struct snap_qmp_merge *m,
                          int timeout_ms);

/*
 * Have QEMU write all it holds of that file's image.  The only command for it
 * is one for people (qemu-io), and whether it worked is not said: look at the
 * file.
 */
int snap_qmp_flush(struct snap_qmp *q, const struct snap_fs_id *file,
                   const char *format, int timeout_ms);

/*
 * Of an image by that name that no disk reads any more, but that QEMU keeps
 * open because it was opened with the disk: it lets go of what is below.  Else
 * that would be in use for ever, and no snapshot could be made of it.  ERROR_FAIL
 * when QEMU does not want to; an image that it has not is no error.
 */
int snap_qmp_sever(struct snap_qmp *q, const char *path, int timeout_ms);

#endif
