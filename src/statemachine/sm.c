#include "statemachine/sm.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"
#include "statemachine/command.h"
#include "statemachine/sm_internal.h"

struct sm *sm_new(void)
{
    struct sm *sm = rk_heap_zalloc(1, sizeof(*sm));
    omap_heap_init(&sm->heap, 1);
    omap_init(&sm->kv, &sm->heap);
    sm_tombstones_init(&sm->tombstones, &sm->heap);
    sm->is_changed = true;
    return sm;
}

void sm_free(struct sm *sm)
{
    if (sm == NULL) {
        return;
    }
    omap_clear(&sm->kv);
    sm_tombstones_clear(&sm->tombstones);
    omap_heap_done(&sm->heap);
    rk_heap_free(sm);
}

/* --- commands --- */

/* A compare-and-set with 0 is for a key that is not there. */
static bool put_cas_holds(const struct sm_command_put *put, const struct omap_item *item,
                          const struct omap_entry *old)
{
    if (!put->has_cas) {
        return true;
    }
    return put->cas == 0 ? item == NULL : item != NULL && old->modify_index == put->cas;
}

static bool put_changes(const struct sm_command_put *put, const struct omap_item *item,
                        const struct omap_entry *old)
{
    if (item == NULL || old->flags != put->flags || old->value.size != put->value.size) {
        return true;
    }
    return put->value.size > 0 && memcmp(old->value.data, put->value.data, put->value.size) != 0;
}

static void put_store(struct sm *sm, raft_index index, const struct sm_command_put *put,
                      const struct omap_entry *old)
{
    const bool is_new = old->create_index == 0;
    omap_put(&sm->kv, &(struct omap_entry){
                          .key = put->key,
                          .value = put->value,
                          .flags = put->flags,
                          .create_index = is_new ? index : old->create_index,
                          .modify_index = index,
                          .lock_index = old->lock_index,
                      });
    if (is_new) {
        sm_tombstones_forget_key(&sm->tombstones, put->key);
    }
    sm->kv_index = index;
}

static void apply_put(struct sm *sm, raft_index index, const struct sm_command_put *put,
                      struct sm_result *ret)
{
    struct omap_entry old = {0};
    const struct omap_item *item = omap_find(sm->kv.root, put->key);
    if (item != NULL) {
        omap_item_read(item, &old);
        RK_ASSERT(old.create_index > 0);
    }
    *ret = (struct sm_result){.index = index, .modify_index = old.modify_index};
    ret->accepted = put_cas_holds(put, item, &old);
    if (ret->accepted && put_changes(put, item, &old)) {
        put_store(sm, index, put, &old);
        ret->modify_index = index;
    }
}

static void apply_delete(struct sm *sm, raft_index index, const struct sm_command_delete *command,
                         struct sm_result *ret)
{
    *ret = (struct sm_result){.accepted = true, .index = index};
    const struct omap_item *item = omap_find(sm->kv.root, command->key);
    if (item == NULL) {
        return;
    }
    struct omap_entry old;
    omap_item_read(item, &old);
    if (command->has_cas && old.modify_index != command->cas) {
        ret->accepted = false;
        ret->modify_index = old.modify_index;
        return;
    }
    (void)omap_delete(&sm->kv, command->key);
    sm_tombstones_add_key(&sm->tombstones, command->key, index);
    sm->kv_index = index;
}

static void apply_delete_prefix(struct sm *sm, raft_index index,
                                const struct sm_command_delete_prefix *command,
                                struct sm_result *ret)
{
    *ret = (struct sm_result){.accepted = true, .index = index};
    if (omap_delete_prefix(&sm->kv, command->prefix) > 0) {
        sm_tombstones_add_prefix(&sm->tombstones, command->prefix, index);
        sm->kv_index = index;
    }
}

static void pass(struct sm *sm, const struct sm_place *place)
{
    sm->last_applied = place->index;
    if (place->time_ms > sm->time_ms) {
        sm->time_ms = place->time_ms;
    }
    sm->is_changed = true;
}

enum rk_status sm_apply(struct sm *sm, const struct sm_place *place, struct rk_bytes command,
                        struct sm_result *ret)
{
    struct sm_command decoded;
    const raft_index index = place->index;
    RK_ASSERT(index > sm->last_applied);
    const enum rk_status status = sm_command_decode(command, &decoded);
    if (status != RK_OK) {
        return status;
    }
    switch (decoded.type) {
    case SM_COMMAND_KV_PUT:
        apply_put(sm, index, &decoded.put, ret);
        break;
    case SM_COMMAND_KV_DELETE:
        apply_delete(sm, index, &decoded.delete, ret);
        break;
    case SM_COMMAND_KV_DELETE_PREFIX:
        apply_delete_prefix(sm, index, &decoded.delete_prefix, ret);
        break;
    }
    pass(sm, place);
    return RK_OK;
}

void sm_skip(struct sm *sm, const struct sm_place *place)
{
    RK_ASSERT(place->index >= sm->last_applied);
    if (place->index > sm->last_applied) {
        pass(sm, place);
    }
}

/* --- versions --- */

struct sm_root sm_publish(struct sm *sm)
{
    if (sm->is_changed) {
        sm->is_changed = false;
        sm->heap.version++;
    }
    return (struct sm_root){
        .kv = sm->kv.root,
        .tombstones = sm->tombstones.young.root,
        .tombstones_old = sm->tombstones.old.root,
        .version = sm->heap.version - 1,
        .last_applied = sm->last_applied,
        .time_ms = sm->time_ms,
        .kv_index = sm->kv_index,
        .tombstone_floor = sm->tombstones.floor,
    };
}

bool sm_reclaim(struct sm *sm, uint64_t oldest_version, uint32_t budget)
{
    const uint64_t published = sm->heap.version - 1;
    return omap_heap_reclaim(&sm->heap, oldest_version < published ? oldest_version : published,
                             budget);
}

uint64_t sm_memory(const struct sm *sm)
{
    return sm->heap.memory;
}
