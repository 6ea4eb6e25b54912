#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The thread, end to end: a fresh clone's deploy/up; a container and a virtual machine on cores that one scheduler gave them;
# every stock kubectl that is installed; control plane and agent killed under running workloads; deploy/down leaves nothing.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
source_dir=$(cd "$here/../.." && pwd)

[ "$(id -u)" = 0 ] || { skip "the thread: needs root" && finish && exit 77; }

port=$((11000 + $$ % 9000))
work=$(mktemp -d /tmp/baton-e2e.XXXXXX)
state=$work/state
second=$work/second
device=/dev/baton-test-$$
cleanup() {
    rm -f "$device"
    [ ! -d "$second" ] || "$source_dir/deploy/down" --state "$second" --purge >"$work/down2.log" 2>&1 || cat "$work/down2.log"
    "$source_dir/deploy/down" --state "$state" --purge >"$work/down.log" 2>&1 || cat "$work/down.log"
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

git clone -q "$source_dir" "$work/clone" 2>/dev/null || cp -r "$source_dir" "$work/clone"
if ! "$work/clone/deploy/up" --state "$state" --port "$port" >"$work/up.log" 2>&1; then
    tail -n 40 "$work/up.log"
    tail -n 20 "$state"/log/*.log 2>/dev/null
    fail "deploy/up"
    finish
    exit 1
fi
pass "deploy/up on a fresh clone"
check "deploy/up again changes nothing" "$work/clone/deploy/up" --state "$state" --port "$port"

export KUBECONFIG="$state/kubeconfig" HOME="$work"
baton=$state/bin/baton
newest=$(kubectls | tail -n 1)
if [ -z "$newest" ]; then
    skip "kubectl is not installed; only the command line of our own is used"
    finish
    exit $?
fi
k() { "$newest" "$@"; }
field() { k get "$1" -o "jsonpath=$2"; }

# --- cores: what the kernel says, not what we say -------------------------------------------------------------------
qemu_pid=$(cat "$state"/agent/run/*/qemu.pid 2>/dev/null | head -n 1)
vmi_cpus=$(k get placement virtualmachineinstances.hello -o 'jsonpath={.spec.exclusive.cpus}' | tr -d '[]')
pod_pid=$(pgrep -f 'hello from a container' | head -n 1)

threads_on() { for t in /proc/"$1"/task/*/status; do awk -F '\t' '/^Name|^Cpus_allowed_list/ {printf "%s|", $2} END {print ""}' "$t"; done; }
vcpus_are_exclusive() {
    [ -n "$qemu_pid" ] && [ -n "$vmi_cpus" ] && threads_on "$qemu_pid" | grep -q "^CPU 0/.*|$vmi_cpus|$"
}
pod_is_elsewhere() {
    [ -n "$pod_pid" ] && ! threads_on "$pod_pid" | grep -q "|$vmi_cpus|$"
}
check "QEMU's vCPU thread runs on the granted thread ($vmi_cpus)" vcpus_are_exclusive
check "the shared pod's threads are all elsewhere" pod_is_elsewhere
guest_is_up() { "$baton" logs vmi/hello | grep -q "baton guest"; }
check "the VMI's guest reached user space" until_true 90 guest_is_up
check_says "the pod's output" "hello from a container" "$baton" logs pod/hello

# --- one core for two who want it ----------------------------------------------------------------------------------
cat >"$work/one.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: one}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: oci:busybox:latest
    command: ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"]
    resources: {requests: {cpu: "1", memory: 32Mi}, limits: {cpu: "1", memory: 32Mi}}
Y
check "create a Guaranteed pod of one CPU" k create -f "$work/one.yaml"
check_says "it waits, with the reason" "0 of 1 nodes fit: exclusive cores: 1 wanted, 0 free" \
    k get pod one -o 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}'
check_says "baton why says the same" "exclusive cores: 1 wanted, 0 free" "$baton" why pod/one
check_says "and so does its Event" "FailedScheduling" k describe pod one
for way in refused talk killed taken cut; do check "baton console: $way" "$here/console.py" "$way" "$baton" hello; done
check "delete the VMI under an open console" \
    "$here/console.py" gone "$baton" hello "$newest" delete vmi hello --wait=true --timeout=60s
check "the pod runs now" k wait pod/one --for=jsonpath='{.status.phase}'=Running --timeout=30s
one_cpus=$(k get placement pods.one -o 'jsonpath={.spec.exclusive.cpus}' | tr -d '[]')
check "on exactly that core" test "$one_cpus" = "$vmi_cpus"

# --- kill -9 under running workloads -------------------------------------------------------------------------------
one_pid=$(pgrep -f "trap 'exit 0' TERM" | head -n 1)
program_pid() { pgrep -f "^$state/bin/$1 " | head -n 1; }
for program in baton-agent batond; do
    old=$(program_pid "$program")
    kill -9 "$old"
    restarted() { new=$(program_pid "$program") && [ -n "$new" ] && [ "$new" != "$old" ]; }
    check "$program is started again after kill -9" until_true 30 restarted
    check "the workload did not notice ($program)" kill -0 "$one_pid"
    check "the API answers again ($program)" until_true 30 k get --raw /readyz
done
check "the pod is still Running and Ready" k wait pod/one --for=condition=Ready --timeout=30s
same_pid() { [ "$(pgrep -f "trap 'exit 0' TERM" | head -n 1)" = "$one_pid" ]; }
check "in the same process" same_pid
kill -9 "$one_pid"
restarts() { [ "$(field pod/one '{.status.containerStatuses[0].restartCount}')" -ge 1 ]; }
check "a death is noticed and the container restarted" until_true 20 restarts
check "delete it" k delete pod one --timeout=30s

# --- probes and hooks ----------------------------------------------------------------------------------------------
cat >"$work/probed.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: probed}
spec:
  terminationGracePeriodSeconds: 5
  volumes: [{name: shared, hostPath: {path: WORK/probed, type: DirectoryOrCreate}}]
  containers:
  - name: main
    image: oci:busybox:latest
    command: ["/bin/sh", "-c", "trap 'exit 0' TERM; busybox httpd -p PORT -h /shared; while :; do sleep 0.2; done"]
    ports: [{name: http, containerPort: PORT}]
    volumeMounts: [{name: shared, mountPath: /shared}]
    startupProbe: {exec: {command: [test, -e, /shared/posted]}, periodSeconds: 1, failureThreshold: 30}
    readinessProbe: {httpGet: {port: http, path: /ready}, periodSeconds: 1, failureThreshold: 1}
    livenessProbe: {tcpSocket: {port: PORT}, periodSeconds: 1, failureThreshold: 2}
    lifecycle:
      postStart: {exec: {command: [touch, /shared/posted]}}
      preStop: {exec: {command: [/bin/sh, -c, "echo bye >/shared/stopped"]}}
Y
sed -i "s#WORK#$work#; s#PORT#$port#g" "$work/probed.yaml"
check "create a pod with probes and hooks" k create -f "$work/probed.yaml"
started() { [ "$(field pod/probed '{.status.containerStatuses[0].started}')" = true ]; }
ready_is() { [ "$(field pod/probed '{.status.conditions[?(@.type=="Ready")].status}')" = "$1" ]; }
check "it has started once its hook and startup probe say so" until_true 20 started
check "the postStart hook ran inside" test -e "$work/probed/posted"
check "it is not ready: the page is not there" ready_is False
why_unready() { k describe pod probed | grep -q "Readiness probe failed: HTTP probe failed with statuscode: 404"; }
check "and an Event says why" until_true 10 why_unready
echo ok >"$work/probed/ready"
check "with the page it is ready" until_true 10 ready_is True
rm "$work/probed/ready"
check "and without it again not" until_true 10 ready_is False
for p in $(pgrep -f "^busybox httpd -p $port -h /shared\$"); do kill -9 "$p"; done
probed_again() { [ "$(field pod/probed '{.status.containerStatuses[0].restartCount}')" = 1 ]; }
check "nobody listens any more: the liveness probe has it restarted" until_true 20 probed_again
check "by way of its preStop hook" grep -q bye "$work/probed/stopped"
check "delete it" k delete pod probed --timeout=30s

# --- every stock kubectl ----------------------------------------------------------------------------------------------
for kubectl in $(kubectls); do
    version=${kubectl##*kubectl}
    version=${version#.}
    name=e2e-$(printf '%s' "$version" | tr . -)
    k() { "$kubectl" "$@"; }
    sed "s/name: one}/name: $name, labels: {v: \"$version\"}}/; s/cpu: \"1\"/cpu: 50m/g" "$work/one.yaml" >"$work/v.yaml"
    check "kubectl $version create" k create -f "$work/v.yaml"
    check "kubectl $version wait" k wait "pod/$name" --for=condition=Ready --timeout=30s
    check_says "kubectl $version get -o wide" "Running" k get pod "$name" -o wide
    check_says "kubectl $version get -o yaml" "nodeName:" k get pod "$name" -o yaml
    check_says "kubectl $version get -o json" '"podIP":' k get pod "$name" -o json
    check_says "kubectl $version describe" "Container ID" k describe pod "$name"
    check_says "kubectl $version describe: what happened" "Started container main" \
        k describe pod "$name"
    check_says "kubectl $version get events" "Scheduled" k get events --field-selector "involvedObject.name=$name"
    check_says "kubectl $version patch" "patched" k patch pod "$name" -p '{"metadata":{"annotations":{"a":"b"}}}'
    check_says "kubectl $version label" "labeled" k label pod "$name" more=yes
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {a: b}\n' "$name" >"$work/cm.yaml"
    check_says "kubectl $version apply" "created" k apply -f "$work/cm.yaml"
    check_says "kubectl $version apply again" "unchanged" k apply -f "$work/cm.yaml"
    sed -i 's/a: b/a: c/' "$work/cm.yaml"
    check_says "kubectl $version apply a change" "configured" k apply -f "$work/cm.yaml"
    check_says "kubectl $version watch" "$name" timeout 3 "$kubectl" get pods --watch
    check "kubectl $version logs" k logs "$name"
    check_says "kubectl $version names a misspelt field" "unknown field" \
        k create --dry-run=server -f - <<'Y'
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "dta": {}}
Y
    check "kubectl $version delete" k delete pod,configmap "$name" --timeout=30s
done

# --- another cluster on the same machine --------------------------------------------------------------------------------
k1() { "$newest" "$@"; }
k2() { "$newest" --kubeconfig "$second/kubeconfig" "$@"; }
mkdir -p "$second" && cp -r "$state/images" "$second/images"
devices() { # RULES of nodeDevices
    printf '{"nodeDevices": [%s]}\n' "$1" >"$work/devices.json"
}
# shellcheck disable=SC2120 # By check.
up2() { "$work/clone/deploy/up" --state "$second" --port $((port + 1)) --no-samples "$@"; }
mknod "$device" c 1 7 # As /dev/full: whoever writes to it is told that there is no space.
devices '{"resourceName": "test.dev/full", "path": "'"$device"'", "milli": true}'
check "deploy/up of a second cluster, which gives a device away" up2 --devices "$work/devices.json"
cat >"$work/web.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  hostname: HOST
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: "oci:busybox:latest", command: ["/bin/busybox", httpd, -f, -p, "8080", -h, /etc]}
Y
sed 's/HOST/first/' "$work/web.yaml" | k1 create -f - >/dev/null
sed 's/HOST/second/' "$work/web.yaml" | k2 create -f - >/dev/null
check "a pod in the first" k1 wait pod/web --for=condition=Ready --timeout=30s
check "a pod of the same name in the second" k2 wait pod/web --for=condition=Ready --timeout=30s
address() { "$1" get pod web -o 'jsonpath={.status.podIP}'; }
page() { curl -sS --max-time 5 "http://$(address "$1"):8080/hostname"; }
check_says "the first one's answers" "first" page k1
check_says "the second one answers, from a network of its own" "second" page k2
contexts_differ() { [ "$(k1 config current-context)" != "$(k2 config current-context)" ]; }
check "their kubeconfigs have contexts of different names" contexts_differ

# --- its devices: given away, given to a pod, gone, and other ones ------------------------------------------------------
counts() { k2 get node -o 'jsonpath={.items[0].status.capacity}' | grep -q "$1"; }
check "its node counts the device" until_true 20 counts '"test.dev/full":"1","test.dev/full-milli":"1k"'
cat >"$work/full.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: full}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: oci:busybox:latest
    command: [/bin/sh, -c, "exec 2>&1; echo x >$device; echo \$DEVICE_PERCENT_TEST_DEV_FULL %; sleep 600"]
    resources: {limits: {cpu: 10m, memory: 16Mi, test.dev/full-milli: 125}}
Y
k2 create -f "$work/full.yaml" >/dev/null
full() { k2 logs full | tr '\n' ' ' | grep -q 'No space left on device 12.5 %'; }
check "a pod with a part of it writes to it, and knows its share" until_true 30 full
doctor2() { "$second/bin/baton" --kubeconfig "$second/kubeconfig" doctor >"$work/doctor2"; }
doctor2
check_says "baton doctor finds it as it was" "1 of $work/devices.json, as at the agent's start" cat "$work/doctor2"
rm "$device"
gone() { ! doctor2; }
check "baton doctor fails when it is gone" gone
check_says "and says so" "$device (test.dev/full) is gone, and the cluster still gives it away" cat "$work/doctor2"
mknod "$device" c 1 7
agent2=$(cat "$second/run/agent.pid" 2>/dev/null)
check "deploy/up again, the file being the same" up2
same() { [ "$agent2" = "$(cat "$second/run/agent.pid" 2>/dev/null)" ]; }
check "leaves the agent alone" same
devices '{"resourceName": "test.dev/full", "path": "'"$device"'"}, {"resourceName": "test.dev/null", "path": "/dev/null", "shares": 5}'
check "deploy/up again, its content having changed" up2
check "the node counts what it says now" until_true 20 counts '"test.dev/full":"1","test.dev/null":"5"'
devices '{"resourceName": "test.dev/full", "path": "full"}'
# shellcheck disable=SC2119
wrong() { ! up2 >"$work/wrong" 2>&1 && grep -q 'nodeDevices\[0\].path: wants a path below /dev/' "$work/wrong"; }
check "deploy/up with a file that is wrong fails and says where" wrong
check "deploy/up --devices none" up2 --devices none
none() { ! k2 get node -o 'jsonpath={.items[0].status.capacity}' | grep -q test.dev; }
check "the node has none any more" until_true 20 none

check "deploy/down --purge of the second" "$work/clone/deploy/down" --state "$second" --purge
check_says "the first one's still answers" "first" page k1
check "delete it" k1 delete pod web --timeout=30s

# --- nothing left --------------------------------------------------------------------------------------------------------
# What carries the cluster's digits, its bridge, or lies below its folder; other clusters on this machine are not ours.
cluster=$(cat "$state/control/cluster")
table=$(nft list tables | awk -v id="$cluster" '$2 == "ip" && index($3, id) {print $3}')
bridge=$(nft list table ip "$table" | grep -o 'bt[0-9a-f]\{8\}' | head -n 1)
check "it has a bridge ($bridge) and a table ($table)" test -n "$bridge" -a -n "$table"
check "deploy/down --purge" "$work/clone/deploy/down" --state "$state" --purge
left_over() {
    find /sys/fs/cgroup -maxdepth 2 -type d -name "*$cluster*"
    nft list tables | grep "$cluster"
    ip -o link | grep "$bridge"
    grep "$state" /proc/self/mounts
    pgrep -af "$state/"
    ls -d "$state" 2>/dev/null
}
nothing_left() { [ -z "$(left_over | tee /dev/stderr)" ]; }
check "nothing of it is left on the host" nothing_left
finish
