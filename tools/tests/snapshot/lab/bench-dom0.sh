#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# The measurements, in dom0; started by bench-host.sh, which makes the table.
#
#   bench-dom0.sh RUNS
#
# Ours and the stock tools take turns on the same guest.  One line a figure
# goes to /lab/out/results: PLACE WHAT VALUE, in milliseconds or KiB.  Round 0
# of each place warms up and is not counted.

# shellcheck source=lib.sh
. /lab/lib.sh

MEMORY_MB=512
runs=${1:?}
place=                          # tmpfs or ext4
dir=                            # where images, store and files are
took_ms=                        # set by timed
verbose=-q

die() {
    echo "bench: $*" >&2
    exit 1
}

# note ROUND WHAT VALUE: a figure; those of round 0 are dropped.
note() {
    [ -n "$3" ] || die "$place: no value for $2"
    [ "$1" -eq 0 ] || echo "$place $2 $3" >> "$LAB/out/results"
}

say() {
    echo "$place: $* ($(($(now_ms) / 1000)) s)"
}

# settle: what was written before is on its disk before the next is timed.
settle() {
    sync
    sleep 0.3
}

# figure NAME: a number from the JSON of the last command.
figure() {
    sed -n "s/^ *\"$1\": *\\([0-9]*\\).*/\\1/p" "$LAB/json" | head -n 1
}

guest() {
    local name=$1 type=$2 i disks=()

    for ((i = 0; i < $3; i++)); do
        mk_qcow2 "$dir/img/$name-$i.qcow2" 256M
        disks+=("$dir/img/$name-$i.qcow2")
    done
    GUEST_EXTRA="tick.ms=100 tick.ram=4 ${GUEST_EXTRA:-}" GUEST_WEIGHT=256 \
        guest_config "$name" "$type" $MEMORY_MB "${disks[@]}" > /dev/null
    guest_start "$name" || die "$name does not start"
    guest_wait_ticks "$name" 20 120 >&2 || die "$name does not tick"
}

# ---- what is timed -------------------------------------------------------

save_and_sync() {
    "$STOCK_XL" save -c "$1" "$dir/save" > "$LAB/said" 2>&1 &&
        sync "$dir/save"
}

# create_and_sync GUEST [OPTION...]
create_and_sync() {
    local name=$1
    shift

    # shellcheck disable=SC2086 # several words, or none
    xl snapshot-create $verbose --json --store "$dir/store" -n b "$@" "$name" \
        > "$LAB/json" 2> "$LAB/said" &&
        sync "$dir/store/$name/b/memory.xl"
}

revert_and_sync() {
    xl snapshot-revert -q --store "$dir/store" "$1" b \
        > "$LAB/said" 2>&1 && sync "$dir/img/$1-0.qcow2"
}

# Nobody waits for QEMU here, which a careful user would.
stock_revert_and_sync() {
    {
        "$STOCK_XL" destroy "$1" &&
            qemu-img snapshot -a b "$dir/img/$1-0.qcow2" &&
            "$STOCK_XL" restore "$dir/store/$1/b/memory.xl" &&
            sync "$dir/img/$1-0.qcow2"
    } > "$LAB/said" 2>&1
}

must() {
    settle
    timed "$@" && return
    cat "$LAB/said" >&2
    die "$place: $* failed"
}

drop() {
    xl snapshot-delete -q --store "$dir/store" "$1" b >&2 ||
        die "cannot delete the snapshot of $1"
}

# ---- the parts -----------------------------------------------------------

measure_create() {
    local i

    guest one pv 1
    guest four pv 4
    for ((i = 0; i <= runs; i++)); do
        must save_and_sync one
        note "$i" create_stock "$took_ms"
        rm "$dir/save"
        must create_and_sync one
        note "$i" create_ours "$took_ms"
        note "$i" still_one "$(figure still_ms)"
        drop one
        must create_and_sync four
        note "$i" still_four "$(figure still_ms)"
        drop four
        say "create, round $i of $runs"
    done
    guest_destroy four
}

# Of every process that is ours or works for us; nothing here forks.
watch_memory() {
    local pid key value unit file nothing

    exec {nothing}<> <(:)
    while :; do
        for file in /proc/[0-9]*; do
            pid=${file#/proc/}
            [[ $file/exe -ef $LAB/bin/xl || $file/exe -ef $helper ||
                $file/exe -ef $qemu_img ]] || continue
            while read -r key value unit; do
                [ "$key" != VmHWM: ] || echo "$pid $value $unit"
            done 2>/dev/null < "$file/status"
        done
        read -r -t 0.05 -u "$nothing"
    done
}

measure_memory() {
    local watcher helper=/usr/lib/xen-4.17/bin/libxl-save-helper qemu_img

    qemu_img=$(command -v qemu-img)
    watch_memory > "$LAB/hwm" 2>/dev/null &
    watcher=$!
    verbose='-v -v' must create_and_sync one
    cp "$LAB/said" "$LAB/out/steps-$place"
    note 1 create_spoken "$took_ms"
    note 1 journal_syncs "$(sed -n 's/^journal: \([0-9]*\) syncs.*/\1/p' \
        "$LAB/said" | tail -n 1)"
    note 1 journal "$(sed -n 's/^journal: .* \([0-9]*\) us$/\1/p' \
        "$LAB/said" | tail -n 1 | awk '{ print $1 / 1000 }')"
    kill $watcher
    wait $watcher 2>/dev/null
    note 1 memory_sum "$(awk '$2 > m[$1] { m[$1] = $2 }
        END { for (p in m) s += m[p]; print s }' "$LAB/hwm")"
    note 1 memory_largest "$(awk '$2 > m { m = $2 } END { print m }' \
        "$LAB/hwm")"
    note 1 memory_processes "$(awk '{ print $1 }' "$LAB/hwm" | sort -u |
        wc -l)"
    say "memory of a create"
}

# Goes on from the snapshot that measure_memory took.
measure_revert() {
    local i

    for ((i = 1; i <= runs; i++)); do
        must stock_revert_and_sync one
        note "$i" revert_stock "$took_ms"
        guest_wait_ticks one 5 >&2 || die "one does not tick"
        must revert_and_sync one
        note "$i" revert_ours "$took_ms"
        guest_mark one
        guest_wait_ticks one 5 >&2 || die "one does not tick"
        [ "$(guest_mismatches one)" = 0 ] || die "one has a mismatch"
        say "revert, round $i of $runs"
    done
    drop one
    guest_destroy one
}

# gap_reset GUEST: the emulated processor loses a PVH guest now and then (see
# emulator_failed in all.sh); xl starts it again, and so do we.
gap_reset() {
    local try

    for try in 1 2 3; do
        guest_ask "$1" '^GAP reset' gap >&2 && return
        say "$1 did not answer, try $try"
        guest_wait_ticks "$1" 20 120 >&2
    done
    die "$1 does not answer"
}

# note_gap ROUND WHAT GUEST: the longest time between two ticks since then.
note_gap() {
    guest_wait_ticks "$3" 3 >&2 || die "$3 does not tick"
    note "$1" "gap_$2" "$(guest_gap "$3")"
}

# one_pause ROUND KIND [OPTION]: as we say it, and as the guest sees it.
one_pause() {
    gap_reset pvh
    must create_and_sync pvh ${3:+"$3"}
    note "$1" "pause_$2" "$(figure pause_ms)"
    note_gap "$1" "$2" pvh
    drop pvh
}

measure_live() {
    local i

    GUEST_EXTRA=tick.ms=20 guest pvh pvh 1
    for ((i = 1; i <= runs; i++)); do
        one_pause "$i" stopped
        one_pause "$i" live --live
        say "live, round $i of $runs"
    done
    guest_destroy pvh
}

# frozen NAME MIB FROM: a snapshot with an overlay, to which the guest then
# writes, from that MiB on.
frozen() {
    must xl snapshot-create -q --store "$dir/store" -n "$1" -e merge
    guest_ask merge "^FILL $2 done" fill "$2" "$3" >&2 || die "no fill"
}

# merged ROUND WHAT SNAPSHOT: deleted while the guest runs.
merged() {
    gap_reset merge
    must xl snapshot-delete -q --store "$dir/store" merge "$3"
    note "$1" "delete_$2" "$took_ms"
    note_gap "$1" "$2" merge
}

# kib IMAGE: what it has on disk.
kib() {
    sync
    du -k "$1" | cut -f 1
}

# A base that was there before gets what the overlay holds (down); and an
# overlay gets what it needs of another one (up), which is the smaller one.
measure_merge() {
    local i base=$dir/img/merge-0 lower before

    GUEST_EXTRA=tick.ms=20 guest merge pv 1
    took_ms=5000
    for ((i = 0; i <= runs; i++)); do
        gap_reset merge
        nap $((took_ms / 1000 + 1))
        note_gap "$i" idle merge
        frozen d 24 0
        merged "$i" down d
        frozen u1 16 0
        frozen u2 24 16
        lower=$(kib "$base.u1.qcow2")
        before=$(kib "$base.u2.qcow2")
        merged "$i" up u2
        note "$i" merge_copied $(($(kib "$base.u2.qcow2") - before))
        note "$i" merge_smaller "$lower"
        must xl snapshot-delete -q --store "$dir/store" merge u1
        say "merges, round $i of $runs"
    done
    guest_destroy merge
}

measure_at() {
    place=$1
    dir=$2
    mkdir -p "$dir/img" "$dir/store"
    measure_create
    measure_memory
    measure_revert
    measure_live
    measure_merge
    rm -rf "${dir:?}/img" "${dir:?}/store"
}

: > "$LAB/out/results"
measure_at tmpfs "$LAB/bench"
lab_disk || die "no disk"
# The journal is in the default place, whatever the store is.
mkdir -p /disk/bench/snapshots /var/lib/xen/snapshots
mount --bind /disk/bench/snapshots /var/lib/xen/snapshots ||
    die "no place for the journal"
measure_at ext4 /disk/bench
