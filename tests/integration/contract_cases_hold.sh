#!/bin/bash
# The contract's cases (tests/contract) at one node, and at each of three: leader and followers answer
# alike. A line a case goes into contract_cases_hold.log.tap, which is where scripts/lib.sh counts them.
# CASES, a list such as 14,64, runs only these.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

tap=contract_cases_hold.log.tap
contract=$(dirname "$0")/../contract/run.py
export PYTHONDONTWRITEBYTECODE=1
: >"$tap"

# obey ORDER NODE: what a case wants to have done to a node.
obey() {
    local node=${2#n}
    case $1 in
    kill) node_kill "$node" ;;
    pause) node_pause "$node" ;;
    resume) node_resume "$node" ;;
    start) node_start "$node" ;;
    esac
    # A cluster without a majority is not ready before the next start.
    if [ "$1" = start ] && [ "${#PID[@]}" = "$COUNT" ]; then
        cluster_wait
    fi
}

# cases_run: at the nodes of the cluster that runs.
cases_run() {
    local nodes=() i line status
    for ((i = 1; i <= COUNT; i++)); do
        nodes+=("n$i=${CLIENT[$i]}=${PEER[$i]}")
    done
    coproc CONTRACT { exec "$contract" --slow "$SLOW" --only "${CASES:-}" \
        --after "$(grep -c . "$tap")" "${nodes[@]}" 2>&1 {PAUSE_FD}>&-; }
    CHILDREN+=("$CONTRACT_PID")
    local from=${CONTRACT[0]} to=${CONTRACT[1]} pid=$CONTRACT_PID
    while read -r line <&"$from"; do
        case $line in
        @*)
            # shellcheck disable=SC2086 # two words
            obey ${line#@}
            echo "done" >&"$to"
            ;;
        *) echo "$line" >>"$tap" ;;
        esac
    done
    wait "$pid"
    status=$?
    [ $status = 0 ] || fail "$(grep -A 1 '^not ok' "$tap" || tail -n 20 "$tap")"
}

cluster_new 1
cluster_start
cases_run
node_stop 1
rm -rf "$WORK/d1"

cluster_new 3 --session-ttl-min 1s
cluster_start
cases_run

note "$(grep '^ok' "$tap" | grep -vc '# SKIP') hold, $(grep -c '# SKIP' "$tap") are left out"
grep -q '# SKIP not yet' "$tap" &&
    note "not yet: $(sed -n 's/^ok [0-9]* - case \([^ ]*\) .*# SKIP not yet.*/\1/p' "$tap" | sort -un | tr '\n' ' ')"
echo "1..$(grep -c . "$tap")" >>"$tap"
finish
