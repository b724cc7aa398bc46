#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# What others do while a snapshot is made: the guest reboots or powers off, a
# disk is attached, somebody saves the domain, xenstored is slow.  Each time
# the command ends as it should, the domain is what it has become, and nothing
# of the snapshot is left.

# shellcheck disable=SC2317 # functions are called through others
# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

n=0                             # snapshots begun: each has its own name
pid=

# begin OPTION...: a create of g1 in the background, stopped once it has looked
# at the domain and made its memory file; nothing is suspended yet.
begin() {
    n=$((n + 1))
    guest_wait_ticks g1 3
    guest_mark g1
    xl snapshot-create -n "s$n" "$@" g1 > "$LAB/out.said" 2> "$LAB/err.said" &
    pid=$!
    while [ ! -e "$STORE/g1/s$n/memory.xl" ] && [ -d "/proc/$pid" ]; do :; done
    kill -STOP "$pid"
}

# go_on WORDS STATUS...: it ends with one of these.
go_on() {
    local words=$1 status
    shift

    kill -CONT "$pid"
    wait "$pid"
    status=$?
    diag "$words: status $status: $(< "$LAB/err.said")"
    [[ " $* " == *" $status "* ]]
    tap_result $? "$words: the status is one of $*"
}

# nothing_left WORDS
nothing_left() {
    local file found=()

    for file in "$STORE/g1/s$n" "$D"/*".s$n"* "$STORE"/.journal/*; do
        [ ! -e "$file" ] || found+=("$file")
    done
    [[ " $(tags "$base") " != *" s$n "* ]] || found+=("tag s$n")
    is "$1: nothing is left" "${found[*]}" ""
    xl_ok "$1: there is nothing to recover" snapshot-recover g1
    like "$1: as it says" "$out$err" "[Nn]othing"
}

snap_guest g1 pv 96 q
# shellcheck disable=SC2154 # set by snap_guest, through its name
base=${images_g1[0]}

# ---- the guest itself ----------------------------------------------------

begin -e
guest_send g1 reboot
nap 3
go_on "it reboots" 1 3
ok "it reboots: it comes up again" guest_wait_said g1 '^TICK start [0-9]+'
nothing_left "it reboots"
is "it reboots: on its image" "$(configured g1)" "$base"
ticks_on g1 "it reboots"
watched g1 "it reboots"

begin -i
guest_send g1 poweroff
nap 3
go_on "it powers off" 1 3
ok "it powers off: it is gone" wait_for 160 is_gone g1
nothing_left "it powers off"
guest_start g1
guest_wait_said g1 '^TICK start [0-9]+'
ticks_on g1 "it powers off, and is started"

# ---- its disks -----------------------------------------------------------

mk_qcow2 "$D/more.qcow2" 64M
begin -i
"$STOCK_XL" block-attach g1 "format=qcow2,vdev=xvdb,access=rw,\
target=$D/more.qcow2"
go_on "a disk is attached" 1 3
like "a disk is attached: which it says" "$(< "$LAB/err.said")" \
    "the disks of domain 'g1' were changed"
nothing_left "a disk is attached"
ticks_on g1 "a disk is attached"
watched g1 "a disk is attached"
"$STOCK_XL" block-detach g1 xvdb

begin -i
mv "$base" "$base.was"
cp "$base.was" "$base"
go_on "an image is replaced" 3
like "an image is replaced: which it says" "$(< "$LAB/err.said")" \
    "was replaced while memory was saved"
mv "$base.was" "$base"
nothing_left "an image is replaced"
ticks_on g1 "an image is replaced"
watched g1 "an image is replaced"

# ---- the host ------------------------------------------------------------

xenstored=$(pidof xenstored || pidof oxenstored)
begin -i
kill -STOP "$xenstored"
kill -CONT "$pid"
nap 5
kill -CONT "$xenstored"
go_on "xenstored stands still for seconds" 0
xl_ok "xenstored stands still: the snapshot can be deleted" \
    snapshot-delete g1 "s$n"
nothing_left "xenstored stands still"
ticks_on g1 "xenstored stands still"
comes_back g1 "after all that"

# ---- somebody else -------------------------------------------------------

helper_runs() {
    pgrep -f libxl-save-helper > /dev/null
}

guest_mark g1
"$STOCK_XL" save -c g1 "$IMG/g1.save" > "$LAB/save.said" 2>&1 &
save=$!
wait_for 80 helper_runs
n=$((n + 1))
run_xl snapshot-create -n "s$n" g1
diag "somebody saves it: status $rc: $err"
wait "$save"
is "somebody saves it: they can" $? 0
if [ "$rc" -eq 0 ]; then
    like "somebody saves it: ours came after, and has seen what became of the \
monitor" "$err" "no xl monitor looks after domain 'g1'"
    xl snapshot-delete -q g1 "s$n"
else
    like "somebody saves it: ours is refused or undone" " 1 3 " " $rc "
fi
nothing_left "somebody saves it"
ticks_on g1 "somebody saves it"
# Which is xl's own doing, not ours.
is "somebody saves it: which ends xl's monitor" "$(monitor_state g1)" none
guest_destroy g1

tap_done
