/* Layout of a body, integers little-endian:
 *
 *   entry                                            error
 *    0 u8  options, bit 0: is_locked, bit 1: value    0 u32 op
 *    1 3 bytes zero                                   4 u32 reason
 *    4 u32 key_size                                   8 u64 modify_index
 *    8 u32 value_size                                16 session's id, 16 bytes
 *   12 u64 flags, create_index, modify_index,
 *          lock_index
 *   44 session's id, 16 bytes; key, value
 */
#include "statemachine/txn.h"

#include <string.h>

#include "base/assert.h"
#include "base/le.h"
#include "statemachine/txn_internal.h"

enum {
    OPTION_LOCKED = 1,
    OPTION_VALUE = 2,
    ENTRY_FIXED_SIZE = 60,
    ERROR_SIZE = 32,
    COST_FIXED = 256, /* names, numbers and a session's id, rendered */
};

uint64_t sm_txn_cost(uint32_t key_size, uint32_t value_size)
{
    return COST_FIXED + 6 * (uint64_t)key_size + 2 * (uint64_t)value_size;
}

void sm_txn_entry_append(const struct sm_kv_entry *entry, bool has_value, struct rk_buf *buf)
{
    uint8_t fixed[ENTRY_FIXED_SIZE] = {0};
    const uint32_t value_size = has_value ? entry->value.size : 0;

    fixed[0] = (uint8_t)((entry->is_locked ? OPTION_LOCKED : 0) | (has_value ? OPTION_VALUE : 0));
    rk_le_put_u32(&fixed[4], entry->key.size);
    rk_le_put_u32(&fixed[8], value_size);
    rk_le_put_u64(&fixed[12], entry->flags);
    rk_le_put_u64(&fixed[20], entry->create_index);
    rk_le_put_u64(&fixed[28], entry->modify_index);
    rk_le_put_u64(&fixed[36], entry->lock_index);
    memcpy(&fixed[44], entry->session.bytes, SESSION_ID_SIZE);
    rk_buf_append(buf, fixed, sizeof(fixed));
    rk_buf_append(buf, entry->key.data, entry->key.size);
    rk_buf_append(buf, entry->value.data, value_size);
}

void sm_txn_error_append(const struct sm_txn_error *error, struct rk_buf *buf)
{
    uint8_t bytes[ERROR_SIZE];

    rk_le_put_u32(&bytes[0], error->op);
    rk_le_put_u32(&bytes[4], (uint32_t)error->reason);
    rk_le_put_u64(&bytes[8], error->modify_index);
    memcpy(&bytes[16], error->session.bytes, SESSION_ID_SIZE);
    rk_buf_append(buf, bytes, sizeof(bytes));
}

bool sm_txn_entry_next(struct rk_bytes *rest, struct sm_kv_entry *ret, bool *ret_has_value)
{
    if (rest->size < ENTRY_FIXED_SIZE) {
        return false;
    }
    const uint8_t *from = rest->data;
    const uint32_t key_size = rk_le_u32(&from[4]);
    const uint32_t value_size = rk_le_u32(&from[8]);
    const uint32_t left = rest->size - ENTRY_FIXED_SIZE;
    if (key_size > RK_KEY_SIZE_MAX || value_size > RK_VALUE_SIZE_MAX ||
        key_size + value_size > left) {
        return false;
    }
    *ret = (struct sm_kv_entry){
        .key = {.data = from + ENTRY_FIXED_SIZE, .size = key_size},
        .value = {.data = from + ENTRY_FIXED_SIZE + key_size, .size = value_size},
        .flags = rk_le_u64(&from[12]),
        .create_index = rk_le_u64(&from[20]),
        .modify_index = rk_le_u64(&from[28]),
        .lock_index = rk_le_u64(&from[36]),
        .is_locked = (from[0] & OPTION_LOCKED) != 0,
    };
    memcpy(ret->session.bytes, &from[44], SESSION_ID_SIZE);
    *ret_has_value = (from[0] & OPTION_VALUE) != 0;
    rest->data += ENTRY_FIXED_SIZE + key_size + value_size;
    rest->size -= ENTRY_FIXED_SIZE + key_size + value_size;
    return true;
}

bool sm_txn_error_next(struct rk_bytes *rest, struct sm_txn_error *ret)
{
    if (rest->size < ERROR_SIZE || rk_le_u32(&rest->data[4]) >= SM_REASONS_COUNT) {
        return false;
    }
    ret->op = rk_le_u32(&rest->data[0]);
    ret->reason = (enum sm_reason)rk_le_u32(&rest->data[4]);
    ret->modify_index = rk_le_u64(&rest->data[8]);
    memcpy(ret->session.bytes, &rest->data[16], SESSION_ID_SIZE);
    rest->data += ERROR_SIZE;
    rest->size -= ERROR_SIZE;
    return true;
}

bool sm_kv_verb_reads(enum sm_kv_verb verb)
{
    switch (verb) {
    case SM_KV_GET:
    case SM_KV_GET_OR_EMPTY:
    case SM_KV_GET_TREE:
    case SM_KV_CHECK_INDEX:
    case SM_KV_CHECK_SESSION:
    case SM_KV_CHECK_NOT_EXISTS:
        return true;
    case SM_KV_SET:
    case SM_KV_CAS:
    case SM_KV_LOCK:
    case SM_KV_UNLOCK:
    case SM_KV_DELETE:
    case SM_KV_DELETE_TREE:
    case SM_KV_DELETE_CAS:
        break;
    }
    return false;
}
