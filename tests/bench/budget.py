#!/usr/bin/env python3
"""budget.py BUILD_DIR [--seconds S] [--into PAGE]

What a write and a read cost: three nodes on this machine, the leader driven by wrk, once for each case
with a cluster of its own. CPU time by thread from /proc, times by stage and sizes of batches from
/v1/status/stages, system calls by thread from strace (a run of its own; without strace they are left
out). Prints Markdown; with --into puts it into the block "budget" of PAGE. BUILD_DIR holds raftkvd."""
import argparse
import base64
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys

from cluster import Cluster, ask, pause
from page import machine, put_block, table

HERE = os.path.dirname(os.path.abspath(__file__))
LEASE = ("--default-read", "lease")
CASES = [("put", 1, ()), ("put", 64, ()), ("put", 256, ()), ("get", 1, ()), ("get", 64, ()),
         ("get", 256, ()), ("get", 64, LEASE)]
CALLS_CASES = [("put", 1, ()), ("put", 64, ()), ("get", 64, ()), ("get", 64, LEASE)]
WARM_S = 1
KEYS, TXN_OPS = 1000, 64
WRITE_STAGES = ["http_in", "mailbox", "propose", "commit", "apply", "answer", "write"]
READ_STAGES = ["http_in", "mailbox", "read_wait", "answer", "read"]
UNDER_COMMIT = ["disk_wait", "disk_write", "disk_sync", "disk_result", "append"]
SIZES = ["turn_requests", "batch_entries", "append_entries", "append_bytes", "write_entries",
         "write_bytes", "round_reads"]
READ_SIZES = ["turn_requests", "round_reads"]
THREADS = ["rk-http", "rk-node", "rk-disk"]


def wrk(cluster, op, clients, seconds):
    """Rate, p50 and p99 in ms."""
    out = subprocess.run(["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "-s", f"{HERE}/{op}.lua",
                          cluster.url(cluster.leader)], check=True, capture_output=True, text=True).stdout
    rate, p50, p99, bad = out.strip().split("\n")[-1].split()
    if bad != "0":
        raise SystemExit(f"{op} with {clients} clients: {bad} bad answers")
    return float(rate), float(p50), float(p99)


def threads(cluster):
    """(role of the node, thread) -> CPU microseconds and voluntary switches."""
    found = {}
    for place, node in enumerate(cluster.nodes):
        role = "leader" if place == cluster.leader else "followers"
        for task in glob.glob(f"/proc/{node.pid}/task/*"):
            with open(f"{task}/comm") as comm, open(f"{task}/schedstat") as stat, \
                    open(f"{task}/status") as status:
                key = role, comm.read().strip()
                us, switches = found.get(key, (0, 0))
                found[key] = (us + int(stat.read().split()[0]) / 1e3,
                              switches + int(re.search(r"\nvoluntary_ctxt_switches:\s*(\d+)",
                                                       status.read())[1]))
    return found


def stages(cluster, place):
    return json.loads(ask("GET", f"{cluster.url(place)}/v1/status/stages")[1])["since_start"]


def fill(cluster):
    """The keys that get.lua reads, in a few transactions, so that no writes are among the times of reads."""
    value = base64.b64encode(b"x" * 256).decode()
    for first in range(0, KEYS, TXN_OPS):
        body = [{"KV": {"Verb": "set", "Key": f"bench/key-{i:06d}", "Value": value}}
                for i in range(first, min(first + TXN_OPS, KEYS))]
        ask("PUT", f"{cluster.url(cluster.leader)}/v1/txn", json.dumps(body).encode())


def warm(cluster, op, clients):
    if op == "get":
        fill(cluster)
    wrk(cluster, op, clients, WARM_S)


def run_case(build, case, seconds):
    op, clients, flags = case
    cluster = Cluster(build, 3, flags)
    try:
        warm(cluster, op, clients)
        before = threads(cluster)
        rate, p50, p99 = wrk(cluster, op, clients, seconds)
        after = threads(cluster)
        count = rate * seconds
        follower = (cluster.leader + 1) % 3
        return {
            "case": case, "rate": rate, "p50": p50, "p99": p99,
            "cost": {key: [(now - then) / count for now, then in zip(after[key], before.get(key, (0, 0)))]
                     for key in after},
            "leader": stages(cluster, cluster.leader), "follower": stages(cluster, follower),
        }
    finally:
        cluster.stop()


def name_of(case):
    op, clients, flags = case
    return f"{op}, {clients}" + (", lease" if flags else "")


# -- system calls --

def calls_of(text):
    """A summary of strace's: name -> calls."""
    found = {}
    for line in text.split("\n"):
        fields = line.split()
        if len(fields) >= 5 and re.fullmatch(r"[\d.]+", fields[0]) and fields[-1] != "total":
            found[fields[-1]] = int(fields[3])
    return found


def trace(node, seconds):
    """Attaches to each of our threads at once: thread -> name -> calls."""
    tracers = []
    for task in glob.glob(f"/proc/{node.pid}/task/*"):
        with open(f"{task}/comm") as comm:
            thread = comm.read().strip()
        if thread in THREADS:
            tracers.append((thread, subprocess.Popen(
                ["strace", "-c", "-p", os.path.basename(task)], stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL, text=True)))
    pause(seconds)
    found = {}
    for thread, tracer in tracers:
        tracer.send_signal(signal.SIGINT)
        for name, calls in calls_of(tracer.communicate()[1]).items():
            mine = found.setdefault(thread, {})
            mine[name] = mine.get(name, 0) + calls
    return found


def done_so_far(cluster, op):
    times = stages(cluster, cluster.leader)["times_us"]
    return times["write"]["count"] if op == "put" else times["read"]["count"] + times["read_local"]["count"]


def run_calls(build, case, seconds):
    """Under a load that goes on before and after: calls of the leader for each request."""
    op, clients, flags = case
    cluster = Cluster(build, 3, flags)
    try:
        warm(cluster, op, clients)
        load = subprocess.Popen(["wrk", "-t1", f"-c{clients}", f"-d{seconds + 3}s", "-s",
                                 f"{HERE}/{op}.lua", cluster.url(cluster.leader)],
                                stdout=subprocess.DEVNULL)
        pause(0.5)
        before = done_so_far(cluster, op)
        found = trace(cluster.nodes[cluster.leader], seconds)
        count = max(1, done_so_far(cluster, op) - before)
        load.wait()
        return {thread: {name: calls / count for name, calls in by_name.items()}
                for thread, by_name in found.items()}
    finally:
        cluster.stop()


# -- the page --

def number(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def cost_table(results):
    columns = [("leader", each) for each in THREADS] + [("followers", each) for each in THREADS[1:]]
    rows = []
    for result in results:
        cost = result["cost"]
        total = sum(us for us, _ in cost.values())
        switches = sum(each for _, each in cost.values())
        rows.append([name_of(result["case"]), f"{result['rate']:,.0f}", f"{result['p50']:.2f}",
                     f"{result['p99']:.2f}", f"**{number(total)}**"]
                    + [number(cost.get(column, (0, 0))[0]) for column in columns] + [number(switches)])
    return table(["case, clients", "a second", "p50 ms", "p99 ms", "CPU µs", "leader http", "leader node",
                  "leader disk", "followers node", "followers disk", "waits"], rows)


def stage_table(results, op, names, titles):
    chosen = [each for each in results if each["case"][0] == op and not each["case"][2]]
    rows = []
    for name in names:
        row = [f"`{name}`"]
        for result in chosen:
            times = result["leader"]["times_us"][name]
            row += [number(times["sum"] / max(1, times["count"])), f"{times['p99']:,}"]
        rows.append(row)
    heads = []
    for result in chosen:
        heads += [f"{titles}{result['case'][1]}: mean", "p99"]
    return table(["stage, µs"] + heads, rows)


def size_table(results):
    rows = []
    for name in SIZES:
        row = [f"`{name}`"]
        for result in results:
            size = result["leader"]["sizes"][name]
            is_shown = size["count"] > 0 and (result["case"][0] == "put" or name in READ_SIZES)
            row.append(number(size["sum"] / size["count"]) if is_shown else "")
        rows.append(row)
    return table(["mean size"] + [name_of(each["case"]) for each in results], rows)


def busy_table(results):
    rows = []
    for result in results:
        for role in ("leader", "follower"):
            busy = result[role]["busy_per_mille"]
            http = [share for thread, share in busy.items() if thread.startswith("http")]
            rows.append([f"{name_of(result['case'])}, {role}", f"{busy['node'] / 10:.0f}",
                         f"{busy['disk'] / 10:.0f}", f"{max(http) / 10:.0f}"])
    return table(["busy, % of the time", "node", "disk", "busiest http"], rows)


def calls_table(found):
    rows = []
    for case, by_thread in found:
        for thread in THREADS:
            calls = sorted(by_thread.get(thread, {}).items(), key=lambda each: -each[1])
            shown = [f"{name} {number(count)}" for name, count in calls if count >= 0.02]
            rows.append([name_of(case), thread, number(sum(count for _, count in calls)), ", ".join(shown)])
    return table(["case, clients", "thread", "calls", "of them"], rows)


def page_lines(results, calls):
    lines = [machine(HERE), "", "CPU time of all three nodes for each request, by thread; *waits* is how "
             "often a thread of theirs went to sleep for each request.", ""]
    lines += cost_table(results)
    lines += ["", "A write at the leader, by stage; `write` is the whole.", ""]
    lines += stage_table(results, "put", WRITE_STAGES, "put ")
    lines += ["", "What goes on beside each other within `commit`, per transaction or append:", ""]
    lines += stage_table(results, "put", UNDER_COMMIT, "put ")
    lines += ["", "A linearizable read at the leader, by stage; `read` is the whole.", ""]
    lines += stage_table(results, "get", READ_STAGES, "get ")
    lines += ["", "Batches at the leader:", ""]
    lines += size_table(results)
    lines += ["", "How busy threads were, the start and a second of warming up included:", ""]
    lines += busy_table(results)
    if calls:
        lines += ["", "System calls of the leader for each request, while `strace` slows it down (its "
                  "batches are then larger than above):", ""]
        lines += calls_table(calls)
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--into", default="", help="a page of this tree")
    arguments = parser.parse_args()
    results = []
    for case in CASES:
        results.append(run_case(arguments.build, case, arguments.seconds))
        print(f"{name_of(case)}: {results[-1]['rate']:,.0f} a second", file=sys.stderr)
    calls = []
    if shutil.which("strace") is not None:
        calls = [(case, run_calls(arguments.build, case, 2)) for case in CALLS_CASES]
    lines = page_lines(results, calls)
    print("\n".join(lines))
    if arguments.into:
        put_block(os.path.join(HERE, "../..", arguments.into), "budget", lines)


if __name__ == "__main__":
    main()
