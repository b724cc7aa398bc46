/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-check: can it be snapshotted, per disk, and what to change.
 */
#include <string.h>

#include "op/op.h"

void libxl_snapshot_report_dispose(libxl_snapshot_report *r)
{
    size_t i;

    for (i = 0; i < r->ndisks; i++) {
        free(r->disks[i].vdev);
        free(r->disks[i].path);
        free(r->disks[i].format);
        free(r->disks[i].backend);
        free(r->disks[i].internal_reason);
        free(r->disks[i].external_reason);
    }
    free(r->disks);
    free(r->name);
    free(r->uuid);
    free(r->type);
    free(r->live_reason);
    snap_strings_dispose(&r->reasons);
    memset(r, 0, sizeof(*r));
}

static void report_disk(const struct snap_facts *f,
                        const struct snap_facts_disk *d,
                        libxl_snapshot_disk_report *out)
{
    AUTO_FREE char *common = NULL;

    out->vdev = snap_strdup(d->vdev);
    out->path = snap_strdup(d->path);
    out->format = snap_strdup(d->format);
    out->backend = snap_strdup(d->backend);
    out->writable = d->readwrite && !d->cdrom;
    common = snap_disk_common_reason(f, d, &out->ignored);
    if (!common) out->ignored = false;
    out->internal_reason = common ? snap_strdup(common)
        : snap_disk_driver(false)->refuses(f, d);
    out->external_reason = common ? snap_strdup(common)
        : snap_disk_driver(true)->refuses(f, d);
}

int libxl_snapshot_check(libxl_snapshot_ctx *ctx, uint32_t domid,
                         libxl_snapshot_report *report)
{
    AUTO_XEN struct snap_xen *x = NULL;
    AUTO_WORKER struct snap_worker *w = NULL;
    struct snap_facts f = { 0 };
    size_t i;
    int rc;

    memset(report, 0, sizeof(*report));
    snap_op_begin(ctx, NULL);
    rc = snap_xen_open(ctx, &x);
    if (!rc) rc = snap_worker_start(ctx, -1, &w);
    if (!rc) rc = snap_facts_read(ctx, x, w, domid, &f, NULL);
    if (!rc) rc = snap_facts_read_users(ctx, x, &f);
    if (rc) goto out;
    report->domid = domid;
    report->name = snap_strdup(f.dom.name);
    report->uuid = snap_strdup(f.dom.uuid);
    report->type = snap_strdup(f.dom.type);
    snap_plan_domain_reasons(&f, &report->reasons);
    report->live_reason = snap_plan_live_reason(&f);
    report->ndisks = f.ndisks;
    report->disks = snap_zalloc((f.ndisks + 1) * sizeof(*report->disks));
    for (i = 0; i < f.ndisks; i++)
        report_disk(&f, &f.disks[i], &report->disks[i]);
    ctx->outcome = LIBXL_SNAPSHOT_DONE;
out:
    snap_facts_dispose(&f);
    return rc;
}
