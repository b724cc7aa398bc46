# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# t1-lib.sh: what the tests of the snapshot commands share on top of lib.sh.
# To be sourced after it, in dom0.  Not a test itself.  The claims in here
# begin with words of the caller, so that every line says what it is about.

# shellcheck disable=SC2034 # for the scripts
D=/disk/img
# shellcheck disable=SC2034
STORE=/var/lib/xen/snapshots

out=                            # set by run_xl
err=
rc=
took_ms=

# ---- our xl --------------------------------------------------------------

# run_xl ARG...: run our xl; leaves $rc, $out, $err and $took_ms.
run_xl() {
    local start

    start=$(now_ms)
    xl "$@" > "$LAB/xl.out" 2> "$LAB/xl.err"
    rc=$?
    took_ms=$(($(now_ms) - start))
    out=$(< "$LAB/xl.out")
    err=$(< "$LAB/xl.err")
}

# xl_exits STATUS CLAIM ARG...: our xl ends with that status.
xl_exits() {
    local want=$1 claim=$2
    shift 2

    run_xl "$@"
    [ "$rc" -eq "$want" ]
    tap_result $? "$claim" && return 0
    diag "command: xl $*" "(status $rc, not $want)"
    diag "$out"
    diag "$err"
    return 1
}

# xl_ok CLAIM ARG...: our xl succeeds.
xl_ok() {
    xl_exits 0 "$@"
}

# ---- guests --------------------------------------------------------------

# snap_guest NAME TYPE MEM_MB LETTERS: a guest with one disk a letter in $D,
# q for qcow2, r for raw through QEMU; it runs and ticks when this returns.
# The images are in images_NAME, in the order of the vdevs.
snap_guest() {
    local name=$1 type=$2 mem=$3 letters=$4 i path disks=()
    local -n images=images_$name

    mkdir -p "$D"
    images=()
    for ((i = 0; i < ${#letters}; i++)); do
        path=$D/$name-$i
        if [ "${letters:i:1}" = q ]; then
            path+=.qcow2
            mk_qcow2 "$path" 64M
            disks+=("$path")
        else
            path+=.img
            mk_raw "$path" 64M
            disks+=("format=raw,backendtype=qdisk,vdev=xvd$(letter $i),\
access=rw,target=$path")
        fi
        images+=("$path")
    done
    guest_config "$name" "$type" "$mem" "${disks[@]}" > /dev/null
    guest_start "$name" || bail_out "guest $name does not start"
    guest_wait_ticks "$name" 5 480 || bail_out "guest $name does not tick"
}

# letter INDEX: the last letter of the vdev.
letter() {
    local letters=abcdefgh

    echo "${letters:$1:1}"
}

# qemu_pid NAME: the process that serves its disks.
qemu_pid() {
    xenstore-read "/local/domain/$(guest_domid "$1")/image/device-model-pid"
}

# is_gone NAME: no domain has this name.
is_gone() {
    ! guest_domid "$1" > /dev/null
}

# domain_state NAME: the letters in xl list, such as r or ps.
domain_state() {
    "$STOCK_XL" list "$1" 2> /dev/null | awk 'NR == 2 { print $5 }' |
        tr -d -
}

# is_suspended NAME
is_suspended() {
    [[ $(domain_state "$1") == *s* ]]
}

# monitor_pid NAME: xl's monitor process of the domain.
monitor_pid() {
    sed -n "s/^Waiting for domain .*(domid $(guest_domid "$1")) to die \
\[pid \([0-9]*\)\].*/\1/p" "/var/log/xen/xl-$1.log" 2> /dev/null |
        tail -n 1
}

# process_state PID: its letter (S, T...), or none.
process_state() {
    local state

    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' \
        "/proc/${1:-none}/status" 2> /dev/null)
    echo "${state:-none}"
}

# monitor_state NAME: S when all is well.
monitor_state() {
    process_state "$(monitor_pid "$1")"
}

# configured NAME: the disks' paths that libxl would use for a reboot.
configured() {
    "$STOCK_XL" list -l "$1" |
        sed -n 's/^ *"pdev_path": "\(.*\)",$/\1/p' | xargs -d '\n' echo
}

# setting NAME KEY: as libxl has it of the running domain.
setting() {
    "$STOCK_XL" list -l "$1" | sed -n "s/^ *\"$2\": \"\(.*\)\",*$/\1/p"
}

# params NAME: the disks' paths in xenstore, from both places.
params() {
    local domid

    domid=$(guest_domid "$1")
    for dir in "/libxl/$domid/device/vbd" \
        "/local/domain/0/backend/qdisk/$domid"; do
        for devid in $(xenstore-list "$dir" | sort -n); do
            xenstore-read "$dir/$devid/params"
        done
    done | xargs -d '\n' echo
}

# tags IMAGE: the names of the internal snapshots in it.
tags() {
    qemu-img snapshot -U -l "$1" | awk 'NR > 2 { print $2 }' | xargs echo
}

# immutable PATH: yes or no.
immutable() {
    if [[ $(lsattr -d "$1" | cut -d ' ' -f 1) == *i* ]]; then
        echo yes
    else
        echo no
    fi
}

# ---- claims about a guest ------------------------------------------------

# ticks_on NAME WORDS: it ticks, and memory and disks agree, since the mark.
ticks_on() {
    ok "$2: the guest ticks" guest_wait_ticks "$1" 5 "${3:-240}"
    is "$2: memory and disks agree" "$(guest_mismatches "$1")" 0
}

# take WORDS NAME SNAPSHOT OPTION...: make a snapshot of a guest that ticks,
# remember its instant, and let the guest tick far away from it.
declare -A instant_from instant_to
take() {
    local words=$1 name=$2 snap=$3 status
    shift 3

    guest_wait_ticks "$name" 3
    instant_from[$name/$snap]=$(guest_last_tick "$name")
    xl_ok "$words: the snapshot is made" snapshot-create -n "$snap" "$@" \
        "$name"
    status=$?
    guest_wait_ticks "$name" 1
    instant_to[$name/$snap]=$(guest_last_tick "$name")
    guest_wait_ticks "$name" 6
    return $status
}

# jumps NAME: the ticks since the mark that do not follow the one before, one
# a line: from there it went on after a revert.  Without any, the first tick.
jumps() {
    guest_log "$1" | sed -n 's/^TICK \([0-9]*\) ok$/\1/p' | awk '
        NR == 1 { first = $1 }
        NR > 1 && $1 != last + 1 { print; jumped++ }
        { last = $1 }
        END { if (NR && !jumped) print first }'
}

# from_instant WORDS NAME SNAPSHOT: the guest went on from the tick that was
# due at that snapshot, once since the mark.
from_instant() {
    local tick from=${instant_from[$2/$3]} to=${instant_to[$2/$3]}

    tick=$(jumps "$2")
    ok "$1: it goes on from the snapshot" [ "${tick:-0}" -ge "${from:-1}" \
        -a "${tick:-0}" -le $((to + 2)) ] ||
        diag "the snapshot is of $from..$to, it went on from $tick"
}

# apart NAME SNAPSHOT: a guest that runs ticks until none of its ticks can be
# taken for one that follows the snapshot's; no jump would be seen then.
apart() {
    local last to=${instant_to[$1/$2]:-0}

    ! is_gone "$1" && [[ $(domain_state "$1") != *[psd]* ]] || return 0
    last=$(guest_last_tick "$1")
    last=${last:-0}
    [ "$last" -gt $((to + 6)) ] || [ "$last" -lt "$((to - 40))" ] ||
        guest_wait_ticks "$1" $((to + 7 - last))
}

# back_to WORDS NAME SNAPSHOT OPTION...: revert, and all is well.
back_to() {
    local words=$1 name=$2 snap=$3
    shift 3

    apart "$name" "$snap"
    guest_mark "$name"
    xl_ok "$words: it is done" snapshot-revert "$@" "$name" "$snap" ||
        return
    diag "$words: took $took_ms ms"
    ticks_on "$name" "$words"
    from_instant "$words" "$name" "$snap"
    watched "$name" "$words"
}

# booted WORDS NAME SNAPSHOT: since the mark the guest started afresh, once, on
# disks that are those of the snapshot, and ticks.
booted() {
    local count from=${instant_from[$2/$3]} to=${instant_to[$2/$3]}

    guest_wait_said "$2" '^TICK start [0-9]+' 480
    count=$(guest_start_count "$2")
    ok "$1: its disks are those of the snapshot" [ "${count:-0}" -ge "$from" \
        -a "${count:-0}" -le $((to + 2)) ] ||
        diag "the snapshot is of $from..$to, the disks had ${count:-none}"
    # skew: it was between the writes of one tick.
    like "$1: and all of one instant" "$(guest_log "$2")" \
        'TICK start [0-9]+ (ok|skew)'
    ticks_on "$2" "$1"
    watched "$2" "$1"
}

# boots WORDS NAME SNAPSHOT [ARG...]: revert without memory, and all is well.
boots() {
    local words=$1 name=$2 snap=$3
    shift 3

    apart "$name" "$snap"
    guest_mark "$name"
    xl_ok "$words: it is done" snapshot-revert --disk-only "$name" "$snap" \
        "$@" || return
    like "$words: and said" "$err" \
        "'$name' was booted from the disks of snapshot '$snap'; its domid is"
    diag "$words: took $took_ms ms"
    booted "$words" "$name" "$snap"
}

# comes_back NAME WORDS: the guest reboots, xl restarts it, and the disks
# are those it wrote until then.
comes_back() {
    local before count

    guest_wait_ticks "$1" 4
    before=$(guest_last_tick "$1")
    guest_mark "$1"
    guest_send "$1" reboot
    guest_wait_said "$1" '^TICK start [0-9]+' "${3:-240}"
    count=$(guest_start_count "$1")
    if ! ok "$2: a reboot comes up on the right images" \
        test "${count:-0}" -ge "${before:-1}"; then
        diag "last tick $before, then: $(guest_log "$1" | tail -n 5)"
    fi
    guest_wait_ticks "$1" 4
    is "$2: and without mismatch" "$(guest_mismatches "$1")" 0
}

# goes_away NAME WORDS: the guest powers off, and xl cleans up.
goes_away() {
    local monitor qemu

    monitor=$(monitor_pid "$1")
    qemu=$(qemu_pid "$1")
    guest_send "$1" poweroff
    ok "$2: a poweroff is cleaned up" wait_for 160 is_gone "$1"
    ok "$2: the monitor then ends" wait_for 80 pid_gone "${monitor:-1}"
    wait_for 80 pid_gone "${qemu:-0}" || diag "QEMU $qemu is still there"
}

# watched NAME WORDS: its monitor waits for it.
watched() {
    is "$2: the monitor waits" "$(monitor_state "$1")" S
}

# ---- merging layers ------------------------------------------------------

# filled NAME MIB: the guest writes so much on its first disk.
filled() {
    guest_ask "$1" "^FILL $2 done" fill "$2"
}

# sum NAME MIB: what it reads of that.
sum() {
    guest_ask "$1" '^SUM ' sum "$2" &&
        guest_log "$1" | sed -n 's/^SUM [0-9]* //p' | tail -n 1
}

# has_job NAME: its QEMU merges something.
has_job() {
    "$STOCK_XL" qemu-monitor-command "$1" 'info block-jobs' 2> /dev/null |
        grep -q -E '^(Type|Streaming) '
}

# no_job NAME: it does not.
no_job() {
    "$STOCK_XL" qemu-monitor-command "$1" 'info block-jobs' |
        grep -q 'No active jobs'
}

# all_well NAME WORDS: the guest goes on, and nothing of a merge is left.
all_well() {
    ticks_on "$1" "$2"
    ok "$2: no job is left in QEMU" no_job "$1"
    is "$2: nothing is aside" "$(find "$D" -name '*.xl-merging')" ""
    watched "$1" "$2"
}
