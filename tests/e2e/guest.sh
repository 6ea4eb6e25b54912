#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The sample guest reaches user space under emulation, gets an address by DHCP, and goes off at its power button.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"

qemu=/usr/bin/qemu-system-x86_64
[ -x "$qemu" ] || { skip "the sample guest: no $qemu" && finish && exit 77; }

work=$(mktemp -d /tmp/baton-guest.XXXXXX)
pid=
cleanup() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

if ! "$here/../../deploy/samples/make-guest" "$work" >"$work/make.log" 2>&1; then
    grep -qE 'Failed to fetch|Temporary failure|knows no' "$work/make.log" || { cat "$work/make.log" && fail "make-guest" && finish && exit 1; }
    skip "the sample guest: apt cannot fetch the kernel here"
    finish
    exit 77
fi
pass "make-guest"
check "again changes nothing" "$here/../../deploy/samples/make-guest" "$work"
check "skopeo reads the layout" skopeo inspect "oci:$work/guest:latest"
for blob in "$work"/guest/blobs/sha256/*; do
    tar -C "$work" -xf "$blob" ./boot 2>/dev/null && break
done

mkfifo "$work/monitor"
"$qemu" -machine q35 -accel tcg -cpu max -m 256 -bios qboot.rom -nodefaults -no-user-config -display none \
    -kernel "$work/boot/vmlinuz" -initrd "$work/boot/initrd" -append console=ttyS0 -serial "file:$work/console" \
    -netdev user,id=net -device virtio-net-pci,netdev=net,romfile= -monitor stdio <"$work/monitor" >"$work/qemu.log" 2>&1 &
pid=$!
exec 3>"$work/monitor"
check "user space" until_true 60 grep -q 'baton guest: user space' "$work/console"
check "an address by DHCP" until_true 20 grep -q 'guest has 10.0.2.15/24' "$work/console"
echo system_powerdown >&3
check "off at the power button" until_true 20 grep -q 'reboot: Power down' "$work/console"
finish
