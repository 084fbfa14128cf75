/* sm_once.c -- writes that carry a token: done once, however often they come (pitfalls 111 to 118).
 * What was answered is kept under the token, in the replicated state, until its time is over. */
#include <string.h>

#include "base/assert.h"
#include "statemachine/sm_internal.h"
#include "statemachine/txn.h"

enum { FINGERPRINT_SIZE = 16, SWEEP_MAX = 256 };

static bool find(const struct sm *sm, struct rk_bytes token, struct omap_entry *ret)
{
    const struct omap_item *item = omap_find(sm->tokens.root, token);

    if (item != NULL) {
        omap_item_read(item, ret);
    }
    return item != NULL;
}

static void forget(struct sm *sm, const struct omap_entry *entry)
{
    const struct sm_deadline deadline = {
        .time_ms = entry->flags, .kind = SM_DEADLINE_TOKEN, .name = entry->key};

    sm_deadline_remove(sm, &deadline);
    sm->tokens_bytes -= entry->value.size;
    (void)omap_delete(&sm->tokens, entry->key);
}

void sm_once_sweep(struct sm *sm, uint64_t time_ms)
{
    for (uint32_t i = 0; i < SWEEP_MAX; i++) {
        struct sm_deadline due;
        struct omap_entry entry;
        if (!sm_deadline_first(sm, SM_DEADLINE_TOKEN, &due) || due.time_ms > time_ms) {
            return;
        }
        const bool exists = find(sm, due.name, &entry);
        RK_ASSERT(exists);
        forget(sm, &entry);
    }
}

/* The answer that was given, or that the token stands for something else. */
static void repeat(const struct sm_command_once *once, const struct omap_entry *kept,
                   struct sm_result *ret)
{
    const struct rk_bytes bytes = {.data = kept->value.data + FINGERPRINT_SIZE,
                                   .size = kept->value.size - FINGERPRINT_SIZE};

    if (memcmp(kept->value.data, once->fingerprint, FINGERPRINT_SIZE) != 0) {
        ret->reason = SM_TOKEN_REUSED;
        return;
    }
    const enum rk_status status = sm_result_decode(bytes, ret);
    RK_ASSERT(status == RK_OK);
}

static void keep(struct sm *sm, const struct sm_place *place, const struct sm_command_once *once,
                 const struct sm_result *result)
{
    const uint64_t ends_ms = sm_time_add(place->time_ms, once->window_ms);
    struct rk_buf value;

    rk_buf_init(&value, FINGERPRINT_SIZE + SM_RESULT_FIXED_SIZE + SM_ONCE_BODY_SIZE_MAX);
    rk_buf_append(&value, once->fingerprint, FINGERPRINT_SIZE);
    sm_result_encode(result, &value);
    RK_ASSERT(!value.overflowed);
    omap_put(&sm->tokens, &(struct omap_entry){.key = once->token,
                                               .value = rk_buf_bytes(&value),
                                               .flags = ends_ms,
                                               .create_index = place->index,
                                               .modify_index = place->index});
    sm_deadline_add(sm, &(struct sm_deadline){
                            .time_ms = ends_ms, .kind = SM_DEADLINE_TOKEN, .name = once->token});
    sm->tokens_bytes += value.size;
    rk_buf_done(&value);
}

void sm_once_apply(struct sm *sm, const struct sm_place *place, const struct sm_command_once *once,
                   struct sm_result *ret)
{
    struct omap_entry kept;
    struct sm_command inner;

    if (find(sm, once->token, &kept)) {
        if (kept.flags > place->time_ms) {
            repeat(once, &kept, ret);
            return;
        }
        forget(sm, &kept);
    }
    if (omap_total(sm->tokens.root).count >= SM_TOKENS_MAX ||
        sm->tokens_bytes >= SM_TOKENS_BYTES_MAX) {
        ret->reason = SM_TOO_MANY_TOKENS;
        return;
    }
    const enum rk_status status = sm_command_decode(once->command, &inner);
    RK_ASSERT(status == RK_OK); /* looked at when the outer one was decoded */
    sm->answer_cost_max = SM_ONCE_COST_MAX;
    sm->cause = sm_tell_cause(&inner);
    sm_apply_command(sm, place, &inner, ret);
    sm->answer_cost_max = SM_TXN_COST_MAX;
    keep(sm, place, once, ret);
}

void sm_once_rebuild(struct sm *sm)
{
    const struct omap_cut start = {.side = OMAP_BEFORE};
    struct omap_entry entry;

    for (struct omap_place at = omap_first_after(sm->tokens.root, start); at.item != NULL;
         at = omap_next(sm->tokens.root, at)) {
        omap_item_read(at.item, &entry);
        sm->tokens_bytes += entry.value.size;
    }
}
