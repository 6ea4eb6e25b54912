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
# shellcheck source=tests/e2e/recording.sh
. "$here/recording.sh"
trap fake_down EXIT
trap 'exit 1' INT TERM

fake_agent_options="--flight-kib 256" # Of fake.sh. Little: it is to go round.
fake_up "$1" "package:1 core:16 pu:2" || exit 1
control=$work/state/control
secret "$work/secret.yaml"
pods 1 20 >"$work/few.yaml"
pods 100 600 >"$work/many.yaml"
check "a Secret" baton apply -f "$work/secret.yaml"
check "pods that use it" baton apply -f "$work/few.yaml"
check "run" baton wait pod/p20 --for jsonpath=status.phase=Running --timeout 30s
check "asked, the control plane writes what it was told" asked
check "which replays to the same effects" replays "$control/flight/asked"
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
check "which replay to the same effects" replays "$work/agent/flight/crash"
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
check "which replay to the same effects" replays "$control/flight/crash"
check "up to the end" grep -q "WRITE CREATE /pods/default/p150 " "$work/replayed"
check "no Secret's value is in it" secret_free "$control/flight/crash"

restart --log info
check "the next one starts" until_true 20 baton get --raw /readyz
check "and tells where it is" grep -q "flight.found.*crash.previous" "$work/batond.log"
finish
