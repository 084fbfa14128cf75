"""Cases 47 to 52: transactions."""
from registry import case
from wire import b64, check, same

MAX_OPS = 1024


def kv(verb, key, **members):
    return {"KV": {"Verb": verb, "Key": key, **members}}


def commit(site, *ops):
    """Its Results."""
    done = site.ask("PUT", "txn", list(ops)).json()
    same((sorted(done), done["Errors"]), (["Errors", "Results"], None), "members, Errors")
    return done["Results"]


def refuse(site, *ops):
    """Its Errors, as pairs."""
    undone = site.ask("PUT", "txn", list(ops)).json(409)
    same(undone["Results"], None, "Results")
    return [(error["OpIndex"], error["What"]) for error in undone["Errors"]]


@case(47, "two sets give two results without values, and no errors")
def sets(site):
    answer = site.ask("PUT", "txn", [kv("set", "c47/1", Value=b64(b"one")), kv("set", "c47/2", Value=b64(b"two"))])
    check(b'"Errors":null' in answer.body, str(answer))
    results = answer.json()["Results"]
    same([(result["KV"]["Key"], result["KV"]["Value"]) for result in results], [("c47/1", None), ("c47/2", None)],
         "results")
    same(sorted(results[0]["KV"]), ["CreateIndex", "Flags", "Key", "LockIndex", "ModifyIndex", "Value"], "members")
    same(results[0]["KV"]["ModifyIndex"], results[1]["KV"]["ModifyIndex"], "one index for all")
    same(site.get("c47/2", "raw").body, b"two", "value")


@case(48, "get gives the value; of what is missing it is refused")
def gets(site):
    site.put("c48", "x").is_true()
    same(commit(site, kv("get", "c48"))[0]["KV"]["Value"], b64(b"x"), "value")
    same(refuse(site, kv("get", "c48absent")), [(0, 'key "c48absent" doesn\'t exist')], "errors")
    same(commit(site, kv("get-tree", "c48absent")), [], "get-tree of nothing")
    empty, = commit(site, kv("get-or-empty", "c48absent"))
    same((empty["KV"]["Value"], empty["KV"]["ModifyIndex"]), (None, 0), "get-or-empty")


@case(49, "all that fails is listed; a lock and a get after it see one another")
def lock_and_get(site):
    site.delete("c49").is_true()
    same(refuse(site, kv("lock", "c49", Value=b64(b"x")), kv("get", "c49")),
         [(0, "missing session"), (1, 'key "c49" doesn\'t exist')], "errors")
    session = site.session()
    locked, got = commit(site, kv("lock", "c49", Value=b64(b"x"), Session=session), kv("get", "c49"))
    same((locked["KV"]["Value"], got["KV"]["Value"]), (None, b64(b"x")), "values")
    same((locked["KV"]["LockIndex"], got["KV"]["LockIndex"], got["KV"]["Session"]), (1, 1, session), "lock")


@case(50, "what is refused changes nothing")
def atomic(site):
    site.put("c50/1", "x").is_true()
    site.delete("c50/2").is_true()
    before = site.get("c50/1")
    stale = before.entry()["ModifyIndex"] - 1
    same(refuse(site, kv("set", "c50/2", Value=b64(b"y")), kv("cas", "c50/1", Value=b64(b"y"), Index=stale)),
         [(1, 'failed to set key "c50/1", index is stale')], "errors")
    site.get("c50/2").is_empty(404)
    after = site.get("c50/1")
    same((after.body, after.index), (before.body, before.index), "the other key")


@case(51, "the index of a cas is the key's index")
def cas(site):
    site.put("c51", "x").is_true()
    result, = commit(site, kv("cas", "c51", Value=b64(b"y"), Index=site.get("c51").entry()["ModifyIndex"]))
    same(result["KV"]["ModifyIndex"], site.get("c51").entry()["ModifyIndex"], "ModifyIndex")


@case(52, "many operations; too many; and what is none")
def limits(site):
    ops = [kv("set", f"c52/{i}", Value=b64(b"x")) for i in range(MAX_OPS + 1)]
    same(len(commit(site, *ops[:128])), 128, "results of 128")
    same(len(commit(site, *ops[:MAX_OPS])), MAX_OPS, "results of the most")
    site.ask("PUT", "txn", ops).is_text(
        413, f"Transaction contains too many operations ({MAX_OPS + 1} > {MAX_OPS})")
    site.ask("PUT", "txn", [kv("set", "c52", Value="?")]).text_begins(400, "Failed to parse body: ")
    site.ask("PUT", "txn", b"{").text_begins(400, "Failed to parse body: ")
    site.ask("PUT", "txn", [kv("set", "c52", Value=b64(b"x" * 524289))]).is_text(
        413, 'Value for key "c52" is too large (524289 > 524288 bytes)')
    site.delete("c52", "recurse").is_true()


@case("2.3", "every verb that fails, in its words; Go's way to send them all")
def words(site):
    site.put("c2.3", "x").is_true()
    index = site.get("c2.3").entry()["ModifyIndex"]
    session = site.session(LockDelay="0s")
    other = site.session()
    for op, what in (
            (kv("check-index", "c2.3", Index=4),
             f'failed index check for key "c2.3", current modify index {index} != 4'),
            (kv("check-index", "c2.3no", Index=4), 'failed to check index, key "c2.3no" doesn\'t exist'),
            (kv("check-not-exists", "c2.3"), 'key "c2.3" exists'),
            (kv("check-session", "c2.3no", Session=session), 'failed to check session, key "c2.3no" doesn\'t exist'),
            (kv("check-session", "c2.3", Session=session),
             f'failed session check for key "c2.3", current session "" != "{session}"'),
            (kv("delete-cas", "c2.3", Index=4), 'failed to delete key "c2.3", index is stale'),
            (kv("unlock", "c2.3", Session=session),
             'failed to unlock key "c2.3", lock isn\'t held, or is held by another session'),
            (kv("lock", "c2.3", Session="s"), 'invalid session "s"'),
            (kv("nod", "c2.3"), 'unknown KV verb "nod"')):
        same(refuse(site, op), [(0, what)], str(op))
    commit(site, kv("lock", "c2.3", Value=None, Flags=0, Index=0, Session=session))
    same(refuse(site, kv("lock", "c2.3", Session=other)), [(0, 'failed to lock key "c2.3", lock is already held')],
         "a lock that is held")
    done = commit(site, kv("check-session", "c2.3", Session=session), kv("delete", "c2.3"),
                  kv("check-not-exists", "c2.3"))
    same(len(done), 1, "results of one check that passes and of deletes")
