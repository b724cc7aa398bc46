/* SPDX-License-Identifier: LGPL-2.1-only */
/* Internal: a tag inside a qcow2, made by QEMU. */
#include <string.h>

#include "disk/drivers.h"
#include "plan/facts.h"

static char *refuses(const struct snap_facts *f,
                     const struct snap_facts_disk *d)
{
    (void)f;
    if (d->format && !strcmp(d->format, "qcow2")) return NULL;
    return snap_printf("a %s image cannot hold an internal snapshot; use "
                       "--external", d->format ? d->format : "raw");
}

const struct snap_disk_driver snap_disk_internal = {
    .name = "internal",
    .external = false,
    .refuses = refuses,
};
