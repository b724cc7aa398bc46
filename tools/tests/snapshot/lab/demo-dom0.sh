#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# The demonstration, in dom0: a guest that counts in memory and on two disks
# is snapshotted, goes on, and is put back.  Each claim that is printed is
# checked; the first that does not hold ends it with status 1.  Started by
# demo.sh.

# shellcheck source=lib.sh
. /lab/lib.sh

WIDTH=68                        # demo.sh puts the time before each line
took_ms=                        # set by timed

say() {
    printf '%s\n' "$@"
}

heading() {
    say "" "--- $1" ""
}

# true_that CLAIM COMMAND...: the claim is shown; if it does not hold, that.
true_that() {
    local claim=$1 output
    shift

    if output=$("$@" 2>&1); then
        say "  [yes] $claim"
        return
    fi
    say "  [NO!] $claim" "        $* said:"
    fold -s -w $((WIDTH - 8)) <<< "$output" | sed 's/^/        /'
    say "        The guest's last words:"
    guest_log demo | tail -n 5 | cut -c "-$((WIDTH - 8))" | sed 's/^/        /'
    exit 1
}

equals() {
    [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; return 1; }
}

not_writable() {
    ! { : >> "$1"; } 2>/dev/null
}

is_one_of() {
    [ "$1" = "$2" ] || [ "$1" = "$3" ] || {
        echo "'$1' is neither '$2' nor '$3'"
        return 1
    }
}

# typed COMMAND...: print it as typed and run it; end if it fails.
typed() {
    local status text='' word

    for word; do
        case $word in *\ *) word="\"$word\"" ;; esac
        text+=" $word"
    done
    say "  #$text"
    timed "$@" > "$LAB/said" 2>&1
    status=$?
    [ "$status" -ne 0 ] || return 0
    said
    say "  [NO!] exit status $status"
    exit 1
}

# said: what the last typed command said.
said() {
    fold -s -w $((WIDTH - 4)) "$LAB/said" | sed 's/ *$//; s/^/    /'
}

# shown COMMAND...: both.
shown() {
    typed "$@"
    said
}

took() {
    say "  (took $((took_ms / 1000)).$((took_ms % 1000 / 100)) s)"
}

# said_last N: the guest's last N lines.
said_last() {
    guest_log demo | grep '^TICK' | tail -n "$1" | sed 's/^/    guest: /'
}

# around_revert: the tick before the count falls back, and three after it.
around_revert() {
    guest_log demo | awk '
        $1 != "TICK" { next }
        left { print; left-- }
        !seen && $2 < last { print before; print; seen = 1; left = 2 }
        { last = $2; before = $0 }'
}

# The count at which the guest stood still longest since the mark.
count_at_gap() {
    guest_log demo | awk '
        $1 == "TICK" && $3 == "ok" { last = $2 }
        $1 == "GAP" && $2 ~ /^[0-9]+$/ && $2 > longest {
            longest = $2; at = last
        }
        END { print at }'
}

sum_of_disk() {
    guest_ask demo '^SUM ' sum 8 >&2 &&
        guest_log demo | sed -n 's/^SUM 8 //p' | tail -n 1
}

set_up() {
    lab_disk || exit 1
    mkdir -p /disk/img /img         # a short path: lines are short, too
    mount --bind /disk/img /img || exit 1
    mk_qcow2 /img/a.qcow2 64M
    mk_raw /img/b.img 64M
    GUEST_WEIGHT=256 guest_config demo pv 128 /img/a.qcow2 "format=raw,vdev=xvdb,access=rw,\
backendtype=qdisk,target=/img/b.img" > /dev/null
}

start_guest() {
    heading "A guest that counts"
    say "It has two disks: xvda, a qcow2 image, and xvdb, a raw one." \
        "Ten times a second it reads its count back from both disks," \
        "compares it with the one in its memory, and writes the next." ""
    shown xl create -q "$LAB/demo.cfg"
    true_that "it counts" guest_wait_ticks demo 10
    guest_ask demo '^FILL' fill 8
    sum=$(sum_of_disk)
    guest_wait_ticks demo 3
    said_last 3
}

check() {
    heading "Can it be snapshotted?"
    shown xl snapshot-check demo
}

create() {
    heading "Take a snapshot, while it runs"
    guest_ask demo '^GAP reset' gap
    guest_mark demo
    shown xl snapshot-create -n s1 -d "all is well" demo
    took
    true_that "the guest goes on counting" guest_wait_ticks demo 10
    count=$(count_at_gap)
    true_that "memory and disks agree" equals "$(guest_mismatches demo)" 0
    true_that "not even root can write to b.img, which is frozen now" \
        not_writable /img/b.img
    say "  The snapshot was taken when the guest had counted to $count."
}

change() {
    heading "Now the guest changes its memory and both disks"
    true_that "it writes 4 MiB of noise to xvda" guest_ask demo '^SH 0' \
        sh 'dd if=/dev/urandom of=/dev/xvda bs=1M seek=8 count=4 2>/dev/null'
    guest_wait_ticks demo 20
    said_last 2
    spoilt=$(sum_of_disk)
    true_that "it has counted on" [ "$(guest_last_tick demo)" -gt "$count" ]
    true_that "4 MiB of xvda are other bytes now" [ "$spoilt" != "$sum" ]
}

revert() {
    local first

    heading "Put it back"
    guest_mark demo
    shown xl snapshot-revert demo s1
    took
    true_that "the guest counts again" guest_wait_ticks demo 20
    around_revert | sed 's/^/    guest: /'
    first=$(around_revert | sed -n '2s/^TICK \([0-9]*\) ok$/\1/p')
    true_that "it goes on from $count, where the snapshot was taken" \
        is_one_of "$first" "$count" $((count + 1))
    true_that "memory and both disks agree, 20 times in a row" \
        equals "$(guest_mismatches demo)" 0
    true_that "the 4 MiB are the old bytes again" \
        equals "$(sum_of_disk)" "$sum"
}

look() {
    heading "What there is"
    shown xl snapshot-list demo
    shown xl snapshot-info demo s1
}

# What xl alone does, which also shows that the proof above can fail.
without() {
    heading "The same with xl save and xl restore alone"
    guest_mark demo
    typed xl save -c demo /disk/memory.save
    say "  (it counts on)"
    guest_wait_ticks demo 10
    say "  # xl destroy demo"
    guest_destroy demo
    guest_mark demo
    typed xl restore /disk/memory.save
    true_that "the guest finds that its disks are not its memory's" \
        guest_wait_said demo '^TICK .*MISMATCH'
    guest_log demo | grep -m 1 MISMATCH | sed 's/^/    guest: /'
    say "  A real guest would not notice, and would destroy its file systems."
    guest_destroy demo
}

say "A Xen $("$STOCK_XL" info xen_version | cut -d . -f 1,2) host is up."
set_up
start_guest
check
create
change
revert
look
without
say "" "All went as it should. The manual: docs/man/xl-snapshot.1.pod"
