#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# The front: what is ours is run, all else goes to the stock xl unchanged.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# A stock xl that shows how it was called; Debian's looks at its own name too.
mkdir "$work/stock" "$work/ours" "$work/other" "$work/empty"
cat > "$work/stock/xl" <<'EOS'
#!/bin/bash
printf 'stock %s %s:' "${0##*/}" "$#"
printf ' <%s>' "$@"
echo
exit 7
EOS
chmod 755 "$work/stock/xl"
cp "$work/stock/xl" "$work/other/named"
ln -s "$XL" "$work/ours/xl"
sys=/usr/bin:/bin

run env PATH="$work/ours:$work/stock:$sys" xl list -l 'a b' ''
claim "another command goes to the stock xl" \
    out_is "stock xl 4: <list> <-l> <a b> <>"
claim "with its exit status" exits 7
claim "and nothing else is said" err_empty

run env PATH="$work/ours:$work/stock:$sys" xl -vN create x.cfg
claim "global options go along" out_is "stock xl 3: <-vN> <create> <x.cfg>"
run env PATH="$work/ours:$work/stock:$sys" xl
claim "no argument at all is the stock xl's matter" out_has "stock xl 0:"
run env PATH="$work/ours:$work/stock:$sys" xl -x snapshot-list
claim "so is a global option that we do not know" \
    out_is "stock xl 2: <-x> <snapshot-list>"
run env PATH="$work/ours:$work/stock:$sys" xl snapshot
claim "so is a command that only begins like ours" \
    out_is "stock xl 1: <snapshot>"
run env PATH="$work/ours:$work/stock:$sys" xl help list
claim "so is help about its own commands" out_is "stock xl 2: <help> <list>"
run env PATH="$work/ours:$work/stock:$sys" xl help
claim "xl help shows the stock list" out_has "stock xl 1: <help>"
claim "and then ours" out_has " snapshot-create "
claim "with the stock exit status" exits 7
claim "xl help fits 80 columns" fits out
run env PATH="$work/ours:$work/stock:$sys" xl -v help
claim "xl -v help, too" out_has " snapshot-create "
run env PATH="$work/ours:$work/stock:$sys" xl help snapshot-create
claim "xl help of our command is ours" out_has "Usage: xl snapshot-create"
claim "and succeeds" exits 0
run env PATH="$work/ours:$work/stock:$sys" xl help snapshot-nonsense
claim "help about a snapshot command that is none is a usage error" exits 2
run env PATH="$work/ours:$work/stock:$sys" xl snapshot-nonsense
claim "a snapshot command that is none is not handed on" exits 2
claim "and the message lists those there are" err_has " snapshot-revert "

run env PATH="$work/stock:$work/ours:$sys" "$work/ours/xl" list
claim "what stands on PATH before us is not behind us" \
    out_lacks "stock xl 1: <list>"
cp -l "$(readlink -f "$XL")" "$work/empty/xl" 2>/dev/null ||
    cp "$XL" "$work/empty/xl"
run env PATH="$work/ours:$work/empty:$work/stock:$sys" xl list
claim "hard links and copies of us are passed over" \
    out_is "stock xl 1: <list>"
mkdir "$work/junk" && mkdir "$work/junk/xl"
mkdir "$work/noexec" && echo > "$work/noexec/xl"
run env PATH="$work/ours:$work/junk:$work/noexec:$work/stock:$sys" xl list
claim "directories and files that cannot be run are passed over" \
    out_is "stock xl 1: <list>"
cd "$work/stock" || exit 1
run env PATH="$work/ours::.:$sys" XL_STOCK= xl list
claim "relative directories on PATH are passed over" \
    out_lacks "stock xl 1: <list>"
cd / || exit 1

run env PATH="$work/ours:$sys" XL_STOCK="$work/other/named" xl list
claim "XL_STOCK= names another" out_is "stock named 1: <list>"
run env PATH="$work/ours:$work/stock:$sys" XL_STOCK="$work/ours/xl" xl list
claim "XL_STOCK= that is ourselves is an error" exits 1
claim "and the message says so" err_has "is this program itself"
run env PATH="$work/ours:$work/stock:$sys" XL_STOCK="$work/none" xl list
claim "XL_STOCK= that is nothing is an error" exits 1
claim "and the message names it" err_has "XL_STOCK=$work/none"

# Two copies that are each other's stock xl.
cp "$XL" "$work/other/xl"
cat > "$work/other/back" <<EOS
#!/bin/bash
exec "$work/ours/xl" "\$@"
EOS
chmod 755 "$work/other/back"
run timeout 20 env PATH="$sys" XL_STOCK="$work/other/back" "$work/ours/xl" list
claim "a stock xl that comes back to us does not go round for ever" exits 1
claim "and the message says what to do" err_has "set XL_STOCK="

ln -s "$XL" "$work/ours/xl-snapshot"
snap=$work/ours/xl-snapshot
run "$snap" create --help
claim "xl-snapshot create" out_has "Usage: xl snapshot-create"
run "$snap" snapshot-create --help
claim "xl-snapshot snapshot-create" out_has "Usage: xl snapshot-create"
run "$snap" help revert
claim "xl-snapshot help revert" out_has "Usage: xl snapshot-revert"
run "$snap" --help
claim "xl-snapshot --help lists the commands" out_has " snapshot-recover "
claim "and succeeds" exits 0
run "$snap"
claim "xl-snapshot alone is a usage error" exits 2
run env PATH="$work/stock:$sys" "$snap" destroy g1
claim "xl-snapshot hands nothing to the stock xl" exits 2
claim "and prints nothing on standard output" out_empty
run "$snap" --version
claim "xl-snapshot --version" out_has "xl-snapshot "

finish
