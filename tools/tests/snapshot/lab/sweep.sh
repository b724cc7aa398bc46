#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# sweep.sh [SCENE...]: the fault sweep on a real Xen, for `make
# check-steps`: see sweep-dom0.sh.  Each scene has a host of its own, since
# a run of hundreds of domains is nothing that the emulator is made for.
#
# LAB_DIR, LAB_BIN  as for run.sh; LAB_BIN has an obj-fault/xl
# TAP; the matrix is in the remarks, and again at the end.

set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=host-lib.sh
. "$here/host-lib.sh"

[ $# -gt 0 ] || set -- create-internal create-external-mixed create-live \
    revert-internal revert-external revert-keep
lab_begin "$LAB_BIN/obj-fault/xl"
export LAB_KEEP=$work LAB_CPUS=1
for scene; do
    lab_run "$scene" 3600 -- sweep-dom0.sh "$scene" > "$work/scene"
    cat "$work/scene"
    grep '^# matrix: ' "$work/scene" >> "$work/matrix"
done
echo "# | scene | fault | runs | as before | as after | bad |"
sed 's/^# matrix: /# /' "$work/matrix"
tap_done
