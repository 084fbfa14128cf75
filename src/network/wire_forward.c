/* Behind the line of a request: count times u32 size (little-endian), payload.
 * Behind the line of an answer: count times u8 status, u32 size, result. */
#include <string.h>

#include "base/assert.h"
#include "base/frame.h"
#include "base/le.h"
#include "network/wire_line.h"

enum { ITEM_HEAD_SIZE = 5 }; /* u8 status, u32 size */

static void put_u32(struct rk_buf *buf, uint32_t value)
{
    uint8_t bytes[4];

    rk_le_put_u32(bytes, value);
    rk_buf_append(buf, bytes, sizeof bytes);
}

static void skip(struct wire_line *line, uint32_t size)
{
    RK_ASSERT(size <= line->rest.size);
    line->rest.data += size;
    line->rest.size -= size;
}

void wire_encode_forward(const struct wire_forward *forward, struct rk_buf *buf)
{
    struct rk_json json;

    RK_ASSERT(forward->count > 0 && forward->count <= RK_FORWARD_ITEMS_MAX);
    wire_line_begin(&json, buf, "forward");
    wire_put_envelope(&json, &forward->envelope);
    wire_put_number(&json, "count", forward->count);
    wire_line_end(&json);
    for (uint32_t i = 0; i < forward->count; i++) {
        put_u32(buf, forward->payloads[i].size);
        rk_buf_append(buf, forward->payloads[i].data, forward->payloads[i].size);
    }
}

static uint32_t get_count(struct wire_line *line)
{
    const uint64_t count = WIRE_NUMBER_UP_TO(line, "count", RK_FORWARD_ITEMS_MAX);

    if (count == 0) {
        wire_line_refuse(line, "a batch of nothing");
    }
    return (uint32_t)count;
}

static enum rk_status get_payload(struct wire_line *line, struct rk_bytes *ret)
{
    struct rk_frame frame;

    if (line->rest.size < 4 || rk_le_u32(line->rest.data) > line->rest.size - 4) {
        wire_line_refuse(line, "a payload is cut short");
        return RK_INVALID;
    }
    *ret = (struct rk_bytes){.data = line->rest.data + 4, .size = rk_le_u32(line->rest.data)};
    if (rk_frame_read_payload(*ret, &frame) != RK_OK) {
        wire_line_refuse(line, "a payload fails its check");
        return RK_CORRUPT;
    }
    /* Only the leader makes no-ops and configurations. */
    if (frame.type != RAFT_ENTRY_COMMAND) {
        wire_line_refuse(line, "a payload is not a command");
        return RK_INVALID;
    }
    skip(line, 4 + ret->size);
    return RK_OK;
}

static enum rk_status get_payloads(struct wire_line *line, struct wire_forward *ret)
{
    for (uint32_t i = 0; i < ret->count; i++) {
        const enum rk_status status = get_payload(line, &ret->payloads[i]);
        if (status != RK_OK) {
            return status;
        }
    }
    wire_line_expect_end(line);
    return line->reason == NULL ? RK_OK : RK_INVALID;
}

enum rk_status wire_decode_forward(struct rk_bytes body, struct wire_forward *ret,
                                   const char **reason)
{
    struct wire_line line;

    wire_line_open(&line, body, &ret->envelope);
    wire_line_expect(&line, "forward");
    wire_line_expect_nodes(&line, &ret->envelope);
    ret->count = get_count(&line);
    const enum rk_status status = line.reason == NULL ? get_payloads(&line, ret) : RK_INVALID;
    *reason = line.reason;
    return status;
}

void wire_encode_forward_answer(const struct wire_forward_answer *answer, struct rk_buf *buf)
{
    struct rk_json json;

    RK_ASSERT(answer->count > 0 && answer->count <= RK_FORWARD_ITEMS_MAX);
    wire_line_begin(&json, buf, "forward_answer");
    wire_put_envelope(&json, &answer->envelope);
    wire_put_number(&json, "term", answer->term);
    wire_put_number(&json, "count", answer->count);
    wire_line_end(&json);
    for (uint32_t i = 0; i < answer->count; i++) {
        const struct wire_forward_item *item = &answer->items[i];
        RK_ASSERT(item->result.size <= WIRE_RESULT_SIZE_MAX);
        rk_buf_append_byte(buf, wire_status_code(item->status));
        put_u32(buf, item->result.size);
        rk_buf_append(buf, item->result.data, item->result.size);
    }
}

static void get_item(struct wire_line *line, struct wire_forward_item *ret)
{
    if (line->rest.size < ITEM_HEAD_SIZE ||
        rk_le_u32(line->rest.data + 1) > line->rest.size - ITEM_HEAD_SIZE) {
        wire_line_refuse(line, "a result is cut short");
        return;
    }
    ret->result = (struct rk_bytes){.data = line->rest.data + ITEM_HEAD_SIZE,
                                    .size = rk_le_u32(line->rest.data + 1)};
    if (ret->result.size > WIRE_RESULT_SIZE_MAX) {
        wire_line_refuse(line, "a result is too large");
        return;
    }
    if (!wire_status_of(line->rest.data[0], &ret->status)) {
        wire_line_refuse(line, "unknown status");
        return;
    }
    skip(line, ITEM_HEAD_SIZE + ret->result.size);
}

enum rk_status wire_decode_forward_answer(struct rk_bytes body, struct wire_forward_answer *ret,
                                          const char **reason)
{
    struct wire_line line;

    wire_line_open(&line, body, &ret->envelope);
    wire_line_expect(&line, "forward_answer");
    wire_line_expect_nodes(&line, &ret->envelope);
    ret->term = WIRE_NUMBER(&line, "term");
    ret->count = get_count(&line);
    for (uint32_t i = 0; i < ret->count && line.reason == NULL; i++) {
        get_item(&line, &ret->items[i]);
    }
    wire_line_expect_end(&line);
    *reason = line.reason;
    return line.reason == NULL ? RK_OK : RK_INVALID;
}
