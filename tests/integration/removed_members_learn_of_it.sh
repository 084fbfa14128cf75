#!/bin/bash
# A member that is removed while it runs, one that is away meanwhile, and a leader that removes itself
# learn of it: they say so, serve nothing that would grow old, and disturb nobody (diss. 4.2.2, 4.2.3;
# pitfalls 85, 86).
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 5
cluster_start

# shellcheck disable=SC2317 # wait_for calls it
says_removed() {
    readyz_says "$1" "removed"
}

# A node that was removed answers at once, and not with what it has.
expect_gone() {
    local began
    wait_for 15 "node $1 learns that it is removed" says_removed "$1"
    began=$(now_ms)
    http GET "$(url "$1")/v1/kv/register?raw"
    expect_status 500
    expect_body "No cluster leader"
    http PUT "$(url "$1")/v1/kv/register" -d new
    expect_status 500
    [ "$(header X-Raftkv-Outcome)" = not-done ] || fail "outcome '$(header X-Raftkv-Outcome)'"
    http GET "$(url "$1")/v1/kv/register?raw&stale"
    expect_status 500
    [ $(($(now_ms) - began)) -lt $((1000 * SLOW)) ] || fail "it let its clients wait"
}

follower_find
runs=$FOLLOWER
for away in 1 2 3 4 5; do
    [ "$away" != "$runs" ] && [ "$away" != "$LEADER" ] && break
done
put "$LEADER" register old
node_pause "$away"
member_remove "$runs" "$LEADER"
expect_gone "$runs"
note "removed while it ran: node $runs"

member_remove "$away" "$LEADER"
term=$(node_field "$LEADER" .term)
node_resume "$away"
expect_gone "$away"
note "removed while it was away: node $away"

leader_wait
[ "$(node_field "$LEADER" .term)" = "$term" ] || fail "it disturbed the others"
leads=$LEADER
member_remove "$leads" "$leads"
expect_gone "$leads"
note "removed itself: node $leads"

for i in "$runs" "$away" "$leads"; do
    node_stop "$i"
done
cluster_wait
put "$LEADER" register new
expect_get "$LEADER" register new
finish
