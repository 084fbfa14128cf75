#include <stdlib.h>

#include "base/assert.h"
#include "support/raft_cluster_internal.h"

/* ---- a step ---- */

static void perform(struct cluster *cluster, struct cluster_node *node)
{
    struct raft_outputs *out = node->out;
    if (out->write_number != 0) {
        cluster_take_write(cluster, node);
    }
    uint64_t after_write = 0;
    for (uint32_t i = 0; i < out->messages_count; i++) {
        const struct raft_message *message = &out->messages[i];
        if (message->after_write <= node->persisted) {
            cluster_depart(cluster, node, message);
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
    event.boot_ms = cluster->now_ms + cluster->asleep_ms + 1;
    const enum rk_status status = raft_step(node->raft, &event, node->out);
    raft_check(node->raft);
    perform(cluster, node);
    cluster_trace_view(cluster, node);
    if (cluster->options.hooks.stepped != NULL) {
        cluster->options.hooks.stepped(cluster->options.hooks.context, cluster, node);
    }
    if (node->out->commit_index > node->applied) {
        node->applied = node->out->commit_index;
        const struct raft_event applied = {.type = RAFT_EVENT_APPLIED,
                                           .now_ms = event.now_ms,
                                           .boot_ms = event.boot_ms,
                                           .index = node->applied};
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
