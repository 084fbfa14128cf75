#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "support/raft_cluster_internal.h"

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
    cluster_trace(cluster, id, "crashes");
    for (uint32_t i = 0; i < node->writes_count; i++) {
        free(node->writes[i].entries);
        free(node->writes[i].installed);
    }
    node->is_up = false;
    node->raft = NULL;
    node->writes_count = 0;
    node->held_count = 0;
}

static uint32_t runs_of(const struct cluster_log *log, struct raft_trail_run *runs)
{
    uint32_t count = 0;
    for (uint32_t i = (uint32_t)log->base; i < log->count; i++) {
        if (i == log->base || log->entries[i].id.term != log->entries[i - 1].id.term) {
            runs[count] =
                (struct raft_trail_run){.first_index = i + 1, .term = log->entries[i].id.term};
            count++;
        }
    }
    return count;
}

static void restore_configs(const struct cluster_log *log, struct raft_restored *restored)
{
    for (uint32_t i = (uint32_t)log->base; i < log->count; i++) {
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
        .lease_ms = options->lease_ms,
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
    if (node->disk->base > 0) {
        restored.base = node->disk->entries[node->disk->base - 1].id;
    }
    if (node->disk->snapshot.id.index > 0) {
        restored.snapshot = node->disk->snapshot.id;
        restored.config = node->disk->snapshot.config;
        restored.config_index = node->disk->snapshot.config_index;
    }
    restore_configs(node->disk, &restored);
    cluster_log_copy(node->log, node->disk);
    const struct raft_options options = options_of(cluster, id);
    node->raft = raft_init(node->memory, raft_size(), &options, &restored, cluster->now_ms);
    free(runs);
    raft_check(node->raft);
    node->is_up = true;
    node->persisted = 0;
    node->applied = restored.snapshot.index;
    node->reads_count = 0;
    node->seen = raft_view(node->raft);
    cluster_fire(cluster, id);
}

void cluster_set_log(struct cluster *cluster, raft_node_id id, const raft_term *terms,
                     uint32_t count)
{
    struct cluster_node *node = cluster_node(cluster, id);
    cluster_crash(cluster, id);
    *node->disk = (struct cluster_log){0};
    for (uint32_t i = 0; i < count; i++) {
        cluster_log_put(node->disk,
                        &(struct cluster_entry){.id = {.term = terms[i], .index = i + 1},
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
