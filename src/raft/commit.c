#include "base/assert.h"
#include "raft/internal.h"
#include "raft/quorum.h"

bool raft_commit_has_term(const struct raft *raft)
{
    RK_ASSERT(raft->role == RAFT_LEADER);
    return raft->commit_index >= raft->term_start;
}

/* The leader's own log counts as far as it is durable, like any other (10.2.1, pitfall 34). */
static uint64_t match_value(const void *context, raft_node_id voter)
{
    const struct raft *raft = context;
    if (voter == raft->options.id) {
        return raft->writes.durable_index;
    }
    return raft_voter(raft, voter)->match_index;
}

/* 4.2.2: a leader that its own committed configuration does not name has done its part. */
static bool is_removed(const struct raft *raft)
{
    return raft->configs.index <= raft->commit_index &&
           !config_is_voter(&raft->configs.now, raft->options.id);
}

/* 3.6.2: only an entry of the own term is committed by counting; all before it follow. */
void raft_commit_advance(struct raft *raft)
{
    RK_ASSERT(raft->role == RAFT_LEADER);
    const raft_index reached = quorum_reached(&raft->configs.now, match_value, raft);
    if (reached <= raft->commit_index || reached < raft->term_start) {
        return;
    }
    RK_ASSERT(trail_term(&raft->trail, reached) == raft->hard_state.term);
    raft->commit_index = reached;
    if (is_removed(raft)) {
        raft_become_follower(raft, raft->hard_state.term, 0);
        return;
    }
    raft_read_advance(raft);
}

void raft_commit_learn(struct raft *raft, raft_index index)
{
    RK_ASSERT(raft->role != RAFT_LEADER);
    RK_ASSERT(index <= raft->trail.last_index);
    if (index > raft->commit_index) {
        raft->commit_index = index;
    }
}
