#!/bin/bash
# A node whose log lost its end (SQLite ends a damaged WAL without a word) finds it shorter than its
# high-water mark: it neither votes nor stands, says so, and a leader refills it (correctness F1,
# pitfall 49).
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 3
cluster_start
for ((i = 1; i <= 40; i++)); do
    put 1 "key-$i" "$i"
done
follower_find
cut=$FOLLOWER
for i in 1 2 3; do
    [ "$i" = "$cut" ] || [ "$i" = "$LEADER" ] || third=$i
done
leader=$LEADER
nodes_are_level || wait_for 10 "all nodes are level" nodes_are_level
node_stop "$cut" # in order: its mark is written
nodes_kill "$leader" "$third"
python3 - "$WORK/d$cut/raft.db" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("DELETE FROM log WHERE idx > 10")
db.commit()
END

# It and one that has everything: nobody may lead, for acknowledged writes are on one of the two.
node_start "$cut"
node_start "$third"
# shellcheck disable=SC2317 # wait_for calls it
says_recovering() {
    http GET "$(url "$cut")/readyz"
    [ "$STATUS" = 503 ] && [[ $BODY == recovering* ]]
}
wait_for 10 "node $cut says that it is recovering" says_recovering
log_says "$cut" 'event=log_shorter_than_high_water' || fail "its log does not say it"
[ "$(node_field "$cut" .role)" = recovering ] || fail "its role is $(node_field "$cut" .role)"
http PUT "$(url "$third")/v1/kv/no" -d no # waits for a leader, longer than elections take
expect_status 500
[ "$(node_field "$third" .role)" != leader ] || fail "node $third leads with a shortened log's vote"

node_start "$leader"
cluster_wait
log_says "$cut" 'event=log_refilled' || fail "its log does not say that it was refilled"
for ((i = 1; i <= 40; i++)); do
    expect_get "$cut" "key-$i" "$i"
done
checksums_are_equal || fail "the nodes differ"

# All of the log is lost, and with it who the members are: the others say so, and the leader sends it.
for lost in 'UPDATE log SET frame = zeroblob(80) WHERE idx = 1' 'DELETE FROM log'; do
    nodes_are_level || wait_for 10 "all nodes are level" nodes_are_level
    node_stop "$cut"
    : >"$WORK/n$cut.log"
    python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute(sys.argv[2])
db.commit()' "$WORK/d$cut/raft.db" "$lost"
    node_start "$cut"
    cluster_wait
    log_says "$cut" 'event=log_refilled' || fail "its log does not say that it was refilled"
    expect_get "$cut" key-40 40 stale
done
wait_for 10 "all nodes are level" nodes_are_level
checksums_are_equal || fail "the nodes differ"
finish
