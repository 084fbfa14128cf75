/* Commits: what any leader commits is for good (O1, O2, O4, O7, O8, O9). Nothing here uses the
 * core's own arithmetic: majorities and comparisons of logs are written anew. */
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

static bool is_voter(const struct raft_config *config, raft_node_id id)
{
    return list_has(config->voters, config->voters_count, id) ||
           list_has(config->old_voters, config->old_voters_count, id);
}

/* ---- O1: a durable majority ---- */

/* A node whose log lost its end stands by what it promised: it does not vote before it has it
 * again, so it counts. */
static bool is_held(struct sim *sim, raft_node_id id, raft_index index,
                    const struct sim_entry *entry)
{
    const struct sim_node *node = sim_node(sim, id);
    const struct raft_entry_id wanted = {.term = entry->term, .index = index};
    return sim_log_has(&node->disk, index, entry) ||
           (sim_disk_is_recovering(node) && sim_as_new(node->high_water, wanted));
}

static bool has_majority(struct sim *sim, const raft_node_id *voters, uint32_t count,
                         raft_index index, const struct sim_entry *entry)
{
    uint32_t holders = 0;
    for (uint32_t i = 0; i < count; i++) {
        holders += is_held(sim, voters[i], index, entry);
    }
    return count == 0 || 2 * holders > count;
}

static bool is_durable(struct sim *sim, const struct raft_config *config, raft_index index,
                       const struct sim_entry *entry)
{
    return config->voters_count > 0 &&
           has_majority(sim, config->voters, config->voters_count, index, entry) &&
           has_majority(sim, config->old_voters, config->old_voters_count, index, entry);
}

/* ---- O2: nobody without the entry could be elected now ---- */

static bool could_win(struct sim *sim, struct raft_entry_id last, const raft_node_id *voters,
                      uint32_t count)
{
    uint32_t votes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct sim_node *voter = sim_node(sim, voters[i]);
        votes += !sim_disk_is_recovering(voter) && sim_as_new(last, sim_log_last(&voter->disk));
    }
    return count == 0 || 2 * votes > count;
}

static void check_not_electable(struct sim *sim, const struct sim_node *node, raft_index index,
                                const struct sim_entry *entry)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct sim_node *other = &sim->nodes[i];
        const struct sim_log *log = other->is_up ? &other->log : &other->disk;
        const struct raft_config *config = &sim->configs[sim_log_config(log)];
        if (sim_log_has(log, index, entry) || other->is_gone || !is_voter(config, other->id) ||
            sim_disk_is_recovering(other)) {
            continue;
        }
        const struct raft_entry_id last = sim_log_last(log);
        if (could_win(sim, last, config->voters, config->voters_count) &&
            could_win(sim, last, config->old_voters, config->old_voters_count)) {
            sim_fail(sim, "O2", node, "commits %llu, without which node %llu could be elected now",
                     (unsigned long long)index, (unsigned long long)other->id);
        }
    }
}

/* ---- O7: leaders of later terms have it ---- */

static void check_later_leaders(struct sim *sim, const struct sim_node *node, raft_index index,
                                const struct sim_entry *entry)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct sim_node *other = &sim->nodes[i];
        if (other->is_up && other->view.role == RAFT_LEADER &&
            other->view.hard_state.term > node->view.hard_state.term &&
            !sim_log_has(&other->log, index, entry)) {
            sim_fail(sim, "O7", node, "commits %llu, which leader %llu of a later term lacks",
                     (unsigned long long)index, (unsigned long long)other->id);
        }
    }
}

/* ---- O8: one history ---- */

static void take_in(struct sim *sim, struct sim_node *node, raft_index index)
{
    sim->committed_entries[index] = node->log.entries[index];
    sim->commit_terms[index] = (uint32_t)node->view.hard_state.term;
    sim->digests[index] = 0;
    sim->images[index] = 0;
    sim->committed = index;
    sim->counts->commits++;
    oracle_spec_commit(sim, index);
}

static void leader_commits(struct sim *sim, struct sim_node *node, raft_index commit)
{
    const struct sim_entry *entry = &node->log.entries[commit];
    if (!is_durable(sim, node->view.config, commit, entry)) {
        sim_fail(sim, "O1", node, "commits %llu without a durable majority",
                 (unsigned long long)commit);
    }
    check_not_electable(sim, node, commit, entry);
    check_later_leaders(sim, node, commit, entry);
    while (sim->committed < commit) {
        take_in(sim, node, sim->committed + 1);
    }
    oracle_lease(sim, node);
}

static void check_same(struct sim *sim, const struct sim_node *node, raft_index index)
{
    if (node->log.entries[index].chain != sim->committed_entries[index].chain) {
        sim_fail(sim, "O8", node, "commits another entry at %llu than was committed before",
                 (unsigned long long)index);
    }
}

/* The log has the entry that the leader's snapshot ends with. */
static void note_matched(struct sim *sim, struct sim_node *node, raft_index index)
{
    if (index <= sim->committed && index <= node->log.last && index > node->verified &&
        sim_log_has(&node->log, index, &sim->committed_entries[index])) {
        node->verified = index;
    }
}

/* What this node has verified of its leader's log, by the answer that it just made. */
static void note_verified(struct sim *sim, struct sim_node *node)
{
    const struct raft_message *message = sim->received;
    const raft_term term = node->view.hard_state.term;
    if (node->verified_term != term) {
        node->verified_term = term;
        node->verified = 0;
    }
    if (sim->out.write.snapshot != NULL && sim->out.write_number != 0) {
        node->verified = sim->out.write.snapshot->id.index;
    }
    if (message == NULL || message->term != term) {
        return;
    }
    if (message->type == RAFT_SNAPSHOT_REQUEST) {
        note_matched(sim, node, message->snapshot_request.snapshot->id.index);
        return;
    }
    if (message->type != RAFT_APPEND_REQUEST) {
        return;
    }
    const struct raft_append_request *request = &message->append_request;
    for (uint32_t i = 0; i < sim->out.messages_count; i++) {
        const struct raft_message *answer = &sim->out.messages[i];
        if (answer->type == RAFT_APPEND_RESPONSE && answer->append_response.accepted &&
            node->verified < request->entries_last) {
            node->verified = request->entries_last;
        }
    }
}

/* 4.2.2: once the configuration that removes it is committed, its part is over. */
static void check_removed(struct sim *sim, const struct sim_node *node)
{
    if (node->view.role == RAFT_LEADER && node->view.is_config_committed &&
        !is_voter(node->view.config, node->id)) {
        sim_fail(sim, "O7", node, "leads on although it has been removed");
    }
}

void oracle_commit(struct sim *sim, struct sim_node *node, const struct raft_view *before)
{
    const raft_index commit = node->view.commit_index;
    const bool leads =
        node->view.role == RAFT_LEADER ||
        (before->role == RAFT_LEADER && before->hard_state.term == node->view.hard_state.term);
    note_verified(sim, node);
    check_removed(sim, node);
    if (commit < node->seen_commit) {
        sim_fail(sim, "O9", node, "commit index falls from %llu to %llu",
                 (unsigned long long)node->seen_commit, (unsigned long long)commit);
    }
    if (commit == node->seen_commit) {
        return;
    }
    node->seen_commit = commit;
    if (commit > node->log.last) {
        sim_fail(sim, "O4", node, "commits %llu, past its log", (unsigned long long)commit);
    }
    if (leads) {
        leader_commits(sim, node, commit);
    } else if (commit > sim->committed) {
        sim_fail(sim, "O4", node, "commits %llu, which no leader has", (unsigned long long)commit);
    } else if (commit > node->verified) {
        sim_fail(sim, "O4", node, "commits %llu, but its leader's log is verified to %llu only",
                 (unsigned long long)commit, (unsigned long long)node->verified);
    }
    check_same(sim, node, commit);
}

/* ---- O7: elections ---- */

/* By the ledger of votes that left their voters; the own one counts when it is durable. */
static bool has_votes(struct sim *sim, const struct sim_node *node, const raft_node_id *voters,
                      uint32_t count)
{
    const raft_term term = node->view.hard_state.term;
    uint32_t votes = 0;
    for (uint32_t i = 0; i < count; i++) {
        votes += voters[i] == node->id
                     ? node->disk_state.term == term && node->disk_state.vote == node->id
                     : sim_node(sim, voters[i])->votes[term] == node->id;
    }
    return count == 0 || 2 * votes > count;
}

static void check_votes(struct sim *sim, const struct sim_node *node)
{
    const struct raft_config *config = node->view.config;
    if (config->voters_count == 0 || !has_votes(sim, node, config->voters, config->voters_count) ||
        !has_votes(sim, node, config->old_voters, config->old_voters_count)) {
        sim_fail(sim, "O7", node, "leads term %llu without the votes of a quorum",
                 (unsigned long long)node->view.hard_state.term);
    }
}

static void check_complete(struct sim *sim, const struct sim_node *node)
{
    raft_index index = sim->committed;
    while (index > 0 && sim->commit_terms[index] >= node->view.hard_state.term) {
        index--;
    }
    if (index > 0 && !sim_log_has(&node->log, index, &sim->committed_entries[index])) {
        sim_fail(sim, "O7", node, "leads term %llu without committed entry %llu",
                 (unsigned long long)node->view.hard_state.term, (unsigned long long)index);
    }
}

/* Before the no-op: the end of what former leaders left. */
static void count_figure_8(struct sim *sim, const struct sim_node *node)
{
    const raft_index index = node->log.last - 1;
    if (index > sim->committed && index > node->log.base &&
        is_durable(sim, node->view.config, index, &node->log.entries[index])) {
        sim->counts->figure_8++;
    }
}

static void count_campaign(struct sim *sim, const struct sim_node *node)
{
    const struct raft_config *config = node->view.config;
    const uint32_t now = has_votes(sim, node, config->voters, config->voters_count);
    const uint32_t old = has_votes(sim, node, config->old_voters, config->old_voters_count);
    sim->counts->joint_disagreed += config->old_voters_count > 0 && now != old;
    for (raft_index index = sim->committed; index > 0; index--) {
        const struct sim_payload *payload = &sim->payloads[sim->committed_entries[index].payload];
        if (payload->type == RAFT_ENTRY_CONFIG) {
            sim->counts->removed_campaigns += !is_voter(&sim->configs[payload->config], node->id);
            return;
        }
    }
}

void oracle_leader(struct sim *sim, struct sim_node *node)
{
    const raft_term term = node->view.hard_state.term;
    if (term < node->seen_term) {
        sim_fail(sim, "O9", node, "term falls from %llu to %llu",
                 (unsigned long long)node->seen_term, (unsigned long long)term);
    }
    node->seen_term = term;
    if (term + 2 >= SIM_TERMS_MAX) {
        sim_fail(sim, "O16", node, "more terms than a run can need");
    }
    if (node->view.role == RAFT_CANDIDATE || node->view.role == RAFT_PRE_CANDIDATE) {
        count_campaign(sim, node);
    }
    if (node->view.role != RAFT_LEADER || sim->leaders[term] == node->id) {
        return;
    }
    if (sim->leaders[term] != 0) {
        sim_fail(sim, "O7", node, "leads term %llu, which node %u has led",
                 (unsigned long long)term, sim->leaders[term]);
    }
    sim->leaders[term] = (uint8_t)node->id;
    sim->counts->elections++;
    sim->counts->transfer_won += node->transfer_term == term;
    check_votes(sim, node);
    check_complete(sim, node);
    count_figure_8(sim, node);
}

/* ---- O8: equal states ---- */

void oracle_digest(struct sim *sim, struct sim_node *node)
{
    const uint64_t digest = sm_digest(&node->root) | 1;
    const raft_index applied = node->applied;
    if (applied < node->seen_applied) {
        sim_fail(sim, "O9", node, "applied index falls");
    }
    node->seen_applied = applied;
    if (applied == 0) {
        return;
    }
    if (sim->digests[applied] == 0) {
        sim->digests[applied] = digest;
    } else if (sim->digests[applied] != digest) {
        sim_fail(sim, "O8", node, "another state at %llu than elsewhere",
                 (unsigned long long)applied);
    }
}
