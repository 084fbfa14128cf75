#!/bin/bash
# Snapshots every 200 entries and hardly any log behind them, while one node after the other is killed
# in the middle of whatever it does: nothing that was acknowledged is lost, and the disks stay small.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 3 --snapshot-entries 200 --trailing-entries 20
cluster_start
load_start $((14 * SLOW)) 6 kills
end=$(($(now_ms) + 11000 * SLOW))
rounds=0
while [ "$(now_ms)" -lt "$end" ]; do
    i=$((RANDOM % 3 + 1))
    node_kill "$i"
    pause 1
    node_start "$i"
    wait_for 20 "node $i ready" node_is_ready "$i"
    rounds=$((rounds + 1))
done
load_wait kills
load_verify_all kills
installed=$(cat "$WORK"/n[123].log | grep -c event=installed)
note "$rounds kills, $installed snapshots installed; $LOAD"
[ "$(cat "$WORK"/n[123].log | grep -c event=taken)" -ge 10 ] || fail "hardly a snapshot was taken"
for i in 1 2 3; do
    size=$(stat -c %s "$WORK/d$i/raft.db")
    [ "$size" -le 4000000 ] || fail "raft.db of node $i has $size bytes"
done
finish
