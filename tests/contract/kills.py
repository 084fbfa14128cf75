"""Cases 46, 64, 65 and 67 where nodes are killed: once, with three nodes. Each leaves all of them running."""
import threading
import time

import sessions
import wire
from registry import case
from wire import check, same, until


def leader_of(cluster, asked):
    """The site that leads by its own word; `asked` are those that run."""
    def find():
        for site in asked:
            shown = site.ask("GET", "status/node").json()
            if shown["role"] == "leader" and shown["ready"]:
                return site
        return None
    return until(20, "a leader", find)


def others(cluster, site):
    return [other for other in cluster.sites if other is not site]


def outcome(answer):
    """What may be said while there is no leader: done, or the text that clients know. True where done."""
    if answer.status == 500:
        check(answer.body == b"No cluster leader" or answer.body.startswith(b"outcome unknown"), str(answer))
        same(answer.header("Content-Type"), wire.TEXT, str(answer))
        return False
    same(answer.status, 200, str(answer))
    return True


@case("46k", "a leader that is killed neither ends a session early nor lets it live beyond its bound", kind="kill")
def expiry_over_kill(cluster):
    ttl_s = 2
    leader = leader_of(cluster, cluster.sites)
    site = others(cluster, leader)[0]
    site.delete("c46k").is_true()
    session = site.session(TTL=f"{ttl_s}s", Behavior="delete", LockDelay="0s")
    sessions.acquire(site, "c46k", session).is_true()
    began = time.monotonic()
    site.ask("PUT", f"session/renew/{session}").json()
    threading.Event().wait(0.3)
    cluster.kill(leader)

    def gone():
        answer = site.ask("GET", f"session/info/{session}?stale")
        return answer.status == 200 and not answer.json()
    until(20, "the session to end", gone)
    took_s = time.monotonic() - began
    check(2 * ttl_s - 0.05 <= took_s, f"gone after {took_s} s")
    check(took_s < 2 * ttl_s + 2 * wire.SLOW, f"gone only after {took_s} s")
    cluster.start(leader)


@case(64, "while there is no leader: 500 No cluster leader or held, never 503 nor a lost connection", kind="kill")
def no_leader(cluster):
    leader = leader_of(cluster, cluster.sites)
    rest = others(cluster, leader)
    rest[0].put("c64", "x").is_true()
    until(5, "the followers level", lambda: all(site.get("c64", "raw&stale").body == b"x" for site in rest))
    cluster.kill(leader)
    ends = time.monotonic() + 20 * wire.SLOW
    wrote = read = 0
    while not (wrote and read):
        check(time.monotonic() < ends, "no write and read went through")
        for site in rest:
            wrote += outcome(site.put("c64", "x"))
            read += outcome(site.get("c64"))
            same(site.get("c64", "stale&raw").body, b"x", "a stale read meanwhile")
    cluster.kill(rest[0])
    alone = rest[1]
    lonely = until(20, "KnownLeader false", lambda: (
        answer := alone.get("c64", "stale")).header("X-Consul-Knownleader") == "false" and answer)
    same(lonely.entry()["Value"], wire.b64(b"x"), "a stale read alone")
    check(lonely.index >= 1, "index")
    read = alone.watch("kv/c64")
    alone.put("c64", "y").is_text(500, "No cluster leader")
    read.result(30).is_text(500, "No cluster leader")
    alone.ask("GET", "status/leader").is_as(200, wire.JSON, b'""')
    alone.ask("GET", "catalog/datacenters").is_as(200, wire.JSON, b'["dc1"]')
    for site in (rest[0], leader):
        cluster.start(site)


@case(65, "a leader that was away while another one led gives no old value", kind="kill")
def no_old_value(cluster):
    leader = leader_of(cluster, cluster.sites)
    rest = others(cluster, leader)
    leader.put("c65", "old").is_true()
    leader.get("c65", "raw")
    cluster.pause(leader)
    until(20, "a write under the next leader", lambda: rest[0].put("c65", "new").body == b"true")
    reads = [leader.watch("kv/c65?raw") for _ in range(4)]
    cluster.resume(leader)
    for read in reads:
        answer = read.result(20)
        check(answer.status == 500 and answer.body == b"No cluster leader" or answer.body == b"new", str(answer))
    until(20, "the new value there too", lambda: leader.get("c65", "raw").body == b"new")


class Holder(threading.Thread):
    """Renews its session as Go's client does, until it is killed, which is silence."""

    def __init__(self, site, session, ttl_s):
        super().__init__(daemon=True)
        self.site, self.session, self.ttl_s, self.killed = site, session, ttl_s, threading.Event()
        self.renewed = time.monotonic()
        self.start()

    def run(self):
        while not self.killed.wait(self.ttl_s / 2):
            self.renewed = time.monotonic()
            self.site.ask("PUT", f"session/renew/{self.session}")


@case(67, "a holder that dies is succeeded after its TTL's bound and the lock-delay, and its monitor notices",
      kind="slow")
def takeover(site):
    key, ttl_s, delay_s = f"c67-{site.name}", 1, 1
    if sessions.ttl_min_s(site) > ttl_s:
        raise wire.Left("it runs where a TTL of 1 s is allowed")
    site.delete(key).is_true()
    first = site.session(TTL=f"{ttl_s}s", LockDelay=f"{delay_s}s", Name="Consul API Lock")
    second = site.session(Name="Consul API Lock")
    taken = site.put(key, b"1", f"acquire={first}&flags=3304740253564472344").is_true()
    holder = Holder(site, first, ttl_s)
    monitor = site.watch(f"kv/{key}?consistent=&index={site.get('c67').index}")
    threading.Event().wait(2.5 * ttl_s)  # longer than its bound: it lives by being renewed
    monitor.sleeps_for(0)
    holder.killed.set()
    holder.join()
    check("Session" not in monitor.result(10).entry(), "the monitor does not notice")
    ended = time.monotonic()
    check(ended - holder.renewed >= 2 * ttl_s - 0.05, f"lost {ended - holder.renewed} s after the last renewal")
    got = until(10, "the successor to hold it", lambda: (
        answer := site.put(key, b"2", f"acquire={second}&flags=3304740253564472344")).body == b"true" and answer)
    check(time.monotonic() - ended >= delay_s - 0.2, f"taken over {time.monotonic() - ended} s after the loss")
    check(int(got.header("X-Raftkv-Fence")) > int(taken.header("X-Raftkv-Fence")), "fence")
