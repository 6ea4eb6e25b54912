#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The systemd units that deploy/up writes, read by systemd itself; nothing is started.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=deploy/lib.sh
. "$here/../../deploy/lib.sh"

command -v systemd-analyze >/dev/null || { skip "units: there is no systemd-analyze" && finish && exit 77; }
work=$(mktemp -d /tmp/baton-units.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

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
