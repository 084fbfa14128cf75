#!/bin/bash
# Five nodes go on without any two of them, the leader among them; without a third they refuse, and
# go on when it is back.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 5
cluster_start
leader_wait
first=$LEADER
follower_find
second=$FOLLOWER
load_start 6 8 five
nodes_kill "$first" "$second"
wait_for 10 "another leader" leader_find
put "$LEADER" with-three yes
third=$LEADER
node_kill "$third"
for i in "${!PID[@]}"; do
    http PUT "$(url "$i")/v1/kv/with-two" -d no
    expect_status 500
    http GET "$(url "$i")/v1/kv/with-three"
    expect_status 500
done
node_start "$third"
cluster_wait
for i in "${!PID[@]}"; do
    expect_get "$i" with-three yes
done
node_start "$first"
node_start "$second"
load_wait five
load_verify_all five
note "$LOAD"
finish
