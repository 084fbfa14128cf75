"""What goes wrong in a round: drawn from a seed, played against a world.

A fault is a dictionary (kind, at, lasts and what the kind needs), so that it prints and replays.
`at` and `lasts` are seconds. Whom it meets is "leader", found when it begins, or a number that
picks one of the nodes that run then.
"""
import collections
import json
import threading

from world import Failure, now, wait_for

ROUND_SECONDS = 4.5  # faults begin and end within


class Stage:
    """The world under faults, and who may touch its processes: one fault at a time."""

    def __init__(self, world):
        self.world = world
        self.lock = threading.RLock()
        self.over = threading.Event()  # set: all faults end now
        self.retired = set()  # places whose node left the cluster
        self.voters = len(world.running())
        self.said = []
        self.asked = 0
        self.happened = collections.Counter()  # that a run without them would prove little shows

    def note(self, text):
        self.said.append(text)

    def wait(self, seconds):
        """False once the faults are over."""
        return not self.over.wait(seconds)

    def pick(self, who):
        """The leader's place, or that of a node that runs; if there is none, of one that did."""
        if who == "leader":
            leader = self.world.leader()
            if leader:
                return leader
            who = 0
        places = self.world.running() or self.world.places[:self.voters]
        return places[who % len(places)]

    def kill(self, places):
        with self.lock:
            for place in places:
                place.kill()

    def start(self, places):
        with self.lock:
            for place in places:
                if not place.runs() and place not in self.retired:
                    place.start()
                    self.happened["restarts"] += 1


def others_of(stage, place):
    return [p for p in stage.world.running() if p is not place]


# -- the network --

def cut(stage, pairs, seconds):
    """What the first of each pair sends to the second vanishes."""
    for sender, receiver in pairs:
        sender.mute(receiver)
    stage.wait(seconds)
    for sender, receiver in pairs:
        sender.unmute(receiver)


def groups_cut(stage, groups, seconds):
    cut(stage, [(a, b) for one in groups for a in one for two in groups if two is not one
                for b in two], seconds)


def play_down(stage, fault):
    place = stage.pick(fault["who"])
    place.link("down")
    stage.wait(fault["lasts"])
    place.link("up")


def play_flap(stage, fault):
    place = stage.pick(fault["who"])
    until = now() + fault["lasts"]
    while now() < until and not stage.over.is_set():
        place.link("down")
        stage.wait(fault["every"])
        place.link("up")
        stage.wait(fault["every"])


def play_deaf(stage, fault):
    place = stage.pick(fault["who"])
    cut(stage, [(other, place) for other in others_of(stage, place)], fault["lasts"])


def play_mute(stage, fault):
    place = stage.pick(fault["who"])
    cut(stage, [(place, other) for other in others_of(stage, place)], fault["lasts"])


def play_split(stage, fault):
    """Who leads is in the smaller part, with `extra` others."""
    place = stage.pick(fault["who"])
    others = others_of(stage, place)
    small = [place] + others[:fault["extra"]]
    groups_cut(stage, [small, [p for p in others if p not in small]], fault["lasts"])


def play_bridge(stage, fault):
    """Two halves that only one node in the middle reaches."""
    place = stage.pick(fault["who"])
    others = others_of(stage, place)
    half = len(others) // 2
    groups_cut(stage, [others[:half], others[half:]], fault["lasts"])


def play_chain(stage, fault):
    """Each reaches only those before and after it."""
    running = stage.world.running()
    cut(stage, [(a, b) for i, a in enumerate(running) for j, b in enumerate(running)
                if abs(i - j) > 1], fault["lasts"])


def play_pair(stage, fault):
    """Two that do not reach each other, by the bridge that both hang on."""
    place = stage.pick(fault["who"])
    others = others_of(stage, place)
    if not others:
        return
    other = others[fault["extra"] % len(others)]
    place.isolate("on")
    other.isolate("on")
    stage.wait(fault["lasts"])
    place.isolate("off")
    other.isolate("off")


def play_clients(stage, fault):
    """Its clients no longer reach it; the other nodes do."""
    place = stage.pick(fault["who"])
    place.mute_clients()
    stage.wait(fault["lasts"])
    place.unmute_clients()


# -- processes --

def play_pause(stage, fault):
    place = stage.pick(fault["who"])
    with stage.lock:
        if not place.runs():
            return
        place.pause()
    stage.wait(fault["lasts"])
    with stage.lock:
        place.resume()


def play_kill(stage, fault):
    """`count` at one moment, the picked one among them; 9: all."""
    place = stage.pick(fault["who"])
    places = [place] + others_of(stage, place)[:fault["count"] - 1]
    stage.kill(places)
    stage.wait(fault["lasts"])
    stage.start(places)


def play_kill_leaders(stage, fault):
    for _ in range(fault["count"]):
        place = stage.pick("leader")
        stage.kill([place])
        if not stage.wait(fault["lasts"]):
            break
        stage.start([place])
        if not stage.wait(fault["every"]):
            break
    stage.start([p for p in stage.world.places[:stage.voters]])


def play_rolling(stage, fault):
    """Each ends in order and comes back, and the next only when it is ready."""
    for place in list(stage.world.running()):
        with stage.lock:
            if not place.runs() or place.is_paused:
                continue
            place.stop()
            stage.start([place])
        until = now() + 2.0
        while now() < until and place.ask("GET", "/readyz", timeout=0.5)[0] != 200:
            if not stage.wait(0.05):
                return
        if not stage.wait(fault["every"]):
            return


# -- clocks and disks --

def play_wall(stage, fault):
    """CLOCK_REALTIME jumps to and fro: nobody may care."""
    until = now() + fault["lasts"]
    step = 0
    while now() < until and not stage.over.is_set():
        for i, place in enumerate(stage.world.places):
            place.shim.wall(fault["jumps"][(i + step) % len(fault["jumps"])] * 1000000)
        step += 1
        stage.wait(fault["every"])


def play_jump(stage, fault):
    """CLOCK_MONOTONIC and CLOCK_BOOTTIME jump ahead."""
    place = stage.pick(fault["who"])
    place.shim.steady(fault["ahead_ms"] * 1000, 0)


def play_skew(stage, fault):
    """The leader is cut off, and meanwhile the others' clocks run ahead, in steps too small to look
    like a pause: they elect another while the old one's lease, by its own clock, goes on."""
    for _ in range(fault["count"]):
        leader = stage.pick("leader")
        others = others_of(stage, leader)
        pairs = [(leader, other) for other in others] + [(other, leader) for other in others]
        for sender, receiver in pairs:
            sender.mute(receiver)
        for _ in range(6):
            for other in others:
                other.shim.steady(fault["ahead_ms"] * 1000, 0)
            stage.wait(0.01)
        stage.wait(0.4)
        for sender, receiver in pairs:
            sender.unmute(receiver)
        if not stage.wait(0.5):
            return


def play_drift(stage, fault):
    for place, rate in zip(stage.world.places, fault["rates"]):
        place.shim.steady(0, rate)
    stage.wait(fault["lasts"])
    for place in stage.world.places:
        place.shim.steady(0, 0)


def play_disk(stage, fault):
    place = stage.pick(fault["who"])
    place.shim.sync_wait(fault["wait_ms"] * 1000)
    stage.wait(fault["lasts"])
    place.shim.sync_wait(0)


# -- operators --

def operate(stage, what, method, path, body=None):
    """Asks a node, and the next one only if it is certain that nothing was done: a replacement that is
    done twice waits for a newcomer that does not come. The status, 0 without an answer."""
    status = 0
    places = stage.world.awake()
    stage.asked += 1
    for i in range(len(places)):
        place = places[(stage.asked + i) % len(places)]
        status, text, headers = place.ask(method, path, json.dumps(body) if body else None,
                                          timeout=2.5)
        stage.note("%s, asked of %s: %d %s" %
                   (what, place.name, status, text[:120].decode(errors="replace")))
        if status != 500 or headers.get("X-Raftkv-Outcome") != "not-done":
            break
    stage.happened["operators: done" if status == 200 else "operators: not done"] += 1
    return status


def is_refused(place):
    """It says itself that the cluster knows its name with a directory that is lost."""
    return b"replace the member" in place.ask("GET", "/readyz", timeout=0.5)[1]


def play_transfer(stage, fault):
    for _ in range(fault["count"]):
        place = stage.pick(fault["who"])
        operate(stage, "transfer to " + place.name, "POST",
                "/v1/operator/raft/transfer-leader?id=" + place.name)
        if not stage.wait(fault["every"]):
            return


def spare(stage):
    """A place whose node never ran in this round, or left; its node joins, empty."""
    with stage.lock:
        for place in stage.world.places:
            if not place.runs() and (place.number > stage.voters or place in stage.retired):
                place.wipe()
                place.joins = stage.pick(0).peer
                stage.retired.discard(place)
                place.start()
                return place
    return None


def retire(stage, place):
    with stage.lock:
        stage.retired.add(place)
        place.kill()


def member(place):
    return {"name": place.name, "peer_address": place.peer}


def play_grow(stage, fault):
    """A node more, which votes once it has caught up; or a learner that is promoted by hand."""
    place = spare(stage)
    if not place:
        return
    body = dict(member(place), learner=True) if fault["learner"] else member(place)
    operate(stage, "add " + place.name, "POST", "/v1/cluster/members", body)
    if fault["learner"]:
        for _ in range(8):
            if operate(stage, "promote " + place.name, "PATCH", "/v1/cluster/members/" + place.name,
                       {"role": "voter"}) == 200 or not stage.wait(0.25):
                return


def play_shrink(stage, fault):
    """A node less, and then one more."""
    place = stage.pick(fault["who"])
    if operate(stage, "remove " + place.name, "DELETE", "/v1/cluster/members/" + place.name) == 200:
        retire(stage, place)
        stage.wait(fault["every"])
        play_grow(stage, dict(fault, learner=False))


def play_replace(stage, fault):
    """Another takes its place."""
    old = stage.pick(fault["who"])
    new = spare(stage)
    if new:
        operate(stage, "replace %s by %s" % (old.name, new.name), "POST",
                "/v1/cluster/members/replace", dict(member(new), old=old.name))


def play_wipe(stage, fault):
    """It loses its disk, and comes back under its old name."""
    place = stage.pick(fault["who"])
    with stage.lock:
        place.kill()
        place.wipe()
        place.start()
    for _ in range(10):
        if not stage.wait(0.2):
            return
        if is_refused(place) and operate(stage, "replace " + place.name, "POST",
                                         "/v1/cluster/members/replace",
                                         dict(member(place), old=place.name)) == 200:
            return


PLAYS = {name[5:]: play for name, play in list(globals().items()) if name.startswith("play_")}
MEMBERSHIP = ["grow", "shrink", "replace", "wipe"]
CLOCKS = ["jump", "skew"]  # those that a lease may not survive


def who(chance):
    return chance.choice(["leader", "leader", chance.randrange(9)])


def draw(chance, kind, voters, is_lease):
    """One fault of that kind."""
    fault = {"kind": kind, "at": round(chance.uniform(0.2, 2.2), 2),
             "lasts": round(chance.uniform(0.2, 1.8), 2), "who": who(chance),
             "every": round(chance.uniform(0.05, 0.4), 2),
             "extra": chance.randrange(max(1, voters // 2))}
    if kind == "kill":
        fault["count"] = chance.choice([1, voters // 2, voters // 2 + 1, 9])
    elif kind in ("kill_leaders", "transfer"):
        fault["count"] = chance.randrange(2, 5)
        fault["lasts"] = min(fault["lasts"], 0.6)
        fault["who"] = chance.randrange(9) if kind == "transfer" else "leader"
    elif kind == "wall":
        fault["jumps"] = [chance.choice([-3600, -60, -1, 1, 60, 3600]) for _ in range(4)]
    elif kind == "jump":
        fault["ahead_ms"] = chance.choice([50, 200, 500, 2000, 60000])
    elif kind == "skew":
        fault["count"] = 4
        fault["ahead_ms"] = 150
    elif kind == "drift":
        # As much as lease-drift allows, 1 %, or more where no lease relies on it.
        most = 4000 if is_lease else 50000
        fault["rates"] = [chance.randrange(-most, most) for _ in range(9)]
        fault["lasts"] = 3.0
    elif kind == "disk":
        fault["wait_ms"] = chance.choice([20, 100, 500, 3000])
    elif kind == "grow":
        fault["learner"] = chance.random() < 0.3
    return fault


def plan(chance, voters, is_lease, has_shim, only):
    """One to four faults, of them at most one that changes the members. `only`, if it names any
    kinds: each of them once."""
    if only:
        return [draw(chance, kind, voters, is_lease) for kind in only]
    kinds = [kind for kind in PLAYS if kind not in MEMBERSHIP]
    if is_lease:
        kinds = [kind for kind in kinds if kind not in CLOCKS]
    if not has_shim:
        kinds = [kind for kind in kinds if kind not in ("wall", "jump", "skew", "drift", "disk")]
    drawn = chance.sample(kinds, chance.randrange(1, 5))
    if chance.random() < 0.4:
        drawn[0] = chance.choice(MEMBERSHIP)
    return [draw(chance, kind, voters, is_lease) for kind in drawn]


class Player:
    """All faults of a round, each in a thread of its own."""

    def __init__(self, stage, faults):
        self.stage = stage
        self.failures = []
        self.threads = [threading.Thread(target=self._play, args=(fault,)) for fault in faults]

    def start(self):
        for thread in self.threads:
            thread.start()

    def _play(self, fault):
        try:
            if self.stage.wait(fault["at"]) and self.stage.world.running():
                PLAYS[fault["kind"]](self.stage, fault)
        except Failure as failure:
            self.failures.append(str(failure))
        except Exception as error:  # of the harness itself: shown, and the round fails
            self.failures.append("%s: %r" % (fault["kind"], error))

    def finish(self):
        self.stage.over.set()
        for thread in self.threads:
            thread.join(15)
            if thread.is_alive():
                raise Failure("a fault does not end")
        if self.failures:
            raise Failure("; ".join(self.failures))
