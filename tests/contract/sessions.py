"""Cases 34 to 46: sessions and locks."""
import re
import threading
import time

import wire
from registry import case
from wire import check, same, until

NOBODY = "1" * 36
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def info(site, session):
    answer = site.ask("GET", f"session/info/{session}")
    check(answer.index >= 1, "index")
    return answer.json()


def acquire(site, key, session, value=b"held"):
    return site.put(key, value, f"acquire={session}")


def ttl_min_s(site):
    return site.ask("GET", "agent/self").json()["Config"]["SessionTTLMin"] / 1e9


@case(34, "a session without a body has all the defaults")
def defaults(site):
    for body in (None, b"", {}):
        made = site.ask("PUT", "session/create", body)
        same(list(made.json()), ["ID"], "members of the answer")
        check(UUID.fullmatch(made.json()["ID"]), str(made))
        shown, = info(site, made.json()["ID"])
        same((shown["ID"], shown["Name"], shown["Node"], shown["LockDelay"], shown["Behavior"], shown["TTL"],
              shown["NodeChecks"], shown["ServiceChecks"]),
             (made.json()["ID"], "", site.name, 15000000000, "release", "", ["serfHealth"], None), "session")
        check("Checks" not in shown and shown["CreateIndex"] == shown["ModifyIndex"] >= 1, str(shown))


@case(35, "members in small letters, a TTL as it was given")
def small_letters(site):
    session = site.session(name="batman-pg1", checks=[], lockdelay="0.001s", behavior="delete", ttl="15.0s")
    shown, = info(site, session)
    same((shown["Name"], shown["TTL"], shown["LockDelay"], shown["NodeChecks"], shown["Behavior"]),
         ("batman-pg1", "15.0s", 1000000, [], "delete"), "session")


@case(36, "what a session cannot be is 500, and says so")
def refusals(site):
    least = ttl_min_s(site)
    bounds = f"must be between [{least:g}s=24h0m0s]"
    for ttl, ns in ((f"{least / 2:g}s", int(least / 2 * 10**9)), ("86401s", 86401 * 10**9)):
        site.ask("PUT", "session/create", {"TTL": ttl}).is_text(500, f"Invalid Session TTL '{ns}', {bounds}")
    site.ask("PUT", "session/create", {"TTL": "x"}).text_begins(500, "Session TTL 'x' invalid: ")
    site.ask("PUT", "session/create", {"Behavior": "x"}).is_text(500, "Invalid Behavior setting 'x'")
    site.ask("PUT", "session/create", {"Node": "absent"}).is_text(500, "Missing node registration")
    site.ask("PUT", "session/create", {"Checks": ["c2"]}).is_text(500, "Missing check 'c2' registration")
    site.ask("PUT", "session/create?dc=dc2").is_text(500, "No path to datacenter")
    site.ask("PUT", "session/create", b"[").text_begins(400, "Request decode failed: ")
    site.ask("PUT", "session/destroy/").is_text(400, "Missing session")


@case(37, "a lock-delay as number or text, and small ones in seconds")
def lock_delay(site):
    for given, ns in ((5, 5 * 10**9), ("5s", 5 * 10**9), (15000000000, 15 * 10**9), ("0s", 0), ("5000ms", 5 * 10**9),
                      ("90s", 60 * 10**9)):
        shown, = info(site, site.session(LockDelay=given))
        same(shown["LockDelay"], ns, f"LockDelay given as {given!r}")


@case(38, "an unknown session: info is [], renew 404, destroy true")
def unknown(site):
    same(info(site, NOBODY), [], "info")
    site.ask("PUT", f"session/renew/{NOBODY}").is_text(404, f"Session id '{NOBODY}' not found")
    site.ask("PUT", f"session/destroy/{NOBODY}").is_true()


@case(39, "a session without TTL is renewed too, and answered as info shows it")
def renew(site):
    session = site.session(Name="c39")
    same(site.ask("PUT", f"session/renew/{session}").json(), info(site, session), "renewed")


@case(40, "lists of sessions, of all and of a node, with the index headers")
def lists(site):
    session = site.session(Name="c40")
    unknown_node = site.ask("GET", "session/node/unknown")
    check(unknown_node.index >= 1, "index")
    unknown_node.is_as(200, "application/json", b"[]")
    for path in ("session/list", f"session/node/{site.name}"):
        answer = site.ask("GET", path)
        check(answer.index >= 1 and session in [shown["ID"] for shown in answer.json()], path)
    watch = site.watch(f"session/list?index={site.ask('GET', 'session/list').index}&wait=30s")
    watch.sleeps_for(0.05)
    site.ask("PUT", f"session/destroy/{session}").is_true()
    check(session not in [shown["ID"] for shown in watch.result().json()], "a session that is destroyed")


@case(41, "acquire by nobody's session is 500, its text first, from every node alike")
def invalid_session(site):
    acquire(site, "c41", NOBODY).is_text(500, f'invalid session "{NOBODY}"')
    acquire(site, "c41", "").is_text(500, "missing session")
    site.get("c41").is_empty(404)


@case(42, "acquire and release by two sessions, and what LockIndex counts")
def lock(site):
    site.delete("c42").is_true()
    s1, s2 = site.session(LockDelay="0s"), site.session(LockDelay="0s")

    def held(lock_index, session):
        entry = site.get("c42").entry()
        same((entry["LockIndex"], entry.get("Session")), (lock_index, session), "LockIndex and Session")
    acquire(site, "c42", s1).is_true()
    held(1, s1)
    acquire(site, "c42", s2).is_false()
    acquire(site, "c42", s1).is_true()
    held(1, s1)
    for nobody in ("foo", s2):
        site.put("c42", "x", f"release={nobody}").is_false()
        held(1, s1)
    site.put("c42", b"", f"release={s1}").is_true()
    held(1, None)
    same(site.get("c42").entry()["Value"], None, "value after release")
    fence = acquire(site, "c42", s2).is_true().header("X-Raftkv-Fence")
    held(2, s2)
    same(fence, str(site.get("c42").entry()["ModifyIndex"]), "fence")
    check("Session" in site.get("c42").entry(), "Session")


@case(43, "a plain PUT on a locked key changes neither holder nor LockIndex")
def advisory(site):
    site.delete("c43").is_true()
    session = site.session(LockDelay="0s")
    acquire(site, "c43", session).is_true()
    site.put("c43", "plain", "flags=7").is_true()
    entry = site.get("c43").entry()
    same((entry["Session"], entry["LockIndex"], entry["Flags"], entry["Value"]),
         (session, 1, 7, wire.b64(b"plain")), "entry")


@case(44, "after the end of a session its key stays, free, and is not to be had during the lock-delay", kind="slow")
def delay(site):
    key, delay_s = f"c44-{site.name}", 1
    site.delete(key).is_true()
    s1, s2 = site.session(LockDelay=f"{delay_s}s", Behavior="release"), site.session()
    acquire(site, key, s1).is_true()
    before = site.get(key).entry()
    ended = time.monotonic()
    site.ask("PUT", f"session/destroy/{s1}").is_true()
    after = site.get(key).entry()
    same((after["Value"], after["LockIndex"], after.get("Session")), (before["Value"], 1, None), "entry")
    check(after["ModifyIndex"] > before["ModifyIndex"], "ModifyIndex")
    acquire(site, key, s2).is_false()
    until(10, "the lock-delay to end", lambda: acquire(site, key, s2).body == b"true")
    check(time.monotonic() - ended >= delay_s, f"taken after {time.monotonic() - ended} s")


@case(45, "the end of a session with behavior delete deletes its key, and wakes")
def deleted(site):
    site.delete("c45").is_true()
    session = site.session(LockDelay="0s", Behavior="delete")
    acquire(site, "c45", session).is_true()
    before = site.get("c45").index
    watch = site.watch(f"kv/c45?index={before}&wait=30s")
    watch.sleeps_for(0.05)
    site.ask("PUT", f"session/destroy/{session}").is_true()
    check(watch.result().is_empty(404).index > before, "index of the watcher")
    check(site.get("c45").is_empty(404).index > before, "index")


@case(46, "a session that is not renewed lives for its TTL and is gone by twice that", kind="slow")
def expiry(site):
    ttl_s = ttl_min_s(site)
    if ttl_s > 1:
        raise wire.Left(f"its TTL would be {ttl_s:g} s here; it runs where shorter ones are allowed")
    key = f"c46-{site.name}"
    site.delete(key).is_true()
    session = site.session(TTL=f"{ttl_s:g}s", Behavior="delete")
    acquire(site, key, session).is_true()
    began = time.monotonic()
    site.ask("PUT", f"session/renew/{session}").json()
    threading.Event().wait(ttl_s)
    asked = time.monotonic()
    if asked - began < 2 * ttl_s:
        same(len(info(site, session)), 1, f"{asked - began} s after the last renewal")
    until(10, "the session to end", lambda: not info(site, session))
    took_s = time.monotonic() - began
    check(2 * ttl_s - 0.05 <= took_s, f"gone after {took_s} s")
    site.get(key).is_empty(404)


@case("4.1", "the lock as Go's client takes it: refused under other flags, handed over at once, given up by cas")
def go_lock(site):
    magic = 3304740253564472344
    site.delete("c4.1").is_true()
    s1 = site.session(Name="Consul API Lock", TTL="15s")
    s2 = site.session(Name="Consul API Lock", TTL="15s")
    first = site.get("c4.1", "wait=15000ms").is_empty(404)
    check(first.index >= 1, "index")
    site.put("c4.1", b"one", f"acquire={s1}&flags={magic}").is_true()
    site.put("c4.1", b"two", f"acquire={s2}&flags={magic}").is_false()
    seen = site.get("c4.1")
    same((seen.entry()["Session"], seen.entry()["Flags"]), (s1, magic), "holder and flags")
    watch = site.watch(f"kv/c4.1?wait=15000ms&index={seen.index}")
    monitor = site.watch(f"kv/c4.1?consistent=&index={seen.index}")
    watch.sleeps_for(0.05)
    site.put("c4.1", b"one", f"flags={magic}&release={s1}").is_true()
    for woken in (watch, monitor):
        check("Session" not in woken.result().entry(), "Session after release")
    site.put("c4.1", b"two", f"acquire={s2}&flags={magic}").is_true()
    site.put("c4.1", b"two", f"flags={magic}&release={s2}").is_true()
    last = site.get("c4.1").entry()
    site.delete("c4.1", f"cas={last['ModifyIndex'] - 1}").is_false()
    site.delete("c4.1", f"cas={last['ModifyIndex']}").is_true()
