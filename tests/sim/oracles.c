/* What must hold whatever happens, looked at where it can first fail (correctness 2.3, O1 to O11).
 * Nothing here uses the core's own arithmetic: majorities and log comparisons are written anew. */
#include <inttypes.h>
#include <stdlib.h>

#include "sim/sim.h"

_Noreturn void sim_fail(const struct sim *sim, const char *oracle, raft_node_id node)
{
    if (sim->cluster->trace != NULL) {
        (void)fflush(sim->cluster->trace);
    }
    (void)fprintf(stderr, "seed %" PRIu64 ": %" PRIu64 " ms: node %" PRIu64 ": %s\n", sim->seed,
                  sim->cluster->now_ms, node, oracle);
    abort();
}

static bool entries_are_equal(const struct cluster_entry *a, const struct cluster_entry *b)
{
    return a->id.term == b->id.term && a->id.index == b->id.index && a->value == b->value &&
           a->type == b->type;
}

static bool log_has(const struct cluster_log *log, const struct cluster_entry *entry)
{
    return log->count >= entry->id.index &&
           entries_are_equal(&log->entries[entry->id.index - 1], entry);
}

static struct raft_entry_id last_of(const struct cluster_log *log)
{
    return log->count == 0 ? (struct raft_entry_id){0} : log->entries[log->count - 1].id;
}

/* 3.6.1. */
static bool is_as_new(struct raft_entry_id a, struct raft_entry_id b)
{
    return a.term > b.term || (a.term == b.term && a.index >= b.index);
}

/* ---- O1, O2, O4, O8: commits ---- */

static uint32_t count_holders(struct sim *sim, const raft_node_id *voters, uint32_t count,
                              const struct cluster_entry *entry)
{
    uint32_t holders = 0;
    for (uint32_t i = 0; i < count; i++) {
        holders += log_has(cluster_node(sim->cluster, voters[i])->disk, entry);
    }
    return holders;
}

static void check_durable(struct sim *sim, struct cluster_node *node,
                          const struct cluster_entry *entry)
{
    const struct raft_config *config = raft_view(node->raft).config;
    const uint32_t holders = count_holders(sim, config->voters, config->voters_count, entry);
    const uint32_t old_holders =
        count_holders(sim, config->old_voters, config->old_voters_count, entry);
    if (2 * holders <= config->voters_count ||
        (config->old_voters_count > 0 && 2 * old_holders <= config->old_voters_count)) {
        sim_fail(sim, "O1: committed without a durable majority", node->id);
    }
}

static bool could_win(struct sim *sim, struct raft_entry_id last, const raft_node_id *voters,
                      uint32_t count)
{
    uint32_t votes = 0;
    for (uint32_t i = 0; i < count; i++) {
        votes += is_as_new(last, last_of(cluster_node(sim->cluster, voters[i])->disk));
    }
    return 2 * votes > count;
}

/* Nobody who lacks the entry may be as new as a majority is: else it could be elected now. */
static void check_not_electable(struct sim *sim, struct cluster_node *node,
                                const struct cluster_entry *entry)
{
    const struct raft_config *config = raft_view(node->raft).config;
    for (uint32_t i = 0; i < config->voters_count; i++) {
        const struct cluster_node *other = cluster_node(sim->cluster, config->voters[i]);
        const struct cluster_log *log = other->is_up ? other->log : other->disk;
        if (log_has(log, entry)) {
            continue;
        }
        const struct raft_entry_id last = last_of(log);
        if (could_win(sim, last, config->voters, config->voters_count) &&
            (config->old_voters_count == 0 ||
             could_win(sim, last, config->old_voters, config->old_voters_count))) {
            sim_fail(sim, "O2: a node without the committed entry could win", other->id);
        }
    }
}

static void check_leader_commit(struct sim *sim, struct cluster_node *node, raft_index index)
{
    const struct cluster_entry *entry = &node->log->entries[index - 1];
    struct cluster_log *committed = sim->committed;
    if (index <= committed->count) {
        return;
    }
    committed->entries[committed->count] = *entry;
    sim->commit_terms[committed->count] = raft_view(node->raft).hard_state.term;
    committed->count++;
    sim->counts->commits++;
}

static void check_commit(struct sim *sim, struct cluster_node *node)
{
    struct sim_node *seen = &sim->nodes[node->id - 1];
    const struct raft_view view = raft_view(node->raft);
    const raft_index before = seen->commit_index;
    if (view.commit_index < before) {
        sim_fail(sim, "O9: commit_index fell", node->id);
    }
    seen->commit_index = view.commit_index;
    if (view.commit_index == before) {
        return;
    }
    if (view.role == RAFT_LEADER) {
        check_durable(sim, node, &node->log->entries[view.commit_index - 1]);
        check_not_electable(sim, node, &node->log->entries[view.commit_index - 1]);
    }
    for (raft_index index = before + 1; index <= view.commit_index; index++) {
        if (view.role == RAFT_LEADER || view.leader == 0) { /* 0: it just removed itself */
            check_leader_commit(sim, node, index);
        }
        if (index > sim->committed->count) {
            sim_fail(sim, "O4: committed what no leader committed", node->id);
        }
        if (!log_has(node->log, &sim->committed->entries[index - 1])) {
            sim_fail(sim, "O8: committed another entry than a leader before", node->id);
        }
    }
}

/* ---- O7: leaders ---- */

static bool has_majority_of_votes(struct sim *sim, struct cluster_node *node,
                                  const raft_node_id *voters, uint32_t count)
{
    const raft_term term = raft_view(node->raft).hard_state.term;
    uint32_t votes = 0;
    for (uint32_t i = 0; i < count; i++) {
        votes += voters[i] == node->id || sim->nodes[voters[i] - 1].votes[term] == node->id;
    }
    return 2 * votes > count;
}

/* By the ledger of votes that left their voters. */
static void check_votes(struct sim *sim, struct cluster_node *node)
{
    const struct raft_config *config = raft_view(node->raft).config;
    if (!has_majority_of_votes(sim, node, config->voters, config->voters_count) ||
        (config->old_voters_count > 0 &&
         !has_majority_of_votes(sim, node, config->old_voters, config->old_voters_count))) {
        sim_fail(sim, "O7: elected without the votes of a quorum", node->id);
    }
}

static void check_leader(struct sim *sim, struct cluster_node *node)
{
    const struct raft_view view = raft_view(node->raft);
    if (view.role != RAFT_LEADER) {
        return;
    }
    if (view.hard_state.term >= SIM_TERMS_MAX) {
        sim_fail(sim, "more terms than a run can need", node->id);
    }
    raft_node_id *leader = &sim->leaders[view.hard_state.term];
    if (*leader == node->id) {
        return;
    }
    if (*leader != 0) {
        sim_fail(sim, "O7: a second leader in a term (Election Safety)", node->id);
    }
    *leader = node->id;
    check_votes(sim, node);
    sim->counts->elections++;
    for (uint32_t i = 0; i < sim->committed->count; i++) {
        if (sim->commit_terms[i] < view.hard_state.term &&
            !log_has(node->log, &sim->committed->entries[i])) {
            sim_fail(sim, "O7: a leader without a committed entry (Leader Completeness)", node->id);
        }
    }
}

/* Log Matching: where two logs have the same index and term, they are the same up to it. */
void sim_check_logs(struct sim *sim)
{
    for (uint32_t a = 0; a < sim->nodes_count; a++) {
        for (uint32_t b = 0; b < a; b++) {
            const struct cluster_log *left = sim->cluster->nodes[a].log;
            const struct cluster_log *right = sim->cluster->nodes[b].log;
            bool is_same = false;
            for (uint32_t i = left->count < right->count ? left->count : right->count; i > 0; i--) {
                is_same = is_same || left->entries[i - 1].id.term == right->entries[i - 1].id.term;
                if (is_same && !entries_are_equal(&left->entries[i - 1], &right->entries[i - 1])) {
                    sim_fail(sim, "O7: logs differ before an equal entry (Log Matching)", a + 1);
                }
            }
        }
    }
}

/* ---- O3, O5: promises ---- */

/* The voter's log when it decides, compared by the second implementation above. */
static void check_vote_decisions(struct sim *sim, struct cluster_node *node)
{
    for (uint32_t i = 0; i < node->out->messages_count; i++) {
        const struct raft_message *message = &node->out->messages[i];
        if (message->type != RAFT_VOTE_RESPONSE || !message->vote_response.granted ||
            message->vote_response.pre_vote) {
            continue;
        }
        struct cluster_node *candidate = cluster_node(sim->cluster, message->to);
        if (raft_view(node->raft).hard_state.vote != message->to) {
            sim_fail(sim, "O5: granted a vote it did not take down", node->id);
        }
        /* The candidate's log cannot have shrunk in its own term; if it has gone on, it may. */
        if (candidate->is_up && raft_view(candidate->raft).hard_state.term == message->term &&
            raft_view(candidate->raft).hard_state.vote == candidate->id &&
            raft_view(candidate->raft).role == RAFT_CANDIDATE &&
            !is_as_new(last_of(candidate->log), last_of(node->log))) {
            sim_fail(sim, "O5: voted for a log that is behind", node->id);
        }
    }
}

static void check_vote_promise(struct sim *sim, struct cluster_node *node,
                               const struct raft_message *message)
{
    raft_node_id *vote = &sim->nodes[node->id - 1].votes[message->term % SIM_TERMS_MAX];
    if (node->disk_state.term < message->term ||
        (node->disk_state.term == message->term && node->disk_state.vote != message->to)) {
        sim_fail(sim, "O3: a vote left before it was durable", node->id);
    }
    if (*vote != 0 && *vote != message->to) {
        sim_fail(sim, "O3: two votes in one term", node->id);
    }
    *vote = message->to;
}

static void check_append_promise(struct sim *sim, struct cluster_node *node,
                                 const struct raft_message *message)
{
    const raft_index match = message->append_response.match;
    if (node->disk_state.term < message->term) {
        sim_fail(sim, "O3: an answer left before its term was durable", node->id);
    }
    if (node->disk_state.term > message->term) {
        return; /* a newer leader may have replaced them since; so the answer is void */
    }
    if (node->disk->count < match) {
        sim_fail(sim, "O3: entries acknowledged before they were durable", node->id);
    }
    const raft_node_id id = sim->leaders[message->term % SIM_TERMS_MAX];
    const struct cluster_node *leader = id == 0 ? NULL : cluster_node(sim->cluster, id);
    if (leader == NULL || !leader->is_up ||
        raft_view(leader->raft).hard_state.term != message->term ||
        raft_view(leader->raft).role != RAFT_LEADER) {
        return;
    }
    if (match > 0 && !log_has(leader->log, &node->disk->entries[match - 1])) {
        sim_fail(sim, "O1: acknowledged what its leader does not have", node->id);
    }
}

static void left(void *context, struct cluster *cluster, struct cluster_node *node,
                 const struct raft_message *message)
{
    struct sim *sim = context;
    (void)cluster;
    if (message->type == RAFT_VOTE_RESPONSE && message->vote_response.granted &&
        !message->vote_response.pre_vote) {
        check_vote_promise(sim, node, message);
    }
    if (message->type == RAFT_VOTE_REQUEST && !message->vote_request.pre_vote) {
        struct raft_message own = *message;
        own.to = node->id; /* the own vote is one like others */
        check_vote_promise(sim, node, &own);
    }
    if (message->type == RAFT_APPEND_RESPONSE && message->append_response.accepted) {
        check_append_promise(sim, node, message);
    }
}

/* ---- O6: truncations ---- */

static void truncated(void *context, struct cluster *cluster, struct cluster_node *node,
                      raft_index from)
{
    struct sim *sim = context;
    (void)cluster;
    const struct raft_write *write = &node->out->write;
    sim->counts->truncations++;
    if (raft_view(node->raft).role == RAFT_LEADER) {
        sim_fail(sim, "O7: a leader cut its own log (Leader Append-Only)", node->id);
    }
    if (from <= sim->nodes[node->id - 1].commit_index) {
        sim_fail(sim, "O6: a committed entry was cut", node->id);
    }
    if (write->entries_count == 0 || write->entries[0].id.index != from ||
        write->entries[0].id.term == node->log->entries[from - 1].id.term) {
        sim_fail(sim, "O6: cut without a conflict of terms", node->id);
    }
}

/* ---- O10, O11 ---- */

static void check_config(struct sim *sim, struct cluster_node *node)
{
    const struct raft_view view = raft_view(node->raft);
    raft_index newest = 0;
    uint32_t uncommitted = 0;
    for (uint32_t i = node->log->count; i > 0; i--) {
        if (node->log->entries[i - 1].type != RAFT_ENTRY_CONFIG) {
            continue;
        }
        newest = newest == 0 ? i : newest;
        uncommitted += i > sim->committed->count;
        if (i <= sim->committed->count) {
            break;
        }
    }
    if (view.config_index != newest) {
        sim_fail(sim, "O10: the configuration in force is not the newest in the log", node->id);
    }
    if (uncommitted > 1) {
        sim_fail(sim, "O10: two uncommitted configurations", node->id);
    }
}

static void check_reads(struct sim *sim, struct cluster_node *node)
{
    struct sim_node *seen = &sim->nodes[node->id - 1];
    for (; seen->reads_seen < node->reads_count; seen->reads_seen++) {
        const struct cluster_read *confirmed = &node->reads[seen->reads_seen];
        sim->counts->reads++;
        if (confirmed->index < sim->floors[confirmed->number]) {
            sim_fail(sim, "O11: a read is older than what was acknowledged before it", node->id);
        }
    }
}

static void stepped(void *context, struct cluster *cluster, struct cluster_node *node)
{
    struct sim *sim = context;
    struct sim_node *seen = &sim->nodes[node->id - 1];
    const raft_term term = raft_view(node->raft).hard_state.term;
    (void)cluster;
    sim->counts->steps++;
    if (term < node->disk_state.term) {
        sim_fail(sim, "O9: the term fell", node->id);
    }
    seen->term = term;
    check_leader(sim, node);
    check_commit(sim, node);
    check_vote_decisions(sim, node);
    check_config(sim, node);
    check_reads(sim, node);
}

struct cluster_hooks sim_hooks(struct sim *sim)
{
    return (struct cluster_hooks){
        .context = sim, .stepped = stepped, .left = left, .truncated = truncated};
}
