#!/usr/bin/env python3
"""The n-th system call fails. `make check-nth` runs it for every n, `make check` for some.

A node makes some hundred calls on its directory while it starts, appends, takes snapshots and cuts its
log, or is sent one. The preloaded shim lets the n-th of them fail: with EIO, ENOSPC or EINTR, or half of
a write is done. The node then either goes on as if nothing had been, or ends by itself with a status of
its own and a line that says why. Started again without the fault it has all that was acknowledged. None
may hang.

  first    a new directory, writes, snapshots, an orderly end
  again    a start on what a killed node left, some writes
  install  a follower that was away for longer than the log lives
  member   a follower that comes back to a cluster with nearly all of the log

From the environment: RK_BUILD; EVERY, only every so many n (none: all), with an offset and a kind of
failure drawn by SEED; STORIES, some of the above; FAULTS, some of
EIO, ENOSPC, EINTR, short; FIRST and LAST, bounds of n; RAFTKVD; WHERE. Prints the call that failed where
something is wrong. Exit: 0 passed, or skipped and said why; 1 failed.
"""
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from world import Failure, World, free_ports, pause, wait_for  # noqa: E402

ALL_FAULTS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "EINTR": errno.EINTR, "short": 0}
WRITES = 30
END_SECONDS = 20
FLAGS = ["--heartbeat-interval", "30ms", "--election-timeout", "150ms", "--snapshot-entries", "10",
         "--trailing-entries", "3"]
STATUSES = (1, 3, 4)  # what a node ends with by itself: at its start, by a disk, by damage


def setting(name, default):
    return os.environ.get(name) or default


FAULTS = {name: ALL_FAULTS[name] for name in setting("FAULTS", " ".join(ALL_FAULTS)).split()}


class Node:
    """One raftkvd, its directory POWER_DIR/data."""

    def __init__(self, where, number, initial, ports):
        build = setting("RK_BUILD", os.getcwd())
        self.program = os.path.abspath(setting("RAFTKVD", os.path.join(build, "raftkvd")))
        self.shim = os.path.join(build, "tests/power/shim.so")
        self.name = "n%d" % number
        self.place = os.path.join(where, self.name)
        self.log = os.path.join(where, self.name + ".log")
        self.count = os.path.join(where, self.name + ".count")
        self.initial = initial
        self.client = ports
        self.peer = ports + 1
        self.process = None

    def start(self, fail=None):
        environment = dict(os.environ, LD_PRELOAD=self.shim, POWER_DIR=self.place)
        if fail is not None:
            environment.update(POWER_FAIL="%d %d" % fail, POWER_COUNT=self.count)
        open(self.log, "w").close()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", self.program, "--node-id", self.name,
                 "--data-dir", self.place + "/data",
                 "--client-listen", "127.0.0.1:%d" % self.client,
                 "--peer-listen", "127.0.0.1:%d" % self.peer, "--initial-cluster", self.initial] + FLAGS,
                stdout=log, stderr=log, env=environment)

    def ask(self, method, path, body=None):
        import http.client
        connection = http.client.HTTPConnection("127.0.0.1", self.client, timeout=3)
        try:
            return World.ask_on(connection, method, path, body)
        finally:
            connection.close()

    def has_ended(self):
        return self.process.poll() is not None

    def is_ready(self):
        return self.ask("GET", "/readyz")[0] == 200

    def wait_ready_or_end(self):
        """True: it is ready."""
        wait_for(END_SECONDS, "%s ready, or ended" % self.name,
                 lambda: self.has_ended() or self.is_ready())
        return not self.has_ended()

    def ended_well(self):
        """By itself: with its status and a line that says why."""
        with open(self.log) as file:
            lines = file.read().splitlines()
        status = self.process.returncode
        if status not in STATUSES:
            raise Failure("%s ended with %d" % (self.name, status))
        if not any(line.startswith("raftkvd: ") or "level=error" in line for line in lines[-5:]):
            raise Failure("%s ended with %d and does not say why: %s" % (self.name, status, lines[-1:]))

    def stop(self):
        """In order, or by itself meanwhile."""
        if not self.has_ended():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                raise Failure("%s hangs" % self.name) from None
        if self.process.returncode not in (0, -signal.SIGTERM):
            self.ended_well()

    def kill(self):
        if self.process and not self.has_ended():
            self.process.kill()
        if self.process:
            self.process.wait()

    def failed_call(self):
        with open(self.count) as file:
            return file.read().strip()


def put(node, first, count, acknowledged, uncertain):
    """Until the node ends."""
    for number in range(first, first + count):
        key = "k%d" % (number % 12)
        value = b"%d" % number
        status, text, outcome = node.ask("PUT", "/v1/kv/" + key, value.ljust(3000 if number % 5 == 0 else 20))
        if status == 200 and text == b"true":
            acknowledged[key] = number
            uncertain.pop(key, None)
        elif outcome != "not-done":
            uncertain.setdefault(key, set()).add(number)
        if status == 0 and node.has_ended():
            return


def verify(node, acknowledged, uncertain):
    for key in set(acknowledged) | set(uncertain):
        status, text = 0, b""

        def answered():
            nonlocal status, text
            status, text, _ = node.ask("GET", "/v1/kv/%s?raw" % key)
            return status in (200, 404)
        wait_for(END_SECONDS, "an answer for %s" % key, answered)
        number = int(text.split()[0]) if status == 200 else 0
        if number != acknowledged.get(key, 0) and number not in uncertain.get(key, ()):
            raise Failure("%s is %d, acknowledged was %d" % (key, number, acknowledged.get(key, 0)))


class Single:
    """One node: `first` with a new directory, `again` with one that a killed node left."""

    def __init__(self, where, is_new):
        self.ports = free_ports(2)
        self.node = Node(where, 1, "n1=127.0.0.1:%d" % (self.ports + 1), self.ports)
        self.kept = os.path.join(where, "kept")
        self.acknowledged = {}
        if not is_new:
            self.make_kept()

    def make_kept(self):
        shutil.rmtree(self.node.place, ignore_errors=True)
        os.mkdir(self.node.place)
        self.node.start()
        if not self.node.wait_ready_or_end():
            raise Failure("the node ended without a fault")
        put(self.node, 1, WRITES, self.acknowledged, {})
        self.node.kill()
        shutil.copytree(self.node.place, self.kept)

    def play(self, fail):
        node = self.node
        acknowledged, uncertain = dict(self.acknowledged), {}
        shutil.rmtree(node.place, ignore_errors=True)
        if os.path.isdir(self.kept):
            shutil.copytree(self.kept, node.place)
        else:
            os.mkdir(node.place)
        node.start(fail)
        if node.wait_ready_or_end():
            put(node, 1000, WRITES, acknowledged, uncertain)
        node.stop()
        if fail[0] == 0:
            return
        node.start()
        if not node.wait_ready_or_end():
            raise Failure("does not come up again: %s" % open(node.log).read()[-300:])
        verify(node, acknowledged, uncertain)
        node.stop()
        if node.process.returncode != 0:
            raise Failure("the second start ended with %d" % node.process.returncode)

    def close(self):
        self.node.kill()


class Follower:
    """Two nodes that go on, and a third that was killed; `is_behind` all that they have of the log."""

    def __init__(self, where, is_behind):
        ports = free_ports(6)
        initial = ",".join("n%d=127.0.0.1:%d" % (i + 1, ports + 2 * i + 1) for i in range(3))
        self.nodes = [Node(where, i + 1, initial, ports + 2 * i) for i in range(3)]
        self.kept = os.path.join(where, "behind")
        self.acknowledged = {}
        for node in self.nodes:
            os.mkdir(node.place)
            node.start()
        for node in self.nodes:
            if not node.wait_ready_or_end():
                raise Failure("%s ended without a fault" % node.name)
        put(self.nodes[0], 1, 5 if is_behind else 60, self.acknowledged, {})
        self.nodes[2].kill()
        shutil.copytree(self.nodes[2].place, self.kept)
        wait_for(END_SECONDS, "the other two ready", lambda: all(n.is_ready() for n in self.nodes[:2]))
        put(self.nodes[0], 100, 60 if is_behind else 1, self.acknowledged, {})

    def play(self, fail):
        node = self.nodes[2]
        shutil.rmtree(node.place, ignore_errors=True)
        shutil.copytree(self.kept, node.place)
        node.start(fail)
        self.caught_up(node)
        node.stop()
        if fail[0] == 0:
            return
        node.start()
        if not self.caught_up(node):
            raise Failure("does not come up again: %s" % open(node.log).read()[-300:])
        node.stop()
        if node.process.returncode != 0:
            raise Failure("the second start ended with %d" % node.process.returncode)

    def caught_up(self, node):
        """Until it holds what the others do; False: it ended."""
        def is_level():
            if node.has_ended():
                return True
            own = node.ask("GET", "/v1/kv/?recurse&stale")
            return own[0] == 200 and own[1] == self.nodes[0].ask("GET", "/v1/kv/?recurse&stale")[1]
        wait_for(END_SECONDS, "%s holds what the others do" % node.name, is_level)
        return not node.has_ended()

    def close(self):
        for node in self.nodes:
            node.kill()

    @property
    def node(self):
        return self.nodes[2]


def play_story(name, where, every, chance):
    """Prints a line; returns how many calls failed, and how many of these were not borne."""
    if name in ("install", "member"):
        story = Follower(where, name == "install")
    else:
        story = Single(where, name == "first")
    tried, borne, failures = 0, 0, []
    try:
        story.play((0, 0))
        count = int(story.node.failed_call().split()[0])
        first = 1 + (chance.randrange(every) if every > 1 else 0)
        first = max(first, int(setting("FIRST", 1)))
        for n in range(first, min(count, int(setting("LAST", count))) + 1, every):
            for fault in [chance.choice(sorted(FAULTS))] if every > 1 else sorted(FAULTS):
                if os.path.exists(story.node.count):
                    os.unlink(story.node.count)
                tried += 1
                try:
                    story.play((n, FAULTS[fault]))
                    borne += 1
                except Failure as failure:
                    call = story.node.failed_call() if os.path.exists(story.node.count) else "none"
                    failures.append("%s: call %d (%s) with %s: %s" % (name, n, call, fault, failure))
                    print(failures[-1])
                    story.node.kill()
    finally:
        story.close()
    print("%s: %d calls; %d failures played, %d borne" % (name, count, tried, borne))
    sys.stdout.flush()
    return failures


def main():
    program = setting("RAFTKVD", os.path.join(setting("RK_BUILD", "."), "raftkvd"))
    with open(program, "rb") as file:
        text = file.read()
        if b"__asan_init" in text or b"__tsan_init" in text or shutil.which("setpriv") is None:
            print("skipped: not under a sanitizer, which wants to be loaded first; and needs setpriv")
            return 77
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was begun is cleaned up
    every = int(setting("EVERY", 1))
    seed = int(setting("SEED", random.SystemRandom().getrandbits(31)))
    print("seed %d" % seed)
    began = time.monotonic()
    failures = []
    for name in setting("STORIES", "first again install member").split():
        where = tempfile.mkdtemp(prefix="nth-", dir=setting("WHERE", "/dev/shm"))
        try:
            failures += play_story(name, where, every, random.Random(seed))
        finally:
            shutil.rmtree(where, ignore_errors=True)
    print("%d failures, %.0f s" % (len(failures), time.monotonic() - began))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
