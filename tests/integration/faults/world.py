"""The world of one round: network namespaces, nodes, their clocks and disks, their HTTP API.

Meant for a process with network, mount and process namespaces of its own (run does that), so that
nothing here is seen outside, and all of it goes with the process. The process is in the hub: a
bridge 10.9.0.254 with a port for each place; place I is a namespace with the address 10.9.0.I,
where one node can run.
"""
import http.client
import json
import mmap
import os
import signal
import struct
import subprocess
import threading
import time

NET = "10.9.0"
CLIENT_PORT = 8500
PEER_PORT = 8300
NOWHERE = "02:00:00:00:de:ad"  # a neighbour that nobody is: what is sent there vanishes
SETTING = struct.Struct("<5q")


class Failure(Exception):
    """What must hold does not."""


def now():
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True)


def wait_for(seconds, what, condition):
    """Until the condition holds; its value. Past the deadline the round fails."""
    until = now() + seconds
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if now() > until:
            raise Failure("waited in vain for %g s: %s" % (seconds, what))
        pause.wait(0.03)


class Shim:
    """The file that a node's preloaded shim reads (shim.h)."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            file.write(bytes(8 + 2 * SETTING.size))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        self.used = 0
        self.setting = [0, 0, 0, 0, 0]

    def _apply(self):
        self.used ^= 1
        SETTING.pack_into(self.map, 8 + self.used * SETTING.size, *self.setting)
        struct.pack_into("<Q", self.map, 0, self.used)

    def steady(self, jump_us, rate_ppm):
        """MONOTONIC and BOOTTIME jump ahead, and from then on gain `rate_ppm`."""
        wall, steady_us, since_us, rate, sync = self.setting
        at_us = int(now() * 1000000)
        gained_us = (at_us - since_us) * rate // 1000000 if rate else 0
        self.setting = [wall, steady_us + gained_us + jump_us, at_us, rate_ppm, sync]
        self._apply()

    def wall(self, ahead_us):
        self.setting[0] = ahead_us
        self._apply()

    def sync_wait(self, wait_us):
        self.setting[4] = wait_us
        self._apply()


class Place:
    """Where a node can run. A node that is stopped keeps its directory; wipe() gives a new one."""

    def __init__(self, number, world):
        self.number = number
        self.world = world
        self.name = "n%d" % number
        self.space = "p%d" % number
        self.port = "v%d" % number
        self.host = "%s.%d" % (NET, number)
        self.peer = "%s:%d" % (self.host, PEER_PORT)
        self.directory = os.path.join(world.directory, "d%d" % number)
        self.log = os.path.join(world.directory, self.name + ".log")
        self.shim = Shim(os.path.join(world.directory, "shim%d" % number))
        self.process = None
        self.is_paused = False
        self.joins = None  # the peer address that it is started with, where it joined later
        ip("netns", "add", self.space)
        ip("link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", self.space)
        ip("link", "set", self.port, "master", "hub", "up")
        ip("-n", self.space, "addr", "add", self.host + "/24", "dev", "eth0")
        ip("-n", self.space, "link", "set", "eth0", "up")
        ip("-n", self.space, "link", "set", "lo", "up")

    # -- the process --

    def runs(self):
        return self.process is not None

    def start(self):
        command = ["ip", "netns", "exec", self.space, self.world.program,
                   "--node-id", self.name, "--data-dir", self.directory,
                   "--client-listen", "%s:%d" % (self.host, CLIENT_PORT),
                   "--peer-listen", self.peer, *self.world.flags]
        command += (["--join", self.joins] if self.joins else
                    ["--initial-cluster", self.world.initial])
        environment = dict(os.environ)
        if self.world.preload:
            environment.update(LD_PRELOAD=self.world.preload, RK_SHIM=self.shim.path)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        self.is_paused = False

    def kill(self):
        self.died()
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self):
        """SIGTERM, which must end in order."""
        self.died()
        if not self.process:
            return
        self.process.terminate()
        try:
            status = self.process.wait(8)
        except subprocess.TimeoutExpired:
            raise Failure("%s does not end within 8 s of SIGTERM" % self.name) from None
        self.process = None
        if status not in (0, -signal.SIGTERM):  # this: it had not begun yet
            raise Failure("%s ended with %d after SIGTERM" % (self.name, status))

    def died(self):
        """Raises if the node ended without being told to. One that was removed, and restarted, ends
        in order: it has nothing to come back to."""
        if self.process and self.process.poll() is not None:
            status = self.process.returncode
            self.process = None
            if status != 1 or not self.said_last(b"its configuration does not name this node"):
                raise Failure("%s ended by itself: %s" % (self.name, status))

    def said_last(self, text):
        with open(self.log, "rb") as log:
            return text in log.read()[-500:]

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        self.is_paused = True

    def resume(self):
        if self.process and self.is_paused:
            self.process.send_signal(signal.SIGCONT)
        self.is_paused = False

    def wipe(self):
        subprocess.run(["rm", "-rf", self.directory], check=True)

    # -- the network --

    def mute(self, other):
        """What it sends to `other` vanishes; what `other` sends arrives."""
        ip("-n", self.space, "neigh", "replace", other.host, "lladdr", NOWHERE, "nud", "permanent",
           "dev", "eth0")

    def unmute(self, other):
        ip("-n", self.space, "neigh", "del", other.host, "dev", "eth0", check=False)

    def mute_clients(self):
        ip("neigh", "replace", self.host, "lladdr", NOWHERE, "nud", "permanent", "dev", "hub")

    def unmute_clients(self):
        ip("neigh", "del", self.host, "dev", "hub", check=False)

    def link(self, state):
        ip("link", "set", self.port, state)

    def isolate(self, state):
        """Two ports that are isolated do not reach each other; all others reach both."""
        subprocess.run(["bridge", "link", "set", "dev", self.port, "isolated", state], check=True)

    # -- the API --

    def ask(self, method, path, body=None, timeout=2.0):
        """(status, text, headers); status 0: no answer."""
        connection = http.client.HTTPConnection(self.host, CLIENT_PORT, timeout=timeout)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        except (OSError, http.client.HTTPException):
            return 0, b"", {}
        finally:
            connection.close()

    def json(self, path, timeout=1.0):
        """What a GET answers with 200, or None."""
        status, text, _ = self.ask("GET", path, timeout=timeout)
        try:
            return json.loads(text) if status == 200 else None
        except ValueError:
            return None


class World:
    """`voters` nodes at the first places, and `spares` empty places."""

    def __init__(self, directory, program, preload, voters, spares, flags):
        self.directory = directory
        self.program = program
        self.preload = preload
        self.flags = flags
        ip("link", "add", "hub", "type", "bridge")
        ip("addr", "add", NET + ".254/24", "dev", "hub")
        ip("link", "set", "hub", "up")
        ip("link", "set", "lo", "up")
        self.places = [Place(i + 1, self) for i in range(voters + spares)]
        self.initial = ",".join("%s=%s" % (p.name, p.peer) for p in self.places[:voters])
        for place in self.places[:voters]:
            place.start()

    def running(self):
        return [p for p in self.places if p.runs()]

    def awake(self):
        return [p for p in self.places if p.runs() and not p.is_paused]

    def leader(self):
        """The place whose node leads in the greatest term, or None."""
        found = []
        for place in self.awake():
            status = place.json("/v1/status/node", timeout=0.3)
            if status and status["role"] == "leader":
                found.append((status["term"], place.number, place))
        return max(found)[2] if found else None

    def members(self):
        """The members as a leader has them, or None."""
        for place in self.awake():
            members = place.json("/v1/cluster/members?consistent", timeout=1.0)
            if members:
                return members
        return None

    def died(self):
        for place in self.places:
            place.died()

    def heal(self):
        """The network is whole, clocks go right, disks are quick, everybody is awake."""
        for place in self.places:
            place.resume()
            place.link("up")
            place.isolate("off")
            place.unmute_clients()
            for other in self.places:
                if other is not place:
                    place.unmute(other)
            place.shim.sync_wait(0)
            place.shim.steady(0, 0)
            place.shim.wall(0)
