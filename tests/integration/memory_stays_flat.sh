#!/bin/bash
# A mixed load of a fixed number of keys, put, get and delete through every node, SOAK_SECONDS long
# (20; make check-soak: 300): after the first fifth no node's memory grows by more than the tail of
# the log (4 MiB) and what allocators breathe, and every read gave what was written.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${SOAK_SECONDS:-${SOAK_LONG:+300}}
seconds=${seconds:-20}
# In the short run the tail is still filling.
room_kib=$((seconds >= 100 ? 8192 : 16384))
cluster_new 3
cluster_start

memory() {
    awk '/^VmRSS/ { print $2 }' "/proc/${PID[$1]}/status"
}

"$KVLOAD" mixed --nodes "$(urls)" --seconds "$seconds" --clients 8 --prefix soak \
    --out "$WORK/soak.acks" >"$WORK/soak.load" 2>&1 {PAUSE_FD}>&- &
LOAD_PID=$!
CHILDREN+=("$LOAD_PID")
from=$(now_ms)
declare -A early=()
while kill -0 "$LOAD_PID" 2>/dev/null; do
    if [ "${#early[@]}" -eq 0 ] && [ $(($(now_ms) - from)) -ge $((seconds * 200)) ]; then
        for i in 1 2 3; do
            early[$i]=$(memory $i)
        done
    fi
    pause 0.2
done
late=()
for i in 1 2 3; do
    late+=("$(memory $i)")
done
load_wait soak
cluster_wait
wait_for 20 "all nodes at the same index" nodes_are_level
checksums_are_equal || fail "the nodes hold different bytes"
for i in 1 2 3; do
    note "node $i: ${early[$i]} KiB after $((seconds / 5)) s, ${late[i - 1]} KiB after $seconds s"
    if [ $SLOW -eq 1 ] && [ "${late[i - 1]}" -gt $((early[$i] + room_kib)) ]; then
        fail "node $i grew from ${early[$i]} to ${late[i - 1]} KiB"
    fi
done
note "$LOAD"
finish
