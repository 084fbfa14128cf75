#!/usr/bin/env python3
"""Power cuts under three real nodes. `make check-power` runs it.

A round starts three nodes on what the last cut left, under a preloaded shim that notes down all that
they ask of their disks, writes through them, and meanwhile kills and restarts some. The journal then
stands for every moment of the round: CUTS_PER_ROUND times a moment is drawn, and which of the nodes
lose power; what their disks may hold then is drawn, too (journal.py), and looked at by a program that
opens them as a node does (look.c). The last cut of a round is what the next one starts from, with real
nodes. Held at each cut:

  - every node comes up, none with a log that is short of its high-water mark;
  - whoever could be elected has every write that was acknowledged before the cut, and nothing else;
  - logs with one entry in common are one up to there, and so are the states;
  - no node has forgotten a term, vote or entry that it had promised to another;
  - a snapshot that has its name is whole.

Now and then a round begins with damage on one node's disk, which its leader heals: until it has, the
node need not come up by itself, but if it does, and counts in elections, all of this holds of it, too.

And at each start: all nodes become ready, answer every acknowledged write, and hold the same bytes.

From the environment: RK_BUILD, the build directory; CUTS (200); SEED (none: drawn and printed);
RAFTKVD, another node program; LIE, a control alone (shim.c), which must be found out; WHERE, a directory in memory
(/dev/shm). A seed decides what is drawn, not how the nodes run: so a cut that fails keeps its round, and
`run.py --again DIRECTORY` makes the same disks of it and looks at them. Exit: 0 passed, or skipped and
said why; 1 failed.
"""
import collections
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import judge  # noqa: E402
from damage import damage, read_tree  # noqa: E402
from journal import Disk, Journal, write_image  # noqa: E402
from world import Failure, World  # noqa: E402

NODES = 3
CUTS_PER_ROUND = 100
LOAD_SECONDS = (0.6, 1.6)
FROM_NOTHING = 10  # one round in so many starts with new directories
DAMAGED = 4  # and one in so many of the others with damage
EVENTS = {"snapshots taken": "event=taken", "snapshots installed": "event=installed",
          "leaders": "event=role role=leader"}
CONTROLS = ("log", "high-water", "directory", "snapshot", "snapshot-late")
CONTROL_ROUNDS_MAX = 6


def setting(name, default):
    return os.environ.get(name) or default


class Looker:
    """look.c, kept running; under the shim, so that a ballast takes no room."""

    def __init__(self, program, shim):
        self.program = program
        self.environment = dict(os.environ, LD_PRELOAD=shim)
        self.process = None

    def look(self, directories):
        if self.process is None:
            self.process = subprocess.Popen([self.program], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                            env=self.environment)
        self.process.stdin.write(" ".join(directories) + "\n")
        self.process.stdin.flush()
        lines = []
        while not lines or lines[-1] != "end":
            line = self.process.stdout.readline()
            if not line:
                _, error = self.process.communicate()
                self.process = None
                raise Failure("opening the directories ended the process: " + error.strip())
            lines.append(line.rstrip("\n"))
        return judge.read_looks(lines[:-1])

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()


class Round:
    """What a round left behind: where it began, its journal, its writes."""

    def __init__(self, began, damaged, records, loaded, writes, acknowledged_before):
        self.loaded = loaded  # the place where all nodes were up, and clients began to write
        self.began = began
        self.damaged = damaged  # numbers of nodes
        self.records = records
        self.writes = writes
        self.acknowledged_before = acknowledged_before

    def moments(self, chance, count):
        """Numbers of records, ascending; many of them beside what is rare."""
        rare = [i for i, record in enumerate(self.records) if record.is_rare()]
        starts = [i for i, record in enumerate(self.records) if record.at < self.loaded]
        drawn = []
        for _ in range(count):
            if self.damaged and chance.random() < 0.5:
                drawn.append(chance.choice(starts))
            elif rare and chance.random() < 0.4:
                drawn.append(min(chance.choice(rare) + chance.randrange(3), len(self.records) - 1))
            else:
                drawn.append(chance.randrange(len(self.records)))
        return sorted(drawn)

    def walk(self, moments):
        """Yields, for each moment, its place in the journal and the disks as they then were."""
        disks = [Disk(image) for image in self.began]
        at = 0
        for moment in moments:
            for record in self.records[at:moment]:
                disks[record.node - 1].take(record)
            at = moment
            place = self.records[moment].at
            for disk in disks:
                disk.advance_to(place)
            yield place, disks


def draw_images(disks, chance, told):
    cut = chance.choice((7, 7, 7, 1, 2, 4, 3, 5, 6))
    told["power of %d lost" % bin(cut).count("1")] += 1
    return [disk.torn(chance, told) if cut >> i & 1 else disk.whole() for i, disk in enumerate(disks)]


class Test:
    def __init__(self, where, lie=None, is_control=False):
        build = setting("RK_BUILD", os.getcwd())
        self.where = where
        self.program = os.path.abspath(setting("RAFTKVD", os.path.join(build, "raftkvd")))
        self.shim = os.path.join(build, "tests/power/shim.so")
        self.looker = Looker(os.path.join(build, "tests/power/look"), self.shim)
        self.lie = lie
        self.is_control = is_control
        self.told = collections.Counter()
        self.images = [{} for _ in range(NODES)]
        self.damaged = set()  # nodes that did not come up whole
        self.acknowledged = {}
        self.rounds = 0

    def prepare(self, directory, chance):
        """The nodes' directories, as the last cut left them."""
        shutil.rmtree(directory, ignore_errors=True)
        os.mkdir(directory)
        for i, image in enumerate(self.images):
            write_image(os.path.join(directory, "n%d" % (i + 1)), image)
        if self.rounds % FROM_NOTHING and not self.lie and chance.randrange(DAMAGED) == 0:
            number = chance.randrange(NODES) + 1
            place = os.path.join(directory, "n%d" % number)
            if not self.damaged and damage(os.path.join(place, "var/data"), chance, self.told):
                self.damaged = {number}
                self.images[number - 1] = read_tree(place)

    def play(self, chance):
        """A round with real nodes; raises Failure."""
        if self.rounds % FROM_NOTHING == 0:
            self.images = [{} for _ in range(NODES)]
            self.acknowledged = {}
            self.damaged = set()
        directory = os.path.join(self.where, "nodes")
        self.prepare(directory, chance)
        self.rounds += 1
        before = self.acknowledged
        journal = Journal(os.path.join(self.where, "journal"))
        world = World(directory, self.program, self.shim, journal, self.lie, self.damaged)
        try:
            world.start_all()
            world.check(before, self.told)
            world.load(chance, chance.uniform(*LOAD_SECONDS), before, self.told)
        finally:
            world.kill_all()
            records = list(journal.records())
            journal.close()
        self.told["rounds"] += 1
        for what, text in EVENTS.items():
            self.told[what] += world.count(text)
        self.told["writes acknowledged"] += sum(1 for write in world.writes if write.done)
        return Round(self.images, self.damaged, records, world.loaded, world.writes, before)

    def look(self, round_, place, images, seen=None):
        directory = os.path.join(self.where, "cut")
        shutil.rmtree(directory, ignore_errors=True)
        os.mkdir(directory)
        paths = []
        for i, image in enumerate(images):
            path = os.path.join(directory, "n%d" % (i + 1))
            write_image(path, image)
            paths.append(os.path.join(path, "var/data"))
        looks = self.looker.look(paths)
        expected = judge.expected_at(round_, place)
        promises = seen or judge.promises_before(round_.records, place)
        judge.judge(looks, expected, promises, round_.damaged, self.told)
        return expected, {number for number, look in enumerate(looks, 1) if not look.counts()}

    def cut(self, round_, chance, count):
        """Looks at that many cuts; the last is where the next round starts. Raises Failure."""
        seeds = [chance.getrandbits(48) for _ in range(count)]
        moments = round_.moments(chance, count)
        next_one = chance.randrange(count // 2, count)
        promises = judge.Promises(round_.records)
        for i, (place, disks) in enumerate(round_.walk(moments)):
            images = draw_images(disks, random.Random(seeds[i]), self.told)
            try:
                expected, damaged = self.look(round_, place, images, promises.before(place))
            except Failure as failure:
                self.keep(round_, moments[i], seeds[i], images)
                raise Failure("cut at %d: %s" % (place, failure)) from None
            self.told["cuts"] += 1
            if i == next_one:
                self.images = images
                self.acknowledged = expected
                self.damaged = damaged

    def keep(self, round_, moment, seed, images):
        if self.is_control:
            return
        kept = tempfile.mkdtemp(prefix="raftkv-power-")
        with open(os.path.join(kept, "round"), "wb") as file:
            pickle.dump((round_, moment, seed), file)
        for i, image in enumerate(images):
            write_image(os.path.join(kept, "n%d" % (i + 1)), image)
        for i in range(1, NODES + 1):
            log = os.path.join(self.where, "nodes", "n%d.log" % i)
            if os.path.exists(log):
                shutil.copy(log, kept)
        print("kept: " + kept)

    def close(self):
        self.looker.close()


def controls(where, seed):
    """What is left out of a node's syncs must be found out."""
    for lie in CONTROLS:
        chance = random.Random(seed)
        test = Test(where, lie, True)
        found = None
        for _ in range(CONTROL_ROUNDS_MAX):
            try:
                test.cut(test.play(chance), chance, CUTS_PER_ROUND)
            except Failure as failure:
                found = str(failure)
                break
        test.close()
        if found is None:
            print("control %s: not noticed in %d cuts" % (lie, test.told["cuts"]))
            return False
        print("control %s: found out after %d cuts: %s" % (lie, test.told["cuts"], found[:150]))
        sys.stdout.flush()
    return True


def run(where, cuts, seed):
    chance = random.Random(seed)
    test = Test(where, os.environ.get("LIE"))
    began = time.monotonic()
    try:
        while test.told["cuts"] < cuts:
            round_ = test.play(chance)
            test.cut(round_, chance, min(CUTS_PER_ROUND, cuts - test.told["cuts"]))
    except Failure as failure:
        print("seed %d, round %d: %s" % (seed, test.rounds, failure))
        for i in range(1, NODES + 1):
            log = os.path.join(where, "nodes", "n%d.log" % i)
            if os.path.exists(log):
                with open(log) as file:
                    print("--- the end of n%d.log\n%s" % (i, "".join(file.readlines()[-8:])), end="")
        return False
    finally:
        test.close()
        for what, count in sorted(test.told.items()):
            print("  %-46s %d" % (what, count))
    print("ok: %d cuts in %d rounds, %.0f s" % (test.told["cuts"], test.rounds, time.monotonic() - began))
    return True


def again(directory):
    with open(os.path.join(directory, "round"), "rb") as file:
        round_, moment, seed = pickle.load(file)
    where = tempfile.mkdtemp(prefix="power-", dir=setting("WHERE", "/dev/shm"))
    test = Test(where)
    try:
        for place, disks in round_.walk([moment]):
            images = draw_images(disks, random.Random(seed), test.told)
            test.look(round_, place, images)
        print("ok")
    except Failure as failure:
        print(failure)
        return 1
    finally:
        test.close()
        shutil.rmtree(where)
    return 0


def main():
    if sys.argv[1:2] == ["--again"]:
        return again(sys.argv[2])
    with open(setting("RAFTKVD", os.path.join(setting("RK_BUILD", "."), "raftkvd")), "rb") as file:
        text = file.read()
        if b"__asan_init" in text or b"__tsan_init" in text:
            print("not under a sanitizer, which wants to be loaded first")
            print("0 passed, 0 failed, 1 skipped")
            return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was begun is cleaned up
    seed = int(setting("SEED", random.SystemRandom().getrandbits(31)))
    print("seed %d" % seed)
    where = tempfile.mkdtemp(prefix="power-", dir=setting("WHERE", "/dev/shm"))
    try:
        passed = (bool(os.environ.get("LIE")) or controls(where, seed)) and \
            run(where, int(setting("CUTS", 200)), seed)
    finally:
        shutil.rmtree(where, ignore_errors=True)
    print("%d passed, %d failed, 0 skipped" % (passed, not passed))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
