#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/e2e/big.sh BATOND   answers larger than any buffer, against a real batond.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d /tmp/baton-big.XXXXXX)
pid=
finish() {
    if [ -n "$pid" ]; then
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT INT TERM
# shellcheck source=tests/testlib/batond.sh
. "$here/../testlib/batond.sh"
batond_start "${1:?usage: tests/e2e/big.sh BATOND}" "$work/state"
"$here/big.py" "$BATON_SERVER" "$BATON_CA" "$BATON_CERT" "$BATON_KEY"
