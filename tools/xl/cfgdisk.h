/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The disks of an xl.cfg, as xl itself reads them: by libxlutil.  Pure.
 */
#ifndef XL_CFGDISK_H
#define XL_CFGDISK_H

#include "cfgtext.h"

struct xl_cfg_disk {
    const char *spec;           /* the entry of the list; libxlutil's */
    libxl_device_disk d;
};

struct xl_cfg_disks {
    const char *name;           /* the domain's; libxlutil's */
    struct xl_cfg_disk *data;
    size_t len;
};

/* They last as long as `c`. 0 or ERROR_INVAL: no name, not a list of strings,
 * an entry that libxlutil does not take, two of one vdev. */
int xl_cfg_disks_read(struct snap_ctx *sc, const struct xl_cfg *c,
                      struct xl_cfg_disks *out);
void xl_cfg_disks_dispose(struct xl_cfg_disks *l);
/* The one of that vdev, or NULL. */
const struct xl_cfg_disk *xl_cfg_disks_find(const struct xl_cfg_disks *l,
                                            const char *vdev);

/* One entry. *out is to be disposed of in any case. */
int xl_cfg_disk_parse(struct snap_ctx *sc, const struct xl_cfg *c,
                      const char *spec, libxl_device_disk *out);
/* Every setting of a disk, to be compared: malloc'd. */
char *xl_cfg_disk_settings(const libxl_device_disk *d);

#endif
