#include "statemachine/sm.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"
#include "statemachine/command.h"
#include "statemachine/feature.h"
#include "statemachine/sm_internal.h"
#include "statemachine/txn.h"

struct omap *sm_map(struct sm *sm, uint32_t i)
{
    struct omap *const maps[SM_MAPS_COUNT] = {
        &sm->kv,     &sm->locks,     &sm->delays,           &sm->sessions,
        &sm->tokens, &sm->ttls,      &sm->catalog,          &sm->checked,
        &sm->held,   &sm->deadlines, &sm->tombstones.young, &sm->tombstones.old,
    };
    return maps[i];
}

struct sm *sm_new(void)
{
    struct sm *sm = rk_heap_zalloc(1, sizeof(*sm));
    omap_heap_init(&sm->heap, 1);
    for (uint32_t i = 0; i < SM_MAPS_COUNT; i++) {
        omap_init(sm_map(sm, i), &sm->heap);
    }
    sm_tombstones_init(&sm->tombstones, &sm->heap);
    sm_history_init(&sm->history, &sm->heap);
    sm->answer_cost_max = SM_TXN_COST_MAX;
    sm->feature_level = FEATURE_LEVEL_FIRST;
    sm->is_changed = true;
    return sm;
}

void sm_free(struct sm *sm)
{
    if (sm == NULL) {
        return;
    }
    sm_restore_discard(sm);
    sm_free(sm->discarded);
    sm_free(sm->successor);
    for (uint32_t i = 0; i < SM_MAPS_COUNT; i++) {
        omap_clear(sm_map(sm, i));
    }
    sm_tombstones_clear(&sm->tombstones);
    sm_history_done(&sm->history);
    omap_heap_done(&sm->heap);
    rk_heap_free(sm);
}

/* --- commands --- */

static void raise_feature_level(struct sm *sm, uint32_t level)
{
    if (level > sm->feature_level) {
        sm->feature_level = level;
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

void sm_apply_command(struct sm *sm, const struct sm_place *place, const struct sm_command *command,
                      struct sm_result *ret)
{
    switch (command->type) {
    case SM_COMMAND_KV_PUT:
    case SM_COMMAND_KV_PUT_TTL:
        sm_kv_apply_put(sm, place, &command->put, ret);
        break;
    case SM_COMMAND_KV_DELETE:
        sm_kv_apply_delete(sm, place->index, &command->delete, ret);
        break;
    case SM_COMMAND_KV_DELETE_PREFIX:
        sm_kv_apply_delete_prefix(sm, place->index, &command->delete_prefix);
        break;
    case SM_COMMAND_KV_OP:
        sm_lock_apply(sm, place, &command->op, ret);
        break;
    case SM_COMMAND_SESSION_CREATE:
        sm_session_apply_create(sm, place, &command->session, ret);
        break;
    case SM_COMMAND_SESSION_DESTROY:
        sm_session_apply_destroy(sm, place, &command->session.id);
        break;
    case SM_COMMAND_SESSION_RENEW:
        sm_session_apply_renew(sm, place, &command->session.id, ret);
        break;
    case SM_COMMAND_EXPIRE:
        sm_session_apply_expire(sm, place, &command->expire);
        break;
    case SM_COMMAND_EXPIRE_KEYS:
        sm_ttl_apply_expire(sm, place, &command->expire);
        break;
    case SM_COMMAND_TXN:
        sm_txn_apply(sm, place, &command->txn, ret);
        break;
    case SM_COMMAND_ONCE:
        sm_once_apply(sm, place, &command->once, ret);
        break;
    case SM_COMMAND_RESTORE_BEGIN:
        sm_restore_apply_begin(sm, place, &command->restore);
        break;
    case SM_COMMAND_RESTORE_RECORD:
        sm_restore_apply_record(sm, place, &command->restore, ret);
        break;
    case SM_COMMAND_RESTORE_END:
        sm_restore_apply_end(sm, place, ret);
        break;
    case SM_COMMAND_FEATURE_LEVEL:
        raise_feature_level(sm, command->feature_level.level);
        break;
    case SM_COMMAND_NODE_SET:
        sm_catalog_apply_set(sm, place, &command->node);
        break;
    case SM_COMMAND_NODE_CLEAR:
        sm_catalog_apply_clear(sm, place, &command->node);
        break;
    }
}

enum rk_status sm_apply(struct sm *sm, const struct sm_place *place, struct rk_bytes command,
                        struct sm_result *ret)
{
    struct sm_command decoded;

    RK_ASSERT(place->index > sm->last_applied);
    const enum rk_status status = sm_command_decode(command, &decoded);
    if (status != RK_OK) {
        return status;
    }
    sm_result_init(ret);
    ret->index = place->index;
    sm_restore_pass(sm, place, &decoded);
    sm->cause = sm_tell_cause(&decoded);
    sm_apply_command(sm, place, &decoded, ret);
    ret->accepted = ret->reason == SM_DONE;
    pass(sm, place);
    return RK_OK;
}

void sm_skip(struct sm *sm, const struct sm_place *place)
{
    RK_ASSERT(place->index >= sm->last_applied);
    if (place->index > sm->last_applied) {
        sm_restore_pass(sm, place, NULL);
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
    return sm_view(sm);
}

struct sm_root sm_view(const struct sm *sm)
{
    return (struct sm_root){
        .kv = sm->kv.root,
        .locks = sm->locks.root,
        .delays = sm->delays.root,
        .sessions = sm->sessions.root,
        .tokens = sm->tokens.root,
        .ttls = sm->ttls.root,
        .catalog = sm->catalog.root,
        .tombstones = sm->tombstones.young.root,
        .tombstones_old = sm->tombstones.old.root,
        .version = sm->heap.version - 1,
        .last_applied = sm->last_applied,
        .time_ms = sm->time_ms,
        .kv_index = sm->kv_index,
        .session_index = sm->session_index,
        .tombstone_floor = sm->tombstones.floor,
        .feature_level = sm->feature_level,
        .restored_index = sm->restored_index,
        .history = sm_history_view(&sm->history),
    };
}

void sm_continue(struct sm *sm, uint64_t version)
{
    if (sm->heap.version <= version) {
        sm->heap.version = version + 1;
    }
    sm->is_changed = true;
}

bool sm_reclaim(struct sm *sm, uint64_t oldest_version, uint32_t budget)
{
    const uint64_t published = sm->heap.version - 1;
    const uint64_t oldest = oldest_version < published ? oldest_version : published;
    sm_history_reclaim(&sm->history, oldest);
    return omap_heap_reclaim(&sm->heap, oldest, budget);
}

uint32_t sm_feature_level(const struct sm *sm)
{
    return sm->feature_level;
}

uint64_t sm_digest_now(const struct sm *sm)
{
    const struct sm_root root = sm_view(sm);

    return sm_digest(&root);
}

uint64_t sm_memory(const struct sm *sm)
{
    return sm->heap.memory;
}
