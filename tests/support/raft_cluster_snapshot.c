#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "support/raft_cluster_internal.h"

void cluster_log_copy(struct cluster_log *to, const struct cluster_log *from)
{
    memcpy(to->entries, from->entries, from->count * sizeof from->entries[0]);
    to->count = from->count;
    to->base = from->base;
    to->snapshot = from->snapshot;
}

/* A log that holds the entry, and so, by Log Matching, all before it; NULL: none. */
static const struct cluster_log *find_log(struct cluster *cluster, struct raft_entry_id id)
{
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        const struct cluster_log *log = cluster->nodes[i].log;
        if (log->count >= id.index && log->entries[id.index - 1].id.term == id.term) {
            return log;
        }
    }
    return NULL;
}

struct cluster_log *cluster_log_of_snapshot(struct cluster *cluster,
                                            const struct raft_snapshot *snapshot)
{
    struct cluster_log *log = calloc(1, sizeof *log);
    RK_ASSERT(log != NULL);
    const struct cluster_log *from = find_log(cluster, snapshot->id);
    for (raft_index index = 1; index <= snapshot->id.index; index++) {
        struct cluster_entry entry = {.id = {.term = snapshot->id.term, .index = index},
                                      .type = RAFT_ENTRY_COMMAND};
        if (from != NULL) {
            entry = from->entries[index - 1];
        }
        cluster_log_put(log, &entry);
    }
    log->base = snapshot->id.index;
    log->snapshot = *snapshot;
    return log;
}

static struct raft_snapshot snapshot_at(const struct cluster_node *node, raft_index index)
{
    struct raft_snapshot snapshot = {.id = node->log->entries[index - 1].id,
                                     .config = node->config};
    for (raft_index i = 1; i <= index; i++) {
        if (node->log->entries[i - 1].type == RAFT_ENTRY_CONFIG) {
            snapshot.config = node->log->entries[i - 1].config;
            snapshot.config_index = i;
        }
    }
    return snapshot;
}

void cluster_compact_sparing(struct cluster *cluster, raft_node_id id, raft_index index,
                             raft_index base, uint64_t lag_max)
{
    struct cluster_node *node = cluster_node(cluster, id);
    const struct raft_snapshot snapshot = snapshot_at(node, index);
    (void)cluster_step(
        cluster, id,
        (struct raft_event){.type = RAFT_EVENT_COMPACTED, .compacted = {&snapshot, base, lag_max}});
    const struct raft_view view = raft_view(node->raft);
    node->log->base = view.base.index;
    node->disk->base = view.base.index;
    if (index >= view.snapshot.index) {
        node->log->snapshot = snapshot;
        node->disk->snapshot = snapshot;
    }
}

void cluster_compact(struct cluster *cluster, raft_node_id id, raft_index index, raft_index base)
{
    cluster_compact_sparing(cluster, id, index, base, 0);
}

enum rk_status cluster_install(struct cluster *cluster, raft_node_id id)
{
    const struct raft_entry_id snapshot = cluster_view(cluster, id).installing;
    return cluster_step(cluster, id,
                        (struct raft_event){.type = RAFT_EVENT_INSTALLED, .snapshot = snapshot});
}
