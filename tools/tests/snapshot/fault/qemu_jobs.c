/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Block jobs of the domain's QEMU: what they copy is copied when they begin,
 * and each waits where a real one waits.
 */
#include "fault/sweep.h"

#include "format/json.h"
#include "qmp/server.h"
#include "tap.h"

#define RUN(...) (!run_program((const char *const[]){ __VA_ARGS__, NULL }))

static struct host_job *find_job(const char *id)
{
    unsigned i;

    for (i = 0; id && i < HOST_DISKS; i++)
        if (!strcmp(host->jobs[i].id, id)) return &host->jobs[i];
    return NULL;
}

static void set_status(struct host_job *job, const char *status)
{
    snprintf(job->status, sizeof(job->status), "%s", status);
}

struct snap_json *jobs_query(void)
{
    struct snap_json *list = snap_json_new_array();
    unsigned i;

    for (i = 0; i < HOST_DISKS; i++) {
        const struct host_job *job = &host->jobs[i];
        struct snap_json *one;

        if (!job->id[0]) continue;
        one = snap_json_new_object();
        snap_json_set_str(one, "id", job->id);
        snap_json_set_str(one, "type", job->type);
        snap_json_set_str(one, "status", job->status);
        snap_json_set_int(one, "current-progress", 1 << 20);
        snap_json_set_int(one, "total-progress", 1 << 20);
        snap_json_append(list, one);
    }
    return list;
}

/* ---- beginning --------------------------------------------------- */

static bool stand_on(const char *top, const char *base, bool copy)
{
    return copy ? RUN("qemu-img", "rebase", "-f", "qcow2", "-F", "qcow2", "-b",
                      base, top)
                : RUN("qemu-img", "rebase", "-u", "-f", "qcow2", "-F",
                      "qcow2", "-b", base, top);
}

static bool copies(const struct host_job *job, unsigned layer)
{
    if (strcmp(job->type, "stream"))
        return RUN("qemu-img", "commit", "-q", "-d", job->top);
    return stand_on(job->top, job->base, true)
           && stand_on(job->top, qemu_layer(job->disk, layer + 1), false);
}

/* It waits for us where there is more for us to do, and has ended else. */
static bool begin(const char *type, const struct snap_json *args)
{
    unsigned disk, top, base;
    struct host_job job = { .id = "" };
    bool finalizes = true;

    if (!qemu_find_node(snap_json_get_str(args, "base-node"), &disk, &base)
        || !qemu_find_node(snap_json_get_str(args, "device"), &job.disk, &top)
        || job.disk != disk || base <= top || host->jobs[disk].id[0])
        return false;
    snap_json_bool(snap_json_get(args, "auto-finalize"), &finalizes);
    snprintf(job.id, sizeof(job.id), "%s", snap_json_get_str(args, "job-id"));
    snprintf(job.type, sizeof(job.type), "%s", type);
    snprintf(job.top, sizeof(job.top), "%s", qemu_layer(disk, top));
    snprintf(job.base, sizeof(job.base), "%s", qemu_layer(disk, base));
    if (!copies(&job, top)) return false;
    set_status(&job, strcmp(type, "stream") ? "ready" : "pending");
    if (finalizes) {
        set_status(&job, "concluded");
        qemu_goes_to(disk, job.base);
    }
    host->jobs[disk] = job;
    return true;
}

/* ---- leading ----------------------------------------------------- */

static bool is(const struct host_job *job, const char *status)
{
    return !strcmp(job->status, status);
}

static void forget(struct host_job *job)
{
    *job = (struct host_job){ .id = "" };
}

static bool finalize(struct host_job *job)
{
    if (!is(job, "pending")) return false;
    if (!strcmp(job->type, "stream")) {
        if (!stand_on(job->top, job->base, false)) return false;
        qemu_goes_to(job->disk, host->disk[job->disk].file);
        forget(job);            /* it dismisses itself */
        return true;
    }
    qemu_keeps_top(job->disk);
    qemu_goes_to(job->disk, job->base);
    set_status(job, "concluded");
    return true;
}

static bool lead(const char *command, struct host_job *job)
{
    if (!strcmp(command, "job-finalize")) return finalize(job);
    if (!strcmp(command, "job-complete")) {
        if (!is(job, "ready")) return false;
        set_status(job, "pending");
    } else if (!strcmp(command, "job-dismiss")) {
        if (!is(job, "concluded")) return false;
        forget(job);
    } else if (!strcmp(job->type, "stream")) {
        forget(job);
    } else {
        set_status(job, "concluded");
    }
    return true;
}

int jobs_obey(const char *command, const struct snap_json *args)
{
    struct host_job *job;
    bool done;

    if (!strcmp(command, "block-stream")) {
        done = begin("stream", args);
    } else if (!strcmp(command, "block-commit")) {
        done = begin("commit", args);
    } else if (!strncmp(command, "job-", 4)) {
        job = find_job(snap_json_get_str(args, "id"));
        done = job && lead(command, job);
    } else {
        return 1;
    }
    return done ? -1 : 0;
}
