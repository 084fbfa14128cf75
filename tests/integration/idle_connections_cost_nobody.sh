#!/bin/bash
# 10,000 idle connections to one node while others are served, and all of it goes back when they
# close. Fewer where the limit of open files does not allow so many: then it says how many.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

ulimit -n "$(ulimit -Hn)" 2>/dev/null
limit=$(ulimit -n)
count=10000
[ "$limit" = unlimited ] || [ "$limit" -ge $((count + 500)) ] || count=$((limit - 500))
[ $count -gt 0 ] || skip "only $limit open files are allowed"
[ $count -eq 10000 ] || note "only $limit open files are allowed: $count connections"

cluster_new 3
cluster_start
put 1 kept yes

memory() {
    awk '/^VmRSS/ { print $2 }' "/proc/${PID[1]}/status"
}
open_files() {
    find "/proc/${PID[1]}/fd" -mindepth 1 2>/dev/null | wc -l
}
memory_before=$(memory)
files_before=$(open_files)

python3 "$(dirname "$0")/idle.py" "${CLIENT[1]}" $count >"$WORK/idle" 2>&1 &
idle=$!
CHILDREN+=("$idle")
# shellcheck disable=SC2317 # wait_for calls it
are_open() {
    kill -0 "$idle" 2>/dev/null || fail "idle.py: $(cat "$WORK/idle")"
    [ "$(open_files)" -ge $((files_before + count)) ]
}
wait_for 20 "$count connections are open" are_open
note "$count idle connections: $((($(memory) - memory_before) * 1024 / count)) bytes of memory each"

http GET "$(url 1)/healthz"
expect_status 200
for i in 1 2 3; do
    put $i "served-$i" yes
    expect_get $i "served-$i" yes
done
load_start 3 8 idle
load_wait idle
note "and a load through all nodes meanwhile: $LOAD"
kill -0 "$idle" || fail "idle.py: $(cat "$WORK/idle")"
[ "$(open_files)" -ge $((files_before + count)) ] || fail "idle connections were closed early"

kill "$idle"
# shellcheck disable=SC2317 # wait_for calls it
are_gone() {
    [ "$(open_files)" -le $((files_before + count / 10)) ]
}
wait_for 15 "the connections are gone" are_gone
load_verify_all idle
finish
