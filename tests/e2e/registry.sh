#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Images from a registry: by tag and by digest, by pull policy; a registry that lies, refuses, hangs or speaks no TLS.
# usage: registry.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/testlib/cluster.sh
. "$here/../testlib/cluster.sh"
[ "$(id -u)" = 0 ] || { skip "images from a registry: needs root" && finish && exit 77; }
command -v skopeo >/dev/null || { skip "images from a registry: no skopeo" && finish && exit 77; }

work=$(mktemp -d /tmp/baton-registry.XXXXXX)
registries=
cleanup() {
    cluster_stop
    for one in $registries; do kill "$one" 2>/dev/null; done
    umount -l "$work/state/agent/images" 2>/dev/null # The small disk of the last part.
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# registry NAME [CERT KEY]: leaves its port in $port.
registry() {
    registry_name=$1
    shift
    "$here/../testlib/registry.py" "$work/layouts" "$work/$registry_name.port" "$work/$registry_name.log" "$@" &
    registries="$registries $!"
    until_true 10 test -s "$work/$registry_name.port"
    port=$(cat "$work/$registry_name.port")
}

forever='[/bin/sleep, "3600"]'
# pod NAME IMAGE [POLICY [COMMAND [PULL_SECRETS]]]
pod() {
    cat >"$work/$1.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  restartPolicy: Never
  imagePullSecrets: ${5:-[]}
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: "$2", imagePullPolicy: ${3:-IfNotPresent}, command: ${4:-$forever}}
Y
    cluster_baton apply -f "$work/$1.yaml" >/dev/null
}
running() { cluster_baton wait "pod/$1" --for jsonpath=status.phase=Running --timeout "${2:-30}s"; }
one_pod() { cluster_curl "$1" "/api/v1/namespaces/default/pods/$2"; }
is_gone() { ! one_pod GET "$1"; }
gone() { one_pod DELETE "$1" >/dev/null && until_true 10 is_gone "$1"; }
# waits NAME REASON TEXT: the container waits for REASON, and its message holds TEXT.
waits() { one_pod GET "$1" >"$work/seen" && grep -qE "\"reason\": *\"($2)\"" "$work/seen" && grep -qi "$3" "$work/seen"; }
waits_for() {
    check "$1: $2, \"$3\"" until_true "${4:-20}" waits "$1" "$2" "$3"
    [ "$failed" -eq 0 ] || grep -A 2 '"reason": "[EI]' "$work/seen"
}
fails() { waits_for "$1" "ErrImagePull|ImagePullBackOff" "$2"; }
asked() { grep -c "$1" "$work/$2.log"; }

"$here/../../deploy/samples/make-busybox" "$work/layouts" >/dev/null || exit 1
# Three more, because a layer that is here is not fetched again.
# shellcheck source=deploy/samples/layout.sh
. "$here/../../deploy/samples/layout.sh"
for one in second third fourth; do
    mkdir -p "$work/root" && printf '%s\n' "$one" >"$work/root/file"
    layout_write "$work/layouts/$one" latest "$work/root" '{"Cmd":["/bin/sh"]}'
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/key" -out "$work/cert" -days 1 \
    -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 >/dev/null 2>&1
registry plain && plain=127.0.0.1:$port
export REGISTRY_ASKS=1
registry guarded && guarded=127.0.0.1:$port
unset REGISTRY_ASKS
registry strict && strict=127.0.0.1:$port # Plain too, but nobody allowed that.
registry tls "$work/cert" "$work/key" && tls=127.0.0.1:$port
if ! cluster_start "$1" "$work/state" --insecure-registry "$plain" --insecure-registry "$guarded" --pull-stall 3; then
    fail "the cluster starts"
    finish
    exit 1
fi
digest=$(grep -o 'sha256:[0-9a-f]*' "$work/layouts/busybox/index.json" | head -n 1)

# --- names -----------------------------------------------------------------------------------------------------------
pod tag "$plain/good/busybox/busybox:latest"
check "an image by its tag runs" running tag
image_id() { cluster_baton get pod "$1" -o json | grep -q "\"imageID\": *\".*@$digest\""; }
check "imageID names the registry's digest" until_true 5 image_id tag
node_has() { cluster_curl GET /api/v1/nodes | tr -d ' \n' | grep -q "\"images\":.*\"$1\".*\"sizeBytes\":[1-9]"; }
check "the node's status tells of it" until_true 40 node_has "$plain/good/busybox/busybox:latest"
pod digest "$plain/good/box/busybox@$digest"
check "an image by its digest runs" running digest
pod both "$plain/good/both/busybox:latest@$digest"
check "an image by tag and digest runs" running both
pod wrong "$plain/good/busybox/busybox:v9"
fails wrong "manifest unknown"
waits_for wrong ImagePullBackOff "manifest unknown"
why_wrong() { cluster_baton why pod/wrong | grep -q "manifest unknown"; }
check "baton why says what the container waits for" why_wrong

# --- policy ----------------------------------------------------------------------------------------------------------
before=$(asked good/busybox/busybox plain)
pod again "$plain/good/busybox/busybox:latest"
check "IfNotPresent runs what is here" running again
check "and asks nobody" test "$(asked 'GET /v2/good/busybox/busybox/manifests/latest' plain)" = 1
pod always "$plain/good/busybox/busybox:latest" Always
check "Always runs" running always
check "and asks again" test "$(asked good/busybox/busybox plain)" -gt "$before"
pod never "$plain/good/never/busybox:latest" Never
fails never "may not be pulled"
check "Never asks nobody" test "$(asked good/never/busybox plain)" = 0

# --- enemies ---------------------------------------------------------------------------------------------------------
none=sha256:$(printf '%064d' 0)
pod mismatch "$plain/good/other/busybox@$none"
fails mismatch "does not match"
pod liar "$plain/liar/x/second:latest"
fails liar "did not match"
pod locked "$plain/locked/busybox/busybox:latest"
fails locked "unauthorized"
pod hang "$plain/hang/busybox/busybox:latest"
pod stuck "$plain/stuck/x/third:latest"
pod local "oci:busybox:latest"
check "what is here starts while a registry hangs" running local 3
fails hang "sends nothing"
fails stuck "sends nothing"
pod strict "$strict/good/busybox/busybox:latest"
fails strict "insecure-registry"
pod tls "$tls/good/busybox/busybox:latest"
fails tls "certificate"
nothing_half() { ! find "$work/state/agent/images" -name 'tmp-*' | grep .; }
for one in hang stuck mismatch liar wrong; do check "$one goes" gone "$one"; done
check "nothing half pulled is left" until_true 10 nothing_half
# A layer that would take weeks, and a second pull behind it.
pod drips "$plain/drip/x/fourth:latest"
pod behind "$plain/good/behind/busybox:latest"
dripping() { ! nothing_half; }
check "a layer comes by the byte" until_true 10 dripping
check "its pod is deleted, and goes" gone drips
check "what waited for the same registry runs" running behind
check "nothing of it is left" until_true 10 nothing_half

# --- who may pull ------------------------------------------------------------------------------------------------------
secret() {
    word=$(printf 'baton:%s' "$2" | base64)
    config=$(printf '{"auths":{"%s":{"auth":"%s"}},"credsStore":"nobody"}' "$guarded" "$word" | base64 -w 0)
    printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\ntype: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: %s}\n' \
        "$1" "$config" | cluster_baton apply -f - >/dev/null
}
secret wrong wrong
secret right wolpertinger
pod stranger "$guarded/private/a/busybox:latest" Always
fails stranger "unauthorized"
pod mistaken "$guarded/private/b/busybox:latest" Always "$forever" "[{name: wrong}]"
fails mistaken "unauthorized"
pod guest "$guarded/private/c/busybox:latest" Always "$forever" "[{name: missing}, {name: wrong}, {name: right}]"
check "a pull secret opens a private registry, after others that do not" running guest
missed() { cluster_baton get events -o json | grep -q "The pull secret missing is missing"; }
check "one that is missing is told" until_true 5 missed
unseen() { ! grep -qr "wolpertinger\|$(printf 'baton:wolpertinger' | base64)" "$work/state/agent.log" "$work/state/agent/images" "$work/state/agent/run"; }
check "nobody wrote it down" unseen

# --- a pull whose agent dies -----------------------------------------------------------------------------------------
pulls() { pgrep -f "skopeo.*$work" >/dev/null; }
no_pulls() { ! pulls; }
pod held "$plain/drip/y/fourth:latest"
half_held() { pulls && ! nothing_half; }
check "a pull is under way that would take weeks" until_true 10 half_held
kill "$agent_pid"
check "an agent that is asked to end does not wait for it" until_true 10 process_over "$agent_pid"
wait "$agent_pid" 2>/dev/null
check "nor leaves it behind" no_pulls
cluster_agent --insecure-registry "$plain" --pull-stall 3
check "and the next agent's pod can go" gone held
check "with what it began" until_true 10 nothing_half
pod torn "$plain/stuck/y/third:latest"
half_there() { pulls && ! nothing_half; }
check "a pull is under way" until_true 10 half_there
kill -9 "$agent_pid"
wait "$agent_pid" 2>/dev/null
check "it ends with an agent that was killed" until_true 5 no_pulls
for one in "$work"/state/agent/images/refs/tmp-*; do : >"$one/left-over"; done
nothing_left() { ! find "$work/state/agent/images" -name left-over | grep -q .; }
check "which leaves something" sh -c "ls '$work'/state/agent/images/refs/tmp-*/left-over"
cluster_agent --insecure-registry "$plain" --pull-stall 3
check "and the next agent takes away what it left" until_true 10 nothing_left

# --- a disk that fills -----------------------------------------------------------------------------------------------
# A store of 50 MB, images of 15: one is 30 percent of it, two are 60.
for one in red green blue; do
    mkdir -p "$work/$one/bin"
    cp /bin/busybox "$work/$one/bin/busybox"
    dd if=/dev/urandom of="$work/$one/file" bs=1M count=6 2>/dev/null
    layout_write "$work/layouts/$one" latest "$work/$one" '{}'
done
colour() {
    pod "$1" "$plain/good/x/$1:latest" "${2:-IfNotPresent}" \
        '[/bin/busybox, sh, -c, "while busybox cat /file >/dev/null; do echo fine; busybox sleep 0.2; done; echo broken"]'
}
check "torn goes" gone torn
kill -9 "$agent_pid"
wait "$agent_pid" 2>/dev/null
mount -t tmpfs -o size=50m tmpfs "$work/state/agent/images"
cluster_agent --insecure-registry "$plain" --image-gc-high 50 --image-gc-low 40 --image-gc-age 0
colour red
check "red runs" running red
check "red ends" gone red
collected() { grep -q "ev=images.collected $1" "$work/state/agent.log"; }
check "nothing is removed while there is room" sh -c "! grep -q ev=images.collected '$work/state/agent.log'"
colour green
check "green runs" running green
check "the image that nothing uses goes when its disk is half full" until_true 10 collected "images=1"
colour red Never
fails red "may not be pulled"
colour blue
check "blue runs, with a disk fuller than it should be" running blue
check "and that nothing can be removed is told" until_true 10 collected "images=0"
fine() { cluster_baton logs "$1" --tail=1 | grep -q fine; }
for one in green blue; do check "$one still has its files" fine "$one"; done
finish
