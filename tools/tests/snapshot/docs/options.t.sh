#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# The manual and the program name the same commands and options.
# shellcheck source=../cli/lib.sh
. "$(dirname "$0")/../cli/lib.sh"
manual=$SRC/docs/misc/xl-snapshot.markdown

claim "the manual is there" test -s "$manual"

# Words that look like long options.
words() { grep -oE '(^|[^-[:alnum:]])--[a-z][a-z-]+' | grep -oE -- '--.*' | sort -u; }

# The text below "### COMMAND" up to the next heading of its level or above.
section() {
    awk -v want="### $1" '
        /^##?#? / { inside = ($0 == want) }
        inside { print }' "$manual"
}

for c in $COMMANDS; do
    "$XL" "$c" --help > "$work/help"
    claim "$c has a section" test -n "$(section "$c")"
    claim "$c is in the synopsis with its arguments" grep -qF \
        "$(sed -n 's/^Usage: \(xl [a-z-]*\) \(.*\)/\2/p' "$work/help")" \
        <(grep "^    xl $c " "$manual")
    { section "$c"; section "Options of every command"; } | words > "$work/doc"
    # shellcheck disable=SC2013
    for o in $(grep -oE '^ +(-[a-z],)? +--[a-z-]+' "$work/help" | words); do
        claim "$c: $o is in the manual" grep -qxF -- "$o" "$work/doc"
    done
    for o in $(section "$c" | sed -n '/^`-/p' | words); do
        claim "$c: the manual's $o is in --help" grep -qE -- " $o( |\$)" \
            "$work/help"
    done
    # A short form that one of them has, the other has too.
    for o in $(grep -oE '^  -[a-z], --[a-z-]+' "$work/help" |
               sed 's/^ *//; s/ //'); do
        claim "$c: ${o%,*} is ${o#*,} in the manual" grep -qE \
            "\`${o%,*}\`, \`${o#*,}[ \`]" \
            <(section "$c"; section "Options of every command")
    done
done

for o in $(section "Options of every command" | sed -n '/^`-/p' | words); do
    for c in $COMMANDS; do
        "$XL" "$c" --help > "$work/help"
        claim "$c takes $o" grep -qE -- " $o( |\$)" "$work/help"
    done
done

sed -n '/^## Exit status/,/^## Files/p' "$manual" > "$work/status"
for s in 0 1 2 3 4; do
    claim "exit status $s is in the manual" grep -q "^| $s |" "$work/status"
done
claim "no line of the manual's text is wider than 80" \
    test -z "$(grep -vE '^(\||    )' "$manual" | grep -E '.{81,}')"

finish
