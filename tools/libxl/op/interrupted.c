/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Reading the journal of an interrupted run.  The lines are those that
 * step/step.c, op/create.c and the guardian write: a head, the steps of the
 * plan, then what was intended, done and undone.
 */
#include "op/interrupted.h"

#include <string.h>

#include "snap_internal.h"

static int read_head(struct snap_ctx *sc, const char *path,
                     const struct snap_json *head,
                     struct snap_interrupted *run)
{
    run->what = snap_json_get_str(head, "what");
    run->uuid = snap_json_get_str(head, "uuid");
    run->name = snap_json_get_str(head, "domain");
    run->retry = snap_json_get_str(head, "retry");
    run->domid = -1;
    snap_json_int(snap_json_get(head, "domid"), &run->domid);
    if (!run->what || !run->name)
        return snap_fail(sc, ERROR_INVAL, "the journal '%s' has no head "
                         "that can be understood", path);
    return 0;
}

/* The last draft counts: it has what the steps found out. */
static int read_manifest(struct snap_ctx *sc, const char *path,
                         const struct snap_json *lines,
                         struct snap_interrupted *run)
{
    const char *text = NULL;
    size_t i;

    for (i = 0; i < snap_json_len(lines); i++) {
        const char *t = snap_json_get_str(snap_json_at(lines, i),
                                          "manifest");
        if (t) text = t;
    }
    if (!text) return 0;
    return snap_manifest_parse_draft(sc, path, text, strlen(text),
                                     &run->manifest);
}

static int read_step(struct snap_ctx *sc, const char *path,
                     const struct snap_json *line,
                     struct snap_interrupted *run)
{
    const struct snap_json *args = snap_json_get(line, "args");
    const char *word = snap_json_get_str(line, "kind");
    int kind = word ? snap_step_kind_of(word) : -1;
    struct snap_step *s;
    bool commit;
    size_t i;

    if (kind < 0)
        return snap_fail(sc, ERROR_INVAL, "the journal '%s' has a step '%s' "
                         "that this version does not know", path,
                         word ? word : "?");
    s = snap_plan_add(&run->plan, kind);
    for (i = 0; i < snap_json_len(args); i++) {
        const char *arg = snap_json_str(snap_json_at(args, i));

        if (!arg)
            return snap_fail(sc, ERROR_INVAL, "the journal '%s' is damaged",
                             path);
        snap_strings_add(&s->args, arg);
    }
    if (snap_json_bool(snap_json_get(line, "commit"), &commit) && commit)
        run->plan.commit = run->plan.len - 1;
    return 0;
}

/* {"intend": 3} and the like: is it that mark, and of which step? */
static bool marks(const struct snap_json *line, const char *what,
                  const struct snap_plan *plan, size_t *step)
{
    int64_t n;

    if (!snap_json_int(snap_json_get(line, what), &n) || n < 0
        || (size_t)n >= plan->len)
        return false;
    *step = n;
    return true;
}

static void read_mark(const struct snap_json *line,
                      struct snap_interrupted *run)
{
    size_t n;

    if (snap_json_get(line, "rescued")) {
        run->runs = true;
    } else if (snap_json_get(line, "unpause")) {
        run->unpause = true;
    } else if (snap_json_get(line, "unpaused")) {
        run->unpaused = true;
    } else if (snap_json_get(line, "goes_back")) {
        run->goes_back = true;
    } else if (marks(line, "intend", &run->plan, &n)) {
        /* Behind the commit the rest is done although one failed. */
        if (run->begun > run->done && n >= run->begun) run->failed = true;
        run->begun = n + 1;
    } else if (marks(line, "done", &run->plan, &n)) {
        if (run->failed && n != run->done) return;
        run->failed = false;
        run->done = n + 1;
        run->answered |= run->plan.steps[n].kind == STEP_MEMORY;
    } else if (marks(line, "undone", &run->plan, &n)) {
        run->runs |= run->plan.steps[n].kind == STEP_SUSPEND;
    }
}

int snap_interrupted_read(struct snap_ctx *sc, const char *path,
                          const struct snap_json *lines,
                          struct snap_interrupted *out)
{
    size_t i;
    int rc;

    memset(out, 0, sizeof(*out));
    rc = read_head(sc, path, snap_json_at(lines, 0), out);
    if (!rc) rc = read_manifest(sc, path, lines, out);
    for (i = 1; !rc && i < snap_json_len(lines); i++) {
        const struct snap_json *line = snap_json_at(lines, i);

        if (snap_json_get(line, "step"))
            rc = read_step(sc, path, line, out);
        else
            read_mark(line, out);
    }
    out->committed = out->done > out->plan.commit;
    return rc;
}

void snap_interrupted_dispose(struct snap_interrupted *run)
{
    snap_manifest_dispose(&run->manifest);
    snap_plan_dispose(&run->plan);
}

/* ---- looking up -------------------------------------------------- */

static const struct snap_step *find(const struct snap_plan *plan, size_t n,
                                    enum snap_step_kind kind)
{
    size_t i;

    for (i = 0; i < n && i < plan->len; i++)
        if (plan->steps[i].kind == kind) return &plan->steps[i];
    return NULL;
}

const struct snap_step *
snap_interrupted_begun(const struct snap_interrupted *run,
                       enum snap_step_kind kind)
{
    return find(&run->plan, run->begun, kind);
}

const struct snap_step *
snap_interrupted_planned(const struct snap_interrupted *run,
                         enum snap_step_kind kind)
{
    return find(&run->plan, run->plan.len, kind);
}
