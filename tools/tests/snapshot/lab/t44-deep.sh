#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# A disk whose chain has sixty images: create, list, revert and delete work, and
# none takes much longer than on a chain of one.
# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

DEPTH=57                        # and three snapshots

# mk_chain PREFIX N: so many images, each on the one before; $top is the last.
mk_chain() {
    local i

    top=$1-1.qcow2
    mk_qcow2 "$top" 64M
    for ((i = 2; i <= $2; i++)); do
        mk_qcow2 "$1-$i.qcow2" 64M "$top"
        top=$1-$i.qcow2
    done
}

# layers IMAGE: how many images it stands on, with itself.
layers() {
    qemu-img info -U --backing-chain -f qcow2 "$1" | grep -c '^image: '
}

# guest_on NAME IMAGE
guest_on() {
    guest_config "$1" pv 96 "$2" > /dev/null
    guest_start "$1" || bail_out "guest $1 does not start"
    guest_wait_ticks "$1" 5 480 || bail_out "guest $1 does not tick"
}

mkdir -p "$D"

# ---- on a chain of one, for comparison

mk_chain "$D/flat" 1
guest_on flat "$top"
xl_ok "flat: create" snapshot-create -e -n f1 flat
flat_create=$took_ms
xl_ok "flat: delete" snapshot-delete flat f1
flat_delete=$took_ms
guest_destroy flat

# ---- on a chain of sixty

mk_chain "$D/deep" "$DEPTH"
guest_on deep "$top"
take "deep" deep d1 -e
take "deep" deep d2 -e
take "deep" deep d3 -e
deep_create=$took_ms
is "deep: there are sixty images" "$(layers "$D/deep-$DEPTH.d3.qcow2")" 60
diag "create took $flat_create ms on a chain of one, $deep_create of sixty"
ok "deep: create takes at most three times as long" \
    test "$deep_create" -le $((flat_create * 3))
xl_ok "deep: all images are listed" snapshot-list --disks deep
is "deep: by name" "$(grep -c '/deep-' <<< "$out")" 60
xl_ok "deep: a snapshot is whole" snapshot-verify deep d2
back_to "deep: revert to the one in the middle" deep d2
diag "revert took $took_ms ms"
xl_ok "deep: delete the last" snapshot-delete deep d3
xl_ok "deep: delete the first" snapshot-delete deep d1
deep_delete=$took_ms
diag "delete took $flat_delete ms on a chain of one, $deep_delete of sixty; $err"
ok "deep: delete takes at most three times as long" \
    test "$deep_delete" -le $((flat_delete * 3))
ticks_on deep "deep: in the end"
xl_ok "deep: what is left is whole" snapshot-verify deep d2
back_to "deep: and works" deep d2

tap_done
