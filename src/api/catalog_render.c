#include "api/catalog_render.h"

#include <string.h>

#include "base/parse.h"

enum { NUMBER_SIZE = 24 };

const char *catalog_status_text(enum sm_check_status status)
{
    return status == SM_CHECK_PASSING ? "passing" : "critical";
}

static const char *output_text(enum sm_check_status status)
{
    return status == SM_CHECK_PASSING ? "Agent alive and reachable"
                                      : "Agent not live or unreachable";
}

static void member_bytes(struct rk_json *json, const char *name, struct rk_bytes text)
{
    rk_json_name(json, name);
    rk_json_bytes(json, text);
}

static void member_object(struct rk_json *json, const char *name)
{
    rk_json_name(json, name);
    rk_json_object_begin(json);
    rk_json_object_end(json);
}

static void member_array(struct rk_json *json, const char *name)
{
    rk_json_name(json, name);
    rk_json_array_begin(json);
    rk_json_array_end(json);
}

/* "host:port", brackets of an IPv6 address taken off; the port is 0 without one. */
static struct rk_bytes host_of(struct rk_bytes address, uint64_t *ret_port)
{
    char port[NUMBER_SIZE] = "";
    uint32_t size = address.size;

    *ret_port = 0;
    while (size > 0 && address.data[size - 1] != ':') {
        size--;
    }
    if (size == 0 || address.size - size >= sizeof(port)) {
        return address;
    }
    memcpy(port, address.data + size, address.size - size);
    if (rk_parse_u64(port, ret_port) != RK_OK) {
        return address;
    }
    size--; /* the colon */
    const bool has_brackets = size >= 2 && address.data[0] == '[' && address.data[size - 1] == ']';
    return (struct rk_bytes){.data = address.data + has_brackets,
                             .size = size - (has_brackets ? 2 : 0)};
}

static void indexes_render(struct rk_json *json, const struct sm_node *node)
{
    rk_json_member_u64(json, "CreateIndex", node->create_index);
    rk_json_member_u64(json, "ModifyIndex", node->modify_index);
}

/* Where the node is, as both the node and an instance of the service say it. */
static void place_render(const struct api_call *call, struct rk_json *json,
                         const struct sm_node *node)
{
    uint64_t port = 0;
    const struct rk_bytes host = host_of(node->address, &port);
    struct rk_buf id;

    rk_buf_init(&id, NUMBER_SIZE);
    rk_buf_append_u64(&id, node->id);
    member_bytes(json, "ID", rk_buf_bytes(&id));
    rk_buf_done(&id);
    member_bytes(json, "Node", node->name);
    member_bytes(json, "Address", host);
    rk_json_member_text(json, "Datacenter", call->options->datacenter);
    rk_json_name(json, "TaggedAddresses");
    rk_json_object_begin(json);
    member_bytes(json, "lan", host);
    member_bytes(json, "wan", host);
    rk_json_object_end(json);
}

void catalog_node_render(const struct api_call *call, struct rk_json *json,
                         const struct sm_node *node)
{
    rk_json_object_begin(json);
    place_render(call, json, node);
    member_object(json, "Meta");
    indexes_render(json, node);
    rk_json_object_end(json);
}

static void weights_render(struct rk_json *json, const char *name)
{
    rk_json_name(json, name);
    rk_json_object_begin(json);
    rk_json_member_u64(json, "Passing", 1);
    rk_json_member_u64(json, "Warning", 1);
    rk_json_object_end(json);
}

void catalog_service_render(struct rk_json *json, const struct sm_node *node)
{
    uint64_t port = 0;

    (void)host_of(node->address, &port);
    rk_json_object_begin(json);
    rk_json_member_text(json, "ID", CATALOG_SERVICE);
    rk_json_member_text(json, "Service", CATALOG_SERVICE);
    member_array(json, "Tags");
    rk_json_member_text(json, "Address", "");
    member_object(json, "TaggedAddresses");
    member_object(json, "Meta");
    rk_json_member_u64(json, "Port", port);
    weights_render(json, "Weights");
    rk_json_member_bool(json, "EnableTagOverride", false);
    member_object(json, "Proxy");
    member_object(json, "Connect");
    indexes_render(json, node);
    rk_json_object_end(json);
}

void catalog_instance_render(const struct api_call *call, struct rk_json *json,
                             const struct sm_node *node)
{
    uint64_t port = 0;

    (void)host_of(node->address, &port);
    rk_json_object_begin(json);
    place_render(call, json, node);
    member_object(json, "NodeMeta");
    rk_json_member_text(json, "ServiceKind", "");
    rk_json_member_text(json, "ServiceID", CATALOG_SERVICE);
    rk_json_member_text(json, "ServiceName", CATALOG_SERVICE);
    member_array(json, "ServiceTags");
    rk_json_member_text(json, "ServiceAddress", "");
    member_object(json, "ServiceTaggedAddresses");
    weights_render(json, "ServiceWeights");
    member_object(json, "ServiceMeta");
    rk_json_member_u64(json, "ServicePort", port);
    rk_json_member_text(json, "ServiceSocketPath", "");
    rk_json_member_bool(json, "ServiceEnableTagOverride", false);
    member_object(json, "ServiceProxy");
    member_object(json, "ServiceConnect");
    indexes_render(json, node);
    rk_json_object_end(json);
}

void catalog_check_render(struct rk_json *json, const struct sm_node *node)
{
    rk_json_object_begin(json);
    member_bytes(json, "Node", node->name);
    rk_json_member_text(json, "CheckID", "serfHealth");
    rk_json_member_text(json, "Name", "Serf Health Status");
    rk_json_member_text(json, "Status", catalog_status_text(node->status));
    rk_json_member_text(json, "Notes", "");
    rk_json_member_text(json, "Output", output_text(node->status));
    rk_json_member_text(json, "ServiceID", "");
    rk_json_member_text(json, "ServiceName", "");
    member_array(json, "ServiceTags");
    rk_json_member_text(json, "Type", "");
    rk_json_member_text(json, "Interval", "");
    rk_json_member_text(json, "Timeout", "");
    rk_json_member_u64(json, "ExposedPort", 0);
    member_object(json, "Definition");
    rk_json_member_u64(json, "CreateIndex", node->create_index);
    rk_json_member_u64(json, "ModifyIndex", node->check_modify_index);
    rk_json_object_end(json);
}

void catalog_health_render(const struct api_call *call, struct rk_json *json,
                           const struct sm_node *node)
{
    rk_json_object_begin(json);
    rk_json_name(json, "Node");
    catalog_node_render(call, json, node);
    rk_json_name(json, "Service");
    catalog_service_render(json, node);
    rk_json_name(json, "Checks");
    rk_json_array_begin(json);
    catalog_check_render(json, node);
    rk_json_array_end(json);
    rk_json_object_end(json);
}
