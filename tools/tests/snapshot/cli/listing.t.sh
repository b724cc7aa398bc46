#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# list and info over a store with good, broken, newer and foreign manifests.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
store=$work/store
export XL_SNAPSHOT_STORE=$store

# manifest DIR NAME CREATED [MORE]: a good one; MORE are further members.
manifest() {
    mkdir -p "$1"
    cat > "$1/snapshot.json" <<EOS
{
    "format": "xl-snapshot", "version": ${VERSION:-1},
    "name": "$2", "created": "$3", ${4:-}
    "consistency": "full", "live": false, "pause_ms": 840,
    "domain": { "name": "web",
        "uuid": "5f3c8a52-6c0e-4a8e-9d8c-3f2f0e6f7b11",
        "type": "pvh", "state": "running" },
    "versions": { "tool": "0.1", "xen": "4.17.7", "qemu": "7.2.22" },
    "memory": { "path": "memory.xl", "size_bytes": 268502188,
        "head_bytes": 6112,
        "head_sha256": "$(printf '%064d' 0)" },
    "disks": [
        { "vdev": "xvda", "type": "internal",
          "parent": "format=qcow2,vdev=xvda,access=rw,target=/img/w.qcow2",
          "child": "format=qcow2,vdev=xvda,access=rw,target=/img/w.qcow2",
          "image": "/img/w.qcow2", "format": "qcow2", "dev": 1, "ino": 2,
          "virtual_size_bytes": 1073741824,
          "tag": "$2", "tag_id": "1" },
        { "vdev": "xvdb", "type": "external",
          "parent": "format=raw,vdev=xvdb,access=ro,target=/img/d.img",
          "child": "format=qcow2,vdev=xvdb,access=rw,target=/img/d.$2.qcow2",
          "image": "/img/d.img", "format": "raw", "dev": 1, "ino": 3,
          "overlay": "/img/d.$2.qcow2", "size_bytes": 1073741824,
          "mtime_ns": 1767323044123456789 }
    ]
}
EOS
}

run "$XL" snapshot-list
claim "no store: no snapshots" exits 0
claim "nothing on standard output" out_empty
claim "and it is said" err_has "no snapshots in $store"
run "$XL" snapshot-list -q web
claim "quiet says nothing" err_empty

manifest "$store/web/s20260102T030405Z" s20260102T030405Z \
    2026-01-02T03:04:05Z
manifest "$store/web/later" later 2026-01-03T00:00:00Z \
    '"parent": "s20260102T030405Z", "description": "all updates",'
manifest "$store/web/earlier" earlier 2025-12-24T18:00:00Z
echo later > "$store/web/current"
mkdir "$store/web/begun"
touch "$store/web/begun/memory.xl"

run "$XL" snapshot-list web
claim "list succeeds" exits 0
claim "and is silent otherwise" err_empty
claim "it fits 80 columns" fits out
claim "the oldest comes first, the current has a star" \
    test "$(awk 'NR > 1 { print $1 }' "$work/out" | xargs)" \
    = "earlier s20260102T030405Z later*"
claim "every line shows the class" \
    test "$(grep -c ' full ' "$work/out")" = 3
claim "a parent is shown" out_has " s20260102T030405Z "
claim "what has no manifest is not listed" out_lacks begun
run "$XL" snapshot-list -v web
claim "but -v names it" err_has "$store/web/begun: has no snapshot.json"

run "$XL" snapshot-list --json web
claim "--json is an object" python3 - "$work/out" <<'EOS'
import json, sys
o = json.load(open(sys.argv[1]))
s = o["domains"][0]["snapshots"]
assert o["exit"] == 0
assert [x["name"] for x in s] == ["earlier", "s20260102T030405Z", "later"]
assert [x["current"] for x in s] == [False, False, True]
assert s[2]["parent"] == "s20260102T030405Z" and s[0]["parent"] is None
assert s[0]["disks"] == ["xvda", "xvdb"] and s[0]["consistency"] == "full"
EOS

# The tree, and other ways to look.
family=$work/family/web
manifest "$family/first" first 2026-01-01T00:00:00Z
manifest "$family/left" left 2026-01-02T00:00:00Z '"parent": "first",'
manifest "$family/leftmost" leftmost 2026-01-03T00:00:00Z '"parent": "left",'
manifest "$family/right" right 2026-01-04T00:00:00Z '"parent": "first",'
manifest "$family/orphan" orphan 2026-01-05T00:00:00Z '"parent": "lost",'
echo right > "$family/current"
# names: the first column without the lines of the tree.
names() { awk 'NR > 1' "$work/out" | grep -oE '[a-z]+\*? +2026' | cut -d' ' -f1 | xargs; }
run env -u LC_ALL -u LC_CTYPE LANG=C "$XL" snapshot-list --store "$work/family" \
    --tree web
claim "the tree has parents before their children" \
    test "$(names)" = "first left leftmost right* orphan"
claim "and lines" test "$(sed 's/ *2026.*//' "$work/out" | tail -n 5)" = \
'first
|- left
|  `- leftmost
`- right*
orphan'
claim "it fits 80 columns" fits out
run env LC_ALL=C.UTF-8 "$XL" snapshot-list --store "$work/family" -t web
claim "finer ones on a terminal that has them" out_has "│  └─ leftmost"
run "$XL" snapshot-list --store "$work/family" --roots
claim "--roots are those that descend from none" \
    test "$(sed 1d "$work/out" | awk 'NR > 1 { print $1 }' | xargs)" \
    = "first orphan"
claim "a parent that is not there is shown as gone" out_has "lost (gone)"
run "$XL" snapshot-list --path "$work/family/web" --leaves
claim "--leaves are those that none descends from" \
    test "$(names)" = "leftmost right* orphan"
run "$XL" snapshot-list --path "$work/family/web" --long
claim "--long says how each disk was snapshotted, and the pause" \
    out_has "    xvda internal, xvdb external; stood still for 840 ms"
claim "it fits 80 columns" fits out
run "$XL" snapshot-list --path "$work/family/web/first"
claim "--path of a snapshot itself is refused" exits 1
claim "with what it wants" err_has "wants the directory that snapshots are in"
run "$XL" snapshot-list --path "$work/nowhere"
claim "--path of nothing is refused" exits 1
run "$XL" snapshot-list --path "$work/family/web" web
claim "--path and a domain are too much" exits 2
claim "which is said" err_has "not both"
run "$XL" snapshot-list --tree --roots
claim "--tree and --roots contradict each other" exits 2
manifest "$family/a" a 2026-01-06T00:00:00Z '"parent": "b",'
manifest "$family/b" b 2026-01-07T00:00:00Z '"parent": "a",'
cp -r "$family/left" "$family/copy"
run "$XL" snapshot-list --path "$work/family/web" -t
claim "a circle of parents is listed" exits 0
claim "and told" err_has "'a' descends from itself"
claim "a copy is told" err_has "'copy' calls itself 'left'"
claim "each is shown once" test "$(names | wc -w)" = 8

# The result of --json is as docs/snapshot-list.schema.json says.
schema() {
    /usr/bin/python3 - "$SRC/docs/snapshot-list.schema.json" "$work/out" <<'EOS'
import json, jsonschema, sys
schema, result = [json.load(open(f)) for f in sys.argv[1:]]
jsonschema.Draft7Validator.check_schema(schema)
jsonschema.validate(result, schema)
EOS
}
run "$XL" snapshot-list --json --path "$work/family/web"
claim "--json of a directory is as the schema says" schema
sed -i 's/"children": [0-9]*/"children": "many"/' "$work/out"
claim "which would say no" not schema
run "$XL" snapshot-list --json --store "$work/none"
claim "--json of nothing, too" schema

# Others.
d=$store/web
echo '{ "format": "xl-snap' > "$(mkdir "$d/torn" && echo "$d/torn")/snapshot.json"
VERSION=9 manifest "$d/newer" newer 2026-01-01T00:00:00Z
manifest "$d/needs" needs 2026-01-01T00:00:00Z '"mandatory": ["warp"], "warp": 1,'
mkdir "$d/foreign" && echo '{ "some": "thing" }' > "$d/foreign/snapshot.json"
mkdir "$d/empty" && : > "$d/empty/snapshot.json"
mkdir -p "$d/dir/snapshot.json"
mkdir "$d/fifo" && mkfifo "$d/fifo/snapshot.json"
mkdir "$d/link" && ln -s /etc/passwd "$d/link/snapshot.json"
mkdir "$d/huge" && truncate -s 3M "$d/huge/snapshot.json"
bad=$(printf 'e\033[31mvil\nname')
mkdir "$d/$bad" && echo nonsense > "$d/$bad/snapshot.json"
manifest "$d/moved" other 2026-01-01T00:00:00Z
run timeout 20 "$XL" snapshot-list web
claim "broken ones do not spoil the list" exits 0
for n in torn newer needs foreign empty dir fifo link huge; do
    claim "'$n' is shown as broken, with a reason" \
        grep -qE "^$n broken: .{5,}" "$work/out"
done
claim "a hostile name cannot steer the terminal" plain out
claim "nor make a line of its own" out_has 'e\x1b[31mvil\x0aname broken: '
claim "one whose directory was renamed goes by its directory" \
    grep -q '^moved ' "$work/out"
claim "the good ones are there still" grep -q '^later\* ' "$work/out"
run "$XL" snapshot-list --json web
claim "--json of broken ones is as the schema says" schema
claim "--json has all of them" python3 - "$work/out" <<'EOS'
import json, sys
s = json.load(open(sys.argv[1]))["domains"][0]["snapshots"]
assert len(s) == 14, len(s)
broken = [x for x in s if x["broken"]]
assert len(broken) == 10 and all(x["created"] is None for x in broken)
EOS

# A current that is doubtful.
for text in '' '../later' gone 'later x' "$(printf 'l\tter')"; do
    printf '%s\n' "$text" > "$d/current"
    run "$XL" snapshot-list web
    claim "current '$text' marks none" out_lacks '*'
done
rm -r "$d/current"
mkfifo "$d/current"
run timeout 20 "$XL" snapshot-list web
claim "nor does a fifo, nor is it waited for" exits 0
rm "$d/current"
{ echo later; yes 'copy 1 2 of 3 4' | head -n 2000; } > "$d/current"
run "$XL" snapshot-list web
claim "what the library keeps behind the name does not matter" \
    grep -q '^later\* ' "$work/out"

# All domains; a name that needs encoding.
manifest "$store/a%2Fb%0Ac/s1" s1 2026-01-02T03:04:05Z
mkdir "$store/lost+found" "$store/%zz" "$store/.journal"
run "$XL" snapshot-list
claim "all domains are listed" exits 0
claim "each with a heading" out_has "Domain 'web':"
claim "a hostile domain's name is decoded and cleaned" \
    out_has "Domain 'a/b\\x0ac':"
claim "directories without snapshots have no heading" \
    test "$(grep -c '^Domain ' "$work/out")" = 2
run "$XL" snapshot-list --json
claim "--json has the name itself" python3 - "$work/out" <<'EOS'
import json, sys
o = json.load(open(sys.argv[1]))
assert "a/b\nc" in [d["domain"] for d in o["domains"]]
EOS
run "$XL" snapshot-list "$(printf 'a/b\nc')"
claim "that domain can be asked for by its name" grep -q '^s1 ' "$work/out"
run "$XL" snapshot-list ../web
claim "a domain's name is no path" out_empty
run "$XL" snapshot-list --store "$store/" web
claim "--store wins over the environment" exits 0
run "$XL" snapshot-list --store "$work" web
claim "and is used" out_empty

# info
run "$XL" snapshot-info web later
claim "info succeeds" exits 0
for part in 'later' "$d/later" '2026-01-03T00:00:00Z' 'all updates' full \
    s20260102T030405Z 840 'memory.xl' '4.17.7' '7.2.22' xvda internal \
    xvdb external '/img/d.img' \
    'format=raw,vdev=xvdb,access=ro,target=/img/d.img' \
    'format=qcow2,vdev=xvdb,access=rw,target=/img/d.later.qcow2'; do
    claim "info shows $part" out_has "$part"
done
cp "$work/out" "$work/by-name"
run "$XL" snapshot-info web "$d/later"
claim "by the path of the directory" cmp -s "$work/by-name" "$work/out"
run "$XL" snapshot-info web "$d/later/snapshot.json"
claim "by the path of the manifest" cmp -s "$work/by-name" "$work/out"
cd "$d" || exit 1
run "$XL" snapshot-info web ./later
claim "by a relative path" cmp -s "$work/by-name" "$work/out"
cd / || exit 1
run "$XL" snapshot-info --json web later
claim "--json has the same" python3 - "$work/out" <<'EOS'
import json, sys
o = json.load(open(sys.argv[1]))
assert o["exit"] == 0 and o["name"] == "later" and o["current"] is True
assert o["disks"][1]["type"] == "external" and o["disks"][0]["tag"] == "later"
assert o["description"] == "all updates" and o["memory_bytes"] == 268502188
EOS
manifest "$d/esc" esc 2026-01-02T00:00:00Z \
    '"description": "a\u001b]0;x\u0007\u009b31m\u202eb",'
run "$XL" snapshot-info web esc
claim "a description cannot steer the terminal" plain out
for n in torn newer foreign fifo; do
    run timeout 20 "$XL" snapshot-info web "$n"
    claim "info of '$n' is refused" exits 1
    claim "nothing on standard output" out_empty
done
run "$XL" snapshot-info web nosuch
claim "info of what is not there is refused" exits 1
claim "and the message says what helps" err_has "snapshot-list"
run "$XL" snapshot-info web begun
claim "so is info of what has no manifest" exits 1
run "$XL" snapshot-info web "$work/nosuch"
claim "so is a path to nothing" exits 1

# A hand-written set.
cat > "$work/set.cfg" <<'EOS'
name = "s1"
memory = "web.save"
disk = [ 'vdev=xvda', 'vdev=xvdb,format=raw,parent=/img/a, b.img' ]
EOS
run "$XL" snapshot-info web "$work/set.cfg"
claim "info of a hand-written set" exits 0
claim "its memory is beside it" out_has "$work/web.save"
claim "its frozen image has a comma" out_has "/img/a, b.img"
echo 'nmae = "s1"' > "$work/set.cfg"
run "$XL" snapshot-info web "$work/set.cfg"
claim "a wrong key is refused" err_has "'nmae'"

finish
