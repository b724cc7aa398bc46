#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# What keeps a store in order: abandoned overlays are removed, manifests are
# repaired while the domain runs and while it is off, a snapshot is deleted
# and its memory image stays.  Then the guest is reverted to what was touched.
# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh

lab_disk || bail_out "no disk"

# images: the names of all images, with spaces between them.
images() {
    find "$D" -type f -printf '%f\n' | sort | xargs echo
}

# mended WORDS SNAPSHOT N REGEX: a repair makes N mends, which it says in these
# words; then the snapshot is whole, and nothing is left to mend.
mended() {
    xl_ok "$1: it is repaired" snapshot-verify --repair g1 "$2"
    is "$1: with so many mends" "$(grep -c ': mended: ' <<< "$out")" "$3"
    like "$1: which are said" "$out" "$4"
    xl_ok "$1: it is whole then" snapshot-verify --repair g1 "$2"
    unlike "$1: and needs no more" "$out" mended
}

# dry WORDS SNAPSHOT REGEX: what a repair would do, and it is not done.
dry() {
    local before

    before=$(sha256sum "$STORE"/g1/*/snapshot.json "$STORE/g1/current")
    xl_ok "$1: --repair --dry-run" snapshot-verify --repair --dry-run g1 "$2"
    like "$1: it says what would be mended" "$out" "$3"
    is "$1: and changes nothing" "$before" \
        "$(sha256sum "$STORE"/g1/*/snapshot.json "$STORE/g1/current")"
}

# ---- --abandoned, after two reverts

snap_guest g1 pv 96 qr
take "external" g1 s1 -e
xl_ok "a first revert" snapshot-revert g1 s1
guest_wait_ticks g1 2
back_to "a second one" g1 s1
mk_qcow2 "$D/by-hand.qcow2" 64M "$D/g1-0.qcow2"
xl_exits 1 "orphans: there are some" snapshot-verify --orphans g1
is "orphans: the overlay of the first revert and the one made by hand" \
    "$(sed -n "s/^overlay: '\(.*\)': no manifest names it.*/\1/p" <<< "$out" |
        sort | xargs echo)" \
    "$D/by-hand.qcow2 $D/g1-0.s1-r1.qcow2 $D/g1-1.s1-r1.qcow2"
like "orphans: with sizes, as JSON" \
    "$(xl snapshot-verify --orphans --json g1)" \
    'g1-1.s1-r1.qcow2",[^}]*"size_bytes": *[1-9]'
xl_ok "abandoned: --dry-run" snapshot-delete --abandoned --dry-run g1
like "abandoned: it lists them with size and time" "$out" \
    "[KM] 20[0-9-]+ [0-9:]+ $D/g1-0.s1-r1.qcow2"
before=$(images)
xl_exits 1 "abandoned: nobody can be asked, so nothing is done" \
    snapshot-delete --abandoned g1 < /dev/null
like "abandoned: which is said" "$err" 'nobody can be asked .*give --yes'
is "abandoned: all images are there" "$(images)" "$before"
guest_mark g1
xl_ok "abandoned, --yes: it is done" snapshot-delete --abandoned --yes g1
is "abandoned, --yes: those are gone and no others" "$(images)" \
    "by-hand.qcow2 g1-0.qcow2 g1-0.s1-r2.qcow2 g1-1.img g1-1.s1-r2.qcow2"
is "abandoned, --yes: each is said" "$(grep -c '^removed /' <<< "$out")" 4
ticks_on g1 "abandoned, --yes"
watched g1 "abandoned, --yes"
rm "$D/by-hand.qcow2"
xl_ok "abandoned, --yes: no orphans are left" snapshot-verify --orphans g1

# ---- repair while the domain runs: an overlay that is gone

dry "overlay" s1 "xvda: would be mended: its overlay '$D/g1-0.s1.qcow2' is gone"
mended "overlay" s1 2 "'$D/g1-0.s1-r2.qcow2' instead, the only image on it"
like "overlay: it is known now" "$(xl snapshot-info g1 s1)" \
    "access=rw,target=$D/g1-0.s1-r2.qcow2"

# ---- a parent that is gone

take "child" g1 s2 -e
take "grandchild" g1 s3 -e
rm -r "$STORE/g1/s2"
like "parent: the list shows that it is gone" "$(xl snapshot-list g1)" \
    's3\* .* \(gone\)'
dry "parent" s3 "parent: would be mended: no snapshot is called 's2'"
mended "parent" s3 1 "no snapshot is called 's2'; the images show 's1'"
like "parent: the list shows the one before" "$(xl snapshot-list g1)" \
    's3\* .* s1 '
back_to "parent" g1 s3
back_to "overlay" g1 s1

# ---- a directory that was renamed

mv "$STORE/g1/s1" "$STORE/g1/first"
instant_from[g1/first]=${instant_from[g1/s1]}
instant_to[g1/first]=${instant_to[g1/s1]}
dry "name" first "name: would be mended: its manifest calls it 's1'"
mended "name" first 3 "'$STORE/g1/s3', whose parent it is, .*'first' instead\
.*'$STORE/g1/current' calls it 's1'.*calls it 's1'; 'first' instead"
like "name: its child and the present descend from it" \
    "$(xl snapshot-list g1)" 'first\* .*s3 .* first '

# ---- what is open to others, and a base that can be written

chmod 755 "$STORE/g1/first"
chmod 644 "$STORE/g1/first/snapshot.json" "$STORE/g1/first/memory.xl"
xl_exits 1 "open: verify fails" snapshot-verify g1 first
like "open: it says why" "$out" 'directory: BAD: .* is open to others'
chattr -i "$D/g1-0.qcow2" "$D/g1-1.img"
mended "open" first 5 "directory: mended: .*/first' is open to others \
\(mode 0755\).*snapshot.json' .*memory: mended: .*\(mode 0644\)\
.*xvda: mended: .*/g1-0.qcow2' is not immutable; it is made so\
.*xvdb: mended: .*/g1-1.img' is not immutable; it is made so"
is "open: the modes are as they were" "$(cd "$STORE/g1/first" &&
    stat -c %a . snapshot.json memory.xl | xargs echo)" "700 600 600"
is "open: the bases are protected" \
    "$(immutable "$D/g1-0.qcow2") $(immutable "$D/g1-1.img")" "yes yes"
back_to "name, open" g1 first

# ---- delete without the memory image

memory=$STORE/g1/s3/memory.xl
before=$(sha256sum < "$memory")
guest_mark g1
xl_ok "--keep-memory: it is done" snapshot-delete --keep-memory g1 s3
is "--keep-memory: the path is printed" "$out" "$memory"
is "--keep-memory: the same bytes are there" "$(sha256sum < "$memory")" \
    "$before"
is "--keep-memory: for root alone" "$(stat -c %a "$memory")" 600
is "--keep-memory: and nothing beside it" "$(ls -A "$STORE/g1/s3")" memory.xl
is "--keep-memory: the snapshot is not listed any more" \
    "$(xl snapshot-list g1 | grep -c full)" 1
xl_exits 1 "--keep-memory: and is none" snapshot-verify g1 s3
xl_exits 1 "--keep-memory: its name is taken" snapshot-create -n s3 -e g1
like "--keep-memory: which is said" "$err" "$STORE/g1/s3"
like "--keep-memory: orphans has the directory" \
    "$(xl snapshot-verify --orphans g1)" "directory: '$STORE/g1/s3': "
ticks_on g1 "--keep-memory"
watched g1 "--keep-memory"

# ---- repair while the domain is off: bases that were copied there and back

guest_destroy g1
for base in "$D/g1-0.qcow2" "$D/g1-1.img"; do
    chattr -i "$base"
    cp "$base" "$IMG/elsewhere"
    cp "$IMG/elsewhere" "$base.back"
    mv "$base.back" "$base"
done
xl_exits 1 "copied, off: verify fails" snapshot-verify g1 first
like "copied, off: it says why" "$out" \
    "xvda: BAD: .*written to since.*xvdb: BAD: .*written to since"
xl_exits 1 "copied, off: no revert is possible" snapshot-revert g1 first
mended "copied, off" first 4 "xvda: mended: .*is another file .*same contents\
.*xvdb: mended: .*is another file .*same contents"
is "copied, off: the copies are protected" \
    "$(immutable "$D/g1-0.qcow2") $(immutable "$D/g1-1.img")" "yes yes"
back_to "copied, off" g1 first

tap_done
