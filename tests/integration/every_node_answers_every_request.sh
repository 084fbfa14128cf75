#!/bin/bash
# Three nodes: writes and all three kinds of reads work at each of them, and a read at one sees what
# was acknowledged at another a moment before (design: a write, a read).
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 3
cluster_start
leader_wait
note "node $LEADER leads"

for ((round = 1; round <= 20; round++)); do
    writer=$((round % 3 + 1))
    put $writer seen "value-$round"
    for i in 1 2 3; do
        expect_get $i seen "value-$round"
        expect_get $i seen "value-$round" consistent
    done
done

wait_for 10 "all nodes at the same index" nodes_are_level
for i in 1 2 3; do
    expect_get $i seen value-20 stale
    http GET "$(url $i)/v1/kv/seen?stale"
    [ "$(header X-Consul-KnownLeader)" = true ] || fail "node $i: known leader: $HEADERS"
    contact=$(header X-Consul-LastContact)
    [ "$contact" -lt $((1000 * SLOW)) ] || fail "node $i: last contact $contact ms"
    http GET "$(url $i)/v1/status/leader"
    [ "$BODY" = "\"${PEER[$LEADER]}\"" ] || fail "node $i: leader $BODY"
    http GET "$(url $i)/v1/status/peers"
    [ "$(jq length <<<"$BODY")" = 3 ] || fail "node $i: peers $BODY"
    http GET "$(url $i)/healthz"
    expect_status 200
    http PUT "$(url $i)/v1/kv/cas-$i?cas=0" -d once
    [ "$BODY" = true ] || fail "node $i: first cas=0: $BODY"
    http PUT "$(url $i)/v1/kv/cas-$i?cas=0" -d twice
    [ "$BODY" = false ] || fail "node $i: second cas=0: $BODY"
    http DELETE "$(url $i)/v1/kv/cas-$i"
    [ "$BODY" = true ] || fail "node $i: delete: $BODY"
done

# A large value goes through a follower whole.
follower_find
head -c 524288 /dev/urandom >"$WORK/large"
http PUT "$(url "$FOLLOWER")/v1/kv/large" -T "$WORK/large"
[ "$STATUS $BODY" = '200 true' ] || fail "512 KiB through a follower: $STATUS $BODY"
for i in 1 2 3; do
    curl -sf --noproxy '*' -o "$WORK/back" "$(url $i)/v1/kv/large?raw"
    cmp -s "$WORK/large" "$WORK/back" || fail "node $i gives other bytes back"
done

RAFTKV_ADDR=$(url 2) "$RK_BUILD/raftkv" status >"$WORK/status" || fail "raftkv status: $(cat "$WORK/status")"
grep -q "n$LEADER .*leader" "$WORK/status" || fail "raftkv status: $(cat "$WORK/status")"
checksums_are_equal || fail "the nodes hold different bytes"
finish
