#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# The manual names the commands, options and keys that the program knows, each
# where it belongs, and no others.
# shellcheck source=../cli/lib.sh
. "$(dirname "$0")/../cli/lib.sh"
manual=$SRC/docs/man/xl-snapshot.1.pod
cfg=$SRC/docs/man/xl-snapshot.cfg.5.pod
parser=$SRC/tools/xl
commands=$("$BUILD/xl-snapshot" --help | grep -oE '^ snapshot-[a-z]+')

for page in "$manual" "$cfg"; do
    claim "${page##*/} is there" test -s "$page"
    if command -v podchecker > /dev/null; then
        run podchecker -warnings "$page"
        claim "podchecker finds no fault in ${page##*/}" exits 0
        claim "nor anything to warn of" not grep -q '^\*\*\*' "$work/err"
    else
        skip "no podchecker (Debian: perl)"
    fi
    claim "no line of ${page##*/} is wider than 80" \
        not grep -qE '.{81,}' "$page"
    if command -v pod2text > /dev/null; then
        pod2text --indent=7 --width=80 "$page" > "$work/text"
        claim "nor when it is shown" not grep -qE '.{81,}' "$work/text"
    else
        skip "no pod2text (Debian: perl)"
    fi
done

# The text below "=head2 TITLE" up to the next heading.
section() {
    awk -v want="=head2 $1" '
        /^=head/ { inside = ($0 == want) }
        inside { print }' "$manual"
}

# Items of a section without their marks: "-n, --name NAME".
items() {
    section "$1" | sed -n 's/^=item //p' |
        sed 's/[BI]<\([^>]*\)>/\1/g' | sort
}

# The same from --help.
helped() {
    "$XL" "$1" --help | sed -n '/^Options:/,$p' |
        grep -oE '^ +(-[a-z], )?--[a-z-]+( [A-Z]+)?' | sed 's/^ *//' | sort
}

# What every command takes, then what each takes besides.
for c in $commands; do helped "$c"; done | sort | uniq -c |
    awk -v n="$(echo "$commands" | wc -w)" '
        $1 == n { sub(/^ *[0-9]+ /, ""); print }' > "$work/common"
items "Options of every command" > "$work/out"
claim "the options of every command are those under that title" \
    cmp -s "$work/common" "$work/out"
claim "they are some" test "$(wc -l < "$work/common")" -gt 5

for c in $commands; do
    claim "$c has a section" test -n "$(section "$c")"
    claim "$c is in the synopsis with its arguments" grep -qE \
        "^    xl $c +$("$XL" "$c" --help | sed -n \
            's/^Usage: xl [a-z-]* //p' | sed 's/[][]/\\&/g')\$" "$manual"
    helped "$c" | comm -23 - "$work/common" > "$work/help"
    items "$c" > "$work/out"
    claim "$c has its options in its section, and no others" \
        cmp -s "$work/help" "$work/out"
done
claim "no other command has one" test "$(echo "$commands" | wc -w)" = \
    "$(grep -c '^=head2 snapshot-' "$manual")"

sed -n '/^=head1 EXIT STATUS/,/^=head1 FILES/p' "$manual" > "$work/out"
for s in 0 1 2 3 4; do
    claim "exit status $s is in the manual" grep -q "^=item B<$s>" "$work/out"
done

# The words that the parser of SNAPSHOT-CONFIG compares with, and the items of
# the page, sorted.
keys() {
    sed -n '/known\[\] = {/,/};/p' "$parser/snapconfig.c" |
        grep -oE '"[a-z]+"'
}
words() {
    sed -n '/^static int disk_word/,/^}/p' "$parser/snapconfig_disk.c" |
        grep -oE 'key, "[a-z]+"' | grep -oE '"[a-z]+"'
}
in_page() {
    awk -v want="=head1 $1" '
        /^=head/ { inside = ($0 == want) }
        inside && /^=item/ { print }' "$cfg" | grep -oE '^=item B<[a-z]+' |
        sed 's/.*B<\(.*\)/"\1"/' | sort
}
keys | grep -v '"disks"' | sort > "$work/help"
in_page KEYS > "$work/out"
claim "the keys of the page are those that are understood" \
    cmp -s "$work/help" "$work/out"
claim "they are some" test "$(wc -l < "$work/help")" -gt 4
claim "the other word for disk is named" grep -qF 'B<disks>' "$cfg"
words | sort > "$work/help"
in_page DISKS > "$work/out"
claim "so are the words of a disk" cmp -s "$work/help" "$work/out"
claim "they are some, too" test "$(wc -l < "$work/help")" -gt 5

finish
