/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Undoing an external snapshot while QEMU runs: the overlay on top is
 * committed into its backing file, which becomes active again.  A job in QEMU
 * does it, and may outlive us: whoever comes next leads it to its end.  Called
 * by the disk steps; it does not remove the overlay's file.
 */
#include "libxl_qmp_job.h"

#include <string.h>

#define JOB_POLL_MS 100
#define LAST_WORD_MS 1000       /* for an answer when the time is over */

/* The commit, wherever it stands. */
struct commit {
    struct snap_qmp *q;
    const char *top;
    const char *job_id;
    int timeout_ms;
    int64_t deadline_ms;
};

/*
 * The time is the job's.  A command about it gets a little more: cut short it
 * would end the connection, and the last look at a job that just ended.
 */
static int command_ms(const struct commit *c)
{
    int left_ms = snap_left_ms(c->deadline_ms);

    return left_ms > LAST_WORD_MS ? left_ms : LAST_WORD_MS;
}

static bool equal(const char *a, const char *b)
{
    return a && b && !strcmp(a, b);
}

static int query_job(const struct commit *c, struct snap_qmp_job *j)
{
    return snap_qmp_job_query(c->q, c->job_id, "commit", command_ms(c), j);
}

static int tell_job(const struct commit *c, const char *command)
{
    return snap_qmp_job_tell(c->q, c->job_id, command, command_ms(c));
}

/* Is this file the one that `top` stands on, in any of the names it has? */
static bool is_base_of(const struct snap_json *top,
                       const struct snap_json *node)
{
    const struct snap_json *image = snap_json_get(top, "image");
    const char *file = snap_json_get_str(node, "file");

    return equal(file, snap_json_get_str(image, "full-backing-filename"))
           || equal(file, snap_json_get_str(top, "backing_file"));
}

/* Ask for the commit into this node; an error answer is text in *refusal. */
static int try_base(const struct commit *c, const char *base, char **refusal)
{
    struct snap_qmp_call call = {
        .command = "block-commit",
        .arguments = snap_json_new_object(),
    };
    int rc;

    snap_json_set_str(call.arguments, "job-id", c->job_id);
    snap_json_set_str(call.arguments, "device", c->top);
    snap_json_set_str(call.arguments, "base-node", base);
    /* The result has to wait for us, should we be interrupted. */
    snap_json_set_bool(call.arguments, "auto-dismiss", false);
    rc = snap_qmp_calls(c->q, &call, 1, command_ms(c));
    free(*refusal);
    *refusal = call.error;
    call.error = NULL;
    snap_qmp_calls_dispose(&call, 1);
    return rc;
}

/*
 * QEMU does not say which node is under `top`, only the file's name.  Several
 * nodes may have it (the protocol node under it, an emulated disk on the same
 * image); those that are not in the chain are refused by QEMU itself.
 */
static int try_bases(const struct commit *c, const struct snap_json *nodes,
                     const struct snap_json *top)
{
    AUTO_FREE char *refusal = snap_strdup("it has no backing file");
    size_t i;
    int rc;

    for (i = 0; i < snap_json_len(nodes); i++) {
        const struct snap_json *node = snap_json_at(nodes, i);
        const char *name = snap_json_get_str(node, "node-name");

        if (!name || node == top || !is_base_of(top, node)) continue;
        rc = try_base(c, name, &refusal);
        if (rc || !refusal) return rc;
    }
    return snap_fail(snap_qmp_ctx(c->q), ERROR_FAIL, "QEMU at '%s': "
                     "block-commit of '%s': %s", snap_qmp_path(c->q), c->top,
                     refusal);
}

/* 1: there is no such node. */
static int start_job(const struct commit *c)
{
    AUTO_JSON struct snap_json *nodes = NULL;
    const struct snap_json *top;
    int rc = snap_qmp_nodes(c->q, command_ms(c), &nodes);

    if (rc) return rc;
    top = snap_qmp_node_named(nodes, c->top);
    return top ? try_bases(c, nodes, top) : 1;
}

/* Sleep until the job may have moved. */
static int await_job(const struct commit *c)
{
    int left_ms = snap_left_ms(c->deadline_ms);

    if (!left_ms) {
        return snap_fail(snap_qmp_ctx(c->q), ERROR_TIMEDOUT, "QEMU at '%s': "
                         "the commit of '%s' did not end within %d.%d s; its "
                         "job '%s' goes on", snap_qmp_path(c->q), c->top,
                         c->timeout_ms / 1000, c->timeout_ms % 1000 / 100,
                         c->job_id);
    }
    return snap_qmp_job_await(c->q, left_ms < JOB_POLL_MS ? left_ms
                                                          : JOB_POLL_MS);
}

/* Wait until the job has ended; *j is what it ended as. */
static int await_end(const struct commit *c, struct snap_qmp_job *j)
{
    bool completing = false;
    int rc;

    for (;;) {
        rc = query_job(c, j);
        if (rc) return rc;
        if (!j->there) {
            return snap_fail(snap_qmp_ctx(c->q), ERROR_FAIL, "QEMU at '%s': "
                             "the job '%s' that commits '%s' is gone: "
                             "somebody else dismissed it",
                             snap_qmp_path(c->q), c->job_id, c->top);
        }
        if (equal(j->status, "concluded")) return 0;
        if (equal(j->status, "ready") && !completing) {
            rc = tell_job(c, "job-complete");
            completing = true;
        } else {
            rc = await_job(c);
        }
        if (rc) return rc;
    }
}

/* Lead the job to its end and dismiss it; *error: why it failed, if so. */
static int lead_job(const struct commit *c, char **error)
{
    struct snap_qmp_job j = { 0 };
    int rc;

    *error = NULL;
    rc = await_end(c, &j);
    if (!rc) rc = tell_job(c, "job-dismiss");
    if (!rc) *error = snap_strdup(j.error);
    snap_qmp_job_dispose(&j);
    return rc;
}

/*
 * A job with our id may be left from an interrupted attempt.  How it ends does
 * not matter, nor what it committed: the nodes tell what is left to do.
 */
static int end_former_job(const struct commit *c, bool *was_there)
{
    AUTO_FREE char *error = NULL;
    struct snap_qmp_job j = { 0 };
    int rc;

    rc = query_job(c, &j);
    *was_there = j.there;
    if (!rc && j.there) rc = lead_job(c, &error);
    snap_qmp_job_dispose(&j);
    return rc;
}

int snap_qmp_commit_active(struct snap_qmp *q, const char *top_node,
                           const char *job_id, int timeout_ms)
{
    const struct commit c = {
        .q = q,
        .top = top_node,
        .job_id = job_id,
        .timeout_ms = timeout_ms,
        .deadline_ms = snap_now_ms() + timeout_ms,
    };
    AUTO_FREE char *error = NULL;
    bool had_former;
    int rc;

    rc = end_former_job(&c, &had_former);
    if (rc) return rc;
    rc = start_job(&c);
    if (rc == 1 && had_former) return 0;
    if (rc == 1) {
        return snap_fail(snap_qmp_ctx(q), ERROR_NOTFOUND, "QEMU at '%s' has "
                         "no node '%s' to commit", snap_qmp_path(q), top_node);
    }
    if (!rc) rc = lead_job(&c, &error);
    if (rc || !error) return rc;
    return snap_fail(snap_qmp_ctx(q), ERROR_FAIL, "QEMU at '%s': the commit "
                     "of '%s' failed: %s", snap_qmp_path(q), top_node, error);
}
