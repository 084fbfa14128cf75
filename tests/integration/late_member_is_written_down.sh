#!/bin/bash
# Two of three form the cluster without the third, after waiting a moment for it. When it comes, the
# leader writes its incarnation down, and it votes: the cluster then survives the loss of another.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 3
node_start 1
wait_for 10 "node 1 answers" answers_health 1
http GET "$(url 1)/readyz"
expect_status 503
expect_body "asking the members of initial-cluster"
node_start 2
wait_for 20 "two nodes ready" cluster_is_ready
put 1 before yes
[ "$(curl -s --noproxy '*' "$(url 1)/v1/cluster/members" | jq -r '.[] | select(.name == "n3").seen')" = false ] ||
    fail "n3 is seen before it was there"

node_start 3
wait_for 15 "node 3 ready" node_is_ready 3
expect_get 3 before yes
leader_wait
log_says "$LEADER" 'event=member_written_down member=n3' || fail "no line says that n3 was written down"

other=$((3 - LEADER))
[ "$other" -gt 0 ] || fail "node 3 leads already"
node_kill "$other"
put 3 after yes
expect_get 3 after yes
node_kill "$LEADER"
node_start "$other"
cluster_wait
expect_get 3 after yes
expect_get "$other" after yes
finish
