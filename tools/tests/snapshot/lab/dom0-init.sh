#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# Process 1 of dom0 after its root is mounted: bring up what a Xen host needs
# (no init system, no udev), run the test script, hand its status out through
# the share, wait to be killed.  Started by dom0-initramfs.sh; nobody else
# calls it.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LC_ALL=C TERM=dumb
share=/lab/share
in=$share/in
out=$share/out

# Where the build machine's LAB_DIR is seen, whatever is mounted over it.
lab_dir=/lab/root$(cat "$in/lab-dir")

exec </dev/null >/dev/console 2>&1

die() {
    echo "LAB FAILED: $*"
    echo 125 > "$out/rc"
    sleep infinity
}

mount_all() {
    mkdir -p /dev/pts /dev/shm /run /tmp /disk
    mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
    ln -sf pts/ptmx /dev/ptmx
    mount -t tmpfs tmpfs /dev/shm
    mount -t tmpfs -o mode=755 tmpfs /run
    mount -t xenfs xenfs /proc/xen
    # The locking of Xen's hotplug scripts spins for ever without stdin here.
    ln -s /proc/self/fd /dev/fd
    ln -s /proc/self/fd/0 /dev/stdin
    ln -s /proc/self/fd/1 /dev/stdout
    ln -s /proc/self/fd/2 /dev/stderr
    ln -sf /proc/mounts /etc/mtab
    hostname lab
    ip link set lo up
}

# The modules of the kernel that runs, not of the build machine.
find_modules() {
    local release

    read -r release < "$in/kernel-release"
    rm -rf /lib/modules
    mkdir -p /lib/modules
    ln -s "$lab_dir/kernel/lib/modules/$release" \
        "/lib/modules/$release"
}

# LVM must not wait for a udev that never answers.
configure_lvm() {
    mkdir -p /etc/lvm /run/lock/lvm /run/lvm
    cat > /etc/lvm/lvm.conf <<-LVM
	devices {
	    scan = "/dev"
	    obtain_device_list_from_udev = 0
	    external_device_info_source = "none"
	    use_devicesfile = 0
	}
	activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
	global { use_lvmpolld = 0 event_activation = 0 }
	LVM
}

# Room for the tools that a Xen host has and a build machine may lack.
fill_gaps() {
    local name

    for name in brctl ip modprobe losetup; do
        command -v "$name" >/dev/null ||
            ln -s "$(command -v busybox)" "/usr/local/sbin/$name"
    done
}

start_xen() {
    local bin=/usr/lib/xen-4.17/bin i

    mkdir -p /run/xen /run/xenstored /var/lib/xen /var/lib/xenstored \
        /var/log/xen/console /run/lock /var/lock
    # Snapshots go there. An overlay in memory has to clear what is allocated
    # in it; as a file system of its own it says that it is one of memory.
    mount -t tmpfs -o mode=755 tmpfs /var/lib/xen
    rm -rf /var/lib/xenstored/*
    [ -e /etc/xen/xl.conf ] || : > /etc/xen/xl.conf
    $bin/oxenstored --pid-file /run/xen/xenstored.pid || die "no oxenstored"
    for ((i = 0; i < 100; i++)); do
        xenstore-read / >/dev/null 2>&1 && break
        sleep 0.1
    done
    $bin/xen-init-dom0 || die "xen-init-dom0"
    $bin/xenconsoled --log=all --pid-file=/run/xen/xenconsoled.pid ||
        die "no xenconsoled"
}

# A bridge without an uplink: a guest with a vif needs one to start.
make_bridge() {
    brctl addbr xenbr0 2>/dev/null ||
        ip link add name xenbr0 type bridge
    ip link set xenbr0 up
    echo 0 > /proc/sys/net/ipv6/conf/xenbr0/disable_ipv6 2>/dev/null
}

# The share is slow and the build machine's files go stale: into memory.
carry_in() {
    cp -r "$in/lab/." /lab/
    cp "$in/linux-spares" /lab/linux-spares
    cp -r "$in/bin" /lab/bin
    [ ! -d "$in/carry" ] || cp -r "$in/carry" /lab/carry
    cp "$lab_dir/waitlog" /lab/waitlog
    for name in vmlinux vmlinuz guest.cpio guest.cpio.gz; do
        ln -s "$lab_dir/$name" "/lab/$name"
    done
    ln -s "$out" /lab/out
    mkdir /lab/img
}

mount_all
find_modules
fill_gaps
configure_lvm
start_xen
modprobe -a bridge xen-netback xen-blkback loop || echo "modprobe: $?"
make_bridge
carry_in
mapfile -d '' -t args < "$in/args"
export LAB=/lab PATH=/lab/bin:$PATH
export LAB_UP_SECONDS=${SECONDS}
cut -d ' ' -f 1 /proc/uptime > "$out/up"
echo "dom0 is up"

cd /lab || die "no /lab"
bash "${args[@]}" >> "$out/stdout" 2>> "$out/stderr"
status=$?

if [ "$status" -ne 0 ]; then
    cp -r /var/log/xen "$out/log"
    xl dmesg > "$out/log/xen-dmesg" 2>&1
    dmesg > "$out/log/dom0-dmesg" 2>&1
fi
sync /disk
echo "$status" > "$out/rc.new"
mv "$out/rc.new" "$out/rc"
sleep infinity
