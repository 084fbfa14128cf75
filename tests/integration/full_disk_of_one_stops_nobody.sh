#!/bin/bash
# Three nodes, one of them on a file system that fills up under load until nothing is left: the
# cluster goes on without losing a write, whether or not that one leads, and it is level again when
# it has room. Needs root.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || skip "mounting a small file system needs root"
mkdir "$WORK/disk"
mount -t tmpfs -o size=24m raftkv-it "$WORK/disk" || skip "cannot mount a tmpfs here"
MOUNTS+=("$WORK/disk")

cluster_new 3
follower=3
EXTRA[3]="--data-dir $WORK/disk/data"
node_start 1
node_start 2
node_start 3
cluster_wait
if [ "$LEADER" = 3 ]; then
    node_stop 3
    leader_wait
    node_start 3
    cluster_wait
fi
[ "$LEADER" != 3 ] || fail "node 3 leads again"

load_start 4 8 filling
head -c 64M /dev/zero >>"$WORK/disk/filler" 2>/dev/null
load_wait filling
[ "${LOAD_COUNT[acknowledged]}" -gt 100 ] || fail "the cluster did not go on: $LOAD"
if ! node_runs $follower; then
    node_wait $follower
    [ "$ENDED" -eq 3 ] || fail "the full disk ended node $follower with $ENDED"
    log_says $follower 'storage_failed' || fail "its log does not say why it ended"
    ended=" (it ended by itself, with status 3, and was started again)"
fi
rm "$WORK/disk/filler"
node_runs $follower || node_start $follower
load_verify_all filling
note "$LOAD${ended:-}"
finish
