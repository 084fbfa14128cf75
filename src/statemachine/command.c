/* Layout, integers little-endian, nothing behind the last byte:
 *
 *   all                    put                      delete              delete prefix
 *    0 u8  type             4 u32 key_size           4 u32 key_size      4 u32 prefix_size
 *    1 u8  version (1)      8 u32 value_size         8 u64 cas           8 prefix
 *    2 u16 options         12 u64 flags             16 key
 *          bit 0: has_cas  20 u64 cas
 *                          28 key, value
 *
 * cas is 0 without has_cas; delete prefix has no options.
 */
#include "statemachine/command.h"

#include <stddef.h>

#include "base/assert.h"
#include "base/le.h"
#include "base/limits.h"

enum {
    COMMAND_VERSION = 1,
    OPTION_HAS_CAS = 1,
    PUT_FIXED_SIZE = 28,
    DELETE_FIXED_SIZE = 16,
    DELETE_PREFIX_FIXED_SIZE = 8,
};

_Static_assert(PUT_FIXED_SIZE + RK_KEY_SIZE_MAX + RK_VALUE_SIZE_MAX <= RK_COMMAND_SIZE_MAX,
               "the largest put is a legal command");

static void put_start(uint8_t *bytes, enum sm_command_type type, bool has_cas, uint32_t size)
{
    bytes[0] = (uint8_t)type;
    bytes[1] = COMMAND_VERSION;
    rk_le_put_u16(&bytes[2], has_cas ? OPTION_HAS_CAS : 0);
    rk_le_put_u32(&bytes[4], size);
}

static void put_encode(const struct sm_command_put *put, struct rk_buf *buf)
{
    RK_ASSERT(put->key.size > 0 && put->key.size <= RK_KEY_SIZE_MAX);
    RK_ASSERT(put->value.size <= RK_VALUE_SIZE_MAX);
    uint8_t fixed[PUT_FIXED_SIZE];
    put_start(fixed, SM_COMMAND_KV_PUT, put->has_cas, put->key.size);
    rk_le_put_u32(&fixed[8], put->value.size);
    rk_le_put_u64(&fixed[12], put->flags);
    rk_le_put_u64(&fixed[20], put->has_cas ? put->cas : 0);
    rk_buf_append(buf, fixed, sizeof(fixed));
    rk_buf_append(buf, put->key.data, put->key.size);
    rk_buf_append(buf, put->value.data, put->value.size);
}

static void delete_encode(const struct sm_command_delete *command, struct rk_buf *buf)
{
    RK_ASSERT(command->key.size > 0 && command->key.size <= RK_KEY_SIZE_MAX);
    uint8_t fixed[DELETE_FIXED_SIZE];
    put_start(fixed, SM_COMMAND_KV_DELETE, command->has_cas, command->key.size);
    rk_le_put_u64(&fixed[8], command->has_cas ? command->cas : 0);
    rk_buf_append(buf, fixed, sizeof(fixed));
    rk_buf_append(buf, command->key.data, command->key.size);
}

static void delete_prefix_encode(const struct sm_command_delete_prefix *command, struct rk_buf *buf)
{
    RK_ASSERT(command->prefix.size <= RK_KEY_SIZE_MAX);
    uint8_t fixed[DELETE_PREFIX_FIXED_SIZE];
    put_start(fixed, SM_COMMAND_KV_DELETE_PREFIX, false, command->prefix.size);
    rk_buf_append(buf, fixed, sizeof(fixed));
    rk_buf_append(buf, command->prefix.data, command->prefix.size);
}

void sm_command_encode(const struct sm_command *command, struct rk_buf *buf)
{
    RK_ASSERT(command->type >= SM_COMMAND_KV_PUT && command->type <= SM_COMMAND_KV_DELETE_PREFIX);
    switch (command->type) {
    case SM_COMMAND_KV_PUT:
        put_encode(&command->put, buf);
        return;
    case SM_COMMAND_KV_DELETE:
        delete_encode(&command->delete, buf);
        return;
    case SM_COMMAND_KV_DELETE_PREFIX:
        delete_prefix_encode(&command->delete_prefix, buf);
        return;
    }
}

/* --- decoding --- */

static struct rk_bytes part(struct rk_bytes bytes, uint32_t offset, uint32_t size)
{
    RK_ASSERT(offset <= bytes.size && size <= bytes.size - offset);
    return (struct rk_bytes){.data = &bytes.data[offset], .size = size};
}

static enum rk_status put_decode(struct rk_bytes bytes, uint16_t options, struct sm_command *ret)
{
    if (bytes.size < PUT_FIXED_SIZE) {
        return RK_CORRUPT;
    }
    const uint32_t key_size = rk_le_u32(&bytes.data[4]);
    const uint32_t value_size = rk_le_u32(&bytes.data[8]);
    const bool has_cas = (options & OPTION_HAS_CAS) != 0;
    const uint64_t cas = rk_le_u64(&bytes.data[20]);
    if (key_size == 0 || key_size > RK_KEY_SIZE_MAX || value_size > RK_VALUE_SIZE_MAX) {
        return RK_CORRUPT;
    }
    if (bytes.size != PUT_FIXED_SIZE + key_size + value_size || (!has_cas && cas != 0)) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_command){.type = SM_COMMAND_KV_PUT};
    ret->put = (struct sm_command_put){
        .key = part(bytes, PUT_FIXED_SIZE, key_size),
        .value = part(bytes, PUT_FIXED_SIZE + key_size, value_size),
        .flags = rk_le_u64(&bytes.data[12]),
        .has_cas = has_cas,
        .cas = cas,
    };
    return RK_OK;
}

static enum rk_status delete_decode(struct rk_bytes bytes, uint16_t options, struct sm_command *ret)
{
    if (bytes.size < DELETE_FIXED_SIZE) {
        return RK_CORRUPT;
    }
    const uint32_t key_size = rk_le_u32(&bytes.data[4]);
    const bool has_cas = (options & OPTION_HAS_CAS) != 0;
    const uint64_t cas = rk_le_u64(&bytes.data[8]);
    if (key_size == 0 || key_size > RK_KEY_SIZE_MAX || (!has_cas && cas != 0)) {
        return RK_CORRUPT;
    }
    if (bytes.size != DELETE_FIXED_SIZE + key_size) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_command){.type = SM_COMMAND_KV_DELETE};
    ret->delete = (struct sm_command_delete){
        .key = part(bytes, DELETE_FIXED_SIZE, key_size), .has_cas = has_cas, .cas = cas};
    return RK_OK;
}

static enum rk_status delete_prefix_decode(struct rk_bytes bytes, uint16_t options,
                                           struct sm_command *ret)
{
    const uint32_t prefix_size = rk_le_u32(&bytes.data[4]);
    if (options != 0 || prefix_size > RK_KEY_SIZE_MAX) {
        return RK_CORRUPT;
    }
    if (bytes.size != DELETE_PREFIX_FIXED_SIZE + prefix_size) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_command){.type = SM_COMMAND_KV_DELETE_PREFIX};
    ret->delete_prefix.prefix = part(bytes, DELETE_PREFIX_FIXED_SIZE, prefix_size);
    return RK_OK;
}

enum rk_status sm_command_decode(struct rk_bytes bytes, struct sm_command *ret)
{
    if (bytes.size < DELETE_PREFIX_FIXED_SIZE || bytes.data[1] != COMMAND_VERSION) {
        return RK_CORRUPT;
    }
    const uint16_t options = rk_le_u16(&bytes.data[2]);
    if ((options & ~OPTION_HAS_CAS) != 0) {
        return RK_CORRUPT;
    }
    switch (bytes.data[0]) {
    case SM_COMMAND_KV_PUT:
        return put_decode(bytes, options, ret);
    case SM_COMMAND_KV_DELETE:
        return delete_decode(bytes, options, ret);
    case SM_COMMAND_KV_DELETE_PREFIX:
        return delete_prefix_decode(bytes, options, ret);
    default:
        return RK_CORRUPT;
    }
}
