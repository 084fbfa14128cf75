#include <string.h>

#include "base/assert.h"
#include "statemachine/sm_internal.h"

enum { NS_PER_MS = 1000000 };

static struct rk_bytes id_bytes(const struct session_id *id)
{
    return (struct rk_bytes){.data = id->bytes, .size = SESSION_ID_SIZE};
}

/* False: no such session; *ret is then untouched. */
static bool find(const struct sm *sm, const struct session_id *id, struct omap_entry *ret)
{
    const struct omap_item *item = omap_find(sm->sessions.root, id_bytes(id));

    if (item != NULL) {
        omap_item_read(item, ret);
    }
    return item != NULL;
}

bool sm_session_exists(const struct sm *sm, const struct session_id *id)
{
    return omap_find(sm->sessions.root, id_bytes(id)) != NULL;
}

static struct session_record record_of(const struct omap_entry *entry)
{
    struct session_record record;
    const enum rk_status status = session_record_decode(entry->value, &record);

    RK_ASSERT(status == RK_OK); /* looked at when it came in */
    return record;
}

/* Clients halve what they mean, because the original ends a session after two TTLs (contract 4.3):
 * so does this one, unless the session wants it exact. 0: never. */
static uint64_t ends_at(const struct session_record *record, uint64_t time_ms)
{
    if (record->ttl_ms == 0) {
        return 0;
    }
    return sm_time_add(time_ms, record->is_exact ? record->ttl_ms : 2 * record->ttl_ms);
}

uint64_t sm_session_ends_ms(const struct omap_entry *entry, uint64_t time_ms)
{
    const struct session_record record = record_of(entry);

    return ends_at(&record, time_ms);
}

static void deadline_set(struct sm *sm, const struct session_id *id, uint64_t before_ms,
                         uint64_t after_ms)
{
    struct sm_deadline deadline = {.kind = SM_DEADLINE_SESSION, .name = id_bytes(id)};

    if (before_ms > 0) {
        deadline.time_ms = before_ms;
        sm_deadline_remove(sm, &deadline);
    }
    if (after_ms > 0) {
        deadline.time_ms = after_ms;
        sm_deadline_add(sm, &deadline);
    }
}

void sm_session_apply_create(struct sm *sm, const struct sm_place *place,
                             const struct sm_command_session *command, struct sm_result *ret)
{
    struct rk_buf record;
    const uint64_t ends_ms = ends_at(&command->record, place->time_ms);

    if (omap_total(sm->sessions.root).count >= SM_SESSIONS_MAX ||
        sm_session_exists(sm, &command->id)) {
        ret->reason = SM_TOO_MANY_SESSIONS;
        return;
    }
    if (command->record.checks_count > 0 && sm_catalog_is_critical(sm, command->record.node)) {
        ret->reason = SM_CHECK_IS_CRITICAL;
        return;
    }
    rk_buf_init(&record, SESSION_RECORD_SIZE_MAX);
    session_record_encode(&command->record, &record);
    omap_put(&sm->sessions, &(struct omap_entry){.key = id_bytes(&command->id),
                                                 .value = rk_buf_bytes(&record),
                                                 .flags = ends_ms,
                                                 .create_index = place->index,
                                                 .modify_index = place->index,
                                                 .lock_index = place->index});
    rk_buf_done(&record);
    deadline_set(sm, &command->id, 0, ends_ms);
    if (command->record.checks_count > 0) {
        sm_catalog_tie(sm, command->record.node, &command->id);
    }
    sm->session_index = place->index;
    ret->modify_index = place->index;
    rk_buf_append(&ret->body, command->id.bytes, SESSION_ID_SIZE);
}

static void end(struct sm *sm, const struct sm_place *place, const struct session_id *id,
                const struct omap_entry *entry)
{
    const struct session_record record = record_of(entry);
    const uint64_t delay_ms = (record.lock_delay_ns + NS_PER_MS - 1) / NS_PER_MS;

    sm_lock_drop_all(sm, place->index, id, record.behavior == SESSION_DELETE,
                     delay_ms > 0 ? sm_time_add(place->time_ms, delay_ms) : 0);
    deadline_set(sm, id, entry->flags, 0);
    if (record.checks_count > 0) {
        sm_catalog_untie(sm, record.node, id);
    }
    (void)omap_delete(&sm->sessions, id_bytes(id));
    sm->session_index = place->index;
}

void sm_session_apply_destroy(struct sm *sm, const struct sm_place *place,
                              const struct session_id *id)
{
    struct omap_entry entry;

    if (find(sm, id, &entry)) {
        end(sm, place, id, &entry);
    }
}

void sm_session_apply_renew(struct sm *sm, const struct sm_place *place,
                            const struct session_id *id, struct sm_result *ret)
{
    struct omap_entry entry;

    if (!find(sm, id, &entry)) {
        ret->reason = SM_SESSION_UNKNOWN;
        return;
    }
    const struct session_record record = record_of(&entry);
    const uint64_t before_ms = entry.flags;
    entry.flags = ends_at(&record, place->time_ms);
    entry.lock_index = place->index;
    omap_put(&sm->sessions, &entry);
    deadline_set(sm, id, before_ms, entry.flags);
    ret->modify_index = entry.modify_index;
    rk_buf_append(&ret->body, entry.value.data, entry.value.size);
}

/* Pitfall 124: a renewal that came first, by its place in the log, makes it say nothing. */
void sm_session_apply_expire(struct sm *sm, const struct sm_place *place,
                             const struct sm_command_expire *expire)
{
    struct omap_entry entry;

    if (expire->term != place->term) {
        return;
    }
    for (uint32_t i = 0; i < expire->count; i++) {
        const struct sm_expire_item item = sm_expire_item_at(expire, i);
        if (find(sm, &item.id, &entry) && entry.lock_index == item.renew_index) {
            end(sm, place, &item.id, &entry);
        }
    }
    sm_lock_sweep_delays(sm, place->time_ms);
    sm_once_sweep(sm, place->time_ms);
}

/* --- what the leader proposes --- */

void sm_session_find_expired(const struct sm *sm, const struct sm_place *now, struct rk_buf *items,
                             struct sm_command_expire *ret)
{
    struct sm_deadline due;
    struct omap_entry entry;
    uint64_t locks = 0;

    *ret = (struct sm_command_expire){.term = now->term};
    for (bool is_there = sm_deadline_first(sm, SM_DEADLINE_SESSION, &due);
         is_there && due.time_ms <= now->time_ms && ret->count < SM_EXPIRE_ITEMS_MAX &&
         locks < SM_SESSION_LOCKS_MAX;
         is_there = sm_deadline_next(sm, &due, &due)) {
        struct sm_expire_item item;
        memcpy(item.id.bytes, due.name.data, SESSION_ID_SIZE);
        const bool exists = find(sm, &item.id, &entry);
        RK_ASSERT(exists);
        item.renew_index = entry.lock_index;
        sm_expire_item_append(&item, items);
        ret->count++;
        locks += sm_lock_count(sm, &item.id);
    }
    ret->items = rk_buf_bytes(items);
}
