#include <string.h>

#include "base/assert.h"
#include "statemachine/sm_internal.h"

enum { SWEEP_MAX = 256 };

/* --- held: a session's id, then a key --- */

struct held_key {
    uint8_t bytes[SESSION_ID_SIZE + RK_KEY_SIZE_MAX];
    struct rk_bytes whole;
};

static struct rk_bytes id_bytes(const struct session_id *id)
{
    return (struct rk_bytes){.data = id->bytes, .size = SESSION_ID_SIZE};
}

static struct rk_bytes held_make(struct held_key *held, const struct session_id *id,
                                 struct rk_bytes key)
{
    RK_ASSERT(key.size <= RK_KEY_SIZE_MAX);
    memcpy(held->bytes, id->bytes, SESSION_ID_SIZE);
    rk_bytes_copy(held->bytes + SESSION_ID_SIZE, key);
    held->whole = (struct rk_bytes){.data = held->bytes, .size = SESSION_ID_SIZE + key.size};
    return held->whole;
}

uint64_t sm_lock_count(const struct sm *sm, const struct session_id *id)
{
    return omap_prefix_total(sm->held.root, id_bytes(id)).count;
}

static void held_add(struct sm *sm, const struct session_id *id, struct rk_bytes key)
{
    struct held_key held;

    omap_put(&sm->held, &(struct omap_entry){.key = held_make(&held, id, key)});
}

/* The key behind a session's id in an item of `held`. */
static struct rk_bytes held_key_of(const struct omap_item *item)
{
    struct omap_entry entry;

    omap_item_read(item, &entry);
    return (struct rk_bytes){.data = entry.key.data + SESSION_ID_SIZE,
                             .size = entry.key.size - SESSION_ID_SIZE};
}

/* The first key of that session, if it has one. */
static struct omap_place held_first(const struct sm *sm, const struct session_id *id)
{
    const struct omap_cut cut = {.key = id_bytes(id), .side = OMAP_BEFORE};

    return omap_first_after(sm->held.root, cut);
}

static bool held_is_of(const struct omap_place *place, const struct session_id *id)
{
    struct omap_entry entry;

    if (place->item == NULL) {
        return false;
    }
    omap_item_read(place->item, &entry);
    return memcmp(entry.key.data, id->bytes, SESSION_ID_SIZE) == 0;
}

/* --- locks --- */

/* False: nobody holds it. *ret_index is the entry in which it was taken. */
static bool lock_holder(const struct sm *sm, struct rk_bytes key, struct session_id *ret,
                        raft_index *ret_index)
{
    const struct omap_item *item = omap_find(sm->locks.root, key);
    struct omap_entry entry;

    if (item == NULL) {
        return false;
    }
    omap_item_read(item, &entry);
    RK_ASSERT(entry.value.size == SESSION_ID_SIZE);
    memcpy(ret->bytes, entry.value.data, SESSION_ID_SIZE);
    *ret_index = entry.create_index;
    return true;
}

static bool lock_is_of(const struct sm *sm, struct rk_bytes key, const struct session_id *id)
{
    struct session_id holder;
    raft_index index = 0;

    return lock_holder(sm, key, &holder, &index) && session_id_equal(&holder, id);
}

static void lock_take(struct sm *sm, raft_index index, const struct sm_kv_op *op)
{
    omap_put(&sm->locks, &(struct omap_entry){.key = op->key,
                                              .value = id_bytes(&op->session),
                                              .create_index = index,
                                              .modify_index = index});
    held_add(sm, &op->session, op->key);
}

void sm_lock_drop(struct sm *sm, struct rk_bytes key)
{
    struct session_id holder;
    struct held_key held;
    raft_index index = 0;

    if (lock_holder(sm, key, &holder, &index)) {
        (void)omap_delete(&sm->locks, key);
        (void)omap_delete(&sm->held, held_make(&held, &holder, key));
    }
}

/* Forgets what the session does not hold any more: a deleted prefix left it behind. So the count
 * that decides is that of true locks, on every replica, whatever a snapshot left out. */
static void held_tidy(struct sm *sm, const struct session_id *id)
{
    struct omap_place at = held_first(sm, id);
    struct held_key name;

    while (held_is_of(&at, id)) {
        const struct rk_bytes key = held_key_of(at.item);
        const struct omap_cut after = {.key = held_make(&name, id, key), .side = OMAP_AFTER};
        if (!lock_is_of(sm, key, id)) {
            (void)omap_delete(&sm->held, name.whole);
        }
        at = omap_first_after(sm->held.root, after);
    }
}

static bool has_too_many(struct sm *sm, const struct session_id *id, uint32_t taken)
{
    if (sm_lock_count(sm, id) + taken < SM_SESSION_LOCKS_MAX) {
        return false;
    }
    held_tidy(sm, id);
    return sm_lock_count(sm, id) + taken >= SM_SESSION_LOCKS_MAX;
}

/* --- lock-delay --- */

static uint64_t delay_until(const struct sm *sm, struct rk_bytes key)
{
    const struct omap_item *item = omap_find(sm->delays.root, key);
    struct omap_entry entry = {.flags = 0};

    if (item != NULL) {
        omap_item_read(item, &entry);
    }
    return entry.flags;
}

static void delay_forget(struct sm *sm, struct rk_bytes key)
{
    const uint64_t until_ms = delay_until(sm, key);

    if (until_ms > 0) {
        sm_deadline_remove(
            sm, &(struct sm_deadline){.time_ms = until_ms, .kind = SM_DEADLINE_DELAY, .name = key});
        (void)omap_delete(&sm->delays, key);
    }
}

static void delay_set(struct sm *sm, raft_index index, struct rk_bytes key, uint64_t until_ms)
{
    delay_forget(sm, key);
    omap_put(&sm->delays,
             &(struct omap_entry){
                 .key = key, .flags = until_ms, .create_index = index, .modify_index = index});
    sm_deadline_add(
        sm, &(struct sm_deadline){.time_ms = until_ms, .kind = SM_DEADLINE_DELAY, .name = key});
}

void sm_lock_sweep_delays(struct sm *sm, uint64_t time_ms)
{
    for (uint32_t i = 0; i < SWEEP_MAX; i++) {
        struct sm_deadline due;
        if (!sm_deadline_first(sm, SM_DEADLINE_DELAY, &due) || due.time_ms > time_ms) {
            return;
        }
        delay_forget(sm, due.name);
    }
}

/* --- commands --- */

enum sm_reason sm_lock_check(struct sm *sm, const struct sm_place *place, const struct sm_kv_op *op,
                             const struct session_id *holder, uint32_t taken)
{
    if (!op->has_session) {
        return SM_SESSION_MISSING;
    }
    if (!sm_session_exists(sm, &op->session)) {
        return SM_SESSION_UNKNOWN;
    }
    if (holder != NULL) {
        return session_id_equal(holder, &op->session) ? SM_DONE : SM_LOCK_HELD;
    }
    if (delay_until(sm, op->key) > place->time_ms) {
        return SM_LOCK_DELAYED;
    }
    return has_too_many(sm, &op->session, taken) ? SM_TOO_MANY_LOCKS : SM_DONE;
}

static bool op_changes(const struct sm_kv_op *op, const struct omap_entry *old)
{
    return old->flags != op->flags || old->value.size != op->value.size ||
           (op->value.size > 0 && memcmp(old->value.data, op->value.data, op->value.size) != 0);
}

void sm_lock_take(struct sm *sm, const struct sm_place *place, const struct sm_kv_op *op,
                  struct sm_result *ret)
{
    const raft_index index = place->index;
    struct session_id holder;
    struct omap_entry old;
    const bool is_held = lock_holder(sm, op->key, &holder, &ret->fence);

    (void)sm_kv_find(sm, op->key, &old);
    ret->modify_index = old.modify_index;
    if (is_held && !op_changes(op, &old) && sm_ttl_of(sm, op->key) == 0) {
        return;
    }
    if (!is_held) {
        delay_forget(sm, op->key);
        lock_take(sm, index, op);
        ret->fence = index;
    }
    sm_kv_store(sm, index,
                &(struct omap_entry){.key = op->key,
                                     .value = op->value,
                                     .flags = op->flags,
                                     .lock_index = old.lock_index + (is_held ? 0 : 1)},
                &old);
    sm_ttl_set(sm, place, op->key, 0);
    ret->modify_index = index;
}

void sm_lock_give_back(struct sm *sm, const struct sm_place *place, const struct sm_kv_op *op,
                       struct sm_result *ret)
{
    struct omap_entry old;
    const bool exists = sm_kv_find(sm, op->key, &old);

    RK_ASSERT(exists); /* what is locked is there */
    sm_lock_drop(sm, op->key);
    sm_kv_store(
        sm, place->index,
        &(struct omap_entry){
            .key = op->key, .value = op->value, .flags = op->flags, .lock_index = old.lock_index},
        &old);
    sm_ttl_set(sm, place, op->key, 0);
    ret->modify_index = place->index;
}

static enum sm_reason take_check(struct sm *sm, const struct sm_place *place,
                                 const struct sm_kv_op *op)
{
    struct session_id holder;
    raft_index index = 0;
    const bool is_held = lock_holder(sm, op->key, &holder, &index);

    return sm_lock_check(sm, place, op, is_held ? &holder : NULL, 0);
}

static enum sm_reason give_back_check(const struct sm *sm, const struct sm_kv_op *op)
{
    if (!op->has_session) {
        return SM_SESSION_MISSING;
    }
    return lock_is_of(sm, op->key, &op->session) ? SM_DONE : SM_NOT_HOLDER;
}

void sm_lock_apply(struct sm *sm, const struct sm_place *place, const struct sm_kv_op *op,
                   struct sm_result *ret)
{
    struct omap_entry old;
    const bool takes = op->verb == SM_KV_LOCK;

    ret->reason = takes ? take_check(sm, place, op) : give_back_check(sm, op);
    if (ret->reason != SM_DONE) {
        (void)sm_kv_find(sm, op->key, &old);
        ret->modify_index = old.modify_index;
    } else if (takes) {
        sm_lock_take(sm, place, op, ret);
    } else {
        sm_lock_give_back(sm, place, op, ret);
    }
}

static void let_go(struct sm *sm, raft_index index, struct rk_bytes key, bool deletes_keys)
{
    struct omap_entry old;
    const bool exists = sm_kv_find(sm, key, &old);

    RK_ASSERT(exists);
    if (deletes_keys) {
        sm_kv_remove(sm, index, key);
    } else {
        (void)omap_delete(&sm->locks, key);
        sm_kv_store(sm, index, &old, &old);
    }
}

void sm_lock_drop_all(struct sm *sm, raft_index index, const struct session_id *id,
                      bool deletes_keys, uint64_t delay_until_ms)
{
    held_tidy(sm, id);
    for (struct omap_place at = held_first(sm, id); held_is_of(&at, id); at = held_first(sm, id)) {
        struct held_key name;
        const struct rk_bytes key = held_key_of(at.item);
        (void)omap_delete(&sm->held, held_make(&name, id, key));
        let_go(sm, index, key, deletes_keys);
        if (delay_until_ms > 0) {
            delay_set(sm, index, key, delay_until_ms);
        }
    }
}

void sm_lock_follow(struct sm *sm, const struct omap_entry *lock)
{
    struct session_id id;

    memcpy(id.bytes, lock->value.data, SESSION_ID_SIZE);
    held_add(sm, &id, lock->key);
}

void sm_lock_rebuild(struct sm *sm)
{
    const struct omap_cut start = {.side = OMAP_BEFORE};
    struct omap_entry entry;

    for (struct omap_place at = omap_first_after(sm->locks.root, start); at.item != NULL;
         at = omap_next(sm->locks.root, at)) {
        omap_item_read(at.item, &entry);
        sm_lock_follow(sm, &entry);
    }
}
