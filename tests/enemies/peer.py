# SPDX-License-Identifier: Apache-2.0
"""What enemies are made of: TLS connections, HTTP/1.1 and HTTP/2 by hand, gRPC and protobuf by hand."""
import json
import os
import re
import select
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

PORT, PID, PKI = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
LOG = os.environ.get("BATON_ENEMIES_LOG")


def rss_mib():
    with open(f"/proc/{PID}/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmRSS"))


def context(alpn, cert=True, pki=None):
    """cert: the administrator's (True), none (False), or (certificate, key)."""
    c = ssl.create_default_context(cafile=PKI + "/ca.crt")
    c.set_alpn_protocols([alpn])
    if isinstance(cert, tuple):
        c.load_cert_chain(*cert)
    elif cert:
        c.load_cert_chain((pki or PKI) + "/admin.crt", (pki or PKI) + "/admin.key")
    return c


def plain():
    s = socket.create_connection(("127.0.0.1", PORT), timeout=20)
    return s


def h1(cert=True, pki=None):
    return context("http/1.1", cert, pki).wrap_socket(plain(), server_hostname="127.0.0.1")


def ask(path, method="GET", body=None, headers="", pki=None, cert=True):
    """One request over HTTP/1.1: status and body."""
    s = h1(cert=cert, pki=pki)
    data = b"" if body is None else body
    s.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(data)}\r\n"
              f"{headers}\r\n".encode() + data)
    got = read_all(s)
    return int(got.split(b" ", 2)[1]), got.split(b"\r\n\r\n", 1)[-1]


def read_all(s):
    got = b""
    try:
        while True:
            piece = s.recv(65536)
            if not piece:
                return got
            got += piece
    except (ssl.SSLError, ConnectionError):
        return got


def is_closed_within(s, seconds):
    s.settimeout(seconds)
    try:
        while s.recv(65536):
            pass
        return True
    except (ssl.SSLError, ConnectionError) as e:
        return not isinstance(e, (socket.timeout, TimeoutError))
    except (socket.timeout, TimeoutError):
        return False


# ---- HTTP/2 by hand (RFC 9113) ----

DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
GET_VERSION = bytes([0x82, 0x87, 0x04, 8]) + b"/version" + bytes([0x41, 1]) + b"x"


def literal(name, value):
    return bytes([0x00, len(name)]) + name + bytes([len(value)]) + value


def head(method, path):
    return literal(b":method", method) + literal(b":path", path) + bytes([0x87]) + literal(b":authority", b"x")


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class H2:
    def __init__(self, window=None, cert=True):
        self.s = context("h2", cert).wrap_socket(plain(), server_hostname="127.0.0.1")
        settings = b"" if window is None else struct.pack(">HI", 4, window)
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings))
        self.buffer = b""

    def send(self, data):
        self.s.sendall(data)

    def frames(self, seconds):
        """Frames until the peer closes or time is over."""
        until = time.time() + seconds
        while True:
            while len(self.buffer) >= 9:
                size = int.from_bytes(self.buffer[:3], "big")
                if len(self.buffer) < 9 + size:
                    break
                kind, flags, stream = self.buffer[3], self.buffer[4], int.from_bytes(self.buffer[5:9], "big")
                payload, self.buffer = self.buffer[9:9 + size], self.buffer[9 + size:]
                yield kind, flags, stream, payload
            left = until - time.time()
            if left <= 0:
                raise TimeoutError("the server neither closed nor said GOAWAY")
            self.s.settimeout(left)
            try:
                piece = self.s.recv(65536)
            except (ssl.SSLError, ConnectionError) as e:
                if isinstance(e, (socket.timeout, TimeoutError)):
                    raise TimeoutError("the server neither closed nor said GOAWAY") from e
                return
            if not piece:
                return
            self.buffer += piece

    def flood(self, data, seconds=20):
        """Send for ever; what the server says in the end: "goaway CODE" or "closed"."""
        try:
            for _ in range(400):
                self.send(data)
                ready, _, _ = select.select([self.s], [], [], 0)
                if ready and self.s.pending() == 0:
                    pass
        except (ssl.SSLError, ConnectionError):
            pass
        return self.end(seconds)

    def end(self, seconds):
        for kind, _, _, payload in self.frames(seconds):
            if kind == GOAWAY:
                return f"goaway {int.from_bytes(payload[4:8], 'big')}"
        return "closed"


# ---- protobuf and gRPC by hand ----

def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    """A field: a number as a varint, text and bytes with their length."""
    if isinstance(value, (int, bool)):
        return varint(number << 3) + varint(int(value))
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def fields(data):
    """What a message holds: number and value, one after the other."""
    def number(at):
        n = shift = 0
        while True:
            n |= (data[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if data[at - 1] < 128:
                return n, at
    at = 0
    while at < len(data):
        key, at = number(at)
        value, at = number(at)
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        yield key >> 3, value


def message(data):
    return b"\0" + struct.pack(">I", len(data)) + data


class Call(H2):
    """One gRPC call on a connection of its own; pem: (certificate, key), or False."""

    def __init__(self, path, pem=False):
        super().__init__(window=0x7fffffff, cert=pem)
        self.send(frame(WINDOW, 0, 0, struct.pack(">I", 0x7fff0000)))
        self.send(frame(HEADERS, 4, 1, head(b"POST", path) + literal(b"content-type", b"application/grpc")))
        self.got, self.window, self.total = b"", 65535, 65535

    def say(self, data, end=False):
        data = message(data)
        for at in range(0, len(data), 16384):
            piece = data[at:at + 16384]
            self.send(frame(DATA, 1 if end and at + 16384 >= len(data) else 0, 1, piece))

    def say_within_window(self, data, seconds):
        """DATA as far as the peer lets it (RFC 9113 5.2), until that much time is over: how many bytes."""
        until, sent = time.time() + seconds, 0
        while time.time() < until:
            if min(self.window, self.total) >= len(data):
                self.send(data)
                self.window, self.total, sent = self.window - len(data), self.total - len(data), sent + len(data)
                if not select.select([self.s], [], [], 0)[0] and self.s.pending() == 0:
                    continue
            try:
                kind, _, stream, payload = next(self.frames(min(0.2, max(0.01, until - time.time()))))
            except TimeoutError:
                continue
            if kind == WINDOW and stream == 0:
                self.total += int.from_bytes(payload, "big")
            elif kind == WINDOW:
                self.window += int.from_bytes(payload, "big")
            elif kind == SETTINGS and payload:
                self.send(frame(SETTINGS, 1, 0))  # What they say of windows holds from then on.
                for at in range(0, len(payload), 6):
                    name, value = struct.unpack(">HI", payload[at:at + 6])
                    self.window += value - 65535 if name == 4 else 0
            if kind == GOAWAY or kind == RST:
                raise ConnectionError(f"ended within its window: frame {kind}, {payload[-4:].hex()}")
        return sent

    def answer(self, seconds=10):
        """The next message; None: the call has ended."""
        if self.whole():
            return self.take()
        for kind, flags, stream, payload in self.frames(seconds):
            if kind == DATA and stream == 1:
                self.got += payload
            if self.whole():
                return self.take()
            if (kind in (HEADERS, DATA) and flags & 1) or kind == RST or kind == GOAWAY:
                return None
        return None

    def whole(self):
        return len(self.got) >= 5 and len(self.got) >= 5 + int.from_bytes(self.got[1:5], "big")

    def take(self):
        size = int.from_bytes(self.got[1:5], "big")
        data, self.got = self.got[5:5 + size], self.got[5 + size:]
        return data


def log_since(at):
    with open(LOG, encoding="utf-8", errors="replace") as f:
        f.seek(at)
        return f.read()


def log_end():
    return os.path.getsize(LOG)


def wait_for_log(at, text, seconds=5):
    until = time.time() + seconds
    while text not in log_since(at):
        assert time.time() < until, f"the log does not say {text!r}: {log_since(at)[-500:]}"
        time.sleep(0.05)
