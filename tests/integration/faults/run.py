#!/usr/bin/env python3
"""Rounds of faults against real nodes, JOBS at a time, and their totals. `make check-faults` runs it.

From the environment: RK_BUILD, the build directory; ROUNDS; SEED, the first round's, the others
count on from it (none: drawn and printed); JOBS; KINDS, faults that every round has instead of those
that its seed draws; RAFTKVD, another node program. First come the
controls: rounds in which something is wrong on purpose, until the judge objects. A round
that fails keeps its directory: plan (the faults), history, verdict, operators (what they were
answered), the nodes' logs and data. SEED=N ROUNDS=1 plays the same faults again.

Exit: 0 passed, or skipped and said why; 1 failed. Leaves faults.trs for scripts/lib.sh.
"""
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROUND_SECONDS_MAX = 150
CONTROL_ROUNDS_MAX = 5
CONTROLS = {"stale": "stale reads that pass for linearizable ones",
            "lease": "reads under leases that the clocks have broken"}
# A world of its own for every round: nothing is seen outside, and all of it goes with its process,
# which goes with this one.
WORLD = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child",
         "--mount-proc"]
BEGIN = "mount -t tmpfs tmpfs /run && exec \"$@\""


def setting(name, default):
    return os.environ.get(name) or default


def why_not():
    """Why this machine cannot play rounds; None: it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("setpriv", "unshare", "ip", "bridge"):
        if not shutil.which(program):
            return "needs %s (util-linux, iproute2)" % program
    probe = subprocess.run(
        WORLD + ["sh", "-c", BEGIN + " -c 'ip netns add p && ip link add hub type bridge && "
                 "ip link add v type veth peer name eth0 netns p'", "sh", "sh"],
        capture_output=True, text=True)
    return None if probe.returncode == 0 else "no network namespaces here: " + probe.stderr.strip()


class Runner:
    def __init__(self):
        build = setting("RK_BUILD", os.getcwd())
        programs = os.path.join(build, "tests/integration/faults")
        program = setting("RAFTKVD", os.path.join(build, "raftkvd"))
        with open(program, "rb") as file:
            text = file.read()
        # A sanitizer wants to be loaded first; then clocks and disks go right.
        is_slow = b"__asan_init" in text or b"__tsan_init" in text
        self.options = {"program": program, "load": os.path.join(programs, "faultload"),
                        "judge": os.path.join(programs, "check-history"),
                        "shim": None if is_slow else os.path.join(programs, "shim.so"),
                        "kinds": setting("KINDS", "").split(), "is_slow": is_slow}
        self.lock = threading.Lock()
        self.playing = set()
        self.is_over = False
        self.totals = collections.Counter()
        self.kinds = collections.Counter()
        self.failed = []

    def play(self, seed, control):
        """What the round says of itself."""
        directory = os.path.abspath("rounds/%s%d" % (control or "", seed))
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
        options = dict(self.options, control=control)
        command = WORLD + ["sh", "-c", BEGIN, "sh", sys.executable, "-B",
                           os.path.join(HERE, "round.py"), str(seed), directory,
                           json.dumps(options)]
        with self.lock:
            if self.is_over:
                return None
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       text=True, start_new_session=True)
            self.playing.add(process)
        try:
            said, _ = process.communicate(timeout=ROUND_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
        with self.lock:
            self.playing.discard(process)
        try:
            result = json.loads(said.splitlines()[-1])
        except (IndexError, ValueError):
            result = {"seed": seed, "failure": "the round does not end, or broke: " + said[-1000:]}
        if "failure" not in result or control or self.is_over:
            shutil.rmtree(directory, ignore_errors=True)
        return result

    def stop(self, *_):
        with self.lock:
            self.is_over = True
            for process in self.playing:
                process.kill()

    def control(self, seed, control):
        """True: the judge found what is wrong on purpose."""
        for number in range(CONTROL_ROUNDS_MAX):
            result = self.play(seed + number, control)
            if result and "verdict=violation" in result.get("failure", ""):
                print("control: found out: " + CONTROLS[control])
                return True
        print("FAILED: control: not found out: " + CONTROLS[control])
        return False

    def controls(self, seed):
        """How many controls failed."""
        names = [name for name in CONTROLS if name != "lease" or self.options["shim"]]
        return sum(not self.control(seed, name) for name in names)

    def report(self, result):
        counts = result.get("counts", {})
        kinds = [fault["kind"] for fault in result.get("faults", [])]
        failure = result.get("failure")
        print("%s %d: %d nodes%s%s, %s: %d done, %d refused, %d unknown, %d stale, write after %s ms,"
              " term %d, %.1f s" % ("FAIL" if failure else "ok", result["seed"], result.get("voters", 0),
                           ", lease" if result.get("is_lease") else "",
                           ", snapshots" if "--snapshot-entries" in result.get("flags", []) else "",
                           "+".join(kinds), counts.get("ok", 0), counts.get("not_done", 0),
                           counts.get("unknown", 0), counts.get("stale", 0),
                           result.get("write_ms", "-"),
                           result.get("happened", {}).get("elections", 0),
                           result.get("seconds", 0)))
        if failure:
            print("  %s\n  kept: %s\n  again: make check-faults ROUNDS=1 SEED=%d" %
                  (failure.strip().replace("\n", "\n  "),
                   os.path.abspath("rounds/%d" % result["seed"]), result["seed"]))
            self.failed.append(result["seed"])
        self.totals.update(counts)
        self.totals.update(result.get("happened", {}))
        self.totals["rounds of %d nodes" % result.get("voters", 0)] += 1
        self.totals["under leases"] += bool(result.get("is_lease"))
        self.totals["with snapshots"] += "--snapshot-entries" in result.get("flags", [])
        self.totals["proven by their indexes alone"] += bool(result.get("by_witness"))
        self.kinds.update(kinds)
        sys.stdout.flush()

    def run(self, first, rounds, jobs):
        seeds = iter(range(first, first + rounds))

        def work():
            while True:
                with self.lock:
                    seed = next(seeds, None)
                if seed is None or self.is_over:
                    return
                result = self.play(seed, None)
                with self.lock:
                    if result and not self.is_over:
                        self.report(result)

        threads = [threading.Thread(target=work) for _ in range(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def summary(self):
        print("rounds: " + ", ".join("%s: %d" % item for item in sorted(self.totals.items())))
        print("faults: " + ", ".join("%s %d" % item for item in sorted(self.kinds.items())))


def finish(verdict, passed, failed, skipped):
    with open("faults.trs", "w", encoding="ascii") as file:
        file.write(":test-result: %s\n:global-test-result: %s\n" % (verdict, verdict))
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if verdict == "FAIL" else 0


def main():
    reason = why_not()
    if reason:
        print("SKIPPED: " + reason)
        return finish("SKIP", 0, 0, 1)
    runner = Runner()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, runner.stop)
    rounds = int(setting("ROUNDS", "20"))
    first = int(setting("SEED", random.SystemRandom().randrange(1, 10**9)))
    began = time.monotonic()
    print("seeds %d to %d" % (first, first + rounds - 1))
    is_replay = bool(os.environ.get("SEED")) and rounds == 1
    failed = 0 if is_replay else runner.controls(first)
    runner.run(first, rounds, int(setting("JOBS", "2")))
    runner.summary()
    print("%d s" % (time.monotonic() - began))
    played = sum(n for name, n in runner.totals.items() if name.startswith("rounds of"))
    failed += len(runner.failed) + (played < rounds)
    return finish("FAIL" if failed else "PASS", played - len(runner.failed), failed, 0)


if __name__ == "__main__":
    sys.exit(main())
