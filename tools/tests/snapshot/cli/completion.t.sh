#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# What bash offers when a snapshot command is typed.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
store=$work/store

# A stock xl, and the completion that is there for it.
mkdir -p "$work/bin" "$work/share/bash-completion/completions"
cat > "$work/bin/xl" <<'EOS'
#!/bin/bash
[ "$1" = list ] || exit 1
cat <<'EOL'
Name                                        ID   Mem VCPUs	State	Time(s)
Domain-0                                     0   512     1     r-----      20.5
web                                          1   256     1     -b----       1.7
web two:$(touch EVIL)                        2   256     1     -b----       0.2
it's                                        13  1024     4     ------   12345.6
EOL
EOS
chmod 755 "$work/bin/xl"
cat > "$work/share/bash-completion/completions/xl" <<'EOS'
_xl() {
    COMPREPLY=()
    [ "$COMP_CWORD" != 1 ] ||
        COMPREPLY=($(compgen -W 'list create' -S ' ' -- "${COMP_WORDS[1]}"))
}
complete -F _xl -o nospace -o default xl xen
EOS

# A store: two snapshots of web, one unfinished, one of a domain that is off.
mkdir -p "$store/web/s1" "$store/web/s2" "$store/web/begun" "$store/.journal" \
    "$store/off%20%C3%A4%3A/last" "$work/other/web/elsewhere" "$work/a dir"
touch "$store/web/s1/snapshot.json" "$store/web/s2/snapshot.json" \
    "$store/off%20%C3%A4%3A/last/snapshot.json" \
    "$work/other/web/elsewhere/snapshot.json" "$work/x.cfg"

# offered WORD...: what is offered for the last of these, one a line, sorted.
offered() {
    PATH=$work/bin:$PATH XDG_DATA_DIRS=$work/share XL_SNAPSHOT_STORE=$store \
        SOURCE=$BUILD/xl-snapshot.bash \
        bash --norc -c 'cd "$0" || exit
            . "$SOURCE"
            [[ $(complete -p "$1") =~ -F\ ([^ ]+) ]] || exit
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            "${BASH_REMATCH[1]}" "$1"
            printf "%s\n" "${COMPREPLY[@]}"' "$work" "$@" \
        2> "$work/err" | LC_ALL=C sort > "$work/out"
}

# offers TEXT WANTED WORD...: and nothing is complained of.
offers() {
    local text=$1 wanted=$2
    shift 2
    offered "$@"
    claim "$text" out_is "$wanted"
    [ ! -s "$work/err" ] || claim "$text: in silence" err_empty
}

offers "xl-snapshot: its commands, short" \
    "$(printf '%s\n' "${COMMANDS//snapshot-/}" | tr ' ' '\n' |
        LC_ALL=C sort)" xl-snapshot ''
offers "or in full" snapshot-revert xl-snapshot snapshot-rev
offered xl ''
claim "xl: the distribution's commands" out_has 'list'
claim "and ours" out_has 'snapshot-create '
offers "xl: ours from their beginning" 'snapshot-list ' xl snapshot-l
offers "behind xl's own options, too" 'snapshot-list ' xl -v snapshot-l
offers "another command is left to the distribution's" '' xl create ''

for c in $COMMANDS; do
    "$XL" "$c" --help | grep -oE '^ +(-[a-z], )?--[a-z-]+' | tr -d ' ' |
        tr , '\n' | LC_ALL=C sort > "$work/help"
    offered xl "$c" -
    claim "$c: the options of its help" cmp -s "$work/help" "$work/out"
done
offers "options behind arguments" --no-protect xl snapshot-create web --no
offers "none behind --" '' xl snapshot-create -- --no

running="it\\'s
web
web\\ two\\:\\\$\\(touch\\ EVIL\\)"
offers "create: the domains that run, but not dom0" "$running" \
    xl snapshot-create ''
offers "behind an option that takes nothing" "$running" \
    xl snapshot-create --live ''
offers "and one with its argument" "$running" \
    xl snapshot-create --name n1 ''
offers "in either form" "$running" xl snapshot-create --name = n1 ''
# shellcheck disable=SC2016 # it is not to be expanded
offers "a name with a quote begun" 'web two:$(touch EVIL)' \
    xl snapshot-create "'web "
offers "a name with blanks begun" 'web\ two\:\$\(touch\ EVIL\)' \
    xl snapshot-create 'web\ t'
LC_ALL=C.UTF-8 offers "list: those in the store, too" "$(printf '%s\n%s' \
    "$running" 'off\ ä\:' | LC_ALL=C sort)" xl snapshot-list ''
claim "no name was evaluated" not test -e "$work/EVIL"

offers "revert: the snapshots of the domain" 's1
s2' xl snapshot-revert web ''
offers "xl-snapshot revert: the same" 's1
s2' xl-snapshot revert web ''
offers "of a domain with an odd name" last \
    xl snapshot-revert 'off\ ä\:' ''
offers "--store counts" elsewhere \
    xl snapshot-revert --store "$work/other" web ''
offers "in either form" elsewhere \
    xl snapshot-revert --store = "$work/other" web ''
offers "a domain without snapshots has none" '' xl snapshot-info none ''
offers "a path instead of a name" ./x.cfg xl snapshot-revert web ./x
offers "DOMAIN-CONFIG: files" x.cfg xl snapshot-revert web s1 x
offers "SNAPSHOT-CONFIG: files" x.cfg xl snapshot-create web x
offers "nothing behind the last argument" '' xl snapshot-create web x.cfg ''
offers "--path: directories" 'a dir' xl snapshot-create --path 'a'
offers "--store: directories" other xl snapshot-list --store = o
offers "--config: files" x.cfg xl snapshot-adopt --config x
offers "--name: nothing" '' xl snapshot-create --name ''

finish
