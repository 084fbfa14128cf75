#!/bin/bash
# A mixed load of a fixed number of keys, put, get and delete through every node, SOAK_SECONDS long
# (20; make check-soak: 300): after the first fifth no node's memory grows by more than the tail of
# the log (4 MiB) and what allocators breathe, and every read gave what was written. A node just started,
# one that 256 clients press, and one that they have left, stay below a ceiling each.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${SOAK_SECONDS:-${SOAK_LONG:+300}}
seconds=${seconds:-20}
# In the short run the tail is still filling.
room_kib=$((seconds >= 100 ? 8192 : 16384))
# KiB, some 10 % above what it takes.
idle_max=16000 left_max=25000 pressed_max=32000
cluster_new 3
cluster_start

memory() {
    awk '/^VmRSS/ { print $2 }' "/proc/${PID[$1]}/status"
}

most_memory() {
    awk '/^VmHWM/ { print $2 }' "/proc/${PID[$1]}/status"
}

all_are_below() { # KIB
    local i
    [ "$SLOW" -ne 1 ] || for i in 1 2 3; do
        [ "$(memory $i)" -le "$1" ] || return 1
    done
}

all_are_below $idle_max || fail "just started, they take $(memory 1), $(memory 2), $(memory 3) KiB"

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

"$KVLOAD" mixed --nodes "$(urls)" --seconds 2 --clients 256 --prefix burst --out "$WORK/burst.acks" \
    >"$WORK/burst.load" 2>&1 {PAUSE_FD}>&- || fail "256 clients: $(cat "$WORK/burst.load")"
note "most that they took: $(most_memory 1), $(most_memory 2), $(most_memory 3) KiB"
for i in 1 2 3; do
    if [ $SLOW -eq 1 ] && [ "$(most_memory $i)" -gt $pressed_max ]; then
        fail "node $i took $(most_memory $i) KiB"
    fi
done
wait_for 20 "memory of a burst given back" all_are_below $left_max
note "left alone, they take $(memory 1), $(memory 2), $(memory 3) KiB"
finish
