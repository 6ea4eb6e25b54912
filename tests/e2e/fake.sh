# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# A cluster of one control plane and one agent that runs nothing (--runtime fake), for what needs no real workloads. Sourced
# after lib.sh.
#   fake_up BUILD_DIR TOPOLOGY    sets work, port, KUBECONFIG and baton (a command); the node is called one
#                                 fake_agent_options: the agent's, if there are any
#                                 fake_batond_options: the control plane's
#   fake_down                     ends it; for a trap

fake_up() {
    work=$(mktemp -d /tmp/baton-fake.XXXXXX)
    port=$((11000 + $$ % 9000))
    fake_build=$1
    export KUBECONFIG="$work/state/kubeconfig" HOME="$work"
    # shellcheck disable=SC2086 # Words.
    "$fake_build/batond" --state "$work/state" --listen 127.0.0.1 --port "$port" ${fake_batond_options:-} >"$work/batond.log" 2>&1 &
    fake_pids=$!
    until_true 20 baton get --raw /readyz || { tail "$work/batond.log" && return 1; }
    mkdir "$work/agent"
    (umask 077 && baton token create >"$work/token")
    # shellcheck disable=SC2086 # Words.
    "$fake_build/baton-agent" --state "$work/agent" --server "127.0.0.1:$port" --token-file "$work/token" \
        --node-name one --runtime fake --topology "$2" ${fake_agent_options:-} >"$work/agent.log" 2>&1 &
    fake_pids="$fake_pids $!"
    baton wait node --for condition=Ready --timeout 20s >/dev/null || { tail "$work/agent.log" && return 1; }
}

fake_down() {
    for fake_pid in ${fake_pids:-}; do kill "$fake_pid" 2>/dev/null; done
    for fake_pid in ${fake_pids:-}; do wait "$fake_pid" 2>/dev/null; done
    [ -z "${work:-}" ] || rm -rf "$work"
}

baton() { "$fake_build/baton" "$@"; }
