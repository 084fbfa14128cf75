#include "api/propose.h"

#include <string.h>

#include "api/reserve.h"
#include "base/assert.h"
#include "base/frame.h"
#include "base/le.h"

/* Of a frame beside key and value, and what a token adds to that: no more, for the log keeps it. */
enum { FRAME_FIXED_SIZE = 88, ONCE_FIXED_SIZE = 32 };

/* It is to tell one request of a client from another, and to hold off nobody: no cryptographic
 * hash. */
static uint64_t hash_bytes(uint64_t state, const void *data, size_t size)
{
    const uint8_t *at = data;

    for (size_t i = 0; i < size; i++) {
        state = (state ^ at[i]) * UINT64_C(0x9fb21c651e98df25);
        state ^= state >> 32;
    }
    return (state ^ size) * UINT64_C(0xd6e8feb86659fd93);
}

static uint64_t hash_request(uint64_t state, const struct http_request *request)
{
    state = hash_bytes(state, request->method_name, strlen(request->method_name));
    state = hash_bytes(state, request->target, strlen(request->target));
    return hash_bytes(state, request->body.data, request->body.size);
}

/* The command inside another one that makes it happen once. */
static void once_encode(const struct api_call *call, const struct sm_command *command,
                        struct rk_buf *buf)
{
    struct sm_command outer = {.type = SM_COMMAND_ONCE};
    struct rk_buf inner;

    rk_buf_init(&inner, RK_COMMAND_SIZE_MAX);
    sm_command_encode(command, &inner);
    outer.once = (struct sm_command_once){
        .token = {.data = (const uint8_t *)call->token, .size = (uint32_t)strlen(call->token)},
        .window_ms = call->options->idempotency_window_ms,
        .command = rk_buf_bytes(&inner),
    };
    rk_le_put_u64(outer.once.fingerprint, hash_request(1, call->request));
    rk_le_put_u64(outer.once.fingerprint + 8, hash_request(2, call->request));
    sm_command_encode(&outer, buf);
    rk_buf_done(&inner);
}

enum api_action propose(struct api_call *call, const struct sm_command *command, size_t bytes_size)
{
    const size_t token_size = call->token == NULL ? 0 : strlen(call->token) + ONCE_FIXED_SIZE;
    buf_reserve(&call->frame, bytes_size + FRAME_FIXED_SIZE + token_size);
    const size_t offset = rk_frame_begin(&call->frame, RAFT_ENTRY_COMMAND);
    if (call->token == NULL) {
        sm_command_encode(command, &call->frame);
    } else {
        once_encode(call, command, &call->frame);
    }
    rk_frame_end(&call->frame, offset);
    RK_ASSERT(rk_buf_status(&call->frame) == RK_OK);
    return API_PROPOSE;
}
