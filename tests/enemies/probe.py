# SPDX-License-Identifier: Apache-2.0
"""An honest client: a GET and a create every 20 ms on one connection, and every 250 ms a connection of its own with one GET.
probe.py PORT PKI; a line on its input is answered by a line of JSON: how it was served since the last one."""
import json
import select
import socket
import ssl
import sys
import time

PORT, PKI = int(sys.argv[1]), sys.argv[2]
MAPS = "/api/v1/namespaces/honest/configmaps"


class Connection:
    def __init__(self):
        c = ssl.create_default_context(cafile=PKI + "/ca.crt")
        c.set_alpn_protocols(["http/1.1"])
        c.load_cert_chain(PKI + "/admin.crt", PKI + "/admin.key")
        self.s = c.wrap_socket(socket.create_connection(("127.0.0.1", PORT), timeout=20), server_hostname="127.0.0.1")

    def ask(self, method, path, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        self.s.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        got = b""
        while b"\r\n\r\n" not in got:
            got += self.more()
        head, _, rest = got.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(rest) < length:
            rest += self.more()
        return int(head.split(b" ", 2)[1])

    def more(self):
        piece = self.s.recv(65536)
        if not piece:
            raise ConnectionError("closed")
        return piece


class Probe:
    def __init__(self):
        self.connection, self.number = Connection(), 0
        self.connection.ask("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "honest"}})
        self.clear()

    def clear(self):
        self.took, self.newcomers, self.failed, self.turned_away, self.why = [], [], 0, 0, ""

    def timed(self, to, wanted, do):
        began = time.time()
        try:
            status = do()
            if status not in wanted:
                raise ConnectionError(f"answered {status}")
        except (OSError, StopIteration) as e:
            self.why = str(e)
            if to is self.newcomers:
                self.turned_away += 1
                return
            self.failed += 1
            self.connection = Connection()
        to.append((time.time() - began) * 1000)

    def tick(self):
        self.number += 1
        name, c = f"m-{self.number}", self.connection
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}}
        self.timed(self.took, (200,), lambda: c.ask("GET", "/api/v1/namespaces/honest"))
        self.timed(self.took, (201,), lambda: self.connection.ask("POST", MAPS, body))
        self.connection.ask("DELETE", MAPS + "/" + name)

    def newcomer(self):
        def come():
            c = Connection()
            status = c.ask("GET", "/readyz")
            c.s.close()
            return status
        self.timed(self.newcomers, (200,), come)

    def lap(self):
        took = sorted(self.took) or [0]
        out = {"p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100], "requests": len(self.took),
               "newcomer": max(self.newcomers or [0]), "failed": self.failed,
               "turned_away": self.turned_away, "why": self.why}
        self.clear()
        return out


def main():
    probe, ticks = Probe(), 0
    print("ready", flush=True)
    while True:
        began = time.time()
        probe.tick()
        ticks += 1
        if ticks % 12 == 0:
            probe.newcomer()
        left = max(0, began + 0.02 - time.time())
        if select.select([sys.stdin], [], [], left)[0]:
            if not sys.stdin.readline():
                return
            print(json.dumps(probe.lap()), flush=True)


main()
