#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""metrics.py BATOND

Reads /metrics of a live batond as a scraper would, by the rules of Prometheus' text format 0.0.4, before and after some work.
"""
import math
import os
import re
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "testlib"))
from batond import Batond

BATOND, STATE = sys.argv[1], tempfile.mkdtemp(prefix="baton-metrics-")
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(r"(%s)(?:\{(.*)\})? (\S+)" % NAME)
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
GROW = ["apiserver_request_total", "apiserver_response_bytes_total", "apiserver_request_duration_seconds_count",
        "apiserver_request_duration_seconds_sum", "baton_store_transactions_total", "baton_store_writes_total",
        "baton_store_commit_duration_seconds_count", "baton_http_connections_accepted_total", "baton_http_bytes_total",
        "process_cpu_seconds_total"]
THERE = ["process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds", "process_max_fds",
         "process_start_time_seconds", "process_threads", "baton_placements_decided_total", "baton_agent_sessions",
         "baton_http_connections", "baton_core_inbox_letters", "apiserver_current_inflight_requests"]


def fail(why):
    raise SystemExit("metrics.py: " + why)


def labels_of(text, line):
    found, at = {}, 0
    while at < len(text):
        m = LABEL.match(text, at)
        if m is None:
            fail("labels that do not read: " + line)
        if m.group(1) in found:
            fail("a label twice: " + line)
        found[m.group(1)] = m.group(2)
        at = m.end()
    return found


def family_of(name, types):
    for suffix in ("_bucket", "_sum", "_count"):
        base = name[:-len(suffix)]
        if name.endswith(suffix) and types.get(base) == "histogram":
            return base
    return name


def parse(text):
    """Every sample: (name, labels) -> value. Fails where the format is not kept."""
    types, helps, samples, order = {}, set(), {}, []
    if not text.endswith("\n"):
        fail("the last line does not end")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, _, words = line[7:].partition(" ")
            if name in helps or not words or re.search(r"\\(?![\\n])", words):
                fail("HELP: " + line)
            helps.add(name)
        elif line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            if name in types or name not in helps or kind not in ("counter", "gauge", "histogram"):
                fail("TYPE: " + line)
            types[name] = kind
        else:
            m = SAMPLE.fullmatch(line)
            if m is None:
                fail("not a sample: " + line)
            family = family_of(m.group(1), types)
            if family not in types:
                fail("a sample without its TYPE: " + line)
            if family in order[:-1]:
                fail("a family in two places: " + line)
            if not order or order[-1] != family:
                order.append(family)
            labels = tuple(sorted(labels_of(m.group(2) or "", line).items()))
            if (m.group(1), labels) in samples:
                fail("a series twice: " + line)
            samples[m.group(1), labels] = float(m.group(3))
            if types[family] != "gauge" and samples[m.group(1), labels] < 0:
                fail("counts below zero: " + line)
    for family, kind in types.items():
        if kind == "counter" and not family.endswith("_total"):
            fail(family + " is a counter without _total")
        if kind == "histogram":
            check_histogram(family, samples)
    return samples


def check_histogram(family, samples):
    series = {}
    for (name, labels), value in samples.items():
        if name == family + "_bucket":
            rest = tuple(l for l in labels if l[0] != "le")
            series.setdefault(rest, []).append((float(dict(labels)["le"]), value))
    for rest, buckets in series.items():
        if buckets != sorted(buckets) or [b[1] for b in buckets] != sorted(b[1] for b in buckets):
            fail("%s%s: the buckets do not rise" % (family, rest))
        if buckets[-1] != (math.inf, samples.get((family + "_count", rest))) or (family + "_sum", rest) not in samples:
            fail("%s%s: +Inf is not the count" % (family, rest))
    if {labels for name, labels in samples if name == family + "_count"} != set(series):
        fail(family + ": a count without buckets")


def scrape():
    connection = batond.connect()
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    status, content_type, text = answer.status, answer.headers.get("Content-Type"), answer.read().decode()
    if status != 200 or content_type != "text/plain; version=0.0.4; charset=utf-8":
        fail("answered %s %s" % (status, content_type))
    return parse(text)


def total(samples, name):
    return sum(value for (n, _), value in samples.items() if n == name)


def work():
    for i in range(20):
        body = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m%d"}}' % i
        if batond.ask("POST", "/api/v1/namespaces/default/configmaps", body)[0] != 201:
            fail("a ConfigMap was refused")
    batond.ask("GET", "/api/v1/pods")
    batond.ask("GET", "/apis/nobody%22%5C%0A.example/v1/things")  # What a client invents must not become a label.
    batond.ask("BREW", "/api/v1/pods")


batond = Batond(BATOND, STATE, options=["--log", "error"])
try:
    if not batond.ready():
        fail("batond did not become ready")
    before = scrape()
    work()
    time.sleep(1.2)  # The other connection thread puts its figures in once a second.
    after = scrape()
    for name in GROW:
        if not total(after, name) > total(before, name):
            fail("%s did not grow: %s, then %s" % (name, total(before, name), total(after, name)))
    for (name, labels), value in before.items():
        if name.endswith("_total") and after.get((name, labels), -1) < value:
            fail("%s%s went back" % (name, labels))
    for name in THERE:
        if name not in {n for n, _ in after}:
            fail(name + " is not there")
    creates = [v for (n, l), v in after.items() if n == "apiserver_request_total" and ("verb", "POST") in l
               and ("resource", "configmaps") in l and ("code", "201") in l]
    if creates != [20]:
        fail("20 creates are counted as %s" % creates)
    if abs(total(after, "process_start_time_seconds") - os.stat("/proc/%d" % batond.process.pid).st_ctime) > 5:
        fail("process_start_time_seconds is off")
    with open("/proc/%d/statm" % batond.process.pid) as f:
        resident = int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    if not 0.5 < total(after, "process_resident_memory_bytes") / resident < 2:
        fail("process_resident_memory_bytes is off")
    fds = len(os.listdir("/proc/%d/fd" % batond.process.pid))
    if abs(total(after, "process_open_fds") - fds) > 4:
        fail("process_open_fds is off: %s, not %d" % (total(after, "process_open_fds"), fds))
    if any("nobody" in value for _, labels in after for _, value in labels):
        fail("a client's invention is a label")
finally:
    batond.end()
    shutil.rmtree(STATE)
print("metrics.py: %d series, all well" % len(after))
