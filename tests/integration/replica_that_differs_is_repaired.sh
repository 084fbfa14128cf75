#!/bin/bash
# A replica that applied a write otherwise than the others is named with the entry, told so, and serves
# no more, over restarts too; the cluster goes on. It is healed on an operator's word. The same for a
# leader, and for a bit that flips in memory. Needs a build with --enable-test-hooks.
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2317 # wait_for calls
. "$(dirname "$0")/lib.sh"

differs() {
    [ "$(node_field "$1" .role)" = differing ]
}

# Of its member list's `differs_at`, as the leader has it; 0: not there.
differs_at() {
    member_list "$1" ".[] | select(.name == \"n$2\") | .differs_at // 0"
}

is_listed() {
    [ "$(differs_at "$1" "$2")" -gt 0 ] 2>/dev/null
}

is_not_listed() {
    [ "$(differs_at "$1" "$2")" = 0 ]
}

# expect_silence I: it answers nothing about the state, and says why.
expect_silence() {
    local query
    for query in '' '?stale' '?consistent'; do
        http GET "$(url "$1")/v1/kv/k1$query"
        expect_status 500
        expect_body 'differs'
    done
    http PUT "$(url "$1")/v1/kv/k1" --data-binary no
    expect_status 500
    [ "$(header X-Raftkv-Outcome)" = not-done ] || fail "outcome '$(header X-Raftkv-Outcome)'"
    http GET "$(url "$1")/readyz"
    expect_status 503
    expect_body 'differ from the others'
}

# make_differ I: the next put is applied otherwise there, to a key that stays as it is then.
make_differ() {
    kill -ALRM "${PID[$1]}"
    wait_for 5 "the fault is in" log_says_after_put "$1"
}

log_says_after_put() {
    http PUT "$(url "$LEADER")/v1/kv/odd-$((RANDOM))" --data-binary yes
    log_says "$1" 'event=put_applied_otherwise'
}

repair() {
    "$RK_BUILD/raftkv" member repair "n$1" --addr "$(url "$1")" >"$WORK/repair" 2>&1 ||
        fail "raftkv member repair: $(cat "$WORK/repair")"
    wait_for 20 "node $1 serves again" node_is_ready "$1"
    wait_for 10 "node $1 is not listed any more" is_not_listed "$1" "$1"
    wait_for 10 "all have applied the same" nodes_are_level
    checksums_are_equal || fail "the replicas differ after the repair"
}

# Enough entries for the next look; a node that falls silent meanwhile takes some of them.
write_some() {
    curl -s --noproxy '*' -m 20 -o "$WORK/some" -X PUT -d "$2" "$(url "$1")/v1/kv/k[1-70]" ||
        fail "cannot write at node $1"
}

grep -qa put_applied_otherwise "$RAFTKVD" || skip "raftkvd was built without --enable-test-hooks"

cluster_new 3 --snapshot-entries 100 --trailing-entries 10
cluster_start
write_some 1 first
follower_find

make_differ "$FOLLOWER"
write_some "$LEADER" second
wait_for 10 "the odd one is named" log_says "$LEADER" "event=replica_differs member=n$FOLLOWER index="
wait_for 10 "it knows" differs "$FOLLOWER"
wait_for 10 "it is listed" is_listed "$LEADER" "$FOLLOWER"
expect_silence "$FOLLOWER"
write_some "$LEADER" third
node_kill "$FOLLOWER"
node_start "$FOLLOWER"
wait_for 10 "it knows after a restart, too" differs "$FOLLOWER"
wait_for 10 "it is listed" is_listed "$LEADER" "$FOLLOWER"
expect_silence "$FOLLOWER"
http POST "$(url "$LEADER")/v1/cluster/members/repair" -d "{\"name\": \"n$LEADER\"}"
expect_status 409
repair "$FOLLOWER"

# The leader is the odd one.
leader_wait
odd=$LEADER
make_differ "$odd"
write_some $((odd % 3 + 1)) fourth
wait_for 10 "the leader knows" differs "$odd"
leader_wait
[ "$LEADER" != "$odd" ] || fail "it leads on"
expect_silence "$odd"
wait_for 10 "it is listed" is_listed "$LEADER" "$odd"
repair "$odd"

# Memory.
follower_find
kill -USR2 "${PID[$FOLLOWER]}"
wait_for 20 "the flipped bit is found" log_says "$FOLLOWER" 'event=memory_damaged'
wait_for 10 "it knows" differs "$FOLLOWER"
expect_silence "$FOLLOWER"
wait_for 10 "it is listed" is_listed "$LEADER" "$FOLLOWER"
repair "$FOLLOWER"
finish
