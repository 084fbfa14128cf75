/* txn_check.c -- what each operation of a transaction would find: the state, and before it, in an
 * overlay, what the operations before it would have made of it. Nothing is changed here. */
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"
#include "statemachine/txn_internal.h"

/* A key as an operation finds it. */
struct key_state {
    bool exists;
    bool is_held;
    bool has_ttl;
    struct session_id holder;
    raft_index modify_index;
    uint64_t flags;
    struct rk_bytes value; /* lent by the state or the command */
};

struct check {
    const struct sm_root *root;
    struct sm *sm;
    const struct sm_place *place;
    struct omap_heap heap;
    struct omap overlay;      /* a key: its struct key_state */
    struct rk_bytes *deleted; /* prefixes that were deleted before */
    uint32_t deleted_count;
    uint32_t locks_taken;
    uint64_t set_cost; /* of what was set before: a tree that is read may hold it */
    uint64_t cost;     /* of the answer so far */
    uint64_t cost_max;
};

static bool begins_with(struct rk_bytes key, struct rk_bytes prefix)
{
    return key.size >= prefix.size &&
           (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

static bool is_deleted(const struct check *check, struct rk_bytes key)
{
    for (uint32_t i = 0; i < check->deleted_count; i++) {
        if (begins_with(key, check->deleted[i])) {
            return true;
        }
    }
    return false;
}

static struct key_state state_of(const struct check *check, struct rk_bytes key)
{
    const struct omap_item *item = omap_find(check->overlay.root, key);
    struct key_state state = {.exists = false};
    struct sm_kv_entry entry;
    struct omap_entry made;

    if (item != NULL) {
        omap_item_read(item, &made);
        RK_ASSERT(made.value.size == sizeof(state));
        memcpy(&state, made.value.data, sizeof(state));
    } else if (!is_deleted(check, key) && sm_kv_get(check->root, key, &entry)) {
        state = (struct key_state){
            .exists = true,
            .is_held = entry.is_locked,
            .has_ttl = entry.ttl_ms > 0,
            .holder = entry.session,
            .modify_index = entry.modify_index,
            .flags = entry.flags,
            .value = entry.value,
        };
    }
    return state;
}

static void state_set(struct check *check, struct rk_bytes key, const struct key_state *state)
{
    const struct rk_bytes value = {.data = (const uint8_t *)state, .size = sizeof(*state)};

    omap_put(&check->overlay, &(struct omap_entry){.key = key, .value = value});
}

/* The operation stores its value and flags, and the key stays; nothing changes if they are there,
 * unless the lock does, or the key was to end by itself. */
static void state_write(struct check *check, const struct sm_kv_op *op,
                        const struct key_state *before, bool changes_lock)
{
    struct key_state after = *before;
    const bool is_same =
        before->exists && !before->has_ttl && before->flags == op->flags &&
        before->value.size == op->value.size &&
        (op->value.size == 0 || memcmp(before->value.data, op->value.data, op->value.size) == 0);

    after.exists = true;
    after.has_ttl = false;
    after.value = op->value;
    after.flags = op->flags;
    after.modify_index = is_same && !changes_lock ? before->modify_index : check->place->index;
    after.is_held = op->verb == SM_KV_LOCK || (op->verb != SM_KV_UNLOCK && before->is_held);
    if (op->verb == SM_KV_LOCK) {
        after.holder = op->session;
    }
    state_set(check, op->key, &after);
    check->set_cost += sm_txn_cost(op->key.size, op->value.size);
}

static enum sm_reason cas_check(struct check *check, const struct sm_kv_op *op,
                                const struct key_state *state)
{
    if (op->index == 0 ? state->exists : !state->exists || state->modify_index != op->index) {
        return SM_STALE_INDEX;
    }
    state_write(check, op, state, false);
    return SM_DONE;
}

static enum sm_reason lock_check(struct check *check, const struct sm_kv_op *op,
                                 const struct key_state *state)
{
    const bool is_own = state->is_held && session_id_equal(&state->holder, &op->session);
    const enum sm_reason reason = sm_lock_check(
        check->sm, check->place, op, state->is_held ? &state->holder : NULL, check->locks_taken);

    if (reason == SM_DONE) {
        check->locks_taken += is_own ? 0 : 1;
        state_write(check, op, state, !is_own);
    }
    return reason;
}

static enum sm_reason unlock_check(struct check *check, const struct sm_kv_op *op,
                                   const struct key_state *state)
{
    if (!op->has_session) {
        return SM_SESSION_MISSING;
    }
    if (!state->exists || !state->is_held || !session_id_equal(&state->holder, &op->session)) {
        return SM_NOT_HOLDER;
    }
    state_write(check, op, state, true);
    return SM_DONE;
}

static enum sm_reason session_check(const struct sm_kv_op *op, const struct key_state *state,
                                    struct sm_txn_error *error)
{
    if (!state->exists) {
        return SM_KEY_MISSING;
    }
    if (state->is_held) {
        error->session = state->holder;
    }
    const bool is_as_said = op->has_session
                                ? state->is_held && session_id_equal(&state->holder, &op->session)
                                : !state->is_held;
    return is_as_said ? SM_DONE : SM_SESSION_DIFFERS;
}

static enum sm_reason delete_check(struct check *check, const struct sm_kv_op *op,
                                   const struct key_state *state)
{
    const struct key_state gone = {.exists = false};

    if (op->verb == SM_KV_DELETE_CAS && state->exists && state->modify_index != op->index) {
        return SM_STALE_INDEX;
    }
    state_set(check, op->key, &gone);
    return SM_DONE;
}

/* Bounded by what an answer may cost: the walk stops past it. */
static enum sm_reason tree_check(struct check *check, const struct sm_kv_op *op)
{
    struct sm_kv_cursor cursor;
    struct sm_kv_entry entry;

    check->cost += check->set_cost;
    sm_kv_cursor_init(&cursor, check->root, op->key);
    while (check->cost <= check->cost_max && sm_kv_cursor_next(&cursor, &entry)) {
        check->cost += sm_txn_cost(entry.key.size, entry.value.size);
    }
    return SM_DONE;
}

static enum sm_reason tree_delete_check(struct check *check, const struct sm_kv_op *op)
{
    (void)omap_delete_prefix(&check->overlay, op->key);
    check->deleted[check->deleted_count++] = op->key;
    return SM_DONE;
}

static enum sm_reason op_check(struct check *check, const struct sm_kv_op *op,
                               struct sm_txn_error *error)
{
    const struct key_state state = state_of(check, op->key);

    switch (op->verb) {
    case SM_KV_SET:
        state_write(check, op, &state, false);
        return SM_DONE;
    case SM_KV_CAS:
        return cas_check(check, op, &state);
    case SM_KV_LOCK:
        return lock_check(check, op, &state);
    case SM_KV_UNLOCK:
        return unlock_check(check, op, &state);
    case SM_KV_GET:
        return state.exists ? SM_DONE : SM_KEY_MISSING;
    case SM_KV_GET_OR_EMPTY:
        return SM_DONE;
    case SM_KV_GET_TREE:
        return tree_check(check, op);
    case SM_KV_CHECK_INDEX:
        error->modify_index = state.modify_index;
        return !state.exists                     ? SM_KEY_MISSING
               : state.modify_index != op->index ? SM_INDEX_DIFFERS
                                                 : SM_DONE;
    case SM_KV_CHECK_SESSION:
        return session_check(op, &state, error);
    case SM_KV_CHECK_NOT_EXISTS:
        return state.exists ? SM_KEY_EXISTS : SM_DONE;
    case SM_KV_DELETE:
    case SM_KV_DELETE_CAS:
        return delete_check(check, op, &state);
    case SM_KV_DELETE_TREE:
        return tree_delete_check(check, op);
    }
    return SM_DONE;
}

static uint32_t value_size_now(const struct check *check, const struct sm_kv_op *op)
{
    const bool yields_value = op->verb == SM_KV_GET || op->verb == SM_KV_GET_OR_EMPTY;

    return yields_value ? state_of(check, op->key).value.size : 0;
}

static enum sm_reason op_check_cost(struct check *check, const struct sm_kv_op *op,
                                    struct sm_txn_error *error)
{
    const enum sm_reason reason = op_check(check, op, error);

    check->cost += sm_txn_cost(op->key.size, value_size_now(check, op));
    return reason == SM_DONE && check->cost > check->cost_max ? SM_RESULT_TOO_LARGE : reason;
}

bool sm_txn_check(const struct sm_root *root, struct sm *sm, const struct sm_place *place,
                  const struct sm_command_txn *txn, struct rk_buf *errors)
{
    struct check check = {.root = root, .sm = sm, .place = place};
    struct rk_bytes rest = txn->ops;
    struct sm_kv_op op;
    bool is_good = true;

    check.cost_max = sm != NULL ? sm->answer_cost_max : SM_TXN_COST_MAX;
    omap_heap_init(&check.heap, 1);
    omap_init(&check.overlay, &check.heap);
    check.deleted = rk_heap_zalloc(SM_TXN_TREES_MAX, sizeof(check.deleted[0]));
    for (uint32_t i = 0; sm_kv_op_next(&rest, &op); i++) {
        struct sm_txn_error error = {.op = i};
        error.reason = op_check_cost(&check, &op, &error);
        if (error.reason != SM_DONE) {
            sm_txn_error_append(&error, errors);
            is_good = false;
        }
    }
    rk_heap_free(check.deleted);
    omap_clear(&check.overlay);
    omap_heap_done(&check.heap);
    return is_good;
}
