#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "support/raft_cluster_internal.h"

uint64_t cluster_draw(struct cluster *cluster, uint32_t min, uint32_t max)
{
    return max <= min ? min : min + rk_prng_below(&cluster->prng, max - min + 1);
}

static void flight_free(struct cluster_flight *flight)
{
    free(flight->entries);
    free(flight->copies);
    free(flight->snapshot);
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
    if (message->type == RAFT_SNAPSHOT_REQUEST) {
        flight->snapshot = malloc(sizeof *flight->snapshot);
        RK_ASSERT(flight->snapshot != NULL);
        *flight->snapshot = *message->snapshot_request.snapshot;
        flight->message.snapshot_request.snapshot = flight->snapshot;
    }
    flight->number = ++cluster->departures;
    flight->due_ms = cluster->now_ms + cluster_draw(cluster, cluster->options.latency_ms_min,
                                                    cluster->options.latency_ms_max);
    if (rk_prng_chance(&cluster->prng, cluster->options.straggler_per_mille)) {
        flight->due_ms += cluster_draw(cluster, 0, cluster->options.straggler_ms_max);
    }
    cluster->flights_count++;
}

void cluster_depart(struct cluster *cluster, struct cluster_node *node,
                    const struct raft_message *message)
{
    cluster_trace_message(cluster, message);
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
