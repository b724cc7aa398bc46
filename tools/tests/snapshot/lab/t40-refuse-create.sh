#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
# lab-first
#
# What snapshot-create must refuse, and how: the right exit status, a message
# that names the object, the reason and what to do, nothing on stdout, and
# nothing touched.  Runs in dom0: run.sh -- t40-refuse-create.sh
#
# t41 and t42 source it for the functions at its top.

# shellcheck source=lib.sh
. /lab/lib.sh

IMAGES=/disk/img
STORE=/var/lib/xen/snapshots
TICKING=                        # guests that must go on through every case
holder=                         # the process of holds
quick=                          # look at little after each case: see group
world=                          # the fingerprint at the beginning of a group

# ---- functions for all scripts about refusals ---------------------------

# fingerprint: whatever a refused command could have touched, as text; in a
# group only which domains there are, and who stands still.
fingerprint() {
    xenstore-list /local/domain
    [ -n "$quick" ] || "$LAB/world.pl" "$IMAGES" "$STORE"
}

# shown_change BEFORE AFTER: what is different, as remarks.
shown_change() {
    diff <(echo "$1") <(echo "$2") | sed 's/^/#   /'
}

# well GUEST: it ticks, and nothing was wrong since the mark.
well() {
    guest_wait_ticks "$1" 2 && [ "$(guest_mismatches "$1")" = 0 ]
}

# ticking: the guests to look at after each case.
ticking() {
    [ -n "$quick" ] || echo "$TICKING"
}

# untouched CLAIM STATUS REGEX COMMAND...: the command ends with STATUS, says
# what matches (in its plan, if that is what it prints), and touches nothing.
untouched() {
    local claim=$1 want=$2 regex=$3 before after said status guest bad=()
    shift 3

    before=$(fingerprint)
    for guest in $(ticking); do guest_mark "$guest"; done
    "$@" > "$LAB/stdout" 2> "$LAB/stderr" < /dev/null
    status=$?
    said=$(< "$LAB/stderr")
    [ "$want" -ne 0 ] || said+=$(< "$LAB/stdout")
    [ "$status" -eq "$want" ] || bad+=("exit status $status, not $want")
    [[ $said =~ $regex ]] || bad+=("the message does not match $regex")
    [[ $said != *[$'\x01'-$'\x08\x0b'-$'\x1f']* ]] ||
        bad+=("the message has control characters")
    [ "$want" -eq 0 ] || [ ! -s "$LAB/stdout" ] || bad+=("words on stdout")
    after=$(fingerprint)
    [ "$before" = "$after" ] || bad+=("something was touched")
    for guest in $(ticking); do
        well "$guest" || bad+=("guest $guest is not well")
    done
    tap_result "${#bad[@]}" "$claim"
    diag "it said: ${said:0:700}"
    [ ${#bad[@]} -gt 0 ] || return 0
    diag "command: $*" "stdout: $(head -n 3 "$LAB/stdout")"
    for said in "${bad[@]}"; do diag "WRONG: $said"; done
    shown_change "$before" "$after"
    return 1
}

# group: many cases of one kind follow, all the world is looked at before the
# first and after the last: looking costs more than the cases.
group() {
    local guest

    world=$(fingerprint)
    for guest in $TICKING; do guest_mark "$guest"; done
    quick=yes
}

# group_done CLAIM: nothing was touched, the guests are well.
group_done() {
    local now guest

    quick=
    now=$(fingerprint)
    [ "$world" = "$now" ]
    tap_result $? "$1: nothing was touched" || shown_change "$world" "$now"
    for guest in $TICKING; do
        ok "$1: guest $guest ticks on" well "$guest"
    done
}

# refused CLAIM REGEX COMMAND...: exit status 1.
refused() {
    local claim=$1 regex=$2
    shift 2

    untouched "$claim" 1 "$regex" "$@"
}

# misused CLAIM REGEX COMMAND...: exit status 2, usage.
misused() {
    local claim=$1 regex=$2
    shift 2

    untouched "$claim" 2 "$regex" "$@"
}

# holds COMMAND...: start it in the background as $holder, give it a moment.
holds() {
    "$@" > /dev/null 2>&1 < /dev/null &
    holder=$!
    sleep 0.5
    kill -0 "$holder" || diag "this did not stay: $*"
}

# holds_open MODE FILE: a process that has it open, by that name.
# shellcheck disable=SC2016 # the inner shell expands
holds_open() {
    holds bash -c 'case $1 in r) exec 9< "$2" ;; w) exec 9<> "$2" ;; esac
        sleep 600 & trap "kill $!" TERM; wait' hold "$1" "$2"
}

# let_go: end $holder.
let_go() {
    kill "$holder" 2>/dev/null
    wait "$holder" 2>/dev/null
    holder=
}

# state_is GUEST REGEX: the state column of xl list.
state_is() {
    "$STOCK_XL" list "$1" 2>/dev/null | awk 'NR == 2 { print $5 }' |
        grep -q -E -- "$2"
}

# set_file TEXT: a file with it, $LAB/set.cfg.
set_file() {
    printf '%s\n' "$*" > "$LAB/set.cfg"
}

# begin: dom0's disk for images, an empty store.
begin() {
    lab_disk || bail_out "no disk"
    mkdir -p "$IMAGES"
    mkdir -p "$STORE/.journal"
    chmod 700 "$STORE" "$STORE/.journal"
}

[ "${BASH_SOURCE[0]}" = "$0" ] || return 0

# ---- the guest of most cases --------------------------------------------

# xvda qcow2 with a tag made by hand, xvdb raw, xvdc read-only.
start_g1() {
    mk_qcow2 "$IMAGES/a.qcow2" 64M
    qemu-img snapshot -c byhand "$IMAGES/a.qcow2"
    mk_raw "$IMAGES/b.raw" 64M
    mk_raw "$IMAGES/ro.raw" 1M
    ln "$IMAGES/a.qcow2" "$IMAGES/hard"
    ln "$IMAGES/b.raw" "$IMAGES/hard.raw"
    ln -s "$IMAGES/a.qcow2" "$IMAGES/soft"
    GUEST_VIF=1 guest_config g1 pv 96 "$IMAGES/a.qcow2" \
        "format=raw,vdev=xvdb,access=rw,backendtype=qdisk,\
target=$IMAGES/b.raw" \
        "format=raw,vdev=xvdc,access=ro,target=$IMAGES/ro.raw" \
        > /dev/null
    sed -i 's/\(tick.disks=xvda,xvdb\),xvdc/\1/' "$LAB/g1.cfg"
    { guest_start g1 && guest_wait_ticks g1 5; } || bail_out "g1 does not start"
    ok "a snapshot without the raw disk can be made" \
        xl snapshot-create -n s1 --exclude xvdb g1
    TICKING=g1
}

# ---- domains that are not there -----------------------------------------

absent_domains() {
    local nobody=01234567-89ab-cdef-0123-456789abcdef
    group

    refused "a domain that is not there" "domain 'nobody' is not running" \
        xl snapshot-create nobody
    refused "a number that no domain has" "domain '4711' is not running" \
        xl snapshot-create 4711
    refused "a uuid that no domain has" "domain '$nobody' is not running" \
        xl snapshot-create $nobody
    refused "dom0" "'Domain-0' cannot be snapshotted: it is dom0" \
        xl snapshot-create 0
    group_done "domains that are not there"
}

# ---- names ---------------------------------------------------------------

bad_names() {
    local long rule="cannot be a name: .*begins? with a letter"
    group

    long=$(printf 'x%.0s' {1..300})
    refused "a name in use in the store" \
        "/g1/s1' is there already; choose another name" \
        xl snapshot-create -n s1 --exclude xvdb g1
    refused "a name in use inside an image, by a tag made by hand" \
        "disk 'xvda': .* holds a snapshot 'byhand'; choose another name" \
        xl snapshot-create -n byhand --exclude xvdb g1
    refused "a name in use inside an image, in another store" \
        "disk 'xvda': .* holds a snapshot 's1'; choose another name" \
        xl snapshot-create -n s1 --store /disk/store2 --exclude xvdb g1
    misused "a number as name" "'1' $rule" xl snapshot-create -n 1 g1
    misused "a path as name" "'\.\./x' $rule" \
        xl snapshot-create -n ../x g1
    misused "a name of 300 characters" "$rule.* at most 64" \
        xl snapshot-create -n "$long" g1
    misused "a name with control characters" "$rule" \
        xl snapshot-create -n $'a\e[31m\nb' g1
    misused "an empty name" "--name wants a" xl snapshot-create -n '' g1
    misused "the store's own name" "'current' cannot be a name: the store" \
        xl snapshot-create -n current g1
    misused "a name that begins with a point" "'\.x' $rule" \
        xl snapshot-create -n .x g1
    set_file "name = '../../x'"
    misused "a path as name in a file" "'\.\./\.\./x' $rule" \
        xl snapshot-create g1 "$LAB/set.cfg"
    group_done "names"
}

# ---- options ----------------------------------------------------------------

bad_options() {
    group
    misused "--internal with --external" "--internal.*--external" \
        xl snapshot-create -i -e g1
    misused "--quiet with --verbose" "--quiet.*--verbose" \
        xl snapshot-create -q -v g1
    misused "an option of another command" "'--force'" \
        xl snapshot-create --force g1
    misused "no domain" "DOMAIN" xl snapshot-create
    misused "one argument too many" "argument" \
        xl snapshot-create g1 "$LAB/set.cfg" more
    misused "a lock timeout that is no number" "--lock-timeout" \
        xl snapshot-create --lock-timeout soon g1
    set_file "name = 'here'"
    misused "a name and another in the file" \
        "--name 'there' and .*'here', disagree" \
        xl snapshot-create -n there g1 "$LAB/set.cfg"
    set_file "type = 'internal'"
    misused "--external and another type in the file" \
        "--external and type in .*set.cfg disagree" \
        xl snapshot-create -e g1 "$LAB/set.cfg"
    set_file "nmae = 'x'"
    misused "a key that does not exist" "set.cfg: unknown key 'nmae'; .*name" \
        xl snapshot-create g1 "$LAB/set.cfg"
    set_file "name = 'x"
    misused "a file that is not in the syntax" "set.cfg" \
        xl snapshot-create g1 "$LAB/set.cfg"
    refused "a file that is not there" "/none.cfg'.*[Nn]o such file" \
        xl snapshot-create g1 /none.cfg
    refused "--live for a PV guest" \
        "domain 'g1': --live is not possible: .*leave --live out" \
        xl snapshot-create --live --exclude xvdb g1
    refused "whoever is not root" "must be run by root" \
        setpriv --reuid 65534 --regid 65534 --clear-groups \
        "$(command -v xl)" snapshot-create g1
    group_done "options"
}

# ---- paths ------------------------------------------------------------------

bad_paths() {
    mkdir -p /disk/taken
    : > /disk/file
    group
    refused "--path that exists" \
        "'/disk/taken' exists.*--path another directory" \
        xl snapshot-create --path /disk/taken --exclude xvdb g1
    refused "--path below nothing" "'/disk/nowhere'.* does not exist" \
        xl snapshot-create --path /disk/nowhere/s --exclude xvdb g1
    refused "a store that is a file" "/disk/file.*(directory|Not a)" \
        xl snapshot-create --store /disk/file --exclude xvdb g1
    set_file "disk = [ 'vdev=xvdb,target=$IMAGES/ro.raw' ]"
    refused "an overlay's path that is taken" \
        "'xvdb': .*'$IMAGES/ro.raw' is taken; .*target=" \
        xl snapshot-create g1 "$LAB/set.cfg"
    set_file "disk = [ 'vdev=xvdb,target=/disk/nowhere/b.qcow2' ]"
    refused "an overlay below nothing" \
        "'xvdb': .*'/disk/nowhere/b.qcow2' does not exist" \
        xl snapshot-create g1 "$LAB/set.cfg"
    set_file "disk = [ 'vdev=xvda,target=/disk/o.qcow2'," \
        "'vdev=xvdb,target=/disk/o.qcow2' ]"
    refused "one overlay for two disks" \
        "'xvda' and 'xvdb' would get the same overlay .*target=" \
        xl snapshot-create g1 "$LAB/set.cfg"
    group_done "paths"
    is "none of the paths was made" "$(ls -d /disk/nowhere /disk/store2 \
        /disk/o.qcow2 2> /dev/null)" ""
}

# ---- disks ------------------------------------------------------------------

bad_disks() {
    refused "--internal with a raw disk" "disk 'xvdb': a raw image cannot \
hold an internal snapshot; use --external" xl snapshot-create -i g1
    refused "--exclude of a disk it has not" "'g1' has no disk 'xvdz'" \
        xl snapshot-create --exclude xvdz g1
    set_file "disk = [ 'vdev=xvdc,type=internal' ]"
    refused "a read-only disk that is asked for" \
        "disk 'xvdc' cannot be snapshotted: it is read-only" \
        xl snapshot-create g1 "$LAB/set.cfg"
    mv "$IMAGES/a.qcow2" "$IMAGES/a.was"
    cp "$IMAGES/a.was" "$IMAGES/a.qcow2"
    refused "an image that was replaced by a copy of it" \
        "disk 'xvda': .*a.qcow2' is not the file that QEMU .* works on" \
        xl snapshot-create --exclude xvdb g1
    mv "$IMAGES/a.was" "$IMAGES/a.qcow2"
    untouched "a read-only disk is left out, which is said" 0 \
        "xvdc is left out: read-only" xl snapshot-create --dry-run g1
    untouched "an excluded disk is called partial" 0 \
        "xvdb is left out as asked: the snapshot is partial" \
        xl snapshot-create --dry-run --exclude xvdb g1
}

# ---- images that somebody else has open ---------------------------------

busy_a() {
    refused "$1" "disk 'xvda': .*open in: .*process [0-9]+ \($2\)" \
        xl snapshot-create --exclude xvdb g1
}

other_processes() {
    local loop

    holds_open r "$IMAGES/a.qcow2"
    busy_a "an image that a process reads" '(bash|sleep)'
    let_go
    holds_open w "$IMAGES/soft"
    busy_a "an image open through a symbolic link" '(bash|sleep)'
    let_go
    holds_open w "$IMAGES/hard"
    busy_a "an image open through a hard link" '(bash|sleep)'
    let_go
    mkdir -p /lab/mnt
    holds unshare -m bash -c "mount --bind $IMAGES /lab/mnt &&
        exec sleep 600 9< /lab/mnt/a.qcow2"
    busy_a "an image open through a bind mount in a name space" sleep
    let_go
    holds qemu-nbd -r -t -f qcow2 -k /lab/nbd.sock "$IMAGES/a.qcow2"
    sleep 1
    busy_a "an image that qemu-nbd serves read-only" qemu-nbd
    let_go
    loop=$(losetup -r -f --show "$IMAGES/b.raw")
    refused "an image behind a loop device" \
        "disk 'xvdb': .*open in: .*$loop" xl snapshot-create g1
    losetup -d "$loop"
}

# Another domain on an image of g1: it runs, or never ran. It does not tick,
# so that it writes nothing.
other_domains() {
    local how

    guest_config other pv 96 "format=raw,vdev=xvda,access=rw,\
backendtype=qdisk,target=$IMAGES/hard.raw" > /dev/null
    sed -i 's/tick.disks=[a-z]*//' "$LAB/other.cfg"
    for how in "" -p; do
        # shellcheck disable=SC2086 # no option, or one
        "$STOCK_XL" create -q $how "$LAB/other.cfg" > "$LAB/other.out" 2>&1 ||
            diag "$(cat "$LAB/other.out")"
        refused "an image that another domain has${how:+, one never run}" \
            "disk 'xvdb': .*open in: domain 'other'" xl snapshot-create g1
        guest_destroy other
    done
}

# ---- states -----------------------------------------------------------------

start_g2() {
    rm -f "$IMAGES/g2.qcow2"
    mk_qcow2 "$IMAGES/g2.qcow2" 64M
    GUEST_CFG="on_poweroff='preserve'" \
        guest_config g2 pv 96 "$IMAGES/g2.qcow2" > /dev/null
    guest_start g2 && guest_wait_ticks g2 3
}

# Its save stalls in a pipe that nobody empties, then both die.
kill_save() {
    local pid child

    mkfifo /lab/stall
    exec 8<> /lab/stall
    "$STOCK_XL" save g2 /lab/stall > /lab/save.out 2>&1 &
    pid=$!
    wait_for 80 state_is g2 s || diag "$(cat /lab/save.out)"
    sleep 0.5
    child=$(cat "/proc/$pid/task/$pid/children")
    # shellcheck disable=SC2086 # a list of numbers
    kill -KILL "$pid" $child
    wait "$pid" 2>/dev/null
    exec 8>&-
}

bad_states() {
    start_g2
    "$STOCK_XL" pause g2
    refused "a paused domain" \
        "domain 'g2' cannot .*is paused.*run .xl unpause g2. first" \
        xl snapshot-create g2
    "$STOCK_XL" unpause g2
    guest_mark g2
    ok "which goes on afterwards" well g2

    kill_save
    refused "a domain that a killed xl save left suspended" \
        "domain 'g2' cannot .*stands suspended.*xl snapshot-recover g2" \
        xl snapshot-create g2
    guest_mark g2
    ok "snapshot-recover can be run on it" xl snapshot-recover g2
    ok "and it goes on" well g2
    state_is g2 s && guest_destroy g2 && start_g2

    guest_send g2 poweroff
    wait_for 120 state_is g2 s || diag "g2 does not power off"
    refused "a preserved domain that is powered off" \
        "domain 'g2' cannot .*is powered off; start it first" \
        xl snapshot-create g2
    guest_destroy g2
}

# QEMU, stopped, holds a page of the guest: it cannot go away.
dying_domain() {
    local domid qemu

    start_g2
    domid=$(guest_domid g2)
    qemu=$(xenstore-read "/local/domain/$domid/image/device-model-pid")
    kill -STOP "$qemu"
    "$STOCK_XL" destroy g2 > /dev/null 2>&1 &
    if wait_for 80 state_is "$domid" d; then
        wait_for 120 pid_gone $!
        refused "a dying domain" "(dying|torn down|not running)" \
            xl snapshot-create "$domid"
    else
        skip "a dying domain: it was gone at once"
    fi
    kill -CONT "$qemu"
    wait_for 80 pid_gone "$qemu"
}

# ---- configurations that cannot be snapshotted ----------------------------

# A guest with all that is odd and can be had here. A PCI device, a virtual TPM
# and vNUMA cannot: unit/test_domconfig has them. It need not boot.
start_odd() {
    local vdev=access=rw,vdev

    mk_qcow2 "$IMAGES/odd.qcow2" 64M
    mk_raw "$IMAGES/odd.raw" 64M
    qemu-img create -q -f qcow2 -o "data_file=$IMAGES/odd.data" \
        "$IMAGES/data.qcow2" 64M
    qemu-img create -q -f qcow2 --object secret,id=k,data=abc \
        -o encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=10 \
        "$IMAGES/luks.qcow2" 64M
    qemu-img create -q -f qcow2 -o compression_type=zstd \
        "$IMAGES/zstd.qcow2" 64M
    GUEST_CFG='channel = [ "connection=pty,name=org.example.0" ]' \
        guest_config odd pv 96 "$IMAGES/odd.qcow2" \
        "format=raw,$vdev=xvdb,target=$IMAGES/odd.raw" \
        "format=qcow2,$vdev=xvdc,target=$IMAGES/data.qcow2" \
        "format=qcow2,$vdev=xvdd,target=$IMAGES/luks.qcow2" \
        "format=qcow2,$vdev=xvde,target=$IMAGES/zstd.qcow2" > /dev/null
    guest_start odd || bail_out "a guest with odd disks does not start"
}

odd_configurations() {
    local checked unopened="QEMU does not have it open; see .*/qemu-dm-odd.log"

    start_odd
    refused "a domain with a channel" \
        "domain 'odd' cannot .*channel.*remove channel" xl snapshot-create odd
    xl snapshot-check odd > "$LAB/stdout" 2>&1
    is "snapshot-check says that it is not possible" $? 1
    diag "$(< "$LAB/stdout")"
    checked=$(tr '\n' ' ' < "$LAB/stdout")
    like "it shows the channel" "$checked" "channel.*remove channel"
    like "a disk that the kernel serves" "$checked" \
        "xvdb.* served by the kernel \(phy\).*(backendtype=qdisk|qcow2)"
    like "a qcow2 with an external data file" "$checked" \
        "xvdc.* external data file.*qemu-img convert"
    like "an encrypted qcow2" "$checked" "xvdd.*(encrypted|$unopened)"
    like "a qcow2 with zstd compression" "$checked" \
        "xvde.*(zstd.*compression_type=zlib|$unopened)"
    guest_destroy odd
    rm -f "$IMAGES"/{odd,data,luks,zstd}.*
}

odd_hvm() {
    mk_qcow2 "$IMAGES/odd.qcow2" 64M
    GUEST_CFG='nestedhvm = 1' guest_config odd hvm 160 "$IMAGES/odd.qcow2" \
        > /dev/null
    guest_start odd || bail_out "an HVM guest does not start"
    refused "a domain with nested HVM" "nested HVM.*set nestedhvm=0" \
        xl snapshot-create odd
    guest_destroy odd
    rm -f "$IMAGES/odd.qcow2"
}

# Disks that no snapshot is made of.
left_out() {
    mk_qcow2 "$IMAGES/odd.qcow2" 64M
    mk_raw "$IMAGES/cd.raw" 1M
    guest_config odd pv 96 "$IMAGES/odd.qcow2" "format=raw,vdev=xvdb,\
access=ro,devtype=cdrom,target=$IMAGES/cd.raw" \
        "vdev=xvdc,access=ro,devtype=cdrom,target=" > /dev/null
    sed -i 's/tick.disks=[a-z,]*/tick.disks=xvda/' "$LAB/odd.cfg"
    if ! guest_start odd 2> "$LAB/odd.err"; then
        skip "a PV guest with CD-ROMs cannot be started here" 2
        diag "$(head -n 6 "$LAB/odd.err")"
        return
    fi
    # It does not boot: its kernel waits for minutes for the empty drive.
    untouched "a CD-ROM is left out, which is said" 0 \
        "xvdb is left out: a CD-ROM" xl snapshot-create --dry-run odd
    untouched "an empty drive is left out, which is said" 0 \
        "xvdc is left out: (an empty drive|a CD-ROM)" \
        xl snapshot-create --dry-run odd
    guest_destroy odd
}

# xl config-update: its configuration wins at a reboot and names the base.
config_updated() {
    start_g2
    "$STOCK_XL" config-update g2 "$LAB/g2.cfg" > /dev/null 2>&1
    TICKING="$TICKING g2" refused "--external after xl config-update" \
        "disk 'xvda': .*config-update.*(use --internal|recreate)" \
        xl snapshot-create -e g2
    guest_mark g2
    ok "--internal works after it" xl snapshot-create -n cu -i g2
    ok "and the guest goes on" well g2
    guest_destroy g2
    rm -rf "$STORE/g2"
}

# ---- a hostile name of a domain -------------------------------------------

# all_else: the names of all files where a path out of the store could lead.
all_else() {
    find / /var /var/lib -maxdepth 1
    find /var/lib/xen /etc/xen /disk -path "$STORE" -prune -o -print
}

hostile_domain() {
    local before status

    start_g2
    "$STOCK_XL" rename g2 ../x
    before=$(all_else)
    guest_mark g2
    xl snapshot-create -n s ../x > "$LAB/stdout" 2> "$LAB/stderr"
    status=$?
    diag "status $status: $(cat "$LAB/stdout" "$LAB/stderr")"
    if [ "$status" -eq 0 ]; then
        like "a domain called ../x is kept inside the store" \
            "$(cat "$LAB/stdout")" "^$STORE/[^/]*%[^/]*/s\$"
    else
        is "a domain called ../x is refused" "$status" 1
    fi
    is "nothing new stands beside the store" \
        "$(diff <(echo "$before") <(all_else))" ""
    ok "it ticks on" well g2
    "$STOCK_XL" rename ../x g2
    guest_destroy g2
}

# ---- after all that -----------------------------------------------------------

in_the_end() {
    guest_mark g1
    xl snapshot-create -n good g1 > "$LAB/stdout" 2> "$LAB/stderr"
    is "after all that a snapshot can be made" $? 0
    is "its directory alone is on stdout" "$(cat "$LAB/stdout")" \
        "$STORE/g1/good"
    like "the read-only disk is named" "$(cat "$LAB/stderr")" \
        "xvdc is left out: read-only"
    diag "$(cat "$LAB/stderr")"
    ok "the guest ticks on, memory and disks agree" well g1
    like "the snapshot is full" "$(xl snapshot-list g1)" 'good.* full '
    is "no journal is left" "$(ls -A "$STORE/.journal")" ""
    guest_destroy g1
    TICKING=
}

begin
start_g1
absent_domains
bad_names
bad_options
bad_paths
bad_disks
other_processes
other_domains
bad_states
dying_domain
odd_configurations
left_out
config_updated
hostile_domain
in_the_end
odd_hvm
tap_done
