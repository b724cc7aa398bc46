/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The table of disk drivers, in the order in which "whatever fits" asks them,
 * and the reasons that keep any driver away from a disk.
 */
#include <string.h>

#include "disk/drivers.h"
#include "plan/facts.h"

const struct snap_disk_driver *const snap_disk_drivers[] = {
    &snap_disk_internal,
    &snap_disk_external,
    NULL,
};

const struct snap_disk_driver *snap_disk_driver(bool external)
{
    size_t i;

    for (i = 0; snap_disk_drivers[i]; i++)
        if (snap_disk_drivers[i]->external == external)
            return snap_disk_drivers[i];
    return NULL;
}

/* Not QEMU's: who serves it, and what to change. */
static char *backend_reason(const struct snap_facts *f,
                            const struct snap_facts_disk *d)
{
    if (d->backend_domid)
        return snap_printf("served by a driver domain (domain %lld), whose "
                           "QEMU cannot be reached; serve it from dom0",
                           (long long)d->backend_domid);
    if (d->script && *d->script)
        return snap_printf("set up by the block script '%s', so the image is "
                           "not a file that can be snapshotted; use a qcow2 "
                           "or raw image with backendtype=qdisk", d->script);
    /* Of one that is off, libxl chooses when it starts. */
    if (!strcmp(d->backend, "qdisk")
        || (!f->exists && !strcmp(d->backend, "unknown")))
        return NULL;
    if (!strcmp(d->backend, "phy"))
        return snap_strdup("served by the kernel (phy), out of QEMU's reach; "
                           "use a qcow2 image, or a raw one with "
                           "backendtype=qdisk, or leave it out with "
                           "--exclude");
    if (!strcmp(d->backend, "tap"))
        return snap_strdup("served by tapdisk, which has no snapshots here; "
                           "use backendtype=qdisk, or --exclude");
    return snap_printf("served by the backend '%s', which has no snapshots "
                       "here; use backendtype=qdisk, or --exclude",
                       d->backend);
}

static char *layer_reason(const struct snap_image *im)
{
    if (im->data_file)
        return snap_printf("its layer '%s' keeps its data in an external "
                           "data file, which a snapshot does not freeze; "
                           "convert it with qemu-img convert", im->path);
    if (im->encrypted)
        return snap_printf("its layer '%s' is encrypted, which Xen's QEMU "
                           "cannot open again", im->path);
    if (im->compression && !strcmp(im->compression, "zstd"))
        return snap_printf("its layer '%s' uses zstd compression, which Xen's "
                           "QEMU cannot open; convert it with -o "
                           "compression_type=zlib", im->path);
    if (im->corrupt)
        return snap_printf("its layer '%s' is marked corrupt; run qemu-img "
                           "check on it while the domain is off", im->path);
    return NULL;
}

/* What QEMU has open against what the toolstack believes. */
static char *qemu_reason(const struct snap_facts *f,
                         const struct snap_facts_disk *d)
{
    if (!f->exists) return NULL;
    if (f->qmp_error)
        return snap_printf("QEMU cannot be asked: %s", f->qmp_error);
    if (!d->node)
        return snap_printf("QEMU does not have it open; see "
                           "/var/log/xen/qemu-dm-%s.log for the reason",
                           f->dom.name);
    if (d->opened_times > 1)
        return snap_printf("QEMU has the image open %u times, as an emulated "
                           "and as a PV disk; wait until the guest's PV "
                           "drivers have unplugged the emulated one",
                           d->opened_times);
    if (d->filtered)
        return snap_strdup("a block job (a backup, a mirror) works on it in "
                           "QEMU; wait until it has ended");
    if (d->qemu_read_only)
        return snap_strdup("QEMU has it open read-only although the "
                           "configuration says writable");
    if (d->format && d->qemu_driver && strcmp(d->format, d->qemu_driver))
        return snap_printf("the configuration says %s, QEMU uses it as %s; "
                           "stop the domain and mend its configuration",
                           d->format, d->qemu_driver);
    return NULL;
}

char *snap_disk_common_reason(const struct snap_facts *f,
                              const struct snap_facts_disk *d, bool *ignored)
{
    char *reason;
    size_t i;

    *ignored = true;
    if (d->cdrom) return snap_strdup("a CD-ROM");
    if (!d->path || !*d->path) return snap_strdup("an empty drive");
    if (!d->readwrite) return snap_strdup("read-only");
    *ignored = false;
    reason = backend_reason(f, d);
    if (reason) return reason;
    if (d->path[0] != '/')
        return snap_printf("its path '%s' is not absolute", d->path);
    if (d->id_error) return snap_strdup(d->id_error);
    if (!d->have_id)
        return snap_printf("its image '%s' is not there any more", d->path);
    reason = qemu_reason(f, d);
    if (reason) return reason;
    if (d->chain_error) return snap_strdup(d->chain_error);
    for (i = 0; i < d->chain.len && !reason; i++)
        reason = layer_reason(&d->chain.data[i]);
    if (reason) return reason;
    if (d->users)
        return snap_printf("its image is also open in: %s; an image in two "
                           "hands cannot be snapshotted", d->users);
    return NULL;
}
