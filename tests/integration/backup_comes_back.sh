#!/bin/bash
# A backup from any node, and back in through any node (contract case 66): all of it or nothing, also when
# the leader is killed in the middle; readers that wait are woken; what is damaged changes nothing.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

RAFTKV=$RK_BUILD/raftkv

# takes I FILE [QUERY]: GET at node I.
takes() {
    http GET "$(url "$1")/v1/snapshot${3:-}"
    expect_status 200
    [ "$(header Content-Type)" = application/x-gzip ] || fail "Content-Type $(header Content-Type)"
    [ "$(header X-Consul-Index)" -gt 1 ] || fail "X-Consul-Index $(header X-Consul-Index)"
    curl -sf --noproxy '*' -m 30 -o "$2" "$(url "$1")/v1/snapshot${3:-}" || fail "no backup"
    gzip -t "$2" || fail "not gzip"
    "$RAFTKV" snapshot verify "$2" >/dev/null || fail "a backup of node $1 is not whole"
}

# gives I FILE [CURL ARGUMENT...]: PUT at node I.
gives() {
    local to=$1 file=$2
    shift 2
    http PUT "$(url "$to")/v1/snapshot" -m $((60 * SLOW)) -T "$file" "$@"
}

# restores I FILE [CURL ARGUMENT...]: must be done. On a busy machine an election may come in between; then
# it says that nothing was changed, and is done again, as put does.
restores() {
    local try
    for try in 1 2 3 4 5; do
        gives "$@"
        [ "$STATUS" != 200 ] || return 0
        note "restore at node $1, try $try: $STATUS $BODY"
        [ "$(header X-Raftkv-Outcome)" = not-done ] || fail "outcome '$(header X-Raftkv-Outcome)'"
    done
    fail "restore at node $1: $STATUS $BODY"
}

# refused I FILE STATUS WORDS: and nothing is changed.
refused() {
    gives "$1" "$2"
    expect_status "$3"
    expect_body "$4"
    [ "$(header X-Raftkv-Outcome)" = not-done ] || fail "outcome '$(header X-Raftkv-Outcome)'"
    expect_get "$1" color green
}

cluster_new 3 --max-restore-size 64MiB
cluster_start
leader_wait
catalog_wait
put 1 color blue
put 1 app/a 1
follower_find
session=$(curl -s --noproxy '*' -X PUT -d '{"TTL": "60s"}' "$(url 1)/v1/session/create" | jq -r .ID)
http PUT "$(url 1)/v1/kv/lock?acquire=$session" -d me
fence=$(header X-Raftkv-Fence)

# Taken at each node; the same state, whoever writes it.
for i in 1 2 3; do
    takes $i "$WORK/backup$i"
done
takes "$FOLLOWER" "$WORK/stale" '?stale'
[ "$("$RAFTKV" snapshot inspect --json "$WORK/backup1" | jq -r .counts.keys)" = 3 ] || fail "not 3 keys"
[ "$("$RAFTKV" snapshot inspect --json "$WORK/backup1" | jq -r .state_digest)" = \
    "$("$RAFTKV" snapshot inspect --json "$WORK/backup2" | jq -r .state_digest)" ] || fail "digests differ"
RAFTKV_ADDR=$(url 2) "$RAFTKV" snapshot save "$WORK/saved" >/dev/null || fail "snapshot save"

# What is damaged, cut off, too large, or no backup, is refused with the reason.
put 1 color green
put 1 later x
size=$(stat -c %s "$WORK/saved")
head -c $((size / 2)) "$WORK/saved" >"$WORK/cut"
(cat "$WORK/saved" && echo more) >"$WORK/longer"
zcat "$WORK/saved" | sed 's/blue/bluE/' | gzip >"$WORK/changed"
zcat "$WORK/saved" | sed '1s/^RKSN\x01/RKSN\x02/' | gzip >"$WORK/version"
echo 'no backup' >"$WORK/text"
head -c $((80 << 20)) /dev/zero | gzip -1 >"$WORK/zeros"
refused 1 "$WORK/cut" 500 'cut off'
refused 2 "$WORK/longer" 500 'something follows its end'
refused "$FOLLOWER" "$WORK/changed" 500 'damaged'
refused 1 "$WORK/version" 500 'of a version that this one cannot read'
refused 3 "$WORK/text" 500 'not gzip'
refused 2 "$WORK/zeros" 500 'not a backup of RaftKV'
http PUT "$(url 1)/v1/snapshot" -d ''
expect_status 400

# Back in through a follower, in chunks, as Go's clients send it. Every waiting reader wakes.
waits=()
for i in 1 2 3; do
    for key in color never/there app/; do
        http GET "$(url $i)/v1/kv/$key?recurse"
        curl -s --noproxy '*' -m $((30 * SLOW)) -o /dev/null \
            "$(url $i)/v1/kv/$key?recurse&index=$(header X-Consul-Index)&wait=60s" &
        waits+=($!)
        CHILDREN+=($!)
    done
done
pause 0.3
restores "$FOLLOWER" "$WORK/saved" -H 'Transfer-Encoding: chunked'
[ -z "$BODY" ] || fail "a body: $BODY"
restored=$(header X-Consul-Index)
for pid in "${waits[@]}"; do
    wait "$pid" || fail "a reader that waited was not woken"
done
for i in 1 2 3; do
    expect_get $i color blue
    http GET "$(url $i)/v1/kv/later"
    expect_status 404
    [ "$(header X-Consul-Index)" = "$restored" ] || fail "index $(header X-Consul-Index) at node $i"
done
http PUT "$(url 2)/v1/kv/lock?acquire=$session" -d me
[ "$STATUS $BODY" = '200 true' ] || fail "the holder has lost its lock: $STATUS $BODY"
[ "$(header X-Raftkv-Fence)" -gt "$fence" ] || fail "fence $(header X-Raftkv-Fence) after $fence"
wait_for 10 "equal replicas" checksums_are_equal
note "restored at index $restored"

# The leader is killed in the middle, again and again: each time all of it is there, or nothing.
head -c 400000 /dev/urandom >"$WORK/value"
for i in $(seq 1 24); do
    put 1 "bulk/$i" "@$WORK/value"
done
put 1 color old
RAFTKV_ADDR=$(url 1) "$RAFTKV" snapshot save "$WORK/large" >/dev/null || fail "snapshot save"
done_count=0 undone_count=0
for round in 1 2; do
    http DELETE "$(url "$LEADER")/v1/kv/bulk/?recurse"
    leader_wait
    put "$LEADER" color "new$round"
    follower_find
    lines=$(grep -c 'sub=restore event=begins' "$WORK/n$FOLLOWER.log")
    (curl -s --noproxy '*' -m $((60 * SLOW)) -o "$WORK/said" -T "$WORK/large" -w '%{http_code}' \
        "$(url "$FOLLOWER")/v1/snapshot" >"$WORK/status") &
    CHILDREN+=($!)
    client=$!
    # shellcheck disable=SC2317 # wait_for calls it
    has_begun() { [ "$(grep -c 'sub=restore event=begins' "$WORK/n$FOLLOWER.log")" -gt "$lines" ]; }
    wait_for 20 "a restore that begins" has_begun
    pause "0.0$((round * 2))"
    victim=$LEADER
    node_kill "$victim"
    wait $client
    leader_wait
    status=$(cat "$WORK/status")
    http GET "$(url "$LEADER")/v1/kv/color?raw&consistent"
    expect_status 200
    color=$BODY
    http GET "$(url "$LEADER")/v1/kv/bulk/?keys&consistent"
    bulk=$(jq length <<<"${BODY:-[]}" 2>/dev/null)
    case "$status $color ${bulk:-0}" in
    "200 old 24" | "500 old 24") done_count=$((done_count + 1)) ;;
    "500 new$round 0") undone_count=$((undone_count + 1)) ;;
    *) fail "round $round: answer $status '$(cat "$WORK/said")', color $color, $bulk of 24 values" ;;
    esac
    [ "$status $color" != '500 old' ] || grep -q 'outcome unknown' "$WORK/said" ||
        fail "restored, and said not to be: $(cat "$WORK/said")"
    put "$LEADER" between "$round" # writes are taken again
    node_start "$victim"
    cluster_wait
    wait_for 20 "replicas level" nodes_are_level
    checksums_are_equal || fail "replicas differ after round $round"
done
note "$done_count restored although the leader was killed, $undone_count not at all"

finish
