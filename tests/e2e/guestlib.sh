# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# A guest of Debian's cloud kernel and an initial RAM disk made here, for tests that need a kernel of their own: its process 1
# says PASS and FAIL on the console, and "inside: over" at its end. Sourced, after lib.sh; the tests' files go to $guest_root.

guest_qemu=/usr/bin/qemu-system-x86_64

# shellcheck disable=SC2154 # $here: the folder of the script that sources this.
# guest_begin WHAT: a kernel in $work/kernel and an empty tree. Ends the script, skipped, where the machine has none.
guest_begin() {
    # shellcheck source=deploy/samples/kernel.sh
    . "$here/../../deploy/samples/kernel.sh"
    [ -x "$guest_qemu" ] || guest_skip "$1: no $guest_qemu"
    work=$(mktemp -d /tmp/baton-guest.XXXXXX)
    guest_pid=
    trap guest_end EXIT
    trap 'exit 1' INT TERM
    guest_package=$(kernel_package)
    if [ -z "$guest_package" ] || ! kernel_unpack "$guest_package" "$work" >"$work/apt.log" 2>&1; then
        guest_skip "$1: apt cannot fetch the kernel here"
    fi
    guest_root=$work/root
    mkdir -p "$guest_root"
}
guest_skip() {
    skip "$1"
    finish
    exit 77
}
guest_end() {
    [ -z "$guest_pid" ] || kill "$guest_pid" 2>/dev/null
    rm -rf "$work"
}

# guest_program FROM TO: with the libraries it wants.
guest_program() {
    mkdir -p "$guest_root$(dirname "$2")"
    cp "$1" "$guest_root$2"
    ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while read -r guest_library; do
        [ -e "$guest_root$guest_library" ] ||
            { mkdir -p "$guest_root$(dirname "$guest_library")" && cp -L "$guest_library" "$guest_root$guest_library"; }
    done
}

# guest_busybox NOT...: busybox under all its names but those, or none.
guest_busybox() {
    mkdir -p "$guest_root/bin" "$guest_root/etc"
    cp /bin/busybox "$guest_root/bin/busybox"
    for guest_applet in $(/bin/busybox --list); do
        case " busybox $* " in *" $guest_applet "*) ;; *) ln -s busybox "$guest_root/bin/$guest_applet" ;; esac
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$guest_root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$guest_root/etc/group"
}

# guest_modules FOLDER...: the kernel's modules under these, for modprobe.
guest_modules() {
    guest_release=$(basename "$work"/kernel/lib/modules/*)
    for guest_folder in "$@"; do
        mkdir -p "$guest_root/lib/modules/$guest_release/kernel/$(dirname "$guest_folder")"
        cp -r "$work/kernel/lib/modules/$guest_release/kernel/$guest_folder" \
            "$guest_root/lib/modules/$guest_release/kernel/$(dirname "$guest_folder")/"
    done
    cp "$work/kernel/lib/modules/$guest_release/"modules.order "$work/kernel/lib/modules/$guest_release/"modules.builtin* \
        "$guest_root/lib/modules/$guest_release/"
    busybox depmod -b "$guest_root" "$guest_release"
}

# guest_run SECONDS MIB APPEND: until it is over; its PASS and FAIL lines are counted with ours.
guest_run() {
    find "$guest_root" -type f -perm -u+x -exec strip --strip-debug {} + 2>/dev/null # Half the size.
    (cd "$guest_root" && find . | cpio --quiet -o -H newc -R 0:0) | gzip -1 >"$work/initrd"
    "$guest_qemu" -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m "$2" -bios qboot.rom -nodefaults -no-user-config \
        -display none -kernel "$work"/kernel/boot/vmlinuz-* -initrd "$work/initrd" \
        -append "console=ttyS0 quiet panic=-1 cgroup_no_v1=all $3" \
        -no-reboot -serial "file:$work/console" </dev/null >"$work/qemu.log" 2>&1 &
    guest_pid=$!
    until_true "$1" guest_over
    tr -d '\r' <"$work/console" | grep -v '^\[ *[0-9.]*\]' >"$work/said"
    cat "$work/said"
    passed=$((passed + $(grep -c '^PASS' "$work/said"))) failed=$((failed + $(grep -c '^FAIL' "$work/said")))
    grep -q '^inside: over' "$work/said" || { fail "the guest did not come to its end" && tail -n 30 "$work/console"; }
}
guest_over() { grep -q '^inside: over' "$work/console" || ! kill -0 "$guest_pid"; }
