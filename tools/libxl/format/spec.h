/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * xl's disk specs (xl-disk-configuration(5), Xen 4.17), as much as a manifest
 * has of them.  Pure.
 */
#ifndef SNAP_SPEC_H
#define SNAP_SPEC_H

#include "snap_internal.h"

/* An xl disk spec, taken apart. */
struct snap_spec {
    char *vdev;
    char *format;               /* NULL: not given */
    char *target;
    bool readwrite;             /* not given: true, as in xl */
};
void snap_spec_dispose(struct snap_spec *s);

/* "format=qcow2,vdev=xvda,access=rw,target=/p", malloc'd; format may be
 * NULL. target comes last: it may have commas. */
char *snap_spec_print(const char *vdev, const char *format, bool readwrite,
                      const char *target);
/* The reverse. Keys vdev, format, access (rw or ro), then target, which takes
 * the rest; vdev and target must be there; a key unknown or given twice is
 * ERROR_INVAL. */
int snap_spec_parse(struct snap_ctx *sc, const char *spec,
                    struct snap_spec *out);

#endif
