# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# t2-table.sh: deleting a branch point, a snapshot in the middle and the last
# one, of a domain that runs and of one that is off.  To be sourced after
# t1-lib.sh, in dom0.  Not a test itself.

# contents NAME: a checksum of what a guest reads on all its disks; of a domain
# that is off.
contents() {
    local image format

    while read -r image format; do
        rm -f "$D/flat"
        qemu-img convert -U -f "$format" -O raw "$image" "$D/flat"
        sha256sum < "$D/flat"
    done < <(present "$1") | sha256sum | cut -c 1-64
    rm -f "$D/flat"
}

# present NAME: the images that its xl.cfg names, with their formats.
present() {
    grep -o "format=[a-z0-9]*,[^']*" "$LAB/$1.cfg" |
        sed 's/format=\([a-z0-9]*\),.*target=\(.*\)/\2 \1/'
}

# a_branch NAME ROOT SIDE MIDDLE LAST OPTION...: ROOT has the children SIDE and
# MIDDLE, LAST is on MIDDLE, and the guest goes on there.
a_branch() {
    local name=$1 root=$2 side=$3 middle=$4 last=$5 words=$1
    shift 5

    take "$words" "$name" "$side" "$@"
    back_to "$words: back to $root" "$name" "$root" \
        --update-config "$LAB/$name.cfg"
    take "$words" "$name" "$middle" "$@" --update-config "$LAB/$name.cfg"
    take "$words" "$name" "$last" "$@" --update-config "$LAB/$name.cfg"
}

# deletes WORDS NAME SNAPSHOT: it is done, and the others are whole.
deletes() {
    local words=$1 name=$2 snap=$3 other
    shift 3

    xl_ok "$words: it is deleted" snapshot-delete \
        --update-config "$LAB/$name.cfg" "$name" "$snap"
    # shellcheck disable=SC2154 # run_xl sets them
    diag "$words: $took_ms ms. $err"
    for other; do
        xl_ok "$words: $other is whole" snapshot-verify "$name" "$other"
    done
}

# table NAME LETTERS OPTION...: all six, with disks of that kind.
table() {
    local name=$1 letters=$2 was before case
    shift 2

    snap_guest "$name" pv 96 "$letters"
    take "$name" "$name" s1 "$@" --update-config "$LAB/$name.cfg"
    a_branch "$name" s1 side1 m1 l1 "$@"
    filled "$name" 4
    was=$(sum "$name" 4)
    deletes "$name, runs, branch point" "$name" s1 side1 m1 l1
    deletes "$name, runs, middle" "$name" m1 side1 l1
    deletes "$name, runs, last" "$name" l1 side1
    is "$name, runs: the guest reads what it wrote" "$(sum "$name" 4)" "$was"
    all_well "$name" "$name, runs"
    back_to "$name: to the other branch" "$name" side1 \
        --update-config "$LAB/$name.cfg"
    a_branch "$name" side1 side2 m2 l2 "$@"
    guest_destroy "$name"
    before=$(contents "$name")
    for case in "branch point side1 side2 m2 l2" "middle m2 side2 l2" \
        "last l2 side2"
    do
        # shellcheck disable=SC2086 # words
        set -- ${case#branch }
        deletes "$name, off, ${case%% *}" "$name" "${@:2}"
        is "$name, off, ${case%% *}: the disks read the same" \
            "$(contents "$name")" "$before"
    done
    guest_start "$name"
    ok "$name: it starts from its xl.cfg" guest_wait_ticks "$name" 5 480
    back_to "$name: the last that is left works" "$name" side2
    guest_destroy "$name"
}
