#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# lab-waits
#
# What is missing, busy or stuck: space, host memory, the lock, QEMU, its
# socket, xl's monitor; and snapshots that leave a disk out.  Whatever it is,
# the command ends in time, says why, and the guest goes on.  Runs in dom0:
# run.sh -- t42-resources.sh

# shellcheck disable=SC2317 # what is sourced returns early
# shellcheck source=t40-refuse-create.sh
. /lab/t40-refuse-create.sh

took_ms=                        # set by timed

# ---- set up -------------------------------------------------------------

set_up() {
    begin
    mk_qcow2 "$IMAGES/a.qcow2" 64M
    mk_raw "$IMAGES/b.raw" 64M
    guest_config g1 pv 96 "$IMAGES/a.qcow2" "format=raw,vdev=xvdb,access=rw,\
backendtype=qdisk,target=$IMAGES/b.raw" > /dev/null
    { guest_start g1 && guest_wait_ticks g1 5; } || bail_out "g1 does not start"
    TICKING=g1
}

qemu_of() {
    xenstore-read "/local/domain/$(guest_domid "$1")/image/device-model-pid"
}

# monitor_of GUEST: its xl, by the last wait line of its log.
monitor_of() {
    sed -n 's/^Waiting for domain .*(domid [0-9]*) to die \[pid \([0-9]*\)\]/\1/p' \
        "/var/log/xen/xl-$1.log" | tail -n 1
}

# small DIR SIZE: a file system with that much room.
small() {
    mkdir -p "$1"
    mount -t tmpfs -o "size=$2,mode=700" small "$1"
}

# ---- space ------------------------------------------------------------------

no_space() {
    small /lab/small 16m
    small /lab/full 64k
    untouched "no space for the memory image, --path" 3 \
        "no space for '/lab/small/s/memory.xl': .*use another place" \
        xl snapshot-create --path /lab/small/s --exclude xvdb g1
    is "nothing is left there" "$(ls -A /lab/small)" ""
    untouched "no space for the memory image, --store" 3 \
        "no space for '/lab/small/store/g1/s/memory.xl': .*another place" \
        xl snapshot-create --store /lab/small/store -n s --exclude xvdb g1
    is "no snapshot is left there" \
        "$(find /lab/small -mindepth 2 -path '*/s*')" ""
    umount /lab/small

    set_file "disk = [ 'vdev=xvdb,target=/lab/full/b.qcow2' ]"
    untouched "no space for an overlay" 3 \
        "(/lab/full/b.qcow2|'xvdb').*[Nn]o space left" \
        xl snapshot-create g1 "$LAB/set.cfg"
    is "nothing is left there" "$(ls -A /lab/full)" ""
    umount /lab/full
}

# The root of the store fills up to the last block while memory is saved:
# the space was taken before, so the snapshot is made.
space_is_taken_early() {
    small /lab/small 240m
    guest_mark g1
    xl snapshot-create -v -n early --store /lab/small/store --exclude xvdb \
        g1 > "$LAB/stdout" 2> "$LAB/stderr" &
    wait_for 80 test -s /lab/small/store/g1/early/memory.xl
    dd if=/dev/zero of=/lab/small/fill bs=64k 2> /dev/null
    wait $!
    like "a file system that fills up meanwhile is no disaster" $? '^[03]$'
    diag "$(tail -n 3 "$LAB/stderr")"
    ok "the guest ticks on" well g1
    umount /lab/small
}

# ---- the lock -----------------------------------------------------------------

# stopped_create NAME: a create that stands still before it touches anything,
# with all its locks; its process is in $first.
stopped_create() {
    xl snapshot-create -n "$1" --exclude xvdb g1 > "$LAB/first.out" 2>&1 &
    first=$!
    wait_for 80 bash -c "ls $STORE/.journal/*.lock > /dev/null 2>&1"
    kill -STOP "$first"
}

second_command() {
    local first second

    stopped_create first
    guest_mark g1
    timed xl snapshot-create --lock-timeout 2 -n second --exclude xvdb g1 \
        > "$LAB/stdout" 2> "$LAB/stderr"
    is "a second command at the same time is refused" $? 1
    like "it says who holds the domain and what to do" \
        "$(cat "$LAB/stderr")" \
        "domain 'g1': .*process $first, .*within 2 s; wait.*--lock-timeout"
    diag "$(cat "$LAB/stderr") ($took_ms ms)"
    ok "after two seconds" test "$took_ms" -ge 2000 -a "$took_ms" -lt 15000
    xl snapshot-revert --lock-timeout 0 g1 first > /dev/null 2>&1
    is "a revert of it is refused, too" $? 1
    env --default-signal=INT xl snapshot-create -n second --exclude xvdb g1 \
        > "$LAB/stdout" 2> "$LAB/stderr" &
    second=$!
    nap 1.5
    kill -INT "$second"
    timed wait "$second"
    is "one that waits can be interrupted" $? 1
    like "which it says" "$(cat "$LAB/stderr")" "interrupted by a signal"
    ok "at once" test "$took_ms" -lt 5000
    kill -CONT "$first"
    wait "$first"
    is "the first one makes its snapshot" $? 0
    diag "$(cat "$LAB/first.out")"
    ok "the guest ticks on" well g1
}

# The image has a lock, too: a command on a domain of another name waits.
second_domain() {
    local first

    mkdir -p "$STORE/other"
    cp -a "$STORE/g1/first" "$STORE/other/first"
    stopped_create third
    timed xl snapshot-delete --lock-timeout 1 other first \
        > "$LAB/stdout" 2> "$LAB/stderr"
    is "a command on another domain with the same image is refused" $? 1
    like "it says which image, and who has it" "$(cat "$LAB/stderr")" \
        "image '$IMAGES/a.qcow2': .*process $first, xl.*within 1 s"
    kill -CONT "$first"
    wait "$first"
    is "that one makes its snapshot" $? 0
    is "no lock is left" "$(ls -A "$STORE/.journal")" ""
    is "in no process either" \
        "$(find /proc/[0-9]*/fd -lname '*/.journal/*' 2> /dev/null)" ""
    rm -rf "$STORE/other"
}

# ---- QEMU ------------------------------------------------------------------------

held_socket() {
    local socket
    socket=/var/run/xen/qmp-libxenstat-$(guest_domid g1)

    # shellcheck disable=SC2016 # perl's own variables
    holds perl -MIO::Socket::UNIX -e \
        '$s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die; <$s>;
        sleep 600' "$socket"
    timed refused "another client of QEMU's socket" \
        "QEMU .*held .* by perl \(pid $holder\): end it and try again" \
        xl snapshot-create --exclude xvdb g1
    diag "$took_ms ms"
    ok "its wait has an end" test "$took_ms" -lt 60000
    let_go
}

# Its disks stand still while it is stopped, so the guest is asked later.
stopped_qemu() {
    local qemu
    qemu=$(qemu_of g1)

    guest_mark g1
    kill -STOP "$qemu"
    timed xl snapshot-create --exclude xvdb g1 > "$LAB/stdout" \
        2> "$LAB/stderr"
    is "a QEMU that does not answer: refused" $? 1
    like "that is what it says" "$(cat "$LAB/stderr")" \
        "'xvda': QEMU .*(did not|does not) (answer|greet)"
    diag "$(cat "$LAB/stderr") ($took_ms ms)"
    ok "its wait has an end" test "$took_ms" -lt 60000
    kill -CONT "$qemu"
    ok "the guest was never suspended and goes on" well g1
    isnt "it does not stand suspended" \
        "$(state_is g1 s && echo suspended)" suspended
}

# QEMU stops when the guest already stands: the deadline ends it, the guest
# is resumed.
stopped_in_the_middle() {
    local qemu pid status end start
    qemu=$(qemu_of g1)

    guest_mark g1
    xl snapshot-create -n middle --exclude xvdb g1 > "$LAB/stdout" \
        2> "$LAB/stderr" &
    pid=$!
    # Without a rest: it stands for less than a second.
    end=$(($(now_ms) + 20000))
    until state_is g1 s || [ "$(now_ms)" -gt "$end" ]; do :; done
    kill -STOP "$qemu"
    start=$(now_ms)
    wait "$pid"
    status=$?
    ok "the guest does not stand longer than QEMU has to answer" \
        test $(($(now_ms) - start)) -lt 140000
    diag "status $status: $(cat "$LAB/stdout" "$LAB/stderr")"
    isnt "QEMU stops answering meanwhile: no success" "$status" 0
    isnt "the domain was resumed" "$(state_is g1 s && echo suspended)" \
        suspended
    kill -CONT "$qemu"
    if [ "$status" -eq 4 ]; then
        timed xl snapshot-recover g1 > "$LAB/stdout" 2>&1
        is "snapshot-recover puts the rest right" $? 0
        diag "$(cat "$LAB/stdout") ($took_ms ms)"
        # The run saw the guest run again.
        ok "without a wait for the guest" test "$took_ms" -lt 20000
    fi
    [ "$status" -eq 4 ] || is "undone" "$status" 3
    ok "the guest ticks on, memory and disks agree" well g1
    is "no tag is left in the image" \
        "$(qemu-img snapshot -l -U "$IMAGES/a.qcow2" | grep -c middle)" 0
    ok "no snapshot is left" test ! -e "$STORE/g1/middle"
    is "no journal is left" "$(ls -A "$STORE/.journal")" ""
    ok "and the next one can be made" \
        xl snapshot-create -n next --exclude xvdb g1
}

# ---- the monitor ----------------------------------------------------------------

dead_monitor() {
    local monitor
    monitor=$(monitor_of g1)

    like "the guest has a monitor after all that" \
        "$(cat "/proc/$monitor/comm" 2>&1)" '^xl$'
    kill -KILL "$monitor"
    wait_for 40 pid_gone "$monitor"
    guest_mark g1
    xl snapshot-create -n dead --exclude xvdb g1 > "$LAB/stdout" \
        2> "$LAB/stderr"
    is "without a monitor a snapshot can be made" $? 0
    like "that nobody looks after the guest is said" \
        "$(cat "$LAB/stderr")" 'monitor'
    diag "$(cat "$LAB/stderr")"
    ok "the guest ticks on" well g1
    guest_mark g1
    ok "and it can be reverted to" \
        xl snapshot-revert --exclude xvdb g1 dead
    ok "which starts a monitor" test -d "/proc/$(monitor_of g1)"
}

# ---- partial snapshots ------------------------------------------------------------

# tick finds out at once that xvdb did not go back: that is the point.
partial() {
    like "a snapshot that leaves a disk out is partial" \
        "$(xl snapshot-list g1)" 'next.* partial '
    like "the disk is named" "$(xl snapshot-info g1 next)" 'xvdb'
    guest_wait_ticks g1 8
    refused "its revert is refused" "disk 'xvdb' is not in the snapshot: \
.*file systems would break.*add --exclude xvdb" xl snapshot-revert g1 next
    refused "also with --force" "disk 'xvdb' is not in the snapshot" \
        xl snapshot-revert --force g1 next
    refused "--exclude of another disk is not enough" \
        "disk 'xvdb' is not in the snapshot" \
        xl snapshot-revert --exclude xvdc g1 next
    guest_mark g1
    ok "with --exclude it is done" \
        xl snapshot-revert --exclude xvdb g1 next
    guest_wait_ticks g1 3
    like "and the guest finds the disk that did not go back" \
        "$(guest_log g1)" 'MISMATCH disk xvdb'
    unlike "the other one did" "$(guest_log g1)" 'MISMATCH disk xvda'
}

# ---- the host's memory ---------------------------------------------------------------

no_memory() {
    local free

    TICKING=
    guest_destroy g1
    free=$("$STOCK_XL" info free_memory)
    guest_config big pv $((free - 60)) > /dev/null
    "$STOCK_XL" create -q -p "$LAB/big.cfg" > "$LAB/big.out" 2>&1 ||
        diag "$(cat "$LAB/big.out")"
    diag "free: $free MiB, then $("$STOCK_XL" info free_memory) MiB"
    refused "too little free host memory" "not enough free host memory: the \
domain needs [0-9]+ MiB, [0-9]+ MiB are free; stop another" \
        xl snapshot-revert --exclude xvdb g1 next
    guest_destroy big
    guest_mark g1
    ok "with the memory back it works" \
        xl snapshot-revert --exclude xvdb g1 next
    ok "the guest ticks" guest_wait_ticks g1 3
}

# ---- space for a copy ------------------------------------------------------------------

# An external snapshot of xvda freezes the image that holds the tag: going
# back to the tag needs a copy of it.
no_space_for_a_copy() {
    small /disk/img 160m
    mk_qcow2 "$IMAGES/c.qcow2" 96M
    guest_config g3 pv 96 "$IMAGES/c.qcow2" > /dev/null
    guest_start g3 && guest_wait_ticks g3 3
    guest_ask g3 '^FILL' fill 64
    ok "an internal snapshot" xl snapshot-create -n in -i g3
    ok "an external one above it" xl snapshot-create -n ex -e --no-protect g3
    dd if=/dev/zero of="$IMAGES/fill" bs=1M count=60 status=none
    TICKING=g3 refused "no space for the copy that a tag needs" \
        "disk 'xvda': no space for '.*': [0-9]+ bytes are needed" \
        xl snapshot-revert g3 in
    rm "$IMAGES/fill"
    guest_destroy g3
    umount /disk/img
}

set_up
no_space
space_is_taken_early
second_command
second_domain
held_socket
stopped_qemu
stopped_in_the_middle
dead_monitor
partial
no_memory
guest_destroy g1
no_space_for_a_copy
tap_done
