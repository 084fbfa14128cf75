#include "support/raft_cluster.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* ---- trace ---- */

__attribute__((format(printf, 3, 4))) static void trace(struct cluster *cluster, raft_node_id id,
                                                        const char *format, ...)
{
    if (cluster->trace == NULL) {
        return;
    }
    va_list arguments;
    (void)fprintf(cluster->trace, "%" PRIu64 ".%03" PRIu64 " %" PRIu64 " ", cluster->now_ms / 1000,
                  cluster->now_ms % 1000, id);
    va_start(arguments, format);
    (void)vfprintf(cluster->trace, format, arguments);
    va_end(arguments);
    (void)fputc('\n', cluster->trace);
}

static void trace_vote(struct cluster *cluster, const struct raft_message *message)
{
    if (message->type == RAFT_VOTE_REQUEST) {
        const struct raft_vote_request *request = &message->vote_request;
        trace(cluster, message->from,
              "-> %" PRIu64 " %s term=%" PRIu64 " last=%" PRIu64 "^%" PRIu64 "%s", message->to,
              request->pre_vote ? "pre_vote_request" : "vote_request", message->term,
              request->last.index, request->last.term, request->transfer ? " transfer" : "");
        return;
    }
    const struct raft_vote_response *response = &message->vote_response;
    trace(cluster, message->from, "-> %" PRIu64 " %s term=%" PRIu64 " %s", message->to,
          response->pre_vote ? "pre_vote_response" : "vote_response", message->term,
          response->granted ? "granted" : "refused");
}

static void trace_append(struct cluster *cluster, const struct raft_message *message)
{
    if (message->type == RAFT_APPEND_REQUEST) {
        const struct raft_append_request *request = &message->append_request;
        trace(cluster, message->from,
              "-> %" PRIu64 " append_request term=%" PRIu64 " previous=%" PRIu64 "^%" PRIu64
              " last=%" PRIu64 " commit=%" PRIu64,
              message->to, message->term, request->previous.index, request->previous.term,
              request->entries_last, request->leader_commit);
        return;
    }
    const struct raft_append_response *response = &message->append_response;
    if (response->accepted) {
        trace(cluster, message->from,
              "-> %" PRIu64 " append_response term=%" PRIu64 " accepted match=%" PRIu64,
              message->to, message->term, response->match);
    } else {
        trace(cluster, message->from,
              "-> %" PRIu64 " append_response term=%" PRIu64 " refused hint=%" PRIu64 "^%" PRIu64,
              message->to, message->term, response->hint.index, response->hint.term);
    }
}

static void trace_heartbeat(struct cluster *cluster, const struct raft_message *message)
{
    if (!cluster->is_heartbeat_traced) {
        return;
    }
    if (message->type == RAFT_HEARTBEAT_REQUEST) {
        trace(cluster, message->from,
              "-> %" PRIu64 " heartbeat term=%" PRIu64 " round=%" PRIu64 " commit=%" PRIu64,
              message->to, message->term, message->heartbeat_request.round,
              message->heartbeat_request.commit);
    } else {
        trace(cluster, message->from,
              "-> %" PRIu64 " heartbeat_response term=%" PRIu64 " round=%" PRIu64, message->to,
              message->term, message->heartbeat_response.round);
    }
}

static void trace_message(struct cluster *cluster, const struct raft_message *message)
{
    switch (message->type) {
    case RAFT_VOTE_REQUEST:
    case RAFT_VOTE_RESPONSE:
        trace_vote(cluster, message);
        break;
    case RAFT_APPEND_REQUEST:
    case RAFT_APPEND_RESPONSE:
        trace_append(cluster, message);
        break;
    case RAFT_HEARTBEAT_REQUEST:
    case RAFT_HEARTBEAT_RESPONSE:
        trace_heartbeat(cluster, message);
        break;
    case RAFT_TIMEOUT_NOW:
        trace(cluster, message->from, "-> %" PRIu64 " timeout_now term=%" PRIu64, message->to,
              message->term);
        break;
    }
}

static void trace_view(struct cluster *cluster, struct cluster_node *node)
{
    const struct raft_view view = raft_view(node->raft);
    const struct raft_view *seen = &node->seen;
    if (view.role != seen->role || view.hard_state.term != seen->hard_state.term ||
        (view.leader != seen->leader && view.leader != 0)) {
        trace(cluster, node->id, "is %s term=%" PRIu64 " leader=%" PRIu64,
              raft_role_name(view.role), view.hard_state.term, view.leader);
    }
    if (view.commit_index != seen->commit_index) {
        trace(cluster, node->id, "commits %" PRIu64, view.commit_index);
    }
    for (uint32_t i = 0; i < node->out->reads_count; i++) {
        trace(cluster, node->id, "confirms read %" PRIu64 " at %" PRIu64, node->out->reads[i],
              node->out->read_indexes[i]);
    }
    node->seen = view;
    node->seen.config = NULL;
}

/* ---- network ---- */

static uint64_t draw(struct cluster *cluster, uint32_t min, uint32_t max)
{
    return max <= min ? min : min + rk_prng_below(&cluster->prng, max - min + 1);
}

static void flight_free(struct cluster_flight *flight)
{
    free(flight->entries);
    free(flight->copies);
}

static void flight_remove(struct cluster *cluster, int at)
{
    RK_ASSERT(at >= 0);
    RK_ASSERT((uint32_t)at < cluster->flights_count);
    const size_t behind = cluster->flights_count - (uint32_t)at - 1;
    memmove(&cluster->flights[at], &cluster->flights[at + 1], behind * sizeof cluster->flights[0]);
    cluster->flights_count--;
}

static struct raft_entry entry_of(const struct cluster_entry *stored)
{
    return (struct raft_entry){
        .id = stored->id,
        .type = stored->type,
        .config = stored->type == RAFT_ENTRY_CONFIG ? &stored->config : NULL,
        .frame = {.data = (const uint8_t *)&stored->value, .size = sizeof stored->value},
    };
}

static void fill_entries(struct cluster_flight *flight, const struct cluster_log *log)
{
    struct raft_append_request *request = &flight->message.append_request;
    const uint32_t count = (uint32_t)(request->entries_last - request->previous.index);
    request->entries_count = count;
    if (count == 0) {
        return;
    }
    RK_ASSERT(request->entries_last <= log->count);
    flight->entries = calloc(count, sizeof *flight->entries);
    flight->copies = calloc(count, sizeof *flight->copies);
    RK_ASSERT(flight->entries != NULL && flight->copies != NULL);
    for (uint32_t i = 0; i < count; i++) {
        flight->copies[i] = log->entries[request->previous.index + i];
        flight->entries[i] = entry_of(&flight->copies[i]);
    }
    request->entries = flight->entries;
}

static void depart_once(struct cluster *cluster, struct cluster_node *node,
                        const struct raft_message *message)
{
    if (cluster->flights_count == CLUSTER_FLIGHT_MAX) {
        return;
    }
    struct cluster_flight *flight = &cluster->flights[cluster->flights_count];
    *flight = (struct cluster_flight){.message = *message};
    if (message->type == RAFT_APPEND_REQUEST) {
        fill_entries(flight, node->log);
    }
    flight->number = ++cluster->departures;
    flight->due_ms = cluster->now_ms + draw(cluster, cluster->options.latency_ms_min,
                                            cluster->options.latency_ms_max);
    if (rk_prng_chance(&cluster->prng, cluster->options.straggler_per_mille)) {
        flight->due_ms += draw(cluster, 0, cluster->options.straggler_ms_max);
    }
    cluster->flights_count++;
}

static void depart(struct cluster *cluster, struct cluster_node *node,
                   const struct raft_message *message)
{
    trace_message(cluster, message);
    if (cluster->options.hooks.left != NULL) {
        cluster->options.hooks.left(cluster->options.hooks.context, cluster, node, message);
    }
    if (rk_prng_chance(&cluster->prng, cluster->options.drop_per_mille)) {
        return;
    }
    depart_once(cluster, node, message);
    if (rk_prng_chance(&cluster->prng, cluster->options.duplicate_per_mille)) {
        depart_once(cluster, node, message);
    }
}

/* ---- disk ---- */

static void log_put(struct cluster_log *log, const struct cluster_entry *entry)
{
    RK_ASSERT(log->count < CLUSTER_LOG_MAX);
    RK_ASSERT(entry->id.index == log->count + 1);
    log->entries[log->count] = *entry;
    log->count++;
}

static void log_cut(struct cluster_log *log, raft_index from)
{
    if (from != 0) {
        RK_ASSERT(from <= log->count);
        log->count = (uint32_t)(from - 1);
    }
}

static struct cluster_entry copy_of(const struct raft_entry *entry)
{
    struct cluster_entry copy = {.id = entry->id, .type = entry->type};
    if (entry->frame.size == sizeof copy.value) {
        memcpy(&copy.value, entry->frame.data, sizeof copy.value);
    }
    if (entry->config != NULL) {
        copy.config = *entry->config;
    }
    return copy;
}

static void take_write(struct cluster *cluster, struct cluster_node *node)
{
    const struct raft_write *from = &node->out->write;
    RK_ASSERT(node->writes_count < CLUSTER_WRITES_MAX);
    struct cluster_write *write = &node->writes[node->writes_count];
    node->writes_count++;
    *write = (struct cluster_write){.number = node->out->write_number,
                                    .has_hard_state = from->has_hard_state,
                                    .hard_state = from->hard_state,
                                    .truncate_from = from->truncate_from,
                                    .entries_count = from->entries_count};
    write->due_ms = cluster->now_ms + node->slow_ms +
                    draw(cluster, cluster->options.persist_ms_min, cluster->options.persist_ms_max);
    if (from->truncate_from != 0 && cluster->options.hooks.truncated != NULL) {
        cluster->options.hooks.truncated(cluster->options.hooks.context, cluster, node,
                                         from->truncate_from);
    }
    log_cut(node->log, from->truncate_from);
    if (from->entries_count > 0) {
        write->entries = calloc(from->entries_count, sizeof *write->entries);
        RK_ASSERT(write->entries != NULL);
    }
    for (uint32_t i = 0; i < from->entries_count; i++) {
        write->entries[i] = copy_of(&from->entries[i]);
        log_put(node->log, &write->entries[i]);
    }
}

static void release_held(struct cluster *cluster, struct cluster_node *node)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < node->held_count; i++) {
        if (node->held[i].after_write <= node->persisted) {
            depart(cluster, node, &node->held[i]);
        } else {
            node->held[kept] = node->held[i];
            kept++;
        }
    }
    node->held_count = kept;
}

void cluster_persist_one(struct cluster *cluster, raft_node_id id)
{
    struct cluster_node *node = cluster_node(cluster, id);
    if (node->writes_count == 0) {
        return;
    }
    struct cluster_write *write = &node->writes[0];
    if (write->has_hard_state) {
        node->disk_state = write->hard_state;
    }
    log_cut(node->disk, write->truncate_from);
    for (uint32_t i = 0; i < write->entries_count; i++) {
        log_put(node->disk, &write->entries[i]);
    }
    const uint64_t number = write->number;
    free(write->entries);
    node->writes_count--;
    memmove(&node->writes[0], &node->writes[1], node->writes_count * sizeof node->writes[0]);
    node->persisted = number;
    release_held(cluster, node);
    (void)cluster_step(cluster, id,
                       (struct raft_event){.type = RAFT_EVENT_PERSISTED, .write_number = number});
}

void cluster_persist(struct cluster *cluster, raft_node_id id)
{
    for (uint32_t left = cluster_node(cluster, id)->writes_count; left > 0; left--) {
        cluster_persist_one(cluster, id);
    }
}

/* ---- a step ---- */

static void perform(struct cluster *cluster, struct cluster_node *node)
{
    struct raft_outputs *out = node->out;
    if (out->write_number != 0) {
        take_write(cluster, node);
    }
    uint64_t after_write = 0;
    for (uint32_t i = 0; i < out->messages_count; i++) {
        const struct raft_message *message = &out->messages[i];
        if (message->after_write <= node->persisted) {
            depart(cluster, node, message);
            continue;
        }
        RK_ASSERT(message->after_write >= after_write);
        RK_ASSERT(node->held_count < CLUSTER_HELD_MAX);
        after_write = message->after_write;
        node->held[node->held_count] = *message;
        node->held_count++;
    }
    for (uint32_t i = 0; i < out->reads_count && node->reads_count < CLUSTER_READS_MAX; i++) {
        node->reads[node->reads_count] =
            (struct cluster_read){.number = out->reads[i], .index = out->read_indexes[i]};
        node->reads_count++;
    }
    node->deadline_ms = out->deadline_ms;
}

enum rk_status cluster_step(struct cluster *cluster, raft_node_id id, struct raft_event event)
{
    struct cluster_node *node = cluster_node(cluster, id);
    RK_ASSERT(node->is_up);
    event.now_ms = cluster->now_ms;
    const enum rk_status status = raft_step(node->raft, &event, node->out);
    raft_check(node->raft);
    perform(cluster, node);
    trace_view(cluster, node);
    if (cluster->options.hooks.stepped != NULL) {
        cluster->options.hooks.stepped(cluster->options.hooks.context, cluster, node);
    }
    if (node->out->commit_index > node->applied) {
        node->applied = node->out->commit_index;
        const struct raft_event applied = {
            .type = RAFT_EVENT_APPLIED, .now_ms = cluster->now_ms, .index = node->applied};
        struct raft_outputs *extra = calloc(1, sizeof *extra);
        struct raft_outputs *kept = node->out;
        RK_ASSERT(extra != NULL);
        node->out = extra;
        RK_ASSERT(raft_step(node->raft, &applied, node->out) == RK_OK);
        perform(cluster, node);
        node->out = kept;
        free(extra);
    }
    node->status = status;
    return status;
}

enum rk_status cluster_propose(struct cluster *cluster, raft_node_id id, uint64_t value)
{
    struct raft_entry entry = {
        .type = RAFT_ENTRY_COMMAND,
        .frame = {.data = (const uint8_t *)&value, .size = sizeof value},
    };
    return cluster_step(cluster, id,
                        (struct raft_event){.type = RAFT_EVENT_PROPOSED, .proposed = {&entry, 1}});
}

enum rk_status cluster_propose_config(struct cluster *cluster, raft_node_id id,
                                      const struct raft_config *config)
{
    struct raft_entry entry = {.type = RAFT_ENTRY_CONFIG, .config = config};
    return cluster_step(cluster, id,
                        (struct raft_event){.type = RAFT_EVENT_PROPOSED, .proposed = {&entry, 1}});
}

enum rk_status cluster_read(struct cluster *cluster, raft_node_id id, uint64_t number)
{
    return cluster_step(cluster, id,
                        (struct raft_event){.type = RAFT_EVENT_READ, .read_number = number});
}

enum rk_status cluster_transfer(struct cluster *cluster, raft_node_id id, raft_node_id peer)
{
    return cluster_step(cluster, id,
                        (struct raft_event){.type = RAFT_EVENT_TRANSFER, .peer = peer});
}

void cluster_inject(struct cluster *cluster, const struct raft_message *message)
{
    (void)cluster_step(cluster, message->to,
                       (struct raft_event){.type = RAFT_EVENT_RECEIVED, .message = message});
}

void cluster_fire(struct cluster *cluster, raft_node_id id)
{
    (void)cluster_step(cluster, id, (struct raft_event){.type = RAFT_EVENT_DEADLINE});
}

/* ---- delivery ---- */

int cluster_find(const struct cluster *cluster, enum raft_message_type type, raft_node_id from,
                 raft_node_id to)
{
    for (uint32_t i = 0; i < cluster->flights_count; i++) {
        const struct raft_message *message = &cluster->flights[i].message;
        if ((type == 0 || message->type == type) && (from == 0 || message->from == from) &&
            (to == 0 || message->to == to)) {
            return (int)i;
        }
    }
    return -1;
}

void cluster_deliver_at(struct cluster *cluster, int at)
{
    struct cluster_flight flight = cluster->flights[at];
    flight_remove(cluster, at);
    const struct raft_message *message = &flight.message;
    if (!cluster->is_cut[message->from][message->to] && message->to <= cluster->nodes_count &&
        cluster_node(cluster, message->to)->is_up) {
        cluster_inject(cluster, message);
    }
    flight_free(&flight);
}

void cluster_drop_at(struct cluster *cluster, int at)
{
    struct cluster_flight flight = cluster->flights[at];
    flight_remove(cluster, at);
    flight_free(&flight);
}

bool cluster_deliver(struct cluster *cluster, enum raft_message_type type, raft_node_id from,
                     raft_node_id to)
{
    const int at = cluster_find(cluster, type, from, to);
    if (at >= 0) {
        cluster_deliver_at(cluster, at);
    }
    return at >= 0;
}

uint32_t cluster_drop(struct cluster *cluster, enum raft_message_type type, raft_node_id from,
                      raft_node_id to)
{
    uint32_t dropped = 0;
    for (int at = cluster_find(cluster, type, from, to); at >= 0;
         at = cluster_find(cluster, type, from, to)) {
        cluster_drop_at(cluster, at);
        dropped++;
    }
    return dropped;
}

void cluster_settle(struct cluster *cluster)
{
    uint32_t turns = 0;
    for (;;) {
        turns++;
        RK_ASSERT(turns < 100000); /* else the cluster does not come to rest */
        bool has_written = false;
        for (uint32_t i = 0; i < cluster->nodes_count; i++) {
            if (cluster->nodes[i].is_up && cluster->nodes[i].writes_count > 0) {
                cluster_persist(cluster, cluster->nodes[i].id);
                has_written = true;
            }
        }
        if (cluster->flights_count > 0) {
            cluster_deliver_at(cluster, 0);
        } else if (!has_written) {
            return;
        }
    }
}

/* ---- the clock ---- */

enum due_kind { DUE_NOTHING, DUE_PERSIST, DUE_DELIVER, DUE_DEADLINE };

struct due {
    uint64_t ms;
    enum due_kind kind;
    uint32_t at;
};

static void due_offer(struct due *due, uint64_t ms, enum due_kind kind, uint32_t at)
{
    if (ms < due->ms) {
        *due = (struct due){.ms = ms, .kind = kind, .at = at};
    }
}

/* Nothing of a paused node runs before it goes on; a member that a test made up never pauses. */
static uint64_t when(const struct cluster *cluster, raft_node_id id, uint64_t ms)
{
    if (id > cluster->nodes_count || ms > cluster->nodes[id - 1].paused_until_ms) {
        return ms;
    }
    return cluster->nodes[id - 1].paused_until_ms;
}

/* What falls due first; in the same millisecond the disk goes before the network, and the network
 * before the clocks. */
static struct due next_due(struct cluster *cluster)
{
    struct due due = {.ms = UINT64_MAX};
    for (uint32_t i = 0; i < cluster->nodes_count && !cluster->options.is_disk_manual; i++) {
        if (cluster->nodes[i].is_up && cluster->nodes[i].writes_count > 0) {
            const uint64_t ms = when(cluster, i + 1, cluster->nodes[i].writes[0].due_ms);
            due_offer(&due, ms, DUE_PERSIST, i);
        }
    }
    for (uint32_t i = 0; i < cluster->flights_count && !cluster->options.is_network_manual; i++) {
        const struct cluster_flight *flight = &cluster->flights[i];
        due_offer(&due, when(cluster, flight->message.to, flight->due_ms), DUE_DELIVER, i);
    }
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        if (cluster->nodes[i].is_up) {
            due_offer(&due, when(cluster, i + 1, cluster->nodes[i].deadline_ms), DUE_DEADLINE, i);
        }
    }
    return due;
}

/* Runs the next thing that falls due by `until_ms`; false when there is none. */
static bool run_one(struct cluster *cluster, uint64_t until_ms)
{
    const struct due due = next_due(cluster);
    if (due.kind == DUE_NOTHING || due.ms > until_ms) {
        return false;
    }
    if (due.ms > cluster->now_ms) {
        cluster->now_ms = due.ms;
    }
    if (due.kind == DUE_PERSIST) {
        cluster_persist_one(cluster, cluster->nodes[due.at].id);
    } else if (due.kind == DUE_DELIVER) {
        cluster_deliver_at(cluster, (int)due.at);
    } else {
        cluster_fire(cluster, cluster->nodes[due.at].id);
    }
    return true;
}

void cluster_elapse(struct cluster *cluster, uint64_t ms)
{
    const uint64_t until_ms = cluster->now_ms + ms;
    while (run_one(cluster, until_ms)) {
    }
    cluster->now_ms = until_ms;
}

void cluster_await_deadline(struct cluster *cluster, raft_node_id id)
{
    const struct cluster_node *node = cluster_node(cluster, id);
    if (node->deadline_ms > cluster->now_ms) {
        cluster->now_ms = node->deadline_ms;
    }
    cluster_fire(cluster, id);
}

raft_node_id cluster_leader(struct cluster *cluster)
{
    raft_node_id leader = 0;
    raft_term term = 0;
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        if (!cluster->nodes[i].is_up) {
            continue;
        }
        const struct raft_view view = raft_view(cluster->nodes[i].raft);
        if (view.role == RAFT_LEADER && view.hard_state.term > term) {
            leader = cluster->nodes[i].id;
            term = view.hard_state.term;
        }
    }
    return leader;
}

static bool is_leader_settled(struct cluster *cluster)
{
    const raft_node_id leader = cluster_leader(cluster);
    if (leader == 0 || !cluster_view(cluster, leader).is_term_committed) {
        return false;
    }
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        if (node->is_up && !cluster->is_cut[leader][node->id] &&
            raft_view(node->raft).leader != leader && node->config.voters_count > 0) {
            return false;
        }
    }
    return true;
}

raft_node_id cluster_await_leader(struct cluster *cluster, uint64_t ms)
{
    const uint64_t until_ms = cluster->now_ms + ms;
    while (!is_leader_settled(cluster)) {
        if (!run_one(cluster, until_ms)) {
            return 0;
        }
    }
    return cluster_leader(cluster);
}

/* ---- faults ---- */

void cluster_cut(struct cluster *cluster, raft_node_id a, raft_node_id b)
{
    cluster->is_cut[a][b] = true;
    cluster->is_cut[b][a] = true;
}

void cluster_isolate(struct cluster *cluster, raft_node_id id)
{
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        if (cluster->nodes[i].id != id) {
            cluster_cut(cluster, id, cluster->nodes[i].id);
        }
    }
}

void cluster_heal(struct cluster *cluster)
{
    memset(cluster->is_cut, 0, sizeof cluster->is_cut);
}

void cluster_crash(struct cluster *cluster, raft_node_id id)
{
    struct cluster_node *node = cluster_node(cluster, id);
    RK_ASSERT(node->is_up);
    trace(cluster, id, "crashes");
    for (uint32_t i = 0; i < node->writes_count; i++) {
        free(node->writes[i].entries);
    }
    node->is_up = false;
    node->raft = NULL;
    node->writes_count = 0;
    node->held_count = 0;
}

static uint32_t runs_of(const struct cluster_log *log, struct raft_trail_run *runs)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < log->count; i++) {
        if (i == 0 || log->entries[i].id.term != log->entries[i - 1].id.term) {
            runs[count] =
                (struct raft_trail_run){.first_index = i + 1, .term = log->entries[i].id.term};
            count++;
        }
    }
    return count;
}

static void restore_configs(const struct cluster_log *log, struct raft_restored *restored)
{
    for (uint32_t i = 0; i < log->count; i++) {
        if (log->entries[i].type != RAFT_ENTRY_CONFIG) {
            continue;
        }
        if (restored->logged_configs_count == 2) {
            restored->logged_configs[0] = restored->logged_configs[1];
            restored->logged_configs_count = 1;
        }
        const uint32_t at = restored->logged_configs_count;
        restored->logged_configs[at].index = i + 1;
        restored->logged_configs[at].config = log->entries[i].config;
        restored->logged_configs_count++;
    }
}

static struct raft_options options_of(struct cluster *cluster, raft_node_id id)
{
    const struct cluster_options *options = &cluster->options;
    return (struct raft_options){
        .id = id,
        .seed = rk_prng_next(&cluster->prng),
        .election_timeout_ms = options->election_timeout_ms,
        .heartbeat_interval_ms = options->heartbeat_interval_ms,
        .append_entries_max = options->append_entries_max,
        .inflight_max = options->inflight_max,
        .pre_vote = !options->no_pre_vote,
        .check_quorum = !options->no_check_quorum,
    };
}

void cluster_start(struct cluster *cluster, raft_node_id id)
{
    struct cluster_node *node = cluster_node(cluster, id);
    RK_ASSERT(!node->is_up);
    struct raft_trail_run *runs = calloc(CLUSTER_LOG_MAX, sizeof *runs);
    RK_ASSERT(runs != NULL);
    struct raft_restored restored = {.hard_state = node->disk_state,
                                     .config = node->config,
                                     .runs = runs,
                                     .runs_count = runs_of(node->disk, runs)};
    if (node->disk->count > 0) {
        restored.last = node->disk->entries[node->disk->count - 1].id;
    }
    restore_configs(node->disk, &restored);
    memcpy(node->log->entries, node->disk->entries,
           node->disk->count * sizeof node->disk->entries[0]);
    node->log->count = node->disk->count;
    const struct raft_options options = options_of(cluster, id);
    node->raft = raft_init(node->memory, raft_size(), &options, &restored, cluster->now_ms);
    free(runs);
    raft_check(node->raft);
    node->is_up = true;
    node->persisted = 0;
    node->applied = 0;
    node->reads_count = 0;
    node->seen = raft_view(node->raft);
    cluster_fire(cluster, id);
}

void cluster_set_log(struct cluster *cluster, raft_node_id id, const raft_term *terms,
                     uint32_t count)
{
    struct cluster_node *node = cluster_node(cluster, id);
    cluster_crash(cluster, id);
    node->disk->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        log_put(node->disk, &(struct cluster_entry){.id = {.term = terms[i], .index = i + 1},
                                                    .type = RAFT_ENTRY_COMMAND,
                                                    .value = terms[i] * 1000 + i + 1});
    }
    node->disk_state = (struct raft_hard_state){.term = count == 0 ? 0 : terms[count - 1]};
    cluster_start(cluster, id);
}

void cluster_make_leader(struct cluster *cluster, raft_node_id id, raft_node_id voter)
{
    cluster_await_deadline(cluster, id);
    while (cluster_view(cluster, id).role != RAFT_LEADER) {
        const int at = cluster_find(cluster, RAFT_VOTE_REQUEST, id, voter);
        if (at < 0) { /* the candidate's own vote comes first */
            RK_ASSERT(cluster_node(cluster, id)->writes_count > 0);
            cluster_persist(cluster, id);
            continue;
        }
        const struct raft_message asked = cluster->flights[at].message;
        (void)cluster_drop(cluster, RAFT_VOTE_REQUEST, id, 0);
        const bool is_pre_vote = asked.vote_request.pre_vote;
        cluster_inject(cluster, &(struct raft_message){
                                    .type = RAFT_VOTE_RESPONSE,
                                    .from = voter,
                                    .to = id,
                                    .term = is_pre_vote ? asked.term - 1 : asked.term,
                                    .vote_response = {.pre_vote = is_pre_vote,
                                                      .granted = true,
                                                      .request_term = asked.term,
                                                      .campaign = asked.vote_request.campaign}});
    }
}

/* ---- the whole ---- */

static void default_options(struct cluster_options *options)
{
    if (options->election_timeout_ms == 0) {
        options->election_timeout_ms = 1000;
    }
    if (options->heartbeat_interval_ms == 0) {
        options->heartbeat_interval_ms = 100;
    }
    if (options->append_entries_max == 0) {
        options->append_entries_max = 64;
    }
    if (options->inflight_max == 0) {
        options->inflight_max = 16;
    }
}

static void node_new(struct cluster *cluster, struct cluster_node *node, raft_node_id id)
{
    node->id = id;
    node->memory = malloc(raft_size());
    node->out = calloc(1, sizeof *node->out);
    node->log = calloc(1, sizeof *node->log);
    node->disk = calloc(1, sizeof *node->disk);
    RK_ASSERT(node->memory != NULL && node->out != NULL);
    RK_ASSERT(node->log != NULL && node->disk != NULL);
    if (id <= cluster->options.nodes_count) {
        for (uint32_t i = 0; i < cluster->options.nodes_count; i++) {
            node->config.voters[i] = i + 1;
        }
        node->config.voters_count = cluster->options.nodes_count;
    }
    cluster_start(cluster, id);
}

struct cluster *cluster_new(const struct cluster_options *options)
{
    struct cluster *cluster = calloc(1, sizeof *cluster);
    RK_ASSERT(cluster != NULL);
    cluster->options = *options;
    default_options(&cluster->options);
    cluster->nodes_count = options->nodes_count + options->spares_count;
    RK_ASSERT(cluster->nodes_count <= CLUSTER_NODES_MAX);
    rk_prng_seed(&cluster->prng, options->seed);
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        cluster->nodes[i].id = i + 1;
    }
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        node_new(cluster, &cluster->nodes[i], i + 1);
    }
    return cluster;
}

void cluster_free(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        if (node->is_up) {
            cluster_crash(cluster, node->id);
        }
        free(node->memory);
        free(node->out);
        free(node->log);
        free(node->disk);
    }
    while (cluster->flights_count > 0) {
        cluster_drop_at(cluster, 0);
    }
    free(cluster);
}

struct cluster_node *cluster_node(struct cluster *cluster, raft_node_id id)
{
    RK_ASSERT(id > 0);
    RK_ASSERT(id <= cluster->nodes_count);
    return &cluster->nodes[id - 1];
}

struct raft_view cluster_view(struct cluster *cluster, raft_node_id id)
{
    struct cluster_node *node = cluster_node(cluster, id);
    RK_ASSERT(node->is_up);
    return raft_view(node->raft);
}
