# SPDX-License-Identifier: Apache-2.0
"""Hostile clients of the API: each function is one, says what it saw, and fails by an exception."""
from peer import *  # pylint: disable=wildcard-import,unused-wildcard-import


def half_open():
    """Connects and says nothing."""
    peers = [plain() for _ in range(50)]
    assert all(is_closed_within(p, 6) for p in peers)
    return "closed after the handshake's time"


def slow_head():
    """A byte of a head now and then."""
    s = h1()
    s.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\nX-")
    began = time.time()
    s.settimeout(8)
    got = read_all(s)
    assert got.startswith(b"HTTP/1.1 408 "), got[:80]
    assert time.time() - began < 6
    return "408"


def half_head():
    """Some of a request's headers over HTTP/2, and nothing more on that connection: RFC 9113 lets no other frame come between."""
    h = H2()
    h.send(frame(HEADERS, 0, 1, GET_VERSION[:3]))
    began = time.time()
    assert is_closed_within(h.s, 10), "it is waited for"
    assert time.time() - began < 6
    return "closed"


def slow_body():
    s = h1()
    s.sendall(b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    s.settimeout(10)
    got = read_all(s)
    assert got.startswith(b"HTTP/1.1 408 "), got[:80]
    return "408"


def endless_head():
    s = h1()
    got = b""
    try:
        s.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n")
        for i in range(100000):
            s.sendall(b"X-%d: %s\r\n" % (i, b"a" * 1000))
    except (ssl.SSLError, ConnectionError):
        pass
    got = read_all(s)
    assert got == b"" or got.startswith(b"HTTP/1.1 431 "), got[:80]
    return "431, then closed"


def endless_body():
    s = h1()
    try:
        s.sendall(b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(2000):
            s.sendall(b"8000\r\n" + b"a" * 0x8000 + b"\r\n")
    except (ssl.SSLError, ConnectionError):
        pass
    got = read_all(s)
    assert got == b"" or got.startswith(b"HTTP/1.1 413 "), got[:80]
    return "413, then closed"


def many_half_bodies():
    """Streams that announce bodies and send half: held up to the connection's budget, then 429."""
    h = H2()
    next(h.frames(5))
    h.send(frame(SETTINGS, 1, 0))  # Acknowledged: the server's larger windows hold from here.
    for i in range(80):
        h.send(frame(HEADERS, 4, 2 * i + 1, head(b"POST", b"/api/v1/namespaces/default/configmaps")))
        for _ in range(12):
            h.send(frame(DATA, 0, 2 * i + 1, b"a" * 16384))
        time.sleep(0.01)  # Within its flow control: the windows open again as it takes the bytes.
    began, early, late = time.time(), 0, 0
    try:
        for kind, _, _, _ in h.frames(6):
            early += kind == HEADERS and time.time() - began < 1
            late += kind == HEADERS and time.time() - began >= 1
    except TimeoutError:
        pass
    h.s.close()
    assert early >= 30 and early + late == 80, (early, late)
    return f"{early} of 80 answered at once (429), {late} when their time was over (408)"


def rapid_reset():
    h = H2()
    sid, sent = 1, 0
    try:
        while sid < 60000:
            data = b""
            for _ in range(200):
                data += frame(HEADERS, 5, sid, GET_VERSION) + frame(RST, 0, sid, struct.pack(">I", 8))
                sid += 2
                sent += 1
            h.send(data)
    except (ssl.SSLError, ConnectionError):
        pass
    end = h.end(10)
    assert end in ("closed", "goaway 11", "goaway 1"), end
    return f"{end} after at most {sent} resets"


def continuation_flood():
    h = H2()
    try:
        h.send(frame(HEADERS, 1, 1, GET_VERSION))
        for i in range(20000):
            h.send(frame(CONTINUATION, 0, 1, literal(b"x-%d" % i, b"a" * 100)))
    except (ssl.SSLError, ConnectionError):
        pass
    end = h.end(10)
    assert end.startswith(("closed", "goaway")), end
    return end


def ping_flood():
    h = H2()
    end = h.flood(frame(PING, 0, 0, b"12345678") * 500)
    assert end in ("closed", "goaway 11"), end
    return end


def settings_flood():
    h = H2()
    end = h.flood(frame(SETTINGS, 0, 0) * 500)
    assert end in ("closed", "goaway 11"), end
    return end


def empty_data_flood():
    h = H2()
    h.send(frame(HEADERS, 4, 1, head(b"POST", b"/api/v1/namespaces/default/configmaps")))
    end = h.flood(frame(DATA, 0, 1) * 500)
    assert end in ("closed", "goaway 11"), end
    return end


def zero_window():
    """Asks and never opens its window: the stream is reset after the stall limit."""
    h = H2(window=0)
    h.send(frame(HEADERS, 5, 1, head(b"GET", b"/openapi/v3/api/v1")))
    began = time.time()
    for kind, _, sid, payload in h.frames(15):
        if kind == RST and sid == 1:
            assert 2 < time.time() - began < 9
            h.s.close()
            return f"RST_STREAM {int.from_bytes(payload, 'big')} after {time.time() - began:.1f} s"
    raise AssertionError("closed without a reset")


def does_not_read_tcp():
    """Asks for much, a hundred times, and does not read from its socket."""
    peers = []
    for _ in range(5):
        h = H2(window=0x7fffffff)
        h.send(frame(WINDOW, 0, 0, struct.pack(">I", 0x7fff0000)))
        for i in range(100):
            h.send(frame(HEADERS, 5, 2 * i + 1, head(b"GET", b"/openapi/v3/api/v1")))
        peers.append(h)
    time.sleep(7)
    grown = rss_mib()
    for h in peers:
        h.s.close()
    return f"{grown:.0f} MiB resident meanwhile"


def silent_connections():
    """Ten thousand that say nothing: the house is full, and whoever comes with a name is let in all the same."""
    peers = []
    for i in range(10000):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", PORT))
        peers.append(s)
        if i % 100 == 99:
            time.sleep(0.01)
    time.sleep(0.5)
    began = time.time()
    assert ask("/readyz")[0] == 200
    took, grown = time.time() - began, rss_mib()
    for s in peers:
        s.close()
    assert took < 2, took
    return f"another came in within {took * 1000:.0f} ms; {grown:.0f} MiB resident"


def nameless_connections():
    """Handshakes without a certificate, and then nothing: the oldest of too many is closed."""
    peers = [h1(cert=False) for _ in range(240)]
    named = h1()
    closed = sum(is_closed_within(s, 0.01) for s in peers[:60])
    alive = sum(not is_closed_within(s, 0.01) for s in peers[-60:])
    named.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert named.recv(4096).startswith(b"HTTP/1.1 200 ")
    for s in peers + [named]:
        s.close()
    assert closed == 60 and alive >= 55, (closed, alive)  # Spread by the kernel, not evenly.
    return "the oldest closed, the youngest stay"


def named_connections():
    """More connections with certificates than are served: nobody is sent away for them."""
    peers, told = [], 0
    for _ in range(700):  # Of 300, and a few more on each thread that are told.
        try:
            peers.append(h1())
        except (ssl.SSLError, ConnectionError, OSError):
            pass
    for s in peers[-60:]:
        try:
            s.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
            s.settimeout(5)
            answer = s.recv(4096)
            told += answer.startswith(b"HTTP/1.1 503 ") and b"etry-after" in answer
        except (ssl.SSLError, ConnectionError, OSError):
            pass
    first = peers[0]
    first.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert first.recv(4096).startswith(b"HTTP/1.1 200 ")
    grown = rss_mib()
    for s in peers:
        s.close()
    assert told > 0 and len(peers) < 700, (told, len(peers))
    time.sleep(1)
    return f"{len(peers)} stood, {told} of the last 60 told 503; {grown:.0f} MiB resident"


def watchers_that_never_read():
    name = f"enemy-{os.getpid()}"
    peers = []
    for _ in range(20):
        h = H2(window=65535)
        for i in range(10):
            h.send(frame(HEADERS, 5, 2 * i + 1,
                         head(b"GET", b"/api/v1/namespaces/default/configmaps?watch=true")))
        peers.append(h)
    big = "x" * 200000
    slowest = 0.0
    for i in range(40):
        began = time.time()
        status, body = ask("/api/v1/namespaces/default/configmaps", "POST",
                           json.dumps({"apiVersion": "v1", "kind": "ConfigMap",
                                       "metadata": {"name": f"{name}-{i}"}, "data": {"a": big}}).encode())
        assert status == 201, (status, body[:200])
        slowest = max(slowest, time.time() - began)
    grown = rss_mib()
    for h in peers:
        h.s.close()
    assert slowest < 2, slowest
    return f"200 watchers, 8 MB of changes: slowest create {slowest * 1000:.0f} ms, {grown:.0f} MiB resident"


def lists_that_nobody_reads():
    """A hundred lists of 8 MB as JSON, asked for and not read: by closed windows, and by sockets left full."""
    name = f"long-{os.getpid()}"
    for i in range(40):
        status, _ = ask("/api/v1/namespaces/default/configmaps", "POST",
                        json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-{i}"},
                                    "data": {"a": "y" * 200000}}).encode())
        assert status == 201, status
    before, peers = rss_mib(), []
    for k in range(20):
        h = H2(window=0 if k % 2 else 0x7fffffff)
        if k % 2 == 0:
            h.send(frame(WINDOW, 0, 0, struct.pack(">I", 0x7fff0000)))
        for i in range(5):
            h.send(frame(HEADERS, 5, 2 * i + 1, head(b"GET", b"/api/v1/namespaces/default/configmaps")))
        peers.append(h)
    time.sleep(2)
    grown = rss_mib() - before
    for h in peers:
        h.s.close()
    assert grown < 128, f"{grown:.0f} MiB for lists of 800 MB"
    return f"100 lists of 8 MB: {grown:.0f} MiB"


def nested_json():
    deep = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":' + b'{"a":' * 5000 + b"1" + b"}" * 5001
    status, _ = ask("/api/v1/namespaces/default/configmaps", "POST", deep)
    assert status in (400, 413, 422), status
    return str(status)


def nested_protobuf():
    body = b""
    for _ in range(2000):
        body = b"\x0a" + varint(len(body)) + body
    status, _ = ask("/api/v1/namespaces/default/configmaps", "POST", b"k8s\0" + body,
                    "Content-Type: application/vnd.kubernetes.protobuf\r\n")
    assert status in (400, 413, 415, 422), status
    return str(status)


def strange_text():
    out = []
    for text in (b"a\\u0000b", b"\xff\xfe", b"\xed\xa0\x80"):
        status, _ = ask("/api/v1/namespaces/default/configmaps", "POST",
                        b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"t"},"data":{"k":"' + text + b'"}}')
        assert status in (400, 422), (text, status)
        out.append(str(status))
    return " ".join(out)


def huge_quantity():
    status, _ = ask("/api/v1/namespaces/default/pods", "POST", json.dumps(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "q"}, "spec": {"containers": [
            {"name": "a", "image": "b", "resources": {"requests": {"cpu": "1" * 1000000}}}]}}).encode())
    assert status in (400, 413, 422), status
    return str(status)


def another_ca():
    """A certificate for system:masters, signed by a CA of the enemy's own."""
    with tempfile.TemporaryDirectory() as d:
        run = lambda *a: subprocess.run(a, check=True, capture_output=True, cwd=d)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
            "-out", "ca.pem", "-subj", "/CN=baton", "-days", "2")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "admin.key",
            "-out", "admin.csr", "-subj", "/O=system:masters/CN=admin")
        run("openssl", "x509", "-req", "-in", "admin.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "admin.crt", "-days", "2")
        status, _ = ask("/api/v1/namespaces", pki=d)
    assert status == 401, status
    return "401"


def noise():
    """Bytes that are no TLS, and TLS records that are no handshake."""
    for bytes_ in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"\x16\x03\x01\xff\xff" + b"\0" * 70000):
        s = plain()
        try:
            s.sendall(bytes_)
        except ConnectionError:
            pass
        assert is_closed_within(s, 6)
    return "closed"


CASES = [half_open, noise, slow_head, half_head, slow_body, endless_head, endless_body, many_half_bodies, rapid_reset,
         continuation_flood, ping_flood, settings_flood, empty_data_flood, zero_window, does_not_read_tcp,
         watchers_that_never_read, lists_that_nobody_reads, nested_json, nested_protobuf, strange_text, huge_quantity,
         another_ca, silent_connections, nameless_connections, named_connections]
FULL = [named_connections]  # Everybody inside has a name: newcomers are turned away.
