# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# For tests to source: a control plane of one's own.
# $here is the sourcing script's folder, beside testlib/.
# batond_start BATOND STATE_DIR   sets pid, BATON_SERVER, BATON_CERT, BATON_KEY, BATON_CA; waits until ready.
batond_start() {
    # shellcheck disable=SC2154 # The script that sources this has it.
    port=$("$here/../testlib/free-port")
    mkdir -p "$2"
    "$1" --state "$2" --listen 127.0.0.1 --port "$port" --io-threads "${BATON_IO_THREADS:-2}" >"$2.log" 2>&1 &
    pid=$!
    BATON_SERVER=https://127.0.0.1:$port
    BATON_CA=$2/control/pki/ca.crt BATON_CERT=$2/control/pki/admin.crt BATON_KEY=$2/control/pki/admin.key
    tries=0
    until curl -sf --cacert "$BATON_CA" "$BATON_SERVER/readyz" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ] || ! kill -0 "$pid" 2>/dev/null; then
            echo "batond did not become ready:" >&2
            tail -n 20 "$2.log" >&2
            return 1
        fi
        sleep 0.1
    done
    export BATON_SERVER BATON_CA BATON_CERT BATON_KEY
}
