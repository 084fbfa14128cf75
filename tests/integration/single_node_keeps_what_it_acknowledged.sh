#!/bin/bash
# One node: put, get, list, check-and-set and delete; and after kill -9, and after SIGTERM, all of it
# is still there, with its indexes; also from a snapshot that was asked for.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 1
cluster_start

put 1 a/b 'one value'
expect_get 1 a/b 'one value'
expect_get 1 a/b 'one value' stale
expect_get 1 a/b 'one value' consistent
put 1 a/empty ''
expect_get 1 a/empty ''
put 1 'caf%C3%A9%20%2F' utf
expect_get 1 'café%20%2f' utf

http GET "$(url 1)/v1/kv/none"
expect_status 404
http GET "$(url 1)/v1/kv/a/?keys"
expect_status 200
[ "$BODY" = '["a/b","a/empty"]' ] || fail "keys: $BODY"

http GET "$(url 1)/v1/kv/a/b"
index=$(jq '.[0].ModifyIndex' <<<"$BODY")
[ "$(jq -r '.[0].Value' <<<"$BODY" | base64 -d)" = 'one value' ] || fail "value: $BODY"
http PUT "$(url 1)/v1/kv/a/b?cas=$((index + 1))" -d wrong
[ "$STATUS $BODY" = '200 false' ] || fail "cas with another index: $STATUS $BODY"
http PUT "$(url 1)/v1/kv/a/b?cas=$index&flags=18446744073709551615" -d 'second'
[ "$STATUS $BODY" = '200 true' ] || fail "cas: $STATUS $BODY"
http GET "$(url 1)/v1/kv/a/b"
before=$BODY
[ "$(grep -o '"Flags":[0-9]*' <<<"$BODY")" = '"Flags":18446744073709551615' ] || fail "flags: $BODY"

put 1 gone x
http DELETE "$(url 1)/v1/kv/gone"
[ "$STATUS $BODY" = '200 true' ] || fail "delete: $STATUS $BODY"
http GET "$(url 1)/v1/kv/gone"
expect_status 404

restarted_is_the_same() {
    node_start 1
    wait_for 10 "node 1 ready" node_is_ready 1
    http GET "$(url 1)/v1/kv/a/b"
    [ "$BODY" = "$before" ] || fail "after $1: $BODY, before: $before"
    http GET "$(url 1)/v1/kv/gone"
    expect_status 404
}
node_kill 1
restarted_is_the_same 'kill -9'
node_stop 1
restarted_is_the_same SIGTERM
has_snapshot() {
    compgen -G "$WORK/d1/snapshots/snap-*.rks" >/dev/null
}
! has_snapshot || fail 'a snapshot that nobody asked for'
kill -USR1 "${PID[1]}"
wait_for 10 'a snapshot, as asked for' has_snapshot
node_kill 1
restarted_is_the_same 'a snapshot'
expect_get 1 'caf%c3%a9%20/' utf
finish
