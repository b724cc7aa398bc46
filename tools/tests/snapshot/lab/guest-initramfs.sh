#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only
#
# The first program of a guest: load the PV drivers, become tick.

/bin/busybox --install -s /bin
export PATH=/bin

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "/modules/$module"
done < /modules.order

exec /bin/tick
