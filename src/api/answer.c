#include "api/answer.h"

#include <string.h>

#include "base/assert.h"

_Static_assert(6 * RK_KEY_SIZE_MAX + RK_VALUE_SIZE_MAX / 3 * 4 + 1024 <= ANSWER_BODY_SIZE_MAX,
               "one entry, fully escaped, fits a body");
_Static_assert(4 * RK_TARGET_SIZE_MAX + 256 <= ANSWER_BODY_SIZE_MAX,
               "an error text that quotes the whole query fits a body");

enum api_action answer_text(struct http_response *response, uint32_t status, const char *text)
{
    http_response_text(response, status, text);
    return API_RESPOND;
}

void answer_text_begin(struct http_response *response, uint32_t status)
{
    http_response_text(response, status, "");
}

static void key_too_long(const struct api_call *call, struct http_response *response)
{
    answer_text_begin(response, 400);
    rk_buf_append_text(&response->body, "Key is too long (");
    rk_buf_append_u64(&response->body, request_key(call).size);
    rk_buf_append_text(&response->body, " > ");
    rk_buf_append_u64(&response->body, call->options->key_size_max);
    rk_buf_append_text(&response->body, " bytes)");
}

static void too_many_parameters(struct http_response *response)
{
    answer_text_begin(response, 400);
    rk_buf_append_text(&response->body, "Too many query parameters, max count: ");
    rk_buf_append_u64(&response->body, RK_QUERY_PARAMETERS_MAX);
}

enum api_action answer_fault(const struct api_call *call, enum request_fault fault,
                             struct http_response *response)
{
    switch (fault) {
    case REQUEST_MALFORMED:
        return answer_text(response, 400, "400 Bad Request");
    case REQUEST_CONTROL_BYTE:
        return answer_text(response, 400, "Control bytes are not allowed in keys and parameters");
    case REQUEST_KEY_TOO_LONG:
        key_too_long(call, response);
        return API_RESPOND;
    case REQUEST_TOO_MANY_PARAMETERS:
        too_many_parameters(response);
        return API_RESPOND;
    case REQUEST_OK:
        break;
    }
    RK_ASSERT(fault != REQUEST_OK);
    return API_RESPOND;
}

void answer_json_begin(const struct api_call *call, struct http_response *response,
                       struct rk_json *json)
{
    http_response_header_static(response, "Content-Type", "application/json");
    rk_json_init(json, &response->body, request_has(call, "pretty"));
}

/* Go clients multiply this by a million into an int64; "never" must not turn negative there. */
static uint64_t contact_clamp(uint64_t age_ms)
{
    const uint64_t age_ms_max = INT64_MAX / 1000000;
    return age_ms < age_ms_max ? age_ms : age_ms_max;
}

void answer_read_headers(struct http_response *response, const struct node_view *node,
                         raft_index index)
{
    RK_ASSERT(index > 0);
    http_response_header_u64(response, "X-Consul-Index", index);
    answer_standing_headers(response, node);
}

void answer_standing_headers(struct http_response *response, const struct node_view *node)
{
    http_response_header_static(response, "X-Consul-Knownleader",
                                node->has_leader ? "true" : "false");
    http_response_header_u64(response, "X-Consul-Lastcontact",
                             contact_clamp(node->leader_contact_age_ms));
}

void answer_append_quoted(struct rk_buf *buf, const char *text)
{
    static const char digits[] = "0123456789abcdef";

    rk_buf_append_byte(buf, '"');
    for (; *text != '\0'; text++) {
        const uint8_t byte = (uint8_t)*text;
        if (byte == '"' || byte == '\\') {
            rk_buf_append_byte(buf, '\\');
            rk_buf_append_byte(buf, byte);
        } else if (byte < 0x20 || byte >= 0x7f) {
            rk_buf_append_text(buf, "\\x");
            rk_buf_append_byte(buf, (uint8_t)digits[byte >> 4]);
            rk_buf_append_byte(buf, (uint8_t)digits[byte & 15]);
        } else {
            rk_buf_append_byte(buf, byte);
        }
    }
    rk_buf_append_byte(buf, '"');
}

void answer_append_grouped(struct rk_buf *buf, uint64_t value)
{
    if (value >= 1000) {
        answer_append_grouped(buf, value / 1000);
        rk_buf_append_byte(buf, ',');
        rk_buf_append_byte(buf, (uint8_t)('0' + value / 100 % 10));
        rk_buf_append_byte(buf, (uint8_t)('0' + value / 10 % 10));
        rk_buf_append_byte(buf, (uint8_t)('0' + value % 10));
        return;
    }
    rk_buf_append_u64(buf, value);
}

static bool has_header(const struct http_response *response, const char *name)
{
    for (uint32_t i = 0; i < response->headers_count; i++) {
        if (strcmp(response->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

void answer_seal(enum http_method method, struct http_response *response)
{
    const bool reads = method == HTTP_GET || method == HTTP_HEAD || method == HTTP_OPTIONS;

    http_response_header_static(response, "Vary", "Accept-Encoding");
    http_response_header_static(response, "X-Consul-Default-Acl-Policy", "allow");
    if (method == HTTP_HEAD) {
        rk_buf_reset(&response->body);
    }
    if (response->status >= 400 && !reads && !has_header(response, "X-Raftkv-Outcome")) {
        http_response_header_static(response, "X-Raftkv-Outcome", "not-done");
    }
    RK_ASSERT(rk_buf_status(&response->body) == RK_OK);
}
