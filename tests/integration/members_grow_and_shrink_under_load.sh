#!/bin/bash
# A cluster of one grows to five under load, gives its leader up, and shrinks back to one: nothing
# that was acknowledged is lost, and writes stop no longer than for one election.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

seconds=$((6 * SLOW))
cluster_new 5
INITIAL=n1=${PEER[1]}
for i in 2 3 4 5; do
    JOIN[$i]=${PEER[$((i - 1))]} # the first that is asked need not lead
done
node_start 1
wait_for 15 "the first node" cluster_is_ready
load_start "$seconds" 4 grow "$(url 1)"
for i in 2 3 4 5; do
    node_start "$i"
    wait_for 10 "node $i waits to be added" readyz_says "$i" "not a member yet"
    began=$(now_ms)
    if [ "$i" = 5 ]; then # once as an operator does it
        "$RK_BUILD/raftkv" member add n5 "${PEER[5]}" --addr "$(url 4)" --timeout 20s \
            >"$WORK/add" 2>&1 || fail "raftkv member add: $(cat "$WORK/add")"
        tail -n 1 "$WORK/add" | grep -qx 'n5 votes' || fail "no vote in: $(cat "$WORK/add")"
    else
        member_add "$i" $((i - 1))
    fi
    wait_for 20 "$i voters" voters_are 1 "$i"
    note "node $i votes after $(($(now_ms) - began)) ms"
    wait_for 10 "node $i ready" node_is_ready "$i"
done
load_wait grow
load_verify_all grow
note "1 -> 5: $LOAD"
grown=${LOAD_COUNT[gap_ms]}

# The leader goes first, and of the others one stays, whose clients see it all.
leader_wait
removed=$LEADER
stays=$((removed % 5 + 1))
load_start "$seconds" 4 shrink "$(url "$stays")"
pause 0.5
began=$(now_ms)
member_remove "$removed" "$stays"
wait_for 10 "four voters under another leader" voters_are "$stays" 4
note "the leader was removed, another is there after $(($(now_ms) - began)) ms"
node_stop "$removed"
left=4
for i in "${!PID[@]}"; do
    [ "$i" != "$stays" ] || continue
    left=$((left - 1))
    # A new leader may not have heard from every voter yet, and then refuses.
    wait_for 10 "every voter answers" all_answer "$stays"
    member_remove "$i" "$stays"
    wait_for 10 "$left voters" voters_are "$stays" "$left"
    node_stop "$i"
done
load_wait shrink
leader_wait
[ "$LEADER" = "$stays" ] || fail "node $LEADER leads, not $stays"
for load in grow shrink; do
    load_verify "$load" "$stays"
done
note "5 -> 1: $LOAD"
# An election takes up to two timeouts (400 ms), and twice that when votes split.
for gap in "$grown" "${LOAD_COUNT[gap_ms]}"; do
    [ "$gap" -le $((1600 * SLOW)) ] || fail "writes stopped for $gap ms"
done
finish
