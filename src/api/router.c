#include "api/router.h"

#include <string.h>

#include "api/api_agent.h"
#include "api/api_catalog.h"
#include "api/api_health.h"
#include "api/api_kv.h"
#include "api/api_members.h"
#include "api/api_operator.h"
#include "api/api_session.h"
#include "api/api_snapshot.h"
#include "api/api_stages.h"
#include "api/api_status.h"
#include "api/api_txn.h"
#include "api/api_watch.h"
#include "base/assert.h"

#define LOCAL       "dc token"
#define CHANGE      LOCAL " pretty cas"
#define FRESHNESS   "stale consistent leader cached max_stale"
#define CONSISTENCY FRESHNESS " index wait"
#define ENTERPRISE  "ns partition peer sameness-group"
#define KV_COMMON   LOCAL " pretty " CONSISTENCY " " ENTERPRISE

const struct api_route api_routes[] = {
    {.method = HTTP_GET,
     .path = "/v1/kv/",
     .rest = "key",
     .rest_is_key = true,
     .parameters = KV_COMMON " raw recurse keys separator seperator limit start-after",
     .begin = kv_get_begin,
     .finish_read = kv_get_finish},
    {.method = HTTP_PUT,
     .path = "/v1/kv/",
     .rest = "key",
     .rest_is_key = true,
     .parameters = KV_COMMON " flags cas acquire release ttl",
     .begin = kv_put_begin,
     .finish_write = kv_write_finish},
    {.method = HTTP_DELETE,
     .path = "/v1/kv/",
     .rest = "key",
     .rest_is_key = true,
     .parameters = KV_COMMON " recurse cas",
     .begin = kv_delete_begin,
     .finish_write = kv_write_finish},
    {.method = HTTP_PUT,
     .path = "/v1/txn",
     .parameters = KV_COMMON,
     .begin = txn_begin,
     .finish_write = txn_write_finish,
     .finish_read = txn_read_finish},
    {.method = HTTP_PUT,
     .path = "/v1/session/create",
     .parameters = LOCAL " pretty exact " ENTERPRISE,
     .begin = session_create_begin,
     .finish_write = session_create_finish},
    {.method = HTTP_PUT,
     .path = "/v1/session/destroy/",
     .rest = "session",
     .rest_is_key = true,
     .parameters = LOCAL " pretty " ENTERPRISE,
     .begin = session_destroy_begin,
     .finish_write = session_destroy_finish},
    {.method = HTTP_PUT,
     .path = "/v1/session/renew/",
     .rest = "session",
     .rest_is_key = true,
     .parameters = LOCAL " pretty " ENTERPRISE,
     .begin = session_renew_begin,
     .finish_write = session_renew_finish},
    {.method = HTTP_GET,
     .path = "/v1/session/info/",
     .rest = "session",
     .rest_is_key = true,
     .parameters = KV_COMMON,
     .begin = session_info_begin,
     .finish_read = session_info_finish},
    {.method = HTTP_GET,
     .path = "/v1/session/list",
     .parameters = KV_COMMON,
     .begin = session_list_begin,
     .finish_read = session_list_finish},
    {.method = HTTP_GET,
     .path = "/v1/session/node/",
     .rest = "node",
     .rest_is_key = true,
     .parameters = KV_COMMON,
     .begin = session_list_begin,
     .finish_read = session_node_finish},
    {.method = HTTP_GET,
     .path = "/v1/watch/",
     .rest = "key",
     .rest_is_key = true,
     .parameters = LOCAL " since " FRESHNESS " " ENTERPRISE,
     .begin = watch_begin,
     .finish_read = watch_finish},
    {.method = HTTP_GET,
     .path = "/v1/snapshot",
     .parameters = LOCAL " " FRESHNESS,
     .begin = snapshot_get_begin,
     .finish_read = snapshot_get_finish},
    {.method = HTTP_PUT, .path = "/v1/snapshot", .parameters = LOCAL, .begin = snapshot_put_begin},
    {.method = HTTP_GET,
     .path = "/v1/agent/self",
     .parameters = LOCAL " pretty",
     .begin = agent_self_begin},
    {.method = HTTP_GET,
     .path = "/v1/agent/members",
     .parameters = LOCAL " pretty wan",
     .begin = agent_members_begin},
    {.method = HTTP_GET,
     .path = "/v1/agent/version",
     .parameters = LOCAL " pretty",
     .begin = agent_version_begin},
    {.method = HTTP_GET,
     .path = "/v1/catalog/datacenters",
     .parameters = "token pretty",
     .begin = catalog_datacenters_begin},
    {.method = HTTP_GET,
     .path = "/v1/catalog/nodes",
     .parameters = KV_COMMON " near node-meta filter",
     .begin = catalog_nodes_begin,
     .finish_read = catalog_nodes_finish},
    {.method = HTTP_GET,
     .path = "/v1/catalog/services",
     .parameters = KV_COMMON " node-meta filter",
     .begin = catalog_services_begin,
     .finish_read = catalog_services_finish},
    {.method = HTTP_GET,
     .path = "/v1/catalog/service/",
     .rest = "service",
     .rest_is_key = true,
     .parameters = KV_COMMON " tag near node-meta filter",
     .begin = catalog_service_begin,
     .finish_read = catalog_service_finish},
    {.method = HTTP_GET,
     .path = "/v1/catalog/node/",
     .rest = "node",
     .rest_is_key = true,
     .parameters = KV_COMMON " filter",
     .begin = catalog_node_begin,
     .finish_read = catalog_node_finish},
    {.method = HTTP_GET,
     .path = "/v1/catalog/node-services/",
     .rest = "node",
     .rest_is_key = true,
     .parameters = KV_COMMON " filter",
     .begin = catalog_node_begin,
     .finish_read = catalog_node_services_finish},
    {.method = HTTP_GET,
     .path = "/v1/health/node/",
     .rest = "node",
     .rest_is_key = true,
     .parameters = KV_COMMON " filter",
     .begin = health_node_begin,
     .finish_read = health_node_finish},
    {.method = HTTP_GET,
     .path = "/v1/health/state/",
     .rest = "state",
     .rest_is_key = true,
     .parameters = KV_COMMON " near node-meta filter",
     .begin = health_state_begin,
     .finish_read = health_state_finish},
    {.method = HTTP_GET,
     .path = "/v1/health/service/",
     .rest = "service",
     .rest_is_key = true,
     .parameters = KV_COMMON " tag passing near node-meta filter",
     .begin = health_service_begin,
     .finish_read = health_service_finish},
    {.method = HTTP_GET,
     .path = "/v1/health/checks/",
     .rest = "service",
     .rest_is_key = true,
     .parameters = KV_COMMON " near node-meta filter",
     .begin = catalog_service_begin,
     .finish_read = health_nothing_finish},
    {.method = HTTP_GET,
     .path = "/v1/health/connect/",
     .rest = "service",
     .rest_is_key = true,
     .parameters = KV_COMMON " tag passing near node-meta filter",
     .begin = health_service_begin,
     .finish_read = health_nothing_finish},
    {.method = HTTP_GET,
     .path = "/v1/health/ingress/",
     .rest = "service",
     .rest_is_key = true,
     .parameters = KV_COMMON " tag passing near node-meta filter",
     .begin = health_service_begin,
     .finish_read = health_nothing_finish},
    {.method = HTTP_GET,
     .path = "/v1/agent/services",
     .parameters = LOCAL " pretty filter",
     .begin = agent_nothing_begin},
    {.method = HTTP_GET,
     .path = "/v1/agent/checks",
     .parameters = LOCAL " pretty filter",
     .begin = agent_nothing_begin},
    {.method = HTTP_GET,
     .path = "/v1/status/leader",
     .parameters = LOCAL " pretty",
     .begin = status_leader_begin},
    {.method = HTTP_GET,
     .path = "/v1/status/peers",
     .parameters = LOCAL " pretty",
     .begin = status_peers_begin},
    {.method = HTTP_GET,
     .path = "/v1/status/node",
     .parameters = LOCAL " pretty",
     .begin = status_node_begin},
    {.method = HTTP_GET,
     .path = "/v1/status/stages",
     .parameters = LOCAL " pretty",
     .begin = status_stages_begin},
    {.method = HTTP_GET,
     .path = "/v1/cluster/members",
     .parameters = LOCAL " pretty consistent",
     .begin = cluster_members_begin,
     .finish_admin = cluster_members_finish},
    {.method = HTTP_POST,
     .path = "/v1/cluster/members",
     .parameters = CHANGE,
     .begin = members_add_begin,
     .finish_admin = members_finish},
    {.method = HTTP_POST,
     .path = "/v1/cluster/members/replace",
     .parameters = CHANGE,
     .begin = members_replace_begin,
     .finish_admin = members_finish},
    {.method = HTTP_POST,
     .path = "/v1/cluster/members/repair",
     .parameters = LOCAL " pretty",
     .begin = members_repair_begin,
     .finish_admin = members_finish},
    {.method = HTTP_PATCH,
     .path = "/v1/cluster/members/",
     .rest = "member",
     .rest_is_key = true,
     .parameters = CHANGE,
     .begin = members_promote_begin,
     .finish_admin = members_finish},
    {.method = HTTP_DELETE,
     .path = "/v1/cluster/members/",
     .rest = "member",
     .rest_is_key = true,
     .parameters = CHANGE,
     .begin = members_remove_begin,
     .finish_admin = members_finish},
    {.method = HTTP_GET,
     .path = "/v1/operator/raft/configuration",
     .parameters = LOCAL " pretty stale",
     .begin = operator_configuration_begin,
     .finish_admin = operator_configuration_finish},
    {.method = HTTP_POST,
     .path = "/v1/operator/raft/transfer-leader",
     .parameters = LOCAL " pretty id",
     .begin = operator_transfer_begin,
     .finish_admin = operator_transfer_finish},
    {.method = HTTP_DELETE,
     .path = "/v1/operator/raft/peer",
     .parameters = LOCAL " id address",
     .begin = operator_peer_begin,
     .finish_admin = operator_peer_finish},
    {.method = HTTP_GET,
     .path = "/v1/operator/autopilot/health",
     .parameters = LOCAL " pretty",
     .begin = operator_look_begin,
     .finish_admin = autopilot_health_finish},
    {.method = HTTP_GET,
     .path = "/v1/operator/autopilot/configuration",
     .parameters = LOCAL " pretty stale",
     .begin = autopilot_configuration_begin},
    {.method = HTTP_PUT,
     .path = "/v1/operator/autopilot/configuration",
     .parameters = CHANGE,
     .begin = autopilot_configure_begin},
    {.method = HTTP_GET,
     .path = "/v1/operator/autopilot/state",
     .parameters = LOCAL " pretty",
     .begin = operator_look_begin,
     .finish_admin = autopilot_state_finish},
    {.method = HTTP_GET, .path = "/v1/acl/", .rest = "path", .parameters = "", .begin = acl_begin},
    {.method = HTTP_PUT, .path = "/v1/acl/", .rest = "path", .parameters = "", .begin = acl_begin},
    {.method = HTTP_POST, .path = "/v1/acl/", .rest = "path", .parameters = "", .begin = acl_begin},
    {.method = HTTP_DELETE,
     .path = "/v1/acl/",
     .rest = "path",
     .parameters = "",
     .begin = acl_begin},
    {.method = HTTP_PUT,
     .path = "/v1/agent/token/",
     .rest = "path",
     .parameters = "",
     .begin = acl_begin},
    {.method = HTTP_GET, .path = "/healthz", .parameters = "", .begin = healthz_begin},
    {.method = HTTP_GET, .path = "/readyz", .parameters = "", .begin = readyz_begin},
    {.method = HTTP_GET, .path = "/", .parameters = "", .begin = root_begin},
};

const uint32_t api_routes_count = sizeof(api_routes) / sizeof(api_routes[0]);

/* `/v1/kv` without its slash is the root prefix, not a redirect (contract 1.11). */
static bool path_matches(const struct api_route *route, struct rk_bytes path,
                         struct rk_bytes *ret_rest)
{
    const size_t size = strlen(route->path);

    if (route->rest == NULL) {
        return path.size == size && memcmp(path.data, route->path, size) == 0;
    }
    if (path.size < size - 1 || memcmp(path.data, route->path, size - 1) != 0) {
        return false;
    }
    if (path.size == size - 1) {
        *ret_rest = (struct rk_bytes){.data = path.data + path.size, .size = 0};
        return true;
    }
    *ret_rest = (struct rk_bytes){.data = path.data + size, .size = path.size - (uint32_t)size};
    return path.data[size - 1] == '/';
}

enum route_match route_find(struct rk_bytes path, enum http_method method,
                            const struct api_route **ret, struct rk_bytes *ret_rest)
{
    enum route_match match = ROUTE_UNKNOWN;

    for (uint32_t i = 0; i < api_routes_count; i++) {
        struct rk_bytes rest = {.data = NULL, .size = 0};
        if (!path_matches(&api_routes[i], path, &rest)) {
            continue;
        }
        *ret = &api_routes[i];
        if (api_routes[i].method == method) {
            *ret_rest = rest;
            return ROUTE_FOUND;
        }
        match = ROUTE_OTHER_METHODS;
    }
    return match;
}

const char *route_method_name(enum http_method method)
{
    static const char *const names[] = {[HTTP_GET] = "GET",
                                        [HTTP_PUT] = "PUT",
                                        [HTTP_DELETE] = "DELETE",
                                        [HTTP_POST] = "POST",
                                        [HTTP_PATCH] = "PATCH"};

    RK_ASSERT(method <= HTTP_PATCH && names[method] != NULL);
    return names[method];
}

void route_append_allow(const struct api_route *route, struct rk_buf *buf)
{
    rk_buf_append_text(buf, "OPTIONS");
    for (uint32_t i = 0; i < api_routes_count; i++) {
        if (strcmp(api_routes[i].path, route->path) == 0) {
            rk_buf_append_byte(buf, ',');
            rk_buf_append_text(buf, route_method_name(api_routes[i].method));
        }
    }
}

bool route_declares(const struct api_route *route, const char *name)
{
    const size_t size = strlen(name);

    RK_ASSERT(size > 0);
    for (const char *at = route->parameters; *at != '\0';) {
        const size_t word = strcspn(at, " ");
        if (word == size && memcmp(at, name, size) == 0) {
            return true;
        }
        at += word + (at[word] == ' ');
    }
    return false;
}
