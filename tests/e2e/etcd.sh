#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A whole control plane on an etcd under faults; the engine alone is tested harder in tests/conformance/etcd/.
# usage: etcd.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/testlib/etcd.sh
. "$here/../testlib/etcd.sh"
[ -x /usr/bin/etcd ] || { echo "SKIP there is no etcd on this machine" && exit 77; }
build=$1
etcd_pid='' pid='' standby=''
work=$(mktemp -d /tmp/baton-etcd.XXXXXX)
cleanup() {
    for process in $pid $standby; do kill -9 "$process" 2>/dev/null; done
    etcd_down
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
ctl() { ETCDCTL_API=3 etcdctl --endpoints "$etcd_url" "$@"; }
baton() { "$build/baton" --kubeconfig "$work/$1/kubeconfig" "$2" "$3" ${4+"$4"} ${5+"$5"}; }
# start STATE: sets started
start() {
    "$build/batond" --state "$work/$1" --listen 127.0.0.1 --port "$port" --store etcd --endpoints "$etcd_url" >>"$work/$1.log" 2>&1 &
    started=$!
}
map() { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {a: "%s"}\n' "$1" "$2" >"$work/$1.yaml"; }
ready() { baton "$1" get --raw /readyz; }

etcd_up "$work/etcd" || exit 1
check "killed under creates and deletes, nothing acknowledged is lost" \
    "$here/killed.py" "$build/batond" 2 --store etcd --endpoints "$etcd_url" --etcd-prefix /killed/

port=$("$here/../testlib/free-port")
start first
pid=$started
until_true 20 ready first
map small x
check "a control plane on etcd" baton first apply -f "$work/small.yaml"

# Another one takes over while the first is stopped for longer than its lease; then that one goes on.
cp -r "$work/first" "$work/second"
port=$("$here/../testlib/free-port")
start second
standby=$started
sed "s/127.0.0.1:[0-9]*/127.0.0.1:$port/" "$work/first/kubeconfig" >"$work/second/kubeconfig"
kill -STOP "$pid"
map after-the-lease x
takes_over() { baton second apply -f "$work/after-the-lease.yaml"; }
check "a second one takes over when the first hangs" until_true 25 takes_over
kill -CONT "$pid"
map late x
check "the first writes nothing more" sh -c "! timeout 10 '$build/baton' --kubeconfig '$work/first/kubeconfig' apply -f '$work/late.yaml'"
ended() { grep -q 'batond.stopped code=1' "$work/first.log"; }
check "and ends" until_true 15 ended
wait "$pid" 2>/dev/null
check_says "with the reason" "store.deposed" cat "$work/first.log"
pid=
is_not_there() { ! baton second get configmaps late && baton second get configmaps after-the-lease; }
check "nothing of it landed" is_not_there
kill "$standby" && wait "$standby" 2>/dev/null
standby=

# Somebody compacted: a watcher who was away for too long must list again.
state=$(ctl get --print-value-only /baton/state | sed 's/compacted=[0-9]*/compacted=3/')
ctl put /baton/state "$state" >/dev/null
start second
pid=$started
until_true 20 ready second
check_says "history that was compacted away is 410 Gone" '"code":410' \
    baton second get --raw "/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1&resourceVersion=1"

# No space: an alarm as etcd raises it itself when its quota is reached.
etcd_down
etcd_up "$work/etcd" --quota-backend-bytes 60000 || exit 1
map large "$(head -c 90000 /dev/zero | tr '\0' x)"
full() { "$build/baton" --kubeconfig "$work/second/kubeconfig" apply -f "$work/large.yaml" 2>&1 | grep -q "no space left"; }
check "a full etcd refuses writes and says what to do" until_true 10 full
check_says "as Kubernetes would: 507" "InsufficientStorage" sh -c "curl -s --cacert '$work/second/control/pki/ca.crt' \
    --cert '$work/second/control/pki/admin.crt' --key '$work/second/control/pki/admin.key' -H 'Content-Type: application/json' \
    -d '{\"metadata\":{\"name\":\"more\"}}' https://127.0.0.1:$port/api/v1/namespaces/default/configmaps"
check "what is stored is served" baton second get configmaps small
etcd_down
etcd_up "$work/etcd" || exit 1
ctl alarm disarm >/dev/null
check "with room it heals by itself" until_true 10 baton second apply -f "$work/large.yaml"
check_says "and says that it did" "store.works_again" cat "$work/second.log"
finish
