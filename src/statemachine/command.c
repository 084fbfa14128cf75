/* Layout, integers little-endian, nothing behind the last byte:
 *
 *   all                    put                      delete              delete prefix
 *    0 u8  type             4 u32 key_size           4 u32 key_size      4 u32 prefix_size
 *    1 u8  version (1)      8 u32 value_size         8 u64 cas           8 prefix
 *    2 u16 options         12 u64 flags             16 key
 *          bit 0: has_cas  20 u64 cas
 *                          28 [u64 ttl_ms], key, value
 *
 * ttl_ms is there in a put with a time to live, a type of its own. cas is 0 without has_cas; delete prefix has no options, nor have those below.
 *
 *   operation on a key           session: create, destroy, renew    expire
 *    4 u8  verb                   4 id, 16 bytes                     4 u32 count
 *    5 u8  options                20 record (create only:            8 u64 term
 *          bit 0: has_session,       session.c)                     16 count times: id, u64
 *          bit 1: index is not 0                                        renew_index
 *    6 u16 zero
 *    8 u32 key_size
 *   12 u32 value_size
 *   16 u64 flags
 *   24 [u64 index], [id, 16 bytes], key, value
 *
 *   expire keys: as expire, with count times: u32 key_size, u64 ttl_index, key
 *   transaction: 4 u32 count, 8 the operations, each as from 4 on above
 *   once: 4 u32 token_size, 8 fingerprint, 24 u64 window_ms, 32 token, the other command
 *   restore begin, record, end: command_restore.c
 *   feature level: 4 u32 level
 *   node set: 4 u8 status, 5 u8 name_size, 6 u16 address_size, 8 u64 term, 16 u64 id, 24 name, address
 *   node clear: 4 u8 is_gone, 5 u8 name_size, 6 u16 zero, 8 u64 term, 16 name
 */
#include "statemachine/command.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/le.h"
#include "base/limits.h"
#include "statemachine/command_restore.h"

enum {
    COMMAND_VERSION = 1,
    OPTION_HAS_CAS = 1,
    PUT_FIXED_SIZE = 28,
    DELETE_FIXED_SIZE = 16,
    DELETE_PREFIX_FIXED_SIZE = 8,
    HEAD_SIZE = 4,
    OP_FIXED_SIZE = 20,
    OP_HAS_SESSION = 1,
    OP_HAS_INDEX = 2,
    TXN_FIXED_SIZE = 8,
    ONCE_FIXED_SIZE = 32,
    EXPIRE_FIXED_SIZE = 16,
    FEATURE_LEVEL_SIZE = 8,
    EXPIRE_ITEM_SIZE = SESSION_ID_SIZE + 8,
    EXPIRE_KEY_FIXED_SIZE = 12,
    TTL_SIZE = 8,
    NODE_SET_FIXED_SIZE = 24,
    NODE_CLEAR_FIXED_SIZE = 16,
};

_Static_assert(PUT_FIXED_SIZE + TTL_SIZE + RK_KEY_SIZE_MAX + RK_VALUE_SIZE_MAX <=
                   RK_COMMAND_SIZE_MAX,
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
    RK_ASSERT(put->ttl_ms <= SM_KEY_TTL_MS_MAX);
    const bool has_ttl = put->ttl_ms > 0;
    uint8_t fixed[PUT_FIXED_SIZE + TTL_SIZE];
    put_start(fixed, has_ttl ? SM_COMMAND_KV_PUT_TTL : SM_COMMAND_KV_PUT, put->has_cas,
              put->key.size);
    rk_le_put_u32(&fixed[8], put->value.size);
    rk_le_put_u64(&fixed[12], put->flags);
    rk_le_put_u64(&fixed[20], put->has_cas ? put->cas : 0);
    rk_le_put_u64(&fixed[PUT_FIXED_SIZE], put->ttl_ms);
    rk_buf_append(buf, fixed, PUT_FIXED_SIZE + (has_ttl ? TTL_SIZE : 0));
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

static void head_encode(enum sm_command_type type, struct rk_buf *buf)
{
    const uint8_t head[HEAD_SIZE] = {(uint8_t)type, COMMAND_VERSION};

    rk_buf_append(buf, head, sizeof(head));
}

static bool is_tree(enum sm_kv_verb verb)
{
    return verb == SM_KV_GET_TREE || verb == SM_KV_DELETE_TREE;
}

void sm_kv_op_append(const struct sm_kv_op *op, struct rk_buf *buf)
{
    uint8_t index[8];
    uint8_t fixed[OP_FIXED_SIZE] = {
        (uint8_t)op->verb,
        (uint8_t)((op->has_session ? OP_HAS_SESSION : 0) | (op->index != 0 ? OP_HAS_INDEX : 0))};

    RK_ASSERT((op->key.size > 0 || is_tree(op->verb)) && op->key.size <= RK_KEY_SIZE_MAX);
    RK_ASSERT(op->value.size <= RK_VALUE_SIZE_MAX);
    rk_le_put_u32(&fixed[4], op->key.size);
    rk_le_put_u32(&fixed[8], op->value.size);
    rk_le_put_u64(&fixed[12], op->flags);
    rk_le_put_u64(index, op->index);
    rk_buf_append(buf, fixed, sizeof(fixed));
    rk_buf_append(buf, index, op->index != 0 ? sizeof(index) : 0);
    rk_buf_append(buf, op->session.bytes, op->has_session ? SESSION_ID_SIZE : 0);
    rk_buf_append(buf, op->key.data, op->key.size);
    rk_buf_append(buf, op->value.data, op->value.size);
}

static void txn_encode(const struct sm_command_txn *txn, struct rk_buf *buf)
{
    uint8_t count[4];

    RK_ASSERT(txn->count <= SM_TXN_OPS_MAX);
    rk_le_put_u32(count, txn->count);
    rk_buf_append(buf, count, sizeof(count));
    rk_buf_append(buf, txn->ops.data, txn->ops.size);
}

static void once_encode(const struct sm_command_once *once, struct rk_buf *buf)
{
    uint8_t fixed[ONCE_FIXED_SIZE - HEAD_SIZE];

    RK_ASSERT(once->token.size > 0 && once->token.size <= SM_TOKEN_SIZE_MAX);
    rk_le_put_u32(fixed, once->token.size);
    memcpy(fixed + 4, once->fingerprint, sizeof(once->fingerprint));
    rk_le_put_u64(fixed + 20, once->window_ms);
    rk_buf_append(buf, fixed, sizeof(fixed));
    rk_buf_append(buf, once->token.data, once->token.size);
    rk_buf_append(buf, once->command.data, once->command.size);
}

static void feature_level_encode(const struct sm_command_feature_level *command, struct rk_buf *buf)
{
    uint8_t bytes[FEATURE_LEVEL_SIZE - HEAD_SIZE];

    RK_ASSERT(command->level > 0);
    rk_le_put_u32(bytes, command->level);
    rk_buf_append(buf, bytes, sizeof(bytes));
}

static void expire_encode(const struct sm_command_expire *expire, struct rk_buf *buf)
{
    uint8_t bytes[EXPIRE_FIXED_SIZE - HEAD_SIZE];

    rk_le_put_u32(bytes, expire->count);
    rk_le_put_u64(bytes + 4, expire->term);
    rk_buf_append(buf, bytes, sizeof(bytes));
    rk_buf_append(buf, expire->items.data, expire->items.size);
}

void sm_expire_item_append(const struct sm_expire_item *item, struct rk_buf *buf)
{
    uint8_t renew_index[8];

    rk_le_put_u64(renew_index, item->renew_index);
    rk_buf_append(buf, item->id.bytes, SESSION_ID_SIZE);
    rk_buf_append(buf, renew_index, sizeof(renew_index));
}

struct sm_expire_item sm_expire_item_at(const struct sm_command_expire *expire, uint32_t i)
{
    struct sm_expire_item item;

    RK_ASSERT(i < expire->count);
    const uint8_t *from = expire->items.data + (size_t)i * EXPIRE_ITEM_SIZE;
    memcpy(item.id.bytes, from, SESSION_ID_SIZE);
    item.renew_index = rk_le_u64(from + SESSION_ID_SIZE);
    return item;
}

void sm_expire_key_append(const struct sm_expire_key *item, struct rk_buf *buf)
{
    uint8_t fixed[EXPIRE_KEY_FIXED_SIZE];

    RK_ASSERT(item->key.size > 0 && item->key.size <= RK_KEY_SIZE_MAX);
    rk_le_put_u32(fixed, item->key.size);
    rk_le_put_u64(fixed + 4, item->ttl_index);
    rk_buf_append(buf, fixed, sizeof(fixed));
    rk_buf_append(buf, item->key.data, item->key.size);
}

static void node_encode(enum sm_command_type type, const struct sm_command_node *node,
                        struct rk_buf *buf)
{
    const bool is_set = type == SM_COMMAND_NODE_SET;
    uint8_t fixed[NODE_SET_FIXED_SIZE - HEAD_SIZE] = {
        (uint8_t)(is_set ? (int)node->status : (int)node->is_gone), (uint8_t)node->name.size};

    RK_ASSERT(node->name.size > 0 && node->name.size <= RK_NODE_NAME_SIZE_MAX);
    RK_ASSERT(node->address.size <= RK_ADDRESS_SIZE_MAX);
    rk_le_put_u16(fixed + 2, is_set ? (uint16_t)node->address.size : 0);
    rk_le_put_u64(fixed + 4, node->term);
    rk_le_put_u64(fixed + 12, node->id);
    rk_buf_append(buf, fixed, (is_set ? NODE_SET_FIXED_SIZE : NODE_CLEAR_FIXED_SIZE) - HEAD_SIZE);
    rk_buf_append(buf, node->name.data, node->name.size);
    rk_buf_append(buf, node->address.data, is_set ? node->address.size : 0);
}

void sm_command_encode(const struct sm_command *command, struct rk_buf *buf)
{
    switch (command->type) {
    case SM_COMMAND_KV_PUT:
    case SM_COMMAND_KV_PUT_TTL:
        RK_ASSERT((command->put.ttl_ms > 0) == (command->type == SM_COMMAND_KV_PUT_TTL));
        put_encode(&command->put, buf);
        return;
    case SM_COMMAND_KV_DELETE:
        delete_encode(&command->delete, buf);
        return;
    case SM_COMMAND_KV_DELETE_PREFIX:
        delete_prefix_encode(&command->delete_prefix, buf);
        return;
    case SM_COMMAND_KV_OP:
        head_encode(command->type, buf);
        sm_kv_op_append(&command->op, buf);
        return;
    case SM_COMMAND_SESSION_CREATE:
    case SM_COMMAND_SESSION_DESTROY:
    case SM_COMMAND_SESSION_RENEW:
        head_encode(command->type, buf);
        rk_buf_append(buf, command->session.id.bytes, SESSION_ID_SIZE);
        if (command->type == SM_COMMAND_SESSION_CREATE) {
            session_record_encode(&command->session.record, buf);
        }
        return;
    case SM_COMMAND_EXPIRE:
        RK_ASSERT(command->expire.count <= SM_EXPIRE_ITEMS_MAX);
        RK_ASSERT(command->expire.items.size == command->expire.count * EXPIRE_ITEM_SIZE);
        head_encode(command->type, buf);
        expire_encode(&command->expire, buf);
        return;
    case SM_COMMAND_EXPIRE_KEYS:
        RK_ASSERT(command->expire.count <= SM_EXPIRE_KEYS_MAX);
        head_encode(command->type, buf);
        expire_encode(&command->expire, buf);
        return;
    case SM_COMMAND_TXN:
        head_encode(command->type, buf);
        txn_encode(&command->txn, buf);
        return;
    case SM_COMMAND_ONCE:
        head_encode(command->type, buf);
        once_encode(&command->once, buf);
        return;
    case SM_COMMAND_RESTORE_BEGIN:
    case SM_COMMAND_RESTORE_RECORD:
    case SM_COMMAND_RESTORE_END:
        sm_restore_command_encode(command, buf);
        return;
    case SM_COMMAND_FEATURE_LEVEL:
        head_encode(command->type, buf);
        feature_level_encode(&command->feature_level, buf);
        return;
    case SM_COMMAND_NODE_SET:
    case SM_COMMAND_NODE_CLEAR:
        head_encode(command->type, buf);
        node_encode(command->type, &command->node, buf);
        return;
    }
    RK_ASSERT(false);
}

/* --- decoding --- */

static struct rk_bytes part(struct rk_bytes bytes, uint32_t offset, uint32_t size)
{
    RK_ASSERT(offset <= bytes.size && size <= bytes.size - offset);
    return (struct rk_bytes){.data = &bytes.data[offset], .size = size};
}

static enum rk_status put_decode(struct rk_bytes bytes, uint16_t options, struct sm_command *ret)
{
    const bool has_ttl = bytes.data[0] == SM_COMMAND_KV_PUT_TTL;
    const uint32_t key_at = PUT_FIXED_SIZE + (has_ttl ? TTL_SIZE : 0);
    if (bytes.size < key_at) {
        return RK_CORRUPT;
    }
    const uint64_t ttl_ms = has_ttl ? rk_le_u64(&bytes.data[PUT_FIXED_SIZE]) : 0;
    if ((has_ttl && ttl_ms == 0) || ttl_ms > SM_KEY_TTL_MS_MAX) {
        return RK_CORRUPT;
    }
    const uint32_t key_size = rk_le_u32(&bytes.data[4]);
    const uint32_t value_size = rk_le_u32(&bytes.data[8]);
    const bool has_cas = (options & OPTION_HAS_CAS) != 0;
    const uint64_t cas = rk_le_u64(&bytes.data[20]);
    if (key_size == 0 || key_size > RK_KEY_SIZE_MAX || value_size > RK_VALUE_SIZE_MAX) {
        return RK_CORRUPT;
    }
    if (bytes.size != key_at + key_size + value_size || (!has_cas && cas != 0)) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_command){.type = (enum sm_command_type)bytes.data[0]};
    ret->put = (struct sm_command_put){
        .key = part(bytes, key_at, key_size),
        .value = part(bytes, key_at + key_size, value_size),
        .flags = rk_le_u64(&bytes.data[12]),
        .has_cas = has_cas,
        .cas = cas,
        .ttl_ms = ttl_ms,
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

/* Takes one operation off the front of `rest`. */
static enum rk_status op_decode(struct rk_bytes *rest, struct sm_kv_op *ret)
{
    if (rest->size < OP_FIXED_SIZE) {
        return RK_CORRUPT;
    }
    const uint8_t *from = rest->data;
    const enum sm_kv_verb verb = (enum sm_kv_verb)from[0];
    const bool has_session = (from[1] & OP_HAS_SESSION) != 0;
    const bool has_index = (from[1] & OP_HAS_INDEX) != 0;
    const uint32_t key_size = rk_le_u32(&from[4]);
    const uint32_t value_size = rk_le_u32(&from[8]);
    const uint32_t session_at = OP_FIXED_SIZE + (has_index ? 8 : 0);
    const uint32_t key_at = session_at + (has_session ? SESSION_ID_SIZE : 0);
    if (from[0] < SM_KV_SET || from[0] > SM_KV_DELETE_CAS ||
        from[1] > (OP_HAS_SESSION | OP_HAS_INDEX) || rk_le_u16(&from[2]) != 0 ||
        (key_size == 0 && !is_tree(verb)) || key_size > RK_KEY_SIZE_MAX ||
        value_size > RK_VALUE_SIZE_MAX || rest->size < key_at ||
        rest->size - key_at < key_size + value_size) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_kv_op){
        .verb = verb,
        .key = part(*rest, key_at, key_size),
        .value = part(*rest, key_at + key_size, value_size),
        .flags = rk_le_u64(&from[12]),
        .has_session = has_session,
    };
    if (has_index) {
        ret->index = rk_le_u64(&from[OP_FIXED_SIZE]);
    }
    if (has_session) {
        memcpy(ret->session.bytes, &from[session_at], SESSION_ID_SIZE);
    }
    if (has_index && ret->index == 0) {
        return RK_CORRUPT;
    }
    *rest =
        part(*rest, key_at + key_size + value_size, rest->size - key_at - key_size - value_size);
    return RK_OK;
}

static enum rk_status kv_op_decode(struct rk_bytes bytes, struct sm_command *ret)
{
    struct rk_bytes rest = part(bytes, HEAD_SIZE, bytes.size - HEAD_SIZE);
    struct sm_kv_op op;

    if (op_decode(&rest, &op) != RK_OK || rest.size > 0 ||
        (op.verb != SM_KV_LOCK && op.verb != SM_KV_UNLOCK)) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_command){.type = SM_COMMAND_KV_OP};
    ret->op = op;
    return RK_OK;
}

bool sm_kv_op_next(struct rk_bytes *rest, struct sm_kv_op *ret)
{
    if (rest->size == 0) {
        return false;
    }
    const enum rk_status status = op_decode(rest, ret);
    RK_ASSERT(status == RK_OK); /* looked at when the command was decoded */
    return true;
}

static enum rk_status txn_decode(struct rk_bytes bytes, struct sm_command *ret)
{
    struct rk_bytes rest = part(bytes, TXN_FIXED_SIZE, bytes.size - TXN_FIXED_SIZE);
    const struct rk_bytes ops = rest;
    const uint32_t count = rk_le_u32(&bytes.data[HEAD_SIZE]);
    struct sm_kv_op op;
    uint32_t trees = 0;

    if (count > SM_TXN_OPS_MAX) {
        return RK_CORRUPT;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (op_decode(&rest, &op) != RK_OK) {
            return RK_CORRUPT;
        }
        trees += is_tree(op.verb) ? 1 : 0;
    }
    if (rest.size > 0 || trees > SM_TXN_TREES_MAX) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_command){.type = SM_COMMAND_TXN};
    ret->txn = (struct sm_command_txn){.count = count, .ops = ops};
    return RK_OK;
}

static enum rk_status session_decode(struct rk_bytes bytes, struct sm_command *ret)
{
    const enum sm_command_type type = (enum sm_command_type)bytes.data[0];
    const uint32_t size = HEAD_SIZE + SESSION_ID_SIZE;
    struct session_record record = {.behavior = SESSION_RELEASE};

    if (bytes.size < size || (type != SM_COMMAND_SESSION_CREATE && bytes.size != size)) {
        return RK_CORRUPT;
    }
    if (type == SM_COMMAND_SESSION_CREATE &&
        session_record_decode(part(bytes, size, bytes.size - size), &record) != RK_OK) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_command){.type = type};
    memcpy(ret->session.id.bytes, &bytes.data[HEAD_SIZE], SESSION_ID_SIZE);
    ret->session.record = record;
    return RK_OK;
}

static enum rk_status expire_decode(struct rk_bytes bytes, struct sm_command *ret)
{
    if (bytes.size < EXPIRE_FIXED_SIZE || rk_le_u32(&bytes.data[4]) > SM_EXPIRE_ITEMS_MAX ||
        bytes.size != EXPIRE_FIXED_SIZE + rk_le_u32(&bytes.data[4]) * EXPIRE_ITEM_SIZE) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_command){.type = SM_COMMAND_EXPIRE};
    ret->expire.count = rk_le_u32(&bytes.data[4]);
    ret->expire.term = rk_le_u64(&bytes.data[8]);
    ret->expire.items = part(bytes, EXPIRE_FIXED_SIZE, bytes.size - EXPIRE_FIXED_SIZE);
    return RK_OK;
}

static enum rk_status feature_level_decode(struct rk_bytes bytes, struct sm_command *ret)
{
    if (bytes.size != FEATURE_LEVEL_SIZE || rk_le_u32(&bytes.data[HEAD_SIZE]) == 0) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_command){.type = SM_COMMAND_FEATURE_LEVEL};
    ret->feature_level.level = rk_le_u32(&bytes.data[HEAD_SIZE]);
    return RK_OK;
}

/* Takes one key off the front of `rest`. */
static enum rk_status expire_key_decode(struct rk_bytes *rest, struct sm_expire_key *ret)
{
    if (rest->size < EXPIRE_KEY_FIXED_SIZE) {
        return RK_CORRUPT;
    }
    const uint32_t key_size = rk_le_u32(rest->data);
    if (key_size == 0 || key_size > RK_KEY_SIZE_MAX ||
        rest->size - EXPIRE_KEY_FIXED_SIZE < key_size) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_expire_key){.key = part(*rest, EXPIRE_KEY_FIXED_SIZE, key_size),
                                  .ttl_index = rk_le_u64(rest->data + 4)};
    *rest = part(*rest, EXPIRE_KEY_FIXED_SIZE + key_size,
                 rest->size - EXPIRE_KEY_FIXED_SIZE - key_size);
    return RK_OK;
}

bool sm_expire_key_next(struct rk_bytes *rest, struct sm_expire_key *ret)
{
    if (rest->size == 0) {
        return false;
    }
    const enum rk_status status = expire_key_decode(rest, ret);
    RK_ASSERT(status == RK_OK); /* looked at when the command was decoded */
    return true;
}

static enum rk_status expire_keys_decode(struct rk_bytes bytes, struct sm_command *ret)
{
    struct sm_command_expire expire = {.count = 0};
    struct sm_expire_key item;

    if (bytes.size < EXPIRE_FIXED_SIZE || rk_le_u32(&bytes.data[4]) > SM_EXPIRE_KEYS_MAX) {
        return RK_CORRUPT;
    }
    expire.term = rk_le_u64(&bytes.data[8]);
    expire.items = part(bytes, EXPIRE_FIXED_SIZE, bytes.size - EXPIRE_FIXED_SIZE);
    struct rk_bytes rest = expire.items;
    for (; expire.count < rk_le_u32(&bytes.data[4]); expire.count++) {
        if (expire_key_decode(&rest, &item) != RK_OK) {
            return RK_CORRUPT;
        }
    }
    if (rest.size > 0) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_command){.type = SM_COMMAND_EXPIRE_KEYS, .expire = expire};
    return RK_OK;
}

static bool status_is_legal(uint8_t status)
{
    return status == SM_CHECK_PASSING || status == SM_CHECK_CRITICAL;
}

static enum rk_status node_decode(struct rk_bytes bytes, struct sm_command *ret)
{
    const enum sm_command_type type = (enum sm_command_type)bytes.data[0];
    const bool is_set = type == SM_COMMAND_NODE_SET;
    const uint32_t at = is_set ? NODE_SET_FIXED_SIZE : NODE_CLEAR_FIXED_SIZE;
    const uint32_t name_size = bytes.data[5];
    const uint32_t address_size = rk_le_u16(&bytes.data[6]);

    if (bytes.size != at + name_size + address_size || name_size == 0 ||
        name_size > RK_NODE_NAME_SIZE_MAX || address_size > (is_set ? RK_ADDRESS_SIZE_MAX : 0) ||
        !(is_set ? status_is_legal(bytes.data[4]) : bytes.data[4] <= 1)) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_command){.type = type};
    ret->node.term = rk_le_u64(&bytes.data[8]);
    ret->node.name = part(bytes, at, name_size);
    if (is_set) {
        ret->node.status = (enum sm_check_status)bytes.data[4];
        ret->node.id = rk_le_u64(&bytes.data[16]);
        ret->node.address = part(bytes, at + name_size, address_size);
    } else {
        ret->node.is_gone = bytes.data[4] == 1;
    }
    return RK_OK;
}

static bool may_be_inside(struct rk_bytes bytes)
{
    return bytes.size > 0 && bytes.data[0] != SM_COMMAND_ONCE &&
           bytes.data[0] != SM_COMMAND_EXPIRE && bytes.data[0] != SM_COMMAND_EXPIRE_KEYS &&
           bytes.data[0] != SM_COMMAND_FEATURE_LEVEL && bytes.data[0] != SM_COMMAND_NODE_SET &&
           bytes.data[0] != SM_COMMAND_NODE_CLEAR &&
           (bytes.data[0] < SM_COMMAND_RESTORE_BEGIN || bytes.data[0] > SM_COMMAND_RESTORE_END);
}

static enum rk_status once_decode(struct rk_bytes bytes, struct sm_command *ret)
{
    struct sm_command inner;

    if (bytes.size < ONCE_FIXED_SIZE) {
        return RK_CORRUPT;
    }
    const uint32_t token_size = rk_le_u32(&bytes.data[HEAD_SIZE]);
    const uint64_t window_ms = rk_le_u64(&bytes.data[24]);
    if (token_size == 0 || token_size > SM_TOKEN_SIZE_MAX ||
        token_size > bytes.size - ONCE_FIXED_SIZE || window_ms == 0 ||
        window_ms > SM_ONCE_WINDOW_MS_MAX) {
        return RK_CORRUPT;
    }
    const uint32_t at = ONCE_FIXED_SIZE + token_size;
    const struct rk_bytes command = part(bytes, at, bytes.size - at);
    if (!may_be_inside(command) || sm_command_decode(command, &inner) != RK_OK) {
        return RK_CORRUPT;
    }
    *ret = (struct sm_command){.type = SM_COMMAND_ONCE};
    ret->once = (struct sm_command_once){.token = part(bytes, ONCE_FIXED_SIZE, token_size),
                                         .window_ms = window_ms,
                                         .command = command};
    memcpy(ret->once.fingerprint, &bytes.data[8], sizeof(ret->once.fingerprint));
    return RK_OK;
}

/* The commands without options. */
static enum rk_status plain_decode(struct rk_bytes bytes, struct sm_command *ret)
{
    switch (bytes.data[0]) {
    case SM_COMMAND_KV_OP:
        return kv_op_decode(bytes, ret);
    case SM_COMMAND_SESSION_CREATE:
    case SM_COMMAND_SESSION_DESTROY:
    case SM_COMMAND_SESSION_RENEW:
        return session_decode(bytes, ret);
    case SM_COMMAND_EXPIRE:
        return expire_decode(bytes, ret);
    case SM_COMMAND_EXPIRE_KEYS:
        return expire_keys_decode(bytes, ret);
    case SM_COMMAND_TXN:
        return txn_decode(bytes, ret);
    case SM_COMMAND_ONCE:
        return once_decode(bytes, ret);
    case SM_COMMAND_RESTORE_BEGIN:
    case SM_COMMAND_RESTORE_RECORD:
    case SM_COMMAND_RESTORE_END:
        return sm_restore_command_decode(bytes, ret);
    case SM_COMMAND_FEATURE_LEVEL:
        return feature_level_decode(bytes, ret);
    case SM_COMMAND_NODE_SET:
    case SM_COMMAND_NODE_CLEAR:
        return node_decode(bytes, ret);
    default:
        return RK_CORRUPT;
    }
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
    case SM_COMMAND_KV_PUT_TTL:
        return put_decode(bytes, options, ret);
    case SM_COMMAND_KV_DELETE:
        return delete_decode(bytes, options, ret);
    case SM_COMMAND_KV_DELETE_PREFIX:
        return delete_prefix_decode(bytes, options, ret);
    default:
        return options == 0 ? plain_decode(bytes, ret) : RK_CORRUPT;
    }
}
