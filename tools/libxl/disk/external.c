/* SPDX-License-Identifier: LGPL-2.1-only */
/* External: the image is frozen and QEMU writes to a new overlay on it. */
#include <string.h>

#include "disk/drivers.h"
#include "plan/facts.h"

static char *refuses(const struct snap_facts *f,
                     const struct snap_facts_disk *d)
{
    if (f->userdata_xl)
        return snap_strdup("the domain has a configuration from `xl "
                           "config-update`, which at a guest reboot would "
                           "start the frozen base; use --internal, or "
                           "recreate the domain");
    if (d->format && (!strcmp(d->format, "qcow2")
                      || !strcmp(d->format, "raw")))
        return NULL;
    return snap_printf("an overlay on a %s image is not supported; convert "
                       "it to qcow2, or leave it out with --exclude",
                       d->format ? d->format : "(unknown)");
}

const struct snap_disk_driver snap_disk_external = {
    .name = "external",
    .external = true,
    .refuses = refuses,
};
