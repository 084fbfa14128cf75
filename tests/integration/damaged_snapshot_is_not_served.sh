#!/bin/bash
# A node whose newest snapshot is damaged starts from the one before where the log reaches back to it,
# and otherwise says so and does not start: it never serves from damage.
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

damage_newest() {
    local file
    file=$(find "$WORK/d1/snapshots" -name '*.rks' | sort | tail -n 1)
    printf 'X' | dd of="$file" bs=1 seek=200 conv=notrunc 2>"$WORK/dd" || fail "dd: $(cat "$WORK/dd")"
}

fill 1000
damage_newest
node_start 1
wait_for 15 "the node ready" node_is_ready 1
log_says 1 event=damaged || fail "the damage was not seen"
for i in 1 35 70; do
    expect_get 1 "key$i" "$i"
done
node_stop 1

fill 2
damage_newest
node_start 1
node_wait 1
[ "$ENDED" = 1 ] || fail "the node ended with $ENDED"
grep -q 'raftkvd: snapshots: .*the log begins after entry' "$WORK/n1.log" ||
    fail "no line that says so: $(tail -n 1 "$WORK/n1.log")"
finish
