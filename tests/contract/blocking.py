"""Cases 22 to 27: reads that wait. Also 1.7, what holds of the wait itself."""
import wire
from registry import case
from wire import check, same

LATE_S = 1.0  # a busy machine; what must not wake is given longer than that


@case(22, "a short wait ends in time, with the same index and body")
def short_wait(site):
    site.put("c22", "x").is_true()
    before = site.get("c22")
    for wait_ms in (1, 20):
        after = site.get("c22", f"index={before.index}&wait={wait_ms}ms")
        same((after.body, after.index), (before.body, before.index), f"after {wait_ms} ms")
        check(wait_ms <= after.took_s * 1000 < wait_ms + LATE_S * 1000 * wire.SLOW, f"took {after.took_s} s")


@case(23, "a change ends the wait at once")
def wakes(site):
    site.put("c23", "old").is_true()
    before = site.get("c23").index
    watch = site.watch(f"kv/c23?index={before}&wait=30s")
    watch.sleeps_for(0.05)
    site.put("c23", "new").is_true()
    answer = watch.result()
    same(answer.entry()["Value"], wire.b64(b"new"), "value")
    check(answer.index > before and answer.took_s < 10 * wire.SLOW, f"index {answer.index}, {answer.took_s} s")


@case(24, "what is missing wakes with its creation")
def creation(site):
    site.delete("c24").is_true()
    before = site.get("c24").index
    watch = site.watch(f"kv/c24?index={before}&wait=30s")
    watch.sleeps_for(0.05)
    site.put("c24", "x").is_true()
    check(watch.result().entry() and watch.answer.index > before, "index")


@case(25, "an empty prefix wakes with its first key")
def empty_prefix(site):
    site.delete("c25/", "recurse").is_true()
    before = site.get("c25/", "recurse").index
    watch = site.watch(f"kv/c25/?recurse&index={before}&wait=30s")
    watch.sleeps_for(0.05)
    site.put("c25/x", "x").is_true()
    same(len(watch.result().json()), 1, "entries")
    check(watch.answer.index > before, "index")


@case(26, "a delete below a prefix wakes, and the index grows")
def deletion(site):
    for i in range(10):
        site.put(f"c26/{i}", "x").is_true()
    before = site.get("c26/", "recurse").index
    watch = site.watch(f"kv/c26/?recurse&index={before}&wait=30s")
    watch.sleeps_for(0.05)
    site.delete("c26/3").is_true()
    answer = watch.result()
    same(len(answer.json()), 9, "entries")
    check(answer.index > before, "index")
    check(answer.index > max(entry["ModifyIndex"] for entry in answer.json()), "index")
    same(site.get("c26/", "recurse").index, answer.index, "index later")


@case(27, "a write below another prefix wakes nobody")
def elsewhere(site):
    site.put("c27/a/1", "x").is_true()
    before = site.get("c27/a/", "recurse").index
    watch = site.watch(f"kv/c27/a/?recurse&index={before}&wait=150ms")
    site.put("c27/b/1", str(before)).is_true()
    same(watch.result().index, before, "index")
    check(watch.answer.took_s >= 0.15, f"answered after {watch.answer.took_s} s")


@case("1.7", "the same value wakes nobody; an index ahead waits; an old one does not")
def wake_rules(site):
    site.put("c1.7", "x").is_true()
    before = site.get("c1.7").index
    watch = site.watch(f"kv/c1.7?index={before}&wait=150ms")
    site.put("c1.7", "x").is_true()
    same(watch.result().index, before, "index")
    check(watch.answer.took_s >= 0.15, f"an identical write woke after {watch.answer.took_s} s")
    ahead = site.get("c1.7", f"index={before + 1000000}&wait=50ms")
    check(ahead.took_s >= 0.05 and ahead.index == before, f"ahead: {ahead.took_s} s, index {ahead.index}")
    old = site.get("c1.7", "index=1&wait=30s")
    check(old.took_s < 10 * wire.SLOW and old.index == before, f"old: {old.took_s} s")
    for wait in ("50ms", "0.05s"):
        check(site.get("c1.7", f"index={before}&wait={wait}").took_s < LATE_S * wire.SLOW, wait)
