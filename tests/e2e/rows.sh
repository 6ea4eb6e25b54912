#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a control plane's flight recording has lost is in its store: batond rows reads it, from SQLite while nobody serves, from
# etcd beside who leads, and with it the recording replays.
# usage: rows.sh BUILD_DIR [sqlite|etcd]
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/e2e/fake.sh
. "$here/fake.sh"
# shellcheck source=tests/e2e/recording.sh
. "$here/recording.sh"
# shellcheck source=tests/testlib/etcd.sh
. "$here/../testlib/etcd.sh"
store=${2:-sqlite} etcd_pid='' etcd_work=''
trap 'fake_down; etcd_down; [ -z "$etcd_work" ] || rm -rf "$etcd_work"' EXIT
trap 'exit 1' INT TERM
if [ "$store" = etcd ]; then
    [ -x /usr/bin/etcd ] || { echo "SKIP there is no etcd on this machine" && exit 77; }
    etcd_work=$(mktemp -d /tmp/baton-rows.XXXXXX)
    etcd_up "$etcd_work" || exit 1
    fake_batond_options="--store etcd --endpoints $etcd_url"
fi
fake_up "$1" "package:1 core:16 pu:2" || exit 1
control=$work/state/control
batond_pid=${fake_pids%% *}
stop() { # SIGNAL
    kill "-$1" "$batond_pid"
    wait "$batond_pid" 2>/dev/null
}
serves() { until_true 20 baton get --raw /readyz; }
rows() { # [OPTION...]
    "$fake_build/batond" rows --state "$work/state" ${etcd_url:+--endpoints "$etcd_url"} "$@"
}

# --- a store of more rows than a recording keeps ---------------------------------------------------------------------------
secret "$work/secret.yaml"
pods 1 500 >"$work/many.yaml"
pods 700 720 >"$work/some.yaml"
check "a Secret" baton apply -f "$work/secret.yaml"
check "pods that use it" baton apply -f "$work/many.yaml"
stop TERM
restart --flight-kib 4096
check "a new life" serves
check "more pods" baton apply -f "$work/some.yaml"
check "asked, it writes its own life" asked
if [ "$store" = sqlite ]; then
    check_says "from SQLite not while it serves" "must be stopped" rows --out "$work/rows"
    stop TERM
else
    check_says "which store it is must be told" "in etcd: --endpoints" "$fake_build/batond" rows --state "$work/state" --out "$work/rows"
    check_says "where nothing of ours is says so" "holds nothing under /other/" rows --out "$work/none" --etcd-prefix /other/
fi
check "what was stored is read as rows" rows --out "$work/rows"
check "without a Secret's value" secret_free "$work/rows"
check "with them the life replays to the same effects" replays "$control/flight/asked" --rows "$work/rows"
check "rows and all" grep -q "are rows of the store" "$work/replayed"
if [ "$store" = etcd ]; then
    check "and who leads goes on" baton delete -f "$work/some.yaml"
    stop TERM
fi

# --- a control plane whose beginning is forgotten ------------------------------------------------------------------------
restart --flight-kib 64
serves
pods 2000 2300 >"$work/more.yaml"
baton apply -f "$work/more.yaml" >"$work/applied" 2>&1
stop SEGV
crash=$control/flight/crash
check "by itself it is shown and not stepped" sh -c "'$1/baton-sim' --replay '$crash' | grep -q 'shown, not stepped'"
if [ "$store" = etcd ]; then
    restart --flight-kib 64
    check "another one leads already" serves
fi
check "what it stored is read as rows" rows --out "$work/rows"
[ ! -e "$crash.previous" ] || crash=$crash.previous
check "with rows every write is answered as it was" replays "$crash" --rows "$work/rows"
check "from a revision on" grep -q "^a core of what was stored at revision" "$work/replayed"
finish
