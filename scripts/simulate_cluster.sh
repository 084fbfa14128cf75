#!/bin/bash
# simulate_cluster.sh [--keep] -- from a bare Debian 12 to a three-node cluster that takes writes,
# loses its leader to kill -9 under load, and goes on with every acknowledged write; then proves it
# by reading everything back from every node. Exit 0: all of it held. Leaves nothing behind but
# build/; with --keep the cluster stays up, and how to reach and to stop it is printed.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. scripts/lib.sh

keep=
case ${1:-} in
'') ;;
--keep) keep=yes ;;
*) die "usage: simulate_cluster.sh [--keep]" ;;
esac

scripts/bootstrap.sh
tree_build
set +e # from here on, what fails says so itself
export RK_BUILD=$PWD/build
# shellcheck source-path=SCRIPTDIR source=../tests/integration/lib.sh
. tests/integration/lib.sh
data=$PWD/tests/data/keys
began=$(now_ms)

since() {
    local ms=$(($(now_ms) - $1))
    printf '%d.%02d s' $((ms / 1000)) $((ms % 1000 / 10))
}

status_show() {
    "$RK_BUILD/raftkv" status --addr "$(url "$1")" | sed 's/^/   /'
}

# One curl puts or gets every file: one connection, and no process for each.
curl_all() {
    jq -rR --arg base "$(url "$2")/v1/kv/" --arg data "$data/" --arg back "$WORK/back/" \
        --arg direction "$1" '
        def quoted: "\"" + gsub("(?<special>[\"\\\\])"; "\\\(.special)") + "\"";
        . as $file | ($base + (@uri | gsub("%2F"; "/"))) as $url |
        if $direction == "put"
        then "upload-file = \($data + $file | quoted)\nurl = \($url | quoted)\nwrite-out = \"\\n\""
        else "output = \($back + $file | quoted)\nurl = \($url + "?raw&stale" | quoted)"
        end + "\nsilent\nfail\ngloboff\npath-as-is\nnoproxy = \"*\"\nnext"' \
        "$WORK/files" | sed '$d' | curl --fail-early -K -
}

# -- start --

say "three nodes, each with its own disk, on loopback"
cluster_new 3
started=$(now_ms)
cluster_start
first=$LEADER
echo "   n$first leads after $(since "$started"); every node is ready"
status_show 1

# -- data --

(cd "$data" && find . -type f | sed 's|^\./||' | LC_ALL=C sort) >"$WORK/files"
files=$(wc -l <"$WORK/files")
say "loading $files keys ($(du -sb "$data" | awk '{ printf "%.1f", $1 / 1e6 }') MB) with curl, through a follower"
follower_find
loading=$(now_ms)
curl_all put "$FOLLOWER" >"$WORK/answers" || fail "curl could not load all keys"
[ "$(grep -cx true "$WORK/answers")" -eq "$files" ] ||
    fail "only $(grep -cx true "$WORK/answers") of $files writes were acknowledged"
echo "   all acknowledged in $(since "$loading"), one after the other"

# -- the leader dies --

say "8 clients write through all nodes; kill -9 of the leader, n$first"
load_start 6 8 written
wait_for 10 "300 acknowledged writes" acknowledged_are written 300
killed=$(now_ms)
node_kill "$first"
wait_for 10 "a new leader" leader_find
echo "   n$LEADER leads $(since "$killed") after the kill"
node_start "$first"
restarted=$(now_ms)
wait_for 10 "n$first ready again" node_is_ready "$first"
echo "   n$first is back and ready $(since "$restarted") after its restart"
load_wait written
echo "   ${LOAD_COUNT[acknowledged]} writes acknowledged, ${LOAD_COUNT[refused]} refused," \
    "${LOAD_COUNT[unknown]} without a known outcome;"
echo "   the longest time without an acknowledged write: ${LOAD_COUNT[gap_ms]} ms"

# -- proof --

say "reading everything back"
load_verify_all written
echo "   all ${LOAD_COUNT[acknowledged]} acknowledged writes are on all three nodes, no refused one is"
for i in 1 2 3; do
    rm -rf "$WORK/back"
    (cd "$data" && find . -type d -exec mkdir -p "$WORK/back/{}" \;)
    curl_all get "$i" || fail "n$i does not give all keys back"
    diff -r "$data" "$WORK/back" >"$WORK/diff" || fail "n$i: $(head -n 3 "$WORK/diff")"
done
echo "   all $files files come back from each node byte by byte"
echo "   all three hold the same bytes: sha256 of the whole listing $(node_checksum 1 | cut -c 1-16)..."
status_show 1

if [ -n "$keep" ]; then
    trap - EXIT
    say "the cluster stays up"
    for i in 1 2 3; do
        echo "   $(url $i)   log: $WORK/n$i.log"
    done
    echo "   try:  RAFTKV_ADDR=$(url 1) $RK_BUILD/raftkv status"
    echo "   stop: kill ${PID[*]} && rm -r $WORK"
    exit 0
fi
for i in 1 2 3; do
    node_stop $i
done
[ -z "$(reports)" ] || fail "a node reported a fault"
say "it held; $(since "$began") without the build, and nothing is left behind"
