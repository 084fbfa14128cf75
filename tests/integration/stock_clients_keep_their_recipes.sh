#!/bin/bash
# Debian's python3-consul and the npm package consul, as they come, on three nodes whose leader is killed
# KILLS times meanwhile: the lock, the elected leader, the semaphore, and CHANGES watched changes
# (tests/clients). Before that, what the two clients call, each once. Lines of TAP go beside the log.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

kills=${KILLS:-2}
changes=${CHANGES:-$((1000 / SLOW))}
clients=$(cd "$(dirname "$0")/../clients" && pwd)
tap=stock_clients_keep_their_recipes.log.tap
export PYTHONDONTWRITEBYTECODE=1 NO_PROXY='*' no_proxy='*'
number=0
: >"$tap"

tap_line() {
    number=$((number + 1))
    echo "ok $number - $*" >>"$tap"
}

# smoke CLIENT COMMAND...: what it calls, at each node; its lines are "ok - WHAT".
smoke() {
    local client=$1 out line
    shift
    for ((i = 1; i <= COUNT; i++)); do
        out=$("$@" "${CLIENT[$i]}" 2>&1) || fail "$client at node $i: $out"
        while read -r line; do
            tap_line "$client at node $i: ${line#ok - }"
        done < <(grep '^ok - ' <<<"$out")
    done
}

# count_is FILE N: the referee has counted so far, or has ended.
# shellcheck disable=SC2317 # wait_for calls it
count_is() {
    [ "$(cat "$WORK/$1" 2>/dev/null || echo 0)" -ge "$2" ] || ! kill -0 "$referee" 2>/dev/null
}

# background NAME COMMAND...: its process in STARTED.
background() {
    local name=$1
    shift
    "$@" >"$WORK/$name.out" 2>&1 {PAUSE_FD}>&- &
    STARTED=$!
    CHILDREN+=("$STARTED")
}

python=/usr/bin/python3
$python -c 'import consul' 2>/dev/null || skip "python3-consul is not installed"
npm_missing=
npm_at=$RK_BUILD/tests/clients/npm
npm_missing=$("$clients/install.sh" "$npm_at") || [ -n "$npm_missing" ] || npm_missing="it cannot be installed"
export NODE_PATH=$npm_at/node_modules

cluster_new 3 --session-ttl-min 1s
cluster_start
catalog_wait

smoke "python3-consul" $python "$clients/smoke.py"
[ -n "$npm_missing" ] || smoke "npm consul" node "$clients/smoke.js"

background referee $python "$clients/referee.py" "$WORK" $((3600 * SLOW))
referee=$STARTED
wait_for 10 "the referee" test -s "$WORK/port"
port=$(cat "$WORK/port")
nodes=("${CLIENT[@]}")
background python $python "$clients/recipes.py" "$port" "${nodes[@]}"
[ -n "$npm_missing" ] || background npm node "$clients/recipes.js" "$port" "${nodes[@]}"
wait_for 20 "the first to hold something" count_is tenures 10
background writer $python "$clients/recipes.py" "$port" --write "$changes" "${nodes[@]}"
writer=$STARTED

for ((killed = 0; killed < kills; killed++)); do
    wait_for 300 "changes before kill $((killed + 1))" count_is changes $((changes * (killed + 1) / (kills + 1)))
    tenures=$(cat "$WORK/tenures")
    wait_for 60 "holders between the kills" count_is tenures $((tenures + 5))
    kill -0 "$referee" 2>/dev/null || break
    leader_wait
    node=$LEADER
    node_kill "$node"
    leader_wait
    node_start "$node"
    cluster_wait
done
wait_for 600 "all changes" count_is changes "$changes"
tenures=$(cat "$WORK/tenures")
wait_for 60 "holders after the last kill" count_is tenures $((tenures + 5))
wait "$writer" || fail "the writer: $(tail -n 5 "$WORK/writer.out" "$WORK/referee.out" "$WORK"/*.out)"
: >"$WORK/stop"
wait "$referee" || fail "$(tail -n 5 "$WORK"/*.out)"
verdict=$(tail -n 1 "$WORK/referee.out")
note "$killed leaders killed: $verdict"

# held WHAT CLIENT: it took part.
held() {
    grep -q "[1-9][0-9]* $1 $2" <<<"$verdict" || fail "$2 never held $1: $verdict"
    tap_line "$2: $1 under $killed leader kills"
}

for recipe in lock leader semaphore; do
    held $recipe python
    [ -n "$npm_missing" ] || held $recipe npm
done
grep -q '\b1 initialized\b' <<<"$verdict" || fail "initialized not just once: $verdict"
tap_line "$changes watched changes, none lost, no index back, no wake-up for nothing"
if [ -n "$npm_missing" ]; then
    note "without the npm package: $npm_missing"
    tap_line "npm consul # SKIP $npm_missing"
fi
echo "1..$number" >>"$tap"
finish
