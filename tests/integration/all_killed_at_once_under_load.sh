#!/bin/bash
# kill -9 of all three nodes at one moment under load, ROUNDS times: what was acknowledged is there
# when they are back, what was refused is not, and all three hold the same bytes (issue A: 100 rounds
# with make check-integration ONLY=all_killed_at_once_under_load ROUNDS=100).
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-4}
cluster_new 3
cluster_start
checked=0
for ((round = 1; round <= rounds; round++)); do
    load_start 2 16 "round-$round"
    pause "0.$((RANDOM % 10))"
    nodes_kill 1 2 3
    for i in 1 2 3; do
        node_start $i
    done
    load_wait "round-$round"
    load_verify_all "round-$round"
    checked=$((checked + LOAD_COUNT[acknowledged]))
    rm -f "$WORK/round-$round.acks"
done
note "$rounds rounds, $checked acknowledged writes, none lost; the last: $LOAD"
finish
