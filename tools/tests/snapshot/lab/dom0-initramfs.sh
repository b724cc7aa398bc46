#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only
#
# The first program of dom0.  Its only work is to find the root: the build
# machine's own root, read-only over 9p, below an overlay in memory; then
# dom0-init.sh, which comes fresh through the second share, goes on.

busybox=/bin/busybox
$busybox --install -s /bin
export PATH=/bin

die() {
    echo "LAB FAILED: $*"
    sleep 1
    poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev

while read -r module; do
    insmod "/modules/$module" || echo "insmod $module failed"
done < /modules.order

mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro \
    root /ro || die "no root share"
mount -t tmpfs -o size=90% tmpfs /rw
mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/ro,upperdir=/rw/upper,workdir=/rw/work \
    overlay /new || die "no overlay"

mkdir -p /new/lab /new/run /new/tmp
mount -t tmpfs -o size=90% tmpfs /new/lab
mkdir /new/lab/share
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none \
    lab /new/lab/share || die "no lab share"
mkdir /new/lab/root
mount --move /ro /new/lab/root
for m in proc sys dev; do
    mkdir -p "/new/$m"
    mount --move "/$m" "/new/$m"
done
cp /new/lab/share/in/lab/dom0-init.sh /new/lab/init || die "no dom0-init.sh"

exec switch_root /new /bin/bash /lab/init
