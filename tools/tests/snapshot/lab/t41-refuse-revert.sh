#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# What snapshot-revert must refuse before it destroys anything: the domain of
# every case here still runs when it is over.  Runs in dom0:
# run.sh -- t41-refuse-revert.sh

# shellcheck disable=SC2317 # what is sourced returns early
# shellcheck source=t40-refuse-create.sh
. /lab/t40-refuse-create.sh

COPIES=/var/lib/xen/copies      # snapshot directories to be spoilt
SNAP=$STORE/g1/s1

# ---- set up -------------------------------------------------------------

# xvda qcow2, snapshotted inside; xvdb raw, which becomes a frozen base.
set_up() {
    begin
    mkdir -p "$COPIES"
    mk_qcow2 "$IMAGES/a.qcow2" 64M
    mk_raw "$IMAGES/b.raw" 64M
    GUEST_VIF=1 GUEST_CFG="on_crash='destroy'" guest_config g1 pv 96 \
        "$IMAGES/a.qcow2" "format=raw,vdev=xvdb,access=rw,\
backendtype=qdisk,target=$IMAGES/b.raw" > /dev/null
    { guest_start g1 && guest_wait_ticks g1 5; } || bail_out "g1 does not start"
    ok "a snapshot can be made" xl snapshot-create -n s1 g1
    guest_wait_ticks g1 5
    mk_qcow2 "$IMAGES/g2.qcow2" 64M
    guest_config g2 pv 112 "$IMAGES/g2.qcow2" > /dev/null
    { guest_start g2 && guest_wait_ticks g2 3; } || bail_out "g2 does not start"
    ok "and one of another domain" xl snapshot-create -n s1 g2
    TICKING=g1
}

# copy: a fresh copy of the snapshot, to be spoilt.
copy() {
    rm -rf "${COPIES:?}/s"
    cp -a "$SNAP" "$COPIES/s"
}

# copy_manifest: the same, but its memory is the snapshot's own: not to be
# written.
copy_manifest() {
    rm -rf "${COPIES:?}/s"
    mkdir -m 700 "$COPIES/s"
    cp -a "$SNAP/snapshot.json" "$COPIES/s/"
    ln "$SNAP/memory.xl" "$COPIES/s/"
}

# poke OFFSET BYTES: write them, as printf understands them, into its memory.
poke() {
    # shellcheck disable=SC2059 # the bytes are a format on purpose
    printf "$2" | dd of="$COPIES/s/memory.xl" bs=1 seek="$1" conv=notrunc \
        status=none
    ! cmp -s -n 65536 "$SNAP/memory.xl" "$COPIES/s/memory.xl" ||
        diag "WRONG: nothing was changed at byte $1"
}

# edit EXPRESSION...: change its manifest.
edit() {
    sed -i "$@" "$COPIES/s/snapshot.json"
    ! cmp -s "$SNAP/snapshot.json" "$COPIES/s/snapshot.json" ||
        diag "WRONG: the manifest was not changed by $*"
}

# spoilt CLAIM REGEX: the spoilt copy is refused.
spoilt() {
    refused "$1" "$2" xl snapshot-revert g1 "$COPIES/s"
}

# ---- arguments ------------------------------------------------------------

bad_arguments() {
    group
    misused "--running with --paused" "--running.*--paused" \
        xl snapshot-revert --running --paused g1 s1
    misused "no snapshot" "SNAPSHOT" xl snapshot-revert g1
    misused "a name that none can have" "'1' is not a snapshot's name" \
        xl snapshot-revert g1 1
    misused "an option of another command" "'?-?-?(internal|i)'" \
        xl snapshot-revert --internal g1 s1
    refused "a snapshot that is not there" \
        "domain 'g1' has no snapshot 'none' .*snapshot-list" \
        xl snapshot-revert g1 none
    refused "a path that is not there" "'/disk/none'.*[Nn]o such file" \
        xl snapshot-revert g1 /disk/none
    refused "a directory without a manifest" \
        "'/disk/img' holds no snapshot: .*snapshot.json" \
        xl snapshot-revert g1 /disk/img
    refused "a domain that is not there has no snapshots" \
        "domain 'nobody' has no snapshot 's1'" \
        xl snapshot-revert nobody s1
    refused "dom0" "(dom0|Domain-0)" xl snapshot-revert 0 "$SNAP"
    refused "whoever is not root" "must be run by root" \
        setpriv --reuid 65534 --regid 65534 --clear-groups \
        "$(command -v xl)" snapshot-revert g1 s1
    refused "the snapshot of another domain" \
        "not look like one of domain 'g1': .*add --force" \
        xl snapshot-revert g1 "$STORE/g2/s1"
    refused "the same of a domain that does not run" \
        "of a domain called 'g1'.* --force" \
        xl snapshot-revert nobody "$SNAP"
    refused "--exclude of a disk that is in the snapshot" \
        "disk 'xvdb' is in the snapshot: it cannot be left out" \
        xl snapshot-revert --exclude xvdb g1 s1
    group_done "arguments"
}

# ---- the memory image -------------------------------------------------------

bad_memory() {
    local size file="memory image '$COPIES/s/memory.xl'"
    group

    size=$(stat -c %s "$SNAP/memory.xl")
    copy && poke 0 'Y'
    spoilt "a memory image that is none" "$file.*not begin as a file of xl \
save"
    copy && poke 32 '\x01\x02\x03\x04'
    spoilt "a memory image of the wrong byte order" "$file.*byte order"
    copy && poke 39 '\x80'
    spoilt "a memory image with unknown flags" "$file.*unknown flags"
    copy && poke 48 '\xff\xff\xff\x7f'
    spoilt "a memory image whose header lies about its length" "$file"
    copy && poke 200 '\x00'
    spoilt "a memory image with another configuration" "$file"
    copy && poke 210 'zz'
    spoilt "a memory image whose configuration was edited" "$file.*(changed|\
checksum|JSON)"
    copy && truncate -s $((size - 1)) "$COPIES/s/memory.xl"
    spoilt "a memory image that lacks a byte" "$file.*(cut short|bytes)"
    copy && truncate -s $((size / 2)) "$COPIES/s/memory.xl"
    spoilt "a memory image that lacks a half" "$file.*(cut short|bytes)"
    copy && truncate -s 100 "$COPIES/s/memory.xl"
    spoilt "a memory image that ends in its header" "$file"
    copy && : > "$COPIES/s/memory.xl"
    spoilt "an empty memory image" "$file"
    copy && echo more >> "$COPIES/s/memory.xl"
    spoilt "a memory image with something behind its end" "$file.*bytes"
    copy_manifest && rm "$COPIES/s/memory.xl"
    spoilt "a snapshot without its memory image" "$file.*[Nn]o such file"
    copy_manifest && rm "$COPIES/s/memory.xl" && mkdir "$COPIES/s/memory.xl"
    spoilt "a memory image that is a directory" "$file.*not a regular file"
    rmdir "$COPIES/s/memory.xl" && mkfifo "$COPIES/s/memory.xl"
    spoilt "a memory image that is a pipe" "$file.*not a regular file"
    copy_manifest && rm "$COPIES/s/memory.xl" &&
        cp "$STORE/g2/s1/memory.xl" "$COPIES/s/memory.xl"
    spoilt "the memory image of another snapshot" "$file.*manifest says"
    group_done "memory images"
}

# ---- the manifest -----------------------------------------------------------

bad_manifest() {
    local file="manifest '$COPIES/s/snapshot.json'" half
    group

    half=$(($(stat -c %s "$SNAP/snapshot.json") / 2))
    copy_manifest && truncate -s "$half" "$COPIES/s/snapshot.json"
    spoilt "a manifest that lacks a half" "$file"
    copy_manifest && : > "$COPIES/s/snapshot.json"
    spoilt "an empty manifest" "$COPIES/s/snapshot.json"
    copy_manifest && head -c 100000 /dev/zero | tr '\0' '[' > "$COPIES/s/snapshot.json"
    spoilt "a manifest that is nested without an end" \
        "$COPIES/s(/snapshot.json)?"
    copy_manifest && truncate -s 2M "$COPIES/s/snapshot.json"
    spoilt "a manifest that is too large" "snapshot.json' is larger"
    copy_manifest && edit 's/"version": *1\b/"version": 99/'
    spoilt "a manifest of a newer version" "$file.*version.*99|$file.*newer"
    copy_manifest && edit '0,/{/s/{/{ "mandatory": ["zstd"], "zstd": 1,/'
    spoilt "a manifest with a mandatory field that is not known" \
        "$file.*zstd"
    copy_manifest && edit 's/"format": *"xl-snapshot"/"format": "other"/'
    spoilt "a file that is no manifest" "$file.*not the manifest"
    copy_manifest && edit 's/"name": *"s1"/"name": "..\/..\/x"/'
    spoilt "a manifest with a hostile name" "$file.*name"
    copy_manifest && edit 's/"path": *"memory.xl"/"path": "..\/s1\/memory.xl"/'
    spoilt "a manifest whose memory lies elsewhere" "$file.*path"
    copy_manifest && edit "s:$IMAGES/b.raw:$IMAGES/gone.raw:g"
    spoilt "a snapshot whose base is gone" \
        "'xvdb'.*$IMAGES/gone.raw.*[Nn]o such file"
    copy_manifest && edit "s:$IMAGES/a.qcow2:$IMAGES/gone.qcow2:g"
    spoilt "a snapshot whose image is gone" \
        "'xvda'.*$IMAGES/gone.qcow2.*[Nn]o such file"
    copy_manifest && edit 's/"tag": *"s1"/"tag": "s9"/'
    spoilt "a snapshot whose tag is gone" \
        "disk 'xvda': .*a.qcow2' holds no snapshot 's9'"
    copy_manifest && edit 's/"tag_id": *"[0-9]*"/"tag_id": "77"/'
    spoilt "a tag that was made anew" "disk 'xvda': .*not the one that was \
made then"
    copy_manifest && edit 's/"xen": *"4[^"]*"/"xen": "9.9"/'
    diag "of Xen 9.9, in the manifest alone:" \
        "$(xl snapshot-revert --dry-run g1 "$COPIES/s" 2>&1 | head -n 1)"
    group_done "manifests"
}

# ---- images that changed, or that somebody uses -----------------------------

busy_images() {
    holds_open r "$IMAGES/a.qcow2"
    refused "an image that a process reads" \
        "disk 'xvda': .*a.qcow2' is in use by process $holder" \
        xl snapshot-revert g1 s1
    refused "also with --force" \
        "disk 'xvda': .*a.qcow2' is in use by process $holder" \
        xl snapshot-revert --force g1 s1
    let_go
    chattr -i "$IMAGES/b.raw"
    holds_open w "$IMAGES/b.raw"
    refused "a frozen base that a process may write" \
        "disk 'xvdb': .*b.raw' is open for writing in process $holder" \
        xl snapshot-revert g1 s1
    let_go
    chattr +i "$IMAGES/b.raw"
}

# QEMU goes on in a file that was renamed; nothing else can.
renamed_base() {
    ok "a snapshot inside the overlay" xl snapshot-create -q -n deep g1
    chattr -i "$IMAGES/b.raw"
    mv "$IMAGES/b.raw" "$IMAGES/b.away"
    refused "a revert when a base below was renamed under the domain" \
        "disk 'xvdb': .*'$IMAGES/b.raw'" xl snapshot-revert g1 deep
    refused "a snapshot then" "disk 'xvdb': .*'$IMAGES/b.raw', a backing file" \
        xl snapshot-create g1
    mv "$IMAGES/b.away" "$IMAGES/b.raw"
    chattr +i "$IMAGES/b.raw"
    ok "with the file back that snapshot can be deleted" \
        xl snapshot-delete g1 deep
}

# The frozen base is written to, in a byte that the guest never uses.
changed_base() {
    like "the frozen base is protected" "$(lsattr "$IMAGES/b.raw")" '^-*i'
    not_ok "so that it cannot be written by accident" \
        dd if=/dev/zero of="$IMAGES/b.raw" bs=1 count=1 seek=60M \
        conv=notrunc
    touch -r "$IMAGES/b.raw" /lab/time
    chattr -i "$IMAGES/b.raw"
    dd if=/dev/zero of="$IMAGES/b.raw" bs=1 count=1 seek=60M conv=notrunc \
        status=none
    chattr +i "$IMAGES/b.raw"
    refused "a frozen base that was written to since" \
        "disk 'xvdb': .*b.raw' was written to since the snapshot" \
        xl snapshot-revert g1 s1
    chattr -i "$IMAGES/b.raw"
    touch -r /lab/time "$IMAGES/b.raw"
    chattr +i "$IMAGES/b.raw"
}

# ---- DOMAIN-CONFIG --------------------------------------------------------------

# config SED-EXPRESSION...: g1's own, changed.
config() {
    sed "$@" "$LAB/g1.cfg" > "$LAB/new.cfg"
}

# misfit CLAIM REGEX: it is refused.
misfit() {
    refused "$1" "configuration '$LAB/new.cfg': .*$2" \
        xl snapshot-revert g1 s1 "$LAB/new.cfg"
}

bad_configs() {
    group
    config "s/^name = .*/name = 'other'/"
    misfit "a configuration of another name" "'other', not 'g1'"
    config 's/^memory = .*/memory = 128/'
    misfit "a configuration with other memory" "memory.*'131072'.*'98304'"
    config 's/^vcpus = .*/vcpus = 2/'
    misfit "a configuration with other vcpus" "vcpus '2'.*'1'"
    config "s/^type = .*/type = 'pvh'/"
    misfit "a configuration of another type" "type 'pvh'.*'pv'"
    config 's/vdev=xvdb/vdev=xvde/'
    misfit "a configuration with another disk" "no disk 'xvdb'"
    config "s/^disk = \[ /&'format=raw,vdev=xvdz,access=ro,target=\/x', /"
    misfit "a configuration with one disk more" "the disk 'xvdz'.*remove it"
    config '/^vif/d'
    misfit "a configuration without its vif" "number of vifs '0'.*'1'"
    config "s/^vif = .*/vif = [ 'bridge=none0' ]/"
    refused "a configuration with a bridge that is not there" \
        "no bridge 'none0', .*(make it|DOMAIN-CONFIG)" \
        xl snapshot-revert g1 s1 "$LAB/new.cfg"
    config "s/^kernel = .*/kernel = '\/none'/"
    diag "another kernel: $(xl snapshot-revert --dry-run g1 s1 \
        "$LAB/new.cfg" 2>&1 | head -n 2)"
    echo 'name = "g1' > "$LAB/new.cfg"
    misfit "a configuration that is not in the syntax" ""
    refused "a configuration that is not there" \
        "configuration '/none.cfg' cannot be read: No such file" \
        xl snapshot-revert g1 s1 /none.cfg
    refused "a directory as configuration" "'?/lab'?" \
        xl snapshot-revert g1 s1 /lab
    group_done "configurations"
}

# ---- sets written by hand -----------------------------------------------------

bad_sets() {
    group
    set_file "memory = '$SNAP/memory.xl'"
    refused "a set without disks" "set.cfg: 'disk' is missing" \
        xl snapshot-revert g1 "$LAB/set.cfg"
    set_file "disk = [ 'vdev=xvda,type=internal,tag=s1' ]"
    refused "a set without memory" "no memory image.*|give a DOMAIN-CONFIG" \
        xl snapshot-revert g1 "$LAB/set.cfg"
    set_file "memory = '$SNAP/memory.xl'" \
        "; disk = [ 'vdev=xvda,type=internal,tag=1' ]"
    refused "a set with a number as tag" "set.cfg: disk 'xvda': .*'1'" \
        xl snapshot-revert g1 "$LAB/set.cfg"
    set_file "memory = '$SNAP/memory.xl'" \
        "; disk = [ 'vdev=xvda,type=internal,tag=s1' ]"
    # Not for good: a domain without this disk could not go on.
    refused "a set that forgets a disk" \
        "disk 'xvdb' is not in the snapshot: .*--exclude xvdb" \
        xl snapshot-revert --dry-run g1 "$LAB/set.cfg"
    group_done "sets by hand"
}

# ---- states -----------------------------------------------------------------------

# A name that xl's own log files cannot bear must be refused while it runs.
hostile_domain() {
    local status

    "$STOCK_XL" rename g2 ../x
    guest_mark g2
    xl snapshot-revert ../x "$STORE/g2/s1" > "$LAB/stdout" 2> "$LAB/stderr"
    status=$?
    diag "status $status: $(cat "$LAB/stdout" "$LAB/stderr")"
    like "a domain called ../x is reverted or refused, not lost" "$status" \
        '^[01]$'
    ok "it is there afterwards" "$STOCK_XL" domid ../x
    if [ "$status" -eq 1 ]; then
        ok "and ticks on" well g2
    else
        skip "where the console of the new ../x is written is not known"
    fi
    "$STOCK_XL" rename ../x g2 || "$STOCK_XL" create -q "$LAB/g2.cfg"
    xl snapshot-recover > /dev/null 2>&1
}

bad_states() {
    local qemu

    qemu=$(xenstore-read \
        "/local/domain/$(guest_domid g2)/image/device-model-pid")
    kill -STOP "$qemu"
    "$STOCK_XL" destroy g2 > /dev/null 2>&1 &
    wait_for 120 pid_gone $!
    refused "a domain whose dead QEMU still has the image" \
        "'xvda': .*g2.qcow2' is in use by process $qemu" \
        xl snapshot-revert g2 s1
    kill -CONT "$qemu"
    wait_for 80 pid_gone "$qemu"
}

# ---- what fits works ---------------------------------------------------------------

what_fits() {
    ip link add xenbr1 type bridge && ip link set xenbr1 up
    config "s/bridge=xenbr0/bridge=xenbr1/; s/^on_crash.*/on_crash='preserve'/"
    sed -i "s:$IMAGES/b.raw:/elsewhere/b.raw:" "$LAB/new.cfg"
    xl snapshot-revert --dry-run g1 s1 "$LAB/new.cfg" > "$LAB/stdout" \
        2> "$LAB/stderr"
    is "a configuration that fits is accepted" $? 0
    diag "$(cat "$LAB/stdout" "$LAB/stderr")"
    guest_mark g1
    xl snapshot-revert g1 s1 "$LAB/new.cfg" > "$LAB/stdout" 2> "$LAB/stderr"
    is "and the domain reverted with it" $? 0
    diag "$(cat "$LAB/stdout" "$LAB/stderr")"
    ok "it ticks, memory and disks agree" well g1
    ok "its vif is at the new bridge" \
        grep -q . /sys/class/net/xenbr1/brif/*/port_no
    like "its action is the new one" "$("$STOCK_XL" list -l g1)" \
        '"on_crash": "preserve"'
    like "its disk is an overlay on the frozen base, not what the file says" \
        "$("$STOCK_XL" list -l g1)" "\"pdev_path\": \"$IMAGES/b\.s1-r[0-9]+\.qcow2\""
    guest_mark g1
    ok "after all that the snapshot can still be reverted to" \
        xl snapshot-revert g1 s1
    ok "memory and disks agree" well g1
    is "no journal is left" "$(ls -A "$STORE/.journal")" ""
}

set_up
bad_arguments
bad_memory
bad_manifest
busy_images
renamed_base
changed_base
bad_configs
bad_sets
what_fits
hostile_domain
bad_states
tap_done
