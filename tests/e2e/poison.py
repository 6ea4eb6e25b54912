#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""poison.py BATOND

Objects in the store are broken by hand while batond is down: bytes that do not decode, forms and versions nobody knows, a secret
that does not open. It starts all the same, serves everything else in every form, names each broken object in its log, says of it
that it does not decode, and lets it be deleted and made anew.
"""
import json
import os
import shutil
import sqlite3
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "testlib"))
from batond import Batond

BATOND, STATE = sys.argv[1], tempfile.mkdtemp(prefix="baton-poison-")
CORE = "/api/v1/namespaces/default/"
ENVELOPE = b"k8s\0\n\x0f\n\x02v1\x12\tConfigMap"
FORMS = ("application/json", "application/vnd.kubernetes.protobuf", "application/yaml",
         "application/json;as=Table;v=v1;g=meta.k8s.io")


def start():
    server = Batond(BATOND, STATE, STATE + "/log")
    assert server.ready(), "batond did not become ready"
    return server


def flip_last(value):
    return value[:-1] + bytes([value[-1] ^ 1])


# Name and kind of an object, and what becomes of its stored bytes; the first ten are a head (controlplane/store/value.h).
POISON = {
    ("configmaps", "short"): lambda v: b"\1",
    ("configmaps", "no-form"): lambda v: b"\x09" + v[1:],
    ("configmaps", "noise"): lambda v: v[:10] + os.urandom(200),
    ("configmaps", "cut"): lambda v: v[:-20],
    ("configmaps", "no-meta"): lambda v: v[:10] + ENVELOPE + b"\x12\x03\x0a\x50\x50",
    ("configmaps", "empty"): lambda v: v[:10],
    ("configmaps", "next-version"): lambda v: v[:10] + v[10:].replace(b"\x02v1", b"\x02v9", 1),
    ("configmaps", "other-kind"): lambda v: v[:10] + v[10:].replace(b"ConfigMap", b"ConfigJam", 1),
    ("secrets", "sealed"): flip_last,
    ("pods", "broken"): lambda v: v[:10] + b"k8s\0\n\x09\n\x02v1\x12\x03Pod\x12\x05\xff\xff\xff\xff\x0f",
    ("serviceaccounts", "default"): lambda v: v[:10] + b"k8s\0",
}
DECODES = {"next-version", "other-kind"}  # The bytes are in order, only not of a version or kind that is known.


def make(server, plural, name):
    spec = {"spec": {"containers": [{"name": "a", "image": "b"}]}} if plural == "pods" else {}
    return server.ask("POST", CORE + plural, {"metadata": {"name": name}, **spec})[0]


def poison():
    db = sqlite3.connect(STATE + "/control/store.db")
    for (plural, name), change in POISON.items():
        key = f"/{plural}/default/{name}"
        (rev, value), = db.execute("SELECT rev, value FROM log WHERE key = ? ORDER BY rev DESC LIMIT 1", (key,)).fetchall()
        db.execute("UPDATE log SET value = ? WHERE rev = ?", (change(value), rev))
    (rev, value), = db.execute("SELECT rev, value FROM log WHERE key = '/configmaps/default/good'").fetchall()
    top, = db.execute("SELECT max(rev) FROM log").fetchone()
    for i, key in enumerate(("/widgets/default/x", "example.com/things//y", "not a key", "baton.dev/placements/default/pods.broken",
                             "baton.dev/nodehardware//ghost", "/nodes//ghost", "/namespaces//ghost")):
        new = top + 1 + i
        db.execute("INSERT INTO log VALUES(?, 0, ?, ?)",
                   (new, key, value[:2] + new.to_bytes(8, "little") + os.urandom(60)))
    db.commit()
    db.close()


def look(server):
    for plural in ("configmaps", "secrets", "pods", "serviceaccounts"):
        for form in FORMS:
            status, text = server.ask("GET", CORE + plural, accept=form)
            assert status == 200, (plural, form, status, text[:300])
    names = {i["metadata"]["name"] for i in json.loads(server.ask("GET", CORE + "configmaps")[1])["items"]}
    assert {"good", "kube-root-ca.crt"} <= names, names
    for path in ("/api/v1/nodes", "/api/v1/namespaces", "/apis/baton.dev/v1/placements"):
        status, text = server.ask("GET", path)
        assert status == 200, (path, status, text[:300])
    status, text = server.ask("GET", CORE + "configmaps?watch=1&timeoutSeconds=1&resourceVersion=0")
    assert status == 200 and b'"good"' in text, (status, text[:300])


def main():
    server = start()
    try:
        for plural, name in list(POISON) + [("configmaps", "good")]:
            assert make(server, plural, name) in (201, 409), (plural, name)
        assert server.end() == 0
        poison()
        server = start()
        look(server)
        with open(STATE + "/log") as f:
            log = f.read()
        for plural, name in POISON:
            path = CORE + plural + "/" + name
            status, text = server.ask("GET", path)
            assert status in ((200, 500) if name in DECODES else (500,)), (plural, name, status, text[:300])
            if status == 500:
                assert b"does not decode" in text, text
                assert f"key=/{plural}/default/{name}" in log, name
            status, text = server.ask("DELETE", path + "?gracePeriodSeconds=0")
            assert status == 200, ("delete", plural, name, status, text[:300])
            assert make(server, plural, name) in (201, 409), (plural, name)
            assert server.ask("GET", path)[0] == 200, (plural, name)
        look(server)
        assert server.end() == 0
        server = start()
        look(server)
        assert server.end() == 0
    finally:
        server.kill()
    shutil.rmtree(STATE)
    print("ok")


main()
