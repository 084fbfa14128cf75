"""HTTP as it is on the wire, and what must hold of an answer. Only Python's own library.

A Site is one node as its clients see it. `site.ask("GET", "kv/x?raw")` gives an Answer, whose headers are
spelt as they came: some clients compare strings. What holds of every answer is looked at on every answer."""
import base64
import http.client
import json
import socket
import threading
import time
import urllib.parse

SLOW = 1  # times what a wait may last; run.py sets it for slow builds
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


class Wrong(Exception):
    """A case does not hold."""


class Left(Exception):
    """A case that has no meaning at this site, and why."""


def check(condition, what):
    if not condition:
        raise Wrong(what)


def same(got, expected, what):
    if got != expected:
        raise Wrong(f"{what}: got {got!r}, expected {expected!r}")


class Answer:
    def __init__(self, asked, status, headers, body, took_s):
        self.asked, self.status, self.headers, self.body, self.took_s = asked, status, headers, body, took_s

    def __str__(self):
        return f"{self.asked}: {self.status} {self.body[:200]!r}"

    def header(self, name):
        """None where it is missing. The spelling counts."""
        found = [value for key, value in self.headers if key == name]
        check(len(found) <= 1, f"{self}: {name} twice")
        return found[0] if found else None

    def is_as(self, status, content_type, body):
        """Exactly this, byte for byte."""
        same((self.status, self.header("Content-Type"), self.body), (status, content_type, body), self.asked)
        return self

    def is_text(self, status, text):
        return self.is_as(status, TEXT, text.encode())

    def is_true(self):
        return self.is_as(200, JSON, b"true")

    def is_false(self):
        return self.is_as(200, JSON, b"false")

    def is_empty(self, status):
        same(self.header("Content-Length"), "0", f"{self}: Content-Length")
        return self.is_as(status, None, b"")

    def text_begins(self, status, begin):
        same((self.status, self.header("Content-Type")), (status, TEXT), str(self))
        check(self.body.startswith(begin.encode()), f"{self}: does not begin with {begin!r}")
        return self

    def json(self, status=200):
        same((self.status, self.header("Content-Type")), (status, JSON), str(self))
        check(not self.body.endswith(b"\n"), f"{self}: a newline at the end")
        return json.loads(self.body)

    def entry(self):
        """The one entry of a read of a key."""
        entries = self.json()
        same(len(entries), 1, f"{self}: entries")
        return entries[0]

    @property
    def index(self):
        """X-Consul-Index, which never comes without the other two, nor is 0."""
        value = self.header("X-Consul-Index")
        check(value is not None and value.isdecimal() and int(value) >= 1, f"{self}: X-Consul-Index {value!r}")
        check(self.header("X-Consul-Knownleader") in ("true", "false"), f"{self}: X-Consul-Knownleader")
        contact = self.header("X-Consul-Lastcontact")
        check(contact is not None and contact.isdecimal(), f"{self}: X-Consul-Lastcontact {contact!r}")
        return int(value)


def always_holds(method, answer):
    same(answer.header("Vary"), "Accept-Encoding", f"{answer}: Vary")
    same(answer.header("X-Consul-Default-Acl-Policy"), "allow", f"{answer}: X-Consul-Default-Acl-Policy")
    if answer.header("Transfer-Encoding") is None:
        check(answer.header("Content-Length") is not None, f"{answer}: no Content-Length")
    if method == "HEAD":
        same(answer.body, b"", f"{answer}: body")
    return answer


class Site:
    """One node. `name` is its node-id, `peer` its peer address, `nodes` the names of all."""

    def __init__(self, name, client, peer, nodes):
        self.name, self.client, self.peer, self.nodes = name, client, peer, nodes
        self.host, port = client.rsplit(":", 1)
        self.port = int(port)
        self.local = threading.local()

    def connection(self):
        if getattr(self.local, "connection", None) is None:
            self.local.connection = http.client.HTTPConnection(self.host, self.port, timeout=60 * SLOW)
        return self.local.connection

    def ask(self, method, path, body=None, headers=None, chunked=False):
        """The path is from /v1/ on, or absolute. A kept-alive connection a thread, as clients have."""
        target = path if path.startswith("/") else "/v1/" + path
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        if isinstance(data, str):
            data = data.encode()
        began = time.monotonic()
        connection = self.connection()
        try:
            if chunked:
                pieces = (data[i:i + 60000] for i in range(0, len(data), 60000))
                connection.request(method, target, body=pieces, headers=headers or {}, encode_chunked=True)
            else:
                connection.request(method, target, body=data, headers=headers or {})
            answer = connection.getresponse()
            taken = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self.local.connection = None
            raise
        return always_holds(method, Answer(f"{method} {target}", answer.status, answer.getheaders(), taken,
                                           time.monotonic() - began))

    def raw(self, request):
        """The bytes as they are; the status line's number and all of the answer until the connection ends."""
        with socket.create_connection((self.host, self.port), timeout=10 * SLOW) as connection:
            connection.sendall(request)
            taken = b""
            while True:
                piece = connection.recv(65536)
                if not piece:
                    break
                taken += piece
        check(taken.startswith(b"HTTP/1."), f"no answer to {request!r}: {taken!r}")
        return int(taken.split(b" ", 2)[1]), taken

    # -- what the cases do most --

    def get(self, key, query=""):
        return self.ask("GET", f"kv/{key}{'?' if query else ''}{query}")

    def put(self, key, value=b"", query=""):
        return self.ask("PUT", f"kv/{key}{'?' if query else ''}{query}", value)

    def delete(self, key, query=""):
        return self.ask("DELETE", f"kv/{key}{'?' if query else ''}{query}")

    def session(self, **members):
        """Its id; with no members the body is empty."""
        made = self.ask("PUT", "session/create", members or None).json()
        same(list(made), ["ID"], "members of session/create")
        return made["ID"]

    def watch(self, path):
        return Watch(self, path)


class Watch(threading.Thread):
    """A blocking read under way, on a connection of its own."""

    def __init__(self, site, path):
        super().__init__(daemon=True)
        self.site, self.path, self.answer, self.broken = site, path, None, None
        self.start()

    def run(self):
        try:
            self.answer = self.site.ask("GET", self.path)
        except (OSError, http.client.HTTPException, Wrong) as error:
            self.broken = error

    def sleeps_for(self, seconds):
        self.join(seconds)
        check(self.is_alive(), f"{self.path} was answered too soon: {self.answer or self.broken}")

    def result(self, within_s=10):
        self.join(within_s * SLOW)
        check(self.broken is None, f"{self.path}: {self.broken}")
        check(self.answer is not None, f"{self.path}: no answer within {within_s} s")
        return self.answer


def b64(value):
    return base64.b64encode(value).decode()


def quote(key):
    return urllib.parse.quote(key, safe="")


def until(seconds, what, condition):
    """Asks again and again; a condition that never comes is a case that does not hold."""
    ends = time.monotonic() + seconds * SLOW
    while True:
        got = condition()
        if got:
            return got
        check(time.monotonic() < ends, f"waited {seconds * SLOW} s in vain: {what}")
        threading.Event().wait(0.01)
