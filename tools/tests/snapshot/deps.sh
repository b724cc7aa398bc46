#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only
#
# Installs, from the machine's own Debian archive, the packages that are
# missing for one of these purposes:
#
#   deps.sh build    to build the project and run the tests without a lab
#   deps.sh fuzz     to build it, and the fuzz targets
#   deps.sh valgrind to build it, and to run the tests under valgrind
#   deps.sh lab      to build it, and the lab: a Xen host inside QEMU
#
#   deps.sh --list build|fuzz|valgrind|lab
#                    only print what the set is, one a line
#
# Nothing is asked of the network when nothing is missing. The hypervisor and
# the kernel of the lab are not in the list: installing them would rewrite
# this machine's boot menu.
set -eu

# A word "a|b" is satisfied by either; the first is what gets installed.
build_set='gcc libc6-dev make autoconf pkg-config|pkgconf perl
           libxen-dev libyajl-dev nettle-dev qemu-utils qemu-system-common
           lvm2 e2fsprogs python3 python3-jsonschema'

# The first word on Debian 13, the second on 12 and elsewhere.
by_release() {
    case $(. /etc/os-release 2>/dev/null; echo "${VERSION_ID:-}") in
    13) echo "$1" ;;
    *)  echo "$2" ;;
    esac
}

# The toolstack's package carries the version of Xen in its name, libFuzzer's
# that of clang.
xen_version() { by_release 4.20 4.17; }
clang_version() { by_release 19 14; }

# libFuzzer is clang's, and in its own package.
fuzz_set="clang libclang-rt-$(clang_version)-dev xz-utils"

lab_set="qemu-system-x86 qemu-system-xen xen-utils-$(xen_version)
         xen-utils-common seabios busybox-static cpio kmod xz-utils"

say() { echo "deps: $*" >&2; }

# Prints those words of the set that no installed package satisfies.
missing_of() {
    for word in $1; do
        found=no
        for package in $(echo "$word" | tr '|' ' '); do
            if echo "$installed" | grep -qxF "$package"; then
                found=yes
            fi
        done
        test "$found" = yes || echo "${word%%|*}"
    done
}

# Runs apt-get; its output is shown only when it fails. A runlevel of 1 keeps
# the packages from starting services here.
apt() {
    log=$(mktemp)
    if DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 LC_ALL=C.UTF-8 \
        apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" \
            >"$log" 2>&1 </dev/null; then
        rm -f "$log"
        return 0
    fi
    tail -n 25 "$log" >&2
    rm -f "$log"
    say "apt-get $1 failed; its last words are above"
    return 1
}

# The lab downloads the hypervisor and the kernel with apt-get, for which the
# lists must be there; some images of Debian come without any.
refresh_lists() {
    test "$1" = lab && test "$(id -u)" = 0 || return 0
    if ! apt-cache show "xen-hypervisor-$(xen_version)-amd64" \
            >/dev/null 2>&1; then
        say "fetching the lists of packages"
        apt update
    fi
}

install_packages() {
    say "installing:" "$@"
    apt update
    apt install -y --no-install-recommends "$@"
    say "done"
}

list=no
if test "${1:-}" = --list; then
    list=yes
    shift
fi
case ${1:-} in
build) set_of="$build_set" ;;
fuzz)  set_of="$build_set $fuzz_set" ;;
lab)   set_of="$build_set $lab_set" ;;
valgrind) set_of="$build_set valgrind" ;;
*)     say "usage: deps.sh [--list] build|fuzz|valgrind|lab"; exit 2 ;;
esac
if test $list = yes; then
    for word in $set_of; do echo "${word%%|*}"; done | sort -u
    exit 0
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "this is not Debian: its packages are not looked at; needed is what"
    say "the packages of deps.sh --list $1 hold"
    exit 0
fi

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' |
            sed -n 's/^installed //p')
missing=$(missing_of "$set_of" | sort -u | tr '\n' ' ')
missing=${missing% }
if test -z "$missing"; then
    refresh_lists "$1"
    exit 0
fi

if test "$(id -u)" != 0; then
    say "these packages are missing: $missing"
    say "run this as root, or install them yourself:"
    say "    apt-get install --no-install-recommends $missing"
    exit 1
fi
# shellcheck disable=SC2086  # one word per package
install_packages $missing
