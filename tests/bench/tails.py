#!/usr/bin/env python3
"""tails.py BUILD_DIR [SECONDS=5] [KEYS=200000] [FACTOR_MAX=3]

What the slowest writes of 64 clients take while something else goes on in three nodes: a snapshot and the
compaction behind it, a follower that is down, one that is slow, 10,000 watchers, listings of 1 MB, a learner
that catches up with KEYS keys. `factor` is that against the median of the quiet ones in the same run, before,
between and after. `disk` is the longest fdatasync of a file of its own meanwhile: where that is long,
the machine was slow for everybody, and a factor says nothing of the nodes. The WAL is folded into the
database several times a second throughout, the quiet times too.

Exit 1 when the factor of a p99 is above FACTOR_MAX, or an answer was bad. BUILD_DIR holds raftkvd, raftkv and
tests/bench/write_load. Needs 10,100 descriptors and a quiet machine."""
import os
import re
import resource
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

from blocking_queries import open_watchers, settle
from cluster import CLIENT_PORT, PEER_PORT, Cluster, ask, pause
from million_keys import fill, wait_ready

CLIENTS, WATCHERS = 64, 10000
LISTED, LISTINGS_A_SECOND = 2500, 10
STOPPED_S, RUNNING_S = 0.1, 0.1


class Beside:
    """Something that is done again and again, on a thread of its own, until the block is left."""

    def __init__(self, work):
        self.work, self.is_over = work, False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.is_over:
            self.work()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()


class Disk:
    """The longest fdatasync() of 4 KiB that are written over."""

    def __init__(self, path):
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self.longest_s = 0
        self.look()

    def look(self):
        began = time.monotonic()
        os.pwrite(self.descriptor, b"x" * 4096, 0)
        os.fdatasync(self.descriptor)
        self.longest_s = max(self.longest_s, time.monotonic() - began)
        pause(0.02)


class Tails:
    def __init__(self, build, seconds):
        self.cluster = Cluster(build, flags=["--snapshot-entries", "100000000"])
        self.seconds = seconds
        self.disk = Disk(f"{self.cluster.work}/disk")
        self.rows = []
        self.bad = 0

    def measure(self, what):
        self.disk.longest_s = 0
        with Beside(self.disk.look):
            line = subprocess.run(
                [f"{self.cluster.build}/tests/bench/write_load", str(CLIENT_PORT + self.cluster.leader),
                 str(CLIENTS), str(self.seconds)], capture_output=True, text=True).stdout
        found = dict(re.findall(r"(\w+)=([0-9.]+)", line))
        if self.cluster.status(self.cluster.leader).get("role") != "leader" or not found:
            raise SystemExit(f"{what}: the leader did not stay one")
        self.bad += int(found["bad"])
        self.rows.append((what, {name: float(value) for name, value in found.items()}, self.disk.longest_s * 1000))

    def follower(self):
        return (self.cluster.leader + 1) % 3

    def snapshot(self):
        for node in self.cluster.nodes:
            node.send_signal(signal.SIGUSR1)
        self.measure("snapshot, compaction")
        pause(2)

    def follower_down(self):
        self.cluster.end(self.follower(), signal.SIGKILL)
        self.measure("a follower down")
        self.cluster.nodes[self.follower()] = self.cluster.spawn(self.follower(), [])
        self.measure("it is back, behind")
        wait_ready(self.cluster, self.follower())

    def follower_slow(self):
        node = self.cluster.nodes[self.follower()]

        def stop_and_go():
            node.send_signal(signal.SIGSTOP)
            pause(STOPPED_S)
            node.send_signal(signal.SIGCONT)
            pause(RUNNING_S)

        with Beside(stop_and_go):
            self.measure("a follower slow")

    def watchers(self):
        url = self.cluster.url(self.cluster.leader)
        keys = [f"k/{i:09}" for i in range(WATCHERS)]
        index = int(ask("PUT", f"{url}/v1/kv/bench/watch", b"")[0]["X-Consul-Index"])
        watchers = open_watchers(self.cluster, keys, index)
        settle(self.cluster)
        self.measure(f"{WATCHERS} watchers")
        watchers.close()
        settle(self.cluster)

    def listings(self):
        connection = socket.create_connection(self.cluster.address(self.cluster.leader))
        sizes = []

        def listing():
            connection.sendall(b"GET /v1/kv/k/?recurse&limit=%d HTTP/1.1\r\nHost: bench\r\n\r\n" % LISTED)
            heard = connection.recv(1 << 20)
            if not heard.startswith(b"HTTP/1.1 200 "):
                raise SystemExit(f"not a listing: {heard[:200]!r}")
            sizes.append(len(heard))
            while not heard.endswith((b"]\r\n0\r\n\r\n", b"]")):
                last = connection.recv(1 << 20)
                sizes[-1] += len(last)
                heard = (heard + last)[-16:]
            pause(1 / LISTINGS_A_SECOND)

        with Beside(listing):
            self.measure("listings of 1 MB")
        connection.close()
        if len(sizes) < self.seconds or min(sizes) < 1000000:
            raise SystemExit(f"{len(sizes)} listings, the least of {min(sizes)} bytes")

    def learner(self):
        cluster, place = self.cluster, len(self.cluster.nodes)
        cluster.nodes.append(cluster.spawn(place, ["--join", f"127.0.0.1:{PEER_PORT + cluster.leader}"]))
        adding = subprocess.Popen(
            [f"{cluster.build}/raftkv", "member", "add", f"n{place + 1}", f"127.0.0.1:{PEER_PORT + place}",
             "--addr", cluster.url(cluster.leader)], stdout=subprocess.DEVNULL)
        self.measure("a learner catching up")
        if adding.wait() != 0:
            raise SystemExit("the member was not added")
        wait_ready(cluster, place)

    def show(self, factor_max):
        quiet_p99, quiet_p999 = [statistics.median(row[name] for what, row, _ in self.rows if what == "quiet")
                                 for name in ("p99", "p999")]
        too_slow = []
        print(f"{'ms':24} {'writes/s':>9} {'p50':>7} {'p99':>7} {'factor':>7} {'p99.9':>7} {'factor':>7} {'disk':>7}")
        for what, row, disk_ms in self.rows:
            factor = row["p99"] / quiet_p99
            print(f"{what:24} {row['rate']:9.0f} {row['p50']:7.2f} {row['p99']:7.2f} {factor:7.2f} "
                  f"{row['p999']:7.2f} {row['p999'] / quiet_p999:7.2f} {disk_ms:7.1f}")
            if factor > factor_max and what != "quiet":
                too_slow.append(what)
        for what in too_slow:
            print(f"p99 above {factor_max:g} times the quiet one: {what}")
        if self.bad > 0:
            print(f"{self.bad} bad answers")
        return not too_slow and self.bad == 0


def main():
    build = os.path.abspath(sys.argv[1])
    seconds, keys, factor_max = [float(sys.argv[i]) if len(sys.argv) > i else default
                                 for i, default in ((2, 5), (3, 200000), (4, 3))]
    resource.setrlimit(resource.RLIMIT_NOFILE, [resource.getrlimit(resource.RLIMIT_NOFILE)[1]] * 2)
    tails = Tails(build, seconds)
    try:
        fill(tails.cluster, int(keys))
        tails.measure("quiet")
        for condition in (tails.snapshot, tails.follower_down, tails.follower_slow):
            condition()
        tails.measure("quiet")
        for condition in (tails.watchers, tails.listings, tails.learner):
            condition()
        tails.measure("quiet")
        is_good = tails.show(factor_max)
    finally:
        tails.cluster.stop()
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
