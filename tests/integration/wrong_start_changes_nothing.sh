#!/bin/bash
# A port in use, an unknown key, a bad value, values that contradict each other, an unreadable file:
# one line on standard error that names what is wrong, exit status 1, and no directory is made.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 1
cluster_start
other=$((PORT + 1000))
port_is_free $other || other=$((PORT + 1100))
free=(--client-listen "127.0.0.1:$other" --peer-listen "127.0.0.1:$((other + 1))")

refuses() {
    local words=$1 status
    shift
    "$RAFTKVD" --node-id x --data-dir "$WORK/none/deep" "$@" >"$WORK/out" 2>"$WORK/err" &
    CHILDREN+=("$!")
    wait $!
    status=$?
    grep -v ' level=warn ' "$WORK/err" >"$WORK/lines"
    [ $status -eq 1 ] || fail "$words: exit status $status: $(cat "$WORK/err")"
    [ "$(wc -l <"$WORK/lines")" -eq 1 ] || fail "$words: not one line: $(cat "$WORK/err")"
    [ ! -s "$WORK/out" ] || fail "$words: something on standard output"
    grep -q "^raftkvd: .*$words" "$WORK/lines" || fail "not '$words': $(cat "$WORK/lines")"
    [ ! -e "$WORK/none" ] || fail "$words: the data directory was made"
}

refuses "cannot listen on ${CLIENT[1]}" --client-listen "${CLIENT[1]}" --peer-listen "127.0.0.1:$other"
refuses "cannot listen on ${PEER[1]}" --client-listen "127.0.0.1:$other" --peer-listen "${PEER[1]}"
refuses 'client-listen' "${free[@]}" --client-listen nonsense
refuses 'unknown flag' "${free[@]}" --electon-timeout 1s
refuses 'election-timeout' "${free[@]}" --election-timeout fast
refuses 'heartbeat-interval' "${free[@]}" --heartbeat-interval 300ms --election-timeout 400ms
refuses 'node-id' "${free[@]}" --node-id 'a/b'
refuses 'initial-cluster' "${free[@]}" --initial-cluster "n1=127.0.0.1:1,n2=127.0.0.1:2"
refuses 'needs a value' "${free[@]}" --log-level
refuses 'max-value-size' "${free[@]}" --max-value-size 1GiB
refuses "$WORK/absent.conf" "${free[@]}" --config "$WORK/absent.conf"
printf 'heartbeat-interval = 50ms\nno-such-key = 1\n' >"$WORK/bad.conf"
refuses 'bad.conf.*2.*no-such-key' "${free[@]}" --config "$WORK/bad.conf"
RAFTKV_LOG_LEVEL=loud refuses 'RAFTKV_LOG_LEVEL' "${free[@]}"

put 1 undisturbed yes
finish
