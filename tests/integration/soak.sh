#!/bin/bash
# Three nodes under all the writes that they take, a snapshot every 20,000 entries, and every minute
# one of them is ended, by SIGKILL and by SIGTERM in turns, and started again: memory and disk stay
# flat, every read gives what was written, and all replicas end up equal.
#
#   SOAK_MINUTES=30    how long (2; make soak MINUTES=30); below five a node is restarted every 10 s
#   SOAK_CLIENTS=16    that write, each over 500 keys of its own
#
# Prints a line for each sample, taken just before a restart: resident memory and disk use of each
# node, without the ballast, which is constant. Flat is when the mean of a node's last third exceeds
# that of its middle third by no more than a tenth and 16 MiB; the first third is warming up.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

minutes=${SOAK_MINUTES:-2}
clients=${SOAK_CLIENTS:-16}
period=$((minutes >= 5 ? 60 : 10))
seconds=$((minutes * 60))
room_kib=16384
restarts=0 killed=0 stopped=0
table=$WORK/table

memory() {
    awk '/^VmRSS/ { print $2 }' "/proc/${PID[$1]}/status"
}

disk() {
    du -sk --exclude=ballast "$WORK/d$1" 2>/dev/null | cut -f 1
}

# "SECOND RSS1 RSS2 RSS3 DISK1 DISK2 DISK3"
sample() {
    local at=$((($(now_ms) - from) / 1000)) i words=()
    for i in 1 2 3; do
        words+=("$(memory $i)")
    done
    for i in 1 2 3; do
        words+=("$(disk $i)")
    done
    echo "$at ${words[*]}" >>"$table"
    printf '  %6d s, resident %7d %7d %7d KiB, on disk %7d %7d %7d KiB\n' "$at" "${words[@]}"
}

restart_next() {
    local i=$((restarts % 3 + 1))
    if [ $((restarts / 3 % 2)) -eq $((i % 2)) ]; then
        node_kill $i
        killed=$((killed + 1))
    else
        node_stop $i
        stopped=$((stopped + 1))
    fi
    node_start $i
    wait_for 30 "node $i ready" node_is_ready $i
    restarts=$((restarts + 1))
}

# growth COLUMN ROOM: what the last third has on average, the middle third, and whether that is flat.
growth() {
    awk -v column="$1" -v room="$2" '
        { value[NR] = $column }
        END {
            third = int(NR / 3)
            for (i = third + 1; i <= 2 * third; i++) middle += value[i] / third
            for (i = NR - third + 1; i <= NR; i++) last += value[i] / third
            printf "%d %d %s\n", middle, last, last <= middle * 1.1 + room ? "flat" : "grows"
        }' "$table"
}

verdict=0
judge() { # NAME COLUMN
    local words
    read -ra words < <(growth "$2" "$room_kib")
    note "$1: ${words[0]} KiB in the middle third, ${words[1]} KiB in the last: ${words[2]}"
    [ "${words[2]}" = flat ] || verdict=1
}

cluster_new 3 --snapshot-entries 20000 --trailing-entries 2000
cluster_start
"$KVLOAD" churn --nodes "$(urls)" --seconds "$seconds" --clients "$clients" --prefix soak \
    --out "$WORK/soak.acks" >"$WORK/soak.load" 2>&1 {PAUSE_FD}>&- &
LOAD_PID=$!
CHILDREN+=("$LOAD_PID")
from=$(now_ms)
next=$((from + period * 1000))
while kill -0 "$LOAD_PID" 2>/dev/null; do
    for i in 1 2 3; do
        node_runs $i || fail "node $i ended by itself"
    done
    if [ "$(now_ms)" -ge $next ] && [ "$(now_ms)" -lt $((from + (seconds - 5) * 1000)) ]; then
        sample
        restart_next
        next=$((next + period * 1000))
    fi
    pause 0.2
done
wait "$LOAD_PID"
loaded=$?
note "$(grep -o 'acknowledged=.*' "$WORK/soak.load")"
note "$(tail -n 1 "$WORK/soak.load")"
checked=$(sed -n 's/^checked=\([0-9]*\) .*/\1/p' "$WORK/soak.load")
cluster_wait
wait_for 30 "all nodes at the same index" nodes_are_level
checksums_are_equal || fail "the replicas differ"
note "$restarts restarts: $killed by SIGKILL, $stopped by SIGTERM; replicas are equal"
note "$(cat "$WORK"/n[123].log | grep -c event=taken) snapshots taken," \
    "$(cat "$WORK"/n[123].log | grep -c event=installed) installed"
for i in 1 2 3; do
    judge "memory of node $i" $((i + 1))
    judge "disk of node $i" $((i + 4))
done
[ $loaded -eq 0 ] || fail "a write was lost or went wrong: $(head -n 3 "$WORK/soak.load")"
[ "${checked:-0}" -ge $((clients * 500)) ] || fail "not every key could be read at the end"
[ $SLOW -gt 1 ] || [ $verdict -eq 0 ] || fail "memory or disk is not flat"
finish
