#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# verify finds what is wrong with a snapshot, on real images and without Xen.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
store=$work/store
export XL_SNAPSHOT_STORE=$store
dir=$store/web/s1
img=$work/img

# verify: into $work/out, whole to be joined: lines may be wrapped.
verify() {
    run "$XL" snapshot-verify web "${1:-s1}"
}
# says PART WORD TEXT: what verify said of a part.
says() { grep -qE "^$1: $2: .*$3" "$work/out"; }

# The numbers of a file: dev, ino, size, time in ns.
of() { stat -c "$1" "$2"; }
# samples FILE: as docs/snapshot-format.md lays down.
samples() {
    python3 - "$1" <<'EOS'
import hashlib, os, sys
size = os.path.getsize(sys.argv[1])
h = hashlib.sha256(size.to_bytes(8, "little"))
f = open(sys.argv[1], "rb")
h.update(f.read(65536))
for k in range(1, 65):
    at = size // 65 * k
    f.seek(at - at % 4096)
    h.update(f.read(4096))
print(h.hexdigest())
EOS
}

# A snapshot without memory: a tag in a.qcow2, and a frozen base b.qcow2.
make() {
    rm -rf "$store" "$img"
    mkdir -p "$dir" "$img"
    chmod 700 "$store" "$store/web" "$dir"
    qemu-img create -q -f qcow2 "$img/base.qcow2" 16M
    qemu-img create -q -f qcow2 -b "$img/base.qcow2" -F qcow2 "$img/a.qcow2"
    qemu-img snapshot -c s1 "$img/a.qcow2"
    qemu-img create -q -f qcow2 "$img/b.qcow2" 16M
    qemu-io -f qcow2 -c 'write -q -P 7 0 1M' "$img/b.qcow2"
    cat > "$dir/snapshot.json" <<EOS
{
    "format": "xl-snapshot", "version": 1,
    "name": "s1", "created": "2026-01-02T03:04:05Z",
    "consistency": "offline",
    "domain": { "name": "web",
        "uuid": "5f3c8a52-6c0e-4a8e-9d8c-3f2f0e6f7b11",
        "type": "pvh", "state": "off" },
    "disks": [
        { "vdev": "xvda", "type": "internal",
          "parent": "format=qcow2,vdev=xvda,access=rw,target=$img/a.qcow2",
          "child": "format=qcow2,vdev=xvda,access=rw,target=$img/a.qcow2",
          "image": "$img/a.qcow2", "format": "qcow2",
          "dev": $(of %d "$img/a.qcow2"), "ino": $(of %i "$img/a.qcow2"),
          "tag": "s1", "tag_id": "1" },
        { "vdev": "xvdb", "type": "external",
          "parent": "format=qcow2,vdev=xvdb,access=ro,target=$img/b.qcow2",
          "child": "format=qcow2,vdev=xvdb,access=rw,target=$img/b.s1.qcow2",
          "image": "$img/b.qcow2", "format": "qcow2",
          "dev": $(of %d "$img/b.qcow2"), "ino": $(of %i "$img/b.qcow2"),
          "overlay": "$img/b.s1.qcow2",
          "size_bytes": $(of %s "$img/b.qcow2"),
          "mtime_ns": $(date -r "$img/b.qcow2" +%s%N),
          "sample_sha256": "$(samples "$img/b.qcow2")" }
    ]
}
EOS
    chmod 600 "$dir/snapshot.json"
}

make
verify
claim "a whole snapshot is whole" exits 0
claim "its directory is private" says directory good "nobody else"
claim "the tag is there" says xvda good "the tag in .*a.qcow2"
claim "the base is as it was" says xvdb good "the frozen base"
claim "which is the result" out_has "Snapshot 's1' of domain 'web' is whole."
claim "nothing is said besides" err_empty
verify "$dir"
claim "it is found by its path, too" exits 0
run "$XL" snapshot-verify --json web s1
claim "--json has a finding for each part" python3 - "$work/out" <<'EOS'
import json, sys
o = json.load(open(sys.argv[1]))
assert o["exit"] == 0 and o["whole"] is True and o["snapshot"] == "s1"
assert [f["part"] for f in o["findings"]] == ["directory", "xvda", "xvdb"]
assert all(f["good"] for f in o["findings"])
EOS

# Each harm is found, and the other parts are looked at all the same.
make
qemu-img snapshot -d s1 "$img/a.qcow2"
verify
claim "a tag that is gone is found" exits 1
claim "and named" says xvda BAD "holds no snapshot 's1' any more"
claim "the other disk is looked at all the same" says xvdb good .
claim "the result says damaged" out_has "is damaged."
run "$XL" snapshot-verify --json web s1
claim "and so does --json" grep -q '"exit": 1' "$work/out"

make
qemu-img snapshot -d s1 "$img/a.qcow2"
qemu-img snapshot -c other "$img/a.qcow2"
qemu-img snapshot -c s1 "$img/a.qcow2"
verify
claim "another tag of that name is found" says xvda BAD \
    "is not the one that was made then"

make
rm "$img/base.qcow2"
verify
claim "a backing file that is gone is found" says xvda BAD "base.qcow2"

make
rm "$img/b.qcow2"
verify
claim "a base that is gone is found" says xvdb BAD "b.qcow2.*No such file"

make
qemu-io -f qcow2 -c 'write -q -P 9 1M 64k' "$img/b.qcow2"
verify
claim "a base that was written is found" says xvdb BAD \
    "was written to since the snapshot.*put a copy from then .cp -a. in"
claim "its disk is named once" not grep -q "disk 'xvdb'" "$work/out"

make
was=$(date -r "$img/b.qcow2" +%FT%T.%N)
size=$(of %s "$img/b.qcow2")
printf x | dd of="$img/b.qcow2" bs=1 seek=$((size / 65 * 40)) conv=notrunc \
    status=none
touch -d "$was" "$img/b.qcow2"
verify
claim "also one that has its time and size again" says xvdb BAD \
    "other contents than at the snapshot .samples"

make
cp -p "$img/b.qcow2" "$img/c" && mv "$img/c" "$img/b.qcow2"
verify
claim "a base that is a copy is good" exits 0
claim "which is said" says xvdb good "another file than at the snapshot"

# A cluster of the table of clusters points nowhere.
make
offset=$(python3 - "$img/a.qcow2" <<'EOS'
import struct, sys
f = open(sys.argv[1], "r+b")
f.seek(40)
l1 = struct.unpack(">Q", f.read(8))[0]
f.seek(l1)
f.write(struct.pack(">Q", 1 << 63 | 0x7fff0000))
print(l1)
EOS
)
verify
claim "an image that is damaged inside is found (at $offset)" says xvda BAD \
    "qemu-img check. finds [0-9]+ errors"

make
sleep 60 < "$img/a.qcow2" &
holder=$!
verify
kill $holder
claim "one in use is not read through" exits 0
claim "which is said" says xvda good "not checked inside: .* in use by process"

make
chmod 644 "$dir/snapshot.json"
verify
claim "a manifest that others can read is found" says directory BAD \
    "is open to others"
make
ln -s /etc/passwd "$dir/memory.xl"
verify
claim "a link has no place in it" says directory BAD "has no place there"
if [ "$(id -u)" = 0 ]; then
    make
    chown 1 "$dir/snapshot.json"
    verify
    claim "nor has what belongs to somebody else" says directory BAD \
        "belongs to user 1"
else
    skip "only root can give a file away"
fi
make
sum=$(printf '%064d' 0)
sed -i "s/\"offline\"/\"full\"/; s/\"disks\": \[/\"memory\": { \"path\": \"memory.xl\", \
\"size_bytes\": 5, \"head_bytes\": 1, \"head_sha256\": \"$sum\" }, &/" \
    "$dir/snapshot.json"
verify
claim "a memory image that is gone is found" says memory BAD "No such file"
echo junk > "$dir/memory.xl"
chmod 600 "$dir/memory.xl"
verify
claim "and one that is none" says memory BAD "do not give it to xl restore"

# ---- --repair, with locks of its own; what it mends: storage/test_repair ----

# repair OPTION...: it may not set flags on these images.
repair() {
    # shellcheck disable=SC2016 # for the inner shell
    run unshare -m sh -c 'mount -t tmpfs none /var/lib && exec "$@"' sh \
        "$XL" snapshot-verify --repair --no-protect "$@" web s1
}
if [ "$(id -u)" = 0 ] && unshare -m true 2> "$work/err"; then
    make
    cp -a "$img/b.qcow2" "$img/c" && mv "$img/c" "$img/b.qcow2"
    chmod 644 "$dir/snapshot.json"
    cp "$dir/snapshot.json" "$work/before"
    repair --dry-run
    claim "a dry run of a repair tells that not all is good" exits 1
    claim "what it would mend" says xvdb "would be mended" "its numbers"
    claim "and what is wrong now" says directory BAD "is open to others"
    claim "and changes nothing" cmp -s "$work/before" "$dir/snapshot.json"
    repair
    claim "what can be mended is" exits 0
    claim "a base that was restored" says xvdb mended "its numbers are noted"
    claim "an overlay that is gone" says xvdb mended "nothing stands on it"
    claim "a manifest that others can read" says directory mended "mode 0644"
    claim "and is good then" says directory good "nobody else"
    run "$XL" snapshot-info web s1
    claim "a snapshot without an overlay can be shown" exits 0
    repair --json
    claim "then there is nothing left" python3 - "$work/out" <<'EOS'
import json, sys
o = json.load(open(sys.argv[1]))
assert o["exit"] == 0 and o["whole"] and o["mends"] == [], o
EOS
    sed -i 's/"created"/"parent": "lost", &/' "$dir/snapshot.json"
    qemu-img snapshot -d s1 "$img/a.qcow2"
    repair --json
    claim "what cannot be mended is only told" python3 - "$work/out" <<'EOS'
import json, sys
o = json.load(open(sys.argv[1]))
assert o["exit"] == 1 and not o["whole"], o
assert [(m["part"], m["can"], m["done"]) for m in o["mends"]] == \
    [("parent", True, True)], o["mends"]
EOS
else
    skip "no root with a mount namespace: repair cannot be run"
fi

verify nosuch
claim "verifying what is not there is refused" exits 1
claim "with what helps" err_has "snapshot-list"

finish
