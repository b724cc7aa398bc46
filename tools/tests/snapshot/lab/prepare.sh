#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# prepare.sh DIR: put into DIR everything that run.sh boots: the hypervisor,
# the kernel and its modules, the initramfs of dom0 and that of the guests.
# Nothing is installed on the machine: the two packages that nobody wants on
# a build machine (kernel, hypervisor) are downloaded into DIR/cache and
# unpacked below DIR.  A second call finds the stamp and returns at once.
#
# Needs: apt-get and dpkg (Debian 12), gcc, busybox-static, cpio, kmod, xz.

set -euo pipefail

HYPERVISOR=xen-hypervisor-4.17-amd64
KERNEL_META=linux-image-amd64

# What dom0 needs before its root is mounted, and what the toolstack needs.
# Everything else is loaded on demand from the unpacked kernel package.
DOM0_MODULES="virtio_pci 9pnet_virtio 9p overlay virtio_blk
    xen-privcmd xenfs xen-evtchn xen-gntdev xen-gntalloc"
GUEST_MODULES="xen-blkfront xen-netfront"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() {
    echo "prepare.sh: $*" >&2
    exit 1
}

[ $# -eq 1 ] || die "usage: prepare.sh DIR"
mkdir -p "$1/cache"
dir=$(cd "$1" && pwd)

# The stamp is the checksum of all that decides the result.
stamp() {
    cat "$here/prepare.sh" "$here/tick.c" "$here/waitlog.c" \
        "$here/dom0-initramfs.sh" \
        "$here/guest-initramfs.sh" /usr/bin/busybox | cksum
}

want=$(stamp)
if [ -f "$dir/stamp" ] && [ "$(cat "$dir/stamp")" = "$want" ]; then
    exit 0
fi
rm -f "$dir/stamp"

for tool in apt-get apt-cache dpkg gcc busybox cpio depmod modprobe xz; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null ||
        die "$tool is missing"
done
PATH=$PATH:/usr/sbin:/sbin

# fetch PACKAGE: print the path of its .deb, downloading it when not cached.
fetch() {
    local deb

    deb=$(find "$dir/cache" -name "$1_*.deb" | sort -V | tail -n 1)
    if [ -z "$deb" ]; then
        (cd "$dir/cache" &&
            apt-get -q -o APT::Sandbox::User=root download "$1" >&2) ||
            die "cannot download $1"
        deb=$(find "$dir/cache" -name "$1_*.deb" | sort -V | tail -n 1)
    fi
    [ -n "$deb" ] || die "no package file for $1"
    echo "$deb"
}

# kernel_package: the package behind the meta package, cached once found so
# that a machine without package lists can prepare again.
kernel_package() {
    local name

    name=$(cat "$dir/cache/kernel-package" 2>/dev/null || true)
    if [ -z "$name" ]; then
        name=$(apt-cache depends "$KERNEL_META" |
            sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' |
            head -n 1)
        [ -n "$name" ] || die "$KERNEL_META depends on no kernel package"
        echo "$name" > "$dir/cache/kernel-package"
    fi
    echo "$name"
}

# unpack DEB SUBDIR: unpack once; the marker names the package version.
unpack() {
    local to=$dir/$2

    if [ "$(cat "$to/.from" 2>/dev/null)" != "${1##*/}" ]; then
        rm -rf "$to"
        mkdir -p "$to"
        dpkg -x "$1" "$to"
        echo "${1##*/}" > "$to/.from"
    fi
}

# u32 FILE OFFSET: a little-endian number of the boot header.
u32() {
    od -An -tu4 -j "$2" -N 4 "$1" | tr -d ' '
}

# The kernel inside a bzImage, unpacked here once rather than by the slow
# emulated machine at each start of a guest.
extract_vmlinux() {
    local image=$1 to=$2 sects start len

    sects=$(od -An -tu1 -j $((0x1f1)) -N 1 "$image" | tr -d ' ')
    start=$(((sects + 1) * 512 + $(u32 "$image" $((0x248)))))
    len=$(u32 "$image" $((0x24c)))
    tail -c +$((start + 1)) "$image" | head -c $((len - 4)) |
        xz -dc > "$to" 2>/dev/null || true
    # A kernel packed in another way still boots, only more slowly.
    [ -s "$to" ] || cp "$image" "$to"
}

# copy_modules ROOT NAME...: the modules with what they depend on, in the
# order of loading, which is written to ROOT/modules.order.
copy_modules() {
    local root=$1 module file
    shift

    mkdir -p "$root/modules"
    : > "$root/modules.order"
    for module; do
        modprobe -d "$dir/kernel" -S "$version" --show-depends "$module" ||
            die "no module $module in $version"
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' |
    while read -r file; do
        cp "$file" "$root/modules/"
        echo "${file##*/}" >> "$root/modules.order"
    done
}

# pack ROOT OUT
pack() {
    (cd "$1" && find . | LC_ALL=C sort |
        cpio --quiet -o -H newc -R 0:0) > "$2.new"
    mv "$2.new" "$2"
}

# skeleton ROOT INIT: directories, busybox and the init script.
skeleton() {
    rm -rf "$1"
    mkdir -p "$1"/{bin,dev,proc,sys,run,tmp,etc,ro,rw,new}
    cp /usr/bin/busybox "$1/bin/busybox"
    ln -s busybox "$1/bin/sh"
    install -m 755 "$2" "$1/init"
}

file /usr/bin/busybox 2>/dev/null | grep -q dynamically &&
    die "busybox is not static: install busybox-static"

unpack "$(fetch "$HYPERVISOR")" hypervisor
unpack "$(fetch "$(kernel_package)")" kernel

version=$(ls "$dir/kernel/lib/modules")
depmod -b "$dir/kernel" "$version"
echo "$version" > "$dir/kernel-version"

gzip -dc "$dir"/hypervisor/boot/xen-4.17-amd64.gz > "$dir/xen"
cp "$dir/kernel/boot/vmlinuz-$version" "$dir/vmlinuz"
extract_vmlinux "$dir/vmlinuz" "$dir/vmlinux"

for name in tick waitlog; do
    gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static -s \
        -o "$dir/$name" "$here/$name.c"
done

skeleton "$dir/dom0-root" "$here/dom0-initramfs.sh"
# shellcheck disable=SC2086 # the lists are split on purpose
copy_modules "$dir/dom0-root" $DOM0_MODULES
pack "$dir/dom0-root" "$dir/dom0.cpio"

skeleton "$dir/guest-root" "$here/guest-initramfs.sh"
# shellcheck disable=SC2086
copy_modules "$dir/guest-root" $GUEST_MODULES
cp "$dir/tick" "$dir/guest-root/bin/tick"
pack "$dir/guest-root" "$dir/guest.cpio"
# The emulated firmware of an HVM guest loads slowly: the less the better.
gzip -9n < "$dir/guest.cpio" > "$dir/guest.cpio.gz"

rm -rf "$dir/dom0-root" "$dir/guest-root"
echo "$want" > "$dir/stamp"
