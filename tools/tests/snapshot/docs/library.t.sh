#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# The library for others: header, symbol map and what is exported agree, and a
# program can be built with what is installed, and with nothing else.
# shellcheck source=../cli/lib.sh
. "$(dirname "$0")/../cli/lib.sh"
header=$SRC/tools/libxl/libxl_snapshot.h
root=$work/root
lib=$root/opt/xs/lib
doc=$root/opt/xs/share/doc/xl-snapshot

# ---- header, map and library: "FUNCTION VERSION", one a line

# The version is the one behind "Since" in the comment that stands right before
# the declaration; a function without a comment is of no version.
perl -0777 -ne '
    while (m{(/\*(?:(?!\*/).)*\*/\n)?^\w[^;{}()/#]*?\b(\w+)\((?:[^;{}])*\);}gms) {
        my ($comment, $name) = ($1, $2);
        my $since = !$comment ? "uncommented"
            : $comment =~ /\bSince (\d+\.\d+)/ ? $1 : "0.1";
        print "$name $since\n";
    }' "$header" | sort > "$work/declared"
awk '/^LIBXLSNAPSHOT_/ { sub(/^LIBXLSNAPSHOT_/, ""); version = $1 }
    /^ +[a-z]/ { sub(/;/, ""); print $1, version }' \
    "$SRC/tools/libxl/libxlsnapshot.map" | sort > "$work/mapped"

claim "the header declares functions" test -s "$work/declared"
while read -r f version; do
    claim "$f has a comment" test "$version" != uncommented
    claim "$f is in the map, since $version" \
        grep -qxF "$f $version" "$work/mapped"
done < "$work/declared"
while read -r f version; do
    claim "$f, in the map since $version, is declared so" \
        grep -qxF "$f $version" "$work/declared"
done < "$work/mapped"
# shellcheck disable=SC2013 # words
for f in $(grep -ohE '\blibxl_snapshot_[a-z_]+' "$SRC"/README.md \
           "$SRC"/docs/*.md "$SRC"/docs/man/*.pod | sort -u); do
    claim "$f, which a document names, is in the header" \
        grep -qwF "$f" "$header"
done

# ---- what is installed

run make -C "$BUILD" install DESTDIR="$root" prefix=/opt/xs \
    exec_prefix=/opt/xs libdir=/opt/xs/lib includedir=/opt/xs/include
claim "make install" exits 0
nm -D --defined-only --with-symbol-versions "$lib/libxlsnapshot.so" |
    sed -n 's/.* [^A] \(.*\)@@LIBXLSNAPSHOT_/\1 /p; t; s/.* [^A] //p' |
    sort > "$work/exported"
run diff "$work/mapped" "$work/exported"
claim "the library exports what the map says, and nothing else" exits 0
claim "its soname has the first number alone" grep -q \
    'SONAME.*\[libxlsnapshot\.so\.[0-9]*\]' \
    <(readelf -d "$lib/libxlsnapshot.so")

# Of pkg-config's files ours alone, as where Xen's libraries are, but not what
# is needed to build with them.
flags() {
    PKG_CONFIG_LIBDIR=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root \
        pkg-config "$@" xlsnapshot
}
# compile ARGUMENT...: strictly, in an empty directory.
mkdir "$work/empty"
compile() {
    # shellcheck disable=SC2086 # words
    (cd "$work/empty" && run ${CC:-cc} -std=gnu11 -Wall -Wextra \
        -Wmissing-prototypes -Wstrict-prototypes -Werror "$@"
     exit "$status")
}

claim "pkg-config has the paths that make install was given" \
    grep -qx libdir=/opt/xs/lib "$lib/pkgconfig/xlsnapshot.pc"
claim "so has the unit" grep -q ^ExecStart=/opt/xs/sbin/xl-snapshot \
    "$root/opt/xs/lib/systemd/system/xl-snapshot-recover.service"
printf '#include <libxl_snapshot.h>\n%.0s' 1 2 > "$work/twice.c"
# shellcheck disable=SC2046 # words
claim "the header needs nothing before it, and can be there twice" \
    compile -std=c99 -pedantic -c -o "$work/twice.o" $(flags --cflags) \
    "$work/twice.c"
# shellcheck disable=SC2046 # words
compile -M -o "$work/needs" $(flags --cflags) "$work/twice.c"
claim "nor any header of Xen's" not grep -qE '/(_?libxl|xen|yajl)[^ ]*' \
    <(grep -v libxl_snapshot.h "$work/needs")
# shellcheck disable=SC2046 # words
claim "the example can be built with what is installed" \
    compile -o "$work/snapshots" "$doc/examples/snapshots.c" \
    $(flags --cflags --libs)

# ---- the example

export LD_LIBRARY_PATH=$lib
run "$work/snapshots" "$work/empty"
claim "no snapshots: success" exits 0
claim "and nothing is printed" out_empty

# manifest NAME CREATED
manifest() {
    mkdir -p "$work/web/$1"
    cat > "$work/web/$1/snapshot.json" <<EOS
{
    "format": "xl-snapshot", "version": 1,
    "name": "$1", "created": "$2", "consistency": "offline",
    "domain": { "name": "web",
        "uuid": "5f3c8a52-6c0e-4a8e-9d8c-3f2f0e6f7b11",
        "type": "pvh", "state": "off" },
    "disks": []
}
EOS
}
manifest before 2026-01-02T03:04:05Z
manifest later 2026-01-03T00:00:00Z
mkdir "$work/web/begun"
echo later > "$work/web/current"
run "$work/snapshots" "$work/web"
claim "two snapshots: success" exits 0
claim "each is listed, and nothing else" out_is \
'before 2026-01-02T03:04:05Z offline
later 2026-01-03T00:00:00Z offline'
claim "and nothing is said" err_empty

mkdir "$work/web/broken"
sed 's/"version": 1/&, "mandatory": [ "\\u001b[2J" ]/' \
    "$work/web/later/snapshot.json" > "$work/web/broken/snapshot.json"
run "$work/snapshots" "$work/web"
claim "a broken one is a failure" exits 1
claim "whose message names it" err_has broken/snapshot.json
claim "and what is wrong with it" err_has '[2J'
claim "without control characters" plain err
claim "the others are listed all the same" out_has "later 2026-01-03"
run "$work/snapshots" "$work/none"
claim "a directory that is not there is a failure" exits 1
claim "with the reason" err_has "$work/none: No such file"
run "$work/snapshots" no/such-domain "$work/web/s1"
claim "a domain that is not there is refused" exits 1
claim "with a reason" test -s "$work/err"
claim "and nothing is made" test ! -e "$work/web/s1"

# ---- the archive, and away with it

unset LD_LIBRARY_PATH
rm -f "$lib"/libxlsnapshot.so*
# shellcheck disable=SC2046 # words
claim "with --static the archive is enough" \
    compile -o "$work/static" "$doc/examples/snapshots.c" \
    $(flags --static --cflags --libs)
run "$work/static" "$work/empty"
claim "and such a program runs" exits 0

run make -C "$BUILD" uninstall DESTDIR="$root" prefix=/opt/xs \
    exec_prefix=/opt/xs libdir=/opt/xs/lib includedir=/opt/xs/include
claim "make uninstall" exits 0
claim "leaves no file" test -z "$(find "$root" ! -type d)"

finish
