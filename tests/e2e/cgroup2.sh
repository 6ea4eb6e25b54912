#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cgroup v2 on a kernel that has nothing else, in a guest.
# usage: cgroup2.sh BUILD_DIR [--all|--agent]
#   (nothing)  the tests of containers that have to do with groups
#   --all      every test of the conformance suite of containers, in minutes
#   --agent    a cluster: pods and a machine through the whole agent. BUILD_DIR without sanitizers; emulated they take for ever
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/e2e/guestlib.sh
. "$here/guestlib.sh"
build=$1 mode=${2:-}

guest_begin "cgroup v2 in a guest"
guest_busybox none
for d in lib lib64 root sbin usr/bin usr/sbin; do mkdir -p "$guest_root/$d"; done
ln -s /bin/busybox "$guest_root/usr/bin/busybox"
cp "$here/cgroup2/init" "$guest_root/init"
cp "$here/lib.sh" "$guest_root/tests-lib.sh"
guest_program /usr/bin/crun /usr/bin/crun
guest_program /usr/sbin/runc /usr/sbin/runc


if [ "$mode" = --agent ]; then
    # shellcheck source=deploy/samples/layout.sh
    . "$here/../../deploy/samples/layout.sh"
    cp "$here/cgroup2/agent" "$guest_root/inside"
    for program in batond baton baton-agent baton-shim; do guest_program "$build/$program" "/opt/$program"; done
    cp "$build/pvh.elf" "$guest_root/opt/"
    guest_program "$guest_qemu" "$guest_qemu"
    guest_program /usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so /usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so
    mkdir -p "$guest_root/usr/share" "$work/pvh/boot" && cp -rL /usr/share/qemu /usr/share/seabios "$guest_root/usr/share/"
    cp "$build/pvh.elf" "$work/pvh/boot/kernel" && layout_write "$guest_root/images/pvh" latest "$work/pvh" '{}'
    "$here/../../deploy/samples/make-busybox" "$guest_root/images" >/dev/null
    guest_program /usr/sbin/nft /usr/sbin/nft
    guest_modules fs/overlayfs net drivers/net/veth.ko drivers/net/tun.ko drivers/net/dummy.ko lib
    guest_run 600 3072 ''
    finish
    exit
fi

cp "$here/cgroup2/inside" "$guest_root/inside"
guest_program "$build/conformance_runtime" /tests/conformance_runtime
guest_program "$build/baton-shim" "$(readlink -f "$build")/baton-shim"
if [ "$mode" = --all ]; then guest_run 900 2048 baton.all; else guest_run 150 2048 ''; fi
finish
