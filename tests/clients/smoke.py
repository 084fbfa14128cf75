#!/usr/bin/env python3
"""smoke.py HOST:PORT -- each call of Debian's python3-consul that is about keys, sessions and the cluster,
as its own documentation and tests use it. Prints "ok - WHAT" for each; the first that is wrong ends it."""
import sys
import time

import consul

FACTS = []


def fact(function):
    FACTS.append(function)
    return function


@fact
def a_missing_key_is_an_index_and_none(c):
    index, data = c.kv.get("smoke/none")
    assert data is None and int(index) >= 1


@fact
def a_value_comes_back_as_bytes(c):
    assert c.kv.put("smoke/a", "value") is True
    index, data = c.kv.get("smoke/a")
    assert data["Value"] == b"value" and data["ModifyIndex"] == int(index) and data["Flags"] == 0


@fact
def binary_and_no_value(c):
    assert c.kv.put("smoke/b", b"\xe8\x03\x00\x00") and c.kv.get("smoke/b")[1]["Value"] == b"\xe8\x03\x00\x00"
    assert c.kv.put("smoke/b", None) and c.kv.get("smoke/b")[1]["Value"] is None


@fact
def flags(c):
    assert c.kv.put("smoke/f", "x", flags=2**64 - 1) and c.kv.get("smoke/f")[1]["Flags"] == 2**64 - 1


@fact
def cas_and_delete_with_cas(c):
    c.kv.delete("smoke/c")
    assert c.kv.put("smoke/c", "x", cas=50) is False
    assert c.kv.put("smoke/c", "x", cas=0) is True and c.kv.put("smoke/c", "x", cas=0) is False
    at = c.kv.get("smoke/c")[1]["ModifyIndex"]
    assert c.kv.put("smoke/c", "y", cas=at - 1) is False and c.kv.put("smoke/c", "y", cas=at) is True
    later = c.kv.get("smoke/c")[1]["ModifyIndex"]
    assert later > at
    assert c.kv.delete("smoke/c", cas=at) is False and c.kv.delete("smoke/c", cas=later) is True
    assert c.kv.get("smoke/c")[1] is None


@fact
def recurse_keys_and_separator(c):
    c.kv.delete("smoke/tree/", recurse=True)
    assert c.kv.get("smoke/tree/", recurse=True)[1] is None and c.kv.get("smoke/tree/", keys=True)[1] is None
    for key in ("", "bar1", "bar2", "base/foo"):
        assert c.kv.put("smoke/tree/" + key, None if key == "" else key)
    found = c.kv.get("smoke/tree/", recurse=True)[1]
    assert [entry["Key"] for entry in found] == ["smoke/tree/" + key for key in ("", "bar1", "bar2", "base/foo")]
    assert [entry["Value"] for entry in found] == [None, b"bar1", b"bar2", b"base/foo"]
    assert c.kv.get("smoke/tree/b", keys=True, separator="/")[1] == [
        "smoke/tree/bar1", "smoke/tree/bar2", "smoke/tree/base/"]
    assert c.kv.delete("smoke/tree/", recurse=True) is True and c.kv.get("smoke/tree/", recurse=True)[1] is None


@fact
def odd_keys(c):
    for key in ("smoke/a b", "smoke/\u00e7", "smoke/a+b", "smoke/%2F", "smoke/a?b#c"):
        assert c.kv.put(key, "x") and c.kv.get(key)[1]["Key"] == key


@fact
def a_wait_ends_in_time_with_the_same_index(c):
    c.kv.put("smoke/w", "x")
    index, _ = c.kv.get("smoke/w")
    began = time.monotonic()
    again, data = c.kv.get("smoke/w", index=index, wait="20ms")
    assert again == index and data["Value"] == b"x" and time.monotonic() - began >= 0.02


@fact
def all_consistencies(c):
    for mode in ("default", "consistent", "stale"):
        reader = consul.Consul(host=c.http.host, port=c.http.port, consistency=mode)
        assert int(reader.kv.get("smoke/w")[0]) >= 1


@fact
def sessions(c):
    one = c.session.create("smoke", checks=[], lock_delay=1, behavior="delete", ttl=20)
    index, shown = c.session.info(one)
    assert int(index) >= 1 and shown["Name"] == "smoke" and shown["TTL"] == "20s" and shown["LockDelay"] == 10**9
    assert one in [session["ID"] for session in c.session.list()[1]]
    assert one in [session["ID"] for session in c.session.node(shown["Node"])[1]]
    assert c.session.renew(one)["ID"] == one
    assert c.session.destroy(one) is True and c.session.info(one)[1] is None
    plain = c.session.create()
    assert c.session.info(plain)[1]["Behavior"] == "release" and c.session.destroy(plain) is True
    assert c.session.info("1" * 36)[1] is None


@fact
def an_unknown_session_is_not_found(c):
    try:
        c.session.renew("1" * 36)
    except consul.NotFound as error:
        assert str(error) == "Session id '%s' not found" % ("1" * 36)
        return
    raise AssertionError("it was renewed")


@fact
def a_lock(c):
    c.kv.delete("smoke/l")
    s1, s2 = c.session.create(lock_delay=0.001), c.session.create(lock_delay=0.001)
    assert c.kv.put("smoke/l", "1", acquire=s1) is True and c.kv.put("smoke/l", "2", acquire=s2) is False
    entry = c.kv.get("smoke/l")[1]
    assert (entry["Session"], entry["LockIndex"], entry["Value"]) == (s1, 1, b"1")
    assert c.kv.put("smoke/l", "1", release="foo") is False and c.kv.put("smoke/l", "1", release=s2) is False
    assert c.kv.put("smoke/l", "1", release=s1) is True and "Session" not in c.kv.get("smoke/l")[1]
    assert c.kv.put("smoke/l", "2", acquire=s2) is True and c.kv.get("smoke/l")[1]["LockIndex"] == 2
    for session in (s1, s2):
        c.session.destroy(session)


@fact
def another_datacenter_is_an_error(c):
    for call in (lambda: c.session.list(dc="dc2"), lambda: c.kv.get("smoke/a", dc="dc2")):
        try:
            call()
        except consul.ConsulException as error:
            assert "No path to datacenter" in str(error)
            continue
        raise AssertionError("dc2 answered")


@fact
def the_node_and_the_cluster(c):
    shown = c.agent.self()
    assert set(shown) == {"Config", "Coord", "DebugConfig", "Member", "Meta", "Stats"}
    assert shown["Member"] in c.agent.members() and len(c.agent.members(wan=True)) == 3
    assert c.status.leader() in c.status.peers() and len(c.status.peers()) == 3
    assert shown["Stats"]["consul"]["leader_addr"] == c.status.leader()
    assert c.catalog.datacenters() == ["dc1"]
    servers = c.operator.raft_config()["Servers"]
    assert any(server["Leader"] and server["Voter"] for server in servers)


@fact
def the_catalog_and_health_of_the_nodes(c):
    index, services = c.catalog.services()
    assert services == {"consul": []} and int(index) >= 1
    names = [node["Node"] for node in c.catalog.nodes()[1]]
    assert names == ["n1", "n2", "n3"]
    assert [entry["Node"] for entry in c.catalog.service("consul")[1]] == names
    assert list(c.catalog.node("n1")[1]["Services"]) == ["consul"] and c.catalog.node("n9")[1] is None
    assert [entry["Node"]["Node"] for entry in c.health.service("consul")[1]] == names
    assert [check["CheckID"] for check in c.health.node("n2")[1]] == ["serfHealth"]
    assert {check["ServiceID"] for check in c.health.state("any")[1]} == {""}
    assert c.health.checks("consul")[1] == [] and c.catalog.service("none")[1] == []
    assert c.agent.services() == {} and c.agent.checks() == {}


@fact
def acl_is_disabled(c):
    for call in (lambda: c.acl.list(), lambda: c.acl.info("x"), lambda: c.acl.create("x"), lambda: c.acl.destroy("x")):
        try:
            call()
        except consul.ACLDisabled as error:
            assert str(error) == "ACL support disabled"
            continue
        raise AssertionError("no ACLDisabled")


@fact
def any_token_will_do(c):
    with_token = consul.Consul(host=c.http.host, port=c.http.port, token="root", dc="dc1")
    assert with_token.kv.put("smoke/t", "x") and with_token.kv.get("smoke/t")[1]["Value"] == b"x"


def main():
    host, port = sys.argv[1].split(":")
    for function in FACTS:
        function(consul.Consul(host=host, port=int(port)))
        print("ok - " + function.__name__.replace("_", " "), flush=True)
    consul.Consul(host=host, port=int(port)).kv.delete("smoke/", recurse=True)


if __name__ == "__main__":
    main()
