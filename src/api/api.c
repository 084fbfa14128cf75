#include "api/api.h"

#include <string.h>

#include "api/answer.h"
#include "api/api_snapshot.h"
#include "api/api_watch.h"
#include "api/error.h"
#include "api/request.h"
#include "api/router.h"
#include "base/assert.h"
#include "base/heap.h"
#include "statemachine/command.h"

/* Member by member: zeroing the parameters would cost more than parsing most queries. */
static void call_init(struct api_call *call, const struct api_options *options,
                      const struct http_request *request)
{
    call->options = options;
    call->request = request;
    call->route = NULL;
    call->action = API_RESPOND;
    call->consistency = API_DEFAULT;
    call->max_stale_ms = UINT64_MAX;
    call->topic = (struct sm_topic){.kind = SM_TOPIC_NONE};
    call->after = 0;
    call->wait_us = 0;
    call->parameters_count = 0;
    call->admin = NULL;
    call->token = NULL;
    call->events = NULL;
    call->is_backup = false;
    rk_buf_init(&call->frame, RK_FRAME_SIZE_MAX);
    rk_buf_init(&call->key, RK_TARGET_SIZE_MAX);
    rk_buf_init(&call->query, RK_TARGET_SIZE_MAX + 1);
    rk_buf_lend(&call->key, call->key_room, sizeof(call->key_room));
    rk_buf_lend(&call->query, call->query_room, sizeof(call->query_room));
}

static bool has_v1(struct rk_bytes path)
{
    for (uint32_t i = 0; i + 4 <= path.size; i++) {
        const uint8_t *at = path.data + i;
        if (at[0] == '/' && at[1] == 'v' && at[2] == '1' && at[3] == '/') {
            return true;
        }
    }
    return false;
}

static enum api_action unknown_route(const struct api_call *call, struct rk_bytes path,
                                     struct http_response *response)
{
    if (!request_escapes_are_whole(path)) {
        return answer_fault(call, REQUEST_MALFORMED, response);
    }
    return answer_text(response, 404,
                       has_v1(path)
                           ? "Invalid URL path: not a recognized HTTP API endpoint\n"
                           : "Invalid URL path: if attempting to use the HTTP API, ensure the "
                             "path starts with '/v1/'\n");
}

/* OPTIONS is answered for every path that is there; all else is a method that is not allowed. */
static enum api_action other_method(const struct api_call *call, const struct api_route *route,
                                    struct http_response *response)
{
    struct rk_buf allow;

    rk_buf_init(&allow, 64);
    route_append_allow(route, &allow);
    rk_buf_append_byte(&allow, '\0');
    RK_ASSERT(rk_buf_status(&allow) == RK_OK);
    http_response_header(response, "Allow", (const char *)allow.data);
    rk_buf_done(&allow);
    if (call->request->method == HTTP_OPTIONS) {
        return API_RESPOND;
    }
    answer_text_begin(response, 405);
    rk_buf_append_text(&response->body, "method ");
    rk_buf_append_text(&response->body, call->request->method_name);
    rk_buf_append_text(&response->body, " not allowed");
    return API_RESPOND;
}

/* What cannot be done once only is refused: who sends a token relies on it. */
static bool token_check(struct api_call *call, struct http_response *response)
{
    const char *token = http_request_header(call->request, "Idempotency-Key");

    if (token == NULL || call->request->method == HTTP_GET) {
        return true;
    }
    if (call->route->finish_write == NULL) {
        answer_text(response, 400, "Idempotency-Key is not supported here");
        return false;
    }
    size_t size = 0;
    while (token[size] > 0x20 && token[size] < 0x7f && size <= SM_TOKEN_SIZE_MAX) {
        size++;
    }
    if (size == 0 || size > SM_TOKEN_SIZE_MAX || token[size] != '\0') {
        answer_text(response, 400,
                    "Idempotency-Key must be 1 to 128 printable characters without blanks");
        return false;
    }
    call->token = token;
    return true;
}

static enum api_action begin(struct api_call *call, const struct node_view *node,
                             struct http_response *response)
{
    struct request_target target;
    const struct api_route *route = NULL;
    struct rk_bytes rest = {.data = NULL, .size = 0};
    enum request_fault fault = request_split(call->request->target, &target);

    if (fault != REQUEST_OK) {
        return answer_fault(call, fault, response);
    }
    switch (route_find(target.path, call->request->method, &route, &rest)) {
    case ROUTE_UNKNOWN:
        return unknown_route(call, target.path, response);
    case ROUTE_OTHER_METHODS:
        return other_method(call, route, response);
    case ROUTE_FOUND:
        break;
    }
    call->route = route;
    if (route->rest_is_key) {
        fault = request_decode_key(call, rest);
    }
    if (fault == REQUEST_OK) {
        fault = request_parse_query(call, target.query);
    }
    if (fault != REQUEST_OK) {
        return answer_fault(call, fault, response);
    }
    return token_check(call, response) ? route->begin(call, node, response) : API_RESPOND;
}

enum api_action api_begin(struct api_call *call, const struct api_options *options,
                          const struct http_request *request, const struct node_view *node,
                          struct http_response *response)
{
    RK_ASSERT(options->key_size_max <= RK_KEY_SIZE_MAX);
    RK_ASSERT(options->value_size_max <= RK_VALUE_SIZE_MAX);
    call_init(call, options, request);
    http_response_init(response, ANSWER_BODY_SIZE_MAX);
    call->action = begin(call, node, response);
    if (call->action == API_RESPOND) {
        answer_seal(call->request->method, response);
    }
    return call->action;
}

static void fail(const struct api_call *call, enum rk_status status, const char *text,
                 struct http_response *response)
{
    answer_text(response, error_http_status(status), text);
    if (status == RK_BUSY || status == RK_RESTORING) {
        http_response_header_static(response, "Retry-After", "1");
    }
    answer_seal(call->request->method, response);
}

/* True: it is answered. */
static bool token_fault(const struct sm_result *result, struct http_response *response)
{
    if (result->reason == SM_TOKEN_REUSED) {
        answer_text(response, 422, "Idempotency-Key was used for another request");
        return true;
    }
    if (result->reason == SM_TOO_MANY_TOKENS) {
        answer_text(response, 429, "Too many Idempotency-Keys are remembered");
        http_response_header_static(response, "Retry-After", "1");
        return true;
    }
    return false;
}

enum { WRITE_TEXT_SIZE = 256 };

/* A member that is behind is named by the leader, in the result. */
static const char *write_text(enum rk_status status, const struct sm_result *result,
                              char text[WRITE_TEXT_SIZE])
{
    if (status != RK_BEHIND || result->body.size == 0 || result->body.size >= WRITE_TEXT_SIZE) {
        return error_write_text(status);
    }
    rk_bytes_copy(text, rk_buf_bytes(&result->body));
    text[result->body.size] = '\0';
    return text;
}

void api_finish_write(struct api_call *call, enum rk_status status, const struct sm_result *result,
                      const struct node_view *node, struct http_response *response)
{
    RK_ASSERT(call->action == API_PROPOSE);
    (void)node;
    if (status != RK_OK) {
        char text[WRITE_TEXT_SIZE];
        http_response_header_static(response, "X-Raftkv-Outcome", error_outcome(status));
        fail(call, status, write_text(status, result, text), response);
        return;
    }
    if (!token_fault(result, response)) {
        call->route->finish_write(call, result, response);
    }
    answer_seal(call->request->method, response);
}

void api_finish_read(struct api_call *call, const struct sm_root *root,
                     const struct node_view *node, struct http_response *response,
                     bool *ret_streams)
{
    RK_ASSERT(call->action == API_READ);
    *ret_streams = false;
    call->route->finish_read(call, root, node, response, ret_streams);
    RK_ASSERT(*ret_streams == (response->stream != NULL));
    answer_seal(call->request->method, response);
}

void api_fail_read(struct api_call *call, enum rk_status status, const struct node_view *node,
                   struct http_response *response)
{
    RK_ASSERT(call->action == API_READ);
    RK_ASSERT(status != RK_OK);
    (void)node;
    fail(call, status, error_read_text(status), response);
}

void api_seal_refusal(enum http_method method, struct http_response *response)
{
    answer_seal(method, response);
}

void api_finish_admin(struct api_call *call, const struct admin_outcome *outcome,
                      const struct node_view *node, struct http_response *response)
{
    RK_ASSERT(call->action == API_ADMIN);
    if (outcome->status != RK_OK) {
        http_response_header_static(response, "X-Raftkv-Outcome", error_outcome(outcome->status));
        fail(call, outcome->status, error_write_text(outcome->status), response);
        return;
    }
    call->route->finish_admin(call, outcome, node, response);
    answer_seal(call->request->method, response);
}

void api_finish_restore(struct api_call *call, enum rk_status status, const char *why,
                        raft_index index, struct http_response *response)
{
    RK_ASSERT(call->action == API_RESTORE);
    snapshot_put_finish(status, why, index, response);
    answer_seal(call->request->method, response);
}

void api_finish_relayed(struct api_call *call, const struct api_relayed *relayed,
                        struct http_response *response)
{
    RK_ASSERT(call->action == API_ADMIN);
    answer_text_begin(response, relayed->http_status);
    if (relayed->is_json) {
        response->headers_count = 0;
        http_response_header_static(response, "Content-Type", "application/json");
    }
    if (relayed->is_unknown) {
        http_response_header_static(response, "X-Raftkv-Outcome", "unknown");
    }
    rk_buf_append(&response->body, relayed->body.data, relayed->body.size);
    answer_seal(call->request->method, response);
}

/* How long a read waited does not, nor what nobody looks at. */
static bool shows_in_answer(const struct api_call *call, const char *parameter)
{
    return *parameter != '\0' && route_declares(call->route, parameter) &&
           strcmp(parameter, "index") != 0 && strcmp(parameter, "wait") != 0;
}

/* The NULs keep what is beside each other apart: names, values and keys have none. */
void api_append_identity(const struct api_call *call, struct rk_buf *buf)
{
    rk_buf_append_text(buf, call->route->path);
    rk_buf_append_byte(buf, '\0');
    rk_buf_append(buf, call->key.data, call->key.size);
    rk_buf_append_byte(buf, '\0');
    for (uint32_t i = 0; i < call->parameters_count; i++) {
        if (shows_in_answer(call, call->parameters[i].name)) {
            rk_buf_append_text(buf, call->parameters[i].name);
            rk_buf_append_byte(buf, '\0');
            rk_buf_append_text(buf, call->parameters[i].value);
            rk_buf_append_byte(buf, '\0');
        }
    }
}

void api_end(struct api_call *call)
{
    rk_heap_free(call->admin);
    api_events_free(call->events);
    rk_buf_done(&call->frame);
    rk_buf_done(&call->key);
    rk_buf_done(&call->query);
}
