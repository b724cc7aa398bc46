/* SPDX-License-Identifier: LGPL-2.1-only */
/* --update-config.  See update.h. */
#include "update.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cfgtext.h"
#include "host/fs.h"
#include "say.h"

#define MAX_BACKUPS 1000

struct file {
    char *real;
    struct stat st;             /* from before it was read */
    char *text;
    size_t len;
};

static void file_dispose(struct file *f)
{
    free(f->real);
    free(f->text);
}

/* ---- looking --------------------------------------------------------- */

static int may_replace(struct snap_ctx *sc, const struct file *f)
{
    AUTO_FREE char *dir = snap_strndup(f->real, (size_t)(strrchr(f->real, '/')
                                                         - f->real));
    bool on, have;
    int rc;

    rc = snap_fs_get_immutable(sc, f->real, &on, &have);
    if (rc) return rc;
    if (on)
        return snap_fail(sc, ERROR_INVAL, "'%s' is immutable; run: chattr -i",
                         f->real);
    if (f->st.st_nlink > 1)
        return snap_fail(sc, ERROR_INVAL, "'%s' has another name (a hard "
                         "link), which would keep the old images; use a "
                         "symbolic link", f->real);
    if (access(f->real, W_OK) || access(*dir ? dir : "/", W_OK))
        return snap_fail_errno(sc, errno, "'%s' cannot be written", f->real);
    return 0;
}

static int read_file(struct snap_ctx *sc, const char *path, struct file *f)
{
    int rc;

    memset(f, 0, sizeof(*f));
    f->real = realpath(path, NULL);
    if (!f->real || lstat(f->real, &f->st))
        return snap_fail_errno(sc, errno, "'%s' cannot be read", path);
    rc = snap_fs_read(sc, f->real, true, XL_CFG_MAX_BYTES, &f->text, &f->len);
    return rc ? rc : may_replace(sc, f);
}

int xl_update_look(const struct xl_request *rq, const char *domain)
{
    static const struct snap_strings none = { 0 };
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct xl_cfg_edit edit = { 0 };
    struct file f;
    int rc, status = 0;

    if (!xl_given(rq, OPT_UPDATE_CONFIG)) return 0;
    rc = read_file(&sc, rq->config, &f);
    if (!rc)
        rc = xl_cfg_edit(&sc, f.real, domain, f.text, f.len, &none, NULL,
                         &edit);
    if (rc)
        status = xl_fail(rq, XL_REFUSED, NULL, "--update-config: %s",
                         sc.message);
    xl_cfg_edit_dispose(&edit);
    file_dispose(&f);
    snap_ctx_dispose(&sc);
    return status;
}

/* ---- changing -------------------------------------------------------- */

/* The first name that is free: FILE.snapshot-backup, ...-backup.2 */
static int keep_old(struct snap_ctx *sc, const struct file *f, char **backup)
{
    AUTO_FREE char *name = snap_printf("%s.snapshot-backup", f->real);
    struct stat st;
    int i, rc;

    for (i = 2; !lstat(name, &st) && i <= MAX_BACKUPS; i++) {
        free(name);
        name = snap_printf("%s.snapshot-backup.%d", f->real, i);
    }
    rc = snap_fs_publish_like(sc, name, f->text, f->len, false, &f->st);
    if (!rc) *backup = snap_strdup(name);
    return rc;
}

/* Somebody may have saved it from an editor meanwhile. */
static int still_that(struct snap_ctx *sc, const struct file *f)
{
    struct stat st;

    if (lstat(f->real, &st))
        return snap_fail_errno(sc, errno, "'%s'", f->real);
    if (st.st_dev != f->st.st_dev || st.st_ino != f->st.st_ino ||
        st.st_size != f->st.st_size ||
        st.st_mtim.tv_sec != f->st.st_mtim.tv_sec ||
        st.st_mtim.tv_nsec != f->st.st_mtim.tv_nsec)
        return snap_fail(sc, ERROR_INVAL, "'%s' was changed by somebody else "
                         "at this moment", f->real);
    return 0;
}

static int write_file(struct snap_ctx *sc, const struct file *f,
                      struct xl_update *u)
{
    int rc;

    rc = keep_old(sc, f, &u->backup);
    if (!rc) rc = still_that(sc, f);
    if (!rc) rc = snap_fs_publish_like(sc, f->real, u->edit.text, u->edit.len,
                                       true, &f->st);
    u->changed = !rc;
    return rc;
}

void xl_update_config(const struct xl_request *rq, const char *domain,
                      const libxl_snapshot_result *r, struct xl_update *u)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct file f;
    int rc;

    memset(u, 0, sizeof(*u));
    if (!xl_given(rq, OPT_UPDATE_CONFIG)) return;
    rc = read_file(&sc, rq->config, &f);
    u->real = snap_strdup(f.real);
    if (!rc)
        rc = xl_cfg_edit(&sc, f.real, domain, f.text, f.len, &r->advice,
                         &r->instead, &u->edit);
    if (!rc && u->edit.text && !xl_given(rq, OPT_DRY_RUN))
        rc = write_file(&sc, &f, u);
    if (rc) u->reason = snap_strdup(sc.message);
    file_dispose(&f);
    snap_ctx_dispose(&sc);
}

void xl_update_dispose(struct xl_update *u)
{
    free(u->real);
    free(u->backup);
    free(u->reason);
    xl_cfg_edit_dispose(&u->edit);
}

/* ---- telling --------------------------------------------------------- */

static void put_line(FILE *f, const char *before, const char *text)
{
    AUTO_FREE char *clean = xl_clean(text);

    /* Unwrapped: these are there to be pasted. */
    fprintf(f, "%s%s\n", before, clean);
}

/* Loud, whatever -q says: the file still names the old images. */
static void warn(const struct xl_request *rq, const struct xl_update *u,
                 const libxl_snapshot_result *r)
{
    size_t i;

    xl_message("Warning: '%s' is not as it should be: %s", rq->config,
               u->reason);
    if (u->backup) xl_message("It was copied to '%s'.", u->backup);
    if (!r->advice.len) return;
    xl_message("Do not start the domain from it before its disk= list has:");
    for (i = 0; i < r->advice.len; i++)
        put_line(stderr, "    ", r->advice.data[i]);
}

static void show_lines(const struct xl_update *u)
{
    size_t i;

    for (i = 0; i < u->edit.old.len; i++) {
        put_line(stdout, "- ", u->edit.old.data[i]);
        put_line(stdout, "+ ", u->edit.new.data[i]);
    }
}

void xl_update_say(const struct xl_request *rq, const struct xl_update *u,
                   const libxl_snapshot_result *r)
{
    if (!xl_given(rq, OPT_UPDATE_CONFIG)) return;
    if (u->reason)
        warn(rq, u, r);
    else if (xl_given(rq, OPT_JSON))
        return;                 /* it is in the object */
    else if (u->changed)
        xl_note(rq, "'%s' names the domain's new images now. What it was is "
                "kept as '%s'.", u->real, u->backup);
    else if (!u->edit.text)
        xl_note(rq, "'%s' needs no change.", u->real);
    else
        show_lines(u);
}

void xl_update_json(const struct xl_request *rq, const struct xl_update *u,
                    struct snap_json *o)
{
    struct snap_json *c;
    AUTO_FREE char *path = xl_json_text(u->real ? u->real : rq->config);
    AUTO_FREE char *backup = xl_json_text(u->backup);
    AUTO_FREE char *reason = xl_json_text(u->reason);

    if (!xl_given(rq, OPT_UPDATE_CONFIG)) return;
    c = snap_json_new_object();
    snap_json_set_str(c, "path", path);
    snap_json_set_bool(c, "changed", u->changed);
    snap_json_set_str(c, "backup", backup);
    snap_json_set_str(c, "reason", reason);
    snap_json_set(c, "old_lines", xl_strings_json(&u->edit.old));
    snap_json_set(c, "new_lines", xl_strings_json(&u->edit.new));
    snap_json_set(o, "config", c);
}
