#!/bin/bash
# Every unsafe change of the membership is refused, by any node, with the reason; nothing changes.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# refused I STATUS TEXT METHOD PATH [BODY]
refused() {
    http "$4" "$(url "$1")$5" ${6:+-d "$6"}
    [ "$STATUS" = "$2" ] || fail "$4 $5: status $STATUS, expected $2: $BODY"
    expect_body "$3"
    [ "$(header X-Raftkv-Outcome)" = not-done ] || fail "$4 $5: outcome '$(header X-Raftkv-Outcome)'"
}

members=/v1/cluster/members
cluster_new 4
INITIAL=n1=${PEER[1]},n2=${PEER[2]},n3=${PEER[3]}
for i in 1 2 3; do
    node_start "$i"
done
cluster_wait
wait_for 10 "every voter answers" all_answer 1
before=$(member_list 1 'map([.id, .name, .role])')
new() {
    echo "{\"name\": \"$1\", \"peer_address\": \"$2\"}"
}

for i in 1 2 3; do
    refused $i 404 'unknown node: "n9"' DELETE $members/n9
    refused $i 404 'unknown node: "n9"' PATCH $members/n9 '{"role": "voter"}'
    refused $i 409 'name already: "n2"' POST $members "$(new n2 127.0.0.1:1)"
    refused $i 409 'peer address already' POST $members "$(new n9 "${PEER[2]}")"
    refused $i 409 'a voter already: "n2"' PATCH $members/n2 '{"role": "voter"}'
    refused $i 409 'another index' DELETE "$members/n2?cas=99999"
    refused $i 400 'host:port' POST $members "$(new n9 nowhere)"
    refused $i 400 'letters, digits' POST $members "$(new 'n 9' 127.0.0.1:1)"
    refused $i 400 'unknown member' POST $members '{"name": "n9", "adress": "h:1"}'
    refused $i 400 'decode failed' POST $members 'name=n9'
    refused $i 400 'Must specify either' DELETE /v1/operator/raft/peer
    refused $i 400 'only one of' DELETE '/v1/operator/raft/peer?id=1&address=h:1'
    refused $i 500 'unknown node: "7"' DELETE '/v1/operator/raft/peer?id=7'
    refused $i 500 'unknown node: "n9"' POST '/v1/operator/raft/transfer-leader?id=n9'
done

# A learner whose address leads nowhere: it never catches up, and while it is to get a vote nothing
# else may begin but to give it up.
http POST "$(url 1)$members" -d "$(new n9 127.0.0.1:1)"
expect_status 200
refused 1 409 'in flight: "n9"' POST $members "$(new n8 127.0.0.1:2)"
refused 2 409 'in flight: "n9"' DELETE $members/n3
refused 3 409 'in flight: "n9"' PATCH $members/n9 '{"role": "voter"}'
member_remove 9 2
[ "$(member_list 1 'map([.id, .name, .role])')" = "$before" ] || fail "the members changed"
http POST "$(url 1)$members" -d '{"name": "n9", "peer_address": "127.0.0.1:1", "learner": true}'
expect_status 200
refused 3 409 'not caught up: "n9" is matching 0 of' PATCH $members/n9 '{"role": "voter"}'
member_remove 9 3

# One of three is down: without another one, the last could not commit.
leader_wait
follower_find
node_kill "$FOLLOWER"
# shellcheck disable=SC2317 # a condition
misses_one() {
    ! all_answer "$LEADER"
}
wait_for 10 "the leader misses it" misses_one
http GET "$(url "$LEADER")/v1/operator/autopilot/health"
expect_status 429
expect_body '"FailureTolerance":0'
for i in "${!PID[@]}"; do
    refused "$LEADER" 409 'would lose quorum: of the 2 voters afterwards only 1 would answer' \
        DELETE "$members/n$i"
done
refused "$LEADER" 500 'leadership cannot go there' POST \
    "/v1/operator/raft/transfer-leader?id=n$FOLLOWER"
node_start "$FOLLOWER"
cluster_wait
wait_for 10 "every voter answers" all_answer 1

# Without a quorum there is no leader to ask.
leader_wait
alone=$LEADER
nodes=()
for i in 1 2 3; do
    [ "$i" = "$alone" ] || nodes+=("$i")
done
nodes_kill "${nodes[@]}"
# shellcheck disable=SC2317 # a condition
leads_no_more() {
    [ "$(node_field "$alone" .leader)" = "" ]
}
wait_for 10 "no leader" leads_no_more
refused "$alone" 500 'No cluster leader' DELETE $members/n1
for i in "${nodes[@]}"; do
    node_start "$i"
done
cluster_wait
[ "$(member_list 1 'map([.id, .name, .role])')" = "$before" ] || fail "the members changed"

# Of one node, nobody may go.
wait_for 10 "every voter answers" all_answer 1
for i in 2 3; do
    wait_for 10 "every voter answers" all_answer 1
    member_remove "$i" 1
    node_stop "$i"
    wait_for 10 "one voter less" voters_are 1 $((4 - i))
done
refused 1 409 'last voter' DELETE $members/n1
finish
