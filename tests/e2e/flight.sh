#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The control plane's flight recorder: asked for by baton doctor --record, and left behind by a fault under load; both replay to
# the same effects, turn by turn, and hold no Secret's value.
# usage: flight.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/e2e/fake.sh
. "$here/fake.sh"
trap fake_down EXIT
trap 'exit 1' INT TERM

fake_agent_options="--flight-kib 256" # Of fake.sh. Little: it is to go round.
fake_up "$1" "package:1 core:16 pu:2" || exit 1
control=$work/state/control
replays() {
    replays_by=$1
    shift
    "$replays_by/baton-sim" --replay "$@" >"$work/replayed"
    grep -qE "^[0-9]+ steps, [1-9][0-9]* compared with what was recorded, 0 different" "$work/replayed"
}
asked() { # Whatever doctor thinks of the rest: the agent is dead here for a while.
    rm -f "$control/flight/asked"
    baton doctor --record --state "$work/none" >/dev/null
    test -s "$control/flight/asked"
}
secret_free() { ! grep -qaE "wolpertinger|d29scGVydGluZ2Vy" "$1"; }

cat >"$work/secret.yaml" <<'Y'
apiVersion: v1
kind: Secret
metadata:
  name: hidden
  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"stringData":{"a-secret-word":"wolpertinger"}}'}
stringData: {a-secret-word: wolpertinger}
Y
pods() { # FROM TO
    seq "$1" "$2" | while read -r i; do
        printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: p%s}\nspec: {containers: [{name: a, image: x, args: [run], env: [{name: W, valueFrom: {secretKeyRef: {name: hidden, key: a-secret-word}}}], resources: {requests: {cpu: 10m}}}]}\n' "$i"
    done
}
pods 1 20 >"$work/few.yaml"
pods 100 600 >"$work/many.yaml"
check "a Secret" baton apply -f "$work/secret.yaml"
check "pods that use it" baton apply -f "$work/few.yaml"
check "run" baton wait pod/p20 --for jsonpath=status.phase=Running --timeout 30s
check "asked, the control plane writes what it was told" asked
check "which replays to the same effects" replays "$1" "$control/flight/asked"
check "with the writes and their answers" grep -q "WRITE CREATE /pods/default/p7 " "$work/replayed"
check "and the rows of the start" grep -q "STORE_DONE" "$work/replayed"
check "no Secret's value is in it" secret_free "$control/flight/asked"
check "though its name and key are" grep -qa "a-secret-word" "$control/flight/asked"

# --- an agent whose beginning is forgotten -------------------------------------------------------------------------------
rounds() {
    for _ in 1 2 3 4; do
        baton delete -f "$work/few.yaml" && until_true 20 sh -c "! '$1/baton' get pods | grep -q '^p'" &&
            baton apply -f "$work/few.yaml" && baton wait pod/p20 --for jsonpath=status.phase=Running --timeout 30s || return 1
    done
}
check "many more" rounds "$1"
agent_pid=${fake_pids##* }
kill -SEGV "$agent_pid"
wait "$agent_pid" 2>/dev/null
check "an agent that dies of a fault leaves its last events" test -s "$work/agent/flight/crash"
check "which replay to the same effects" replays "$1" "$work/agent/flight/crash"
check "from a snapshot on, not from the start" sh -c "grep -q '^the agent as it was behind event' '$work/replayed' && ! grep -q ' STARTED' '$work/replayed'"
check "through a pod's life" grep -q "p20 RUNNING" "$work/replayed"
check "no Secret's value is in it" secret_free "$work/agent/flight/crash"

# --- a fault under load -------------------------------------------------------------------------------------------------
batond_pid=${fake_pids%% *}
baton apply -f "$work/many.yaml" >"$work/applied" 2>&1 &
loader=$!
until_true 20 grep -q p160 "$work/applied"
kill -SEGV "$batond_pid"
wait "$batond_pid" 2>/dev/null
wait "$loader" 2>/dev/null
check "a control plane that dies of a fault leaves its last events" test -s "$control/flight/crash"
check "readable by its owner alone" sh -c "[ \"\$(stat -c %a '$control/flight/crash')\" = 600 ]"
check "which replay to the same effects" replays "$1" "$control/flight/crash"
check "up to the end" grep -q "WRITE CREATE /pods/default/p150 " "$work/replayed"
check "no Secret's value is in it" secret_free "$control/flight/crash"

restart() { # [OPTION...]
    "$build/batond" --state "$work/state" --listen 127.0.0.1 --port "$port" "$@" >>"$work/batond.log" 2>&1 &
    batond_pid=$!
    fake_pids="$fake_pids $batond_pid"
}
build=$1
restart
check "the next one starts" until_true 20 baton get --raw /readyz
check "and tells where it is" grep -q "flight.found.*crash.previous" "$work/batond.log"

# --- a store of more rows than a recording keeps ---------------------------------------------------------------------------
pods 700 720 >"$work/some.yaml"
check "more pods" baton apply -f "$work/some.yaml"
check "asked, it writes its own life" asked
kill "$batond_pid"
wait "$batond_pid"
check "what was stored is read as rows" "$build/batond" rows --state "$work/state" --out "$work/rows"
check "without a Secret's value" secret_free "$work/rows"
check "with them the life replays to the same effects" replays "$build" "$control/flight/asked" --rows "$work/rows"
check "rows and all" grep -q "are rows of the store" "$work/replayed"

# --- a control plane whose beginning is forgotten ------------------------------------------------------------------------
restart --flight-kib 64
until_true 20 baton get --raw /readyz
pods 2000 2300 >"$work/more.yaml"
baton apply -f "$work/more.yaml" >"$work/applied" 2>&1
kill -SEGV "$batond_pid"
wait "$batond_pid" 2>/dev/null
crash=$control/flight/crash
check "by itself it is shown and not stepped" sh -c "'$1/baton-sim' --replay '$crash' | grep -q 'shown, not stepped'"
"$build/batond" rows --state "$work/state" --out "$work/rows" >/dev/null
check "with rows every write is answered as it was" replays "$build" "$crash" --rows "$work/rows"
check "from a revision on" grep -q "^a core of what was stored at revision" "$work/replayed"
finish
