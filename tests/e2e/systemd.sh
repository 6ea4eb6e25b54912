#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The units of deploy/up under a systemd that is process 1, in a guest: it starts both programs, and again after each kill -9.
# usage: systemd.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=deploy/samples/kernel.sh
. "$here/../../deploy/samples/kernel.sh"
build=$1
qemu=/usr/bin/qemu-system-x86_64
systemd=/lib/systemd/systemd
for need in "$qemu" "$systemd"; do
    [ -x "$need" ] || { skip "systemd in a guest: no $need" && finish && exit 77; }
done

work=$(mktemp -d /tmp/baton-systemd.XXXXXX)
pid=
cleanup() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

package=$(kernel_package)
if [ -z "$package" ] || ! kernel_unpack "$package" "$work" >"$work/apt.log" 2>&1; then
    skip "systemd in a guest: apt cannot fetch the kernel here"
    finish
    exit 77
fi

# --- the guest's files: Debian's systemd with the units that lead to multi-user.target, and ours ---------------------------
root=$work/root
for d in bin sbin lib lib64; do mkdir -p "$root/usr/$d" && ln -s "usr/$d" "$root/$d"; done
for d in dev etc/systemd/system/multi-user.target.wants proc run sys tmp root var/lib; do mkdir -p "$root/$d"; done
install_program() { # FROM TO
    mkdir -p "$root$(dirname "$2")"
    cp "$1" "$root$2"
    ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
        [ -e "$root$library" ] || { mkdir -p "$root$(dirname "$library")" && cp -L "$library" "$root$library"; }
    done
}
cp /bin/busybox "$root/bin/busybox"
for applet in $(/bin/busybox --list); do
    case $applet in busybox | init | poweroff | reboot | halt) ;; *) ln -s busybox "$root/bin/$applet" ;; esac
done
install_program "$systemd" "$systemd"
install_program /lib/systemd/systemd-shutdown /lib/systemd/systemd-shutdown
install_program /bin/systemctl /bin/systemctl
mkdir -p "$root/lib/systemd/system"
for unit in basic sysinit multi-user shutdown umount final poweroff local-fs local-fs-pre swap sockets timers paths slices network; do
    cp "/lib/systemd/system/$unit.target" "$root/lib/systemd/system/"
done
cp /lib/systemd/system/systemd-poweroff.service "$root/lib/systemd/system/"
ln -s multi-user.target "$root/lib/systemd/system/default.target"
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\n' >"$root/etc/group"
printf 'ID=guest\nNAME=guest\nPRETTY_NAME=guest\n' >"$root/etc/os-release"
printf '0123456789abcdef0123456789abcdef\n' >"$root/etc/machine-id"
for program in batond baton-agent baton; do install_program "$build/$program" "/opt/$program"; done
find "$root/opt" "$root/usr" -type f -exec strip --strip-debug {} + 2>/dev/null
cp "$here/systemd/inside" "$root/inside"
cp "$here/lib.sh" "$root/tests-lib.sh" && cp "$here/../../deploy/lib.sh" "$root/deploy-lib.sh"
chmod 0755 "$root/inside"
cat >"$root/etc/systemd/system/inside.service" <<'U'
[Unit]
After=basic.target
[Service]
Type=simple
ExecStart=/inside
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
U
ln -s ../inside.service "$root/etc/systemd/system/multi-user.target.wants/inside.service"
(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) | gzip -1 >"$work/initrd"

# --- it runs ---------------------------------------------------------------------------------------------------------------
"$qemu" -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -bios qboot.rom -nodefaults -no-user-config -display none \
    -kernel "$work"/kernel/boot/vmlinuz-* -initrd "$work/initrd" \
    -append "console=ttyS0 quiet panic=-1 rdinit=$systemd systemd.show_status=0 cgroup_no_v1=all" \
    -no-reboot -serial "file:$work/console" </dev/null >"$work/qemu.log" 2>&1 &
pid=$!
over() { grep -q '^inside: over' "$work/console" || ! kill -0 "$pid"; }
until_true 400 over
tr -d '\r' <"$work/console" | grep -v '^\[ *[0-9.]*\]' >"$work/said"
cat "$work/said"
passed=$((passed + $(grep -c '^PASS' "$work/said"))) failed=$((failed + $(grep -c '^FAIL' "$work/said")))
grep -q '^inside: over' "$work/said" || { fail "the guest did not come to its end" && tail -n 30 "$work/console"; }
finish
