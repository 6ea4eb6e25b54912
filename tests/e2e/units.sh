#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What keeps our programs running: the systemd units that deploy/up writes, read by systemd itself, nothing is started of them; and
# deploy/supervise where there is no systemd, with a program that sleeps.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=deploy/lib.sh
. "$here/../../deploy/lib.sh"

work=$(mktemp -d /tmp/baton-units.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# --- deploy/supervise ----------------------------------------------------------------------------------------------------
# The programs that it uses are called by name: ours tell it to end at just that moment, and then do their work.
mkdir -p "$work/path" "$work/s"
told_during() {
    rm -rf "$work/s" "$work/path"
    mkdir -p "$work/path" "$work/s"
    # shellcheck disable=SC2016 # It is the other script's.
    printf '#!/bin/sh\nkill -TERM "$(cat "%s/run/x.pid")"\nexec %s "$@"\n' "$work/s" "$(command -v "$1")" >"$work/path/$1"
    chmod 0755 "$work/path/$1"
    shift
    # Whoever is not ended ends in the time of a failed check: it leaves nobody behind.
    PATH=$work/path:$PATH timeout -s KILL 20 "$here/../../deploy/supervise" "$work/s" x "$@" &
    ends_pid=$!
    until_true 5 sh -c "! kill -0 $ends_pid 2>/dev/null" && [ ! -e "$work/s/run/x.pid" ]
}
check "supervise ends when it is told before it has begun its program" told_during date /bin/sleep 15
check "and while it waits until it begins it again" told_during sleep /bin/false
ends_with() {
    rm -rf "$work/s" && mkdir -p "$work/s"
    timeout -s KILL 20 "$here/../../deploy/supervise" "$work/s" x /bin/sleep 15 &
    ends_pid=$!
    until_true 5 test -e "$work/s/run/x.pid" && sleep 0.5
    kill -TERM "$(cat "$work/s/run/x.pid")"
    until_true 5 sh -c "! kill -0 $ends_pid 2>/dev/null"
}
check "and with its program" ends_with

# --- the state folder ----------------------------------------------------------------------------------------------------
same_folder() { # DIR SAID...: each of them is DIR.
    same_want=$1
    shift
    for same_said; do [ "$(cd "$work" && state_folder "$same_said")" = "$same_want" ] || return 1; done
}
mkdir -p "$work/real" && ln -s real "$work/link"
check "one state folder has one name, however it is said" \
    same_folder "$work/real" "$work/real" "$work/real/" "$work//real/." "real" "./real/" "$work/link" "link/"
refused() { ! (state_folder "$1") 2>/dev/null; }
check "a path with a space is refused" refused "$work/a b"
check "as is the root" refused "/."
check "and no path" refused ""

# --- systemd -------------------------------------------------------------------------------------------------------------
command -v systemd-analyze >/dev/null || { skip "units: there is no systemd-analyze" && finish && exit 77; }

# verify NAME COMMAND...: what systemd says about the unit, everything of which is a fault.
verify() {
    unit_file=$work/$(unit_of "$state" "$1")
    unit_text "$state" "$@" >"$unit_file"
    said=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no --recursive-errors=no "$unit_file" 2>&1)
    status=$?
    printf '%s' "$said" # Also warnings: a misspelt setting is one.
    [ "$status" -eq 0 ] && [ -z "$said" ]
}

for state in "$work/baton" "$work/a 100% odd \$tate"; do
    mkdir -p "$state/bin" "$state/agent" "$state/log"
    printf '#!/bin/sh\n' >"$state/bin/batond"
    cp "$state/bin/batond" "$state/bin/baton-agent"
    chmod 0755 "$state"/bin/*
    check "batond's unit of ${state##*/}" verify batond "$state/bin/batond" --state "$state" --port 6443
    check "the agent's unit of ${state##*/}" verify agent "$state/bin/baton-agent" --state "$state/agent" \
        --server 127.0.0.1:6443 --token-file "$state/agent/token"
done
check_says "a path with odd letters stays one word" "\"--state\" \"$work/a 100%% odd \$tate\" \"--port\"" \
    unit_text "$state" batond "$state/bin/batond" --state "$state" --port 6443
names_differ() { [ "$(unit_of /a/baton batond)" != "$(unit_of /b/baton batond)" ]; }
check "two state folders of one name have different units" names_differ

# That verify() can fail: a setting that systemd does not know, and a program that is not there.
misspelt() { unit_text "$state" batond /bin/true | sed 's/^Restart=/Restrat=/' >"$work/bad.service" && systemd-analyze verify --man=no "$work/bad.service"; }
check_says "(systemd names a misspelt setting)" "Restrat" misspelt
absent() { ! verify batond "$work/no such program"; }
check_says "(and a program that is not there)" "no such program" absent
finish
