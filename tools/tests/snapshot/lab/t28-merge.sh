#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# Snapshots with external disks are deleted: layers that somebody needs or has
# open stay, others are merged; what is left reads the same.
# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

# contents IMAGE FORMAT: a checksum of what a guest reads there.
contents() {
    rm -f "$D/flat"
    qemu-img convert -U -f "$2" -O raw "$1" "$D/flat" &&
        sha256sum < "$D/flat" | cut -c 1-64
    rm -f "$D/flat"
}

# whole SNAPSHOT WORDS: verify finds nothing.
whole() {
    xl_ok "$2: $1 is whole" snapshot-verify g1 "$1"
}

# is_off: the domain is destroyed.
is_off() {
    "$STOCK_XL" destroy g1
    wait_for 80 is_gone g1
}

# ---- the domain runs: layers in use stay

snap_guest g1 pv 96 qr
take "first" g1 s1 -e
take "middle" g1 s2 -e
take "last" g1 s3 -e
guest_mark g1
xl_ok "running, in the middle: it is done" snapshot-delete g1 s2
like "running, in the middle: the layers stay, which is said" "$err" \
    "xvda: '$D/g1-0.s1.qcow2' stays: .* in use by"
not_ok "running, in the middle: the directory is gone" test -e "$STORE/g1/s2"
like "running, in the middle: its child is its parent's" \
    "$(xl snapshot-list g1)" 's3\* .* s1 '
ticks_on g1 "running, in the middle"
watched g1 "running, in the middle"
back_to "running, in the middle: the one after it works" g1 s3
is_off

# ---- it is off: a base that more than one image stands on stays

present0=$D/g1-0.s2.s3-r1.qcow2
present1=$D/g1-1.s2.s3-r1.qcow2
ok "off: it was on these overlays" test -e "$present0" -a -e "$present1"
run_xl snapshot-delete --dry-run g1 s3
like "off, a branch point: it would stay" "$err" \
    "'$D/g1-0.s2.qcow2' stays: 2 images stand on it"
# What the domain left behind at the revert is not wanted any more.
rm "$D/g1-0.s3.qcow2" "$D/g1-1.s3.qcow2"

# ---- the last: what is on its base goes into that

a=$(contents "$present0" qcow2)
b=$(contents "$present1" qcow2)
frozen=$(contents "$D/g1-0.s2.qcow2" qcow2)
xl_ok "off, the last: --dry-run" snapshot-delete --dry-run g1 s3
like "off, the last: the plan says what is written where" "$out" \
    "write what is in $present0 into $D/g1-0.s2.qcow2 \(xvda, [0-9]+ bytes"
is "off, the last: --dry-run changes nothing" \
    "$(contents "$present0" qcow2)" "$a"
whole s3 "off, before it is deleted"
is "off: the frozen base is as it was" \
    "$(contents "$D/g1-0.s2.qcow2" qcow2)" "$frozen"
xl_ok "off, the last: it is done" snapshot-delete g1 s3
like "off, the last: the disks' new images are printed" "$err" \
    "vdev=xvda,access=rw,target=$D/g1-0.s2.qcow2"
not_ok "off, the last: the overlay is gone" test -e "$present0"
is "off, the last: the disk reads the same" \
    "$(contents "$D/g1-0.s2.qcow2" qcow2)" "$a"
is "off, the last: the second, too" \
    "$(contents "$D/g1-1.s2.qcow2" qcow2)" "$b"
whole s1 "off, the last"

# ---- the first: what is on its base is needed

# s2 was deleted while its layers were in use; what it froze is a layer still.
xl_ok "off, the first: it is done" snapshot-delete g1 s1
like "off, the first: its base stays, and is not copied" "$err" \
    "'$D/g1-0.qcow2' stays: it was there before the first snapshot"
is "off, the first: the disk reads the same" \
    "$(contents "$D/g1-0.s2.qcow2" qcow2)" "$a"
is "off: no snapshot is left" "$(ls "$STORE/g1" | grep -v current)" ""

# ---- another one, from the beginning

chattr -i "$D"/g1-*
rm -f "$D"/g1-*
snap_guest g1 pv 96 qr
take "again, first" g1 s1 -e
take "again, second" g1 s2 -e
take "again, third" g1 s3 -e
is_off
a=$(contents "$D/g1-0.s3.qcow2" qcow2)
b=$(contents "$D/g1-1.s3.qcow2" qcow2)
frozen=$(contents "$D/g1-0.s2.qcow2" qcow2)
xl_ok "again, in the middle: it is done" snapshot-delete g1 s2
not_ok "again, in the middle: its base is gone" test -e "$D/g1-0.s1.qcow2"
is "again, in the middle: the next one's base reads the same" \
    "$(contents "$D/g1-0.s2.qcow2" qcow2)" "$frozen"
is "again, in the middle: the disk, too" \
    "$(contents "$D/g1-0.s3.qcow2" qcow2)" "$a"
is "again, in the middle: the base is frozen still" \
    "$(immutable "$D/g1-0.s2.qcow2")" yes
whole s1 "again, in the middle"
like "again, in the middle: the one before it knows its overlay" \
    "$(xl snapshot-info g1 s1)" "access=rw,target=$D/g1-0.s2.qcow2"
whole s3 "again, in the middle"
xl_ok "again, the last: it is done" snapshot-delete g1 s3
xl_ok "again, the first: it is done" snapshot-delete g1 s1
is "again: only the images that were there first are left" \
    "$(cd "$D" && echo g1-*)" "g1-0.qcow2 g1-1.img"
is "again: the disk reads the same" "$(contents "$D/g1-0.qcow2" qcow2)" "$a"
is "again: the raw one, too" "$(contents "$D/g1-1.img" raw)" "$b"
is "again: the image can be written" "$(immutable "$D/g1-0.qcow2")" no
ok "again: it is sound" qemu-img check -q -f qcow2 "$D/g1-0.qcow2"
guest_mark g1
guest_start g1
ok "again: the domain starts from its xl.cfg" guest_wait_ticks g1 5 480
is "again: its disks agree" "$(guest_mismatches g1)" 0
guest_destroy g1

tap_done
