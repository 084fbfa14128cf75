/* fuzz_wire_message.c -- whatever the bytes, a message is refused with a reason, or it is one that
 * the encoder writes and the decoder reads again as the same. */
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"
#include "fuzz/fuzz.h"
#include "network/wire.h"

/* A run of frames as the decoder found it: it is the end of the body. */
static struct rk_bytes frames_of(const struct wire_message *message)
{
    const struct raft_append_request *append = &message->message.append_request;
    struct rk_bytes frames = {.data = NULL};

    if (message->message.type != RAFT_APPEND_REQUEST || append->entries_count == 0) {
        return frames;
    }
    frames.data = message->entries[0].frame.data;
    for (uint32_t i = 0; i < append->entries_count; i++) {
        RK_ASSERT(message->entries[i].frame.data == frames.data + frames.size);
        RK_ASSERT(message->entries[i].id.index == append->previous.index + i + 1);
        RK_ASSERT(message->entries[i].id.term <= message->message.term);
        frames.size += message->entries[i].frame.size;
    }
    return frames;
}

static void check_again(const struct wire_message *message, bool is_request)
{
    struct wire_message *again = rk_heap_alloc(sizeof(*again));
    struct rk_buf first;
    struct rk_buf second;
    const char *reason;

    rk_buf_init(&first, RK_PEER_BODY_SIZE_MAX);
    rk_buf_init(&second, RK_PEER_BODY_SIZE_MAX);
    wire_encode_message(&message->envelope, &message->message, &message->extra, frames_of(message),
                        &first);
    RK_ASSERT(wire_decode_message(rk_buf_bytes(&first), NULL, is_request, again, &reason) == RK_OK);
    wire_encode_message(&again->envelope, &again->message, &again->extra, frames_of(again),
                        &second);
    RK_ASSERT(first.size == second.size);
    RK_ASSERT(memcmp(first.data, second.data, first.size) == 0);
    rk_buf_done(&first);
    rk_buf_done(&second);
    rk_heap_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_message *message = rk_heap_alloc(sizeof(*message));
    const struct rk_bytes body = {.data = data, .size = (uint32_t)size};

    for (int is_request = 0; is_request <= 1; is_request++) {
        const char *reason = NULL;
        const enum rk_status status =
            wire_decode_message(body, NULL, is_request == 1, message, &reason);
        RK_ASSERT((status == RK_OK) == (reason == NULL));
        if (status == RK_OK) {
            check_again(message, is_request == 1);
        }
    }
    rk_heap_free(message);
    return 0;
}
