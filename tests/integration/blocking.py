#!/usr/bin/env python3
"""blocking.py cases URL...            the contract's cases of blocking queries, at each of the nodes
blocking.py wait KEY INDEX WAIT URL    one blocking read of KEY: prints status, index and milliseconds

Each case of the first form watches at one node and writes at another."""
import sys
import threading
import time
import urllib.error
import urllib.request

SLACK_S = 1.0  # a busy machine; what must not wake is given longer than that


def ask(method, url, body=None):
    request = urllib.request.Request(url, data=body, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def index_of(headers):
    return int(headers["X-Consul-Index"])


def check(condition, what):
    if not condition:
        raise AssertionError(what)


class Watch(threading.Thread):
    """A blocking read under way."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url = url
        self.answer = None
        self.took_s = None
        self.start()

    def run(self):
        began = time.monotonic()
        self.answer = ask("GET", self.url)
        self.took_s = time.monotonic() - began

    def result(self, within_s):
        self.join(within_s)
        check(self.answer is not None, f"no answer within {within_s} s: {self.url}")
        return self.answer


class Node:
    def __init__(self, watched, written):
        self.watched = watched + "/v1/kv/"
        self.written = written + "/v1/kv/"

    def put(self, key, value):
        check(ask("PUT", self.written + key, value)[2] == b"true", "put " + key)

    def delete(self, key):
        check(ask("DELETE", self.written + key)[2] == b"true", "delete " + key)

    def index(self, target):
        return index_of(ask("GET", self.watched + target)[1])

    def watch(self, target, wait="30s"):
        join = "&" if "?" in target else "?"
        return Watch(f"{self.watched}{target}{join}index={self.index(target)}&wait={wait}")

    def wakes(self, target, change, status):
        """The change, and nothing before it, ends a read of the target. What is not there has the
        index of all keys: a write elsewhere that is sooner than the read would rightly end it."""
        is_there = ask("GET", self.watched + target)[0] == 200
        before = self.index(target)
        watch = self.watch(target)
        if is_there:
            self.put("elsewhere", str(time.monotonic()).encode())
        watch.join(0.1)
        check(watch.answer is None, f"{target} was answered before it changed")
        change()
        answer = watch.result(10)
        check(answer[0] == status, f"{target}: status {answer[0]}")
        check(index_of(answer[1]) > before, f"{target}: index {index_of(answer[1])} <= {before}")
        return answer

    def sleeps(self, target, change):
        """The change does not end a read of the target, nor moves its index."""
        before = self.index(target)
        watch = self.watch(target, "300ms")
        change()
        answer = watch.result(10)
        check(watch.took_s >= 0.3, f"{target} was answered after {watch.took_s} s")
        check(index_of(answer[1]) == before, f"{target}: its index moved")


def case_22(node):
    node.put("k22", b"1")
    before = node.index("k22")
    for wait_ms in (1, 20):
        watch = node.watch("k22", f"{wait_ms}ms")
        answer = watch.result(10)
        check(watch.took_s * 1000 >= wait_ms, f"answered after {watch.took_s} s")
        check(watch.took_s < wait_ms / 1000 + SLACK_S, f"answered after {watch.took_s} s")
        check(index_of(answer[1]) == before, "index moved")


def case_23(node):
    node.put("k23", b"1")
    node.wakes("k23", lambda: node.put("k23", b"2"), 200)


def case_21_idempotent(node):
    node.put("k21", b"1")
    node.sleeps("k21", lambda: node.put("k21", b"1"))


def case_24_and_45(node):
    node.delete("k24")
    node.wakes("k24", lambda: node.put("k24", b"1"), 200)
    node.wakes("k24", lambda: node.delete("k24"), 404)


def case_25(node):
    node.delete("p25/?recurse")
    node.put("p25", b"no slash")
    node.wakes("p25/?recurse", lambda: node.put("p25/x", b"1"), 200)


def case_26(node):
    for i in range(10):
        node.put(f"p26/{i}", b"1")
    node.wakes("p26/?recurse", lambda: node.delete("p26/3"), 200)
    node.wakes("p26/?keys", lambda: node.put("p26/3", b"1"), 200)
    node.wakes("p26/?keys&separator=/", lambda: node.delete("p26?recurse"), 404)


def case_27(node):
    node.put("p27/a/1", b"1")
    node.sleeps("p27/a/?recurse", lambda: node.put("p27/b/1", str(time.monotonic()).encode()))


def case_28(node):
    for query, text in (("index=abc", b"Invalid index"), ("wait=10", b"Invalid wait time")):
        status, _, body = ask("GET", node.watched + "k?" + query)
        check((status, body) == (400, text), f"{query}: {status} {body}")


def index_ahead(node):
    node.put("ahead", b"1")
    before = node.index("ahead")
    watch = Watch(f"{node.watched}ahead?index={before + 100000}&wait=300ms&stale")
    answer = watch.result(10)
    check(watch.took_s >= 0.3 and index_of(answer[1]) == before, "an index ahead did not wait")


def old_index(node):
    node.put("old", str(time.monotonic()).encode())
    watch = Watch(f"{node.watched}old?index=1&wait=30s")
    check(index_of(watch.result(10)[1]) > 1, "an old index waited")


def crowd(node):
    """More readers of one long listing than are streamed to at a time: all get it whole."""
    for i in range(20):
        node.put(f"crowd/{i:02}", b"x" * 10000)
    watches = [node.watch("crowd/?recurse") for _ in range(100)]
    node.put("crowd/00", str(time.monotonic()).encode())
    bodies = {(watch.result(20)[0], watch.result(20)[2]) for watch in watches}
    check(len(bodies) == 1, f"{len(bodies)} different answers to one question")
    status, body = bodies.pop()
    check(status == 200 and len(body) > 200000, f"status {status}, {len(body)} bytes")


CASES = (case_22, case_23, case_21_idempotent, case_24_and_45, case_25, case_26, case_27, case_28,
         index_ahead, old_index, crowd)


def run_cases(urls):
    for i, url in enumerate(urls):
        node = Node(url, urls[(i + 1) % len(urls)])
        for case in CASES:
            try:
                case(node)
            except AssertionError as error:
                sys.exit(f"node {i + 1}: {case.__name__}: {error}")


def run_wait(key, index, wait, url):
    began = time.monotonic()
    status, headers, _ = ask("GET", f"{url}/v1/kv/{key}?index={index}&wait={wait}")
    print(status, headers.get("X-Consul-Index", 0), round((time.monotonic() - began) * 1000))


if __name__ == "__main__":
    if sys.argv[1] == "cases":
        run_cases(sys.argv[2:])
    else:
        run_wait(*sys.argv[2:])
