#!/bin/bash
# Three members of an older version are upgraded one by one under load. What only the newer one reads is
# refused at each node, with the name of a member that is in the way, until the last one is upgraded; no
# acknowledged write is lost and nobody stops. Then a version that is too old neither starts on its
# directory nor is taken as a member.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

put_with_ttl() {
    http PUT "$(url "$1")/v1/kv/short?ttl=600s" --data-binary yes
}

# Names in the refusal: of members that are not upgraded, or not heard of yet.
expect_refusal() {
    put_with_ttl "$1"
    expect_status 500
    expect_body 'member "n'
    [ "$(header X-Raftkv-Outcome)" = not-done ] || fail "outcome '$(header X-Raftkv-Outcome)'"
}

is_accepted() {
    put_with_ttl "$1"
    [ "$STATUS $BODY" = "200 true" ]
}

cluster_new 4
INITIAL=n1=${PEER[1]},n2=${PEER[2]},n3=${PEER[3]}
COUNT=3
for i in 1 2 3; do
    EXTRA[$i]='--feature-level-max 1'
done
cluster_start
for i in 1 2 3; do
    expect_refusal "$i"
done

load_start $((4 * SLOW)) 4 upgrade
leader_wait
last=$LEADER
for i in 1 2 3 "$last"; do
    [ "$i" != "$last" ] || [ "${EXTRA[1]}${EXTRA[2]}${EXTRA[3]}" = "${EXTRA[$last]}" ] || continue
    [ -n "${EXTRA[$i]}" ] || continue
    node_stop "$i"
    EXTRA[$i]=
    node_start "$i"
    cluster_wait
    [ -z "${EXTRA[$last]}" ] || expect_refusal "$i"
done
[ -z "${EXTRA[1]}${EXTRA[2]}${EXTRA[3]}" ] || fail "not all were upgraded"
wait_for 10 "what is new is accepted" is_accepted 1
load_wait upgrade
load_verify_all upgrade
grep -hq 'event=level_raised level=2' "$WORK"/n[123].log || fail "no line says that the level was raised"
for i in 1 2 3; do
    is_accepted "$i" || fail "node $i: $STATUS $BODY"
    expect_get "$i" short yes
done
note "upgraded one by one: $LOAD"

# The way back is closed.
follower_find
node_stop "$FOLLOWER"
EXTRA[$FOLLOWER]='--feature-level-max 1'
node_start "$FOLLOWER"
node_wait "$FOLLOWER"
[ "$ENDED" -eq 1 ] || fail "a version that is too old ended with $ENDED"
tail -n 1 "$WORK/n$FOLLOWER.log" | grep -q 'is of feature level 2, and this version reads up to 1' ||
    fail "it says: $(tail -n 1 "$WORK/n$FOLLOWER.log")"
EXTRA[$FOLLOWER]=
node_start "$FOLLOWER"
cluster_wait

JOIN[4]=${PEER[$LEADER]}
EXTRA[4]='--feature-level-max 1'
node_start 4
wait_for 10 "a version too old says so" readyz_says 4 "this version is too old for the cluster"
member_add 4 1
wait_for 10 "the leader says why it is not taken" log_says "$LEADER" 'event=new_member_is_too_old'
[ "$(member_list 1 '.[] | select(.name == "n4").seen')" = false ] || fail "n4 was taken"
node_stop 4
EXTRA[4]=
node_start 4
wait_for 20 "a member once it is upgraded" node_is_ready 4
expect_get 4 short yes
finish
