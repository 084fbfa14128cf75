#include "api/api_kv.h"

#include <string.h>

#include "api/answer.h"
#include "api/propose.h"
#include "api/read_options.h"
#include "api/request.h"
#include "api/reserve.h"
#include "base/assert.h"
#include "base/parse.h"
#include "statemachine/command.h"

/* Of a rendered entry: names, five numbers; more is legal, but slow. */
enum { ENTRY_FIXED_SIZE = 224, NS_PER_MS = 1000000 };

static bool key_check(const struct api_call *call, struct http_response *response)
{
    if (request_key(call).size > 0) {
        return true;
    }
    answer_text(response, 400, "Missing key name");
    return false;
}

static bool common_check(struct api_call *call, const struct node_view *node,
                         struct http_response *response)
{
    return read_options_parse(call, node, response) && datacenter_check(call, response) &&
           namespace_check(call, response);
}

enum api_action kv_get_begin(struct api_call *call, const struct node_view *node,
                             struct http_response *response)
{
    if (!common_check(call, node, response)) {
        return API_RESPOND;
    }
    const bool is_listing = request_has(call, "keys") || request_has(call, "recurse");
    if (is_listing ? !kv_list_check(call, response) : !key_check(call, response)) {
        return API_RESPOND;
    }
    read_options_watch(call, is_listing ? SM_TOPIC_PREFIX : SM_TOPIC_KEY, request_key(call));
    return API_READ;
}

/* At most one of `names` may be there. */
static bool conflict_check(const struct api_call *call, const char *const *names,
                           struct http_response *response)
{
    uint32_t found = 0;

    for (; *names != NULL; names++) {
        found += request_has(call, *names);
    }
    if (found <= 1) {
        return true;
    }
    answer_text_begin(response, 400);
    rk_buf_append_text(&response->body, "Conflicting flags: ");
    request_encode_query(call, &response->body);
    rk_buf_append_byte(&response->body, '\n');
    return false;
}

/* Both old and new wording: one client looks for `too large`, another for `Value exceeds`. */
static bool value_check(const struct api_call *call, struct http_response *response)
{
    const uint32_t size_max = call->options->value_size_max;

    if (call->request->body.size <= size_max) {
        return true;
    }
    answer_text_begin(response, 413);
    rk_buf_append_text(&response->body, "Request body(");
    rk_buf_append_u64(&response->body, call->request->body.size);
    rk_buf_append_text(&response->body, " bytes) too large, max size: ");
    rk_buf_append_u64(&response->body, size_max);
    rk_buf_append_text(&response->body, " bytes. Value exceeds ");
    rk_buf_append_u64(&response->body, size_max);
    rk_buf_append_text(&response->body, " byte limit");
    return false;
}

/* Of a part of a millisecond a whole one is made: a key may end late, not early. */
static bool ttl_parse(const struct api_call *call, struct http_response *response, uint64_t *ret_ms)
{
    const char *text = request_parameter(call, "ttl");
    int64_t ttl_ns = 0;

    if (text == NULL) {
        return true;
    }
    if (rk_parse_duration(text, &ttl_ns) == RK_OK && ttl_ns > 0) {
        const uint64_t ttl_ms = ((uint64_t)ttl_ns + NS_PER_MS - 1) / NS_PER_MS;
        if (ttl_ms <= SM_KEY_TTL_MS_MAX) {
            *ret_ms = ttl_ms;
            return true;
        }
    }
    answer_text_begin(response, 400);
    rk_buf_append_text(&response->body, "Invalid ttl ");
    answer_append_quoted(&response->body, text);
    rk_buf_append_text(&response->body, ", must be between [1ms=87600h0m0s]");
    return false;
}

/* acquire or release: the command is another one. False: the response is made. */
static bool lock_take(const struct api_call *call, struct sm_command *command,
                      struct http_response *response)
{
    const bool acquires = request_has(call, "acquire");
    const char *session = request_parameter(call, acquires ? "acquire" : "release");

    if (session == NULL) {
        return true;
    }
    if (*session == '\0') {
        answer_text(response, 500, "missing session");
        return false;
    }
    const struct sm_command_put put = command->put;
    *command = (struct sm_command){.type = SM_COMMAND_KV_OP};
    command->op = (struct sm_kv_op){.verb = acquires ? SM_KV_LOCK : SM_KV_UNLOCK,
                                    .key = put.key,
                                    .value = put.value,
                                    .flags = put.flags,
                                    .has_session = true};
    request_session_id(
        (struct rk_bytes){.data = (const uint8_t *)session, .size = (uint32_t)strlen(session)},
        &command->op.session);
    return true;
}

enum api_action kv_put_begin(struct api_call *call, const struct node_view *node,
                             struct http_response *response)
{
    static const char *const exclusive[] = {"cas", "acquire", "release", NULL};
    static const char *const bound_to[] = {"ttl", "acquire", "release", NULL};
    struct sm_command command = {.type = SM_COMMAND_KV_PUT};
    struct sm_command_put *put = &command.put;

    if (!common_check(call, node, response) || !key_check(call, response) ||
        !conflict_check(call, exclusive, response) || !conflict_check(call, bound_to, response) ||
        !parameter_u64(call, "flags", response, &put->flags) ||
        !parameter_u64(call, "cas", response, &put->cas) ||
        !ttl_parse(call, response, &put->ttl_ms) || !value_check(call, response)) {
        return API_RESPOND;
    }
    put->key = request_key(call);
    put->value = call->request->body;
    put->has_cas = request_has(call, "cas");
    if (put->ttl_ms > 0) {
        command.type = SM_COMMAND_KV_PUT_TTL;
    }
    const size_t bytes_size = (size_t)put->key.size + put->value.size;
    return lock_take(call, &command, response) ? propose(call, &command, bytes_size) : API_RESPOND;
}

enum api_action kv_delete_begin(struct api_call *call, const struct node_view *node,
                                struct http_response *response)
{
    static const char *const exclusive[] = {"recurse", "cas", NULL};
    struct sm_command command = {.type = SM_COMMAND_KV_DELETE};
    uint64_t cas = 0;

    if (!common_check(call, node, response) || !conflict_check(call, exclusive, response) ||
        !parameter_u64(call, "cas", response, &cas)) {
        return API_RESPOND;
    }
    if (request_has(call, "recurse")) {
        command.type = SM_COMMAND_KV_DELETE_PREFIX;
        command.delete_prefix.prefix = request_key(call);
        return propose(call, &command, command.delete_prefix.prefix.size);
    }
    if (!key_check(call, response)) {
        return API_RESPOND;
    }
    command.delete.key = request_key(call);
    command.delete.has_cas = request_has(call, "cas");
    command.delete.cas = cas;
    return propose(call, &command, command.delete.key.size);
}

/* What a client has to tell apart from a lock that somebody else holds. True: it is answered. */
static bool lock_fault(const struct api_call *call, const struct sm_result *result,
                       struct http_response *response)
{
    if (result->reason == SM_SESSION_UNKNOWN) {
        answer_text_begin(response, 500);
        rk_buf_append_text(&response->body, "invalid session ");
        answer_append_quoted(&response->body, request_parameter(call, "acquire"));
        return true;
    }
    if (result->reason == SM_TOO_MANY_LOCKS) {
        answer_text(response, 500, "the session holds too many keys");
        return true;
    }
    return false;
}

void kv_write_finish(struct api_call *call, const struct sm_result *result,
                     struct http_response *response)
{
    struct rk_json json;

    RK_ASSERT(result->index > 0);
    if (lock_fault(call, result, response)) {
        return;
    }
    if (result->fence > 0) {
        http_response_header_u64(response, "X-Raftkv-Fence", result->fence);
    }
    http_response_header_u64(response, "X-Consul-Index",
                             result->modify_index > 0 ? result->modify_index : result->index);
    answer_json_begin(call, response, &json);
    rk_json_bool(&json, result->accepted);
}

static void ttl_render(struct rk_json *json, uint64_t ttl_ms)
{
    struct rk_buf text;

    rk_buf_init(&text, 32);
    rk_duration_append(ttl_ms, &text);
    rk_json_name(json, "TTL");
    rk_json_bytes(json, rk_buf_bytes(&text));
    rk_buf_done(&text);
}

void kv_entry_render(struct rk_json *json, const struct sm_kv_entry *entry)
{
    rk_json_object_begin(json);
    rk_json_name(json, "LockIndex");
    rk_json_u64(json, entry->lock_index);
    rk_json_name(json, "Key");
    rk_json_bytes(json, entry->key);
    rk_json_name(json, "Flags");
    rk_json_u64(json, entry->flags);
    rk_json_name(json, "Value");
    rk_json_base64(json, entry->value);
    if (entry->is_locked) {
        char session[SESSION_ID_TEXT_SIZE];
        session_id_format(&entry->session, session);
        rk_json_name(json, "Session");
        rk_json_text(json, session);
    }
    if (entry->ttl_ms > 0) {
        ttl_render(json, entry->ttl_ms);
    }
    rk_json_name(json, "CreateIndex");
    rk_json_u64(json, entry->create_index);
    rk_json_name(json, "ModifyIndex");
    rk_json_u64(json, entry->modify_index);
    rk_json_object_end(json);
}

/* A value is whatever a client stored: the browser must neither guess its type nor run it. */
static void raw_render(const struct sm_kv_entry *entry, struct http_response *response)
{
    http_response_header_static(response, "Content-Type", "text/plain");
    http_response_header_static(response, "X-Content-Type-Options", "nosniff");
    http_response_header_static(response, "Content-Security-Policy", "sandbox");
    rk_buf_append(&response->body, entry->value.data, entry->value.size);
}

static raft_index entry_finish(const struct api_call *call, const struct sm_root *root,
                               struct http_response *response)
{
    struct sm_kv_entry entry;
    struct rk_json json;

    if (!sm_kv_get(root, request_key(call), &entry)) {
        response->status = 404;
        return sm_kv_index_of_key(root, request_key(call));
    }
    if (request_has(call, "raw")) {
        raw_render(&entry, response);
        return entry.modify_index;
    }
    buf_reserve(&response->body, entry.key.size + entry.value.size / 3 * 4 + ENTRY_FIXED_SIZE);
    answer_json_begin(call, response, &json);
    rk_json_array_begin(&json);
    kv_entry_render(&json, &entry);
    rk_json_array_end(&json);
    return entry.modify_index;
}

void kv_get_finish(struct api_call *call, const struct sm_root *root, const struct node_view *node,
                   struct http_response *response, bool *ret_streams)
{
    raft_index index = 0;

    if (request_has(call, "keys") || request_has(call, "recurse")) {
        index = sm_kv_index_of_prefix(root, request_key(call));
        if (!kv_list_finish(call, root, response, ret_streams)) {
            response->status = 404;
        }
    } else {
        index = entry_finish(call, root, response);
    }
    answer_read_headers(response, node, index);
    if (request_has(call, "cached")) {
        http_response_header_static(response, "X-Cache", "MISS");
    }
}
