#!/usr/bin/python3
"""coverage.py BUILD BRANCHES_MIN [--missing] -- lines and branches of src/raft that the runs in BUILD
took, by gcov. Fails when fewer than BRANCHES_MIN branches of a thousand were taken.

The outcome of an RK_ASSERT that must never come is no branch to be tested: branches of the lines
that an RK_ASSERT(...) covers are left out. --missing names the others that were not taken."""

import glob
import gzip
import json
import os
import subprocess
import sys
import tempfile


def gcov(build):
    """Every source of src/raft with its lines, as gcov tells them."""
    notes = sorted(glob.glob(os.path.join(build, "src/raft/*.gcda")))
    if not notes:
        sys.exit("coverage: nothing was run in " + build)
    with tempfile.TemporaryDirectory() as where:
        subprocess.run(["gcov", "--json-format", "--branch-probabilities", "--preserve-paths"]
                       + [os.path.abspath(note) for note in notes],
                       cwd=where, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for name in sorted(glob.glob(os.path.join(where, "*.gz"))):
            with gzip.open(name) as file:
                told = json.load(file)
            for source in told["files"]:
                path = os.path.normpath(os.path.join(told["current_working_directory"],
                                                     source["file"]))
                if "/src/raft/" in path and path.endswith(".c"):
                    yield path, source["lines"]


def lines_of_assertions(path):
    """Numbers of the lines from each RK_ASSERT( to its closing parenthesis."""
    lines = set()
    depth = 0
    with open(path, encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            if depth == 0:
                at = text.find("RK_ASSERT(")
                if at < 0:
                    continue
                text = text[at:]
            depth += text.count("(") - text.count(")")
            lines.add(number)
    return lines


def count(path, lines):
    """(lines, lines run, branches, branches taken, [what is missing])."""
    asserted = lines_of_assertions(path)
    told = {}
    for line in lines:
        told.setdefault(line["line_number"], []).append(line)
    result = [0, 0, 0, 0, []]
    for number, parts in sorted(told.items()):
        result[0] += 1
        result[1] += any(part["count"] > 0 for part in parts)
        if not any(part["count"] > 0 for part in parts):
            result[4].append((number, "not run"))
        if number in asserted:
            continue
        branches = [branch for part in parts for branch in part["branches"]]
        result[2] += len(branches)
        result[3] += sum(branch["count"] > 0 for branch in branches)
        for at, branch in enumerate(branches):
            if branch["count"] == 0:
                result[4].append((number, "branch %d of %d" % (at, len(branches))))
    return result


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def main():
    build, branches_min = sys.argv[1], int(sys.argv[2])
    total = [0, 0, 0, 0]
    print("%-14s %16s %20s" % ("src/raft/", "lines", "branches"))
    for path, lines in gcov(build):
        told = count(path, lines)
        total = [a + b for a, b in zip(total, told)]
        print("%-14s %5d of %5d %5.1f%% %5d of %5d %5.1f%%" % (
            os.path.basename(path), told[1], told[0], percent(told[1], told[0]),
            told[3], told[2], percent(told[3], told[2])))
        if "--missing" in sys.argv:
            with open(path, encoding="utf-8") as file:
                text = file.read().split("\n")
            for number, what in told[4]:
                print("    %d: %s: %s" % (number, what, text[number - 1].strip()))
    print("%-14s %5d of %5d %5.1f%% %5d of %5d %5.1f%%" % (
        "all", total[1], total[0], percent(total[1], total[0]),
        total[3], total[2], percent(total[3], total[2])))
    if 1000 * total[3] < branches_min * total[2]:
        sys.exit("coverage: fewer than %.1f%% of the branches" % (branches_min / 10))


if __name__ == "__main__":
    main()
