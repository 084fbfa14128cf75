#!/bin/bash
# Two of three are gone for good: raftkv recover makes the third a cluster of its own, which has all that
# its log held. Former members that come back after all, and it, refuse each other; emptied, they join.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

RAFTKV=$RK_BUILD/raftkv

# refuses WORDS FLAG...: recover says no, and why.
refuses() {
    local words=$1 said
    shift
    said=$("$RAFTKV" recover "$@" 2>&1) && fail "recover did it: $*"
    case $said in
    *"$words"*) ;;
    *) fail "recover said '$said', not '$words'" ;;
    esac
}

# Whichever of the former members speaks to node 1: who follows may never have to.
# shellcheck disable=SC2317 # wait_for calls it
one_was_refused() {
    log_says 2 'event=refused_by_peer' || log_says 3 'event=refused_by_peer'
}

cluster_new 3 --snapshot-entries 60 --trailing-entries 10
cluster_start
for i in $(seq 100); do
    put 1 "key/$i" "$i"
done
wait_for 10 "replicas level" nodes_are_level
cluster=$(node_field 1 .cluster_id)
refuses 'in use by another process' --data-dir "$WORK/d1" --cluster-id "$cluster"
nodes_kill 1 2 3
refuses 'not of the one that was named' --data-dir "$WORK/d1" \
    --cluster-id 00000000000000000000000000000001
refuses 'no raft.db' --data-dir "$WORK/nothing" --cluster-id "$cluster"
[ ! -e "$WORK/nothing" ] || fail "a directory was made"
echo 'differs 64' >"$WORK/d1/differs"
refuses 'to differ from the others' --data-dir "$WORK/d1" --cluster-id "$cluster"
rm "$WORK/d1/differs"

"$RAFTKV" recover --data-dir "$WORK/d1" --cluster-id "$cluster" >"$WORK/out" 2>"$WORK/err" ||
    fail "recover: $(cat "$WORK/err")"
grep -q 'WARNING: never start the other 2 former members' "$WORK/err" || fail "no warning: $(cat "$WORK/err")"
refuses 'not of the one that was named' --data-dir "$WORK/d1" --cluster-id "$cluster" # once is enough

three=$INITIAL
INITIAL=n1=${PEER[1]}
node_start 1
cluster_wait
[ "$(node_field 1 .cluster_id)" != "$cluster" ] || fail "the cluster id is the former one"
for i in 1 50 100; do
    expect_get 1 "key/$i" "$i"
done
put 1 after recovery
node_kill 1
node_start 1
cluster_wait
expect_get 1 after recovery

# Those that were lost come back: a majority of the former cluster, which knows nothing of it.
INITIAL=$three
node_start 2
node_start 3
wait_for 20 "node 2 ready" node_is_ready 2
wait_for 20 "a former member refused by node 1" one_was_refused
[ "$(node_field 2 .cluster_id)" = "$cluster" ] || fail "node 2 is of another cluster"
http GET "$(url 2)/v1/kv/after"
expect_status 404
put 1 after again
expect_get 1 after again
[ "$(node_field 1 .role)" = leader ] || fail "node 1 does not lead"

# Emptied, they are members.
nodes_kill 2 3
for i in 2 3; do
    rm -rf "$WORK/d$i"
    JOIN[$i]=${PEER[1]}
    node_start $i
    member_add $i 1
    wait_for 20 "node $i votes" voters_are 1 $i
done
cluster_wait
expect_get 3 after again
expect_get 2 key/77 77
wait_for 10 "replicas level" nodes_are_level
checksums_are_equal || fail "replicas differ"

finish
