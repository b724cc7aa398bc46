#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# Command lines that make no sense, help, and who may run what.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
export XL_SNAPSHOT_STORE=$work/store

for c in $COMMANDS; do
    run "$XL" "$c" --help
    claim "$c --help succeeds" exits 0
    claim "$c --help fits 80 columns" fits out
    claim "$c --help is on standard output alone" err_empty
    cp "$work/out" "$work/long"
    run "$XL" "$c" -h
    claim "$c -h is the same" cmp -s "$work/long" "$work/out"
    run "$XL" "$c" --nonsense
    claim "$c: an unknown option is a usage error" exits 2
    claim "$c: it is named" err_has "'--nonsense'"
    claim "$c: nothing on standard output" out_empty
done

# bad TEXT PART ARGUMENTS...: exit 2, and PART is in the message.
bad() {
    local text=$1 part=$2
    shift 2
    run "$XL" "$@"
    claim "$text" exits 2
    claim "$text: '$part'" err_has "$part"
}

bad "create without a domain" "too few arguments" snapshot-create
bad "create with three arguments" "'c'" snapshot-create a b c
bad "revert without a snapshot" "DOMAIN SNAPSHOT" snapshot-revert g1
bad "an empty domain" "is empty" snapshot-create ''
bad "an unknown letter" "'-Z'" snapshot-create -Z g1
bad "an option of another command" "--force" snapshot-create --force g1
bad "what is kept needs a name" "'../k' cannot be a name" \
    snapshot-revert --keep ../k g1 s1
bad "an option without its argument" "wants an argument: NAME" \
    snapshot-create g1 --name
bad "an argument for an option that takes none" "takes no argument" \
    snapshot-create --live=yes g1
bad "an empty name" "not empty" snapshot-create -n '' g1
bad "two names" "given twice: 'a' and 'b'" snapshot-create -n a -n b g1
bad "internal and external" "contradict" snapshot-create -i -e g1
bad "running and paused" "contradict" snapshot-revert --running -p g1 s1
bad "quiet and verbose" "contradict" snapshot-list -q -v
bad "xl -v and quiet" "contradict" -v snapshot-list -q
bad "a lock timeout that is no number" "seconds" \
    snapshot-list --lock-timeout 5x
bad "a negative lock timeout" "seconds" snapshot-list --lock-timeout=-1
bad "a lock timeout of years" "seconds" snapshot-list --lock-timeout 99999999
for speed in 0 -1 5X 1.5M M 9999999999G ' 5'; do
    bad "a speed of '$speed'" "bytes a second like 50M, not '$speed'" \
        snapshot-delete --speed="$speed" g1 s1
done
bad "a speed for layers that are kept" "contradict" \
    snapshot-delete --speed 5M --keep-layers g1 s1
bad "a progress descriptor that is no number" "descriptor" \
    snapshot-list --progress-fd x
bad "a progress descriptor that is closed" "not open" \
    snapshot-list --progress-fd 77
bad "a progress descriptor that is for reading" "reading only" \
    snapshot-list --progress-fd 0
for vdev in '' ../xvda 'xvda xvdb' "$(printf 'xv\033[1mda')" \
    xvdaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; do
    run "$XL" snapshot-create --exclude "$vdev" g1
    claim "--exclude of '${vdev//[^ -~]/?}'" exits 2
    claim "the message has no control characters" plain err
done
bad "a description that is not UTF-8" "UTF-8" \
    snapshot-create -d "$(printf 'a\377b')" g1

for name in 1 1a 'a b' a/b -- .. "$(printf 'a\nb')" \
    "$(printf 'a\033]0;x\007')" \
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; do
    run "$XL" snapshot-create --name="$name" g1
    claim "the name '${name//[^ -~]/?}' is refused" exits 2
    claim "with the alphabet" err_has "A-Z a-z 0-9 _ . -"
done
bad "'current' as a name" "a file of that name" \
    snapshot-create --name current g1
bad "a snapshot that is no name" "A-Z a-z 0-9 _ . -" \
    snapshot-info g1 'a b'

run "$XL" snapshot-create --json -i -e g1
claim "--json: usage errors are JSON too" exits 2
claim "with the status" out_has '"exit": 2'
claim "and the reason" out_has 'contradict'
claim "which is on standard error as well" err_has 'contradict'
run "$XL" snapshot-create --nonsense --json g1
claim "--json behind the error counts" out_has '"exit": 2'
run "$XL" snapshot-create --nonsense -- --json
claim "--json that is an argument does not" out_empty

claim "nothing of this made a store" test ! -e "$work/store"

# Not root. A copy, since the build directory may be closed to others.
if [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null; then
    cp "$XL" "$work/xl"
    nobody="setpriv --reuid 65534 --regid 65534 --clear-groups"
    for c in 'create g1' 'revert g1 s1' 'delete g1 s1' 'check g1' recover; do
        # shellcheck disable=SC2086
        run $nobody "$work/xl" snapshot-$c
        claim "snapshot-${c%% *} wants root" exits 1
        claim "and says so" err_has "must be run by root"
    done
    run $nobody "$work/xl" snapshot-create --json g1
    claim "with --json in JSON" out_has '"exit": 1'
    run $nobody "$work/xl" snapshot-create --help
    claim "help is for everybody" exits 0
    run $nobody "$work/xl" snapshot-create -i -e g1
    claim "a usage error comes first" exits 2
    run $nobody "$work/xl" snapshot-list
    claim "list is for everybody who can read the store" exits 0
    mkdir -m 700 "$work/store"
    run $nobody "$work/xl" snapshot-list
    claim "a store that cannot be read is an error" exits 1
    claim "and is named" err_has "$work/store"
    rmdir "$work/store"
else
    skip "not root, or no setpriv: cannot become nobody"
fi

if [ -e /dev/full ]; then
    status=0
    "$XL" snapshot-list --json > /dev/full 2> "$work/err" || status=$?
    claim "a result that cannot be written is an error" exits 1
    claim "and says so" err_has "could not be written"
fi
status=0
"$XL" snapshot-list --json >&- 2> "$work/err" || status=$?
claim "so is a closed standard output" exits 1

finish
