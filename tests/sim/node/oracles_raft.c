/* oracles_raft.c -- elections, commits and promises, held against what is on the disks. */
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "sim/node/oracles.h"

/* -- elections: O7, and the vote for oneself, O3 -- */

/* Leader completeness: whatever was committed in an earlier term is in its log. */
static void check_completeness(struct host *host, raft_term term)
{
    const struct world *world = host->world;
    raft_index index = world->committed_last;
    struct image_entry held;

    while (index > 0 && world->committed[index].by_term >= term) {
        index--;
    }
    if (index > 0 &&
        (!host_entry(host, index, &held) || held.chain != world->committed[index].chain)) {
        world_fail("O7",
                   "n%u leads term %" PRIu64 " without entry %" PRIu64
                   ", committed in term %" PRIu64,
                   host->number + 1, term, index, world->committed[index].by_term);
    }
}

void oracle_elected(struct host *host)
{
    struct world *world = host->world;
    const raft_term term = host->node->view.hard_state.term;
    const struct raft_hard_state *durable = &host->durable.hard_state;

    RK_ASSERT(term < TERMS_MAX);
    if (world->leaders[term] != 0 && world->leaders[term] != host->incarnation) {
        world_fail("O7", "n%u leads term %" PRIu64 ", and it is not the only one", host->number + 1,
                   term);
    }
    world->leaders[term] = host->incarnation;
    world->counts->elections++;
    if (durable->term != term || durable->vote != host->node->id) {
        world_fail("O3", "n%u leads term %" PRIu64 " before its own vote is on its disk",
                   host->number + 1, term);
    }
    check_completeness(host, term);
}

/* -- commits: O1, O2 -- */

static const struct host *host_by_id(const struct world *world, raft_node_id id)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        if (world->hosts[i].raft_id == id) {
            return &world->hosts[i];
        }
    }
    return NULL;
}

static bool has_durably(const struct host *host, raft_index index, raft_term term)
{
    struct image_entry held;

    return (image_get(&host->durable, index, &held) && held.term == term) ||
           (image_get(&host->before_loss, index, &held) && held.term == term);
}

static bool is_majority_durable(const struct world *world, const raft_node_id *voters,
                                uint32_t count, raft_index index, raft_term term)
{
    uint32_t have = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct host *host = host_by_id(world, voters[i]);
        have += host == NULL || has_durably(host, index, term); /* NULL: replaced since */
    }
    return count == 0 || 2 * have > count;
}

static struct raft_entry_id last_of(const struct host *host)
{
    const raft_index last = host->durable.last;

    return (struct raft_entry_id){.term = last > 0 ? host->durable.entries[last].term : 0,
                                  .index = last};
}

static bool is_behind(struct raft_entry_id a, struct raft_entry_id b)
{
    return a.term != b.term ? a.term < b.term : a.index < b.index;
}

/* Would a majority of the voters give `candidate` their vote, by their disks? */
static bool is_electable(const struct world *world, const struct host *candidate,
                         const raft_node_id *voters, uint32_t count)
{
    uint32_t votes = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct host *host = host_by_id(world, voters[i]);
        votes += host != NULL && !host->is_wiped && !host->is_cut_short &&
                 !is_behind(last_of(candidate), last_of(host));
    }
    return count == 0 || 2 * votes > count;
}

void oracle_leader_commit(struct host *host)
{
    const struct world *world = host->world;
    const struct raft_config *config = host->node->view.config;
    const raft_index index = host->node->view.commit_index;
    const raft_term term = world->committed[index].term;

    if (host->node->view.config_index != host->config_seen) {
        return; /* entered in this very turn: what it committed before went by the old one */
    }
    if (!is_majority_durable(world, config->voters, config->voters_count, index, term) ||
        !is_majority_durable(world, config->old_voters, config->old_voters_count, index, term)) {
        world_fail(
            "O1", "n%u commits %" PRIu64 " of term %" PRIu64 ", which no majority has on its disks",
            host->number + 1, index, term);
    }
    for (uint32_t i = 0; i < config->voters_count; i++) {
        const struct host *other = host_by_id(world, config->voters[i]);
        if (other != NULL && !other->is_wiped && !other->is_cut_short &&
            !has_durably(other, index, term) &&
            is_electable(world, other, config->voters, config->voters_count) &&
            is_electable(world, other, config->old_voters, config->old_voters_count)) {
            world_fail("O2", "n%u commits %" PRIu64 ", and n%u could be elected without it",
                       host->number + 1, index, other->number + 1);
        }
    }
}

/* -- promises: O3 -- */

static void promised_vote(const struct host *host, const struct raft_message *message)
{
    const struct raft_hard_state *durable = &host->durable.hard_state;

    if (!message->vote_response.granted || message->vote_response.pre_vote) {
        return;
    }
    if (durable->term < message->term ||
        (durable->term == message->term && durable->vote != message->to)) {
        world_fail("O3", "n%u gives its vote in term %" PRIu64 ", and it is not on its disk",
                   host->number + 1, message->term);
    }
}

static const struct host *leader_of(const struct world *world, raft_term term)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *host = &world->hosts[i];
        if (host->incarnation == world->leaders[term] && host_is_leader(host) &&
            host->node->view.hard_state.term == term) {
            return host;
        }
    }
    return NULL;
}

static void promised_append(const struct host *host, const struct raft_message *message)
{
    const struct raft_hard_state *durable = &host->durable.hard_state;
    const raft_index match = message->append_response.match;
    struct image_entry theirs;
    struct image_entry ours;

    if (!message->append_response.accepted || durable->term > message->term) {
        return; /* of an earlier term: what it took may have been replaced since */
    }
    if (durable->term < message->term || host->durable.last < match) {
        world_fail("O3",
                   "n%u acknowledges entries up to %" PRIu64 " in term %" PRIu64
                   ", its disk has %" PRIu64 " and term %" PRIu64,
                   host->number + 1, match, message->term, host->durable.last, durable->term);
    }
    const struct host *leader = leader_of(host->world, message->term);
    if (leader != NULL && host_entry(leader, match, &theirs) &&
        image_get(&host->durable, match, &ours) && theirs.chain != ours.chain) {
        world_fail("O3", "n%u acknowledges entry %" PRIu64 ", and has another one than n%u",
                   host->number + 1, match, leader->number + 1);
    }
}

static void promised_snapshot(const struct host *host, struct rk_bytes body)
{
    const struct world *world = host->world;
    struct wire_snapshot_answer answer;
    struct image_entry held;
    const char *reason = NULL;

    if (wire_decode_snapshot_answer(body, &answer, &reason) != RK_OK) {
        return;
    }
    const struct raft_hard_state *durable = &host->durable.hard_state;
    /* Short of its end it repeats the leader's term, which promises nothing. */
    if (durable->term < answer.term && (answer.is_over || world->leaders[answer.term] == 0)) {
        world_fail("O3", "n%u answers in term %" PRIu64 ", its disk has %" PRIu64, host->number + 1,
                   answer.term, durable->term);
    }
    if (!answer.is_over || !answer.accepted || durable->term > answer.term) {
        return;
    }
    if (!image_get(&host->durable, answer.match, &held) || answer.match > world->committed_last ||
        held.chain != world->committed[answer.match].chain) {
        world_fail("O3",
                   "n%u says that it has a snapshot of entry %" PRIu64 ", and its disk has not",
                   host->number + 1, answer.match);
    }
}

static bool is_pre_vote(const struct raft_message *message)
{
    return message->type == RAFT_VOTE_RESPONSE && message->vote_response.pre_vote;
}

void oracle_promised(struct host *host, const char *path, struct rk_bytes body)
{
    static struct wire_message decoded; /* too large for the stack */
    const char *reason = NULL;

    if (strcmp(path, "/raft/snapshot") == 0) {
        promised_snapshot(host, body);
    }
    if ((strcmp(path, "/raft/vote") != 0 && strcmp(path, "/raft/append") != 0) ||
        wire_decode_message(body, path, false, &decoded, &reason) != RK_OK) {
        return;
    }
    const struct raft_message *message = &decoded.message;
    if (message->term > host->durable.hard_state.term && !is_pre_vote(message)) {
        world_fail("O3", "n%u answers in term %" PRIu64 ", its disk has %" PRIu64, host->number + 1,
                   message->term, host->durable.hard_state.term);
    }
    if (message->type == RAFT_VOTE_RESPONSE) {
        promised_vote(host, message);
    } else if (message->type == RAFT_APPEND_RESPONSE) {
        promised_append(host, message);
    }
}

/* -- what a crash left: O3 -- */

static enum rk_status on_entry(void *context, const struct raft_entry *entry)
{
    struct image *image = context;
    struct rk_frame frame;
    uint32_t size = 0;
    const enum rk_status status = rk_frame_read(entry->frame, &frame, &size);

    if (status == RK_OK) {
        image_append(image, &frame);
    }
    return status;
}

/* What a snapshot that came since has replaced was not committed. */
static bool may_be_gone(const struct host *host, const struct image *before, raft_index index)
{
    const struct world *world = host->world;

    return index >= host->open_truncation ||
           (host->durable.base > before->base &&
            (index > world->committed_last ||
             before->entries[index].chain != world->committed[index].chain));
}

static void check_kept(const struct host *host, const struct image *before)
{
    const struct image *after = &host->durable;

    for (raft_index i = 1; i <= before->last; i++) {
        struct image_entry held = {.term = 0};
        const bool is_kept = image_get(after, i, &held) && held.chain == before->entries[i].chain;
        if (!is_kept && !may_be_gone(host, before, i)) {
            world_fail("O3", "n%u came back without entry %" PRIu64 ", which was durable",
                       host->number + 1, i);
        }
    }
}

/* What its disk holds now. */
static void read_disk(struct host *host)
{
    const struct world *world = host->world;
    const struct log_bounds *bounds = &host->store->bounds;
    raft_index bad_index = 0;

    image_free(&host->durable);
    host->durable.hard_state = host->store->hard_state;
    if (bounds->base.index > 0) {
        image_take_snapshot(&host->durable, bounds->base.index);
        if (bounds->base_chain != world->committed[bounds->base.index].chain) {
            world_fail("O3", "n%u has a log that begins after another entry %" PRIu64,
                       host->number + 1, bounds->base.index);
        }
    }
    const enum rk_status status = log_store_scan(host->store, on_entry, &host->durable, &bad_index);
    if (status != RK_OK) {
        world_fail("O3", "n%u came back with a log that cannot be read at %" PRIu64,
                   host->number + 1, bad_index);
    }
}

static void read_again(struct host *host)
{
    struct image before = host->durable;

    host->durable = (struct image){.entries = NULL};
    read_disk(host);
    if (host->is_cut_short || host->before_loss.last > 0) {
        /* what it lost may have been committed */
    } else {
        check_kept(host, &before);
    }
    image_free(&before);
}

/* With the help of the high-water mark, where it needs that. */
void oracle_started(struct host *host)
{
    const struct raft_hard_state *before = &host->promised;
    const struct raft_hard_state *after = &host->store->hard_state;
    struct nodesim_counts *counts = host->world->counts;

    counts->snapshots_at_start += host->node->last_applied > 0;
    const struct log_bounds *bounds = &host->store->bounds;
    if (bounds->base.index != host->durable.base || bounds->last.index != host->durable.last) {
        counts->logs_given_up++;
        read_again(host); /* a snapshot has replaced the log, or damage has ended it */
    }
    if (after->term < before->term ||
        (after->term == before->term && before->vote != 0 && after->vote != before->vote)) {
        world_fail("O3", "n%u came back without its term or vote", host->number + 1);
    }
    host->durable.hard_state = *after;
    host->term_seen = after->term;
}

void oracle_restarted(struct host *host)
{
    struct image before = host->durable;

    host->promised = before.hard_state;
    host->durable = (struct image){.entries = NULL};
    read_disk(host);
    if (host->was_cut_short) {
        host->was_cut_short = false;
        image_free(&host->before_loss);
        host->before_loss = before;
        before.entries = NULL;
    } else {
        check_kept(host, &before);
        image_free(&before);
    }
    host->open_truncation = UINT64_MAX;
    host->commit_seen = 0;
    host->applied_seen = 0;
    host->role_seen = RAFT_FOLLOWER;
}
