#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The store alone: tests/bench/run store-rate [sqlite|etcd [DIR]]. etcd: Debian's, started for this on loopback, its data in DIR.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/testlib/etcd.sh
. tests/testlib/etcd.sh
cmake --build --preset bench --target store-rate >/dev/null
dir=${2:-/var/tmp}
[ "${1:-sqlite}" = etcd ] || exec build/bench/store-rate "$dir"
work=$(mktemp -d "$dir/baton-bench.XXXXXX")
etcd_pid=
trap 'etcd_down; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
etcd_up "$work" --quota-backend-bytes 8000000000
build/bench/store-rate "$etcd_url"
