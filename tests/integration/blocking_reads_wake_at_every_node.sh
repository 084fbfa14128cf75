#!/bin/bash
# Blocking reads (contract 1.7 and its cases 21 to 28) at each of three nodes; they outlive the loss
# of the leader and wake under the next one, who goes is forgotten, and a node that stops answers all.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
BLOCKING=$(dirname "$0")/blocking.py

# Sets ANSWER_STATUS, ANSWER_INDEX and ANSWER_MS from the file of a read that is over.
answer_read() {
    read -r ANSWER_STATUS ANSWER_INDEX ANSWER_MS <"$1" || fail "no answer in $1"
}

# Starts a blocking read at node $1 with index $2, its answer to the file $3.
wait_start() {
    python3 "$BLOCKING" wait watched "$2" 60s "$(url "$1")" >"$3" &
    CHILDREN+=($!)
    WAITER=$!
}

# The request of somebody who is still connected has come in.
# shellcheck disable=SC2317 # wait_for calls it
is_asked() {
    ss -Htin state established "( sport = :${CLIENT[$1]##*:} )" | grep -q bytes_received:
}

cluster_new 3
cluster_start
leader_wait
mapfile -t all < <(for i in 1 2 3; do url $i; done)
python3 "$BLOCKING" cases "${all[@]}" || fail "the cases do not hold"

# The leader dies while somebody waits at a follower.
follower_find
put 1 watched first
http GET "$(url "$FOLLOWER")/v1/kv/watched"
index=$(header X-Consul-Index)
wait_start "$FOLLOWER" "$index" "$WORK/waited"
wait_for 10 "the question" is_asked "$FOLLOWER"
node_kill "$LEADER"
leader_wait
put "$LEADER" watched second
wait "$WAITER"
answer_read "$WORK/waited"
[ "$ANSWER_STATUS" = 200 ] || fail "after the election: status $ANSWER_STATUS"
[ "$ANSWER_INDEX" -gt "$index" ] || fail "after the election: index $ANSWER_INDEX, was $index"
note "woken after $ANSWER_MS ms, an election among them"

# Who goes is forgotten long before the wait is over.
# shellcheck disable=SC2317 # wait_for calls it
holds_nobody() {
    [ -z "$(ss -Htn state established state close-wait "( sport = :${CLIENT[$1]##*:} )")" ]
}

wait_start "$FOLLOWER" "$ANSWER_INDEX" "$WORK/gone"
wait_for 10 "the question" is_asked "$FOLLOWER"
kill -KILL "$WAITER"
wait "$WAITER" 2>/dev/null
wait_for 10 "the node to forget who went" holds_nobody "$FOLLOWER"

# A node that is asked to stop answers those who wait with what is there.
index=$ANSWER_INDEX
wait_start "$FOLLOWER" "$index" "$WORK/stopped"
wait_for 10 "the question" is_asked "$FOLLOWER"
node_stop "$FOLLOWER"
wait "$WAITER"
answer_read "$WORK/stopped"
[ "$ANSWER_STATUS $ANSWER_INDEX" = "200 $index" ] || fail "at SIGTERM: $ANSWER_STATUS $ANSWER_INDEX"
note "answered $ANSWER_MS ms after it began, by a node that stopped"
finish
