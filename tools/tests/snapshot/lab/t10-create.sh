#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# snapshot-create of running PV and PVH domains with one, two and four disks,
# internal, external and mixed: what it leaves behind, and that the domain is
# looked after as before.  HVM is in t26-hvm.sh.

# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

# wanted NAME SNAPSHOT LETTERS: the paths that the domain must be on: its
# images where the letter is i, overlays where it is e.
wanted() {
    local -n paths=images_$1
    local i path list=()

    for ((i = 0; i < ${#3}; i++)); do
        path=${paths[i]}
        [ "${3:i:1}" = i ] || path=${path%.*}.$2.qcow2
        list+=("$path")
    done
    echo "${list[*]}"
}

# wanted_params NAME SNAPSHOT LETTERS: the same with drivers, twice.
wanted_params() {
    local path list=()

    for path in $(wanted "$@"); do
        list+=("${path/#/qcow2:}")
    done
    echo "${list[*]} ${list[*]}"
}

# images_are NAME SNAPSHOT LETTERS WORDS: tags are where the letter is i,
# frozen bases where it is e.
images_are() {
    local -n paths=images_$1
    local i good=0

    for ((i = 0; i < ${#3}; i++)); do
        if [ "${3:i:1}" = i ]; then
            [ "$(tags "${paths[i]}")" = "$2" ] || good=1
            [ "$(immutable "${paths[i]}")" = no ] || good=1
        else
            [ -f "${paths[i]%.*}.$2.qcow2" ] || good=1
            [ "$(immutable "${paths[i]}")" = yes ] || good=1
        fi
    done
    tap_result $good "$4: tags, overlays and frozen bases are as planned" ||
        diag "$(ls -l $D; lsattr $D)"
}

# create_case WORDS NAME LETTERS OPTION...: snapshot and look at everything.
create_case() {
    local words=$1 name=$2 letters=$3 domid monitor
    shift 3

    guest_mark "$name"
    guest_wait_ticks "$name" 3
    domid=$(guest_domid "$name")
    monitor=$(monitor_pid "$name")
    xl_ok "$words: it is made" snapshot-create -n s1 "$@" "$name"
    diag "$words: took $took_ms ms; $(head -n 1 <<< "$err")"
    is "$words: stdout is the directory alone" "$out" "$STORE/$name/s1"
    is "$words: the domid stays" "$(guest_domid "$name")" "$domid"
    ticks_on "$name" "$words"
    is "$words: the same monitor" "$(monitor_pid "$name")" "$monitor"
    watched "$name" "$words"
    images_are "$name" s1 "$letters" "$words"
    is "$words: libxl's configuration names the right images" \
        "$(configured "$name")" "$(wanted "$name" s1 "$letters")"
    is "$words: xenstore names the right images" "$(params "$name")" \
        "$(wanted_params "$name" s1 "$letters")"
    is "$words: the journal is empty" "$(ls -A "$STORE/.journal")" ""
}

# looked_after WORDS NAME: reboot and poweroff work.
looked_after() {
    comes_back "$2" "$1"
    watched "$2" "$1, after the reboot"
    goes_away "$2" "$1"
}

# ---- PV, one disk, internal, by default

snap_guest g1 pv 96 q
create_case "PV, 1 disk, default" g1 i
is "the directory is private" "$(stat -c %a $STORE/g1/s1)" 700
is "so are its files" "$(stat -c %a $STORE/g1/s1/* | sort -u)" 600
is "nothing else is in it" "$(ls -xA $STORE/g1/s1)" \
    "memory.xl  snapshot.json"
like "xl snapshot-list shows it" "$(xl snapshot-list g1)" \
    's1\* .* full +running'
looked_after "PV, 1 disk, internal" g1

# ---- PV, two disks, one of them raw: mixed, by default

snap_guest g2 pv 96 qr
create_case "PV, 2 disks, mixed" g2 ie
like "the message has the new disk= entry" "$err" \
    "format=qcow2,vdev=xvdb,access=rw,target=$D/g2-1.s1.qcow2"
like "the memory image names the frozen base" \
    "$(head -c 20000 $STORE/g2/s1/memory.xl | tr -d '\0\n ' )" \
    "\"pdev_path\":\"$D/g2-1.img\""
unlike "the memory image does not name the overlay" \
    "$(head -c 20000 $STORE/g2/s1/memory.xl | tr -d '\0\n ')" \
    "g2-1.s1.qcow2"
looked_after "PV, 2 disks, mixed" g2

# ---- PV, four disks, all external

snap_guest g3 pv 96 qqqr
create_case "PV, 4 disks, external" g3 eeee --external
not_ok "a frozen base cannot be written" dd if=/dev/zero \
    of=$D/g3-0.qcow2 bs=512 count=1 conv=notrunc
not_ok "nor removed" rm -f $D/g3-0.qcow2
comes_back g3 "PV, 4 disks, external"

# and the toolstack's own save and restore run on the overlays
guest_mark g3
ok "external: xl save works" "$STOCK_XL" save g3 "$IMG/g3.save"
ok "external: xl restore works" "$STOCK_XL" restore "$IMG/g3.save"
ticks_on g3 "external, xl save and restore"
is "external: xl restore runs on the overlays" "$(configured g3)" \
    "$(wanted g3 s1 eeee)"
rm -f "$IMG/g3.save"
goes_away g3 "PV, 4 disks, external"

# ---- PVH, four disks, internal; then live; then external, live, unprotected

snap_guest g4 pvh 128 qqqq
create_case "PVH, 4 disks, internal" g4 iiii --internal
guest_mark g4
xl_ok "PVH, live: it is made" snapshot-create --live -n s2 g4
diag "live: $err"
ticks_on g4 "PVH, live"
watched g4 "PVH, live"
is "PVH, live: every image has both tags" \
    "$(for i in 0 1 2 3; do tags $D/g4-$i.qcow2; done | sort -u)" "s1 s2"
guest_mark g4
xl_ok "PVH, live, external: it is made" \
    snapshot-create -l -e --no-protect -n s3 g4
ticks_on g4 "PVH, live, external"
is "--no-protect leaves the base free" "$(immutable $D/g4-0.qcow2)" no
is "live, external: libxl names the overlays" "$(configured g4)" \
    "$(wanted g4 s3 eeee)"
like "PVH, live: it is known for a PVH domain" "$(xl snapshot-info g4 s3)" \
    "type: +pvh"
looked_after "PVH, live, external" g4

# ---- --paused

snap_guest g5 pv 96 qq
guest_mark g5
xl_ok "--paused: it is made" snapshot-create --paused -n s1 g5
is "--paused: the domain is paused, not suspended" "$(domain_state g5)" p
guest_mark g5
sleep 1
is "--paused: the guest is silent" "$(guest_ticks g5)" 0
watched g5 "--paused"
"$STOCK_XL" unpause g5
ticks_on g5 "--paused, then unpaused"
xl_ok "--paused --external: it is made" snapshot-create -e -p -n s2 g5
"$STOCK_XL" unpause g5
ticks_on g5 "--paused --external, then unpaused"
looked_after "--paused, external" g5

tap_done
