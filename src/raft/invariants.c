#include "base/assert.h"
#include "raft/internal.h"

static void check_trail(const struct raft *raft)
{
    const struct trail *trail = &raft->trail;

    RK_ASSERT(trail->runs_count <= RAFT_TRAIL_RUNS_MAX);
    RK_ASSERT((trail->runs_count == 0) == (trail->last_index == trail->base.index));
    for (uint32_t i = 1; i < trail->runs_count; i++) {
        RK_ASSERT(trail->runs[i].first_index > trail->runs[i - 1].first_index);
        RK_ASSERT(trail->runs[i].term > trail->runs[i - 1].term);
    }
    if (trail->runs_count > 0) {
        RK_ASSERT(trail->runs[0].first_index == trail->base.index + 1);
        RK_ASSERT(trail->runs[0].term >= trail->base.term);
        RK_ASSERT(trail->runs[trail->runs_count - 1].first_index <= trail->last_index);
    }
    RK_ASSERT(trail_last(trail).term <= raft->hard_state.term);
}

static void check_writes(const struct raft *raft)
{
    const struct writes *writes = &raft->writes;

    RK_ASSERT(writes->count <= WRITES_SLOTS_MAX);
    RK_ASSERT(writes->persisted <= writes->newest);
    RK_ASSERT((writes->count == 0) == (writes->persisted == writes->newest));
    RK_ASSERT(writes->durable_index <= raft->trail.last_index);
    RK_ASSERT(raft->hard_state_write <= writes->newest);
    raft_index durable = writes->durable_index;
    for (uint32_t i = 0; i < writes->count; i++) {
        const struct writes_slot *slot = &writes->slots[(writes->first + i) % WRITES_SLOTS_MAX];
        RK_ASSERT(slot->number > writes->persisted);
        RK_ASSERT(slot->last_index >= durable);
        durable = slot->last_index;
    }
    RK_ASSERT(durable == raft->trail.last_index);
}

static void check_indexes(const struct raft *raft)
{
    RK_ASSERT(raft->commit_index >= raft->trail.base.index);
    RK_ASSERT(raft->commit_index <= raft->trail.last_index);
    RK_ASSERT(raft->last_applied <= raft->commit_index);
    RK_ASSERT(raft->snapshot.id.index >= raft->trail.base.index);
    RK_ASSERT(raft->snapshot.id.index <= raft->last_applied);
    RK_ASSERT(raft->configs.index <= raft->trail.last_index);
    RK_ASSERT(raft->configs.former_index <= raft->configs.index);
    RK_ASSERT(config_is_valid(&raft->configs.now));
}

static void check_progress(const struct raft *raft, const struct progress *progress)
{
    RK_ASSERT(progress->id != raft->options.id);
    RK_ASSERT(config_is_member(&raft->configs.now, progress->id));
    if (raft->role != RAFT_LEADER) {
        return;
    }
    RK_ASSERT(progress->match_index < progress->next_index);
    RK_ASSERT(progress->next_index <= raft->trail.last_index + 1);
    RK_ASSERT(progress->inflight_count <= raft->options.inflight_max);
    RK_ASSERT(progress->round_acked <= raft->round);
    raft_index last = progress->match_index;
    for (uint32_t i = 0; i < progress->inflight_count; i++) {
        const uint32_t at = (progress->inflight_first + i) % RAFT_INFLIGHT_MAX;
        RK_ASSERT(progress->inflight[at] > last);
        last = progress->inflight[at];
    }
    RK_ASSERT(last < progress->next_index);
    if (progress->state != PROGRESS_REPLICATE) {
        RK_ASSERT(progress->inflight_count == 0);
    }
    RK_ASSERT((progress->state == PROGRESS_SNAPSHOT) == (progress->snapshot_index != 0));
}

static void check_role(const struct raft *raft)
{
    const bool is_leader = raft->role == RAFT_LEADER;
    const raft_node_id id = raft->options.id;

    RK_ASSERT((raft->leader == id) == is_leader);
    if (is_leader || raft->role == RAFT_CANDIDATE) {
        RK_ASSERT(raft->hard_state.vote == id);
    }
    if (raft->role == RAFT_CANDIDATE || raft->role == RAFT_PRE_CANDIDATE) {
        RK_ASSERT(raft->leader == 0);
    }
    if (raft->is_transfer) {
        RK_ASSERT(raft->role == RAFT_CANDIDATE);
    }
    if (is_leader) { /* Leader Append-Only: the log goes on from the term's own no-op */
        if (trail_has(&raft->trail, raft->term_start)) {
            RK_ASSERT(trail_term(&raft->trail, raft->term_start) == raft->hard_state.term);
        }
        RK_ASSERT(trail_last(&raft->trail).term == raft->hard_state.term);
    } else {
        RK_ASSERT(raft->transfer_peer == 0);
        RK_ASSERT(raft->reads_count == 0);
    }
    if (raft_snapshot_is_installing(raft)) {
        RK_ASSERT(raft->role == RAFT_FOLLOWER);
    }
}

void raft_check(const struct raft *raft)
{
    check_trail(raft);
    check_writes(raft);
    check_indexes(raft);
    check_role(raft);
    RK_ASSERT(raft->reads_assigned <= raft->reads_count);
    RK_ASSERT(raft->reads_count <= RAFT_READS_MAX);
    for (uint32_t i = 0; i < raft->peers_count; i++) {
        check_progress(raft, &raft->peers[i]);
    }
}
