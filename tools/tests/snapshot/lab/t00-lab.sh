#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# The lab itself: a Xen host is up, PV and PVH guests run on it, and the proof
# of consistency that all other tests rest on can fail.  An HVM guest takes
# minutes: t26-hvm.sh has one anyway.  Runs in dom0: run.sh -- t00-lab.sh

# shellcheck source=lib.sh
. /lab/lib.sh

took_ms=                        # set by timed

# guest_of_type TYPE MEM SECONDS [DISKSPEC...]: with a qcow2 disk, and more
# if named, it starts, ticks, and answers a suspend.
guest_of_type() {
    local type=$1 mem=$2 seconds=$3 name=g-$1
    shift 3

    mk_qcow2 "$IMG/$name.qcow2" 64M
    guest_config "$name" "$type" "$mem" "$IMG/$name.qcow2" "$@" > /dev/null
    timed guest_start "$name"
    diag "$type: xl create took $took_ms ms"
    ok "a $type guest ticks" guest_wait_ticks "$name" 5 "$seconds"
    guest_send "$name" gap
    timed ok "a $type guest answers a suspend" \
        "$STOCK_XL" save -c "$name" "$IMG/$name.save"
    diag "$type: xl save -c took $took_ms ms"
    ok "a $type guest ticks on after it" guest_wait_ticks "$name" 3 480
    diag "$type: longest time between two ticks $(guest_gap "$name") ms"
    is "a $type guest has no mismatch" "$(guest_mismatches "$name")" 0
    ok "a $type guest can be destroyed" guest_destroy "$name"
    rm -f "$IMG/$name".*
}

plan 29
diag "dom0 was up $(cat /lab/out/up) s after the start of its kernel"

# ---- the host

like "dom0 runs on Xen 4.17" "$("$STOCK_XL" info xen_version)" '^4\.17'
like "xl lists dom0" "$("$STOCK_XL" list)" 'Domain-0 +0 '
ok "xenbr0 is there" ip link show xenbr0
ok "dom0's own disk can be mounted" lab_disk
ok "a volume group can be made" lab_vg vg0 256M
ok "a logical volume can be made" lvcreate -q -y -n lv0 -L 64M vg0
ok "a logical volume can be snapshot" \
    lvcreate -q -y -s -n lv0s -L 16M vg0/lv0
ok "both are removed" vgremove -q -f vg0

# ---- a PV guest with two disks

mk_qcow2 "$IMG/a.qcow2" 64M
mk_qcow2 "$IMG/b.qcow2" 64M
GUEST_EXTRA=tick.ms=40 GUEST_VIF=1 guest_config g1 pv 128 "$IMG/a.qcow2" "$IMG/b.qcow2" > /dev/null
timed guest_start g1
diag "pv: xl create took $took_ms ms"
timed ok "a PV guest with two disks and a vif ticks" \
    guest_wait_ticks g1 10
diag "pv: ten ticks took $took_ms ms"
is "it has no mismatch" "$(guest_mismatches g1)" 0
is "its disks were blank" "$(guest_start_count g1)" 0
ok "it obeys its console" guest_ask g1 '^SAID hello there$' say hello there
ok "it can stop ticking" guest_ask g1 '^STOPPED' stop
guest_mark g1
sleep 2
is "then it is silent" "$(guest_ticks g1)" 0
guest_send g1 go
guest_wait_ticks g1 2

before=$(guest_last_tick g1)
guest_mark g1
guest_send g1 reboot
ok "it reboots" guest_wait_said g1 '^TICK start [0-9]+ ok$'
count=$(guest_start_count g1)
ok "it goes on from the count on its disks" \
    test "${count:-0}" -ge "$before"
guest_wait_ticks g1 5
is "a reboot makes no mismatch" "$(guest_mismatches g1)" 0

# ---- memory and disks of one moment agree

guest_mark g1
timed ok "xl save stops it" "$STOCK_XL" save g1 "$IMG/g1.save"
diag "pv: xl save took $took_ms ms"
cp "$IMG/b.qcow2" "$IMG/b.old"
timed ok "xl restore brings it back" "$STOCK_XL" restore "$IMG/g1.save"
diag "pv: xl restore took $took_ms ms"
guest_wait_ticks g1 10
is "memory and disks of one moment agree" "$(guest_mismatches g1)" 0

# ---- and the proof can fail: a disk that is behind

"$STOCK_XL" save g1 "$IMG/g1.save" 2> /dev/null
cp "$IMG/b.old" "$IMG/b.qcow2"
guest_mark g1
"$STOCK_XL" restore "$IMG/g1.save" 2> /dev/null
guest_wait_ticks g1 5
like "one disk older than the memory is found out" "$(guest_log g1)" \
    'MISMATCH disk xvdb has'
unlike "the other disk is not blamed" "$(guest_log g1)" \
    'MISMATCH disk xvda'

# ---- and the proof can fail: disks that are ahead

guest_wait_ticks g1 70          # until every slot is rewritten
guest_mark g1
guest_wait_ticks g1 10
is "it recovers from the damage" "$(guest_mismatches g1)" 0
"$STOCK_XL" save -c g1 "$IMG/g1.save" 2> /dev/null
guest_wait_ticks g1 5
timed guest_destroy g1
diag "pv: destroy took $took_ms ms"
guest_mark g1
"$STOCK_XL" restore "$IMG/g1.save" 2> /dev/null
guest_wait_ticks g1 5
like "disks newer than the memory are found out" "$(guest_log g1)" \
    'MISMATCH disk xvda has'
guest_destroy g1
rm -f "$IMG"/*

# ---- PVH; disks without QEMU: a logical volume, a raw file behind a loop device

lab_vg vg1 256M
lvcreate -q -y -n lv1 -L 64M vg1 >&2
mk_raw "$IMG/raw" 64M
guest_of_type pvh 128 60 \
    'format=raw,vdev=xvdb,access=rw,target=/dev/vg1/lv1' \
    "format=raw,vdev=xvdc,access=rw,target=$IMG/raw"

tap_done
