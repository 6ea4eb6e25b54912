# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# Debian's cloud kernel, downloaded by apt and unpacked, not installed. Sourced.

# kernel_package: the package that the current cloud kernel really is.
kernel_depends() {
    apt-cache show --no-all-versions linux-image-cloud-amd64 2>/dev/null |
        sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p'
}
kernel_package() {
    kernel_name=$(kernel_depends)
    if [ -z "$kernel_name" ]; then
        apt-get -q update >&2
        kernel_name=$(kernel_depends)
    fi
    [ -n "$kernel_name" ] || { echo "apt knows no linux-image-cloud-amd64" >&2 && return 1; }
    echo "$kernel_name"
}

# kernel_unpack PACKAGE DIR: leaves DIR/kernel/boot/vmlinuz-* and DIR/kernel/lib/modules.
kernel_unpack() {
    chmod 0755 "$2"
    (cd "$2" && apt-get -q download "$1") || { apt-get -q update && (cd "$2" && apt-get -q download "$1"); } || return 1
    dpkg-deb -x "$2"/linux-image-*.deb "$2/kernel"
}
