#include <inttypes.h>
#include <stdarg.h>

#include "support/raft_cluster_internal.h"

void cluster_trace(struct cluster *cluster, raft_node_id id, const char *format, ...)
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
        cluster_trace(cluster, message->from,
                      "-> %" PRIu64 " %s term=%" PRIu64 " last=%" PRIu64 "^%" PRIu64 "%s",
                      message->to, request->pre_vote ? "pre_vote_request" : "vote_request",
                      message->term, request->last.index, request->last.term,
                      request->transfer ? " transfer" : "");
        return;
    }
    const struct raft_vote_response *response = &message->vote_response;
    cluster_trace(cluster, message->from, "-> %" PRIu64 " %s term=%" PRIu64 " %s", message->to,
                  response->pre_vote ? "pre_vote_response" : "vote_response", message->term,
                  response->granted ? "granted" : "refused");
}

static void trace_append(struct cluster *cluster, const struct raft_message *message)
{
    if (message->type == RAFT_APPEND_REQUEST) {
        const struct raft_append_request *request = &message->append_request;
        cluster_trace(cluster, message->from,
                      "-> %" PRIu64 " append_request term=%" PRIu64 " previous=%" PRIu64 "^%" PRIu64
                      " last=%" PRIu64 " commit=%" PRIu64,
                      message->to, message->term, request->previous.index, request->previous.term,
                      request->entries_last, request->leader_commit);
        return;
    }
    const struct raft_append_response *response = &message->append_response;
    if (response->accepted) {
        cluster_trace(cluster, message->from,
                      "-> %" PRIu64 " append_response term=%" PRIu64 " accepted match=%" PRIu64,
                      message->to, message->term, response->match);
    } else {
        cluster_trace(cluster, message->from,
                      "-> %" PRIu64 " append_response term=%" PRIu64 " refused hint=%" PRIu64
                      "^%" PRIu64,
                      message->to, message->term, response->hint.index, response->hint.term);
    }
}

static void trace_heartbeat(struct cluster *cluster, const struct raft_message *message)
{
    if (!cluster->is_heartbeat_traced) {
        return;
    }
    if (message->type == RAFT_HEARTBEAT_REQUEST) {
        cluster_trace(cluster, message->from,
                      "-> %" PRIu64 " heartbeat term=%" PRIu64 " round=%" PRIu64 " commit=%" PRIu64,
                      message->to, message->term, message->heartbeat_request.round,
                      message->heartbeat_request.commit);
    } else {
        cluster_trace(cluster, message->from,
                      "-> %" PRIu64 " heartbeat_response term=%" PRIu64 " round=%" PRIu64,
                      message->to, message->term, message->heartbeat_response.round);
    }
}

static void trace_snapshot(struct cluster *cluster, const struct raft_message *message)
{
    if (message->type == RAFT_SNAPSHOT_REQUEST) {
        const struct raft_entry_id id = message->snapshot_request.snapshot->id;
        cluster_trace(cluster, message->from,
                      "-> %" PRIu64 " snapshot_request term=%" PRIu64 " snapshot=%" PRIu64
                      "^%" PRIu64,
                      message->to, message->term, id.index, id.term);
        return;
    }
    const struct raft_snapshot_response *response = &message->snapshot_response;
    cluster_trace(cluster, message->from,
                  "-> %" PRIu64 " snapshot_response term=%" PRIu64 " %s match=%" PRIu64,
                  message->to, message->term, response->accepted ? "accepted" : "refused",
                  response->match);
}

void cluster_trace_message(struct cluster *cluster, const struct raft_message *message)
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
    case RAFT_SNAPSHOT_REQUEST:
    case RAFT_SNAPSHOT_RESPONSE:
        trace_snapshot(cluster, message);
        break;
    case RAFT_TIMEOUT_NOW:
        cluster_trace(cluster, message->from, "-> %" PRIu64 " timeout_now term=%" PRIu64,
                      message->to, message->term);
        break;
    }
}

void cluster_trace_view(struct cluster *cluster, struct cluster_node *node)
{
    const struct raft_view view = raft_view(node->raft);
    const struct raft_view *seen = &node->seen;
    if (view.role != seen->role || view.hard_state.term != seen->hard_state.term ||
        (view.leader != seen->leader && view.leader != 0)) {
        cluster_trace(cluster, node->id, "is %s term=%" PRIu64 " leader=%" PRIu64,
                      raft_role_name(view.role), view.hard_state.term, view.leader);
    }
    if (view.commit_index != seen->commit_index) {
        cluster_trace(cluster, node->id, "commits %" PRIu64, view.commit_index);
    }
    if (view.installing.index != seen->installing.index && view.installing.index != 0) {
        cluster_trace(cluster, node->id, "wants snapshot %" PRIu64 "^%" PRIu64,
                      view.installing.index, view.installing.term);
    }
    if (view.base.index != seen->base.index) {
        cluster_trace(cluster, node->id, "has a log after %" PRIu64 "^%" PRIu64, view.base.index,
                      view.base.term);
    }
    if (view.config_index != seen->config_index) {
        cluster_trace(cluster, node->id, "acts by configuration %" PRIu64, view.config_index);
    }
    for (uint32_t i = 0; i < node->out->reads_count; i++) {
        cluster_trace(cluster, node->id, "confirms read %" PRIu64 " at %" PRIu64,
                      node->out->reads[i], node->out->read_indexes[i]);
    }
    node->seen = view;
    node->seen.config = NULL;
}
