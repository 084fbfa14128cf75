#!/bin/bash
# SIGTERM of the leader under load: it hands over, answers what is in flight and ends with status 0
# within 5 s; another leads at once, and hardly a write is left with an open outcome.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 3
cluster_start
times=()
gaps=()
for ((round = 1; round <= 3; round++)); do
    leader_wait
    old=$LEADER
    load_start 4 8 "round-$round"
    wait_for 10 "300 writes" acknowledged_are "round-$round" 300
    from=$(now_ms)
    node_stop "$old"
    took=$(($(now_ms) - from))
    times+=("$took")
    [ $took -le $((5000 * SLOW)) ] || fail "stopping took $took ms"
    log_says "$old" 'event=handing_over' || fail "node $old did not hand over"
    log_says "$old" 'event=stopped' || fail "node $old did not say that it stopped"
    wait_for 5 "another leader" leader_find
    node_start "$old"
    load_wait "round-$round"
    gaps+=("${LOAD_COUNT[gap_ms]}")
    # At most what every client had under way at that moment.
    [ "${LOAD_COUNT[unknown]}" -le 8 ] || fail "too many open outcomes: $LOAD"
    load_verify_all "round-$round"
done
note "stopped in ${times[*]} ms; longest time without an acknowledgement: ${gaps[*]} ms; the last: $LOAD"
finish
