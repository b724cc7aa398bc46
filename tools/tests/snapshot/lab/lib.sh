# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# lib.sh: what the test scripts share that run.sh runs in dom0.  To be
# sourced: `. /lab/lib.sh`.  TAP on stdout; every claim comes first, what it
# is about after it.  Nothing here knows about snapshots: it deals in guests
# and disks, so that the tests speak of snapshots only.

LAB=${LAB:-/lab}
STOCK_XL=/usr/sbin/xl
IMG=$LAB/img
CONSOLES=/var/log/xen/console

tap_count=0
tap_failed=0
tap_planned=
tap_since=0

# ---- TAP ----------------------------------------------------------------

# plan N: how many claims there will be.
plan() {
    tap_planned=$1
    echo "1..$1"
}

# diag TEXT...: a remark, not a result.
diag() {
    local text="$*"

    echo "# ${text//$'\n'/$'\n'# }"
}

# tap_result STATUS CLAIM: one line of TAP; where the time goes is said, too.
tap_result() {
    local took=$((SECONDS - tap_since))

    tap_since=$SECONDS
    [ "$took" -lt 10 ] || echo "# $took s for the next"
    tap_count=$((tap_count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $tap_count - $2"
        return 0
    fi
    tap_failed=$((tap_failed + 1))
    echo "not ok $tap_count - $2"
    return 1
}

# ok CLAIM COMMAND...: the command succeeds; its output is shown if not.
ok() {
    local claim=$1 output status
    shift

    output=$("$@" 2>&1)
    status=$?
    tap_result "$status" "$claim" && return 0
    diag "command: $*" "(status $status)"
    diag "$output"
    return 1
}

# not_ok CLAIM COMMAND...: the command fails.
not_ok() {
    local claim=$1 output
    shift

    output=$("$@" 2>&1) || { tap_result 0 "$claim"; return 0; }
    tap_result 1 "$claim"
    diag "command succeeded: $*"
    diag "$output"
    return 1
}

# is CLAIM GOT WANT: the two are the same text.
is() {
    [ "$2" = "$3" ]
    tap_result $? "$1" && return 0
    diag "got:  $2"
    diag "want: $3"
    return 1
}

# isnt CLAIM GOT UNWANTED: the two differ.
isnt() {
    [ "$2" != "$3" ]
    tap_result $? "$1" && return 0
    diag "got:  $2"
    return 1
}

# like CLAIM GOT REGEX: the text matches the extended expression.
like() {
    [[ $2 =~ $3 ]]
    tap_result $? "$1" && return 0
    diag "got:  $2"
    diag "want: $3"
    return 1
}

# unlike CLAIM GOT REGEX: the text does not match.
unlike() {
    ! [[ $2 =~ $3 ]]
    tap_result $? "$1" && return 0
    diag "got:  $2"
    diag "must not match: $3"
    return 1
}

# skip WHY [N]: count N claims (one) as skipped.
skip() {
    local i

    for ((i = 0; i < ${2:-1}; i++)); do
        tap_count=$((tap_count + 1))
        echo "ok $tap_count # SKIP $1"
    done
}

# bail_out WHY: nothing after this makes sense.
bail_out() {
    echo "Bail out! $*"
    exit 1
}

# tap_done: the last line of a script; prints the plan if none was made.
tap_done() {
    [ -n "$tap_planned" ] || plan "$tap_count"
    [ "$tap_count" -eq "$tap_planned" ] ||
        diag "planned $tap_planned claims, made $tap_count"
    [ "$tap_failed" -eq 0 ] && [ "$tap_count" -eq "$tap_planned" ]
    exit
}

# ---- time ---------------------------------------------------------------

# now_ms: milliseconds since dom0 booted.
now_ms() {
    local up rest

    read -r up rest < /proc/uptime
    : "$rest"
    echo $((10#${up%.*} * 1000 + 10#${up#*.} * 10))
}

# nap SECONDS: sleep without a process for it: nobody writes to that pipe.
exec {nobody}<> <(:)
nap() {
    read -r -t "$1" -u "$nobody"
    return 0
}

# timed COMMAND...: run it, leave its milliseconds in $took_ms.
timed() {
    local start status

    start=$(now_ms)
    "$@"
    status=$?
    # shellcheck disable=SC2034 # for the caller
    took_ms=$(($(now_ms) - start))
    return $status
}

# wait_for SECONDS COMMAND...: repeat the command until it succeeds.
wait_for() {
    local end=$((${EPOCHREALTIME//[.,]/} + $1 * 1000000))
    shift

    until "$@"; do
        [ "${EPOCHREALTIME//[.,]/}" -lt "$end" ] || return 1
        nap 0.2
    done
}

# ---- disks --------------------------------------------------------------

# mk_qcow2 PATH SIZE [BACKING]: make an image, with a backing file if given.
mk_qcow2() {
    mkdir -p "${1%/*}"
    if [ -n "${3:-}" ]; then
        qemu-img create -q -f qcow2 -F qcow2 -b "$3" "$1" "$2"
    else
        qemu-img create -q -f qcow2 "$1" "$2"
    fi
}

# mk_raw PATH SIZE: make a sparse raw image.
mk_raw() {
    mkdir -p "${1%/*}"
    truncate -s "$2" "$1"
}

# lab_disk: mount dom0's own disk at /disk, formatting it when it is blank.
lab_disk() {
    ! mountpoint -q /disk || return 0
    [ "$(blkid -o value -s TYPE /dev/vda)" = ext4 ] ||
        mkfs.ext4 -q -F /dev/vda \
            -E nodiscard,lazy_itable_init=1,lazy_journal_init=1 || return 1
    mount -t ext4 /dev/vda /disk
}

# lab_vg NAME SIZE: make a volume group on a loop device over a sparse file.
lab_vg() {
    local loop

    mk_raw "$IMG/$1.pv" "$2"
    loop=$(losetup -f --show "$IMG/$1.pv") || return 1
    vgcreate -q "$1" "$loop" >&2
}

# lab_power_cut: the host loses its power now; run.sh then exits with 100.
lab_power_cut() {
    : > "$LAB/out/power-cut"
    echo 1 > /proc/sys/kernel/sysrq
    echo b > /proc/sysrq-trigger
    sleep 60
}

# ---- guests -------------------------------------------------------------
#
# A guest's log is read from its mark on, so that a test can ask what was
# said since a moment; the mark starts at 0 and guest_mark moves it.

# guest_disk SPEC INDEX: a path becomes a qcow2 vbd xvda, xvdb..; a full xl
# disk specification (it has a comma or an equals sign) stays.
guest_disk() {
    local letters=abcdefgh

    case $1 in
    *[,=]*) echo "$1" ;;
    *) echo "format=qcow2,vdev=xvd${letters:$2:1},access=rw,target=$1" ;;
    esac
}

# guest_config NAME TYPE MEM_MB [DISKSPEC...]: write LAB/NAME.cfg, print its
# path.  GUEST_EXTRA adds kernel options (tick.ms=50), GUEST_CFG adds lines
# to the configuration, GUEST_VIF=1 adds a vif on xenbr0.  A guest has the
# processor when dom0 has no use for it: what it ticks while a command runs
# nobody waits for.
guest_config() {
    local name=$1 type=$2 mem=$3 spec disks='' vdevs='' i=0 cpio
    local vif='' kernel=$LAB/vmlinux
    shift 3

    cpio=$LAB/guest.cpio
    for spec; do
        spec=$(guest_disk "$spec" $i)
        disks+="'$spec', "
        vdevs+=,$(sed -n 's/.*vdev=\([a-z0-9]*\).*/\1/p' <<< "$spec")
        i=$((i + 1))
    done
    if [ "$type" = hvm ]; then
        kernel=$LAB/vmlinuz
        cpio=$LAB/guest.cpio.gz
        vif=type=vif,
    fi
    {
        echo "name = '$name'"
        echo "type = '$type'"
        echo "memory = $mem"
        echo "vcpus = 1"
        echo "cpu_weight = ${GUEST_WEIGHT:-16}"
        echo "kernel = '$(readlink -f "$kernel")'"
        echo "ramdisk = '$(readlink -f "$cpio")'"
        echo "extra = 'console=hvc0 quiet panic=1 tick.disks=${vdevs#,}" \
            "$(< "$LAB/linux-spares") tick.ms=150 tick.ram=1" \
            "${GUEST_EXTRA:-}'"
        echo "disk = [ $disks]"
        [ -z "${GUEST_VIF:-}" ] || echo "vif = [ '${vif}bridge=xenbr0' ]"
        if [ "$type" = hvm ]; then
            echo "serial = 'file:/var/log/xen/serial-$name.log'"
            echo "vnc = 0"
            echo "nographic = 1"
            echo "usb = 0"
        fi
        [ -z "${GUEST_CFG:-}" ] || echo "$GUEST_CFG"
    } > "$LAB/$name.cfg"
    echo "$LAB/$name.cfg"
}

# guest_start NAME: create it from LAB/NAME.cfg and mark its log.
guest_start() {
    guest_mark "$1"
    "$STOCK_XL" create -q "$LAB/$1.cfg" > "$LAB/$1.create" 2>&1 && return
    cat "$LAB/$1.create" >&2
    return 1
}

# guest_destroy NAME: end it and wait until its QEMU is gone too.
guest_destroy() {
    local domid pid

    domid=$(guest_domid "$1") || return 1
    pid=$(xenstore-read "/local/domain/$domid/image/device-model-pid" \
        2>/dev/null)
    "$STOCK_XL" destroy "$1" || return 1
    [ -z "$pid" ] || wait_for 80 pid_gone "$pid"
}

# pid_gone PID: no process has this number.
pid_gone() {
    ! kill -0 "$1" 2>/dev/null
}

# guest_domid NAME: print the number of the running domain.  As `xl domid`
# does it, at a third of the time.
guest_domid() {
    local ids paths names id

    mapfile -t ids < <(xenstore-list /local/domain)
    paths=("${ids[@]/#//local/domain/}")
    if mapfile -t names < <(xenstore-read "${paths[@]/%//name}" 2>/dev/null)
        [ "${#names[@]}" -eq "${#ids[@]}" ]
    then
        for id in "${!ids[@]}"; do
            [ "${names[id]}" != "$1" ] || { echo "${ids[id]}"; return; }
        done
        return 1
    fi
    # One has no name, yet or any more: each by itself.
    for id in "${ids[@]}"; do
        [ "$(xenstore-read "/local/domain/$id/name" 2>/dev/null)" != "$1" ] ||
            { echo "$id"; return; }
    done
    return 1
}

# guest_console NAME: print the path of its console log.
guest_console() {
    echo "$CONSOLES/guest-$1.log"
}

# guest_mark NAME: from now on look only at what the guest says from now on.
guest_mark() {
    stat -c %s "$CONSOLES/guest-$1.log" > "$LAB/$1.mark" 2>/dev/null ||
        echo 0 > "$LAB/$1.mark"
}

# guest_log NAME: print what the guest has said since the mark.
guest_log() {
    local mark=0

    [ ! -f "$LAB/$1.mark" ] || read -r mark < "$LAB/$1.mark"
    tail -c +$((mark + 1)) "$CONSOLES/guest-$1.log" 2>/dev/null |
        tr -d '\r'
}

# guest_ticks NAME: how many good ticks since the mark.
guest_ticks() {
    guest_log "$1" | grep -c '^TICK [0-9]* ok$'
}

# guest_last_tick NAME: the count of the newest good tick since the mark.
guest_last_tick() {
    guest_log "$1" | sed -n 's/^TICK \([0-9]*\) ok$/\1/p' | tail -n 1
}

# guest_first_tick NAME: the count of the first good tick since the mark.
guest_first_tick() {
    guest_log "$1" | sed -n 's/^TICK \([0-9]*\) ok$/\1/p' | head -n 1
}

# guest_start_count NAME: the count its disks had at its last boot.
guest_start_count() {
    guest_log "$1" | sed -n 's/^TICK start \([0-9]*\) .*/\1/p' | tail -n 1
}

# guest_mismatches NAME: how many complaints since the mark; 0 is good, and
# silence is not: without any tick it prints "no-ticks".
guest_mismatches() {
    has_said "$1" '^TICK ' || { echo no-ticks; return; }
    guest_log "$1" | grep -c -E '^TICK .*(MISMATCH|ERROR)'
}

# guest_gap NAME: the longest time between two ticks, in ms, since the mark.
guest_gap() {
    guest_log "$1" | sed -n 's/^GAP \([0-9]*\) ms$/\1/p' | sort -n |
        tail -n 1
}

# log_waits NAME FROM REGEX N SECONDS: until N lines of its console match,
# behind that byte.
log_waits() {
    "$LAB/waitlog" "$CONSOLES/guest-$1.log" "$2" "$3" "$4" "$5"
}

# guest_wait_ticks NAME N [SECONDS]: wait until it has ticked N times more,
# well or not; give up after four minutes, or after SECONDS. (A busy machine is
# slow: a limit is short only where it is what is claimed.)
guest_wait_ticks() {
    local from

    from=$(stat -c %s "$CONSOLES/guest-$1.log" 2>/dev/null || echo 0)
    log_waits "$1" "$from" '^TICK [0-9]+ (ok|MISMATCH)' "$2" "${3:-240}" &&
        return
    diag "guest $1 did not tick $2 times in ${3:-240} s; it said:"
    diag "$(guest_log "$1" | tail -n 15)"
    return 1
}

# has_said NAME REGEX: the guest has said so since the mark.
has_said() {
    guest_log "$1" | grep -q -E -- "$2"
}

# guest_wait_said NAME REGEX [SECONDS]: wait until a line matches.
guest_wait_said() {
    local mark=0

    [ ! -f "$LAB/$1.mark" ] || read -r mark < "$LAB/$1.mark"
    log_waits "$1" "$mark" "$2" 1 "${3:-240}" && return
    diag "guest $1 did not say '$2' in ${3:-240} s; it said:"
    diag "$(guest_log "$1" | tail -n 15)"
    return 1
}

# guest_send NAME COMMAND...: type a line on its console (see tick.c).
guest_send() {
    local name=$1 domid tty
    shift

    domid=$(guest_domid "$name") || return 1
    tty=$(xenstore-read "/local/domain/$domid/console/tty") || return 1
    printf '%s\n' "$*" > "$tty"
}

# guest_ask NAME REGEX COMMAND...: mark, send, wait for the answer.
guest_ask() {
    local name=$1 regex=$2
    shift 2

    guest_mark "$name"
    guest_send "$name" "$@" && guest_wait_said "$name" "$regex"
}
