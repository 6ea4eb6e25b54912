#!/usr/bin/env python3
"""Replays recorded API scenarios against a server and compares the answers.

  replay.py --server https://127.0.0.1:6443 --cert admin.crt --key admin.key --ca ca.crt \
            --scenarios scenarios --expect expect [--record] [--only GLOB] ...

Standard library only. See README.md for the scenario format and the normalisation rules.
"""
import argparse, base64, copy, fnmatch, gzip, http.client, json, os, random, re, ssl, string, sys, threading, time
from urllib.parse import urlsplit

KEEP_HEADERS = ["Content-Type", "Warning", "Retry-After", "Content-Encoding"]
MORE_HEADERS = ["Allow", "Vary", "Etag", "Cache-Control", "Location", "Accept-Ranges"]
UA = "corpus/1.0 (linux/amd64)"

# ---------------------------------------------------------------- variables
def subst(x, vars_):
    """${name} in strings, {"$repeat":[text,n]}, {"$list":{"n":N,"item":X}} in bodies."""
    if isinstance(x, str):
        return re.sub(r"\$\{(\w+)\}", lambda m: str(vars_[m.group(1)]) if m.group(1) in vars_ else m.group(0), x)
    if isinstance(x, list):
        return [subst(i, vars_) for i in x]
    if isinstance(x, dict):
        if set(x) == {"$repeat"}:
            return x["$repeat"][0] * x["$repeat"][1]
        return {subst(k, vars_): subst(v, vars_) for k, v in x.items()}
    return x

def pointer(doc, ptr):
    cur = doc
    if ptr in ("", "/"):
        return cur
    for p in ptr.lstrip("/").split("/"):
        p = p.replace("~1", "/").replace("~0", "~")
        if isinstance(cur, list):
            cur = cur[int(p)] if p.lstrip("-").isdigit() and abs(int(p)) < len(cur) + (p[0] == "-") else None
        elif isinstance(cur, dict):
            cur = cur.get(p)
        else:
            return None
        if cur is None:
            return None
    return cur

def drop(doc, parts):
    if not parts:
        return
    p, rest = parts[0], parts[1:]
    if isinstance(doc, list):
        if p == "*":
            for d in doc:
                drop(d, rest) if rest else None
        elif p == "-" and not rest:
            doc.clear()
        elif p.isdigit() and int(p) < len(doc):
            if rest:
                drop(doc[int(p)], rest)
            else:
                doc[int(p)] = "<dropped>"
    elif isinstance(doc, dict):
        if p == "**":
            for v in list(doc.values()):
                drop_any(v, rest)
            drop(doc, rest)
            return
        keys = list(doc) if p == "*" else [p.replace("~1", "/").replace("~0", "~")]
        for k in keys:
            if k in doc:
                if rest:
                    drop(doc[k], rest)
                else:
                    del doc[k]

def drop_any(doc, rest):
    if isinstance(doc, dict):
        drop(doc, rest)
        for v in list(doc.values()):
            drop_any(v, rest)
    elif isinstance(doc, list):
        for v in doc:
            drop_any(v, rest)

# ---------------------------------------------------------------- normalisation
RE_UID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
RE_MICRO = re.compile(r"\b20(?:2[6-9]|[3-9]\d)-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
RE_TIME = re.compile(r"\b20(?:2[6-9]|[3-9]\d)-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
RE_GOTIME = re.compile(r"\b20(?:2[6-9]|[3-9]\d)-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [+-]\d{4} [A-Z]{3,4}(?: m=[+-][\d.]+)?")
RE_KAPI = re.compile(r"kube-api-access-[a-z0-9]{5}\b")
RE_AGE = re.compile(r"^(\d+[ydhms])+$|^<unknown>$|^<invalid>$")
RE_RVMSG = re.compile(r"((?:resource version|resourceVersion|ResourceVersion|version): )\d+(?: \(\d+\))?")
RE_RVMSG2 = re.compile(r"(ResourceVersion in (?:precondition|object meta): )\d+")
RE_RVMSG3 = re.compile(r"(Too large resource version: )\d+(, current: )\d+")
RE_RVMSG4 = re.compile(r"(a future resourceVersion: )\d+")
RE_RVJSON = re.compile(r'(resourceVersion(?:\\?")?: ?\\?")\d+(\\?")')
RE_RVREC = re.compile(r"(ResourceVersion in record \()\d+(\))")
RE_SCHEME = re.compile(r'in scheme "[^"]*"')
RE_B64 = re.compile(r"eyJ[A-Za-z0-9+/]+=*")
RE_PTR = re.compile(r"0x[0-9a-f]{6,16}\b")
RE_GO = re.compile(r"(?:\[\])?\b[a-z]\w*\.[A-Z]\w*\{")

def go_values(s):
    """Dumps of the recorded server's own structs say nothing about the protocol: <go value>."""
    while True:
        m = RE_GO.search(s)
        if not m:
            return s
        depth, i, quoted = 0, m.end() - 1, False
        while i < len(s):
            c = s[i]
            if c == '"' and s[i-1] != "\\":
                quoted = not quoted
            elif not quoted and c == "{":
                depth += 1
            elif not quoted and c == "}":
                depth -= 1
                if depth == 0:
                    break
            i += 1
        s = s[:m.start()] + "<go value>" + s[i+1:]


class Norm:
    def __init__(self, vars_, literals, objvars):
        self.vars, self.literals, self.objvars = vars_, literals, objvars

    def text(self, s):
        for k, v in sorted(self.vars.items(), key=lambda kv: -len(str(kv[1]))):
            if isinstance(v, str) and len(v) >= 6 and not v.isdigit() and v in s:
                s = s.replace(v, "${%s}" % k)
        lit = self.literals
        s = RE_UID.sub(lambda m: m.group(0) if m.group(0) in lit else "<uid>", s)
        s = RE_MICRO.sub(lambda m: m.group(0) if m.group(0) in lit else "<microtime>", s)
        s = RE_TIME.sub(lambda m: m.group(0) if m.group(0) in lit else "<time>", s)
        s = RE_GOTIME.sub("<gotime>", s)
        if len(s) > 40 and RE_B64.fullmatch(s):     # a base64 of JSON (initial-events-list-blueprint): its names differ
            try:
                s = "<base64 of> " + json.dumps(json.loads(base64.b64decode(s)), sort_keys=True)
                for k, v in self.vars.items():
                    if isinstance(v, str) and len(v) >= 6 and not v.isdigit(): s = s.replace(v, "${%s}" % k)
            except ValueError:
                pass
        s = RE_SCHEME.sub('in scheme "<scheme>"', s)
        s = RE_KAPI.sub("kube-api-access-<suffix>", s)
        s = RE_RVMSG3.sub(r"\1<rv>\2<rv>", s)
        s = RE_RVMSG2.sub(r"\1<rv>", s)
        s = RE_RVMSG4.sub(r"\1<rv>", s)
        s = RE_RVMSG.sub(r"\1<rv>", s)
        s = RE_RVJSON.sub(r"\1<rv>\2", s)
        s = RE_RVREC.sub(r"\1<rv>\2", s)
        if "Invalid value: " in s or "invalid: " in s:
            s = RE_PTR.sub("<ptr>", go_values(s))
        return s

    def rv(self, v, is_list):
        if v in ("", "0", None):
            return v
        if not is_list:
            for k in self.objvars:
                if self.vars.get(k) == v:
                    return "${%s}" % k
        return "<rv>" if re.fullmatch(r"\d+", str(v)) else "<rv not a decimal number>"

    def walk(self, x, key=None, parent_list=False):
        if isinstance(x, str):
            return self.text(x)
        if isinstance(x, list):
            out = [self.walk(i, key) for i in x]
            if key == "managedFields":
                out.sort(key=lambda m: json.dumps([m.get(k) for k in ("manager", "operation", "apiVersion", "subresource")]) if isinstance(m, dict) else "")
            return out
        if isinstance(x, dict):
            out = {}
            kind = x.get("kind") if isinstance(x.get("kind"), str) else ""
            is_list = kind.endswith("List") or "items" in x or kind == "Table"
            for k, v in x.items():
                if k == "resourceVersion" and isinstance(v, str):
                    out[k] = self.rv(v, parent_list)
                elif k == "continue" and isinstance(v, str) and v:
                    out[k] = "<continue>"
                elif k == "remainingItemCount":
                    out[k] = v
                else:
                    out[self.text(k)] = self.walk(v, k, is_list and k == "metadata")
            if kind == "Table" and not out.get("columnDefinitions") and isinstance(out.get("rows"), list):
                for r in out["rows"]:      # later events of a watch carry no columns: any cell that reads like an age
                    r["cells"] = ["<age>" if isinstance(c, str) and RE_AGE.match(c) else c for c in r.get("cells") or []]
            if kind == "Table" and isinstance(out.get("columnDefinitions"), list) and isinstance(out.get("rows"), list):
                ages = [i for i, c in enumerate(x["columnDefinitions"]) if c.get("name") in ("Age", "Last Seen", "First Seen", "Last Schedule", "Duration")]
                for r in out["rows"] or []:
                    for i in ages:
                        if isinstance(r.get("cells"), list) and i < len(r["cells"]) and isinstance(r["cells"][i], str) and RE_AGE.match(r["cells"][i]):
                            r["cells"][i] = "<age>"
            for c in out.get("columnDefinitions") or [] if kind == "Table" else []:
                if isinstance(c, dict) and c.get("description"):
                    c["description"] = "<text>"
            if is_list and isinstance(out.get("items"), list):
                out["items"] = sort_items(out["items"])
            return out
        return x

def sort_items(items):
    def key(i):
        m = i.get("metadata") if isinstance(i, dict) else None
        return (str((m or {}).get("namespace")), str((m or {}).get("name"))) if isinstance(m, dict) else ("", "")
    return items            # servers answer in (namespace, name) order; order is part of the contract

# ---------------------------------------------------------------- protobuf without a schema
def pb_decode(b, norm, depth=0):
    """[[field, wiretype, value]...] or None when b is not a well-formed message."""
    i, out = 0, []
    def varint(i):
        r = s = 0
        while True:
            if i >= len(b) or s > 63:
                raise ValueError
            c = b[i]; i += 1
            r |= (c & 127) << s; s += 7
            if not c & 128:
                return r, i
    try:
        while i < len(b):
            t, i = varint(i)
            f, w = t >> 3, t & 7
            if f == 0 or f > 100000:
                return None
            if w == 0:
                v, i = varint(i)
                if 1767225600 <= v < 4102444800:
                    v = "<unix time>"
                out.append([f, "varint", v])
            elif w == 1:
                if i + 8 > len(b): return None
                out.append([f, "fixed64", b[i:i+8].hex()]); i += 8
            elif w == 5:
                if i + 4 > len(b): return None
                out.append([f, "fixed32", b[i:i+4].hex()]); i += 4
            elif w == 2:
                n, i = varint(i)
                if i + n > len(b): return None
                raw = b[i:i+n]; i += n
                out.append([f, "bytes", pb_value(raw, norm, depth + 1)])
            else:
                return None
        # a Time message carries nanoseconds in field 2: they differ when the seconds do
        if out and out[0][2] == "<unix time>" and len(out) == 2 and out[1][0] == 2:
            out[1][2] = "<nanos>"
        return out
    except ValueError:
        return None

def pb_value(raw, norm, depth):
    if not raw:
        return ""
    try:
        s = raw.decode()
        if all(c == "\n" or c >= " " for c in s) and not (raw[0] == 10 and pb_decode(raw, norm, depth) is not None):
            if re.fullmatch(r"\d{1,9}", s) and depth >= 3:
                return {"digits": s} if s in norm.literals else "<digits>"
            return norm.text(s)
    except UnicodeDecodeError:
        pass
    m = pb_decode(raw, norm, depth) if depth < 24 else None
    if m is not None:
        return m
    try:
        s = raw.decode()
        return norm.text(s)
    except UnicodeDecodeError:
        return {"hex": raw.hex()}

def pb_body(body, norm):
    if body[:4] != b"k8s\x00":
        return {"not_k8s_protobuf": body[:64].hex()}
    env = pb_decode(body[4:], norm)
    return {"magic": "k8s\\0", "envelope": env}

# ---------------------------------------------------------------- the client
class Client:
    def __init__(self, a):
        u = urlsplit(a.server)
        self.tls = u.scheme == "https"
        self.host, self.port = u.hostname, u.port or (443 if self.tls else 80)
        self.a = a
        self.local = threading.local()

    def ctx(self, auth):
        if not self.tls:
            return None
        c = ssl.create_default_context(cafile=self.a.ca) if self.a.ca else ssl._create_unverified_context()
        c.check_hostname = bool(self.a.ca) and not self.a.no_hostname
        if auth == "admin" and self.a.cert:
            c.load_cert_chain(self.a.cert, self.a.key)
        return c

    def conn(self, auth):
        d = self.local.__dict__.setdefault("d", {})
        if auth not in d:
            d[auth] = (http.client.HTTPSConnection(self.host, self.port, timeout=self.a.timeout, context=self.ctx(auth))
                       if self.tls else http.client.HTTPConnection(self.host, self.port, timeout=self.a.timeout))
        return d[auth]

    def drop(self, auth):
        c = self.local.__dict__.setdefault("d", {}).pop(auth, None)
        if c:
            c.close()

    def request(self, method, path, headers, body, auth="admin"):
        for attempt in (0, 1):
            try:
                c = self.conn(auth)
                c.putrequest(method, path, skip_host=False, skip_accept_encoding=True)
                low = {k.lower() for k in headers}
                if "user-agent" not in low:
                    c.putheader("User-Agent", UA)
                if auth == "admin" and self.a.token and "authorization" not in low:
                    c.putheader("Authorization", "Bearer " + self.a.token)
                if body is not None and "content-length" not in low:
                    c.putheader("Content-Length", str(len(body)))
                for k, v in headers.items():
                    for one in (v if isinstance(v, list) else [v]):
                        c.putheader(k, one)
                c.endheaders(body if body is not None else None)
                r = c.getresponse()
                data = r.read()
                hs = {}
                for k, v in r.getheaders():
                    hs.setdefault(k.title(), []).append(v)
                if r.will_close:
                    self.drop(auth)
                return r.status, hs, data
            except (http.client.HTTPException, OSError) as e:
                self.drop(auth)
                if attempt or not isinstance(e, (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, http.client.CannotSendRequest)):
                    return 0, {}, ("<no answer: %s>" % type(e).__name__).encode()

# ---------------------------------------------------------------- one scenario
class Runner:
    def __init__(self, a):
        self.a, self.client = a, Client(a)
        self.passed = self.failed = 0
        self.lines = []

    def call(self, method, path, obj=None):
        b = json.dumps(obj).encode() if obj is not None else None
        return self.client.request(method, path, {"Content-Type": "application/json", "Accept": "application/json"} if b else {"Accept": "application/json"}, b)

    def fresh_ns(self):
        name = "t-" + "".join(random.choice("bcdfghjklmnpqrstvwxz") for _ in range(10))
        st, _, b = self.call("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        if st != 201:
            raise RuntimeError("cannot create namespace: %d %s" % (st, b[:200]))
        end = time.time() + self.a.sa_wait
        for what, obj in (("serviceaccounts/default", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}),
                          ("configmaps/kube-root-ca.crt", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": "x"}})):
            while True:
                st, _, _ = self.call("GET", "/api/v1/namespaces/%s/%s" % (name, what))
                if st == 200:
                    break
                if time.time() > end:
                    self.call("POST", "/api/v1/namespaces/%s/%s" % (name, what.split("/")[0]), obj)
                    break
                time.sleep(0.02)
        return name

    def run(self, path):
        with open(path) as f:
            sc = json.load(f)
        raw_text = json.dumps(sc)
        name = sc["scenario"]
        exp = {}
        ep = os.path.join(self.a.expect, name + ".jsonl")
        if not self.a.record:
            if not os.path.exists(ep):
                print("FAIL %s - : no expectation file" % name); self.failed += 1; return
            with open(ep) as f:
                for line in f:
                    d = json.loads(line); exp[d["id"]] = d
        vars_, objvars, created_ns = {}, [], []
        rnd = "".join(random.choice("bcdfghjklmnpqrstvwxz") for _ in range(8))
        vars_["rnd"] = rnd                     # for cluster-scoped names
        for v in sc.get("namespaces", ["ns"]):
            vars_[v] = self.fresh_ns(); created_ns.append(vars_[v])
        literals = set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}|20\d\d-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)|\b\d{1,9}\b", raw_text))
        out, bg = [], {}
        try:
            for step in sc["steps"]:
                if "sleep" in step:
                    time.sleep(step["sleep"]); continue
                if step.get("background"):
                    res = {}
                    th = threading.Thread(target=lambda s=step, v=dict(vars_), r=res: r.update(x=self.send(s, v)))
                    th.start(); bg[step["id"]] = (th, res, step); time.sleep(step.get("settle", 0.5)); continue
                if "join" in step:
                    th, res, orig = bg.pop(step["join"]); th.join()
                    st, hs, data = res["x"]; step = dict(orig, id=orig["id"])
                else:
                    st, hs, data = self.send(step, vars_)
                    if "until" in step:
                        end = time.time() + step["until"].get("seconds", 10)
                        while not self.until(step["until"], st, data) and time.time() < end:
                            time.sleep(0.05); st, hs, data = self.send(step, vars_)
                if step.get("unrecorded"):
                    self.capture(step, vars_, objvars, data); continue
                got = self.exchange(step, st, hs, data, vars_, literals, objvars)
                out.append(got)
                if not self.a.record:
                    self.compare(name, step, exp.get(step["id"]), got)
        finally:
            for th, _, _ in bg.values():
                th.join()
            for c in sc.get("cleanup", []):
                self.client.request("DELETE", subst(c, vars_), {"Content-Type": "application/json"}, b'{"gracePeriodSeconds":0,"propagationPolicy":"Background"}')
            if not self.a.keep:
                for n in created_ns:
                    self.client.request("DELETE", "/api/v1/namespaces/" + n, {}, None)
        if self.a.record:
            os.makedirs(self.a.expect, exist_ok=True)
            with open(ep, "w") as f:
                for d in out:
                    f.write(json.dumps(d, sort_keys=False, ensure_ascii=True) + "\n")
            self.passed += len(out)

    def until(self, u, st, data):
        if "status" in u and st != u["status"]:
            return False
        if "present" in u or "absent" in u or "equals" in u:
            try:
                d = json.loads(data)
            except ValueError:
                return False
            if "present" in u and pointer(d, u["present"]) is None:
                return False
            if "absent" in u and pointer(d, u["absent"]) is not None:
                return False
            if "equals" in u and pointer(d, u["equals"][0]) != u["equals"][1]:
                return False
        return True

    def send(self, step, vars_):
        hs = {k: subst(v, vars_) for k, v in step.get("headers", {}).items()}
        body = None
        if "body" in step:
            body = json.dumps(subst(step["body"], vars_)).encode()
            if not any(k.lower() == "content-type" for k in hs):
                hs["Content-Type"] = "application/json"
        elif "body_text" in step:
            body = subst(step["body_text"], vars_).encode()
        elif "body_b64" in step:
            body = base64.b64decode(step["body_b64"])
        elif "body_pb" in step:               # template: fields as [num, "s"|"m"|"v", value]
            body = b"k8s\0" + pb_encode(subst(step["body_pb"], vars_))
        if step.get("gzip_body"):
            body = gzip.compress(body, mtime=0)
        if not any(k.lower() == "accept" for k in hs):
            hs["Accept"] = "application/json"
        if hs.get("Accept") == "":
            hs.pop("Accept")
        if hs.get("Content-Type") == "":
            hs.pop("Content-Type")
        return self.client.request(step["method"], subst(step["path"], vars_), hs, body, step.get("auth", "admin"))

    def capture(self, step, vars_, objvars, data):
        if not step.get("capture"):
            return
        try:
            d = json.loads(data)
        except ValueError:
            return
        for var, ptr in step["capture"].items():
            v = pointer(d, ptr)
            if v is None:
                continue
            vars_[var] = v
            if ptr.endswith("resourceVersion") and not str(d.get("kind", "")).endswith("List"):
                if var not in objvars: objvars.append(var)

    def exchange(self, step, st, hs, data, vars_, literals, objvars):
        norm = Norm(vars_, literals, objvars)
        e = {"id": step["id"], "note": step.get("note", ""), "method": step["method"], "path": step["path"],
             "headers": step.get("headers", {})}
        for k in ("auth", "body", "body_text", "body_b64", "body_pb", "gzip_body"):
            if k in step:
                e[k] = step[k]
        e["status"] = st
        ct = (hs.get("Content-Type") or [""])[0]
        e["response_headers"] = {h: [norm.text(x) for x in hs[h]] if len(hs[h]) > 1 else norm.text(hs[h][0]) for h in KEEP_HEADERS if h in hs}
        more = {h: hs[h][0] for h in MORE_HEADERS if h in hs}
        if "Etag" in more: more["Etag"] = "<etag>"
        if more:
            e["more_headers"] = {k: norm.text(v) for k, v in more.items()}
        if (hs.get("Content-Encoding") or [""])[0] == "gzip":
            try:
                data = gzip.decompress(data)
            except OSError:
                e["response_text"] = "<bad gzip>"; return e
        mode = step.get("compare", "full")
        if mode == "status":
            return e
        if "protobuf" in ct:
            if "stream=watch" in ct:
                e["response_frames"] = []
                i = 0
                while i + 4 <= len(data):
                    n = int.from_bytes(data[i:i+4], "big"); fr = data[i+4:i+4+n]; i += 4 + n
                    e["response_frames"].append(pb_body(fr, norm) if fr[:4] == b"k8s\0" else {"watchevent": pb_watch(fr, norm)})
            elif "com.github.proto-openapi" in ct or "proto-openapi" in ct:
                e["response_text"] = "<openapi protobuf, %s>" % ("not empty" if data else "empty")
            else:
                e["response_proto"] = pb_body(data, norm)
                e["response_b64"] = base64.b64encode(data).decode()
            return e
        try:
            text = data.decode()
        except UnicodeDecodeError:
            e["response_text"] = "<binary %d bytes>" % len(data); return e
        if mode == "text":
            e["response_text"] = norm.text(text)
            return e
        doc = None
        is_watch = "watch=" in step["path"] or "/watch/" in step["path"]
        if is_watch and st == 200:
            evs = []
            for line in text.splitlines():
                if line.strip():
                    try: evs.append(json.loads(line))
                    except ValueError: evs.append({"not_json": line})
            self.capture(step, vars_, objvars, b"null")
            if not step.get("keep_bookmarks"):
                evs = [v for v in evs if not (v.get("type") == "BOOKMARK" and "k8s.io/initial-events-end" not in json.dumps(v))]
            if step.get("first"):
                evs = evs[:step["first"]]
            evs = [norm.walk(v) for v in evs]
            if step.get("sort_events"):
                evs.sort(key=lambda v: json.dumps([v.get("type"), pointer(v, "/object/metadata/name") or ""]))
            for d in step.get("drop", []):
                for v in evs: drop(v, d.strip("/").split("/"))
            e["response_events"] = evs
            return e
        try:
            doc = json.loads(text)
        except ValueError:
            e["response_text"] = norm.text(text)
            return e
        self.capture(step, vars_, objvars, data)
        norm = Norm(vars_, literals, objvars)
        # a response's own captured names are normalised too
        e["response_headers"] = {h: [norm.text(x) for x in hs[h]] if len(hs[h]) > 1 else norm.text(hs[h][0]) for h in KEEP_HEADERS if h in hs}
        own = [k for k, p in (step.get("capture") or {}).items() if p.endswith("resourceVersion")]
        prev = [k for k in objvars if k not in own or (k in own and vars_.get(k) in [vars_.get(o) for o in objvars if o not in own])]
        norm.objvars = prev
        if mode == "paths":        # OpenAPI documents: names only
            doc = openapi_names(doc)
            e["response_names"] = doc
            return e
        doc = norm.walk(doc)
        for d in step.get("drop", []):
            drop(doc, d.strip("/").split("/"))
        for p in step.get("unordered", []):
            l = pointer(doc, p)
            if isinstance(l, list):
                l.sort(key=lambda x: json.dumps(x, sort_keys=True))
        if "select" in step:                  # keep only the named entries of one list
            l = pointer(doc, step["select"]["list"])
            if isinstance(l, list):
                k = step["select"]["key"]
                keep = [x for v in step["select"]["values"] for x in l if isinstance(x, dict) and x.get(k) == v]
                l[:] = keep
        if mode == "names" and isinstance(doc, dict) and isinstance(doc.get("items"), list):
            m = doc.get("metadata") or {}
            doc = {"kind": doc.get("kind"), "names": [pointer(i, "/metadata/name") for i in doc["items"]],
                   "continue": bool(m.get("continue")), "remainingItemCount": m.get("remainingItemCount")}
        if mode == "subset":
            doc = {p: pointer(doc, p) for p in step["pointers"]}
        if mode == "shape":
            doc = shape(doc)
        e["response_body"] = doc
        return e

    # ------------------------------------------------------------ comparing
    def compare(self, name, step, want, got):
        if want is None:
            self.say("FAIL", name, step["id"], "no recorded expectation"); return
        d = None
        if want["status"] != got["status"]:
            extra = ""
            b = got.get("response_body")
            if isinstance(b, dict) and b.get("message"):
                extra = " (server says: %s)" % str(b["message"])[:200]
            d = "status: want %s, got %s%s" % (want["status"], got["status"], extra)
        wh, gh = dict(want.get("response_headers", {})), dict(got.get("response_headers", {}))
        if self.a.more_headers:
            wh.update(want.get("more_headers", {})); gh.update(got.get("more_headers", {}))
        for h in self.a.skip_header:
            wh.pop(h, None); gh.pop(h, None)
        if d is None:
            d = diff(wh, gh, "header")
        if d is None and not self.a.status_only:
            for k in ("response_body", "response_text", "response_events", "response_names", "response_proto", "response_frames"):
                w, g = copy.deepcopy(want.get(k)), copy.deepcopy(got.get(k))
                for p in self.a.drop:
                    drop_any(w, p.strip("/").split("/")); drop_any(g, p.strip("/").split("/"))
                d = diff(w, g, "body" if k == "response_body" else k[9:])
                if d: break
        if d:
            self.say("FAIL", name, step["id"], d)
        else:
            self.say("PASS", name, step["id"], "")

    def say(self, res, name, sid, d):
        if res == "PASS": self.passed += 1
        else: self.failed += 1
        if res == "FAIL" or not self.a.quiet:
            print("%s %s %s%s" % (res, name, sid, " : " + d if d else "")); sys.stdout.flush()

def shape(x):
    if isinstance(x, dict): return {k: shape(v) for k, v in x.items()}
    if isinstance(x, list): return [shape(x[0])] if x else []
    return type(x).__name__

def openapi_names(doc):
    out = {"keys": sorted(doc)}
    if "paths" in doc:
        out["paths"] = sorted(doc["paths"]) if isinstance(doc["paths"], dict) else None
    for p in ("definitions",):
        if p in doc: out[p] = sorted(doc[p])
    if isinstance(doc.get("components"), dict):
        out["schemas"] = sorted(doc["components"].get("schemas", {}))
    return out

def diff(w, g, at):
    if type(w) != type(g) and not (isinstance(w, (int, float)) and isinstance(g, (int, float)) and not isinstance(w, bool) and not isinstance(g, bool)):
        return "%s: want %s, got %s" % (at, short(w), short(g))
    if isinstance(w, dict):
        for k in w:
            if k not in g:
                return "%s.%s: missing, want %s" % (at, k, short(w[k]))
        for k in g:
            if k not in w:
                return "%s.%s: not expected, got %s" % (at, k, short(g[k]))
        for k in w:
            d = diff(w[k], g[k], "%s.%s" % (at, k))
            if d: return d
        return None
    if isinstance(w, list):
        for i, (a, b) in enumerate(zip(w, g)):
            d = diff(a, b, "%s[%d]" % (at, i))
            if d: return d
        if len(w) != len(g):
            return "%s: want %d entries, got %d; first extra %s" % (at, len(w), len(g), short((w + g)[min(len(w), len(g))] if len(w) > len(g) else g[len(w)]))
        return None
    if isinstance(w, str) and "<go value>" in w and re.fullmatch(".*".join(re.escape(p) for p in w.split("<go value>")), g, re.S):
        return None
    return None if w == g else "%s: want %s, got %s" % (at, short(w), short(g))

def short(x):
    s = json.dumps(x, ensure_ascii=False)
    return s if len(s) < 300 else s[:300] + "..."

def pb_encode(fields):
    out = b""
    for f, t, v in fields:
        if t == "v":
            out += vint(f << 3) + vint(v)
        else:
            raw = pb_encode(v) if t == "m" else v.encode() if t == "s" else base64.b64decode(v)
            out += vint(f << 3 | 2) + vint(len(raw)) + raw
    return out

def vint(n):
    b = b""
    while True:
        c = n & 127; n >>= 7
        b += bytes([c | (128 if n else 0)])
        if not n: return b

def pb_watch(fr, norm):
    # WatchEvent {1: type, 2: RawExtension{1: raw}}: the raw part is a k8s\0 envelope of its own
    out, i = [], 0
    m = pb_decode(fr, Norm({}, set(), []), 20)
    return [[f, t, v] if t != "bytes" else [f, t, pb_value_raw(v)] for f, t, v in (m or [])] if m is None else pb_scan(fr, norm)

def pb_scan(fr, norm):
    out, i = [], 0
    def rd(i):
        r = s = 0
        while True:
            c = fr[i]; i += 1; r |= (c & 127) << s; s += 7
            if not c & 128: return r, i
    while i < len(fr):
        t, i = rd(i)
        n, i = rd(i)
        raw = fr[i:i+n]; i += n
        if t >> 3 == 1: out.append([1, "type", raw.decode()])
        else:
            k = raw.find(b"k8s\0")
            out.append([t >> 3, "object", pb_body(raw[k:], norm) if k >= 0 else pb_value(raw, norm, 1)])
    return out

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True); p.add_argument("--cert"); p.add_argument("--key"); p.add_argument("--ca"); p.add_argument("--token")
    p.add_argument("--scenarios", required=True); p.add_argument("--expect", required=True)
    p.add_argument("--record", action="store_true", help="write the expectations instead of comparing")
    p.add_argument("--only", action="append", default=[], help="glob on the scenario name, repeatable")
    p.add_argument("--tag", action="append", default=[], help="only scenarios with this tag")
    p.add_argument("--skip-tag", action="append", default=[])
    p.add_argument("--drop", action="append", default=[], help="path left out of the comparison at any depth, e.g. metadata/managedFields")
    p.add_argument("--no-managed-fields", action="store_true", help="same as --drop metadata/managedFields")
    p.add_argument("--no-messages", action="store_true", help="same as --drop message: texts for people are not compared")
    p.add_argument("--skip-header", action="append", default=[])
    p.add_argument("--more-headers", action="store_true", help="compare Allow, Vary, Etag presence, Cache-Control, Location too")
    p.add_argument("--status-only", action="store_true"); p.add_argument("--quiet", action="store_true", help="print only FAIL lines")
    p.add_argument("--keep", action="store_true", help="keep the namespaces"); p.add_argument("--no-hostname", action="store_true")
    p.add_argument("--timeout", type=float, default=60); p.add_argument("--sa-wait", type=float, default=5)
    a = p.parse_args()
    if a.no_messages: a.drop.append("message")
    if a.no_managed_fields: a.drop.append("metadata/managedFields")
    r = Runner(a)
    for f in sorted(os.listdir(a.scenarios)):
        if not f.endswith(".json"): continue
        with open(os.path.join(a.scenarios, f)) as fh: sc = json.load(fh)
        if a.only and not any(fnmatch.fnmatch(sc["scenario"], g) for g in a.only): continue
        tags = set(sc.get("tags", []))
        if a.tag and not tags & set(a.tag): continue
        if tags & set(a.skip_tag): continue
        try:
            r.run(os.path.join(a.scenarios, f))
        except RuntimeError as e:
            print("FAIL %s - : %s" % (sc["scenario"], e)); r.failed += 1
    print(("%d recorded" % r.passed) if a.record else "%d passed, %d failed" % (r.passed, r.failed))
    sys.exit(1 if r.failed else 0)

if __name__ == "__main__":
    main()
