#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# snapshot-check --config, on real images and a store, without Xen: which
# files would do harm if a domain were started from them.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
store=$work/store
export XL_SNAPSHOT_STORE=$store
dir=$store/web/s1
img=$work/img
cfg=$work/web.cfg

# A snapshot that froze b.img, and the overlay on it; a.qcow2 has no part.
make() {
    rm -rf "$store" "$img"
    mkdir -p "$dir" "$img"
    truncate -s 1M "$img/b.img" "$img/free.img"
    qemu-img create -q -f qcow2 "$img/a.qcow2" 1M
    qemu-img create -q -f qcow2 -b "$img/b.img" -F raw "$img/b.s1.qcow2"
    cat > "$dir/snapshot.json" <<EOS
{
    "format": "xl-snapshot", "version": 1,
    "name": "s1", "created": "2026-01-02T03:04:05Z",
    "consistency": "offline",
    "domain": { "name": "web",
        "uuid": "5f3c8a52-6c0e-4a8e-9d8c-3f2f0e6f7b11",
        "type": "pvh", "state": "off" },
    "disks": [
        { "vdev": "xvdb", "type": "external",
          "parent": "format=raw,vdev=xvdb,access=ro,target=$img/b.img",
          "child": "format=qcow2,vdev=xvdb,access=rw,target=$img/b.s1.qcow2",
          "image": "$img/b.img", "format": "raw",
          "dev": $(stat -c %d "$img/b.img"), "ino": $(stat -c %i "$img/b.img"),
          "overlay": "$img/b.s1.qcow2",
          "size_bytes": 1048576,
          "mtime_ns": $(date -r "$img/b.img" +%s%N) }
    ]
}
EOS
}

# check ENTRY...: of an xl.cfg with these entries in its disk list.
check() {
    printf "name = 'web'\ndisk = [ " > "$cfg"
    printf "'%s', " "$@" >> "$cfg"
    printf "]\n" >> "$cfg"
    run "$XL" snapshot-check --config "$cfg"
}
says() { grep -qE "^$1: $2: .*$3" "$work/out"; }

make
check "$img/a.qcow2,qcow2,xvda,w" \
    "vdev=xvdb,format=qcow2,target=$img/b.s1.qcow2"
claim "the images that the domain writes are good" exits 0
claim "each is named" says xvda good a.qcow2
claim "the result says so" out_has "Domain 'web' can be started from '$cfg'."
check "$img/a.qcow2,qcow2,xvda,w" "$img/b.img,raw,xvdb,w"
claim "a frozen base is not" exits 1
claim "it says whose it is" says xvdb BAD "snapshot 's1' of domain 'web'"
claim "the other disk is good all the same" says xvda good .
claim "the result says so" out_has "must not be started"
claim "the option that helps is named" err_has "--update-config"
run "$XL" snapshot-check --json --config "$cfg"
claim "--json has a finding for each disk" python3 - "$work/out" <<'EOS'
import json, sys
o = json.load(open(sys.argv[1]))
assert o["exit"] == 1 and o["can_start"] is False and o["domain"] == "web"
assert o["running"] is False
assert [f["part"] for f in o["findings"]] == ["xvda", "xvdb"]
assert [f["good"] for f in o["findings"]] == [True, False]
EOS
check "$img/b.img,raw,xvdb,r" "file:$img/b.img,hdc:cdrom,r"
claim "a base that is only read is not harmed" exits 0
claim "and is left out" says xvdb "left out" read-only

touch -d 2026-01-01 "$img/b.img"
check "$img/b.img,raw,xvdb,w"
claim "a base that was touched since is still one" says xvdb BAD "frozen base"
make
ln -s b.img "$img/link.img"
check "$img/link.img,raw,xvdc,w"
claim "a link to a base is one" says xvdc BAD "frozen base"
mv "$img/b.img" "$img/moved.img"
check "$img/moved.img,raw,xvdb,w"
claim "so is a base that was moved" says xvdb BAD "frozen base"

make
rm -r "$dir"
check "$img/b.img,raw,xvdb,w"
claim "an image below another is not good, whatever the store says" exits 1
claim "it says which" says xvdb BAD "is below '$img/b.s1.qcow2'"
check "$img/nosuch.img,raw,xvdb,w"
claim "nor is one that does not exist" says xvdb BAD "does not exist"
check "$img/free.img,raw,xvda,w" "img/free.img,raw,xvdb,w"
claim "nor a path that is relative" says xvdb BAD "from the root"
check "$img,raw,xvda,w"
claim "nor a directory" says xvda BAD "neither a regular file"

make
echo '{' > "$dir/snapshot.json"
check "$img/a.qcow2,qcow2,xvda,w"
claim "a snapshot that cannot be read may need any image" exits 1
claim "which is told" says "$dir" BAD "not known"

printf "name='web'\ndisk=['/a,raw,xvda,w']\ndisk+=['/b,raw,xvdb,w']\n" > "$cfg"
run "$XL" snapshot-check --config "$cfg"
claim "a list made of two is read as xl reads it" says xvdb BAD "'/b'"
echo "disk = [ 'x'" > "$cfg"
run "$XL" snapshot-check --config "$cfg"
claim "what is no xl.cfg is refused" exits 1
claim "with the line" err_has "$cfg:"
run "$XL" snapshot-check --config "$work/nosuch"
claim "so is a file that is not there" err_has "$work/nosuch"
run "$XL" snapshot-check
claim "without --config the domain must be named" exits 2

if [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null; then
    make
    cp "$XL" "$work/xl"
    chmod -R a+rX "$work"
    check "$img/b.img,raw,xvdb,w"
    chmod a+r "$cfg"
    run setpriv --reuid 65534 --regid 65534 --clear-groups \
        "$work/xl" snapshot-check --config "$cfg"
    claim "who can read the store needs not be root" says xvdb BAD "frozen"
else
    skip "not root, or no setpriv: cannot become nobody"
fi

finish
