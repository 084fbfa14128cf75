#include "api/api_session.h"

#include <string.h>

#include "api/answer.h"
#include "api/propose.h"
#include "api/read_options.h"
#include "api/request.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/json_read.h"
#include "base/parse.h"

enum {
    BODY_SIZE_MAX = 64 * 1024,
    TEXTS_SIZE_MAX = BODY_SIZE_MAX + SESSION_CHECKS_MAX,
    NS_PER_MS = 1000000,
    NS_PER_S = 1000000000,
    LOCK_DELAY_NS_LEAST = 1000, /* less means seconds */
};

static const int64_t lock_delay_default_ns = INT64_C(15) * NS_PER_S;
static const int64_t ttl_max_ns = INT64_C(86400) * NS_PER_S;

/* A body being read. */
struct creation {
    struct api_call *call;
    const struct node_view *node;
    struct http_response *response;
    struct sm_command_session *session;
    struct rk_buf texts; /* what the record points into; does not move */
    bool has_checks;     /* Checks was given: NodeChecks is not looked at */
    bool has_node_checks;
};

/* -- refusals; all return false -- */

static bool decode_fault(struct creation *creation, const char *member, const char *what)
{
    struct rk_buf *body = &creation->response->body;

    answer_text_begin(creation->response, 400);
    rk_buf_append_text(body, "Request decode failed: ");
    rk_buf_append_text(body, member);
    rk_buf_append_text(body, what);
    return false;
}

static bool text_fault(struct creation *creation, const char *before, struct rk_bytes text,
                       const char *after)
{
    struct rk_buf *body = &creation->response->body;

    answer_text_begin(creation->response, 500);
    rk_buf_append_text(body, before);
    rk_buf_append(body, text.data, text.size);
    rk_buf_append_text(body, after);
    return false;
}

/* As Go prints a duration: 500ms, 10s, 1m30s, 24h0m0s. */
static void append_duration(struct rk_buf *buf, uint64_t ms)
{
    const uint64_t seconds = ms / 1000;

    if (ms < 1000) {
        rk_buf_append_u64(buf, ms);
        rk_buf_append_text(buf, "ms");
        return;
    }
    if (seconds >= 3600) {
        rk_buf_append_u64(buf, seconds / 3600);
        rk_buf_append_text(buf, "h");
    }
    if (seconds >= 60) {
        rk_buf_append_u64(buf, seconds / 60 % 60);
        rk_buf_append_text(buf, "m");
    }
    rk_buf_append_u64(buf, seconds % 60);
    if (ms % 1000 > 0) {
        rk_buf_append_text(buf, ".");
        for (uint64_t rest = ms % 1000, unit = 100; rest > 0; rest %= unit, unit /= 10) {
            rk_buf_append_byte(buf, (uint8_t)('0' + rest / unit));
        }
    }
    rk_buf_append_text(buf, "s");
}

static bool ttl_fault(struct creation *creation, int64_t ttl_ns)
{
    struct rk_buf *body = &creation->response->body;

    answer_text_begin(creation->response, 500);
    rk_buf_append_text(body, "Invalid Session TTL '");
    rk_buf_append_i64(body, ttl_ns);
    rk_buf_append_text(body, "', must be between [");
    append_duration(body, creation->call->options->session_ttl_min_ms);
    rk_buf_append_text(body, "=");
    append_duration(body, (uint64_t)(ttl_max_ns / NS_PER_MS));
    rk_buf_append_text(body, "]");
    return false;
}

/* -- members -- */

/* The text with a NUL behind it, which *ret does not count; false: not a text, or too long. */
static bool text_take(struct creation *creation, const struct rk_json_value *value,
                      const char *member, uint32_t size_max, struct rk_bytes *ret)
{
    const size_t begin = creation->texts.size;

    if (value->kind == RK_JSON_NULL) {
        return true;
    }
    if (rk_json_read_text(value, &creation->texts) != RK_OK) {
        return decode_fault(creation, member, " must be a text");
    }
    *ret = (struct rk_bytes){.data = creation->texts.data + begin,
                             .size = (uint32_t)(creation->texts.size - begin)};
    rk_buf_append_byte(&creation->texts, '\0');
    RK_ASSERT(rk_buf_status(&creation->texts) == RK_OK);
    if (ret->size > size_max || (ret->size > 0 && memchr(ret->data, '\0', ret->size) != NULL)) {
        return decode_fault(creation, member, " is too long, or holds a NUL");
    }
    return true;
}

static bool lock_delay_take(struct creation *creation, const struct rk_json_value *value)
{
    struct rk_bytes text = {.data = NULL, .size = 0};
    int64_t delay_ns = 0;

    if (value->kind == RK_JSON_NULL) {
        return true;
    }
    if (value->kind == RK_JSON_NUMBER) {
        if (rk_json_read_i64(value, &delay_ns) != RK_OK) {
            return decode_fault(creation, "LockDelay", " must be an integer");
        }
    } else if (!text_take(creation, value, "LockDelay", BODY_SIZE_MAX, &text)) {
        return false;
    } else if (rk_parse_duration((const char *)text.data, &delay_ns) != RK_OK) {
        return decode_fault(creation, "LockDelay", " is not a duration");
    }
    if (delay_ns < 0) {
        return decode_fault(creation, "LockDelay", " is negative");
    }
    if (delay_ns < LOCK_DELAY_NS_LEAST) {
        delay_ns *= NS_PER_S;
    }
    creation->session->record.lock_delay_ns = (uint64_t)delay_ns < SESSION_LOCK_DELAY_NS_MAX
                                                  ? (uint64_t)delay_ns
                                                  : SESSION_LOCK_DELAY_NS_MAX;
    return true;
}

static bool behavior_take(struct creation *creation, const struct rk_json_value *value)
{
    struct rk_bytes text = {.data = NULL, .size = 0};

    if (!text_take(creation, value, "Behavior", BODY_SIZE_MAX, &text)) {
        return false;
    }
    if (text.size == 0 || strcmp((const char *)text.data, "release") == 0) {
        creation->session->record.behavior = SESSION_RELEASE;
        return true;
    }
    creation->session->record.behavior = SESSION_DELETE;
    return strcmp((const char *)text.data, "delete") == 0 ||
           text_fault(creation, "Invalid Behavior setting '", text, "'");
}

static bool ttl_take(struct creation *creation, const struct rk_json_value *value)
{
    struct session_record *record = &creation->session->record;
    struct rk_bytes text = {.data = NULL, .size = 0};
    int64_t ttl_ns = 0;

    record->ttl = text;
    record->ttl_ms = 0;
    if (!text_take(creation, value, "TTL", SESSION_TTL_TEXT_SIZE_MAX, &text) || text.size == 0) {
        return creation->response->status == 200;
    }
    if (rk_parse_duration((const char *)text.data, &ttl_ns) != RK_OK) {
        text_fault(creation, "Session TTL '", text, "' invalid: time: invalid duration ");
        answer_append_quoted(&creation->response->body, (const char *)text.data);
        return false;
    }
    const int64_t min_ns = (int64_t)creation->call->options->session_ttl_min_ms * NS_PER_MS;
    if (ttl_ns != 0 && (ttl_ns < min_ns || ttl_ns > ttl_max_ns)) {
        return ttl_fault(creation, ttl_ns);
    }
    record->ttl = text;
    record->ttl_ms = ((uint64_t)ttl_ns + NS_PER_MS - 1) / NS_PER_MS;
    return true;
}

static bool is_member(const struct node_view *node, struct rk_bytes name)
{
    for (uint32_t i = 0; i < node->members_count; i++) {
        if (strcmp(node->members[i].name, (const char *)name.data) == 0) {
            return true;
        }
    }
    return false;
}

static bool node_take(struct creation *creation, const struct rk_json_value *value)
{
    struct rk_bytes text = {.data = NULL, .size = 0};

    if (!text_take(creation, value, "Node", BODY_SIZE_MAX, &text)) {
        return false;
    }
    if (text.size == 0) {
        return true;
    }
    if (!is_member(creation->node, text)) {
        answer_text(creation->response, 500, "Missing node registration");
        return false;
    }
    creation->session->record.node = text;
    return true;
}

/* Every node has its serfHealth; other checks there are none. */
static bool check_is_known(struct creation *creation, struct rk_bytes check)
{
    return strcmp((const char *)check.data, "serfHealth") == 0 ||
           text_fault(creation, "Missing check '", check, "' registration");
}

static bool checks_take(struct creation *creation, const struct rk_json_value *value,
                        const char *member)
{
    struct session_record *record = &creation->session->record;
    struct rk_json_walk walk;
    struct rk_json_value element;

    record->checks_count = 0;
    if (value->kind == RK_JSON_NULL) {
        return true;
    }
    if (value->kind != RK_JSON_ARRAY) {
        return decode_fault(creation, member, " must be an array");
    }
    rk_json_walk_begin(&walk, value);
    while (rk_json_walk_element(&walk, &element)) {
        struct rk_bytes check = {.data = (const uint8_t *)"", .size = 0};
        if (record->checks_count == SESSION_CHECKS_MAX) {
            return decode_fault(creation, member, " names too many checks");
        }
        if (!text_take(creation, &element, member, SESSION_CHECK_SIZE_MAX, &check) ||
            !check_is_known(creation, check)) {
            return false;
        }
        record->checks[record->checks_count++] = check;
    }
    return true;
}

/* No service has a check yet. */
static bool service_checks_take(struct creation *creation, const struct rk_json_value *value)
{
    struct rk_json_walk walk;
    struct rk_json_value element;
    struct rk_json_value id = {.kind = RK_JSON_NULL};
    struct rk_bytes name;
    struct rk_bytes text = {.data = NULL, .size = 0};

    if (value->kind != RK_JSON_ARRAY) {
        return value->kind == RK_JSON_NULL ||
               decode_fault(creation, "ServiceChecks", " must be an array");
    }
    rk_json_walk_begin(&walk, value);
    if (!rk_json_walk_element(&walk, &element)) {
        return true;
    }
    if (element.kind != RK_JSON_OBJECT) {
        return decode_fault(creation, "ServiceChecks", " must hold objects");
    }
    rk_json_walk_begin(&walk, &element);
    while (rk_json_walk_member(&walk, &name, &element)) {
        id = rk_json_name_is(name, "ID") ? element : id;
    }
    return text_take(creation, &id, "ID", SESSION_CHECK_SIZE_MAX, &text) &&
           text_fault(creation, "Missing check '", text, "' registration");
}

static bool exact_take(struct creation *creation, const struct rk_json_value *value)
{
    if (value->kind != RK_JSON_BOOL && value->kind != RK_JSON_NULL) {
        return decode_fault(creation, "Exact", " must be true or false");
    }
    creation->session->record.is_exact = value->kind == RK_JSON_BOOL && *value->text.data == 't';
    return true;
}

static bool member_take(struct creation *creation, struct rk_bytes name,
                        const struct rk_json_value *value)
{
    struct session_record *record = &creation->session->record;

    if (rk_json_name_is(name, "Name")) {
        record->name = (struct rk_bytes){.data = NULL, .size = 0};
        return text_take(creation, value, "Name", SESSION_NAME_SIZE_MAX, &record->name);
    }
    if (rk_json_name_is(name, "Node")) {
        return node_take(creation, value);
    }
    if (rk_json_name_is(name, "LockDelay")) {
        return lock_delay_take(creation, value);
    }
    if (rk_json_name_is(name, "Behavior")) {
        return behavior_take(creation, value);
    }
    if (rk_json_name_is(name, "TTL")) {
        return ttl_take(creation, value);
    }
    if (rk_json_name_is(name, "Checks")) {
        creation->has_checks = true;
        return checks_take(creation, value, "Checks");
    }
    if (rk_json_name_is(name, "NodeChecks")) {
        return creation->has_checks || checks_take(creation, value, "NodeChecks");
    }
    if (rk_json_name_is(name, "ServiceChecks")) {
        return service_checks_take(creation, value);
    }
    return !rk_json_name_is(name, "Exact") || exact_take(creation, value);
}

static bool members_take(struct creation *creation, const struct rk_json_value *object)
{
    struct rk_json_walk walk;
    struct rk_json_value value;
    struct rk_bytes name;

    rk_json_walk_begin(&walk, object);
    while (rk_json_walk_member(&walk, &name, &value)) {
        if (!member_take(creation, name, &value)) {
            return false;
        }
    }
    return true;
}

static bool body_take(struct creation *creation)
{
    const struct rk_bytes body = creation->call->request->body;
    struct rk_json_fault fault;
    struct rk_json_value value;

    if (body.size == 0) {
        return true;
    }
    if (body.size > BODY_SIZE_MAX) {
        answer_text(creation->response, 413, "Request body too large");
        return false;
    }
    if (rk_json_read(body, &value, &fault) != RK_OK) {
        return decode_fault(creation, fault.reason, "");
    }
    if (value.kind == RK_JSON_NULL) {
        return true;
    }
    return value.kind == RK_JSON_OBJECT ? members_take(creation, &value)
                                        : decode_fault(creation, "the body", " must be an object");
}

static void record_begin(struct session_record *record, const struct node_view *node)
{
    record->node = (struct rk_bytes){.data = (const uint8_t *)node->node_name,
                                     .size = (uint32_t)strlen(node->node_name)};
    record->lock_delay_ns = (uint64_t)lock_delay_default_ns;
    record->checks_count = 1;
    record->checks[0] = (struct rk_bytes){.data = (const uint8_t *)"serfHealth", .size = 10};
}

static void id_draw(struct session_id *id)
{
    const uint64_t halves[2] = {rk_random_u64(), rk_random_u64()};

    memcpy(id->bytes, halves, SESSION_ID_SIZE);
}

enum api_action session_create_begin(struct api_call *call, const struct node_view *node,
                                     struct http_response *response)
{
    struct sm_command command = {.type = SM_COMMAND_SESSION_CREATE};
    struct creation creation = {
        .call = call, .node = node, .response = response, .session = &command.session};
    enum api_action action = API_RESPOND;

    if (!datacenter_check(call, response) || !namespace_check(call, response)) {
        return API_RESPOND;
    }
    record_begin(&command.session.record, node);
    command.session.record.is_exact = request_has(call, "exact");
    rk_buf_init(&creation.texts, TEXTS_SIZE_MAX);
    (void)rk_buf_extend(&creation.texts, TEXTS_SIZE_MAX);
    rk_buf_reset(&creation.texts);
    if (body_take(&creation)) {
        id_draw(&command.session.id);
        action = propose(call, &command, SESSION_RECORD_SIZE_MAX);
    }
    rk_buf_done(&creation.texts);
    return action;
}

/* An id that no session can have is proposed as zeros: the answer has to be the log's. */
static enum api_action named_begin(struct api_call *call, enum sm_command_type type,
                                   struct http_response *response)
{
    struct sm_command command = {.type = type};

    if (!datacenter_check(call, response) || !namespace_check(call, response)) {
        return API_RESPOND;
    }
    if (request_key(call).size == 0) {
        return answer_text(response, 400, "Missing session");
    }
    request_session_id(request_key(call), &command.session.id);
    return propose(call, &command, SESSION_ID_SIZE);
}

enum api_action session_destroy_begin(struct api_call *call, const struct node_view *node,
                                      struct http_response *response)
{
    (void)node;
    return named_begin(call, SM_COMMAND_SESSION_DESTROY, response);
}

enum api_action session_renew_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response)
{
    (void)node;
    return named_begin(call, SM_COMMAND_SESSION_RENEW, response);
}

/* -- answers -- */

void session_create_finish(struct api_call *call, const struct sm_result *result,
                           struct http_response *response)
{
    char text[SESSION_ID_TEXT_SIZE];
    struct session_id id;
    struct rk_json json;

    if (result->reason == SM_CHECK_IS_CRITICAL) {
        answer_text(response, 500, "Check 'serfHealth' is in critical state");
        return;
    }
    if (!result->accepted) {
        RK_ASSERT(result->reason == SM_TOO_MANY_SESSIONS);
        answer_text_begin(response, 429);
        rk_buf_append_text(&response->body, "Too many sessions");
        http_response_header_static(response, "Retry-After", "1");
        return;
    }
    RK_ASSERT(result->body.size == SESSION_ID_SIZE);
    memcpy(id.bytes, result->body.data, SESSION_ID_SIZE);
    session_id_format(&id, text);
    http_response_header_u64(response, "X-Consul-Index", result->index);
    answer_json_begin(call, response, &json);
    rk_json_object_begin(&json);
    rk_json_name(&json, "ID");
    rk_json_text(&json, text);
    rk_json_object_end(&json);
}

void session_destroy_finish(struct api_call *call, const struct sm_result *result,
                            struct http_response *response)
{
    struct rk_json json;

    RK_ASSERT(result->accepted);
    http_response_header_u64(response, "X-Consul-Index", result->index);
    answer_json_begin(call, response, &json);
    rk_json_bool(&json, true);
}

void session_renew_finish(struct api_call *call, const struct sm_result *result,
                          struct http_response *response)
{
    struct sm_session session = {.create_index = result->modify_index};
    struct rk_json json;

    if (!result->accepted) {
        RK_ASSERT(result->reason == SM_SESSION_UNKNOWN);
        answer_text_begin(response, 404);
        rk_buf_append_text(&response->body, "Session id '");
        rk_buf_append(&response->body, request_key(call).data, request_key(call).size);
        rk_buf_append_text(&response->body, "' not found");
        return;
    }
    request_session_id(request_key(call), &session.id);
    const enum rk_status status =
        session_record_decode(rk_buf_bytes(&result->body), &session.record);
    RK_ASSERT(status == RK_OK);
    http_response_header_u64(response, "X-Consul-Index", result->index);
    answer_json_begin(call, response, &json);
    rk_json_array_begin(&json);
    session_render(&json, &session);
    rk_json_array_end(&json);
}
