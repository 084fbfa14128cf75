#!/bin/bash
# kill -9 of the leader under load, ROUNDS times: another leads soon, no acknowledged write is lost,
# what was refused did not happen, and the old one comes back and catches up.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-3}
cluster_new 3
cluster_start
gaps=()
for ((round = 1; round <= rounds; round++)); do
    leader_wait
    killed=$LEADER
    load_start 4 8 "round-$round"
    pause "0.$((RANDOM % 9 + 1))"
    node_kill "$killed"
    wait_for 10 "another leader" leader_find
    node_start "$killed"
    load_wait "round-$round"
    gaps+=("${LOAD_COUNT[gap_ms]}")
    load_verify_all "round-$round"
done
note "$rounds rounds; the last: $LOAD; longest time without an acknowledgement, each round: ${gaps[*]} ms"
finish
