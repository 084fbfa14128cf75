#include "api/api_stages.h"

#include <stdio.h>

#include "api/answer.h"
#include "api/read_options.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/meter.h"

static void percentiles_render(struct rk_json *json, const struct rk_histogram_values *values)
{
    static const struct {
        const char *name;
        uint32_t per_ten_thousand;
    } shown[] = {{"p50", 5000}, {"p90", 9000}, {"p99", 9900}, {"p999", 9990}};

    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        rk_json_member_u64(json, shown[i].name,
                           rk_histogram_percentile(values, shown[i].per_ten_thousand));
    }
}

static void measure_render(struct rk_json *json, const struct rk_measure *measure,
                           const struct rk_histogram_values *values)
{
    rk_json_name(json, measure->name);
    rk_json_object_begin(json);
    rk_json_member_text(json, "per", measure->per);
    rk_json_member_text(json, "what", measure->text);
    rk_json_member_u64(json, "count", values->count);
    rk_json_member_u64(json, "sum", values->sum);
    rk_json_member_u64(json, "mean", values->count > 0 ? values->sum / values->count : 0);
    percentiles_render(json, values);
    rk_json_member_u64(json, "max", values->max);
    rk_json_object_end(json);
}

static void measures_render(struct rk_json *json, const char *name, bool is_time,
                            const struct rk_meters_values *values)
{
    rk_json_name(json, name);
    rk_json_object_begin(json);
    for (uint32_t i = 0; i < RK_MEASURES; i++) {
        if (rk_measures[i].is_time == is_time) {
            measure_render(json, &rk_measures[i], &values->measures[i]);
        }
    }
    rk_json_object_end(json);
}

/* Names as the threads have them. */
static void busy_render(struct rk_json *json, const struct rk_meters *meters,
                        const struct rk_meters_values *values)
{
    char name[16];

    rk_json_name(json, "busy_per_mille");
    rk_json_object_begin(json);
    for (uint32_t i = 0; i < 2 + meters->http_count; i++) {
        if (i < RK_METER_HTTP) {
            (void)snprintf(name, sizeof(name), "%s", i == RK_METER_NODE ? "node" : "disk");
        } else {
            (void)snprintf(name, sizeof(name), "http-%u", i - RK_METER_HTTP + 1);
        }
        rk_json_member_u64(json, name,
                           values->span_us > 0 ? values->busy_us[i] * 1000 / values->span_us : 0);
    }
    rk_json_object_end(json);
}

static void span_render(struct rk_json *json, const char *name, struct rk_meters *meters,
                        bool recent, struct rk_meters_values *values)
{
    rk_meters_read(meters, rk_monotonic_us(), recent, values);
    rk_json_name(json, name);
    rk_json_object_begin(json);
    rk_json_member_u64(json, "span_ms", values->span_us / 1000);
    busy_render(json, meters, values);
    measures_render(json, "times_us", true, values);
    measures_render(json, "sizes", false, values);
    rk_json_object_end(json);
}

enum api_action status_stages_begin(struct api_call *call, const struct node_view *node,
                                    struct http_response *response)
{
    struct rk_json json;

    RK_ASSERT(node->meters != NULL);
    if (!datacenter_json_begin(call, response, &json)) {
        return API_RESPOND;
    }
    struct rk_meters_values *values = rk_heap_zalloc(1, sizeof(*values));
    rk_json_object_begin(&json);
    rk_json_member_text(&json, "node", node->node_name);
    rk_json_member_text(&json, "role", node->role);
    span_render(&json, "since_start", node->meters, false, values);
    span_render(&json, "recent", node->meters, true, values);
    rk_json_object_end(&json);
    rk_heap_free(values);
    return API_RESPOND;
}
