/* SPDX-License-Identifier: LGPL-2.1-only */
/* The rows of the driver table: one file a driver. */
#ifndef SNAP_DISK_DRIVERS_H
#define SNAP_DISK_DRIVERS_H

#include "plan/plan.h"

extern const struct snap_disk_driver snap_disk_internal;
extern const struct snap_disk_driver snap_disk_external;

#endif
