#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# snapshot-revert --keep: the present becomes a snapshot first, in the same
# operation, and is there again when the domain cannot be built; what is left
# when it is killed.

# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

# keep WORDS NAME SNAPSHOT KEPT OPTION...: revert and keep, and all is well.
keep() {
    local words=$1 name=$2 snap=$3 kept=$4
    shift 4

    apart "$name" "$snap"
    instant_from[$name/$kept]=$(guest_last_tick "$name")
    guest_mark "$name"
    xl_ok "$words: it is done" snapshot-revert --keep "$kept" "$@" "$name" \
        "$snap" || return
    diag "$words: took $took_ms ms"
    diag "$err"
    ticks_on "$name" "$words"
    from_instant "$words" "$name" "$snap"
    watched "$name" "$words"
    # Its last tick was the last before the revert's first.
    instant_to[$name/$kept]=$(guest_log "$name" |
        sed -n 's/^TICK \([0-9]*\) ok$/\1/p' | awk -v from="$(jumps "$name")" '
            $1 == from { exit } { last = $1 } END { print last }')
    instant_to[$name/$kept]=${instant_to[$name/$kept]:-${instant_from[$name/$kept]}}
}

snap_guest g1 pv 96 qr
take "to begin with" g1 s1

# ---- there and back

keep "kept" g1 s1 now
unlike "and does not offer its base for removal" "$err" "remove it"
like "it says what it kept" "$err" "until now is snapshot 'now': $STORE/g1/now"
is "both snapshots are listed" "$(xl snapshot-list g1 | grep -c full)" 2
is "the snapshot of the present leaves no overlay that nobody uses" \
    "$(ls "$D" | grep -c '\.now\.')" 0
is "no journal is left" "$(ls -A "$STORE/.journal")" ""
back_to "to what was kept" g1 now

# ---- refused: nothing was touched

guest_mark g1
xl_exits 1 "a name in use is refused" snapshot-revert --keep s1 g1 s1
xl_exits 2 "no name is refused" snapshot-revert --keep ../x g1 s1
mv "$STORE/g1/s1/memory.xl" "$STORE/g1/s1/away"
xl_exits 1 "a revert that cannot be is refused" snapshot-revert --keep k g1 s1
mv "$STORE/g1/s1/away" "$STORE/g1/s1/memory.xl"
ok "before anything is kept" test ! -e "$STORE/g1/k"
ticks_on g1 "refused"
xl_ok "--dry-run prints both plans" snapshot-revert --dry-run --keep k g1 s1
like "the snapshot's" "$out" "suspend"
like "and the revert's" "$out" "destroy"
ok "and makes nothing" test ! -e "$STORE/g1/k"

# ---- the domain cannot be built

# An xl that restores nothing, the first time, and then hangs if told so.
cat > "$LAB/once" <<EOF
#!/bin/bash
for word; do
    [ "\$word" != restore ] || [ -e $LAB/failed ] || { touch $LAB/failed
        echo "no restore today" >&2; exit 1; }
    [ "\$word" != restore ] || [ ! -e $LAB/hang ] || exec sleep 321
done
exec "$STOCK_XL" "\$@"
EOF
chmod +x "$LAB/once"
guest_wait_ticks g1 4
before=$(guest_last_tick g1)
guest_mark g1
XL_STOCK=$LAB/once xl_exits 3 "a domain that cannot be built: undone" \
    snapshot-revert --keep safe g1 s1
diag "$err"
# It goes on without a jump, so this is all that can be said.
instant_from[g1/safe]=$before
instant_to[g1/safe]=$(guest_last_tick g1)
like "it says why" "$err" "no restore today"
like "and that the domain is back" "$err" "back where it was.*'safe'"
ticks_on g1 "back by itself"
ok "it goes on from where it was" test "$(jumps g1 | head -n 1)" -ge \
    "${before:-1}"
watched g1 "back by itself"
is "no journal is left" "$(ls -A "$STORE/.journal")" ""
back_to "and what was kept is a snapshot" g1 safe

# ---- killed

# killed WORDS WHEN...: SIGKILL when that is true; then recovery.
killed() {
    local words=$1 pid
    shift

    guest_wait_ticks g1 3
    guest_mark g1
    rm -rf "$STORE/g1/dead"
    xl snapshot-revert --keep dead g1 s1 > /dev/null 2>&1 &
    pid=$!
    wait_for 120 "$@"
    kill -KILL "$pid"
    wait "$pid" 2> /dev/null
    guest_mark g1
    ok "$words: the guest goes on by itself" guest_wait_ticks g1 2 40
    xl_ok "$words: recovery" snapshot-recover g1
    diag "$out"
    is "$words: no journal is left" "$(ls -A "$STORE/.journal")" ""
    ticks_on g1 "$words"
    watched g1 "$words"
    xl_ok "$words: recovering twice" snapshot-recover g1
    like "$words: there is nothing more" "$out$err" "[Nn]othing"
}

stands() { is_suspended g1; }
# The new overlay of the revert's, made when the domain is already paused.
going() { ls "$D"/*.s1-r*.qcow2 2> /dev/null | grep -q .; }
drop_overlays() {
    local file

    for file in "$D"/*.s1-r*.qcow2; do
        [[ $(configured g1) == *"$file"* ]] || rm -f "$file"
    done
}

killed "while memory is saved" stands
ok "while memory is saved: no snapshot is left" test ! -e "$STORE/g1/dead"
back_to "so that" g1 s1
back_to "away from the overlay" g1 now
drop_overlays
killed "before the domain is destroyed" going
ok "before the domain is destroyed: what was kept is a snapshot" \
    test -e "$STORE/g1/dead/snapshot.json"

# ---- interrupted when the snapshot is made, and nothing else yet

guest_mark g1
env --default-signal=INT xl snapshot-revert --keep int g1 s1 \
    > "$LAB/stdout" 2> "$LAB/stderr" &
pid=$!
wait_for 120 test -e "$STORE/g1/int/snapshot.json"
kill -INT "$pid"
wait "$pid"
is "interrupted: undone" $? 3
diag "$(cat "$LAB/stderr")"
like "interrupted: the snapshot stays, which is said" "$(cat "$LAB/stderr")" \
    "snapshot 'int' of domain 'g1' is made and stays"
ticks_on g1 "interrupted"
is "interrupted: no journal is left" "$(ls -A "$STORE/.journal")" ""

# ---- killed on the way back

rm -f "$LAB/failed"
touch "$LAB/hang"
guest_wait_ticks g1 3
XL_STOCK=$LAB/once xl snapshot-revert --keep hang g1 s1 > /dev/null 2>&1 &
pid=$!
wait_for 240 pgrep -f 'sleep 321' > /dev/null
kill -KILL "$pid"
wait "$pid" 2> /dev/null
pkill -f 'sleep 321'
xl_exits 4 "killed on the way back: recovery says that it is not whole" \
    snapshot-recover g1
like "and which command finishes it" "$err" \
    "    xl snapshot-revert g1 hang"
guest_mark g1
xl_ok "that command does" snapshot-revert g1 hang
ticks_on g1 "killed on the way back"

# ---- killed while the domain is built: xl goes on, and it is not built twice

apart g1 s1
guest_mark g1
xl snapshot-revert g1 s1 > /dev/null 2>&1 &
pid=$!
wait_for 240 pgrep -f "libxl-save-helper --restore" > /dev/null
kill -KILL "$pid"
wait "$pid" 2> /dev/null
xl_ok "killed while the domain is built: recovery waits and finishes" \
    snapshot-recover g1
diag "$out"
like "as it says" "$out" "revert of domain 'g1' was finished"
ticks_on g1 "killed while the domain is built"
from_instant "killed while the domain is built" g1 s1
watched g1 "killed while the domain is built"
is "no journal is left" "$(ls -A "$STORE/.journal")" ""

comes_back g1 "after all that"
guest_destroy g1
xl_exits 1 "a domain that does not run has no present" \
    snapshot-revert --keep k g1 s1
like "which it says" "$err" "is not running"

tap_done
