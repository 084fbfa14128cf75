"""seam.py HOST:PORT SLOWNESS -- raw requests to a node's client listener; each row says what must
come back (correctness 4.1). Prints how many held; exit 1 and the rows that did not otherwise."""
import select
import socket
import sys
import time

HOST, PORT = sys.argv[1].rsplit(":", 1)
WAIT_S = 10 * int(sys.argv[2])  # past the deadline of a body that stopped
BAD = []


def talk(data, end=False):
    """Sends `data`, half-closes where `end`, and returns what comes until the node closes or is
    silent with an answer given."""
    with socket.create_connection((HOST, int(PORT)), timeout=WAIT_S) as link:
        try:
            link.sendall(data)
            if end:
                link.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has closed: what it said is still to be read
        got = b""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            patience = 0.3 if b"\r\n\r\n" in got else WAIT_S
            if not select.select([link], [], [], patience)[0]:
                return got, False
            try:
                more = link.recv(65536)
            except OSError:
                return got, True
            if not more:
                return got, True
            got += more
        return got, False


def row(name, data, statuses, closes=None, end=False):
    """`statuses`: allowed status codes of the first answer; 0: none. One answer at most."""
    got, closed = talk(data, end)
    status = int(got[9:12]) if got.startswith(b"HTTP/1.1 ") else 0
    heads = [part.split(b"\r\n\r\n")[0] for part in got.split(b"HTTP/1.1 ")[1:]]
    answers = len(set(heads))  # libmicrohttpd sends the head of its own refusals twice
    if status not in statuses or answers > 1 or (closes is not None and closed != closes):
        BAD.append(f"{name}: status {status}, {answers} answers, closed {closed}: {got[:200]!r}")
    return 1


def put(key, fields, body=b"", version=b"1.1"):
    return (b"PUT /v1/kv/" + key + b" HTTP/" + version + b"\r\nHost: n\r\n" + fields + b"\r\n"
            + body)


SMUGGLED = b"PUT /v1/kv/smuggled HTTP/1.1\r\nHost: n\r\nContent-Length: 1\r\n\r\nx"
COUNT = 0
for arguments in (
        ("length and chunked", put(b"a", b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
                                   b"0\r\n\r\n" + SMUGGLED), (400,), True),
        ("two lengths", put(b"a", b"Content-Length: 1\r\nContent-Length: 60\r\n", b"x" + SMUGGLED),
         (400,), True),
        ("two equal lengths", put(b"a", b"Content-Length: 1\r\nContent-Length: 1\r\n", b"x"),
         (400,), True),
        ("another coding", put(b"a", b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
         (501, 400), True),
        ("a coding like chunked", put(b"a", b"Transfer-Encoding: xchunked\r\n"), (501, 400), True),
        ("1.0 and chunked", put(b"a", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"1.0"),
         (400,), True),
        ("length +4", put(b"a", b"Content-Length: +4\r\n", b"abcd"), (400, 413), True),
        ("length -1", put(b"a", b"Content-Length: -1\r\n", b"abcd"), (400, 413), True),
        ("length 4x", put(b"a", b"Content-Length: 4x\r\n", b"abcd"), (400, 413), True),
        ("length 2^64+4", put(b"a", b"Content-Length: 18446744073709551620\r\n", b"abcd"),
         (400, 413), True),
        ("length beyond the limit", put(b"a", b"Content-Length: 99999999999\r\n", b"abcd"),
         (413,), True),
        ("chunk size 2^64+", put(b"a", b"Transfer-Encoding: chunked\r\n",
                                 b"1ffffffffffffffff\r\nabcd\r\n0\r\n\r\n"), (400, 413), True),
        ("no host", b"GET /v1/kv/kept HTTP/1.1\r\n\r\n", (400,), True),
        ("two hosts", b"GET /v1/kv/kept HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", (400,), True),
        ("a body cut short", put(b"a", b"Content-Length: 10\r\n", b"abcd"), (0, 400), True, True),
        ("a chunk cut short", put(b"a", b"Transfer-Encoding: chunked\r\n", b"5\r\nab"), (0, 400),
         True, True),
        ("NUL escaped", put(b"a%00b", b"Content-Length: 1\r\n", b"x"), (400,)),
        ("newline escaped", put(b"a%0ab", b"Content-Length: 1\r\n", b"x"), (400,)),
        ("DEL escaped", put(b"a%7fb", b"Content-Length: 1\r\n", b"x"), (400,)),
        ("control byte raw", put(b"a\x01b", b"Content-Length: 1\r\n", b"x"), (400,)),
        ("escape cut short", put(b"a%4", b"Content-Length: 1\r\n", b"x"), (400,)),
        ("escape of no digits", put(b"a%zz", b"Content-Length: 1\r\n", b"x"), (400,)),
        ("a key of 4097 bytes", put(b"k" * 4097, b"Content-Length: 1\r\n", b"x"), (400, 414)),
        ("no key", put(b"", b"Content-Length: 1\r\n", b"x"), (400,)),
        ("a target of 40 KiB", put(b"k" * 40960, b"Content-Length: 1\r\n", b"x"), (414, 431, 400)),
        ("a field of 40 KiB", put(b"a", b"X: " + b"x" * 40960 + b"\r\n"), (431, 413, 400)),
        ("200 fields", put(b"a", b"".join(b"X-%d: y\r\n" % i for i in range(200))), (431,)),
        ("another method", b"PATCH /v1/kv/a HTTP/1.1\r\nHost: n\r\n\r\n", (405, 501)),
        ("POST to a key", b"POST /v1/kv/a HTTP/1.1\r\nHost: n\r\nContent-Length: 0\r\n\r\n", (405,)),
        ("an unknown route", b"GET /v1/nothing HTTP/1.1\r\nHost: n\r\n\r\n", (404,)),
        ("outside of /v1", b"GET /etc/passwd HTTP/1.1\r\nHost: n\r\n\r\n", (404,)),
        ("a path that climbs", b"GET /v1/kv/../../etc/passwd?raw HTTP/1.1\r\nHost: n\r\n\r\n",
         (404,)),
        ("peers' vote", b"POST /raft/vote HTTP/1.1\r\nHost: n\r\nContent-Length: 2\r\n\r\n{}",
         (404, 405)),
        ("peers' append, escaped", b"POST /%72aft/append HTTP/1.1\r\nHost: n\r\n"
         b"Content-Length: 2\r\n\r\n{}", (404, 405)),
        ("peers' append, absolute", b"POST http://n/raft/append HTTP/1.1\r\nHost: n\r\n"
         b"Content-Length: 2\r\n\r\n{}", (404, 405)),
        ("no request at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (0, 400), None, True),
        ("acquire without a session", put(b"a?acquire=x", b"Content-Length: 1\r\n", b"x"), (500,),
         False),
        ("an absolute target", b"PUT http://n/v1/kv/abs HTTP/1.1\r\nHost: n\r\n"
         b"Content-Length: 1\r\n\r\nx", (200,), False),
        ("an escaped key", put(b"escaped%2Fkey", b"Content-Length: 1\r\n", b"x"), (200,), False),
):
    COUNT += row(*arguments)
if BAD:
    print("\n".join(BAD))
    sys.exit(1)
print(f"{COUNT} rows held")
