/* fuzz_wire_forward.c -- a batch of forwarded writes, its answer, a question for a read index:
 * refused with a reason, or written again as they were read. */
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"
#include "fuzz/fuzz.h"
#include "network/wire.h"

static struct rk_buf written;
static const char *reason;

static void check_status(enum rk_status status)
{
    RK_ASSERT((status == RK_OK) == (reason == NULL));
    rk_buf_reset(&written);
}

static void try_forward(struct rk_bytes body)
{
    struct wire_forward *forward = rk_heap_alloc(sizeof(*forward));
    struct wire_forward *again = rk_heap_alloc(sizeof(*again));

    const enum rk_status status = wire_decode_forward(body, forward, &reason);
    check_status(status);
    if (status == RK_OK) {
        wire_encode_forward(forward, &written);
        RK_ASSERT(wire_decode_forward(rk_buf_bytes(&written), again, &reason) == RK_OK);
        RK_ASSERT(again->count == forward->count);
        for (uint32_t i = 0; i < again->count; i++) {
            RK_ASSERT(again->payloads[i].size == forward->payloads[i].size);
            RK_ASSERT(memcmp(again->payloads[i].data, forward->payloads[i].data,
                             again->payloads[i].size) == 0);
        }
    }
    rk_heap_free(forward);
    rk_heap_free(again);
}

static void try_answer(struct rk_bytes body)
{
    struct wire_forward_answer *answer = rk_heap_alloc(sizeof(*answer));
    struct wire_forward_answer *again = rk_heap_alloc(sizeof(*again));

    const enum rk_status status = wire_decode_forward_answer(body, answer, &reason);
    check_status(status);
    if (status == RK_OK) {
        wire_encode_forward_answer(answer, &written);
        RK_ASSERT(wire_decode_forward_answer(rk_buf_bytes(&written), again, &reason) == RK_OK);
        RK_ASSERT(again->count == answer->count && again->term == answer->term);
        for (uint32_t i = 0; i < again->count; i++) {
            RK_ASSERT(again->items[i].status == answer->items[i].status);
            const struct rk_bytes result = answer->items[i].result;
            RK_ASSERT(again->items[i].result.size == result.size);
            RK_ASSERT(memcmp(again->items[i].result.data, result.data, result.size) == 0);
        }
    }
    rk_heap_free(answer);
    rk_heap_free(again);
}

static void try_read_index(struct rk_bytes body)
{
    struct wire_read_index read_index;
    struct wire_read_index again;

    const enum rk_status status = wire_decode_read_index(body, &read_index, &reason);
    check_status(status);
    if (status == RK_OK) {
        wire_encode_read_index(&read_index, &written);
        RK_ASSERT(wire_decode_read_index(rk_buf_bytes(&written), &again, &reason) == RK_OK);
        RK_ASSERT(again.status == read_index.status && again.term == read_index.term);
        RK_ASSERT(again.read_index == read_index.read_index);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct rk_bytes body = {.data = data, .size = (uint32_t)size};

    rk_buf_init(&written, RK_PEER_BODY_SIZE_MAX);
    try_forward(body);
    try_answer(body);
    try_read_index(body);
    rk_buf_done(&written);
    return 0;
}
