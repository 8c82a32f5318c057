#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs Debian's qemu-system-arm with ivshmem-flat.so, which is in the same folder.

set -eu

qemu=/usr/bin/qemu-system-arm
device=$(dirname "$(readlink -f "$0")")/ivshmem-flat.so

for file in "$qemu" "$device"; do
    [ -r "$file" ] || {
        echo "$0: $file is missing: run 'make qemu QEMU=stock' again, then" \
            "'make install' if this is installed" >&2
        exit 1
    }
done
case $device in
*[\ :]*)
    echo "$0: cannot preload $device: its path has a space or a colon in it, which LD_PRELOAD" \
        "does not allow. Move it, or build another QEMU with 'make qemu'" >&2
    exit 1
    ;;
esac
LD_PRELOAD=$device${LD_PRELOAD:+:$LD_PRELOAD} exec "$qemu" "$@"
