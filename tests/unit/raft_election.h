/* raft_election.h -- what the tests about elections share: three voters, of which node 1 is real. */
#ifndef RK_TESTS_UNIT_RAFT_ELECTION_H
#define RK_TESTS_UNIT_RAFT_ELECTION_H

#include "support/raft_puppet.h"

/* The id before the first entry. */
extern const struct raft_entry_id nothing;

void election_start(void);
/* Goes on to node 1's deadline and strikes. */
void await_deadline(void);
/* Node 1 has campaigned: candidate in term 1, its own vote not yet durable. */
void become_candidate(void);

#endif
