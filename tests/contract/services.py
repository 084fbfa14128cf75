"""Cases 54 to 61: catalog, services and checks. What is not built yet waits for it by name."""
import time

import wire
from registry import case
from wire import check, same, until

SERVICES = "services that clients register"


def empty_200(site, method, path, body=None):
    answer = site.ask(method, path, body)
    same((answer.status, answer.body), (200, b""), str(answer))


def names(answer):
    return [instance["Service"]["ID"] for instance in answer.json()]


@case(54, "a fresh cluster's catalog has its own entries only")
def fresh(site):
    services = site.ask("GET", "catalog/services")
    check(services.index >= 1, "index")
    services.is_as(200, wire.JSON, b'{"consul":[]}')
    site.ask("GET", "agent/services").is_as(200, wire.JSON, b"{}")
    site.ask("GET", "agent/checks").is_as(200, wire.JSON, b"{}")
    state = site.ask("GET", "health/state/any")
    check(state.index >= 1, "index")
    same([(shown["ServiceID"], shown["CheckID"]) for shown in state.json()],
         [("", "serfHealth")] * len(site.nodes), "checks")


@case(55, "instances, passing and by tag, as their TTL checks pass and lapse", waits_for=SERVICES)
def instances(site):
    empty_200(site, "PUT", "agent/service/register",
              {"name": "foo", "id": "foo:1", "check": {"ttl": "10s"}, "tags": ["t1"]})
    empty_200(site, "PUT", "agent/service/register", {"name": "foo", "id": "foo:2", "check": {"ttl": "100ms"}})
    same(names(site.ask("GET", "health/service/foo")), ["foo:1", "foo:2"], "instances")
    site.ask("GET", "health/service/foo?passing=1").is_as(200, wire.JSON, b"[]")
    for instance in ("foo:1", "foo:2"):
        empty_200(site, "PUT", f"agent/check/pass/service:{instance}")
    passed = time.monotonic()
    both = names(site.ask("GET", "health/service/foo?passing=1"))
    check(both == ["foo:1", "foo:2"] or time.monotonic() - passed > 0.1, f"passing: {both}")
    until(5, "foo:2 to lapse", lambda: names(site.ask("GET", "health/service/foo?passing=1")) == ["foo:1"])
    same(names(site.ask("GET", "health/service/foo?tag=t1")), ["foo:1"], "by tag")
    for instance in ("foo:1", "foo:2"):
        empty_200(site, "PUT", f"agent/service/deregister/{instance}")
    site.ask("GET", "health/service/foo").is_as(200, wire.JSON, b"[]")


@case(56, "a check's status and output as they are reported", waits_for=SERVICES)
def statuses(site):
    empty_200(site, "PUT", "agent/check/register", {"name": "c56", "ttl": "60s"})
    for path, body, status, output in (("pass/c56?note=all+ok", None, "passing", "all ok"),
                                       ("warn/c56", None, "warning", ""), ("fail/c56", None, "critical", ""),
                                       ("update/c56", {"Status": "critical", "Output": "x"}, "critical", "x")):
        empty_200(site, "PUT", f"agent/check/{path}", body)
        shown = site.ask("GET", "agent/checks").json()["c56"]
        same((shown["Status"], shown["Output"]), (status, output), path)
    empty_200(site, "PUT", "agent/check/deregister/c56")


@case(57, "a check of a service that is not there is refused", waits_for=SERVICES)
def orphan(site):
    site.ask("PUT", "agent/check/register", {"name": "c57", "ttl": "60s", "serviceid": "absent"}).is_text(
        404, 'ServiceID "absent" does not exist')
    site.ask("GET", "agent/checks").is_as(200, wire.JSON, b"{}")


@case(58, "maintenance of a node and of a service", waits_for=SERVICES)
def maintenance(site):
    empty_200(site, "PUT", "agent/maintenance?enable=true&reason=test")
    shown = site.ask("GET", "agent/checks").json()["_node_maintenance"]
    same((shown["Status"], shown["Notes"]), ("critical", "test"), "check")
    empty_200(site, "PUT", "agent/maintenance?enable=false")
    empty_200(site, "PUT", "agent/service/register", {"name": "foo"})
    empty_200(site, "PUT", "agent/service/maintenance/foo?enable=true&reason=test")
    same(site.ask("GET", "agent/checks").json()["_service_maintenance:foo"]["Notes"], "test", "Notes")
    empty_200(site, "PUT", "agent/service/deregister/foo")
    site.ask("GET", "agent/checks").is_as(200, wire.JSON, b"{}")
    site.ask("PUT", "agent/maintenance").is_text(400, "Missing value for enable")


@case(59, "ids of services with characters of their own", waits_for=SERVICES)
def odd_ids(site):
    for name, path in (("app#127.0.0.1#3000", "app%23127.0.0.1%233000"), ("batman/pg1", "batman/pg1"),
                       ("batman/pg1", "batman%2Fpg1")):
        empty_200(site, "PUT", "agent/service/register", {"name": "c59", "id": name})
        same(list(site.ask("GET", "agent/services").json()), [name], "services")
        empty_200(site, "PUT", f"agent/service/deregister/{path}")
        site.ask("GET", "agent/services").is_as(200, wire.JSON, b"{}")


def put_catalog(site, path, **body):
    site.ask("PUT", f"catalog/{path}", body).is_true()


@case(60, "nodes and services in the catalog", waits_for=SERVICES)
def catalog(site):
    put_catalog(site, "register", Node="c1", Address="10.0.0.1", Service={"Service": "s1"},
                Check={"Name": "c1", "ServiceID": "s1"})
    put_catalog(site, "register", Node="c1", Address="10.0.0.1", Service={"Service": "s2"})
    put_catalog(site, "register", Node="c2", Address="10.0.0.2", Service={"Service": "s1", "Tags": ["master"]})
    same(site.ask("GET", "catalog/services").json(), {"s1": ["master"], "s2": [], "consul": []}, "services")
    same([found["Node"] for found in site.ask("GET", "catalog/service/s1?tag=master").json()], ["c2"], "by tag")
    same(sorted(site.ask("GET", "catalog/node/c1").json()["Services"]), ["s1", "s2"], "services of a node")
    site.ask("GET", "catalog/node/c3").is_as(200, wire.JSON, b"null")
    put_catalog(site, "deregister", Node="c2", ServiceID="s1")
    same([node["Node"] for node in site.ask("GET", "catalog/nodes").json()], sorted(["c1", "c2"] + site.nodes), "nodes")
    for node in ("c1", "c2"):
        put_catalog(site, "deregister", Node=node)


@case("60a", "every node is in the catalog, with the service consul and its serfHealth")
def own_entries(site):
    nodes = site.ask("GET", "catalog/nodes")
    check(nodes.index >= 1, "index")
    same([node["Node"] for node in nodes.json()], sorted(site.nodes), "nodes in order")
    for node in nodes.json():
        check(node["Address"] and node["Datacenter"] == "dc1" and node["CreateIndex"] >= 1, str(node))
    found = site.ask("GET", "catalog/service/consul").json()
    same([(one["Node"], one["ServiceID"], one["ServiceTags"]) for one in found],
         [(name, "consul", []) for name in sorted(site.nodes)], "instances of consul")
    site.ask("GET", "catalog/service/none").is_as(200, wire.JSON, b"[]")
    same(list(site.ask("GET", f"catalog/node/{site.name}").json()["Services"]), ["consul"], "services of a node")
    site.ask("GET", "catalog/node/c3").is_as(200, wire.JSON, b"null")
    first = site.ask("GET", f"health/node/{site.name}").json()[0]
    same((first["CheckID"], first["Name"], first["Status"]), ("serfHealth", "Serf Health Status", "passing"), "check")
    site.ask("GET", "health/checks/consul").is_as(200, wire.JSON, b"[]")


@case(61, "catalog and health list the instances of a service in one order")
def one_order(site):
    catalogued = site.ask("GET", "catalog/service/consul").json()
    healthy = site.ask("GET", "health/service/consul").json()
    same([(one["Node"], one["ServiceID"]) for one in catalogued],
         [(one["Node"]["Node"], one["Service"]["ID"]) for one in healthy], "instances")
    same(len(catalogued), len(site.nodes), "instances")
    same([[shown["CheckID"] for shown in one["Checks"]] for one in healthy], [["serfHealth"]] * len(site.nodes),
         "checks of each")
