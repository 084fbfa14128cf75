#include <string.h>

#include "base/assert.h"
#include "statemachine/sm_internal.h"

bool sm_kv_find(const struct sm *sm, struct rk_bytes key, struct omap_entry *ret)
{
    const struct omap_item *item = omap_find(sm->kv.root, key);

    *ret = (struct omap_entry){.key = key};
    if (item == NULL) {
        return false;
    }
    omap_item_read(item, ret);
    RK_ASSERT(ret->create_index > 0);
    return true;
}

void sm_kv_store(struct sm *sm, raft_index index, const struct omap_entry *changed,
                 const struct omap_entry *old)
{
    const bool is_new = old->create_index == 0;
    struct omap_entry entry = *changed;

    entry.create_index = is_new ? index : old->create_index;
    entry.modify_index = index;
    omap_put(&sm->kv, &entry);
    sm_tell_set(sm, &entry);
    if (is_new) {
        sm_tombstones_forget_key(&sm->tombstones, changed->key);
    }
    sm->kv_index = index;
}

void sm_kv_remove(struct sm *sm, raft_index index, struct rk_bytes key)
{
    const bool was_there = omap_delete(&sm->kv, key);

    RK_ASSERT(was_there);
    sm_tell_removed(sm, index, key);
    sm_lock_drop(sm, key);
    sm_ttl_set(sm, NULL, key, 0);
    sm_tombstones_add_key(&sm->tombstones, key, index);
    sm->kv_index = index;
}

/* A compare-and-set with 0 is for a key that is not there. */
static bool put_cas_holds(const struct sm_command_put *put, const struct omap_entry *old)
{
    return !put->has_cas || old->modify_index == put->cas;
}

static bool put_changes(const struct sm_command_put *put, const struct omap_entry *old)
{
    if (old->create_index == 0 || old->flags != put->flags || old->value.size != put->value.size) {
        return true;
    }
    return put->value.size > 0 && memcmp(old->value.data, put->value.data, put->value.size) != 0;
}

void sm_kv_apply_put(struct sm *sm, const struct sm_place *place, const struct sm_command_put *put,
                     struct sm_result *ret)
{
    struct omap_entry old;

    (void)sm_kv_find(sm, put->key, &old);
    ret->modify_index = old.modify_index;
    if (!put_cas_holds(put, &old)) {
        ret->reason = SM_STALE_INDEX;
        return;
    }
    if (put_changes(put, &old) || sm_ttl_of(sm, put->key) != put->ttl_ms) {
        sm_kv_store(sm, place->index,
                    &(struct omap_entry){.key = put->key,
                                         .value = put->value,
                                         .flags = put->flags,
                                         .lock_index = old.lock_index},
                    &old);
        ret->modify_index = place->index;
    }
    sm_ttl_set(sm, place, put->key, put->ttl_ms);
}

void sm_kv_apply_delete(struct sm *sm, raft_index index, const struct sm_command_delete *command,
                        struct sm_result *ret)
{
    struct omap_entry old;

    if (!sm_kv_find(sm, command->key, &old)) {
        return;
    }
    if (command->has_cas && old.modify_index != command->cas) {
        ret->reason = SM_STALE_INDEX;
        ret->modify_index = old.modify_index;
        return;
    }
    sm_kv_remove(sm, index, command->key);
}

void sm_kv_apply_delete_prefix(struct sm *sm, raft_index index,
                               const struct sm_command_delete_prefix *command)
{
    sm_tell_removing_prefix(sm, index, command->prefix);
    if (omap_delete_prefix(&sm->kv, command->prefix) > 0) {
        (void)omap_delete_prefix(&sm->locks, command->prefix);
        sm_ttl_drop_prefix(sm, command->prefix);
        sm_tombstones_add_prefix(&sm->tombstones, command->prefix, index);
        sm->kv_index = index;
    }
}
