#!/usr/bin/env python3
"""referee.py DIRECTORY LIMIT_S -- judges what the clients of recipes.py and recipes.js do.

It listens on loopback (DIRECTORY/port) and answers lines of JSON with lines of JSON. Tests of its own: none;
DIRECTORY/stop, once it is there, ends the game, and the last line says what happened. Exit 0: nothing wrong.

Holders. `enter` says who holds WHAT now, with a fencing token and until when (CLOCK_MONOTONIC) that is sure:
the last renewal's sending plus the TTL, which no session ends before. A token that is not greater than all
before it is wrong, and so are more than `limit` who are sure at once. `write` is what fencing is for: it is
taken only with the newest token. `leave` comes before the release. `revoke`: somebody ends the holder's session.

Watchers. `seen` says what a watcher of a key knows of it now; the writer of `wrote` waits until `all_seen`."""
import collections
import json
import os
import socketserver
import sys
import threading
import time


class Game:
    def __init__(self, directory):
        self.directory = directory
        self.lock = threading.Condition()
        self.holders = collections.defaultdict(dict)  # what -> who -> sure until
        self.newest = collections.defaultdict(int)  # what -> token
        self.counts = collections.Counter()
        self.faults = []
        self.watchers = {}  # watcher -> keys
        self.known = collections.defaultdict(dict)  # watcher -> key -> value
        self.tenures = 0

    def fault(self, text):
        self.faults.append(text)
        print("fault: " + text, flush=True)
        return {"ok": False}

    # -- holders --

    def enter(self, it):
        what, who, now = it["what"], it["who"], time.monotonic()
        others = [other for other, until in self.holders[what].items() if until > now and other != who]
        if it["token"] is not None:
            if it["token"] <= self.newest[what]:
                return self.fault(f"{what}: {who} has token {it['token']}, and there was {self.newest[what]}")
            self.newest[what] = it["token"]
        if len(others) >= it["limit"]:
            return self.fault(f"{what}: {who} beside {others}, with a limit of {it['limit']}")
        self.holders[what][who] = it["until"]
        self.counts[f"{what} {it['client']}"] += 1
        self.tenures += 1
        with open(self.directory + "/.tenures", "w", encoding="ascii") as file:
            file.write(str(self.tenures))
        os.replace(self.directory + "/.tenures", self.directory + "/tenures")
        return {"ok": True}

    def write(self, it):
        what, who = it["what"], it["who"]
        if it["token"] is not None and it["token"] < self.newest[what]:
            self.counts["fenced"] += 1
            return {"ok": False}
        if it["until"] is not None and who in self.holders[what]:
            self.holders[what][who] = it["until"]
        self.counts["written"] += 1
        return {"ok": True}

    def leave(self, it):
        self.holders[it["what"]].pop(it["who"], None)
        return {"ok": True}

    def revoke(self, it):
        self.counts["revoked"] += 1
        return self.leave(it)

    # -- watchers --

    def watches(self, it):
        self.watchers[it["watcher"]] = it["keys"]
        return {"ok": True}

    def seen(self, it):
        self.known[it["watcher"]].update(it["values"])
        self.counts["wakes"] += 1
        self.lock.notify_all()
        return {"ok": True}

    def missing(self, values):
        """Who does not know a value yet."""
        return [(watcher, key, self.known[watcher].get(key), value)
                for watcher, keys in self.watchers.items() for key, value in values.items()
                if key in keys and self.known[watcher].get(key) != value]

    def all_seen(self, it):
        """Values that stand: whoever watches comes to know each of them, or a wake-up was lost."""
        if not self.lock.wait_for(lambda: not self.missing(it["values"]), it["within_s"]):
            watcher, key, knows, value = self.missing(it["values"])[0]
            return self.fault(f"{watcher} knows {knows!r} of {key}, after {it['within_s']} s not {value!r}")
        self.counts["changes"] += it["changes"]
        with open(self.directory + "/.changes", "w", encoding="ascii") as file:
            file.write(str(self.counts["changes"]))
        os.replace(self.directory + "/.changes", self.directory + "/changes")
        return {"ok": True}

    def say(self, it):
        self.fault(it["text"])
        return {"ok": True}

    def note(self, it):
        self.counts[it["text"]] += 1
        return {"ok": True}

    def answer(self, it):
        deeds = {"enter": self.enter, "write": self.write, "leave": self.leave, "revoke": self.revoke,
                 "watches": self.watches, "seen": self.seen, "all_seen": self.all_seen, "fault": self.say,
                 "note": self.note}
        with self.lock:
            return deeds[it["do"]](it)

    def verdict(self):
        words = [f"{count} {name}" for name, count in sorted(self.counts.items())]
        words.append(f"{len(self.faults)} faults")
        return ", ".join(words)


class Line(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            reply = self.server.game.answer(json.loads(line))
            self.wfile.write(json.dumps(reply).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


def main():
    directory, limit_s = sys.argv[1], float(sys.argv[2])
    server = Server(("127.0.0.1", 0), Line)
    server.game = Game(directory)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(directory + "/.port", "w", encoding="ascii") as file:
        file.write(str(server.server_address[1]))
    os.replace(directory + "/.port", directory + "/port")
    ends = time.monotonic() + limit_s
    while not os.path.exists(directory + "/stop") and not server.game.faults:
        if time.monotonic() > ends:
            server.game.fault(f"not done after {limit_s:.0f} s")
        threading.Event().wait(0.05)
    with server.game.lock:
        print(server.game.verdict(), flush=True)
        return 1 if server.game.faults else 0


if __name__ == "__main__":
    sys.exit(main())
