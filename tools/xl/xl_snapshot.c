/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Running a command line, and the commands revert, delete and recover.
 * snapshot-create is in create.c, what only reads is in show.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "commands.h"
#include "overlay.h"
#include "say.h"
#include "session.h"
#include "stock.h"
#include "store.h"

/* ---- every command --------------------------------------------------- */

/* A file that takes the place of a closed standard stream would be written to
 * by mistake. Reading ends and writing fails, as on a closed one. */
static void hold_standard_streams(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) close(fd);
}

/* Was --json said, even if the rest made no sense? */
static bool wants_json(int argc, char **argv)
{
    int i;

    for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--json")) return true;
    return false;
}

/* A result nobody received is worth a message; what was done stays done. */
static int close_output(const struct xl_request *rq, int status)
{
    if (!fflush(stdout) && !ferror(stdout))
        return status;
    xl_message("Error: the result could not be written to standard output: "
               "%s", strerror(errno));
    return status || rq->command->root ? status : XL_REFUSED;
}

static int run(struct xl_request *rq)
{
    if (rq->command->root && geteuid()) {
        return xl_fail(rq, XL_REFUSED, NULL, "xl %s must be run by root, in "
                       "dom0", rq->command->name);
    }
    if (rq->progress_fd > STDERR_FILENO)
        fcntl(rq->progress_fd, F_SETFD, FD_CLOEXEC);
    return rq->command->run(rq);
}

int xl_run_command(const char *program, const char *globals,
                   const char *name, int argc, char **argv)
{
    const struct xl_command *command = xl_command_find(name, true);
    struct xl_request rq;
    int status;

    hold_standard_streams();
    signal(SIGPIPE, SIG_IGN);
    if (!command) {
        xl_message("Error: there is no command '%s'; there are:", name);
        xl_help_list(stderr);
        return XL_USAGE;
    }
    status = xl_request_parse(&rq, command, program, globals, argc, argv);
    if (status) {
        status = xl_fail_usage(command->name, wants_json(argc, argv),
                               rq.error);
    } else if (xl_given(&rq, OPT_HELP)) {
        xl_help_command(stdout, command);
    } else {
        status = run(&rq);
    }
    status = close_output(&rq, status);
    xl_request_dispose(&rq);
    return status;
}

/* Find SNAPSHOT; on failure print why. */
static int find_set(const struct xl_request *rq, const char *domain,
                    libxl_snapshot_set *set, char **where)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    int status;

    status = xl_store_find(&sc, rq->store, domain, rq->args[1], set, where);
    if (status)
        xl_fail(rq, status, NULL, "%s", sc.message ? sc.message : "?");
    snap_ctx_dispose(&sc);
    return status;
}

static bool same_directory(const char *a, const char *b)
{
    struct stat x, y;

    return a && b && !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev &&
        x.st_ino == y.st_ino;
}

/* The snapshots besides the one in hand that may stand on its images: those
 * in the store, of any domain, and those beside it. */
struct others {
    libxl_snapshot_set *sets;       /* borrowed from the entries */
    size_t nsets;
    struct xl_entries store, beside;
};

static void others_dispose(struct others *o)
{
    free(o->sets);
    xl_entries_dispose(&o->store);
    xl_entries_dispose(&o->beside);
}

/* `strict`, a directory: what is broken in there may depend on `skip`. */
static int others_from(const struct xl_request *rq, struct others *o,
                       const struct xl_entries *l, const char *skip,
                       const char *strict)
{
    size_t i, n = strict ? strlen(strict) : 0;

    o->sets = snap_realloc(o->sets, (o->nsets + l->len + 1) *
                           sizeof(*o->sets));
    for (i = 0; i < l->len; i++) {
        const struct xl_entry *e = &l->data[i];

        if (same_directory(e->directory, skip)) continue;
        if (!e->broken)
            o->sets[o->nsets++] = e->set;
        else if (strict && !strncmp(e->directory, strict, n) &&
                 e->directory[n] == '/')
            return xl_fail(rq, XL_REFUSED, NULL, "whether another snapshot "
                           "depends on this one cannot be told: '%s' is "
                           "broken: %s; mend it, or move it out of %s",
                           e->name, e->broken, strict);
        else
            xl_note(rq, "Note: '%s' is broken and was not asked whether it "
                    "depends on an image: %s", e->directory, e->broken);
    }
    return 0;
}

static int find_others(const struct xl_request *rq, const char *directory,
                       const char *strict, struct others *o)
{
    AUTO_FREE char *beside = snap_strdup(directory);
    struct snap_ctx sc = SNAP_CTX_INIT;
    int rc, status = 0;

    memset(o, 0, sizeof(*o));
    rc = xl_store_list_all(&sc, rq->store, &o->store);
    if (!rc && beside) {
        AUTO_FREE char *above = NULL;

        *strrchr(beside, '/') = 0;
        above = snap_printf("%s/..", beside);
        /* Below the store it has been seen already. */
        if (!same_directory(above, rq->store))
            rc = xl_store_list(&sc, *beside ? beside : "/", &o->beside);
    }
    if (rc)
        status = xl_fail(rq, XL_REFUSED, NULL, "%s", sc.message);
    if (!status)
        status = others_from(rq, o, &o->store, directory, strict);
    if (!status)
        status = others_from(rq, o, &o->beside, directory, NULL);
    snap_ctx_dispose(&sc);
    return status;
}

/* ---- revert ---------------------------------------------------------- */

struct revert {
    const struct xl_request *rq;
    char *domain, *where, *config, *current, *stock, *retry, *domain_dir;
    libxl_snapshot_set set;
    struct others others;
    struct xl_overlay overlay;
    libxl_snapshot_revert_params p;
    char *made;                 /* the highest directory that was */
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
    others_dispose(&v->others);
    libxl_snapshot_set_dispose(&v->set);
    xl_overlay_dispose(&v->overlay);
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
        xl_print_json(o);
        return;
    }
    if (v->p.dry_run) {
        xl_result_plan(r);
    } else {
        xl_note(v->rq, "Domain '%s' is back at snapshot '%s'; its domid is "
                "%u now.", v->domain, v->set.manifest.name
                ? v->set.manifest.name : v->where, r->domid);
    }
    xl_result_notes(v->rq, r);
}

static int revert_domain(struct revert *v)
{
    libxl_snapshot_result result;
    struct xl_session s;
    int rc, status = XL_DONE;

    memset(&result, 0, sizeof(result));
    xl_session_open(&s, v->rq, true);
    rc = libxl_snapshot_revert(s.ctx, &v->p, &result);
    if (rc) {
        status = xl_session_failed(&s, rc);
        xl_store_unmake_domain_dir(v->domain_dir, v->made);
    }
    xl_session_close(&s);
    if (!rc) print_reverted(v, &result);
    libxl_snapshot_result_dispose(&result);
    return status;
}

int xl_snapshot_revert(struct xl_request *rq)
{
    struct revert v;
    int status;

    memset(&v, 0, sizeof(v));
    v.rq = rq;
    status = xl_domain_name(rq, rq->args[0], false, &v.domain);
    if (!status) status = find_set(rq, v.domain, &v.set, &v.where);
    if (!status) status = revert_config(&v);
    if (!status) status = revert_stock(&v);
    if (!status) status = find_others(rq, v.set.directory, NULL, &v.others);
    if (!status) status = revert_domain_dir(&v);
    if (!status) {
        revert_params(&v);
        status = revert_domain(&v);
    }
    revert_dispose(&v);
    return status;
}

/* ---- delete ---------------------------------------------------------- */

static int delete_set(const struct xl_request *rq, const char *domain,
                      const libxl_snapshot_set *set, const struct others *o)
{
    AUTO_FREE char *dir = xl_store_domain_dir(rq->store, domain);
    AUTO_FREE char *current = snap_printf("%s/" XL_CURRENT_FILE, dir);
    const char *args[] = { domain, set->directory, NULL };
    AUTO_FREE char *retry = xl_request_command(rq, args);
    libxl_snapshot_delete_params p = {
        .domain_name = domain,
        .set = set,
        .current_path = current,
        .others = o->sets,
        .nothers = o->nsets,
        .dry_run = xl_given(rq, OPT_DRY_RUN),
        .lock_timeout_ms = rq->lock_timeout_ms,
        .retry_command = retry,
    };
    libxl_snapshot_result result;
    struct xl_session s;
    int rc, status = XL_DONE;

    memset(&result, 0, sizeof(result));
    xl_session_open(&s, rq, true);
    rc = libxl_snapshot_delete(s.ctx, &p, &result);
    if (rc) status = xl_session_failed(&s, rc);
    xl_session_close(&s);
    if (!rc && xl_given(rq, OPT_JSON)) {
        struct snap_json *j = xl_result_json(rq, domain, &result);

        snap_json_set_str(j, "snapshot", set->manifest.name);
        xl_print_json(j);
    } else if (!rc) {
        if (p.dry_run) xl_result_plan(&result);
        xl_result_notes(rq, &result);
    }
    libxl_snapshot_result_dispose(&result);
    return status;
}

int xl_snapshot_delete(struct xl_request *rq)
{
    AUTO_FREE char *domain = NULL;
    AUTO_FREE char *where = NULL;
    AUTO_FREE char *dir = NULL;
    libxl_snapshot_set set;
    struct others others;
    int status;

    memset(&set, 0, sizeof(set));
    memset(&others, 0, sizeof(others));
    status = xl_domain_name(rq, rq->args[0], false, &domain);
    if (!status) status = find_set(rq, domain, &set, &where);
    if (!status && !set.directory)
        status = xl_fail(rq, XL_REFUSED, NULL, "'%s' is a hand-written file, "
                         "not a snapshot's directory: delete by hand what "
                         "was made by hand", rq->args[1]);
    if (!status) {
        dir = xl_store_domain_dir(rq->store, domain);
        status = find_others(rq, set.directory, dir, &others);
    }
    if (!status) status = delete_set(rq, domain, &set, &others);
    others_dispose(&others);
    libxl_snapshot_set_dispose(&set);
    return status;
}

/* ---- recover --------------------------------------------------------- */

static void print_recovered(const struct xl_request *rq, const char *domain,
                            const libxl_snapshot_result *r)
{
    size_t i;

    if (xl_given(rq, OPT_JSON)) {
        xl_print_json(xl_result_json(rq, domain, r));
        return;
    }
    if (xl_given(rq, OPT_DRY_RUN)) xl_result_plan(r);
    for (i = 0; i < r->notes.len; i++) {
        AUTO_FREE char *clean = xl_clean(r->notes.data[i]);

        printf("%s\n", clean);
    }
    if (!r->notes.len && !(r->plan && *r->plan))
        xl_note(rq, "Nothing was interrupted.");
}

int xl_snapshot_recover(struct xl_request *rq)
{
    AUTO_FREE char *domain = NULL;
    libxl_snapshot_result result;
    struct xl_session s;
    int rc, status = 0;

    if (rq->nargs) status = xl_domain_name(rq, rq->args[0], false, &domain);
    if (status) return status;
    memset(&result, 0, sizeof(result));
    xl_session_open(&s, rq, true);
    rc = libxl_snapshot_recover(s.ctx, domain, xl_given(rq, OPT_DRY_RUN),
                                rq->lock_timeout_ms, &result);
    if (rc) status = xl_session_failed(&s, rc);
    xl_session_close(&s);
    if (!rc) print_recovered(rq, domain, &result);
    libxl_snapshot_result_dispose(&result);
    return status;
}
