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
for endpoint in /raft/vote /raft/append /raft/timeout-now /raft/read-index /raft/forward /raft/admin /raft/identity; do
    for body in '' '{' '{}' '[]' 'null' '{"term":1e999}' '{"term":-1}' "{$envelope}" \
        "{$envelope,\"type\":\"append\"}"; do
        refused $endpoint --data-binary "$body"
    done
    refused $endpoint --data-binary "@$WORK/noise"
    http GET "http://${PEER[1]}$endpoint"
    expect_status 405
done
# What an administrator would ask for, from a stranger: of another cluster, cut short, or no request.
stranger='"protocol":1,"cluster":"00000000000000000000000000000001","from":1,"to":0,"incarnation":"0000000000000003","election_timeout_ms":400'
members=$(member_list 1 'map([.id, .name, .role])')
for i in 1 2 3; do
    for rest in '"method":"DELETE","target_size":22' '"method":"DELETE","target_size":16384' \
        '"method":"DELETE","target_size":16385' '"method":"DELETE","target_size":-1' \
        '"method":"DELETEDELETE","target_size":22' '"method":7,"target_size":22' '"method":"DELETE"'; do
        http POST "http://${PEER[$i]}/raft/admin" \
            --data-binary "{\"type\":\"admin\",$stranger,$rest}"$'\n/v1/cluster/members/n3'
        case $STATUS in
        400 | 403) ;;
        *) fail "/raft/admin with $rest: $STATUS $BODY" ;;
        esac
    done
done
printf '{"a":%.0s' {1..20000} >"$WORK/deep"
refused /raft/append --data-binary "@$WORK/deep"
refused /raft/admin --data-binary "@$WORK/deep"
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

[ "$(member_list 1 'map([.id, .name, .role])')" = "$members" ] || fail "a stranger changed the members"
for i in 1 2 3; do
    expect_get $i kept yes
    http GET "$(url $i)/v1/kv/?keys"
    [ "$BODY" = '["kept"]' ] || fail "node $i: keys $BODY"
    [ "$(node_field $i .term)" -lt 99 ] || fail "node $i took a term from a stranger"
done
[ "$(node_field 1 .term)" = "$term" ] || note "the term moved on from $term: a busy machine"
finish
