#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pods created over TLS, each with its Placement, on joined nodes that start nothing; then what the store alone does with
# the same bytes in the same batches. share: the part of it that creating through the API reaches.
# tests/bench/run api-create [NODES [PODS]]    prints "api-create METRIC VALUE UNIT"
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/batond.sh
. tests/bench/batond.sh
cmake --build --preset bench --target batond api-load store-alone >/dev/null
start_batond
build/bench/api-load "$work/state" "$port" "$pid" "${1:-1000}" "${2:-100000}" 1 16 256 | sed 's/^/api-create /' | tee "$work/out"
awk '/^Rss|^Pss:/ { printf "api-create %s[pods] %.0f MiB\n", tolower($1), $2 / 1024 }' "/proc/$pid/smaps_rollup" | sed 's/://'
stop_batond
# "batch[inflight=N] W writes" becomes N:W.
# shellcheck disable=SC2046 # One word each.
build/bench/store-alone "$work/state" $(sed -n 's/^api-create batch\[inflight=\([0-9]*\)\] \([0-9]*\).*/\1:\2/p' "$work/out") |
    sed 's/^/api-create /' | tee "$work/alone"
awk '{ split($2, a, "["); if (a[1] == "rate") rate[a[2]] = $3; if (a[1] == "store_rate") printf "api-create share[%s %.0f %%\n", a[2], 100 * rate[a[2]] / $3 }' \
    "$work/out" "$work/alone"
