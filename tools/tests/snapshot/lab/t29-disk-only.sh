#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# Reverts without memory: PV and PVH domains, running and off, boot from the
# disks of internal and external snapshots, by their stored configuration and
# by an xl.cfg; and when our xl is killed meanwhile.
# shellcheck disable=SC2317 # functions are called through others
# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

# ---- PV, mixed disks, by the stored configuration

GUEST_VIF=1 GUEST_CFG="cpus = [ '0' ]" snap_guest g1 pv 96 qr
uuid=$(setting g1 uuid)
mac=$(setting g1 mac)
take "PV" g1 s1
boots "PV, running" g1 s1
is "PV, running: the uuid stays" "$(setting g1 uuid)" "$uuid"
is "PV, running: and the MAC address" "$(setting g1 mac)" "$mac"
comes_back g1 "PV, after it"
guest_destroy g1
boots "PV, off" g1 s1

# ---- the same by an xl.cfg, paused, and with the present kept

sed -i 's/^memory = .*/memory = 112/' "$LAB/g1.cfg"
guest_mark g1
xl_ok "--paused: it is done" snapshot-revert --disk-only -p g1 s1 \
    "$LAB/g1.cfg"
is "--paused: the domain is paused" "$(domain_state g1)" p
is "--paused: it is as the xl.cfg says" \
    "$("$STOCK_XL" list g1 | awk 'NR == 2 { print $3 }')" 112
like "--paused: on the images of the snapshot" "$(configured g1)" \
    "^$D/g1-0.qcow2 $D/g1-1.s1-r[0-9]+.qcow2$"
"$STOCK_XL" unpause g1
booted "--paused, then unpaused" g1 s1
boots "--keep" g1 s1 --keep k1
like "--keep: the present is a snapshot" "$(xl snapshot-list g1)" 'k1 .* full'

# ---- without the memory image, and by a set without one

mv "$STORE/g1/s1/memory.xl" "$LAB/gone"
guest_mark g1
xl_exits 1 "no memory image: refused" snapshot-revert --disk-only g1 s1
like "no memory image: and said why" "$err" \
    'give a DOMAIN-CONFIG: cannot open .*memory.xl.*No such file'
ticks_on g1 "no memory image, refused"
xl_ok "no memory image: an xl.cfg helps" snapshot-revert --disk-only \
    --dry-run g1 s1 "$LAB/g1.cfg"
like "no memory image: the plan names it" "$out" \
    "boot domain g1 .*, configured by $LAB/g1.cfg"
printf '%s\n' "name = 's1'" "disk = [ 'vdev=xvda,type=internal'," \
    "'vdev=xvdb,type=external,format=raw,parent=$D/g1-1.img' ]" \
    > "$LAB/set.cfg"
guest_mark g1
xl_ok "a set without memory: it is done" snapshot-revert g1 "$LAB/set.cfg" \
    "$LAB/g1.cfg"
booted "a set without memory" g1 s1
goes_away g1 "a set without memory"

# ---- PVH, external, by the stored configuration

snap_guest g2 pvh 96 q
uuid=$(setting g2 uuid)
take "PVH" g2 s1 --external
boots "PVH, running" g2 s1
is "PVH, running: the type stays" "$(setting g2 type)" pvh
is "PVH, running: and the uuid" "$(setting g2 uuid)" "$uuid"
guest_destroy g2

# ---- by an xl.cfg, with something that xl cannot be told

echo "cpuid = 'host,smep=0'" >> "$LAB/g2.cfg"
boots "PVH, off, by an xl.cfg" g2 s1 "$LAB/g2.cfg"
take "PVH, by an xl.cfg" g2 s2 --external
guest_mark g2
xl_exits 1 "a setting that cannot be given: refused" \
    snapshot-revert --disk-only g2 s2
like "a setting that cannot be given: named" "$err" \
    'b_info\.cpuid.* that .*give a DOMAIN-CONFIG'
ticks_on g2 "a setting that cannot be given, refused"
is "a setting that cannot be given: nothing is left" \
    "$(find "$D" -name 'g2-0.s2-r*')" ""
boots "PVH, running, by an xl.cfg" g2 s2 "$LAB/g2.cfg"

# ---- killed while xl boots the domain

# booting: the step is begun (its number is that of its line), and xl runs.
booting() {
    local step

    step=$(sed -n 's/.*"step":\([0-9]*\),"kind":"boot".*/\1/p' "$journal")
    [ -n "$step" ] && grep -q "\"intend\":$step}" "$journal" &&
        grep -q -s -z -x create /proc/[0-9]*/cmdline
}

journal=$STORE/.journal/g2.journal
guest_wait_ticks g2 6
guest_mark g2
xl snapshot-revert --disk-only g2 s1 "$LAB/g2.cfg" > /dev/null 2>&1 &
ok "killed: while xl boots it" wait_for 240 booting
kill -KILL $!
wait $! 2> /dev/null
xl_ok "killed: recover finishes it" snapshot-recover g2
like "killed: and says so" "$err$out" 'revert of domain .g2. was finished'
booted "killed, then recovered" g2 s1
is "killed: the journal is empty" "$(ls -A "$STORE/.journal")" ""

tap_done
