/* Layout, integers little-endian: 0 u8 version (1), 1 u8 accepted (0 or 1), 2 u16 zero,
 * 4 u64 index, 12 u64 modify_index. */
#include "statemachine/result.h"

#include "base/le.h"

enum { RESULT_VERSION = 1 };

void sm_result_encode(const struct sm_result *result, struct rk_buf *buf)
{
    uint8_t bytes[SM_RESULT_SIZE];
    bytes[0] = RESULT_VERSION;
    bytes[1] = result->accepted ? 1 : 0;
    rk_le_put_u16(&bytes[2], 0);
    rk_le_put_u64(&bytes[4], result->index);
    rk_le_put_u64(&bytes[12], result->modify_index);
    rk_buf_append(buf, bytes, sizeof(bytes));
}

enum rk_status sm_result_decode(struct rk_bytes bytes, struct sm_result *ret)
{
    if (bytes.size != SM_RESULT_SIZE || bytes.data[0] != RESULT_VERSION || bytes.data[1] > 1 ||
        rk_le_u16(&bytes.data[2]) != 0) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_result){
        .accepted = bytes.data[1] == 1,
        .index = rk_le_u64(&bytes.data[4]),
        .modify_index = rk_le_u64(&bytes.data[12]),
    };
    return RK_OK;
}
