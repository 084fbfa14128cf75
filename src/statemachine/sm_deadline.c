#include <string.h>

#include "base/assert.h"
#include "statemachine/sm_internal.h"

enum {
    HEAD_SIZE = 1 + 8,
    SWEEP_LATE_MS = 1000, /* so that one entry forgets many of what nobody misses */
};

uint64_t sm_time_add(uint64_t a_ms, uint64_t b_ms)
{
    return a_ms > UINT64_MAX - b_ms ? UINT64_MAX : a_ms + b_ms;
}

struct deadline_key {
    uint8_t bytes[HEAD_SIZE + RK_KEY_SIZE_MAX];
};

static void put_be64(uint8_t *to, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        to[i] = (uint8_t)(value >> (56 - 8 * i));
    }
}

static uint64_t be64(const uint8_t *from)
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++) {
        value = value << 8 | from[i];
    }
    return value;
}

static struct rk_bytes make(struct deadline_key *key, const struct sm_deadline *deadline)
{
    RK_ASSERT(deadline->name.size <= RK_KEY_SIZE_MAX);
    key->bytes[0] = (uint8_t)deadline->kind;
    put_be64(&key->bytes[1], deadline->time_ms);
    rk_bytes_copy(&key->bytes[HEAD_SIZE], deadline->name);
    return (struct rk_bytes){.data = key->bytes, .size = HEAD_SIZE + deadline->name.size};
}

void sm_deadline_add(struct sm *sm, const struct sm_deadline *deadline)
{
    struct deadline_key key;

    omap_put(&sm->deadlines, &(struct omap_entry){.key = make(&key, deadline)});
}

void sm_deadline_remove(struct sm *sm, const struct sm_deadline *deadline)
{
    struct deadline_key key;
    const bool was_there = omap_delete(&sm->deadlines, make(&key, deadline));

    RK_ASSERT(was_there);
}

void sm_deadline_follow(struct sm *sm, enum sm_deadline_kind kind, const struct omap_entry *entry)
{
    if (entry->flags > 0) {
        sm_deadline_add(
            sm, &(struct sm_deadline){.time_ms = entry->flags, .kind = kind, .name = entry->key});
    }
}

static void rebuild_of(struct sm *sm, enum sm_deadline_kind kind, const struct omap_node *root)
{
    const struct omap_cut start = {.side = OMAP_BEFORE};
    struct omap_entry entry;

    for (struct omap_place at = omap_first_after(root, start); at.item != NULL;
         at = omap_next(root, at)) {
        omap_item_read(at.item, &entry);
        sm_deadline_follow(sm, kind, &entry);
    }
}

void sm_deadline_rebuild(struct sm *sm)
{
    rebuild_of(sm, SM_DEADLINE_SESSION, sm->sessions.root);
    rebuild_of(sm, SM_DEADLINE_DELAY, sm->delays.root);
    rebuild_of(sm, SM_DEADLINE_TOKEN, sm->tokens.root);
    rebuild_of(sm, SM_DEADLINE_KEY, sm->ttls.root);
}

static bool first_after(const struct sm *sm, struct omap_cut cut, enum sm_deadline_kind kind,
                        struct sm_deadline *ret)
{
    const struct omap_place place = omap_first_after(sm->deadlines.root, cut);
    struct omap_entry entry;

    if (place.item == NULL) {
        return false;
    }
    omap_item_read(place.item, &entry);
    if (entry.key.data[0] != kind) {
        return false;
    }
    *ret = (struct sm_deadline){
        .kind = kind,
        .time_ms = be64(&entry.key.data[1]),
        .name = {.data = entry.key.data + HEAD_SIZE, .size = entry.key.size - HEAD_SIZE},
    };
    return true;
}

bool sm_deadline_first(const struct sm *sm, enum sm_deadline_kind kind, struct sm_deadline *ret)
{
    const uint8_t head = (uint8_t)kind;
    const struct omap_cut cut = {.key = {.data = &head, .size = 1}, .side = OMAP_BEFORE};

    return first_after(sm, cut, kind, ret);
}

bool sm_deadline_next(const struct sm *sm, const struct sm_deadline *before,
                      struct sm_deadline *ret)
{
    struct deadline_key key;
    const struct omap_cut cut = {.key = make(&key, before), .side = OMAP_AFTER};

    return first_after(sm, cut, before->kind, ret);
}

/* --- what the leader proposes --- */

static uint64_t first_ms(const struct sm *sm, enum sm_deadline_kind kind)
{
    struct sm_deadline first;

    return sm_deadline_first(sm, kind, &first) ? first.time_ms : UINT64_MAX;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Of a session, or of what goes with the end of sessions. */
static uint64_t next_but_keys_ms(const struct sm *sm)
{
    const uint64_t sweep_ms =
        lesser(first_ms(sm, SM_DEADLINE_DELAY), first_ms(sm, SM_DEADLINE_TOKEN));

    return lesser(first_ms(sm, SM_DEADLINE_SESSION), sm_time_add(sweep_ms, SWEEP_LATE_MS));
}

uint64_t sm_next_deadline_ms(const struct sm *sm)
{
    return lesser(next_but_keys_ms(sm), first_ms(sm, SM_DEADLINE_KEY));
}

bool sm_find_expired(const struct sm *sm, const struct sm_place *now, struct rk_buf *items,
                     struct sm_command *ret)
{
    const uint64_t keys_ms = first_ms(sm, SM_DEADLINE_KEY);

    if (sm_next_deadline_ms(sm) > now->time_ms) {
        return false;
    }
    if (keys_ms < next_but_keys_ms(sm)) {
        *ret = (struct sm_command){.type = SM_COMMAND_EXPIRE_KEYS};
        sm_ttl_find_expired(sm, now, items, &ret->expire);
    } else {
        *ret = (struct sm_command){.type = SM_COMMAND_EXPIRE};
        sm_session_find_expired(sm, now, items, &ret->expire);
    }
    return true;
}
