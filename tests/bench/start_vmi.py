# SPDX-License-Identifier: Apache-2.0
"""The client of start-vmi.sh: creates one machine after another and watches for its guest's first byte.

usage: start_vmi.py AGENT_STATE PVH_ELF ROUNDS, with BATON_SERVER, BATON_CA, BATON_CERT, BATON_KEY in the environment.
Prints "start-vmi METRIC VALUE UNIT".
"""
import http.client
import json
import os
import ssl
import subprocess
import sys
import time
from urllib.parse import urlparse

STATE, PVH, ROUNDS = sys.argv[1], sys.argv[2], int(sys.argv[3])
VMIS = "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances"
PLACEMENTS = "/apis/baton.dev/v1/namespaces/default/placements"
WARM_UP = 3


def connect():
    tls = ssl.create_default_context(cafile=os.environ["BATON_CA"])
    tls.load_cert_chain(os.environ["BATON_CERT"], os.environ["BATON_KEY"])
    server = urlparse(os.environ["BATON_SERVER"])
    return http.client.HTTPSConnection(server.hostname, server.port, context=tls)


def call(api, method, path, body=None):
    api.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
    answer = api.getresponse()
    return answer.status, json.loads(answer.read() or "{}")


def machine(name, kind):
    return {
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 0, "domain": {
            "machine": {"type": kind}, "cpu": {"cores": 1, "dedicatedCpuPlacement": True},
            "memory": {"guest": "64Mi"}, "devices": {},
            "firmware": {"kernelBoot": {"kernelArgs": "rounds=0 hold", "container": {
                "image": "oci:pvh:latest", "kernelPath": "/boot/kernel"}}}}}}


def wait_until(what, seconds, test, step=0.0002):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = test()
        if got:
            return got
        time.sleep(step)
    raise SystemExit(f"start-vmi: {what} did not come in {seconds} s")


def size_of(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def start_one(api, name, kind):
    """Seconds from the POST to its answer and to the first serial byte; QEMU's command line; writes of its keys."""
    begun = time.monotonic()
    status, made = call(api, "POST", VMIS, machine(name, kind))
    posted = time.monotonic() - begun
    if status != 201 or made["status"].get("phase") != "Scheduled":
        raise SystemExit(f"start-vmi: POST {status}: {made.get('message')}")
    uid = made["metadata"]["uid"]
    log = f"{STATE}/logs/default_{name}_{uid}/guest/serial.log"
    wait_until("the guest's first byte", 30, lambda: size_of(log) > 0)
    took = time.monotonic() - begun
    wait_until("Running", 10, lambda: call(api, "GET", f"{VMIS}/{name}")[1]["status"].get("phase") == "Running", 0.005)
    with open(f"{STATE}/run/{uid}.guest.0/qemu.pid") as file, open(f"/proc/{file.read().strip()}/cmdline", "rb") as cmdline:
        command = cmdline.read().decode().split("\0")[:-1]
    writes = writes_of(api, name, int(made["metadata"]["resourceVersion"]))
    call(api, "DELETE", f"{VMIS}/{name}?gracePeriodSeconds=0")
    wait_until("the machine's end", 30, lambda: call(api, "GET", f"{VMIS}/{name}")[0] == 404, 0.005)
    wait_until("its rows", 30, lambda: call(api, "GET", f"{PLACEMENTS}/virtualmachineinstances.{name}")[0] == 404, 0.005)
    return posted, took, command, writes


def writes_of(api, name, first):
    """How often the machine's own key was written up to Running: the create, and what a watch saw since."""
    watch = connect()
    watch.request("GET", f"{VMIS}?watch=1&fieldSelector=metadata.name%3D{name}&resourceVersion={first}&timeoutSeconds=1")
    count = 1
    for line in watch.getresponse():
        event = json.loads(line)
        if event["type"] != "MODIFIED":
            continue
        count += 1
        if event["object"]["status"].get("phase") == "Running":
            break
    watch.close()
    return count


def bare_command(command):
    """The same arguments, but for what only an agent can hand down: descriptors, the tap, QMP, the standing start."""
    out, skip = [], False
    for word in command:
        if skip:
            skip = False
        elif word in ("-add-fd", "-chardev", "-mon", "-serial"):
            skip = True
        elif word == "-kernel":
            out += ["-kernel", PVH]
            skip = True
        elif word == "-netdev":
            out += ["-netdev", "user,id=nic0"]
            skip = True
        elif word != "-S":
            out.append(word)
    return out + ["-serial", f"file:{STATE}/bare.log"]


def bare_one(command, cpus):
    log = f"{STATE}/bare.log"
    if os.path.exists(log):
        os.unlink(log)
    begun = time.monotonic()
    with open(f"{STATE}/bare.err", "w+") as said:
        qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                preexec_fn=lambda: os.sched_setaffinity(0, cpus))
    try:
        wait_until("bare QEMU's first byte or end", 30, lambda: size_of(log) > 0 or qemu.poll() is not None)
        took = time.monotonic() - begun
    finally:
        qemu.kill()
        qemu.wait()
    if size_of(log) == 0:
        with open(f"{STATE}/bare.err") as said:
            raise SystemExit(f"start-vmi: bare QEMU: {said.read()}")
    return took


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * q))] * 1000


def tell(metric, value, unit):
    print(f"start-vmi {metric} {value:.1f} {unit}", flush=True)


def main():
    api = connect()
    wait_until("the node", 60, lambda: any(
        c["type"] == "Ready" and c["status"] == "True"
        for node in call(api, "GET", "/api/v1/nodes")[1].get("items", []) for c in node["status"].get("conditions", [])), 0.05)
    for kind in ("microvm", "q35"):
        posts, ours, bare, writes = [], [], [], 0
        for i in range(ROUNDS + WARM_UP):  # One of each in turn: both see the same neighbours.
            posted, took, command, writes = start_one(api, f"vm-{kind}-{i}", kind)
            alone = bare_one(bare_command(command), {0})
            if i >= WARM_UP:
                posts.append(posted)
                ours.append(took)
                bare.append(alone)
        tell(f"bare_p50[{kind}]", quantile(bare, 0.5), "ms")
        tell(f"baton_p50[{kind}]", quantile(ours, 0.5), "ms")
        tell(f"overhead_p50[{kind}]", quantile(ours, 0.5) - quantile(bare, 0.5), "ms")
        tell(f"overhead_p99[{kind}]", quantile(ours, 0.99) - quantile(bare, 0.5), "ms")
        tell(f"post_p50[{kind}]", quantile(posts, 0.5), "ms")
        tell(f"durable_writes[{kind}]", writes, "writes")


main()
