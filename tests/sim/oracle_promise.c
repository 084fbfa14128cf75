/* The promise ledger: what a message promises is durable when it leaves, and still there after a
 * crash (O3); votes are decided as the logs say (O5). */
#include "base/assert.h"
#include "sim/sim.h"

/* ---- O5: decisions ---- */

/* 4.2.3, by what this node has heard: whom it heard within an election timeout it keeps. */
static bool keeps_leader(const struct sim *sim, const struct sim_node *node,
                         const struct raft_message *question)
{
    return sim->knobs.check_quorum && !question->vote_request.transfer && node->heard != 0 &&
           node->heard != question->from &&
           node->now_ms - node->heard_ms < sim->knobs.election_timeout_ms;
}

static void check_grant(struct sim *sim, const struct sim_node *node,
                        const struct raft_message *question)
{
    const struct raft_vote_request *request = &question->vote_request;
    if (!sim_as_new(request->last, sim_log_last(&node->log))) {
        sim_fail(sim, "O5", node, "votes for node %llu, whose log is behind",
                 (unsigned long long)question->from);
    }
    if (sim_disk_is_recovering(node)) {
        sim_fail(sim, "O5", node, "votes although its log has lost its end");
    }
    if (keeps_leader(sim, node, question)) {
        sim_fail(sim, "O12", node, "votes for node %llu although it hears node %llu",
                 (unsigned long long)question->from, (unsigned long long)node->heard);
    }
    if (request->pre_vote) {
        return;
    }
    if (node->view.hard_state.term != question->term ||
        node->view.hard_state.vote != question->from) {
        sim_fail(sim, "O5", node, "grants a vote that it does not take down");
    }
    for (uint32_t i = 0; i < node->view.config->learners_count; i++) {
        sim->counts->learner_voted += node->view.config->learners[i] == node->id;
    }
}

/* It has not been up for long, and what it promised before is forgotten; or it leads. */
static bool may_keep_silent(const struct sim *sim, const struct sim_node *node,
                            const struct raft_message *question)
{
    return sim->knobs.check_quorum && !question->vote_request.transfer &&
           (node->view.role == RAFT_LEADER ||
            node->now_ms - node->started_ms < sim->knobs.election_timeout_ms);
}

/* A vote that nothing speaks against is given: a refusal without a reason costs an election, and when
 * it goes on, all of them (pitfalls 7, 10, 18). */
static void check_refusal(struct sim *sim, const struct sim_node *node,
                          const struct raft_message *question)
{
    const struct raft_hard_state *state = &node->view.hard_state;
    const bool is_void =
        question->vote_request.pre_vote
            ? question->term <= state->term
            : question->term != state->term || (state->vote != 0 && state->vote != question->from);
    if (is_void || node->view.config->voters_count == 0 || keeps_leader(sim, node, question) ||
        may_keep_silent(sim, node, question) || node->view.is_recovering ||
        !sim_as_new(question->vote_request.last, sim_log_last(&node->log))) {
        return;
    }
    sim_fail(sim, "O5", node, "refuses node %llu its vote without a reason",
             (unsigned long long)question->from);
}

/* Whoever asks first must not disturb: neither term nor vote, role, leader or clock (pitfall 9). */
static void check_pre_vote(struct sim *sim, const struct sim_node *node,
                           const struct raft_view *before)
{
    const struct raft_view *view = &node->view;
    if (view->hard_state.term != before->hard_state.term ||
        view->hard_state.vote != before->hard_state.vote || view->role != before->role ||
        view->leader != before->leader ||
        (view->role != RAFT_LEADER && (view->leader_contact_ms != before->leader_contact_ms ||
                                       sim->out.deadline_ms != node->deadline_ms))) {
        sim_fail(sim, "O5", node, "is changed by a pre-vote of node %llu",
                 (unsigned long long)sim->received->from);
    }
}

static void note_heard(struct sim_node *node, const struct raft_message *message)
{
    const bool is_leaders = message->type == RAFT_APPEND_REQUEST ||
                            message->type == RAFT_HEARTBEAT_REQUEST ||
                            message->type == RAFT_SNAPSHOT_REQUEST;
    if (is_leaders && node->view.role == RAFT_FOLLOWER && node->view.leader == message->from &&
        node->view.hard_state.term == message->term) {
        node->heard = message->from;
        node->heard_ms = node->now_ms;
    }
}

/* 3.3, pitfall 8: an answer, a refusal too, tells of the term that it was given in. */
static void check_term(struct sim *sim, const struct sim_node *node,
                       const struct raft_message *message)
{
    if (message->type != RAFT_VOTE_REQUEST && node->view.hard_state.term < message->term) {
        sim_fail(sim, "O9", node, "stays in term %llu although it is told of %llu",
                 (unsigned long long)node->view.hard_state.term, (unsigned long long)message->term);
    }
}

/* Pitfall 62: without the snapshot, only what is committed is as good as it. */
static void check_offer(struct sim *sim, const struct sim_node *node,
                        const struct raft_message *offer)
{
    const raft_index index = offer->snapshot_request.snapshot->id.index;
    for (uint32_t i = 0; i < sim->out.messages_count; i++) {
        const struct raft_message *answer = &sim->out.messages[i];
        if (answer->type == RAFT_SNAPSHOT_RESPONSE && answer->snapshot_response.accepted &&
            answer->snapshot_response.sequence == offer->snapshot_request.sequence &&
            (answer->snapshot_response.match < index || node->view.commit_index < index)) {
            sim_fail(sim, "O3", node, "takes a snapshot of %llu for done, with %llu committed",
                     (unsigned long long)index, (unsigned long long)node->view.commit_index);
        }
    }
}

void oracle_votes(struct sim *sim, struct sim_node *node, const struct raft_view *before)
{
    const struct raft_message *message = sim->received;
    if (message == NULL) {
        return;
    }
    note_heard(node, message);
    check_term(sim, node, message);
    if (message->type == RAFT_SNAPSHOT_REQUEST) {
        check_offer(sim, node, message);
    }
    if (message->type != RAFT_VOTE_REQUEST) {
        return;
    }
    if (message->vote_request.pre_vote) {
        check_pre_vote(sim, node, before);
    }
    for (uint32_t i = 0; i < sim->out.messages_count; i++) {
        const struct raft_message *answer = &sim->out.messages[i];
        if (answer->type != RAFT_VOTE_RESPONSE) {
            continue;
        }
        if (answer->vote_response.granted) {
            check_grant(sim, node, message);
        } else {
            check_refusal(sim, node, message);
        }
    }
}

/* ---- O3: what leaves ---- */

static void promise_vote(struct sim *sim, struct sim_node *node, raft_term term,
                         raft_node_id candidate)
{
    uint8_t *vote = &node->votes[term % SIM_TERMS_MAX];
    if (node->disk_state.term < term ||
        (node->disk_state.term == term && node->disk_state.vote != candidate)) {
        sim_fail(sim, "O3", node, "its vote for node %llu leaves before it is durable",
                 (unsigned long long)candidate);
    }
    if (*vote != 0 && *vote != candidate) {
        sim_fail(sim, "O3", node, "votes twice in term %llu", (unsigned long long)term);
    }
    *vote = (uint8_t)candidate;
}

static void check_request(struct sim *sim, struct sim_node *node,
                          const struct raft_message *message)
{
    const struct raft_entry_id last = sim_log_last(&node->log);
    const struct raft_entry_id said = message->vote_request.last;
    if (message->vote_request.pre_vote) {
        return;
    }
    promise_vote(sim, node, message->term, node->id);
    if (message->vote_request.transfer) {
        node->transfer_term = message->term;
    }
    if (node->view.hard_state.term == message->term && node->view.role == RAFT_CANDIDATE &&
        (said.term != last.term || said.index != last.index)) {
        sim_fail(sim, "O5", node, "asks for votes with a log that it has not");
    }
    if (!sim_as_new(sim_log_last(&node->disk), said)) {
        sim_fail(sim, "O3", node, "asks for votes with entries that are not durable");
    }
}

/* When its disk is in a newer term already, a newer leader may have replaced them since; then the
 * answer is void, for the leader it was for has been deposed. */
static void promise_entries(struct sim *sim, struct sim_node *node, raft_term term,
                            raft_index match)
{
    if (node->disk_state.term < term) {
        sim_fail(sim, "O3", node, "an answer of term %llu leaves before the term is durable",
                 (unsigned long long)term);
    }
    if (node->disk_state.term > term) {
        return;
    }
    if (node->disk.last < match) {
        sim_fail(sim, "O3", node, "acknowledges %llu before it is durable",
                 (unsigned long long)match);
    }
    const uint64_t chain = node->disk.entries[match].chain;
    const uint8_t id = sim->leaders[term % SIM_TERMS_MAX];
    if (id != 0 && match > node->disk.base) {
        const struct sim_node *leader = sim_node(sim, id);
        if (leader->is_up && leader->view.hard_state.term == term &&
            leader->view.role == RAFT_LEADER &&
            !sim_log_has(&leader->log, match, &node->disk.entries[match])) {
            sim_fail(sim, "O1", node, "acknowledges %llu, which its leader does not have",
                     (unsigned long long)match);
        }
    }
    if (node->acked_term != term || node->acked < match) {
        node->acked_term = term;
        node->acked = match;
        node->acked_chain = chain;
    }
}

void oracle_left(struct sim *sim, struct sim_node *node, const struct raft_message *message)
{
    switch (message->type) {
    case RAFT_VOTE_REQUEST:
        check_request(sim, node, message);
        break;
    case RAFT_VOTE_RESPONSE:
        if (message->vote_response.granted && !message->vote_response.pre_vote) {
            promise_vote(sim, node, message->term, message->to);
        }
        break;
    case RAFT_APPEND_RESPONSE:
        if (message->append_response.accepted) {
            promise_entries(sim, node, message->term, message->append_response.match);
        }
        break;
    case RAFT_SNAPSHOT_RESPONSE:
        if (message->snapshot_response.accepted) {
            promise_entries(sim, node, message->term, message->snapshot_response.match);
        }
        break;
    case RAFT_SNAPSHOT_REQUEST:
    case RAFT_APPEND_REQUEST:
    case RAFT_HEARTBEAT_REQUEST:
    case RAFT_HEARTBEAT_RESPONSE:
    case RAFT_TIMEOUT_NOW:
        break;
    }
    if (message->type == RAFT_VOTE_REQUEST) {
        return;
    }
    if (message->term > node->spoken_term) {
        node->spoken_term = message->term;
    }
    if (node->disk_state.term < message->term) {
        sim_fail(sim, "O3", node, "speaks in term %llu before it is durable",
                 (unsigned long long)message->term);
    }
}

/* ---- O3: after a crash ---- */

void oracle_restart(struct sim *sim, struct sim_node *node)
{
    node->seen_term = node->disk_state.term;
    if (node->disk_state.term < node->spoken_term) {
        sim_fail(sim, "O9", node, "comes back in term %llu, after it spoke in %llu",
                 (unsigned long long)node->disk_state.term, (unsigned long long)node->spoken_term);
    }
    node->verified_term = node->disk_state.term;
    node->verified = 0;
    if (node->acked_term != node->disk_state.term || node->acked_term == 0) {
        return;
    }
    node->verified = node->acked;
    const bool is_there = node->acked <= node->disk.base ||
                          (node->acked <= node->disk.last &&
                           node->disk.entries[node->acked].chain == node->acked_chain);
    if (!is_there && !node->view.is_recovering) {
        sim_fail(sim, "O3", node, "comes back without entry %llu, which it acknowledged",
                 (unsigned long long)node->acked);
    }
}
