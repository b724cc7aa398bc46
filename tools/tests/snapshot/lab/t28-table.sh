#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# Deleting a branch point, a snapshot in the middle and the last one, of a
# domain that runs and of one that is off, with an internal and an external disk.
# lab-first
# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh
# shellcheck source=t2-table.sh
. /lab/t2-table.sh

lab_disk || bail_out "no disk"
table mixed qr
tap_done
