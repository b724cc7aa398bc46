/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The library's context, its results, and reading a snapshot; the operations
 * themselves are in op/.
 */
#include "libxl_snapshot.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "op/op.h"

/* ---- the context ------------------------------------------------- */

libxl_snapshot_ctx *
libxl_snapshot_ctx_alloc(const libxl_snapshot_callbacks *callbacks)
{
    struct snap_ctx *sc = snap_zalloc(sizeof(*sc));

    if (callbacks) {
        sc->arg = callbacks->arg;
        sc->log = callbacks->log;
        sc->progress = callbacks->progress;
    }
    sc->outcome = LIBXL_SNAPSHOT_REFUSED;
    return sc;
}

static void drop_held(struct snap_ctx *sc)
{
    if (!sc->held) return;
    snap_hold_drop(sc->held);
    free(sc->held);
    sc->held = NULL;
}

void libxl_snapshot_ctx_free(libxl_snapshot_ctx *ctx)
{
    if (!ctx) return;
    drop_held(ctx);
    snap_ctx_dispose(ctx);
    free(ctx);
}

const char *libxl_snapshot_error(const libxl_snapshot_ctx *ctx)
{
    return ctx->message;
}

const char *libxl_snapshot_hint(const libxl_snapshot_ctx *ctx)
{
    return ctx->hint;
}

void libxl_snapshot_cancel(libxl_snapshot_ctx *ctx)
{
    ctx->cancelled = 1;
}

libxl_snapshot_outcome_t libxl_snapshot_outcome(const libxl_snapshot_ctx *ctx)
{
    return ctx->outcome;
}

void libxl_snapshot_result_dispose(libxl_snapshot_result *result)
{
    free(result->plan);
    free(result->directory);
    free(result->memory);
    snap_strings_dispose(&result->advice);
    snap_strings_dispose(&result->instead);
    snap_strings_dispose(&result->left);
    snap_strings_dispose(&result->notes);
    snap_manifest_dispose(&result->manifest);
    memset(result, 0, sizeof(*result));
}

int libxl_snapshot_find_domain(libxl_snapshot_ctx *ctx, const char *domain,
                               uint32_t *domid, char **name)
{
    AUTO_XEN struct snap_xen *x = NULL;
    struct snap_dominfo dom;
    int rc;

    rc = snap_xen_open(ctx, &x);
    if (rc) return rc;
    rc = snap_xen_find(x, domain, domid);
    if (!rc) rc = snap_xen_domain(x, *domid, &dom);
    if (rc) return rc;
    *name = snap_strdup(dom.name);
    snap_dominfo_dispose(&dom);
    return 0;
}

/* ---- reading a snapshot ------------------------------------------ */

void libxl_snapshot_set_dispose(libxl_snapshot_set *set)
{
    free(set->directory);
    snap_manifest_dispose(&set->manifest);
    memset(set, 0, sizeof(*set));
}

int libxl_snapshot_load(libxl_snapshot_ctx *ctx, const char *path,
                        libxl_snapshot_set *set)
{
    AUTO_FREE char *real = realpath(path, NULL);
    AUTO_FREE char *bytes = NULL;
    AUTO_FREE char *manifest = NULL;
    struct stat st;
    size_t len;
    int rc;

    memset(set, 0, sizeof(*set));
    if (!real || stat(real, &st))
        return snap_fail_errno(ctx, errno, "no snapshot at '%s'", path);
    if (!S_ISDIR(st.st_mode)) {
        char *slash = strrchr(real, '/');

        *slash = 0;
    }
    manifest = snap_printf("%s/%s", real, SNAP_MANIFEST_FILE);
    if (access(manifest, F_OK))
        return errno != ENOENT
            ? snap_fail_errno(ctx, errno, "cannot look at '%s'", manifest)
            : snap_fail(ctx, ERROR_NOTFOUND, "'%s' holds no snapshot: there "
                        "is no %s in it", real, SNAP_MANIFEST_FILE);
    rc = snap_fs_read(ctx, manifest, true, SNAP_MANIFEST_MAX_BYTES, &bytes,
                      &len);
    if (!rc)
        rc = snap_manifest_parse(ctx, manifest, bytes, len, &set->manifest);
    if (rc) return rc;
    set->directory = real;
    real = NULL;
    return 0;
}

/* ---- what operations share --------------------------------------- */

void snap_op_begin(struct snap_ctx *sc, libxl_snapshot_result *result)
{
    if (result) memset(result, 0, sizeof(*result));
    snap_clear(sc);
    sc->outcome = LIBXL_SNAPSHOT_REFUSED;
}

char *snap_op_quote(const char *word)
{
    struct snap_text t = { 0 };
    const char *p;

    if (*word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "_-./:=+,@%")])
        return snap_strdup(word);
    snap_text_add(&t, "'");
    for (p = word; *p; p++)
        snap_text_add(&t, *p == '\'' ? "'\\''" : "%c", *p);
    snap_text_add(&t, "'");
    return t.data;
}

char *snap_op_unwatched(const char *domain_name)
{
    return snap_printf("no xl monitor looks after domain '%s' (an `xl save "
                       "-c` ends it): when its guest reboots or powers off "
                       "nobody will act on it", domain_name);
}

char *snap_op_utc(int64_t sec)
{
    time_t t = sec;
    struct tm tm;
    char text[32];

    gmtime_r(&t, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return snap_strdup(text);
}

void snap_hold_drop(struct snap_hold *h)
{
    snap_image_locks_drop(&h->locks);
    snap_journal_unlock(&h->journal);
    snap_xen_close(h->xen);
    h->xen = NULL;
}

int snap_op_check_directory(struct snap_ctx *sc, const char *directory,
                            const char *name, bool dry_run)
{
    AUTO_FREE char *copy = snap_strdup(directory);
    char *above;
    struct stat st;

    if (directory[0] != '/')
        return snap_fail(sc, ERROR_INVAL, "the snapshot directory '%s' must "
                         "be an absolute path", directory);
    if (!lstat(directory, &st))
        return snap_fail(sc, ERROR_INVAL, "'%s' exists: the name '%s' is in "
                         "use; choose another name, or --path another "
                         "directory", directory, name);
    if (dry_run) return 0;
    above = dirname(copy);
    if (!stat(above, &st) && S_ISDIR(st.st_mode)) return 0;
    return snap_fs_make_dir(sc, above);
}

int snap_op_lock_images(struct snap_ctx *sc, const struct snap_manifest *m,
                        int timeout_ms, struct snap_image_locks *locks)
{
    bool ignored;
    size_t i;

    for (i = 0; i < m->ndisks; i++)
        snap_image_locks_want(locks, m->disks[i].image, true);
    return snap_image_locks_take(sc, locks, timeout_ms, &ignored);
}

int snap_op_stands_on(struct snap_ctx *sc, const struct snap_manifest *m,
                      const struct snap_fs_id *id, bool *answer)
{
    size_t i;
    int rc = 0;

    *answer = false;
    for (i = 0; !rc && !*answer && i < m->ndisks; i++)
        if (m->disks[i].type == SNAP_DISK_EXTERNAL)
            rc = snap_fs_compare(sc, m->disks[i].image, id, answer);
    return rc;
}

int snap_op_drop_unused(struct snap_ctx *sc, struct snap_xen *x,
                        const char *domain_name, const struct snap_plan *p,
                        size_t n, bool building)
{
    struct snap_act a = { .sc = sc, .memory_fd = -1 };
    uint32_t domid;
    size_t i;
    int rc, first = 0;

    if (building) {
        rc = snap_xen_by_name(x, domain_name, &domid);
        if (rc != ERROR_DOMAIN_NOTFOUND) return rc;
    }
    for (i = 0; i < n; i++) {
        const struct snap_step *s = &p->steps[i];

        if (s->kind != STEP_OVERLAY && s->kind != STEP_COPY) continue;
        rc = snap_step_ops(s->kind)->undo(&a, s);
        if (rc && !first) first = rc;
    }
    return first;
}

int snap_op_unpause(struct snap_ctx *sc, struct snap_xen *x, int64_t domid,
                    const char *uuid)
{
    struct snap_act a = { .sc = sc, .xen = x, .memory_fd = -1 };
    struct snap_step pause = { .kind = STEP_PAUSE };
    int rc;

    if (domid < 0 || !uuid) return 0;
    snap_step_arg_u64(&pause, "domid", domid);
    snap_step_arg(&pause, "uuid", uuid);
    rc = snap_step_pause.undo(&a, &pause);
    snap_strings_dispose(&pause.args);
    snap_worker_stop(a.worker);
    return rc;
}

int libxl_snapshot_lock(libxl_snapshot_ctx *ctx, const char *domain_name,
                        const libxl_snapshot_set *set, int timeout_ms)
{
    struct snap_hold h = SNAP_HOLD_INIT;
    int rc;

    snap_op_begin(ctx, NULL);
    drop_held(ctx);
    rc = snap_op_lock(ctx, domain_name, timeout_ms, &h);
    if (!rc && set)
        rc = snap_op_lock_images(ctx, &set->manifest, timeout_ms, &h.locks);
    if (rc) {
        snap_hold_drop(&h);
        return rc;
    }
    ctx->held = snap_zalloc(sizeof(*ctx->held));
    *ctx->held = h;
    return 0;
}

/* What the caller locked is the operation's from now on. */
static bool take_over(struct snap_ctx *sc, const char *domain_name,
                      struct snap_hold *h)
{
    AUTO_FREE char *path = snap_journal_path(domain_name);

    if (!sc->held || strcmp(sc->held->journal.path, path)) return false;
    h->journal = sc->held->journal;
    h->locks = sc->held->locks;
    free(sc->held);
    sc->held = NULL;
    return true;
}

int snap_op_lock(struct snap_ctx *sc, const char *domain_name,
                 int timeout_ms, struct snap_hold *h)
{
    AUTO_FREE char *quoted = snap_op_quote(domain_name);
    int rc;

    if (take_over(sc, domain_name, h)) return 0;
    rc = snap_journal_lock(sc, domain_name, timeout_ms, &h->journal);
    if (rc || !h->journal.open) return rc;
    rc = snap_fail(sc, ERROR_FAIL, "an earlier snapshot command on domain "
                   "'%s' was interrupted and is not finished: run `xl "
                   "snapshot-recover %s` first", domain_name, quoted);
    snap_journal_unlock(&h->journal);
    return snap_op_finish(sc, rc, LIBXL_SNAPSHOT_NOT_WHOLE,
                          "xl snapshot-recover %s", quoted);
}

int snap_op_journal_head(struct snap_ctx *sc, struct snap_journal *j,
                         const char *what, const char *domain_name,
                         const char *uuid, int64_t domid,
                         const struct snap_manifest *m, const char *retry)
{
    AUTO_JSON struct snap_json *head = snap_json_new_object();
    AUTO_FREE char *utc = snap_op_utc(time(NULL));
    AUTO_FREE char *text = m ? snap_manifest_print(m) : NULL;

    snap_json_set_int(head, "journal", 1);
    snap_json_set_str(head, "what", what);
    snap_json_set_str(head, "domain", domain_name);
    snap_json_set_str(head, "uuid", uuid);
    snap_json_set_int(head, "domid", domid);
    snap_json_set_str(head, "began", utc);
    snap_json_set_int(head, "pid", getpid());
    snap_json_set_str(head, "retry", retry);
    if (text) snap_json_set_str(head, "manifest", text);
    return snap_journal_add(sc, j, head, false);
}

int snap_op_journal_mark(struct snap_ctx *sc, struct snap_journal *j,
                         const char *what)
{
    AUTO_JSON struct snap_json *line = snap_json_new_object();

    snap_json_set_bool(line, what, true);
    return snap_journal_add(sc, j, line, false);
}

int snap_op_finish(struct snap_ctx *sc, int rc, int outcome,
                   const char *hint_fmt, ...)
{
    va_list ap;

    sc->outcome = outcome;
    if (outcome != LIBXL_SNAPSHOT_NOT_WHOLE) return rc;
    free(sc->hint);
    va_start(ap, hint_fmt);
    sc->hint = snap_vprintf(hint_fmt, ap);
    va_end(ap);
    return rc;
}
