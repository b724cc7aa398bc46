#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# What users say: paths with commas, quotes, UTF-8 and spaces; an xl.cfg at
# revert; a SNAPSHOT-CONFIG at create.
#
# An image's path cannot have a space: Xen's QEMU reads a disk's path from
# xenstore up to the first one only, and cannot open the rest.  So a domain on
# such a path does not exist, but a snapshot could lead a domain there.

# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

# ---- paths

dir="/disk/a,b=c/ü€"
image="$dir/it's\"x\",y.qcow2"
store="/disk/s t, ö'\"%41"
mkdir -p "$dir"
mk_qcow2 "$image" 64M
guest_config g1 pv 96 \
    "format=qcow2,vdev=xvda,access=rw,target=${image//\'/\\\'}" > /dev/null
guest_start g1 || bail_out "g1 does not start"
guest_wait_ticks g1 5
take "odd paths, internal" g1 s1 --store "$store"
is "the directory is where it was asked for" "$out" "$store/g1/s1"
take "odd paths, external" g1 s2 --store "$store" --external
overlay="$dir/it's\"x\",y.s2.qcow2"
ok "the overlay is beside its image" test -f "$overlay"
like "the message names it" "$err" "target=$dir/it's"
is "xenstore names it" "$(printf %b "$(xenstore-read \
    "/libxl/$(guest_domid g1)/device/vbd/51712/params")")" "qcow2:$overlay"
ok "list shows both" test "$(xl snapshot-list --store "$store" g1 |
    grep -c full)" -eq 2
back_to "odd paths, internal" g1 s1 --store "$store"
back_to "odd paths, external" g1 s2 --store "$store"
comes_back g1 "odd paths"
XL_SNAPSHOT_STORE=$store xl_ok "the store can come from the environment" \
    snapshot-info g1 s2
goes_away g1 "odd paths"
back_to "odd paths, stopped" g1 s2 --store "$store"
guest_destroy g1

# ---- spaces

mkdir -p "/disk/s p" /disk/link
mk_qcow2 "/disk/s p/a.qcow2" 64M
ln -s "/disk/s p/a.qcow2" /disk/link/a.qcow2
guest_config g4 pv 96 /disk/link/a.qcow2 > /dev/null
guest_start g4 || bail_out "g4 does not start"
guest_wait_ticks g4 5
take "a link to a path with a space, internal" g4 s0 --internal
back_to "a link to a path with a space, internal" g4 s0
comes_back g4 "a link to a path with a space"
xl_exits 1 "a link to a path with a space: no overlay is made there" \
    snapshot-create -n s1 --external g4
is "a link to a path with a space: the domain stays on it" \
    "$(configured g4 | grep -c '\.s1\.')" 0
cat > "$LAB/space.cfg" <<-CFG
	disk = [ 'vdev=xvda,type=external,target=/disk/s p/b.qcow2' ]
	CFG
xl_exits 1 "a target with a space: it is refused" \
    snapshot-create -n s2 g4 "$LAB/space.cfg"
guest_destroy g4

# ---- a SNAPSHOT-CONFIG: one disk inside, one elsewhere, one left out

snap_guest g2 pv 96 qqq
guest_ask g2 '^STOPPED' stop > /dev/null
mkdir -p /disk/fast
cat > "$LAB/snap.cfg" <<-CFG
	name        = "by_file"
	description = "ä description, with \"quotes\""
	disk = [ 'vdev=xvda,type=internal',
	         'vdev=xvdb,type=external,target=/disk/fast/b,s1.qcow2',
	         'vdev=xvdc,exclude' ]
	CFG
xl_ok "SNAPSHOT-CONFIG: it is made" snapshot-create g2 "$LAB/snap.cfg"
is "SNAPSHOT-CONFIG: the name is taken" "$out" "$STORE/g2/by_file"
is "SNAPSHOT-CONFIG: each disk as it says" "$(configured g2)" \
    "$D/g2-0.qcow2 /disk/fast/b,s1.qcow2 $D/g2-2.qcow2"
is "SNAPSHOT-CONFIG: the tag is there" "$(tags $D/g2-0.qcow2)" by_file
like "SNAPSHOT-CONFIG: it is partial" "$(xl snapshot-info g2 by_file)" \
    'partial'
guest_destroy g2

# ---- an xl.cfg at revert

brctl addbr xenbr1 2> /dev/null || ip link add name xenbr1 type bridge
ip link set xenbr1 up
GUEST_VIF=1 snap_guest g3 pv 96 q
bridge() {
    xenstore-read "/local/domain/0/backend/vif/$(guest_domid g3)/0/bridge"
}
is "the guest is on one bridge" "$(bridge)" xenbr0
take "with a vif, external" g3 s1 --external
mac=$(xenstore-read "/local/domain/0/backend/vif/$(guest_domid g3)/0/mac")
sed -e "s/bridge=xenbr0/mac=$mac,bridge=xenbr1/" "$LAB/g3.cfg" \
    > "$LAB/g3-other.cfg"
echo "on_reboot = 'destroy'" >> "$LAB/g3-other.cfg"
guest_mark g3
xl_ok "an xl.cfg: it is taken" snapshot-revert g3 s1 "$LAB/g3-other.cfg"
ticks_on g3 "an xl.cfg"
from_instant "an xl.cfg" g3 s1
is "an xl.cfg: its bridge counts" "$(bridge)" xenbr1
is "an xl.cfg: its disks do not" "$(configured g3)" "$D/g3-0.s1-r1.qcow2"
guest_send g3 reboot
ok "an xl.cfg: its actions count" wait_for 120 is_gone g3
back_to "without it" g3 s1
is "without it the old bridge counts" "$(bridge)" xenbr0
guest_destroy g3

tap_done
