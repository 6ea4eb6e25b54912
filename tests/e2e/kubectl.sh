#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a user of a stock kubectl sees of priorities, gangs, preemption, and of fields that nobody carries out. Nothing runs:
# the agent's runtime is the fake one.
# usage: kubectl.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/e2e/fake.sh
. "$here/fake.sh"

kubectl=$(kubectls | tail -n 1)
[ -n "$kubectl" ] || { skip "there is no kubectl on this machine" && finish && exit 77; }
trap fake_down EXIT
trap 'exit 1' INT TERM
# Four cores; one stays in the pool, so three may be exclusive.
fake_up "$1" "numa:1(memory=4GB) core:4 pu:1" || { fail "a cluster of one fake node" && finish && exit 1; }
k() { "$kubectl" "$@"; }
phase() { k get pod "$1" -o 'jsonpath={.status.phase}'; }
# pod NAME CPUS [LINE OF SPEC]
pod() {
    cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $1${LABELS:+, labels: $LABELS}}
spec:
  terminationGracePeriodSeconds: 0
  ${3:-restartPolicy: Always}
  containers:
  - {name: main, image: "oci:x:latest", resources: {limits: {cpu: "$2", memory: 16Mi}}}
Y
}

# --- what is stored and not carried out ------------------------------------------------------------------------------
pod odd 100m 'hostPID: true' | k create -f - >"$work/odd" 2>&1
check_says "kubectl prints a warning with the field's path" \
    "Warning: spec.hostPID: stored, but not carried out yet" cat "$work/odd"
check_says "and creates the pod" "pod/odd created" cat "$work/odd"
check "it runs" k wait pod/odd --for=jsonpath='{.status.phase}'=Running --timeout=20s
check_says "its condition says the same" "stored, but not carried out yet: spec.hostPID" \
    k get pod odd -o 'jsonpath={.status.conditions[?(@.type=="baton.dev/NotHonoured")].message}'
check_says "kubectl describe shows it" "baton.dev/NotHonoured" k describe pod odd
pod plain 100m | k create -f - >"$work/plain" 2>&1
check "a pod that is carried out is created without a word" sh -c "! grep -q Warning '$work/plain'"
check_says "a label on it is no reason to warn again" "pod/odd labeled" k label pod odd a=b
quiet() { ! k label pod odd "$1" 2>&1 | grep -q Warning; }
check "(no warning)" quiet c=d
machine() {
    cat <<'Y'
apiVersion: kubevirt.io/v1
kind: VirtualMachineInstance
metadata: {name: m}
spec:
  readinessProbe: {tcpSocket: {port: 1}}
  domain: {memory: {guest: 64Mi}, devices: {}}
Y
}
machine >"$work/machine.yaml"
check_says "a machine is refused with the field's path" "spec.readinessProbe: Forbidden: Baton does not support this yet" \
    k create -f "$work/machine.yaml"
check "delete both" k delete pod odd plain --timeout=20s

# --- priorities --------------------------------------------------------------------------------------------------------
cat >"$work/classes.yaml" <<'Y'
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: batch}
value: 10
preemptionPolicy: Never
description: waits for room
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: urgent}
value: 1000
Y
check "create two priority classes" k create -f "$work/classes.yaml"
check_says "kubectl get priorityclasses" "1000" k get priorityclasses urgent --no-headers
check_says "the system's two are there" "2000000000" k get pc system-cluster-critical --no-headers
check_says "their value cannot be changed" "may not be changed in an update" \
    k patch pc urgent -p '{"value": 5}'
pod low 3 'priorityClassName: batch' | k create -f - >/dev/null
check "a pod of the lower class takes every core" k wait pod/low --for=jsonpath='{.status.phase}'=Running --timeout=20s
check_says "its priority is its class's" "10 Never" k get pod low -o 'jsonpath={.spec.priority} {.spec.preemptionPolicy}'
check_says "a class that is not there is refused" "no PriorityClass with name none was found" \
    sh -c "sed 's/batch/none/' <<Y | '$kubectl' create -f -
$(pod other 1 'priorityClassName: batch')
Y"

# --- preemption --------------------------------------------------------------------------------------------------------
pod patient 1 'priorityClassName: batch' | k create -f - >/dev/null
check_says "one of the same class waits" "exclusive cores: 1 wanted, 0 free" \
    k get pod patient -o 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}'
pod vip 2 'priorityClassName: urgent' | k create -f - >/dev/null
check "one of a higher class gets its cores" k wait pod/vip --for=jsonpath='{.status.phase}'=Running --timeout=20s
preempted() { k get events --field-selector involvedObject.name=low | grep -q Preempted || ! k get pod low; }
check "whoever held them was pushed out" until_true 10 preempted
check "the patient one follows on the core that is left" \
    k wait pod/patient --for=jsonpath='{.status.phase}'=Running --timeout=20s
check "delete them" k delete pod --all --timeout=20s

# --- plans, and how much a namespace may hold ------------------------------------------------------------------------
pod planned 2 >"$work/planned.yaml"
pod planned-too 2 >>"$work/planned.yaml"
check_says "baton plan says what fits" "1 of 2 workloads fit" baton plan "$work/planned.yaml"
check_says "on which node and cores" "pod/default/planned      Fits        -     one   1,2" baton plan "$work/planned.yaml"
check_says "and what does not, and why" \
    "pod/default/planned-too: 0 of 1 nodes fit: exclusive cores: 2 wanted, 1 free" baton plan "$work/planned.yaml"
fits() { baton plan "$1" >/dev/null; }
check "its exit status says so, too" sh -c "! '$1/baton' plan '$work/planned.yaml' >/dev/null"
pod planned 2 >"$work/planned.yaml"
check "and is 0 when all fits" fits "$work/planned.yaml"
check_says "a manifest is checked with its path" "spec.workloads[0].pod.spec.containers[0].resources.limits[cpu]" \
    sh -c "sed 's/cpu: \"2\"/cpu: \"-2\"/' '$work/planned.yaml' | '$1/baton' plan -"
check "create it" k create -f "$work/planned.yaml"
check "it runs" k wait pod/planned --for=jsonpath='{.status.phase}'=Running --timeout=20s
check_says "what a drain would do" "0 of 1 workloads fit" baton plan --drain one
check_says "a node that is not there" "spec.drain: Not found" baton plan --drain none
check "create a quota" k create quota small --hard=pods=1,requests.cpu=4
quota_described() { k describe quota small | grep -q 'pods *1 *1'; }
check "kubectl describe quota shows what is held" until_true 10 quota_described
check_says "one pod more is refused in Kubernetes' words" \
    'exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1' \
    sh -c "sed 's/planned/more/' '$work/planned.yaml' | '$kubectl' create -f -"
check_says "a plan asks the quota, too" 'exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1' \
    sh -c "sed 's/planned/more/' '$work/planned.yaml' | '$1/baton' plan -"
check "delete both" k delete pod/planned quota/small --timeout=20s
check "create a quota with a scope" k create quota poor --hard=pods=0 --scopes=BestEffort
check_says "who is counted is refused" 'exceeded quota: poor' k run best --image=example/x:latest
pod planned 2 | k create -f - >/dev/null
check "and nobody else" k wait pod/planned --for=jsonpath='{.status.phase}'=Running --timeout=20s
scope_described() { k describe quota poor | grep -q 'BestEffort'; }
check "kubectl describe quota shows the scope" scope_described
check_says "scopes that contradict each other are refused" "conflicting scopes" \
    k create quota odd --hard=pods=1 --scopes=Terminating,NotTerminating
check "delete both" k delete pod/planned quota/poor --timeout=20s
# --- limit ranges ------------------------------------------------------------------------------------------------------
k create -f - >/dev/null <<'Y'
apiVersion: v1
kind: LimitRange
metadata: {name: usual}
spec:
  limits:
  - {type: Container, default: {cpu: 200m, memory: 32Mi}, defaultRequest: {cpu: 100m}, max: {cpu: "2"}}
  - {type: Pod, max: {memory: 64Mi}}
Y
limits_described() { k describe limits usual | tr -s ' ' | grep -q "Container cpu - 2 100m 200m -"; }
check "kubectl describe limits" limits_described
check "a pod that says nothing" k run plain --image=example/x:latest
check_says "gets the namespace's amounts" '{"limits":{"cpu":"200m","memory":"32Mi"},"requests":{"cpu":"100m","memory":"32Mi"}}' \
    k get pod plain -o 'jsonpath={.spec.containers[0].resources}'
check_says "one that asks for too much is refused in Kubernetes' words" \
    'pods "big" is forbidden: [maximum cpu usage per Container is 2, but limit is 3, maximum cpu usage per Container is 2, but request is 3]' \
    sh -c "sed 's/planned/big/; s/cpu: \"2\"/cpu: \"3\"/' '$work/planned.yaml' | '$kubectl' create -f -"
check_says "a plan says so, too" 'maximum cpu usage per Container is 2, but limit is 3' \
    sh -c "sed 's/planned/big/; s/cpu: \"2\"/cpu: \"3\"/' '$work/planned.yaml' | '$1/baton' plan -"
check "delete both" k delete pod/plain limits/usual --timeout=20s

# --- disruption budgets and drain ------------------------------------------------------------------------------------
LABELS='{app: db}'
for n in 1 2; do pod "db-$n" 100m | k create -f - >/dev/null; done
LABELS=
check "two pods of one application run" k wait pod -l app=db --for=condition=Ready --timeout=20s
check "create a disruption budget" k create pdb db --selector=app=db --min-available=1
allowed() { [ "$(k get pdb db -o 'jsonpath={.status.disruptionsAllowed}/{.status.currentHealthy}/{.status.expectedPods}')" = "$1" ]; }
check "one of them may go" until_true 10 allowed 1/2/2
check_says "kubectl get pdb" "db 1 N/A 1" sh -c "'$kubectl' get pdb db --no-headers | tr -s ' '"
check_says "kubectl describe pdb" "Allowed disruptions:  1" k describe pdb db
check_says "an amount that is none is refused with its path" "spec.minAvailable: Invalid value: \"101%\": must not be greater than 100%" \
    k create pdb odd --selector=app=db --min-available=101%
eviction() { printf '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"%s","namespace":"default"},"deleteOptions":{%s}}' "$1" "${2:-}"; }
evict() { eviction "$@" | k create --raw "/api/v1/namespaces/default/pods/$1/eviction" -f -; }
check_says "an eviction that is only asked" '"code":201' evict db-1 '"dryRun":["All"]'
check "deletes nothing" k get pod db-1
k drain one --force --timeout=8s >"$work/drain" 2>&1
check_says "kubectl drain evicts one" "evicted" cat "$work/drain"
check_says "and is told about the other" "Cannot evict pod as it would violate the pod's disruption budget" cat "$work/drain"
left() { [ "$(k get pods -l app=db -o name | grep -c .)" = "$1" ]; }
check "which stays" left 1
check_says "the refusal names the budget" "The disruption budget db needs 1 healthy pods and has 1 currently" \
    sh -c "'$kubectl' get pods -l app=db -o name | sed 's,pod/,,' | { read -r p; '$kubectl' create --raw \"/api/v1/namespaces/default/pods/\$p/eviction\" -v 8 -f - <<J 2>&1
{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":\"\$p\"}}
J
}"
check "without the budget" k delete pdb db
check "the drain goes through" k drain one --force --timeout=20s
check "and the node is empty" left 0
check "uncordon" k uncordon one

# --- gangs -------------------------------------------------------------------------------------------------------------
cat >"$work/group.yaml" <<'Y'
apiVersion: scheduling.x-k8s.io/v1alpha1
kind: PodGroup
metadata: {name: ring}
spec: {minMember: 3}
Y
check "create a group of three" k create -f "$work/group.yaml"
check_says "kubectl get podgroups" "ring" k get podgroups --no-headers
LABELS='{scheduling.x-k8s.io/pod-group: ring}'
for n in 1 2; do pod "ring-$n" 1 | k create -f - >/dev/null; done
both_wait() { [ "$(phase ring-1)$(phase ring-2)" = PendingPending ]; }
check "two of three wait, though there is room for them" both_wait
check_says "and say for what" "pod group ring: 2 of 3 members are there" k get pod ring-1 -o 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}'
pod ring-3 1 | k create -f - >/dev/null
check "the third brings all of them to run" k wait pod -l scheduling.x-k8s.io/pod-group=ring \
    --for=jsonpath='{.status.phase}'=Running --timeout=20s
cores() { k get placements -o 'jsonpath={.items[*].spec.exclusive.cpus}' | tr -d '[]' | tr -s ' ,' '\n' | sort -u | grep -c .; }
three_cores() { [ "$(cores)" = 3 ]; }
check "on three cores" three_cores
cat >"$work/urgent-group.yaml" <<'Y'
apiVersion: scheduling.x-k8s.io/v1alpha1
kind: PodGroup
metadata: {name: urgent-ring}
spec: {minMember: 2}
Y
LABELS='{scheduling.x-k8s.io/pod-group: urgent-ring}'
for n in 1 2; do pod "urgent-$n" 1 'priorityClassName: urgent'; done >"$work/urgent.yaml"
check_says "baton plan answers a group as one" "2 of them by driving away 2 of lower priority" baton plan "$work/urgent.yaml"
check "create a group of a higher class" k create -f "$work/urgent-group.yaml" -f "$work/urgent.yaml"
check "others leave for all of it" k wait pod -l scheduling.x-k8s.io/pod-group=urgent-ring \
    --for=jsonpath='{.status.phase}'=Running --timeout=20s
told() { k get events -o 'jsonpath={.items[*].message}' | grep -q 'Preempted by pod group default/urgent-ring'; }
check "and are told for whom" until_true 10 told
finish
