#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# list, info, check, delete; what --dry-run changes (nothing); what --json
# prints; and how much memory our processes take.

# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

# world: everything that a command could have changed.
world() {
    find "$D" "$STORE" /var/lib/xen -xdev -type f \
        -printf '%p %s %T@ %m %i\n' | sort
    find "$D" "$STORE" -type d | sort
    lsattr -R "$D"
    xenstore-ls -f -p
    process_state "$(monitor_pid g1)"
    "$STOCK_XL" list | awk '{ print $1, $2 }'
}

# changes_nothing CLAIM ARG...: our xl succeeds, has something to say, and
# the world is the same.
changes_nothing() {
    local claim=$1 before
    shift

    before=$(world)
    xl_ok "$claim: it succeeds" "$@"
    isnt "$claim: it prints something" "$out" ""
    [ "$(world)" = "$before" ]
    tap_result $? "$claim: it changes nothing" ||
        diag "$(diff <(echo "$before") <(world))"
}

# is_json CLAIM TEXT: the text is one JSON value.
is_json() {
    if command -v python3 > /dev/null; then
        ok "$1" python3 -m json.tool /dev/stdin <<< "$2"
    else
        like "$1" "$(tr -d '\n' <<< "$2")" '^\{.*"exit": *[0-9].*\}$'
    fi
}

# ---- nothing yet

snap_guest g1 pv 96 qr
like "list: there are none" "$(xl snapshot-list g1 2>&1)" 'no snapshots'
is_json "list: none is JSON, too" "$(xl snapshot-list --json g1)"
like "check: what is possible" "$(xl snapshot-check g1)" \
    'xvda +internal.*xvdb +external'
is_json "check: as JSON" "$(xl snapshot-check --json g1)"

# ---- two snapshots, and looking at them

take "internal and external" g1 s1 -d 'ünï "code"'
xl_ok "--json: a snapshot is made" snapshot-create --json -n s2 -i \
    --exclude xvdb g1
is_json "--json: stdout of create" "$out"
like "--json: it names the directory" "$out" "\"$STORE/g1/s2\""
is_json "--json: a refusal" "$(xl snapshot-create --json -n s2 g1 2> /dev/null)"
is_json "list: as JSON" "$(xl snapshot-list --json)"
is_json "info: as JSON" "$(xl snapshot-info --json g1 s1)"
like "info: the description" "$(xl snapshot-info g1 s1)" 'ünï "code"'
like "info: the frozen base as an entry for xl.cfg" \
    "$(xl snapshot-info g1 s1)" "access=ro,target=$D/g1-1.img"
like "info: the overlay, too" \
    "$(xl snapshot-info g1 s1)" "access=rw,target=$D/g1-1.s1.qcow2"
like "list: the tree" "$(LC_ALL=C xl snapshot-list --tree g1)" \
    'NAME.*s1 .*`- s2\*'
xl_ok "verify, running: a snapshot is whole" snapshot-verify g1 s1
like "verify, running: its tag and its base are there" "$out" \
    "memory: good.*xvda: good: the tag.*xvdb: good: the frozen base"
is_json "verify: as JSON" "$(xl snapshot-verify --json g1 s1)"
is "list: all domains" "$(xl snapshot-list | grep -c full)" 1

# ---- --dry-run

guest_ask g1 '^STOPPED' stop > /dev/null
sleep 1
changes_nothing "create --dry-run" snapshot-create --dry-run -n s3 g1
changes_nothing "revert --dry-run" snapshot-revert --dry-run g1 s1
changes_nothing "delete --dry-run" snapshot-delete --dry-run g1 s2
changes_nothing "list" snapshot-list g1
changes_nothing "info" snapshot-info g1 s1
changes_nothing "check" snapshot-check g1
changes_nothing "verify" snapshot-verify g1 s1
guest_send g1 go
guest_wait_ticks g1 3

# ---- delete

guest_mark g1
xl_ok "delete, running: it is done" snapshot-delete g1 s2
is "delete, running: the tag is gone, the other stays" \
    "$(tags "$D/g1-0.qcow2")" s1
not_ok "delete, running: the directory is gone" test -e "$STORE/g1/s2"
ticks_on g1 "delete, running"
watched g1 "delete, running"
back_to "the other snapshot still works" g1 s1
ok "delete: its name is free again" xl snapshot-create -i -n s2 \
    --exclude xvdb g1
"$STOCK_XL" destroy g1
wait_for 80 is_gone g1
xl_ok "verify, off: it is whole" snapshot-verify g1 s1
unlike "verify, off: its images are read through" "$out" "not checked"
xl_ok "delete, stopped: it is done" snapshot-delete g1 s2
is "delete, stopped: the tag is gone, the other stays" \
    "$(tags "$D/g1-0.qcow2")" s1
ok "delete, stopped: the image is sound" \
    qemu-img check -q -f qcow2 "$D/g1-0.qcow2"
back_to "the other snapshot works after that" g1 s1
guest_destroy g1

# ---- memory

# note_peaks PID: note its peak and those of all that descend from it.
declare -A peaks
note_peaks() {
    local key rest name='' kib='' child children=

    while IFS=$': \t' read -r key rest; do
        case $key in
        Name) name=$rest ;;
        VmHWM) kib=${rest%% *} ;;
        esac
    done < "/proc/$1/status"
    [ -z "$kib" ] || peaks[$name-$1]=$kib
    read -r children < "/proc/$1/task/$1/children"
    for child in $children; do note_peaks "$child"; done
} 2> /dev/null

snap_guest g4 pv 256 qq
xl snapshot-create -q -n s1 g4 > /dev/null &
pid=$!
while kill -0 $pid 2> /dev/null; do note_peaks $pid; done
wait $pid
is "the snapshot of a guest of 256 MB is made" $? 0
big=
for who in "${!peaks[@]}"; do
    diag "peak of $who: ${peaks[$who]} KiB"
    [ "${peaks[$who]}" -lt 32768 ] || big+=" $who"
done
like "the one that writes memory was seen" "${!peaks[*]}" 'libxl-save-help'
is "none of them took more than 32 MB" "$big" ""
guest_destroy g4

tap_done
