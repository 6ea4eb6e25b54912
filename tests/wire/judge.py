#!/usr/bin/env python3
"""Holds a replay's log against a list of deviations.

  judge.py deviations.txt replay.log [--version V] [--only GLOB]...

Exit 1: an exchange differs and is not listed, or is listed and passes, or the replay did not finish. A
line "V:name" of the list is for kubectl's version V alone. A reason that begins with "either way" is for
what the recorded side itself does not do the same way twice.
"""
import argparse, re, sys

def read_list(path, version):
    listed = {}
    with open(path) as f:
        for line in f:
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            where, _, reason = line.partition(" : ")
            if not reason:
                sys.exit("deviations: %r has no reason" % where)
            only, _, name = where.strip().rpartition(":")
            if not only or only == version:
                listed[name] = reason
    return listed

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("deviations"); p.add_argument("log")
    p.add_argument("--version", default=""); p.add_argument("--only", action="append", default=[])
    a, _ = p.parse_known_args()
    listed = read_list(a.deviations, a.version)
    passed, failed, finished = set(), {}, False
    with open(a.log) as f:
        for line in f:
            m = (re.match(r"(PASS|FAIL) (\S+/\d+) \[.*?\](?: : (.*))?$", line.rstrip("\n")) or
                 re.match(r"(PASS|FAIL) (\S+ \S+)(?: : (.*))?$", line.rstrip("\n")))
            if m and m.group(1) == "PASS":
                passed.add(m.group(2).replace(" ", "/"))
            elif m:
                failed[m.group(2).replace(" ", "/")] = m.group(3)
            finished = finished or re.match(r"\d+ passed, \d+ failed", line)
    new = [w for w in failed if w not in listed]
    gone = [w for w in listed if w in passed and not listed[w].startswith("either way")]
    unknown = [w for w in listed if w not in passed and w not in failed and not a.only]
    for w in new:
        print("DIFFERS %s : %s" % (w, failed[w]))
    for w in gone:
        print("LISTED BUT PASSES %s : take it off the list" % w)
    for w in unknown:
        print("LISTED BUT UNKNOWN %s" % w)
    if not finished:
        print("the replay did not finish")
    print("%d as recorded, %d listed deviations, %d unexpected" %
          (len(passed), len(failed) - len(new), len(new) + len(gone) + len(unknown)))
    sys.exit(0 if finished and passed and not (new or gone or unknown) else 1)

main()
