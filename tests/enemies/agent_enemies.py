# SPDX-License-Identifier: Apache-2.0
"""Hostile agents, and those who would be one: tokens, names, sessions, reports."""
import atexit
import shutil

from peer import *  # pylint: disable=wildcard-import,unused-wildcard-import

JOIN, SESSION = b"/baton.agent.v1.Agent/Join", b"/baton.agent.v1.Agent/Session"
DIR = tempfile.mkdtemp(prefix="baton-enemies-agents.")
atexit.register(shutil.rmtree, DIR, True)
NODES = {}  # Name to (certificate, key).


def token():
    status, body = ask("/apis/baton.dev/v1/jointokens", "POST", b"")
    assert status in (200, 201), (status, body)
    return json.loads(body)["token"] if "token" in json.loads(body) else json.loads(body)["status"]["token"]


def request(name):
    """A key and a certificate request of its own."""
    key, csr = f"{DIR}/{name}.{len(os.listdir(DIR))}.key", f"{DIR}/csr"
    subprocess.run(("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", csr,
                    "-subj", "/CN=x"), check=True, capture_output=True)
    with open(csr, encoding="ascii") as f:
        return key, f.read()


def join(name, tok):
    """The certificate and its key; None: refused."""
    key, csr = request(name)
    call = Call(JOIN)
    call.say(field(1, tok) + field(2, csr) + field(3, name), end=True)
    reply = call.answer()
    call.s.close()
    if reply is None:
        return None
    pem = key[:-3] + "crt"
    with open(pem, "wb") as f:
        f.write(dict(fields(reply))[1])
    return pem, key


def node(name):
    if name not in NODES:
        NODES[name] = join(name, token())
        assert NODES[name], f"{name} could not join"
    return NODES[name]


def hello(name):
    return field(1, field(1, 1) + field(2, 1) + field(3, "enemy") + field(4, "boot") + field(6, name))


def hardware(subnet=None, address="127.0.0.9"):
    """A machine of one core, as its agent tells it (proto/baton/v1.proto)."""
    numa = field(HW["NumaNode"]["memory_bytes"], 1 << 34)
    n = HW["NodeHardwareSpec"]
    spec = (field(n["sockets"], b"") + field(n["numa_nodes"], numa) + field(n["cache_domains"], b"") + field(n["cores"], b"") +
            field(n["threads"], b"") + field(n["host_addresses"], address))
    if subnet is not None:
        spec += field(n["pod_network"], field(HW["PodNetwork"]["subnet"], subnet))
    return field(2, field(1, spec))


def renewal(sequence):
    return field(3, field(1, sequence) + field(2, 1))


def report(uid, sequence, phase=6, gone=False):
    return field(4, field(1, uid) + field(5, phase) + field(11, gone) + field(15, sequence))


def numbers():
    """Fields' numbers by message, from the .proto itself."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../proto/baton/v1.proto")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    return {m.group(1): {k: int(v) for k, v in re.findall(r"(\w+) = (\d+)", m.group(2))}
            for m in re.finditer(r"message (\w+) \{(.*?)\n\}", text, re.S)}


HW = numbers()


def session(name, machine=True):
    c = Call(SESSION, node(name))
    c.say(hello(name))
    assert c.answer() is not None, "no HelloReply"
    if machine:
        c.say(hardware())
    return c


def get(path):
    status, body = ask(path)
    return json.loads(body) if status == 200 else None


def until(what, seconds=5):
    end = time.time() + seconds
    while not what():
        assert time.time() < end, "it did not happen"
        time.sleep(0.05)


def condition(name, kind):
    n = get(f"/api/v1/nodes/{name}") or {}
    return next((c for c in n.get("status", {}).get("conditions", []) if c["type"] == kind), {})


# ---- tokens ----

def token_reused():
    """A join token is good for one machine."""
    tok = token()
    at = log_end()
    assert join("honest-1", tok) and join("second", tok) is None
    wait_for_log(at, "used up")
    return "PERMISSION_DENIED"


def tokens_guessed():
    """A thousand guesses on one connection, with certificate requests that cost something to verify; and as bearer."""
    _, csr = request("guess")
    at = log_end()
    h, refused = H2(window=0x7fffffff, cert=False), 0
    for i in range(1000):
        q = field(1, f"{os.urandom(5).hex()[:10]}.{os.urandom(16).hex()}") + field(2, csr) + field(3, f"guess-{i}")
        h.send(frame(HEADERS, 4, 2 * i + 1, head(b"POST", JOIN) + literal(b"content-type", b"application/grpc")) +
               frame(DATA, 1, 2 * i + 1, message(q)))
        if i % 100 == 99:
            for kind, _, stream, _ in h.frames(10):
                refused += kind == HEADERS
                if stream == 2 * i + 1 and kind == HEADERS:
                    break
    h.s.close()
    bearer = {ask("/api/v1/namespaces", headers=f"Authorization: Bearer {os.urandom(5).hex()[:10]}.{os.urandom(16).hex()}\r\n",
                  cert=False)[0] for _ in range(50)}
    assert refused == 1000 and bearer == {401}, (refused, bearer)
    lines = log_since(at).count("node.join_refused")
    assert 0 < lines <= 40, f"{lines} lines of the log are a guesser's"  # Ten a thread and minute; two threads, two minutes.
    return "PERMISSION_DENIED; 401 as a bearer's; ten lines a minute, then their number"


def another_key():
    """A good token, and a name that belongs to another key."""
    node("victim")
    at = log_end()
    assert join("victim", token()) is None
    wait_for_log(at, "belongs to another key")
    return "ALREADY_EXISTS"


# ---- names ----

def two_of_one_name():
    """A copied disk: two agents with one key. The later session is the node's; the earlier one is told and ended."""
    at = log_end()
    first, second = session("victim"), session("victim")
    end = time.time() + 5
    while first.answer(5) is not None:
        assert time.time() < end
    wait_for_log(at, "the node opened another session")
    second.say(renewal(1))
    assert any(1 == 1 for _ in iter(second.answer, None)), "the later one is not served"
    second.s.close()
    return "the later one's; the earlier is ended"


def writes_of_others():
    """A node's certificate against what is not its own."""
    cert = node("mallory")
    keep = session("victim")
    until(lambda: condition("victim", "Ready").get("status") == "True")
    tries = [("PATCH", "/api/v1/nodes/victim", b'{"spec":{"unschedulable":true}}'), ("PUT", "/api/v1/nodes/victim", b"{}"),
             ("DELETE", "/api/v1/nodes/victim", None), ("GET", "/api/v1/namespaces/kube-system/secrets", None),
             ("GET", "/api/v1/namespaces/kube-system/secrets/node-key-victim", None),
             ("DELETE", "/api/v1/namespaces/kube-system/secrets/node-key-victim", None),
             ("POST", "/apis/baton.dev/v1/jointokens", b""), ("POST", "/api/v1/namespaces/default/pods", b"{}"),
             ("PATCH", "/apis/baton.dev/v1/nodehardware/victim", b"{}"), ("DELETE", "/api/v1/namespaces/default/pods/x", None)]
    for method, path, body in tries:
        kind = "Content-Type: application/merge-patch+json\r\n" if method == "PATCH" else ""
        status, answer = ask(path, method, body, headers=kind, cert=cert)
        assert status == 403, (method, path, status, answer[:200])
    keep.s.close()
    return f"403, {len(tries)} times"


def reports_of_others():
    """Says that another node's pod failed, and is gone; and tells of workloads nobody placed."""
    keep, enemy = session("victim"), session("mallory")
    until(lambda: condition("victim", "Ready").get("status") == "True" and condition("mallory", "Ready").get("status") == "True")
    status, body = ask("/api/v1/namespaces/default/pods", "POST", json.dumps(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "prey"}, "spec": {
            "nodeSelector": {"kubernetes.io/hostname": "victim"}, "containers": [{"name": "a", "image": "b"}]}}).encode())
    assert status == 201, (status, body[:300])
    assert json.loads(body)["spec"].get("nodeName") == "victim", body[:500]
    uid = get("/apis/baton.dev/v1/namespaces/default/placements/pods.prey")["metadata"]["uid"]
    enemy.say(report(uid, 1))
    enemy.say(report(uid, 2, gone=True))
    enemy.say(report("00000000-0000-4000-8000-000000000000", 3))
    until(lambda: condition("mallory", "baton.dev/UnknownWorkload").get("status") == "True")
    assert get("/apis/baton.dev/v1/namespaces/default/placements/pods.prey") is not None
    pod = get("/api/v1/namespaces/default/pods/prey")
    assert pod["status"]["phase"] == "Pending", pod["status"]
    for s in (keep, enemy):
        s.s.close()
    return "not heard; its own Node is marked"


def machine(name):
    return [a["address"] for a in get(f"/api/v1/nodes/{name}")["status"]["addresses"] if a["type"] == "InternalIP"]


def addresses_of_others():
    """Says that its neighbour's part of the pod network, and then all of it, is its own; then its neighbour's machine's."""
    keep, enemy = session("victim"), session("mallory")
    until(lambda: get("/api/v1/nodes/victim") is not None and get("/api/v1/nodes/mallory") is not None)
    theirs = get("/api/v1/nodes/victim")["spec"]["podCIDR"]
    own = get("/api/v1/nodes/mallory")["spec"]["podCIDR"]
    for claim in (theirs, "0.0.0.0/1"):
        enemy.say(hardware(subnet=claim))
        until(lambda: claim in condition("mallory", "baton.dev/SubnetClaimed").get("message", ""))
        assert get("/api/v1/nodes/mallory")["spec"]["podCIDR"] == own
        assert get("/apis/baton.dev/v1/nodehardware/mallory")["spec"]["podNetwork"]["subnet"] == own
    assert get("/api/v1/nodes/victim")["spec"]["podCIDR"] == theirs
    keep.say(hardware(address="192.0.2.50"))
    until(lambda: machine("victim") == ["192.0.2.50"])
    for claim in ("192.0.2.50", theirs.replace(".0/24", ".7")):
        enemy.say(hardware(address=claim))
        until(lambda: claim in condition("mallory", "baton.dev/AddressClaimed").get("message", ""))
        assert machine("mallory") == [] and machine("victim") == ["192.0.2.50"]
    enemy.say(hardware(address="192.0.2.51"))
    until(lambda: machine("mallory") == ["192.0.2.51"])
    for s in (keep, enemy):
        s.s.close()
    return "not believed; its own Node is marked"


# ---- floods ----

def session_flood():
    """Renewals and made-up reports as fast as its window lets it: 8 MiB by its budget, then 1 MiB a second."""
    c = Call(SESSION, node("mallory"))
    c.say(hello("mallory"))
    piece = b"".join(message(renewal(i)) + message(report(f"u{i}", i, gone=i % 2 == 0)) for i in range(100))
    sent = [c.say_within_window(frame(DATA, 0, 1, piece), 2) / len(piece) * 200 for _ in range(3)]
    c.s.close()
    assert sent[0] > 10000 and sent[2] < 10000, sent
    return " and then ".join(f"{n:.0f}" for n in sent) + " messages in 2 s, the rest waits in its own window"


def refusals_flood():
    """Refuses streams that nobody asked it for: the smallest message that is another thread's business, not the core's."""
    c = Call(SESSION, node("mallory"))
    c.say(hello("mallory"))
    piece = b"".join(message(field(8, field(1, name))) for name in range(1, 1001))
    sent = [c.say_within_window(frame(DATA, 0, 1, piece), 2) / len(piece) * 1000 for _ in range(3)]
    c.s.close()
    assert sent[0] > 10000 and sent[2] < 10000, sent
    return " and then ".join(f"{n:.0f}" for n in sent) + " refusals in 2 s"


def half_joins():
    """Joins begun and never said what for, from a stranger: 128 a thread wait, the oldest leaves for the next one."""
    opening, answers, begun = head(b"POST", JOIN) + literal(b"content-type", b"application/grpc"), 0, 2000
    for part in (b"", b"\0\0\0\1\0half"):  # Nothing; some of a request.
        h = H2(window=0x7fffffff, cert=False)
        for n in range(begun):
            sid = 2 * n + 1
            h.send(frame(HEADERS, 4, sid, opening) + (frame(DATA, 0, sid, part) if part else b""))
            if n < 200 or n % 50:
                continue
            for kind, _, stream, _ in h.frames(10):
                answers += kind == HEADERS
                if kind == HEADERS and stream > sid - 500:
                    break
        assert join(f"late-{len(part)}", token()) is not None  # Whoever says what he wants is served meanwhile.
        h.s.close()
    assert answers >= 2 * (begun - 500), answers
    return f"{answers} of {2 * begun} sent away for others"


def session_without_windows():
    """The same, and its window is not asked: the stream is reset, what still comes for it is dropped unread."""
    c, sent, seen = session("mallory"), 0, []
    piece = b"".join(frame(DATA, 0, 1, message(renewal(i))) for i in range(400))
    while sent < 400000:
        c.send(piece)
        sent += 400
    for kind, _, stream, payload in c.frames(10):
        if kind == RST and stream == 1:
            seen.append(int.from_bytes(payload, "big"))
            break
    c.s.close()
    assert seen == [3], seen  # FLOW_CONTROL_ERROR
    return "RST_STREAM FLOW_CONTROL_ERROR"


def frame_without_end():
    """A message of two gigabytes is announced."""
    c = session("mallory", machine=False)
    at = log_end()
    c.send(frame(DATA, 0, 1, b"\0\x7f\xff\xff\xff" + b"a" * 1000))
    while c.answer(5) is not None:
        pass
    wait_for_log(at, "agent.session_closed")
    return "ended"


def garbage():
    """What does not decode; and what comes before any Hello."""
    for words in (b"\xff" * 100, renewal(1)):
        c = Call(SESSION, node("mallory"))
        c.say(words)
        while c.answer(5) is not None:
            pass
        c.s.close()
    deep = b""
    for _ in range(3000):
        deep = field(1, deep)
    c = session("mallory", machine=False)
    c.say(field(2, deep))
    while c.answer(5) is not None:
        pass
    return "ended"


def sessions_reset():
    """Opens its session and resets it, without end."""
    h, sid = H2(cert=node("mallory")), 1
    opening = head(b"POST", SESSION) + literal(b"content-type", b"application/grpc")
    try:
        while sid < 20000:
            h.send(frame(HEADERS, 4, sid, opening) + frame(RST, 0, sid, struct.pack(">I", 8)))
            sid += 2
    except (ssl.SSLError, ConnectionError):
        pass
    end = h.end(10)
    assert end in ("closed", "goaway 11", "goaway 1"), end
    return f"{end} within {sid // 2}"


CASES = [token_reused, tokens_guessed, another_key, two_of_one_name, writes_of_others, reports_of_others, addresses_of_others,
         half_joins, session_flood, refusals_flood, session_without_windows, frame_without_end, garbage, sessions_reset]
