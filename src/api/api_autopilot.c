/* What autopilot is set to. Here it is no setting: members are removed only when somebody says so, and
 * a learner votes as soon as it has caught up. So the configuration is what holds, and a PUT is taken if
 * it asks for nothing else: a `true` for what then does not happen would be a lie. */
#include <string.h>

#include "api/answer.h"
#include "api/api_operator.h"
#include "api/read_options.h"
#include "api/request.h"
#include "base/json_read.h"
#include "base/parse.h"

enum { CONFIGURATION_INDEX = 1, NS_PER_MS = 1000000, TEXT_SIZE_MAX = 256 };

enum kind { KIND_BOOL, KIND_NUMBER, KIND_DURATION, KIND_TEXT };

static const struct setting {
    const char *name;
    enum kind kind;
} settings[] = {
    {"CleanupDeadServers", KIND_BOOL},          {"LastContactThreshold", KIND_DURATION},
    {"MaxTrailingLogs", KIND_NUMBER},           {"MinQuorum", KIND_NUMBER},
    {"ServerStabilizationTime", KIND_DURATION}, {"RedundancyZoneTag", KIND_TEXT},
    {"DisableUpgradeMigration", KIND_BOOL},     {"UpgradeVersionTag", KIND_TEXT},
};
enum { SETTINGS_COUNT = sizeof(settings) / sizeof(settings[0]) };

/* Of all of them 0, false or "" holds, but of the time after which a member counts as silent. */
static uint64_t duration_ms_of(const struct api_call *call, const struct setting *setting)
{
    return strcmp(setting->name, "LastContactThreshold") == 0 ? call->options->election_timeout_ms
                                                              : 0;
}

static void setting_render(const struct api_call *call, const struct setting *setting,
                           struct rk_json *json)
{
    struct rk_buf text;

    rk_json_name(json, setting->name);
    switch (setting->kind) {
    case KIND_BOOL:
        rk_json_bool(json, false);
        break;
    case KIND_NUMBER:
        rk_json_u64(json, 0);
        break;
    case KIND_DURATION:
        rk_buf_init(&text, TEXT_SIZE_MAX);
        rk_duration_append(duration_ms_of(call, setting), &text);
        rk_json_bytes(json, rk_buf_bytes(&text));
        rk_buf_done(&text);
        break;
    case KIND_TEXT:
        rk_json_text(json, "");
        break;
    }
}

enum api_action autopilot_configuration_begin(struct api_call *call, const struct node_view *node,
                                              struct http_response *response)
{
    struct rk_json json;

    (void)node;
    if (!datacenter_json_begin(call, response, &json)) {
        return API_RESPOND;
    }
    rk_json_object_begin(&json);
    for (uint32_t i = 0; i < SETTINGS_COUNT; i++) {
        setting_render(call, &settings[i], &json);
    }
    rk_json_member_u64(&json, "CreateIndex", CONFIGURATION_INDEX);
    rk_json_member_u64(&json, "ModifyIndex", CONFIGURATION_INDEX);
    rk_json_object_end(&json);
    return API_RESPOND;
}

/* A number is one of nanoseconds. */
static bool duration_is(const struct rk_json_value *value, uint64_t duration_ms)
{
    struct rk_buf text;
    int64_t duration_ns = -1;

    if (value->kind == RK_JSON_NUMBER) {
        return rk_json_read_i64(value, &duration_ns) == RK_OK &&
               duration_ns == (int64_t)duration_ms * NS_PER_MS;
    }
    rk_buf_init(&text, TEXT_SIZE_MAX);
    bool is_same = rk_json_read_text(value, &text) == RK_OK;
    rk_buf_append_byte(&text, '\0');
    is_same = is_same && !text.overflowed && strlen((const char *)text.data) + 1 == text.size &&
              rk_parse_duration((const char *)text.data, &duration_ns) == RK_OK &&
              duration_ns == (int64_t)duration_ms * NS_PER_MS;
    rk_buf_done(&text);
    return is_same;
}

static bool holds(const struct api_call *call, const struct setting *setting,
                  const struct rk_json_value *value)
{
    uint64_t number = UINT64_MAX;

    if (value->kind == RK_JSON_NULL) {
        return true;
    }
    switch (setting->kind) {
    case KIND_BOOL:
        return value->kind == RK_JSON_BOOL && value->text.size == strlen("false");
    case KIND_NUMBER:
        return rk_json_read_u64(value, &number) == RK_OK && number == 0;
    case KIND_DURATION:
        return duration_is(value, duration_ms_of(call, setting));
    case KIND_TEXT:
        return value->kind == RK_JSON_TEXT && value->text.size == strlen("\"\"");
    }
    return false;
}

static void refuse(const struct api_call *call, const struct setting *setting,
                   struct http_response *response)
{
    struct rk_buf buf;
    struct rk_json json;

    rk_buf_init(&buf, TEXT_SIZE_MAX);
    rk_json_init(&json, &buf, false);
    rk_json_object_begin(&json);
    setting_render(call, setting, &json);
    answer_text_begin(response, 400);
    rk_buf_append_text(&response->body, "The autopilot configuration cannot be changed: ");
    rk_buf_append(&response->body, buf.data + 1, buf.size - 1);
    rk_buf_done(&buf);
}

/* False: it asks for something else, and the response says so. */
static bool members_check(const struct api_call *call, const struct rk_json_value *object,
                          struct http_response *response)
{
    struct rk_json_walk walk;
    struct rk_json_value value;
    struct rk_bytes name;

    rk_json_walk_begin(&walk, object);
    while (rk_json_walk_member(&walk, &name, &value)) {
        for (uint32_t i = 0; i < SETTINGS_COUNT; i++) {
            if (rk_json_name_is(name, settings[i].name) && !holds(call, &settings[i], &value)) {
                refuse(call, &settings[i], response);
                return false;
            }
        }
    }
    return true;
}

static bool body_check(const struct api_call *call, struct http_response *response)
{
    struct rk_json_value value;
    struct rk_json_fault fault = {.reason = "not an object"};

    if (rk_json_read(call->request->body, &value, &fault) == RK_OK &&
        value.kind == RK_JSON_OBJECT) {
        return members_check(call, &value, response);
    }
    answer_text_begin(response, 400);
    rk_buf_append_text(&response->body, "Request decode failed: ");
    rk_buf_append_text(&response->body, fault.reason);
    return false;
}

enum api_action autopilot_configure_begin(struct api_call *call, const struct node_view *node,
                                          struct http_response *response)
{
    struct rk_json json;
    uint64_t cas = CONFIGURATION_INDEX;

    (void)node;
    if (!datacenter_check(call, response) || !parameter_u64(call, "cas", response, &cas) ||
        !body_check(call, response)) {
        return API_RESPOND;
    }
    answer_json_begin(call, response, &json);
    rk_json_bool(&json, cas == CONFIGURATION_INDEX);
    return API_RESPOND;
}
