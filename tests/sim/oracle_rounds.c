/* Heartbeat rounds: what a leader takes from them (O11, O12). The ledger has what the peers did, not
 * what they answered: which heartbeat of their leader they heeded, when, and when it had left. So a
 * read that is confirmed, or a lease that is claimed, too early is seen even when nobody else has
 * committed anything meanwhile. */
#include "server/lease.h"
#include "sim/sim.h"

static bool is_obeyed(const struct sim_node *node, const struct raft_message *message)
{
    return node->view.role == RAFT_FOLLOWER && node->view.hard_state.term == message->term &&
           node->view.leader == message->from;
}

/* ---- the ledger ---- */

static struct sim_round *round_at(struct sim_node *leader, uint64_t round)
{
    return &leader->rounds[round % SIM_ROUNDS_MAX];
}

static void note_rounds(struct sim *sim, struct sim_node *node)
{
    for (uint32_t i = 0; i < sim->out.messages_count; i++) {
        const struct raft_message *message = &sim->out.messages[i];
        if (message->type != RAFT_HEARTBEAT_REQUEST) {
            continue;
        }
        const uint64_t number = message->heartbeat_request.round;
        struct sim_round *round = round_at(node, number);
        if (round->number != number || round->term != message->term) {
            *round = (struct sim_round){.number = number,
                                        .term = message->term,
                                        .step = sim->steps,
                                        .boot_ms = sim_boottime_ms(sim, node)};
        }
    }
}

static void note_heeded(struct sim *sim, struct sim_node *node, const struct raft_message *message)
{
    struct sim_heeded *heeded = &node->heeded[message->from];
    const uint64_t number = message->heartbeat_request.round;
    const struct sim_round *round = round_at(sim_node(sim, message->from), number);
    if (heeded->term != message->term) {
        *heeded = (struct sim_heeded){.term = message->term};
    }
    heeded->step = sim->steps;
    if (round->number == number && round->term == message->term &&
        round->step > heeded->sent_step) {
        heeded->sent_step = round->step;
        heeded->sent_ms = round->boot_ms;
    }
}

/* Pitfall 97. */
static void check_unheeded(struct sim *sim, const struct sim_node *node)
{
    for (uint32_t i = 0; i < sim->out.messages_count; i++) {
        const struct raft_message *answer = &sim->out.messages[i];
        if (answer->type == RAFT_HEARTBEAT_RESPONSE && answer->heartbeat_response.round != 0) {
            sim_fail(sim, "O11", node,
                     "acknowledges a round of node %llu, which it does not follow",
                     (unsigned long long)answer->to);
        }
    }
}

/* ---- quorums ---- */

/* What a heartbeat must have been like. */
struct wanted {
    uint64_t after_step;      /* heeded later than this step */
    uint64_t sent_since_step; /* and sent in this one or later */
    uint64_t sent_ms;         /* by the leader's clock, and not before this */
};

static bool has_heeded(struct sim *sim, const struct sim_node *leader, raft_node_id voter,
                       const struct wanted *wanted)
{
    const struct sim_heeded *heeded = &sim_node(sim, voter)->heeded[leader->id];
    return voter == leader->id ||
           (heeded->term == leader->view.hard_state.term && heeded->step > wanted->after_step &&
            heeded->sent_step >= wanted->sent_since_step && heeded->sent_ms >= wanted->sent_ms);
}

static bool have_heeded(struct sim *sim, const struct sim_node *leader, const raft_node_id *voters,
                        uint32_t count, const struct wanted *wanted)
{
    uint32_t votes = 0;
    for (uint32_t i = 0; i < count; i++) {
        votes += has_heeded(sim, leader, voters[i], wanted);
    }
    return count == 0 || 2 * votes > count;
}

static bool quorum_has_heeded(struct sim *sim, const struct sim_node *leader,
                              const struct wanted *wanted)
{
    const struct raft_config *config = leader->view.config;
    return have_heeded(sim, leader, config->voters, config->voters_count, wanted) &&
           have_heeded(sim, leader, config->old_voters, config->old_voters_count, wanted);
}

/* ---- what is taken from it ---- */

/* Pitfalls 97, 98: whoever answered before the read came may have voted for another since. */
void oracle_read_confirmed(struct sim *sim, const struct sim_node *node, uint64_t asked_step)
{
    const struct wanted wanted = {.after_step = asked_step};
    if (!quorum_has_heeded(sim, node, &wanted)) {
        sim_fail(sim, "O11", node, "confirms a read that came after its quorum was asked");
    }
}

/* Pitfalls 79, 103, 106: both halves have promised, by a heartbeat that left when the lease begins,
 * and after the configuration went into the log. */
static void check_lease(struct sim *sim, const struct sim_node *node)
{
    const struct sim_knobs *knobs = &sim->knobs;
    if (node->view.lease_end_ms == 0) {
        return;
    }
    const struct wanted wanted = {
        .sent_since_step = node->config_step,
        .sent_ms = node->view.lease_end_ms -
                   lease_length_ms(knobs->election_timeout_ms, knobs->lease_drift_percent),
    };
    if (!quorum_has_heeded(sim, node, &wanted)) {
        sim_fail(sim, "O12", node, "has a lease that no quorum of its configuration has promised");
    }
}

void oracle_rounds(struct sim *sim, struct sim_node *node, const struct raft_view *before)
{
    const struct raft_message *message = sim->received;
    if (node->view.role == RAFT_LEADER && node->view.config_index > before->config_index) {
        node->config_step = sim->steps;
    }
    note_rounds(sim, node);
    if (message != NULL && message->type == RAFT_HEARTBEAT_REQUEST) {
        if (is_obeyed(node, message)) {
            note_heeded(sim, node, message);
        } else {
            check_unheeded(sim, node);
        }
    }
    check_lease(sim, node);
}
