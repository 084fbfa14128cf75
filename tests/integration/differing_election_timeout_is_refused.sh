#!/bin/bash
# election-timeout is a setting of the cluster: a node with another one is refused by the others,
# both say why, and the two that agree go on (design: configuration).
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2317 # wait_for calls it
others_say_why() {
    cat "$WORK/n1.log" "$WORK/n2.log" | grep -q 'election.timeout.differs'
}

cluster_new 3
cluster_start
node_stop 3
EXTRA[3]='--election-timeout 900ms'
node_start 3
wait_for 10 "node 3 answers" answers_health 3
put 1 goes-on yes
expect_get 2 goes-on yes
http PUT "$(url 3)/v1/kv/no" -d no
expect_status 500
http GET "$(url 3)/readyz"
expect_status 503
wait_for 10 "node 3 says why" log_says 3 'event=election_timeout_differs'
wait_for 10 "one of the others says why" others_say_why

node_stop 3
EXTRA[3]=
node_start 3
wait_for 15 "node 3 ready with the cluster's timeout" node_is_ready 3
expect_get 3 goes-on yes
finish
