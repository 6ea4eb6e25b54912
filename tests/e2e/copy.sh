#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A stopped cluster moves from SQLite to etcd and back, with a workload that runs all the time.
# usage: copy.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/testlib/etcd.sh
. "$here/../testlib/etcd.sh"
[ -x /usr/bin/etcd ] || { echo "SKIP there is no etcd on this machine" && exit 77; }
build=$1
etcd_pid='' pid='' agent=''
work=$(mktemp -d /tmp/baton-copy.XXXXXX)
cleanup() {
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
    [ -z "$agent" ] || kill -9 "$agent" 2>/dev/null
    etcd_down
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

state=$work/state
baton() { "$build/baton" --kubeconfig "$state/kubeconfig" "$@"; }
port=$("$here/../testlib/free-port")
start() {
    "$build/batond" --state "$state" --listen 127.0.0.1 --port "$port" "$@" >>"$work/log" 2>&1 &
    pid=$!
    until_true 20 baton get --raw /readyz
}
# Not by check: it must set pid here.
starts() {
    starts_what=$1
    shift
    if start "$@"; then pass "$starts_what"; else fail "$starts_what"; fi
}
stop() {
    kill "$pid"
    wait "$pid" 2>/dev/null
    pid=
}
copy() { timeout 60 "$build/baton" store copy "$@"; }
refuses() { ! copy "$@" >"$work/refused" 2>&1; }
# Everything that is stored, in the order of its names: revisions, uids and all. Nodes speak of their contact, Events are memory.
dump() {
    for plural in namespaces serviceaccounts configmaps secrets pods placements nodehardware; do
        baton get "$plural" -o json
    done
}

etcd_up "$work/etcd" || exit 1
starts "a control plane on SQLite"
baton token create >"$work/token"
"$build/baton-agent" --state "$work/agent" --server "127.0.0.1:$port" --token-file "$work/token" --node-name n1 --runtime fake \
    --topology "package:1 numa:1 core:4 pu:1" >"$work/agent.log" 2>&1 &
agent=$!
check "a node" baton wait node/n1 --for condition=Ready --timeout 30s
i=0
while [ $i -lt 40 ]; do
    i=$((i + 1))
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%s}\ndata: {n: "%s"}\n---\n' "$i" "$i"
done >"$work/objects.yaml"
cat >>"$work/objects.yaml" <<'Y'
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {word: wolpertinger}
---
apiVersion: v1
kind: Pod
metadata: {name: works}
spec:
  containers:
  - name: a
    image: a
    resources: {requests: {cpu: "1", memory: 64Mi}, limits: {cpu: "1", memory: 64Mi}}
Y
check "objects, a Secret and a pod" baton apply -f "$work/objects.yaml"
check "which runs" baton wait pod/works --for jsonpath=status.phase=Running --timeout 30s
# What was: a change, a deletion, and a last revision that stays used though nothing has it any more.
sed 's/n: "7"/n: "seven"/' "$work/objects.yaml" | baton apply -f - >/dev/null

check "it is not copied while a control plane runs" refuses --from "sqlite:$state" --to "etcd:$etcd_url"
check_says "and it says so" "must be stopped" cat "$work/refused"
dump >"$work/before"
stop
check "the copy to etcd" copy --from "sqlite:$state" --to "etcd:$etcd_url"
check "SQLite is refused from then on" sh -c "! timeout 10 '$build/batond' --state '$state' --port $port 2>'$work/refused'"
check_says "with the reason" "state is in etcd" cat "$work/refused"
starts "a control plane on etcd" --store etcd --endpoints "$etcd_url"
same() {
    dump >"$work/after"
    diff "$work/before" "$work/after"
}
check "has every object as it was" same
check_says "the Secret opens" d29scGVydGluZ2Vy baton get secrets hidden -o yaml
sealed() { cat "$work"/etcd/data/member/wal/*.wal "$work"/etcd/data/member/snap/db | grep -qa /baton/log/ && ! cat "$work"/etcd/data/member/wal/*.wal \
    "$work"/etcd/data/member/snap/db | grep -qa wolpertinger; }
check "and is sealed in etcd" sealed
check "the node is back" baton wait node/n1 --for condition=Ready --timeout 30s
check_says "the pod runs on" Running baton get pods works
check "what is written now" baton apply -f "$work/objects.yaml"
dump >"$work/before"

check "it is not copied while that one runs" refuses --from "etcd:$etcd_url" --to "sqlite:$state"
stop
check "a target that holds something is refused" sh -c "touch '$state/control/store.db'; ! '$build/baton' store copy \
    --from 'etcd:$etcd_url' --to 'sqlite:$state' >'$work/refused' 2>&1; rm '$state/control/store.db'"
check_says "with the reason" "is there already" cat "$work/refused"
check "the copy back" copy --from "etcd:$etcd_url" --to "sqlite:$state"
check "etcd is refused from then on" sh -c "! timeout 20 '$build/batond' --state '$state' --port $port --store etcd \
    --endpoints '$etcd_url' 2>'$work/refused'"
check_says "with the reason" "start with --store sqlite" cat "$work/refused"
cp -r "$state" "$work/other"
rm "$work"/other/control/store.db
check "for every other control plane, too" sh -c "! timeout 20 '$build/batond' --state '$work/other' --port $port --store etcd \
    --endpoints '$etcd_url' 2>'$work/refused'"
check_says "with the reason" "left behind" cat "$work/refused"
starts "a control plane on SQLite again"
check "has every object as it was" same
check "the node is back" baton wait node/n1 --for condition=Ready --timeout 30s
check_says "the pod still runs" Running baton get pods works
stop

# Interrupted before its end: everything is there but the last step, which takes the mark away.
ETCDCTL_API=3 etcdctl --endpoints "$etcd_url" del --prefix /baton/ >/dev/null
check "a copy" copy --from "sqlite:$state" --to "etcd:$etcd_url"
mv "$state/control/store.db.copied" "$state/control/store.db"
rm "$state/control/store.etcd"
etcd_state=$(ETCDCTL_API=3 etcdctl --endpoints "$etcd_url" get --print-value-only /baton/state)
ETCDCTL_API=3 etcdctl --endpoints "$etcd_url" put /baton/state "$etcd_state copy=unfinished" >/dev/null
check "half a copy is not served from" sh -c "! timeout 20 '$build/batond' --state '$work/other' --port $port --store etcd \
    --endpoints '$etcd_url' 2>'$work/refused'"
check_says "with advice" "run baton store copy again" cat "$work/refused"
starts "the source is as it was"
check "with every object" same
stop
check "and the next copy begins anew" copy --from "sqlite:$state" --to "etcd:$etcd_url"
starts "a control plane on it" --store etcd --endpoints "$etcd_url"
check "has every object as it was" same
stop

check "two stores of a kind are refused" refuses --from "sqlite:$state" --to "sqlite:$work/other"
check "a directory that is none is refused" refuses --from "sqlite:$work/nowhere" --to "etcd:$etcd_url"
check_says "with the reason" "no control plane's directory" cat "$work/refused"
finish
