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
