#!/usr/bin/env python3
"""failover.py BUILD_DIR [KILLS=50] [STOPS=10]

Three nodes at default settings: the leader is killed (SIGKILL) KILLS times and stopped in good order
(SIGTERM) STOPS times; from the signal until the next write is acknowledged, by a client that tries the
other two nodes in turn and waits for none of them longer than 50 ms. BUILD_DIR holds raftkvd."""
import http.client
import os
import signal
import statistics
import sys
import time

from cluster import CLIENT_PORT, Cluster, pause

TRY_S = 0.05


def is_acknowledged(place, value):
    connection = http.client.HTTPConnection("127.0.0.1", CLIENT_PORT + place, timeout=TRY_S)
    try:
        connection.request("PUT", "/v1/kv/failover", body=value)
        answer = connection.getresponse()
        return answer.status == 200 and answer.read() == b"true"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def until_acknowledged(places, began):
    turn = 0
    while not is_acknowledged(places[turn % len(places)], str(turn)):
        turn += 1
        if time.monotonic() - began > 20:
            raise SystemExit("no write was acknowledged for 20 s")
        pause(0.002)
    return time.monotonic() - began


def wait_whole(cluster):
    """Until all three follow one leader again."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        seen = [cluster.status(place) for place in range(3)]
        if all(each.get("ready") for each in seen) and len({each.get("leader") for each in seen}) == 1:
            return
        pause(0.05)
    raise SystemExit("the cluster did not come together again")


def measure(cluster, number):
    wait_whole(cluster)
    place = cluster.find_leader()
    others = [each for each in range(3) if each != place]
    began = time.monotonic()
    cluster.nodes[place].send_signal(number)
    took_s = until_acknowledged(others, began)
    cluster.nodes[place].wait()
    cluster.nodes[place] = cluster.spawn(place, [])
    return took_s * 1000


def show(what, took_ms):
    took_ms.sort()
    print(f"{what}, {len(took_ms)} times: next write after {statistics.median(took_ms):.0f} ms at the median, "
          f"{took_ms[int(len(took_ms) * 0.95)]:.0f} ms at the 95th percentile, {took_ms[-1]:.0f} ms at most "
          f"({took_ms[0]:.0f} at least)", flush=True)


def main():
    build = os.path.abspath(sys.argv[1])
    kills, stops = [int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((2, 50), (3, 10))]
    cluster = Cluster(build)
    try:
        show("leader killed", [measure(cluster, signal.SIGKILL) for _ in range(kills)])
        show("leader stopped in good order", [measure(cluster, signal.SIGTERM) for _ in range(stops)])
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
