/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-revert: the words become one request for the library.
 */
#include <errno.h>
#include <string.h>

#include "commands.h"
#include "others.h"
#include "overlay.h"
#include "say.h"
#include "session.h"
#include "stock.h"
#include "update.h"

struct revert {
    const struct xl_request *rq;
    char *domain, *where, *config, *current, *stock, *retry, *domain_dir;
    libxl_snapshot_set set;
    struct xl_others others;
    struct xl_overlay overlay;
    libxl_snapshot_revert_params p;
    char *made;                 /* the highest directory that was */
    struct xl_update update;
    /* the snapshot of the present, if one is wanted */
    char *keep_dir, *keep_parent, *keep_command;
    struct xl_overlay keep_overlay;
    libxl_snapshot_disk *keep_disks;
    libxl_snapshot_create_params keep;
};

static void revert_dispose(struct revert *v)
{
    free(v->domain);
    free(v->where);
    free(v->config);
    free(v->current);
    free(v->stock);
    free(v->retry);
    free(v->domain_dir);
    free(v->made);
    free(v->keep_dir);
    free(v->keep_disks);
    free(v->keep_parent);
    free(v->keep_command);
    xl_overlay_dispose(&v->keep_overlay);
    xl_others_dispose(&v->others);
    libxl_snapshot_set_dispose(&v->set);
    xl_overlay_dispose(&v->overlay);
    xl_update_dispose(&v->update);
}

static int revert_config(struct revert *v)
{
    if (v->rq->nargs < 3) return 0;
    v->config = realpath(v->rq->args[2], NULL);
    if (v->config && !access(v->config, R_OK)) return 0;
    return xl_fail(v->rq, XL_REFUSED, NULL, "the configuration '%s' cannot "
                   "be read: %s", v->rq->args[2], strerror(errno));
}

static int revert_stock(struct revert *v)
{
    AUTO_FREE char *why = NULL;

    v->stock = xl_stock_find(v->rq->program, &why);
    return v->stock ? 0 : xl_fail(v->rq, XL_REFUSED, NULL, "%s", why);
}

/* Where the hint is kept; it remembers copies that a revert makes. */
static int revert_domain_dir(struct revert *v)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    int status = 0;

    v->domain_dir = xl_store_domain_dir(v->rq->store, v->domain);
    if (xl_given(v->rq, OPT_DRY_RUN)) return 0;
    if (xl_store_make_domain_dir(&sc, v->domain_dir, &v->made))
        status = xl_fail(v->rq, XL_REFUSED, NULL, "%s", sc.message);
    snap_ctx_dispose(&sc);
    return status;
}

static int revert_keep(struct revert *v)
{
    const char *name = v->rq->value[OPT_KEEP];
    const char *args[] = { v->domain, name, NULL };
    AUTO_FREE char *running = NULL;
    size_t i, n;
    int status;

    if (!name) return 0;
    status = xl_running_domain(v->rq, v->rq->args[0], &v->keep.domid,
                               &running);
    if (!status) status = xl_check_free(v->rq, v->domain_dir, name);
    if (status) return status;
    v->keep_dir = snap_printf("%s/%s", v->domain_dir, name);
    v->keep_parent = xl_store_current(v->domain_dir);
    v->keep_command = xl_request_command(v->rq, args);
    v->keep_overlay.domain_dir = v->domain_dir;
    v->keep_overlay.snapshot = name;
    v->keep_overlay.beside = &v->overlay;
    v->overlay.beside = &v->keep_overlay;
    v->keep.name = name;
    v->keep.directory = v->keep_dir;
    v->keep.current_path = v->current;
    v->keep.parent = v->keep_parent;
    v->keep.overlay_path = xl_overlay_path;
    v->keep.overlay_arg = &v->keep_overlay;
    v->keep.protect = !xl_given(v->rq, OPT_NO_PROTECT);
    v->keep.stock_xl = v->stock;
    /* What is left out of the revert is left out of this, too. */
    n = v->rq->exclude.len;
    v->keep_disks = snap_zalloc((n + 1) * sizeof(*v->keep_disks));
    for (i = 0; i < n; i++) {
        v->keep_disks[i].vdev = v->rq->exclude.data[i];
        v->keep_disks[i].kind = LIBXL_SNAPSHOT_DISK_EXCLUDE;
    }
    v->keep.disks = v->keep_disks;
    v->keep.ndisks = n;
    v->p.keep = &v->keep;
    v->p.keep_command = v->keep_command;
    return 0;
}

static void revert_params(struct revert *v)
{
    const char *args[] = { v->domain, v->where, v->config, NULL };
    const struct xl_request *rq = v->rq;

    v->retry = xl_request_command(rq, args);
    v->current = snap_printf("%s/" XL_CURRENT_FILE, v->domain_dir);
    v->overlay.domain_dir = v->domain_dir;
    v->overlay.snapshot = v->set.manifest.name ? v->set.manifest.name
                                               : "revert";
    v->overlay.revert = true;
    v->p = (libxl_snapshot_revert_params) {
        .domain_name = v->domain,
        .set = &v->set,
        .domain_config = v->config,
        .current_path = v->current,
        .exclude = (const char *const *)rq->exclude.data,
        .nexclude = rq->exclude.len,
        .others = v->others.sets,
        .nothers = v->others.nsets,
        .overlay_path = xl_overlay_path,
        .overlay_arg = &v->overlay,
        .state = xl_given(rq, OPT_RUNNING) ? LIBXL_SNAPSHOT_STATE_RUNNING
            : xl_given(rq, OPT_PAUSED) ? LIBXL_SNAPSHOT_STATE_PAUSED
            : LIBXL_SNAPSHOT_STATE_AS_SAVED,
        .disk_only = xl_given(rq, OPT_DISK_ONLY)
                     || !v->set.manifest.memory_path,
        .force = xl_given(rq, OPT_FORCE),
        .protect = !xl_given(rq, OPT_NO_PROTECT),
        .dry_run = xl_given(rq, OPT_DRY_RUN),
        .lock_timeout_ms = rq->lock_timeout_ms,
        .stock_xl = v->stock,
        .retry_command = v->retry,
    };
}

static void print_reverted(const struct revert *v,
                           const libxl_snapshot_result *r)
{
    struct snap_json *o;

    if (xl_given(v->rq, OPT_JSON)) {
        o = xl_result_json(v->rq, v->domain, r);
        snap_json_set_str(o, "snapshot", v->set.manifest.name);
        snap_json_set_int(o, "domid", r->domid);
        snap_json_set_bool(o, "disk_only", v->p.disk_only);
        snap_json_set_str(o, "kept", v->keep_dir);
        xl_update_json(v->rq, &v->update, o);
        xl_print_json(o);
        return;
    }
    if (v->p.dry_run) {
        xl_result_plan(r);
    } else {
        if (v->p.keep)
            xl_note(v->rq, "What domain '%s' was until now is snapshot '%s': "
                    "%s", v->domain, v->keep.name, v->keep_dir);
        xl_note(v->rq, v->p.disk_only
                ? "Domain '%s' was booted from the disks of snapshot '%s'; "
                  "its domid is %u now."
                : "Domain '%s' is back at snapshot '%s'; its domid is %u "
                  "now.", v->domain, v->set.manifest.name
                ? v->set.manifest.name : v->where, r->domid);
    }
    xl_result_notes(v->rq, r);
}

static int revert_domain(struct revert *v, struct xl_session *s)
{
    libxl_snapshot_result result;
    int rc, status = XL_DONE;
    bool changed;

    memset(&result, 0, sizeof(result));
    rc = libxl_snapshot_revert(s->ctx, &v->p, &result);
    if (rc) status = xl_session_failed(s, rc);
    /* The present was kept, which may have changed the disks. */
    changed = !rc || result.advice.len;
    if (rc && v->p.keep) xl_result_notes(v->rq, &result);
    xl_progress_end(&s->progress);
    if (changed) xl_update_config(v->rq, v->domain, &result, &v->update);
    if (!rc) print_reverted(v, &result);
    if (changed) xl_update_say(v->rq, &v->update, &result);
    libxl_snapshot_result_dispose(&result);
    return status;
}

/* The snapshot, and all others, as they are now that nobody changes them. */
static int read_locked(struct revert *v)
{
    int status;

    libxl_snapshot_set_dispose(&v->set);
    free(v->where);
    v->where = NULL;
    status = xl_find_set(v->rq, v->domain, &v->set, &v->where);
    return status ? status : xl_others_find(v->rq, v->set.directory, NULL,
                                            &v->others);
}

static int revert_locked(struct revert *v, struct xl_session *s)
{
    int status = read_locked(v);

    if (!status) status = revert_domain_dir(v);
    if (!status) {
        revert_params(v);
        status = revert_keep(v);
    }
    if (!status) status = revert_domain(v, s);
    if (status && v->made) xl_store_unmake_domain_dir(v->domain_dir, v->made);
    return status;
}

int xl_snapshot_revert(struct xl_request *rq)
{
    struct revert v;
    int status = 0;

    memset(&v, 0, sizeof(v));
    v.rq = rq;
    if (xl_given(rq, OPT_KEEP))
        status = xl_check_name(rq, rq->value[OPT_KEEP]);
    if (!status) status = xl_domain_name(rq, rq->args[0], false, &v.domain);
    if (!status) status = xl_find_set(rq, v.domain, &v.set, &v.where);
    if (!status) status = revert_config(&v);
    if (!status) status = xl_update_look(rq, v.domain);
    if (!status) status = revert_stock(&v);
    if (!status) {
        struct xl_session s;

        xl_session_open(&s, rq, true);
        status = xl_session_lock(&s, v.domain, NULL);
        if (!status) status = revert_locked(&v, &s);
        xl_session_close(&s);
    }
    revert_dispose(&v);
    return status;
}
