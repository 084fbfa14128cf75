#!/bin/bash
# A leader that appended alone, was killed and comes back gives up what never was committed, and
# goes on with the log of the others (diss. 3.5); so does a node that is killed once more in between.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 3
cluster_start
put 1 kept before
leader_wait
old=$LEADER
others=()
for i in 1 2 3; do
    [ "$i" = "$old" ] || others+=("$i")
done

# The connection is there before: the old leader steps down soon after the others are gone.
exec 8<>"/dev/tcp/${CLIENT[$old]/://}"
nodes_kill "${others[@]}"
printf 'PUT /v1/kv/alone HTTP/1.1\r\nHost: n\r\nContent-Length: 5\r\n\r\nalone' >&8
# shellcheck disable=SC2317 # wait_for calls it
has_more_than_committed() {
    [ "$(node_field "$old" '.durable_index > .commit_index')" = true ]
}
wait_for 5 "entries that only the old leader has" has_more_than_committed
node_kill "$old"
exec 8>&-

for i in "${others[@]}"; do
    node_start "$i"
done
cluster_wait
put "${others[0]}" kept after
node_start "$old"
cluster_wait
wait_for 10 "all nodes at the same index" nodes_are_level
for i in 1 2 3; do
    expect_get "$i" kept after
    http GET "$(url "$i")/v1/kv/alone?stale"
    expect_status 404
done
checksums_are_equal || fail "the nodes hold different bytes"

node_kill "$old"
node_start "$old"
cluster_wait
put "$old" kept again
expect_get "$old" kept again
finish
