#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What batond and an agent hold while nothing happens, and what they compute: a cluster of one real node first, then a batond
# whose pods were created through the API. Needs root. Pss; Rss beside it as NAME_rss.
# tests/bench/run idle-memory [SECONDS [PODS...]]    prints "idle-memory METRIC VALUE UNIT"; default 30 1000 100000
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/batond.sh
. tests/bench/batond.sh
# shellcheck source=tests/e2e/lib.sh
. tests/e2e/lib.sh
# shellcheck source=tests/testlib/cluster.sh
. tests/testlib/cluster.sh
cmake --build --preset bench --target batond baton baton-agent baton-shim baton_guest api-load >/dev/null
seconds=${1:-30}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- 1000 100000

# memory NAME PID
memory() {
    awk -v name="$1" '/^Pss:|^Rss:/ { m[tolower($1)] = $2 / 1024 }
        END { split(name, n, "["); rest = n[2] == "" ? "" : "[" n[2]
              printf "idle-memory %s_pss%s %.1f MiB\nidle-memory %s_rss%s %.1f MiB\n", n[1], rest, m["pss:"], n[1], rest, m["rss:"] }' \
        "/proc/$2/smaps_rollup"
}

# cpu_ns PID: of all its threads.
cpu_ns() { cat /proc/"$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f", sum }'; }

# cluster_stop waits for what it killed, and set -e would end on that.
trap 'cluster_stop >/dev/null 2>&1 || true; cleanup' EXIT
if [ "$(id -u)" -eq 0 ]; then
    cluster_start "$PWD/build/bench" "$work/cluster"
    sleep 5
    control=$(cpu_ns "$batond_pid") agent=$(cpu_ns "$agent_pid")
    sleep "$seconds"
    awk -v b="$(($(cpu_ns "$batond_pid") - control))" -v a="$(($(cpu_ns "$agent_pid") - agent))" -v s="$seconds" \
        'BEGIN { printf "idle-memory batond_cpu %.2f %%\nidle-memory agent_cpu %.2f %%\n", b / s / 1e7, a / s / 1e7 }'
    memory batond "$batond_pid"
    memory agent "$agent_pid"
    cluster_stop >/dev/null 2>&1 || true
else
    echo "idle-memory: an agent needs root: its rows are left out" >&2
fi
for pods in "$@"; do
    start_batond
    build/bench/api-load "$work/state" "$port" "$pid" $((pods / 250 + 1)) "$pods" 64 >/dev/null
    sleep 15 # Its nodes are NotReady, and nothing is left to do.
    memory "batond[pods=$pods]" "$pid"
    drop_batond
done
