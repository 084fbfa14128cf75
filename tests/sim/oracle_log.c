/* Logs and configurations: what may be cut, what may follow what (O6, O7, O10). */
#include <string.h>

#include "sim/sim.h"

void oracle_truncate(struct sim *sim, const struct sim_node *node, raft_index from)
{
    const struct raft_write *write = &sim->out.write;
    const struct raft_message *message = sim->received;
    if (node->view.role == RAFT_LEADER) {
        sim_fail(sim, "O7", node, "a leader cuts its own log");
    }
    if (from <= node->seen_commit || from <= node->log.base) {
        sim_fail(sim, "O6", node, "cuts its log from %llu, which is committed",
                 (unsigned long long)from);
    }
    if (message == NULL || message->type != RAFT_APPEND_REQUEST ||
        message->term != node->view.hard_state.term) {
        sim_fail(sim, "O6", node, "cuts its log for one who does not lead its term");
    }
    if (from > node->log.last || write->entries_count == 0 || write->entries[0].id.index != from ||
        write->entries[0].id.term == node->log.entries[from].term) {
        sim_fail(sim, "O6", node, "cuts its log from %llu without a conflict",
                 (unsigned long long)from);
    }
}

/* ---- O10 ---- */

static bool is_quorum(const raft_node_id *voters, uint32_t count, uint32_t set)
{
    uint32_t members = 0;
    for (uint32_t i = 0; i < count; i++) {
        members += set >> voters[i] & 1;
    }
    return count == 0 || 2 * members > count;
}

static bool decides(const struct raft_config *config, uint32_t set)
{
    return is_quorum(config->voters, config->voters_count, set) &&
           is_quorum(config->old_voters, config->old_voters_count, set);
}

/* By trying all sets of nodes: one that decides in one, whose complement decides in the other. */
static bool may_part(const struct sim *sim, const struct raft_config *now,
                     const struct raft_config *next)
{
    const uint32_t all = (1U << (sim->nodes_count + 1)) - 2;
    for (uint32_t set = 0; set <= all; set += 2) {
        if (decides(now, set) && decides(next, all & ~set)) {
            return true;
        }
    }
    return false;
}

static void check_own_config(struct sim *sim, const struct sim_node *node, raft_index index)
{
    const struct sim_log *log = &node->log;
    const uint32_t count = log->configs_count;
    const struct raft_config *next = &sim->configs[log->configs[count - 1].config];
    const struct raft_config *now = &sim->configs[log->configs[count - 2].config];
    if (log->configs[count - 2].index > node->seen_commit) {
        sim_fail(sim, "O10", node, "configuration %llu follows %llu, which is not committed",
                 (unsigned long long)index, (unsigned long long)log->configs[count - 2].index);
    }
    if (log->entries[node->seen_commit].term != node->view.hard_state.term) {
        sim_fail(sim, "O10", node, "configuration %llu before its term has committed",
                 (unsigned long long)index);
    }
    if (next->voters_count == 0 || may_part(sim, now, next)) {
        sim_fail(sim, "O10", node, "configuration %llu has a quorum that misses one of the former",
                 (unsigned long long)index);
    }
}

/* An entry is made once, by the leader of its term, and wherever it is found later the whole log
 * before it is the same. */
void oracle_append(struct sim *sim, struct sim_node *node, struct sim_entry *entry,
                   raft_index index, bool is_own)
{
    struct sim_payload *payload = &sim->payloads[entry->payload];
    if (is_own && (payload->term != 0 || entry->term != node->view.hard_state.term ||
                   sim->leaders[entry->term % SIM_TERMS_MAX] != node->id)) {
        const bool is_new_leader = node->view.role == RAFT_LEADER && payload->term == 0 &&
                                   entry->term == node->view.hard_state.term;
        if (!is_new_leader) {
            sim_fail(sim, "O7", node, "makes entry %llu of term %u, which is not its own",
                     (unsigned long long)index, entry->term);
        }
    }
    if (payload->term == 0) {
        payload->term = entry->term;
        payload->index = index;
        payload->chain = entry->chain;
    } else if (payload->term != entry->term || payload->index != index ||
               payload->chain != entry->chain) {
        sim_fail(sim, "O7", node, "entry %llu of term %u has another history than elsewhere",
                 (unsigned long long)index, entry->term);
    }
    if (is_own && payload->type == RAFT_ENTRY_CONFIG) {
        check_own_config(sim, node, index);
    }
}

void oracle_config(struct sim *sim, const struct sim_node *node)
{
    const struct sim_log *log = &node->log;
    if (node->view.config_index != sim_log_config_index(log)) {
        sim_fail(sim, "O10", node, "configuration %llu is in force, the log's newest is %llu",
                 (unsigned long long)node->view.config_index,
                 (unsigned long long)sim_log_config_index(log));
    }
    const struct raft_config *config = &sim->configs[sim_log_config(log)];
    if (node->view.config->voters_count != config->voters_count ||
        node->view.config->old_voters_count != config->old_voters_count ||
        memcmp(node->view.config->voters, config->voters,
               config->voters_count * sizeof config->voters[0]) != 0) {
        sim_fail(sim, "O10", node, "the configuration in force is not that of its entry");
    }
}

/* ---- snapshots ---- */

struct sim_config_at oracle_config_at(const struct sim *sim, raft_index index)
{
    for (; index > 0; index--) {
        const struct sim_payload *payload = &sim->payloads[sim->committed_entries[index].payload];
        if (payload->type == RAFT_ENTRY_CONFIG) {
            return (struct sim_config_at){.index = index, .config = payload->config};
        }
    }
    return (struct sim_config_at){.index = 0, .config = 1};
}

static bool lists_are_equal(const raft_node_id *a, uint32_t a_count, const raft_node_id *b,
                            uint32_t b_count)
{
    return a_count == b_count && memcmp(a, b, a_count * sizeof a[0]) == 0;
}

/* Both halves and the learners, and where they came from (pitfall 65). */
void oracle_snapshot(struct sim *sim, const struct sim_node *node,
                     const struct raft_snapshot *snapshot)
{
    const raft_index index = snapshot->id.index;
    if (index == 0 || index > sim->committed ||
        snapshot->id.term != sim->committed_entries[index].term) {
        sim_fail(sim, "O8", node, "a snapshot of %llu^%llu, which is not committed",
                 (unsigned long long)index, (unsigned long long)snapshot->id.term);
    }
    const struct sim_config_at at = oracle_config_at(sim, index);
    const struct raft_config *config = &sim->configs[at.config];
    const struct raft_config *said = &snapshot->config;
    if (snapshot->config_index != at.index ||
        !lists_are_equal(said->voters, said->voters_count, config->voters, config->voters_count) ||
        !lists_are_equal(said->old_voters, said->old_voters_count, config->old_voters,
                         config->old_voters_count) ||
        !lists_are_equal(said->learners, said->learners_count, config->learners,
                         config->learners_count)) {
        sim_fail(sim, "O10", node,
                 "a snapshot of %llu with another configuration than was in force",
                 (unsigned long long)index);
    }
}

/* What it replaces must not have been needed: not committed, not the same up to there (pitfalls 62,
 * 63, 66). */
void oracle_install(struct sim *sim, const struct sim_node *node,
                    const struct raft_snapshot *snapshot)
{
    const raft_index index = snapshot->id.index;
    const struct sim_log *log = &node->log;
    oracle_snapshot(sim, node, snapshot);
    if (index <= node->seen_commit) {
        sim_fail(sim, "O6", node, "a snapshot of %llu replaces a log that is committed to %llu",
                 (unsigned long long)index, (unsigned long long)node->seen_commit);
    }
    if (index <= log->last && log->entries[index].chain == sim->committed_entries[index].chain) {
        sim_fail(sim, "O6", node, "a snapshot of %llu replaces a log that goes on after it",
                 (unsigned long long)index);
    }
    const raft_index last = log->last < index ? log->last : index;
    sim->counts->snapshot_installed++;
    sim->counts->snapshot_in_joint += snapshot->config.old_voters_count > 0;
    sim->counts->snapshot_divergent +=
        last > log->base && log->entries[last].chain != sim->committed_entries[last].chain;
}
