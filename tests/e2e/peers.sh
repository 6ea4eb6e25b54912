#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Three nodes on one machine, each in a network namespace of its own: two on one link, the third behind a router that
# knows nothing of pods. Pods of all three reach each other under their own addresses, and the outside under their node's.
# usage: peers.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
[ "$(id -u)" = 0 ] || { skip "three nodes: needs root" && finish && exit 77; }
build=$1
work=$(mktemp -d /tmp/baton-peers.XXXXXX)
tag=bp$$
router=$tag-r
batond_pid='' agent_1='' agent_2='' agent_3='' outside_pid=''

in_ns() { # Not for what is killed later: $! would be the function's own process.
    in_ns_name=$1
    shift
    nsenter --net="/run/netns/$in_ns_name" "$@"
}
baton() { in_ns "$router" "$build/baton" --kubeconfig "$work/state/kubeconfig" "$@"; }
cleanup() {
    for one in $agent_1 $agent_2 $agent_3 $batond_pid $outside_pid; do kill -9 "$one" 2>/dev/null && wait "$one" 2>/dev/null; done
    for n in 1 2 3; do
        [ ! -d "$work/n$n" ] || in_ns "$tag-$n" "$build/baton-agent" --state "$work/n$n" --clean
        ip netns del "$tag-$n" 2>/dev/null
    done
    ip netns del "$router" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# --- the network: n1 and n2 on 10.99.1.0/24, n3 on 10.99.2.0/24, a router between ---
link() { # link NODE SEGMENT
    ip netns add "$tag-$1"
    ip -n "$router" link add "p$1" type veth peer name eth0 netns "$tag-$1"
    ip -n "$router" link set "p$1" master "seg$2" up
    ip -n "$tag-$1" addr add "10.99.$2.$1/24" dev eth0
    ip -n "$tag-$1" link set eth0 up
    ip -n "$tag-$1" link set lo up
    ip -n "$tag-$1" route add default via "10.99.$2.254"
}
ip netns add "$router"
ip -n "$router" link set lo up
for segment in 1 2; do
    ip -n "$router" link add "seg$segment" type bridge
    ip -n "$router" addr add "10.99.$segment.254/24" dev "seg$segment"
    ip -n "$router" link set "seg$segment" up
done
in_ns "$router" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
link 1 1
link 2 1
link 3 2

# --- the cluster ---
port=6443 # In a namespace of our own nobody else has it.
batond() {
    nsenter --net="/run/netns/$router" "$build/batond" --state "$work/state" --listen 0.0.0.0 --port $port --san 10.99.1.254 --san 10.99.2.254 >>"$work/batond.log" 2>&1 &
    batond_pid=$!
    until_true 20 baton get --raw /readyz
}
agent() { # agent NODE SEGMENT: its pid in $agent_pid
    nsenter --net="/run/netns/$tag-$1" "$build/baton-agent" --state "$work/n$1" --share "$build" --import "$work/images" --server "10.99.$2.254:$port" \
        --token-file "$work/token$1" --node-name "n$1" >>"$work/agent$1.log" 2>&1 &
    agent_pid=$!
}
"$here/../../deploy/samples/make-busybox" "$work/images" >/dev/null || exit 1
if batond; then pass "a control plane"; else fail "a control plane" && tail -n 20 "$work/batond.log" && exit 1; fi
for n in 1 2 3 4; do baton token create >"$work/token$n"; done
mkdir "$work/liar"
agent 1 1 && agent_1=$agent_pid
agent 2 1 && agent_2=$agent_pid
agent 3 2 && agent_3=$agent_pid
ready() { baton wait "node/n$1" --for condition=Ready --timeout "${2:-30}s"; }
for n in 1 2 3; do check "node n$n is Ready" ready $n; done

# --- a pod on each, which tells who asks it ---
for n in 1 2 3; do
    cat >"$work/pod$n.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: p$n}
spec:
  terminationGracePeriodSeconds: 0
  nodeSelector: {kubernetes.io/hostname: n$n}
  containers:
  - {name: main, image: "oci:busybox:latest", imagePullPolicy: Never, command: [nc, -ll, -p, "8080", -e, cat]}
Y
    baton apply -f "$work/pod$n.yaml" >/dev/null
done
for n in 1 2 3; do check "pod p$n runs" baton wait "pod/p$n" --for jsonpath=status.phase=Running --timeout 30s; done
field() { baton get pod "p$1" -o json | sed -n "s/.*\"$2\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }
for n in 1 2 3; do
    field $n uid >"$work/uid$n" && field $n podIP >"$work/ip$n"
done
ip_of() { cat "$work/ip$1"; }
pod_ns() { echo "$work/n$1/netns/$(cat "$work/uid$1")"; }
# echoes FROM TO: what FROM's pod says comes back from TO's.
echoes() {
    [ "$(echo "from $1" | nsenter --net="$(pod_ns "$1")" timeout 3 busybox nc -w 2 "$(ip_of "$2")" 8080)" = "from $1" ]
}
for from in 1 2 3; do
    for to in 1 2 3; do
        [ $from = $to ] || check "p$from reaches p$to" until_true 10 echoes $from $to
    done
done
check_says "n1 leads straight to n2" "via 10.99.1.2 dev eth0" ip -n "$tag-1" route
check_says "n1 leads to n3 through the tunnel" "dev bx" ip -n "$tag-1" route
# own_address FROM TO: while FROM's pod talks to TO's, that one sees it under its own address.
own_address() {
    sleep 2 | nsenter --net="$(pod_ns "$1")" busybox nc -w 2 "$(ip_of "$2")" 8080 >/dev/null &
    own_pid=$!
    until_true 2 sh -c "nsenter --net='$(pod_ns "$2")' ss -tnH | grep -q '$(ip_of "$1")\\]*:'"
    own_said=$?
    wait $own_pid
    return $own_said
}
check "p2 sees p1 under its own address" own_address 1 2
check "p3 sees p1 under its own address" own_address 1 3
big() { # big FROM TO: 200 kB there and back, more than any one packet.
    [ "$(head -c 200000 /dev/zero | nsenter --net="$(pod_ns "$1")" timeout 8 busybox nc -w 3 "$(ip_of "$2")" 8080 | wc -c)" = 200000 ]
}
check "large packets pass the tunnel" big 1 3

# --- egress ---
nsenter --net="/run/netns/$router" python3 -c '
import socket
s = socket.create_server(("10.99.2.254", 7000))
while True:
    c, who = s.accept()
    c.sendall(who[0].encode() + b"\n")
    c.close()' &
outside_pid=$!
seen_as() { [ "$(nsenter --net="$(pod_ns "$1")" timeout 3 busybox nc -w 2 10.99.2.254 7000 </dev/null)" = "$2" ]; }
check "the outside sees p1 as its node" until_true 5 seen_as 1 10.99.1.1
check "and p3 as its own" until_true 5 seen_as 3 10.99.2.3

# --- a node that says the control plane's address, which it did not even dial ---
nsenter --net="/run/netns/$tag-2" "$build/baton-agent" --state "$work/liar" --server "10.99.1.254:$port" --token-file "$work/token4" --node-name liar \
    --runtime fake --topology "numa:1(memory=4GB) core:1 pu:1" --address 10.99.2.254 >"$work/liar.log" 2>&1 &
liar_pid=$!
claimed() { baton get node liar -o json | grep -q '"10.99.2.254 is the control plane.s"'; }
check "it is not believed" until_true 20 claimed
check "and nobody is led there" sh -c "! ip -n '$tag-1' route | grep -q '10.99.2.254 dev'"
kill "$liar_pid" && wait "$liar_pid" 2>/dev/null

# --- who dies changes nothing ---
kill -9 "$batond_pid" && wait "$batond_pid" 2>/dev/null
kill -9 "$agent_1" && wait "$agent_1" 2>/dev/null
check "with control plane and agent dead p1 reaches p2" echoes 1 2
check "and p3" echoes 1 3
agent 1 1 && agent_1=$agent_pid
if batond; then pass "the control plane is back"; else fail "the control plane is back"; fi
check "n1 is Ready again" until_true 30 ready 1 1
check "p1 reaches p2" until_true 5 echoes 1 2
check "p3 reaches p1" until_true 5 echoes 3 1

# --- a node that loses contact, and returns ---
ip -n "$router" link set p2 down
not_ready() { baton get node n2 -o json | grep -q '"NodeStatusUnknown"'; }
check "a node without contact becomes NotReady after its lease" until_true 25 not_ready
check_says "its pod is left alone" Running baton get pod p2
ip -n "$router" link set p2 up
check "it comes back" until_true 30 ready 2 1
check "and its pod is reached" until_true 10 echoes 1 2

# --- a node that is forgotten ---
kill -9 "$agent_3" && wait "$agent_3" 2>/dev/null
in_ns "$tag-3" "$build/baton-agent" --state "$work/n3" --clean >/dev/null 2>&1 && rm -rf "$work/n3"
check "clean leaves no tunnel" sh -c "! ip -n '$tag-3' link | grep -q ' b[txvq][0-9a-f]'"
lost() { baton get node n3 -o json | grep -q '"NodeStatusUnknown"'; }
until_true 25 lost
pki=$work/state/control/pki
check "its Node is deleted" in_ns "$router" curl -sf -X DELETE --cacert "$pki/ca.crt" --cert "$pki/admin.crt" --key "$pki/admin.key" \
    "https://10.99.1.254:$port/api/v1/nodes/n3"
no_way() { ! ip -n "$tag-1" route | grep -q 'dev bx'; }
check "nobody leads to a forgotten node" until_true 10 no_way
finish
