#!/bin/bash
# Who follows /v1/watch sees each of 10,000 changes once and in order, though it comes back at another
# node all the time, and the leader is killed twice meanwhile. A node that stops says so.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
changes=$((10000 / SLOW))

# shellcheck disable=SC2317 # wait_for calls it
are_written() {
    [ "$(cat "$WORK/progress" 2>/dev/null || echo 0)" -ge "$1" ]
}

cluster_new 3
cluster_start
leader_wait
mapfile -t all < <(for i in 1 2 3; do url $i; done)
python3 "$(dirname "$0")/watching.py" $changes "$WORK/progress" "${all[@]}" >"$WORK/watched" 2>&1 &
watching=$!
CHILDREN+=("$watching")

for part in 1 2; do
    wait_for 60 "part $part of the changes" are_written $((changes * part / 4))
    leader_wait
    killed=$LEADER
    node_kill "$killed"
    leader_wait
    node_start "$killed"
    cluster_wait
done
wait "$watching" || fail "$(cat "$WORK/watched")"
note "$(cat "$WORK/watched")"

# A stream ends with a word when its node stops.
follower_find
curl -sN --noproxy '*' "$(url "$FOLLOWER")/v1/watch/" >"$WORK/stopped" &
CHILDREN+=($!)
wait_for 10 "the stream to begin" grep -q 'event: start' "$WORK/stopped"
node_stop "$FOLLOWER"
wait_for 10 "the stream to end" grep -q 'the node stops' "$WORK/stopped"
finish
