/* SPDX-License-Identifier: LGPL-2.1-only */
/* What overlays of ours are called. Pure. */
#ifndef SNAP_OVERLAY_NAME_H
#define SNAP_OVERLAY_NAME_H

#include "snap_internal.h"

/* Is the overlay called as ours on that base are: what is before a dot in the
 * base's name, a dot, the snapshot's name, and ".qcow2", "-2.qcow2" or
 * "-r1.qcow2"; in the base's directory? Real paths. */
bool snap_is_overlay_name(const char *path, const char *base,
                          const char *snapshot);

#endif
