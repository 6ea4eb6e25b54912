#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The units of deploy/up under a systemd that is process 1, in a guest: it starts both programs, and again after each kill -9.
# usage: systemd.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/e2e/guestlib.sh
. "$here/guestlib.sh"
build=$1
systemd=/lib/systemd/systemd

[ -x "$systemd" ] || guest_skip "systemd in a guest: no $systemd"
guest_begin "systemd in a guest"

# --- the guest's files: Debian's systemd with the units that lead to multi-user.target, and ours ---------------------------
root=$guest_root
for d in bin sbin lib lib64; do mkdir -p "$root/usr/$d" && ln -s "usr/$d" "$root/$d"; done
for d in dev etc/systemd/system/multi-user.target.wants proc run sys tmp root var/lib; do mkdir -p "$root/$d"; done
guest_busybox init poweroff reboot halt
guest_program "$systemd" "$systemd"
guest_program /lib/systemd/systemd-shutdown /lib/systemd/systemd-shutdown
guest_program /bin/systemctl /bin/systemctl
mkdir -p "$root/lib/systemd/system"
for unit in basic sysinit multi-user shutdown umount final poweroff local-fs local-fs-pre swap sockets timers paths slices network; do
    cp "/lib/systemd/system/$unit.target" "$root/lib/systemd/system/"
done
cp /lib/systemd/system/systemd-poweroff.service "$root/lib/systemd/system/"
ln -s multi-user.target "$root/lib/systemd/system/default.target"
printf 'ID=guest\nNAME=guest\nPRETTY_NAME=guest\n' >"$root/etc/os-release"
printf '0123456789abcdef0123456789abcdef\n' >"$root/etc/machine-id"
for program in batond baton-agent baton; do guest_program "$build/$program" "/opt/$program"; done
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
guest_run 400 2048 "rdinit=$systemd systemd.show_status=0"
finish
