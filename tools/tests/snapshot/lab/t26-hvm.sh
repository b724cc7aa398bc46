#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# lab-first
#
# HVM: a guest with PV drivers and two disks, snapshotted inside its images
# and with overlays, reverted running and stopped, rebooted, powered off.
# It boots for about a minute, so once is made to do for much.

# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

snap_guest g1 hvm 160 qr
uuid=$(setting g1 uuid)
ok "HVM: check finds it possible" xl snapshot-check g1

take "HVM, mixed" g1 s1
diag "$err"
watched g1 "HVM, mixed"
ticks_on g1 "HVM, mixed"
take "HVM, external" g1 s2 --external
ticks_on g1 "HVM, external"
is "HVM, external: libxl names the overlays" "$(configured g1)" \
    "$D/g1-0.s2.qcow2 $D/g1-1.s2.qcow2"
like "HVM: --live is refused" \
    "$(xl snapshot-create --live g1 2>&1)" 'live is not possible'

back_to "HVM, the older, mixed" g1 s1
back_to "HVM, the newer, external" g1 s2
take "HVM, internal" g1 s3 --internal
back_to "HVM, internal" g1 s3
guest_mark g1
xl_ok "HVM, --paused: it is made" snapshot-create --paused -n s4 -e g1
is "HVM, --paused: the domain is paused" "$(domain_state g1)" p
"$STOCK_XL" unpause g1
ticks_on g1 "HVM, --paused, then unpaused"

comes_back g1 "HVM" 480
watched g1 "HVM, after the reboot"
goes_away g1 "HVM"
back_to "HVM, mixed, stopped" g1 s1
guest_destroy g1

rm "$LAB/g1.cfg"
boots "HVM, disks only" g1 s1
is "HVM, disks only: the type is kept" "$(setting g1 type)" hvm
is "HVM, disks only: and the uuid" "$(setting g1 uuid)" "$uuid"
# s2 froze the image with the tag, so both disks get a new one.
like "HVM, disks only: on the images of the snapshot" "$(configured g1)" \
    "^$D/g1-0.s1-r[0-9]+.qcow2 $D/g1-1.s1-r[0-9]+.qcow2$"
guest_destroy g1

tap_done
