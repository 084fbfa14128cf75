/* fuzz_command.c -- whatever the bytes, decoding stays inside them, and what it accepts is exactly
 * what the encoder would have written; the same for results. Applying it breaks nothing. */
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "fuzz/fuzz.h"
#include "statemachine/command.h"
#include "statemachine/sm.h"

static void check_same(const struct rk_buf *buf, struct rk_bytes bytes)
{
    RK_ASSERT(buf->size == bytes.size);
    RK_ASSERT(memcmp(buf->data, bytes.data, bytes.size) == 0);
}

static void check_command(struct rk_bytes bytes)
{
    struct sm_command command = {.type = SM_COMMAND_KV_DELETE};
    if (sm_command_decode(bytes, &command) != RK_OK) {
        RK_ASSERT(command.type == SM_COMMAND_KV_DELETE && command.delete.key.data == NULL);
        return;
    }
    struct rk_buf buf;
    rk_buf_init(&buf, RK_COMMAND_SIZE_MAX);
    sm_command_encode(&command, &buf);
    check_same(&buf, bytes);
    rk_buf_done(&buf);

    struct sm_result result;
    struct sm *sm = sm_new();
    for (raft_index index = 1; index <= 3; index++) {
        const struct sm_place place = {.term = 1, .index = index, .time_ms = index};
        RK_ASSERT(sm_apply(sm, &place, bytes, &result) == RK_OK);
        sm_result_done(&result);
    }
    sm_free(sm);
}

static void check_result(struct rk_bytes bytes)
{
    struct sm_result result;
    struct rk_buf buf;
    sm_result_init(&result);
    if (sm_result_decode(bytes, &result) != RK_OK) {
        RK_ASSERT(result.index == 0 && result.body.size == 0);
        return;
    }
    rk_buf_init(&buf, SM_RESULT_SIZE_MAX);
    sm_result_encode(&result, &buf);
    check_same(&buf, bytes);
    rk_buf_done(&buf);
    sm_result_done(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct rk_bytes bytes = {.data = data, .size = (uint32_t)size};
    check_command(bytes);
    check_result(bytes);
    return 0;
}
