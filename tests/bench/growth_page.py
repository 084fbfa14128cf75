#!/usr/bin/env python3
"""growth_page.py RESULTS PAGE

Makes of growth.py's results the tables of PAGE, in its block `growth`, and the plots beside it, growth-*.svg."""
import csv
import os
import sys

from page import machine, put_block, table
from plot import Plot

TITLES = {"connections": "Connections", "nodes": "Nodes", "keys": "Keys"}


def read(path):
    with open(path) as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return {group: {op: {int(row["at"]): row for row in rows if (row["group"], row["op"]) == (group, op)}
                    for op in ("put", "get")} for group in TITLES}


def both(group, columns):
    """A row for each place at which both were measured, the columns of put and of get side by side."""
    for at in sorted(set(group["put"]) & set(group["get"])):
        yield [f"{at:,}"] + [f"{float(group[op][at][column]):,.{digits}f}"
                             for op in ("put", "get") for column, digits in columns]


def page_lines(results):
    yield machine(os.path.dirname(os.path.abspath(__file__)))
    yield from ["", "### Connections", "", "Three nodes, 1,000 keys.", "",
                "![rate by connections](growth-connections.svg)", "",
                "![latency by connections](growth-latency.svg)", ""]
    yield from table(["connections", "put/s", "p50 ms", "p99 ms", "get/s", "p50 ms", "p99 ms"],
                     both(results["connections"], (("rate", 0), ("p50_ms", 2), ("p99_ms", 2))))
    yield from ["", "### Nodes", "", "64 connections, 1,000 keys; CPU time for each put or get.", "",
                "![CPU time by nodes](growth-nodes.svg)", ""]
    yield from table(["nodes", "put/s", "leader µs", "a follower µs", "get/s", "leader µs", "a follower µs"],
                     both(results["nodes"], (("rate", 0), ("leader_us", 1), ("follower_us", 1))))
    yield from ["", "### Keys", "", "Three nodes, 64 connections; the leader's CPU time and resident memory.", "",
                "![rate by keys](growth-keys.svg)", ""]
    yield from table(["keys"] + [f"{op}/s" if each == "/s" else each for op in ("put", "get")
                                 for each in ("/s", "p99 ms", "leader µs", "leader MiB")],
                     both(results["keys"], (("rate", 0), ("p99_ms", 2), ("leader_us", 1), ("leader_mib", 0))))


def series(group, op, column):
    return [(at, float(row[column])) for at, row in sorted(group[op].items())]


def plots(results):
    plot = Plot("Rate by connections", "connections", "answers a second", is_log_x=True)
    for op in ("put", "get"):
        plot.add(op, series(results["connections"], op, "rate"))
    yield "growth-connections.svg", plot
    plot = Plot("Latency by connections", "connections", "ms", is_log_x=True, is_log_y=True)
    for op in ("put", "get"):
        for column in ("p50_ms", "p99_ms"):
            plot.add(f"{op} {column[:3]}", series(results["connections"], op, column))
    yield "growth-latency.svg", plot
    plot = Plot("CPU time by nodes", "nodes", "µs for each put or get")
    for op in ("put", "get"):
        plot.add(f"{op}, leader", series(results["nodes"], op, "leader_us"))
        plot.add(f"{op}, a follower", [each for each in series(results["nodes"], op, "follower_us") if each[0] > 1])
    yield "growth-nodes.svg", plot
    plot = Plot("Rate by keys", "keys", "answers a second", is_log_x=True)
    for op in ("put", "get"):
        plot.add(op, series(results["keys"], op, "rate"))
    yield "growth-keys.svg", plot


def main():
    results, page = read(sys.argv[1]), sys.argv[2]
    for name, plot in plots(results):
        plot.write(os.path.join(os.path.dirname(page), name))
    put_block(page, "growth", list(page_lines(results)))


if __name__ == "__main__":
    main()
