#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Huge pages of containers on the kernel that runs here: a volume of them, what each container may have of them, and nobody else any.
# Takes some pages of 2 MiB and, on a hybrid host, the hugetlb hierarchy where nobody has mounted it, and gives both back.
# usage: hugepages.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/testlib/cluster.sh
. "$here/../testlib/cluster.sh"
[ "$(id -u)" = 0 ] || { skip "hugepages: needs root" && finish && exit 77; }
# Other agents of this machine must not see a hierarchy that goes away again.
[ -n "${baton_alone:-}" ] || baton_alone=1 exec unshare --mount "$0" "$@"
pool=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
[ -w "$pool" ] || { skip "hugepages: this kernel has no pages of 2 MiB" && finish && exit 77; }

work=$(mktemp -d /tmp/baton-hugepages.XXXXXX)
had=$(cat "$pool")
# The hierarchy goes with its mount only when no group is in it; those that are dying count.
is_empty() { awk '$1 == "hugetlb" {exit $3 > 1}' /proc/cgroups; }
cleanup() {
    cluster_stop
    echo "$had" >"$pool"
    until_true 10 is_empty
    mountpoint -q "$work/hugetlb" && umount "$work/hugetlb"
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# Where the controller is: in v2, in v1, or to be had in v1.
unified=$(awk '/ - cgroup2 / {print $5; exit}' /proc/self/mountinfo)
limits='' suffix=limit_in_bytes
if ! grep -q ' - cgroup .*cpuset' /proc/self/mountinfo && grep -qw hugetlb "$unified/cgroup.controllers" 2>/dev/null; then
    limits=$unified suffix=max
elif grep -q ' - cgroup .*hugetlb' /proc/self/mountinfo; then
    limits=$(awk '/ - cgroup .*hugetlb/ {print $5; exit}' /proc/self/mountinfo)
else
    mkdir "$work/hugetlb"
    if mount -t cgroup -o hugetlb baton-test "$work/hugetlb" 2>/dev/null; then limits=$work/hugetlb; fi
fi
[ -n "$limits" ] || { skip "hugepages: this kernel gives no hugetlb controller" && finish && exit 77; }
echo $((had + 12)) >"$pool"
[ "$(cat "$pool")" -ge $((had + 12)) ] || { skip "hugepages: the kernel has no 24 MiB together to spare" && finish && exit 77; }

if ! cluster_start "$1" "$work/state"; then
    fail "the cluster starts"
    finish
    exit 1
fi
container() { # NAME TAKES LIMIT AFTER: when that file is there takes so many MiB, then another page
    cat <<Y
  - name: $1
    image: oci:busybox:latest
    command: [/bin/sh, -c, "until [ -e $4 ]; do sleep 0.1; done; fallocate -l ${2}m /huge/$1 && echo has $2; fallocate -l 2m /huge/$1.more || echo no more; : >/huge/$1.done; sleep 600"]
    volumeMounts: [{name: huge, mountPath: /huge}]
    resources: {limits: {cpu: 50m, memory: 32Mi, hugepages-2Mi: $3}}
Y
}
cat >"$work/pods.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: two}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  volumes: [{name: huge, emptyDir: {medium: HugePages}}]
  containers:
$(container a 4 4Mi /huge)
$(container b 6 6Mi /huge/a.done)
---
apiVersion: v1
kind: Pod
metadata: {name: none}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: huge, emptyDir: {medium: HugePages-2Mi}}]
  containers:
  - name: main
    image: oci:busybox:latest
    command: [/bin/sleep, "600"]
    resources: {limits: {cpu: 50m, memory: 32Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: plain}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: oci:busybox:latest
    command: [/bin/sleep, "600"]
    resources: {limits: {cpu: 50m, memory: 32Mi}}
Y
cluster_baton apply -f "$work/pods.yaml" >/dev/null
check "a pod with huge pages runs" cluster_baton wait pod/two --for jsonpath=status.phase=Running --timeout 30s
check "one without runs, too" cluster_baton wait pod/plain --for jsonpath=status.phase=Running --timeout 30s
says() { cluster_baton logs two -c "$1" | grep -q "$2"; }
check "a container has its pages" until_true 10 says a 'has 4'
check "and not one more, although the volume and the pool have them" until_true 10 says a 'no more'
check "the other has more" until_true 10 says b 'has 6'
check "and no more, either" until_true 10 says b 'no more'
bound() { # BYTES: how many groups are held to exactly so much
    find "$limits" -path '*baton-*' -name "hugetlb.2MB.$suffix" -exec grep -lx "$1" {} + 2>/dev/null | wc -l
}
held() { [ "$(bound 4194304)" = 1 ] && [ "$(bound 6291456)" = 1 ] && [ "$(bound 0)" = 1 ]; }
check "the kernel says so: 4 MiB, 6 MiB, and nothing for who asked for nothing" held
reserved() { [ ! -e "$(find "$limits" -path '*baton-*' -name "hugetlb.2MB.rsvd.$suffix" | head -n 1)" ] ||
    [ "$(find "$limits" -path '*baton-*' -name "hugetlb.2MB.rsvd.$suffix" -exec grep -lx 4194304 {} + | wc -l)" = 1 ]; }
check "what is reserved is bound, too" reserved
waits() { cluster_baton get pod none -o json | grep -q 'volume huge: medium HugePages-2Mi, and the pod has no such huge pages'; }
check "a volume of pages that the pod does not have is told" until_true 20 waits
cluster_curl DELETE "/api/v1/namespaces/default/pods/two" >/dev/null
gone() { ! grep -q "$work.* - hugetlbfs" /proc/self/mountinfo && [ "$(bound 4194304)" = 0 ]; }
check "volume and groups go with it" until_true 20 gone
free() { [ "$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages)" -ge 12 ]; }
check "and its pages are free" until_true 10 free
finish
