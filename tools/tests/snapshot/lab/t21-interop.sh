#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# What we make, the stock tools can use; what they made, we can use.  And the
# proof of consistency can fail: memory put back without its disks is found
# out.

# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

# ---- our memory image with the stock xl restore

snap_guest g1 pv 96 qr
take "two disks, mixed" g1 s1
take "two disks, external" g1 s2 --external
take "its first disk, internal" g1 s3 --internal --exclude xvdb
like "a disk left out makes it partial" "$(xl snapshot-list g1)" \
    's3\* .* partial'

# s1: xvda is a tag in an image that s2 froze, xvdb a frozen base.
guest_destroy g1
ok "stock: xl restore takes our memory.xl" \
    "$STOCK_XL" restore -p "$STORE/g1/s2/memory.xl"
is "stock: it is given the frozen images" "$(configured g1)" \
    "$D/g1-0.qcow2 $D/g1-1.s1.qcow2"
unlike "stock: and cannot write them" \
    "$("$STOCK_XL" list -l g1 | grep '"readwrite"')" '[1-9]|[Tt]rue'
is "stock: nor by the word of xenstore" "$(for devid in 51712 51728; do
    xenstore-read "/local/domain/0/backend/qdisk/$(guest_domid g1)/$devid/mode"
    done | xargs)" "r r"
guest_destroy g1
back_to "after that, ours" g1 s2
guest_destroy g1

# an internal snapshot, put back by hand
snap_guest g2 pv 96 qq
take "two disks, internal" g2 s1
guest_destroy g2
qemu-img snapshot -a s1 "$D/g2-0.qcow2"
qemu-img snapshot -a s1 "$D/g2-1.qcow2"
guest_mark g2
ok "stock: xl restore after qemu-img snapshot -a" \
    "$STOCK_XL" restore "$STORE/g2/s1/memory.xl"
ticks_on g2 "stock: after qemu-img snapshot -a"
from_instant "stock: after qemu-img snapshot -a" g2 s1

# ---- the proof can fail

guest_wait_ticks g2 6
guest_destroy g2
guest_mark g2
"$STOCK_XL" restore "$STORE/g2/s1/memory.xl" 2> /dev/null
guest_wait_ticks g2 5
like "memory without its disks is found out" "$(guest_log g2)" \
    'MISMATCH disk xvda has'
guest_destroy g2
back_to "and mended by a revert" g2 s1
guest_destroy g2

# ---- a set made by hand, internal

snap_guest g3 pv 96 qr
instant_from[g3/hand]=$(guest_last_tick g3)
"$STOCK_XL" save g3 "$D/hand.save" 2> /dev/null
instant_to[g3/hand]=$(guest_last_tick g3)
qemu-img snapshot -c hand "$D/g3-0.qcow2"
qemu-img create -q -f qcow2 -F raw -b "$D/g3-1.img" "$D/g3-1.on.qcow2"
sed "s|format=raw,backendtype=qdisk,vdev=xvdb,\(.*\)g3-1.img|\
format=qcow2,vdev=xvdb,\1g3-1.on.qcow2|" "$LAB/g3.cfg" > "$LAB/g3-on.cfg"
guest_mark g3
"$STOCK_XL" restore "$LAB/g3-on.cfg" "$D/hand.save" 2> /dev/null
ticks_on g3 "by hand: it goes on"
guest_wait_ticks g3 6
cat > "$D/hand.cfg" <<-CFG
	name   = "hand"
	memory = "hand.save"
	disk   = [ 'vdev=xvda,type=internal',
	           'vdev=xvdb,type=external,format=raw,parent=$D/g3-1.img' ]
	CFG
instant_from[g3/$D/hand.cfg]=${instant_from[g3/hand]}
instant_to[g3/$D/hand.cfg]=${instant_to[g3/hand]}
back_to "a set made by hand, running" g3 "$D/hand.cfg"
guest_wait_ticks g3 6
back_to "a set made by hand, again" g3 "$D/hand.cfg"
comes_back g3 "a set made by hand"
take "a snapshot on top of it" g3 s1
back_to "that snapshot" g3 s1
goes_away g3 "a set made by hand"
back_to "a set made by hand, stopped" g3 "$D/hand.cfg"
guest_destroy g3

# ---- a snapshot directory that was moved, and one at a path of its own

snap_guest g4 pv 96 q
take "--path" g4 s1 --path /disk/own
is "--path: the directory is that one" "$out" /disk/own
like "--path: it is whole" "$(xl snapshot-info g4 /disk/own)" 'full'
mv /disk/own /disk/moved
guest_mark g4
xl_ok "a moved directory: revert takes it" snapshot-revert g4 /disk/moved
ticks_on g4 "a moved directory"
from_instant "a moved directory" g4 s1
xl_ok "its manifest names it as well" \
    snapshot-revert g4 /disk/moved/snapshot.json
guest_destroy g4

tap_done
