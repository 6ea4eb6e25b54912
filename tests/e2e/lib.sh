# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# What the end-to-end scripts share: counting, waiting, the kubectl binaries of this machine. Sourced.

passed=0 failed=0 skipped=0

pass() { passed=$((passed + 1)) && printf 'PASS %s\n' "$*"; }
fail() { failed=$((failed + 1)) && printf 'FAIL %s\n' "$*"; }
skip() { skipped=$((skipped + 1)) && printf 'SKIP %s\n' "$*"; }

# check WHAT COMMAND...: passes when COMMAND succeeds; prints its last lines when not.
check() {
    check_what=$1
    shift
    if check_out=$("$@" 2>&1); then
        pass "$check_what"
    else
        fail "$check_what"
        printf '%s\n' "$check_out" | tail -n 8 | sed 's/^/     /'
    fi
}

# check_says WHAT TEXT COMMAND...: its output must hold TEXT.
check_says() {
    says_what=$1 says_text=$2
    shift 2
    says_out=$("$@" 2>&1) || true
    case $says_out in
    *"$says_text"*) pass "$says_what" ;;
    *)
        fail "$says_what: no \"$says_text\" in"
        printf '%s\n' "$says_out" | tail -n 8 | sed 's/^/     /'
        ;;
    esac
}

# until_true SECONDS COMMAND...
until_true() {
    until_left=$(($1 * 5))
    shift
    until "$@" >/dev/null 2>&1; do
        until_left=$((until_left - 1))
        [ "$until_left" -gt 0 ] || return 1
        sleep 0.2
    done
}

# Whether a child has ended. Until the shell that started it waits for it, it is a zombie, which kill -0 still finds.
process_over() { ! grep -q '^State:.[^Z]' "/proc/$1/status"; }

# Every stock kubectl there is: kubectl.1.NN beside the one on the PATH, or that one alone.
kubectls() {
    kubectls_one=$(command -v kubectl) || return 0
    kubectls_dir=$(dirname "$(readlink -f "$kubectls_one")")
    if ls "$kubectls_dir"/kubectl.1.* >/dev/null 2>&1; then
        ls "$kubectls_dir"/kubectl.1.*
    else
        printf '%s\n' "$kubectls_one"
    fi
}

finish() {
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ]
}
