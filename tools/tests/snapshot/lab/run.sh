#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# run.sh [--timeout S] [--keep-disk] [--log-writes] [--mem MB] [--carry PATH]
#        -- SCRIPT [ARG...]
#
# Boot a real Xen host inside QEMU, run SCRIPT in its dom0, pass on what it
# prints while it runs, and exit with its status.
#
#   124  out of time             125  the lab itself failed
#   100  the script cut the power (lab_power_cut in lib.sh)
#
# LAB_DIR  what prepare.sh made (default: build/lab at the top of the tree)
# LAB_BIN  a directory of fresh binaries, /lab/bin in dom0, first in PATH
#
# LAB_CPUS how many processors the host has (default: 2 where there are 2)
# LAB_KEEP where what lasts is kept (default: LAB_DIR): in `last` what the
#          script wrote into /lab/out and the consoles, and with --keep-disk
#          the disk of dom0 (/dev/vda, see lab_disk), disk.raw.  Two labs at a
#          time need two.
#
# SCRIPT is a name in this directory or a path.  --carry copies a file or
# directory to /lab/carry.  --log-writes logs what is written to the disk of
# dom0 into writes.log in LAB_KEEP, for power-cut.pl.

set -uo pipefail

UP_SECONDS=180                  # a dom0 not up by then will never be
DISK_SIZE=8G

# Spare the emulator what it is slow at and no test is about: mitigations,
# memory cleared twice, and programs at other addresses each time they start,
# which are translated anew then.
XEN_SPARES="spec-ctrl=no xpti=no bootscrub=0"
LINUX_SPARES="norandmaps mitigations=off init_on_alloc=0 audit=0 apparmor=0 \
hardened_usercopy=off randomize_kstack_offset=off nowatchdog \
cryptomgr.notests=1"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../../../.." && pwd)
lab_dir=${LAB_DIR:-$top/build/lab}
lab_bin=${LAB_BIN:-}
keep=${LAB_KEEP:-$lab_dir}
timeout=900
keep_disk=
log_writes=
mem=6144
carry=()
qemu_pid=
tail_pids=()
run=

fail() {
    echo "lab: $*" >&2
    if [ -n "$run" ] && [ -s "$run/console.log" ]; then
        echo "lab: the console ends with:" >&2
        tail -n 30 "$run/console.log" | tr -d '\r' | sed 's/^/lab: | /' >&2
    fi
    exit 125
}

usage() {
    sed -n '4,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 125
}

while [ $# -gt 0 ]; do
    case $1 in
    --timeout) timeout=${2:?}; shift 2 ;;
    --mem) mem=${2:?}; shift 2 ;;
    --carry) carry+=("${2:?}"); shift 2 ;;
    --keep-disk) keep_disk=1; shift ;;
    --log-writes) log_writes=1; shift ;;
    --) shift; break ;;
    -*) usage ;;
    *) break ;;
    esac
done
[ $# -ge 1 ] || usage

# shellcheck disable=SC2317 # leave calls it
# stop PID: end one process of ours and wait for it.
stop() {
    kill -KILL "$1" 2>/dev/null
    wait "$1" 2>/dev/null
}

# shellcheck disable=SC2317 # the trap calls it
leave() {
    local pid

    trap '' INT TERM HUP
    [ -z "$qemu_pid" ] || stop "$qemu_pid"
    # One breath for the last lines, then no more.
    [ ${#tail_pids[@]} -eq 0 ] || sleep 0.3
    for pid in "${tail_pids[@]}"; do
        stop "$pid"
    done
    [ -n "$run" ] || return
    [ -n "$keep_disk" ] || rm -f "$run/disk.raw"
    rm -rf "$run/in" "$keep/last"
    mv "$run" "$keep/last"
}

# What a run left behind that had no time to clean up.
sweep() {
    local old

    for old in "$lab_dir"/run.*; do
        [ ! -d "$old" ] || kill -0 "${old##*.}" 2>/dev/null || rm -rf "$old"
    done
}

# What dom0 is given: the script, this directory, the binaries, the words.
fill_share() {
    local script=$1 item
    shift

    mkdir -p "$run/in/bin" "$run/out"
    cp -r "$here" "$run/in/lab"
    if [ -f "$here/$script" ]; then
        script=/lab/$script
    elif [ -f "$script" ]; then
        mkdir "$run/in/lab/script"
        cp "$script" "$run/in/lab/script/"
        script=/lab/script/${script##*/}
    else
        fail "no script $script"
    fi
    printf '%s\0' "$script" "$@" > "$run/in/args"
    if [ -n "$lab_bin" ]; then
        cp -rL "$lab_bin/." "$run/in/bin" || fail "cannot copy $lab_bin"
    fi
    for item in ${carry[@]+"${carry[@]}"}; do
        mkdir -p "$run/in/carry"
        cp -rL "$item" "$run/in/carry/" || fail "cannot copy $item"
    done
    cp "$lab_dir/kernel-version" "$run/in/kernel-release"
    echo "$lab_dir" > "$run/in/lab-dir"
    echo "$LINUX_SPARES" > "$run/in/linux-spares"
    : > "$run/out/stdout"
    : > "$run/out/stderr"
}

disk_file() {
    local unsafe=cache.no-flush=on

    disk=$run/disk.raw
    [ -z "$keep_disk" ] || disk=$keep/disk.raw
    [ -f "$disk" ] || truncate -s "$DISK_SIZE" "$disk"
    drive=(-drive "if=none,id=d0,file=$disk,format=raw,cache=unsafe")
    [ -n "$log_writes" ] || return
    rm -f "$keep/writes.log"
    : > "$keep/writes.log"
    drive=(-blockdev "driver=file,node-name=data,filename=$disk,$unsafe"
        -blockdev "driver=file,node-name=log,filename=$keep/writes.log,$unsafe"
        -blockdev driver=blklogwrites,node-name=d0,file=data,log=log)
}

# Never KVM: nested, it cannot run Xen.  The CPU has just enough for HVM and
# PVH guests, and no SMAP, which a PV dom0 does not survive.  The disk's
# cache mode loses nothing when QEMU is killed: only dom0's own cache dies.
boot() {
    local share="security_model=none,multidevs=remap" cpus=${LAB_CPUS:-}

    # A second processor runs the guest beside dom0, if there is one to give.
    [ -n "$cpus" ] || { [ "$(nproc)" -lt 2 ] && cpus=1 || cpus=2; }

    setpriv --pdeathsig KILL qemu-system-x86_64 \
        -accel tcg,thread=multi -cpu qemu64,+svm,+npt -smp "$cpus" -m "$mem" \
        -nographic -nodefaults -no-reboot \
        -chardev "file,id=con,path=$run/console.log" -serial chardev:con \
        -kernel "$lab_dir/xen" \
        -append "console=com1 com1=115200 dom0_mem=$dom0_mem,max:$dom0_mem \
dom0_max_vcpus=1 loglvl=warning $XEN_SPARES" \
        -initrd "$lab_dir/vmlinux console=hvc0 quiet panic=1 $LINUX_SPARES,\
$lab_dir/dom0.cpio" \
        -fsdev "local,id=fs0,path=/,readonly=on,$share" \
        -device virtio-9p-pci,fsdev=fs0,mount_tag=root \
        -fsdev "local,id=fs1,path=$run,$share" \
        -device virtio-9p-pci,fsdev=fs1,mount_tag=lab \
        "${drive[@]}" -device virtio-blk-pci,drive=d0 \
        </dev/null 2> "$run/qemu.log" &
    qemu_pid=$!
}

stream() {
    tail --pid=$$ -n +1 -s 0.2 -f "$run/out/stdout" 2>/dev/null &
    tail_pids+=($!)
    tail --pid=$$ -n +1 -s 0.2 -f "$run/out/stderr" >&2 2>/dev/null &
    tail_pids+=($!)
}

# Sleep until dom0 hands out a status, dies, or is late.
watch() {
    while :; do
        [ ! -s "$run/out/rc" ] || return
        kill -0 "$qemu_pid" 2>/dev/null || break
        if [ ! -e "$run/out/up" ] && [ $SECONDS -gt $UP_SECONDS ]; then
            fail "dom0 is not up after $UP_SECONDS s"
        fi
        if [ $SECONDS -gt "$timeout" ]; then
            echo "lab: out of time after $timeout s" >&2
            exit 124
        fi
        sleep 0.2
    done
    [ ! -s "$run/out/rc" ] || return
    [ ! -e "$run/out/power-cut" ] || exit 100
    cat "$run/qemu.log" >&2
    fail "the host died"
}

[ -f "$lab_dir/stamp" ] || fail "$lab_dir is not prepared: run prepare.sh"
dom0_mem=$((mem / 2))M
sweep
run=$lab_dir/run.$$
mkdir "$run" || fail "cannot write $lab_dir"
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
fill_share "$@"
disk_file
boot
stream
watch

rc=$(cat "$run/out/rc")
[ "$rc" != 125 ] || fail "dom0 did not come up"
exit "$rc"
