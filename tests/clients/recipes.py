#!/usr/bin/env python3
"""recipes.py PORT HOST:PORT... -- what people do with Debian's python3-consul, all of it at once and until
killed: the lock, the leader as Patroni elects it, the semaphore, and the watching of configuration. The client
is as it comes; only what everybody writes around it is here: another node after an error, and what the
recipe says. The referee at PORT judges. A few keys are written here too, `recipes.py PORT CHANGES HOST:PORT...`
with --write: so many changes, each with the index of the last, and then it ends."""
import json
import random
import socket
import sys
import threading
import time

import consul
import requests

TTL_S = 10  # the least that this client will ask for
LIMIT = 2
LOCK_FLAGS = 3304740253564472344
SEMAPHORE_FLAGS = 16210313421097356768
PATIENCE_S = 60
KEYS = [f"watched/{i}" for i in range(6)]


class Lost(Exception):
    """The session is gone; the recipe begins anew."""


class Referee:
    def __init__(self, port):
        self.file = socket.create_connection(("127.0.0.1", port)).makefile("rw", encoding="utf-8", newline="\n")

    def tell(self, do, **members):
        self.file.write(json.dumps({"do": do, **members}) + "\n")
        self.file.flush()
        return json.loads(self.file.readline())["ok"]


class Caller:
    """A client of its own, and another node's after an error that says to try again."""

    def __init__(self, who, nodes, referee_port, start):
        self.who, self.referee = who, Referee(referee_port)
        self.clients = [consul.Consul(host=node.split(":")[0], port=int(node.split(":")[1])) for node in nodes]
        self.at = start % len(nodes)

    def do(self, call):
        ends = time.monotonic() + PATIENCE_S
        while True:
            try:
                return call(self.clients[self.at])
            except requests.exceptions.ConnectionError as error:
                reason = error
            except consul.NotFound as error:
                raise Lost() from error
            except consul.ConsulException as error:
                if str(error).startswith("500 invalid session"):
                    raise Lost() from error
                if not str(error).startswith(("500 No cluster leader", "500 outcome unknown")):
                    raise
                reason = error
            if time.monotonic() > ends:
                raise RuntimeError(f"no answer for {PATIENCE_S} s: {reason}")
            self.at = (self.at + 1) % len(self.clients)
            threading.Event().wait(0.02)


class Session:
    def __init__(self, caller, behavior):
        self.caller, self.renewed = caller, time.monotonic()
        self.id = caller.do(lambda client: client.session.create(
            name=caller.who, checks=[], behavior=behavior, lock_delay=0.001, ttl=TTL_S))

    def renew(self):
        """Where half of the TTL is over."""
        now = time.monotonic()
        if now > self.renewed + TTL_S / 2:
            self.caller.do(lambda client: client.session.renew(self.id))
            self.renewed = now

    @property
    def until(self):
        return self.renewed + TTL_S

    def end(self):
        self.caller.do(lambda client: client.session.destroy(self.id))


def hold(caller, session, what, token, limit=1):
    """Inside: a few writes that the token protects."""
    members = {"what": what, "who": f"{caller.who} {session.id}", "token": token}
    if time.monotonic() > session.until:
        raise Lost()
    caller.referee.tell("enter", until=session.until, limit=limit, client="python", **members)
    try:
        for _ in range(3):
            threading.Event().wait(random.uniform(0.005, 0.03))
            session.renew()
            caller.referee.tell("write", until=session.until, **members)
    finally:
        caller.referee.tell("leave", **members)


def go_on_without_a_session(caller, session, what, token):
    """What a holder does that does not notice: somebody ended its session, and it still writes."""
    members = {"what": what, "who": f"{caller.who} {session.id}", "token": token}
    caller.referee.tell("enter", until=session.until, limit=1, client="python", **members)
    caller.referee.tell("revoke", **members)
    session.end()
    ends = time.monotonic() + PATIENCE_S
    while caller.referee.tell("write", until=None, **members):
        if time.monotonic() > ends:
            caller.referee.tell("fault", text=f"{what}: nobody came after {caller.who}")
            return
        threading.Event().wait(0.05)


def acquire(caller, session, key, flags):
    """Until it is held; the fencing token is the index that the acquisition gave the key."""
    while True:
        session.renew()
        if caller.do(lambda client: client.kv.put(key, caller.who, acquire=session.id, flags=flags)):
            _, entry = caller.do(lambda client: client.kv.get(key))
            if entry is None or entry.get("Session") != session.id:
                raise Lost()
            if entry["Flags"] != flags:
                caller.referee.tell("fault", text=f"{key}: flags {entry['Flags']}")
            return entry["ModifyIndex"]
        index, entry = caller.do(lambda client: client.kv.get(key))
        if entry is not None and entry.get("Session") not in (None, session.id):
            caller.do(lambda client: client.kv.get(key, index=index, wait="4s"))


def lock_once(caller):
    session = Session(caller, "release")
    token = acquire(caller, session, "recipes/lock", LOCK_FLAGS)
    if random.random() < 0.05:
        go_on_without_a_session(caller, session, "lock", token)
        return
    hold(caller, session, "lock", token)
    caller.do(lambda client: client.kv.put("recipes/lock", caller.who, release=session.id, flags=LOCK_FLAGS))
    session.end()


def leader_once(caller):
    """As Patroni: the key goes with the session, and is given up by a delete under its index."""
    session = Session(caller, "delete")
    if caller.do(lambda client: client.kv.put("recipes/initialize", session.id, cas=0)):
        _, entry = caller.do(lambda client: client.kv.get("recipes/initialize"))
        if entry["Value"] == session.id.encode():
            caller.referee.tell("note", text="initialized")
    token = acquire(caller, session, "recipes/leader", 0)
    hold(caller, session, "leader", token)
    caller.do(lambda client: client.kv.delete("recipes/leader", cas=token))
    session.end()


def semaphore_read(entries):
    """Who holds it and contends, and the index of the entry that says so."""
    at = "recipes/semaphore/.lock"
    found = [entry for entry in entries or [] if entry["Key"] == at]
    contending = {entry["Session"] for entry in entries or [] if entry["Key"] != at and "Session" in entry}
    if not found:
        return {}, contending, 0
    return json.loads(found[0]["Value"])["Holders"], contending, found[0]["ModifyIndex"]


def semaphore_write(caller, holders, index):
    value = json.dumps({"Limit": LIMIT, "Holders": holders})
    return caller.do(lambda client: client.kv.put("recipes/semaphore/.lock", value, cas=index, flags=SEMAPHORE_FLAGS))


def semaphore_take(caller, session):
    index = None
    while True:
        session.renew()
        index, entries = caller.do(
            lambda client: client.kv.get("recipes/semaphore/", recurse=True, index=index, wait="4s"))
        holders, contending, at = semaphore_read(entries)
        if session.id not in contending:
            raise Lost()
        if len(holders) > LIMIT:
            caller.referee.tell("fault", text=f"semaphore: {len(holders)} holders are written down")
        if session.id in holders:
            return
        alive = {holder: True for holder in holders if holder in contending}
        if len(alive) < LIMIT:
            alive[session.id] = True
            index = None  # it is read again, whatever the answer was
            semaphore_write(caller, alive, at)


def semaphore_once(caller):
    session = Session(caller, "delete")
    own = f"recipes/semaphore/{session.id}"
    if not caller.do(lambda client: client.kv.put(own, "", acquire=session.id, flags=SEMAPHORE_FLAGS)):
        raise Lost()
    semaphore_take(caller, session)
    hold(caller, session, "semaphore", None, LIMIT)
    while True:
        _, entries = caller.do(lambda client: client.kv.get("recipes/semaphore/", recurse=True))
        holders, _, at = semaphore_read(entries)
        if holders.pop(session.id, None) is None or semaphore_write(caller, holders, at):
            break
    caller.do(lambda client: client.kv.delete(own))
    session.end()


# -- watching --


class Seen:
    """What must hold of the answers of one blocking query."""

    def __init__(self, caller, name, wait_s):
        self.caller, self.name, self.wait_s = caller, name, wait_s
        self.index, self.data, self.state = None, None, {}

    def take(self, index, data, took_s):
        fault = None
        if self.index is not None and int(index) < self.index:
            fault = f"index {index} after {self.index}"
        elif self.index is not None and int(index) == self.index and took_s < self.wait_s:
            fault = f"nothing new after {took_s:.3f} s"
        elif self.index is not None and int(index) > self.index and data == self.data and data is not None:
            fault = f"woken by nothing: index {index} after {self.index}"
        if fault is not None:
            self.caller.referee.tell("fault", text=f"{self.name}: {fault}")
        self.index, self.data = int(index), data


def values_of(keys, entries):
    found = {entry["Key"]: (entry["Value"] or b"").decode() for entry in entries}
    return {key: found.get(key) for key in keys}


def watch(caller, what, keys, recurse):
    """For ever. A lost wake-up would last for the whole wait."""
    wait_s = 60
    seen = Seen(caller, caller.who, wait_s)
    caller.referee.tell("watches", watcher=caller.who, keys=keys)
    while True:
        began = []

        def read(client):
            began[:] = [time.monotonic()]
            return client.kv.get(what, recurse=recurse, index=seen.index, wait=f"{wait_s}s")
        index, data = caller.do(read)
        seen.take(index, data, time.monotonic() - began[0])
        entries = data if recurse else [data]
        caller.referee.tell("seen", watcher=caller.who, values=values_of(keys, [one for one in entries or [] if one]))


# -- writing --


class Writer:
    """Changes keys with the index of the last change, so that a write whose answer was lost is not done twice,
    and an old one that is late not at all."""

    def __init__(self, caller):
        self.caller, self.sequence = caller, 0
        self.entries = {}
        self.created = set()  # since all were known; a delete of these could rightly wake somebody to what he knows

    def read(self, key):
        _, entry = self.caller.do(lambda client: client.kv.get(key))
        self.entries[key] = entry
        return None if entry is None else entry["Value"].decode()

    def change(self, key):
        """What it is now: a new number, or nothing."""
        self.sequence += 1
        is_there = self.entries.get(key) is not None
        value = str(self.sequence)
        if is_there and key not in self.created and random.random() < 0.1:
            value = None
        elif not is_there:
            self.created.add(key)
        while True:
            index = self.entries[key]["ModifyIndex"] if self.entries.get(key) is not None else 0
            if value is None:
                self.caller.do(lambda client: client.kv.delete(key, cas=index))
            else:
                self.caller.do(lambda client: client.kv.put(key, value, cas=index))
            if self.read(key) == value:
                return value


def write(caller, changes):
    writer = Writer(caller)
    for key in KEYS:
        writer.read(key)
    done = 0
    while done < changes:
        count = min(random.choice((1, 1, 1, 4, 8)), changes - done)
        values = {}
        for _ in range(count):
            key = random.choice(KEYS)
            values[key] = writer.change(key)
        # Beside what is watched: it wakes nobody.
        caller.do(lambda client: client.kv.put(f"elsewhere/{done % 10}", str(done)))
        if not caller.referee.tell("all_seen", values=values, changes=count, within_s=PATIENCE_S / 2):
            return 1
        writer.created.clear()
        done += count
    return 0


def forever(caller, once):
    while True:
        try:
            once(caller)
        except Lost:
            caller.referee.tell("note", text="sessions lost")


def guarded(caller, run, *arguments):
    try:
        run(caller, *arguments)
    except Exception as error:  # whatever stops a client is wrong
        caller.referee.tell("fault", text=f"{caller.who}: {type(error).__name__}: {error}")


def main():
    port, arguments = int(sys.argv[1]), sys.argv[2:]
    if arguments[0] == "--write":
        return write(Caller("writer", arguments[2:], port, 0), int(arguments[1]))
    runs = [("lock", forever, (lock_once,))] * 2 + [("leader", forever, (leader_once,))] * 2
    runs += [("semaphore", forever, (semaphore_once,))] * 3
    runs += [("key", watch, (key, [key], False)) for key in KEYS[:3]] + [("prefix", watch, ("watched/", KEYS, True))]
    threads = []
    for number, (name, run, extra) in enumerate(runs):
        caller = Caller(f"python {name} {number}", arguments, port, number)
        threads.append(threading.Thread(target=guarded, args=(caller, run) + extra, daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 1


if __name__ == "__main__":
    sys.exit(main())
