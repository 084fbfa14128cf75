/* ReadIndex (6.4). A read is safe at commit_index once a quorum has acknowledged a heartbeat round
 * that left after the read came: nobody else can have committed anything before that. Rounds are
 * numbered by the leader and never used twice, so that a late answer confirms only what it can
 * (F8, pitfall 97). */
#include "base/assert.h"
#include "raft/internal.h"
#include "raft/quorum.h"

static struct raft_pending_read *read_at(struct raft *raft, uint32_t at)
{
    RK_ASSERT(at < raft->reads_count);
    return &raft->reads[(raft->reads_first + at) % RAFT_READS_MAX];
}

static uint64_t round_value(const void *context, raft_node_id voter)
{
    const struct raft *raft = context;
    if (voter == raft->options.id) {
        return raft->round;
    }
    return raft_voter(raft, voter)->round_acked;
}

static uint64_t confirmed_round(const struct raft *raft)
{
    return quorum_reached(&raft->configs.now, round_value, raft);
}

enum rk_status raft_read_add(struct raft *raft, uint64_t read_number)
{
    if (raft->role != RAFT_LEADER) {
        return RK_NOT_LEADER;
    }
    if (raft->reads_count == RAFT_READS_MAX) {
        return RK_BUSY;
    }
    raft->reads_count++;
    *read_at(raft, raft->reads_count - 1) = (struct raft_pending_read){.number = read_number};
    raft_read_advance(raft);
    return RK_OK;
}

/* Until the term's no-op commits, commit_index may be behind the cluster's: reads wait (96). */
void raft_read_assign(struct raft *raft)
{
    if (!raft_commit_has_term(raft)) {
        return;
    }
    for (; raft->reads_assigned < raft->reads_count; raft->reads_assigned++) {
        struct raft_pending_read *pending = read_at(raft, raft->reads_assigned);
        pending->round = raft->round;
        pending->read_index = raft->commit_index;
    }
}

/* True while the newest round that carries reads has not been confirmed. */
static bool is_round_under_way(struct raft *raft)
{
    return raft->reads_assigned > 0 &&
           read_at(raft, raft->reads_assigned - 1)->round > confirmed_round(raft);
}

/* A read never joins a round under way, whose answers may have been given before it came (98); it
 * waits for the next, which all that wait then share. */
void raft_read_advance(struct raft *raft)
{
    RK_ASSERT(raft->role == RAFT_LEADER);
    if (raft->reads_assigned == raft->reads_count || !raft_commit_has_term(raft) ||
        is_round_under_way(raft)) {
        return;
    }
    raft_replicate_heartbeat(raft);
    RK_ASSERT(raft->reads_assigned == raft->reads_count);
}

bool raft_read_is_ready(const struct raft *raft)
{
    return raft->role == RAFT_LEADER && raft->reads_assigned > 0 &&
           raft->reads[raft->reads_first].round <= confirmed_round(raft);
}

void raft_read_emit(struct raft *raft)
{
    struct raft_outputs *out = raft->out;
    while (out->reads_count < RAFT_OUT_READS_MAX && raft_read_is_ready(raft)) {
        const struct raft_pending_read *pending = read_at(raft, 0);
        out->reads[out->reads_count] = pending->number;
        out->read_indexes[out->reads_count] = pending->read_index;
        out->reads_count++;
        raft->reads_first = (raft->reads_first + 1) % RAFT_READS_MAX;
        raft->reads_count--;
        raft->reads_assigned--;
    }
}

void raft_read_forget(struct raft *raft)
{
    raft->reads_count = 0;
    raft->reads_assigned = 0;
}
