#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A VMI from the POST to its guest's first serial byte, against bare QEMU with the same arguments.
# tests/bench/run start-vmi [ROUNDS]   (default 40)   The guest is tests/pvh: up at its first instructions.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$here/../../build/bench
# shellcheck source=tests/testlib/batond.sh
. "$here/../testlib/batond.sh"
# shellcheck source=deploy/samples/layout.sh
. "$here/../../deploy/samples/layout.sh"

[ "$(id -u)" = 0 ] || { echo "start-vmi: needs root" >&2 && exit 77; }
cmake --build --preset bench --target batond baton baton-agent baton-shim baton_guest >/dev/null

work=$(mktemp -d /tmp/baton-bench.XXXXXX)
pid='' agent=''
cleanup() {
    [ -z "$agent" ] || kill "$agent" 2>/dev/null || true
    [ -z "$agent" ] || wait "$agent" 2>/dev/null || true
    "$build/baton-agent" --state "$work/agent" --server 127.0.0.1:1 --clean >/dev/null 2>&1 || true
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

mkdir -p "$work/root/boot" "$work/agent/import"
cp "$build/pvh.elf" "$work/root/boot/kernel"
layout_write "$work/agent/import/pvh" latest "$work/root" '{}'
batond_start "$build/batond" "$work/control"
"$build/baton" --kubeconfig "$work/control/kubeconfig" token create >"$work/token"
"$build/baton-agent" --state "$work/agent" --server "${BATON_SERVER#https://}" --token-file "$work/token" >"$work/agent.log" 2>&1 &
agent=$!
python3 "$here/start_vmi.py" "$work/agent" "$build/pvh.elf" "${1:-40}" || {
    tail -n 20 "$work/agent.log" >&2
    exit 1
}
