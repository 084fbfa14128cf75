#!/bin/bash
# raftkv, each command against three nodes: what it prints, plain and with --json, its exit status (0 done,
# 1 the server said no, 2 usage) and its words on standard error. A line of TAP for each fact; what
# `raftkv --help` does not list is "not yet".
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

raftkv=$RK_BUILD/raftkv
tap=command_line_keeps_its_word.log.tap
facts=0 missing=
: >"$tap"

fact() {
    facts=$((facts + 1))
    echo "ok $facts - $*" >>"$tap"
}

# run STATUS ARGUMENT...: OUT and ERR are what it printed; standard input is that of the caller.
run() {
    local expected=$1 status
    shift
    "$raftkv" "$@" >"$WORK/out" 2>"$WORK/err"
    status=$?
    OUT=$(tr '\0' '?' <"$WORK/out") ERR=$(cat "$WORK/err")
    [ $status = "$expected" ] || fail "raftkv $*: exit $status, expected $expected: $OUT $ERR"
    # Whoever does well is silent on standard error; whoever does not has one line there, and nothing to print.
    if [ "$expected" = 0 ]; then
        [ -z "$ERR" ] || fail "raftkv $*: words on standard error: $ERR"
    else
        [ -z "$OUT" ] || fail "raftkv $*: exit $status, and printed $OUT"
        [[ $ERR == "raftkv: "* && $(wc -l <"$WORK/err") = 1 ]] || fail "raftkv $*: not one line of ours: $ERR"
    fi
}

# prints WHAT TEXT ARGUMENT...: exit 0, and exactly this.
prints() {
    local what=$1 text=$2
    shift 2
    run 0 "$@"
    [ "$OUT" = "$text" ] || fail "raftkv $*: printed '$OUT', expected '$text'"
    fact "$what"
}

# says WHAT STATUS WORDS ARGUMENT...: no is said, and the line holds these words.
says() {
    local what=$1 status=$2 words=$3
    shift 3
    run "$status" "$@"
    [[ $ERR == *"$words"* ]] || fail "raftkv $*: said '$ERR', expected '$words'"
    fact "$what"
}

# shows WHAT FILTER ARGUMENT...: exit 0, JSON, and jq's filter is true of it.
shows() {
    local what=$1 filter=$2
    shift 2
    run 0 "$@"
    jq -e "$filter" <"$WORK/out" >/dev/null || fail "raftkv $*: not '$filter': $OUT"
    fact "$what"
}

# built WORDS: whether the help lists them: a command, or the flag of a command.
built() {
    "$raftkv" --help | grep -q -- "raftkv ${1/ --/ .*--}" && return 0
    facts=$((facts + 1))
    missing+="${missing:+, }$1"
    echo "ok $facts - $1 # SKIP not yet: raftkv $1" >>"$tap"
    return 1
}

cluster_new 3
cluster_start
leader_wait
RAFTKV_ADDR=$(url 2)
export RAFTKV_ADDR

# -- keys --
prints "kv put is silent" '' kv put a value
prints "kv put --json prints the answer" true kv put a value --json
prints "kv get prints the bare value" value kv get a
shows "kv get --json prints the entry" '.[0].Key == "a" and .[0].Value == "dmFsdWU="' kv get a --json
says "kv get of a missing key" 1 "no such key: none" kv get none
says "kv get --json of a missing key" 1 "no such key: none" kv get none --json
prints "kv put reads standard input" '' kv put in - <<<"from standard input"
prints "what standard input held" "from standard input" kv get in
head -c 1000 /dev/urandom >"$WORK/file"
prints "kv put reads a file" '' kv put file "@$WORK/file"
run 0 kv get file
cmp -s "$WORK/out" "$WORK/file" || fail "other bytes came back"
fact "kv get prints bytes as they are"
says "kv put of a missing file" 2 "No such file" kv put file @/nonexistent
says "kv put --cas of a key that is there" 1 "the modify index of a is not 0" kv put a x --cas 0
index=$("$raftkv" kv get a --json | jq '.[0].ModifyIndex')
prints "kv put --cas with the right index" '' kv put a new --cas "$index" --flags 18446744073709551615
[[ $("$raftkv" kv get a --json) == *'"Flags":18446744073709551615'* ]] || fail "flags did not come back"
fact "kv put --flags up to the greatest"
wait_for 10 "all nodes at the same index" nodes_are_level
prints "kv get --stale" new kv get a --stale
prints "kv get --consistent" new kv get a --consistent
says "kv delete --cas with an old index" 1 "the modify index of a is not $index" kv delete a --cas "$index"
prints "kv delete of a key" '' kv delete a
prints "kv delete --json of nothing" true kv delete a --json
for key in tree/1 tree/2 'tree/sp ace'; do
    prints "kv put $key" '' kv put "$key" x
done
prints "kv list prints a key a line" $'tree/1\ntree/2\ntree/sp ace' kv list tree/
prints "kv list --json" '["tree/1","tree/2","tree/sp ace"]' kv list tree/ --json
prints "kv list of nothing" '' kv list none/
prints "kv delete --recurse" '' kv delete tree/ --recurse
prints "nothing is left of it" '' kv list tree/
# The value is gone when the TTL is over; what it says of itself is the server's.
if built 'kv put --ttl'; then
    prints "kv put --ttl" '' kv put short x --ttl 60s
    prints "it is there" x kv get short
fi
"$raftkv" kv watch w/ >"$WORK/watched" 2>&1 &
CHILDREN+=($!)
wait_for 10 "the watch to begin" grep -q start "$WORK/watched"
prints "kv put of a watched key" '' kv put w/1 x
wait_for 10 "the change" grep -q 'w/1' "$WORK/watched"
kill "${CHILDREN[-1]}"
fact "kv watch prints a change"
if built 'kv export'; then
    prints "kv put for the export" '' kv put ex/1 'one'
    run 0 kv export ex/
    cp "$WORK/out" "$WORK/export"
    prints "kv delete before the import" '' kv delete ex/ --recurse
    run 0 kv import "$WORK/export"
    prints "kv import brings back what kv export gave" one kv get ex/1
fi

# -- locks, sessions, transactions --
# shellcheck disable=SC2016 # the command's shell expands it
run 0 lock l -- sh -c 'echo "$RAFTKV_FENCE"'
[ "$OUT" -gt 0 ] || fail "no fence: $OUT"
fact "lock runs the command with its fence"
# shellcheck disable=SC2016
run 0 lock l --fence-env TOKEN -- sh -c 'echo "$TOKEN"'
fact "lock --fence-env names the variable"
"$raftkv" lock l -- sh -c 'exit 7'
[ $? = 7 ] || fail "the status of the command was lost"
fact "lock passes the status on"
says "lock with a TTL that is refused" 1 "Invalid Session TTL" lock l --ttl 1s -- true
says "lock without a command" 2 "usage: lock NAME" lock l
session=$(curl -s -X PUT "$RAFTKV_ADDR/v1/session/create" -d '{"Name":"mine","TTL":"20s"}' | jq -r .ID)
run 0 session list
[[ $OUT == *"$session"*mine* ]] || fail "session list: $OUT"
fact "session list is a line each"
shows "session list --json" "map(.ID) | index(\"$session\") != null" session list --json
run 0 session info "$session"
[[ $OUT == *"$session"*mine* ]] || fail "session info: $OUT"
fact "session info"
prints "session destroy" '' session destroy "$session"
says "session info of one that is over" 1 "no such session: $session" session info "$session"
echo '[{"KV":{"Verb":"set","Key":"t","Value":"eA=="}},{"KV":{"Verb":"get","Key":"t"}}]' >"$WORK/txn"
shows "txn prints what its operations answer" '.Results[1].KV.Value == "eA==" and .Errors == null' txn "$WORK/txn"
says "txn that is rolled back" 1 "doesn't exist" txn - <<<'[{"KV":{"Verb":"get","Key":"none"}}]'
says "txn of what is no JSON" 1 "Failed to parse body" txn - <<<'{'
says "txn of a missing file" 2 "No such file" txn /nonexistent

# -- the cluster --
run 0 status
[[ $OUT == *NODE*ROLE*n1*n2*n3* || $(grep -c '^n[123] ' "$WORK/out") = 3 ]] || fail "status: $OUT"
fact "status lists the nodes"
shows "status --json" 'length == 3 and (map(select(.role == "leader")) | length == 1)' status --json
run 0 member list
[ "$(grep -c '^n[123] .* voter ' "$WORK/out")" = 3 ] || fail "member list: $OUT"
fact "member list"
shows "member list --json" 'map(.name) | sort == ["n1", "n2", "n3"]' member list --json
says "member promote of nobody" 1 'unknown node: "n9"' member promote n9
says "member remove of nobody" 1 'unknown node: "n9"' member remove n9
says "member add without an address" 2 "usage: NODE_ID PEER_ADDR" member add n9
says "leader transfer to nobody" 1 'unknown node: "n9"' leader transfer n9
follower_find
prints "leader transfer to a follower" '' leader transfer "n$FOLLOWER"
target=$FOLLOWER
# shellcheck disable=SC2317 # wait_for calls it
leads_now() {
    leader_find && [ "$LEADER" = "$target" ]
}
wait_for 10 "the other leader" leads_now
fact "it leads"

# -- backups --
if built 'snapshot save'; then
    run 0 snapshot save "$WORK/backup"
    run 0 snapshot verify "$WORK/backup"
    run 0 snapshot inspect "$WORK/backup"
    shows "snapshot inspect --json" '.index > 0' snapshot inspect "$WORK/backup" --json
    head -c 100 "$WORK/backup" >"$WORK/cut"
    says "snapshot verify of half a file" 1 "$WORK/cut" snapshot verify "$WORK/cut"
    says "snapshot inspect of nothing" 1 /nonexistent snapshot inspect /nonexistent
fi
if built 'snapshot restore'; then
    prints "kv put after the backup" '' kv put later x
    run 0 snapshot restore "$WORK/backup"
    says "snapshot restore takes back what came later" 1 "no such key: later" kv get later
fi
if built 'inspect --data-dir'; then
    node_stop 1
    shows "inspect --data-dir of a stopped node" 'type == "object"' inspect --data-dir "$WORK/d1"
    node_start 1
    cluster_wait
fi

# -- whom it asks, and usage --
prints "--addr goes before RAFTKV_ADDR" "from standard input" kv get in --addr "$(url 3)"
RAFTKV_ADDR=http://127.0.0.1:1 says "nobody listens: a read" 1 "Failed to connect" kv get in
RAFTKV_ADDR=http://127.0.0.1:1 says "nobody listens: a write was not done" 1 "(nothing was written)" kv put in x
says "an address that is none" 2 "not an address" status --addr ftp://x
says "an unknown command" 2 "unknown command: nope" nope
says "an unknown flag" 2 "--nope" status --nope
says "no command" 2 "no command"
says "too few words" 2 "usage: KEY" kv get
says "too many words" 2 "usage: KEY" kv get a b
says "flags that exclude each other" 2 "--stale and --consistent" kv get in --stale --consistent
says "a flag of another command" 2 "--learner" kv get in --learner
says "a number that is none" 2 "--cas" kv put in x --cas x
run 0 --help
[[ $OUT == usage:* ]] || fail "help: $OUT"
fact "--help"
run 0 --version
[[ $OUT == "raftkv "[0-9]* ]] || fail "version: $OUT"
fact "--version"

echo "1..$facts" >>"$tap"
note "$facts facts${missing:+, not yet: $missing}"
finish
