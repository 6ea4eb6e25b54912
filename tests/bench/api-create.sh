#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pods created over TLS, each with its Placement, on joined nodes that start nothing; then what the store alone does with
# the same bytes in the same batches. share: the part of it that creating through the API reaches.
# tests/bench/run api-create [NODES [PODS [sqlite|etcd]]]    prints "api-create[STORE] METRIC VALUE UNIT"
# etcd: Debian's, one member, started for this on loopback; cpu_us[etcd] is all of its time, divided by the pods. bare_rate: what
# etcd does with the same batches by itself, one put after another; store_etcd_us, bare_etcd_us: its processor time for a pod.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/batond.sh
. tests/bench/batond.sh
# shellcheck source=tests/testlib/etcd.sh
. tests/testlib/etcd.sh
nodes=${1:-1000} pods=${2:-100000} store=${3:-sqlite}
cmake --build --preset bench --target batond api-load store-alone >/dev/null
where=$work/state alone=
if [ "$store" = etcd ]; then
    trap 'etcd_down; cleanup' EXIT
    etcd_up "$work/etcd" --quota-backend-bytes 8000000000
    where=$etcd_url batond_options="--store etcd --endpoints $etcd_url" alone="--etcd-pid $etcd_pid"
fi
etcd_puts() { curl -s "$etcd_url/metrics" | awk '/^etcd_mvcc_put_total|^etcd_debugging_mvcc_put_total/ { print int($2); exit }'; }
etcd_ms() { awk -v hz="$(getconf CLK_TCK)" '{ print 1000 * ($14 + $15) / hz }' "/proc/$etcd_pid/stat"; }

start_batond
if [ "$store" = etcd ]; then ms=$(etcd_ms) puts=$(etcd_puts); fi
build/bench/api-load "$work/state" "$port" "$pid" "$nodes" "$pods" 1 16 256 | sed "s/^/api-create[$store] /" | tee "$work/out"
awk -v name="api-create[$store]" '/^Rss|^Pss:/ { printf "%s %s[pods] %.0f MiB\n", name, tolower($1), $2 / 1024 }' \
    "/proc/$pid/smaps_rollup" | sed 's/://'
if [ "$store" = etcd ]; then
    # One, sixteen and 256 in flight: a twentieth of the pods, and twice all of them.
    awk -v pods="$pods" -v ms="$(etcd_ms) $ms" -v puts="$(etcd_puts) $puts" 'BEGIN {
        split(ms, m); split(puts, p); pods *= 2.05
        printf "api-create[etcd] cpu_us[etcd] %.0f us\n", 1000 * (m[1] - m[2]) / pods
        printf "api-create[etcd] puts_per_create %.3f puts\n", (p[1] - p[2]) / pods }'
fi
stop_batond
# "batch[inflight=N] W writes" becomes N:W.
# shellcheck disable=SC2046,SC2086 # One word each.
build/bench/store-alone $alone "$work/state" "$where" $(sed -n 's/^[^ ]* batch\[inflight=\([0-9]*\)\] \([0-9]*\).*/\1:\2/p' "$work/out") |
    sed "s/^/api-create[$store] /" | tee "$work/alone"
awk -v name="api-create[$store]" '{ split($2, a, "["); if (a[1] == "rate") rate[a[2]] = $3
    if (a[1] == "store_rate") printf "%s share[%s %.0f %%\n", name, a[2], 100 * rate[a[2]] / $3 }' "$work/out" "$work/alone"
