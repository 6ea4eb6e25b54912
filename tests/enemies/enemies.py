# SPDX-License-Identifier: Apache-2.0
"""Runs the enemies one after the other beside an honest client, whose latency it asserts: enemies.py PORT PID PKI [CASE...]"""
import resource
import traceback

import agent_enemies
import http_enemies
import tls_enemies
from peer import *  # pylint: disable=wildcard-import,unused-wildcard-import

BOUND_MIB = 192  # Of growth, over all cases together; a sanitizer's shadow included.
P99_MS = 1000  # Of a request meanwhile, with sanitizers on a machine that does other things, too.
NEWCOMER_MS = 5000  # Of a connection and its first request.


class Honest:
    """The client that asks all the time (probe.py), a process of its own."""

    def __init__(self):
        here = os.path.dirname(os.path.abspath(__file__))
        self.child = subprocess.Popen([sys.executable, here + "/probe.py", str(PORT), PKI], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        self.child.stdout.readline()

    def lap(self):
        """How it was served since the last lap."""
        self.child.stdin.write("lap\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def end(self):
        self.child.stdin.close()
        self.child.wait()


def run(case, honest):
    honest.lap()
    began = time.time()
    said = case()
    took = time.time() - began
    lap = honest.lap()
    row = (f"{case.__name__:26} {took:5.1f} s  {lap['p50']:4.0f} {lap['p99']:5.0f} {lap['newcomer']:5.0f}  {said}")
    assert lap["failed"] == 0, f"{lap['failed']} of the honest client's requests failed: {lap['why']}; {row}"
    if case not in http_enemies.FULL:
        assert lap["turned_away"] == 0, f"newcomers were turned away: {lap['why']}; {row}"
    assert lap["p99"] < P99_MS and lap["newcomer"] < NEWCOMER_MS, f"others wait: {row}"
    return row


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    for _ in range(100):
        try:
            if ask("/readyz")[0] == 200:
                break
        except OSError:
            pass
        time.sleep(0.1)
    ask("/openapi/v3/api/v1")
    honest = Honest()
    time.sleep(1)
    start, failed = rss_mib(), 0
    wanted = sys.argv[4:]
    print("     case                          took  p50   p99 newcomer (ms, of others meanwhile)")
    for case in http_enemies.CASES + tls_enemies.CASES + agent_enemies.CASES:
        if wanted and case.__name__ not in wanted:
            continue
        try:
            print("ok   " + run(case, honest), flush=True)
        except Exception as e:  # pylint: disable=broad-except
            failed += 1
            traceback.print_exc(limit=-3)
            print(f"FAIL {case.__name__:26} {type(e).__name__}: {e}", flush=True)
    honest.end()
    grown = rss_mib() - start
    print(f"{'ok  ' if grown < BOUND_MIB else 'FAIL'} memory                     grew by {grown:.0f} MiB of {BOUND_MIB}")
    sys.exit(1 if failed or grown >= BOUND_MIB else 0)


main()
