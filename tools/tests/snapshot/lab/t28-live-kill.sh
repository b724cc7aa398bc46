#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# Merging layers while the domain runs, interrupted: who gives the command is
# killed, the guest reboots or the domain ends in the middle.  Nothing is lost,
# and snapshot-recover goes on from wherever it stands, with QEMU or without.
# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

snap_guest g1 pv 96 qr

# ---- killed

take "killed" g1 k1 -e
filled g1 8
s=$(sum g1 8)
xl snapshot-delete --speed 512k g1 k1 > /dev/null 2>&1 &
pid=$!
ok "killed: it merges" wait_for 60 has_job g1
kill -9 "$pid"
wait "$pid" 2> /dev/null
ok "killed: the guest goes on" guest_wait_ticks g1 5
xl_exits 4 "killed: the next command refuses" snapshot-delete g1 k1
xl_ok "killed: recover leads QEMU's job to its end" snapshot-recover g1
diag "$out $err"
is "killed: xenstore names the base" "$(params g1)" \
    "qcow2:$D/g1-0.qcow2 aio:$D/g1-1.img qcow2:$D/g1-0.qcow2 aio:$D/g1-1.img"
is "killed: no other image is left" "$(cd "$D" && echo g1-*)" \
    "g1-0.qcow2 g1-1.img"
all_well g1 "killed"
is "killed: the guest reads what it wrote" "$(sum g1 8)" "$s"
comes_back g1 "killed"

# ---- rebooted in the middle: QEMU and its job are new

take "rebooted" g1 r1 -e
filled g1 8
xl snapshot-delete --speed 256k g1 r1 > "$LAB/reb.out" 2>&1 &
pid=$!
ok "rebooted: it merges" wait_for 60 has_job g1
comes_back g1 "rebooted: in the middle" ||
    diag "$(tail -n 20 /var/log/xen/xl-g1.log)"
wait "$pid"
is "rebooted: it says that it is not whole" $? 4
diag "$(< "$LAB/reb.out")"
xl_ok "rebooted: recover merges in the new QEMU" snapshot-recover g1
is "rebooted: no other image is left" "$(cd "$D" && echo g1-*)" \
    "g1-0.qcow2 g1-1.img"
all_well g1 "rebooted"

# ---- off in the middle: qemu-img goes on

take "off" g1 o1 -e
filled g1 8
xl snapshot-delete --speed 256k g1 o1 > /dev/null 2>&1 &
pid=$!
ok "off: it merges" wait_for 60 has_job g1
kill -9 "$pid"
wait "$pid" 2> /dev/null
guest_destroy g1
xl_ok "off: recover merges without QEMU" snapshot-recover g1
is "off: no other image is left" "$(cd "$D" && echo g1-*)" \
    "g1-0.qcow2 g1-1.img"
ok "off: it is sound" qemu-img check -q -f qcow2 "$D/g1-0.qcow2"
guest_start g1
ok "off: the domain starts from its xl.cfg" guest_wait_ticks g1 5 480
is "off: its disks agree" "$(guest_mismatches g1)" 0

tap_done
