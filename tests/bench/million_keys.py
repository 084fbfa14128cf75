#!/usr/bin/env python3
"""million_keys.py BUILD_DIR [COUNT=1000000] [SECONDS=4]

Three nodes with COUNT keys of 256 bytes: what they hold in memory, how soon a stopped and a killed
node is ready again, what others' reads wait for while the whole is listed, how soon a blank node is a
caught-up member, and what that costs the writes of the others. BUILD_DIR holds raftkvd, raftkv and
tests/integration/kvload. Needs 3 GB of memory, 4 GB of disk and a quiet machine."""
import base64
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

from cluster import PEER_PORT, Cluster, ask, pause

VALUE_SIZE = 256
TXN_OPS, FILLERS = 8, 25


def fill(cluster, count):
    """Transactions of a few keys, so that the log has entries enough for snapshots."""
    began = time.monotonic()
    lines = [socket.create_connection(cluster.address(cluster.leader)) for _ in range(FILLERS)]
    for first in range(0, count, FILLERS * TXN_OPS):
        for each, line in enumerate(lines):
            start = first + each * TXN_OPS
            body = json.dumps([{"KV": {"Verb": "set", "Key": f"k/{i:09}",
                                       "Value": base64.b64encode(os.urandom(VALUE_SIZE)).decode()}}
                               for i in range(start, start + TXN_OPS)]).encode()
            line.sendall(b"PUT /v1/txn HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n%s" %
                         (len(body), body))
        for line in lines:
            answer = line.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"not written: {answer[:200]!r}")
    for line in lines:
        line.close()
    return time.monotonic() - began


def show_memory(cluster, when):
    print(f"memory {when}: " + ", ".join(
        f"n{place + 1} {cluster.resident_kib(place) / 1024:.0f} MiB" for place in range(len(cluster.nodes))),
        flush=True)


def wait_ready(cluster, place, timeout_s=60):
    began = time.monotonic()
    while not cluster.is_ready(place):
        if time.monotonic() - began > timeout_s:
            raise SystemExit(f"n{place + 1} is not ready after {timeout_s} s")
        pause(0.01)
    return time.monotonic() - began


def measure_restart(cluster, number):
    place = (cluster.leader + 1) % len(cluster.nodes)
    cluster.end(place, number)
    cluster.nodes[place] = cluster.spawn(place, [])
    took_s = wait_ready(cluster, place)
    began = time.monotonic()
    ask("GET", f"{cluster.url(place)}/v1/kv/k/000000001?raw", timeout_s=60)
    print(f"restart after {signal.Signals(number).name}: ready in {took_s:.2f} s, a linearizable read there "
          f"{time.monotonic() - began:.2f} s later, "
          f"{cluster.resident_kib(place, 'VmHWM') / 1024:.0f} MiB at most", flush=True)


class Probe(threading.Thread):
    """A read of one key again and again, on a connection of its own: how long each took."""

    def __init__(self, address):
        super().__init__()
        self.connection = socket.create_connection(address)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.took_ms, self.is_over = [], False

    def run(self):
        while not self.is_over:
            began = time.monotonic()
            self.connection.sendall(b"GET /v1/kv/k/000000001?raw HTTP/1.1\r\nHost: bench\r\n\r\n")
            self.connection.recv(65536)
            self.took_ms.append((time.monotonic() - began) * 1000)
            pause(0.001)

    def end(self):
        self.is_over = True
        self.join()
        self.connection.close()
        self.took_ms.sort()
        return statistics.median(self.took_ms), self.took_ms[int(len(self.took_ms) * 0.99)], self.took_ms[-1]


def measure_listing(cluster):
    address, url = cluster.address(cluster.leader), cluster.url(cluster.leader)
    probe = Probe(address)
    probe.start()
    pause(2)
    print("one read, quiet: median %.2f ms, p99 %.2f ms, most %.2f ms" % probe.end())
    probe = Probe(address)
    probe.start()
    began = time.monotonic()
    out = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{size_download}", f"{url}/v1/kv/k/?recurse"],
                         check=True, capture_output=True, text=True).stdout
    took_s = time.monotonic() - began
    print("one read, beside a listing of %.0f MB in %.1f s: " % (int(out) / 1e6, took_s) +
          "median %.2f ms, p99 %.2f ms, most %.2f ms" % probe.end(), flush=True)


def measure_join(cluster, seconds):
    before, _ = cluster.load(seconds)
    place = len(cluster.nodes)
    cluster.nodes.append(cluster.spawn(place, ["--join", f"127.0.0.1:{PEER_PORT + cluster.leader}"]))
    began = time.monotonic()
    adding = subprocess.Popen([f"{cluster.build}/raftkv", "member", "add", f"n{place + 1}",
                               f"127.0.0.1:{PEER_PORT + place}", "--addr", cluster.url(cluster.leader)],
                              stdout=subprocess.DEVNULL)
    during = []
    while adding.poll() is None:
        during.append(cluster.load(1)[0])
    took_s = time.monotonic() - began
    if adding.returncode != 0:
        raise SystemExit("the member was not added")
    wait_ready(cluster, place)
    print(f"a blank node votes after {took_s:.1f} s; writes: {before:.0f}/s before, "
          f"{statistics.median(during):.0f}/s meanwhile "
          f"({(1 - statistics.median(during) / before) * 100:.0f} % less; seconds: "
          + ", ".join(f"{rate:.0f}" for rate in during) + ")", flush=True)


def main():
    build = os.path.abspath(sys.argv[1])
    count, seconds = [int(sys.argv[i]) if len(sys.argv) > i else default
                      for i, default in ((2, 1000000), (3, 4))]
    cluster = Cluster(build)
    try:
        print(f"{count} keys of {VALUE_SIZE} bytes in {fill(cluster, count):.1f} s", flush=True)
        show_memory(cluster, "after the writes")
        measure_restart(cluster, signal.SIGTERM)
        measure_restart(cluster, signal.SIGKILL)
        measure_listing(cluster)
        measure_join(cluster, seconds)
        show_memory(cluster, "at the end")
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
