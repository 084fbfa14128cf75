"""Cases 53, 62, 63, 66 and 68: the node itself, the cluster, what is switched off, snapshots."""
import wire
from registry import case
from wire import check, same, until


@case(53, "agent/self has its six members, and agrees with members and leader")
def self_(site):
    shown = site.ask("GET", "agent/self").json()
    same(sorted(shown), ["Config", "Coord", "DebugConfig", "Member", "Meta", "Stats"], "members")
    same((shown["Config"]["Datacenter"], shown["Config"]["NodeName"], shown["Config"]["Server"]),
         ("dc1", site.name, True), "Config")
    members = site.ask("GET", "agent/members").json()
    check(shown["Member"] in members, f"{shown['Member']} not in {members}")
    same((shown["Member"]["Status"], shown["Member"]["Name"]), (1, site.name), "Member")
    same(sorted(member["Name"] for member in members), sorted(site.nodes), "names of members")
    same(shown["Stats"]["consul"]["leader_addr"], site.ask("GET", "status/leader").json(), "leader_addr")
    for figures in shown["Stats"].values():
        check(all(isinstance(figure, str) for figure in figures.values()), f"Stats: {figures}")
    same(site.ask("GET", "agent/members?wan=1").json()[0]["Name"].rsplit(".", 1)[1], "dc1", "wan name")


@case(62, "the leader is among the peers, and votes; the first configuration has index 1")
def leader(site):
    address = site.ask("GET", "status/leader").json()
    peers = site.ask("GET", "status/peers").json()
    check(address in peers and len(peers) == len(site.nodes), f"{address} in {peers}")
    shown = site.ask("GET", "operator/raft/configuration").json()
    leads, = [server for server in shown["Servers"] if server["Leader"]]
    same((leads["Voter"], leads["Address"], shown["Index"]), (True, address, 1), "leader, Index")
    same(sorted(server["Node"] for server in shown["Servers"]), sorted(site.nodes), "Servers")


@case(63, "without ACLs all of acl/ is 401, and any token will do elsewhere")
def acl(site):
    for method, path in (("GET", "acl/list"), ("GET", "acl/info/x"), ("PUT", "acl/create"), ("PUT", "acl/update"),
                         ("GET", "acl/policies"), ("PUT", "acl/bootstrap"), ("DELETE", "acl/token/x"),
                         ("PUT", "acl/destroy/x"), ("PUT", "acl/clone/x")):
        site.ask(method, path).is_text(401, "ACL support disabled")
    site.ask("PUT", "kv/c63", "x", headers={"X-Consul-Token": "root"}).is_true()
    same(site.ask("GET", "kv/c63?raw&token=root", headers={"Authorization": "Basic Og=="}).body, b"x", "value")


@case(66, "a snapshot saved and restored brings all back, and ends the waits", kind="restore")
def snapshot(site):
    site.put("c66", "saved").is_true()
    saved = site.ask("GET", "snapshot")
    same((saved.status, saved.header("Content-Type")), (200, "application/x-gzip"), str(saved))
    check(saved.body[:2] == b"\x1f\x8b" and saved.index >= 1, "gzip and index")
    site.delete("", "recurse").is_true()
    site.put("c66/watched", "x").is_true()
    watch = site.watch(f"kv/c66/watched?index={site.get('c66/watched').index}&wait=60s")
    watch.sleeps_for(0.05)
    restored = site.ask("PUT", "snapshot", saved.body, chunked=True)
    same((restored.status, restored.body), (200, b""), str(restored))
    watch.result(30)
    until(10, "what was saved", lambda: site.get("c66", "raw").body == b"saved")
    check(site.ask("PUT", "snapshot", b"no archive").status == 500, "what is no archive")
    same(site.get("c66", "raw").body, b"saved", "after a bad archive")


@case(68, "the semaphore's flags are stored and given back exactly")
def semaphore(site):
    site.put("c68", "x", "flags=16210313421097356768").is_true()
    check(b'"Flags":16210313421097356768' in site.get("c68").body, "Flags")
    limit, prefix = 1, "c68/sem"
    site.delete(prefix, "recurse").is_true()
    sessions = [site.session(Behavior="delete", LockDelay="0s", TTL="15s") for _ in range(2)]
    for session in sessions:
        site.put(f"{prefix}/{session}", b"", f"acquire={session}&flags=16210313421097356768").is_true()
    entries = site.get(prefix, "recurse&wait=15000ms")
    same(len(entries.json()), 2, "contenders")
    holders = '{"Limit":%d,"Holders":{"%s":true}}' % (limit, sessions[0])
    site.put(f"{prefix}/.lock", holders, "cas=0&flags=16210313421097356768").is_true()
    site.put(f"{prefix}/.lock", holders, "cas=0&flags=16210313421097356768").is_false()
    before = site.get(prefix, "recurse").index
    watch = site.watch(f"kv/{prefix}?recurse&consistent=&index={before}")
    watch.sleeps_for(0.05)
    site.ask("PUT", f"session/destroy/{sessions[1]}").is_true()
    check(watch.result().index > before, "a contender that goes does not wake the others")
    same(len(watch.answer.json()), 2, "contenders and .lock")


@case("2.8", "figures for operators: autopilot's health and state, datacenters")
def operators(site):
    health = until(10, "a healthy cluster", lambda: (
        answer := site.ask("GET", "operator/autopilot/health")).status == 200 and answer).json()
    same((health["Healthy"], len(health["Servers"])), (True, len(site.nodes)), "health")
    same(health["FailureTolerance"], (len(site.nodes) - 1) // 2, "FailureTolerance")
    state = site.ask("GET", "operator/autopilot/state").json()
    check(state["Leader"] in state["Voters"] and state["Leader"] in state["Servers"], str(state))
    site.ask("GET", "catalog/datacenters").is_as(200, wire.JSON, b'["dc1"]')
    site.ask("DELETE", "operator/raft/peer").is_text(
        400, "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove")
    site.ask("DELETE", "operator/raft/peer?id=a&address=b").is_text(400, "Must specify only one of ?id or ?address")
