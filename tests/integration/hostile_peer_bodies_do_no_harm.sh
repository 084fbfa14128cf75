#!/bin/bash
# The peer listener: bodies that are no messages, messages of another cluster, of unknown senders and
# cut short are refused with 4xx, nothing of it is stored, no term moves, the cluster goes on; and
# the client API is not served there.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 3
cluster_start
put 1 kept yes
term=$(node_field 1 .term)

# refused ENDPOINT CURL ARGUMENT...: by node 1's peer listener.
refused() {
    local endpoint=$1
    shift
    http POST "http://${PEER[1]}$endpoint" "$@"
    case $STATUS in
    4??) ;;
    *) fail "$endpoint with ${*: -1}: $STATUS $BODY" ;;
    esac
}

head -c 100000 /dev/urandom >"$WORK/noise"
envelope='"protocol":1,"cluster":"00000000000000000000000000000001","from":1,"to":2,"from_incarnation":3,"election_timeout_ms":400,"term":99'
for endpoint in /raft/vote /raft/append /raft/timeout-now /raft/read-index /raft/forward /raft/identity; do
    for body in '' '{' '{}' '[]' 'null' '{"term":1e999}' '{"term":-1}' "{$envelope}" \
        "{$envelope,\"type\":\"append\"}"; do
        refused $endpoint --data-binary "$body"
    done
    refused $endpoint --data-binary "@$WORK/noise"
    http GET "http://${PEER[1]}$endpoint"
    expect_status 405
done
printf '{"a":%.0s' {1..20000} >"$WORK/deep"
refused /raft/append --data-binary "@$WORK/deep"
refused /raft/nothing --data-binary '{}'
head -c 9000000 /dev/zero >"$WORK/huge"
http POST "http://${PEER[1]}/raft/append" --data-binary "@$WORK/huge"
case $STATUS in
413 | 000) ;;
*) fail "9 MB to /raft/append: $STATUS $BODY" ;;
esac
for path in /v1/kv/kept /v1/status/leader /healthz /readyz /; do
    http GET "http://${PEER[1]}$path"
    case $STATUS in
    404 | 405) ;;
    *) fail "$path on the peer listener: $STATUS $BODY" ;;
    esac
done
http PUT "http://${PEER[1]}/v1/kv/wrong-door" -d no
[ "$STATUS" != 200 ] || fail "the peer listener takes a write"

for i in 1 2 3; do
    expect_get $i kept yes
    http GET "$(url $i)/v1/kv/?keys"
    [ "$BODY" = '["kept"]' ] || fail "node $i: keys $BODY"
    [ "$(node_field $i .term)" -lt 99 ] || fail "node $i took a term from a stranger"
done
[ "$(node_field 1 .term)" = "$term" ] || note "the term moved on from $term: a busy machine"
finish
