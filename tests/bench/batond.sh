# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# For benchmarks to source: a release batond of one's own, gone at the end.
#   start_batond   sets work, port, pid; batond_options: further ones
#   stop_batond    an orderly end; $work/state stays
#   drop_batond    and its state is gone
work=$(mktemp -d /tmp/baton-bench.XXXXXX)
pid=

stop_batond() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
    pid=
}

drop_batond() {
    stop_batond
    rm -rf "$work/state"
}

cleanup() {
    stop_batond
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

start_batond() {
    mkdir -p "$work/state"
    port=$((20000 + $$ % 10000))
    # shellcheck disable=SC2086 # Words.
    build/bench/batond --state "$work/state" --listen 127.0.0.1 --port "$port" --log warn ${batond_options:-} 2>"$work/log" &
    pid=$!
    tries=0
    until curl -sf --cacert "$work/state/control/pki/ca.crt" "https://127.0.0.1:$port/readyz" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { cat "$work/log"; exit 1; }
        sleep 0.1
    done
}
