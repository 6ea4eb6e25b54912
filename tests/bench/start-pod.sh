#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From the POST of a pod to its container's first instruction, against `crun run` of the same kind of bundle on the
# same machine. Brings up a cluster of its own and takes it down. Needs root.  usage: start-pod.sh [ROUNDS]
set -eu
cd "$(dirname "$0")/../.."
rounds=${1:-60}
state=$(mktemp -d /var/tmp/baton-start-pod.XXXXXX)
port=$((20000 + $$ % 10000))
trap 'deploy/down --state "$state" --purge >/dev/null 2>&1; rm -rf "$state"' EXIT
trap 'exit 1' INT TERM

cmake --build --preset bench --target container-start start-pod-client >/dev/null
# shellcheck source=deploy/samples/layout.sh
. deploy/samples/layout.sh
mkdir -p "$state/image/bin" "$state/images"
cp build/bench/first-instruction "$state/image/bin/first"
layout_write "$state/images/first" latest "$state/image" '{"Env":["PATH=/bin"]}'
deploy/up --state "$state" --port "$port" --no-samples >"$state/up.log" 2>&1 || { tail -n 20 "$state/up.log" >&2 && exit 1; }

bare=$(build/bench/container-start)
echo "$bare" | sed -n 's/^container-start bare_/start-pod bare_/p'
bare_p50=$(echo "$bare" | awk '$2 == "bare_p50" { print $3 }')
build/bench/start-pod-client "https://127.0.0.1:$port" "$state/control/pki" "$bare_p50" "$rounds"

# Where the agent's part of it goes: the mean time in each state, from its own log.
awk '
    $3 == "ev=workload.moved" {
        split(substr($1, 15), t, /[:Z]/)
        now = (t[1] * 3600 + t[2] * 60 + t[3]) * 1000
        what = $4 ~ /\// ? "container_" : "pod_"
        if ($4 in state) { sum[state[$4]] += now - since[$4]; count[state[$4]]++ }
        state[$4] = what tolower($5); since[$4] = now
    }
    END {
        split("pod_saving pod_network pod_volumes pod_pool container_image container_creating container_starting", order, " ")
        for (i = 1; i <= 7; i++)
            if (count[order[i]]) printf "start-pod agent_%s_mean %.2f ms\n", order[i], sum[order[i]] / count[order[i]]
    }' "$state/log/agent.log"
