#!/usr/bin/env python3
"""Runs a list of kubectl command lines against a server and compares what kubectl printed.

  kube.py --kubectl /path/kubectl.1.33 --version 1.33 --server https://127.0.0.1:6443 --cert admin.crt --key admin.key --ca ca.crt \
          --list list.json --expect expect-1.33.jsonl [--record] [--only GLOB] [--skip-tag nodes]

A list is a JSON array of groups; each group gets a fresh namespace, an empty HOME (so an empty discovery cache) and its files
in the working directory. Standard library only.
"""
import argparse, base64, fnmatch, json, os, random, re, shlex, signal, subprocess, sys, tempfile, time, difflib

RULES = [
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uid>"),
    (re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)"), "<time>"),
    (re.compile(r"\b20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4}"), "<time>"),
    (re.compile(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} 20\d\d \d\d:\d\d:\d\d [+-]\d{4}"), "<time>"),
    (re.compile(r"\b(\w[\w-]*)-[0-9a-z]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b(?!\.)"), r"\1-<hash>-<suffix>"),
    (re.compile(r"\b([a-z][\w-]*?)-[bcdfghjklmnpqrstvwxz2456789]{5}\b(?![-.])"), r"\1-<suffix>"),
    (re.compile(r"(client-certificate|client-key|certificate-authority)(\"?: \"?)/[^\s\"]+"), r"\1\2<path>"),
    (re.compile(r"pod-template-hash(=|: \"?|\":\s?\")[0-9a-z]{8,10}"), r"pod-template-hash\1<hash>"),
    (re.compile(r"controller-revision-hash(=|: \"?|\":\s?\")[\w-]+"), r"controller-revision-hash\1<hash>"),
    (re.compile(r"kube-api-access-[a-z0-9]{5}\b"), "kube-api-access-<suffix>"),
    (re.compile(r"resourceVersion(\"?): \"\d+\""), r'resourceVersion\1: "<rv>"'),
    (re.compile(r"\bResource Version:\s+\d+"), "Resource Version: <rv>"),
    (re.compile(r"\bcorpus-node-\d\b"), "<node>"),
    (re.compile(r"\bv1\.\d\d\.\d+[\w.+-]*"), "<version>"),
    (re.compile(r"\b(10|192\.168)\.\d+\.\d+(\.\d+)?(?=[\s,:\"/\]]|$)"), "<ip>"),
    (re.compile(r"(nodePort|NodePort|healthCheckNodePort)(\"?: +|: +<unset> +|: +\S+ +)3[0-2]\d{3}"), r"\1\2<nodeport>"),
    (re.compile(r":3[0-2]\d{3}/(TCP|UDP)"), r":<nodeport>/\1"),
    (re.compile(r"\b3[0-2]\d{3}/(TCP|UDP)"), r"<nodeport>/\1"),
]
AGE = re.compile(r"(?<![\w./:-])(\d+d)?(\d+h)?(\d+m)?\d+(\.\d+)?(s|m|h|d)(?![\w/.-])|<unknown>|<invalid>")
AGE_X = re.compile(r"<age> \(x\d+ over <age>\)")

class Runner:
    def __init__(self, a):
        self.a = a; self.passed = self.failed = 0; self.rec = []; self.exp = {}
        if not a.record:
            with open(a.expect) as f:
                for l in f:
                    d = json.loads(l); self.exp[d["id"]] = d

    def kube(self, env, argv, **kw):
        return subprocess.run([self.a.kubectl] + argv, env=env, capture_output=True, text=True, **kw)

    def norm(self, s, ns, tmp, step):
        s = s.replace(ns, "${ns}").replace(tmp, "${dir}").replace(self.a.server, "<server>").replace(os.path.basename(self.a.kubectl), "kubectl")
        s = re.sub(re.escape(re.sub(r"^https?://", "", self.a.server)), "<host:port>", s)
        s = re.sub(r"\$\{dir\}/\S*|/tmp/[\w./-]*(LIVE|MERGED)-\d+[\w./-]*", lambda m: "${dir}/..." if "LIVE" in m.group(0) or "MERGED" in m.group(0) else m.group(0), s)
        s = re.sub(r"/[\w/.-]*kubectl-edit-\d+\.yaml", "<edit file>", s)
        s = s.replace(self.rnd, "${rnd}")
        for r, t in RULES:
            s = r.sub(t, s)
        lines = []
        for l in s.splitlines():
            l = re.sub(r"[ \t]{2,}", "  ", l.rstrip()) if not step.get("keep_space") else l.rstrip()
            if not step.get("keep_ages"):
                l = AGE.sub("<age>", l); l = AGE_X.sub("<age> (xN)", l)
            l = re.sub(r"^[EWI]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "<klog> ", l)
            if step.get("explain") and not (re.match(r"^(GROUP|KIND|VERSION|RESOURCE|FIELD|FIELDS|error|Error)\b", l) or re.match(r"^\s+[\w$-]+\s+<", l)):
                continue
            lines.append(l)
        if step.get("sort"):
            lines.sort()
        out = []
        for l in lines:                     # a watch or a poll may print one line several times
            if step.get("dedupe") and l in out: continue
            out.append(l)
        return "\n".join(out)

    def group(self, g):
        a = self.a; self.rnd = "".join(random.choice("bcdfghjklmnpqrstvwxz") for _ in range(8))
        with tempfile.TemporaryDirectory(prefix="kube-") as tmp:
            home = os.path.join(tmp, "home"); work = os.path.join(tmp, "work"); os.mkdir(home); os.mkdir(work)
            ns = "t-" + "".join(random.choice("bcdfghjklmnpqrstvwxz") for _ in range(10))
            kc = os.path.join(home, "config")
            user = {"client-certificate": os.path.abspath(a.cert), "client-key": os.path.abspath(a.key)} if a.cert else {"token": a.token}
            json.dump({"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "corpus", "cluster": {"server": a.server, "certificate-authority": os.path.abspath(a.ca)} if a.ca else {"server": a.server, "insecure-skip-tls-verify": True}}],
                       "users": [{"name": "admin", "user": user}], "contexts": [{"name": "corpus", "context": {"cluster": "corpus", "user": "admin", "namespace": ns}}], "current-context": "corpus"}, open(kc, "w"))
            env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": home, "KUBECONFIG": kc, "LC_ALL": "C", "TZ": "UTC", "TERM": "dumb", "NS": ns, "RND": self.rnd}
            r = self.kube(env, ["create", "namespace", ns])
            if r.returncode:
                print("FAIL %s - : cannot create a namespace: %s" % (g["group"], r.stderr.strip())); self.failed += 1; return
            for _ in range(100):
                if self.kube(env, ["get", "serviceaccount", "default"]).returncode == 0: break
                time.sleep(0.05)
            for name, text in g.get("files", {}).items():
                p = os.path.join(work, name); os.makedirs(os.path.dirname(p), exist_ok=True)
                text = text if isinstance(text, str) else json.dumps(text)
                with open(p, "w") as f: f.write(text.replace("${ns}", ns).replace("${rnd}", self.rnd))
            try:
                for i, st in enumerate(g["steps"], 1):
                    if isinstance(st, str): st = {"cmd": st}
                    self.step(g, i, st, env, work, ns, tmp)
            finally:
                for c in g.get("cleanup", []):
                    self.kube(env, shlex.split(c.replace("${ns}", ns).replace("${rnd}", self.rnd)))
                self.kube(env, ["delete", "namespace", ns, "--wait=false"])

    def step(self, g, i, st, env, work, ns, tmp):
        a = self.a
        if "sleep" in st: time.sleep(st["sleep"]); return
        sid = "%s/%02d" % (g["group"], i)
        e = dict(env); e.update({k: v.replace("${dir}", work) for k, v in st.get("env", {}).items()})
        argv = [x.replace("${ns}", ns).replace("${rnd}", self.rnd) for x in shlex.split(st["cmd"])]
        assert argv[0] == "kubectl"
        end = time.time() + st.get("retry", 0)
        while True:
            p = subprocess.Popen([a.kubectl] + argv[1:], env=e, cwd=work, stdin=subprocess.PIPE if "stdin" in st else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            killed = False
            try:
                so, se = p.communicate(st.get("stdin", "").replace("${ns}", ns).replace("${rnd}", self.rnd) if "stdin" in st else None, timeout=st.get("kill_after", a.timeout))
            except subprocess.TimeoutExpired:
                killed = True; p.send_signal(signal.SIGTERM)
                try: so, se = p.communicate(timeout=5)
                except subprocess.TimeoutExpired: p.kill(); so, se = p.communicate()
            rc = "killed" if killed else p.returncode
            if "until" in st and not re.search(st["until"], so) and time.time() < end:
                time.sleep(0.2); continue
            break
        if st.get("unrecorded"): return
        got = {"id": sid, "cmd": st["cmd"], "exit": rc, "stdout": self.norm(so, ns, tmp, st), "stderr": self.norm(se, ns, tmp, st)}
        if st.get("only_exit"): got["stdout"] = got["stderr"] = ""
        if a.record: self.rec.append(got); self.passed += 1; return
        want = self.exp.get(sid)
        if want is None: self.say("FAIL", sid, st["cmd"], "no recorded expectation"); return
        for k in ("exit", "stderr", "stdout"):
            if a.exit_only and k != "exit": continue
            if want[k] != got[k]:
                d = "%s: want %r, got %r" % (k, want[k], got[k])
                if isinstance(want[k], str):
                    for x, y in zip(want[k].splitlines() + ["<end>"] * 500, got[k].splitlines() + ["<end>"] * 500):
                        if x != y: d = "%s: want %r, got %r" % (k, x, y); break
                    if a.diff:
                        d += "\n" + "\n".join(difflib.unified_diff(want[k].splitlines(), got[k].splitlines(), "want", "got", lineterm=""))
                if k == "exit" and got["stderr"]: d += " (stderr: %s)" % got["stderr"][:200].replace("\n", " | ")
                self.say("FAIL", sid, st["cmd"], d); return
        self.say("PASS", sid, st["cmd"], "")

    def say(self, r, sid, cmd, d):
        if r == "PASS": self.passed += 1
        else: self.failed += 1
        if r == "FAIL" or not self.a.quiet:
            print("%s %s [%s]%s" % (r, sid, cmd, " : " + d if d else "")); sys.stdout.flush()

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for o in ("--kubectl", "--server", "--list", "--expect"): p.add_argument(o, required=True)
    for o in ("--cert", "--key", "--ca", "--token", "--version"): p.add_argument(o)
    p.add_argument("--record", action="store_true"); p.add_argument("--quiet", action="store_true"); p.add_argument("--exit-only", action="store_true"); p.add_argument("--diff", action="store_true", help="print a unified diff of each difference")
    p.add_argument("--only", action="append", default=[]); p.add_argument("--skip-tag", action="append", default=[]); p.add_argument("--timeout", type=float, default=60)
    a = p.parse_args(); a.kubectl = os.path.abspath(a.kubectl)
    r = Runner(a)
    for g in json.load(open(a.list)):
        if a.only and not any(fnmatch.fnmatch(g["group"], x) for x in a.only): continue
        if set(g.get("tags", [])) & set(a.skip_tag): continue
        if a.version and g.get("min") and tuple(map(int, a.version.split("."))) < tuple(map(int, g["min"].split("."))): continue
        r.group(g)
    if a.record:
        keep = {}
        if a.only and os.path.exists(a.expect):
            for l in open(a.expect):
                d = json.loads(l); keep[d["id"]] = d
        for d in r.rec: keep[d["id"]] = d
        with open(a.expect, "w") as f:
            for d in keep.values(): f.write(json.dumps(d) + "\n")
    print(("%d recorded" % r.passed) if a.record else "%d passed, %d failed" % (r.passed, r.failed)); sys.exit(1 if r.failed else 0)

if __name__ == "__main__":
    main()
