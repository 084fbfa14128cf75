#include <string.h>

#include "base/assert.h"
#include "sim/small_worlds.h"

static struct raft_outputs outputs; /* of the latest step */

/* ---- entries and configurations ---- */

static uint32_t list_of(uint8_t set, raft_node_id *ids)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SMALL_NODES_MAX; i++) {
        if ((set >> i & 1U) != 0) {
            ids[count++] = i + 1;
        }
    }
    return count;
}

static uint8_t set_of(const raft_node_id *ids, uint32_t count)
{
    uint32_t set = 0;
    for (uint32_t i = 0; i < count; i++) {
        set |= 1U << (ids[i] - 1);
    }
    return (uint8_t)set;
}

struct raft_config small_config(uint8_t voters, uint8_t old_voters, uint8_t learners)
{
    struct raft_config config = {0};
    config.voters_count = list_of(voters, config.voters);
    config.old_voters_count = list_of(old_voters, config.old_voters);
    config.learners_count = list_of(learners, config.learners);
    return config;
}

struct small_entry small_entry_of(const struct raft_entry *entry)
{
    struct small_entry small = {.term = (uint8_t)entry->id.term, .type = (uint8_t)entry->type};
    if (entry->type == RAFT_ENTRY_CONFIG) {
        const struct raft_config *config = entry->config;
        small.voters = set_of(config->voters, config->voters_count);
        small.old_voters = set_of(config->old_voters, config->old_voters_count);
        small.learners = set_of(config->learners, config->learners_count);
    }
    return small;
}

static uint8_t voters_at_start(uint8_t id)
{
    const uint32_t voters = (uint32_t)small_bounds.nodes - small_bounds.spares;
    return id > voters ? 0 : (uint8_t)((1U << voters) - 1);
}

struct small_entry small_config_in_force(const struct small_log *log, uint8_t id,
                                         uint8_t *ret_index)
{
    for (uint8_t i = log->count; i > 0; i--) {
        if (log->entries[i - 1].type == RAFT_ENTRY_CONFIG) {
            *ret_index = i;
            return log->entries[i - 1];
        }
    }
    *ret_index = 0;
    return (struct small_entry){.voters = voters_at_start(id)};
}

/* ---- disks ---- */

/* False when the log would grow past what a world holds. */
static bool log_write(struct small_log *log, const struct small_write *write)
{
    if (write->truncate_from != 0) {
        memset(&log->entries[write->truncate_from - 1], 0,
               (log->count + 1U - write->truncate_from) * sizeof *log->entries);
        log->count = (uint8_t)(write->truncate_from - 1);
    }
    if (log->count + write->entries_count > SMALL_LOG_MAX) {
        return false;
    }
    memcpy(&log->entries[log->count], write->entries,
           write->entries_count * sizeof *write->entries);
    log->count = (uint8_t)(log->count + write->entries_count);
    return true;
}

static void take_write(struct small_place *place, uint8_t id)
{
    struct small_node *node = &place->world.nodes[id - 1];
    const struct raft_write *write = &outputs.write;
    if (outputs.write_number == 0) {
        return;
    }
    if (node->writes_count == SMALL_WRITES_MAX || write->entries_count > SMALL_BATCH_MAX) {
        place->is_outside = true;
        return;
    }
    if (write->truncate_from != 0) {
        small_check_truncation(place, id, write);
    }
    struct small_write *small = &node->writes[node->writes_count++];
    *small = (struct small_write){
        .number = outputs.write_number,
        .has_hard_state = write->has_hard_state,
        .term = (uint8_t)(write->has_hard_state ? write->hard_state.term : 0),
        .vote = (uint8_t)(write->has_hard_state ? write->hard_state.vote : 0),
        .truncate_from = (uint8_t)write->truncate_from,
        .entries_count = (uint8_t)write->entries_count,
    };
    for (uint32_t i = 0; i < write->entries_count; i++) {
        small->entries[i] = small_entry_of(&write->entries[i]);
    }
    if (!log_write(&node->log, small)) {
        place->is_outside = true;
    }
}

/* The oldest write is done: the disk has it, whether or not the node lives to hear of it. */
static uint64_t write_oldest(struct small_place *place, uint8_t id)
{
    struct small_node *node = &place->world.nodes[id - 1];
    const struct small_write write = node->writes[0];
    small_check_disk(place, id, &write);
    RK_ASSERT(log_write(&node->disk, &write));
    if (write.has_hard_state) {
        node->disk_term = write.term;
        node->disk_vote = write.vote;
    }
    node->writes_count--;
    memmove(node->writes, node->writes + 1, node->writes_count * sizeof *node->writes);
    node->writes[node->writes_count] = (struct small_write){0};
    node->persisted = write.number;
    return write.number;
}

/* ---- messages ---- */

static void leave(struct small_place *place, const struct small_message *message)
{
    small_check_leaving(place, message);
    const bool is_heartbeat = message->raft.type == RAFT_HEARTBEAT_REQUEST ||
                              message->raft.type == RAFT_HEARTBEAT_RESPONSE;
    if (is_heartbeat && small_bounds.heartbeats == 0) {
        return;
    }
    if (place->sent_count == SMALL_SENT_MAX) {
        place->is_outside = true;
        return;
    }
    place->sent[place->sent_count++] = *message;
}

/* What the node puts into an append when it takes it from the core. */
static void fill(const struct small_node *node, struct small_message *message)
{
    const struct raft_append_request *request = &message->raft.append_request;
    const uint8_t first = (uint8_t)request->previous.index;
    const uint8_t count = (uint8_t)(request->entries_last - first);
    RK_ASSERT(count <= SMALL_BATCH_MAX);
    message->entries_count = count;
    memcpy(message->entries, &node->log.entries[first], count * sizeof *message->entries);
}

static void take_messages(struct small_place *place, uint8_t id)
{
    struct small_node *node = &place->world.nodes[id - 1];
    for (uint32_t i = 0; i < outputs.messages_count; i++) {
        struct small_message message = {.raft = outputs.messages[i]};
        if (message.raft.type == RAFT_APPEND_REQUEST) {
            fill(node, &message);
        }
        const uint64_t after_write = message.raft.after_write;
        if (after_write <= node->persisted) {
            message.raft.after_write = 0;
            leave(place, &message);
        } else if (node->held_count == SMALL_HELD_MAX) {
            place->is_outside = true;
        } else {
            node->held[node->held_count++] = message;
        }
    }
}

static void release(struct small_place *place, uint8_t id)
{
    struct small_node *node = &place->world.nodes[id - 1];
    uint8_t kept = 0;
    for (uint8_t i = 0; i < node->held_count; i++) {
        struct small_message message = node->held[i];
        if (message.raft.after_write > node->persisted) {
            node->held[kept++] = message;
            continue;
        }
        message.raft.after_write = 0;
        leave(place, &message);
    }
    memset(&node->held[kept], 0, (node->held_count - (size_t)kept) * sizeof *node->held);
    node->held_count = kept;
}

/* ---- steps ---- */

static void report_applied(struct small_place *place, uint8_t id)
{
    struct small_node *node = &place->world.nodes[id - 1];
    struct raft *core = place->cores[id - 1];
    static struct raft_outputs ignored; /* applying asks for nothing */
    const struct raft_view view = raft_view(core);
    if (view.last_applied == view.commit_index) {
        return;
    }
    const struct raft_event event = {
        .type = RAFT_EVENT_APPLIED, .now_ms = node->now_ms, .index = view.commit_index};
    RK_ASSERT(raft_step(core, &event, &ignored) == RK_OK);
    RK_ASSERT(ignored.write_number == 0 && ignored.messages_count == 0);
}

static enum rk_status step_once(struct small_place *place, uint8_t id, struct raft_event event)
{
    struct small_node *node = &place->world.nodes[id - 1];
    struct raft *core = place->cores[id - 1];
    event.now_ms = node->now_ms;
    const enum rk_status status = raft_step(core, &event, &outputs);
    raft_check(core);
    node->deadline_ms = outputs.deadline_ms;
    take_write(place, id);
    if (!place->is_outside) {
        take_messages(place, id);
        small_check_step(place, id);
        report_applied(place, id);
    }
    return status;
}

/* A disk that is not slow has done everything before anything else happens. */
static void settle_disk(struct small_place *place, uint8_t id)
{
    const struct small_node *node = &place->world.nodes[id - 1];
    while (!small_bounds.is_disk_slow && !place->is_outside && node->writes_count > 0) {
        small_persist(place, id);
    }
}

enum rk_status small_step(struct small_place *place, uint8_t id, struct raft_event event)
{
    const enum rk_status status = step_once(place, id, event);
    settle_disk(place, id);
    return status;
}

void small_persist(struct small_place *place, uint8_t id)
{
    const uint64_t number = write_oldest(place, id);
    release(place, id);
    (void)step_once(place, id,
                    (struct raft_event){.type = RAFT_EVENT_PERSISTED, .write_number = number});
}

void small_receive(struct small_place *place, const struct small_message *message)
{
    const uint8_t id = (uint8_t)message->raft.to;
    struct raft_message raft = message->raft;
    struct raft_config configs[SMALL_BATCH_MAX];
    struct raft_entry entries[SMALL_BATCH_MAX] = {0};
    const struct small_node before = place->world.nodes[id - 1];
    const struct raft_view view_before = raft_view(place->cores[id - 1]);

    if (raft.type == RAFT_APPEND_REQUEST) {
        for (uint8_t i = 0; i < message->entries_count; i++) {
            const struct small_entry *small = &message->entries[i];
            configs[i] = small_config(small->voters, small->old_voters, small->learners);
            entries[i].id = (struct raft_entry_id){
                .term = small->term, .index = raft.append_request.previous.index + 1 + i};
            entries[i].type = small->type;
            entries[i].config = small->type == RAFT_ENTRY_CONFIG ? &configs[i] : NULL;
        }
        raft.append_request.entries = entries;
        raft.append_request.entries_count = message->entries_count;
    }
    (void)step_once(place, id, (struct raft_event){.type = RAFT_EVENT_RECEIVED, .message = &raft});
    if (raft.type == RAFT_VOTE_REQUEST && !place->is_outside) {
        small_check_vote(&before, &view_before, message, &outputs);
    }
    settle_disk(place, id);
}

/* ---- lives ---- */

void small_crash(struct small_place *place, uint8_t id, uint8_t writes_kept)
{
    struct small_node *node = &place->world.nodes[id - 1];
    for (uint8_t i = 0; i < writes_kept; i++) {
        (void)write_oldest(place, id);
    }
    memset(node->writes, 0, sizeof node->writes);
    memset(node->held, 0, sizeof node->held);
    node->is_up = false;
    node->writes_count = 0;
    node->held_count = 0;
    node->commit_index = 0;
    node->persisted = 0;
    node->log = node->disk;
}

/* The newest two configurations of the log, or those there are, oldest first. */
static void restore_configs(const struct small_log *log, struct raft_restored *restored)
{
    uint8_t found[SMALL_LOG_MAX];
    uint8_t count = 0;
    for (uint8_t i = 0; i < log->count; i++) {
        if (log->entries[i].type == RAFT_ENTRY_CONFIG) {
            found[count++] = i;
        }
    }
    for (uint8_t i = count > 2 ? (uint8_t)(count - 2) : 0; i < count; i++) {
        const struct small_entry *entry = &log->entries[found[i]];
        const uint32_t at = restored->logged_configs_count++;
        restored->logged_configs[at].index = found[i] + 1U;
        restored->logged_configs[at].config =
            small_config(entry->voters, entry->old_voters, entry->learners);
    }
}

static uint32_t restore_runs(const struct small_log *log, struct raft_trail_run *runs)
{
    uint32_t count = 0;
    for (uint8_t i = 0; i < log->count; i++) {
        if (count == 0 || runs[count - 1].term != log->entries[i].term) {
            runs[count++] =
                (struct raft_trail_run){.first_index = i + 1U, .term = log->entries[i].term};
        }
    }
    return count;
}

void small_start(struct small_place *place, uint8_t id)
{
    struct small_node *node = &place->world.nodes[id - 1];
    struct raft_trail_run runs[SMALL_LOG_MAX];
    const struct raft_options options = {
        .id = id,
        .seed = id + 100U * node->lives,
        .election_timeout_ms = SMALL_ELECTION_MS,
        .heartbeat_interval_ms = SMALL_HEARTBEAT_MS,
        .append_entries_max = small_bounds.batch,
        .inflight_max = 1,
        .pre_vote = small_bounds.has_pre_vote,
    };
    struct raft_restored restored = {
        .hard_state = {.term = node->disk_term, .vote = node->disk_vote},
        .runs = runs,
        .config = small_config(voters_at_start(id), 0, 0),
    };
    restored.runs_count = restore_runs(&node->disk, runs);
    if (node->disk.count > 0) {
        restored.last = (struct raft_entry_id){
            .term = node->disk.entries[node->disk.count - 1].term, .index = node->disk.count};
    }
    restore_configs(&node->disk, &restored);
    node->log = node->disk;
    node->is_up = true;
    node->lives++;
    struct raft *core =
        raft_init(place->cores[id - 1], raft_size(), &options, &restored, node->now_ms);
    RK_ASSERT(core == place->cores[id - 1]);
    /* The deadline is only told in outputs: ask with what changes nothing. */
    (void)step_once(place, id, (struct raft_event){.type = RAFT_EVENT_APPLIED});
}

void small_begin(struct small_place *place)
{
    place->world = (struct small_world){.left = small_bounds};
    for (uint8_t id = 1; id <= small_bounds.nodes; id++) {
        place->world.nodes[id - 1].now_ms = 10 * SMALL_ELECTION_MS;
        small_start(place, id);
    }
}
