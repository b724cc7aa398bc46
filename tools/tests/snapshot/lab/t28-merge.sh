#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# Deleting snapshots with external disks of a domain that is off merges layers,
# both ways: what is left reads the same, other snapshots work, a merge that is
# killed is finished, and nobody can start the domain meanwhile.
# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

# contents IMAGE FORMAT: a checksum of what a guest reads there.
contents() {
    rm -f "$D/flat"
    qemu-img convert -U -f "$2" -O raw "$1" "$D/flat" &&
        sha256sum < "$D/flat" | cut -c 1-64
    rm -f "$D/flat"
}

# whole SNAPSHOT WORDS: verify finds nothing.
whole() {
    xl_ok "$2: $1 is whole" snapshot-verify g1 "$1"
}

# is_off: the domain is destroyed.
is_off() {
    "$STOCK_XL" destroy g1
    wait_for 80 is_gone g1
}

# wait_aside IMAGE: it is being merged.
wait_aside() {
    wait_for 200 test -e "$1.xl-merging"
}

snap_guest g1 pv 96 qr
take "first" g1 s1 -e
take "middle" g1 s2 -e
take "last" g1 s3 -e
is_off

# ---- in the middle: the next base gets what it needs (up)

a=$(contents "$D/g1-0.s3.qcow2" qcow2)
frozen=$(contents "$D/g1-0.s2.qcow2" qcow2)
xl_ok "middle: --dry-run" snapshot-delete --dry-run g1 s2
like "middle: it says what is copied where" "$out" \
    "merge-up .*copy what $D/g1-0.s2.qcow2 needs of $D/g1-0.s1.qcow2"
ok "middle: and changes nothing" test -e "$D/g1-0.s1.qcow2"
xl_ok "middle: --keep-layers --dry-run" snapshot-delete --keep-layers \
    --dry-run g1 s2
unlike "middle: that would merge nothing" "$out" "merge"
xl_ok "middle: it is done" snapshot-delete g1 s2
not_ok "middle: its base is gone" test -e "$D/g1-0.s1.qcow2"
is "middle: the next one's base reads the same" \
    "$(contents "$D/g1-0.s2.qcow2" qcow2)" "$frozen"
is "middle: the disk, too" "$(contents "$D/g1-0.s3.qcow2" qcow2)" "$a"
is "middle: that base is frozen still" "$(immutable "$D/g1-0.s2.qcow2")" yes
like "middle: the one before it knows its overlay" \
    "$(xl snapshot-info g1 s1)" "access=rw,target=$D/g1-0.s2.qcow2"
whole s1 "middle"
whole s3 "middle"
back_to "middle: the one after it works" g1 s3
is_off

# ---- the last: whichever way is the shorter

rm "$D/g1-0.s3.qcow2" "$D/g1-1.s3.qcow2"
present0=$(echo "$D"/g1-0*.s3-r1.qcow2)
present1=$(echo "$D"/g1-1*.s3-r1.qcow2)
fallocate -l $(($(stat -f -c '%a * %S' /disk) - 262144)) /disk/filler
xl_exits 1 "last: without room for it it is refused" snapshot-delete g1 s3
like "last: with what is missing" "$err" \
    "merging into .* may take [0-9]+ MiB .*make room first, or keep the layers"
rm /disk/filler
a=$(contents "$present0" qcow2)
b=$(contents "$present1" qcow2)
xl_ok "last: it is done" snapshot-delete g1 s3
like "last: what is merged into what is said" "$err" "xvda: .* is merged into"
left0=$(ls "$present0" "$D/g1-0.s2.qcow2" 2> /dev/null)
left1=$(ls "$present1" "$D/g1-1.s2.qcow2" 2> /dev/null)
is "last: of two layers one is left" "$(wc -w <<< "$left0 $left1")" 2
is "last: the disk reads the same" "$(contents "$left0" qcow2)" "$a"
is "last: the second, too" "$(contents "$left1" qcow2)" "$b"
whole s1 "last"

# ---- the first: what the domain wrote goes into its own images (down), killed

cp "$LAB/g1.cfg" "$LAB/was.cfg"
sed -e "s,format=raw,format=qcow2," -e "s,$D/g1-0.qcow2,$left0," \
    -e "s,$D/g1-1.img,$left1," "$LAB/was.cfg" > "$LAB/g1.cfg"
# Much to copy.
dd if=/dev/urandom of="$D/noise" bs=1M count=24 status=none
qemu-io -f qcow2 -c "write -q -s $D/noise 32M 24M" "$left0"
rm "$D/noise"
a=$(contents "$left0" qcow2)
xl snapshot-delete g1 s1 > /dev/null 2>&1 &
pid=$!
ok "killed: it merges" wait_aside "$D/g1-0.qcow2" || ls -l "$D"
kill -9 "$pid"
wait "$pid" 2> /dev/null
not_ok "killed: no image is there by its name" test -e "$left0" -o \
    -e "$D/g1-0.qcow2"
# xl makes a domain of it, which waits for its disk.
"$STOCK_XL" create -q "$LAB/g1.cfg" > /dev/null 2>&1
xl_exits 4 "killed: the next command refuses" snapshot-delete g1 s1
is_gone g1 || is_off
run_xl snapshot-recover g1
for ((i = 0; i < 60 && rc == 4; i++)); do
    sleep 0.5               # qemu-img works on to its end
    run_xl snapshot-recover g1
done
is "killed: recover finishes it" "$rc" 0 || diag "$err"
diag "$out" "$err"
like "killed: it says what an xl.cfg must have" "$out" \
    "'$left0' is gone.*vdev=xvda,access=rw,target=$D/g1-0.qcow2"
is "first: no snapshot is left" "$(find "$STORE/g1" -mindepth 1 -type d)" ""
is "first: only the images that were there first are left" \
    "$(cd "$D" && echo g1-*)" "g1-0.qcow2 g1-1.img"
is "first: the disk reads the same" "$(contents "$D/g1-0.qcow2" qcow2)" "$a"
is "first: the raw one, too" "$(contents "$D/g1-1.img" raw)" "$b"
is "first: it can be written" "$(immutable "$D/g1-0.qcow2")" no
ok "first: it is sound" qemu-img check -q -f qcow2 "$D/g1-0.qcow2"
cp "$LAB/was.cfg" "$LAB/g1.cfg"
guest_mark g1
guest_start g1
ok "first: the domain starts from its xl.cfg" guest_wait_ticks g1 5 480
is "first: its disks agree" "$(guest_mismatches g1)" 0

# ---- again, with the xl.cfg changed by it

take "again" g1 s1 -e
is_off
sed -e "s,format=raw,format=qcow2," -e "s,$D/g1-0.qcow2,$D/g1-0.s1.qcow2," \
    -e "s,$D/g1-1.img,$D/g1-1.s1.qcow2," "$LAB/was.cfg" > "$LAB/g1.cfg"
xl_ok "again: it is done" snapshot-delete --json \
    --update-config "$LAB/g1.cfg" g1 s1
is "again: the xl.cfg is as it was before the snapshot" \
    "$(< "$LAB/g1.cfg")" "$(< "$LAB/was.cfg")"

tap_done
