#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""full.py BATOND

The disk under the store is filled to its last byte, while batond runs and while it is down (after an orderly end and after a
kill -9). What is stored is served all the time, writes are refused with 507, and with room they go through again by themselves.
"""
import ctypes
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

BATOND, STATE = sys.argv[1], tempfile.mkdtemp(prefix="baton-full-")
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def libc(name, *args):
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*args) != 0:
        raise OSError(ctypes.get_errno(), name)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


PORT = free_port()  # Always the same: the kubeconfig names it, and what does not change is not written again.


def start():
    port = PORT
    with open("/tmp/" + os.path.basename(STATE) + ".log", "a") as log:
        return port, subprocess.Popen([BATOND, "--state", STATE, "--listen", "127.0.0.1", "--port", str(port)],
                                      stdout=log, stderr=subprocess.STDOUT)


def ask(port, verb, path, body=None):
    context = ssl.create_default_context(cafile=STATE + "/control/pki/ca.crt")
    context.load_cert_chain(STATE + "/control/pki/admin.crt", STATE + "/control/pki/admin.key")
    c = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    c.request(verb, path, body, {"Content-Type": "application/json"})
    answer = c.getresponse()
    return answer.status, answer.read().decode()


def ready(port, process):
    for _ in range(400):
        try:
            if ask(port, "GET", "/readyz")[0] == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        assert process.poll() is None, "batond ended"
        time.sleep(0.05)
    raise AssertionError("not ready on a full disk")


def create(port, name, want):
    status, text = ask(port, "POST", CONFIGMAPS, json.dumps({"metadata": {"name": name}, "data": {"a": "x" * 9000}}))
    assert status == want, (name, status, text)
    if want == 507:
        assert json.loads(text)["reason"] == "InsufficientStorage" and "no room" in text, text


def fill():
    for size in (65536, 4096, 1):
        try:
            with open(STATE + "/ballast", "ab", buffering=0) as f:
                while True:
                    f.write(b"b" * size)
        except OSError:
            pass


def names(port):
    return {i["metadata"]["name"] for i in json.loads(ask(port, "GET", CONFIGMAPS)[1])["items"]}


def main():
    try:
        libc("mount", b"baton-full", STATE.encode(), b"tmpfs", 0, b"size=6m")
    except OSError as e:
        print("skipped: cannot mount:", e)
        os.rmdir(STATE)
        sys.exit(77)
    process = None
    try:
        port, process = start()
        ready(port, process)
        create(port, "first", 201)
        for how, number in (("while it runs", None), ("killed", signal.SIGKILL), ("ended", signal.SIGTERM)):
            fill()
            if number is None:  # What is left in the last block of the WAL may hold some more.
                for i in range(50):
                    if ask(port, "POST", CONFIGMAPS, json.dumps({"metadata": {"name": f"last-{i}"}}))[0] == 507:
                        break
            else:
                process.send_signal(number)
                process.wait()
                fill()
                port, process = start()
                ready(port, process)
            create(port, "refused", 507)
            assert "first" in names(port) and "refused" not in names(port)
            os.unlink(STATE + "/ballast")
            create(port, "after-" + how.replace(" ", "-"), 201)
            print("ok: full", how)
        have = names(port)
        process.terminate()
        assert process.wait() == 0
        port, process = start()
        ready(port, process)
        assert names(port) == have
    finally:
        if process is not None:
            process.kill()
            process.wait()
        libc("umount2", STATE.encode(), 2)
        os.rmdir(STATE)
    os.unlink("/tmp/" + os.path.basename(STATE) + ".log")


main()
