#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# The views of a domain's images: made-up stores, real images, and no Xen.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
store=$work/store
export XL_SNAPSHOT_STORE=$store
img=$work/img
export LC_ALL=C

# manifest DOMAIN NAME ID BASE FORMAT: a tag in a.qcow2, and a frozen base.
manifest() {
    local d=$store/$1/$2
    mkdir -p "$d"
    cat > "$d/snapshot.json" <<EOS
{
    "format": "xl-snapshot", "version": 1,
    "name": "$2", "created": "2026-01-02T03:04:0$3Z",
    "consistency": "offline",
    "domain": { "name": "$1",
        "uuid": "5f3c8a52-6c0e-4a8e-9d8c-3f2f0e6f7b11",
        "type": "pvh", "state": "off" },
    "disks": [
        { "vdev": "xvda", "type": "internal",
          "parent": "format=qcow2,vdev=xvda,access=rw,target=$img/a.qcow2",
          "child": "format=qcow2,vdev=xvda,access=rw,target=$img/a.qcow2",
          "image": "$img/a.qcow2", "format": "qcow2", "dev": 1, "ino": 2,
          "tag": "$2", "tag_id": "$3" },
        { "vdev": "xvdb", "type": "external",
          "parent": "format=$5,vdev=xvdb,access=ro,target=$img/$4",
          "child": "format=qcow2,vdev=xvdb,access=rw,target=$img/b.$2.qcow2",
          "image": "$img/$4", "format": "$5", "dev": 1, "ino": 3,
          "overlay": "$img/b.$2.qcow2", "size_bytes": 1048576,
          "mtime_ns": 1767323044123456789 }
    ]
}
EOS
}

# overlay BASE FORMAT NAME
overlay() {
    qemu-img create -q -f qcow2 -F "$2" -b "$img/$1" "$img/$3"
}

make() {
    rm -rf "$store" "$img"
    mkdir -p "$img"
    qemu-img create -q -f qcow2 "$img/a.qcow2" 1M
    qemu-img snapshot -c s1 "$img/a.qcow2"
    qemu-img snapshot -c s2 "$img/a.qcow2"
    truncate -s 1M "$img/b.img"
    overlay b.img raw b.s1.qcow2
    overlay b.s1.qcow2 qcow2 b.s2.qcow2
    manifest web s1 1 b.img raw
    manifest web s2 2 b.s1.qcow2 qcow2
}

# order WORD...: these are found in this order.
order() {
    local at=0 n w
    for w in "$@"; do
        n=$(grep -nF -- "$w" "$work/out" | cut -d: -f1 |
            awk -v at="$at" '$1 > at { print; exit }')
        [ -n "$n" ] || return 1
        at=$n
    done
}
# says PATH TEXT: behind the path of an image, in its lines.
says() {
    awk -v path="$img/$1" '
        $NF == path { inside = 1; next }
        /^ *[0-9.]+[KMGT]? \// || /^[^ ]/ { inside = 0 }
        inside { printf "%s ", $0 }' "$work/out" | tr -s ' ' | grep -qF -- "$2"
}

# ---- snapshot-list --disks ----

make
overlay b.img raw b.s1-r1.qcow2
qemu-img create -q -f qcow2 "$img/other.qcow2" 1M
qemu-img snapshot -c mine "$img/a.qcow2"
run "$XL" snapshot-list --disks web
claim "--disks succeeds" exits 0
claim "it fits 80 columns" fits out
claim "each layer is there, top first" order xvda: a.qcow2 "'s1'" "'s2'" \
    xvdb: b.s2.qcow2 b.s1.qcow2 b.img
claim "a base is told" says b.img "frozen base of s1"
claim "and an overlay, both at once" says b.s1.qcow2 \
    "frozen base of s2; made as the overlay of s1"
claim "a tag is told" says a.qcow2 "tag 's2': of snapshot s2"
claim "and one of no snapshot" says a.qcow2 "tag 'mine': no manifest names it"
claim "what nobody names is told, too" says b.s1-r1.qcow2 \
    "overlay that no manifest names"
claim "without Xen nothing is taken for abandoned" says b.s1-r1.qcow2 \
    "it looks abandoned, but which domains have it is not known"
claim "what has nothing to do with them is apart" order "Beside them" \
    other.qcow2
claim "what could not be asked is said" err_has "which images domains have"
cp "$work/out" "$work/before"
ln -s "$img" "$work/link"
sed -i "s,\"image\": \"$img/b,\"image\": \"$work/link/b," \
    "$store/web/s1/snapshot.json"
run "$XL" snapshot-list --disks web
claim "a file has one name" cmp -s "$work/before" "$work/out"
run "$XL" snapshot-list --disks nosuch
claim "a domain without images has none" exits 0
claim "which is said" err_has "No image of domain 'nosuch' is known"
claim "and nothing else" out_empty

manifest other s9 9 b.img raw
run "$XL" snapshot-list --disks web
claim "another domain's snapshot counts" says b.img "s9 (of other)"
make
rm "$img/b.img"
run "$XL" snapshot-list --disks web
claim "a base that is gone is told" says b.img "not there; frozen base of s1"
make
printf 'QFI\373junk' > "$img/a.qcow2"
bad=$(printf 'b.e\033[31mvil.qcow2')
overlay b.img raw "$bad"
run "$XL" snapshot-list --disks web
claim "an image that cannot be read is told" says a.qcow2 \
    "what is in it is not known"
claim "a hostile name cannot steer the terminal" plain out

# The result of --json is as its schema says.
schema() {
    /usr/bin/python3 - "$SRC/docs/$1.schema.json" "$work/out" <<'EOS'
import json, jsonschema, sys
schema, result = [json.load(open(f)) for f in sys.argv[1:]]
jsonschema.Draft7Validator.check_schema(schema)
jsonschema.validate(result, schema)
EOS
}
make
overlay b.img raw b.s1-r1.qcow2
qemu-img create -q -f qcow2 "$img/other.qcow2" 1M
run "$XL" snapshot-list --disks --json web
claim "--disks --json is as the schema says" schema snapshot-list-disks
claim "and has the same" python3 - "$work/out" "$img" <<'EOS'
import json, sys
o = json.load(open(sys.argv[1]))
i = { x["path"][len(sys.argv[2]) + 1:]: x for x in o["images"] }
assert sorted(i) == ["a.qcow2", "b.img", "b.s1-r1.qcow2", "b.s1.qcow2",
                     "b.s2.qcow2"], sorted(i)
assert i["b.s1.qcow2"]["use"] == "base"
assert i["b.s1.qcow2"]["base_of"] == ["s2"]
assert i["b.s1.qcow2"]["overlay_of"] == "s1"
assert i["b.s2.qcow2"]["stands_on"] == sys.argv[2] + "/b.s1.qcow2"
assert [t["snapshot"] for t in i["a.qcow2"]["tags"]] == ["s1", "s2"]
assert i["b.s1-r1.qcow2"]["doubt"] and i["b.s1-r1.qcow2"]["use"] == "overlay"
assert len(o["foreign"]) == 1 and not o["xen_asked"]
EOS
sed -i 's/"use": "base"/"use": "sofa"/' "$work/out"
claim "which would say no" not schema snapshot-list-disks
run "$XL" snapshot-list --disks
claim "--disks wants a domain" exits 2
run "$XL" snapshot-list --disks --tree web
claim "--disks and --tree contradict each other" exits 2

# ---- the space of a snapshot, in snapshot-info ----

# space KEY...: these numbers of the JSON result.
space() {
    python3 -c '
import json, sys
o = json.load(open(sys.argv[1]))
assert o["space_unknown"] is None, o["space_unknown"]
print(*[o[k] for k in sys.argv[2:]])' "$work/out" "$@"
}
# takes FILE...: bytes on the disk.
takes() { stat -c '%b' "$@" | awk '{ n += $1 * 512 } END { print n + 0 }'; }

make
dd if=/dev/zero of="$img/b.img" bs=64k count=4 conv=notrunc status=none
head -c 100000 /dev/zero > "$store/web/s1/memory.xl"
run "$XL" snapshot-info --json web s1
claim "layers that others need are shared" test \
    "$(space shared_bytes)" = "$(takes "$img/a.qcow2" "$img/b.img")"
own=$(takes "$store"/web/s1/*)
claim "its directory is its own, and all that delete gives back" test \
    "$(space exclusive_bytes reclaimable_bytes)" = "$own $own"
claim "the tag's size is not known" test "$(space unsized_tags)" = 1
run "$XL" snapshot-info web s1
claim "the text has it, too" grep -qE "^Delete frees: +[0-9]+ KiB\$" \
    "$work/out"
rm -r "$store/web/s2" "$img/b.s2.qcow2" "$img/b.s1.qcow2"
run "$XL" snapshot-info --json web s1
claim "a base that nothing stands on is its own" test \
    "$(space exclusive_bytes shared_bytes)" = \
    "$((own + $(takes "$img/b.img"))) $(takes "$img/a.qcow2")"
claim "if no domain has it, which cannot be asked" err_has "domains have"
manifest other s9 9 b.img raw
run "$XL" snapshot-info --json web s1
claim "not if another domain's snapshot needs it" test \
    "$(space exclusive_bytes)" = "$own"
rm "$img/a.qcow2"
run "$XL" snapshot-info --json web s1
claim "an image that is gone is counted" test "$(space gone_images)" = 1
echo junk > "$store/other/s9/snapshot.json"
run "$XL" snapshot-info --json web s1
claim "nothing is claimed if a snapshot cannot be read" \
    grep -qF "s9' is broken" <(grep space_unknown "$work/out")
mv "$store/web/s1" "$work/s1"
run "$XL" snapshot-info web "$work/s1"
claim "nor of a snapshot elsewhere" out_has "not one of the domain's"
claim "which can be shown all the same" exits 0

# ---- snapshot-verify --orphans ----

# orphan KIND PATH [TEXT]: it is said of that.
orphan() { grep -F "$1: '$2': " "$work/out" | grep -qF -- "${3:-}"; }

make
run "$XL" snapshot-verify --orphans web
claim "a store that is in order has no orphans" exits 0
claim "which is the result" out_is "There are no orphans."
overlay b.img raw b.s1-r1.qcow2
qemu-img snapshot -c mine "$img/a.qcow2"
mkdir "$store/web/begun" && touch "$store/web/begun/memory.xl"
touch "$store/web/s1/memory.xl" "$store/web/stray"
run "$XL" snapshot-verify --orphans web
claim "orphans are told by the status" exits 1
claim "an overlay that no manifest names" orphan overlay "$img/b.s1-r1.qcow2"
claim "a tag" orphan tag "$img/a.qcow2" "'mine'"
claim "a directory without a manifest" orphan directory "$store/web/begun"
claim "a file beside a manifest that has no memory" orphan file \
    "$store/web/s1/memory.xl"
claim "and one beside snapshots" orphan file "$store/web/stray"
claim "there is nothing else" test "$(wc -l < "$work/out")" = 5
run "$XL" snapshot-verify --orphans --json
claim "all domains are looked at without one" exits 1
claim "--json has the same" python3 - "$work/out" <<'EOS'
import json, sys
o = json.load(open(sys.argv[1]))
assert o["exit"] == 1 and o["domain"] is None and not o["xen_asked"]
assert sorted(x["kind"] for x in o["orphans"]) == \
    ["directory", "file", "file", "overlay", "tag"], o["orphans"]
EOS
claim "as the schema says" schema snapshot-verify-orphans
sed -i 's/"kind": "tag"/"kind": "sofa"/' "$work/out"
claim "which would say no" not schema snapshot-verify-orphans

make
qemu-img snapshot -d s1 "$img/a.qcow2"
rm "$img/b.img"
sum=$(printf '%064d' 0)
sed -i "s/\"offline\"/\"full\"/; s/\"disks\": \[/\"memory\": { \"path\": \"memory.xl\", \
\"size_bytes\": 5, \"head_bytes\": 1, \"head_sha256\": \"$sum\" }, &/" \
    "$store/web/s2/snapshot.json"
run "$XL" snapshot-verify --orphans
claim "a snapshot whose tag is gone" orphan image "$img/a.qcow2" \
    "s1', disk 'xvda': it has not its tag"
claim "one whose base is gone" orphan image "$img/b.img" "it is gone"
claim "and one whose memory is gone" orphan memory "$store/web/s2/memory.xl"
run "$XL" snapshot-verify --orphans --json web
claim "--json of what is gone is as the schema says" \
    schema snapshot-verify-orphans
manifest other s9 9 b.s1.qcow2 qcow2
echo junk > "$store/web/s1/snapshot.json"
run "$XL" snapshot-verify --orphans other
claim "another domain's snapshots are not asked for" exits 1
claim "but what they name is theirs" test -z "$(grep "'s2'" "$work/out")"
run "$XL" snapshot-verify --orphans web
claim "a manifest that cannot be read" orphan manifest "$store/web/s1"
run "$XL" snapshot-verify --orphans --json web
claim "so is --json of one that cannot be read" schema snapshot-verify-orphans
run "$XL" snapshot-verify --orphans web s1
claim "--orphans takes no snapshot" exits 2

# ---- snapshot-delete --abandoned; with a Xen: act/test_abandoned ----

if [ "$(id -u)" = 0 ]; then
    make
    overlay b.img raw b.s1-r1.qcow2
    run "$XL" snapshot-delete --abandoned --yes web
    claim "without Xen nothing is removed" exits 1
    claim "which is the reason" err_has "no Xen here"
    claim "what looks like it is told" err_has "b.s1-r1.qcow2' looks abandoned"
    run "$XL" snapshot-delete --abandoned --dry-run web
    claim "a dry run looks all the same" exits 0
    run "$XL" snapshot-delete --abandoned --dry-run --json web
    claim "--json of it is as the schema says" schema snapshot-delete-abandoned
    claim "and has what looks abandoned" out_has "b.s1-r1.qcow2"
    sed -i 's/"removed": false/"removed": "no"/' "$work/out"
    claim "which would say no" not schema snapshot-delete-abandoned
    echo junk > "$store/web/s2/snapshot.json"
    run "$XL" snapshot-delete --abandoned --yes web
    claim "nor is anything while a snapshot cannot be read" exits 1
    claim "which one is said" err_has "s2' is broken"
    claim "all are there" test -e "$img/b.s1-r1.qcow2" -a -e "$img/b.s2.qcow2"
else
    skip "not root: delete cannot be run"
fi
run "$XL" snapshot-delete --abandoned web s1
claim "--abandoned takes no snapshot" exits 2
if [ "$(id -u)" = 0 ]; then
    run "$XL" snapshot-delete --yes web s1
    claim "--yes alone makes no sense" exits 2
fi

finish
