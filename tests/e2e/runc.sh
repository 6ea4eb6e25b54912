#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pods through the whole agent with runc instead of crun: limits, an exclusive core, network, logs, an agent that is killed, deletion.
# usage: runc.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/testlib/cluster.sh
. "$here/../testlib/cluster.sh"
[ "$(id -u)" = 0 ] || { skip "pods by runc: needs root" && finish && exit 77; }
runc=$(command -v runc) || { skip "pods by runc: there is none" && finish && exit 77; }

work=$(mktemp -d /tmp/baton-runc.XXXXXX)
cleanup() {
    cluster_stop
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

if ! cluster_start "$1" "$work/state" --oci-runtime "$runc"; then
    fail "the cluster starts"
    finish
    exit 1
fi
# One with a core of its own, one in the pool beside it; each is found by a word in its command line.
cat >"$work/pods.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: alone}
spec:
  terminationGracePeriodSeconds: 2
  containers:
  - name: main
    image: oci:busybox:latest
    command: [/bin/sh, -c, "trap 'exit 0' TERM; echo alone; busybox httpd -p 8080 -h /etc; while :; do sleep 0.2; done; : $work"]
    resources: {requests: {cpu: "1", memory: 48Mi}, limits: {cpu: "1", memory: 48Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: shared}
spec:
  terminationGracePeriodSeconds: 2
  initContainers:
  - {name: first, image: "oci:busybox:latest", command: [/bin/sh, -c, "echo first >/data/first"], volumeMounts: [{name: data, mountPath: /data}]}
  containers:
  - name: main
    image: oci:busybox:latest
    command: [/bin/sh, -c, "trap 'exit 0' TERM; cat /data/first; while :; do sleep 0.2; done; : shared $work"]
    resources: {requests: {cpu: 100m}, limits: {cpu: 500m, memory: 32Mi}}
    volumeMounts: [{name: data, mountPath: /data}]
    readinessProbe: {exec: {command: [test, -e, /data/first]}, periodSeconds: 1}
  volumes: [{name: data, emptyDir: {}}]
Y
cluster_baton apply -f "$work/pods.yaml" >/dev/null
check "a pod with a core of its own runs" cluster_baton wait pod/alone --for jsonpath=status.phase=Running --timeout 30s
check "one after its init container, ready by its probe" cluster_baton wait pod/shared --for condition=Ready --timeout 30s
attached() {
    cluster_baton run oci:busybox:latest --name once -- sh -c "sleep 1; echo said; exit 7" >"$work/once" 2>/dev/null
    [ $? -eq 7 ] && [ "$(cat "$work/once")" = said ]
}
check "baton run: what the container wrote, and the status that it ended with" attached
by_runc() { find "$work/state/agent/run" -name state.json | grep -q .; } # crun's is called status.
check "it is runc that runs them" by_runc

# --- what the kernel says ---------------------------------------------------------------------------------------------
pid_of() { pgrep -f "^/bin/sh -c trap .*: $1$work\$" | head -n 1; }
alone=$(pid_of "") shared=$(pid_of "shared ")
cpus() { awk -F '\t' '/^Cpus_allowed_list/ {print $2}' "/proc/$1/status"; }
granted=$(cluster_baton get placement pods.alone -o json | tr -d ' \n' | grep -o '"exclusive":{[^}]*' | grep -o '"cpus":\[[^]]*' | grep -o '[0-9,]*$')
on_its_core() { [ -n "$granted" ] && [ "$(cpus "$alone")" = "$granted" ]; }
check "on the granted core ($granted)" on_its_core
elsewhere() { [ -n "$(cpus "$shared")" ] && [ "$(cpus "$shared")" != "$granted" ]; }
check "the other one is elsewhere" elsewhere
limit() {
    group=$(awk -F : '$2 == "memory" || $2 == "" {print $3; exit}' "/proc/$1/cgroup")
    cat "/sys/fs/cgroup/memory$group/memory.limit_in_bytes" 2>/dev/null || cat "/sys/fs/cgroup$group/memory.max"
}
check "with its limit of memory" test "$(limit "$alone")" = $((48 << 20))
check "and the other with its own" test "$(limit "$shared")" = $((32 << 20))
check "without new privileges" grep -q 'NoNewPrivs:.1' "/proc/$alone/status"
check "with a seccomp filter" grep -q 'Seccomp:.2' "/proc/$alone/status"
address=$(cluster_baton get pod alone -o json | grep -o '"podIP": *"[^"]*' | grep -o '[0-9.]*$')
check "reached at its address" until_true 10 curl -sf -m 5 -o /dev/null "http://$address:8080/passwd"
check_says "its log" alone cluster_baton logs alone
check_says "the other's log" first cluster_baton logs shared

# --- ends of all kinds ------------------------------------------------------------------------------------------------
kill -9 "$agent_pid"
wait "$agent_pid" 2>/dev/null
cluster_agent --oci-runtime "$runc"
check "the node is back after kill -9" cluster_baton wait node/n1 --for condition=Ready --timeout 30s
same() { [ -n "$alone" ] && [ "$(pid_of "")" = "$alone" ] && [ "$(pid_of "shared ")" = "$shared" ]; }
check "and the pods did not notice" same
kill -9 "$shared"
restarted() { cluster_baton get pod shared -o json | grep -q '"restartCount": *1' && [ -n "$(pid_of "shared ")" ]; }
check "a container that dies is started again" until_true 20 restarted
for one in alone shared; do cluster_curl DELETE "/api/v1/namespaces/default/pods/$one" >/dev/null; done
none() { ! cluster_baton get pods | grep -qE 'alone|shared'; }
check "both go" until_true 20 none
nothing() {
    ! grep -q "$work/state/agent/pods" /proc/self/mountinfo && [ -z "$(find "$work/state/agent/netns" "$work/state/agent/pods" -mindepth 1)" ] &&
        ! pgrep -f "$work/state/agent/run" >/dev/null && ! by_runc
}
check "nothing of them is left" until_true 10 nothing
finish
