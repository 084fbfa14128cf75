#include "api/api_status.h"

#include "api/answer.h"
#include "api/api_members.h"
#include "api/read_options.h"
#include "api/request.h"
#include "base/assert.h"

enum { CATCH_UP_ROUNDS = 10 };

enum api_action status_leader_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response)
{
    struct rk_json json;

    if (datacenter_json_begin(call, response, &json)) {
        rk_json_text(&json, node->has_leader ? node->leader_peer_address : "");
    }
    return API_RESPOND;
}

enum api_action status_peers_begin(struct api_call *call, const struct node_view *node,
                                   struct http_response *response)
{
    struct rk_json json;

    RK_ASSERT(node->members_count <= RAFT_MEMBERS_MAX);
    if (datacenter_json_begin(call, response, &json)) {
        rk_json_array_begin(&json);
        for (uint32_t i = 0; i < node->members_count; i++) {
            rk_json_text(&json, node->members[i].peer_address);
        }
        rk_json_array_end(&json);
    }
    return API_RESPOND;
}

static void member_age(struct rk_json *json, const char *name, uint64_t age_ms)
{
    rk_json_name(json, name);
    if (age_ms == UINT64_MAX) {
        rk_json_null(json);
    } else {
        rk_json_u64(json, age_ms);
    }
}

static void leader_render(struct rk_json *json, const struct node_view *node)
{
    rk_json_member_text(json, "leader", node->has_leader ? node->leader_name : "");
    rk_json_member_u64(json, "leader_id", node->has_leader ? node->leader : 0);
    rk_json_member_text(json, "leader_peer_address",
                        node->has_leader ? node->leader_peer_address : "");
    member_age(json, "leader_contact_age_ms", node->leader_contact_age_ms);
}

static void progress_render(struct rk_json *json, const struct node_view *node)
{
    rk_json_member_u64(json, "commit_index", node->commit_index);
    rk_json_member_u64(json, "last_applied", node->last_applied);
    rk_json_member_u64(json, "last_index", node->last_index);
    rk_json_member_u64(json, "durable_index", node->durable_index);
}

static void condition_render(struct rk_json *json, const struct node_view *node)
{
    rk_json_member_bool(json, "ready", node->is_ready);
    rk_json_member_text(json, "not_ready_reason", node->not_ready_reason);
    rk_json_member_bool(json, "alive", node->is_alive);
    rk_json_member_text(json, "not_alive_reason", node->not_alive_reason);
    rk_json_member_bool(json, "disk_nearly_full", node->is_disk_nearly_full);
    rk_json_member_u64(json, "differs_at", node->differs);
    rk_json_member_u64(json, "feature_level", node->feature_level);
    rk_json_member_u64(json, "feature_level_max", node->feature_level_max);
}

enum api_action status_node_begin(struct api_call *call, const struct node_view *node,
                                  struct http_response *response)
{
    struct rk_json json;

    if (!datacenter_json_begin(call, response, &json)) {
        return API_RESPOND;
    }
    rk_json_object_begin(&json);
    rk_json_member_text(&json, "node", node->node_name);
    rk_json_member_u64(&json, "id", node->node_id);
    rk_json_member_text(&json, "cluster_id", node->cluster_id);
    rk_json_member_text(&json, "datacenter", call->options->datacenter);
    rk_json_member_text(&json, "version", PACKAGE_VERSION);
    rk_json_member_text(&json, "role", node->role);
    rk_json_member_u64(&json, "term", node->term);
    leader_render(&json, node);
    progress_render(&json, node);
    condition_render(&json, node);
    rk_json_object_end(&json);
    return API_RESPOND;
}

/* A member that only votes in the old half of a joint configuration is on its way out. */
static const char *role_text(const struct node_view_member *member)
{
    if (member->is_voter) {
        return "voter";
    }
    return member->is_learner ? "learner" : "leaving";
}

/* How much of the log, or of a snapshot's bytes, is there, for people: "matching 81,244 of 120,310". A
 * learner that was too slow in so many rounds as 4.2.1 gives it will not become a voter by waiting. */
static void share_render(struct rk_json *json, const char *what, uint64_t done, uint64_t all,
                         uint32_t rounds)
{
    struct rk_buf text;

    rk_buf_init(&text, 128);
    rk_buf_append_text(&text, what);
    rk_buf_append_byte(&text, ' ');
    answer_append_grouped(&text, done);
    rk_buf_append_text(&text, " of ");
    answer_append_grouped(&text, all);
    if (rounds >= CATCH_UP_ROUNDS) {
        rk_buf_append_text(&text, ", too slow for the writes in ");
        rk_buf_append_u64(&text, rounds);
        rk_buf_append_text(&text, " rounds");
    }
    rk_json_name(json, "progress");
    rk_json_bytes(json, rk_buf_bytes(&text));
    rk_buf_done(&text);
}

static void member_render(struct rk_json *json, const struct node_view_member *member,
                          raft_index last_index)
{
    rk_json_object_begin(json);
    rk_json_member_u64(json, "id", member->id);
    rk_json_member_text(json, "name", member->name);
    rk_json_member_text(json, "peer_address", member->peer_address);
    rk_json_member_text(json, "client_address", member->client_address);
    rk_json_member_text(json, "role", role_text(member));
    rk_json_member_bool(json, "seen", member->is_seen);
    if (member->feature_level != 0) {
        rk_json_member_u64(json, "feature_level", member->feature_level);
    }
    if (member->differs != 0) {
        rk_json_member_u64(json, "differs_at", member->differs);
    }
    if (member->wants_vote) {
        rk_json_member_bool(json, "wants_vote", true);
    }
    if (member->replaces != 0) {
        rk_json_member_u64(json, "replaces", member->replaces);
    }
    if (member->has_progress) {
        rk_json_member_u64(json, "match_index", member->match_index);
        rk_json_member_u64(json, "last_index", last_index);
        if (member->snapshot_size != 0) {
            rk_json_member_u64(json, "snapshot_sent", member->snapshot_sent);
            rk_json_member_u64(json, "snapshot_size", member->snapshot_size);
            share_render(json, "snapshot", member->snapshot_sent, member->snapshot_size,
                         member->catch_up_rounds);
        } else {
            share_render(json, "matching", member->match_index, last_index,
                         member->catch_up_rounds);
        }
        if (member->catch_up_rounds > 0) {
            rk_json_member_u64(json, "catch_up_rounds", member->catch_up_rounds);
        }
        rk_json_member_u64(json, "commit_index", member->commit_index);
        rk_json_member_u64(json, "last_applied", member->last_applied);
        member_age(json, "contact_age_ms", member->contact_age_ms);
    }
    rk_json_object_end(json);
}

static void members_render(struct rk_json *json, const struct node_view *node)
{
    RK_ASSERT(node->members_count <= RAFT_MEMBERS_MAX);
    rk_json_array_begin(json);
    for (uint32_t i = 0; i < node->members_count; i++) {
        member_render(json, &node->members[i], node->last_index);
    }
    rk_json_array_end(json);
}

enum api_action cluster_members_begin(struct api_call *call, const struct node_view *node,
                                      struct http_response *response)
{
    struct rk_json json;

    if (request_has(call, "consistent")) {
        return admin_look(call, response);
    }
    if (datacenter_json_begin(call, response, &json)) {
        members_render(&json, node);
    }
    return API_RESPOND;
}

void cluster_members_finish(struct api_call *call, const struct admin_outcome *outcome,
                            const struct node_view *node, struct http_response *response)
{
    struct rk_json json;

    (void)outcome;
    answer_json_begin(call, response, &json);
    members_render(&json, node);
}
