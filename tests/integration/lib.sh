# lib.sh -- what the integration tests share: nodes in a directory of their own, waiting for a
# condition, requests, and an end that leaves no process and no file. Sourced, bash.
# shellcheck shell=bash
#
# A test says `. lib.sh`, `cluster_new 3`, `cluster_start`, its facts, and `finish`. Nodes are
# numbered from 1. A test that fails keeps nothing either, but prints the end of every node's log;
# RK_KEEP=1 keeps the directory. Exit: 0 passed, 1 failed, 77 skipped (and why).
#
# Needs RK_BUILD, the build directory, as `make check-integration` sets it; RAFTKVD may name another
# program than the one there.
set -u -o pipefail

RK_BUILD=${RK_BUILD:-$(pwd)}
RAFTKVD=${RAFTKVD:-$RK_BUILD/raftkvd}
KVLOAD=$RK_BUILD/tests/integration/kvload
WORK=$(mktemp -d "${TMPDIR:-/tmp}/raftkv-it-XXXXXX") || exit 1
MAIN_PID=$BASHPID
COUNT=0 INITIAL='' FLAGS=()
declare -A PID=() CLIENT=() PEER=() EXTRA=() JOIN=() WRAP=()
CHILDREN=() # processes other than nodes
MOUNTS=()

[ -x "$RAFTKVD" ] || { echo "no $RAFTKVD: set RK_BUILD"; exit 1; }

# Sanitizers: the first report ends the node, and all are many times slower.
export ASAN_OPTIONS=detect_leaks=1:exitcode=86:allocator_may_return_null=0
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:exitcode=86:second_deadlock_stack=1
if grep -qaE '__(asan|tsan)_init' "$RAFTKVD"; then
    SLOW=4
else
    SLOW=1
fi

# A pause without a process: a read from a pipe that nobody writes to.
exec {PAUSE_FD}<> <(:)
pause() {
    read -rt "${1:-0.05}" -u "$PAUSE_FD" || :
}

now_ms() {
    local now=$EPOCHREALTIME
    echo $((${now%[.,]*} * 1000 + 10#${now#*[.,]} / 1000))
}

note() {
    echo "  $*"
}

fail() {
    echo "FAILED: $*"
    local i
    for ((i = 1; i < ${#BASH_SOURCE[@]}; i++)); do
        echo "  at $(basename "${BASH_SOURCE[i]}"):${BASH_LINENO[i - 1]}"
    done
    # From a subshell too, the whole test ends.
    [ "$BASHPID" = "$MAIN_PID" ] || kill -TERM "$MAIN_PID"
    exit 1
}

skip() {
    echo "SKIPPED: $*"
    exit 77
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds; past the deadline the test fails.
wait_for() {
    local until=$(($(now_ms) + $1 * SLOW * 1000)) what=$2
    shift 2
    until "$@"; do
        [ "$(now_ms)" -lt "$until" ] || fail "waited in vain: $what"
        pause
    done
}

# -- the end --

reports() {
    grep -hE 'Sanitizer:|runtime error:|assertion failed|Assertion|double free|corrupted size' \
        "$WORK"/n*.log 2>/dev/null
}

at_end() {
    local status=$? i log mount
    trap - EXIT
    trap '' TERM
    for i in "${CHILDREN[@]}" "${PID[@]}"; do
        kill -KILL "$i" 2>/dev/null
        kill -CONT "$i" 2>/dev/null
    done
    wait 2>/dev/null
    if [ $status -eq 0 ] && [ -n "$(reports)" ]; then
        echo "FAILED: a node reported a fault"
        status=1
    fi
    if [ $status -ne 0 ] && [ $status -ne 77 ]; then
        reports | head -n 5
        for log in "$WORK"/n*.log; do
            [ -f "$log" ] || continue
            echo "--- the end of $(basename "$log")"
            tail -n 15 "$log" | cut -c 1-400
        done
        status=1
    fi
    ! declare -F test_end >/dev/null || test_end
    for mount in "${MOUNTS[@]}"; do
        umount -l "$mount" 2>/dev/null
    done
    if [ -n "${RK_KEEP:-}" ]; then
        echo "kept: $WORK"
    else
        rm -rf "$WORK"
    fi
    exit $status
}
trap at_end EXIT
trap 'exit 1' TERM INT HUP

finish() {
    local i
    for i in "${!PID[@]}"; do
        node_runs "$i" || fail "node $i ended by itself"
    done
    echo "ok"
    exit 0
}

# -- nodes --

port_is_free() {
    ! { exec 9<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null
}

# A run of free ports below those that the system hands out, so that nobody takes them while a
# node is down. Sets PORT to the first.
ports_choose() {
    local count=$1 i tries
    for ((tries = 0; tries < 200; tries++)); do
        PORT=$((10000 + (RANDOM * 32768 + RANDOM) % 22000))
        for ((i = 0; i < count; i++)); do
            port_is_free $((PORT + i)) || continue 2
        done
        return 0
    done
    fail "no free ports"
}

# cluster_new N [FLAG...]: names and addresses for N nodes; every node gets the flags.
cluster_new() {
    local i
    COUNT=$1
    shift
    FLAGS=("$@")
    ports_choose $((2 * COUNT))
    INITIAL=
    for ((i = 1; i <= COUNT; i++)); do
        CLIENT[$i]=127.0.0.1:$((PORT + 2 * i - 2))
        PEER[$i]=127.0.0.1:$((PORT + 2 * i - 1))
        INITIAL+=${INITIAL:+,}n$i=${PEER[$i]}
    done
}

# The flags of node I, one a line, with two HTTP loops on any machine; EXTRA[I] (words) goes last. With
# JOIN[I], a peer address, it joins. WRAP[I] (words) stands before the program.
node_flags() {
    printf '%s\n' --node-id "n$1" --data-dir "$WORK/d$1" --client-listen "${CLIENT[$1]}" \
        --peer-listen "${PEER[$1]}" --http-threads 2 "${FLAGS[@]}"
    if [ -n "${JOIN[$1]:-}" ]; then
        printf '%s\n' --join "${JOIN[$1]}"
    else
        printf '%s\n' --initial-cluster "$INITIAL"
    fi
    # shellcheck disable=SC2086 # words
    [ -z "${EXTRA[$1]:-}" ] || printf '%s\n' ${EXTRA[$1]}
}

node_start() {
    local flags
    mapfile -t flags < <(node_flags "$1")
    # shellcheck disable=SC2086 # words
    ${WRAP[$1]:-} "$RAFTKVD" "${flags[@]}" >>"$WORK/n$1.log" 2>&1 {PAUSE_FD}>&- &
    PID[$1]=$!
}

node_runs() {
    [ -n "${PID[$1]:-}" ] && kill -0 "${PID[$1]}" 2>/dev/null
}

# Waits for the end of a node that was told to end, or ends by itself; its exit status is in ENDED.
node_wait() {
    local pid=${PID[$1]} until=$(($(now_ms) + ${2:-10} * SLOW * 1000))
    while kill -0 "$pid" 2>/dev/null; do
        [ "$(now_ms)" -lt "$until" ] || fail "node $1 does not end"
        pause 0.02
    done
    wait "$pid"
    ENDED=$?
    unset "PID[$1]"
}

node_kill() {
    kill -KILL "${PID[$1]}"
    wait "${PID[$1]}" 2>/dev/null
    unset "PID[$1]"
}

# Several nodes at one moment.
nodes_kill() {
    local i pids=()
    for i in "$@"; do
        pids+=("${PID[$i]}")
    done
    kill -KILL "${pids[@]}"
    for i in "$@"; do
        wait "${PID[$i]}" 2>/dev/null
        unset "PID[$i]"
    done
}

# An orderly end: SIGTERM, and exit status 0.
node_stop() {
    kill -TERM "${PID[$1]}"
    node_wait "$1" 6
    [ "$ENDED" -eq 0 ] || fail "node $1 ended with $ENDED after SIGTERM"
}

node_pause() {
    kill -STOP "${PID[$1]}"
}

node_resume() {
    kill -CONT "${PID[$1]}"
}

cluster_start() {
    local i
    for ((i = 1; i <= COUNT; i++)); do
        node_start "$i"
    done
    wait_for 15 "a leader, and every node ready" cluster_is_ready
}

url() {
    echo "http://${CLIENT[$1]}"
}

urls() {
    local i all=
    for ((i = 1; i <= COUNT; i++)); do
        all+=${all:+,}http://${CLIENT[$i]}
    done
    echo "$all"
}

# -- requests --

# http METHOD URL [CURL ARGUMENT...]: sets STATUS (000: no answer), BODY and HEADERS.
http() {
    local method=$1 url=$2
    shift 2
    STATUS=$(curl -s --noproxy '*' -m $((15 * SLOW)) -X "$method" -o "$WORK/.body" \
        -D "$WORK/.headers" -w '%{http_code}' "$@" "$url" 2>/dev/null)
    HEADERS=$(tr -d '\r' <"$WORK/.headers" 2>/dev/null)
    BODY=$(tr -d '\0' <"$WORK/.body" 2>/dev/null)
    : >"$WORK/.body"
    : >"$WORK/.headers"
}

header() {
    sed -n "s/^$1: //Ip" <<<"$HEADERS" | head -n 1
}

# put I KEY VALUE: must be acknowledged. An election may come in between on a busy machine, so an
# outcome that is open is written again: the same value, which changes nothing.
put() {
    local try
    for try in 1 2 3 4 5; do
        http PUT "$(url "$1")/v1/kv/$2" --data-binary "$3"
        [ "$STATUS $BODY" != "200 true" ] || return 0
        note "put $2 at node $1, try $try: $STATUS $BODY"
    done
    fail "put $2 at node $1: $STATUS $BODY"
}

# get_is I KEY VALUE [QUERY]: what the node answers now.
get_is() {
    http GET "$(url "$1")/v1/kv/$2?raw${4:+&$4}"
    [ "$STATUS" = 200 ] && [ "$BODY" = "$3" ]
}

expect_get() {
    get_is "$@" || fail "get $2 at node $1 ${4:-}: $STATUS '$BODY', expected '$3'"
}

expect_status() {
    [ "$STATUS" = "$1" ] || fail "status $STATUS, expected $1: $BODY"
}

expect_body() {
    case $BODY in
    *"$1"*) ;;
    *) fail "body '$BODY' does not say '$1'" ;;
    esac
}

# node_field I FILTER: of /v1/status/node, as jq says it.
node_field() {
    curl -s --noproxy '*' -m 2 "$(url "$1")/v1/status/node" 2>/dev/null | jq -r "$2" 2>/dev/null
}

# -- members --

# member_list I FILTER: of the leader's list of members, whoever is asked, as jq says it.
member_list() {
    curl -s --noproxy '*' -m 5 "$(url "$1")/v1/cluster/members?consistent" 2>/dev/null |
        jq -r "$2" 2>/dev/null
}

# member_add I J: asks node J to add node I, which is to vote.
member_add() {
    http POST "$(url "$2")/v1/cluster/members" \
        -d "{\"name\": \"n$1\", \"peer_address\": \"${PEER[$1]}\"}"
    expect_status 200
}

member_remove() {
    http DELETE "$(url "$2")/v1/cluster/members/n$1"
    expect_status 200
}

# voters_are I N: node I's leader counts N voters, and no change is in flight.
voters_are() {
    [ "$(member_list "$1" 'map(select(.role == "voter")) | length')" = "$2" ] &&
        [ "$(member_list "$1" 'map(select(.role == "leaving")) | length')" = 0 ]
}

# all_answer I: node I's leader hears from every member.
all_answer() {
    [ "$(curl -s --noproxy '*' -m 5 -o /dev/null -w '%{http_code}' \
        "$(url "$1")/v1/operator/autopilot/health")" = 200 ]
}

readyz_says() {
    case $(curl -s --noproxy '*' -m 2 "$(url "$1")/readyz") in
    *"$2"*) return 0 ;;
    esac
    return 1
}

# -- conditions --

node_is_ready() {
    [ "$(curl -s --noproxy '*' -m 2 -o /dev/null -w '%{http_code}' "$(url "$1")/readyz")" = 200 ]
}

answers_health() {
    [ "$(curl -s --noproxy '*' -m 2 -o /dev/null -w '%{http_code}' "$(url "$1")/healthz")" = 200 ]
}

# Sets LEADER to the number of the running node that leads and could serve a read now.
leader_find() {
    local i
    for i in "${!PID[@]}"; do
        if [ "$(node_field "$i" '.role + " " + (.ready | tostring)')" = "leader true" ]; then
            LEADER=$i
            return 0
        fi
    done
    return 1
}

leader_wait() {
    wait_for 15 "a leader" leader_find
}

all_pass_in_the_catalog() {
    http GET "$(url 1)/v1/health/state/passing"
    [ "$STATUS" = 200 ] && [ "$(jq length <<<"$BODY")" = "$COUNT" ]
}

# The leader writes the catalog once it has heard all nodes; then nothing is written by itself.
catalog_wait() {
    wait_for 10 "all nodes pass in the catalog" all_pass_in_the_catalog
}

# A running node that does not lead, into FOLLOWER.
follower_find() {
    leader_wait
    for FOLLOWER in "${!PID[@]}"; do
        [ "$FOLLOWER" = "$LEADER" ] || return 0
    done
    fail "no follower"
}

cluster_is_ready() {
    local i
    for i in "${!PID[@]}"; do
        node_is_ready "$i" || return 1
    done
    leader_find
}

cluster_wait() {
    wait_for 20 "every running node ready" cluster_is_ready
}

# Every running node has applied the same index.
nodes_are_level() {
    local i all=()
    for i in "${!PID[@]}"; do
        all+=("$(node_field "$i" .last_applied)")
    done
    [ "$(printf '%s\n' "${all[@]}" | sort -u | wc -l)" = 1 ] && [ "${all[0]}" != "" ]
}

# What is in a node's own state, as a checksum.
node_checksum() {
    curl -sf --noproxy '*' -m 60 "$(url "$1")/v1/kv/?recurse&stale" | sha256sum
}

checksums_are_equal() {
    local i
    for i in "${!PID[@]}"; do
        node_checksum "$i"
    done | sort -u | wc -l | grep -qx 1
}

# acknowledged_are PREFIX COUNT: at least that many by now.
acknowledged_are() {
    [ "$(grep -c ' acknowledged$' "$WORK/$1.acks")" -ge "$2" ]
}

log_says() {
    grep -q -- "$2" "$WORK/n$1.log"
}

# -- load --

# load_start SECONDS CLIENTS PREFIX [URLS]: writes in the background; into WORK/PREFIX.acks.
load_start() {
    "$KVLOAD" write --nodes "${4:-$(urls)}" --seconds "$1" --clients "$2" --prefix "$3" \
        --out "$WORK/$3.acks" >"$WORK/$3.load" 2>&1 {PAUSE_FD}>&- &
    LOAD_PID=$!
    CHILDREN+=("$LOAD_PID")
    wait_for 10 "the load's first acknowledgement" test -s "$WORK/$3.acks"
}

# The end of the load: LOAD holds its line, LOAD_COUNT[name] its numbers.
declare -A LOAD_COUNT=()
load_wait() {
    local word
    wait "$LOAD_PID" || fail "load $1: $(cat "$WORK/$1.load")"
    LOAD=$(tail -n 1 "$WORK/$1.load")
    for word in $LOAD; do
        LOAD_COUNT[${word%%=*}]=${word#*=}
    done
    [ "${LOAD_COUNT[acknowledged]}" -gt 0 ] || fail "load $1: nothing was acknowledged: $LOAD"
}

# Every acknowledged write is there, nothing refused is; at node I by linearizable reads.
load_verify() {
    local out
    out=$("$KVLOAD" verify --node "$(url "$2")" --in "$WORK/$1.acks" "${@:3}" 2>&1) ||
        fail "load $1 at node $2: $out"
    # shellcheck disable=SC2034 # for the tests
    VERIFIED=$out
}

# The same at every running node, each from its own state, and all states are equal.
load_verify_all() {
    local i
    cluster_wait
    leader_wait
    load_verify "$1" "$LEADER"
    wait_for 20 "all nodes at the same index" nodes_are_level
    for i in "${!PID[@]}"; do
        load_verify "$1" "$i" --stale
    done
    wait_for 10 "all nodes hold the same bytes" checksums_are_equal
}
