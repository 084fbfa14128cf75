#include "support/raft_cluster.h"

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
