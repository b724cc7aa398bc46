#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only
#
# valgrind.sh PROGRAM [ARG...]: run a test program under valgrind; for check.sh.
#
# Memory is watched in the program and all that it forks.  Leaks are looked for
# in the program alone: a child that ends in the middle of a function has what
# that function would have freed.  Status 97 when valgrind has a complaint.

supp=$(dirname "$0")/valgrind.supp
log=$(mktemp)
trap 'rm -f "$log"' EXIT

valgrind -q --fair-sched=yes --error-exitcode=97 --suppressions="$supp" \
    --leak-check=full --show-leak-kinds=definite \
    --errors-for-leak-kinds=none --log-file="$log" "$@" <&0 &
pid=$!
trap 'kill $pid' TERM INT HUP
wait $pid
status=$?
if grep -q "^==$pid== .*definitely lost" "$log" || [ $status = 97 ]; then
    cat "$log" >&2
    status=97
fi
exit $status
