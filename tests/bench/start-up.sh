#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From batond's start to ready, and its memory, with 0, 50,000 and 500,000 placed pods stored.
# tests/bench/run start-up [0 PODS...]    prints "start-up METRIC VALUE UNIT"
set -eu
cd "$(dirname "$0")/../.."
cmake --build --preset bench --target batond start-up-load >/dev/null
[ $# -gt 0 ] || set -- 0 50000 500000
state=$(mktemp -d /tmp/baton-bench.XXXXXX)
trap 'rm -rf "$state"' EXIT
trap 'exit 1' INT TERM
{ build/bench/start-up-load build/bench/batond "$state" "$(tests/testlib/free-port)" "$@" || echo "failed"; } |
    sed -u 's/^/start-up /' | tee "$state/out"
! grep -q '^start-up failed' "$state/out"
