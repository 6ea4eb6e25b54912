#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What batond and an agent hold while nothing happens, and what they compute: a cluster of one real node first, then what both
# hold for each machine that runs there (beyond QEMU itself), then a batond whose pods were created through the API. Needs root.
# Pss; Rss beside it as NAME_rss. For machines memory of the processes' own: QEMU's libraries are theirs, too.
# tests/bench/run idle-memory [SECONDS [PODS...]]    prints "idle-memory METRIC VALUE UNIT"; default 30 1000 100000
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/batond.sh
. tests/bench/batond.sh
# shellcheck source=tests/e2e/lib.sh
. tests/e2e/lib.sh
# shellcheck source=tests/testlib/cluster.sh
. tests/testlib/cluster.sh
# shellcheck source=deploy/samples/layout.sh
. deploy/samples/layout.sh
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

own_kib() { awk '/^Anonymous:/ { print $2 }' "/proc/$1/smaps_rollup"; }

machines=16

# machine NAME: of 32 MiB without a disk, whose guest is tests/pvh.
machine() {
    cat <<EOF
{"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "metadata": {"name": "$1"},
 "spec": {"terminationGracePeriodSeconds": 0, "domain": {"machine": {"type": "microvm"}, "memory": {"guest": "32Mi"},
  "resources": {"requests": {"cpu": "10m"}}, "devices": {}, "firmware": {"kernelBoot": {"kernelArgs": "rounds=0 hold",
   "container": {"image": "oci:pvh:latest", "kernelPath": "/boot/kernel"}}}}}}
EOF
}

# What a machine costs both beyond QEMU: the first one has opened what all share.
measure_machines() {
    for i in $(seq 0 "$machines"); do
        machine "m$i" | cluster_baton apply -f - >/dev/null
        cluster_baton wait "vmi/m$i" --for jsonpath=status.phase=Running --timeout 60s >/dev/null
        [ "$i" -gt 0 ] || { sleep 3; control=$(own_kib "$batond_pid") agent=$(own_kib "$agent_pid"); }
    done
    sleep 3
    awk -v b="$(($(own_kib "$batond_pid") - control))" -v a="$(($(own_kib "$agent_pid") - agent))" -v n="$machines" \
        'BEGIN { printf "idle-memory batond_per_machine %.0f KiB\nidle-memory agent_per_machine %.0f KiB\n", b / n, a / n }'
    for i in $(seq 0 "$machines"); do
        cluster_baton delete "vmi/m$i" >/dev/null
    done
}

# cluster_stop waits for what it killed, and set -e would end on that.
trap 'cluster_stop >/dev/null 2>&1 || true; cleanup' EXIT
if [ "$(id -u)" -eq 0 ]; then
    mkdir -p "$work/root/boot"
    cp build/bench/pvh.elf "$work/root/boot/kernel"
    layout_write "$work/cluster/images/pvh" latest "$work/root" '{}'
    cluster_start "$PWD/build/bench" "$work/cluster"
    sleep 5
    control=$(cpu_ns "$batond_pid") agent=$(cpu_ns "$agent_pid")
    sleep "$seconds"
    awk -v b="$(($(cpu_ns "$batond_pid") - control))" -v a="$(($(cpu_ns "$agent_pid") - agent))" -v s="$seconds" \
        'BEGIN { printf "idle-memory batond_cpu %.2f %%\nidle-memory agent_cpu %.2f %%\n", b / s / 1e7, a / s / 1e7 }'
    memory batond "$batond_pid"
    memory agent "$agent_pid"
    measure_machines
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
