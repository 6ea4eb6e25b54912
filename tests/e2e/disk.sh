#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pods that write more than they may, and one that writes without end, on a small disk of the test's own: each is evicted with
# Kubernetes' words, and the honest one beside them lives.
# usage: disk.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/testlib/cluster.sh
. "$here/../testlib/cluster.sh"
[ "$(id -u)" = 0 ] || { skip "limits of disk: needs root" && finish && exit 77; }

work=$(mktemp -d /tmp/baton-disk.XXXXXX)
cleanup() {
    cluster_stop
    umount -l "$work/after" 2>/dev/null
    umount -l "$work/state/agent" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

mkdir -p "$work/state/agent"
truncate -s 1G "$work/disk"
{ mkfs.ext4 -q -m 0 "$work/disk" && mount -o loop "$work/disk" "$work/state/agent"; } >/dev/null 2>&1 ||
    mount -t tmpfs -o size=1G disk "$work/state/agent" || { skip "limits of disk: nothing can be mounted here" && finish && exit 77; }
if ! cluster_start "$1" "$work/state"; then
    fail "the cluster starts"
    finish
    exit 1
fi

# pod NAME SCRIPT [RESOURCES [VOLUMES]]: one container "main"; a volume "data" is at /data.
pod() {
    cat >"$work/$1.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  restartPolicy: Always
  terminationGracePeriodSeconds: 30
  volumes: [{name: data, emptyDir: ${4:-{\}}}]
  containers:
  - {name: main, image: "oci:busybox", command: [/bin/sh, -c, "$2"], resources: ${3:-{\}}, volumeMounts: [{name: data, mountPath: /data}]}
Y
    cluster_baton apply -f "$work/$1.yaml" >/dev/null
}
# field TYPE/NAME EXPRESSION: of the object o, in Python; "" where there is none.
field() {
    cluster_baton get "$1" -o json | python3 -c '
import json, sys
o = json.load(sys.stdin)
try: print(eval(sys.argv[1]))
except (KeyError, IndexError): print("")' "$2"
}
is() { [ "$(field "$1" "$2")" = "$3" ]; }
phase='o["status"]["phase"]'
# evicted NAME MESSAGE [SECONDS]
evicted() {
    until_true "${3:-30}" is "pod/$1" "$phase" Failed
    check "$1 is evicted" is "pod/$1" 'o["status"]["reason"]' Evicted
    check_says "$1: why" "$2" field "pod/$1" 'o["status"]["message"]'
}
condition() { is node/n1 '[c["status"] for c in o["status"]["conditions"] if c["type"] == "DiskPressure"][0]' "$1"; }
taint='[t["effect"] for t in o["spec"]["taints"] if t["key"] == "node.kubernetes.io/disk-pressure"][0]'

limit() { printf '{limits: {ephemeral-storage: %s}}' "$1"; }
bytes() { is node/n1 "int(o[\"status\"][\"$1\"][\"ephemeral-storage\"].replace(\"Ki\", \"\")) << 10" "$2"; }
size=$(($(stat -f -c '%S * %b' "$work/state/agent")))
check "the node tells the size of its disk" bytes capacity "$size"
check "a tenth of it cannot be promised" bytes allocatable "$((size - size / 10))"

# --- limits of their own ---------------------------------------------------------------------------------------------
pod honest 'dd if=/dev/zero of=/tmp/a bs=1M count=8; while :; do date >/tmp/b; sleep 1; done' "$(limit 32Mi)"
pod root 'dd if=/dev/zero of=/tmp/a bs=1M count=48; sleep 1000' "$(limit 32Mi)"
pod volume 'dd if=/dev/zero of=/data/a bs=1M count=24; sleep 1000' '{}' '{sizeLimit: 16Mi}'
pod hidden 'mkdir -p /data/a/b/c && ln -s / /data/a/root && dd if=/dev/zero of=/data/a/b/c/d bs=1M count=24; sleep 1000' '{}' '{sizeLimit: 16Mi}'
pod ghost 'exec 3>/tmp/a && rm /tmp/a && dd if=/dev/zero bs=1M count=48 >&3; sleep 1000' "$(limit 32Mi)"
pod talker 'yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -n 400000; sleep 1000' "$(limit 16Mi)"
cat >"$work/two.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: two}
spec:
  containers:
  - {name: small, image: "oci:busybox", command: [/bin/sh, -c, "dd if=/dev/zero of=/tmp/a bs=1M count=24; sleep 1000"], resources: $(limit 16Mi)}
  - {name: large, image: "oci:busybox", command: [/bin/sleep, "1000"], resources: $(limit 64Mi)}
Y
cluster_baton apply -f "$work/two.yaml" >/dev/null
pod large 'sleep 1000' '{requests: {ephemeral-storage: 2Gi}}'
check_says "what no disk can hold waits, and says so" "ephemeral-storage: 2147483648 wanted" cluster_baton why pod/large
evicted root "Pod ephemeral local storage usage exceeds the total limit of containers 32Mi."
evicted volume "Usage of EmptyDir volume \"data\" exceeds the limit \"16Mi\"."
evicted hidden "Usage of EmptyDir volume \"data\" exceeds the limit \"16Mi\"."
evicted ghost "Pod ephemeral local storage usage exceeds the total limit of containers 32Mi."
evicted talker "Pod ephemeral local storage usage exceeds the total limit of containers 16Mi."
evicted two "Container small exceeded its local ephemeral storage limit \"16Mi\"."
check_says "an Event tells of it" "Evicted" cluster_baton get events
check_says "why tells of it" "exceeds the limit" cluster_baton why pod/volume
# A copy of the disk is what there was if the power went now. A loop device alone has one.
if mountpoint -q "$work/state/agent" && [ -e "$work/disk" ]; then
    cut_uid=$(cluster_baton get pod two -o json | sed -n 's/^ *"uid": *"\([^"]*\)".*/\1/p' | head -n 1)
    cluster_baton delete pod/two >/dev/null
    check "a pod is gone" until_true 20 sh -c "! '$1/baton' --kubeconfig '$work/state/kubeconfig' get pod two"
    cp --sparse=always "$work/disk" "$work/cut" && mkdir "$work/after" && mount -o loop "$work/cut" "$work/after"
    check "and is not begun again after a power cut" [ ! -e "$work/after/records/$cut_uid" ]
    check "unlike others" sh -c "ls '$work/after/records' | grep ."
    umount "$work/after" && rm -rf "$work/cut" "$work/after"
fi
check "what the evicted wrote is gone" test "$(find "$work/state/agent/pods" -mindepth 1 -maxdepth 1 | wc -l)" -eq 1
check "the honest one lives" is pod/honest "$phase" Running

# --- a disk that is full ---------------------------------------------------------------------------------------------
check "the disk has room" condition False
# Half of it has a name, the other half has none.
pod hog 'exec 3>/data/b && rm /data/b; while :; do dd if=/dev/zero bs=1M count=32 >>/data/a; dd if=/dev/zero bs=1M count=32 >&3; done'
check "the node says that it is short" until_true 40 condition True
pod late 'sleep 1000'
check_says "who comes meanwhile waits" "node.kubernetes.io/disk-pressure" cluster_baton why pod/late
check "for the node keeps others away" is node/n1 "$taint" NoSchedule
evicted hog "The node was low on resource: ephemeral-storage." 40
check "the honest one lives" is pod/honest "$phase" Running
check "and was not restarted" is pod/honest 'o["status"]["containerStatuses"][0].get("restartCount")' 0
check "there is room again" until_true 40 condition False
check "the taint is gone" is node/n1 "$taint" ""
check "who waited runs" until_true 20 is pod/late "$phase" Running
check_says "Events of the node" NodeHasDiskPressure cluster_baton get events -A
check "what it wrote is gone" test "$(df --output=used -B1M "$work/state/agent" | tail -n 1)" -lt 300
for one in $(kubectls | tail -n 1); do
    check_says "kubectl describe shows it" "Evicted" "$one" --kubeconfig "$work/state/kubeconfig" describe pod hog
done
finish
