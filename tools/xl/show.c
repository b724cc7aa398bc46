/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The commands that show one thing: info, check.  Each describes its result in
 * tables of fields, from which text and JSON are made; list is in list.c.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "check_config.h"
#include "commands.h"
#include "operations.h"
#include "print.h"
#include "say.h"
#include "session.h"
#include "space.h"
#include "store.h"

/* ---- info ------------------------------------------------------------ */

struct info {
    const char *directory;
    bool current;
    struct xl_space space;
    libxl_snapshot_manifest m;  /* borrowed from the set */
};

#define INFO(member) offsetof(struct info, member)
static const struct xl_field info_fields[] = {
    { "name", "Name", FIELD_TEXT, INFO(m.name), "none" },
    { "directory", "Directory", FIELD_TEXT, INFO(directory), NULL },
    { "description", "Description", FIELD_TEXT, INFO(m.description), NULL },
    { "created", "Created", FIELD_TIME, INFO(m.created), "unknown" },
    { "consistency", "Consistency", FIELD_TEXT, INFO(m.consistency),
      "unknown" },
    { "excluded", "Left out", FIELD_LIST, INFO(m.excluded), NULL },
    { "parent", "Parent", FIELD_TEXT, INFO(m.parent), "unknown" },
    { "current", "Current", FIELD_BOOL, INFO(current), "no" },
    { "domain", "Domain", FIELD_TEXT, INFO(m.domain_name), "unknown" },
    { "domain_uuid", "Domain's uuid", FIELD_TEXT, INFO(m.domain_uuid), NULL },
    { "domain_type", "Domain's type", FIELD_TEXT, INFO(m.domain_type), NULL },
    { "state", "Domain's state", FIELD_TEXT, INFO(m.domain_state), NULL },
    { "live", "Live", FIELD_BOOL, INFO(m.live), "no" },
    { "pause_ms", "Paused for", FIELD_MS, INFO(m.pause_ms), NULL },
    { "memory", "Memory", FIELD_TEXT, INFO(m.memory_path), "none" },
    { "memory_bytes", "Memory's size", FIELD_BYTES,
      INFO(m.memory_size_bytes), NULL },
    { "memory_head_sha256", NULL, FIELD_TEXT, INFO(m.memory_head_sha256),
      NULL },
    { "memory_sha256", "Memory's SHA-256", FIELD_TEXT, INFO(m.memory_sha256),
      NULL },
    { "exclusive_bytes", "Only this needs", FIELD_BYTES,
      INFO(space.exclusive_bytes), NULL },
    { "shared_bytes", "Others need, too", FIELD_BYTES,
      INFO(space.shared_bytes), NULL },
    { "reclaimable_bytes", "Delete frees", FIELD_BYTES,
      INFO(space.reclaimable_bytes), NULL },
    { "unsized_tags", "Tags not counted", FIELD_COUNT,
      INFO(space.unsized_tags), NULL },
    { "gone_images", "Images gone", FIELD_COUNT,
      INFO(space.gone_images), NULL },
    { "space_unknown", "Space unknown", FIELD_TEXT, INFO(space.unknown),
      NULL },
    { "tool_version", "Made by", FIELD_TEXT, INFO(m.tool_version), NULL },
    { "xen_version", "Xen", FIELD_TEXT, INFO(m.xen_version), NULL },
    { "qemu_version", "QEMU", FIELD_TEXT, INFO(m.qemu_version), NULL },
};

struct info_disk {
    const char *type;
    struct snap_manifest_disk d;    /* borrowed */
};

#define DISK(member) offsetof(struct info_disk, member)
static const struct xl_field info_disk_fields[] = {
    { "vdev", "Disk", FIELD_TEXT, DISK(d.vdev), "?" },
    { "type", "Type", FIELD_TEXT, DISK(type), "?" },
    { "tag", "Tag", FIELD_TEXT, DISK(d.tag), NULL },
    { "tag_id", "Tag's id", FIELD_TEXT, DISK(d.tag_id), NULL },
    { "image", "Image", FIELD_TEXT, DISK(d.image), NULL },
    { "format", "Format", FIELD_TEXT, DISK(d.format), NULL },
    { "overlay", "Overlay", FIELD_TEXT, DISK(d.overlay), NULL },
    { "virtual_size_bytes", "Size", FIELD_BYTES, DISK(d.virtual_size_bytes),
      NULL },
    { "parent", "At the snapshot", FIELD_TEXT, DISK(d.parent), NULL },
    { "child", "From then on", FIELD_TEXT, DISK(d.child), NULL },
};

static struct info_disk info_disk(const struct snap_manifest_disk *d)
{
    struct info_disk i = {
        .type = d->type == SNAP_DISK_EXTERNAL ? "external" : "internal",
        .d = *d,
    };

    return i;
}

static void print_info(const struct info *info)
{
    size_t i;

    xl_fields_text(stdout, info_fields, XL_FIELDS(info_fields), info, 0);
    for (i = 0; i < info->m.ndisks; i++) {
        struct info_disk d = info_disk(&info->m.disks[i]);

        printf("\n");
        xl_fields_text(stdout, info_disk_fields, XL_FIELDS(info_disk_fields),
                       &d, 0);
    }
}

static void print_info_json(const struct xl_request *rq, const char *domain,
                            const struct info *info)
{
    struct snap_json *o = snap_json_new_object();
    struct snap_json *disks = snap_json_new_array();
    size_t i;

    snap_json_set_int(o, "exit", XL_DONE);
    xl_fields_json(info_fields, XL_FIELDS(info_fields), info, o);
    for (i = 0; i < info->m.ndisks; i++) {
        struct info_disk d = info_disk(&info->m.disks[i]);
        struct snap_json *j = snap_json_new_object();

        xl_fields_json(info_disk_fields, XL_FIELDS(info_disk_fields), &d, j);
        snap_json_append(disks, j);
    }
    snap_json_set(o, "disks", disks);
    xl_show_operations(rq, domain, o);
    xl_print_json(o);
}

static bool is_current(const struct xl_request *rq, const char *domain,
                       const char *directory)
{
    AUTO_FREE char *dir = xl_store_domain_dir(rq->store, domain);
    AUTO_FREE char *name = xl_store_current(dir);
    AUTO_FREE char *path = name ? snap_printf("%s/%s", dir, name) : NULL;

    return path && directory && !strcmp(path, directory);
}

int xl_snapshot_info(struct xl_request *rq)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_FREE char *domain = NULL;
    AUTO_FREE char *where = NULL;
    libxl_snapshot_set set;
    struct info info;
    int status;

    memset(&set, 0, sizeof(set));
    status = xl_domain_name(rq, rq->args[0], true, &domain);
    if (status) return status;
    status = xl_store_find(&sc, rq->store, domain, rq->args[1], &set, &where);
    if (status) {
        xl_fail(rq, status, NULL, "%s", sc.message ? sc.message : "?");
    } else {
        info = (struct info) {
            .directory = set.directory,
            .current = is_current(rq, domain, set.directory),
            .space = xl_space_of(rq, domain, set.directory),
            .m = set.manifest,
        };
        if (xl_given(rq, OPT_JSON)) {
            print_info_json(rq, domain, &info);
        } else {
            print_info(&info);
            xl_show_operations(rq, domain, NULL);
        }
        free(info.space.unknown);
    }
    libxl_snapshot_set_dispose(&set);
    snap_ctx_dispose(&sc);
    return status;
}

/* ---- check ----------------------------------------------------------- */

struct check_disk {
    const char *answer;         /* "internal", "external", "no", "left out" */
    libxl_snapshot_disk_report d;   /* borrowed */
};

#define CHECK(member) offsetof(struct check_disk, member)
static const struct xl_field check_fields[] = {
    { "vdev", "DISK", FIELD_TEXT, CHECK(d.vdev), "?" },
    { "answer", "SNAPSHOT", FIELD_TEXT, CHECK(answer), NULL },
    { "format", "FORMAT", FIELD_TEXT, CHECK(d.format), "-" },
    { "backend", "BACKEND", FIELD_TEXT, CHECK(d.backend), "-" },
    { "writable", NULL, FIELD_BOOL, CHECK(d.writable), NULL },
    { "path", "IMAGE", FIELD_TEXT, CHECK(d.path), "-" },
    { "internal_reason", NULL, FIELD_TEXT, CHECK(d.internal_reason), NULL },
    { "external_reason", NULL, FIELD_TEXT, CHECK(d.external_reason), NULL },
};

static struct check_disk check_disk(const libxl_snapshot_disk_report *d)
{
    struct check_disk c = {
        .answer = d->ignored ? "left out"
            : !d->internal_reason ? "internal"
            : !d->external_reason ? "external" : "no",
        .d = *d,
    };

    return c;
}

static bool can_snapshot(const libxl_snapshot_report *r)
{
    size_t i;

    for (i = 0; i < r->ndisks; i++)
        if (!r->disks[i].ignored && r->disks[i].internal_reason &&
            r->disks[i].external_reason)
            return false;
    return !r->reasons.len;
}

static void check_reason(const char *vdev, const char *kind,
                         const char *reason)
{
    AUTO_FREE char *text = NULL;
    AUTO_FREE char *clean = NULL;

    if (!reason) return;
    text = snap_printf("%s, %s: %s", vdev, kind, reason);
    clean = xl_clean(text);
    xl_put_line(stdout, clean);
}

static void print_check_disks(const libxl_snapshot_report *r)
{
    struct check_disk *disks = snap_zalloc((r->ndisks + 1) * sizeof(*disks));
    const void **rows = snap_zalloc((r->ndisks + 1) * sizeof(*rows));
    size_t i;

    for (i = 0; i < r->ndisks; i++) {
        disks[i] = check_disk(&r->disks[i]);
        rows[i] = &disks[i];
    }
    if (r->ndisks)
        xl_fields_table(stdout, check_fields, XL_FIELDS(check_fields), rows,
                        r->ndisks, NULL);
    for (i = 0; i < r->ndisks; i++) {
        if (r->disks[i].ignored) continue;
        check_reason(r->disks[i].vdev, "internal",
                     r->disks[i].internal_reason);
        check_reason(r->disks[i].vdev, "external",
                     r->disks[i].external_reason);
    }
    free(rows);
    free(disks);
}

static void print_check(const libxl_snapshot_report *r)
{
    AUTO_FREE char *name = xl_clean(r->name ? r->name : "?");
    size_t i;

    printf("Domain '%s' (domid %u, %s): %s\n", name, r->domid,
           r->type ? r->type : "?", can_snapshot(r)
           ? "can be snapshotted" : "cannot be snapshotted");
    for (i = 0; i < r->reasons.len; i++)
        check_reason("domain", "no", r->reasons.data[i]);
    check_reason("domain", "no --live", r->live_reason);
    print_check_disks(r);
}

static void print_check_json(const libxl_snapshot_report *r)
{
    struct snap_json *o = snap_json_new_object();
    struct snap_json *disks = snap_json_new_array();
    AUTO_FREE char *name = xl_json_text(r->name);
    AUTO_FREE char *live = xl_json_text(r->live_reason);
    size_t i;

    for (i = 0; i < r->ndisks; i++) {
        struct check_disk d = check_disk(&r->disks[i]);
        struct snap_json *j = snap_json_new_object();

        xl_fields_json(check_fields, XL_FIELDS(check_fields), &d, j);
        snap_json_append(disks, j);
    }
    snap_json_set_int(o, "exit", can_snapshot(r) ? XL_DONE : XL_REFUSED);
    snap_json_set_str(o, "domain", name);
    snap_json_set_int(o, "domid", r->domid);
    snap_json_set_str(o, "uuid", r->uuid);
    snap_json_set_str(o, "type", r->type);
    snap_json_set_bool(o, "can_snapshot", can_snapshot(r));
    snap_json_set(o, "reasons", xl_strings_json(&r->reasons));
    snap_json_set_str(o, "live_reason", live);
    snap_json_set(o, "disks", disks);
    xl_print_json(o);
}

int xl_snapshot_check(struct xl_request *rq)
{
    libxl_snapshot_report report;
    AUTO_FREE char *domain = NULL;
    struct xl_session s;
    uint32_t domid;
    int rc, status;

    if (rq->config) return xl_check_config(rq);
    status = xl_running_domain(rq, rq->args[0], &domid, &domain);
    if (status) return status;
    memset(&report, 0, sizeof(report));
    xl_session_open(&s, rq, false);
    rc = libxl_snapshot_check(s.ctx, domid, &report);
    if (rc) {
        status = xl_session_refused(&s, rc);
    } else {
        status = can_snapshot(&report) ? XL_DONE : XL_REFUSED;
        if (xl_given(rq, OPT_JSON))
            print_check_json(&report);
        else
            print_check(&report);
    }
    xl_session_close(&s);
    libxl_snapshot_report_dispose(&report);
    return status;
}
