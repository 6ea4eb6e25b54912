#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pods patched over TLS, in each form of a patch.
# tests/bench/run api-patch [PATCHES]    prints "api-patch METRIC VALUE UNIT"
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/batond.sh
. tests/bench/batond.sh
cmake --build --preset bench --target batond patch-load >/dev/null

start_batond
build/bench/patch-load "$work/state" "$port" "$pid" "${1:-10000}" | sed 's/^/api-patch /'
drop_batond
