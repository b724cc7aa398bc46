# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# host-lib.sh: what power.sh and sweep.sh share, which boot several hosts one
# after the other and pass their claims on.  To be sourced on the build machine,
# with `here` set; LAB_DIR and LAB_BIN as for run.sh.

: "${LAB_DIR:?}" "${LAB_BIN:?}"

tap_count=0
tap_failed=0
bin=                            # the program that the hosts get
work=                           # for files, on the disk of LAB_DIR

# shellcheck disable=SC2317 # the trap calls it
lab_leave() {
    [ -z "$work" ] || rm -rf "$work"
}

# give_up WHY: nothing after this makes sense.
give_up() {
    echo "Bail out! $*"
    exit 1
}

# lab_begin PROGRAM: the lab is prepared, with that program as its xl.
lab_begin() {
    trap lab_leave EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    mkdir -p "$LAB_DIR" && work=$(mktemp -d "$LAB_DIR/work.XXXXXX") &&
        bin=$work/bin && mkdir "$bin" || exit 1
    bash "$here/prepare.sh" "$LAB_DIR" > "$work/errors" 2>&1 ||
        give_up "the lab cannot be prepared: $(tail -n 1 "$work/errors")"
    cp "$1" "$bin/xl" && ln -s xl "$bin/xl-snapshot" ||
        give_up "there is no $1"
}

# tap_result ok|"not ok" CLAIM
tap_result() {
    tap_count=$((tap_count + 1))
    [ "$1" = ok ] || tap_failed=$((tap_failed + 1))
    echo "$1 $tap_count - $2"
}

# lab_run WORDS SECONDS OPTION... -- SCRIPT ARG...: boot a host, pass on its
# claims, with the words before them, and its remarks.  What run.sh fails with
# is a claim, too, as is a script that makes none.
lab_run() {
    local words=$1 seconds=$2 line claims=0 status
    local re='^(not ok|ok) [0-9]+ - (.*)$'
    shift 2

    LAB_BIN=$bin bash "$here/run.sh" --timeout "$seconds" "$@" \
        > "$work/tap" 2> "$work/errors" &
    wait $!
    status=$?
    while IFS= read -r line; do
        if [[ $line =~ $re ]]; then
            tap_result "${BASH_REMATCH[1]}" "$words: ${BASH_REMATCH[2]}"
            claims=$((claims + 1))
        elif [[ $line != 1..* ]]; then
            echo "# ${line#\# }"
        fi
    done < "$work/tap"
    sed 's/^/# /' "$work/errors"
    [ "$status" -le 1 ] && [ "$claims" -gt 0 ] ||
        tap_result "not ok" "$words: it runs to its end (status $status)"
}

# tap_done: the last line.
tap_done() {
    echo "1..$tap_count"
    [ "$tap_failed" -eq 0 ]
    exit
}
