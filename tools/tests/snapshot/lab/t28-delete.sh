#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# Snapshots with external disks are deleted while the domain runs, and their
# frozen bases stay: because that is asked for, or more than one image stands on
# them.  All other snapshots work.
# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

snap_guest g1 pv 96 qr
take "first" g1 s1 -e
take "middle" g1 s2 -e
take "last" g1 s3 -e
guest_mark g1
run_xl snapshot-delete --keep-layers --dry-run g1 s2
like "running, in the middle: --dry-run shows what is changed" "$out" \
    "relink .*$STORE/g1/s3.*remove-snapshot .*$STORE/g1/s2"
ok "running, in the middle: and changes nothing" test -e "$STORE/g1/s2"
xl_ok "running, in the middle: it is done" snapshot-delete --keep-layers g1 \
    s2
like "running, in the middle: its base stays, which is said" "$err" \
    "xvda: '$D/g1-0.s1.qcow2' stays: layers are to be kept"
not_ok "running, in the middle: the directory is gone" test -e "$STORE/g1/s2"
like "running, in the middle: its child is its parent's" \
    "$(xl snapshot-list g1)" 's3\* .* s1 '
ticks_on g1 "running, in the middle"
watched g1 "running, in the middle"
back_to "running, in the middle: the one after it works" g1 s3
xl_ok "running, the last: it is done" snapshot-delete g1 s3
like "running, the last: it is a branch point" "$err" \
    "'$D/g1-0.s2.qcow2' stays: 2 images stand on it"
like "running, the last: the present descends from its parent" \
    "$(xl snapshot-list g1)" 's1\*'
ticks_on g1 "running, the last"
back_to "running, the last: the one before works" g1 s1
"$STOCK_XL" destroy g1
wait_for 80 is_gone g1
xl_ok "off, the only one: it is done" snapshot-delete g1 s1
is "off: no snapshot is left" "$(find "$STORE/g1" -mindepth 1 -type d)" ""
ok "off: the images are" test -e "$D/g1-0.qcow2" -a -e "$D/g1-1.img"
is "off: and are protected still" "$(immutable "$D/g1-0.qcow2")" yes

tap_done
