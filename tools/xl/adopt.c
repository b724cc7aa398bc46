/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-adopt: words about a snapshot that was made by hand become one
 * request for the library.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "others.h"
#include "place.h"
#include "say.h"
#include "session.h"
#include "stock.h"

struct adoption {
    const struct xl_request *rq;
    char *domain, *memory, *stock;
    struct xl_place place;
    struct snap_strings vdevs;      /* of the words */
    libxl_snapshot_adopt_disk *disks;
    libxl_snapshot_adopt_params p;
};

static void adoption_dispose(struct adoption *a)
{
    free(a->domain);
    free(a->memory);
    free(a->stock);
    xl_place_dispose(&a->place);
    snap_strings_dispose(&a->vdevs);
    free(a->disks);
}

/* ---- what the words say ---------------------------------------------- */

static int usage(const struct adoption *a, const char *fmt, ...)
    SNAP_PRINTF(2, 3);
static int usage(const struct adoption *a, const char *fmt, ...)
{
    AUTO_FREE char *why = NULL;
    va_list ap;

    va_start(ap, fmt);
    why = snap_vprintf(fmt, ap);
    va_end(ap);
    return xl_fail(a->rq, XL_USAGE, NULL, "%s", why);
}

/* What stands behind the '='. */
static int decide_what(const struct adoption *a, const char *what,
                       libxl_snapshot_adopt_disk *d)
{
    static const char tag[] = "tag:", base[] = "base:";

    if (!strncmp(what, tag, strlen(tag))) {
        d->kind = LIBXL_SNAPSHOT_ADOPT_TAG;
        d->what = what + strlen(tag);
    } else if (!strncmp(what, base, strlen(base))) {
        d->kind = LIBXL_SNAPSHOT_ADOPT_BASE;
        d->what = what + strlen(base);
        if (d->what[0] != '/')
            return usage(a, "'%s' of disk '%s': the path of a base begins "
                         "with '/'", what, d->vdev);
    }
    if (d->what && *d->what) return 0;
    return usage(a, "'%s' of disk '%s' is neither tag:TAG nor base:PATH",
                 what, d->vdev);
}

static int decide_word(struct adoption *a, const char *word)
{
    libxl_snapshot_adopt_disk *d = &a->disks[a->p.ndisks++];
    size_t n = strcspn(word, "=");

    snap_strings_take(&a->vdevs, snap_strndup(word, n));
    d->vdev = a->vdevs.data[a->vdevs.len - 1];
    if (!word[n] || !xl_vdev_plausible(d->vdev))
        return usage(a, "'%s' is not VDEV=WHAT, like xvda=tag:before or "
                     "xvdb=base:/img/b.qcow2", word);
    return decide_what(a, word + n + 1, d);
}

static int decide_disks(struct adoption *a)
{
    const struct xl_request *rq = a->rq;
    size_t i, n = (size_t)rq->nargs + rq->exclude.len;
    int status = 0, k;

    a->disks = snap_zalloc(n * sizeof(*a->disks));
    a->p.disks = a->disks;
    for (k = 2; !status && k < rq->nargs; k++)
        status = decide_word(a, rq->args[k]);
    for (i = 0; i < rq->exclude.len; i++)
        a->disks[a->p.ndisks++] = (libxl_snapshot_adopt_disk) {
            .vdev = rq->exclude.data[i],
            .kind = LIBXL_SNAPSHOT_ADOPT_EXCLUDE,
        };
    return status;
}

static void fill_params(struct adoption *a)
{
    const struct xl_request *rq = a->rq;
    AUTO_FREE char *why = NULL;

    a->stock = xl_stock_find(rq->program, &why);
    a->p.domain_name = a->domain;
    a->p.domain_config = rq->config;
    a->p.name = a->place.name;
    a->p.description = rq->value[OPT_DESCRIPTION];
    a->p.directory = a->place.directory;
    a->p.parent = a->place.parent;
    a->p.stock_xl = a->stock;
    a->p.memory = a->memory;
    a->p.offline = xl_given(rq, OPT_OFFLINE);
    a->p.protect = !xl_given(rq, OPT_NO_PROTECT);
    a->p.dry_run = xl_given(rq, OPT_DRY_RUN);
    a->p.lock_timeout_ms = rq->lock_timeout_ms;
}

static int decide(struct adoption *a)
{
    const struct xl_request *rq = a->rq;
    int status = xl_check_name(rq, rq->args[1]);

    if (!status) status = decide_disks(a);
    if (!status) status = xl_domain_name(rq, rq->args[0], false, &a->domain);
    if (status) return status;
    if (rq->value[OPT_MEMORY])
        a->memory = xl_absolute(rq->value[OPT_MEMORY]);
    a->place.name = snap_strdup(rq->args[1]);
    a->place.directory = xl_place_option(rq);
    return xl_place_find(rq, a->domain, &a->place);
}

/* ---- the result ------------------------------------------------------ */

static void print_adopted(const struct adoption *a,
                          const libxl_snapshot_result *r)
{
    if (!a->p.dry_run)
        xl_note(a->rq, "Snapshot '%s' of domain '%s' was adopted: %s, of %s.",
                a->place.name, a->domain, r->manifest.consistency,
                r->manifest.created);
    xl_result_notes(a->rq, r);
    if (a->p.dry_run)
        xl_result_plan(r);
    else
        printf("%s\n", a->place.directory);
}

static void print_adopted_json(const struct adoption *a,
                               const libxl_snapshot_result *r)
{
    struct snap_json *o = xl_result_json(a->rq, a->domain, r);
    AUTO_FREE char *dir = xl_json_text(a->place.directory);

    snap_json_set_str(o, "snapshot", a->place.name);
    snap_json_set_str(o, "directory", dir);
    snap_json_set_str(o, "consistency", r->manifest.consistency);
    snap_json_set_str(o, "created", r->manifest.created);
    snap_json_set_str(o, "parent", a->place.parent);
    snap_json_set_int(o, "memory_bytes", (int64_t)r->memory_bytes);
    xl_print_json(o);
}

static int adopt(struct adoption *a)
{
    libxl_snapshot_result result;
    struct xl_session s;
    int rc, status = XL_DONE;

    memset(&result, 0, sizeof(result));
    xl_session_open(&s, a->rq, true);
    rc = libxl_snapshot_adopt(s.ctx, &a->p, &result);
    if (rc) {
        status = xl_session_failed(&s, rc);
        xl_place_unmake(&a->place);
    }
    xl_session_close(&s);
    if (!rc && xl_given(a->rq, OPT_JSON))
        print_adopted_json(a, &result);
    else if (!rc)
        print_adopted(a, &result);
    libxl_snapshot_result_dispose(&result);
    return status;
}

int xl_snapshot_adopt(struct xl_request *rq)
{
    struct adoption a = { .rq = rq };
    int status = decide(&a);

    if (!status) status = xl_place_make(rq, &a.place);
    if (!status) {
        fill_params(&a);
        status = adopt(&a);
    }
    adoption_dispose(&a);
    return status;
}
