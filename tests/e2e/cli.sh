#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The command line as an operator meets it on a bad day: wrong arguments, no server, the wrong kubeconfig. 0: done; 1: it did
# not work, said on stderr with what to do; 2: called wrongly.
# usage: cli.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/e2e/fake.sh
. "$here/fake.sh"

trap fake_down EXIT
trap 'exit 1' INT TERM
fake_up "$1" "numa:1(memory=4GB) core:4 pu:1" || { fail "a cluster of one fake node" && finish && exit 1; }

# says STATUS TEXT ARGUMENTS...: exit status, and TEXT on stderr for a status above 0, on stdout for 0.
says() {
    says_status=$1 says_text=$2
    shift 2
    timeout 60 "$fake_build/baton" "$@" >"$work/out" 2>"$work/err" </dev/null
    says_got=$?
    if [ "$says_status" -eq 0 ]; then says_where=$work/out; else says_where=$work/err; fi
    if [ "$says_got" -eq "$says_status" ] && grep -qF -- "$says_text" "$says_where"; then
        pass "baton $*"
    else
        fail "baton $*: status $says_got, not $says_status, or no \"$says_text\" in"
        cat "$work/out" "$work/err"
    fi
}

# --- called wrongly ------------------------------------------------------------------------------------------------------
says 2 "there is no command nonsense; baton help lists them" nonsense
says 2 "there is no option --nonsense; baton help lists them" --nonsense
says 2 "--namespace needs a value" get pods -n
says 2 "--kubeconfig needs a value" --kubeconfig= get pods
says 2 "-n a/b is not a namespace" get pods -n a/b
says 2 "-o table: say json or yaml" get pods -o table
says 2 "usage: baton info" info x
for command in why logs run apply delete wait token console; do says 2 "usage: baton $command" "$command"; done
for command in why topo node get; do says 2 "usage: baton $command" "$command" -x; done
says 2 "forget: say which node" node forget
says 2 "c: one NAME at most" get pods a c
says 2 "-A does not go with it" get pods a -A
says 2 "--raw wants a path" get --raw readyz
says 2 "is not a span of time" logs x --since 5y
says 2 "is not a span of time" wait node --for condition=Ready --timeout 1x
says 2 "is none of condition=TYPE" wait node --for "jsonpath={.status.conditions[0].type}=Ready"
says 2 "is none of condition=TYPE" wait node --for jsonpath=status.phase
says 2 "from 60s to 7d" token create --ttl 30s
says 2 "a command stands behind --" run oci:x:latest sleep
says 2 "there is no command frob" help frob
says 2 "by KIND/NAME or by -f FILE" delete --no-wait
says 2 "--grace soon is not a span of time" delete pod/a --grace soon
says 2 "standard input is not a terminal" console x

# --- nobody hears it -----------------------------------------------------------------------------------------------------
full() { "$fake_build/baton" get namespaces >/dev/full 2>"$work/err"; [ $? -eq 1 ] && grep -q "standard output: No space left" "$work/err"; }
check "what could not be written is no success" full
short() { "$fake_build/baton" get --help 2>"$work/err" | true; ! grep . "$work/err"; }
check "and whoever stops reading is told nothing" short

# --- does not work -------------------------------------------------------------------------------------------------------
says 1 'pods "none" not found' get pods none
says 1 'pods "none" not found' get pod/none
says 1 'the server has no resource "nonsense"' get nonsense
says 1 'pods "a b?c#d" not found' get pods 'a b?c#d'
says 1 '"a/../../x" is not a name' get pods a/../../x
says 1 '"one/status" is not a name' node one/status
says 1 '"x/y" is not a name' why pod/x/y
says 1 '".." is not a name' get pods ..
says 1 "the name none is bound to no key" node forget none
says 1 '"a/b" is not a name' node forget a/b
says 1 "no such node: none" topo none
says 1 'no pod and no virtual machine is called "none" in namespace other' why none -n other
says 1 "open /none: No such file" apply -f /none
says 1 "open /none: No such file" delete -f /none
says 1 'pods "none" not found' delete pod/none
says 1 'pods "none" not found' delete pod none
says 1 '"web" is not KIND/NAME' delete web
says 1 'pods "a?[31m?b" not found' get pods "$(printf 'a\033[31m\302\233b')" # What others named does not drive a terminal.
says 1 'pods "a?[31m?b" not found' wait "pod/$(printf 'a\033[31m\302\233b')" --for condition=Ready --timeout 1s
says 1 "pods: not so after 1 s" wait pods --for condition=Ready --timeout 1s
says 1 'namespaces "none" not found' -n none run oci:x:latest -d

# --- works ---------------------------------------------------------------------------------------------------------------
says 0 "usage: baton [OPTIONS] COMMAND" help
says 0 "usage: baton [OPTIONS] COMMAND"
says 0 "--for delete" wait --help
says 0 "1 of 1 Ready" info
says 0 '"ready": 1' info -o json
says 0 "clientVersion:" version -o yaml
for program in batond baton-agent; do
    check_says "$program --version" "$program 0." "$fake_build/$program" --version
    check_says "$program --help" "usage: $program" "$fake_build/$program" --help
done
says 0 "core 0" topo
says 0 "pod/first" run --name first -d oci:x:latest
says 0 "pod/first: met" wait pod/first --for jsonpath=status.phase=Running --timeout 1m
says 0 "pod/first: met" wait pod/first --for "jsonpath={.status.phase}=Running" --timeout 1s # As kubectl has it.
says 0 "node      one" why first
says 0 "first" get pod/first --wide
escaped() { ! baton logs pod/first -c 'a&tailLines=x' 2>&1 | grep "query parameter"; }
check "a container's name is no part of the query's syntax" escaped
says 0 "." token create --ttl 1h30m
nothing() { [ "$(baton get pods -n kube-system 2>&1)" = "there are no pods in namespace kube-system" ]; }
check "an empty list says so, on stderr alone" nothing
printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"odd"},"spec":{"hostPID":true,"containers":[{"name":"c","image":"x:1"}]}}' >"$work/odd.json"
check_says "a server's warning is shown" "Warning: spec.hostPID: stored, but not carried out yet" baton apply -f "$work/odd.json"
no_blanks() { ! baton get pods | grep -q ' $'; }
check "columns end without blanks" no_blanks
long=$(printf '%063d' 0 | tr 0 a)
says 0 "pod/$long" run --name "$long" -d oci:x:latest
aligned() { [ "$(baton get pods | awk '{print index($0, $2)}' | sort -u | wc -l)" -eq 1 ]; }
check "columns stay aligned beside a name of 63 letters" aligned
says 0 "pods/$long deleted" delete "pod/$long" --grace 0
says 1 "not found" get "pod/$long"
two() { printf '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"two"}}\n---\n{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"in","namespace":"two"}}\n'; }
two >"$work/two.yaml"
for one in p1 p2; do printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s"},"spec":{"containers":[{"name":"c","image":"x:1"}]}}' "$one" >"$work/$one.yaml"; done
says 0 "namespaces/two created" apply -f "$work/two.yaml"
printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"three","namespace":"two"}}' >"$work/three.json"
says 0 "configmaps/in unchanged" apply -f "$work/two.yaml" -f "$work/three.json"
says 0 "configmaps/three deleted" delete -f "$work/three.json"
: >"$work/empty.yaml"
says 1 "empty.yaml: it holds no object" apply -f "$work/two.yaml" -f "$work/empty.yaml"
says 0 "pod/default/p1" plan "$work/p1.yaml" "$work/p2.yaml"
says 0 "pod/default/p2" plan -f "$work/p1.yaml" -f "$work/p2.yaml"
says 2 "by KIND/NAME or by -f FILE" delete pod/a -f "$work/two.yaml"
says 0 "namespaces/two deleted" delete -f "$work/two.yaml"
says 1 'configmaps "in" not found' delete -f "$work/two.yaml"
says 0 "pod/stays" run --name stays -d oci:x:latest -- sleep
says 1 'pods "none" not found' delete pod/stays pod/none --no-wait --grace 1s
check_says "what else was named goes all the same" "met" baton wait pod/stays --for delete
says 0 "pod/lasts" run --name lasts -d oci:x:latest -- sleep
"$fake_build/baton" wait pod/lasts --for delete --timeout 50s >/dev/null &
waits=$!
sleep 0.5
kill -9 "${fake_pids%% *}"
wait "${fake_pids%% *}" 2>/dev/null # On a busy machine it holds lock and port for a while yet.
"$fake_build/batond" --state "$work/state" --listen 127.0.0.1 --port "$port" >>"$work/batond.log" 2>&1 &
fake_pids="${fake_pids#* } $!"
until_true 20 baton get --raw /readyz
says 0 "pods/lasts deleted" delete pod lasts --grace 0
wait "$waits"
check "whoever waits does so through a start of the control plane" [ $? -eq 0 ]
no_escapes() { ! baton topo | grep -q "$(printf '\033')"; }
check "no escape sequences" no_escapes

# --- the wrong kubeconfig --------------------------------------------------------------------------------------------------
good=$KUBECONFIG
bad() { KUBECONFIG=$work/bad says "$@"; }
KUBECONFIG=/none says 1 "there is no kubeconfig /none: say --kubeconfig FILE, or set KUBECONFIG" get pods
KUBECONFIG=/none:/none2 says 1 "(one file, not a list of them)" get pods
: >"$work/bad" && bad 1 "$work/bad is empty" get pods
echo 'a: [' >"$work/bad" && bad 1 "$work/bad: line 2" get pods
sed 's/^current-context: .*/current-context: other/' "$good" >"$work/bad" && bad 1 'no context "other"' get pods
sed 's#https://#http://#' "$good" >"$work/bad" && bad 1 "server is not an https:// address" get pods
sed "s/:$port/:1/" "$good" >"$work/bad" && bad 1 "https://127.0.0.1:1: connect: connection refused" get pods
sed "s/127.0.0.1:$port/nowhere.invalid:1/" "$good" >"$work/bad" && bad 1 "https://nowhere.invalid:1: resolve" get pods
sed 's/client-key-data: .*/client-key-data: bm8=/' "$good" >"$work/bad" && bad 1 "$work/bad: certificate and key" get pods
grep -v 'client-' "$good" >"$work/bad" && bad 1 'User "system:anonymous" cannot' get pods
{ grep -v 'client-' "$good" && printf '    token: abc\n'; } >"$work/bad" && bad 1 "does not know whoever $work/bad names" get pods

# Signed by the cluster's own CA, and over.
pki=$work/state/control/pki
openssl req -new -key "$pki/admin.key" -subj /O=system:masters/CN=admin -out "$work/csr" 2>/dev/null
openssl x509 -req -in "$work/csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -days 0 -out "$work/over.crt" 2>/dev/null
sleep 1.1
sed "s/client-certificate-data: .*/client-certificate-data: $(base64 -w 0 "$work/over.crt")/" "$good" >"$work/bad"
bad 1 "has ended" get pods
# Another cluster's.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other.key" -subj /CN=other -days 1 -out "$work/other.crt" 2>/dev/null
sed "s/certificate-authority-data: .*/certificate-authority-data: $(base64 -w 0 "$work/other.crt")/" "$good" >"$work/bad"
bad 1 "server's certificate" get pods
sed "s/client-certificate-data: .*/client-certificate-data: $(base64 -w 0 "$work/other.crt")/; s/client-key-data: .*/client-key-data: $(base64 -w 0 "$work/other.key")/" \
    "$good" >"$work/bad"
bad 1 "127.0.0.1:$port" get pods
finish
