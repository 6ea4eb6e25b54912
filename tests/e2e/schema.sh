#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What stock kubectl makes of our schema: it explains every kind, a misspelt field is refused for every kind that
# clients may write, warned about when asked for, and found by a dry run on the server. schema.sh BATOND
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/testlib/batond.sh
. "$here/../testlib/batond.sh"
batond=${1:?usage: schema.sh BATOND}
[ -n "$(kubectls)" ] || { skip "kubectl is not installed" && finish && exit 77; }

work=$(mktemp -d /tmp/baton-schema.XXXXXX)
pid=
cleanup() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

batond_start "$batond" "$work/state" || exit 1
cat >"$work/config" <<Y
apiVersion: v1
kind: Config
clusters: [{name: it, cluster: {server: "$BATON_SERVER", certificate-authority: "$BATON_CA"}}]
users: [{name: it, user: {client-certificate: "$BATON_CERT", client-key: "$BATON_KEY"}}]
contexts: [{name: it, context: {cluster: it, user: it}}]
current-context: it
Y
export KUBECONFIG="$work/config" HOME="$work"

# misspelt APIVERSION KIND: a manifest with one field too many
misspelt() {
    printf 'apiVersion: %s\nkind: %s\nmetadata: {name: bad, nme: x}\n' "$1" "$2" >"$work/bad.yaml"
}

every_kind() {
    for kind in pods nodes namespaces configmaps secrets events serviceaccounts leases virtualmachineinstances \
        nodehardware placements; do
        check_says "$version explains $kind" "DESCRIPTION" "$kubectl" explain "$kind"
        check_says "$version explains the whole of $kind" "creationTimestamp" "$kubectl" explain --recursive "$kind"
    done
    for gvk in v1/Pod v1/Node v1/Namespace v1/ConfigMap v1/Secret v1/Event v1/ServiceAccount \
        coordination.k8s.io/v1/Lease kubevirt.io/v1/VirtualMachineInstance; do
        misspelt "${gvk%/*}" "${gvk##*/}"
        check_says "$version: a misspelt field of a ${gvk##*/} is refused" \
            'strict decoding error: unknown field "metadata.nme"' "$kubectl" create -f "$work/bad.yaml"
    done
}

oldest=$(kubectls | head -n 1) newest=$(kubectls | tail -n 1)
for kubectl in $(kubectls); do
    version=$(basename "$kubectl")
    if [ "$kubectl" = "$oldest" ] || [ "$kubectl" = "$newest" ]; then
        every_kind
    fi
    misspelt v1 ConfigMap
    check_says "$version: a dry run on the server refuses it" 'unknown field "metadata.nme"' \
        "$kubectl" create --dry-run=server -f "$work/bad.yaml"
    check_says "$version: asked to warn, it warns" 'Warning: unknown field "metadata.nme"' \
        "$kubectl" apply --validate=warn -f "$work/bad.yaml"
    check_says "$version: a field inside a list is explained" "Path on the node" \
        "$kubectl" explain pod.spec.volumes.hostPath.path
    check_says "$version: amounts come back canonical" "1536Mi" "$kubectl" create --dry-run=server -o yaml -f - <<'Y'
apiVersion: kubevirt.io/v1
kind: VirtualMachineInstance
metadata: {name: v}
spec:
  domain:
    memory: {guest: 1.5Gi}
    devices: {}
Y
    "$kubectl" delete configmap bad >/dev/null 2>&1
done
finish
