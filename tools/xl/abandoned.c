/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-delete --abandoned: lists the overlays that nothing needs any more,
 * asks, and has the library remove them.  What looks like one and is not taken
 * for it is listed with the reason.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "inventory.h"
#include "progress.h"
#include "say.h"
#include "session.h"

struct abandoned {
    const struct xl_request *rq;
    char *domain;
    struct xl_images images;        /* as they are listed */
    struct xl_images again;         /* behind the locks */
    size_t count;
    uint64_t bytes;
};

/* ---- the list ---------------------------------------------------- */

static char *age(int64_t mtime_ns)
{
    time_t seconds = mtime_ns / 1000000000;
    char text[32] = "?";
    struct tm tm;

    if (gmtime_r(&seconds, &tm))
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
    return snap_strdup(text);
}

static void count(struct abandoned *a)
{
    const libxl_snapshot_inventory *inv = &a->images.inv;
    size_t i;

    for (i = 0; i < inv->nimages; i++) {
        if (inv->images[i].use != SNAP_USE_ABANDONED) continue;
        a->count++;
        a->bytes += inv->images[i].size_bytes;
    }
}

static void print_list(const struct abandoned *a)
{
    const libxl_snapshot_inventory *inv = &a->images.inv;
    size_t i;

    if (a->count) printf("   SIZE WRITTEN          ABANDONED OVERLAY\n");
    for (i = 0; i < inv->nimages; i++) {
        const struct snap_inventory_image *im = &inv->images[i];
        AUTO_FREE char *size = xl_bytes_brief(im->size_bytes);
        AUTO_FREE char *written = age(im->mtime_ns);
        AUTO_FREE char *path = xl_clean(im->path);

        if (im->use == SNAP_USE_ABANDONED)
            printf("%7s %s %s\n", size, written, path);
    }
}

static void tell_doubts(const struct abandoned *a)
{
    const libxl_snapshot_inventory *inv = &a->images.inv;
    size_t i;

    for (i = 0; i < inv->nimages; i++)
        if (inv->images[i].doubt)
            xl_note(a->rq, "Note: '%s' looks abandoned, but stays: %s",
                    inv->images[i].path, inv->images[i].doubt);
}

static struct snap_json *image_json(const struct snap_inventory_image *im,
                                    const libxl_snapshot_removal *r)
{
    struct snap_json *o = snap_json_new_object();
    AUTO_FREE char *path = xl_json_text(im->path);
    AUTO_FREE char *doubt = xl_json_text(im->doubt);

    snap_json_set_str(o, "path", path);
    snap_json_set_int(o, "size_bytes", (int64_t)im->size_bytes);
    snap_json_set_int(o, "written", im->mtime_ns / 1000000000);
    snap_json_set_bool(o, "removed", r && snap_strings_have(&r->removed,
                                                            im->path));
    snap_json_set_str(o, "doubt", doubt);
    return o;
}

/* r: what was done, or NULL. */
static void print_json(const struct abandoned *a,
                       const libxl_snapshot_removal *r)
{
    const libxl_snapshot_inventory *inv = &a->images.inv;
    struct snap_json *o = snap_json_new_object();
    struct snap_json *list = snap_json_new_array();
    AUTO_FREE char *domain = xl_json_text(a->domain);
    size_t i;

    for (i = 0; i < inv->nimages; i++)
        if (inv->images[i].use == SNAP_USE_ABANDONED || inv->images[i].doubt)
            snap_json_append(list, image_json(&inv->images[i], r));
    snap_json_set_int(o, "exit", XL_DONE);
    snap_json_set_bool(o, "dry_run", xl_given(a->rq, OPT_DRY_RUN));
    snap_json_set_str(o, "domain", domain);
    snap_json_set(o, "overlays", list);
    xl_print_json(o);
}

/* ---- asking ------------------------------------------------------ */

/* 0, or an exit status with why printed. */
static int ask(const struct abandoned *a)
{
    AUTO_FREE char *size = xl_bytes_brief(a->bytes);
    char answer[16];

    if (xl_given(a->rq, OPT_YES)) return 0;
    if (xl_given(a->rq, OPT_JSON) || !isatty(STDIN_FILENO))
        return xl_fail(a->rq, XL_REFUSED, NULL, "nobody can be asked whether "
                       "these files are to be removed: give --yes, after "
                       "--dry-run has shown them");
    fflush(stdout);
    fprintf(stderr, "A domain that is off may be meant to start on one of them "
            "(see its xl.cfg).\nRemove %zu %s, %s? [y/N] ", a->count,
            a->count == 1 ? "file" : "files", size);
    if (fgets(answer, sizeof(answer), stdin)
        && tolower((unsigned char)answer[0]) == 'y')
        return 0;
    return xl_fail(a->rq, XL_REFUSED, NULL, "the answer was not yes");
}

/* ---- removing ---------------------------------------------------- */

static int refuse_broken(struct snap_ctx *sc, const struct xl_images *im)
{
    if (!im->broken) return 0;
    return snap_fail(sc, ERROR_INVAL, "which images are needed cannot be told: "
                     "%s; mend it, or move it out of the store", im->broken);
}

/* The manifests as they are now that nobody changes the domain's. */
static int read_again(struct abandoned *a)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    int rc = xl_images_load(&sc, a->rq->store, a->domain, &a->again);
    int status = 0;

    if (!rc) rc = refuse_broken(&sc, &a->again);
    if (rc) status = xl_fail(a->rq, XL_REFUSED, NULL, "%s", sc.message);
    snap_ctx_dispose(&sc);
    return status;
}

static void print_removed(const struct abandoned *a,
                          const libxl_snapshot_removal *r)
{
    size_t i;

    for (i = 0; i < r->removed.len && !xl_given(a->rq, OPT_JSON); i++) {
        AUTO_FREE char *path = xl_clean(r->removed.data[i]);

        printf("removed %s\n", path);
    }
    for (i = 0; i < r->stayed.len; i++)
        xl_message("stays: %s", r->stayed.data[i]);
}

static int remove_locked(struct abandoned *a, struct xl_session *s)
{
    libxl_snapshot_images_params now = xl_images_params(&a->again, a->domain);
    const char *args[] = { a->domain, NULL };
    AUTO_FREE char *retry = xl_request_command(a->rq, args);
    libxl_snapshot_remove_params p = {
        .domain_name = a->domain, .now = &now, .listed = &a->images.inv,
        .lock_timeout_ms = a->rq->lock_timeout_ms, .retry_command = retry,
    };
    libxl_snapshot_removal removal;
    int rc, status = XL_DONE;

    rc = libxl_snapshot_remove_abandoned(s->ctx, &p, &removal);
    print_removed(a, &removal);
    if (rc) status = xl_session_failed(s, rc);
    xl_progress_end(&s->progress);
    if (!rc && xl_given(a->rq, OPT_JSON)) print_json(a, &removal);
    libxl_snapshot_removal_dispose(&removal);
    return status;
}

static int remove_them(struct abandoned *a)
{
    struct xl_session s;
    int status;

    xl_session_open(&s, a->rq, true);
    status = xl_session_lock(&s, a->domain, NULL);
    if (!status) status = read_again(a);
    if (!status) status = remove_locked(a, &s);
    xl_session_close(&s);
    return status;
}

static int list_and_remove(struct abandoned *a)
{
    const struct xl_request *rq = a->rq;
    const libxl_snapshot_inventory *inv = &a->images.inv;
    bool json = xl_given(rq, OPT_JSON), dry = xl_given(rq, OPT_DRY_RUN);
    int status;

    count(a);
    tell_doubts(a);
    if (!dry && inv->no_domains)
        return xl_fail(rq, XL_REFUSED, NULL, "%s", inv->no_domains);
    if (!dry && !inv->running)
        return xl_fail(rq, XL_REFUSED, NULL, "domain '%s' does not run, and "
                       "only its xl.cfg tells on which overlay it would be "
                       "started: start it first", a->domain);
    if (!a->count)
        xl_note(rq, "Nothing that is abandoned was found.");
    if (!json) print_list(a);
    if (dry || !a->count) {
        if (json) print_json(a, NULL);
        return XL_DONE;
    }
    status = ask(a);
    return status ? status : remove_them(a);
}

int xl_delete_abandoned(struct xl_request *rq)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct abandoned a = { .rq = rq };
    int rc, status = xl_domain_name(rq, rq->args[0], false, &a.domain);

    if (status) return status;
    rc = xl_images_read(&sc, rq->store, a.domain, &a.images);
    if (!rc) rc = refuse_broken(&sc, &a.images);
    status = rc ? xl_fail(rq, XL_REFUSED, NULL, "%s", sc.message)
                : list_and_remove(&a);
    xl_images_dispose(&a.images);
    xl_images_dispose(&a.again);
    free(a.domain);
    snap_ctx_dispose(&sc);
    return status;
}
