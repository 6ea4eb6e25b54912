#!/usr/bin/env python3
"""Holds a replay's log against the list of deviations.

  judge.py deviations.txt replay.log [--only GLOB]...

Exit 1: an exchange differs and is not listed, or is listed and passes, or the replay did not finish.
"""
import fnmatch, re, sys

def read_list(path):
    listed = {}
    with open(path) as f:
        for line in f:
            line = line.strip()
            if line and not line.startswith("#"):
                where, _, reason = line.partition(" : ")
                if not reason:
                    sys.exit("deviations: %r has no reason" % where)
                listed[where.strip()] = reason
    return listed

def main():
    listed, argv = read_list(sys.argv[1]), sys.argv[3:]
    only = [argv[i + 1] for i, a in enumerate(argv) if a == "--only"]
    passed, failed, finished = set(), {}, False
    with open(sys.argv[2]) as f:
        for line in f:
            m = re.match(r"(PASS|FAIL) (\S+) (\S+)(?: : (.*))?$", line.rstrip("\n"))
            if m:
                where = m.group(2) + "/" + m.group(3)
                if m.group(1) == "PASS":
                    passed.add(where)
                else:
                    failed[where] = m.group(4)
            finished = finished or re.match(r"\d+ passed, \d+ failed", line)
    new = [w for w in failed if w not in listed]
    gone = [w for w in listed if w in passed]
    unknown = [w for w in listed if w not in passed and w not in failed and not only]
    for w in new:
        print("DIFFERS %s : %s" % (w, failed[w]))
    for w in gone:
        print("LISTED BUT PASSES %s : take it off tests/wire/deviations.txt" % w)
    for w in unknown:
        print("LISTED BUT UNKNOWN %s" % w)
    if not finished:
        print("the replay did not finish")
    print("wire: %d as recorded, %d listed deviations, %d unexpected" %
          (len(passed), len(failed) - len(new), len(new) + len(gone) + len(unknown)))
    sys.exit(0 if finished and passed and not (new or gone or unknown) else 1)

main()
