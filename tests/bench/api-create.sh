#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pods created over TLS, each with its Placement, on joined nodes that start nothing.
# tests/bench/run api-create [NODES [PODS]]    prints "api-create METRIC VALUE UNIT"
set -eu
cd "$(dirname "$0")/../.."
nodes=${1:-1000}
pods=${2:-100000}
cmake --build --preset bench --target batond api-load >/dev/null
work=$(mktemp -d /tmp/baton-bench.XXXXXX)
pid=
cleanup() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# CPU time of batond's threads so far, as "core io store" in clock ticks.
threads_cpu() {
    cat "/proc/$pid"/task/*/stat | awk '{
        name = $2; ticks = $14 + $15
        if (name ~ /front/) io += ticks; else if (name ~ /store/) store += ticks; else core += ticks
    } END { print core + 0, io + 0, store + 0 }'
}

for inflight in 1 16 256; do
    count=$pods
    [ "$inflight" -gt 1 ] || count=$((pods / 20))
    rm -rf "$work/state"
    mkdir "$work/state"
    port=$((20000 + $$ % 10000))
    build/bench/batond --state "$work/state" --listen 127.0.0.1 --port "$port" --log warn 2>"$work/log" &
    pid=$!
    tries=0
    until curl -sf --cacert "$work/state/control/pki/ca.crt" "https://127.0.0.1:$port/readyz" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { cat "$work/log"; exit 1; }
        sleep 0.1
    done
    build/bench/api-load "$work/state" "$port" "$nodes" "$count" "$inflight" | sed 's/^/api-create /'
    if [ "$inflight" = 256 ]; then
        # Joins included; they are a thousandth of the creates.
        threads_cpu | awk -v pods="$count" -v hz="$(getconf CLK_TCK)" '{
            printf "api-create cpu_us[core] %.1f us\n", $1 * 1e6 / hz / pods
            printf "api-create cpu_us[io] %.1f us\n", $2 * 1e6 / hz / pods
            printf "api-create cpu_us[store] %.1f us\n", $3 * 1e6 / hz / pods }'
        awk '/^Rss|^Pss:/ { printf "api-create %s[pods] %.0f MiB\n", tolower($1), $2 / 1024 }' "/proc/$pid/smaps_rollup" | sed 's/://'
    fi
    kill "$pid"
    wait "$pid" 2>/dev/null || true
    pid=
done
