/* Behind the line of a question: the target, target_size bytes, and the request's body.
 * Behind the line of an answer: its body. */
#include <string.h>

#include "base/assert.h"
#include "network/wire_line.h"

void wire_encode_admin(const struct wire_admin *admin, struct rk_buf *buf)
{
    struct rk_json json;

    wire_line_begin(&json, buf, "admin");
    wire_put_envelope(&json, &admin->envelope);
    rk_json_member_text(&json, "method", admin->method);
    wire_put_number(&json, "target_size", admin->target.size);
    wire_line_end(&json);
    rk_buf_append(buf, admin->target.data, admin->target.size);
    rk_buf_append(buf, admin->body.data, admin->body.size);
}

/* Letters only: what would be escaped when it is written could not be read again. */
static bool is_method(const char *text)
{
    const size_t size = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

    return size > 0 && text[size] == '\0';
}

enum rk_status wire_decode_admin(struct rk_bytes body, struct wire_admin *ret, const char **reason)
{
    struct wire_line line;

    wire_line_open(&line, body, &ret->envelope);
    wire_line_expect(&line, "admin");
    WIRE_TEXT(&line, "method", ret->method, WIRE_METHOD_SIZE_MAX);
    if (!is_method(ret->method)) {
        wire_line_refuse(&line, "member method is missing or malformed");
    }
    const uint64_t size = WIRE_NUMBER_UP_TO(&line, "target_size", RK_TARGET_SIZE_MAX);
    wire_line_expect_nodes(&line, &ret->envelope);
    if (line.reason == NULL && size > line.rest.size) {
        wire_line_refuse(&line, "the target is cut short");
    }
    *reason = line.reason;
    if (line.reason != NULL) {
        return RK_INVALID;
    }
    ret->target = (struct rk_bytes){.data = line.rest.data, .size = (uint32_t)size};
    ret->body =
        (struct rk_bytes){.data = line.rest.data + size, .size = line.rest.size - (uint32_t)size};
    return RK_OK;
}

void wire_encode_admin_answer(const struct wire_admin_answer *answer, struct rk_buf *buf)
{
    struct rk_json json;

    wire_line_begin(&json, buf, "admin_answer");
    wire_put_envelope(&json, &answer->envelope);
    wire_put_number(&json, "status", wire_status_code(answer->status));
    wire_put_number(&json, "http_status", answer->http_status);
    rk_json_member_bool(&json, "is_json", answer->is_json);
    rk_json_member_bool(&json, "is_unknown", answer->is_unknown);
    wire_line_end(&json);
    rk_buf_append(buf, answer->body.data, answer->body.size);
}

enum rk_status wire_decode_admin_answer(struct rk_bytes body, struct wire_admin_answer *ret,
                                        const char **reason)
{
    struct wire_line line;

    wire_line_open(&line, body, &ret->envelope);
    wire_line_expect(&line, "admin_answer");
    const uint64_t code = WIRE_NUMBER(&line, "status");
    ret->http_status = (uint32_t)WIRE_NUMBER_UP_TO(&line, "http_status", 599);
    ret->is_json = WIRE_BOOL(&line, "is_json");
    ret->is_unknown = WIRE_BOOL(&line, "is_unknown");
    if (!wire_status_of(code, &ret->status)) {
        wire_line_refuse(&line, "unknown status");
    }
    if (ret->status == RK_OK && ret->http_status < 200) {
        wire_line_refuse(&line, "no status of an answer");
    }
    wire_line_expect_nodes(&line, &ret->envelope);
    ret->body = line.rest;
    *reason = line.reason;
    return line.reason == NULL ? RK_OK : RK_INVALID;
}
