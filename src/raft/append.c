#include "base/assert.h"
#include "raft/internal.h"

/* There cannot be a second leader in a term, so it is not obeyed. */
bool raft_append_is_from_leader(const struct raft *raft, const struct raft_message *message)
{
    if (message->term < raft->hard_state.term || raft->role == RAFT_LEADER) {
        return false;
    }
    return raft->leader == 0 || raft->leader == message->from;
}

/* ---- what came in may be wrong (pitfall 43) ---- */

static bool is_entry_well_formed(const struct raft_entry *entry)
{
    switch (entry->type) {
    case RAFT_ENTRY_NOOP:
    case RAFT_ENTRY_COMMAND:
        return true;
    case RAFT_ENTRY_CONFIG:
        return entry->config != NULL && config_is_valid(entry->config);
    }
    return false;
}

/* Entries follow one another after `previous`, and no term falls or is newer than the leader's. */
static bool is_well_formed(const struct raft_message *message)
{
    const struct raft_append_request *request = &message->append_request;
    struct raft_entry_id previous = request->previous;

    if (request->entries_count > RAFT_WRITE_ENTRIES_MAX || previous.index > UINT64_MAX / 2 ||
        (previous.index == 0) != (previous.term == 0)) {
        return false;
    }
    for (uint32_t i = 0; i < request->entries_count; i++) {
        const struct raft_entry *entry = &request->entries[i];
        if (entry->id.index != previous.index + 1 || entry->id.term < previous.term ||
            entry->id.term == 0 || !is_entry_well_formed(entry)) {
            return false;
        }
        previous = entry->id;
    }
    return previous.term <= message->term;
}

/* ---- taking entries ---- */

/* Below base nothing can be compared, but what a snapshot covers is committed, and committed
 * entries are the same in every leader's log (Leader Completeness, 3.6.3). */
static bool has_previous(const struct raft *raft, struct raft_entry_id previous)
{
    return previous.index < raft->trail.base.index || trail_matches(&raft->trail, previous);
}

/* How many of the entries the log has already. An append that arrives late has all of them, and
 * must leave alone what follows (3.5, pitfall 24). */
static uint32_t count_known(const struct raft *raft, const struct raft_append_request *request)
{
    uint32_t known = 0;
    while (known < request->entries_count) {
        const struct raft_entry_id id = request->entries[known].id;
        if (id.index >= raft->trail.base.index && !trail_matches(&raft->trail, id)) {
            break;
        }
        known++;
    }
    return known;
}

static bool has_room(const struct raft *raft, const struct raft_entry *entries, uint32_t count)
{
    const uint32_t room = trail_room(&raft->trail);
    if (room >= count) {
        return true;
    }
    uint32_t runs = 1;
    for (uint32_t i = 1; i < count; i++) {
        runs += entries[i].id.term != entries[i - 1].id.term;
    }
    return room >= runs;
}

/* A conflict at or below what is committed would mean that safety is already lost elsewhere:
 * nothing is dropped then. The same holds for more than one configuration entry at a time. */
static bool may_truncate(const struct raft *raft, raft_index from)
{
    return from > raft->commit_index && from > raft->configs.former_index;
}

static void truncate_log(struct raft *raft, raft_index from)
{
    raft_stage(raft)->truncate_from = from;
    trail_truncate(&raft->trail, from);
    writes_truncate(&raft->writes, from);
    if (config_log_truncate(&raft->configs, from)) {
        raft_update_peers(raft);
    }
}

static void append_entries(struct raft *raft, const struct raft_entry *entries, uint32_t count)
{
    bool has_config = false;

    raft_stage_entries(raft, entries, count);
    for (uint32_t i = 0; i < count; i++) {
        trail_append(&raft->trail, entries[i].id.term, 1);
        if (entries[i].type == RAFT_ENTRY_CONFIG) {
            config_log_append(&raft->configs, entries[i].config, entries[i].id.index);
            has_config = true;
        }
    }
    if (has_config) {
        raft_update_peers(raft);
    }
}

/* False when the log cannot take them; it is then as it was. */
static bool take_entries(struct raft *raft, const struct raft_append_request *request)
{
    const uint32_t known = count_known(raft, request);
    if (known == request->entries_count) {
        return true;
    }
    const struct raft_entry *entries = &request->entries[known];
    const uint32_t count = request->entries_count - known;
    const raft_index from = entries[0].id.index;
    const bool conflicts = from <= raft->trail.last_index;
    if (!has_room(raft, entries, count) || (conflicts && !may_truncate(raft, from))) {
        return false;
    }
    if (conflicts) {
        truncate_log(raft, from);
    }
    append_entries(raft, entries, count);
    return true;
}

/* ---- the answers ---- */

static struct raft_append_response *
answer_append(struct raft *raft, const struct raft_message *message, bool is_accepted)
{
    struct raft_message *answer = raft_answer(raft, RAFT_APPEND_RESPONSE, message, is_accepted);
    answer->append_response = (struct raft_append_response){
        .accepted = is_accepted, .sequence = message->append_request.sequence};
    return &answer->append_response;
}

/* The hint never points below what is committed here: that is shared with every leader. */
static void refuse(struct raft *raft, const struct raft_message *message)
{
    const struct raft_entry_id previous = message->append_request.previous;
    struct raft_entry_id hint = trail_guess(&raft->trail, previous);
    if (hint.index < raft->commit_index) {
        hint.index = raft->commit_index;
        hint.term = trail_term(&raft->trail, hint.index);
    }
    struct raft_append_response *response = answer_append(raft, message, false);
    response->previous = previous.index;
    response->hint = hint;
}

/* The answer and the commit index both end with what this message has verified, however long the
 * own log is (pitfalls 25, 26). */
void raft_append_request(struct raft *raft, const struct raft_message *message)
{
    const struct raft_append_request *request = &message->append_request;

    if (!raft_append_is_from_leader(raft, message)) {
        refuse(raft, message);
        return;
    }
    raft_election_heard(raft, message->from);
    if (raft_snapshot_is_busy(raft, message) || !is_well_formed(message) ||
        !has_previous(raft, request->previous) || !take_entries(raft, request)) {
        refuse(raft, message);
        return;
    }
    const raft_index verified = request->previous.index + request->entries_count;
    raft_commit_learn(raft, request->leader_commit < verified ? request->leader_commit : verified);
    answer_append(raft, message, true)->match = verified;
}

/* The leader has bounded `commit` by what this node acknowledged (pitfall 27); a round that is
 * not of the current leader is not acknowledged. */
void raft_append_heartbeat(struct raft *raft, const struct raft_message *message)
{
    const struct raft_heartbeat_request *request = &message->heartbeat_request;
    const bool is_leader = raft_append_is_from_leader(raft, message);
    if (is_leader) {
        raft_election_heard(raft, message->from);
        const raft_index last = raft->trail.last_index;
        raft_commit_learn(raft, request->commit < last ? request->commit : last);
    }
    struct raft_message *answer = raft_answer(raft, RAFT_HEARTBEAT_RESPONSE, message, false);
    answer->heartbeat_response = (struct raft_heartbeat_response){
        .round = is_leader ? request->round : 0,
        .last = raft->writes.durable_index,
        .commit_index = raft->commit_index,
        .last_applied = raft->last_applied,
    };
}
