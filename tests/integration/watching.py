#!/usr/bin/env python3
"""watching.py CHANGES PROGRESS URL...    writes CHANGES values through all nodes, and follows them

Four writers count up, each in a key of its own. One reader follows /v1/watch/stream/, and comes back
at the next node whenever its connection ends, and every few hundred events of its own accord. At the
end: each acknowledged value was seen exactly once, nothing was seen that nobody wrote, and indexes
only rose. The number of acknowledged values is written to the file PROGRESS now and then."""
import base64
import http.client
import json
import sys
import threading
import time
import urllib.parse

WRITERS = 4
EVENTS_PER_CONNECTION = 700
PATIENCE_S = 120


class Count:
    def __init__(self, path):
        self.path, self.value, self.lock = path, 0, threading.Lock()

    def add(self):
        with self.lock:
            self.value += 1
            if self.value % 100 == 0:
                with open(self.path, "w") as file:
                    file.write(str(self.value))


def address(url):
    return urllib.parse.urlsplit(url).netloc


class Writer(threading.Thread):
    """Values 0, 1, 2, ... into one key; one whose fate is open is not repeated."""

    def __init__(self, urls, key, count, done):
        super().__init__(daemon=True)
        self.urls, self.key, self.count, self.done = urls, key, count, done
        self.acknowledged, self.unknown = set(), set()
        self.start()

    def run(self):
        turn, value, connection = 0, 0, None
        while value < self.count:
            if connection is None:
                turn += 1
                connection = http.client.HTTPConnection(address(self.urls[turn % len(self.urls)]),
                                                        timeout=10)
            try:
                connection.request("PUT", "/v1/kv/" + self.key, body=str(value))
                answer = connection.getresponse()
                body = answer.read()
            except ConnectionRefusedError:
                connection = None
                continue
            except (OSError, http.client.HTTPException):
                self.unknown.add(value)
                value, connection = value + 1, None
                continue
            if body == b"true":
                self.acknowledged.add(value)
                self.done.add()
                value += 1
                if value % 50 == 0:
                    connection = None
            elif answer.headers.get("X-Raftkv-Outcome") == "not-done":
                connection = None
            else:
                self.unknown.add(value)
                value, connection = value + 1, None


class Reader(threading.Thread):
    """Follows the stream to the event of the key stream/end."""

    def __init__(self, urls, since):
        super().__init__(daemon=True)
        self.urls, self.last_id = urls, since
        self.events, self.failure, self.connections = [], None, 0
        self.is_over = False
        self.start()

    def run(self):
        turn = 0
        while not self.is_over and self.failure is None:
            turn += 1
            try:
                self.follow(self.urls[turn % len(self.urls)])
            except (OSError, http.client.HTTPException):
                pass

    def follow(self, url):
        connection = http.client.HTTPConnection(address(url), timeout=20)
        connection.request("GET", "/v1/watch/stream/?stale",
                           headers={"Last-Event-ID": self.last_id})
        answer = connection.getresponse()
        if answer.status != 200:
            return
        self.connections += 1
        fields, seen = {}, 0
        while not self.is_over and seen < EVENTS_PER_CONNECTION:
            line = answer.readline()
            if line == b"":
                break
            if line != b"\n":
                name, _, value = line.decode().rstrip("\n").partition(": ")
                fields[name] = value
                continue
            # An empty line ends an event; what broke off before it has not been.
            self.last_id = fields.get("id", self.last_id)
            if "event" in fields:
                self.take(fields["event"], self.last_id, json.loads(fields["data"]))
                seen += 1
            fields = {}
        connection.close()

    def take(self, event, place, data):
        if event == "end":
            return
        # This node lags behind the one before.
        if event == "ahead" and data["Index"] < int(place.partition(".")[0]):
            return
        if event != "put":
            self.failure = f"event {event} at {place}: {data}"
            return
        if data["Key"] == "stream/end":
            self.is_over = True
            return
        self.events.append((data["ModifyIndex"], data["Key"],
                            int(base64.b64decode(data["Value"]))))


def check(condition, what):
    if not condition:
        sys.exit(what)


def verify(writers, events):
    indexes = [event[0] for event in events]
    check(all(a < b for a, b in zip(indexes, indexes[1:])), "an index did not rise")
    for writer in writers:
        seen = [value for _, key, value in events if key == writer.key]
        check(len(seen) == len(set(seen)), f"{writer.key}: a value was seen twice")
        check(seen == sorted(seen), f"{writer.key}: out of order")
        missed = writer.acknowledged - set(seen)
        check(not missed, f"{writer.key}: missed {sorted(missed)[:10]}")
        strange = set(seen) - writer.acknowledged - writer.unknown
        check(not strange, f"{writer.key}: nobody wrote {sorted(strange)[:10]}")


def put_end(urls):
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        for url in urls:
            try:
                connection = http.client.HTTPConnection(address(url), timeout=10)
                connection.request("PUT", "/v1/kv/stream/end", body="end")
                if connection.getresponse().read() == b"true":
                    return
            except (OSError, http.client.HTTPException):
                pass
    sys.exit("nobody took the last write")


def main():
    changes, progress, urls = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    connection = http.client.HTTPConnection(address(urls[0]), timeout=10)
    connection.request("PUT", "/v1/kv/before", body="before")
    since = connection.getresponse().headers["X-Consul-Index"]
    reader = Reader(urls, since)
    done = Count(progress)
    writers = [Writer(urls, f"stream/{i}", changes // WRITERS, done) for i in range(WRITERS)]
    for writer in writers:
        writer.join(PATIENCE_S)
        check(not writer.is_alive(), "a writer did not end")
    put_end(urls)
    reader.join(PATIENCE_S)
    check(reader.failure is None, reader.failure)
    check(not reader.is_alive(), "the reader did not see the end")
    verify(writers, reader.events)
    unknown = sum(len(writer.unknown) for writer in writers)
    print(f"{len(reader.events)} events on {reader.connections} connections, {unknown} of open fate")


main()
