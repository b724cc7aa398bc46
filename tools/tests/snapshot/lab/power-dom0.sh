#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# The two halves of the power cuts, in dom0; run by power.sh.
#
#   power-dom0.sh record     operations on a guest whose images, with store and
#                            journal, are on dom0's disk; marks say where in the
#                            log of its writes each begins and ends
#   power-dom0.sh check N    after a cut in the Nth of them: recover, and look
#
# TAP is printed by check.

# shellcheck disable=SC2317 # functions are called through others
# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

# NAME of the snapshot that is made ("-": none), and the command.
OPERATIONS=(
    "s1 snapshot-create -i -n s1 g1"
    "s2 snapshot-create -e -n s2 g1"
    "s3 snapshot-create -i -n s3 g1"
    "-  snapshot-revert g1 s1"
    "s4 snapshot-create -e -n s4 g1"
    "-  snapshot-revert g1 s2"
    "s5 snapshot-revert --keep s5 g1 s4"
    "s6 snapshot-create -i -n s6 g1"
)

# mark TEXT: for power-cut.pl.
mark() {
    printf 'SNAPMARK %s\n' "$*" |
        dd of=/disk/mark bs=4096 count=1 conv=sync,notrunc oflag=direct,dsync \
            status=none
}

mount_disk() {
    lab_disk || bail_out "no disk"
    mkdir -p /disk/store "$STORE"
    mount --bind /disk/store "$STORE"
}

record() {
    local i name words

    mount_disk
    dd if=/dev/zero of=/disk/mark bs=4096 count=1 conv=fsync status=none
    snap_guest g1 pv 96 qq
    cp "$LAB/g1.cfg" /disk/g1.cfg
    sync
    for i in "${!OPERATIONS[@]}"; do
        read -r name words <<< "${OPERATIONS[i]}"
        mark "$i begin $words"
        # shellcheck disable=SC2086 # words
        xl -v $words || exit 1
        mark "$i end"
        guest_wait_ticks g1 5 || exit 1
    done
}

# ---- after the cut -------------------------------------------------------

# Leaks of a qcow2 (status 3) waste space and harm nobody.
images_are_sound() {
    local file status wrong=0

    for file in "$D"/*.qcow2; do
        qemu-img check "$file" > "$LAB/check" 2>&1
        status=$?
        case $status in
        0 | 3) ;;
        *) echo "$file: status $status: $(< "$LAB/check")"; wrong=1 ;;
        esac
    done
    return $wrong
}

is_listed() {
    xl snapshot-list g1 2>&1 | grep -q "^$1\*\? .* full"
}

# No directory, tag, draft or journal of a snapshot that is not there.
no_litter() {
    local dir file tag wrong=0

    for dir in "$STORE"/g1/*/; do
        [ ! -d "$dir" ] || [ -e "$dir/snapshot.json" ] ||
            { echo "$dir has no manifest"; wrong=1; }
    done
    for file in "$D"/*.qcow2; do
        for tag in $(tags "$file"); do
            [ -e "$STORE/g1/$tag/snapshot.json" ] ||
                { echo "$file has the tag $tag"; wrong=1; }
        done
    done
    find "$STORE" "$D" -name '.*.new' | grep . && wrong=1
    [ -z "$(ls -A "$STORE/.journal")" ] || { ls -la "$STORE/.journal"; wrong=1; }
    return $wrong
}

# reverts SNAPSHOT: RAM and disks of it agree.
reverts() {
    guest_mark g1
    xl_ok "it can be reverted to $1" snapshot-revert g1 "$1" || return
    ticks_on g1 "reverted to $1"
}

check() {
    local n=$1 i name words complete=() own

    read -r own words <<< "${OPERATIONS[n]}"
    for ((i = 0; i < n; i++)); do
        read -r name words <<< "${OPERATIONS[i]}"
        [ "$name" = - ] || complete+=("$name")
    done
    mount_disk
    rm -f /disk/mark
    cp /disk/g1.cfg "$LAB/g1.cfg"
    diag "$(ls -l "$D" "$STORE"/* "$STORE/.journal")"
    run_xl snapshot-recover
    diag "recover: status $rc in $took_ms ms: $out $err"
    ok "recover ends with 0, or 4 and the command to give" \
        test "$rc" -eq 0 -o "$rc" -eq 4
    if [ "$rc" -eq 4 ]; then
        words=$(sed -n 's/^ \{4\}xl \(snapshot-revert .*\)/\1/p' \
            "$LAB/xl.err" | tail -n 1)
        # shellcheck disable=SC2086 # words
        xl_ok "the command that recover gives: $words" \
            ${words:-none-was-given}
    fi
    ok "the images are sound" images_are_sound
    for name in "${complete[@]}"; do
        ok "snapshot $name is there" is_listed "$name"
    done
    if [ "$own" != - ] && [ -e "$STORE/g1/$own" ]; then
        ok "what is there of $own is whole" is_listed "$own"
        complete+=("$own")
    fi
    ok "nothing else is left" no_litter
    xl_ok "recovering twice" snapshot-recover
    like "changes nothing" "$out$err" "[Nn]othing"
    [ ${#complete[@]} -eq 0 ] || reverts "${complete[-1]}"
    [ ${#complete[@]} -lt 2 ] ||
        reverts "${complete[RANDOM % (${#complete[@]} - 1)]}"
    if [ ${#complete[@]} -eq 0 ]; then
        guest_start g1
        guest_wait_said g1 '^TICK start' 120
        ticks_on g1 "booted from its image"
    fi
    tap_done
}

case $1 in
record) record ;;
check) check "$2" ;;
esac
