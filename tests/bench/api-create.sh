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
build/bench/api-load "$work/state" "$port" "$pid" "$nodes" "$pods" 1 16 256 | sed 's/^/api-create /'
awk '/^Rss|^Pss:/ { printf "api-create %s[pods] %.0f MiB\n", tolower($1), $2 / 1024 }' "/proc/$pid/smaps_rollup" | sed 's/://'
