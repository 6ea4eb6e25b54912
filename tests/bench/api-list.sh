#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Lists of placed pods as JSON, Table and protobuf, whole and in pages of 500, by one client and by eight.
# [MILLISECONDS=1500] tests/bench/run api-list [PODS...]    each phase that long; prints "api-list METRIC VALUE UNIT"; default 10000 100000
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/batond.sh
. tests/bench/batond.sh
cmake --build --preset bench --target batond api-load list-load >/dev/null
[ $# -gt 0 ] || set -- 10000 100000
for pods in "$@"; do
    start_batond
    build/bench/api-load "$work/state" "$port" "$pid" $((pods / 500 + 1)) "$pods" 64 >/dev/null
    build/bench/list-load "$work/state" "$port" "$pid" "${MILLISECONDS:-1500}" |
        sed "s/^\([a-z0-9_]*\)\[/api-list \1[pods=$pods,/; s/^creates_alone/api-list creates_alone[pods=$pods]/"
    drop_batond
done
