#!/bin/bash
# Sessions, locks and Idempotency-Keys on three nodes whose leader is killed (contract cases 41, 46 and
# 67): every node says the same, the loss of the leader ends no session early and forgets no token, and
# what takes a lock over has a higher fencing token.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

TTL_S=4 # the cluster waits twice as long
DELAY_S=1

# session_create I TTL: sets SESSION.
session_create() {
    http PUT "$(url "$1")/v1/session/create" -d "{\"TTL\":\"$2\",\"LockDelay\":\"${DELAY_S}s\"}"
    expect_status 200
    SESSION=${BODY#*:\"}
    SESSION=${SESSION%\"*}
}

# acquire I KEY SESSION: whether it holds the key now.
acquire() {
    http PUT "$(url "$1")/v1/kv/$2?acquire=$3" -d held
    [ "$STATUS $BODY" = "200 true" ]
}

cluster_new 3 --session-ttl-min 1s
cluster_start
leader_wait
follower_find

# Case 41: from leader and follower alike, and nothing in front of the text.
for i in 1 2 3; do
    http PUT "$(url $i)/v1/kv/lock?acquire=11111111-1111-1111-1111-111111111111" -d x
    [ "$STATUS $BODY" = '500 invalid session "11111111-1111-1111-1111-111111111111"' ] ||
        fail "node $i: $STATUS $BODY"
done

session_create "$FOLLOWER" ${TTL_S}s
holder=$SESSION
session_create "$FOLLOWER" 60s
heir=$SESSION
acquire "$FOLLOWER" lock "$holder" || fail "the lock is not to be had: $STATUS $BODY"
fence=$(header X-Raftkv-Fence)
http PUT "$(url "$LEADER")/v1/kv/counter?cas=0" -H 'Idempotency-Key: first' -d 1
[ "$STATUS $BODY" = "200 true" ] || fail "the first write with a token: $STATUS $BODY"
index=$(header X-Consul-Index)

renewed=$(now_ms)
http PUT "$(url "$FOLLOWER")/v1/session/renew/$holder"
expect_status 200
node_kill "$LEADER"
leader_wait

http PUT "$(url "$FOLLOWER")/v1/kv/counter?cas=0" -H 'Idempotency-Key: first' -d 1
[ "$STATUS $BODY $(header X-Consul-Index)" = "200 true $index" ] ||
    fail "repeated under the next leader: $STATUS $BODY $(header X-Consul-Index), was $index"
http PUT "$(url "$FOLLOWER")/v1/kv/counter?cas=0" -H 'Idempotency-Key: first' -d 2
expect_status 422

# Case 46: not before its time, whoever leads; and then the delay.
wait_for 60 "the session to end" acquire "$FOLLOWER" lock "$heir"
taken=$(($(now_ms) - renewed))
[ "$taken" -ge $((2 * TTL_S * 1000 + DELAY_S * 1000)) ] || fail "taken over after only $taken ms"
[ "$(header X-Raftkv-Fence)" -gt "$fence" ] || fail "fence $(header X-Raftkv-Fence), was $fence"
http GET "$(url "$FOLLOWER")/v1/session/info/$holder"
expect_body '[]'
note "taken over $taken ms after the last renewal, an election among them"
finish
