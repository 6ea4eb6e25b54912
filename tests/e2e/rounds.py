#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rounds.py BUILD ROUNDS [SEED]

Random rounds of create, kill -9 and delete on a real cluster of one node: crun, QEMU, SQLite. Control plane, agent, shims, QEMU and
containers die at moments that a seed chose, the dead programs are started again, everything is deleted; then the host must be what
it was before: groups, mounts, network namespaces, links, nft elements, processes, and every file below the agent's state.
A failing round is said with its seed and schedule; `rounds.py BUILD 1 SEED.ROUND` plays it alone.
"""
import atexit
import glob
import http.client
import json
import os
import random
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
BUILD, ROUNDS, SEED = os.path.abspath(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "1"
STATE = tempfile.mkdtemp(prefix="baton-rounds-")
AGENT = STATE + "/agent"
PODS, VMIS = "/api/v1/namespaces/default/pods", "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances"
PLACEMENTS = "/apis/baton.dev/v1/namespaces/default/placements"
SETTLE_S, START_S = 60, 30
# What stays below the agent's state whatever runs: unpacked images, keys, what was measured once.
KEPT = ("images", "import", "pki", "accelerator", "lock", "token")


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""


# ---- the cluster ----

class Program:
    """A daemon that is killed and started again."""

    def __init__(self, name, command):
        self.name, self.command, self.process = name, command, None
        atexit.register(self.kill)

    def start(self):
        if self.process is None:
            with open(STATE + "/" + self.name + ".log", "a") as log:
                self.process = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


class Cluster:
    def __init__(self):
        self.port = int(subprocess.check_output([SOURCE + "/tests/testlib/free-port"]))
        self.batond = Program("batond", [BUILD + "/batond", "--state", STATE, "--listen", "127.0.0.1", "--port", str(self.port)])
        self.agent = Program("agent", [
            BUILD + "/baton-agent", "--state", AGENT, "--share", BUILD, "--import", STATE + "/images",
            "--server", "127.0.0.1:%d" % self.port, "--token-file", STATE + "/token", "--node-name", "n1"])

    def call(self, verb, path, body=None):
        """Status and answer; 0 when nobody answered."""
        try:
            tls = ssl.create_default_context(cafile=STATE + "/control/pki/ca.crt")
            tls.load_cert_chain(STATE + "/control/pki/admin.crt", STATE + "/control/pki/admin.key")
            api = http.client.HTTPSConnection("127.0.0.1", self.port, context=tls, timeout=5)
            api.request(verb, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            answer = api.getresponse()
            return answer.status, json.loads(answer.read() or "{}")
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}

    def is_ready(self):
        status, node = self.call("GET", "/api/v1/nodes/n1")
        return status == 200 and any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))

    def phase(self, workload):
        status, found = self.call("GET", "%s/%s" % (workload[0], workload[1]["metadata"]["name"]))
        return found["status"].get("phase") if status == 200 else None

    def begin(self):
        subprocess.check_call([SOURCE + "/deploy/samples/make-busybox", STATE + "/images"], stdout=subprocess.DEVNULL)
        os.makedirs(STATE + "/root/boot")
        shutil.copy(BUILD + "/pvh.elf", STATE + "/root/boot/kernel")
        subprocess.check_call(["sh", "-c", ". %s/deploy/samples/layout.sh && layout_write %s/images/pvh latest %s/root '{}'" % (
            SOURCE, STATE, STATE)])
        self.batond.start()
        wait_until("the control plane", START_S, lambda: self.call("GET", "/readyz")[0] in (200, 0) and os.path.exists(
            STATE + "/kubeconfig") and self.call("GET", "/api/v1/nodes")[0] == 200)
        token = subprocess.check_output([BUILD + "/baton", "--kubeconfig", STATE + "/kubeconfig", "token", "create"])
        with open(STATE + "/token", "wb") as file:
            file.write(token)
        self.agent.start()
        wait_until("the node", START_S, self.is_ready)


def wait_until(what, seconds, test, step=0.05):
    end = time.monotonic() + seconds
    while True:
        got = test()
        if got:
            return got
        if time.monotonic() > end:
            raise TimeoutError("%s: not within %d s" % (what, seconds))
        time.sleep(step)


# ---- the host ----

def name_hash(cluster, text):
    h = 0xcbf29ce484222325
    for byte in (cluster + "/" + text).encode():
        h = (h ^ byte) * 0x100000001b3 % (1 << 64)
    return h


def parent_of(folder):
    """Of a process: the second field behind its name, which may hold anything."""
    fields = read(folder + "/stat").rpartition(")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


class Host:
    """What of the agent is on this machine. Other clusters' things are not looked at."""

    def __init__(self):
        self.parent = next(os.path.basename(p) for p in glob.glob("/sys/fs/cgroup/cpuset/baton-*-n1") + glob.glob(
            "/sys/fs/cgroup/baton-*-n1") if self.cluster_id() in p)
        self.cluster = self.parent[len("baton-"):]
        self.bridge = "bt%08x" % (name_hash(self.cluster, "bridge") & 0xffffffff)

    @staticmethod
    def cluster_id():
        return read(STATE + "/control/cluster").strip()

    def groups(self):
        roots = glob.glob("/sys/fs/cgroup/*/" + self.parent) + glob.glob("/sys/fs/cgroup/" + self.parent)
        return {folder for root in roots for folder, _, _ in os.walk(root)}

    @staticmethod
    def mounts():
        return {line.split(" ")[4] for line in read("/proc/self/mountinfo").splitlines() if " " + STATE + "/" in line}

    def links(self, uids):
        said = subprocess.run(["ip", "-j", "link"], capture_output=True, check=True)
        if said.stderr:  # "Dump was interrupted": somebody else's links changed meanwhile.
            return self.links(uids)
        links = json.loads(said.stdout)
        ours = {kind + "%013x" % (name_hash(self.cluster, uid) & 0xfffffffffffff) for uid in uids for kind in ("bv", "bq")}
        return {l["ifname"] for l in links if l["ifname"] in ours or l["ifname"] == self.bridge or l.get("master") == self.bridge}

    def elements(self):
        """Of the tables, by set or map: who may speak, which host port leads where."""
        out = set()
        for family in ("ip", "bridge"):
            table = subprocess.run(["nft", "-j", "list", "table", family, self.parent], capture_output=True)
            for part in json.loads(table.stdout or '{"nftables": []}')["nftables"]:
                of = part.get("set") or part.get("map") or {}
                out |= {"%s %s %s" % (family, of["name"], json.dumps(e)) for e in of.get("elem", [])}
                if "chain" in part:
                    out.add("%s chain %s" % (family, part["chain"]["name"]))
        return out

    def processes(self, known):
        """But for the spare: the living agent's child that is no machine yet."""
        out = set()
        for folder in glob.glob("/proc/[0-9]*"):
            pid = int(folder[6:])
            if pid in known or pid == os.getpid():
                continue
            command = read(folder + "/cmdline").replace("\0", " ").strip()
            group = read(folder + "/cgroup")
            if command == "qemu-system-x86_64" and parent_of(folder) in known:
                continue
            if command and (AGENT + "/" in command or "/%s/" % self.parent in group):
                out.add("%d %s" % (pid, command[:160]))
        return out

    @staticmethod
    def files():
        out = set()
        for folder, folders, files in os.walk(AGENT):
            if folder == AGENT:
                folders[:] = [f for f in folders if f not in KEPT]
            out |= {folder + "/" + f for f in files + folders if not (folder == AGENT and f in KEPT)}
            if "/pods/" in folder or "/run/" in folder:  # One is enough to know it by; the rest is a container's own.
                folders.clear()
        for name in ("images", "import"):  # What a killed pull leaves beside what is unpacked.
            out |= set(glob.glob("%s/%s/**/tmp-*" % (AGENT, name), recursive=True))
        return out

    def look(self, cluster, uids):
        known = {p.process.pid for p in (cluster.agent, cluster.batond) if p.process is not None}
        return {"groups": self.groups(), "mounts": self.mounts(), "links": self.links(uids), "nft": self.elements(),
                "processes": self.processes(known), "files": self.files()}


def difference(before, after):
    return ["%s %s %s" % (sign, kind, one) for kind in before
            for sign, some in (("+", after[kind] - before[kind]), ("-", before[kind] - after[kind])) for one in sorted(some)]


# ---- workloads ----

def pod(name, rng, port):
    cpu = rng.choice(["50m", "50m", "1"])
    amounts = {"cpu": cpu, "memory": "16Mi"}
    spec = {"terminationGracePeriodSeconds": rng.choice([0, 0, 1]), "restartPolicy": rng.choice(["Always", "Never"]),
            "volumes": [{"name": "v", "emptyDir": {"medium": rng.choice(["Memory", ""])}}],
            "containers": [{"name": c, "image": "oci:busybox:latest", "imagePullPolicy": "IfNotPresent",
                            "command": ["/bin/sh", "-c", rng.choice(["sleep 1000", "sleep 1000 & wait", "sleep 0.1", "exit 1"])],
                            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                            "resources": {"requests": amounts, "limits": amounts if cpu == "1" else {}}}
                           for c in rng.choice([["a"], ["a"], ["a", "b"]])]}
    if rng.random() < 0.3:
        spec["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": port}]
    if rng.random() < 0.1:
        spec["hostNetwork"] = True
        spec["containers"][0].pop("ports", None)
    return PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def machine(name, rng):
    return VMIS, {
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 0, "domain": {
            "machine": {"type": rng.choice(["microvm", "microvm", "q35"])},
            "cpu": {"cores": 1, "dedicatedCpuPlacement": rng.random() < 0.5}, "memory": {"guest": "32Mi"},
            "devices": {"interfaces": [{"name": "default", "bridge": {}}]},
            "firmware": {"kernelBoot": {"kernelArgs": "rounds=0 hold", "container": {
                "image": "oci:pvh:latest", "kernelPath": "/boot/kernel"}}}}, "networks": [{"name": "default", "pod": {}}]}}


# ---- a round ----

def pids_of(kind):
    """Of what lives now. The container's first process and its shim are in its record, QEMU's in its own."""
    if kind == "qemu":
        return [int(t) for t in map(read, glob.glob(AGENT + "/run/*/qemu.pid")) if t.strip().isdigit()]
    records = [r.split() for r in map(read, glob.glob(AGENT + "/run/*/shim")) if r]
    return [int(r[2 if kind == "shim" else 0]) for r in records if len(r) == 5]


class Round:
    def __init__(self, cluster, seed):
        self.cluster, self.seed, self.rng, self.done, self.uids = cluster, seed, random.Random(seed), [], set()
        self.workloads, self.begun, self.refused = [], time.monotonic(), []

    def note(self, text):
        self.done.append("%6.0f ms %s" % ((time.monotonic() - self.begun) * 1000, text))

    def create(self, at):
        path, body = self.workloads[at]
        status, made = self.cluster.call("POST", path, body)
        self.uids |= {made["metadata"]["uid"]} if status == 201 else set()
        if status not in (201, 0, 503):  # 503: it starts; a client asks again in a second, which is too late here.
            self.refused.append("%d %s" % (status, made.get("message")))
        self.note("create %s: %d" % (body["metadata"]["name"], status))

    def delete(self, at):
        path, body = self.workloads[at]
        status = self.cluster.call("DELETE", "%s/%s" % (path, body["metadata"]["name"]))[0]
        self.note("delete %s: %d" % (body["metadata"]["name"], status))

    def kill(self, victim):
        if victim in ("agent", "batond"):
            getattr(self.cluster, victim).kill()
            self.note("kill " + victim)
            return
        pids = pids_of(victim)
        if pids:
            pid = self.rng.choice(pids)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.note("kill %s %d" % (victim, pid))

    def start(self, victim):
        getattr(self.cluster, victim).start()
        self.note("start " + victim)

    def plan(self):
        """(when, what, with): creates and deletes of one to four workloads, one to three deaths among them."""
        rng, out = self.rng, []
        for i in range(rng.choice([1, 1, 2, 2, 3, 4])):
            name = "w%d-%s" % (i, str(self.seed).replace(".", "-"))
            self.workloads.append(machine(name, rng) if rng.random() < 0.3 else pod(name, rng, 20000 + i))
            begun = rng.uniform(0, 0.2)
            out.append((begun, self.create, i))
            out.append((begun + rng.choice([0.0, 0.05, 0.2, 0.5, 1.0]) * rng.uniform(0.5, 1.5), self.delete, i))
        last = max(when for when, _, _ in out)
        for _ in range(rng.choice([1, 1, 2, 3])):
            victim, when = rng.choice(["agent", "agent", "agent", "batond", "shim", "container", "qemu"]), rng.uniform(0, last + 0.1)
            out.append((when, self.kill, victim))
            if victim in ("agent", "batond"):
                out.append((when + rng.choice([0.0, 0.05, 0.4]), self.start, victim))
        return sorted(out, key=lambda row: row[0])

    def is_over(self):
        """Everything that may still be there is deleted; placements go when the agent says that all is gone."""
        for path, body in self.workloads:
            self.cluster.call("DELETE", "%s/%s" % (path, body["metadata"]["name"]))
        lists = [self.cluster.call("GET", path) for path in (PODS, VMIS, PLACEMENTS)]
        return all(status == 200 and not answer["items"] for status, answer in lists)

    def run(self):
        for when, what, argument in self.plan():
            time.sleep(max(0, self.begun + when - time.monotonic()))
            what(argument)
        for program in (self.cluster.batond, self.cluster.agent):
            program.start()
        wait_until("the end of every workload", SETTLE_S, self.is_over, 0.1)
        if self.refused:
            raise AssertionError("refused: %s" % self.refused)


def play(cluster, host, before, seed):
    one, left = Round(cluster, seed), None
    try:
        one.run()
        deadline = time.monotonic() + 10  # The kernel takes namespaces and their links down in its own time.
        while left is None or (left and time.monotonic() < deadline):
            left = difference(before, host.look(cluster, one.uids))
            time.sleep(0.02 if left else 0)
    except (TimeoutError, AssertionError) as why:
        left = [str(why)] + difference(before, host.look(cluster, one.uids))
    if left:
        print("FAIL round %s\n  %s" % (seed, "\n  ".join(one.done)))
        print("\n".join(left[:40] + ["... %d more" % (len(left) - 40)] * (len(left) > 40)), flush=True)
    return left[:1]


def main():
    if os.geteuid() != 0:
        print("SKIP rounds: needs root")
        sys.exit(77)
    cluster, begun, failed = Cluster(), time.monotonic(), []
    cluster.begin()
    rng = random.Random(0)
    for warm in (pod("w0", rng, 20000), machine("w1", rng)):  # The bridge, the tables, the unpacked images.
        one = Round(cluster, 0)
        one.workloads.append(warm)
        one.create(0)
        wait_until("the first of its kind", START_S, lambda: cluster.phase(warm) in ("Running", "Succeeded", "Failed"))
        wait_until("its end", SETTLE_S, one.is_over)
    host = Host()
    time.sleep(6)  # The tables follow within five seconds.
    before = host.look(cluster, [])
    seeds = [SEED] if "." in SEED else ["%s.%d" % (SEED, i) for i in range(ROUNDS)]
    for number, seed in enumerate(seeds):
        why = play(cluster, host, before, seed)
        if why:
            failed += ["round %s: %s" % (seed, why[0])]
            before = host.look(cluster, [])  # What was left is not counted twice.
        if len(failed) >= 5:
            break
        if (number + 1) % 50 == 0:
            print("%d rounds, %d failed, %d s" % (number + 1, len(failed), time.monotonic() - begun), flush=True)
    print("\n".join(failed + ["%d rounds, %d failed, seed %s, %d s" % (number + 1, len(failed), SEED, time.monotonic() - begun)]))
    cluster.agent.kill()
    cluster.batond.kill()
    clean = subprocess.run([BUILD + "/baton-agent", "--state", AGENT, "--clean"]).returncode
    if failed or clean:
        print("state and logs stay in " + STATE)
        sys.exit(1)
    shutil.rmtree(STATE)


main()
