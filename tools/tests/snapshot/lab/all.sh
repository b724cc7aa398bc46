#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# all.sh [NAME...]: run the lab's tests, each in a boot of its own, and print
# one TAP stream: the claims of all, numbered through, each with the name of
# its script before it, the plan at the end.  Runs on the build machine, for
# `make check-lab`.  NAMEs (t10, t26-hvm) choose some of the scripts.
#
# SRC      the top of the source tree (default: where this file is)
# BUILD    where it was built (default: SRC)
# LAB_DIR  the lab (default: BUILD/lab); prepared if it is not
# LAB_BIN  the directory with the xl that is tested (default: BUILD)
#
# A script that dies counts as a failure, and the end of the console is
# shown.  A line `# lab-skip: REASON` in one leaves it out, and says so.  A
# line `# lab: OPTIONS` in a script gives options to run.sh, such
# as --keep-disk; a script that cuts dom0's power is then started again, in
# the next boot, until it ends otherwise: its claims of all boots count.

set -uo pipefail

SECONDS_EACH=900                # for one boot
BOOTS=8                         # for one script
BUDGET=$((17 * 60))             # what all together should take

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SRC=${SRC:-$(cd "$here/../../../.." && pwd)}
BUILD=${BUILD:-$SRC}
export LAB_DIR=${LAB_DIR:-$BUILD/lab}
LAB_BIN=${LAB_BIN:-$BUILD}
count=0
bin=

# shellcheck disable=SC2317 # the trap calls it
leave() {
    [ -z "$bin" ] || rm -rf "$bin"
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

# merge NAME: pass a script's TAP on under our numbers; what it came to goes
# into $tally: claims, failed ones, planned ones, bailed out or not.
merge() {
    local line claims=0 failed=0 planned='' bailed=0
    local re='^(not )?ok( [0-9]+)?( -)? ?(.*)$'

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
    echo "$claims $failed ${planned:-none} $bailed" > "$tally"
}

# console_tail: what the host said last.
console_tail() {
    local log=$LAB_DIR/last/console.log

    [ -s "$log" ] || return
    echo "the console ends with:"
    tail -n 30 "$log" | tr -d '\r'
}

# boot_once NAME SCRIPT: one boot; returns the status of run.sh.
boot_once() {
    local options=()

    read -ra options <<< "$(sed -n 's/^# lab: //p' "$2" | head -n 1)"
    LAB_BIN=$bin bash "$here/run.sh" --timeout "$SECONDS_EACH" \
        ${options[@]+"${options[@]}"} -- "${2##*/}" 2> "$errors" |
        merge "$1"
    return "${PIPESTATUS[0]}"
}

# run_script SCRIPT: every boot it wants, and judge how it ended.
run_script() {
    local name=${1##*/} start=$SECONDS boot status
    local claims failed planned bailed all=0 lost=0 plan=none

    name=${name%.sh}
    why=$(sed -n 's/^# lab-skip: //p' "$1" | head -n 1)
    if [ -n "$why" ]; then
        count=$((count + 1))
        echo "ok $count - $name # SKIP $why"
        return 0
    fi
    rm -f "$LAB_DIR/disk.raw"
    for ((boot = 1; boot <= BOOTS; boot++)); do
        boot_once "$name" "$1"
        status=$?
        read -r claims failed planned bailed < "$tally"
        count=$((count + claims))
        all=$((all + claims))
        lost=$((lost + failed))
        [ "$planned" = none ] || plan=$planned
        remark < "$errors"
        [ $status -eq 100 ] || break
    done
    rm -f "$LAB_DIR/disk.raw"
    echo "# $name: $all claims, $lost failed, $((SECONDS - start)) s"
    why=
    case $status in
    124) why="out of time after $SECONDS_EACH s" ;;
    125) why="the lab itself failed" ;;
    100) why="the power was cut $BOOTS times" ;;
    esac
    [ -n "$why" ] || [ "$bailed" -eq 0 ] || why="it gave up"
    [ -n "$why" ] || [ "$plan" != none ] || why="it died without a plan"
    [ -n "$why" ] || [ "$plan" -eq "$all" ] ||
        why="it planned $plan claims and made $all"
    [ -n "$why" ] || [ "$status" -eq 0 ] || [ "$lost" -gt 0 ] ||
        why="it ended with status $status"
    [ -n "$why" ] || return 0
    failure "$name: runs to its end: $why"
    console_tail | remark
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
tally=$bin/.tally
errors=$bin/.errors
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

for script in "$here"/t[0-9][0-9]-*.sh; do
    ! chosen "$script" "$@" || run_script "$script"
done
echo "# all of the lab took $SECONDS s; it should take no more than $BUDGET s"
[ "$count" -gt 0 ] || failure "there are tests to run"
echo "1..$count"
