#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# all.sh [NAME...]: run the lab's tests, each in a boot of its own, and print
# one TAP stream: the claims of all, numbered through, each with the name of
# its script before it, the plan at the end.  Runs on the build machine, for
# `make check-lab`.  NAMEs (t10, t26-hvm) choose some of the scripts.
#
# SRC       the top of the source tree (default: where this file is)
# BUILD     where it was built (default: SRC)
# LAB_DIR   the lab (default: BUILD/lab); prepared if it is not
# LAB_BIN   the directory with the xl that is tested (default: BUILD)
# LAB_JOBS  how many run at a time (default: 2, or 1 on one processor); what a
#           script says is printed when it has ended
#
# A script that dies counts as a failure, and the end of the console is
# shown; what it left stays in LAB_DIR/failed.  A line `# lab-skip: REASON` in
# one leaves it out, and says so.  A
# line `# lab: OPTIONS` in a script gives options to run.sh, such as
# --keep-disk; a script that cuts dom0's power is then started again, in the
# next boot, until it ends otherwise: its claims of all boots count.  Those
# that take long should start early: a line `# lab-first` says which.  One that
# mostly waits (`# lab-waits`) runs beside the others, if there are two.

set -uo pipefail

SECONDS_EACH=1200               # for one boot
BOOTS=8                         # for one script
BUDGET=$((25 * 60))             # what all together should take

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SRC=${SRC:-$(cd "$here/../../../.." && pwd)}
BUILD=${BUILD:-$SRC}
export LAB_DIR=${LAB_DIR:-$BUILD/lab}
LAB_BIN=${LAB_BIN:-$BUILD}
count=0
bin=
work=                           # a directory a script: its boots, its words
declare -A running=()            # process to name
declare -A extra=()              # name to 1: runs beside the others

# shellcheck disable=SC2317 # the trap calls it
leave() {
    local pid

    for pid in "${!running[@]}"; do
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    [ -z "$bin" ] || rm -rf "$bin" "$work"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

remark() {
    sed 's/^/# /'
}

# failure TEXT: a claim of ours that does not hold.
failure() {
    count=$((count + 1))
    echo "not ok $count - $*"
}

# merge NAME: pass a script's TAP on under our numbers; leaves what it came to
# in $claims, $failed, $planned and $bailed.
merge() {
    local line
    local re='^(not )?ok( [0-9]+)?( -)? ?(.*)$'

    claims=0 failed=0 planned=none bailed=0
    while IFS= read -r line; do
        if [[ $line =~ $re ]]; then
            claims=$((claims + 1))
            [ -z "${BASH_REMATCH[1]}" ] || failed=$((failed + 1))
            if [[ ${BASH_REMATCH[4]} == '#'* ]]; then
                echo "${BASH_REMATCH[1]}ok $((count + claims)) - $1" \
                    "${BASH_REMATCH[4]}"
            else
                echo "${BASH_REMATCH[1]}ok $((count + claims)) - $1:" \
                    "${BASH_REMATCH[4]}"
            fi
        elif [[ $line =~ ^1\.\.([0-9]+) ]]; then
            planned=${BASH_REMATCH[1]}
        elif [[ $line == 'Bail out!'* ]]; then
            bailed=1
            echo "# $1: $line"
        else
            echo "# ${line#\# }"
        fi
    done
    count=$((count + claims))
}

# ---- in the background: one script ----------------------------------------

# boots NAME SCRIPT: every boot it wants, its words in $work/NAME; returns the
# status of the last.
boots() {
    local keep=$work/$1 options=() boot status

    : > "$keep/tap"
    rm -f "$keep/disk.raw"
    read -ra options <<< "$(sed -n 's/^# lab: //p' "$2" | head -n 1)"
    for ((boot = 1; boot <= BOOTS; boot++)); do
        LAB_KEEP=$keep LAB_BIN=$bin bash "$here/run.sh" \
            --timeout "$SECONDS_EACH" ${options[@]+"${options[@]}"} \
            -- "${2##*/}" >> "$keep/tap" 2>> "$keep/errors" &
        trap 'kill $!; wait $!; exit 143' TERM
        wait $!
        status=$?
        [ $status -eq 100 ] || break
    done
    return $status
}

# emulator_failed NAME: the emulated processor lost a PVH or HVM guest.  QEMU
# (7.2, TCG) now and then goes on in Xen's own text when it should have entered
# the guest; Xen then sees a triple fault with an address that is its own.
emulator_failed() {
    grep -q -a 'Triple fault' "$work/$1/last/console.log" 2>/dev/null &&
        grep -q -a 'RIP: *e008:\[<ffff82d0' "$work/$1/last/console.log"
}

# attempts NAME SCRIPT: what failed with the emulator is run again, which is
# said; the status of the last and the seconds of all go into `ended`.
attempts() {
    local keep=$work/$1 start=$SECONDS try status

    for ((try = 1; try <= 3; try++)); do
        boots "$1" "$2"
        status=$?
        [ $status -ne 0 ] && emulator_failed "$1" || break
        echo "the emulated processor lost a guest (triple fault in Xen's" \
            "own text): run again" >> "$keep/errors"
    done
    echo "$status $((SECONDS - start))" > "$keep/ended"
}

# ---- when it has ended ----------------------------------------------------

# console_tail NAME: what its host said last.
console_tail() {
    local log=$work/$1/last/console.log

    [ -s "$log" ] || return
    echo "the console ends with:"
    tail -n 30 "$log" | tr -d '\r'
}

# why_not STATUS: why a script that ended so did not run to its end, if so.
why_not() {
    case $1 in
    124) echo "out of time after $SECONDS_EACH s" ;;
    125) echo "the lab itself failed" ;;
    100) echo "the power was cut $BOOTS times" ;;
    *)
        if [ "$bailed" -ne 0 ]; then
            echo "it gave up"
        elif [ "$planned" = none ]; then
            echo "it died without a plan"
        elif [ "$planned" -ne "$claims" ]; then
            echo "it planned $planned claims and made $claims"
        elif [ "$1" -ne 0 ] && [ "$failed" -eq 0 ]; then
            echo "it ended with status $1"
        fi
        ;;
    esac
}

# report NAME: its words, and how it ended.
report() {
    local status took why claims failed planned bailed

    read -r status took < "$work/$1/ended" || status=125
    merge "$1" < "$work/$1/tap"
    remark < "$work/$1/errors"
    echo "# $1: $claims claims, $failed failed, ${took:-?} s"
    why=$(why_not "$status")
    [ -z "$why" ] || {
        failure "$1: runs to its end: $why"
        console_tail "$1" | remark
    }
    rm -rf "${LAB_DIR:?}/failed/$1"
    if [ -n "$why" ] || [ "$failed" -gt 0 ]; then
        mkdir -p "$LAB_DIR/failed"
        mv "$work/$1/last" "$LAB_DIR/failed/$1"
        echo "# $1: see $LAB_DIR/failed/$1"
    fi
    rm -rf "${work:?}/$1"
}

# ---- all of them ----------------------------------------------------------

# start SCRIPT
start() {
    local name=${1##*/} why

    name=${name%.sh}
    why=$(sed -n 's/^# lab-skip: //p' "$1" | head -n 1)
    if [ -n "$why" ]; then
        count=$((count + 1))
        echo "ok $count - $name # SKIP $why"
        return
    fi
    mkdir "$work/$name"
    : > "$work/$name/tap"
    : > "$work/$name/errors"
    attempts "$name" "$1" &
    running[$!]=$name
    echo "# $name: started"
}

# finish_one: wait until one has ended, report it.
finish_one() {
    local pid name

    wait -n -p pid "${!running[@]}"
    name=${running[$pid]}
    unset "running[$pid]"
    jobs=$((jobs - ${extra[$name]:-0}))
    report "$name"
}

chosen() {
    local want

    [ $# -gt 1 ] || return 0
    for want in "${@:2}"; do
        case ${1##*/} in
        "$want"-*.sh | "$want".sh) return 0 ;;
        esac
    done
    return 1
}

bin=$(mktemp -d) || exit 1
{ mkdir -p "$LAB_DIR" && work=$(mktemp -d "$LAB_DIR/work.XXXXXX"); } || exit 1
errors=$work/errors
if ! bash "$here/prepare.sh" "$LAB_DIR" > "$errors" 2>&1; then
    remark < "$errors"
    failure "the lab can be prepared in $LAB_DIR"
    echo "1..$count"
    exit 1
fi
remark < "$errors"
# Only the program, not all the objects that lie about it.
if ! cp "$LAB_BIN/xl" "$bin/xl"; then
    failure "there is an xl in $LAB_BIN"
    echo "1..$count"
    exit 1
fi
ln -s xl "$bin/xl-snapshot"

jobs=${LAB_JOBS:-$(nproc)}
[ "$jobs" -lt 3 ] || [ -n "${LAB_JOBS:-}" ] || jobs=2
# Hosts with more processors than there are wait for each other's locks.
[ "$jobs" -lt 2 ] || export LAB_CPUS=1
waits=() first=() rest=()
for script in "$here"/t[0-9][0-9]-*.sh; do
    chosen "$script" "$@" || continue
    if [ "$jobs" -gt 1 ] && grep -q '^# lab-waits$' "$script"; then
        waits+=("$script")
    elif grep -q '^# lab-first$' "$script"; then
        first+=("$script")
    else
        rest+=("$script")
    fi
done
for script in ${waits[@]+"${waits[@]}"}; do
    start "$script"
    extra[$(basename "$script" .sh)]=1
    jobs=$((jobs + 1))
done
for script in ${first[@]+"${first[@]}"} ${rest[@]+"${rest[@]}"}; do
    while [ "${#running[@]}" -ge "$jobs" ]; do finish_one; done
    start "$script"
done
while [ "${#running[@]}" -gt 0 ]; do finish_one; done
echo "# all of the lab took $SECONDS s; it should take no more than $BUDGET s"
[ "$count" -gt 0 ] || failure "there are tests to run"
echo "1..$count"
