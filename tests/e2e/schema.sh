#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What stock kubectl makes of our schema: it explains every kind; a misspelt field is refused for every kind that
# clients may write, with a dry run of either sort too, and warned about when asked for; and what is valid passes.
# schema.sh BATOND
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
echo '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"bad","nme":"x"}}' >"$work/bad.json"
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

# Numbers where amounts and ports are texts, maps with any key, null, empty, and a kind of another group.
cat >"$work/valid.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: p, creationTimestamp: null, labels: {any.key/x: "y"}, annotations: {}}
spec:
  nodeSelector: {a: b}
  containers:
    - name: a
      image: b
      env: [{name: E, value: "1"}, {name: F, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
      ports: [{containerPort: 80, name: http}]
      resources: {requests: {cpu: 1, memory: 64Mi}, limits: {cpu: 1.5, memory: 1e9}}
      livenessProbe: {httpGet: {port: 80, path: /}}
      readinessProbe: {httpGet: {port: http}, periodSeconds: 1}
      securityContext: {runAsNonRoot: true, capabilities: {drop: [ALL]}}
      volumeMounts: [{name: v, mountPath: /v}]
  volumes: [{name: v, emptyDir: {sizeLimit: 1Gi}}]
  tolerations: [{key: k, operator: Exists, effect: NoExecute, tolerationSeconds: 5}]
---
apiVersion: v1
kind: Secret
metadata: {name: s}
data: {k: dg==}
stringData: {z: w}
---
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {k: v}, binaryData: {b: dg==}, immutable: false}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: l}
spec: {holderIdentity: me, leaseDurationSeconds: 5, renewTime: "2026-01-01T00:00:00.000000Z"}
---
apiVersion: kubevirt.io/v1
kind: VirtualMachineInstance
metadata: {name: v}
spec:
  domain:
    cpu: {cores: 1, dedicatedCpuPlacement: true}
    memory: {guest: 64Mi}
    resources: {requests: {memory: 67108864}}
    devices: {disks: [{name: d, disk: {bus: virtio}}]}
  volumes: [{name: d, emptyDisk: {capacity: 1Gi}}]
Y

cat >"$work/plan.yaml" <<'Y'
apiVersion: baton.dev/v1
kind: Plan
spec:
  workloads:
    - count: 2
      pod:
        metadata: {name: web}
        spec: {containers: [{name: a, image: b, resources: {requests: {cpu: 1}}}]}
Y

every_kind() {
    for kind in pods nodes namespaces configmaps secrets events serviceaccounts leases virtualmachineinstances \
        nodehardware placements plans; do
        check_says "$version explains $kind" "DESCRIPTION" "$kubectl" explain "$kind"
        check_says "$version explains the whole of $kind" "creationTimestamp" "$kubectl" explain --recursive "$kind"
    done
    for gvk in v1/Pod v1/Node v1/Namespace v1/ConfigMap v1/Secret v1/Event v1/ServiceAccount \
        coordination.k8s.io/v1/Lease kubevirt.io/v1/VirtualMachineInstance; do
        misspelt "${gvk%/*}" "${gvk##*/}"
        check_says "$version: a misspelt field of a ${gvk##*/} is refused" \
            "ValidationError(${gvk##*/}.metadata): unknown field \"nme\"" "$kubectl" create -f "$work/bad.yaml"
    done
}

# Found by kubectl itself, before anything is sent; and nothing that is right is.
client_side() {
    for gvk in v1/Pod v1/Node v1/Namespace v1/ConfigMap v1/Secret v1/Event v1/ServiceAccount \
        coordination.k8s.io/v1/Lease kubevirt.io/v1/VirtualMachineInstance; do
        misspelt "${gvk%/*}" "${gvk##*/}"
        check_says "$version: a misspelt field of a ${gvk##*/} fails a dry run on the client" \
            "ValidationError(${gvk##*/}.metadata): unknown field \"nme\"" \
            "$kubectl" create --dry-run=client -f "$work/bad.yaml"
    done
    check "$version: what is valid passes a dry run on the client" \
        "$kubectl" create --dry-run=client -f "$work/valid.yaml"
    check "$version: and one on the server" "$kubectl" apply --dry-run=server -f "$work/valid.yaml"
    for sample in "$here"/../../deploy/samples/*.yaml; do
        check "$version: the sample $(basename "$sample") passes" "$kubectl" apply --dry-run=client -f "$sample"
    done
}

oldest=$(kubectls | head -n 1) newest=$(kubectls | tail -n 1)
for kubectl in $(kubectls); do
    version=$(basename "$kubectl")
    if [ "$kubectl" = "$oldest" ] || [ "$kubectl" = "$newest" ]; then
        every_kind
    fi
    client_side
    misspelt v1 ConfigMap
    check_says "$version: what gets past it the server refuses" 'strict decoding error: unknown field \"metadata.nme\"' \
        "$kubectl" create -v 8 --raw '/api/v1/namespaces/default/configmaps?fieldValidation=Strict' -f "$work/bad.json"
    check_says "$version: asked to warn, it warns" 'Warning: unknown field "metadata.nme"' \
        "$kubectl" apply --validate=warn -f "$work/bad.yaml"
    check_says "$version: a plan is answered by its create" "summary: 0 of 2 workloads fit" \
        "$kubectl" create -o yaml -f "$work/plan.yaml"
    check_says "$version: and cannot be read" "the server does not allow this method" "$kubectl" get plans
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
