#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a node is: the address its operator chose; a certificate that is good for seconds, renewed while a pod runs and does
# not notice, ended, told, joined again.
# usage: node.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/testlib/cluster.sh
. "$here/../testlib/cluster.sh"
[ "$(id -u)" = 0 ] || { skip "a node: needs root" && finish && exit 77; }

work=$(mktemp -d /tmp/baton-node.XXXXXX)
follower=
cleanup() {
    [ -z "$follower" ] || kill "$follower" 2>/dev/null
    cluster_stop
        rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

batond_options="--node-certificate 8" # Asked for after 5.3 to 6 s.
if ! cluster_start "$1" "$work/state" --address lo; then
    fail "the cluster starts"
    finish
    exit 1
fi
addresses() { cluster_baton get node n1 -o json | grep -B 1 -A 1 '"InternalIP"' | grep -o '[0-9.]*[0-9]' | tr '\n' ' '; }
check "the address is the one that was named" test "$(addresses)" = "127.0.0.1 "
check_says "the node tells its runtime" '"containerRuntimeVersion": "crun://1.' cluster_baton get node n1 -o json
check_says "and the version of the API, as Kubernetes' own do" '"kubeletVersion": "v1.33.0+baton-' cluster_baton get node n1 -o json
check_says "one that is not on the machine is refused, with those that are" \
    "--address 192.0.2.77: no interface that is up has it; there are lo 127.0.0.1" \
    "$1/baton-agent" --state "$work/other" --server 127.0.0.1:1 --address 192.0.2.77
cat >"$work/pod.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: keep}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: "oci:busybox:latest", command: [/bin/sh, -c, "echo begun; exec sleep 3600"]}
Y
cluster_baton apply -f "$work/pod.yaml" >/dev/null
check "a pod runs" cluster_baton wait pod/keep --for jsonpath=status.phase=Running --timeout 30s
life() { cluster_baton get pod keep -o json | grep -E '"(containerID|startedAt|restartCount|phase)"'; }
ready_since() { cluster_baton get node n1 -o json | grep -B 6 -A 6 '"KubeletReady"\|"Ready"' | grep lastTransitionTime; }
pki=$work/state/agent/pki
renewed() { grep -c ev=certificate.renewed "$work/state/agent.log"; }
so_far=$(renewed)
before=$(life) since=$(ready_since) key=$(sha256sum <"$pki/node.key") cert=$(sha256sum <"$pki/node.crt")
cluster_baton logs keep -f >"$work/followed" 2>&1 &
follower=$!

renewals() { [ "$(renewed)" -ge "$((so_far + $1))" ]; }
check "it is renewed before it ends" until_true 8 renewals 1
another_cert() { [ "$(sha256sum <"$pki/node.crt")" != "$cert" ]; }
check "the new one is on the disk" another_cert
check "the key is the one its name is bound to" test "$(sha256sum <"$pki/node.key")" = "$key"
check "nobody else may read them" test "$(stat -c %a "$pki/node.crt" "$pki/node.key" | sort -u)" = 600
check "and again" until_true 10 renewals 2
opened() { grep -c ev=session.opened "$work/state/agent.log"; }
reopened() { [ "$(opened)" -gt "$(renewed)" ]; }
check "each time the session shows it" until_true 5 reopened
same_life() { [ -n "$before" ] && [ "$(life)" = "$before" ]; }
check "the pod did not notice" same_life
same_ready() { [ "$(ready_since)" = "$since" ]; }
check "nor did the node" same_ready
check_says "logs go on" begun cluster_baton logs keep
check "a log that was followed was ended, not left hanging" until_true 5 process_over "$follower"

kill -9 "$batond_pid"
wait "$batond_pid" 2>/dev/null
told() { grep -q "ev=agent.needs.*certificate of this node ended.*baton token create" "$work/state/agent.log"; }
check "with nobody to ask it ends, and the agent says so" until_true 15 told
batond_options=
cluster_batond
check "the control plane comes back" until_true 20 cluster_baton get --raw /readyz
refused() { grep -q "ev=session.closed.*certificate" "$work/state/agent.log"; }
check "the agent is refused for its certificate" until_true 15 refused
kill "$agent_pid"
wait "$agent_pid" 2>/dev/null
cluster_agent
given_up() { grep -q "ev=agent.failed.*certificate ended at.*baton token create" "$work/state/agent.log"; }
check "an agent with a used token says what it needs" until_true 10 given_up
wait "$agent_pid" 2>/dev/null
cluster_baton token create >"$work/state/token"
prlimit --nofile=512: --pid $$ # Of the shell, as an agent finds it that nobody's unit has begun.
cluster_agent
joined() { cluster_baton wait node/n1 --for condition=Ready --timeout 1s; }
check "with a new one it joins again under its name" until_true 20 joined
check "the pod still did not notice" until_true 5 same_life
# shellcheck disable=SC2016 # awk's own.
check "the agent may open as many files as the system lets it" \
    awk '/^Max open files/ { exit !($4 == $5 && $4 > 512) }' "/proc/$agent_pid/limits"
finish
