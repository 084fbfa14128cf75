#!/bin/bash
# A data directory in use by another process, of another node or of another cluster: one line on
# standard error, exit status 1, nothing in it changed; and whoever holds it goes on.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 1
cluster_start
put 1 kept yes
other=$((PORT + 1000))
port_is_free $other || other=$((PORT + 1100))

# refuses WORDS FLAG...: a start that must fail so.
refuses() {
    local words=$1 status
    shift
    "$RAFTKVD" --client-listen "127.0.0.1:$other" --peer-listen "127.0.0.1:$((other + 1))" "$@" \
        >"$WORK/out" 2>"$WORK/err" &
    CHILDREN+=("$!")
    wait $!
    status=$?
    grep -v ' level=warn ' "$WORK/err" >"$WORK/lines"
    [ $status -eq 1 ] || fail "$words: exit status $status: $(cat "$WORK/err")"
    [ "$(wc -l <"$WORK/lines")" -eq 1 ] || fail "$words: not one line: $(cat "$WORK/err")"
    grep -q "^raftkvd: .*$words" "$WORK/lines" || fail "not '$words': $(cat "$WORK/lines")"
    note "$(cut -c 1-160 "$WORK/lines" | sed "s|$WORK|DIR|g")"
}

refuses 'in use by another process (pid '"${PID[1]}" --node-id n1 --data-dir "$WORK/d1"
expect_get 1 kept yes
put 1 kept still
node_stop 1

# What it holds: SQLite may fold its WAL in when it opens a file, which changes bytes and no row.
sum() {
    rm -rf "$WORK/copy"
    cp -r "$WORK/d1" "$WORK/copy"
    python3 -c 'import sqlite3, sys
print(*sqlite3.connect(sys.argv[1]).iterdump(), sep="\n")' "$WORK/copy/raft.db" | sha256sum
    find "$WORK/d1" -type f ! -name 'raft.db*' ! -name LOCK | sort | xargs sha256sum
}
before=$(sum)
refuses 'belongs to node n1, this is node n2' --node-id n2 --data-dir "$WORK/d1"
[ "$(sum)" = "$before" ] || fail "the directory of another node was changed"
refuses 'another peer address' --node-id n1 --data-dir "$WORK/d1"
[ "$(sum)" = "$before" ] || fail "the directory of another cluster was changed"
refuses 'none of the other members' --node-id n1 --data-dir "$WORK/d1" \
    --peer-advertise "${PEER[1]}" \
    --initial-cluster "n1=${PEER[1]},n2=127.0.0.1:$((other + 2)),n3=127.0.0.1:$((other + 3))"
[ "$(sum)" = "$before" ] || fail "the directory of another cluster was changed"

node_start 1
wait_for 10 "node 1 ready" node_is_ready 1
expect_get 1 kept still
finish
