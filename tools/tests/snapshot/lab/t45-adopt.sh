#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# Snapshots that were made by hand, with qemu-img and `xl save`, are adopted, and
# then are like any other: listed, verified, reverted to, deleted.
# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

# count IMAGE: what the guest's disk has at its beginning, as text.
count() {
    qemu-io -r -U -f qcow2 -c "read -v 0 64" "$1" | grep '^0000'
}

snap_guest g1 pv 96 qq
first=$D/g1-0.qcow2
second=$D/g1-1.qcow2

# ---- memory and tags, of one instant: saved, then the disks while it is off

guest_wait_ticks g1 3
instant_from[g1/hand]=$(guest_last_tick g1)
"$STOCK_XL" save g1 "$IMG/hand.xl" > "$LAB/save.said" 2>&1 ||
    bail_out "xl save: $(< "$LAB/save.said")"
wait_for 80 is_gone g1
instant_to[g1/hand]=$(guest_last_tick g1)
qemu-img snapshot -c hand "$first"
qemu-img snapshot -c hand "$second"
xl_ok "memory: --dry-run" snapshot-adopt --dry-run --config "$LAB/g1.cfg" \
    --memory "$IMG/hand.xl" g1 hand
diag "$out"
not_ok "memory: and writes nothing" test -e "$STORE/g1/hand"
xl_ok "memory: it is adopted" snapshot-adopt --config "$LAB/g1.cfg" \
    --memory "$IMG/hand.xl" g1 hand
diag "$out $err"
like "memory: it is listed" "$(xl snapshot-list g1)" 'hand .*full'
xl_ok "memory: it is whole" snapshot-verify g1 hand
"$STOCK_XL" restore "$IMG/hand.xl" > "$LAB/restore.said" 2>&1 ||
    bail_out "xl restore: $(< "$LAB/restore.said")"
guest_wait_ticks g1 6
back_to "memory: the running domain" g1 hand
xl_ok "memory: it is deleted" snapshot-delete g1 hand
is "memory: with its tags" "$(tags "$first")$(tags "$second")" ""

# ---- a layer that was frozen by hand

guest_destroy g1
for i in 0 1; do
    qemu-img create -q -f qcow2 -F qcow2 -b "$D/g1-$i.qcow2" "$D/g1-$i.new"
done
before=$(count "$first")
sed "s,\(g1-[01]\).qcow2,\1.new,g" "$LAB/g1.cfg" > "$LAB/new.cfg"
cp "$LAB/new.cfg" "$LAB/g1.cfg"
guest_start g1
guest_wait_ticks g1 5 480 || bail_out "g1 does not start on its overlays"
xl_exits 1 "layer: what is not clear is refused" snapshot-adopt g1 frozen
like "layer: with what there is to say" "$err" "xvda.*stands on '$first'"
xl_ok "layer: it is adopted while the domain runs" snapshot-adopt g1 frozen \
    "xvda=base:$first" "xvdb=base:$second"
is "layer: the base is frozen" "$(immutable "$first")" yes
xl_ok "layer: it is whole" snapshot-verify g1 frozen
xl_exits 1 "layer: without memory it is not reverted to" snapshot-revert g1 \
    frozen
xl_ok "layer: but booted from" snapshot-revert --disk-only \
    --update-config "$LAB/g1.cfg" g1 frozen "$LAB/g1.cfg"
diag "$err"
ok "layer: the domain runs" guest_wait_ticks g1 5 480
is "layer: on what was frozen" "$(count "$first")" "$before"
is "layer: its disks agree" "$(guest_mismatches g1)" 0
xl_ok "layer: it is deleted" snapshot-delete g1 frozen
diag "$err"
is "no snapshot is left" "$(find "$STORE/g1" -mindepth 1 -type d)" ""
ticks_on g1 "in the end"

tap_done
