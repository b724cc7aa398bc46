#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# lab-first
#
# snapshot-revert of running and of stopped PV and PVH domains with one, two
# and four disks, of internal, external and mixed snapshots, once and many
# times, forth and back.  HVM is in t26-hvm.sh.

# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

# both_ways WORDS NAME: s1 is there and the guest runs: revert it running, let
# it power off, revert it stopped, let that power off.
both_ways() {
    back_to "$1, running" "$2" s1
    goes_away "$2" "$1, after a revert"
    back_to "$1, stopped" "$2" s1
    goes_away "$2" "$1, after a revert of the stopped domain"
}

# ---- PV, one disk, internal: also ten times in a row, and paused

snap_guest g1 pv 96 q
take "PV, 1 disk, internal" g1 s1
before=$(qemu_pid g1)
back_to "PV, 1 disk, internal, running" g1 s1
ok "the old QEMU is gone" pid_gone "$before"
is "the name stays" "$(xl domname "$(guest_domid g1)")" g1

failed=0
guest_mark g1
for i in 1 2 3 4 5 6 7 8 9 10; do
    run_xl snapshot-revert -q g1 s1
    [ "$rc" -eq 0 ] && guest_wait_ticks g1 4 && continue
    diag "revert $i: status $rc: $err"
    failed=$((failed + 1))
done
is "ten reverts in a row succeed" "$failed" 0
is "each of them without mismatch" "$(guest_mismatches g1)" 0
is "each of them goes on from the same tick" \
    "$(jumps g1 | sort | uniq -c | awk '{ print $1 }' | xargs)" 10
is "one domain is left of them" "$("$STOCK_XL" list | grep -c '^g1 ')" 1

guest_mark g1
xl_ok "--paused: it is done" snapshot-revert --paused g1 s1
is "--paused: the domain is paused" "$(domain_state g1)" p
guest_mark g1
sleep 1
is "--paused: the guest is silent" "$(guest_ticks g1)" 0
watched g1 "--paused"
"$STOCK_XL" unpause g1
ticks_on g1 "--paused, then unpaused"
from_instant "--paused, then unpaused" g1 s1

"$STOCK_XL" pause g1
back_to "of a paused domain" g1 s1
comes_back g1 "PV, 1 disk, internal, after a revert"
goes_away g1 "PV, 1 disk, internal, after a revert"
back_to "PV, 1 disk, internal, stopped" g1 s1 --running
guest_destroy g1

# ---- mixed and external, two and four disks

snap_guest g2 pvh 128 qqqr
take "PVH, 4 disks, mixed" g2 s1
back_to "PVH, 4 disks, mixed, running" g2 s1
comes_back g2 "PVH, 4 disks, mixed, after a revert"
both_ways "PVH, 4 disks, mixed, once more" g2

snap_guest g3 pv 96 qr
take "PV, 2 disks, external" g3 s1 --external
both_ways "PV, 2 disks, external" g3

# ---- one disk: snapshots of both kinds, forth and back

snap_guest g5 pv 96 q
take "first, external" g5 s1 --external
take "second, internal" g5 s2 --internal
take "third, external" g5 s3 --external
back_to "the first after newer ones" g5 s1
like "the hint shows the first" "$(xl snapshot-list g5)" 's1\*'
guest_wait_ticks g5 5
back_to "the third again" g5 s3
guest_wait_ticks g5 5
back_to "the second, inside a frozen image" g5 s2
take "a branch from there, internal" g5 s4 --internal
like "its parent is known" "$(xl snapshot-list g5)" 's4\* .* s2 '
back_to "the first once more" g5 s1
back_to "the branch" g5 s4
comes_back g5 "the branch"
back_to "the third at last" g5 s3
is "no snapshot is lost on the way" \
    "$(xl snapshot-list g5 | awk 'NR > 1 { print $1 }' | tr -d '*' | xargs)" \
    "s1 s2 s3 s4"
goes_away g5 "forth and back"

tap_done
