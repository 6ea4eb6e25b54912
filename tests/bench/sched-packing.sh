#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How well the policies pack the openb traces: mean of ten seeds, percent of GPUs allocated when 100 %
# and 130 % of the capacity was asked for, beside the published means.
# tests/bench/run sched-packing [FOLDER-OF-THE-TRACES] [SEEDS]
set -eu
folder=${1:-${BATON_TRACES:-}}
seeds=${2:-10}
cmake --build --preset bench --target baton-replay >/dev/null
nodes=$folder/openb_node_list_gpu_node.csv
if [ ! -r "$nodes" ]; then
    echo "sched-packing: openb_node_list_gpu_node.csv is missing; name the folder of the openb traces" \
        "(Apache-2.0, hkust-adsl/kubernetes-scheduler-simulator) as the first argument or in BATON_TRACES" >&2
    exit 2
fi
for trace in default cpu250 gpushare40 multigpu20; do
    pods=$folder/openb_pod_list_$trace.csv
    if [ ! -r "$pods" ]; then
        echo "sched-packing: $pods is missing, left out" >&2
        continue
    fi
    for policy in random bestfit fgd default; do
        seed=42
        while [ "$seed" -lt $((42 + seeds)) ]; do
            build/bench/baton-replay --nodes "$nodes" --pods "$pods" --policy "$policy" --seed "$seed"
            seed=$((seed + 1))
        done | awk -v what="$trace,$policy" '
            $1 == 100 || $1 == 130 { sum[$1] += $2; count[$1]++ }
            END { for (at = 100; at <= 130; at += 30)
                printf "sched-packing allocated_at_%d[%s] %.2f %%\n", at, what, sum[at] / count[at] }'
    done
    published=$folder/fgd_allocated_percent.csv
    [ -r "$published" ] && awk -F, -v trace="openb_pod_list_$trace" '
        NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        $1 == trace && ($2 ~ /Random|BestFit|FGD/) { count[$2]++
            low[$2] += $column["100"]; high[$2] += $column["130"] }
        END { for (p in count) {
            printf "sched-packing published_at_100[%s,%s] %.2f %%\n", trace, p, low[p] / count[p]
            printf "sched-packing published_at_130[%s,%s] %.2f %%\n", trace, p, high[p] / count[p] } }' "$published"
done
