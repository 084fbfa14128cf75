#include "unit/raft_election.h"

#include <check.h>

const struct raft_entry_id nothing = {0};

void election_start(void)
{
    puppet_start(3);
}

void await_deadline(void)
{
    cluster_await_deadline(cluster, 1);
}

void become_candidate(void)
{
    await_deadline();
    grant(2);
    ck_assert_int_eq(view().role, RAFT_CANDIDATE);
}
