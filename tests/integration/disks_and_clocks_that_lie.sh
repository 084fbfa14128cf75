#!/bin/bash
# A disk that hangs, one that turns read-only, a database put back from an old copy, clocks that jump:
# what one node has to bear costs the cluster neither its leader for long nor an acknowledged write.
# shellcheck disable=SC2317 # wait_for calls them
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

ELECTION_MS=800
SHIM=$RK_BUILD/tests/integration/faults/shim.so
[ -f "$SHIM" ] || skip "no $SHIM"
[ "$SLOW" = 1 ] || skip "a sanitizer wants to be loaded before anything else"

# shim I WALL_S STEADY_S SYNC_S: what node I's clocks are ahead by, and what a sync takes longer.
shim() {
    python3 - "$WORK/shim$1" "$2" "$3" "$4" <<'END' || fail "the shim of node $1"
import struct, sys
path, seconds = sys.argv[1], [int(float(text) * 1000000) for text in sys.argv[2:]]
with open(path, "r+b") as file:
    used = 1 - struct.unpack("<Q", file.read(8))[0]
    file.seek(8 + used * 40)
    file.write(struct.pack("<5q", seconds[0], seconds[1], 0, 0, seconds[2]))
    file.flush()
    file.seek(0)
    file.write(struct.pack("<Q", used))
END
}

cluster_new 3 --election-timeout "${ELECTION_MS}ms" --heartbeat-interval 100ms
for i in 1 2 3; do
    head -c 88 /dev/zero >"$WORK/shim$i"
    WRAP[$i]="env LD_PRELOAD=$SHIM RK_SHIM=$WORK/shim$i"
done
disk=
if [ "$(id -u)" -eq 0 ] && command -v mkfs.ext4 >/dev/null; then
    truncate -s 64M "$WORK/image"
    mkfs.ext4 -q -F "$WORK/image"
    mkdir "$WORK/disk"
    if mount -o loop "$WORK/image" "$WORK/disk"; then
        disk=$WORK/disk
        MOUNTS+=("$disk")
        EXTRA[3]="--data-dir $disk/data"
    fi
fi
cluster_start
put 1 before 1

another_leads() {
    leader_find && [ "$LEADER" != "$1" ]
}
level() {
    cluster_wait
    wait_for 20 "all nodes are level" nodes_are_level
    checksums_are_equal || fail "the nodes differ"
}

# -- a leader whose disk hangs: it gives up within three election timeouts (F9) --
leader_wait
old=$LEADER
shim "$old" 0 0 60
began=$(now_ms)
http PUT "$(url "$old")/v1/kv/hangs" -d 1 -m 1 # its fate is open
wait_for 10 "another leader" another_leads "$old"
gave_up=$(grep 'event=role role=follower .*leader=""' "$WORK/n$old.log" | tail -n 1 | grep -o '^time=[^ ]*')
took=$(($(date -d "${gave_up#time=}" +%s%3N) - began))
note "the leader gave up after $took ms"
[ "$took" -le $((3 * ELECTION_MS)) ] || fail "the leader gave up after $took ms only"
[ "$took" -ge $ELECTION_MS ] || fail "the leader gave up after $took ms: not because of its disk"
put "$LEADER" during 2
shim "$old" 0 0 0
level
expect_get "$old" during 2

# -- clocks --
http PUT "$(url 1)/v1/session/create" -d '{"TTL": "60s"}'
session=$(jq -r .ID <<<"$BODY")
session_lives() {
    http GET "$(url 1)/v1/session/info/$session"
    [ "$(jq length <<<"$BODY")" = 1 ]
}
leader_wait
term=$(node_field "$LEADER" .term)
for i in 1 2 3; do # the clocks of the wall: nothing is measured by them
    shim "$i" $((i % 2 == 0 ? 86400 : -86400)) 0 0
done
put 1 wall 3
session_lives || fail "a session with 60 s to live ended by the wall's clock"
[ "$(node_field 1 .term)" = "$term" ] || fail "the clock of the wall cost an election"
follower_find
shim "$FOLLOWER" 0 600 0 # a machine that slept: it asks before it disturbs
put 1 slept 4
level
leader_wait
shim "$LEADER" 0 600 0
put 1 leader-slept 5
level
for key in before:1 during:2 wall:3 slept:4 leader-slept:5; do
    expect_get 1 "${key%:*}" "${key#*:}"
done

# -- a database put back from an old copy, beside the mark of now --
follower_find
[ "$FOLLOWER" != 3 ] || for FOLLOWER in 1 2; do [ "$FOLLOWER" = "$LEADER" ] || break; done
node_stop "$FOLLOWER"
cp "$WORK/d$FOLLOWER/raft.db" "$WORK/old.db"
node_start "$FOLLOWER"
cluster_wait
for ((i = 1; i <= 20; i++)); do
    put 1 "later$i" "$i"
done
wait_for 10 "all nodes are level" nodes_are_level
node_stop "$FOLLOWER"
cp "$WORK/old.db" "$WORK/d$FOLLOWER/raft.db"
rm -f "$WORK/d$FOLLOWER/raft.db-wal"
node_start "$FOLLOWER"
level
log_says "$FOLLOWER" event=log_shorter_than_high_water || fail "the old copy was not noticed"
log_says "$FOLLOWER" event=log_refilled || fail "the old copy was not refilled"

# -- a file system that turns read-only --
[ -n "$disk" ] || { note "no file system of its own: needs root and ext4"; finish; }
mount -o remount,abort "$disk" || fail "remount"
put 1 read-only 6
node_wait 3
[ "$ENDED" = 3 ] || fail "the node on a read-only disk ended with $ENDED"
log_says 3 event=storage_failed || fail "no line that says so"
wait_for 15 "the others lead" leader_find
put 1 read-only 7
node_start 3
node_wait 3
[ "$ENDED" = 1 ] || fail "the start on a read-only disk ended with $ENDED"
tail -n 1 "$WORK/n3.log" | grep -q '^raftkvd: ' || fail "no line that says why"
note "$(tail -n 1 "$WORK/n3.log" | sed "s|$WORK|DIR|g")"
umount "$disk" || fail "umount"
mount -o loop "$WORK/image" "$disk" || fail "mount"
node_start 3
level
expect_get 3 read-only 7
finish
