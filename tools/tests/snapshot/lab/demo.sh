#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# `make demo`: boot a Xen host inside QEMU and show there, on a real guest,
# what a snapshot is for (demo-dom0.sh).  Every line is stamped with the time
# since the start.  Exits with 0 only if all went as it says.
#
# LAB_DIR  where the lab is or will be prepared
# LAB_BIN  the directory with the xl that was built

set -uo pipefail

: "${LAB_DIR:?}" "${LAB_BIN:?}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
start=${EPOCHREALTIME/[.,]/}
status=1
bin=

# stamp: standard input, each line behind the seconds since the start.
stamp() {
    local line ms

    while IFS= read -r line; do
        ms=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
        printf '%4d.%d s  %s\n' $((ms / 1000)) $((ms % 1000 / 100)) "$line"
    done
}

say() {
    printf '%s\n' "$@" | stamp
}

# The lab copies a whole directory: give it two files, not a build tree.
fill_bin() {
    bin=$(mktemp -d) || return
    cp "$LAB_BIN/xl" "$bin/xl" && ln -s xl "$bin/xl-snapshot"
}

prepare() {
    say "Preparing the lab: a kernel, a hypervisor, an initramfs." \
        "(The first time they are downloaded and unpacked; nothing is" \
        "installed on this machine.)"
    bash "$here/prepare.sh" "$LAB_DIR" 2>&1 | fold -s -w 68 | stamp
}

# shellcheck disable=SC2317 # the trap calls it
leave() {
    [ -z "$bin" ] || rm -rf "$bin"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

fill_bin || exit 1
prepare || { say "The lab could not be prepared."; exit 1; }
say "" "Booting Xen and its dom0 inside QEMU, without hardware support ..."
LAB_BIN=$bin bash "$here/run.sh" --timeout 600 -- demo-dom0.sh 2>&1 | stamp
status=${PIPESTATUS[0]}

if [ "$status" -ne 0 ]; then
    say "" "THE DEMONSTRATION FAILED (status $status)." \
        "What dom0 and the guest said is in" "$LAB_DIR/last"
fi
exit "$status"
