#!/bin/bash
# The catalog of three nodes, one of which is killed (contract 2.4, 2.6, 5.17): every node lists the same,
# a blocking read of the checks wakes when the dead node is critical, sessions that are tied to it end
# with their locks, those without checks do not, and it passes again once it is back.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# session_create NODE CHECKS: sets SESSION.
session_create() {
    http PUT "$(url "$LEADER")/v1/session/create" -d "{\"Node\":\"n$1\",\"LockDelay\":\"1ms\"$2}"
    expect_status 200
    SESSION=${BODY#*:\"}
    SESSION=${SESSION%\"*}
}

# shellcheck disable=SC2317 # wait_for calls it
status_is() {
    http GET "$(url "$1")/v1/health/node/n$2"
    [ "$(jq -r '.[0].Status' <<<"$BODY")" = "$3" ]
}

# shellcheck disable=SC2317 # wait_for calls it
ended() {
    http GET "$(url "$LEADER")/v1/session/info/$1"
    [ "$BODY" = '[]' ]
}

cluster_new 3 --health-timeout 1s
cluster_start
leader_wait
follower_find
for i in 1 2 3; do
    wait_for 10 "node $i to pass at all" status_is "$i" 3 passing
    http GET "$(url "$i")/v1/catalog/services"
    expect_body '{"consul":[]}'
    http GET "$(url "$i")/v1/catalog/nodes"
    [ $i = 1 ] || [ "$BODY" = "$nodes" ] || fail "node $i lists $BODY, node 1 $nodes"
    nodes=$BODY
done

session_create "$FOLLOWER" ''
tied=$SESSION
session_create "$FOLLOWER" ',"Checks":[]'
free=$SESSION
http PUT "$(url "$LEADER")/v1/kv/lock?acquire=$tied" -d held
expect_body true
http GET "$(url "$LEADER")/v1/health/state/any"
index=$(header X-Consul-Index)

node_kill "$FOLLOWER"
killed=$(now_ms)
http GET "$(url "$LEADER")/v1/health/state/critical?index=$index&wait=60s"
took=$(($(now_ms) - killed))
[ "$(jq -r '.[].Node' <<<"$BODY")" = "n$FOLLOWER" ] || fail "critical: $BODY"
[ $took -ge 900 ] || fail "called critical after only $took ms"
wait_for 10 "the session of the dead node to end" ended "$tied"
http GET "$(url "$LEADER")/v1/kv/lock"
[ "$(jq 'has("Session")' <<<"$(jq '.[0]' <<<"$BODY")")" = false ] || fail "still locked: $BODY"
ended "$free" && fail "a session without checks ended with its node"
http PUT "$(url "$LEADER")/v1/session/create" -d "{\"Node\":\"n$FOLLOWER\"}"
[ "$STATUS $BODY" = "500 Check 'serfHealth' is in critical state" ] || fail "a session on it: $STATUS $BODY"

node_start "$FOLLOWER"
wait_for 20 "the node to pass again" status_is "$LEADER" "$FOLLOWER" passing
note "critical $took ms after it was killed"
finish
