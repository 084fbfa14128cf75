#!/bin/bash
# A member whose directory was deleted comes back with a new one: it is refused, says so in /readyz
# and in its log, does not vote (with it and one other there is no majority), and the others go on
# (design: identity). Its old directory, brought back, is taken again.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 3
cluster_start
put 1 kept yes
follower_find
wiped=$FOLLOWER
node_kill "$wiped"
mv "$WORK/d$wiped" "$WORK/old"
node_start "$wiped"

# shellcheck disable=SC2317 # wait_for calls it
says_refused() {
    http GET "$(url "$wiped")/readyz"
    [ "$STATUS" = 503 ] && [[ $BODY == *"another data directory, which is lost"* ]]
}
wait_for 10 "node $wiped says that it is refused" says_refused
log_says "$wiped" 'event=refused' || fail "its log does not say that it is refused"
http GET "$(url "$wiped")/healthz"
expect_status 200
[ "$(node_field "$wiped" .role)" = waiting ] || fail "its role is $(node_field "$wiped" .role)"
http PUT "$(url "$wiped")/v1/kv/no" -d no
expect_status 500
[ "$(header X-Raftkv-Outcome)" = not-done ] || fail "outcome: $HEADERS"
put "$LEADER" goes-on yes

# With the leader gone, the other one and the wiped one are no majority: nobody may win.
for i in 1 2 3; do
    [ "$i" = "$wiped" ] || [ "$i" = "$LEADER" ] || third=$i
done
node_kill "$LEADER"
# shellcheck disable=SC2317 # wait_for calls it
campaigns() {
    [ "$(node_field "$third" .role)" = pre_candidate ]
}
wait_for 10 "node $third campaigns" campaigns
http PUT "$(url "$third")/v1/kv/no" -d no # waits for a leader, longer than elections take
expect_status 500
[ "$(node_field "$third" .role)" != leader ] || fail "node $third leads with a wiped node's vote"
[ "$(node_field "$wiped" .term)" = 0 ] || fail "the wiped node took part in an election"

node_start "$LEADER"
wait_for 15 "the other two serve again" get_is "$third" goes-on yes
node_kill "$wiped"
rm -r "$WORK/d$wiped"
mv "$WORK/old" "$WORK/d$wiped"
node_start "$wiped"
cluster_wait
expect_get "$wiped" goes-on yes
finish
