/* fuzz_frame.c -- whatever the bytes, rk_frame_read() stays inside them, and what it accepts is
 * exactly what the writer would have written. */
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/frame.h"
#include "base/heap.h"
#include "base/le.h"
#include "base/limits.h"
#include "fuzz/fuzz.h"

static void check_inside(struct rk_bytes part, struct rk_bytes whole)
{
    RK_ASSERT(part.data >= whole.data);
    RK_ASSERT(part.size <= whole.size);
    RK_ASSERT((size_t)(part.data - whole.data) <= whole.size - part.size);
}

/* Writes the frame again from what was read: the same payload, the same place. */
static void check_round_trip(const struct rk_frame *frame, uint32_t frame_size)
{
    struct rk_buf buf;
    struct rk_frame again;
    uint32_t again_size = 0;
    rk_buf_init(&buf, RK_FRAME_SIZE_MAX);
    const size_t offset = rk_frame_begin(&buf, frame->type);
    rk_buf_append(&buf, frame->body.data, frame->body.size);
    rk_frame_end(&buf, offset);
    RK_ASSERT(buf.size == frame_size);
    RK_ASSERT(memcmp(buf.data + RK_FRAME_HEADER_SIZE, frame->payload.data, frame->payload.size) ==
              0);
    const uint64_t chain =
        rk_frame_seal(buf.data, frame_size,
                      &(struct rk_frame_place){
                          .term = frame->term, .index = frame->index, .time_ms = frame->time_ms});
    RK_ASSERT(rk_frame_read(rk_buf_bytes(&buf), &again, &again_size) == RK_OK);
    RK_ASSERT(again_size == frame_size && again.chain == chain);
    RK_ASSERT(again.term == frame->term && again.index == frame->index);
    RK_ASSERT(again.time_ms == frame->time_ms);
    rk_buf_done(&buf);
}

static void try_read(struct rk_bytes bytes)
{
    struct rk_frame frame = {.term = 1};
    uint32_t size = 0;
    if (rk_frame_read(bytes, &frame, &size) != RK_OK) {
        RK_ASSERT(frame.term == 1 && frame.payload.data == NULL && size == 0);
        return;
    }
    RK_ASSERT(size <= bytes.size);
    check_inside(frame.payload, bytes);
    check_inside(frame.body, frame.payload);
    check_round_trip(&frame, size);
}

/* Makes both checks right, as no chance would, so that the rest is reached. */
static void repair(uint8_t *data, uint32_t size)
{
    const uint32_t payload_size = rk_le_u32(data);
    if (payload_size >= RK_FRAME_PAYLOAD_SIZE_MIN && payload_size <= size - RK_FRAME_HEADER_SIZE) {
        uint8_t *payload = data + RK_FRAME_HEADER_SIZE;
        const uint32_t checked_size = payload_size - RK_FRAME_CHECK_SIZE;
        rk_le_put_u32(payload + checked_size, rk_crc32c(0, payload, checked_size));
    }
    const uint32_t crc = rk_crc32c(0, data, 4);
    rk_le_put_u32(data + 4, rk_crc32c(crc, data + 8, RK_FRAME_HEADER_SIZE - 8));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rk_frame frame;
    const struct rk_bytes bytes = {.data = data, .size = (uint32_t)size};
    try_read(bytes);
    if (rk_frame_read_payload(bytes, &frame) == RK_OK) {
        check_inside(frame.body, bytes);
    }
    if (size >= RK_FRAME_HEADER_SIZE) {
        uint8_t *repaired = rk_heap_alloc(size);
        memcpy(repaired, data, size);
        repair(repaired, (uint32_t)size);
        try_read((struct rk_bytes){.data = repaired, .size = (uint32_t)size});
        rk_heap_free(repaired);
    }
    return 0;
}
