#!/bin/bash
# A node that was away for longer than the log lives is sent a snapshot and catches up while writes
# go on; so does a node that joins a cluster whose log no longer begins at its beginning. A start
# reads the snapshot, not the log from its first entry.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 4 --snapshot-entries 400 --trailing-entries 50
INITIAL=n1=${PEER[1]},n2=${PEER[2]},n3=${PEER[3]}
JOIN[4]=${PEER[1]}
for i in 1 2 3; do
    node_start "$i"
done
wait_for 15 "a leader, and every node ready" cluster_is_ready
follower_find
away=$FOLLOWER
node_kill "$away"
others=$(for i in 1 2 3; do [ "$i" = "$away" ] || url "$i"; done | paste -sd,)
load_start $((6 * SLOW)) 8 away "$others"
wait_for 20 "writes by the thousand" acknowledged_are away 2000
node_start "$away"
wait_for 20 "node $away has installed a snapshot" log_says "$away" event=installed
wait_for 20 "node $away ready" node_is_ready "$away"
node_start 4
leader_wait
wait_for 10 "node 4 waits to be added" readyz_says 4 "not a member yet"
member_add 4 "$LEADER"
wait_for 20 "four voters" voters_are "$LEADER" 4
log_says 4 event=installed || fail "node 4 got no snapshot"
load_wait away
load_verify_all away
note "$LOAD"

files=$(find "$WORK/d$LEADER/snapshots" -name '*.rks' | wc -l)
if [ "$files" -lt 1 ] || [ "$files" -gt 4 ]; then
    fail "$files snapshots in the leader's directory"
fi
! find "$WORK"/d*/snapshots -name '*.part' | grep -q . || fail "a part was left"

# All of it comes back from snapshots and what the logs still hold.
nodes_kill 1 2 3 4
for i in 1 2 3 4; do
    node_start "$i"
done
load_verify_all away
for i in 1 2 3 4; do
    log_says "$i" event=loaded || fail "node $i did not start from a snapshot"
done
finish
