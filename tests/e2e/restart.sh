#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A control plane that was killed comes back with everything it acknowledged, and two never share a port or a state folder.
# usage: restart.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
build=$1
work=$(mktemp -d /tmp/baton-restart.XXXXXX)
pid=
cleanup() {
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

baton() { "$build/baton" --kubeconfig "$work/state/kubeconfig" "$@"; }
start() {
    "$build/batond" --state "$work/state" --listen 127.0.0.1 --port "$port" >>"$work/log" 2>&1 &
    pid=$!
    until_true 20 baton get --raw /readyz
}
port=$((20000 + $$ % 10000))

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
sealed() { ! grep -q wolpertinger "$work"/state/control/store.db*; }
check "and is sealed on the disk" sealed
check "it still takes writes" baton apply -f "$work/maps.yaml"
finish
