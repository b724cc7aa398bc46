#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only
#
# Makes ./configure out of configure.ac. Autoconf alone is enough: neither
# automake nor any macro from outside this repository is used.
set -e
cd "$(dirname "$0")"
if ! command -v autoconf >/dev/null 2>&1; then
    echo "autogen.sh: autoconf is missing" \
         "(Debian: apt-get install autoconf)" >&2
    exit 1
fi
autoconf
rm -f configure~
echo "autogen.sh: configure is ready; now run ./configure && make"
