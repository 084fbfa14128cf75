"""One round of faults against real nodes, in a world that nobody else sees (run starts it so).

    round.py SEED DIRECTORY OPTIONS

OPTIONS is JSON: program, load, judge, shim (paths; shim may be null), kinds (of faults, none: any),
is_slow, and control: null, or what is done wrong on purpose. "stale": stale reads go into the history;
"lease": clocks go as no lease survives.
The seed decides the cluster, the faults and the clients. Prints one line of JSON about the round;
"failure" is in it if something that must hold did not.
"""
import hashlib
import json
import os
import random
import subprocess
import sys
import traceback

import nemesis
from world import Failure, World, ip, now, wait_for

CLIENTS = 12
REPORTS = (b"assertion failed", b"Sanitizer:", b"runtime error:", b"double free",
           b"corrupted size")


def draw_round(seed, options):
    """What the seed says: the cluster and its faults."""
    chance = random.Random(seed)
    voters = chance.choice([3, 3, 5])
    election = chance.choice([200, 300, 400])
    flags = ["--election-timeout", "%dms" % election, "--heartbeat-interval", "%dms" % (election // 8),
             "--max-inflight", chance.choice(["1", "4", "64"]), "--http-threads", "1"]
    is_lease = chance.random() < 0.3 or options["control"] == "lease"
    if is_lease:
        flags += ["--default-read", "lease"]
    if chance.random() < 0.5:
        flags += ["--snapshot-entries", chance.choice(["100", "400"]),
                  "--trailing-entries", chance.choice(["10", "100"])]
    faults = nemesis.plan(chance, voters, is_lease, options["shim"] is not None,
                          ["skew"] if options["control"] == "lease" else options["kinds"])
    return {"seed": seed, "voters": voters, "flags": flags, "is_lease": is_lease,
            "faults": faults}


class Round:
    def __init__(self, drawn, directory, options):
        self.drawn = drawn
        self.directory = directory
        self.options = options
        self.slow = 4 if options["is_slow"] else 1
        self.history = os.path.join(directory, "history")
        self.stale = os.path.join(directory, "stale")

    def path(self, name):
        return os.path.join(self.directory, name)

    def run(self):
        self.world = World(self.directory, self.options["program"], self.options["shim"],
                           self.drawn["voters"], 2, self.drawn["flags"])
        wait_for(10 * self.slow, "every node ready", self.all_ready)
        self.stage = nemesis.Stage(self.world)
        load = self.load_start()
        player = nemesis.Player(self.stage, self.drawn["faults"])
        player.start()
        self.load_wait(load)
        player.finish()
        self.settle()
        self.judge()

    def all_ready(self):
        self.world.died()
        return all(p.ask("GET", "/readyz", timeout=0.5)[0] == 200 for p in self.world.running())

    # -- the load --

    def load_start(self):
        joins = any(f["kind"] in nemesis.MEMBERSHIP for f in self.drawn["faults"])
        nodes = ",".join("http://%s:8500" % p.host
                         for p in self.world.places[:self.drawn["voters"] + joins])
        command = [self.options["load"], "--nodes", nodes, "--clients", str(CLIENTS),
                   "--seconds", "%d" % round(nemesis.ROUND_SECONDS), "--seed",
                   str(self.drawn["seed"]), "--out", self.history, "--stale-out", self.stale]
        if self.options["control"] == "stale":
            command.append("--stale-as-linearizable")
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def load_wait(self, load):
        said, _ = load.communicate(timeout=60)
        if load.returncode != 0:
            raise Failure("the load ended with %d" % load.returncode)
        self.drawn["counts"] = {k: int(v) for k, v in (word.split("=") for word in said.split())}

    # -- after the faults --

    def settle(self):
        """All is whole again: writes go through, who is a member and who is not is settled, and all
        members hold the same."""
        self.world.heal()
        self.stage.start(self.world.places[:self.stage.voters])
        self.world.died()
        began = now()
        wait_for(5 * self.slow, "a write accepted after healing", self.write_one)
        self.drawn["write_ms"] = round((now() - began) * 1000)
        wait_for(15 * self.slow, "the members settled", self.members_settle)
        wait_for(10 * self.slow, "every member ready", self.all_ready)
        self.drawn["happened"] = dict(self.stage.happened, elections=self.elections())
        self.read_all()
        wait_for(10 * self.slow, "all members at the same index, with the same bytes", self.is_level)
        self.world.died()

    def write_one(self):
        self.world.died()
        for place in self.world.running():
            status, text, _ = place.ask("PUT", "/v1/kv/settled", b"1", timeout=0.5)
            if status == 200 and text == b"true":
                return True
        return False

    def elections(self):
        """At least as many were won or lost: each took a term."""
        statuses = [place.json("/v1/status/node") for place in self.world.running()]
        return max((status["term"] for status in statuses if status), default=0)

    def members_settle(self):
        """Makes the processes what the cluster says: True when there is nothing left to do."""
        self.world.died()
        members = self.world.members()
        if not members or any(m["role"] not in ("voter", "learner") for m in members):
            return False
        names = {m["name"] for m in members}
        done = all(m["role"] == "voter" for m in members)
        for place in self.world.places:
            if place.name in names and not place.runs():
                self.stage.retired.discard(place)
                place.start()
                done = False
            elif place.name not in names and place.runs():
                nemesis.retire(self.stage, place)
        for place in self.world.running():
            if place.name in names and nemesis.is_refused(place):
                nemesis.operate(self.stage, "replace " + place.name, "POST",
                                "/v1/cluster/members/replace",
                                dict(nemesis.member(place), old=place.name))
                done = False
        for m in members:
            if m["role"] == "learner":
                nemesis.operate(self.stage, "promote " + m["name"], "PATCH",
                                "/v1/cluster/members/" + m["name"], {"role": "voter"})
        return done and not any(p.name in names and not p.runs() for p in self.world.places)

    def read_all(self):
        """Every key once more, at any node, as part of the history: what was acknowledged is there."""
        place = self.world.running()[0]
        invoked = int(now() * 1000000)
        listing, last = wait_for(5 * self.slow, "a listing", lambda: self.listing(place))
        returned = int(now() * 1000000)
        found = {}
        for item in listing:
            words = item["Key"].split("/")
            number = (int(words[2]) * 8 + int(words[1]) if words[0] == "r" else
                      int(words[1]) if words[0] == "u" else None)
            found[number] = (value_of(item), item["ModifyIndex"])
        with open(self.history, "r+", encoding="ascii") as file:
            keys = {int(line.split()[1]) for line in file}
            for key in sorted(keys):
                value, index = found.get(key, (0, last))
                file.write("get %d %d %d-%d @%d\n" % (key, value, invoked, returned, index))
        self.drawn["keys"] = len(keys)

    def listing(self, place):
        """All keys, and the greatest version among them and those deleted; None: no answer."""
        status, text, headers = place.ask("GET", "/v1/kv/?recurse", timeout=5.0)
        return (json.loads(text), int(headers["X-Consul-Index"])) if status == 200 else None

    def is_level(self):
        self.world.died()
        seen = set()
        for place in self.world.running():
            status = place.json("/v1/status/node")
            code, text, _ = place.ask("GET", "/v1/kv/?recurse&stale", timeout=5.0)
            if not status or code != 200:
                return False
            seen.add((status["last_applied"], hashlib.sha256(text).hexdigest()))
        return len(seen) == 1

    # -- the verdict --

    def judge(self):
        for how in ([], ["--search"]) if self.drawn["seed"] % 10 == 0 else ([],):
            said = subprocess.run([self.options["judge"], *how, self.history], capture_output=True,
                                  text=True)
            if said.returncode != 0 and not (how and said.returncode == 2):
                with open(self.path("verdict"), "w", encoding="utf-8") as file:
                    file.write(said.stdout + said.stderr)
                raise Failure("history: " + (said.stdout.splitlines() or [said.stderr])[0])
        self.drawn["by_witness"] = "witness=yes" in said.stdout
        self.judge_stale()

    def judge_stale(self):
        """A stale read may be old, but somebody must have asked for what it gives, before it ended,
        and not have been refused."""
        asked = {}
        with open(self.history, encoding="ascii") as file:
            for line in file:
                words = line.split()
                if words[0] in ("put", "cas") and not words[3].endswith("!"):
                    value = words[2].replace("|", ">").split(">")[-1]
                    asked[words[1], value] = int(words[3].split("-")[0])
        with open(self.stale, encoding="ascii") as file:
            for line in file:
                words = line.split()
                if words[2] == "0" or words[3].endswith("?"):
                    continue
                begun = asked.get((words[1], words[2]))
                if begun is None or begun > int(words[3].split("-")[1]):
                    raise Failure("a stale read of what nobody wrote: " + line.strip())

    def check_logs(self):
        happened = self.drawn.setdefault("happened", {})
        for place in self.world.places:
            if os.path.exists(place.log):
                with open(place.log, "rb") as file:
                    text = file.read()
                for what in ("taken", "installed"):
                    happened["snapshots " + what] = (happened.get("snapshots " + what, 0) +
                                                     text.count(b"sub=snapshot event=%s" %
                                                                what.encode()))
                for report in REPORTS:
                    if report in text:
                        return "%s says: %s" % (place.name, report.decode())
        return None


def value_of(item):
    import base64
    return int(base64.b64decode(item["Value"] or ""))


def main():
    seed, directory, options = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    drawn = draw_round(seed, options)
    with open(os.path.join(directory, "plan"), "w", encoding="utf-8") as file:
        json.dump(drawn, file, indent=1)
    one = Round(drawn, directory, options)
    began = now()
    try:
        one.run()
    except Failure as failure:
        drawn["failure"] = str(failure)
    except Exception:  # of the harness: the round counts as failed, and says where
        drawn["failure"] = traceback.format_exc()
    if hasattr(one, "stage"):
        with open(one.path("operators"), "w", encoding="utf-8") as file:
            file.write("".join(said + "\n" for said in one.stage.said))
    reported = one.check_logs() if hasattr(one, "world") else None
    if reported:
        drawn["failure"] = reported + "; " + drawn.get("failure", "")
    drawn["seconds"] = round(now() - began, 1)
    print(json.dumps(drawn))


if __name__ == "__main__":
    main()
