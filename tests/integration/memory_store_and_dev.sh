#!/bin/bash
# log-store = memory: three nodes serve, say loudly that nothing survives, leave no directory, and
# one that comes back is refused, since it forgot its vote. --dev: one node without configuration,
# whose directory is gone when it ends.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 3 --log-store memory
cluster_start
load_start 2 8 memory
load_wait memory
load_verify_all memory
for i in 1 2 3; do
    log_says $i 'level=warn.*event=log_store_memory' || fail "node $i does not warn"
    [ ! -e "$WORK/d$i" ] || fail "node $i made a directory"
done
follower_find
node_kill "$FOLLOWER"
node_start "$FOLLOWER"
# shellcheck disable=SC2317 # wait_for calls it
is_refused() {
    http GET "$(url "$FOLLOWER")/readyz"
    [ "$STATUS" = 503 ] && [[ $BODY == *"another data directory"* ]]
}
wait_for 10 "a node that forgot its vote is refused" is_refused
put "$LEADER" goes-on yes
note "$LOAD"
for i in 1 2 3; do
    node_stop $i
done

mkdir "$WORK/tmp"
TMPDIR=$WORK/tmp "$RAFTKVD" --dev --client-listen "${CLIENT[1]}" --peer-listen "${PEER[1]}" \
    >>"$WORK/n1.log" 2>&1 &
PID[1]=$!
wait_for 10 "--dev is ready" node_is_ready 1
put 1 dev yes
expect_get 1 dev yes
node_stop 1
[ -z "$(ls "$WORK/tmp")" ] || fail "--dev left $(ls "$WORK/tmp")"
finish
