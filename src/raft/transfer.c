#include "base/assert.h"
#include "raft/internal.h"

/* Whom to hand over to when nobody is named: the voter that is furthest, of those that answer. */
static raft_node_id best_follower(const struct raft *raft)
{
    const struct progress *best = NULL;
    for (uint32_t i = 0; i < raft->peers_count; i++) {
        const struct progress *progress = &raft->peers[i];
        const bool is_alive =
            raft->now_ms - progress->contact_ms < raft->options.election_timeout_ms;
        if (is_alive && config_is_voter(&raft->configs.now, progress->id) &&
            (best == NULL || progress->match_index > best->match_index)) {
            best = progress;
        }
    }
    return best == NULL ? 0 : best->id;
}

/* From here on proposals are refused, so that the follower can catch up for good (3.10). */
enum rk_status raft_transfer_start(struct raft *raft, raft_node_id peer)
{
    if (raft->role != RAFT_LEADER) {
        return RK_NOT_LEADER;
    }
    const raft_node_id chosen = peer == 0 ? best_follower(raft) : peer;
    if (raft_peer(raft, chosen) == NULL || !config_is_voter(&raft->configs.now, chosen)) {
        return RK_INVALID;
    }
    if (raft->transfer_peer != 0) {
        return raft->transfer_peer == chosen ? RK_OK : RK_BUSY;
    }
    raft->transfer_peer = chosen;
    raft->is_transfer_sent = false;
    raft->transfer_deadline_ms = raft->now_ms + raft->options.election_timeout_ms;
    raft_transfer_advance(raft);
    return RK_OK;
}

void raft_transfer_advance(struct raft *raft)
{
    RK_ASSERT(raft->role == RAFT_LEADER);
    if (raft->transfer_peer == 0) {
        return;
    }
    if (raft->now_ms >= raft->transfer_deadline_ms) {
        raft->transfer_peer = 0;
        return;
    }
    /* No configuration is taken meanwhile, so the peer is a voter still. */
    const raft_index match = raft_voter(raft, raft->transfer_peer)->match_index;
    if (!raft->is_transfer_sent && match == raft->trail.last_index) {
        raft_lease_give_up(raft);
        (void)raft_send(raft, RAFT_TIMEOUT_NOW, raft->transfer_peer);
        raft->is_transfer_sent = true;
    }
}

/* The leader wants it, so nobody need be asked first, and voters need not protect the leader;
 * only what is not durable here yet could still be lost by winning (pitfalls 11, 36). */
void raft_transfer_timeout_now(struct raft *raft, const struct raft_message *message)
{
    if (message->term != raft->hard_state.term || raft->role != RAFT_FOLLOWER ||
        raft->leader != message->from) {
        return;
    }
    if (!raft_election_may_stand(raft) || writes_pending(&raft->writes)) {
        return;
    }
    raft_election_campaign(raft, true);
}
