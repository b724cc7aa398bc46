/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-delete: one snapshot, or those that descend from it, too, children
 * first, each by itself: what was deleted when one fails stays deleted.
 */
#include <string.h>

#include "commands.h"
#include "inventory.h"
#include "others.h"
#include "plan/tree.h"
#include "say.h"
#include "session.h"
#include "update.h"

struct deletion {
    const struct xl_request *rq;
    char *domain, *dir;         /* its name, its directory in the store */
    struct snap_json *all;      /* of several, with --json; NULL */
};

/* ---- one --------------------------------------------------------------- */

static void print_path(const char *path)
{
    AUTO_FREE char *clean = xl_clean(path);

    printf("%s\n", clean);
}

static void end_delete(const struct deletion *d,
                       const libxl_snapshot_set *set,
                       const libxl_snapshot_result *r)
{
    const struct xl_request *rq = d->rq;
    struct xl_update update;

    xl_update_config(rq, d->domain, r, &update);
    if (xl_given(rq, OPT_JSON)) {
        struct snap_json *j = xl_result_json(rq, d->domain, r);

        AUTO_FREE char *memory = xl_json_text(r->memory);

        snap_json_set_str(j, "snapshot", set->manifest.name);
        snap_json_set_str(j, "memory", memory);
        xl_update_json(rq, &update, j);
        if (d->all)
            snap_json_append(d->all, j);
        else
            xl_print_json(j);
    } else {
        if (xl_given(rq, OPT_DRY_RUN))
            xl_result_plan(r);
        else if (r->memory)
            print_path(r->memory);
        xl_result_notes(rq, r);
    }
    xl_update_say(rq, &update, r);
    xl_update_dispose(&update);
}

static int delete_set(const struct deletion *d, struct xl_session *s,
                      const libxl_snapshot_set *set, const struct xl_others *o)
{
    const struct xl_request *rq = d->rq;
    AUTO_FREE char *current = snap_printf("%s/" XL_CURRENT_FILE, d->dir);
    const char *args[] = { d->domain, set->directory, NULL };
    AUTO_FREE char *retry = xl_request_command(rq, args);
    libxl_snapshot_delete_params p = {
        .domain_name = d->domain,
        .set = set,
        .current_path = current,
        .others = o->sets,
        .nothers = o->nsets,
        .keep_layers = xl_given(rq, OPT_KEEP_LAYERS),
        .keep_memory = xl_given(rq, OPT_KEEP_MEMORY),
        .speed_bytes = rq->speed_bytes,
        .dry_run = xl_given(rq, OPT_DRY_RUN),
        .lock_timeout_ms = rq->lock_timeout_ms,
        .retry_command = retry,
    };
    libxl_snapshot_result result;
    int rc, status = XL_DONE;

    memset(&result, 0, sizeof(result));
    rc = libxl_snapshot_delete(s->ctx, &p, &result);
    if (rc) status = xl_session_failed(s, rc);
    xl_progress_end(&s->progress);
    if (!rc) end_delete(d, set, &result);
    libxl_snapshot_result_dispose(&result);
    return status;
}

static int load(struct xl_session *s, const char *directory,
                libxl_snapshot_set *set)
{
    int rc = libxl_snapshot_load(s->ctx, directory, set);

    return rc ? xl_session_refused(s, rc) : 0;
}

/* As it and the others are now: whoever had the locks, or the deletion before,
 * may have changed them. */
static int delete_locked(const struct deletion *d, struct xl_session *s,
                         const char *directory)
{
    struct xl_others others = { .nsets = 0 };
    libxl_snapshot_set set;
    int status = load(s, directory, &set);

    if (!status)
        status = xl_others_find(d->rq, set.directory, d->dir, &others);
    if (!status) status = delete_set(d, s, &set, &others);
    xl_others_dispose(&others);
    libxl_snapshot_set_dispose(&set);
    return status;
}

static int delete_in(const struct deletion *d, const char *directory)
{
    libxl_snapshot_set set;
    struct xl_session s;
    int status;

    xl_session_open(&s, d->rq, true);
    status = load(&s, directory, &set);
    if (!status)
        status = xl_session_lock(&s, d->domain, xl_given(d->rq, OPT_DRY_RUN)
                                                ? NULL : &set);
    libxl_snapshot_set_dispose(&set);
    if (!status) status = delete_locked(d, &s, directory);
    xl_session_close(&s);
    return status;
}

/* ---- several ----------------------------------------------------------- */

static int delete_all(struct deletion *d, const struct snap_strings *dirs)
{
    size_t i;
    int status = 0;

    if (xl_given(d->rq, OPT_JSON)) d->all = snap_json_new_array();
    for (i = 0; !status && i < dirs->len; i++) {
        xl_note(d->rq, "Deleting '%s'.", dirs->data[i]);
        status = delete_in(d, dirs->data[i]);
    }
    if (status && i > 1)
        xl_note(d->rq, "%zu of %zu snapshots were deleted before that.",
                i - 1, dirs->len);
    return status;
}

/* Names and no plans: what would be done to one depends on what is gone by
 * then. */
static void show_all(struct deletion *d, const struct snap_strings *dirs)
{
    size_t i;

    if (xl_given(d->rq, OPT_JSON)) d->all = xl_strings_json(dirs);
    for (i = 0; !d->all && i < dirs->len; i++) print_path(dirs->data[i]);
}

/* `below`: it is not the one that was named, but descends from it. */
static int check_member(const struct deletion *d, const struct xl_entry *e,
                        const struct snap_tree_node *n, bool below)
{
    if (n->in_cycle)
        return xl_fail(d->rq, XL_REFUSED, NULL, "'%s' would be its own "
                       "ancestor, so what descends from what cannot be told; "
                       "mend its manifest", e->name);
    if (!e->current || !below) return 0;
    return xl_fail(d->rq, XL_REFUSED, NULL, "the present state of domain '%s' "
                   "descends from '%s', which would be deleted, too; revert "
                   "to another snapshot first, or delete them one by one",
                   d->domain, e->name);
}

/* The directories of those that descend from the one in `directory`, children
 * first, and of that itself. */
static int find_family(const struct deletion *d, const struct xl_entries *l,
                       const char *directory, struct snap_strings *dirs)
{
    struct snap_tree_node *nodes = snap_zalloc((l->len + 1) * sizeof(*nodes));
    bool *in = snap_zalloc(l->len + 1);
    size_t *order = NULL, i;
    int status = 0;

    for (i = 0; !status && i < l->len; i++) {
        nodes[i].name = l->data[i].name;
        nodes[i].m = &l->data[i].set.manifest;
        if (l->data[i].broken)
            status = xl_fail(d->rq, XL_REFUSED, NULL, "'%s' is broken, so what "
                             "descends from it cannot be told: %s",
                             l->data[i].name, l->data[i].broken);
    }
    if (!status) {
        snap_tree_link(nodes, l->len);
        order = snap_tree_walk(nodes, l->len);
    }
    for (i = 0; order && i < l->len; i++) {
        const struct snap_tree_node *n = &nodes[order[i]];

        in[order[i]] = !strcmp(l->data[order[i]].directory, directory)
                       || (n->parent != SNAP_TREE_NONE && in[n->parent]);
    }
    for (i = l->len; order && !status && i-- > 0;) {
        const struct xl_entry *e = &l->data[order[i]];

        if (!in[order[i]]) continue;
        status = check_member(d, e, &nodes[order[i]],
                              strcmp(e->directory, directory));
        snap_strings_add(dirs, e->directory);
    }
    free(order);
    free(in);
    free(nodes);
    return status;
}

static int delete_family(struct deletion *d, const libxl_snapshot_set *set)
{
    AUTO_FREE char *above = snap_strdup(set->directory);
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_strings dirs = { 0 };
    struct xl_entries entries;
    int status;

    *strrchr(above, '/') = 0;
    status = xl_store_list(&sc, above, &entries)
        ? xl_fail(d->rq, XL_REFUSED, NULL, "%s", sc.message)
        : find_family(d, &entries, set->directory, &dirs);
    /* It is the last. */
    if (xl_given(d->rq, OPT_CHILDREN_ONLY) && dirs.len)
        free(dirs.data[--dirs.len]);
    if (!status && xl_given(d->rq, OPT_DRY_RUN))
        show_all(d, &dirs);
    else if (!status)
        status = delete_all(d, &dirs);
    if (!status && d->all) {
        struct snap_json *o = snap_json_new_object();

        snap_json_set_int(o, "exit", 0);
        snap_json_set(o, "snapshots", d->all);
        d->all = NULL;
        xl_print_json(o);
    }
    snap_json_free(d->all);
    snap_strings_dispose(&dirs);
    xl_entries_dispose(&entries);
    snap_ctx_dispose(&sc);
    return status;
}

/* ---- the command ------------------------------------------------------- */

int xl_snapshot_delete(struct xl_request *rq)
{
    struct deletion d = { .rq = rq };
    AUTO_FREE char *where = NULL;
    libxl_snapshot_set set;
    int status;

    if (xl_given(rq, OPT_ABANDONED)) return xl_delete_abandoned(rq);
    if (xl_given(rq, OPT_YES))
        return xl_fail_usage(rq->command->name, xl_given(rq, OPT_JSON),
                             "--yes goes with --abandoned");
    memset(&set, 0, sizeof(set));
    status = xl_domain_name(rq, rq->args[0], false, &d.domain);
    if (!status) status = xl_find_set(rq, d.domain, &set, &where);
    if (!status) status = xl_update_look(rq, d.domain);
    if (!status && !set.directory)
        status = xl_fail(rq, XL_REFUSED, NULL, "'%s' is a hand-written file, "
                         "not a snapshot's directory: delete by hand what "
                         "was made by hand", rq->args[1]);
    if (!status) status = xl_check_owner(rq, d.domain, &set);
    if (!status) {
        d.dir = xl_store_domain_dir(rq->store, d.domain);
        status = xl_given(rq, OPT_CHILDREN) || xl_given(rq, OPT_CHILDREN_ONLY)
            ? delete_family(&d, &set) : delete_in(&d, set.directory);
    }
    libxl_snapshot_set_dispose(&set);
    free(d.domain);
    free(d.dir);
    return status;
}
