#!/bin/bash
# A dead node is replaced by another one, a wiped node by itself, two at once in one step, and
# leadership goes where it is sent, all under load: nothing acknowledged is lost.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# replace I BODY: node I is asked.
replace() {
    http POST "$(url "$1")/v1/cluster/members/replace" -d "$2"
    expect_status 200
}

names_are() {
    [ "$(member_list "$1" 'map(.name) | sort | join(" ")')" = "$2" ] && voters_are "$1" 3
}

cluster_new 6
INITIAL=n1=${PEER[1]},n2=${PEER[2]},n3=${PEER[3]}
for i in 1 2 3; do
    node_start "$i"
done
cluster_wait
for i in 4 5 6; do
    JOIN[$i]=${PEER[1]}
done
load_start $((8 * SLOW)) 4 replace "$(url 1)"

# n3 dies; n4 takes its place.
node_kill 3
node_start 4
replace 1 "{\"old\": \"n3\", \"name\": \"n4\", \"peer_address\": \"${PEER[4]}\"}"
wait_for 20 "n4 in the place of n3" names_are 1 "n1 n2 n4"
wait_for 10 "n4 ready" node_is_ready 4

# The leader is one that n2's initial-cluster does not name: n2 must hear of it from the others.
# shellcheck disable=SC2317 # wait_for calls it
n4_leads() {
    leader_find && [ "$LEADER" = 4 ]
}
wait_for 10 "every voter answers" all_answer 1
leader_wait
if [ "$LEADER" != 4 ]; then
    http POST "$(url 1)/v1/operator/raft/transfer-leader?id=n4"
    expect_status 200
    wait_for 10 "n4 leads" n4_leads
fi

# n2 loses its disk and comes back empty, under its old name, address and flags.
node_kill 2
rm -rf "$WORK/d2"
node_start 2
wait_for 10 "n2 is refused" readyz_says 2 "replace the member"
replace 1 "{\"old\": \"n2\", \"name\": \"n2\", \"peer_address\": \"${PEER[2]}\"}"
wait_for 20 "n2 in its own place" names_are 1 "n1 n2 n4"
wait_for 10 "n2 ready" node_is_ready 2

# Two at once.
node_start 5
node_start 6
replace 1 "[{\"old\": \"n2\", \"name\": \"n5\", \"peer_address\": \"${PEER[5]}\"},
            {\"old\": \"n4\", \"name\": \"n6\", \"peer_address\": \"${PEER[6]}\"}]"
wait_for 20 "n5 and n6 in the places of n2 and n4" names_are 1 "n1 n5 n6"
node_stop 2
node_stop 4

# Leadership goes where it is sent.
for to in 5 6 1; do
    wait_for 10 "every voter answers" all_answer 1
    leader_wait
    [ "$LEADER" != "$to" ] || continue
    http POST "$(url 1)/v1/operator/raft/transfer-leader?id=n$to"
    expect_status 200
    expect_body '"Success":true'
    leader_wait
    [ "$LEADER" = "$to" ] || fail "node $LEADER leads, not $to"
done
load_wait replace
load_verify_all replace
note "replaced and handed over: $LOAD"

# All of it is there after a start from the disks.
nodes_kill 1 5 6
for i in 1 5 6; do
    node_start "$i"
done
cluster_wait
names_are 1 "n1 n5 n6" || fail "other members after a start: $(member_list 1 .)"
load_verify_all replace
finish
