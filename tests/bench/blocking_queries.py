#!/usr/bin/env python3
"""blocking_queries.py BUILD_DIR [COUNT=10000] [ROUNDS=3] [SECONDS=4]

COUNT blocking queries open at the leader of three nodes, each on a key of its own: what each costs
in memory, how soon a write to one watched key answers its watcher, what they cost other writes
(64 closed-loop clients of kvload, with and without them in turn), and how long it takes to answer
them all when they watch one key. BUILD_DIR holds raftkvd and tests/integration/kvload. Needs COUNT
descriptors and a quiet machine; the load, the clients and the nodes share it."""
import os
import re
import resource
import select
import socket
import statistics
import sys
import time

from cluster import Cluster, ask

WAKES = 300


class Watchers:
    """Connections with a blocking query each, one epoll over all."""

    def __init__(self, cluster, keys):
        self.keys = keys
        self.epoll = select.epoll()
        self.sockets, self.places = [], {}
        for place in range(len(keys)):
            connection = socket.create_connection(cluster.address(cluster.leader))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.places[connection.fileno()] = place
            self.sockets.append(connection)
            self.epoll.register(connection, select.EPOLLIN)
        self.index = None

    def wait_from(self, place, index):
        self.sockets[place].sendall(
            f"GET /v1/kv/{self.keys[place]}?index={index}&wait=600s HTTP/1.1\r\n"
            "Host: bench\r\n\r\n".encode())

    def answers(self, timeout_s):
        """Places that were answered, and the indexes they were given."""
        found = []
        for descriptor, _ in self.epoll.poll(timeout_s):
            place = self.places[descriptor]
            head = self.sockets[place].recv(65536)
            match = re.search(rb"X-Consul-Index: (\d+)", head)
            if match is None:
                raise SystemExit(f"not an answer: {head[:200]!r}")
            found.append((place, int(match[1])))
        return found

    def close(self):
        for connection in self.sockets:
            connection.close()


def settle(cluster):
    """Until the node's memory stands still: requests may be on their way."""
    last, now = -1, cluster.resident_kib(cluster.leader)
    while now != last:
        select.select([], [], [], 0.5)
        last, now = now, cluster.resident_kib(cluster.leader)
    return now


def open_watchers(cluster, keys, index):
    watchers = Watchers(cluster, keys)
    for place in range(len(keys)):
        watchers.wait_from(place, index)
    return watchers


def measure_wakes(cluster, watchers, index):
    writer = socket.create_connection(cluster.address(cluster.leader))
    writer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    took_ms = []
    for turn in range(WAKES):
        place = turn * 37 % len(watchers.keys)
        body = str(time.monotonic_ns()).encode() # a change, or it wakes nobody
        began = time.monotonic()
        writer.sendall(b"PUT /v1/kv/%s HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n%s" %
                       (watchers.keys[place].encode(), len(body), body))
        woken = watchers.answers(5)
        took_ms.append((time.monotonic() - began) * 1000)
        if [each[0] for each in woken] != [place]:
            raise SystemExit(f"a write to watcher {place}'s key answered {woken}")
        writer.recv(65536)
        watchers.wait_from(place, woken[0][1])
    writer.close()
    took_ms.sort()
    return statistics.median(took_ms), took_ms[int(len(took_ms) * 0.99)]


def measure_crowd(cluster, count):
    headers, _ = ask("PUT", f"{cluster.url(cluster.leader)}/v1/kv/crowd", b"0")
    watchers = open_watchers(cluster, ["crowd"] * count, headers["X-Consul-Index"])
    settle(cluster)
    began = time.monotonic()
    ask("PUT", f"{cluster.url(cluster.leader)}/v1/kv/crowd", b"1")
    left = count
    while left > 0:
        answered = watchers.answers(10)
        if not answered:
            raise SystemExit(f"{left} of the crowd were not answered")
        left -= len(answered)
    took_s = time.monotonic() - began
    watchers.close()
    return took_s


def main():
    build = os.path.abspath(sys.argv[1])
    count, rounds, seconds = [int(sys.argv[i]) if len(sys.argv) > i else default
                              for i, default in ((2, 10000), (3, 3), (4, 4))]
    resource.setrlimit(resource.RLIMIT_NOFILE, [resource.getrlimit(resource.RLIMIT_NOFILE)[1]] * 2)
    cluster = Cluster(build)
    try:
        keys = [f"watched/{i}" for i in range(count)]
        for key in keys:
            headers, _ = ask("PUT", f"{cluster.url(cluster.leader)}/v1/kv/{key}", b"0")
        index = int(headers["X-Consul-Index"])
        cluster.load(1)
        without, with_them, wakes = [], [], []
        for each in range(rounds):
            without.append(cluster.load(seconds))
            before_kib = settle(cluster)
            watchers = open_watchers(cluster, keys, index)
            after_kib = settle(cluster)
            if each == 0:
                print(f"memory: {(after_kib - before_kib) / count:.1f} KiB each "
                      f"({before_kib} KiB resident without, {after_kib} with {count})", flush=True)
            with_them.append(cluster.load(seconds))
            wakes.append(measure_wakes(cluster, watchers, index))
            index = int(ask("GET", f"{cluster.url(cluster.leader)}/v1/kv/watched/?keys")[0]["X-Consul-Index"])
            watchers.close()
            settle(cluster)
        print("wake: median %.2f ms, p99 %.2f ms (of the rounds' medians, the median)" %
              tuple(statistics.median(column) for column in zip(*wakes)))
        for name, rows in (("without", without), ("with", with_them)):
            print(f"writes {name}: median %.0f/s, %.0f us of server time each" %
                  tuple(statistics.median(column) for column in zip(*rows)),
                  "(rounds: " + ", ".join(f"{rate:.0f}/s {cpu:.0f} us" for rate, cpu in rows) + ")")
        (rate, cpu), (rate_with, cpu_with) = (
            [statistics.median(column) for column in zip(*rows)] for rows in (without, with_them))
        print(f"loss: {100 * (1 - rate_with / rate):.1f} % of the writes in that time, and "
              f"{100 * (cpu_with / cpu - 1):.1f} % more server time for each")
        print(f"crowd: {count} watchers of one key answered in {measure_crowd(cluster, count):.2f} s")
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
