#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only
#
# The same as t28-table, with all disks internal, and with all external.
# lab-skip: the steps are those of t28-table, and it takes minutes; give its name
# shellcheck source=lib.sh
. /lab/lib.sh
# shellcheck source=t1-lib.sh
. /lab/t1-lib.sh
# shellcheck source=t2-table.sh
. /lab/t2-table.sh

lab_disk || bail_out "no disk"
table inside qq -i
table outside qq -e
tap_done
