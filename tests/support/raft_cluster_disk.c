#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "support/raft_cluster_internal.h"

void cluster_log_put(struct cluster_log *log, const struct cluster_entry *entry)
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

void cluster_take_write(struct cluster *cluster, struct cluster_node *node)
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
    write->due_ms =
        cluster->now_ms + node->slow_ms +
        cluster_draw(cluster, cluster->options.persist_ms_min, cluster->options.persist_ms_max);
    if (from->truncate_from != 0 && cluster->options.hooks.truncated != NULL) {
        cluster->options.hooks.truncated(cluster->options.hooks.context, cluster, node,
                                         from->truncate_from);
    }
    if (from->snapshot != NULL) {
        write->installed = cluster_log_of_snapshot(cluster, from->snapshot);
        cluster_log_copy(node->log, write->installed);
        node->applied = from->snapshot->id.index;
    }
    log_cut(node->log, from->truncate_from);
    if (from->entries_count > 0) {
        write->entries = calloc(from->entries_count, sizeof *write->entries);
        RK_ASSERT(write->entries != NULL);
    }
    for (uint32_t i = 0; i < from->entries_count; i++) {
        write->entries[i] = copy_of(&from->entries[i]);
        cluster_log_put(node->log, &write->entries[i]);
    }
}

static void release_held(struct cluster *cluster, struct cluster_node *node)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < node->held_count; i++) {
        if (node->held[i].after_write <= node->persisted) {
            cluster_depart(cluster, node, &node->held[i]);
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
    if (write->installed != NULL) {
        cluster_log_copy(node->disk, write->installed);
        free(write->installed);
    }
    log_cut(node->disk, write->truncate_from);
    for (uint32_t i = 0; i < write->entries_count; i++) {
        cluster_log_put(node->disk, &write->entries[i]);
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
