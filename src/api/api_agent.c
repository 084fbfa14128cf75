#include "api/api_agent.h"

#include <stdio.h>
#include <string.h>

#include "api/answer.h"
#include "api/read_options.h"
#include "api/request.h"
#include "base/parse.h"

/* As serf numbers them; the others do not occur. */
enum member_status { MEMBER_ALIVE = 1, MEMBER_FAILED = 4 };

enum { NS_PER_MS = 1000000, NUMBER_SIZE = 24 };

static const char build_date[] = "1970-01-01T00:00:00Z"; /* builds are reproducible */

/* Figures are texts, as Go's clients decode them. */
static void put_number_text(struct rk_json *json, const char *name, uint64_t value)
{
    char text[NUMBER_SIZE];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    rk_json_member_text(json, name, text);
}

/* -- members -- */

/* Splits "host:port", brackets of an IPv6 address taken off. Returns the port, 0 without one. */
static uint64_t address_split(const char *address, char *ret_host, size_t host_size)
{
    const char *colon = strrchr(address, ':');
    uint64_t port = 0;

    if (colon == NULL || rk_parse_u64(colon + 1, &port) != RK_OK) {
        (void)snprintf(ret_host, host_size, "%s", address);
        return 0;
    }
    const bool has_brackets = address[0] == '[' && colon > address + 1 && colon[-1] == ']';
    (void)snprintf(ret_host, host_size, "%.*s", (int)(colon - address) - (has_brackets ? 2 : 0),
                   address + has_brackets);
    return port;
}

static enum member_status status_of(const struct node_view *node,
                                    const struct node_view_member *member)
{
    const bool leads = node->has_leader && node->leader == node->node_id;

    return leads && !member->is_alive ? MEMBER_FAILED : MEMBER_ALIVE;
}

static void tags_render(const struct api_call *call, struct rk_json *json,
                        const struct node_view_member *member, uint64_t port)
{
    rk_json_object_begin(json);
    rk_json_member_text(json, "role", "consul");
    rk_json_member_text(json, "dc", call->options->datacenter);
    put_number_text(json, "id", member->id);
    put_number_text(json, "port", port);
    rk_json_member_text(json, "vsn", "2");
    rk_json_member_text(json, "build", PACKAGE_VERSION);
    rk_json_object_end(json);
}

static void member_render(const struct api_call *call, const struct node_view *node,
                          struct rk_json *json, const struct node_view_member *member, bool is_wan)
{
    char host[RK_ADDRESS_SIZE_MAX + 1];
    char name[RK_NODE_NAME_SIZE_MAX + sizeof(call->options->datacenter) + 2];
    const uint64_t port = address_split(member->peer_address, host, sizeof(host));

    (void)snprintf(name, sizeof(name), "%s%s%s", member->name, is_wan ? "." : "",
                   is_wan ? call->options->datacenter : "");
    rk_json_object_begin(json);
    rk_json_member_text(json, "Name", name);
    rk_json_member_text(json, "Addr", host);
    rk_json_member_u64(json, "Port", port);
    rk_json_name(json, "Tags");
    tags_render(call, json, member, port);
    rk_json_member_u64(json, "Status", status_of(node, member));
    rk_json_member_u64(json, "ProtocolMin", 1);
    rk_json_member_u64(json, "ProtocolMax", 5);
    rk_json_member_u64(json, "ProtocolCur", 2);
    rk_json_member_u64(json, "DelegateMin", 2);
    rk_json_member_u64(json, "DelegateMax", 5);
    rk_json_member_u64(json, "DelegateCur", 4);
    rk_json_object_end(json);
}

enum api_action agent_members_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response)
{
    struct rk_json json;

    if (datacenter_json_begin(call, response, &json)) {
        rk_json_array_begin(&json);
        for (uint32_t i = 0; i < node->members_count; i++) {
            member_render(call, node, &json, &node->members[i], request_has(call, "wan"));
        }
        rk_json_array_end(&json);
    }
    return API_RESPOND;
}

/* Before there is a cluster, what is known is the name. */
static void own_member_render(const struct api_call *call, const struct node_view *node,
                              struct rk_json *json)
{
    struct node_view_member own = {.id = node->node_id, .is_alive = true};

    memcpy(own.name, node->node_name, sizeof(own.name));
    for (uint32_t i = 0; i < node->members_count; i++) {
        if (strcmp(node->members[i].name, node->node_name) == 0) {
            own = node->members[i];
        }
    }
    member_render(call, node, json, &own, false);
}

/* -- self -- */

static void config_render(const struct api_call *call, const struct node_view *node,
                          struct rk_json *json)
{
    rk_json_object_begin(json);
    rk_json_member_text(json, "Datacenter", call->options->datacenter);
    rk_json_member_text(json, "PrimaryDatacenter", call->options->datacenter);
    rk_json_member_text(json, "NodeName", node->node_name);
    rk_json_name(json, "NodeID");
    char id[NUMBER_SIZE];
    (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)node->node_id);
    rk_json_text(json, id);
    rk_json_member_text(json, "Revision", "");
    rk_json_member_bool(json, "Server", true);
    rk_json_member_text(json, "Version", PACKAGE_VERSION);
    rk_json_member_text(json, "BuildDate", build_date);
    rk_json_member_u64(json, "SessionTTLMin",
                       (uint64_t)call->options->session_ttl_min_ms * NS_PER_MS);
    rk_json_object_end(json);
}

static void raft_stats_render(const struct node_view *node, struct rk_json *json)
{
    uint64_t voters = 0;

    for (uint32_t i = 0; i < node->members_count; i++) {
        voters += node->members[i].is_voter;
    }
    rk_json_object_begin(json);
    rk_json_member_text(json, "state", node->role);
    put_number_text(json, "term", node->term);
    put_number_text(json, "commit_index", node->commit_index);
    put_number_text(json, "applied_index", node->last_applied);
    put_number_text(json, "last_log_index", node->last_index);
    put_number_text(json, "latest_configuration_index", node->config_index);
    put_number_text(json, "num_peers", voters > 0 ? voters - 1 : 0);
    rk_json_object_end(json);
}

static void stats_render(const struct node_view *node, struct rk_json *json)
{
    const bool leads = node->has_leader && node->leader == node->node_id;

    rk_json_object_begin(json);
    rk_json_name(json, "agent");
    rk_json_object_begin(json);
    rk_json_object_end(json);
    rk_json_name(json, "consul");
    rk_json_object_begin(json);
    rk_json_member_text(json, "server", "true");
    rk_json_member_text(json, "leader", leads ? "true" : "false");
    rk_json_member_text(json, "leader_addr", node->has_leader ? node->leader_peer_address : "");
    rk_json_member_text(json, "known_datacenters", "1");
    rk_json_object_end(json);
    rk_json_name(json, "raft");
    raft_stats_render(node, json);
    rk_json_name(json, "runtime");
    rk_json_object_begin(json);
    rk_json_member_text(json, "version", PACKAGE_VERSION);
    rk_json_object_end(json);
    rk_json_name(json, "serf_lan");
    rk_json_object_begin(json);
    put_number_text(json, "members", node->members_count);
    rk_json_object_end(json);
    rk_json_object_end(json);
}

static void empty_render(struct rk_json *json, const char *name)
{
    rk_json_name(json, name);
    rk_json_object_begin(json);
    rk_json_object_end(json);
}

enum api_action agent_self_begin(struct api_call *call, const struct node_view *node,
                                 struct http_response *response)
{
    struct rk_json json;

    if (!datacenter_json_begin(call, response, &json)) {
        return API_RESPOND;
    }
    rk_json_object_begin(&json);
    rk_json_name(&json, "Config");
    config_render(call, node, &json);
    rk_json_name(&json, "Coord");
    rk_json_null(&json);
    empty_render(&json, "DebugConfig");
    rk_json_name(&json, "Member");
    own_member_render(call, node, &json);
    empty_render(&json, "Meta");
    rk_json_name(&json, "Stats");
    stats_render(node, &json);
    rk_json_object_end(&json);
    return API_RESPOND;
}

/* -- the rest -- */

enum api_action agent_version_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response)
{
    struct rk_json json;

    (void)node;
    if (datacenter_json_begin(call, response, &json)) {
        rk_json_object_begin(&json);
        rk_json_member_text(&json, "SHA", "");
        rk_json_member_text(&json, "BuildDate", build_date);
        rk_json_member_text(&json, "HumanVersion", PACKAGE_VERSION);
        rk_json_member_text(&json, "FIPS", "");
        rk_json_object_end(&json);
    }
    return API_RESPOND;
}

enum api_action catalog_datacenters_begin(struct api_call *call, const struct node_view *node,
                                          struct http_response *response)
{
    struct rk_json json;

    (void)node;
    answer_json_begin(call, response, &json);
    rk_json_array_begin(&json);
    rk_json_text(&json, call->options->datacenter);
    rk_json_array_end(&json);
    return API_RESPOND;
}
