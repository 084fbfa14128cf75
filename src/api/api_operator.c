#include "api/api_operator.h"

#include <string.h>

#include "api/answer.h"
#include "api/api_members.h"
#include "api/request.h"
#include "base/parse.h"

/* -- JSON of this family: Go's names, ids as texts -- */

/* Decimal digits of `value` behind what is in `text`, at least `width` of them. */
static void append_digits(struct rk_buf *text, uint64_t value, uint32_t width)
{
    uint64_t unit = 1;

    for (uint32_t i = 1; i < width; i++) {
        unit *= 10;
    }
    for (; unit > value && unit > 1; unit /= 10) {
        rk_buf_append_byte(text, '0');
    }
    rk_buf_append_u64(text, value);
}

/* Takes what a buffer holds as the value of a member. */
static void put_buf(struct rk_json *json, const char *name, struct rk_buf *text)
{
    rk_json_name(json, name);
    rk_json_bytes(json, rk_buf_bytes(text));
    rk_buf_done(text);
}

static void put_id(struct rk_json *json, const char *name, raft_node_id id)
{
    struct rk_buf text;

    rk_buf_init(&text, 32);
    rk_buf_append_u64(&text, id);
    put_buf(json, name, &text);
}

/* A Go duration. */
static void put_age(struct rk_json *json, const char *name, uint64_t age_ms)
{
    struct rk_buf text;

    rk_buf_init(&text, 32);
    rk_duration_append(age_ms, &text);
    put_buf(json, name, &text);
}

struct date {
    uint64_t year;
    uint64_t month;
    uint64_t day;
};

/* Of days since 1970, by the Gregorian calendar: years are counted from March, so that the leap
 * day is the last of its year. */
static struct date date_of(uint64_t days)
{
    const uint64_t since = days + 719468; /* 0000-03-01 */
    const uint64_t era = since / 146097;
    const uint64_t of_era = since % 146097;
    const uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    const uint64_t month = (5 * of_year + 2) / 153;

    return (struct date){
        .year = era * 400 + year + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = of_year - (153 * month + 2) / 5 + 1,
    };
}

/* RFC 3339, in UTC. */
static void put_time(struct rk_json *json, const char *name, uint64_t unix_ms)
{
    const uint64_t seconds = unix_ms / 1000;
    const struct date date = date_of(seconds / 86400);
    struct rk_buf text;

    rk_buf_init(&text, 64);
    append_digits(&text, date.year, 4);
    rk_buf_append_byte(&text, '-');
    append_digits(&text, date.month, 2);
    rk_buf_append_byte(&text, '-');
    append_digits(&text, date.day, 2);
    rk_buf_append_byte(&text, 'T');
    append_digits(&text, seconds / 3600 % 24, 2);
    rk_buf_append_byte(&text, ':');
    append_digits(&text, seconds / 60 % 60, 2);
    rk_buf_append_byte(&text, ':');
    append_digits(&text, seconds % 60, 2);
    rk_buf_append_byte(&text, 'Z');
    put_buf(json, name, &text);
}

/* -- the configuration -- */

enum api_action operator_look_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response)
{
    (void)node;
    return admin_look(call, response);
}

static bool is_leader(const struct node_view *node, const struct node_view_member *member)
{
    return node->has_leader && node->leader == member->id;
}

static void server_render(struct rk_json *json, const struct node_view *node,
                          const struct node_view_member *member)
{
    rk_json_object_begin(json);
    put_id(json, "ID", member->id);
    rk_json_member_text(json, "Node", member->name);
    rk_json_member_text(json, "Address", member->peer_address);
    rk_json_member_bool(json, "Leader", is_leader(node, member));
    rk_json_member_text(json, "ProtocolVersion", "3");
    rk_json_member_bool(json, "Voter", member->is_voter);
    if (is_leader(node, member)) {
        rk_json_member_u64(json, "LastIndex", node->last_index);
    } else if (member->has_progress) {
        rk_json_member_u64(json, "LastIndex", member->match_index);
    }
    rk_json_object_end(json);
}

static void configuration_render(const struct api_call *call, const struct node_view *node,
                                 struct http_response *response)
{
    struct rk_json json;

    answer_json_begin(call, response, &json);
    rk_json_object_begin(&json);
    rk_json_name(&json, "Servers");
    rk_json_array_begin(&json);
    for (uint32_t i = 0; i < node->members_count; i++) {
        server_render(&json, node, &node->members[i]);
    }
    rk_json_array_end(&json);
    rk_json_member_u64(&json, "Index", node->config_index);
    rk_json_object_end(&json);
}

enum api_action operator_configuration_begin(struct api_call *call, const struct node_view *node,
                                             struct http_response *response)
{
    const enum api_action action = admin_look(call, response);

    if (action == API_ADMIN && request_has(call, "stale")) {
        configuration_render(call, node, response);
        return API_RESPOND;
    }
    return action;
}

void operator_configuration_finish(struct api_call *call, const struct admin_outcome *outcome,
                                   const struct node_view *node, struct http_response *response)
{
    (void)outcome;
    configuration_render(call, node, response);
}

/* -- transfer, removal -- */

/* False: too long to name a member. */
static bool who_take(struct api_call *call, const char *who, bool is_address)
{
    struct admin_item *item = &call->admin->items[0];

    if (strlen(who) >= sizeof(item->who)) {
        return false;
    }
    memcpy(item->who, who, strlen(who) + 1);
    item->is_address = is_address;
    call->admin->items_count = 1;
    return true;
}

enum api_action operator_transfer_begin(struct api_call *call, const struct node_view *node,
                                        struct http_response *response)
{
    const char *id = request_parameter(call, "id");
    const enum api_action action = admin_begin(call, ADMIN_TRANSFER, response);

    (void)node;
    if (action == API_ADMIN && id != NULL && *id != '\0' && !who_take(call, id, false)) {
        return answer_text(response, 500, "unknown node");
    }
    return action;
}

void operator_transfer_finish(struct api_call *call, const struct admin_outcome *outcome,
                              const struct node_view *node, struct http_response *response)
{
    struct rk_json json;

    (void)node;
    if (outcome->refusal != ADMIN_ALLOWED) {
        admin_refuse(outcome, 500, response);
        return;
    }
    answer_json_begin(call, response, &json);
    rk_json_object_begin(&json);
    rk_json_member_bool(&json, "Success", true);
    rk_json_object_end(&json);
}

enum api_action operator_peer_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response)
{
    const char *id = request_parameter(call, "id");
    const char *address = request_parameter(call, "address");
    const bool has_id = id != NULL && *id != '\0';
    const bool has_address = address != NULL && *address != '\0';

    (void)node;
    if (!has_id && !has_address) {
        return answer_text(response, 400,
                           "Must specify either ?id with the server's ID or ?address with IP:port "
                           "of peer to remove");
    }
    if (has_id && has_address) {
        return answer_text(response, 400, "Must specify only one of ?id or ?address");
    }
    const enum api_action action = admin_begin(call, ADMIN_REMOVE, response);
    if (action == API_ADMIN && !who_take(call, has_id ? id : address, has_address)) {
        return answer_text(response, 500, "unknown node");
    }
    return action;
}

void operator_peer_finish(struct api_call *call, const struct admin_outcome *outcome,
                          const struct node_view *node, struct http_response *response)
{
    (void)call;
    (void)node;
    if (outcome->refusal != ADMIN_ALLOWED) {
        admin_refuse(outcome, 500, response);
    }
}

/* -- autopilot -- */

static bool is_healthy(const struct node_view *node)
{
    for (uint32_t i = 0; i < node->members_count; i++) {
        if (!node->members[i].is_alive) {
            return false;
        }
    }
    return node->members_count > 0;
}

/* What health and state say alike of a server. */
static void condition_render(struct rk_json *json, const struct node_view *node,
                             const struct node_view_member *member)
{
    const bool leads = is_leader(node, member);

    put_age(json, "LastContact", leads || !member->has_progress ? 0 : member->contact_age_ms);
    rk_json_member_u64(json, "LastTerm", node->term);
    rk_json_member_u64(json, "LastIndex", leads ? node->last_index : member->match_index);
    rk_json_member_bool(json, "Healthy", member->is_alive);
    put_time(json, "StableSince", member->stable_since_ms);
}

static void health_render(struct rk_json *json, const struct node_view *node,
                          const struct node_view_member *member)
{
    rk_json_object_begin(json);
    put_id(json, "ID", member->id);
    rk_json_member_text(json, "Name", member->name);
    rk_json_member_text(json, "Address", member->peer_address);
    rk_json_member_text(json, "SerfStatus", member->is_alive ? "alive" : "failed");
    rk_json_member_text(json, "Version", PACKAGE_VERSION);
    rk_json_member_bool(json, "Leader", is_leader(node, member));
    rk_json_member_bool(json, "Voter", member->is_voter);
    condition_render(json, node, member);
    rk_json_object_end(json);
}

/* What both autopilot answers begin with: an unhealthy cluster is a 429. */
static void autopilot_begin(struct api_call *call, const struct node_view *node,
                            struct http_response *response, struct rk_json *json)
{
    const bool healthy = is_healthy(node);

    answer_json_begin(call, response, json);
    response->status = healthy ? 200 : 429;
    rk_json_object_begin(json);
    rk_json_member_bool(json, "Healthy", healthy);
    rk_json_member_u64(json, "FailureTolerance", node->failure_tolerance);
}

void autopilot_health_finish(struct api_call *call, const struct admin_outcome *outcome,
                             const struct node_view *node, struct http_response *response)
{
    struct rk_json json;

    (void)outcome;
    autopilot_begin(call, node, response, &json);
    rk_json_name(&json, "Servers");
    rk_json_array_begin(&json);
    for (uint32_t i = 0; i < node->members_count; i++) {
        health_render(&json, node, &node->members[i]);
    }
    rk_json_array_end(&json);
    rk_json_object_end(&json);
}

static const char *status_text(const struct node_view *node, const struct node_view_member *member)
{
    if (is_leader(node, member)) {
        return "leader";
    }
    if (member->is_voter) {
        return "voter";
    }
    return member->wants_vote ? "staging" : "non-voter";
}

static void state_render(struct rk_json *json, const struct node_view *node,
                         const struct node_view_member *member)
{
    rk_json_object_begin(json);
    put_id(json, "ID", member->id);
    rk_json_member_text(json, "Name", member->name);
    rk_json_member_text(json, "Address", member->peer_address);
    rk_json_member_text(json, "NodeStatus", member->is_alive ? "alive" : "failed");
    rk_json_member_text(json, "Version", PACKAGE_VERSION);
    condition_render(json, node, member);
    rk_json_member_bool(json, "ReadReplica", false);
    rk_json_member_text(json, "Status", status_text(node, member));
    rk_json_name(json, "Meta");
    rk_json_null(json);
    rk_json_member_text(json, "NodeType", "voter");
    rk_json_object_end(json);
}

static void servers_render(struct rk_json *json, const struct node_view *node)
{
    rk_json_name(json, "Servers");
    rk_json_object_begin(json);
    for (uint32_t i = 0; i < node->members_count; i++) {
        struct rk_buf id;
        rk_buf_init(&id, 32);
        rk_buf_append_u64(&id, node->members[i].id);
        rk_buf_append_byte(&id, '\0');
        rk_json_name(json, (const char *)id.data);
        rk_buf_done(&id);
        state_render(json, node, &node->members[i]);
    }
    rk_json_object_end(json);
}

void autopilot_state_finish(struct api_call *call, const struct admin_outcome *outcome,
                            const struct node_view *node, struct http_response *response)
{
    struct rk_json json;

    (void)outcome;
    autopilot_begin(call, node, response, &json);
    rk_json_member_u64(&json, "OptimisticFailureTolerance", node->failure_tolerance);
    servers_render(&json, node);
    put_id(&json, "Leader", node->leader);
    rk_json_name(&json, "Voters");
    rk_json_array_begin(&json);
    for (uint32_t i = 0; i < node->members_count; i++) {
        if (node->members[i].is_voter) {
            struct rk_buf id;
            rk_buf_init(&id, 32);
            rk_buf_append_u64(&id, node->members[i].id);
            rk_json_bytes(&json, rk_buf_bytes(&id));
            rk_buf_done(&id);
        }
    }
    rk_json_array_end(&json);
    rk_json_object_end(&json);
}
