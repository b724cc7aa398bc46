/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-create: options and SNAPSHOT-CONFIG become one request for the
 * library, with every path decided here.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "others.h"
#include "overlay.h"
#include "place.h"
#include "say.h"
#include "session.h"
#include "snapconfig.h"
#include "stock.h"
#include "update.h"

/* What one snapshot-create is about; owns every string the params point to. */
struct create {
    const struct xl_request *rq;
    struct xl_config config;
    libxl_snapshot_disk *disks;
    size_t ndisks;
    struct snap_strings targets;    /* absolute paths for disks[].target */
    char *domain, *stock;
    struct xl_place place;
    struct xl_overlay overlay;
    libxl_snapshot_create_params p;
    struct xl_update update;
};

static void create_dispose(struct create *c)
{
    xl_config_dispose(&c->config);
    free(c->disks);
    snap_strings_dispose(&c->targets);
    free(c->domain);
    free(c->stock);
    xl_place_dispose(&c->place);
    xl_overlay_dispose(&c->overlay);
    xl_update_dispose(&c->update);
}

static int usage(const struct create *c, const char *fmt, ...)
    SNAP_PRINTF(2, 3);
static int usage(const struct create *c, const char *fmt, ...)
{
    AUTO_FREE char *why = NULL;
    va_list ap;

    va_start(ap, fmt);
    why = snap_vprintf(fmt, ap);
    va_end(ap);
    return xl_fail(c->rq, XL_USAGE, NULL, "%s", why);
}

/* ---- what the options and the file say ------------------------------- */

static int read_config(struct create *c)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    int rc, status = 0;

    c->config.live = -1;
    if (c->rq->nargs < 2) return 0;
    rc = xl_config_read(&sc, c->rq->args[1], &c->config);
    if (rc)
        status = xl_fail(c->rq, rc == ERROR_INVAL ? XL_USAGE : XL_REFUSED,
                         NULL, "%s", sc.message);
    snap_ctx_dispose(&sc);
    return status;
}

/* An option and a key that say the same thing: both, or either, but never
 * two different things. */
static int agree(const struct create *c, enum xl_opt id, const char *word,
                 const char *file, const char **out)
{
    const char *option = c->rq->value[id];

    *out = option ? option : file;
    if (option && file && strcmp(option, file))
        return usage(c, "--%s '%s' and %s, where it is '%s', disagree", word,
                     option, c->config.path, file);
    return 0;
}

static int decide_kind(struct create *c)
{
    enum xl_config_type option = xl_given(c->rq, OPT_INTERNAL)
        ? XL_TYPE_INTERNAL
        : xl_given(c->rq, OPT_EXTERNAL) ? XL_TYPE_EXTERNAL : XL_TYPE_NONE;
    enum xl_config_type type = c->config.type;
    size_t i;

    if (option && type && option != type)
        return usage(c, "--%s and type in %s disagree",
                     option == XL_TYPE_INTERNAL ? "internal" : "external",
                     c->config.path);
    for (i = 0; option && i < c->config.ndisks; i++)
        if (c->config.disks[i].type && c->config.disks[i].type != option)
            return usage(c, "--%s and the type of disk '%s' in %s disagree",
                         option == XL_TYPE_INTERNAL ? "internal" : "external",
                         c->config.disks[i].vdev, c->config.path);
    if (option) type = option;
    c->p.default_kind = type == XL_TYPE_INTERNAL
        ? LIBXL_SNAPSHOT_DISK_INTERNAL
        : type == XL_TYPE_EXTERNAL ? LIBXL_SNAPSHOT_DISK_EXTERNAL
        : LIBXL_SNAPSHOT_DISK_AUTO;
    return 0;
}

static int decide_live(struct create *c)
{
    c->p.live = xl_given(c->rq, OPT_LIVE) || c->config.live == 1;
    if (xl_given(c->rq, OPT_LIVE) && c->config.live == 0)
        return usage(c, "--live and live = 0 in %s disagree",
                     c->config.path);
    return 0;
}

static libxl_snapshot_disk *find_disk(struct create *c, const char *vdev)
{
    size_t i;

    for (i = 0; i < c->ndisks; i++)
        if (!strcmp(c->disks[i].vdev, vdev))
            return &c->disks[i];
    return NULL;
}

static int config_disk(struct create *c, const struct xl_config_disk *from)
{
    libxl_snapshot_disk *to = &c->disks[c->ndisks++];

    to->vdev = from->vdev;
    if (from->parent || from->tag)
        return usage(c, "%s: disk '%s': %s= is for a set that is reverted "
                     "to, not for snapshot-create", c->config.path,
                     from->vdev, from->parent ? "parent" : "tag");
    if (from->format && strcmp(from->format, "qcow2"))
        return usage(c, "%s: disk '%s': format=%s: a new overlay is always "
                     "qcow2", c->config.path, from->vdev, from->format);
    to->kind = from->exclude ? LIBXL_SNAPSHOT_DISK_EXCLUDE
        : from->type == XL_TYPE_INTERNAL ? LIBXL_SNAPSHOT_DISK_INTERNAL
        : from->type == XL_TYPE_EXTERNAL || from->target
        ? LIBXL_SNAPSHOT_DISK_EXTERNAL : c->p.default_kind;
    if (from->target && to->kind == LIBXL_SNAPSHOT_DISK_EXTERNAL &&
        xl_given(c->rq, OPT_INTERNAL))
        return usage(c, "--internal and target= of disk '%s' in %s disagree",
                     from->vdev, c->config.path);
    to->format = from->format;
    if (from->target) {
        snap_strings_take(&c->targets,
                          xl_config_resolve(&c->config, from->target));
        to->target = c->targets.data[c->targets.len - 1];
    }
    return 0;
}

static int decide_disks(struct create *c)
{
    const struct snap_strings *exclude = &c->rq->exclude;
    libxl_snapshot_disk *d;
    size_t i;
    int rc;

    c->disks = snap_zalloc((c->config.ndisks + exclude->len + 1) *
                           sizeof(*c->disks));
    for (i = 0; i < c->config.ndisks; i++) {
        rc = config_disk(c, &c->config.disks[i]);
        if (rc) return rc;
    }
    for (i = 0; i < exclude->len; i++) {
        d = find_disk(c, exclude->data[i]);
        if (d && d->kind != LIBXL_SNAPSHOT_DISK_EXCLUDE)
            return usage(c, "--exclude %s and %s, where the disk is "
                         "snapshotted, disagree", d->vdev, c->config.path);
        if (d) continue;
        d = &c->disks[c->ndisks++];
        d->vdev = exclude->data[i];
        d->kind = LIBXL_SNAPSHOT_DISK_EXCLUDE;
    }
    c->p.disks = c->disks;
    c->p.ndisks = c->ndisks;
    return 0;
}

/* --path, or memory= in the file, which must be memory.xl in a directory:
 * the same thing said in another way. */
static int decide_directory(struct create *c)
{
    AUTO_FREE char *memory = NULL;
    char **directory = &c->place.directory;
    char *slash;

    *directory = xl_place_option(c->rq);
    if (!c->config.memory) return 0;
    memory = xl_config_resolve(&c->config, c->config.memory);
    slash = strrchr(memory, '/');
    if (strcmp(slash + 1, SNAP_MEMORY_FILE) || slash == memory)
        return usage(c, "%s: memory = '%s': the memory of a new snapshot is "
                     "always " SNAP_MEMORY_FILE " in the snapshot's "
                     "directory; leave it out, or write DIR/"
                     SNAP_MEMORY_FILE, c->config.path, c->config.memory);
    *slash = 0;
    if (*directory && strcmp(*directory, memory))
        return usage(c, "--path '%s' and memory in %s disagree", *directory,
                     c->config.path);
    if (!*directory) *directory = snap_strdup(memory);
    return 0;
}

static int check_name(struct create *c, const char *name)
{
    c->place.name = snap_strdup(name);
    return name ? xl_check_name(c->rq, name) : 0;
}

/* Everything that can be decided without looking at the domain. */
static int decide(struct create *c)
{
    const char *name;
    int rc;

    rc = read_config(c);
    if (!rc) rc = agree(c, OPT_NAME, "name", c->config.name, &name);
    if (!rc) rc = agree(c, OPT_DESCRIPTION, "description",
                        c->config.description, &c->p.description);
    if (!rc) rc = check_name(c, name);
    if (!rc) rc = decide_kind(c);
    if (!rc) rc = decide_live(c);
    if (!rc) rc = decide_disks(c);
    if (!rc) rc = decide_directory(c);
    return rc;
}

static void fill_params(struct create *c)
{
    AUTO_FREE char *why = NULL;

    c->overlay.domain_dir = c->place.domain_dir;
    c->overlay.snapshot = c->place.name;
    c->stock = xl_stock_find(c->rq->program, &why);
    c->p.name = c->place.name;
    c->p.directory = c->place.directory;
    c->p.current_path = c->place.current;
    c->p.parent = c->place.parent;
    c->p.overlay_path = xl_overlay_path;
    c->p.overlay_arg = &c->overlay;
    c->p.leave_paused = xl_given(c->rq, OPT_PAUSED);
    c->p.protect = !xl_given(c->rq, OPT_NO_PROTECT);
    c->p.lock_timeout_ms = c->rq->lock_timeout_ms;
    c->p.stock_xl = c->stock;
}

/* ---- the result ------------------------------------------------------ */

static void print_created(const struct create *c,
                          const libxl_snapshot_result *r)
{
    const char *class = r->manifest.consistency;

    if (!c->p.dry_run)
        xl_note(c->rq, "Snapshot '%s' of domain '%s'%s%s; the domain stood "
                "still for %lld.%03d s.", c->place.name, c->domain,
                class ? ": " : "", class ? class : "",
                (long long)r->pause_ms / 1000, (int)(r->pause_ms % 1000));
    xl_result_notes(c->rq, r);
    if (c->p.dry_run)
        xl_result_plan(r);
    else
        printf("%s\n", c->place.directory);
}

static void print_created_json(const struct create *c,
                               const libxl_snapshot_result *r)
{
    struct snap_json *o = xl_result_json(c->rq, c->domain, r);
    AUTO_FREE char *dir = xl_json_text(c->place.directory);

    snap_json_set_str(o, "snapshot", c->place.name);
    snap_json_set_str(o, "directory", dir);
    snap_json_set_int(o, "domid", c->p.domid);
    snap_json_set_str(o, "consistency", r->manifest.consistency);
    snap_json_set_str(o, "parent", c->place.parent);
    snap_json_set_int(o, "pause_ms", r->pause_ms);
    snap_json_set_int(o, "still_ms", r->still_ms);
    snap_json_set_int(o, "memory_bytes", (int64_t)r->memory_bytes);
    xl_update_json(c->rq, &c->update, o);
    xl_print_json(o);
}

static int create_domain(struct create *c)
{
    libxl_snapshot_result result;
    struct xl_session s;
    int rc, status = XL_DONE;

    memset(&result, 0, sizeof(result));
    xl_session_open(&s, c->rq, true);
    rc = libxl_snapshot_create(s.ctx, &c->p, &result);
    if (rc) {
        status = xl_session_failed(&s, rc);
        xl_place_unmake(&c->place);
    }
    xl_session_close(&s);
    if (!rc) xl_update_config(c->rq, c->domain, &result, &c->update);
    if (!rc && xl_given(c->rq, OPT_JSON))
        print_created_json(c, &result);
    else if (!rc)
        print_created(c, &result);
    if (!rc) xl_update_say(c->rq, &c->update, &result);
    libxl_snapshot_result_dispose(&result);
    return status;
}

int xl_snapshot_create(struct xl_request *rq)
{
    struct create c;
    int status;

    memset(&c, 0, sizeof(c));
    c.rq = rq;
    c.p.dry_run = xl_given(rq, OPT_DRY_RUN);
    status = decide(&c);
    if (!status)
        status = xl_running_domain(rq, rq->args[0], &c.p.domid, &c.domain);
    if (!status) status = xl_update_look(rq, c.domain);
    if (!status) status = xl_place_find(rq, c.domain, &c.place);
    if (!status) status = xl_place_make(rq, &c.place);
    if (!status) {
        fill_params(&c);
        status = create_domain(&c);
    }
    create_dispose(&c);
    return status;
}
