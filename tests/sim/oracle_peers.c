/* What a leader takes from the answers of its peers: an acknowledgement counts as long as what it
 * acknowledged is not known to be lost (O1), and who is answered by a quorum leads on (O16). */
#include "sim/sim.h"

static bool list_has(const raft_node_id *ids, uint32_t count, raft_node_id id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static bool is_member(const struct raft_config *config, raft_node_id id)
{
    return list_has(config->voters, config->voters_count, id) ||
           list_has(config->old_voters, config->old_voters_count, id) ||
           list_has(config->learners, config->learners_count, id);
}

/* ---- the ledger ---- */

static struct sim_peer_seen *seen_of(struct sim_node *leader, raft_node_id peer)
{
    struct sim_peer_seen *seen = &leader->peers_seen[peer];
    if (seen->term != leader->view.hard_state.term) {
        *seen = (struct sim_peer_seen){.term = leader->view.hard_state.term};
    }
    return seen;
}

/* Whoever comes back later is as new. */
static void forget_others(struct sim_node *node)
{
    for (raft_node_id id = 1; id <= SIM_NODES_MAX; id++) {
        if (!is_member(node->view.config, id)) {
            node->peers_seen[id] = (struct sim_peer_seen){0};
        }
    }
}

/* Appends and offers of snapshots share their numbers. */
static void note_sent(struct sim *sim, struct sim_node *node)
{
    for (uint32_t i = 0; i < sim->out.messages_count; i++) {
        const struct raft_message *message = &sim->out.messages[i];
        uint64_t sequence = 0;
        if (message->type == RAFT_APPEND_REQUEST) {
            sequence = message->append_request.sequence;
        } else if (message->type == RAFT_SNAPSHOT_REQUEST) {
            sequence = message->snapshot_request.sequence;
        }
        struct sim_peer_seen *seen = seen_of(node, message->to);
        seen->sequence = sequence > seen->sequence ? sequence : seen->sequence;
    }
}

/* ---- acknowledgements ---- */

static uint64_t sequence_of(const struct raft_message *answer)
{
    return answer->type == RAFT_APPEND_RESPONSE     ? answer->append_response.sequence
           : answer->type == RAFT_SNAPSHOT_RESPONSE ? answer->snapshot_response.sequence
                                                    : 0;
}

/* Pitfall 49: once the leader knows of the loss, only what it sends from then on may be counted. */
static void check_match(struct sim *sim, struct sim_node *node, const struct raft_message *answer)
{
    struct sim_peer_seen *seen = seen_of(node, answer->from);
    struct raft_peer_view peer;
    if (raft_peer_view(node->raft, answer->from, &peer) != RK_OK) {
        return;
    }
    if (peer.match_index < seen->match) {
        seen->lost_sequence = seen->sequence;
        sim->counts->losses_noticed++;
    }
    if (peer.match_index > seen->match && sequence_of(answer) <= seen->lost_sequence &&
        seen->lost_sequence > 0) {
        sim_fail(sim, "O1", node,
                 "counts %llu for node %llu, which was acknowledged before it was lost",
                 (unsigned long long)peer.match_index, (unsigned long long)answer->from);
    }
    seen->match = peer.match_index;
}

/* ---- contact ---- */

static bool have_answered(const struct sim *sim, const struct sim_node *node,
                          const raft_node_id *voters, uint32_t count)
{
    uint32_t votes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct sim_peer_seen *seen = &node->peers_seen[voters[i]];
        votes += voters[i] == node->id ||
                 (seen->term == node->view.hard_state.term && seen->has_answered &&
                  node->now_ms - seen->answered_ms < sim->knobs.election_timeout_ms);
    }
    return count == 0 || 2 * votes > count;
}

/* 6.2: it goes when it has lost its quorum; else when its disk hangs, or when it is removed. */
static void check_abdication(struct sim *sim, const struct sim_node *node)
{
    const struct raft_config *config = node->view.config;
    const bool is_voter = list_has(config->voters, config->voters_count, node->id) ||
                          list_has(config->old_voters, config->old_voters_count, node->id);
    if (is_voter && !node->view.is_storage_stalled &&
        have_answered(sim, node, config->voters, config->voters_count) &&
        have_answered(sim, node, config->old_voters, config->old_voters_count)) {
        sim_fail(sim, "O16", node, "gives up term %llu although a quorum answers",
                 (unsigned long long)node->view.hard_state.term);
    }
}

static bool is_answer(const struct raft_message *message)
{
    return message->type == RAFT_APPEND_RESPONSE || message->type == RAFT_HEARTBEAT_RESPONSE ||
           message->type == RAFT_SNAPSHOT_RESPONSE;
}

void oracle_peers(struct sim *sim, struct sim_node *node, const struct raft_view *before)
{
    const struct raft_message *message = sim->received;
    const bool leads = node->view.role == RAFT_LEADER;
    if (before->role == RAFT_LEADER && !leads &&
        before->hard_state.term == node->view.hard_state.term) {
        check_abdication(sim, node);
    }
    if (!leads) {
        return;
    }
    if (node->view.config_index > before->config_index) {
        forget_others(node);
    }
    if (message != NULL && is_answer(message) && message->term == node->view.hard_state.term &&
        is_member(node->view.config, message->from)) {
        struct sim_peer_seen *seen = seen_of(node, message->from);
        seen->has_answered = true;
        seen->answered_ms = node->now_ms;
        check_match(sim, node, message);
    }
    note_sent(sim, node);
}
