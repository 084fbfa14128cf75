// recipes.js PORT HOST:PORT... -- what people do with the npm package "consul", all of it at once and until
// killed: as recipes.py, which says more. The client is as it comes; another node is asked after an error.
"use strict";
const net = require("net");
const readline = require("readline");
const Consul = require("consul");

const TTL_S = 2;
const LIMIT = 2;
const LOCK_FLAGS = "3304740253564472344";
const SEMAPHORE_FLAGS = "16210313421097356768"; // a number would lose its end
const PATIENCE_S = 60;
const KEYS = [...Array(6).keys()].map((i) => `watched/${i}`);

class Lost extends Error {}

const now = () => Number(process.hrtime.bigint()) / 1e9;
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

class Referee {
  constructor(port) {
    this.waiting = [];
    this.socket = net.connect(port, "127.0.0.1");
    readline.createInterface({ input: this.socket }).on("line", (line) => this.waiting.shift()(JSON.parse(line).ok));
    this.socket.on("error", () => process.exit(1));
  }

  tell(deed, members) {
    return new Promise((done) => {
      this.waiting.push(done);
      this.socket.write(JSON.stringify({ do: deed, ...members }) + "\n");
    });
  }
}

function isLost(error) {
  const words = String(error.message);
  return words.includes("not found") || words.includes("invalid session");
}

function mayPass(error) {
  return error.code !== undefined || error.isTimeout || /No cluster leader|outcome unknown|socket hang up/.test(error.message);
}

class Caller {
  constructor(who, nodes, port, start) {
    this.who = who;
    this.referee = new Referee(port);
    this.clients = nodes.map((node) => new Consul({ host: node.split(":")[0], port: Number(node.split(":")[1]) }));
    this.at = start % nodes.length;
  }

  get client() {
    return this.clients[this.at];
  }

  async do(call) {
    const ends = now() + PATIENCE_S;
    for (;;) {
      try {
        return await call(this.client);
      } catch (error) {
        if (isLost(error)) throw new Lost();
        if (!mayPass(error) || now() > ends) throw error;
        this.at = (this.at + 1) % this.clients.length;
        await pause(0.02);
      }
    }
  }
}

class Session {
  static async create(caller, behavior) {
    const session = new Session();
    session.caller = caller;
    session.renewed = now();
    const made = await caller.do((client) =>
      client.session.create({ name: caller.who, checks: [], behavior, lockdelay: "1ms", ttl: `${TTL_S}s` }));
    session.id = made.ID;
    return session;
  }

  async renew() {
    const at = now();
    if (at > this.renewed + TTL_S / 2) {
      await this.caller.do((client) => client.session.renew(this.id));
      this.renewed = at;
    }
  }

  get until() {
    return this.renewed + TTL_S;
  }

  end() {
    return this.caller.do((client) => client.session.destroy(this.id));
  }
}

function membersOf(caller, session, what, token) {
  return { what, who: `${caller.who} ${session.id}`, token };
}

async function hold(caller, session, what, token, limit = 1) {
  const members = membersOf(caller, session, what, token);
  if (now() > session.until) throw new Lost();
  await caller.referee.tell("enter", { ...members, until: session.until, limit, client: "npm" });
  try {
    for (let i = 0; i < 3; i++) {
      await pause(0.005 + Math.random() * 0.025);
      await session.renew();
      await caller.referee.tell("write", { ...members, until: session.until });
    }
  } finally {
    await caller.referee.tell("leave", members);
  }
}

// A holder that is stuck: it does not renew, and goes on to write when its session is over.
async function hangOn(caller, session, what, token) {
  const members = membersOf(caller, session, what, token);
  const ends = now() + PATIENCE_S;
  await caller.referee.tell("enter", { ...members, until: session.until, limit: 1, client: "npm" });
  while (await caller.referee.tell("write", { ...members, until: null })) {
    if (now() > ends) throw new Error(`${what}: nobody came after ${caller.who}`);
    await pause(0.05);
  }
  await caller.referee.tell("leave", members);
}

async function acquire(caller, session, key, flags) {
  for (;;) {
    await session.renew();
    const got = await caller.do((client) => client.kv.set({ key, value: caller.who, acquire: session.id, flags }));
    let entry = await caller.do((client) => client.kv.get(key));
    if (got) {
      if (entry === undefined || entry.Session !== session.id) throw new Lost();
      return entry.ModifyIndex;
    }
    if (entry !== undefined && entry.Session !== undefined && entry.Session !== session.id)
      await caller.do((client) => client.kv.get({ key, index: entry.ModifyIndex, wait: "800ms" }));
  }
}

async function lockOnce(caller) {
  const session = await Session.create(caller, "release");
  const token = await acquire(caller, session, "recipes/lock", LOCK_FLAGS);
  if (Math.random() < 0.02) return hangOn(caller, session, "lock", token);
  await hold(caller, session, "lock", token);
  await caller.do((client) =>
    client.kv.set({ key: "recipes/lock", value: caller.who, release: session.id, flags: LOCK_FLAGS }));
  return session.end();
}

async function leaderOnce(caller) {
  const session = await Session.create(caller, "delete");
  if (await caller.do((client) => client.kv.set({ key: "recipes/initialize", value: session.id, cas: 0 }))) {
    const entry = await caller.do((client) => client.kv.get("recipes/initialize"));
    if (entry.Value === session.id) await caller.referee.tell("note", { text: "initialized" });
  }
  const token = await acquire(caller, session, "recipes/leader", 0);
  if (Math.random() < 0.02) return hangOn(caller, session, "leader", token);
  await hold(caller, session, "leader", token);
  await caller.do((client) => client.kv.del({ key: "recipes/leader", cas: token }));
  return session.end();
}

const LOCK_ENTRY = "recipes/semaphore/.lock";

function semaphoreOf(entries) {
  const found = entries.find((entry) => entry.Key === LOCK_ENTRY);
  const contending = entries.filter((entry) => entry.Key !== LOCK_ENTRY && entry.Session).map((entry) => entry.Session);
  return {
    holders: found === undefined ? {} : JSON.parse(found.Value).Holders,
    contending,
    index: found === undefined ? 0 : found.ModifyIndex,
  };
}

async function semaphoreRead(caller) {
  return semaphoreOf((await caller.do((client) => client.kv.get({ key: "recipes/semaphore/", recurse: true }))) || []);
}

function semaphoreWrite(caller, holders, cas) {
  const value = JSON.stringify({ Limit: LIMIT, Holders: holders });
  return caller.do((client) => client.kv.set({ key: LOCK_ENTRY, value, cas, flags: SEMAPHORE_FLAGS }));
}

async function semaphoreTake(caller, session) {
  for (;;) {
    await session.renew();
    const seen = await semaphoreRead(caller);
    if (!seen.contending.includes(session.id)) throw new Lost();
    const count = Object.keys(seen.holders).length;
    if (count > LIMIT) throw new Error(`semaphore: ${count} holders are written down`);
    if (seen.holders[session.id]) return;
    const alive = Object.fromEntries(Object.keys(seen.holders).filter((id) => seen.contending.includes(id))
      .map((id) => [id, true]));
    if (Object.keys(alive).length < LIMIT) {
      alive[session.id] = true;
      await semaphoreWrite(caller, alive, seen.index);
    } else {
      await caller.do((client) => client.kv.get({ key: LOCK_ENTRY, index: seen.index, wait: "800ms" }));
    }
  }
}

async function semaphoreOnce(caller) {
  const session = await Session.create(caller, "delete");
  const own = `recipes/semaphore/${session.id}`;
  if (!(await caller.do((client) => client.kv.set({ key: own, value: "", acquire: session.id, flags: SEMAPHORE_FLAGS }))))
    throw new Lost();
  await semaphoreTake(caller, session);
  await hold(caller, session, "semaphore", null, LIMIT);
  for (;;) {
    const seen = await semaphoreRead(caller);
    if (!seen.holders[session.id]) break;
    delete seen.holders[session.id];
    if (await semaphoreWrite(caller, seen.holders, seen.index)) break;
  }
  await caller.do((client) => client.kv.del(own));
  return session.end();
}

// The client's own Watch, which keeps to its node and waits a little after an error.
async function watch(caller, key, keys, recurse) {
  let index = 0n;
  let before;
  await caller.referee.tell("watches", { watcher: caller.who, keys });
  const watched = caller.client.watch({
    method: caller.client.kv.get, options: { key, recurse, wait: "60s" }, backoffMax: 400 });
  watched.on("change", (data, response) => {
    const next = BigInt(response.headers["x-consul-index"]);
    const text = JSON.stringify(data);
    let fault;
    if (next < index) fault = `index ${next} after ${index}`;
    else if (data !== undefined && text === before) fault = `woken by nothing: index ${next} after ${index}`;
    if (fault !== undefined) caller.referee.tell("fault", { text: `${caller.who}: ${fault}` });
    index = next;
    before = text;
    const found = Object.fromEntries([data || []].flat().map((entry) => [entry.Key, entry.Value]));
    const values = Object.fromEntries(keys.map((one) => [one, found[one] === undefined ? null : found[one]]));
    caller.referee.tell("seen", { watcher: caller.who, values });
  });
  watched.on("error", (error) => {
    if (!mayPass(error)) caller.referee.tell("fault", { text: `${caller.who}: ${error.message}` });
  });
  return new Promise(() => {});
}

async function forever(caller, once) {
  for (;;) {
    try {
      await once(caller);
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      await caller.referee.tell("note", { text: "sessions lost" });
    }
  }
}

const port = Number(process.argv[2]);
const nodes = process.argv.slice(3);
const runs = [
  ...Array(2).fill(["lock", forever, lockOnce]),
  ...Array(2).fill(["leader", forever, leaderOnce]),
  ...Array(2).fill(["semaphore", forever, semaphoreOnce]),
  ...KEYS.slice(0, 3).map((key) => ["key", watch, key, [key], false]),
  ["prefix", watch, "watched/", KEYS, true],
];
runs.forEach(([name, run, ...more], number) => {
  const caller = new Caller(`npm ${name} ${number}`, nodes, port, number);
  run(caller, ...more).catch((error) =>
    caller.referee.tell("fault", { text: `${caller.who}: ${error.stack}` }));
});
