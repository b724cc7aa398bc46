/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The step table and the loop that walks a plan.
 */
#include "step/step.h"

#include <string.h>

#include "libxl_snapshot.h"

static const struct snap_step_ops *const step_table[STEP_KINDS] = {
    [STEP_DIRECTORY] = &snap_step_directory,
    [STEP_MEMORY_FILE] = &snap_step_memory_file,
    [STEP_MONITOR_HOLD] = &snap_step_monitor_hold,
    [STEP_SUSPEND] = &snap_step_suspend,
    [STEP_READY] = &snap_step_ready,
    [STEP_MEMORY] = &snap_step_memory,
    [STEP_RECHECK] = &snap_step_recheck,
    [STEP_DISKS] = &snap_step_disks,
    [STEP_CONFIG] = &snap_step_config,
    [STEP_RESUME] = &snap_step_resume,
    [STEP_MONITOR_RELEASE] = &snap_step_monitor_release,
    [STEP_SEAL] = &snap_step_seal,
    [STEP_PROTECT] = &snap_step_protect,
    [STEP_MANIFEST] = &snap_step_manifest,
    [STEP_CURRENT] = &snap_step_current,
    [STEP_OVERLAY] = &snap_step_overlay,
    [STEP_COPY] = &snap_step_copy,
    [STEP_PAUSE] = &snap_step_pause,
    [STEP_RECHECK_IDLE] = &snap_step_recheck_idle,
    [STEP_DESTROY] = &snap_step_destroy,
    [STEP_DESTROYED] = &snap_step_destroyed,
    [STEP_MONITOR_END] = &snap_step_monitor_end,
    [STEP_APPLY_TAG] = &snap_step_apply_tag,
    [STEP_BUILD] = &snap_step_build,
    [STEP_BOOT] = &snap_step_boot,
    [STEP_REMOVE_OVERLAY] = &snap_step_remove_overlay,
    [STEP_DELETE_TAG_LIVE] = &snap_step_delete_tag_live,
    [STEP_DELETE_TAG] = &snap_step_delete_tag,
    [STEP_RELINK] = &snap_step_relink,
    [STEP_REMOVE_SNAPSHOT] = &snap_step_remove_snapshot,
    [STEP_MERGE_UP] = &snap_step_merge_up,
    [STEP_MERGE_END] = &snap_step_merge_end,
    [STEP_MERGE_DOWN] = &snap_step_merge_down,
    [STEP_PUT_BACK] = &snap_step_put_back,
    [STEP_REMOVE_LAYER] = &snap_step_remove_layer,
    [STEP_MEMORY_COPY] = &snap_step_memory_copy,
    [STEP_NOTE_IMAGES] = &snap_step_note_images,
};

const struct snap_step_ops *snap_step_ops(enum snap_step_kind kind)
{
    return step_table[kind];
}

int snap_act_worker(struct snap_act *a, struct snap_worker **w)
{
    int rc = 0;

    if (a->worker && snap_worker_is_dead(a->worker)) {
        snap_worker_stop(a->worker);
        a->worker = NULL;
    }
    if (!a->worker) rc = snap_worker_start(a->sc, -1, &a->worker);
    *w = a->worker;
    return rc;
}

int snap_act_qmp(struct snap_act *a, const char *path, struct snap_qmp **q)
{
    int rc = 0;

    if (!a->qmp)
        rc = snap_qmp_open(a->sc, path, SNAP_QMP_TIMEOUT_MS, &a->qmp);
    *q = a->qmp;
    return rc;
}

void snap_act_drop_qmp(struct snap_act *a)
{
    snap_qmp_close(a->qmp);
    a->qmp = NULL;
}

void snap_act_remark(struct snap_act *a, char *text)
{
    if (a->notes)
        snap_strings_take(a->notes, text);
    else
        free(text);
}

/* ---- the journal's lines ----------------------------------------- */

static int journal_plan(struct snap_act *a, const struct snap_plan *p)
{
    size_t i, k;
    int rc;

    for (i = 0; i < p->len; i++) {
        AUTO_JSON struct snap_json *line = snap_json_new_object();
        struct snap_json *args = snap_json_new_array();

        for (k = 0; k < p->steps[i].args.len; k++)
            snap_json_append(args,
                             snap_json_new_str(p->steps[i].args.data[k]));
        snap_json_set_int(line, "step", i);
        snap_json_set_str(line, "kind", snap_step_word(p->steps[i].kind));
        snap_json_set(line, "args", args);
        if (i == p->commit) snap_json_set_bool(line, "commit", true);
        rc = snap_journal_add(a->sc, a->journal, line, i + 1 == p->len);
        if (rc) return rc;
    }
    return 0;
}

static int journal_mark(struct snap_act *a, const char *what, size_t step,
                        bool sync)
{
    AUTO_JSON struct snap_json *line = snap_json_new_object();

    if (!a->journal) return 0;
    snap_json_set_int(line, what, step);
    return snap_journal_add(a->sc, a->journal, line, sync);
}

/* What the steps found out (tags' ids), for whoever finishes this run. */
static int journal_manifest(struct snap_act *a)
{
    AUTO_JSON struct snap_json *line = NULL;
    AUTO_FREE char *text = NULL;

    if (!a->journal || !a->manifest) return 0;
    line = snap_json_new_object();
    text = snap_manifest_print(a->manifest);
    snap_json_set_str(line, "manifest", text);
    return snap_journal_add(a->sc, a->journal, line, false);
}

/* ---- walking ----------------------------------------------------- */

int snap_act_undo(struct snap_act *a, const struct snap_plan *p, size_t n)
{
    bool disks_stay = false;
    int first = 0;

    while (n-- > 0) {
        enum snap_step_kind kind = p->steps[n].kind;
        const struct snap_step_ops *ops = step_table[kind];
        int rc;

        /* While QEMU writes to an overlay the toolstack must name it. */
        if (disks_stay && kind == STEP_CONFIG) continue;
        rc = ops->undo ? ops->undo(a, &p->steps[n]) : 0;
        disks_stay |= rc && kind == STEP_DISKS;
        a->failed_here = false;
        snap_log(a->sc, SNAP_LOG_DETAIL, "undo %zu %s%s", n + 1,
                 snap_step_word(p->steps[n].kind), rc ? ": failed" : "");
        if (rc && !first) first = rc;
        if (!rc) journal_mark(a, "undone", n, false);
    }
    return first;
}

/* How far a step came that returned an error. */
enum progress { NOT_BEGUN, FAILED, APPLIED };

static int apply_step(struct snap_act *a, const struct snap_plan *p, size_t i,
                      enum progress *came)
{
    const struct snap_step *s = &p->steps[i];
    int64_t began = snap_now_ms();
    int rc;

    *came = NOT_BEGUN;
    rc = i < p->commit ? snap_check_cancelled(a->sc) : 0;
    if (rc) return rc;
    rc = i == p->commit ? journal_manifest(a) : 0;
    /* The mark of this intention carries the previous "done" to disk. */
    if (!rc) rc = journal_mark(a, "intend", i, true);
    if (rc) return rc;
    *came = FAILED;
    rc = step_table[s->kind]->apply(a, s);
    snap_log(a->sc, SNAP_LOG_DEBUG, "step %zu %s: %s, %lld ms", i + 1,
             snap_step_word(s->kind), rc ? "failed" : "done",
             (long long)(snap_now_ms() - began));
    if (rc) return rc;
    *came = APPLIED;
    return journal_mark(a, "done", i, i == p->commit);
}

/* Without these the steps behind them would do harm. */
static bool others_need(enum snap_step_kind kind)
{
    switch (kind) {
    case STEP_SEAL:
    case STEP_APPLY_TAG:
    case STEP_MONITOR_END:
    case STEP_DESTROYED:
    case STEP_BUILD:
    case STEP_BOOT:
    case STEP_DELETE_TAG:
    case STEP_DELETE_TAG_LIVE:
    case STEP_REMOVE_SNAPSHOT:
    case STEP_MERGE_END:
    case STEP_MERGE_DOWN:
    case STEP_PUT_BACK:
        return true;
    default:
        return false;
    }
}

int snap_act_finish(struct snap_act *a, const struct snap_plan *p, size_t i)
{
    enum progress came;
    int first = 0;

    for (; i < p->len; i++) {
        int rc = apply_step(a, p, i, &came);

        if (rc && !first) first = rc;
        if (rc && others_need(p->steps[i].kind)) break;
    }
    return first;
}

int snap_act_run(struct snap_act *a, const struct snap_plan *p, int *outcome)
{
    enum progress came = NOT_BEGUN;
    size_t i;
    int rc;

    *outcome = LIBXL_SNAPSHOT_REFUSED;
    rc = journal_plan(a, p);
    if (rc) {
        /* Nothing was touched: an empty journal says so. */
        if (snap_journal_close(a->sc, a->journal))
            *outcome = LIBXL_SNAPSHOT_NOT_WHOLE;
        return rc;
    }
    for (i = 0; i <= p->commit; i++) {
        rc = apply_step(a, p, i, &came);
        if (!rc) continue;
        if (a->past_commit) break;
        *outcome = LIBXL_SNAPSHOT_UNDONE;
        a->failed_here = came == FAILED;
        if (snap_act_undo(a, p, came == NOT_BEGUN ? i : i + 1)
            || snap_journal_close(a->sc, a->journal))
            *outcome = LIBXL_SNAPSHOT_NOT_WHOLE;
        return rc;
    }
    /* The commit happened, but its step could not be finished. */
    if (i == p->commit && rc) {
        *outcome = LIBXL_SNAPSHOT_NOT_WHOLE;
        return rc;
    }
    rc = snap_act_finish(a, p, i);
    /* One that stays open is in the way of the next command. */
    if (!rc && !a->more_follows) rc = snap_journal_close(a->sc, a->journal);
    *outcome = rc ? LIBXL_SNAPSHOT_NOT_WHOLE : LIBXL_SNAPSHOT_DONE;
    return rc;
}
