/* Layout, integers little-endian: 0 u8 version (2), 1 u8 reason, 2 u16 zero, 4 u64 index,
 * 12 u64 modify_index, 20 u64 fence, 28 body. */
#include "statemachine/result.h"

#include "base/le.h"

enum { RESULT_VERSION = 2 };

void sm_result_init(struct sm_result *result)
{
    *result = (struct sm_result){.accepted = true};
    rk_buf_init(&result->body, SM_RESULT_BODY_SIZE_MAX);
}

void sm_result_done(struct sm_result *result)
{
    rk_buf_done(&result->body);
}

void sm_result_move(struct sm_result *to, struct sm_result *from)
{
    sm_result_done(to);
    *to = *from;
    sm_result_init(from);
}

void sm_result_encode(const struct sm_result *result, struct rk_buf *buf)
{
    uint8_t bytes[SM_RESULT_FIXED_SIZE];
    bytes[0] = RESULT_VERSION;
    bytes[1] = (uint8_t)result->reason;
    rk_le_put_u16(&bytes[2], 0);
    rk_le_put_u64(&bytes[4], result->index);
    rk_le_put_u64(&bytes[12], result->modify_index);
    rk_le_put_u64(&bytes[20], result->fence);
    rk_buf_append(buf, bytes, sizeof(bytes));
    rk_buf_append(buf, result->body.data, result->body.size);
}

enum rk_status sm_result_decode(struct rk_bytes bytes, struct sm_result *ret)
{
    if (bytes.size < SM_RESULT_FIXED_SIZE || bytes.size > SM_RESULT_SIZE_MAX ||
        bytes.data[0] != RESULT_VERSION || bytes.data[1] >= SM_REASONS_COUNT ||
        rk_le_u16(&bytes.data[2]) != 0) {
        return RK_CORRUPT;
    }
    ret->reason = (enum sm_reason)bytes.data[1];
    ret->accepted = ret->reason == SM_DONE;
    ret->index = rk_le_u64(&bytes.data[4]);
    ret->modify_index = rk_le_u64(&bytes.data[12]);
    ret->fence = rk_le_u64(&bytes.data[20]);
    rk_buf_reset(&ret->body);
    rk_buf_append(&ret->body, &bytes.data[SM_RESULT_FIXED_SIZE], bytes.size - SM_RESULT_FIXED_SIZE);
    return RK_OK;
}
