#!/bin/bash
# A node whose newest snapshot is damaged starts from the one before where the log reaches back to it.
# Where it does not, a node that is alone says so and does not start; a member of a cluster comes up,
# neither votes nor serves, and says so until its leader has healed it. A damaged entry of the log is
# healed the same way. Nobody serves from damage.
# shellcheck disable=SC2317 # wait_for calls them
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

three_taken() {
    [ "$(grep -c event=taken "$WORK/n1.log")" -ge 3 ]
}

# fill TRAILING: a node of its own with a few snapshots, stopped.
fill() {
    local i
    cluster_new 1 --snapshot-entries 20 --trailing-entries "$1"
    rm -rf "$WORK/d1"
    : >"$WORK/n1.log"
    cluster_start
    for ((i = 1; i <= 70; i++)); do
        put 1 "key$i" "$i"
    done
    wait_for 10 "three snapshots" three_taken
    node_stop 1
}

# sql I STATEMENT: on the database of a node that is down; prints what it gives.
sql() {
    python3 - "$WORK/d$1/raft.db" "$2" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for row in db.execute(sys.argv[2]):
    print(row[0])
db.commit()
END
}

snapshots_of() {
    find "$WORK/d$1/snapshots" -name '*.rks' | sort
}

# damage I FILE...: a byte of each.
damage() {
    local file
    for file in "${@:2}"; do
        printf 'X' | dd of="$file" bs=1 seek=200 conv=notrunc 2>"$WORK/dd" ||
            fail "dd: $(cat "$WORK/dd")"
    done
}

newest_of() {
    snapshots_of "$1" | tail -n 1
}

# The log begins in the middle and reaches back to the snapshot before the newest: neither the log
# alone nor the newest snapshot could have given the state.
fill 30
[ "$(sql 1 'SELECT min(idx) FROM log')" -gt 1 ] || fail "the log was not cut"
[ "$(snapshots_of 1 | wc -l)" -ge 2 ] || fail "there is no snapshot before the newest"
damage 1 "$(newest_of 1)"
: >"$WORK/n1.log"
node_start 1
wait_for 15 "the node ready" node_is_ready 1
log_says 1 event=damaged || fail "the damage was not seen"
loaded=$(grep -o 'event=loaded index=[0-9]*' "$WORK/n1.log" | grep -o '[0-9]*$')
damaged=$(grep -o 'event=damaged index=[0-9]*' "$WORK/n1.log" | grep -o '[0-9]*$')
[ "$loaded" -lt "$damaged" ] || fail "loaded $loaded, damaged $damaged"
for i in 1 35 70; do
    expect_get 1 "key$i" "$i"
done
node_stop 1

fill 2
damage 1 "$(newest_of 1)"
node_start 1
node_wait 1
[ "$ENDED" = 1 ] || fail "the node ended with $ENDED"
grep -q 'raftkvd: snapshots: .*the log begins after entry' "$WORK/n1.log" ||
    fail "no line that says so: $(tail -n 1 "$WORK/n1.log")"

# In a cluster the leader has what is lost.
rm -rf "$WORK"/d*
: >"$WORK/n1.log"
cluster_new 3 --snapshot-entries 20 --trailing-entries 2
cluster_start
for ((i = 1; i <= 70; i++)); do
    put 1 "key$i" "$i"
done
nodes_are_level || wait_for 10 "all nodes are level" nodes_are_level
follower_find
hurt=$FOLLOWER
for i in 1 2 3; do
    [ "$i" = "$hurt" ] || [ "$i" = "$LEADER" ] || third=$i
done
leader=$LEADER
node_stop "$hurt"
nodes_kill "$leader" "$third"
mapfile -t all < <(snapshots_of "$hurt")
damage "$hurt" "${all[@]}"

says_recovering() {
    http GET "$(url "$hurt")/readyz"
    [ "$STATUS" = 503 ] && [[ $BODY == recovering* ]]
}
# It and one that has everything: no leader may come of the two, at the first start nor at the second.
node_start "$third"
for i in 1 2; do
    node_start "$hurt"
    wait_for 10 "node $hurt says that it is recovering" says_recovering
    [ "$(node_field "$hurt" .role)" = recovering ] || fail "its role is $(node_field "$hurt" .role)"
    http GET "$(url "$hurt")/v1/kv/key1?raw&stale" # waits for a leader, longer than elections take
    expect_status 500
    [ "$(node_field "$third" .role)" != leader ] || fail "node $third leads by a damaged node's vote"
    node_kill "$hurt"
done
log_says "$hurt" 'event=damage_found' || fail "its log does not say what it found"
node_start "$hurt"
node_start "$leader"
cluster_wait
log_says "$hurt" 'event=installed' || fail "no snapshot was installed"
log_says "$hurt" 'event=log_refilled' || fail "its log does not say that it was refilled"
checksums_are_equal || fail "the nodes differ"
for i in 1 35 70; do
    expect_get "$hurt" "key$i" "$i" stale
done

# A row in the middle of the log, and then the last.
for row in 'SELECT max(idx) - 2 FROM log' 'SELECT max(idx) FROM log'; do
    put 1 "more" "$row"
    put 1 "yet-more" "$row"
    wait_for 10 "all nodes are level" nodes_are_level
    node_stop "$hurt"
    : >"$WORK/n$hurt.log"
    sql "$hurt" "UPDATE log SET frame = zeroblob(80) WHERE idx = ($row)"
    node_start "$hurt"
    cluster_wait
    wait_for 10 "all nodes are level" nodes_are_level
    log_says "$hurt" 'event=damage_found' || fail "its log does not say what it found"
    # Where its newest snapshot stands for all that the log held, nothing is missing.
    log_says "$hurt" 'event=log_refilled' || log_says "$hurt" 'event=log_gives_way_to_snapshot' ||
        fail "its log does not say that it was refilled"
    checksums_are_equal || fail "the nodes differ"
done
finish
