#!/bin/bash
# raftkv inspect prints a stopped node's log, hard state and snapshots as JSON, changes nothing, and keeps
# away from a node that runs.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

RAFTKV=$RK_BUILD/raftkv

# of FILTER: what jq says of the output.
of() {
    jq -r "$1" "$WORK/out"
}

inspects() {
    "$RAFTKV" inspect --data-dir "$WORK/d1" >"$WORK/out" 2>"$WORK/err" || fail "inspect: $(cat "$WORK/err")"
}

everything() {
    (cd "$WORK/d1" && find . -type f -exec sha256sum {} + | sort -k 2)
}

cluster_new 1 --snapshot-entries 40 --trailing-entries 10
cluster_start
cluster=$(node_field 1 .cluster_id)
for i in $(seq 60); do
    put 1 "key/$i" "value $i"
done
# shellcheck disable=SC2317 # wait_for calls it
has_snapshot() { compgen -G "$WORK/d1/snapshots/snap-*.rks" >/dev/null; }
wait_for 10 "a snapshot" has_snapshot
head -c 2000 /dev/zero | tr '\0' x >"$WORK/long"
http PUT "$(url 1)/v1/kv/long" -T "$WORK/long"
expect_status 200
"$RAFTKV" inspect --data-dir "$WORK/d1" >"$WORK/out" 2>"$WORK/err" && fail "a running node was inspected"
grep -q 'in use by another process' "$WORK/err" || fail "it said: $(cat "$WORK/err")"
node_kill 1 # so that the WAL is not folded in

before=$(everything)
inspects
[ "$(everything)" = "$before" ] || fail "something in the directory has changed"
[ "$(of .node)" = n1 ] || fail "node $(of .node)"
[ "$(of .configuration.cluster_id)" = "$cluster" ] || fail "cluster $(of .configuration.cluster_id)"
[ "$(of '.log.entries[-1].command.type')" = put ] || fail "the last entry is $(of '.log.entries[-1]')"
[ "$(of '.log.entries[-1].command | .key + " " + (.value_size | tostring) + " " + (.value | length | tostring)')" = \
    'long 2000 256' ] || fail "the last entry is $(of '.log.entries[-1]')"
[ "$(of '.log.entries[-1].index')" = "$(of .log.last_index)" ] || fail "last_index $(of .log.last_index)"
[ "$(of '.log.entries | length')" = "$(($(of .log.last_index) - $(of .log.base_index)))" ] || fail "not all entries"
[ "$(of '.snapshots[-1].whole')" = true ] || fail "the snapshot: $(of '.snapshots[-1]')"
[ "$(of .hard_state.term)" -ge 1 ] || fail "hard state: $(of .hard_state)"
[ "$(of .high_water.log_reaches_it)" = true ] || fail "mark: $(of .high_water)"

# Damage is said where it is.
for file in "$WORK"/d1/snapshots/snap-*.rks; do :; done
printf 'X' | dd of="$file" bs=1 seek=100 conv=notrunc status=none
inspects
[ "$(of '.snapshots[-1].whole')" = false ] || fail "a damaged snapshot is called whole"
"$RAFTKV" inspect --data-dir "$WORK" 2>"$WORK/err" && fail "no data directory was inspected"
grep -q 'no raft.db' "$WORK/err" || fail "it said: $(cat "$WORK/err")"

finish
