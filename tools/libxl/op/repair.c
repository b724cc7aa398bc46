/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-verify --repair: what a manifest has wrong and what can be told
 * without guessing is put right.  There is no plan and no journal: each mend is
 * whole by itself, and who is killed between two of them looks again.
 */
#include "op/repair.h"

#include <errno.h>
#include <string.h>

#include "host/private.h"

void libxl_snapshot_mends_dispose(libxl_snapshot_mends *l)
{
    size_t i;

    for (i = 0; i < l->len; i++) {
        free(l->data[i].part);
        free(l->data[i].text);
    }
    free(l->data);
    memset(l, 0, sizeof(*l));
}

struct snap_mend *snap_repair_add(struct snap_repair *r, const char *part,
                                  char *text)
{
    libxl_snapshot_mends *l = r->mends;

    l->data = snap_grown(l->data, l->len, sizeof(*l->data));
    r->how = snap_grown(r->how, l->len, sizeof(*r->how));
    l->data[l->len] = (libxl_snapshot_mend){
        .part = snap_strdup(part), .text = text,
    };
    r->how[l->len] = (struct snap_mend){ .path = NULL };
    return &r->how[l->len++];
}

static void dispose(struct snap_repair *r)
{
    size_t i;

    for (i = 0; i < r->mends->len; i++) {
        free(r->how[i].path);
        free(r->how[i].vdev);
        free(r->how[i].from);
        free(r->how[i].to);
    }
    free(r->how);
    libxl_snapshot_set_dispose(&r->set);
    snap_hold_drop(&r->h);
}

/* ---- permissions ------------------------------------------------- */

static int make_private(struct snap_act *a, const struct snap_mend *m)
{
    return snap_private_make(a->sc, m->path);
}

static int look_at_mode(struct snap_repair *r, const char *part,
                        const char *path)
{
    struct snap_mend *m;
    struct stat st;

    if (lstat(path, &st))
        return errno == ENOENT ? 0 : snap_fail_errno(
            r->sc, errno, "cannot look at '%s'", path);
    if (!snap_private_is_open(&st)) return 0;
    m = snap_repair_add(r, part, snap_printf(
        "'%s' is open to others (mode %04o); what they may is taken away",
        path, st.st_mode & 07777));
    m->act = make_private;
    m->path = snap_strdup(path);
    return 0;
}

static int look_at_modes(struct snap_repair *r)
{
    const char *dir = r->set.directory;
    const char *name = r->set.manifest.memory_path;
    AUTO_FREE char *manifest = snap_printf("%s/%s", dir, SNAP_MANIFEST_FILE);
    AUTO_FREE char *memory = name ? snap_printf("%s/%s", dir, name) : NULL;
    int rc = look_at_mode(r, "directory", dir);

    if (!rc) rc = look_at_mode(r, "directory", manifest);
    return rc || !memory ? rc : look_at_mode(r, "memory", memory);
}

/* ---- the run ----------------------------------------------------- */

static int look(struct snap_repair *r)
{
    int rc = snap_op_lock(r->sc, r->p->domain_name, r->p->lock_timeout_ms,
                          &r->h);

    if (!rc) rc = libxl_snapshot_load(r->sc, r->p->directory, &r->set);
    /* Others' snapshots may have them, and their delete changes manifests. */
    if (!rc && !r->p->dry_run)
        rc = snap_op_lock_images(r->sc, &r->set.manifest,
                                 r->p->lock_timeout_ms, &r->h.locks);
    if (!rc) rc = look_at_modes(r);
    if (!rc) rc = snap_repair_look_at_family(r);
    return rc ? rc : snap_repair_look_at_disks(r);
}

static int mend_all(struct snap_repair *r)
{
    struct snap_act a = { .sc = r->sc, .memory_fd = -1 };
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < r->mends->len; i++) {
        struct snap_mend *m = &r->how[i];

        if (!r->mends->data[i].can) continue;
        rc = m->change ? snap_step_change_manifest(&a, m->path, m->change, m)
                       : m->act(&a, m);
        r->mends->data[i].done = !rc;
    }
    return snap_op_finish(r->sc, rc, rc ? LIBXL_SNAPSHOT_NOT_WHOLE
                          : LIBXL_SNAPSHOT_DONE, "%s", r->p->retry_command);
}

static int repair(struct snap_repair *r)
{
    size_t i;
    int rc = look(r);

    if (!rc) rc = snap_check_cancelled(r->sc);
    if (rc) return rc;
    for (i = 0; i < r->mends->len; i++)
        r->mends->data[i].can = r->how[i].change || r->how[i].act;
    if (!r->p->dry_run) return mend_all(r);
    r->sc->outcome = LIBXL_SNAPSHOT_DONE;
    return 0;
}

int libxl_snapshot_repair(libxl_snapshot_ctx *ctx,
                          const libxl_snapshot_repair_params *params,
                          libxl_snapshot_mends *mends)
{
    struct snap_repair r = {
        .sc = ctx, .p = params, .h = SNAP_HOLD_INIT, .mends = mends,
    };
    int rc;

    snap_op_begin(ctx, NULL);
    *mends = (libxl_snapshot_mends){ .len = 0 };
    rc = repair(&r);
    dispose(&r);
    return rc;
}
