# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# What the tests of flight recorders share. Sourced after fake.sh, used behind fake_up.
#   asked            baton doctor --record makes STATE/control/flight/asked
#   replays FILE...  baton-sim steps it, and nothing differs; what it says is in $work/replayed
#   restart OPTION.. another batond on the same state; sets batond_pid
#   secret FILE      a Secret as YAML; secret_free FILE: its value is not in there
#   pods FROM TO     pods that use it, as YAML
asked() { # Whatever doctor thinks of the rest: the agent is dead here for a while.
    rm -f "$work/state/control/flight/asked"
    baton doctor --record --state "$work/none" >/dev/null
    test -s "$work/state/control/flight/asked"
}
replays() { # RECORDING [--rows FILE]
    "$fake_build/baton-sim" --replay "$@" >"$work/replayed"
    grep -qE "^[0-9]+ steps, [1-9][0-9]* compared with what was recorded, 0 different" "$work/replayed"
}
restart() {
    # shellcheck disable=SC2086 # Words.
    "$fake_build/batond" --state "$work/state" --listen 127.0.0.1 --port "$port" ${fake_batond_options:-} "$@" \
        >>"$work/batond.log" 2>&1 &
    batond_pid=$!
    fake_pids="$fake_pids $batond_pid"
}
secret_free() { ! grep -qaE "wolpertinger|d29scGVydGluZ2Vy" "$1"; }
secret() {
    cat >"$1" <<'Y'
apiVersion: v1
kind: Secret
metadata:
  name: hidden
  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"stringData":{"a-secret-word":"wolpertinger"}}'}
stringData: {a-secret-word: wolpertinger}
Y
}
pods() { # FROM TO
    seq "$1" "$2" | while read -r i; do
        printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: p%s}\nspec: {containers: [{name: a, image: x, args: [run], env: [{name: W, valueFrom: {secretKeyRef: {name: hidden, key: a-secret-word}}}], resources: {requests: {cpu: 10m}}}]}\n' "$i"
    done
}
