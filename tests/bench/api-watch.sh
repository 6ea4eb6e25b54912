#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Events to 1,000 watchers of 100 pods that change 10, 100 and 1,000 times a second, as JSON and as protobuf; then with
# ten more watchers that do not read, and with a connection for each watcher.
# tests/bench/run api-watch [SECONDS]    prints "api-watch METRIC VALUE UNIT"
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/batond.sh
. tests/bench/batond.sh
cmake --build --preset bench --target batond watch-load >/dev/null
seconds=${1:-8}

# row FORM CONNECTIONS CHANGES IDLE
row() {
    build/bench/watch-load "$work/state" "$port" "$pid" "$1" 1000 "$2" "$3" "$4" "$seconds" | sed 's/^/api-watch /'
}

start_batond
for form in json protobuf; do
    for changes in 10 100 1000; do
        row "$form" 10 "$changes" 0
    done
done
row json 10 100 10
row json 1000 100 0
drop_batond
