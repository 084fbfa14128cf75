/* Leases (6.4.1): a voter that acknowledged a heartbeat round votes for nobody else for an election
 * timeout from then on (4.2.3), nor after a restart (pitfall 105). So from the time a round left,
 * nobody else is elected for that long, if a quorum has acknowledged it and all clocks run alike but
 * for what options.lease_ms takes off. */
#include "raft/internal.h"
#include "raft/quorum.h"

void raft_lease_note_round(struct raft *raft)
{
    raft->rounds_sent_ms[raft->round % RAFT_ROUNDS_MAX] = raft->boot_ms;
}

/* Pitfall 106: what another configuration acknowledged is not counted under this one. */
void raft_lease_drop(struct raft *raft)
{
    raft->lease_round_min = raft->round + 1;
}

/* Pitfall 104: the one who is told to stand at once is voted for in spite of all promises, and
 * nobody knows when the message, or its request for votes, arrives. */
void raft_lease_give_up(struct raft *raft)
{
    raft->is_lease_given_up = true;
}

/* Pitfall 103: the time a round was sent counts, not when the answer came. */
static uint64_t sent_value(const void *context, raft_node_id voter)
{
    const struct raft *raft = context;
    if (voter == raft->options.id) {
        return raft->boot_ms;
    }
    const uint64_t round = raft_voter(raft, voter)->round_acked;
    if (round < raft->lease_round_min || raft->round - round >= RAFT_ROUNDS_MAX) {
        return 0;
    }
    return raft->rounds_sent_ms[round % RAFT_ROUNDS_MAX];
}

/* A leader that has removed itself leads on until that commits (4.2.2), but may not rely on promises:
 * if a single voter is left, it decides alone, and after a restart waits for nobody. */
uint64_t raft_lease_end_ms(const struct raft *raft)
{
    if (raft->options.lease_ms == 0 || raft->role != RAFT_LEADER || raft->is_lease_given_up ||
        raft->transfer_peer != 0 || !raft_commit_has_term(raft) ||
        !config_is_voter(&raft->configs.now, raft->options.id)) {
        return 0;
    }
    const uint64_t sent_ms = quorum_reached(&raft->configs.now, sent_value, raft);
    return sent_ms == 0 ? 0 : sent_ms + raft->options.lease_ms;
}
