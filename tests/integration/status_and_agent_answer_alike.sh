#!/bin/bash
# The contract's cases of status, operator and agent (28, 32, 33, 53, 54, 62, 63; 1.9, 2.8) at each of
# three nodes: leader and followers answer alike.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# says NODE METHOD PATH STATUS TEXT: the answer is that.
says() {
    http "$2" "$(url "$1")$3"
    [ "$STATUS $BODY" = "$4 $5" ] || fail "node $1: $2 $3: $STATUS $BODY"
}

# holds NODE PATH FILTER: a JSON answer of which the filter is true.
holds() {
    http GET "$(url "$1")$2"
    expect_status 200
    [ "$(header Content-Type)" = application/json ] || fail "node $1: $2: $(header Content-Type)"
    jq -e "$3" <<<"$BODY" >/dev/null || fail "node $1: $2 is not $3: $BODY"
}

cluster_new 3
cluster_start
leader_wait
leader="\"${PEER[$LEADER]}\""
for i in 1 2 3; do
    says $i GET /v1/status/leader 200 "$leader"
    holds $i /v1/status/peers "length == 3 and index($leader) != null"
    holds $i /v1/operator/raft/configuration ".Index == 1 and (.Servers | length == 3) and
        ([.Servers[] | select(.Leader)] | length == 1 and .[0].Address == $leader and .[0].Voter)"
    holds $i '/v1/operator/raft/configuration?stale' '.Index == 1 and (.Servers | length == 3)'
    holds $i /v1/operator/autopilot/health '.Healthy and .FailureTolerance == 1 and
        ([.Servers[] | select(.Leader)] | length == 1)'
    holds $i /v1/operator/autopilot/state '.Healthy and (.Voters | length == 3) and .Leader != ""'
    holds $i /v1/agent/self "(keys == [\"Config\", \"Coord\", \"DebugConfig\", \"Member\", \"Meta\", \"Stats\"]) and
        .Config.Datacenter == \"dc1\" and .Config.NodeName == \"n$i\" and .Config.Server and
        .Stats.consul.leader_addr == $leader"
    member=$(jq -c .Member <<<"$BODY")
    holds $i /v1/agent/members "length == 3 and index([$member]) != null and all(.[]; .Status == 1)"
    holds $i /v1/catalog/datacenters '. == ["dc1"]'
    says $i DELETE /v1/operator/raft/peer 400 \
        "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove"
    says $i DELETE '/v1/operator/raft/peer?id=1&address=a:1' 400 \
        'Must specify only one of ?id or ?address'
    http DELETE "$(url $i)/v1/operator/raft/peer?id=12345"
    expect_status 500
    says $i GET '/v1/kv/k?stale&consistent' 400 \
        'Cannot specify ?stale with ?consistent, conflicting semantics.'
    says $i POST /v1/kv/k 405 'method POST not allowed'
    [ "$(header Allow)" = OPTIONS,GET,PUT,DELETE ] || fail "node $i: Allow $(header Allow)"
    http GET "$(url $i)/v1/nope"
    [ "$STATUS" = 404 ] || fail "node $i: /v1/nope: $STATUS"
    grep -q 'Invalid URL path: not a recognized HTTP API endpoint' <<<"$BODY" ||
        fail "node $i: /v1/nope: $BODY"
    says $i PUT /v1/acl/create 401 'ACL support disabled'
    http GET "$(url $i)/v1/status/leader" -H 'X-Consul-Token: root'
    expect_status 200
    [ "$(header X-Consul-Default-Acl-Policy)" = allow ] || fail "node $i: no default policy"
done

# Each node has measured its own requests: the leader those above, nobody more than it was asked.
http PUT "$(url "$LEADER")/v1/kv/measured" --data-binary v
expect_status 200
# shellcheck disable=SC2016 # $t is jq's
holds "$LEADER" /v1/status/stages '.role == "leader" and (.since_start, .recent | .times_us as $t |
    ([$t.http_in, $t.mailbox, $t.propose, $t.apply, $t.answer] | all(.[]; .count == 1) and
        (map(.sum) | add) <= $t.write.sum) and
    $t.write.count == 1 and $t.commit.count > 0 and $t.disk_sync.count > 0 and $t.append.count > 0 and .busy_per_mille.node < 1000 and .sizes.write_entries.max >= 1)'
follower_find
holds "$FOLLOWER" /v1/status/stages ".node == \"n$FOLLOWER\" and .since_start.times_us.write.count == 0 and
    .since_start.times_us.disk_write.count > 0"

# One is gone: the leader's agent and autopilot say so.
gone=$FOLLOWER
node_kill "$gone"
# shellcheck disable=SC2317 # wait_for calls it
is_failed() {
    curl -s --noproxy '*' "$(url "$LEADER")/v1/agent/members" |
        jq -e ".[] | select(.Name == \"n$gone\") | .Status == 4" >/dev/null
}
wait_for 10 "the leader to miss it" is_failed
http GET "$(url "$LEADER")/v1/operator/autopilot/health"
[ "$STATUS" = 429 ] || fail "autopilot/health with one gone: $STATUS"
finish
