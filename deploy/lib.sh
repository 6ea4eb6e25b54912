# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# What deploy/up and deploy/down share: where things are, how a program is started, stopped and asked after. Sourced.
#
# A program is started by systemd where systemd runs (unit baton-CLUSTER-NAME.service), by deploy/supervise
# elsewhere. CLUSTER is the name of the state folder with a short hash of its path, so that several clusters on one
# machine never meet.

say() { printf '%s\n' "$*"; }
step() { printf '  %-12s %s\n' "$1" "$2"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# state_folder DIR: the one name that a folder has, from the root and without links: units, locks and mounts are found by it.
state_folder() {
    case $1 in '' | *[[:space:]]*) die "--state \"$1\" must be a path without spaces" ;; esac
    state_found=$(readlink -m -- "$1") || die "--state $1 is no path"
    [ "$state_found" != / ] || die "--state $1 is the root of everything"
    printf '%s' "$state_found"
}

# cluster_of DIR: the name that units carry; what no unit's name may hold becomes _.
cluster_of() {
    printf '%s-%s' "$(basename "$1" | tr -c 'A-Za-z0-9_.\n-' _)" "$(printf '%s' "$1" | sha256sum | cut -c1-6)"
}

has_systemd() { [ -d /run/systemd/system ]; }
unit_of() { printf 'baton-%s-%s.service' "$(cluster_of "$1")" "$2"; }

# is_running DIR NAME
is_running() {
    if has_systemd; then
        systemctl is-active --quiet "$(unit_of "$1" "$2")"
    else
        [ -s "$1/run/$2.pid" ] && ! flock -n "$1/run/$2.lock" true
    fi
}

# unit_word TEXT: one word of a unit's command line (systemd.service(5), Command lines): quoted, no specifier.
unit_word() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g; s/%/%%/g')"; }

# unit_text DIR NAME COMMAND...
unit_text() {
    unit_dir=$(printf '%s' "$1" | sed 's/%/%%/g') unit_name=$2
    shift 2
    # However often it dies it is started again: systemd's own limit (5 in 10 s) would leave it dead for ever.
    printf '[Unit]\nDescription=Baton %s of %s\nAfter=network.target\nStartLimitIntervalSec=0\n\n' "$unit_name" "$unit_dir"
    printf '[Service]\nExecStart=:' # The colon: no variables.
    for unit_arg; do unit_word "$unit_arg" && printf ' '; done
    printf '\nRestart=always\nRestartSec=1\nUMask=0077\n'
    # Workloads are children of the agent by birth and must outlive it.
    printf 'KillMode=process\nLimitNOFILE=1048576\nTasksMax=infinity\nDelegate=yes\n'
    printf 'StandardOutput=append:%s/log/%s.log\nStandardError=inherit\n\n' "$unit_dir" "$unit_name"
    printf '[Install]\nWantedBy=multi-user.target\n'
}

# start DIR NAME COMMAND...: starts it unless it runs. Whatever it dies of, it is started again: by systemd after 1 s, by
# deploy/supervise after 1 to 30 s.
start() {
    start_dir=$1 start_name=$2
    shift 2
    if is_running "$start_dir" "$start_name"; then
        return 0
    fi
    if has_systemd; then
        unit_text "$start_dir" "$start_name" "$@" >"/etc/systemd/system/$(unit_of "$start_dir" "$start_name")"
        systemctl daemon-reload
        systemctl enable --quiet --now "$(unit_of "$start_dir" "$start_name")"
    else
        setsid "$start_dir/share/supervise" "$start_dir" "$start_name" "$@" </dev/null >/dev/null 2>&1 &
    fi
}

# stop DIR NAME: ends it and waits until it is gone; the unit goes too.
stop() {
    if has_systemd; then
        stop_unit=$(unit_of "$1" "$2")
        [ -e "/etc/systemd/system/$stop_unit" ] || return 0
        systemctl disable --quiet --now "$stop_unit"
        rm -f "/etc/systemd/system/$stop_unit"
        systemctl daemon-reload
        return 0
    fi
    is_running "$1" "$2" || return 0
    kill -TERM "$(cat "$1/run/$2.pid")"
    flock -w 30 "$1/run/$2.lock" true || die "$2 did not end within 30 s; see $1/log/$2.log"
    rm -f "$1/run/$2.pid"
}

# wait_for SECONDS WHAT LOG COMMAND...: runs COMMAND until it succeeds, a dot each second; fails with the log's end.
wait_for() {
    wait_left=$1 wait_what=$2 wait_log=$3
    shift 3
    until "$@" >/dev/null 2>&1; do
        wait_left=$((wait_left - 1))
        if [ "$wait_left" -le 0 ]; then
            say ""
            [ ! -s "$wait_log" ] || tail -n 15 "$wait_log" >&2
            die "$wait_what did not happen in time; the log is $wait_log"
        fi
        sleep 1
    done
}
