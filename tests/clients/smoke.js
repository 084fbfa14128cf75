// smoke.js HOST:PORT -- each call of the npm package "consul" that is about keys, sessions, transactions and
// the cluster, as its own documentation and tests use it. Prints "ok - WHAT" for each; the first that is wrong
// ends it.
"use strict";
const assert = require("assert");
const Consul = require("consul");

const [host, port] = process.argv[2].split(":");
const c = new Consul({ host, port: Number(port) });

async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return assert.fail("it was not refused");
}

const facts = {
  async "a missing key is undefined"() {
    assert.strictEqual(await c.kv.get("smoke/none"), undefined);
  },
  async "a value comes back, and raw as a buffer"() {
    assert.strictEqual(await c.kv.set("smoke/hello", "world"), true);
    const entry = await c.kv.get("smoke/hello");
    assert.deepStrictEqual([entry.Key, entry.Value, entry.Flags, entry.LockIndex], ["smoke/hello", "world", 0, 0]);
    assert.strictEqual("Session" in entry, false);
    const raw = await c.kv.get({ key: "smoke/hello", raw: true });
    assert.strictEqual(Buffer.isBuffer(raw) && raw.toString(), "world");
    assert.ok((await c.kv.get({ key: "smoke/hello", buffer: true })).Value.equals(Buffer.from("world")));
  },
  async "an empty value is null"() {
    assert.strictEqual(await c.kv.set("smoke/one", ""), true);
    assert.strictEqual((await c.kv.get("smoke/one")).Value, null);
  },
  async "cas, flags and delete"() {
    await c.kv.del("smoke/cas");
    assert.strictEqual(await c.kv.set({ key: "smoke/cas", value: "1", cas: "0" }), true);
    const at = (await c.kv.get("smoke/cas")).ModifyIndex;
    assert.ok(!(await c.kv.set({ key: "smoke/cas", value: "2", cas: at - 1 }))); // it hands out false as undefined
    assert.strictEqual(await c.kv.set({ key: "smoke/cas", value: "2", cas: at, flags: 5 }), true);
    assert.strictEqual((await c.kv.get("smoke/cas")).Flags, 5);
    await c.kv.del({ key: "smoke/cas", cas: at });
    assert.strictEqual((await c.kv.get("smoke/cas")).Value, "2");
    await c.kv.del("smoke/cas");
    assert.strictEqual(await c.kv.get("smoke/cas"), undefined);
  },
  async "keys with slashes, recurse and separator"() {
    for (const key of ["a/x/1", "a/y/2", "a/z/3"]) assert.strictEqual(await c.kv.set(`smoke/t/${key}`, key), true);
    assert.deepStrictEqual(await c.kv.keys("smoke/t/a"), ["smoke/t/a/x/1", "smoke/t/a/y/2", "smoke/t/a/z/3"]);
    assert.deepStrictEqual(await c.kv.keys({ key: "smoke/t/a/", separator: "/" }),
      ["smoke/t/a/x/", "smoke/t/a/y/", "smoke/t/a/z/"]);
    const found = await c.kv.get({ key: "smoke/t/", recurse: true });
    assert.deepStrictEqual(found.map((entry) => entry.Value), ["a/x/1", "a/y/2", "a/z/3"]);
    await c.kv.del({ key: "smoke/t/", recurse: true });
    assert.strictEqual((await refusal(() => c.kv.keys("smoke/t/"))).statusCode, 404);
  },
  async "odd keys"() {
    for (const key of ["smoke/a b/c%d+e?f#g", "smoke/\u00e7", "smoke//x", "smoke/../x"]) {
      assert.strictEqual(await c.kv.set(key, "x"), true);
      assert.strictEqual((await c.kv.get(key)).Key, key);
    }
  },
  async "no key is refused by the server in its words"() {
    const error = await refusal(() => c.kv.get(""));
    assert.strictEqual(error.statusCode, 400);
    assert.ok(error.message.includes("Missing key name"), error.message);
  },
  async "sessions"() {
    const { ID: id } = await c.session.create({ name: "smoke", ttl: "15s", behavior: "delete", lockdelay: "1s" });
    const info = await c.session.info(id);
    assert.deepStrictEqual([info.ID, info.Name, info.TTL, info.Behavior, info.LockDelay],
      [id, "smoke", "15s", "delete", 1e9]);
    assert.deepStrictEqual(info.NodeChecks, ["serfHealth"]);
    assert.ok((await c.session.list()).some((session) => session.ID === id));
    assert.ok((await c.session.node(info.Node)).some((session) => session.ID === id));
    assert.strictEqual((await c.session.renew(id))[0].ID, id);
    await c.session.destroy(id);
    assert.strictEqual(await c.session.info(id), undefined);
    assert.ok((await refusal(() => c.session.renew(id))).message.includes("not found"));
    assert.deepStrictEqual(await c.session.node("unknown"), []);
  },
  async "a lock"() {
    await c.kv.del("smoke/lock");
    const open = async () => (await c.session.create({ lockdelay: "1ms" })).ID;
    const [one, two] = [await open(), await open()];
    const take = (session) => c.kv.set({ key: "smoke/lock", value: "held", acquire: session });
    assert.deepStrictEqual([await take(one), await take(two), await take(one)], [true, undefined, true]);
    assert.strictEqual((await c.kv.get("smoke/lock")).Session, one);
    assert.strictEqual(await c.kv.set({ key: "smoke/lock", value: "", release: one }), true);
    assert.strictEqual(await take(two), true);
    await c.session.destroy(one);
    await c.session.destroy(two);
  },
  async "a transaction, and one that is refused"() {
    const node = (verb, more) => ({ KV: { Verb: verb, Key: "smoke/txn", ...more } });
    const done = await c.transaction.create([
      node("set", { Value: Buffer.from("x").toString("base64") }), { KV: { Verb: "set", Key: "smoke/txn2", Value: "eQ==" } }]);
    assert.strictEqual(done.Errors, null);
    assert.deepStrictEqual(done.Results.map((result) => result.KV.Value), [null, null]);
    assert.strictEqual((await c.kv.get("smoke/txn2")).Value, "y");
    assert.strictEqual((await refusal(() => c.transaction.create([node("get", { Key: "smoke/absent" })]))).statusCode, 409);
  },
  async "a watch sees a change"() {
    await c.kv.set("smoke/w", "0");
    const watch = c.watch({ method: c.kv.get, options: { key: "smoke/w", wait: "5s" } });
    await new Promise((done, wrong) => {
      watch.on("error", wrong);
      watch.on("change", (data) => {
        if (data.Value === "0") c.kv.set("smoke/w", "1").catch(wrong);
        else done();
      });
    });
    assert.ok(watch.isRunning());
    watch.end();
  },
  async "the node and the cluster"() {
    const self = await c.agent.self();
    assert.strictEqual(self.Config.Datacenter, "dc1");
    const members = await c.agent.members();
    assert.ok(members.some((member) => member.Name === self.Member.Name) && members.length === 3);
    assert.ok((await c.status.peers()).includes(await c.status.leader()));
    assert.deepStrictEqual(await c.catalog.datacenters(), ["dc1"]);
  },
  async "the catalog and health of the nodes"() {
    assert.deepStrictEqual(await c.catalog.service.list(), { consul: [] });
    const names = (await c.catalog.node.list()).map((node) => node.Node);
    assert.deepStrictEqual(names, ["n1", "n2", "n3"]);
    assert.deepStrictEqual((await c.catalog.service.nodes("consul")).map((entry) => entry.Node), names);
    assert.deepStrictEqual(Object.keys((await c.catalog.node.services("n1")).Services), ["consul"]);
    assert.deepStrictEqual((await c.health.service("consul")).map((entry) => entry.Node.Node), names);
    assert.strictEqual((await c.health.node("n2"))[0].CheckID, "serfHealth");
    assert.deepStrictEqual((await c.health.state("any")).map((check) => check.ServiceID), ["", "", ""]);
    assert.deepStrictEqual(await c.health.checks("consul"), []);
    assert.deepStrictEqual(await c.agent.service.list(), {});
    assert.deepStrictEqual(await c.agent.check.list(), {});
  },
  async "any token will do, and acl is disabled"() {
    const other = new Consul({ host, port: Number(port), defaults: { token: "root" } });
    assert.strictEqual(await other.kv.set("smoke/token", "x"), true);
    const error = await refusal(() => c.acl.replication());
    assert.ok(error.statusCode === 401 && error.message.includes("ACL support disabled"), error.message);
  },
};

async function main() {
  for (const [what, run] of Object.entries(facts)) {
    await run();
    console.log(`ok - ${what}`);
  }
  await c.kv.del({ key: "smoke/", recurse: true });
  c.destroy();
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
