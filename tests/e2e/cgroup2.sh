#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cgroup v2 on a kernel that has nothing else: a guest runs the conformance suite of containers.
# usage: cgroup2.sh BUILD_DIR [--all]    --all: every test of the suite, in minutes
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=deploy/samples/kernel.sh
. "$here/../../deploy/samples/kernel.sh"
build=$1
case ${2:-} in
--all) which=baton.all seconds=900 ;;
*) which='' seconds=150 ;;
esac
qemu=/usr/bin/qemu-system-x86_64
[ -x "$qemu" ] || { skip "cgroup v2 in a guest: no $qemu" && finish && exit 77; }

work=$(mktemp -d /tmp/baton-cgroup2.XXXXXX)
pid=
cleanup() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

package=$(kernel_package)
if [ -z "$package" ] || ! kernel_unpack "$package" "$work" >"$work/apt.log" 2>&1; then
    skip "cgroup v2 in a guest: apt cannot fetch the kernel here"
    finish
    exit 77
fi

# --- the guest's files: programs where the suite looks for them, with their libraries --------------------------------------
root=$work/root
install_program() { # FROM TO
    mkdir -p "$root$(dirname "$2")"
    cp "$1" "$root$2"
    ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
        [ -e "$root$library" ] || { mkdir -p "$root$(dirname "$library")" && cp -L "$library" "$root$library"; }
    done
}
for d in bin etc lib lib64 root sbin usr/bin usr/sbin; do mkdir -p "$root/$d"; done
cp /bin/busybox "$root/bin/busybox"
for applet in $(/bin/busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
ln -s /bin/busybox "$root/usr/bin/busybox"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
install_program /usr/bin/crun /usr/bin/crun
install_program /usr/sbin/runc /usr/sbin/runc
install_program "$build/conformance_runtime" /tests/conformance_runtime
install_program "$build/baton-shim" "$(readlink -f "$build")/baton-shim"
find "$root/tests" "$root/usr" "$root/lib" "$root/lib64" -type f -exec strip --strip-debug {} + 2>/dev/null # Half the size.
cp "$here/cgroup2/init" "$here/cgroup2/inside" "$root/"
chmod 0755 "$root/init" "$root/inside"
(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) | gzip -1 >"$work/initrd"

# --- it runs -------------------------------------------------------------------------------------------------------------------
"$qemu" -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -bios qboot.rom -nodefaults -no-user-config -display none \
    -kernel "$work"/kernel/boot/vmlinuz-* -initrd "$work/initrd" -append "console=ttyS0 quiet panic=-1 cgroup_no_v1=all $which" \
    -no-reboot -serial "file:$work/console" </dev/null >"$work/qemu.log" 2>&1 &
pid=$!
over() { grep -q '^inside: over' "$work/console" || ! kill -0 "$pid"; }
until_true "$seconds" over
tr -d '\r' <"$work/console" | grep -v '^\[ *[0-9.]*\]' >"$work/said"
cat "$work/said"
passed=$(grep -c '^PASS' "$work/said") failed=$(grep -c '^FAIL' "$work/said")
grep -q '^inside: over' "$work/said" || { fail "the guest did not come to its end" && tail -n 20 "$work/console"; }
finish
