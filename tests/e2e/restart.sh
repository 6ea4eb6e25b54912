#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A control plane that was killed comes back with everything it acknowledged, and two never share a port or a state folder.
# usage: restart.sh BUILD_DIR [sqlite|etcd]
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/testlib/etcd.sh
. "$here/../testlib/etcd.sh"
build=$1
store=${2:-sqlite}
etcd_pid=
work=$(mktemp -d /tmp/baton-restart.XXXXXX)
pid=
cleanup() {
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
    etcd_down
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

baton() { "$build/baton" --kubeconfig "$work/state/kubeconfig" "$@"; }
start() {
    # shellcheck disable=SC2086 # Words.
    "$build/batond" --state "$work/state" --listen 127.0.0.1 --port "$port" $store_options >>"$work/log" 2>&1 &
    pid=$!
    until_true 20 baton get --raw /readyz
}
port=$((10000 + $$ % 10000))
store_options=
if [ "$store" = etcd ]; then
    [ -x /usr/bin/etcd ] || { echo "SKIP there is no etcd on this machine" && exit 77; }
    etcd_up "$work/etcd" || exit 1
    store_options="--store etcd --endpoints $etcd_url"
fi

if start; then pass "the first start"; else fail "the first start"; fi
i=0
while [ $i -lt 20 ]; do
    i=$((i + 1))
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%s}\ndata: {n: "%s"}\n---\n' "$i" "$i" >>"$work/maps.yaml"
done
printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: hidden}\nstringData: {word: wolpertinger}\n' >>"$work/maps.yaml"
check "twenty ConfigMaps and a Secret" baton apply -f "$work/maps.yaml"
uid() { baton get configmaps c7 -o json | grep '"uid"'; }
before=$(uid)

check "a second batond on the same port is refused" sh -c "
    ! timeout 10 '$build/batond' --state '$work/other' --listen 127.0.0.1 --port $port 2>'$work/second'"
check_says "with the reason" "in use" cat "$work/second"
check "a second batond on the same state folder is refused" sh -c "
    ! timeout 10 '$build/batond' --state '$work/state' --listen 127.0.0.1 --port $((port + 1)) 2>'$work/second'"
check_says "with the reason" "locked by another process" cat "$work/second"

kill -9 "$pid"
wait "$pid" 2>/dev/null
if start; then pass "it starts again after kill -9"; else fail "it starts again after kill -9"; fi
all_there() { [ "$(baton get configmaps | grep -c '^c[0-9]')" -eq 20 ]; }
check "everything acknowledged is there" all_there
same() { [ -n "$before" ] && [ "$(uid)" = "$before" ]; }
check "under the same uid" same
check_says "the Secret opens" "d29scGVydGluZ2Vy" baton get secrets hidden -o yaml
bytes_on_disk() {
    if [ "$store" = etcd ]; then cat "$work"/etcd/data/member/wal/*.wal "$work"/etcd/data/member/snap/db; else cat "$work"/state/control/store.db*; fi
}
sealed() { bytes_on_disk | grep -qa "c7" && ! bytes_on_disk | grep -qa wolpertinger; }
check "and is sealed on the disk" sealed
check "it still takes writes" baton apply -f "$work/maps.yaml"

if [ "$store" = etcd ]; then
    check "the lock says who leads" sh -c "ETCDCTL_API=3 etcdctl --endpoints $etcd_url get /baton/lock | grep -q '$work/state'"
    check "a batond of another cluster is refused" sh -c "
        ! timeout 20 '$build/batond' --state '$work/foreign' --listen 127.0.0.1 --port $((port + 1)) $store_options 2>'$work/second'"
    check_says "with the reason" "belongs to cluster" cat "$work/second"

    # A second control plane of the same cluster waits, and takes over when the first one ends.
    mkdir "$work/standby"
    cp -r "$work/state/control" "$work/standby/control"
    # shellcheck disable=SC2086 # Words.
    "$build/batond" --state "$work/standby" --listen 127.0.0.1 --port $((port + 1)) $store_options >"$work/standby.log" 2>&1 &
    standby=$!
    waits() { grep -q "another control plane" "$work/standby.log"; }
    check "a standby waits" until_true 10 waits
    sleep 2.5 # Three tries.
    said_once() { [ "$(grep -c 'store.failed' "$work/standby.log")" -eq 1 ]; }
    check "and says so once, not at every try" said_once
    check "while the first one leads" baton get configmaps c7
    kill "$pid" && wait "$pid" 2>/dev/null
    pid=$standby
    sed "s/:$port\\b/:$((port + 1))/" "$work/state/kubeconfig" >"$work/standby/kubeconfig"
    standby_all() { [ "$("$build/baton" --kubeconfig "$work/standby/kubeconfig" get configmaps | grep -c '^c[0-9]')" -eq 20 ]; }
    check "and takes over when that one ends" until_true 10 standby_all
    kill "$pid" && wait "$pid" 2>/dev/null
    pid=

    etcd_down
    rm -rf "$work/etcd/data"
    etcd_up "$work/etcd"
    check "an etcd that came back empty is refused" sh -c "
        ! timeout 20 '$build/batond' --state '$work/state' --listen 127.0.0.1 --port $port $store_options 2>'$work/second'"
    check_says "with the reason" "holds nothing under /baton/" cat "$work/second"
    check "and so is a local store in its place" sh -c "
        ! timeout 20 '$build/batond' --state '$work/state' --listen 127.0.0.1 --port $port 2>'$work/second'"
    check_says "with the reason" "state is in etcd" cat "$work/second"
fi
finish
