#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""killed.py BATOND [ROUNDS [OPTION...]]     options: batond's

Clients create and delete objects, batond is killed (-9) under them and started again. After each round: every answer that was
given is true, nothing deleted is back, and a watcher who was there before goes on from where he was without listing again.
"""
import atexit
import http.client
import json
import os
import shutil
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "testlib"))
from batond import Batond

BATOND, STATE = sys.argv[1], tempfile.mkdtemp(prefix="baton-killed-")
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 4
OPTIONS = sys.argv[3:]
WRITERS, LIFE_S = 8, 0.8
BASE = "/api/v1/namespaces/default/"


def start():
    server = Batond(BATOND, STATE, STATE + "/log", OPTIONS)
    atexit.register(server.kill)
    if not server.ready():
        sys.exit("batond did not become ready; see " + STATE + "/log")
    return server


def identity(item):
    return item["metadata"]["uid"], int(item["metadata"]["resourceVersion"])


class Writer(threading.Thread):
    """What it was told goes into told: name -> identity, or None for deleted. One answer that never came is in no one's book."""

    def __init__(self, server, name, told):
        super().__init__()
        self.server, self.name_base, self.told, self.stopping, self.wrong = server, name, told, False, None

    def run(self):
        connection = self.server.connect()
        number = 0
        while not self.stopping:
            kind = "secrets" if number % 5 == 0 else "configmaps"
            name = "%s-%d" % (self.name_base, number)
            number += 1
            body = {"metadata": {"name": name}, "stringData" if kind == "secrets" else "data": {"a": "x" * 500}}
            try:
                status, answer = self.server.ask("POST", BASE + kind, body, connection=connection)
                if status != 201:
                    self.wrong = "create: %d %s" % (status, answer)
                    return
                self.told[kind, name] = identity(json.loads(answer))
                if number % 7 == 0:
                    del self.told[kind, name]  # Until the answer is there it may be either.
                    status, answer = self.server.ask("DELETE", BASE + kind + "/" + name, connection=connection)
                    if status == 200:
                        self.told[kind, name] = None
            except (OSError, http.client.HTTPException):
                return


def listed(server, kind):
    status, answer = server.ask("GET", BASE + kind)
    body = json.loads(answer)
    return body["metadata"]["resourceVersion"], {(kind, i["metadata"]["name"]): identity(i) for i in body["items"]}


def watched(server, since, until):
    """The names that events from since up to revision until speak of."""
    connection = server.connect()
    connection.request("GET", BASE + "configmaps?watch=1&timeoutSeconds=9&resourceVersion=" + since)
    answer, names, last = connection.getresponse(), set(), 0
    for line in answer:
        event = json.loads(line)
        if event["type"] not in ("ADDED", "MODIFIED", "DELETED"):
            sys.exit("watch from %s: %s" % (since, line))
        revision = int(event["object"]["metadata"]["resourceVersion"])
        if revision <= last:
            sys.exit("watch: revision %d after %d" % (revision, last))
        last = revision
        names.add(event["object"]["metadata"]["name"])
        if revision >= until:
            return names
    sys.exit("watch from %s ended at %d before %d" % (since, last, until))


def main():
    server, told = start(), {}
    for number in range(ROUNDS):
        since, _ = listed(server, "configmaps")
        before = set(told)
        writers = [Writer(server, "r%d-w%d" % (number, w), told) for w in range(WRITERS)]
        for w in writers:
            w.start()
        time.sleep(LIFE_S)
        server.kill()
        for w in writers:
            w.stopping = True
            w.join()
            if w.wrong:
                sys.exit(w.wrong)
        server = start()
        there = listed(server, "configmaps")[1] | listed(server, "secrets")[1]
        wrong = [k for k, v in told.items() if there.get(k) != v]
        if wrong:
            sys.exit("round %d: %d answers are not true: %s" % (number, len(wrong), wrong[:5]))
        fresh = {k[1] for k in set(told) - before if k[0] == "configmaps"}
        latest = max([v[1] for k, v in told.items() if k[0] == "configmaps" and v is not None and k not in before])
        missed = {n for n in fresh if told["configmaps", n] is not None} - watched(server, since, latest)
        if missed:
            sys.exit("round %d: the watch missed %s" % (number, sorted(missed)[:5]))
        print("round %d: %d answers true, %d changes followed across the death" % (number, len(told), len(fresh)), flush=True)
    if server.end() != 0:
        sys.exit("batond ended with %d; see %s/log" % (server.process.returncode, STATE))
    shutil.rmtree(STATE)  # After a failure it stays, to be looked at.


main()
