/* SPDX-License-Identifier: LGPL-2.1-only */
/* See libxl_qmp_job.h. */
#include "libxl_qmp_job.h"

#include <string.h>

#include "host/place.h"

static bool equal(const char *a, const char *b)
{
    return a && b && !strcmp(a, b);
}

/* ---- one job ----------------------------------------------------- */

void snap_qmp_job_dispose(struct snap_qmp_job *j)
{
    free(j->status);
    free(j->error);
    *j = (struct snap_qmp_job){ 0 };
}

static int bad_job(struct snap_qmp *q, const char *id, const char *why)
{
    return snap_fail(snap_qmp_ctx(q), ERROR_INVAL, "QEMU at '%s': its answer "
                     "to query-jobs: the job '%s' %s", snap_qmp_path(q), id,
                     why);
}

static bool is_printable(const char *s)
{
    while (*s && (unsigned char)*s >= ' ' && *s != 0x7f) s++;
    return !*s;
}

/* What is not told, or makes no sense, is 0: it is only shown. */
static uint64_t bytes_of(const struct snap_json *entry, const char *key)
{
    int64_t n;

    return snap_json_int(snap_json_get(entry, key), &n) && n > 0 ? n : 0;
}

static int read_job(struct snap_qmp *q, const char *id, const char *type,
                    const struct snap_json *entry, struct snap_qmp_job *j)
{
    const struct snap_json *error = snap_json_get(entry, "error");

    j->there = true;
    if (!equal(snap_json_get_str(entry, "type"), type)) {
        AUTO_FREE char *why = snap_printf("is no %s: it is not ours", type);

        return bad_job(q, id, why);
    }
    j->status = snap_strdup(snap_json_get_str(entry, "status"));
    if (!j->status) return bad_job(q, id, "has no status");
    j->done = bytes_of(entry, "current-progress");
    j->total = bytes_of(entry, "total-progress");
    if (!error) return 0;
    j->error = snap_strdup(snap_json_str(error));
    if (!j->error || !is_printable(j->error))
        return bad_job(q, id, "has an error that is no text");
    return 0;
}

int snap_qmp_job_query(struct snap_qmp *q, const char *id, const char *type,
                       int timeout_ms, struct snap_qmp_job *j)
{
    AUTO_JSON struct snap_json *jobs = NULL;
    size_t i;
    int rc;

    snap_qmp_job_dispose(j);
    rc = snap_qmp_command(q, "query-jobs", NULL, timeout_ms, &jobs);
    for (i = 0; !rc && !j->there && i < snap_json_len(jobs); i++) {
        const struct snap_json *entry = snap_json_at(jobs, i);

        if (equal(snap_json_get_str(entry, "id"), id))
            rc = read_job(q, id, type, entry, j);
    }
    return rc;
}

int snap_qmp_job_tell(struct snap_qmp *q, const char *id, const char *command,
                      int timeout_ms)
{
    AUTO_JSON struct snap_json *arguments = snap_json_new_object();

    snap_json_set_str(arguments, "id", id);
    return snap_qmp_command(q, command, arguments, timeout_ms, NULL);
}

int snap_qmp_job_lift_speed(struct snap_qmp *q, const char *id, int timeout_ms)
{
    AUTO_JSON struct snap_json *arguments = snap_json_new_object();

    snap_json_set_str(arguments, "device", id);
    snap_json_set_int(arguments, "speed", 0);
    return snap_qmp_command(q, "block-job-set-speed", arguments, timeout_ms,
                            NULL);
}

int snap_qmp_job_await(struct snap_qmp *q, int wait_ms)
{
    int rc = snap_qmp_poll_event(q, "JOB_STATUS_CHANGE", wait_ms, NULL);

    return rc < 0 ? rc : 0;
}

/* ---- nodes ------------------------------------------------------- */

int snap_qmp_nodes(struct snap_qmp *q, int timeout_ms,
                   struct snap_json **nodes)
{
    AUTO_JSON struct snap_json *arguments = snap_json_new_object();

    snap_json_set_bool(arguments, "flat", true);
    return snap_qmp_command(q, "query-named-block-nodes", arguments,
                            timeout_ms, nodes);
}

const struct snap_json *snap_qmp_node_named(const struct snap_json *nodes,
                                            const char *name)
{
    size_t i;

    for (i = 0; i < snap_json_len(nodes); i++) {
        const struct snap_json *node = snap_json_at(nodes, i);

        if (equal(snap_json_get_str(node, "node-name"), name)) return node;
    }
    return NULL;
}

/* The names of those that are this file in this format. An emulated disk may
 * have another one on it. */
static int find_nodes(struct snap_qmp *q, const struct snap_fs_id *file,
                      const char *format, int timeout_ms,
                      struct snap_strings *names)
{
    AUTO_JSON struct snap_json *nodes = NULL;
    size_t i;
    int rc = snap_qmp_nodes(q, timeout_ms, &nodes);

    for (i = 0; !rc && i < snap_json_len(nodes); i++) {
        const struct snap_json *node = snap_json_at(nodes, i);
        const char *name = snap_json_get_str(node, "node-name");

        if (name && equal(snap_json_get_str(node, "drv"), format)
            && snap_fs_leads_to(snap_json_get_str(node, "file"), file))
            snap_strings_add(names, name);
    }
    if (rc || names->len) return rc;
    return snap_fail(snap_qmp_ctx(q), ERROR_NOTFOUND, "QEMU at '%s' does not "
                     "have '%s' open as %s", snap_qmp_path(q), file->real,
                     format);
}

/* ---- starting ---------------------------------------------------- */

/* What tells the two kinds of job apart. */
struct kind {
    const char *command;
    bool renames;           /* top gets the base as its backing file */
    bool dismissed;         /* by QEMU itself */
};

static struct snap_json *make_arguments(const struct kind *k,
                                        const struct snap_qmp_merge *m,
                                        const char *top, const char *base)
{
    struct snap_json *arguments = snap_json_new_object();

    snap_json_set_str(arguments, "job-id", m->job_id);
    snap_json_set_str(arguments, "device", top);
    snap_json_set_str(arguments, "base-node", base);
    if (k->renames)
        snap_json_set_str(arguments, "backing-file", m->base->real);
    if (m->speed) snap_json_set_int(arguments, "speed", m->speed);
    snap_json_set_bool(arguments, "auto-finalize", false);
    snap_json_set_bool(arguments, "auto-dismiss", k->dismissed);
    return arguments;
}

/* An error answer is text in *refusal. */
static int try_start(struct snap_qmp *q, const struct kind *k,
                     const struct snap_qmp_merge *m, const char *top,
                     const char *base, int timeout_ms, char **refusal)
{
    struct snap_qmp_call call = {
        .command = k->command,
        .arguments = make_arguments(k, m, top, base),
    };
    int rc = snap_qmp_calls(q, &call, 1, timeout_ms);

    free(*refusal);
    *refusal = call.error;
    call.error = NULL;
    snap_qmp_calls_dispose(&call, 1);
    return rc;
}

/* Of several nodes on one file QEMU refuses those that are not in the chain,
 * or not at its top. */
static int try_all(struct snap_qmp *q, const struct kind *k,
                   const struct snap_qmp_merge *m,
                   const struct snap_strings *tops,
                   const struct snap_strings *bases, int timeout_ms)
{
    AUTO_FREE char *refusal = NULL;
    size_t i, n = tops->len * bases->len;
    int rc = 0;

    for (i = 0; i < n; i++) {
        rc = try_start(q, k, m, tops->data[i / bases->len],
                       bases->data[i % bases->len], timeout_ms, &refusal);
        if (rc || !refusal) return rc;
    }
    return snap_fail(snap_qmp_ctx(q), ERROR_FAIL, "QEMU at '%s': %s of '%s': "
                     "%s", snap_qmp_path(q), k->command, m->top->real,
                     refusal);
}

static int start(struct snap_qmp *q, const struct kind *k,
                 const struct snap_qmp_merge *m, int timeout_ms)
{
    struct snap_strings tops = { 0 }, bases = { 0 };
    int rc = find_nodes(q, m->top, m->top_format, timeout_ms, &tops);

    if (!rc) rc = find_nodes(q, m->base, m->base_format, timeout_ms, &bases);
    if (!rc) rc = try_all(q, k, m, &tops, &bases, timeout_ms);
    snap_strings_dispose(&tops);
    snap_strings_dispose(&bases);
    return rc;
}

int snap_qmp_start_stream(struct snap_qmp *q, const struct snap_qmp_merge *m,
                          int timeout_ms)
{
    static const struct kind stream = { "block-stream", true, true };

    return start(q, &stream, m, timeout_ms);
}

int snap_qmp_start_commit(struct snap_qmp *q, const struct snap_qmp_merge *m,
                          int timeout_ms)
{
    static const struct kind commit = { "block-commit", false, false };

    return start(q, &commit, m, timeout_ms);
}

/* ---- flushing ---------------------------------------------------- */

static int flush_node(struct snap_qmp *q, const char *node, int timeout_ms)
{
    AUTO_JSON struct snap_json *arguments = snap_json_new_object();
    AUTO_JSON struct snap_json *answer = NULL;
    AUTO_FREE char *line = snap_printf("qemu-io %s flush", node);
    const char *said;
    int rc;

    snap_json_set_str(arguments, "command-line", line);
    rc = snap_qmp_command(q, "human-monitor-command", arguments, timeout_ms,
                          &answer);
    if (rc) return rc;
    said = snap_json_str(answer);
    if (said && !*said) return 0;
    return snap_fail(snap_qmp_ctx(q), ERROR_FAIL, "QEMU at '%s' does not know "
                     "how to flush an image", snap_qmp_path(q));
}

int snap_qmp_flush(struct snap_qmp *q, const struct snap_fs_id *file,
                   const char *format, int timeout_ms)
{
    struct snap_strings nodes = { 0 };
    size_t i;
    int rc = find_nodes(q, file, format, timeout_ms, &nodes);

    for (i = 0; !rc && i < nodes.len; i++)
        rc = flush_node(q, nodes.data[i], timeout_ms);
    snap_strings_dispose(&nodes);
    return rc;
}

/* ---- letting go -------------------------------------------------- */

/* The file may not be there by that name any more, but its directory is. */
static bool has_name(const struct snap_json *node, const char *path)
{
    const char *file = snap_json_get_str(node, "file");
    AUTO_FREE char *dir = NULL, *real = NULL, *name = NULL;

    if (!file || file[0] != '/') return false;
    dir = snap_path_parent_of(file);
    real = realpath(dir, NULL);
    name = real ? snap_printf("%s%s", strcmp(real, "/") ? real : "",
                              strrchr(file, '/')) : NULL;
    return equal(name, path);
}

static struct snap_json *reopen_alone(const struct snap_json *node,
                                      const struct snap_json *file)
{
    struct snap_json *arguments = snap_json_new_object();
    struct snap_json *list = snap_json_new_array();
    struct snap_json *options = snap_json_new_object();
    bool ro = false;

    snap_json_bool(snap_json_get(node, "ro"), &ro);
    snap_json_set_str(options, "driver", "qcow2");
    snap_json_set_str(options, "node-name",
                      snap_json_get_str(node, "node-name"));
    snap_json_set_str(options, "file", snap_json_get_str(file, "node-name"));
    snap_json_set_bool(options, "read-only", ro);
    snap_json_set(options, "backing", snap_json_new_str(NULL));
    snap_json_append(list, options);
    snap_json_set(arguments, "options", list);
    return arguments;
}

/* QEMU does not say which node is the file under it: the right one is the one
 * that it accepts. */
static int sever_node(struct snap_qmp *q, const struct snap_json *nodes,
                      const struct snap_json *node, int timeout_ms)
{
    AUTO_FREE char *refusal = snap_strdup("its file is not known");
    size_t i;
    int rc = 0;

    for (i = 0; !rc && refusal && i < snap_json_len(nodes); i++) {
        const struct snap_json *file = snap_json_at(nodes, i);
        struct snap_qmp_call call = { .command = "blockdev-reopen" };

        if (file == node || equal(snap_json_get_str(file, "drv"), "qcow2")
            || !equal(snap_json_get_str(file, "file"),
                      snap_json_get_str(node, "file")))
            continue;
        call.arguments = reopen_alone(node, file);
        rc = snap_qmp_calls(q, &call, 1, timeout_ms);
        free(refusal);
        refusal = call.error;
        call.error = NULL;
        snap_qmp_calls_dispose(&call, 1);
    }
    if (rc || !refusal) return rc;
    return snap_fail(snap_qmp_ctx(q), ERROR_FAIL, "QEMU at '%s' does not let "
                     "go of what is below '%s': %s", snap_qmp_path(q),
                     snap_json_get_str(node, "file"), refusal);
}

int snap_qmp_sever(struct snap_qmp *q, const char *path, int timeout_ms)
{
    AUTO_JSON struct snap_json *nodes = NULL;
    size_t i;
    int rc = snap_qmp_nodes(q, timeout_ms, &nodes);

    for (i = 0; !rc && i < snap_json_len(nodes); i++) {
        const struct snap_json *node = snap_json_at(nodes, i);

        if (equal(snap_json_get_str(node, "drv"), "qcow2")
            && has_name(node, path))
            rc = sever_node(q, nodes, node, timeout_ms);
    }
    return rc;
}
