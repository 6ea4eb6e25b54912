#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Agents with real sessions over TLS and the fake runtime, from one process: what each costs batond at rest, and how soon all
# are back after batond was killed. Fails unless every node is Ready and every pod Running again.
# [REST_S=15] tests/bench/run agents [COUNT...]    prints "agents METRIC VALUE UNIT"; default 100 1000 5000
set -eu
cd "$(dirname "$0")/../.."
cmake --build --preset bench --target batond agents-load >/dev/null
[ $# -gt 0 ] || set -- 100 1000 5000
state=$(mktemp -d /tmp/baton-bench.XXXXXX)
trap 'rm -rf "$state"' EXIT
trap 'exit 1' INT TERM
: >"$state/out"
build/bench/agents-load build/bench/batond "$state" "$(tests/testlib/free-port)" "${REST_S:-15}" "$@" >"$state/out" 2>"$state/err" &
load=$!
tail -f -n +1 --pid $load "$state/out" | sed -u 's/^/agents /'
wait $load || { cat "$state/err" && exit 1; }
