/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The library context of a command, signals, domains, and the parts of a
 * result that several commands print.  See session.h.
 */
#include <signal.h>
#include <string.h>

#include "say.h"
#include "session.h"

static libxl_snapshot_ctx *volatile to_cancel;

static void on_signal(int sig)
{
    libxl_snapshot_ctx *ctx = to_cancel;

    (void)sig;
    if (ctx) libxl_snapshot_cancel(ctx);
}

/* What the caller chose to ignore (nohup) stays ignored. */
static void catch_signal(int sig)
{
    struct sigaction sa, old;

    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = on_signal;
    sigemptyset(&sa.sa_mask);
    if (!sigaction(sig, NULL, &old) && old.sa_handler == SIG_IGN)
        return;
    sigaction(sig, &sa, NULL);
}

void xl_session_open(struct xl_session *s, const struct xl_request *rq,
                     bool cancel)
{
    libxl_snapshot_callbacks callbacks;

    memset(s, 0, sizeof(*s));
    s->rq = rq;
    xl_progress_init(&s->progress, rq);
    callbacks = xl_progress_callbacks(&s->progress);
    s->ctx = libxl_snapshot_ctx_alloc(&callbacks);
    if (!cancel) return;
    to_cancel = s->ctx;
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    catch_signal(SIGHUP);
}

void xl_session_close(struct xl_session *s)
{
    if (to_cancel == s->ctx) to_cancel = NULL;
    xl_progress_end(&s->progress);
    libxl_snapshot_ctx_free(s->ctx);
    s->ctx = NULL;
}

static int failed(struct xl_session *s, int rc, int status)
{
    const char *why = libxl_snapshot_error(s->ctx);
    const char *hint = libxl_snapshot_hint(s->ctx);

    xl_progress_end(&s->progress);
    if (why)
        return xl_fail(s->rq, status, hint, "%s", why);
    return xl_fail(s->rq, status, hint, "the library gave no reason "
                   "(error %d)", rc);
}

int xl_session_failed(struct xl_session *s, int rc)
{
    libxl_snapshot_outcome_t outcome = libxl_snapshot_outcome(s->ctx);

    /* A failure is never "done"; not knowing better, it is the worst. */
    return failed(s, rc, outcome == LIBXL_SNAPSHOT_DONE ? XL_NOT_WHOLE
                                                        : (int)outcome);
}

int xl_session_lock(struct xl_session *s, const char *domain,
                    const libxl_snapshot_set *set)
{
    int rc = libxl_snapshot_lock(s->ctx, domain, set, s->rq->lock_timeout_ms);

    return rc ? xl_session_failed(s, rc) : 0;
}

int xl_session_refused(struct xl_session *s, int rc)
{
    return failed(s, rc, XL_REFUSED);
}

/* ---- the domain ------------------------------------------------------ */

int xl_running_domain(const struct xl_request *rq, const char *arg,
                      uint32_t *domid, char **name)
{
    struct xl_session s;
    int rc, status = 0;

    xl_session_open(&s, rq, false);
    rc = libxl_snapshot_find_domain(s.ctx, arg, domid, name);
    if (rc == ERROR_DOMAIN_NOTFOUND)
        status = xl_fail(rq, XL_REFUSED, NULL, "domain '%s' is not running",
                         arg);
    else if (rc)
        status = xl_session_refused(&s, rc);
    xl_session_close(&s);
    return status;
}

static bool is_number(const char *s)
{
    return *s && !s[strspn(s, "0123456789")];
}

static bool is_uuid(const char *s)
{
    size_t i;

    for (i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? s[i] != '-' : !s[i] || !strchr("0123456789abcdefABCDEF",
                                                  s[i]))
            return false;
    }
    return !s[36];
}

int xl_domain_name(const struct xl_request *rq, const char *arg, bool reader,
                   char **name)
{
    struct xl_session s;
    uint32_t domid;
    int rc, status = 0;

    *name = NULL;
    if (is_number(arg) || is_uuid(arg)) {
        xl_session_open(&s, rq, false);
        rc = libxl_snapshot_find_domain(s.ctx, arg, &domid, name);
        if (rc && rc != ERROR_DOMAIN_NOTFOUND && !reader)
            status = xl_session_refused(&s, rc);
        xl_session_close(&s);
    }
    if (!*name && !status)
        *name = snap_strdup(arg);
    return status;
}

/* ---- results --------------------------------------------------------- */

static void list_note(const struct xl_request *rq, const char *head,
                      const struct snap_strings *l)
{
    size_t i;

    if (!l->len || xl_given(rq, OPT_QUIET)) return;
    xl_note(rq, "%s", head);
    for (i = 0; i < l->len; i++) {
        AUTO_FREE char *clean = xl_clean(l->data[i]);

        /* Unwrapped: these are there to be pasted. */
        fprintf(stderr, "    %s\n", clean);
    }
}

void xl_result_notes(const struct xl_request *rq,
                     const libxl_snapshot_result *r)
{
    size_t i;

    for (i = 0; i < r->notes.len; i++)
        if (!xl_given(rq, OPT_DRY_RUN) || !r->plan
            || !strstr(r->plan, r->notes.data[i]))
            xl_note(rq, "Note: %s", r->notes.data[i]);
    list_note(rq, "Kept, remove it when it is no longer wanted:", &r->left);
    /* With --update-config, what became of it is said by update.c; and which
     * image a file must not name any more is in the notes. */
    if (!xl_given(rq, OPT_UPDATE_CONFIG) && !r->instead.len)
        list_note(rq, xl_given(rq, OPT_DRY_RUN)
                  ? "The domain's disks would change. In its xl.cfg, the "
                  "disk= list would have to have:"
                  : "The domain's disks have changed. In its xl.cfg, the "
                  "disk= list must now have:", &r->advice);
}

void xl_result_plan(const libxl_snapshot_result *r)
{
    const char *s = r->plan ? r->plan : "";

    while (*s) {
        size_t n = strcspn(s, "\n");
        AUTO_FREE char *line = snap_strndup(s, n);
        AUTO_FREE char *clean = xl_clean(line);

        printf("%s\n", clean);
        s += n + (s[n] == '\n');
    }
}

static struct snap_json *plan_json(const char *s)
{
    struct snap_json *a = snap_json_new_array();

    while (s && *s) {
        size_t n = strcspn(s, "\n");
        AUTO_FREE char *line = snap_strndup(s, n);
        AUTO_FREE char *text = xl_json_text(line);

        snap_json_append(a, snap_json_new_str(text));
        s += n + (s[n] == '\n');
    }
    return a;
}

struct snap_json *xl_result_json(const struct xl_request *rq,
                                 const char *domain,
                                 const libxl_snapshot_result *r)
{
    struct snap_json *o = snap_json_new_object();
    AUTO_FREE char *name = xl_json_text(domain);

    snap_json_set_int(o, "exit", XL_DONE);
    snap_json_set_bool(o, "dry_run", xl_given(rq, OPT_DRY_RUN));
    snap_json_set_str(o, "domain", name);
    snap_json_set(o, "plan", plan_json(r->plan));
    snap_json_set(o, "advice", xl_strings_json(&r->advice));
    snap_json_set(o, "left", xl_strings_json(&r->left));
    snap_json_set(o, "notes", xl_strings_json(&r->notes));
    return o;
}
