"""What the measurements share: nodes on loopback, what they cost, and a load of writes."""
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def ports_choose():
    """Two runs of free ports, 200 apart, below those that the system hands out."""
    for _ in range(200):
        port = random.randrange(10200, 32000)
        if all(is_free(port + i) and is_free(port - 200 + i) for i in range(NODES_MAX)):
            return port
    raise SystemExit("no free ports")


NODES_MAX = 10
CLIENT_PORT = int(os.environ.get("BENCH_PORT") or ports_choose())
PEER_PORT = CLIENT_PORT - 200
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def ask(method, url, body=None, timeout_s=10):
    request = urllib.request.Request(url, data=body, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout_s) as answer:
        return answer.headers, answer.read()


def pause(seconds):
    select.select([], [], [], seconds)


class Cluster:
    """Nodes n1, n2, ...: those of the start are members, later ones join. `self.leader` is a place."""

    def __init__(self, build, count=3, flags=()):
        self.build, self.flags = build, list(flags)
        self.work = tempfile.mkdtemp(prefix="raftkv-bench-")
        self.initial = ",".join(f"n{i + 1}=127.0.0.1:{PEER_PORT + i}" for i in range(count))
        self.nodes = []
        for place in range(count):
            self.nodes.append(self.spawn(place, ["--initial-cluster", self.initial]))
        try:
            self.leader = self.find_leader()
        except BaseException:
            self.stop()
            raise

    def command(self, place, more):
        return ([f"{self.build}/raftkvd", "--node-id", f"n{place + 1}",
                 "--data-dir", f"{self.work}/n{place + 1}",
                 "--client-listen", f"127.0.0.1:{CLIENT_PORT + place}",
                 "--peer-listen", f"127.0.0.1:{PEER_PORT + place}", "--log-level", "error"]
                + self.flags + more)

    def spawn(self, place, more):
        return subprocess.Popen(self.command(place, more))

    def address(self, place):
        return ("127.0.0.1", CLIENT_PORT + place)

    def url(self, place):
        return "http://127.0.0.1:%d" % (CLIENT_PORT + place)

    def status(self, place):
        try:
            return json.loads(ask("GET", f"{self.url(place)}/v1/status/node")[1])
        except (OSError, ValueError):
            return {}

    def is_ready(self, place):
        try:
            return ask("GET", f"{self.url(place)}/readyz")[0] is not None
        except OSError:
            return False

    def find_leader(self, timeout_s=30):
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            for place in range(len(self.nodes)):
                status = self.status(place)
                if status.get("role") == "leader" and status.get("ready"):
                    return place
            pause(0.05)
        raise SystemExit("no leader")

    def resident_kib(self, place, field="VmRSS"):
        with open(f"/proc/{self.nodes[place].pid}/status") as status:
            return int(re.search(field + r":\s+(\d+)", status.read())[1])

    def cpu_s(self):
        total = 0
        for node in self.nodes:
            with open(f"/proc/{node.pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total * TICK_S

    def end(self, place, number=signal.SIGTERM):
        self.nodes[place].send_signal(number)
        self.nodes[place].wait()

    def load(self, seconds, places=None):
        """64 closed-loop writers: acknowledged a second, and microseconds of all servers for each."""
        urls = ",".join(self.url(each) for each in (places or [self.leader]))
        before = self.cpu_s()
        out = subprocess.run(
            [f"{self.build}/tests/integration/kvload", "write", "--nodes", urls, "--seconds",
             str(seconds), "--clients", "64", "--prefix", f"load-{time.monotonic_ns()}", "--out",
             f"{self.work}/out"], check=True, capture_output=True, text=True).stdout
        count = int(re.search(r"acknowledged=(\d+)", out)[1])
        return count / seconds, (self.cpu_s() - before) / count * 1e6

    def stop(self):
        for node in self.nodes:
            node.send_signal(signal.SIGKILL)
            node.wait()
        shutil.rmtree(self.work)
