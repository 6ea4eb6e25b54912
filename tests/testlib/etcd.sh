# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# For tests to source: an etcd of one's own, on loopback, in DIR. Never the system's service.
# etcd_up DIR [ARGUMENT...]   sets etcd_pid and etcd_url; waits until it answers. Again in the same DIR: the same data and port.
# etcd_down                   kills it (-9).
etcd_tests=$(cd "$(dirname "$0")/.." && pwd)

etcd_answers() { # One that is full says of itself that it is not healthy.
    curl -sf "$etcd_url/health" 2>/dev/null | grep -q true ||
        ETCDCTL_API=3 etcdctl --endpoints "$etcd_url" --command-timeout 1s alarm list 2>/dev/null | grep -q NOSPACE
}
etcd_up() {
    etcd_dir=$1
    shift
    if [ ! -e "$etcd_dir/ports" ]; then
        mkdir -p "$etcd_dir"
        echo "$("$etcd_tests/testlib/free-port") $("$etcd_tests/testlib/free-port")" >"$etcd_dir/ports"
    fi
    read -r etcd_port etcd_peer <"$etcd_dir/ports"
    etcd_url=http://127.0.0.1:$etcd_port
    # backend-batch-limit: Debian's 3.4.23 copies its whole read buffer for each transaction (etcd PR 15195).
    etcd --name m0 --data-dir "$etcd_dir/data" --listen-client-urls "$etcd_url" --advertise-client-urls "$etcd_url" \
        --listen-peer-urls "http://127.0.0.1:$etcd_peer" --initial-advertise-peer-urls "http://127.0.0.1:$etcd_peer" \
        --initial-cluster "m0=http://127.0.0.1:$etcd_peer" --backend-batch-limit 500 --logger zap --log-level error "$@" \
        >>"$etcd_dir/log" 2>&1 &
    etcd_pid=$!
    etcd_tries=0
    until etcd_answers; do
        etcd_tries=$((etcd_tries + 1))
        if [ "$etcd_tries" -gt 200 ] || ! kill -0 "$etcd_pid" 2>/dev/null; then
            tail -n 20 "$etcd_dir/log" >&2
            return 1
        fi
        sleep 0.05
    done
}
etcd_down() {
    [ -z "${etcd_pid:-}" ] || kill -9 "$etcd_pid" 2>/dev/null || true
    [ -z "${etcd_pid:-}" ] || wait "$etcd_pid" 2>/dev/null || true
    etcd_pid=
}
