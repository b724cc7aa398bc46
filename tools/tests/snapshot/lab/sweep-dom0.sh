#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# The fault sweep on a real Xen, in dom0; run by `make check-steps`.
#
#   sweep-dom0.sh SCENE...
#
# Every step of an operation begins and ends with a line in its journal.  Each
# of these lines is where the operation is killed once, and each beginning is
# where it fails once (the journal's disk is full).  Then the user's part is
# played: the hint followed, or snapshot-recover run.  Afterwards the domain
# runs, with RAM and disks that agree, as before or as after the operation, and
# nothing of the run is left.  The xl is one with fault points, see faults.c.
#
# TAP: one claim a scene and kind of fault; each run is a remark.

# shellcheck disable=SC2317 # functions are called through others
# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

JOURNAL=$STORE/.journal
FIRED=$LAB/fired
n=0                             # runs; each names what it makes by it
bad=()                          # what is wrong after this one
command=()                      # the operation

wrong() {
    bad+=("$*")
}

# ---- the scenes ----------------------------------------------------------

# say SCENE: the command of the next run, into command; what it makes is x$n.
say() {
    case $1 in
    create-internal) command=(snapshot-create -i -n "x$n" g1) ;;
    create-external-mixed)
        command=(snapshot-create -n "x$n" g1 "$LAB/mixed.cfg") ;;
    create-live)
        command=(snapshot-create --live -n "x$n" g1 "$LAB/mixed.cfg") ;;
    revert-internal | revert-external) command=(snapshot-revert g1 b) ;;
    revert-keep) command=(snapshot-revert --keep "x$n" g1 b) ;;
    *) bail_out "no scene $1" ;;
    esac
}

set_stage() {
    local type=pv

    [ "$1" != create-live ] || type=pvh
    is_gone g1 || guest_destroy g1
    chattr -R -i "$D" 2> /dev/null
    rm -rf "$D" "$STORE"/*
    snap_guest g1 $type 96 qq
    case $1 in
    revert-internal) take "$1" g1 b -i ;;
    revert-*) take "$1" g1 b -e ;;
    esac
}

# ---- what is there -------------------------------------------------------

# owned FILE: in use by the domain, or by a snapshot.
owned() {
    local top

    for top in $(configured g1); do
        qemu-img info -U --backing-chain "$top" 2> /dev/null |
            grep -q -x -F "image: $1" && return
    done
    grep -q -s -F "\"$1\"" "$STORE"/g1/*/snapshot.json
}

listed() {
    [ -e "$STORE/g1/x$n/snapshot.json" ]
}

# No file, tag or directory without a snapshot or a domain that wants it.
look_for_litter() {
    local file dir

    for file in "$D"/*.qcow2; do
        [[ " $before_files " == *" $file "* ]] || owned "$file" ||
            wrong "nobody wants $file"
    done
    for dir in "$STORE"/g1/*/; do
        [ ! -d "$dir" ] || [ -e "$dir/snapshot.json" ] ||
            wrong "$dir has no manifest"
    done
    [ -z "$(ls -A "$JOURNAL")" ] || wrong "journal: $(ls -A "$JOURNAL")"
    find "$STORE" "$D" -name '.*.new' -o -name '*.tmp' | grep -q . &&
        wrong "drafts: $(find "$STORE" "$D" -name '.*.new')"
    for file in $(configured g1); do
        listed || [[ " $(tags "$file") " != *" x$n "* ]] ||
            wrong "$file has the tag x$n of no snapshot"
    done
    listed || [ ! -e "$STORE/g1/x$n" ] || wrong "half a snapshot x$n"
    xl snapshot-list g1 > "$LAB/list" 2>&1
    [ "$(grep -c ' full' "$LAB/list")" -eq \
        "$(ls -d "$STORE"/g1/*/ 2> /dev/null | wc -l)" ] ||
        wrong "$(< "$LAB/list")"
}

look_at_domain() {
    local at

    [[ $(domain_state g1) != *[psd]* ]] || wrong "it is $(domain_state g1)"
    guest_wait_ticks g1 3 > /dev/null || wrong "it does not tick"
    [ "$(guest_mismatches g1)" = 0 ] || wrong "RAM and disks do not agree"
    [ "$(monitor_state g1)" = S ] || wrong "monitor: $(monitor_state g1)"
    at=$(configured g1)
    [ "$(params g1)" = "$(for f in $at $at; do echo "qcow2:$f"; done |
        xargs echo)" ] || wrong "xenstore: $(params g1), configured: $at"
    "$STOCK_XL" qemu-monitor-command g1 'info block' > "$LAB/block"
    for at in $at; do
        grep -q -F ": $at (qcow2" "$LAB/block" ||
            wrong "QEMU has not $at: $(< "$LAB/block")"
    done
}

# went_back: since the mark the guest has jumped to the snapshot.
went_back() {
    local tick

    tick=$(jumps g1)
    [ "${tick:-0}" -ge "${instant_from[g1/b]}" ] &&
        [ "${tick:-0}" -le $((instant_to[g1/b] + 2)) ]
}

# is_done SCENE: the operation has come to its end.
is_done() {
    case $1 in
    create-*) listed ;;
    *) went_back ;;
    esac
}

# ---- a run ---------------------------------------------------------------

hint() {
    sed -n 's/^ \{4\}\(xl snapshot-.*\)/\1/p' "$LAB/xl.err" | tail -n 1
}

# settle STATUS: as the user does it; what was done goes into $how.
settle() {
    local status=$1 line

    how="status $status"
    case $status in
    0 | 1 | 3) return ;;
    esac
    line=$(hint)
    if [ "$status" -eq 137 ] || [[ $line == *recover* ]]; then
        run_xl snapshot-recover g1
        how+=", recover $rc in $took_ms ms (${out//$'\n'/; })"
        status=$rc
        line=$(hint)
    fi
    [ "$status" -ne 4 ] || {
        [ -n "$line" ] || wrong "status 4 and no command"
        eval "run_${line}"
        how+=", again $rc"
        status=$rc
    }
    [ "$status" -eq 0 ] || wrong "$how: $err"
}

# run_one SCENE MODE LINE: 1 when the operation has no such line.
run_one() {
    local scene=$1 mode=$2 line=$3 status state before_files began=$SECONDS

    n=$((n + 1))
    bad=()
    say "$scene"
    case $scene in revert-*) apart g1 b ;; esac
    before_files=$(echo "$D"/*.qcow2)
    guest_mark g1
    rm -f "$FIRED"
    FAULT=$mode:write_journal:write:$line FAULT_FIRED=$FIRED \
        run_xl "${command[@]}"
    status=$rc
    if [ ! -e "$FIRED" ]; then
        [ "$status" -eq 0 ] || bail_out "$scene, without a fault: $err"
        return 1
    fi
    settle "$status"
    look_at_domain
    state=before
    is_done "$scene" && state=after
    case $status-$state in
    0-before | 1-after | 3-after) wrong "status $status, but as $state" ;;
    esac
    look_for_litter
    run_xl snapshot-recover g1
    [[ $rc == 0 && $out$err == *[Nn]othing* ]] ||
        wrong "recovering again: $rc: $out $err"
    diag "$scene $mode $line: as $state; $how; $((SECONDS - began)) s"
    [ ${#bad[@]} -eq 0 ] || diag "BAD:" "${bad[@]}"
    counts[$state]=$((${counts[$state]:-0} + 1))
    clean "$scene"
}

# clean SCENE: what the run has made on purpose goes, as far as it can.
clean() {
    local file

    case $1 in
    create-internal) ! listed || xl snapshot-delete -q g1 "x$n" ;;
    *) rm -rf "$STORE/g1/x$n" ;;
    esac
    for file in "$D"/*.qcow2; do
        owned "$file" || {
            chattr -i "$file"
            rm -f "$file"
        }
    done
}

# sweep SCENE MODE FIRST STEP: each STEPth line from FIRST on.
sweep() {
    local scene=$1 mode=$2 line=$3 runs=0 failed=0
    local -A counts=()

    while run_one "$scene" "$mode" "$line"; do
        runs=$((runs + 1))
        [ ${#bad[@]} -eq 0 ] || failed=$((failed + 1))
        line=$((line + $4))
    done
    clean "$scene"
    diag "matrix: | $scene | $mode | $runs | ${counts[before]:-0} |" \
        "${counts[after]:-0} | $failed |"
    ok "$scene: $mode at each step is survived" \
        test "$failed" -eq 0 -a "$runs" -ge 10
}

# ---- all -----------------------------------------------------------------

lab_disk || bail_out "no disk"
echo "disk = [ 'vdev=xvda,type=external', 'vdev=xvdb,type=internal' ]" \
    > "$LAB/mixed.cfg"
for scene; do
    set_stage "$scene"
    say "$scene"
    # The head and the plan come first; nothing is touched until then.
    xl "${command[0]}" --dry-run "${command[@]:1}" > "$LAB/plan"
    steps=$(grep -c '^ *[0-9]* [a-z-]* ' "$LAB/plan")
    diag "$scene:" "$(< "$LAB/plan")"
    sweep "$scene" kill $((steps + 1)) 1
    sweep "$scene" error $((steps + 1)) 2
done
tap_done
