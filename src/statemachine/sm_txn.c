#include <string.h>

#include "base/assert.h"
#include "statemachine/txn_internal.h"

static void entry_yield(const struct sm_root *root, struct rk_bytes key, bool has_value,
                        struct rk_buf *body)
{
    struct sm_kv_entry entry = {.key = key};

    (void)sm_kv_get(root, key, &entry);
    sm_txn_entry_append(&entry, has_value, body);
}

static void tree_yield(const struct sm_root *root, struct rk_bytes prefix, struct rk_buf *body)
{
    struct sm_kv_cursor cursor;
    struct sm_kv_entry entry;

    sm_kv_cursor_init(&cursor, root, prefix);
    while (sm_kv_cursor_next(&cursor, &entry)) {
        sm_txn_entry_append(&entry, true, body);
    }
}

static void op_yield(const struct sm_root *root, const struct sm_kv_op *op, struct rk_buf *body)
{
    switch (op->verb) {
    case SM_KV_SET:
    case SM_KV_CAS:
    case SM_KV_LOCK:
    case SM_KV_UNLOCK:
    case SM_KV_CHECK_INDEX:
    case SM_KV_CHECK_SESSION:
        entry_yield(root, op->key, false, body);
        break;
    case SM_KV_GET:
    case SM_KV_GET_OR_EMPTY:
        entry_yield(root, op->key, true, body);
        break;
    case SM_KV_GET_TREE:
        tree_yield(root, op->key, body);
        break;
    case SM_KV_CHECK_NOT_EXISTS:
    case SM_KV_DELETE:
    case SM_KV_DELETE_TREE:
    case SM_KV_DELETE_CAS:
        break;
    }
}

static void op_do(struct sm *sm, const struct sm_place *place, const struct sm_kv_op *op)
{
    const raft_index index = place->index;
    const struct sm_command_put put = {.key = op->key, .value = op->value, .flags = op->flags};
    const struct sm_command_delete gone = {.key = op->key};
    struct sm_result result = {.reason = SM_DONE};

    switch (op->verb) {
    case SM_KV_SET:
    case SM_KV_CAS:
        sm_kv_apply_put(sm, place, &put, &result);
        break;
    case SM_KV_LOCK:
        sm_lock_take(sm, place, op, &result);
        break;
    case SM_KV_UNLOCK:
        sm_lock_give_back(sm, place, op, &result);
        break;
    case SM_KV_DELETE:
    case SM_KV_DELETE_CAS:
        sm_kv_apply_delete(sm, index, &gone, &result);
        break;
    case SM_KV_DELETE_TREE:
        sm_kv_apply_delete_prefix(sm, index, &(struct sm_command_delete_prefix){.prefix = op->key});
        break;
    case SM_KV_GET:
    case SM_KV_GET_OR_EMPTY:
    case SM_KV_GET_TREE:
    case SM_KV_CHECK_INDEX:
    case SM_KV_CHECK_SESSION:
    case SM_KV_CHECK_NOT_EXISTS:
        break;
    }
    RK_ASSERT(result.reason == SM_DONE);
}

void sm_txn_apply(struct sm *sm, const struct sm_place *place, const struct sm_command_txn *txn,
                  struct sm_result *ret)
{
    struct sm_root root = sm_view(sm);
    struct rk_bytes rest = txn->ops;
    struct sm_kv_op op;

    if (!sm_txn_check(&root, sm, place, txn, &ret->body)) {
        ret->reason = SM_ROLLED_BACK;
        return;
    }
    while (sm_kv_op_next(&rest, &op)) {
        op_do(sm, place, &op);
        root = sm_view(sm);
        op_yield(&root, &op, &ret->body);
    }
    RK_ASSERT(!ret->body.overflowed);
}

void sm_txn_read(const struct sm_root *root, const struct sm_command_txn *txn,
                 struct sm_result *ret)
{
    const struct sm_place place = {.index = root->last_applied, .time_ms = root->time_ms};
    struct rk_bytes rest = txn->ops;
    struct sm_kv_op op;

    if (!sm_txn_check(root, NULL, &place, txn, &ret->body)) {
        ret->reason = SM_ROLLED_BACK;
        ret->accepted = false;
        return;
    }
    while (sm_kv_op_next(&rest, &op)) {
        RK_ASSERT(sm_kv_verb_reads(op.verb));
        op_yield(root, &op, &ret->body);
    }
    RK_ASSERT(!ret->body.overflowed);
}
