#!/bin/bash
# A leader that slept through its successor's election and write answers with the new value or an
# error, never with the old one, to a default and to a ?consistent read (diss. 6.4; pitfalls 97, 98);
# and to a write with the truth. The requests wait in its socket before it wakes.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 3 "${DEPOSED_FLAGS[@]}"
cluster_start
readers=4
news=0
errors=0

# shellcheck disable=SC2317 # wait_for calls it
another_leads() {
    leader_find && [ "$LEADER" != "$old" ]
}

read_later() {
    local n=$1 query=$2
    curl -s --noproxy '*' -m 20 -o "$WORK/read-$n" -w '%{http_code}' \
        "$(url "$old")/v1/kv/register?raw$query" >"$WORK/code-$n" 2>/dev/null &
    CHILDREN+=("$!")
    pids+=("$!")
}

for ((round = 1; round <= 4; round++)); do
    leader_wait
    old=$LEADER
    put "$old" register "old-$round"
    node_pause "$old"
    pid=${PID[$old]}
    unset "PID[$old]" # nobody to ask for now
    wait_for 10 "another leader" leader_find
    put "$LEADER" register "new-$round"
    pids=()
    for ((i = 0; i < readers; i++)); do
        read_later $i ''
        read_later $((readers + i)) '&consistent'
    done
    curl -s --noproxy '*' -m 20 -X PUT -d late -o "$WORK/write" -w '%{http_code}' \
        "$(url "$old")/v1/kv/late-$round" >"$WORK/write-code" 2>/dev/null &
    writer=$!
    CHILDREN+=("$writer")
    pause 0.2 # for the connections to be made
    PID[$old]=$pid
    node_resume "$old"
    wait "${pids[@]}" "$writer"
    for ((i = 0; i < 2 * readers; i++)); do
        case $(cat "$WORK/code-$i") in
        200)
            [ "$(cat "$WORK/read-$i")" = "new-$round" ] ||
                fail "round $round: the old leader answered '$(cat "$WORK/read-$i")'"
            news=$((news + 1))
            ;;
        *) errors=$((errors + 1)) ;;
        esac
    done
    cluster_wait
    if [ "$(cat "$WORK/write-code")" = 200 ]; then
        expect_get "$LEADER" "late-$round" late
    fi
done
[ $news -gt 0 ] || fail "no read was answered at all"
note "$news reads gave the new value, $errors an error, none the old one"
finish
