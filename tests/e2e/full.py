#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""full.py BATOND

The disk under the store is filled to its last byte, while batond runs and while it is down (after an orderly end and after a
kill -9). What is stored is served all the time, writes are refused with 507, and with room they go through again by themselves.
"""
import ctypes
import json
import os
import signal
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "testlib"))
from batond import Batond, free_port

BATOND, STATE = sys.argv[1], tempfile.mkdtemp(prefix="baton-full-")
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def libc(name, *args):
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*args) != 0:
        raise OSError(ctypes.get_errno(), name)


PORT = free_port()  # Always the same: the kubeconfig names it, and what does not change is not written again.


def start():
    server = Batond(BATOND, STATE, "/tmp/" + os.path.basename(STATE) + ".log", port=PORT)
    assert server.ready(), "not ready on a full disk"
    return server


def create(server, name, want):
    status, text = server.ask("POST", CONFIGMAPS, {"metadata": {"name": name}, "data": {"a": "x" * 9000}})
    assert status == want, (name, status, text)
    if want == 507:
        assert json.loads(text)["reason"] == "InsufficientStorage" and b"no room" in text, text


def fill():
    for size in (65536, 4096, 1):
        try:
            with open(STATE + "/ballast", "ab", buffering=0) as f:
                while True:
                    f.write(b"b" * size)
        except OSError:
            pass


def names(server):
    return {i["metadata"]["name"] for i in json.loads(server.ask("GET", CONFIGMAPS)[1])["items"]}


def main():
    try:
        libc("mount", b"baton-full", STATE.encode(), b"tmpfs", 0, b"size=6m")
    except OSError as e:
        print("skipped: cannot mount:", e)
        os.rmdir(STATE)
        sys.exit(77)
    server = None
    try:
        server = start()
        create(server, "first", 201)
        for how, number in (("while it runs", None), ("killed", signal.SIGKILL), ("ended", signal.SIGTERM)):
            fill()
            if number is None:  # What is left in the last block of the WAL may hold some more.
                for i in range(50):
                    if server.ask("POST", CONFIGMAPS, {"metadata": {"name": f"last-{i}"}})[0] == 507:
                        break
            else:
                server.process.send_signal(number)
                server.process.wait()
                fill()
                server = start()
            create(server, "refused", 507)
            assert "first" in names(server) and "refused" not in names(server)
            os.unlink(STATE + "/ballast")
            create(server, "after-" + how.replace(" ", "-"), 201)
            print("ok: full", how)
        have = names(server)
        assert server.end() == 0
        server = start()
        assert names(server) == have
    finally:
        if server is not None:
            server.kill()
        libc("umount2", STATE.encode(), 2)
        os.rmdir(STATE)
    os.unlink("/tmp/" + os.path.basename(STATE) + ".log")


main()
