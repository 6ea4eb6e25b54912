# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# For tests to source: a control plane and an agent of one's own, of the build tree, with the busybox image. Needs root.
#   cluster_start BUILD STATE [AGENT_OPTION...]   batond_pid, agent_pid, cluster_port; waits until the node is Ready.
#                                                 batond_options: batond's, if there are any
#   cluster_baton ARGS...                         the command line, as its administrator
#   cluster_curl METHOD PATH                      the API itself
#   cluster_batond, cluster_agent [OPTION...]     start the one or the other again
#   cluster_stop                                  ends both, and takes away what they made on the host
cluster_tests=$(cd "$(dirname "$0")/.." && pwd)
batond_pid='' agent_pid=''

cluster_baton() { "$cluster_build/baton" --kubeconfig "$cluster_state/kubeconfig" "$@"; }

cluster_curl() {
    curl -sf --cacert "$cluster_state/control/pki/ca.crt" --cert "$cluster_state/control/pki/admin.crt" \
        --key "$cluster_state/control/pki/admin.key" -X "$1" "https://127.0.0.1:$cluster_port$2"
}

cluster_batond() {
    # shellcheck disable=SC2086 # Words.
    "$cluster_build/batond" --state "$cluster_state" --listen 127.0.0.1 --port "$cluster_port" ${batond_options:-} >>"$cluster_state/batond.log" 2>&1 &
    batond_pid=$!
}

cluster_agent() {
    "$cluster_build/baton-agent" --state "$cluster_state/agent" --share "$cluster_build" --import "$cluster_state/images" \
        --server "127.0.0.1:$cluster_port" --token-file "$cluster_state/token" --node-name n1 "$@" >>"$cluster_state/agent.log" 2>&1 &
    agent_pid=$!
}

cluster_start() {
    cluster_build=$1 cluster_state=$2
    shift 2
    cluster_port=$("$cluster_tests/testlib/free-port")
    mkdir -p "$cluster_state"
    "$cluster_tests/../deploy/samples/make-busybox" "$cluster_state/images" >/dev/null || return 1
    cluster_batond
    until_true 20 cluster_baton get --raw /readyz || { tail -n 20 "$cluster_state/batond.log" && return 1; }
    cluster_baton token create >"$cluster_state/token" || return 1
    cluster_agent "$@"
    cluster_baton wait node/n1 --for condition=Ready --timeout 30s >/dev/null || { tail -n 20 "$cluster_state/agent.log" && return 1; }
}

cluster_stop() {
    for cluster_one in $agent_pid $batond_pid; do
        kill -9 "$cluster_one" 2>/dev/null
        wait "$cluster_one" 2>/dev/null
    done
    [ -z "${cluster_state:-}" ] || "$cluster_build/baton-agent" --state "$cluster_state/agent" --clean
}
