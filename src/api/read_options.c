#include "api/read_options.h"

#include <string.h>

#include "api/answer.h"
#include "api/request.h"
#include "base/parse.h"

enum { NS_PER_US = 1000, NS_PER_MS = 1000000 };

static const uint64_t wait_default_us = UINT64_C(300) * 1000 * 1000;
static const uint64_t wait_max_us = UINT64_C(600) * 1000 * 1000;

/* Empty counts as absent, as in every client library that writes all members out. */
static const char *filled_parameter(const struct api_call *call, const char *name)
{
    const char *value = request_parameter(call, name);
    return value == NULL || *value == '\0' ? NULL : value;
}

static bool max_stale_parse(struct api_call *call, struct http_response *response)
{
    const char *text = filled_parameter(call, "max_stale");
    int64_t duration_ns = 0;

    call->max_stale_ms = UINT64_MAX;
    if (text == NULL) {
        return true;
    }
    if (rk_parse_duration(text, &duration_ns) != RK_OK || duration_ns < 0) {
        answer_text_begin(response, 400);
        rk_buf_append_text(&response->body, "Invalid max_stale value ");
        answer_append_quoted(&response->body, text);
        return false;
    }
    if (duration_ns > 0) {
        call->max_stale_ms = (uint64_t)(duration_ns / NS_PER_MS);
        call->consistency = API_STALE;
    }
    return true;
}

bool read_options_parse_consistency(struct api_call *call, const struct node_view *node,
                                    struct http_response *response)
{
    call->consistency = request_has(call, "stale") ? API_STALE : API_DEFAULT;
    if (!max_stale_parse(call, response)) {
        return false;
    }
    if (request_has(call, "consistent")) {
        const bool stale = call->consistency == API_STALE;
        if (stale || request_has(call, "cached")) {
            answer_text(response, 400,
                        stale ? "Cannot specify ?stale with ?consistent, conflicting semantics."
                              : "Cannot specify ?cached with ?consistent, conflicting semantics.");
            return false;
        }
        call->consistency = API_CONSISTENT;
    }
    if (call->consistency == API_STALE && node->leader_contact_age_ms > call->max_stale_ms) {
        call->consistency = API_DEFAULT;
    }
    return true;
}

static uint64_t wait_us_of(int64_t wait_ns)
{
    const uint64_t wait_us = wait_ns <= 0 ? 0 : ((uint64_t)wait_ns + NS_PER_US - 1) / NS_PER_US;

    if (wait_us == 0) {
        return wait_default_us;
    }
    return wait_us < wait_max_us ? wait_us : wait_max_us;
}

static bool blocking_parse(struct api_call *call, struct http_response *response)
{
    const char *wait = filled_parameter(call, "wait");
    const char *index = filled_parameter(call, "index");
    int64_t wait_ns = 0;

    if (wait != NULL && rk_parse_duration(wait, &wait_ns) != RK_OK) {
        answer_text(response, 400, "Invalid wait time");
        return false;
    }
    if (index != NULL && rk_parse_u64(index, &call->after) != RK_OK) {
        answer_text(response, 400, "Invalid index");
        return false;
    }
    call->wait_us = wait_us_of(wait_ns);
    return true;
}

bool read_options_parse(struct api_call *call, const struct node_view *node,
                        struct http_response *response)
{
    return read_options_parse_consistency(call, node, response) && blocking_parse(call, response);
}

void read_options_watch(struct api_call *call, enum sm_topic_kind kind, struct rk_bytes key)
{
    if (call->after > 0) {
        call->topic = (struct sm_topic){.kind = kind, .key = key};
    }
}

bool datacenter_check(const struct api_call *call, struct http_response *response)
{
    const char *datacenter = filled_parameter(call, "dc");

    if (datacenter == NULL || strcmp(datacenter, call->options->datacenter) == 0) {
        return true;
    }
    answer_text(response, 500, "No path to datacenter");
    return false;
}

bool datacenter_json_begin(const struct api_call *call, struct http_response *response,
                           struct rk_json *json)
{
    if (!datacenter_check(call, response)) {
        return false;
    }
    answer_json_begin(call, response, json);
    return true;
}

bool parameter_u64(const struct api_call *call, const char *name, struct http_response *response,
                   uint64_t *ret)
{
    const char *text = request_parameter(call, name);

    if (text == NULL) {
        return true;
    }
    const enum rk_status status = rk_parse_u64(text, ret);
    if (status == RK_OK) {
        return true;
    }
    answer_text_begin(response, 500);
    rk_buf_append_text(&response->body, "strconv.ParseUint: parsing ");
    answer_append_quoted(&response->body, text);
    rk_buf_append_text(&response->body,
                       status == RK_TOO_LARGE ? ": value out of range" : ": invalid syntax");
    return false;
}

bool namespace_check(const struct api_call *call, struct http_response *response)
{
    static const char *const names[] = {"ns", "partition", "peer", "sameness-group"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = filled_parameter(call, names[i]);
        if (value == NULL || strcmp(value, "default") == 0) {
            continue;
        }
        answer_text_begin(response, 400);
        rk_buf_append_text(&response->body, names[i]);
        rk_buf_append_text(&response->body, " is not supported: only \"default\" exists");
        return false;
    }
    return true;
}
