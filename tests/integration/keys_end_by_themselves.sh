#!/bin/bash
# Keys with a time to live on three nodes, through an election, a snapshot and a restart: none ends
# early, all end soon after, on every node by the same entry. Then listings in pages, and a file of keys
# that goes out at one node and in at another.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

TTL_S=5
STORM=3000
RAFTKV=$RK_BUILD/raftkv

# is_gone I KEY: node I's own state has it no more.
is_gone() {
    http GET "$(url "$1")/v1/kv/$2?stale"
    [ "$STATUS" = 404 ]
}

# keys_are I PREFIX COUNT, as node I's command says.
keys_are() {
    [ "$("$RAFTKV" kv list "$2" --addr "$(url "$1")" | wc -l)" = "$3" ]
}

cluster_new 3 --snapshot-entries 100 --trailing-entries 10
cluster_start
leader_wait
follower_find
witness=$((6 - LEADER - FOLLOWER)) # stays up
curl -sN --noproxy '*' "$(url "$witness")/v1/watch/life" >"$WORK/events" &
CHILDREN+=($!)

begun=$(now_ms)
http PUT "$(url "$FOLLOWER")/v1/kv/life?ttl=${TTL_S}s" -d x
[ "$STATUS $BODY" = "200 true" ] || fail "the put: $STATUS $BODY"
http PUT "$(url "$FOLLOWER")/v1/kv/stays?ttl=1s" -d x
http PUT "$(url "$FOLLOWER")/v1/kv/stays" -d y
[ "$STATUS $BODY" = "200 true" ] || fail "the put that makes it stay: $STATUS $BODY"

# A state out of a snapshot knows when it ends, too; and so does the next leader.
for ((i = 0; i < 110; i++)); do
    put "$LEADER" "fill/$i" "$i"
done
node_kill "$FOLLOWER"
node_start "$FOLLOWER"
wait_for 30 "the follower to be back" node_is_ready "$FOLLOWER"
old=$LEADER
node_kill "$LEADER"
leader_wait

until is_gone "$LEADER" life; do
    [ $(($(now_ms) - begun)) -lt $(((TTL_S + 10 * SLOW) * 1000)) ] || fail "it does not end"
    pause
done
lived=$(($(now_ms) - begun))
[ "$lived" -ge $((TTL_S * 1000)) ] || fail "ended after only $lived ms"
node_start "$old"
cluster_wait
for i in 1 2 3; do
    wait_for 10 "node $i to have ended it" is_gone $i life
    expect_get $i stays y
done
wait_for 10 "equal states" checksums_are_equal
note "lived $lived ms of $((TTL_S * 1000)), an election, a snapshot and a restart among them"
follower_find
wait_for 10 "its end in the stream" grep -q '"Cause":"expire"' "$WORK/events"

# Many at once: they end in slices, and writes go on between.
for ((i = 0; i < STORM; i++)); do
    echo "url = \"$(url "$FOLLOWER")/v1/kv/storm/$i?ttl=2s\""
    echo 'upload-file = "/dev/null"'
    echo 'output = "/dev/null"'
done >"$WORK/storm"
curl -sZ --parallel-max 50 --noproxy '*' -K "$WORK/storm" 2>/dev/null || fail "not all were written"
wait_for 20 "the storm to end" keys_are "$FOLLOWER" storm/ 0
put "$FOLLOWER" after storm

# Pages, each command one.
after='' pages=0 listed=0
while :; do
    "$RAFTKV" kv list fill/ --limit 40 --start-after "$after" --addr "$(url "$FOLLOWER")" \
        >"$WORK/page" 2>"$WORK/more" || fail "a page: $(cat "$WORK/more")"
    listed=$((listed + $(wc -l <"$WORK/page"))) pages=$((pages + 1))
    grep -q 'more keys follow' "$WORK/more" || break
    after=$(tail -n 1 "$WORK/page")
done
[ "$pages $listed" = "3 110" ] || fail "$pages pages with $listed keys"

# Out and in again.
"$RAFTKV" kv put 'fill/odd "<é>"' 'a b' --flags 18446744073709551615 --addr "$(url "$FOLLOWER")" ||
    fail "kv put"
"$RAFTKV" kv export --addr "$(url "$FOLLOWER")" >"$WORK/file" || fail "kv export"
"$RAFTKV" kv delete --recurse '' --addr "$(url "$LEADER")" || fail "kv delete"
"$RAFTKV" kv import "$WORK/file" --addr "$(url "$FOLLOWER")" || fail "kv import"
"$RAFTKV" kv export --addr "$(url "$LEADER")" | cmp - "$WORK/file" || fail "what came back differs"
keys_are "$LEADER" fill/ 111 || fail "not all keys came back"
finish
