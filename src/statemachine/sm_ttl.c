/* sm_ttl.c -- keys that end by themselves. What a write says of the key's life holds until the next
 * write: with a time to live it ends then, without one it stays.
 *
 * Deleting a prefix leaves the deadlines of its keys behind, since they stand in the order of time:
 * to remove a million of them would make the entry a long one. They say nothing (`ttls` denies them)
 * and are removed a few at a time, with what is done to other keys that end by themselves. */
#include <string.h>

#include "base/assert.h"
#include "statemachine/sm_internal.h"

enum {
    TIDY_AT_SET = 8,      /* deadlines looked at for each that is added: so they do not pile up */
    TIDY_AT_EXPIRY = 512, /* left-over deadlines removed before the earliest true one */
};

/* False: the key does not end by itself; *ret is then untouched. */
static bool find(const struct sm *sm, struct rk_bytes key, struct omap_entry *ret)
{
    const struct omap_item *item = sm->ttls.root != NULL ? omap_find(sm->ttls.root, key) : NULL;

    if (item != NULL) {
        omap_item_read(item, ret);
    }
    return item != NULL;
}

uint64_t sm_ttl_of(const struct sm *sm, struct rk_bytes key)
{
    struct omap_entry entry;

    return find(sm, key, &entry) ? entry.lock_index : 0;
}

static bool is_left_over(const struct sm *sm, const struct sm_deadline *deadline)
{
    struct omap_entry entry;

    return !find(sm, deadline->name, &entry) || entry.flags != deadline->time_ms;
}

static bool has_left_overs(const struct sm *sm)
{
    const uint8_t kind = SM_DEADLINE_KEY;
    const struct rk_bytes prefix = {.data = &kind, .size = 1};

    return omap_prefix_total(sm->deadlines.root, prefix).count > omap_total(sm->ttls.root).count;
}

/* So that the earliest deadline is one of a key that is there. */
static void tidy_front(struct sm *sm)
{
    struct sm_deadline first;

    for (uint32_t i = 0; i < TIDY_AT_EXPIRY && has_left_overs(sm) &&
                         sm_deadline_first(sm, SM_DEADLINE_KEY, &first) && is_left_over(sm, &first);
         i++) {
        sm_deadline_remove(sm, &first);
    }
}

/* Looks at the next few behind the hand, round and round. */
static void tidy_some(struct sm *sm)
{
    struct sm_ttl_hand *hand = &sm->ttl_hand;
    struct sm_deadline at = {.kind = SM_DEADLINE_KEY};

    for (uint32_t i = 0; i < TIDY_AT_SET && has_left_overs(sm); i++) {
        at.time_ms = hand->time_ms;
        at.name = (struct rk_bytes){.data = hand->key, .size = hand->size};
        if (!sm_deadline_next(sm, &at, &at)) {
            hand->time_ms = 0;
            hand->size = 0;
            continue;
        }
        hand->time_ms = at.time_ms;
        hand->size = at.name.size;
        rk_bytes_copy(hand->key, at.name);
        if (is_left_over(sm, &at)) {
            sm_deadline_remove(sm, &at);
        }
    }
}

static void forget(struct sm *sm, const struct omap_entry *entry)
{
    sm_deadline_remove(sm, &(struct sm_deadline){.time_ms = entry->flags,
                                                 .kind = SM_DEADLINE_KEY,
                                                 .name = entry->key});
    (void)omap_delete(&sm->ttls, entry->key);
    tidy_front(sm);
}

void sm_ttl_set(struct sm *sm, const struct sm_place *place, struct rk_bytes key, uint64_t ttl_ms)
{
    struct omap_entry old;

    if (find(sm, key, &old)) {
        forget(sm, &old);
    }
    if (ttl_ms == 0) {
        return;
    }
    const uint64_t ends_ms = sm_time_add(place->time_ms, ttl_ms);
    omap_put(&sm->ttls, &(struct omap_entry){.key = key,
                                             .flags = ends_ms,
                                             .create_index = place->index,
                                             .modify_index = place->index,
                                             .lock_index = ttl_ms});
    sm_deadline_add(
        sm, &(struct sm_deadline){.time_ms = ends_ms, .kind = SM_DEADLINE_KEY, .name = key});
    tidy_some(sm);
}

void sm_ttl_drop_prefix(struct sm *sm, struct rk_bytes prefix)
{
    if (omap_delete_prefix(&sm->ttls, prefix) > 0) {
        tidy_front(sm);
    }
}

/* Pitfall 124, of keys: a write that came first, by its place in the log, makes it say nothing. */
void sm_ttl_apply_expire(struct sm *sm, const struct sm_place *place,
                         const struct sm_command_expire *expire)
{
    struct rk_bytes rest = expire->items;
    struct sm_expire_key item;
    struct omap_entry entry;

    if (expire->term != place->term) {
        return;
    }
    while (sm_expire_key_next(&rest, &item)) {
        if (find(sm, item.key, &entry) && entry.modify_index == item.ttl_index) {
            sm_kv_remove(sm, place->index, item.key);
        }
    }
    tidy_front(sm);
}

/* Those that are left over are in nobody's list, but end the search all the same. */
void sm_ttl_find_expired(const struct sm *sm, const struct sm_place *now, struct rk_buf *items,
                         struct sm_command_expire *ret)
{
    struct sm_deadline due;
    struct omap_entry entry;
    uint32_t looked_at = 0;

    *ret = (struct sm_command_expire){.term = now->term};
    for (bool is_there = sm_deadline_first(sm, SM_DEADLINE_KEY, &due);
         is_there && due.time_ms <= now->time_ms && looked_at < SM_EXPIRE_KEYS_MAX &&
         items->size < SM_EXPIRE_KEYS_BYTES_TARGET;
         is_there = sm_deadline_next(sm, &due, &due)) {
        looked_at++;
        if (!is_left_over(sm, &due) && find(sm, due.name, &entry)) {
            sm_expire_key_append(
                &(struct sm_expire_key){.key = due.name, .ttl_index = entry.modify_index}, items);
            ret->count++;
        }
    }
    ret->items = rk_buf_bytes(items);
}
