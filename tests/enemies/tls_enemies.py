# SPDX-License-Identifier: Apache-2.0
"""Enemies of the handshake and of what TLS allows behind it."""
from peer import *  # pylint: disable=wildcard-import,unused-wildcard-import


def openssl(*args, cwd=None, **more):
    return subprocess.run(("openssl",) + args, cwd=cwd, capture_output=True, check=True, **more)


def hello():
    """A real client's first flight."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    o = context("h2", cert=False).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    try:
        o.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def half_handshakes():
    """A thousand hellos a second, and no answer to what the server says: half of the dearest work for nothing."""
    peers, first, until, sent = [], hello(), time.time() + 3, 0
    while time.time() < until:
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", PORT))
        peers.append(s)
        if len(peers) > 50:  # It stands by now.
            try:
                peers[-50].send(first)
                sent += 1
            except OSError:
                pass
        time.sleep(0.001)
    for s in peers:
        s.close()
    return f"{sent} hellos"


def slow_handshakes():
    """A byte of a hello now and then: the time for a handshake runs from its first byte's turn."""
    peers, first = [plain() for _ in range(50)], hello()
    began = time.time()
    for i in range(60):
        for s in peers:
            try:
                s.send(first[i:i + 1])
            except OSError:
                pass
        time.sleep(0.05)
    assert all(is_closed_within(s, 4) for s in peers)
    assert time.time() - began < 8
    return "closed after the handshake's time"


def handshake_flood():
    """Whole handshakes with a certificate, as fast as two processes can, none resumed."""
    flood = ["openssl", "s_time", "-connect", f"127.0.0.1:{PORT}", "-new", "-time", "3", "-cert", PKI + "/admin.crt",
             "-key", PKI + "/admin.key", "-CAfile", PKI + "/ca.crt"]
    children = [subprocess.Popen(flood, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(2)]
    done = sum(int(m.group(1)) for c in children for m in re.finditer(r"(\d+) connections in \d+ real", c.communicate()[0]))
    return f"{done} handshakes in 3 s, in order"


def make_chain(d, length):
    """A leaf signed by the last of so many CAs: its key, and the chain as it is sent."""
    def request(name):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key", "-out",
                name + ".csr", "-subj", "/O=system:masters/CN=" + name, cwd=d)
    with open(d + "/ca.ext", "w", encoding="ascii") as f:
        f.write("basicConstraints=critical,CA:true\n")
    names = ["root"] + [f"ca{i}" for i in range(length)] + ["admin"]
    request("root")
    openssl("x509", "-req", "-in", "root.csr", "-signkey", "root.key", "-out", "root.crt", "-days", "2", "-extfile", "ca.ext", cwd=d)
    for by, name in zip(names, names[1:]):
        request(name)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", by + ".crt", "-CAkey", by + ".key", "-set_serial", "7", "-out",
                name + ".crt", "-days", "2", *(("-extfile", "ca.ext") if name != "admin" else ()), cwd=d)
    with open(d + "/chain.pem", "w", encoding="ascii") as out:
        for name in reversed(names):
            with open(f"{d}/{name}.crt", encoding="ascii") as f:
                out.write(f.read())
    return d + "/admin.key", d + "/chain.pem"


def long_chain():
    """A leaf behind eight CAs of the enemy's own; and one behind a chain of more than 16 KiB."""
    with tempfile.TemporaryDirectory() as d:
        key, chain = make_chain(d, 8)
        status, _ = ask("/api/v1/namespaces", cert=(chain, key))
        assert status == 401, status
        with open(chain, encoding="ascii") as f:
            text = f.read()
        with open(d + "/huge.pem", "w", encoding="ascii") as f:
            f.write(text * 5)
        for _ in range(10):
            try:
                status, _ = ask("/api/v1/namespaces", cert=(d + "/huge.pem", key))
                raise AssertionError(f"a chain of {5 * len(text)} bytes was answered {status}")
            except (ssl.SSLError, ConnectionError, IndexError, ValueError):
                pass
    return "401; more than 16 KiB end the handshake"


def many_certificates():
    """One certificate after the other, each with a key of its own, of another CA and in its words."""
    with tempfile.TemporaryDirectory() as d:
        for i in range(20):
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{i}.key", "-out",
                    f"{i}.crt", "-subj", f"/O=system:masters/CN=admin-{i}", "-days", "2", cwd=d)
        seen = {ask("/api/v1/namespaces", cert=(f"{d}/{i % 20}.crt", f"{d}/{i % 20}.key"))[0] for i in range(100)}
    assert seen == {401}, seen
    return "401 each"


def interactive(lines, *options):
    """openssl s_client, with lines typed one after the other: its commands. How many it got rid of before the end."""
    c = subprocess.Popen(("openssl", "s_client", "-connect", f"127.0.0.1:{PORT}", "-CAfile", PKI + "/ca.crt") + options,
                         stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    typed = 0
    try:
        for line in lines:
            c.stdin.write(line)
            c.stdin.flush()
            typed += 1
            time.sleep(0.001)
        c.wait(5)
    except (BrokenPipeError, subprocess.TimeoutExpired):
        pass
    ended = c.poll() is not None
    c.kill()
    c.wait()
    return typed, ended


def key_updates():
    """New keys asked for again and again (RFC 8446 4.6.3), nothing said between."""
    typed, ended = interactive([b"K\n"] * 3000, "-tls1_3")
    assert ended and typed < 3000, (typed, ended)
    return f"closed within {typed} of them"


def renegotiation():
    """TLS 1.2: a handshake within the connection."""
    _, ended = interactive([b"R\n"] * 20, "-tls1_2")
    assert ended
    return "refused, closed"


CASES = [half_handshakes, slow_handshakes, handshake_flood, long_chain, many_certificates, key_updates, renegotiation]
