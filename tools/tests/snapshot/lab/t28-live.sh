#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# Deleting snapshots with external disks while the domain runs: its QEMU merges
# the layers, both ways, at any place of the chain, and the guest writes all the
# time.  What is left reads the same, and the toolstack names the right images.
# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

# contents IMAGE: a checksum of what is read there; of one nobody writes.
contents() {
    rm -f "$D/flat"
    qemu-img convert -U -f qcow2 -O raw "$1" "$D/flat" &&
        sha256sum < "$D/flat" | cut -c 1-64
    rm -f "$D/flat"
}

# allocated IMAGE: its bytes on disk, in KiB.
allocated() {
    du -k "$1" | cut -f 1
}

# chain IMAGE: it and what is below it, by their headers.
chain() {
    qemu-img info -U --backing-chain -f qcow2 "$1" |
        sed -n 's,^image: .*/g1-[0-9]*,,p' | xargs echo
}

snap_guest g1 pv 96 qr
filled g1 6
take "first" g1 s1 -e
filled g1 3
take "middle" g1 s2 -e
take "last" g1 s3 -e
s=$(sum g1 6)

# ---- in the middle: a frozen layer that is not on top gets what it needs

frozen=$(contents "$D/g1-0.s2.qcow2")
guest_send g1 gap
guest_mark g1
xl_ok "middle: --dry-run" snapshot-delete --dry-run g1 s2
like "middle: it says who does it" "$out" \
    "xvda: '$D/g1-0.s1.qcow2' is merged into '$D/g1-0.s2.qcow2' by QEMU, while \
the domain runs, up to [0-9]+ KiB are copied, about"
ok "middle: and changes nothing" test -e "$D/g1-0.s1.qcow2"
small=$(allocated "$D/g1-0.s1.qcow2")
before=$(allocated "$D/g1-0.s2.qcow2")
xl_ok "middle: it is done while the guest writes" snapshot-delete g1 s2
diag "middle: took $took_ms ms"
after=$(allocated "$D/g1-0.s2.qcow2")
diag "copied $((after - before)) KiB; the lower layer had $small KiB"
ok "middle: no more is copied than 1.1 times what the smaller layer had" \
    test "$(((after - before) * 10))" -le "$((small * 11))"
not_ok "middle: its base is gone" test -e "$D/g1-0.s1.qcow2"
is "middle: the chain is shorter by it" "$(chain "$D/g1-0.s3.qcow2")" \
    ".s3.qcow2 .s2.qcow2 .qcow2"
is "middle: the next one's base reads the same" \
    "$(contents "$D/g1-0.s2.qcow2")" "$frozen"
is "middle: that is frozen still" "$(immutable "$D/g1-0.s2.qcow2")" yes
all_well g1 "middle"
diag "middle: longest gap $(guest_gap g1) ms"
xl_ok "middle: the next one is whole" snapshot-verify g1 s3
is "middle: the guest reads what it wrote" "$(sum g1 6)" "$s"
comes_back g1 "middle"

# ---- somebody else's job

# The node that the guest's first disk is on.
node=$("$STOCK_XL" qemu-monitor-command g1 'info block' |
    sed -n "s,^\([^ :]*\): $D/g1-0.s3.qcow2.*,\1,p")
"$STOCK_XL" qemu-monitor-command g1 "block_stream $node 1"
ok "busy: somebody has a job on the disk" wait_for 60 has_job g1
xl_exits 1 "busy: then it is refused" snapshot-delete g1 s3
like "busy: and it says why" "$err" \
    "disk 'xvda': a block job .* wait until it has ended"
ok "busy: nothing was touched" test -d "$STORE/g1/s3"
"$STOCK_XL" qemu-monitor-command g1 "block_job_cancel $node"
ok "busy: it ends" wait_for 60 no_job g1

# ---- interrupted: it is undone

filled g1 6
s=$(sum g1 6)
xl snapshot-delete --speed 256k g1 s3 > "$LAB/int.out" 2>&1 &
pid=$!
ok "interrupted: it merges" wait_for 60 has_job g1
kill -TERM "$pid"
wait "$pid"
is "interrupted: the status says undone" $? 3 || diag "$(< "$LAB/int.out")"
like "interrupted: and it says why" "$(< "$LAB/int.out")" "interrupted"
is "interrupted: the chain is as it was" "$(chain "$D/g1-0.s3.qcow2")" \
    ".s3.qcow2 .s2.qcow2 .qcow2"
all_well g1 "interrupted"
xl_ok "interrupted: the snapshot is whole" snapshot-verify g1 s3

# ---- the last: the image that the domain writes gets what it needs

guest_send g1 gap
guest_mark g1
xl_ok "top: it is done while the guest writes" snapshot-delete g1 s3
diag "top: took $took_ms ms; $err"
not_ok "top: its base is gone" test -e "$D/g1-0.s2.qcow2"
is "top: the chain is shorter by it" "$(chain "$D/g1-0.s3.qcow2")" \
    ".s3.qcow2 .qcow2"
all_well g1 "top"
diag "top: longest gap $(guest_gap g1) ms"
is "top: the guest reads what it wrote" "$(sum g1 6)" "$s"
comes_back g1 "top"

# ---- down: what the domain writes goes into what was there first

guest_send g1 gap
guest_mark g1
xl_ok "down: it is done while the guest writes" snapshot-delete g1 s1
diag "down: took $took_ms ms; $err"
is "down: xenstore names what was there first" "$(params g1)" \
    "qcow2:$D/g1-0.qcow2 aio:$D/g1-1.img qcow2:$D/g1-0.qcow2 aio:$D/g1-1.img"
is "down: so does libxl" "$(configured g1)" "$D/g1-0.qcow2 $D/g1-1.img"
like "down: it says what an xl.cfg must have" "$err" \
    "vdev=xvda,access=rw,target=$D/g1-0.qcow2"
is "down: no other image is left" "$(cd "$D" && echo g1-*)" \
    "g1-0.qcow2 g1-1.img"
all_well g1 "down"
diag "down: longest gap $(guest_gap g1) ms"
is "down: the guest reads what it wrote" "$(sum g1 6)" "$s"
comes_back g1 "down"

tap_done
