# SPDX-License-Identifier: LGPL-2.1-only
# shellcheck shell=bash
#
# For the shell tests of the command line: TAP, a place to work in, and
# running a program with its output caught.  Sourced; needs BUILD and SRC.

: "${BUILD:?}" "${SRC:?}"
unset XL_STOCK XL_SNAPSHOT_STORE XL_SNAPSHOT_FRONT
# shellcheck disable=SC2034 # for the test
XL=$BUILD/xl
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT

count=0
failed=0

# claim TEXT COMMAND...: the command succeeds.
claim() {
    local text=$1
    shift
    count=$((count + 1))
    if "$@"; then
        echo "ok $count - $text"
    else
        echo "not ok $count - $text"
        echo "# failed: $*"
        if [ -s "$work/out" ]; then sed 's/^/# out: /' "$work/out"; fi
        if [ -s "$work/err" ]; then sed 's/^/# err: /' "$work/err"; fi
        failed=$((failed + 1))
    fi
}

skip() {
    count=$((count + 1))
    echo "ok $count # SKIP $1"
}

finish() {
    echo "1..$count"
    exit $((failed > 0))
}

# run COMMAND...: sets $status; output is in $work/out and $work/err.
run() {
    status=0
    "$@" > "$work/out" 2> "$work/err" < /dev/null || status=$?
}

exits() { [ "$status" = "$1" ]; }
out_is() { [ "$(cat "$work/out")" = "$1" ]; }
out_empty() { [ ! -s "$work/out" ]; }
err_empty() { [ ! -s "$work/err" ]; }
out_has() { grep -qF -- "$1" "$work/out"; }
err_has() { grep -qF -- "$1" "$work/err"; }
out_lacks() { ! grep -qF -- "$1" "$work/out"; }
fits() { ! grep -qE '.{80,}' "$work/$1"; }
not() { ! "$@" 2> /dev/null; }
plain() { ! LC_ALL=C grep -q '[^ -~]' "$work/$1"; }
# shellcheck disable=SC2034 # for the test
COMMANDS='snapshot-create snapshot-revert snapshot-list snapshot-info
snapshot-delete snapshot-check snapshot-verify snapshot-recover
snapshot-adopt'
