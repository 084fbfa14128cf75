#!/usr/bin/env python3
"""run.py [--slow N] [--only NUMBER,...] [--after N] NAME=CLIENT=PEER...

The contract's cases at the nodes given, one TAP line a case and node, numbered after N. With one node those of kinds node,
slow and restore; with three also those of kind kill: lines such as "@kill n1" go to standard output, and
"done" is awaited on standard input. Exit 0: none fails."""
import argparse
import concurrent.futures
import sys
import traceback

import agent  # noqa: F401 the cases register themselves
import blocking  # noqa: F401
import kills  # noqa: F401
import kv  # noqa: F401
import services  # noqa: F401
import sessions  # noqa: F401
import txn  # noqa: F401
import wire
from registry import CASES


class Cluster:
    def __init__(self, sites):
        self.sites = sites

    def order(self, what, site):
        print(f"@{what} {site.name}", flush=True)
        wire.check(sys.stdin.readline() == "done\n", f"{what} {site.name} was not done")

    def kill(self, site):
        self.order("kill", site)

    def pause(self, site):
        self.order("pause", site)

    def resume(self, site):
        self.order("resume", site)

    def start(self, site):
        """The last that was down comes back to a cluster that is whole. The kept connection was to the other
        process."""
        site.connection().close()
        self.order("start", site)


class Tap:
    def __init__(self, number):
        self.number, self.failed = number, 0

    def line(self, case, where, outcome):
        self.number += 1
        kind, words = outcome
        text = f"{self.number} - case {case.number} {where}: {case.what}"
        if kind == "failed":
            self.failed += 1
            print(f"not ok {text}\n# {words}", flush=True)
        elif kind == "skipped":
            print(f"ok {text} # SKIP {words}", flush=True)
        else:
            print(f"ok {text}", flush=True)


def outcome_of(case, subject):
    try:
        case.run(subject)
        return "passed", ""
    except wire.Left as why:
        return "skipped", str(why)
    except Exception as error:  # whatever goes wrong, it is this case that failed
        if case.waits_for is not None:
            return "skipped", f"not yet: {case.waits_for}"
        if isinstance(error, wire.Wrong):
            return "failed", str(error).replace("\n", " ")
        return "failed", traceback.format_exc().replace("\n", "\n# ")


def run_all(tap, sites, wanted):
    def of(kind):
        return [case for case in CASES if case.kind == kind and (not wanted or str(case.number) in wanted)]
    place = "alone" if len(sites) == 1 else "of three"
    for site in sites:
        for case in of("node"):
            tap.line(case, f"{site.name} {place}", outcome_of(case, site))
    slow = [(case, site) for site in sites for case in of("slow")]
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(slow) or 1) as pool:
        for (case, site), outcome in zip(slow, pool.map(lambda pair: outcome_of(*pair), slow)):
            tap.line(case, f"{site.name} {place}", outcome)
    for case in of("restore"):
        tap.line(case, f"{sites[-1].name} {place}", outcome_of(case, sites[-1]))
    if len(sites) > 1:
        for case in of("kill"):
            tap.line(case, place, outcome_of(case, Cluster(sites)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--slow", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--after", type=int, default=0)
    parser.add_argument("nodes", nargs="+")
    options = parser.parse_args()
    wire.SLOW = options.slow
    nodes = [node.split("=") for node in options.nodes]
    names = [name for name, _, _ in nodes]
    sites = [wire.Site(name, client, peer, names) for name, client, peer in nodes]
    tap = Tap(options.after)
    run_all(tap, sites, set(filter(None, options.only.split(","))))
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
