#!/usr/bin/env python3
"""growth.py BUILD_DIR RESULTS [SECONDS=5]

How puts and linearizable gets change with the number of keys, of nodes and of connections: rate, latency,
processor time of the leader and of one follower for each. Values of 256 bytes, wrk at the leader, 64
connections and three nodes and 1,000 keys where nothing else is said. With more nodes than cores the rate
says little, the processor time is what a node costs.

RESULTS is a table with tabs, a row for each point as it is taken: a run that was broken off goes on where it
was, a whole one is taken anew. growth_page.py makes tables and plots of it. Needs wrk, 4,100 descriptors,
3 GB of memory, 4 GB of disk below TMPDIR and a quiet machine."""
import os
import subprocess
import sys

from cluster import TICK_S, Cluster, pause
from million_keys import fill

HERE = os.path.dirname(os.path.abspath(__file__))
KEYS, NODES, CONNECTIONS = [1000, 100000, 1000000], [1, 3, 5, 7, 9], [1, 16, 64, 256, 1000, 4000]
COLUMNS = ["group", "at", "op", "rate", "p50_ms", "p99_ms", "leader_us", "follower_us", "leader_mib"]
WARM_UP_S = 1


class Results:
    def __init__(self, path):
        self.path, self.seen = path, set()
        if os.path.exists(path):
            with open(path) as lines:
                self.seen = {tuple(line.split("\t")[:3]) for line in lines} - {tuple(COLUMNS[:3])}
        if not self.seen or all(self.has(*point) for point in points()):
            self.seen = set()
            self.write(COLUMNS, "w")

    def has(self, group, at, op):
        return (group, str(at), op) in self.seen

    def wants(self, group, at):
        return not all(self.has(group, at, op) for op in ("put", "get"))

    def write(self, row, mode="a"):
        with open(self.path, mode) as out:
            out.write("\t".join(str(each) for each in row) + "\n")


def points():
    for group, places in (("connections", CONNECTIONS), ("nodes", NODES), ("keys", KEYS)):
        for at in places:
            for op in ("put", "get"):
                yield group, at, op


def node_cpu_s(cluster):
    """Processor time of each node so far."""
    spent = []
    for node in cluster.nodes:
        with open(f"/proc/{node.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        spent.append((int(fields[11]) + int(fields[12])) * TICK_S)
    return spent


def drive(cluster, op, connections, keys, seconds):
    said = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s", "-s", f"{HERE}/growth.lua",
         cluster.url(cluster.leader)],
        check=True, capture_output=True, text=True, env=dict(os.environ, OP=op, KEYS=str(keys))).stdout
    count, took_s, p50_ms, p99_ms, bad = said.splitlines()[-1].split()
    if bad != "0":
        raise SystemExit(f"{op}, {connections} connections: {count} answers, {bad} bad")
    return int(count), float(took_s), p50_ms, p99_ms


def measure(cluster, results, group, at, connections, keys, seconds):
    for op in ("put", "get"):
        if results.has(group, at, op):
            continue
        drive(cluster, op, connections, keys, WARM_UP_S)
        before = node_cpu_s(cluster)
        count, took_s, p50_ms, p99_ms = drive(cluster, op, connections, keys, seconds)
        if count == 0:
            raise SystemExit(f"{group} {at}: no {op} was answered")
        spent_us = [(b - a) / count * 1e6 for a, b in zip(before, node_cpu_s(cluster))]
        if cluster.find_leader() != cluster.leader:
            raise SystemExit(f"{group} {at}: the leader changed")
        leader_us = spent_us.pop(cluster.leader)
        follower_us = sum(spent_us) / len(spent_us) if spent_us else 0
        row = [group, at, op, f"{count / took_s:.0f}", p50_ms, p99_ms, f"{leader_us:.1f}", f"{follower_us:.1f}",
               f"{cluster.resident_kib(cluster.leader) / 1024:.0f}"]
        results.write(row)
        print("  ".join(f"{name}={value}" for name, value in zip(COLUMNS, row)), flush=True)


def with_cluster(build, count, use):
    cluster = Cluster(build, count)
    try:
        fill(cluster, KEYS[0])
        pause(0.5)
        use(cluster)
    finally:
        cluster.stop()


def measure_connections(build, results, seconds):
    def use(cluster):
        for at in CONNECTIONS:
            measure(cluster, results, "connections", at, at, KEYS[0], seconds)
    if any(results.wants("connections", at) for at in CONNECTIONS):
        with_cluster(build, 3, use)


def measure_nodes(build, results, seconds):
    for at in NODES:
        if results.wants("nodes", at):
            with_cluster(build, at, lambda cluster, at=at: measure(cluster, results, "nodes", at, 64, KEYS[0], seconds))


def measure_keys(build, results, seconds):
    def use(cluster):
        for at in KEYS:
            if results.wants("keys", at):
                fill(cluster, at)
                pause(2)  # the snapshot that so many writes may have begun
                measure(cluster, results, "keys", at, 64, at, seconds)
    if any(results.wants("keys", at) for at in KEYS):
        with_cluster(build, 3, use)


def main():
    build, results = os.path.abspath(sys.argv[1]), Results(sys.argv[2])
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    for group in (measure_connections, measure_nodes, measure_keys):
        group(build, results, seconds)


if __name__ == "__main__":
    main()
