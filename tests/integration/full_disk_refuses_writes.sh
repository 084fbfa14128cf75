#!/bin/bash
# A real file system of 32 MiB that fills up (design §3, ballast and soft limit; pitfall 55): writes are
# refused as not done and the answer names the disk, reads go on, nothing acknowledged is lost, not
# by a restart on the full disk either, and service resumes when there is room. Needs root.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || skip "mounting a small file system needs root"
mkdir "$WORK/disk"
mount -t tmpfs -o size=32m raftkv-it "$WORK/disk" || skip "cannot mount a tmpfs here"
MOUNTS+=("$WORK/disk")

cluster_new 1
EXTRA[1]="--data-dir $WORK/disk/data"
cluster_start
load_start 2 4 before
load_wait before

# shellcheck disable=SC2317 # wait_for calls it
is_refused() {
    http PUT "$(url 1)/v1/kv/full" -d no
    [ "$STATUS" = 500 ] && [[ $BODY == *disk* ]]
}
# shellcheck disable=SC2317 # wait_for calls it
is_taken() {
    http PUT "$(url 1)/v1/kv/room" -d yes
    [ "$STATUS $BODY" = '200 true' ]
}

# fill BYTES: leaves about so many free.
fill() {
    local free
    free=$(df --output=avail -B1 "$WORK/disk" | tail -n 1)
    [ "$free" -le "$1" ] || head -c $((free - $1)) /dev/zero >>"$WORK/disk/filler" 2>/dev/null
}

fill 1500000
wait_for 10 "writes are refused" is_refused
[ "$(header X-Raftkv-Outcome)" = not-done ] || fail "outcome: $HEADERS"
log_says 1 'event=nearly_full' || fail "the log does not say that the disk is nearly full"
[ "$(node_field 1 .disk_nearly_full)" = true ] || fail "its status does not say so"
load_verify before 1
http PUT "$(url 1)/v1/kv/refused" -d no
expect_status 500
http GET "$(url 1)/v1/kv/refused"
expect_status 404

rm "$WORK/disk/filler"
wait_for 10 "writes are taken again" is_taken
log_says 1 'event=has_room_again' || fail "the log does not say that there is room again"

fill 1500000
wait_for 10 "writes are refused" is_refused
fill 0
load_verify before 1
node_kill 1
fill 0
node_start 1
wait_for 15 "reads after a restart on the full disk" get_is 1 room yes
load_verify before 1
fill 1500000 # a start folds the WAL into the file, which may make room
wait_for 10 "writes are refused" is_refused
fill 0
http PUT "$(url 1)/v1/kv/refused" -d no
expect_status 500
[ "$(header X-Raftkv-Outcome)" = not-done ] || fail "outcome: $HEADERS"

rm "$WORK/disk/filler"
wait_for 10 "writes are taken again" is_taken
node_stop 1
node_start 1
wait_for 10 "node 1 ready" node_is_ready 1
load_verify before 1
note "$VERIFIED"
finish
