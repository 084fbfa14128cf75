/* Log compaction (5). What a snapshot covers is committed, so it can only contradict the part of a
 * log that is not: a follower needs one exactly when it does not know the entry that the snapshot
 * ends with. */
#include "base/assert.h"
#include "raft/internal.h"

/* ---- this node's own ---- */

static raft_index lesser(raft_index a, raft_index b)
{
    return a < b ? a : b;
}

/* A peer that is being fed from the log, from an entry on that is still there. */
static bool is_fed(const struct raft *raft, const struct progress *progress)
{
    return progress->state != PROGRESS_SNAPSHOT && !progress->is_paused &&
           progress->match_index > 0 && progress->match_index >= raft->trail.base.index;
}

/* What follows a snapshot under way stays, or its receiver would need the next one at once
 * (pitfall 71); the node bounds that by giving transfers up that take too long. What a peer is being
 * fed with stays too: one that has just installed a snapshot is as far behind as the transfer took. */
static raft_index base_for(const struct raft *raft, raft_index wanted, uint64_t lag_max)
{
    raft_index base = lesser(wanted, raft->writes.durable_index);
    if (raft->role != RAFT_LEADER) {
        return base;
    }
    for (uint32_t i = 0; i < raft->peers_count; i++) {
        const struct progress *progress = &raft->peers[i];
        if (progress->state == PROGRESS_SNAPSHOT) {
            base = lesser(base, progress->snapshot_index);
        } else if (is_fed(raft, progress) &&
                   raft->trail.last_index - progress->match_index <= lag_max) {
            base = lesser(base, progress->match_index);
        }
    }
    return base;
}

void raft_snapshot_compacted(struct raft *raft, const struct raft_snapshot *snapshot,
                             raft_index base_index, uint64_t lag_max)
{
    RK_ASSERT(snapshot->id.index <= raft->last_applied);
    RK_ASSERT(snapshot->config_index <= snapshot->id.index);
    RK_ASSERT(base_index <= snapshot->id.index);
    RK_ASSERT(config_is_valid(&snapshot->config));
    if (snapshot->id.index > raft->snapshot.id.index) {
        RK_ASSERT(trail_matches(&raft->trail, snapshot->id));
        raft->snapshot = *snapshot;
    }
    const raft_index base = base_for(raft, base_index, lag_max);
    if (base > raft->trail.base.index) {
        trail_compact(&raft->trail, base);
    }
}

/* ---- the leader's offer ---- */

static void answer_offer(struct raft *raft, const struct raft_message *offer, bool is_accepted,
                         raft_index match)
{
    struct raft_message *answer = raft_answer(raft, RAFT_SNAPSHOT_RESPONSE, offer, is_accepted);
    answer->snapshot_response = (struct raft_snapshot_response){
        .accepted = is_accepted,
        .match = match,
        .sequence = offer->snapshot_request.sequence,
    };
}

bool raft_snapshot_is_installing(const struct raft *raft)
{
    return raft->install.snapshot.id.index != 0;
}

void raft_snapshot_abandon(struct raft *raft)
{
    if (raft_snapshot_is_installing(raft)) {
        answer_offer(raft, &raft->install.offer, false, 0);
        raft->install.snapshot.id = (struct raft_entry_id){0};
    }
}

bool raft_snapshot_is_busy(struct raft *raft, const struct raft_message *append)
{
    const struct raft_message *offer = &raft->install.offer;
    if (raft_snapshot_is_installing(raft) && append->term == offer->term &&
        append->append_request.sequence < offer->snapshot_request.sequence) {
        return true;
    }
    raft_snapshot_abandon(raft);
    return false;
}

static bool is_well_formed(const struct raft_message *message)
{
    const struct raft_snapshot *snapshot = message->snapshot_request.snapshot;

    return snapshot->id.index > 0 && snapshot->id.index <= UINT64_MAX / 2 &&
           snapshot->id.term > 0 && snapshot->id.term <= message->term &&
           snapshot->config_index <= snapshot->id.index && config_is_valid(&snapshot->config) &&
           !config_is_empty(&snapshot->config);
}

/* The leader has offered another one since. */
static bool is_overtaken(const struct raft *raft, const struct raft_message *message)
{
    const struct raft_message *offer = &raft->install.offer;
    return raft_snapshot_is_installing(raft) && message->term == offer->term &&
           message->snapshot_request.sequence < offer->snapshot_request.sequence;
}

/* The latest offer counts: the leader has one transfer to this node, and a former leader none. Asked
 * again for the same snapshot, the node goes on with what it has of it (pitfalls 69, 70); the former
 * question is over, and its answer must not be taken for one to the new. */
static void await_install(struct raft *raft, const struct raft_message *message)
{
    const struct raft_snapshot snapshot = *message->snapshot_request.snapshot;

    raft->install.offer.snapshot_request.sequence = 0;
    raft_snapshot_abandon(raft);
    raft->install.snapshot = snapshot;
    raft->install.offer = *message;
    raft->install.offer.snapshot_request.snapshot = NULL;
}

/* Pitfalls 62, 63, 66: what is committed here is not given up, and an entry that the snapshot ends
 * with vouches for the log before and for what follows (Log Matching): only the commit index moves.
 * Everything else is decided when the snapshot is there. */
void raft_snapshot_request(struct raft *raft, const struct raft_message *message)
{
    if (!raft_append_is_from_leader(raft, message)) {
        answer_offer(raft, message, false, 0);
        return;
    }
    raft_election_heard(raft, message->from);
    if (!is_well_formed(message) || is_overtaken(raft, message)) {
        answer_offer(raft, message, false, 0);
        return;
    }
    const struct raft_entry_id id = message->snapshot_request.snapshot->id;
    if (trail_matches(&raft->trail, id)) {
        raft_commit_learn(raft, id.index);
    }
    if (id.index > raft->commit_index) {
        await_install(raft, message);
        return;
    }
    raft_snapshot_abandon(raft);
    answer_offer(raft, message, true, raft->commit_index);
}

/* ---- the snapshot is there ---- */

/* The boundary decides, not what is newer here (F10): all of the log goes, divergent or too short,
 * and with it any configuration it held (pitfall 64). Until the write is durable the old log is on
 * the disk, and whatever is promised waits for it. */
static void replace_log(struct raft *raft)
{
    struct raft_write *write = raft_stage(raft);

    raft->snapshot = raft->install.snapshot;
    write->snapshot = &raft->snapshot;
    writes_truncate(&raft->writes, raft->snapshot.id.index + 1);
    trail_reset(&raft->trail, raft->snapshot.id);
    config_log_init(&raft->configs, &raft->snapshot.config, raft->snapshot.config_index);
    raft_update_peers(raft);
    raft->commit_index = raft->snapshot.id.index;
    raft->last_applied = raft->snapshot.id.index;
}

static bool is_awaited(const struct raft *raft, struct raft_entry_id id)
{
    return raft_snapshot_is_installing(raft) && raft->install.snapshot.id.index == id.index &&
           raft->install.snapshot.id.term == id.term;
}

enum rk_status raft_snapshot_installed(struct raft *raft, struct raft_entry_id id)
{
    if (!is_awaited(raft, id)) {
        return RK_INVALID;
    }
    if (id.index <= raft->commit_index) { /* a heartbeat said so meanwhile */
        raft_snapshot_abandon(raft);
        return RK_INVALID;
    }
    replace_log(raft);
    raft->install.snapshot.id = (struct raft_entry_id){0};
    answer_offer(raft, &raft->install.offer, true, id.index);
    return RK_OK;
}

void raft_snapshot_install_failed(struct raft *raft, struct raft_entry_id id)
{
    if (is_awaited(raft, id)) {
        raft_snapshot_abandon(raft);
    }
}
