#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# all.sh [NAME...]: feed each fuzz target (manifest, qmp...) from its kept
# corpus and on, and print TAP.  Needs what `make fuzz-programs` builds.
#
# BUILD         where it was built
# FUZZ_SECONDS  for each target (default: 20); two run at a time
# FUZZ_KEEP     a directory: what was found that reaches new code goes to
#               FUZZ_KEEP/NAME, the smallest inputs that reach all of it
#
# An input that does harm is left as BUILD/obj-fuzz/crash-NAME-*, to be run with
# the target alone, mended, and made a case of the unit tests.  To keep a new
# corpus: tar -cJf corpus/NAME.tar.xz -C FUZZ_KEEP/NAME .

set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD=${BUILD:?}
SECONDS_EACH=${FUZZ_SECONDS:-20}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
# What a harmless run may take; an input of a few KB that takes more does harm.
limits=(-rss_limit_mb=1024 -timeout=20 -max_len=65536)

# fuzz NAME: one target; its words in $work/NAME.log, its status in $work/NAME.
fuzz() {
    local program=$BUILD/obj-fuzz/tools/tests/snapshot/fuzz/fuzz_$1
    local corpus=$work/$1.corpus

    mkdir -p "$corpus"
    [ ! -f "$here/corpus/$1.tar.xz" ] ||
        tar -xJf "$here/corpus/$1.tar.xz" -C "$corpus"
    "$program" "${limits[@]}" -max_total_time="$SECONDS_EACH" \
        -artifact_prefix="$BUILD/obj-fuzz/crash-$1-" "$corpus" \
        > "$work/$1.log" 2>&1 < /dev/null
    echo $? > "$work/$1"
    [ -n "${FUZZ_KEEP:-}" ] || return 0
    mkdir -p "$FUZZ_KEEP/$1"
    "$program" "${limits[@]}" -merge=1 "$FUZZ_KEEP/$1" "$corpus" \
        >> "$work/$1.log" 2>&1
}

names=("$@")
[ $# -gt 0 ] || for source in "$here"/fuzz_*.c; do
    name=${source##*/fuzz_}
    names+=("${name%.c}")
done
for name in "${names[@]}"; do
    [ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n
    fuzz "$name" &
done
wait
count=0
for name in "${names[@]}"; do
    count=$((count + 1))
    if [ "$(cat "$work/$name" 2> /dev/null)" = 0 ]; then
        echo "ok $count - no input does harm: $name"
        sed -n 's/^Done .*/# &/p' "$work/$name.log"
    else
        echo "not ok $count - no input does harm: $name"
        grep -v 'NEW\|REDUCE\|pulse\|RELOAD' "$work/$name.log" |
            tail -n 60 | sed 's/^/# /'
    fi
done
echo "1..$count"
