"""Three nodes under the shim, clients that write through them, and what their answers mean."""
import http.client
import os
import signal
import subprocess
import threading
import time

CLIENTS = 6
SLOTS = 24  # keys of each client
LARGE = 60000
READY_SECONDS = 30


class Failure(Exception):
    """What must hold does not."""


def pause(seconds=0.002):
    threading.Event().wait(seconds)


def wait_for(seconds, what, condition):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise Failure("waited in vain for %g s: %s" % (seconds, what))
        pause(0.01)


class Write:
    """Of number `number` to `key`; places in the journal when it was asked for and answered."""

    __slots__ = ("key", "number", "begun", "done", "refused")

    def __init__(self, key, number, begun):
        self.key = key
        self.number = number
        self.begun = begun
        self.done = 0
        self.refused = 0


def free_ports(count):
    import random
    import socket
    while True:
        first = random.SystemRandom().randrange(10000, 32000)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue


class World:
    PORTS = None  # the same in all rounds: a configuration names them

    def __init__(self, directory, program, shim, journal, lie, damaged):
        if World.PORTS is None:
            World.PORTS = free_ports(6)
        self.directory = directory
        self.program = program
        self.shim = shim
        self.journal = journal
        self.lie = lie
        self.damaged = damaged
        self.processes = {}
        self.writes = []
        self.loaded = 0
        self.lock = threading.Lock()
        self.initial = ",".join("n%d=127.0.0.1:%d" % (i, self.peer_port(i)) for i in (1, 2, 3))

    @staticmethod
    def client_port(number):
        return World.PORTS + 2 * number - 2

    @staticmethod
    def peer_port(number):
        return World.PORTS + 2 * number - 1

    # -- processes --

    def start(self, number):
        name = "n%d" % number
        place = os.path.join(self.directory, name)
        environment = dict(os.environ, LD_PRELOAD=self.shim, POWER_DIR=place,
                           POWER_JOURNAL=self.journal.path, POWER_NODE=str(number))
        environment.pop("POWER_LIE", None)
        if self.lie:
            environment["POWER_LIE"] = self.lie
        with open(place + ".log", "ab") as log:
            self.processes[number] = subprocess.Popen(
                [self.program, "--node-id", name, "--data-dir", os.path.join(place, "var/data"),
                 "--client-listen", "127.0.0.1:%d" % self.client_port(number),
                 "--peer-listen", "127.0.0.1:%d" % self.peer_port(number),
                 "--initial-cluster", self.initial, "--heartbeat-interval", "30ms",
                 "--election-timeout", "200ms", "--snapshot-entries", "120",
                 "--trailing-entries", "20"],
                stdout=log, stderr=log, env=environment)

    def start_all(self):
        for number in (1, 2, 3):
            self.start(number)
        self.wait_ready()

    def died(self):
        for number, process in self.processes.items():
            if process.poll() is not None:
                raise Failure("n%d ended by itself: %d" % (number, process.returncode))

    def is_ready(self, number):
        self.died()
        return self.ask(number, "GET", "/readyz", timeout=1)[0] == 200

    def wait_ready(self):
        for number in (1, 2, 3):
            wait_for(READY_SECONDS, "n%d ready" % number, lambda: self.is_ready(number))

    def kill(self, number):
        """Between two of its calls, so that the journal says what it has done."""
        self.journal.halt(number, pause)
        process = self.processes.pop(number)
        process.kill()
        process.wait()
        self.journal.resume(number)

    def stop(self, number):
        process = self.processes.pop(number)
        process.terminate()
        try:
            status = process.wait(8)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failure("n%d does not end within 8 s of SIGTERM" % number) from None
        if status not in (0, -signal.SIGTERM):
            raise Failure("n%d ended with %d after SIGTERM" % (number, status))

    def kill_all(self):
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        self.processes = {}

    # -- requests --

    def ask(self, number, method, path, body=None, timeout=3.0):
        """(status, text, outcome); status 0: no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.client_port(number), timeout=timeout)
        try:
            return self.ask_on(connection, method, path, body)
        finally:
            connection.close()

    @staticmethod
    def ask_on(connection, method, path, body=None):
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers.get("X-Raftkv-Outcome", "")
        except ConnectionRefusedError:
            return 0, b"", "not-done"
        except (OSError, http.client.HTTPException):
            connection.close()
            return 0, b"", ""

    # -- after a cut --

    def check(self, expected, told):
        """Every node is ready: all of them answer what was acknowledged, and hold the same."""
        def read_all():
            status, text, _ = self.ask(1, "GET", "/v1/kv/?recurse&keys")
            return status in (200, 404)
        wait_for(READY_SECONDS, "a linearizable read", read_all)
        for key, what in expected.items():
            status, text, _ = self.ask(1 + hash(key) % 3, "GET", "/v1/kv/%s?raw" % key)
            if status not in (200, 404):
                status, text, _ = self.ask(1, "GET", "/v1/kv/%s?raw" % key)
            number = int(text.split()[0]) if status == 200 else 0
            if status not in (200, 404) or not what.allows(number):
                raise Failure("after the start %s is %d %d; acknowledged %d, open %s" %
                              (key, status, number, what.acknowledged, sorted(what.open)[-5:]))
            read = Write(key, number, self.journal.end())
            read.done = read.begun  # from now on it may not be another one
            self.writes.append(read)
        wait_for(READY_SECONDS, "replicas that hold the same bytes", self.are_equal)
        told["starts after a cut" if expected else "starts from nothing"] += 1
        told["writes read back from real nodes"] += len(expected)

    def log(self, number):
        with open(os.path.join(self.directory, "n%d.log" % number)) as file:
            return file.read()

    def count(self, text):
        return sum(self.log(number).count(text) for number in (1, 2, 3))

    def complaints(self):
        """Damage that a node finds heals by itself, and after a power cut there may be none."""
        for number in {1, 2, 3} - self.damaged:
            for line in self.log(number).splitlines():
                if "level=error" in line:
                    raise Failure("n%d: %s" % (number, line))

    def are_equal(self):
        self.died()
        bodies = [self.ask(number, "GET", "/v1/kv/?recurse&stale") for number in (1, 2, 3)]
        return all(body[0] in (200, 404) for body in bodies) and len({body[1] for body in bodies}) == 1

    # -- under load --

    def client(self, name, first, until, chance):
        connections = {}
        number = first
        while time.monotonic() < until:
            number += 1
            node = chance.randrange(3) + 1
            connection = connections.get(node)
            if connection is None:
                connection = connections[node] = http.client.HTTPConnection(
                    "127.0.0.1", self.client_port(node), timeout=2)
            size = LARGE if chance.random() < 0.01 else chance.choice((10, 300, 3000))
            write = Write("%s/%d" % (name, number % SLOTS), number, self.journal.end())
            with self.lock:
                self.writes.append(write)
            status, text, outcome = self.ask_on(connection, "PUT", "/v1/kv/" + write.key,
                                                b"%-*d" % (size, number))
            if status == 200 and text == b"true":
                write.done = self.journal.end()
            elif outcome == "not-done":
                write.refused = self.journal.end()
                pause(0.01)
        for connection in connections.values():
            connection.close()

    def load(self, chance, seconds, before, told):
        import random
        first = max([max(what.open, default=0) for what in before.values()] +
                    [what.acknowledged for what in before.values()] + [0])
        self.loaded = self.journal.end()
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=self.client, args=(
            "c%d" % i, first, until, random.Random(chance.getrandbits(32)))) for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            self.disturb(chance, until, told)
        finally:
            for thread in threads:
                thread.join()
        self.died()
        self.complaints()

    def disturb(self, chance, until, told):
        """Now and then a node is ended, stays away for a while and comes back."""
        while True:
            pause(chance.uniform(0.1, 0.5))
            if time.monotonic() > until - 0.3:
                break
            if chance.random() < 0.2:
                continue
            number = chance.randrange(3) + 1
            if chance.random() < 0.7:
                self.kill(number)
                told["nodes killed under load"] += 1
            else:
                self.stop(number)
                told["nodes stopped under load"] += 1
            pause(chance.uniform(0.05, 0.5))
            self.start(number)
