#include "support/raft_puppet.h"

#include <check.h>

#include "base/assert.h"

struct cluster *cluster;

void puppet_start(uint32_t nodes_count)
{
    cluster = cluster_new(&(struct cluster_options){
        .nodes_count = nodes_count, .seed = 3, .is_network_manual = true, .is_disk_manual = true});
}

void puppet_stop(void)
{
    cluster_free(cluster);
}

void puppet_log(const raft_term *terms, uint32_t count)
{
    cluster_set_log(cluster, 1, terms, count);
    cluster->now_ms += 1000; /* past the silence after a restart */
}

void puppet_lead(void)
{
    cluster_make_leader(cluster, 1, 3);
    cluster_persist(cluster, 1);
}

struct raft_view view(void)
{
    return cluster_view(cluster, 1);
}

const struct raft_message *answer(void)
{
    const struct raft_outputs *out = cluster_node(cluster, 1)->out;
    ck_assert_uint_gt(out->messages_count, 0);
    return &out->messages[out->messages_count - 1];
}

uint32_t answers_count(void)
{
    return cluster_node(cluster, 1)->out->messages_count;
}

raft_term term_at(raft_index index)
{
    const struct cluster_log *log = cluster_node(cluster, 1)->log;
    return index <= log->count ? log->entries[index - 1].id.term : 0;
}

static void say(struct raft_message message)
{
    message.to = 1;
    cluster_inject(cluster, &message);
}

void say_heartbeat(raft_node_id from, raft_term term, raft_index commit)
{
    say((struct raft_message){.type = RAFT_HEARTBEAT_REQUEST,
                              .from = from,
                              .term = term,
                              .heartbeat_request = {.commit = commit, .round = 1}});
}

void say_append(raft_node_id from, raft_term term, struct raft_entry_id previous,
                const raft_term *terms, uint32_t count)
{
    struct raft_entry entries[RAFT_WRITE_ENTRIES_MAX + 1] = {0};
    RK_ASSERT(count <= RAFT_WRITE_ENTRIES_MAX + 1);
    for (uint32_t i = 0; i < count; i++) {
        entries[i].id = (struct raft_entry_id){.term = terms[i], .index = previous.index + 1 + i};
        entries[i].type = RAFT_ENTRY_COMMAND;
    }
    say((struct raft_message){.type = RAFT_APPEND_REQUEST,
                              .from = from,
                              .term = term,
                              .append_request = {.previous = previous,
                                                 .entries_last = previous.index + count,
                                                 .entries = entries,
                                                 .entries_count = count,
                                                 .sequence = 1}});
}

void say_append_commit(raft_node_id from, raft_term term, struct raft_entry_id previous,
                       raft_index commit)
{
    say((struct raft_message){.type = RAFT_APPEND_REQUEST,
                              .from = from,
                              .term = term,
                              .append_request = {.previous = previous,
                                                 .leader_commit = commit,
                                                 .entries_last = previous.index,
                                                 .sequence = 1}});
}

static void say_vote_request(raft_node_id from, raft_term term, struct raft_entry_id last,
                             bool is_pre_vote)
{
    say((struct raft_message){
        .type = RAFT_VOTE_REQUEST,
        .from = from,
        .term = term,
        .request = 77,
        .vote_request = {.pre_vote = is_pre_vote, .last = last, .campaign = 5}});
}

void say_vote(raft_node_id from, raft_term term, struct raft_entry_id last)
{
    say_vote_request(from, term, last, false);
}

void say_pre_vote(raft_node_id from, raft_term term, struct raft_entry_id last)
{
    say_vote_request(from, term, last, true);
}

void say_snapshot(raft_node_id from, raft_term term, const struct raft_snapshot *snapshot,
                  uint64_t sequence)
{
    say((struct raft_message){.type = RAFT_SNAPSHOT_REQUEST,
                              .from = from,
                              .term = term,
                              .request = sequence,
                              .snapshot_request = {.snapshot = snapshot, .sequence = sequence}});
}

void say_timeout_now(raft_node_id from, raft_term term)
{
    say((struct raft_message){.type = RAFT_TIMEOUT_NOW, .from = from, .term = term});
}

const struct raft_message *sent(enum raft_message_type type, raft_node_id to)
{
    const struct raft_message *found = NULL;
    for (uint32_t i = 0; i < cluster->flights_count; i++) {
        const struct raft_message *message = &cluster->flights[i].message;
        if (message->type == type && message->from == 1 && message->to == to) {
            found = message;
        }
    }
    return found;
}

static struct raft_message question(enum raft_message_type type, raft_node_id to)
{
    const struct raft_message *found = sent(type, to);
    ck_assert_ptr_nonnull(found);
    return *found;
}

void grant(raft_node_id from)
{
    const struct raft_message asked = question(RAFT_VOTE_REQUEST, from);
    const bool is_pre_vote = asked.vote_request.pre_vote;
    say((struct raft_message){.type = RAFT_VOTE_RESPONSE,
                              .from = from,
                              .term = is_pre_vote ? asked.term - 1 : asked.term,
                              .vote_response = {.pre_vote = is_pre_vote,
                                                .granted = true,
                                                .request_term = asked.term,
                                                .campaign = asked.vote_request.campaign}});
}

void accept(raft_node_id from, raft_index match)
{
    const struct raft_message asked = question(RAFT_APPEND_REQUEST, from);
    say((struct raft_message){.type = RAFT_APPEND_RESPONSE,
                              .from = from,
                              .term = asked.term,
                              .append_response = {.accepted = true,
                                                  .match = match,
                                                  .sequence = asked.append_request.sequence}});
}

void refuse(raft_node_id from, struct raft_entry_id hint)
{
    const struct raft_message asked = question(RAFT_APPEND_REQUEST, from);
    say((struct raft_message){.type = RAFT_APPEND_RESPONSE,
                              .from = from,
                              .term = asked.term,
                              .append_response = {.previous = asked.append_request.previous.index,
                                                  .hint = hint,
                                                  .sequence = asked.append_request.sequence}});
}

void install(raft_node_id from, bool is_accepted)
{
    const struct raft_message asked = question(RAFT_SNAPSHOT_REQUEST, from);
    say((struct raft_message){
        .type = RAFT_SNAPSHOT_RESPONSE,
        .from = from,
        .term = asked.term,
        .snapshot_response = {.accepted = is_accepted,
                              .match = is_accepted ? asked.snapshot_request.snapshot->id.index : 0,
                              .sequence = asked.snapshot_request.sequence}});
}

void confirm(raft_node_id from)
{
    const struct raft_message asked = question(RAFT_HEARTBEAT_REQUEST, from);
    say((struct raft_message){
        .type = RAFT_HEARTBEAT_RESPONSE,
        .from = from,
        .term = asked.term,
        .heartbeat_response = {.round = asked.heartbeat_request.round, .last = UINT32_MAX}});
}

void clear_flight(void)
{
    (void)cluster_drop(cluster, 0, 0, 0);
}
