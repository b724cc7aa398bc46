#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# lab-first
#
# snapshot-create killed or interrupted at every phase: the guest goes on at
# once, its monitor too, and snapshot-recover leaves nothing behind.
#
# To hit a phase surely our process is stopped in it, looked at, and then
# killed; what it has started goes on meanwhile.  Where a phase is too short
# for that, several tries are made, and how many hit is shown.

# shellcheck disable=SC2317 # functions are called through others
# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

JOURNAL=$STORE/.journal
TRIES=4
pid=                            # our xl, set by begin
n=0                             # snapshots begun: each has its own name

# begin OPTION...: start a create of g1 in the background, as $pid, s$n.  The
# shell lets what is in the background ignore SIGINT, and so would we.
begin() {
    n=$((n + 1))
    guest_wait_ticks g1 3
    guest_mark g1
    env --default-signal=INT xl -v -v snapshot-create -n "s$n" "$@" g1 \
        > "$LAB/kill.out" 2> "$LAB/kill.err" &
    pid=$!
}

# spin SECONDS COMMAND...: as wait_for, without a breath: for short phases.
spin() {
    local end=$(($(now_ms) + $1 * 1000)) i
    shift

    while [ "$(now_ms)" -lt "$end" ]; do
        for ((i = 0; i < 50; i++)); do
            "$@" && return 0
        done
        [ -d "/proc/$pid" ] || return 1
    done
    return 1
}

# helper: the process that writes memory, if there is one.
helper() {
    local comm name

    for comm in /proc/[0-9]*/comm; do
        read -r name 2> /dev/null < "$comm" || continue
        if [[ $name == libxl-save-help* ]]; then
            comm=${comm%/comm}
            echo "${comm##*/}"
            return 0
        fi
    done
    return 1
}

has_helper() {
    helper > /dev/null
}

# tools_gone: no process of ours and none of libxl's is left.
tools_gone() {
    ! has_helper && ! grep -l -z -x 'snapshot-create' \
        /proc/[0-9]*/cmdline > /dev/null 2>&1
}

# is_whole WORDS: after the kill, without recover: the guest ticks within
# seconds and its monitor goes on.
is_whole() {
    wait "$pid" 2> /dev/null
    guest_mark g1
    timed ok "$1: the guest goes on by itself" guest_wait_ticks g1 3 40
    diag "$1: it ticked again after $took_ms ms"
    is "$1: the domain does not stand" "$(is_suspended g1; echo $?)" 1
    ok "$1: the guardian has ended" wait_for 120 tools_gone
    is "$1: the monitor goes on" "$(monitor_state g1)" S
}

# nothing_left WORDS: no trace of s$n, and all agree on the image.
nothing_left() {
    local at

    not_ok "$1: no directory is left" test -e "$STORE/g1/s$n"
    is "$1: no tag is left" "$(tags "$base" | grep -c -w "s$n")" 0
    is "$1: no overlay is left" \
        "$(find "$D" -name "*.s$n*.qcow2" | wc -l)" 0
    at=$(configured g1)
    is "$1: libxl's configuration names the image" "$at" "$base"
    is "$1: and so does xenstore" "$(params g1)" "qcow2:$at qcow2:$at"
    is "$1: and QEMU has it" "$("$STOCK_XL" qemu-monitor-command g1 \
        'info block' | grep -c -F ": $at (qcow2")" 1
    is "$1: the journal is empty" "$(ls -A "$JOURNAL")" ""
    is "$1: the base is not frozen" "$(immutable "$base")" no
    is "$1: memory and disks agree" "$(guest_mismatches g1)" 0
}

# recovers WORDS: snapshot-recover, nothing left, the next create works.
recovers() {
    guest_mark g1
    xl_ok "$1: recover succeeds" snapshot-recover g1
    diag "$1: recover took $took_ms ms: $out $err"
    nothing_left "$1"
    guest_wait_ticks g1 3
    xl_ok "$1: the next create works" snapshot-create -q -n "again$n" -i g1
    xl_ok "$1: and can be deleted" snapshot-delete -q g1 "again$n"
    is "$1: the monitor waits" "$(monitor_state g1)" S
}

# stop_when SECONDS COMMAND...: stop our process as soon as the command
# succeeds.
stop_when() {
    spin "$@" || return
    kill -STOP "$pid" 2> /dev/null
}

snap_guest g1 pv 384 q
# shellcheck disable=SC2154 # set by snap_guest, through its name
base=${images_g1[0]}

# ---- before the suspend

memory_begun() {
    [ -e "$STORE/g1/s$n/memory.xl" ]
}

begin -e
ok "before the suspend: our process is caught" stop_when 20 memory_begun
is "before the suspend: the domain runs" "$(is_suspended g1; echo $?)" 1
kill -KILL "$pid"
is_whole "before the suspend"
recovers "before the suspend"

# ---- while memory is written

for kind in -i -e; do
    words="while memory is written, $kind"
    begin $kind
    ok "$words: our process is caught" stop_when 20 has_helper
    wait_for 10 is_suspended g1
    writer=$(helper)
    [ -z "$writer" ] || kill -STOP "$writer"
    ok "$words: the domain stands" is_suspended g1
    diag "$words: the writer $([ -n "$writer" ] && echo was ||
        echo was no longer) at work"
    kill -KILL "$pid"
    is_whole "$words"
    recovers "$words"
done

# ---- between the disks and the resume

overlay_made() {
    [ -e "${base%.qcow2}.s$n.qcow2" ]
}

# The count of snapshots in the header of the image.
tag_made() {
    ! cmp -s -i 60 -n 4 "$base" "$LAB/none"
}
truncate -s 64 "$LAB/none"

# between KIND CONDITION: try to stop our process while the domain stands
# and its disks are snapshotted already; 1 if it was never caught.
between() {
    local try

    for ((try = 1; try <= TRIES; try++)); do
        begin "$1"
        if stop_when 30 "$2" && is_suspended g1; then
            diag "$1: caught between disks and resume at try $try"
            return 0
        fi
        kill -CONT "$pid" 2> /dev/null
        wait "$pid"
        xl snapshot-list g1 | grep -q "^s$n" || diag "s$n was not made"
        [ "$1" = -i ] || return 1   # the image is another one now
        xl snapshot-delete -q g1 "s$n"
    done
    return 1
}

for how in "-i tag_made" "-e overlay_made"; do
    words="between disks and resume, ${how% *}"
    # shellcheck disable=SC2086 # two words
    if between $how; then
        kill -KILL "$pid"
        is_whole "$words"
        recovers "$words"
    else
        skip "$words: never caught"
        back=$(configured g1)
        [ "$back" = "$base" ] || base=$back
    fi
done

# ---- after the resume, while the memory image goes to the disk

STORE=/disk/store
export XL_SNAPSHOT_STORE=$STORE
begin -i
if stop_when 30 tag_made; then
    # On it goes, to be stopped again as soon as the domain runs.
    kill -CONT "$pid"
    while is_suspended g1; do :; done
    kill -STOP "$pid" 2> /dev/null
fi
if [ -d "/proc/$pid" ] && [ ! -e "$STORE/g1/s$n/snapshot.json" ]; then
    diag "caught between the resume and the manifest"
    kill -KILL "$pid"
    is_whole "after the resume"
    xl_ok "after the resume: recover succeeds" snapshot-recover g1
    like "after the resume: it finishes the snapshot" \
        "$(xl snapshot-list g1)" "s$n\* .* full"
else
    kill -CONT "$pid" 2> /dev/null
    wait "$pid"
    skip "after the resume: never caught"
fi
is "the snapshot is in the image" "$(tags "$base")" "s$n"
guest_mark g1
xl_ok "it can be reverted to" snapshot-revert -q g1 "s$n"
ticks_on g1 "the finished snapshot"
xl_ok "and deleted" snapshot-delete -q g1 "s$n"
STORE=${JOURNAL%/*}
unset XL_SNAPSHOT_STORE

# ---- signals that ask

for signal in INT TERM; do
    for kind in -i -e; do
        words="SIG$signal while memory is saved, $kind"
        begin $kind
        spin 20 has_helper
        kill "-$signal" "$pid"
        timed wait "$pid"
        is "$words: the status is 3" $? 3
        diag "$words: it ended after $took_ms ms:" "$(tail -n 12 "$LAB/kill.err")"
        guest_mark g1
        ok "$words: the guest ticks" guest_wait_ticks g1 3 40
        is "$words: the monitor waits" "$(monitor_state g1)" S
        nothing_left "$words"
    done
done

# ---- QEMU stands still for a while

qemu=$(qemu_pid g1)
begin -e
spin 20 has_helper
kill -STOP "$qemu"
sleep 6
kill -CONT "$qemu"
wait "$pid"
is "QEMU stopped for seconds: the snapshot is made all the same" $? 0
guest_mark g1
ticks_on g1 "QEMU stopped for seconds"
comes_back g1 "after all that"
goes_away g1 "after all that"

tap_done
