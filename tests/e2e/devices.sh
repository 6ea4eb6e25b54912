#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A device of this machine from the operator's file to a container that opens it: counted, named, shared, waited for, given back.
# usage: devices.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/testlib/cluster.sh
. "$here/../testlib/cluster.sh"
[ "$(id -u)" = 0 ] || { skip "devices: needs root" && finish && exit 77; }
[ -c /dev/loop-control ] || { skip "devices: this machine has no /dev/loop-control" && finish && exit 77; }

work=$(mktemp -d /tmp/baton-devices.XXXXXX)
cleanup() {
    cluster_stop
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

cat >"$work/devices.json" <<J
{"nodeDevices": [{"resourceName": "linux.org/loop-control", "path": "/dev/loop-control"},
                 {"resourceName": "linux.org/fuse", "path": "/dev/fuse", "milli": true},
                 {"resourceName": "linux.org/zero", "path": "/dev/zer*", "shares": 3}]}
J
if ! cluster_start "$1" "$work/state" --devices "$work/devices.json"; then
    fail "the cluster starts"
    finish
    exit 1
fi
pod() { # NAME RESOURCE COMMAND [ENV]: its log says whether it could open the device
    cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  securityContext: {runAsUser: 1234}
  containers:
  - name: main
    image: oci:busybox:latest
    env: [${4:-}]
    command: [/bin/sh, -c, "$3; sleep 600"]
    resources: {limits: {cpu: 100m, memory: 16Mi$2}}
---
Y
}
opens() { pod "$1" "$2" "(: </dev/loop-control) 2>/dev/null && echo opened || echo closed"; }
{ opens has ', linux.org/loop-control: 1' && opens second ', linux.org/loop-control: 1' && opens without ''; } >"$work/pods.yaml"
cluster_baton apply -f "$work/pods.yaml" >/dev/null
node() { cluster_baton get node n1 -o json | tr -d ' \n'; }
counts() { node | grep -q '"linux.org/loop-control":"1","linux.org/zero":"3"'; }
check "the node counts what it gives away" counts
check "who asks gets it" cluster_baton wait pod/has --for jsonpath=status.phase=Running --timeout 30s
check "who does not runs, too" cluster_baton wait pod/without --for jsonpath=status.phase=Running --timeout 30s
opened() { cluster_baton logs has | grep -q opened; }
check "a user that is not root opens it" until_true 10 opened
closed() { cluster_baton logs without | grep -q closed; }
check "the other has no such device" until_true 10 closed
named() { cluster_baton get pod has -o json | tr -d ' \n' | grep -q '"allocatedResourcesStatus":\[{"name":"linux.org/loop-control","resources":\[{"resourceID":"/dev/loop-control"'; }
check "its status names it" until_true 10 named
check_says "baton why names it" "linux.org/loop-control /dev/loop-control" cluster_baton why pod/has
check_says "baton topo says who has it" "device linux.org/loop-control /dev/loop-control, pod/default/has" cluster_baton topo
short() { cluster_baton get pod second -o json | grep -q 'linux.org/loop-control: 1 wanted, 0 free'; }
check "the second one waits and says why" until_true 10 short

# The same by the thousandth: a quarter, a half, and what is left is too little for the third.
if [ -c /dev/fuse ]; then
    part() { # NAME THOUSANDTHS: its log says what it was told, too
        # shellcheck disable=SC2016 # Names for the agent and for the container's shell.
        pod "$1" ", linux.org/fuse-milli: $2" \
            '(: </dev/fuse) 2>/dev/null && echo opened $DEVICE_MILLI_LINUX_ORG_FUSE of 1000, $MPS %' \
            '{name: MPS, value: "$(DEVICE_PERCENT_LINUX_ORG_FUSE)"}'
    }
    { part quarter 250 && part half 500 && part third 333; } >"$work/parts.yaml"
    cluster_baton apply -f "$work/parts.yaml" >/dev/null
    counted() { node | grep -q '"linux.org/fuse":"1","linux.org/fuse-milli":"1k"'; }
    check "the node counts thousandths beside the device" counted
    opened_quarter() { cluster_baton logs quarter | grep -q 'opened 250 of 1000, 25 %'; }
    check "a quarter is opened, and told" until_true 30 opened_quarter
    opened_half() { cluster_baton logs half | grep -q 'opened 500 of 1000, 50 %'; }
    check "a half of the same beside it" until_true 30 opened_half
    third_waits() { cluster_baton get pod third -o json | grep -q 'linux.org/fuse (thousandths of one): 333 wanted, 250 free'; }
    check "the third waits and says why" until_true 10 third_waits
    check_says "baton why names the part" "linux.org/fuse-milli /dev/fuse, 250 of 1000" cluster_baton why pod/quarter
    shared() { cluster_baton topo | grep '^device linux.org/fuse /dev/fuse' | grep 'pod/default/half 500 of 1000' | grep -q 'pod/default/quarter 250 of 1000'; }
    check "baton topo says who has which" shared
    part planned 200 >"$work/planned.yaml"
    check_says "baton plan names the part" "/dev/fuse:200" cluster_baton plan "$work/planned.yaml"
    part wrong 1001 >"$work/wrong.yaml"
    refused() { cluster_baton apply -f "$work/wrong.yaml" 2>&1 | grep -q 'limits\[linux.org/fuse-milli\]: Invalid value: "1001": must be 1 to 1000'; }
    check "more than one device is refused with its path" refused
fi
kill -9 "$agent_pid"
wait "$agent_pid" 2>/dev/null
cluster_agent --devices "$work/devices.json"
check "the node is back after kill -9" cluster_baton wait node/n1 --for condition=Ready --timeout 30s
check "the second one waits still" short
cluster_curl DELETE "/api/v1/namespaces/default/pods/has" >/dev/null
check "and runs when the first is gone" cluster_baton wait pod/second --for jsonpath=status.phase=Running --timeout 30s

# An agent whose file is wrong says where, and does not start.
echo '{"nodeDevices": [{"resourceName": "zero", "path": "/dev/zero"}]}' >"$work/devices.json"
kill -9 "$agent_pid"
wait "$agent_pid" 2>/dev/null
cluster_agent --devices "$work/devices.json"
wait "$agent_pid"
check "a wrong file ends the agent" test $? = 1
told() { grep -q 'nodeDevices\[0\].resourceName: wants a name like vendor.com/name' "$work/state/agent.log"; }
check "and its log says what is wrong" told
finish
