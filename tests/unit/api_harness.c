#include "unit/api_harness.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/frame.h"
#include "base/heap.h"
#include "base/parse.h"

struct harness harness;

static void node_lead(struct node_view *node)
{
    struct node_view_member *member = &node->members[0];

    memset(node, 0, sizeof(*node));
    snprintf(node->node_name, sizeof(node->node_name), "%s", "node1");
    node->node_id = 7;
    snprintf(node->cluster_id, sizeof(node->cluster_id), "%s", "00112233445566778899aabbccddeeff");
    node->role = "leader";
    node->term = 3;
    node->has_leader = true;
    node->leader = 7;
    snprintf(node->leader_name, sizeof(node->leader_name), "%s", "node1");
    snprintf(node->leader_peer_address, sizeof(node->leader_peer_address), "%s", "127.0.0.1:8300");
    node->is_ready = true;
    node->is_alive = true;
    node->members_count = 1;
    member->id = 7;
    snprintf(member->name, sizeof(member->name), "%s", "node1");
    snprintf(member->peer_address, sizeof(member->peer_address), "%s", "127.0.0.1:8300");
    snprintf(member->client_address, sizeof(member->client_address), "%s", "127.0.0.1:8500");
    member->is_voter = true;
    member->is_seen = true;
}

void harness_open(void)
{
    memset(&harness, 0, sizeof(harness));
    harness.sm = sm_new();
    harness.options.key_size_max = RK_KEY_SIZE_MAX;
    harness.options.value_size_max = RK_VALUE_SIZE_MAX;
    snprintf(harness.options.datacenter, sizeof(harness.options.datacenter), "%s", "dc1");
    harness.options.session_ttl_min_ms = 10000;
    harness.options.txn_ops_max = 1024;
    harness.options.election_timeout_ms = 400;
    harness.options.idempotency_window_ms = 600000;
    harness.stream_step = 4096;
    node_lead(&harness.node);
    harness.node.meters = rk_meters_new(1, rk_monotonic_us());
    sm_skip(harness.sm,
            &(struct sm_place){.term = 3, .index = ++harness.index}); /* the term's no-op */
}

static void answer_drop(void)
{
    rk_heap_free(harness.answer.body);
    rk_buf_done(&harness.answer.response.long_value);
    memset(&harness.answer, 0, sizeof(harness.answer));
}

void harness_close(void)
{
    answer_drop();
    rk_meters_free(harness.node.meters);
    sm_free(harness.sm);
}

static enum http_method method_of(const char *name)
{
    static const char *const names[] = {"GET", "PUT", "DELETE", "POST", "HEAD", "OPTIONS", "PATCH"};

    for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++) {
        if (strcmp(names[i], name) == 0) {
            return (enum http_method)i;
        }
    }
    return HTTP_METHOD_OTHER;
}

/* What the node does with a proposal: place it, seal it, read it back, apply it. */
static void write_do(struct api_call *call, struct http_response *response)
{
    struct rk_frame frame;
    struct sm_result result;
    uint32_t size = 0;

    if (harness.fail != RK_OK) {
        api_finish_write(call, harness.fail, NULL, &harness.node, response);
        return;
    }
    const struct rk_bytes bytes = rk_buf_bytes(&call->frame);
    const struct sm_place place = {.term = 3, .index = ++harness.index, .time_ms = harness.time_ms};
    const uint64_t chain = rk_frame_seal(
        call->frame.data, bytes.size,
        &(struct rk_frame_place){.term = 3, .index = place.index, .time_ms = place.time_ms});
    ck_assert_uint_ne(chain, 0);
    ck_assert_int_eq(rk_frame_read(bytes, &frame, &size), RK_OK);
    ck_assert_uint_eq(size, bytes.size);
    ck_assert_int_eq(frame.type, RAFT_ENTRY_COMMAND);
    ck_assert_int_eq(sm_apply(harness.sm, &place, frame.body, &result), RK_OK);
    api_finish_write(call, RK_OK, &result, &harness.node, response);
    sm_result_done(&result);
}

static void read_do(struct api_call *call, struct http_response *response)
{
    const struct sm_root root = sm_publish(harness.sm);

    if (harness.fail != RK_OK) {
        api_fail_read(call, harness.fail, &harness.node, response);
        return;
    }
    api_finish_read(call, &root, &harness.node, response, &harness.answer.streamed);
}

/* The stream outlives the call, as it does in the server: the call has been ended before. */
static void body_take(struct http_response *response)
{
    struct rk_buf whole;
    size_t size = 1;

    rk_buf_init(&whole, 64 << 20);
    if (response->stream == NULL) {
        rk_buf_append(&whole, response->body.data, response->body.size);
    }
    while (response->stream != NULL && size > 0) {
        uint8_t *place = rk_buf_extend(&whole, harness.stream_step);
        ck_assert_ptr_nonnull(place);
        size = response->stream->read(response->stream, place, harness.stream_step);
        ck_assert_uint_le(size, harness.stream_step);
        whole.size -= harness.stream_step - size;
    }
    harness.answer.body_size = whole.size;
    rk_buf_append_byte(&whole, '\0');
    ck_assert_int_eq(rk_buf_status(&whole), RK_OK);
    harness.answer.body = (char *)whole.data;
}

const struct answer *send_bytes(const char *method, const char *target, struct rk_bytes body)
{
    const struct http_request request = {.method = method_of(method),
                                         .method_name = method,
                                         .target = target,
                                         .headers = harness.headers,
                                         .headers_count = harness.headers_count,
                                         .body = body};
    struct api_call call;
    struct http_response *response = &harness.answer.response;

    answer_drop();
    harness.answer.action = api_begin(&call, &harness.options, &request, &harness.node, response);
    if (harness.answer.action == API_PROPOSE) {
        write_do(&call, response);
    } else if (harness.answer.action == API_READ) {
        read_do(&call, response);
    }
    if (harness.answer.action == API_ADMIN) {
        harness.asked = *call.admin;
        api_finish_admin(&call, &harness.outcome, &harness.node, response);
    }
    harness.answer.consistency = call.consistency;
    harness.answer.topic_kind = call.topic.kind;
    harness.answer.after = call.after;
    harness.answer.wait_us = call.wait_us;
    api_end(&call);
    harness.answer.status = response->status;
    body_take(response);
    const struct rk_buf long_value = response->long_value; /* a header, and read later */
    rk_buf_init(&response->long_value, 0);
    http_response_done(response);
    response->long_value = long_value;
    return &harness.answer;
}

const struct answer *send_text(const char *method, const char *target, const char *body)
{
    return send_bytes(
        method, target,
        (struct rk_bytes){.data = (const uint8_t *)body, .size = (uint32_t)strlen(body)});
}

const struct answer *get(const char *target)
{
    return send_text("GET", target, "");
}

const struct answer *put(const char *target, const char *body)
{
    return send_text("PUT", target, body);
}

const struct answer *del(const char *target)
{
    return send_text("DELETE", target, "");
}

const char *header(const char *name)
{
    const struct http_response *response = &harness.answer.response;

    for (uint32_t i = 0; i < response->headers_count; i++) {
        if (strcmp(response->headers[i].name, name) == 0) {
            return response->headers[i].value;
        }
    }
    return NULL;
}

uint64_t header_u64(const char *name)
{
    uint64_t value = 0;
    const char *text = header(name);

    ck_assert_msg(text != NULL, "no header %s", name);
    ck_assert_int_eq(rk_parse_u64(text, &value), RK_OK);
    return value;
}

void expect(const char *method, const char *target, const char *body, uint32_t status,
            const char *expected)
{
    const struct answer *answer = send_text(method, target, body);

    ck_assert_msg(answer->status == status && strcmp(answer->body, expected) == 0,
                  "%s %s: %u \"%s\", not %u \"%s\"", method, target, answer->status, answer->body,
                  status, expected);
}

uint64_t member_u64(const char *name)
{
    const char *at = strstr(harness.answer.body, name);

    ck_assert_msg(at != NULL, "no member %s in %s", name, harness.answer.body);
    at += strlen(name);
    ck_assert_msg(at[0] == '"' && at[1] == ':', "%s is not a member", name);
    return strtoull(at + 2, NULL, 10);
}
