#!/bin/bash
# A node without a leader: reads and writes get 500 `No cluster leader` after a moment and never
# hang, the write says that it was not done, ?stale goes on, /readyz says why, /healthz is well.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 3
cluster_start
put 1 kept yes
wait_for 10 "all nodes at the same index" nodes_are_level
nodes_kill 2 3

# shellcheck disable=SC2317 # wait_for calls it
has_no_leader() {
    [ "$(node_field 1 .leader)" = '' ] && [ "$(node_field 1 .ready)" = false ]
}
wait_for 10 "node 1 knows of no leader" has_no_leader
for method in GET PUT DELETE; do
    from=$(now_ms)
    http $method "$(url 1)/v1/kv/kept"
    took=$(($(now_ms) - from))
    expect_status 500
    expect_body 'No cluster leader'
    [ $took -ge 1000 ] || fail "$method did not wait for a leader: $took ms"
    [ $took -le $((5000 * SLOW)) ] || fail "$method hung: $took ms"
    [ $method = GET ] || [ "$(header X-Raftkv-Outcome)" = not-done ] || fail "outcome: $HEADERS"
done
# Nor does an administrator wait for ever; and what cannot be said is refused before anybody waits.
for request in 'GET /v1/operator/raft/configuration' 'DELETE /v1/cluster/members/n2' \
    'POST /v1/operator/raft/transfer-leader' 'DELETE /v1/operator/raft/peer?id=1'; do
    from=$(now_ms)
    http "${request% *}" "$(url 1)${request#* }"
    took=$(($(now_ms) - from))
    expect_status 500
    expect_body 'No cluster leader'
    [ $took -le $((5000 * SLOW)) ] || fail "$request hung: $took ms"
    [ "$(header X-Raftkv-Outcome)" = not-done ] || fail "outcome: $HEADERS"
done
http POST "$(url 1)/v1/cluster/members" -d '{"name": 4}'
expect_status 400
expect_body '"name" must be'
expect_get 1 kept yes stale
http GET "$(url 1)/v1/kv/kept?stale"
[ "$(header X-Consul-KnownLeader)" = false ] || fail "known leader: $HEADERS"
http GET "$(url 1)/v1/status/leader"
[ "$STATUS $BODY" = '200 ""' ] || fail "leader: $STATUS $BODY"
http GET "$(url 1)/readyz"
expect_status 503
expect_body 'no leader'
http GET "$(url 1)/healthz"
expect_status 200

# Restarted without a leader it cannot know what of its log is committed: not even ?stale is served,
# or it would say that there are no keys.
node_kill 1
node_start 1
wait_for 10 "node 1 is up again" answers_health 1
http GET "$(url 1)/v1/kv/kept?stale"
expect_status 500
expect_body 'No cluster leader'

# Who waits for a leader is served when one comes.
curl -s --noproxy '*' -m $((15 * SLOW)) -X PUT -d waited "$(url 1)/v1/kv/waited" >"$WORK/answer" &
waiter=$!
CHILDREN+=("$waiter")
node_start 2
wait "$waiter"
case $(cat "$WORK/answer") in
true) note "a write that waited was served when a leader came" ;;
*leader*) note "a write that waited gave up before a leader came" ;;
*) fail "a write that waited: $(cat "$WORK/answer")" ;;
esac
cluster_wait
expect_get 2 kept yes
finish
