#include "api/api_catalog.h"

#include <stdio.h>
#include <string.h>

#include "api/answer.h"
#include "api/catalog_render.h"
#include "api/read_options.h"
#include "api/request.h"

/* -- what all of them check -- */

static enum api_action begin(struct api_call *call, const struct node_view *node,
                             struct http_response *response, enum sm_topic_kind kind)
{
    const struct rk_bytes none = {.data = NULL, .size = 0};
    const char *filter = request_parameter(call, "filter");

    if (!read_options_parse(call, node, response) || !datacenter_check(call, response) ||
        !namespace_check(call, response)) {
        return API_RESPOND;
    }
    if (filter != NULL && *filter != '\0') {
        return answer_text(response, 400, "filter is not supported");
    }
    read_options_watch(call, kind, none);
    return API_READ;
}

/* The same for what names something; `missing` is said when it does not. */
static enum api_action begin_named(struct api_call *call, const struct node_view *node,
                                   struct http_response *response, enum sm_topic_kind kind,
                                   const char *missing)
{
    if (request_key(call).size == 0) {
        return answer_text(response, 400, missing);
    }
    return begin(call, node, response, kind);
}

static void end(const struct api_call *call, struct http_response *response,
                const struct node_view *node, raft_index index)
{
    static const char *const modes[] = {
        [API_DEFAULT] = "leader", [API_CONSISTENT] = "consistent", [API_STALE] = "stale"};

    answer_read_headers(response, node, index);
    http_response_header_static(response, "X-Consul-Effective-Consistency",
                                modes[call->consistency]);
}

static bool key_is(const struct api_call *call, const char *text)
{
    const struct rk_bytes key = request_key(call);

    return key.size == strlen(text) && memcmp(key.data, text, key.size) == 0;
}

/* The only service there is, unless a tag is wanted, which it does not have. */
static bool finds_service(const struct api_call *call, const struct sm_node *node)
{
    (void)node; /* each has it */
    return key_is(call, CATALOG_SERVICE) && request_parameter(call, "tag") == NULL;
}

/* The next node; false: there is none, or metadata is wanted. */
static bool next_node(const struct api_call *call, const struct sm_root *root, struct sm_node *at)
{
    return request_parameter(call, "node-meta") == NULL && sm_node_next(root, at->name, at);
}

/* An array of what `render` makes of each node that `takes` wants; NULL: of every one. */
struct listing {
    bool (*takes)(const struct api_call *call, const struct sm_node *node);
    void (*render)(const struct api_call *call, struct rk_json *json, const struct sm_node *node);
};

static void list(struct api_call *call, const struct sm_root *root, struct http_response *response,
                 const struct listing *listing)
{
    struct sm_node at = {.id = 0};
    struct rk_json json;

    answer_json_begin(call, response, &json);
    rk_json_array_begin(&json);
    while (next_node(call, root, &at)) {
        if (listing->takes == NULL || listing->takes(call, &at)) {
            listing->render(call, &json, &at);
        }
    }
    rk_json_array_end(&json);
}

/* -- catalog -- */

enum api_action catalog_nodes_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response)
{
    return begin(call, node, response, SM_TOPIC_NODES);
}

void catalog_nodes_finish(struct api_call *call, const struct sm_root *root,
                          const struct node_view *node, struct http_response *response,
                          bool *ret_streams)
{
    (void)ret_streams;
    list(call, root, response, &(struct listing){.render = catalog_node_render});
    end(call, response, node, sm_nodes_index(root));
}

enum api_action catalog_services_begin(struct api_call *call, const struct node_view *node,
                                       struct http_response *response)
{
    return begin(call, node, response, SM_TOPIC_NODES);
}

void catalog_services_finish(struct api_call *call, const struct sm_root *root,
                             const struct node_view *node, struct http_response *response,
                             bool *ret_streams)
{
    struct sm_node at = {.id = 0};
    struct rk_json json;

    (void)ret_streams;
    answer_json_begin(call, response, &json);
    rk_json_object_begin(&json);
    if (next_node(call, root, &at)) {
        rk_json_name(&json, CATALOG_SERVICE);
        rk_json_array_begin(&json);
        rk_json_array_end(&json);
    }
    rk_json_object_end(&json);
    end(call, response, node, sm_nodes_index(root));
}

enum api_action catalog_service_begin(struct api_call *call, const struct node_view *node,
                                      struct http_response *response)
{
    return begin_named(call, node, response, SM_TOPIC_CATALOG, "Missing service name");
}

void catalog_service_finish(struct api_call *call, const struct sm_root *root,
                            const struct node_view *node, struct http_response *response,
                            bool *ret_streams)
{
    (void)ret_streams;
    list(call, root, response,
         &(struct listing){.takes = finds_service, .render = catalog_instance_render});
    end(call, response, node, sm_catalog_index(root));
}

enum api_action catalog_node_begin(struct api_call *call, const struct node_view *node,
                                   struct http_response *response)
{
    return begin_named(call, node, response, SM_TOPIC_NODES, "Missing node name");
}

void catalog_node_finish(struct api_call *call, const struct sm_root *root,
                         const struct node_view *node, struct http_response *response,
                         bool *ret_streams)
{
    struct sm_node found;
    struct rk_json json;

    (void)ret_streams;
    answer_json_begin(call, response, &json);
    if (sm_node_get(root, request_key(call), &found)) {
        rk_json_object_begin(&json);
        rk_json_name(&json, "Node");
        catalog_node_render(call, &json, &found);
        rk_json_name(&json, "Services");
        rk_json_object_begin(&json);
        rk_json_name(&json, CATALOG_SERVICE);
        catalog_service_render(&json, &found);
        rk_json_object_end(&json);
        rk_json_object_end(&json);
    } else {
        rk_json_null(&json);
    }
    end(call, response, node, sm_nodes_index(root));
}

void catalog_node_services_finish(struct api_call *call, const struct sm_root *root,
                                  const struct node_view *node, struct http_response *response,
                                  bool *ret_streams)
{
    struct sm_node found;
    struct rk_json json;

    (void)ret_streams;
    const bool is_there = sm_node_get(root, request_key(call), &found);
    answer_json_begin(call, response, &json);
    rk_json_object_begin(&json);
    rk_json_name(&json, "Node");
    if (is_there) {
        catalog_node_render(call, &json, &found);
    } else {
        rk_json_null(&json);
    }
    rk_json_name(&json, "Services");
    rk_json_array_begin(&json);
    if (is_there) {
        catalog_service_render(&json, &found);
    }
    rk_json_array_end(&json);
    rk_json_object_end(&json);
    end(call, response, node, sm_nodes_index(root));
}

/* -- health -- */

enum api_action health_node_begin(struct api_call *call, const struct node_view *node,
                                  struct http_response *response)
{
    return begin_named(call, node, response, SM_TOPIC_CHECKS, "Missing node name");
}

void health_node_finish(struct api_call *call, const struct sm_root *root,
                        const struct node_view *node, struct http_response *response,
                        bool *ret_streams)
{
    struct sm_node found;
    struct rk_json json;

    (void)ret_streams;
    answer_json_begin(call, response, &json);
    rk_json_array_begin(&json);
    if (sm_node_get(root, request_key(call), &found)) {
        catalog_check_render(&json, &found);
    }
    rk_json_array_end(&json);
    end(call, response, node, sm_checks_index(root));
}

enum api_action health_state_begin(struct api_call *call, const struct node_view *node,
                                   struct http_response *response)
{
    return begin_named(call, node, response, SM_TOPIC_CHECKS, "Missing check state");
}

static bool is_in_state(const struct api_call *call, const struct sm_node *node)
{
    return key_is(call, "any") || key_is(call, catalog_status_text(node->status));
}

static void check_render(const struct api_call *call, struct rk_json *json,
                         const struct sm_node *node)
{
    (void)call;
    catalog_check_render(json, node);
}

void health_state_finish(struct api_call *call, const struct sm_root *root,
                         const struct node_view *node, struct http_response *response,
                         bool *ret_streams)
{
    (void)ret_streams;
    list(call, root, response, &(struct listing){.takes = is_in_state, .render = check_render});
    end(call, response, node, sm_checks_index(root));
}

/* What ?passing asks for; as Go's ParseBool, and a bare name means yes. */
enum wish { WISH_NO, WISH_YES, WISH_UNREADABLE };

static enum wish passing_of(const struct api_call *call)
{
    static const char *const yes[] = {"", "1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    const char *text = request_parameter(call, "passing");

    for (size_t i = 0; text != NULL && i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (strcmp(text, yes[i]) == 0) {
            return WISH_YES;
        }
    }
    for (size_t i = 0; text != NULL && i < sizeof(no) / sizeof(no[0]); i++) {
        if (strcmp(text, no[i]) == 0) {
            return WISH_NO;
        }
    }
    return text == NULL ? WISH_NO : WISH_UNREADABLE;
}

enum api_action health_service_begin(struct api_call *call, const struct node_view *node,
                                     struct http_response *response)
{
    if (passing_of(call) == WISH_UNREADABLE) {
        return answer_text(response, 400, "Invalid value for ?passing");
    }
    return begin_named(call, node, response, SM_TOPIC_CATALOG, "Missing service name");
}

static bool finds_healthy(const struct api_call *call, const struct sm_node *node)
{
    return finds_service(call, node) &&
           (passing_of(call) == WISH_NO || node->status == SM_CHECK_PASSING);
}

void health_service_finish(struct api_call *call, const struct sm_root *root,
                           const struct node_view *node, struct http_response *response,
                           bool *ret_streams)
{
    (void)ret_streams;
    list(call, root, response,
         &(struct listing){.takes = finds_healthy, .render = catalog_health_render});
    end(call, response, node, sm_catalog_index(root));
}

void health_nothing_finish(struct api_call *call, const struct sm_root *root,
                           const struct node_view *node, struct http_response *response,
                           bool *ret_streams)
{
    struct rk_json json;

    (void)ret_streams;
    answer_json_begin(call, response, &json);
    rk_json_array_begin(&json);
    rk_json_array_end(&json);
    end(call, response, node, sm_catalog_index(root));
}

/* -- agent -- */

enum api_action agent_nothing_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response)
{
    struct rk_json json;

    (void)node;
    if (datacenter_check(call, response)) {
        answer_json_begin(call, response, &json);
        rk_json_object_begin(&json);
        rk_json_object_end(&json);
    }
    return API_RESPOND;
}
