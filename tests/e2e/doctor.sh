#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# baton doctor: finds what a crash leaves, removes exactly that, beside an agent that runs, without one, and by the agent's own start;
# touches nothing that a workload uses or that is another cluster's; refuses where it cannot know.
# usage: doctor.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/testlib/cluster.sh
. "$here/../testlib/cluster.sh"
[ "$(id -u)" = 0 ] || { skip "baton doctor: needs root" && finish && exit 77; }

work=$(mktemp -d /tmp/baton-doctor.XXXXXX)
sleeper='' others=''
cleanup() {
    for one in $sleeper; do kill -9 "$one" 2>/dev/null; done
    cluster_stop
    [ -z "$others" ] || rmdir "$others"
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

cluster_start "$1" "$work/state" || exit 1
agent=$work/state/agent
doctor() { cluster_baton doctor "$@" >"$work/said"; }
cat >"$work/pod.yaml" <<'Y'
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {a-secret-word: wolpertinger}
---
apiVersion: v1
kind: Pod
metadata: {name: live}
spec:
  volumes: [{name: v, emptyDir: {medium: Memory}}, {name: s, secret: {secretName: hidden}}]
  containers:
  - {name: a, image: "oci:busybox:latest", command: [/bin/sleep, "3600"], ports: [{containerPort: 80, hostPort: 20080}],
     volumeMounts: [{name: v, mountPath: /v}, {name: s, mountPath: /s}]}
Y
check "a Secret and a pod" cluster_baton apply -f "$work/pod.yaml"
check "a pod runs" cluster_baton wait pod/live --for jsonpath=status.phase=Running --timeout 30s
live_pid=$(cut -d ' ' -f 1 "$agent"/run/*/shim)
check "nothing is left over, and all is well" doctor
says() { grep -qE "$1" "$work/said"; }
check "it says how the cluster is" says "ok +api +answers"
check "and this node" says "ok +runtime +(crun|runc)"
check "and that nothing is left over" grep -A1 "left over" "$work/said"

# --- what a crash leaves, made by hand under the names the agent gives --------------------------------------------------
group=baton-$(cat "$work/state/control/cluster")-n1
roots=$(find /sys/fs/cgroup -maxdepth 3 -type d -path "*/$group/pool" | grep -v "/cpuset/")
gone=11111111-2222-3333-4444-555555555555
litter() {
    for root in $roots; do mkdir "$root/$gone.a.0"; done
    sleep 3600 &
    sleeper="$sleeper $!"
    for root in $roots; do echo $! >"$root/$gone.a.0/cgroup.procs"; done
    mkdir -p "$agent/pods/$gone/volumes/v" "$agent/run/$gone.a.0" "$agent/logs/default_x_$gone/a"
    mount -t tmpfs none "$agent/pods/$gone/volumes/v"
    touch "$agent/netns/$gone" "$agent/run/$gone.a.0.console" "$agent/records/$gone.00000000.tmp"
    unshare --net="$agent/netns/$gone" true
    ip tuntap add bq1234567890123 mode tap && ip link set bq1234567890123 master "$bridge"
    nft add element bridge "$group" guarded "{ \"bq1234567890123\" }"
    touch -d '2 hours ago' "$agent/records/$gone.00000000.tmp"
}
bridge=$(ip -o link | grep -o 'bt[0-9a-f]\{8\}' | while read -r one; do
    nft list table ip "$group" | grep -q "$one" && echo "$one" && break
done)
everything="process cgroup mount netns link nft instance socket workload logs temporary"
finds_all() { for kind in $everything; do says "^  $2$kind +" || { echo "no $kind $1" && cat "$work/said" && return 1; }; done; }
nothing_of_it() {
    for root in $roots; do [ ! -e "$root/$gone.a.0" ] || return 1; done
    ! grep "$gone" /proc/self/mounts && ! find "$agent" -name "*$gone*" | grep . && ! ip link show bq1234567890123 2>/dev/null &&
        ! nft list table bridge "$group" | grep bq1234567890123 && ! grep -qs sleep "/proc/${sleeper##* }/cmdline" # Not by kill -0: it may be a zombie of ours.
}
alive() { kill -0 "$live_pid" && cluster_baton get pod live -o json | grep -q '"phase": *"Running"'; }

litter
others=$(dirname "$(dirname "$(echo "$roots" | head -n 1)")")/baton-another$$-n1
mkdir "$others"
check "something is left over: exit status 1" sh -c "! '$cluster_build/baton' --kubeconfig '$cluster_state/kubeconfig' doctor >'$work/said'"
check "every kind of it is named" finds_all listed ""
check "and nothing of what lives" sh -c "! grep -q '$(find "$agent/records" -type f ! -name '*.tmp' -printf '%f')' '$work/said'"
check "nor of another cluster" sh -c "! grep -q baton-another$$ '$work/said'"
doctor -o json
check_says "as JSON, too" '"kind": "netns"' cat "$work/said"
doctor --fix
check "--fix removes every kind" finds_all removed "removed  "
check "and nothing of it is left" until_true 5 nothing_of_it
check "what lives does not notice" alive
check "another cluster's group stands" test -d "$others"
check "now all is well" doctor

# --- the flight recorder ------------------------------------------------------------------------------------------------
replays() { "$1/baton-sim" --replay "$2" >"$work/replayed" && grep -qE "^[0-9]+ steps, [1-9][0-9]* compared with what was recorded, 0 different" "$work/replayed"; }
check "the agent writes what it was told" doctor --record
check "which replays to the same effects" replays "$1" "$agent/flight/asked"
check "through the life of the pod" grep -q "live RUNNING" "$work/replayed"
check "no Secret's value is in it" sh -c "! grep -qa wolpertinger '$agent/flight/asked'"
check "though its name is" grep -qa "a-secret-word" "$agent/flight/asked"
kill -SEGV "$agent_pid"
wait "$agent_pid" 2>/dev/null
check "an agent that dies of a fault leaves it, too" replays "$1" "$agent/flight/crash"
touch "$agent/records/0e0e0e0e-0000-4000-8000-000000000000"
cluster_agent
cluster_baton wait node/n1 --for condition=Ready --timeout 30s >/dev/null
check "and the next one tells where it is" until_true 5 grep -q "flight.found" "$work/state/agent.log"
check "a record without bytes, as a power cut leaves one, is removed" [ ! -e "$agent/records/0e0e0e0e-0000-4000-8000-000000000000" ]
check "what lives does not notice" alive

# --- records as a power cut leaves them, and the worst of it: everything that they spoke of is still there ------------------
uid_of() { cluster_baton get pod "$1" -o json | sed -n 's/^ *"uid": *"\([^"]*\)".*/\1/p' | head -n 1; }
cut="lost empty zeros torn"
for name in $cut old; do
    cat >"$work/$name.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: $name}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: v, emptyDir: {medium: Memory}}]
  containers: [{name: a, image: "oci:busybox:latest", command: [/bin/sleep, "3600"], volumeMounts: [{name: v, mountPath: /v}]}]
Y
    cluster_baton apply -f "$work/$name.yaml" >/dev/null
done
all_run() { for name in $cut; do cluster_baton get pod "$name" -o json | grep -q '"phase": *"Running"' || return 1; done; }
check "four pods run" until_true 20 all_run
check "and a fifth" cluster_baton wait pod/old --for jsonpath=status.phase=Running --timeout 20s
old=$(uid_of old) lost=$(uid_of lost) empty=$(uid_of empty) zeros=$(uid_of zeros) torn=$(uid_of torn)
cp "$agent/records/$old" "$work/old.record"
cluster_baton delete pod/old >/dev/null
check "the fifth is deleted" until_true 10 [ ! -e "$agent/records/$old" ]
shims() { for one in "$agent"/run/*/shim; do cut -d ' ' -f 1 "$one" && echo; done | grep .; }
shims=$(shims)
kill -9 "$agent_pid"
wait "$agent_pid" 2>/dev/null
rm "$agent/records/$lost"
: >"$agent/records/$empty"
head -c 700 /dev/zero >"$agent/records/$zeros"
truncate -s 300 "$agent/records/$torn"
cp "$work/old.record" "$agent/records/$old"
cluster_agent
cluster_baton wait node/n1 --for condition=Ready --timeout 30s >/dev/null
check "the log tells which records were none" sh -c "grep record.broken '$work/state/agent.log' | grep -c -e $empty -e $zeros -e $torn | grep -qx 3"
# As the host has it: shims that stood by a container then and now; one each for the four, and the first pod's.
anew() { all_run && [ "$(for one in $shims; do kill -0 "$one" 2>/dev/null && echo "$one"; done | wc -l)" = 1 ] && [ "$(shims | wc -l)" = 5 ]; }
check "the four begin anew, each once" until_true 20 anew
nothing_of() {
    for one in "$@"; do
        ! find "$agent" -name "*$one*" ! -path "*/logs/*" | grep . || return 1
        ! find /sys/fs/cgroup -type d -name "*$one*" | grep . || return 1
        ! grep "$one" /proc/self/mounts || return 1
    done
}
check "one that was deleted leaves, and nothing of it stays" until_true 10 nothing_of "$old"
for name in $cut; do cluster_baton delete "pod/$name" >/dev/null; done
check "and of the four nothing stays when they are deleted" until_true 20 nothing_of "$lost" "$empty" "$zeros" "$torn"
check "all is well" until_true 5 doctor
check "what lives does not notice" alive

# --- with the agent away ------------------------------------------------------------------------------------------------
kill -9 "$agent_pid"
wait "$agent_pid" 2>/dev/null
litter
doctor --fix
check "without the agent, too" until_true 5 nothing_of_it
check "it says that the agent does not run" says "fail +agent +does not run"
check "what lives does not notice" kill -0 "$live_pid"
litter
mv "$agent/records" "$work/records"
doctor --fix
check "without records it is not known what should be here, and nothing is removed" says "nothing is removed: what should be here is not known"
check "so the process lives" kill -0 "${sleeper##* }"
mv "$work/records" "$agent/records"
cluster_agent
cluster_baton wait node/n1 --for condition=Ready --timeout 30s >/dev/null
rm -rf "$agent/logs/default_x_$gone" # It alone stays: the same workload may be given again.
check "the agent's own start removes it" until_true 10 nothing_of_it
check "and what lives is where it was" alive
finish
