#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# power.sh: the host loses its power in the middle of operations; for `make
# check-power`.  Operations are recorded once, with all that is written to the
# disk of dom0; then the disk is made as of a moment in one of them, without
# what was not flushed, and a host that boots with it recovers.
#
# POWER_CUTS  how many (default: 20), dealt out to the operations in turn
# POWER_SEED  of the moments, and of what is lost (default: any; it is shown)
# LAB_DIR, LAB_BIN   as for run.sh
#
# TAP; of each cut the claims of power-dom0.sh.

set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=host-lib.sh
. "$here/host-lib.sh"

cuts=${POWER_CUTS:-20}
RANDOM=$((${POWER_SEED:=$RANDOM} % 32768))

# pick FROM TO: a number, into $picked; a subshell would have its own.
pick() {
    picked=$(($1 + (RANDOM * 32768 + RANDOM) % ($2 - $1 + 1)))
}

# cut_power NUMBER: one of them.
cut_power() {
    local op=$(($1 % operations)) entry seed words picked

    pick "${begins[op]}" "${ends[op]}"
    entry=$picked
    # Every second time nothing unflushed is kept.
    seed=$(($1 / operations % 2 ? RANDOM + 1 : 0))
    words="cut $1, in ${names[op]}"
    rm -f "$work/disk.raw"
    truncate -s 8G "$work/disk.raw"
    echo "# $words: request $entry of ${begins[op]}..${ends[op]}," \
        "$("$here/power-cut.pl" cut "$work/writes.log" "$entry" "$seed" \
            "$work/disk.raw")"
    lab_run "$words" 900 --keep-disk -- power-dom0.sh check "$op"
}

lab_begin "$LAB_BIN/xl"
export LAB_KEEP=$work LAB_CPUS=1
echo "# POWER_SEED=$POWER_SEED"
LAB_BIN=$bin bash "$here/run.sh" --timeout 1200 --log-writes \
    -- power-dom0.sh record > "$work/words" 2>&1 ||
    give_up "the operations failed: $(tail -n 5 "$work/words")"
begins=() ends=() names=()
while read -r entry op what rest; do
    case $what in
    begin) begins[op]=$entry names[op]=$rest ;;
    end) ends[op]=$entry ;;
    esac
done < <("$here/power-cut.pl" marks "$work/writes.log")
operations=${#ends[@]}
[ "$operations" -gt 0 ] || give_up "the log of writes has no marks"
echo "# $operations operations, $(du -h "$work/writes.log" | cut -f 1) written"
for ((i = 0; i < cuts; i++)); do cut_power "$i"; done
tap_done
