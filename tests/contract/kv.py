"""Cases 1 to 21 and 28 to 33: keys."""
import time

import wire
from registry import case
from wire import b64, check, same

MEMBERS = ["LockIndex", "Key", "Flags", "Value", "CreateIndex", "ModifyIndex"]


@case(1, "a missing key is 404, empty, with the three index headers")
def missing(site):
    answer = site.get("none").is_empty(404)
    check(answer.index >= 1, "index")
    same(answer.header("X-Consul-Knownleader"), "true", "known leader")
    contact = int(answer.header("X-Consul-Lastcontact"))
    check(contact == 0 or len(site.nodes) > 1, f"last contact {contact}")


@case(2, "PUT is answered by the JSON text true")
def put(site):
    site.put("hello", "world").is_true()


@case(3, "GET gives one entry with its six members, and its ModifyIndex as index")
def get(site):
    site.put("hello", "world").is_true()
    answer = site.get("hello")
    entry = answer.entry()
    same(sorted(entry), sorted(MEMBERS), "members")
    same((entry["Key"], entry["Flags"], entry["Value"], entry["LockIndex"]), ("hello", 0, "d29ybGQ=", 0), "entry")
    same(answer.index, entry["ModifyIndex"], "index")
    check(1 <= entry["CreateIndex"] <= entry["ModifyIndex"], str(entry))


@case(4, "?raw gives the bytes as text/plain, not to be sniffed")
def raw(site):
    site.put("hello", "world").is_true()
    answer = site.get("hello", "raw=true").is_as(200, "text/plain", b"world")
    same(answer.header("X-Content-Type-Options"), "nosniff", "X-Content-Type-Options")
    same(answer.header("Content-Security-Policy"), "sandbox", "Content-Security-Policy")
    same(answer.header("Content-Length"), "5", "Content-Length")
    check(answer.index >= 1, "index")


@case(5, "an empty value is null, and raw has no bytes")
def empty(site):
    site.put("one").is_true()
    same(site.get("one").entry()["Value"], None, "value")
    answer = site.get("one", "raw").is_as(200, "text/plain", b"")
    same(answer.header("Content-Length"), "0", "Content-Length")


@case(6, "bytes come back as they were")
def binary(site):
    for value in (bytes.fromhex("e8030000"), bytes(range(256))):
        site.put("binary", value).is_true()
        same(site.get("binary").entry()["Value"], b64(value), "base64")
        same(site.get("binary", "raw").body, value, "raw")


@case(7, "no key is 400 Missing key name")
def no_key(site):
    site.get("").is_text(400, "Missing key name")
    site.put("", "x").is_text(400, "Missing key name")
    site.delete("").is_text(400, "Missing key name")


@case(8, "an empty store: recurse is 404, keys is []")
def empty_store(site):
    site.delete("", "recurse").is_true()
    site.get("", "recurse").is_empty(404)
    site.get("", "keys").is_as(200, "application/json", b"[]")


@case(9, "keys with escaped slashes are listed in order")
def keys(site):
    for key in ("a%2Fz%2F3", "a%2Fx%2F1", "a%2Fy%2F2"):
        site.put(key, "1").is_true()
    answer = site.get("a", "keys=true").is_as(200, "application/json", b'["a/x/1","a/y/2","a/z/3"]')
    check(answer.index >= 1, "index")


@case(10, "keys up to the separator")
def separator(site):
    for key in ("a/x/1", "a/y/2", "a/z/3"):
        site.put(key, "1").is_true()
    site.get("a%2F", "keys=true&separator=%2F").is_as(200, "application/json", b'["a/x/","a/y/","a/z/"]')
    site.get("a", "keys&separator=/").is_as(200, "application/json", b'["a/"]')
    site.get("a%2F", "keys&seperator=%2F").is_as(200, "application/json", b'["a/x/","a/y/","a/z/"]')


@case(11, "what the separator cuts off is listed once, the rest whole")
def folded(site):
    for key in ("bar", "base/foo", "base/base/foo"):
        site.put(key, "1").is_true()
    site.get("base/", "keys=True&separator=%2F").is_as(200, "application/json", b'["base/base/","base/foo"]')


@case(12, "recurse lists in order of bytes")
def recurse(site):
    site.put("foo/").is_true()
    for key in ("foo/bar2", "foo/bar1", "foo/bar3"):
        site.put(key, key).is_true()
    entries = site.get("foo/", "recurse=1").json()
    same([entry["Key"] for entry in entries], ["foo/", "foo/bar1", "foo/bar2", "foo/bar3"], "keys")
    same([entry["Value"] for entry in entries], [None] + [b64(b"foo/bar%d" % i) for i in (1, 2, 3)], "values")


@case(13, "cas of a missing key: only 0 creates, once")
def cas_creates(site):
    site.delete("c13").is_true()
    site.put("c13", "x", "cas=50").is_false()
    site.get("c13").is_empty(404)
    site.put("c13", "x", "cas=0").is_true()
    site.put("c13", "y", "cas=0").is_false()
    same(site.get("c13", "raw").body, b"x", "value")


@case(14, "cas changes only at the right index, which then grows")
def cas(site):
    site.put("c14", "x").is_true()
    index = site.get("c14").entry()["ModifyIndex"]
    site.put("c14", "y", f"cas={index - 1}").is_false()
    same(site.get("c14").entry()["ModifyIndex"], index, "ModifyIndex after a refusal")
    site.put("c14", "y", f"cas={index}").is_true()
    check(site.get("c14").entry()["ModifyIndex"] > index, "ModifyIndex does not grow")


@case(15, "delete with cas")
def delete_cas(site):
    site.put("c15", "x").is_true()
    before = site.get("c15")
    index = before.entry()["ModifyIndex"]
    site.delete("c15", f"cas={index - 1}").is_false()
    after = site.get("c15")
    same((after.body, after.index), (before.body, before.index), "after a refusal")
    site.delete("c15", f"cas={index}").is_true()
    check(site.get("c15").is_empty(404).index > index, "index")


@case(16, "delete of what is not there is true; cas=0 never deletes")
def delete_absent(site):
    site.delete("c16").is_true()
    site.delete("c16", "cas=7").is_true()
    site.delete("c16", "cas=0").is_true()
    site.put("c16", "x").is_true()
    site.delete("c16", "cas=0").is_false()
    same(site.get("c16", "raw").body, b"x", "value")


@case(17, "delete with recurse takes all that begin so")
def delete_tree(site):
    for key in ("c17foo1", "c17foo2", "c17foo3"):
        site.put(key, "x").is_true()
    site.put("c17fo", "x").is_true()
    site.delete("c17foo", "recurse=1").is_true()
    site.get("c17foo", "recurse").is_empty(404)
    site.delete("c17foo", "recurse=1").is_true()
    same(site.get("c17fo", "raw").body, b"x", "what does not begin so")
    site.delete("c17foo", "recurse&cas=1").is_text(400, "Conflicting flags: cas=1&recurse=\n")


@case(18, "flags go up to 2^64-1, and are 0 without the parameter")
def flags(site):
    site.put("c18", "x", "flags=18446744073709551615").is_true()
    check(b'"Flags":18446744073709551615' in site.get("c18").body, "Flags")
    site.put("c18", "x").is_true()
    same(site.get("c18").entry()["Flags"], 0, "Flags of a plain PUT")


@case(19, "numbers that are none are 500, in Go's words")
def bad_numbers(site):
    for query, text in (("flags=-1", 'strconv.ParseUint: parsing "-1": invalid syntax'),
                        ("cas=x", 'strconv.ParseUint: parsing "x": invalid syntax'),
                        ("flags=18446744073709551616",
                         'strconv.ParseUint: parsing "18446744073709551616": value out of range')):
        site.put("c19", "x", query).is_text(500, text)
    site.delete("c19", "cas=x").is_text(500, 'strconv.ParseUint: parsing "x": invalid syntax')
    site.get("c19").is_empty(404)


@case(20, "cas with acquire is 400, the parameters in order")
def conflicting(site):
    site.put("c20", "x", "cas=1&acquire=x").is_text(400, "Conflicting flags: acquire=x&cas=1\n")
    site.put("c20", "x", "release=x&acquire=x").is_text(400, "Conflicting flags: acquire=x&release=x\n")


@case(21, "the same value again changes no index")
def idempotent(site):
    site.put("c21", "x", "flags=3").is_true()
    before = site.get("c21")
    site.put("c21", "x", "flags=3").is_true()
    after = site.get("c21")
    same((after.body, after.index), (before.body, before.index), "after the second")


@case(28, "what is wrong with index, wait and consistency is said")
def bad_reads(site):
    for index in ("abc", "-1", "%2B5", "%205", "0x1", "18446744073709551616"):
        site.get("c28", f"index={index}").is_text(400, "Invalid index")
    for wait in ("10", "1d", "1S", "10%20s", "1e3s", "9999999h"):
        site.get("c28", f"wait={wait}").is_text(400, "Invalid wait time")
    site.get("c28", "stale&consistent").is_text(
        400, "Cannot specify ?stale with ?consistent, conflicting semantics.")
    site.get("c28", "cached&consistent").is_text(
        400, "Cannot specify ?cached with ?consistent, conflicting semantics.")
    site.get("c28", "stale&max_stale=x").text_begins(400, 'Invalid max_stale value "x"')
    for wait in ("15s", "15.0s", "1m30s", ".5s", "1.s", "9.998664140701294s", "0", "-5s", "1s500ms", "10000s"):
        site.get("c28", f"wait={wait}").is_empty(404)
    site.get("c28", "index=&wait=").is_empty(404)
    site.get("c28", "index=0001&wait=1ms").is_empty(404)


@case(29, "a probe with a letter beyond ASCII is 404")
def probe(site):
    site.get("qmslkjdfmqlskdjfmqlksjaz%C3%A7ueznbv").is_empty(404)


@case(30, "any key goes in and comes out as it is")
def odd_keys(site):
    for sent, key in (("a%20b/c%25d%2Be%3Ff%23g", "a b/c%d+e?f#g"), ("c30+b", "c30+b"), ("c30%252F", "c30%2F"),
                      ("c30//x", "c30//x"), ("c30/../x", "c30/../x"), ("c30/./x", "c30/./x"),
                      ("c30%C3%A7", "c30\u00e7"), ("c30/folder/", "c30/folder/")):
        site.put(sent, key).is_true()
        same(site.get(sent).entry()["Key"], key, f"key sent as {sent}")
        same(site.get(sent, "raw").body, key.encode(), f"value of {sent}")
    site.put("/c30slash", "x").is_true()
    same(site.get("c30slash").entry()["Key"], "c30slash", "a slash before the key")
    for bad in ("c30%00", "c30%0a"):
        same(site.put(bad, "x").status, 400, bad)
    same(site.get("c30%zz").status, 400, "an escape that is none")


@case(31, "a value of 512 KiB goes in, one byte more is 413")
def large(site):
    site.put("c31", b"x" * 524288).is_true()
    same(len(site.get("c31", "raw").body), 524288, "size")
    site.put("c31", b"y" * 524288, "flags=1").is_true()
    for chunked in (False, True):
        answer = site.ask("PUT", "kv/c31", b"z" * 524289, chunked=chunked)
        answer.text_begins(413, "")
        for word in (b"too large", b"Value exceeds"):
            check(word in answer.body, f"{answer}: does not say {word}")
    same(site.get("c31", "raw").body[:1], b"y", "after the refusals")
    site.ask("PUT", "kv/c31", b"c" * 100000, chunked=True).is_true()
    same(site.get("c31", "raw").body, b"c" * 100000, "a chunked body")
    site.delete("c31").is_true()


@case(32, "other methods are 405 with Allow, and OPTIONS lists them")
def methods(site):
    for method in ("HEAD", "POST", "PATCH"):
        answer = site.ask(method, "kv/k")
        same((answer.status, answer.header("Allow")), (405, "OPTIONS,GET,PUT,DELETE"), str(answer))
        if method != "HEAD":
            answer.is_text(405, f"method {method} not allowed")
    answer = site.ask("OPTIONS", "kv/k").is_empty(200)
    same(answer.header("Allow"), "OPTIONS,GET,PUT,DELETE", "Allow")
    for path in ("txn", "session/create", "session/renew/x", "session/destroy/x"):
        same(site.ask("GET", path).is_text(405, "method GET not allowed").header("Allow"), "OPTIONS,PUT", path)
    for path in ("session/list", "status/leader", "agent/self"):
        same(site.ask("PUT", path).is_text(405, "method PUT not allowed").header("Allow"), "OPTIONS,GET", path)


@case(33, "unknown paths are 404, and the text says which kind")
def unknown_paths(site):
    site.ask("GET", "/v1/nope").is_text(404, "Invalid URL path: not a recognized HTTP API endpoint\n")
    site.ask("GET", "/nope").is_text(404, "Invalid URL path: if attempting to use the HTTP API, ensure the path "
                                          "starts with '/v1/'\n")


@case("1.1", "HTTP as clients speak it: 1.0, absolute targets, Expect, bodies of GET, kept-alive connections")
def framing(site):
    site.put("framing", "x").is_true()
    status, answer = site.raw(b"GET /v1/kv/framing?raw HTTP/1.0\r\n\r\n")
    check(status == 200 and answer.endswith(b"\r\n\r\nx"), f"HTTP/1.0: {answer!r}")
    status, answer = site.raw(b"GET http://elsewhere:1/v1/kv/framing?raw HTTP/1.1\r\nHost: elsewhere:1\r\n"
                              b"Connection: close\r\n\r\n")
    check(status == 200 and answer.endswith(b"\r\n\r\nx"), f"an absolute target: {answer!r}")
    same(site.raw(b"GET /v1/kv/framing HTTP/1.1\r\nConnection: close\r\n\r\n")[0], 400, "no Host")
    status, answer = site.raw(b"PUT /v1/kv/framing HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
                              b"Expect: 100-continue\r\nConnection: close\r\n\r\ny")
    check(answer.startswith(b"HTTP/1.1 100 ") and answer.endswith(b"\r\n\r\ntrue"), f"Expect: {answer!r}")
    same(site.ask("GET", "kv/framing?raw", b"ignored").body, b"y", "a GET with a body")
    same(site.ask("GET", "kv/framing?raw", headers={"Content-Length": "0"}).body, b"y", "Content-Length: 0")
    for content_type in ("application/x-www-form-urlencoded", "application/json", "text/plain; charset=utf-8"):
        site.ask("PUT", "kv/framing", b"{", headers={"Content-Type": content_type}).is_true()
    kept = site.connection().sock
    site.get("framing")
    check(kept is not None and site.connection().sock is kept, "the connection was closed after an answer")


@case("1.3", "?pretty indents by four and ends the line")
def pretty(site):
    site.put("pretty", "x").is_true()
    body = site.get("pretty", "pretty").body
    check(body.startswith(b'[\n    {\n        "') and body.endswith(b"\n    }\n]\n"), repr(body))


@case("1.5", "flags count by their presence, of two values the first, and what is unknown is ignored")
def parameters(site):
    site.put("c1.5", "x").is_true()
    for raw in ("raw", "raw=", "raw=1", "raw=true", "raw=False", "unknown=1&raw"):
        same(site.get("c1.5", raw).body, b"x", raw)
    site.get("c1.5", "dc=dc1&dc=dc2&raw").is_as(200, "text/plain", b"x")
    site.get("c1.5", "dc=dc2").is_text(500, "No path to datacenter")
    same(site.get("c1.5", "dc=&raw&ns=default&partition=").body, b"x", "empty and default")
    began = time.monotonic()
    site.get("c1.5", "wait=10s")
    check(time.monotonic() - began < 5 * wire.SLOW, "wait without index waits")
