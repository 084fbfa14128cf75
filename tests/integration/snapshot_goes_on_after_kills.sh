#!/bin/bash
# A snapshot is on its way to a node when the receiver is killed, then when the sender is: the
# transfer goes on from what is there, and nothing that was acknowledged is lost meanwhile. A part that
# was damaged on disk is found out and fetched anew.
# shellcheck disable=SC2317 # wait_for calls them
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# 24 values of 500 kB; a piece is 1 MiB, so at this rate the file takes some six seconds.
cluster_new 3 --snapshot-entries 20 --trailing-entries 2 --snapshot-rate 2MiB
cluster_start
follower_find
away=$FOLLOWER
node_kill "$away"
head -c 500000 /dev/urandom >"$WORK/value"
fill() {
    local i
    for ((i = 1; i <= 24; i++)); do
        http PUT "$(url "$LEADER")/v1/kv/large/$1/$i" --data-binary "@$WORK/value"
        expect_status 200
    done
}
some_arrived() {
    find "$WORK/d$1/snapshots" -name 'received-*.part' -size +2000k | grep -q .
}
leader_wait
fill 1
wait_for 10 "the leader's snapshot" log_says "$LEADER" event=taken

node_start "$away"
wait_for 20 "some of the file at node $away" some_arrived "$away"
node_kill "$away"
node_start "$away"
goes_on() {
    log_says "$1" 'event=receiving.*offset=[1-9]'
}
wait_for 20 "the transfer goes on after the receiver was killed" goes_on "$away"

# The other node has the same snapshot, byte by byte, and may finish what the first began.
wait_for 20 "more of the file at node $away" some_arrived "$away"
was=$LEADER
node_kill "$was"
leader_wait
[ "$LEADER" != "$was" ] || fail "node $was was killed and leads"
node_start "$was"
wait_for 40 "node $away has installed a snapshot" log_says "$away" event=installed
wait_for 20 "node $away ready" node_is_ready "$away"
wait_for 20 "all nodes at the same index" nodes_are_level
wait_for 10 "all nodes hold the same bytes" checksums_are_equal

# Damage in what has come: the whole is checked before it counts.
node_kill "$away"
leader_wait
fill 2
for ((i = 1; i <= 12; i++)); do
    put "$LEADER" "small/$i" x
done
# With one more to come the leader would send that one, and never finish what is damaged below.
none_is_due() {
    local newest
    newest=$(sed -n 's/.*event=taken index=\([0-9]*\).*/\1/p' "$WORK/n$1.log" | tail -n 1)
    [ "$(node_field "$1" .last_applied)" -lt $((${newest:-0} + 20)) ]
}
wait_for 10 "the last of the snapshots" none_is_due "$LEADER"
node_start "$away"
wait_for 20 "some of the file at node $away" some_arrived "$away"
node_kill "$away"
part=$(find "$WORK/d$away/snapshots" -name 'received-*.part')
printf 'X' | dd of="$part" bs=1 seek=700000 conv=notrunc 2>"$WORK/dd" || fail "dd: $(cat "$WORK/dd")"
node_start "$away"
wait_for 40 "node $away finds the damage" log_says "$away" event=not_received
wait_for 60 "node $away ready" node_is_ready "$away"
wait_for 20 "all nodes at the same index" nodes_are_level
wait_for 10 "all nodes hold the same bytes" checksums_are_equal
! find "$WORK"/d*/snapshots -name '*.part' | grep -q . || fail "a part was left"
finish
