#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# `make bench`: measure against the stock tools on a Xen host inside QEMU
# (bench-dom0.sh), print the table, and write it to docs/performance.md.
# A missed bar is shown, and is no failure of the run.
#
# LAB_DIR     where the lab is or will be prepared
# LAB_BIN     the directory with the xl that was built
# SRC         the source tree
# BENCH_RUNS  rounds of each measurement (default 5); medians count
# BENCH_FROM  a directory with the figures of an earlier run (LAB_DIR/last/out):
#             nothing is measured, the page is made from them again

set -uo pipefail

: "${LAB_DIR:?}" "${LAB_BIN:?}" "${SRC:?}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
runs=${BENCH_RUNS:-5}
from=${BENCH_FROM:-$LAB_DIR/last/out}
results=$from/results
report=$SRC/docs/performance.md
bin=

[[ $runs =~ ^[1-9][0-9]*$ ]] || { echo "BENCH_RUNS=$runs?" >&2; exit 2; }

# shellcheck disable=SC2317 # the trap calls it
leave() {
    [ -z "$bin" ] || rm -rf "$bin"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

measure() {
    bin=$(mktemp -d) || return
    cp "$LAB_BIN/xl" "$bin/xl" || return
    bash "$here/prepare.sh" "$LAB_DIR" || return
    # With two it loses a PVH guest now and then (see all.sh).
    LAB_CPUS=1 LAB_BIN=$bin bash "$here/run.sh" --timeout $((600 + runs * 300)) \
        -- bench-dom0.sh "$runs"
}

# One row a claim: what, ours, theirs, ratio or value, bar, met or missed.
table() {
    awk -v runs="$runs" '
    function median(key,    n, i, j, t, v) {
        n = split(values[key], v, " ")
        if (!n)
            return -1
        for (i = 2; i <= n; i++)
            for (j = i; j > 1 && v[j] + 0 < v[j - 1] + 0; j--) {
                t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
            }
        return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
    }
    function seconds(ms) { return sprintf("%.2f s", ms / 1000) }
    function row(place, what, ours, other, figure, bar, good) {
        printf "| %-5s | %-31s | %7s | %7s | %7s | %8s | %s |\n", place,
            what, ours, other, figure, bar, good ? "yes" : "NO"
    }
    function compare(place, what, a, b, bar,    x, y, r) {
        x = median(place " " a); y = median(place " " b)
        r = y > 0 ? x / y : 999
        row(place, what, seconds(x), seconds(y), sprintf("%.2f", r),
            "<= " bar, r <= bar)
    }
    function one_place(p,    x, y) {
        compare(p, "create : xl save -c", "create_ours", "create_stock",
            1.25)
        x = median(p " still_one")
        row(p, "standing still, one disk", seconds(x), "",
            "", "<= 0.35 s", x <= 350)
        compare(p, "standing still, 4 disks : 1", "still_four",
            "still_one", 1.5)
        compare(p, "--live : not, as reported", "pause_live",
            "pause_stopped", "0.10")
        compare(p, "--live : not, seen by the guest", "gap_live",
            "gap_stopped", "0.10")
        compare(p, "revert : the stock tools", "revert_ours",
            "revert_stock", 1.05)
        x = median(p " memory_sum") / 1024
        row(p, "memory of all our processes", sprintf("%.1f MB", x), "",
            "", "<= 32 MB", x <= 32)
        compare(p, "live delete, down: stall : none", "gap_down",
            "gap_idle", 2)
        compare(p, "live delete, up: stall : none", "gap_up", "gap_idle", 2)
        x = median(p " merge_copied"); y = median(p " merge_smaller")
        row(p, "merge: copied : smaller layer", sprintf("%.1f MB", x / 1024),
            sprintf("%.1f MB", y / 1024), sprintf("%.2f", x / y), "<= 1.1",
            x <= y * 1.1)
        compare(p, "journal : the create it is of", "journal",
            "create_spoken", "0.05")
    }
    { values[$1 " " $2] = values[$1 " " $2] " " $3 }
    END {
        printf "| %-5s | %-31s | %7s | %7s | %7s | %8s | %s |\n", "on",
            "what", "ours", "other", "ratio", "bar", "met"
        print "|---|---|---|---|---|---|---|"
        one_place("tmpfs")
        one_place("ext4")
    }' "$results"
}

# memory_note: how many processes there were, and the largest.
memory_note() {
    awk '$2 == "memory_largest" && $3 > m { m = $3 }
        $2 == "memory_processes" && $3 > n { n = $3 }
        END { printf "%d processes, the largest %.1f MB", n, m / 1024 }' \
        "$results"
}

journal_note() {
    awk '$2 == "journal_syncs" { print $3; exit }' "$results"
}

# steps: how long each step of one create took, in each place.
steps() {
    echo '| step | tmpfs, ms | ext4, ms |'
    echo '|---|---|---|'
    awk '$1 == "step" && $4 == "done," {
            name = $3; sub(/:$/, "", name)
            if (!(name in seen)) { seen[name] = 1; order[++n] = name }
            ms[FILENAME, name] = $5
        }
        END {
            for (i = 1; i <= n; i++)
                printf "| `%s` | %s | %s |\n", order[i],
                    ms[ARGV[1], order[i]], ms[ARGV[2], order[i]]
        }' "$from/steps-tmpfs" "$from/steps-ext4"
}

missed() {
    echo "Bars missed: $(grep -c '| NO |' <<< "$1") of" \
        "$(grep -c '<= ' <<< "$1"), those with a NO. They stay as measured."
}

write_report() {
    cat <<REPORT
# Performance

What snapshots cost, compared with the stock tools in the same run on the
same guest. \`make bench\` measures and rewrites this page; \`BENCH_RUNS=N\`
sets the number of rounds. The machine: 2 cores, TCG (Xen runs in an emulated
machine of one processor, so absolute times are long; look at the ratios).
Medians of $runs rounds, in which ours and the other take turns; a round before, to warm up, is
not counted.

$1

$(missed "$1")

## What is measured

* **on**: images, store and files are all on tmpfs, or all on ext4 on dom0's
  own disk. Every timed command ends with an fsync of the file it wrote.
* **create : xl save -c**: the whole \`xl snapshot-create\` of a PV guest of
  512 MB with one internal disk, against \`xl save -c\` of the same guest. The
  other side does nothing about the disk: no QMP transaction is added to it,
  which makes it faster than anything that does the same work.
* **standing still**: \`still_ms\` of \`snapshot-create --json\`: from the end of
  libxl's suspend until the guest was resumed. Writing the memory is not in it.
  In the second row, a guest with four internal disks against one with one.
* **--live : not**: a PVH guest of 512 MB. *As reported* is \`pause_ms\` of
  \`--json\`, which for --live begins when the guest is seen stopped (looked for
  every 10 ms); *seen by the guest* is its longest time between two ticks. It
  ticks every 20 ms, and each tick writes to the disk.
* **revert**: \`xl snapshot-revert\` of a running PV guest of 512 MB with one
  internal disk, against \`xl destroy\`, \`qemu-img snapshot -a\` and
  \`xl restore\` of the same memory image. The other side checks nothing.
* **live delete**: of a PV guest whose image was frozen and that wrote 24 MiB
  since, which go into the image (down); and of one whose overlay gets the 16
  MiB of the overlay below it (up). The longest time between two ticks
  meanwhile, against that of the same guest while nothing is done; it ticks
  every 20 ms, and each tick writes to the disk and reads it back.
* **merge: copied**: how much the overlay grew on disk when it got what it
  needed of the one below, against what that one has there. Each
  holds what the other does not.
* **memory**: the peak (VmHWM) of our xl, its workers, its guardian, libxl's
  save helper and qemu-img during a create, added up; what they share is
  counted once for each ($(memory_note)).
* **journal**: the time that one create spends writing and syncing its journal,
  of the whole of it. It syncs $(journal_note) times: once with the plan, and
  then its directory, before each step, at the commit, and when it is emptied.

## Where the time of a create goes

One run with -v -v, 512 MB, one internal disk. The guest stands still from
\`suspend\` to \`resume\`. \`memory-file\` allocates all the space before that;
on tmpfs, where that would mean to clear so much memory, it only looks whether
there is enough.

$(steps)
REPORT
}

if [ -z "${BENCH_FROM:-}" ]; then
    measure || { status=$?; echo "bench: not measured" >&2; exit $status; }
fi
text=$(table)
echo
echo "$text"
write_report "$text" > "$report.new" && mv "$report.new" "$report"
