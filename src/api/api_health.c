#include "api/api_health.h"

#include "api/answer.h"

static enum api_action state(bool is_good, const char *good, const char *reason,
                             struct http_response *response)
{
    return is_good ? answer_text(response, 200, good) : answer_text(response, 503, reason);
}

enum api_action healthz_begin(struct api_call *call, const struct node_view *node,
                              struct http_response *response)
{
    (void)call;
    return state(node->is_alive, "ok", node->not_alive_reason, response);
}

enum api_action readyz_begin(struct api_call *call, const struct node_view *node,
                             struct http_response *response)
{
    (void)call;
    return state(node->is_ready, "ready", node->not_ready_reason, response);
}

enum api_action root_begin(struct api_call *call, const struct node_view *node,
                           struct http_response *response)
{
    (void)call;
    (void)node;
    return answer_text(response, 200, "RaftKV " PACKAGE_VERSION "\n");
}

enum api_action acl_begin(struct api_call *call, const struct node_view *node,
                          struct http_response *response)
{
    (void)call;
    (void)node;
    return answer_text(response, 401, "ACL support disabled");
}
