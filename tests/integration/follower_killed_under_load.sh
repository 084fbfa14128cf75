#!/bin/bash
# kill -9 of a follower under load: the other two go on, and it catches up when it is back.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-2}
cluster_new 3
cluster_start
for ((round = 1; round <= rounds; round++)); do
    follower_find
    killed=$FOLLOWER
    load_start 4 8 "round-$round"
    pause 0.3
    node_kill "$killed"
    before=$(grep -c " acknowledged$" "$WORK/round-$round.acks")
    wait_for 5 "200 more writes without it" acknowledged_are "round-$round" $((before + 200))
    node_start "$killed"
    load_wait "round-$round"
    load_verify_all "round-$round"
done
note "$rounds rounds; the last: $LOAD"
finish
