/* Numbered as in docs/testing.md. Nothing here asks the core how it decided, nor uses its
 * arithmetic. */
#include "sim/small_worlds.h"

/* ---- small accounts of logs and majorities ---- */

bool small_entries_are_equal(const struct small_entry *a, const struct small_entry *b)
{
    return a->term == b->term && a->type == b->type && a->voters == b->voters &&
           a->old_voters == b->old_voters && a->learners == b->learners;
}

static bool log_has(const struct small_log *log, uint8_t index, const struct small_entry *entry)
{
    return log->count >= index && small_entries_are_equal(&log->entries[index - 1], entry);
}

static uint32_t bits(uint32_t set)
{
    uint32_t count = 0;
    for (; set != 0; set &= set - 1) {
        count++;
    }
    return count;
}

/* More than half of the voters are in `set`, and of the old voters when there are any. */
static bool is_quorum(const struct small_entry *config, uint32_t set)
{
    const bool has_new = 2 * bits(config->voters & set) > bits(config->voters);
    const bool has_old =
        config->old_voters == 0 || 2 * bits(config->old_voters & set) > bits(config->old_voters);
    return has_new && has_old;
}

static uint8_t last_term(const struct small_log *log)
{
    return log->count == 0 ? 0 : log->entries[log->count - 1].term;
}

/* 3.6.1: `term`, `index` is at least as up to date as the end of `log`. */
static bool is_as_new(uint64_t term, uint64_t index, const struct small_log *log)
{
    return term > last_term(log) || (term == last_term(log) && index >= log->count);
}

static struct small_entry config_of(const struct small_log *log, uint8_t id)
{
    uint8_t index;
    return small_config_in_force(log, id, &index);
}

/* ---- O3: promises ---- */

static void check_vote_leaves(struct small_place *place, uint8_t id, uint64_t term, uint64_t to)
{
    const struct small_node *node = &place->world.nodes[id - 1];
    if (node->disk_term < term || (node->disk_term == term && node->disk_vote != to)) {
        small_fail("O3: a vote left before it was durable", id);
    }
}

static void check_append_leaves(struct small_place *place, uint8_t id,
                                const struct raft_message *message)
{
    const struct small_node *node = &place->world.nodes[id - 1];
    const raft_index match = message->append_response.match;
    if (node->disk_term < message->term) {
        small_fail("O3: an answer left before its term was durable", id);
    }
    if (node->disk_term == message->term && node->disk.count < match) {
        small_fail("O3: entries were acknowledged before they were durable", id);
    }
    /* In a later term the log may have been cut since: it no longer is what was acknowledged. */
    const bool is_term_over = raft_view(place->cores[id - 1]).hard_state.term != message->term;
    for (raft_index i = 0; !is_term_over && i < match; i++) {
        if (!small_entries_are_equal(&node->disk.entries[i], &node->log.entries[i])) {
            small_fail("O3: other entries are durable than were acknowledged", id);
        }
    }
}

void small_check_leaving(struct small_place *place, const struct small_message *message)
{
    const struct raft_message *raft = &message->raft;
    const uint8_t id = (uint8_t)raft->from;
    if (raft->type == RAFT_VOTE_REQUEST && !raft->vote_request.pre_vote) {
        check_vote_leaves(place, id, raft->term, id); /* the own vote is one like others */
    }
    if (raft->type == RAFT_VOTE_RESPONSE && raft->vote_response.granted &&
        !raft->vote_response.pre_vote) {
        check_vote_leaves(place, id, raft->term, raft->to);
    }
    if (raft->type == RAFT_APPEND_RESPONSE && raft->append_response.accepted) {
        check_append_leaves(place, id, raft);
    }
}

/* What is on the disk is never taken back: a term, a vote within it. */
void small_check_disk(struct small_place *place, uint8_t id, const struct small_write *write)
{
    const struct small_node *node = &place->world.nodes[id - 1];
    if (!write->has_hard_state) {
        return;
    }
    if (write->term < node->disk_term) {
        small_fail("O9: the term fell", id);
    }
    if (write->term == node->disk_term && node->disk_vote != 0 && node->disk_vote != write->vote) {
        small_fail("O3: two votes in one term", id);
    }
}

/* ---- O5: votes ---- */

static const struct raft_message *vote_answer(const struct raft_outputs *out)
{
    for (uint32_t i = 0; i < out->messages_count; i++) {
        if (out->messages[i].type == RAFT_VOTE_RESPONSE) {
            return &out->messages[i];
        }
    }
    return NULL;
}

/* 3.4, 3.6.1, 9.6: who is granted and who is not, both ways round. */
void small_check_vote(const struct small_node *before, const struct raft_view *view_before,
                      const struct small_message *request, const struct raft_outputs *out)
{
    const struct raft_message *asked = &request->raft;
    const uint8_t id = (uint8_t)asked->to;
    const struct raft_message *answer = vote_answer(out);
    const raft_term term = view_before->hard_state.term;
    const raft_node_id vote = view_before->hard_state.vote;
    const struct small_entry config = config_of(&before->log, id);
    if (answer == NULL) {
        small_fail("O5: a request for a vote was not answered", id);
    }
    const bool is_new =
        is_as_new(asked->vote_request.last.term, asked->vote_request.last.index, &before->log);
    const bool is_free =
        asked->vote_request.pre_vote
            ? asked->term > term
            : asked->term > term || (asked->term == term && (vote == 0 || vote == asked->from));
    const bool is_due = config.voters != 0 && is_new && is_free;
    if (answer->vote_response.granted && !is_due) {
        small_fail(is_new ? "O5: a second vote in a term" : "O5: voted for a log that is behind",
                   id);
    }
    if (!answer->vote_response.granted && is_due) {
        small_fail("O5: refused a vote without need", id);
    }
}

/* ---- O6: truncations ---- */

void small_check_truncation(struct small_place *place, uint8_t id, const struct raft_write *write)
{
    const struct small_node *node = &place->world.nodes[id - 1];
    if (raft_view(place->cores[id - 1]).role == RAFT_LEADER) {
        small_fail("O7: a leader cut its own log (Leader Append-Only)", id);
    }
    if (write->truncate_from <= node->commit_index) {
        small_fail("O6: a committed entry was cut", id);
    }
    if (write->entries_count == 0 || write->entries[0].id.index != write->truncate_from ||
        write->entries[0].id.term == node->log.entries[write->truncate_from - 1].term) {
        small_fail("O6: cut without a conflict of terms", id);
    }
}

/* ---- O1, O2, O4, O8: what is committed ---- */

static void check_durable(struct small_place *place, uint8_t id, uint8_t index)
{
    const struct small_world *world = &place->world;
    const struct small_log *log = &world->nodes[id - 1].log;
    const struct small_entry config = config_of(log, id);
    uint32_t have = 0;
    for (uint32_t i = 0; i < small_bounds.nodes; i++) {
        have |= (uint32_t)log_has(&world->nodes[i].disk, index, &log->entries[index - 1]) << i;
    }
    if (!is_quorum(&config, have)) {
        small_fail("O1: committed what a quorum does not have on disk", id);
    }
}

/* Whoever could win an election now must have the entry: else the rest is a matter of schedule. */
static void check_not_electable(struct small_place *place, uint8_t id, uint8_t index)
{
    const struct small_world *world = &place->world;
    const struct small_entry *entry = &world->nodes[id - 1].log.entries[index - 1];
    for (uint8_t other = 1; other <= small_bounds.nodes; other++) {
        const struct small_log *log = &world->nodes[other - 1].disk;
        const struct small_entry config = config_of(log, other);
        uint32_t would_vote = 0;
        if (log_has(log, index, entry)) {
            continue;
        }
        for (uint32_t i = 0; i < small_bounds.nodes; i++) {
            would_vote |= (uint32_t)is_as_new(last_term(log), log->count, &world->nodes[i].disk)
                          << i;
        }
        if (config.voters != 0 && is_quorum(&config, would_vote)) {
            small_fail("O2: a node without the committed entry could win", other);
        }
    }
}

static void remember_commit(struct small_place *place, uint8_t id, uint8_t index)
{
    struct small_world *world = &place->world;
    if (index > world->committed.count) {
        world->committed.entries[index - 1] = world->nodes[id - 1].log.entries[index - 1];
        world->commit_terms[index - 1] = (uint8_t)raft_view(place->cores[id - 1]).hard_state.term;
        world->committed.count = index;
    }
}

static void check_commit(struct small_place *place, uint8_t id, const struct raft_view *view)
{
    struct small_world *world = &place->world;
    struct small_node *node = &world->nodes[id - 1];
    const uint8_t before = node->commit_index;
    const uint8_t now = (uint8_t)view->commit_index;
    /* A leader that has just committed its own removal no longer calls itself one. */
    const bool is_leader = world->leaders[view->hard_state.term] == id;
    if (now < before) {
        small_fail("O9: commit_index fell", id);
    }
    node->commit_index = now;
    if (now > before && is_leader) {
        check_durable(place, id, now);
        check_not_electable(place, id, now);
    }
    for (uint8_t index = (uint8_t)(before + 1); index <= now; index++) {
        if (is_leader) {
            remember_commit(place, id, index);
        }
        if (index > world->committed.count) {
            small_fail("O4: committed what no leader committed", id);
        }
        if (!log_has(&node->log, index, &world->committed.entries[index - 1])) {
            small_fail("O8: committed another entry than a leader before", id);
        }
    }
}

/* ---- O7: leaders and logs ---- */

/* Each of a quorum has the vote on its disk, or has gone on to a later term since. */
static void check_votes(struct small_place *place, uint8_t id, raft_term term)
{
    const struct small_entry config = config_of(&place->world.nodes[id - 1].log, id);
    uint32_t voted = 0;
    for (uint32_t i = 0; i < small_bounds.nodes; i++) {
        const struct small_node *node = &place->world.nodes[i];
        const bool has_voted =
            node->disk_term > term || (node->disk_term == term && node->disk_vote == id);
        voted |= (uint32_t)has_voted << i;
    }
    if (!is_quorum(&config, voted)) {
        small_fail("O7: elected without the votes of a quorum", id);
    }
}

static void check_leader(struct small_place *place, uint8_t id, const struct raft_view *view)
{
    struct small_world *world = &place->world;
    const raft_term term = view->hard_state.term;
    if (view->role != RAFT_LEADER || world->leaders[term] == id) {
        return;
    }
    if (world->leaders[term] != 0) {
        small_fail("O7: a second leader in a term (Election Safety)", id);
    }
    world->leaders[term] = id;
    check_votes(place, id, term);
    for (uint8_t i = 0; i < world->committed.count; i++) {
        if (world->commit_terms[i] < term &&
            !log_has(&world->nodes[id - 1].log, (uint8_t)(i + 1), &world->committed.entries[i])) {
            small_fail("O7: a leader without a committed entry (Leader Completeness)", id);
        }
    }
}

static bool logs_match(const struct small_log *a, const struct small_log *b)
{
    bool is_same = false;
    for (uint8_t i = a->count < b->count ? a->count : b->count; i > 0; i--) {
        is_same = is_same || a->entries[i - 1].term == b->entries[i - 1].term;
        if (is_same && !small_entries_are_equal(&a->entries[i - 1], &b->entries[i - 1])) {
            return false;
        }
    }
    return true;
}

static void check_log_matching(struct small_place *place, uint8_t id)
{
    const struct small_log *log = &place->world.nodes[id - 1].log;
    for (uint32_t i = 0; i < small_bounds.nodes; i++) {
        const struct small_node *other = &place->world.nodes[i];
        if (!logs_match(log, &other->log) || !logs_match(log, &other->disk)) {
            small_fail("O7: logs differ before an equal entry (Log Matching)", id);
        }
    }
}

/* The core keeps terms, not entries: they must be those of the log it wrote. */
static void check_terms(struct small_place *place, uint8_t id, const struct raft_view *view)
{
    const struct small_log *log = &place->world.nodes[id - 1].log;
    if (view->last.index != log->count || view->last.term != last_term(log)) {
        small_fail("O6: the core's log is not the one it wrote", id);
    }
    for (uint8_t i = 1; i <= log->count; i++) {
        raft_term term;
        if (raft_term_at(place->cores[id - 1], i, &term) != RK_OK ||
            term != log->entries[i - 1].term) {
            small_fail("O6: the core's log is not the one it wrote", id);
        }
    }
}

/* ---- O10: configurations ---- */

static void check_config(struct small_place *place, uint8_t id, const struct raft_view *view)
{
    const struct small_world *world = &place->world;
    const struct small_log *log = &world->nodes[id - 1].log;
    uint8_t index;
    const struct small_entry newest = small_config_in_force(log, id, &index);
    const struct raft_entry in_force = {.type = RAFT_ENTRY_CONFIG, .config = view->config};
    struct small_entry now = small_entry_of(&in_force);
    now.term = newest.term;
    now.type = newest.type;
    if (view->config_index != index || !small_entries_are_equal(&now, &newest)) {
        small_fail("O10: the configuration in force is not the newest in the log", id);
    }
    uint32_t uncommitted = 0;
    for (uint8_t i = world->committed.count; i < log->count; i++) {
        uncommitted += log->entries[i].type == RAFT_ENTRY_CONFIG;
    }
    if (uncommitted > 1) {
        small_fail("O10: two uncommitted configurations", id);
    }
}

/* Brute force over all sets of nodes: each quorum of the one meets each of the other. */
static bool quorums_meet(const struct small_entry *a, const struct small_entry *b)
{
    for (uint32_t left = 0; left < 1U << small_bounds.nodes; left++) {
        for (uint32_t right = 0; is_quorum(a, left) && right < 1U << small_bounds.nodes; right++) {
            if (is_quorum(b, right) && (left & right) == 0) {
                return false;
            }
        }
    }
    return true;
}

void small_check_config_taken(struct small_place *place, uint8_t id)
{
    const struct small_world *world = &place->world;
    const uint64_t term = raft_view(place->cores[id - 1]).hard_state.term;
    struct small_log before = world->nodes[id - 1].log;
    const struct small_entry now = config_of(&before, id);
    while (before.entries[before.count - 1].type != RAFT_ENTRY_CONFIG) {
        before.count--;
    }
    before.count--;
    const struct small_entry former = config_of(&before, id);
    if (!quorums_meet(&former, &now)) {
        small_fail("O10: two configurations that follow one another do not meet", id);
    }
    if (world->committed.count == 0 || last_term(&world->committed) < term) {
        small_fail("O10: a configuration before the term has committed", id);
    }
}

void small_check_step(struct small_place *place, uint8_t id)
{
    const struct raft_view view = raft_view(place->cores[id - 1]);
    if (view.hard_state.term > SMALL_TERMS_MAX) {
        small_fail("more terms than campaigns", id);
    }
    check_leader(place, id, &view);
    check_terms(place, id, &view);
    check_commit(place, id, &view);
    check_log_matching(place, id);
    check_config(place, id, &view);
}
