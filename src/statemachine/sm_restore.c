#include "statemachine/restore.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/heap.h"
#include "statemachine/image.h"
#include "statemachine/sm_internal.h"

struct sm_restore {
    struct sm_command_restore begin;
    raft_term term;
    raft_index next_index; /* of the entry that goes on */
    uint64_t number;       /* of the last record */
    uint64_t digest;       /* of the records so far */
    struct sm_image_restore image;
    struct sm_image_reader *reader;
    bool has_failed;
};

bool sm_restore_takes(uint8_t type)
{
    return type <= SM_RESTORE_TYPE_MAX && type != SM_IMAGE_TOMBSTONES &&
           type != SM_IMAGE_TOMBSTONES_OLD && type != SM_IMAGE_CATALOG &&
           type != SM_IMAGE_FEATURE_LEVEL && type != SM_IMAGE_HISTORY;
}

uint64_t sm_restore_digest(uint64_t before, uint8_t type, struct rk_bytes body)
{
    const uint64_t crc = rk_crc32c(type, body.data, body.size);
    const uint64_t digest =
        (before ^ (crc << 32) ^ body.size) * UINT64_C(0x9fb21c651e98df25) + UINT64_C(1);

    return digest ^ (digest >> 29);
}

bool sm_is_restoring(const struct sm *sm)
{
    return sm->restore != NULL;
}

struct sm *sm_take_successor(struct sm *sm)
{
    struct sm *successor = sm->successor;

    sm->successor = NULL;
    return successor;
}

struct sm *sm_take_discarded(struct sm *sm)
{
    struct sm *discarded = sm->discarded;

    sm->discarded = NULL;
    return discarded;
}

void sm_restore_discard(struct sm *sm)
{
    struct sm_restore *restore = sm->restore;

    if (restore == NULL) {
        return;
    }
    sm->restore = NULL;
    sm_free(sm->discarded); /* nobody took the one before */
    sm->discarded = sm_image_reader_take(restore->reader);
    sm_image_reader_free(restore->reader);
    rk_heap_free(restore);
}

void sm_restore_pass(struct sm *sm, const struct sm_place *place, const struct sm_command *command)
{
    const struct sm_restore *restore = sm->restore;

    if (restore == NULL) {
        return;
    }
    const bool goes_on =
        command != NULL &&
        (command->type == SM_COMMAND_RESTORE_RECORD || command->type == SM_COMMAND_RESTORE_END) &&
        command->restore.id == restore->begin.id && place->term == restore->term &&
        place->index == restore->next_index;
    if (!goes_on) {
        sm_restore_discard(sm);
    }
}

void sm_restore_apply_begin(struct sm *sm, const struct sm_place *place,
                            const struct sm_command_restore *command)
{
    struct sm_restore *restore = rk_heap_zalloc(1, sizeof(*restore));

    RK_ASSERT(sm->restore == NULL);
    restore->begin = *command;
    restore->begin.body = (struct rk_bytes){.data = NULL, .size = 0};
    restore->term = place->term;
    restore->next_index = place->index + 1;
    restore->image.index = place->index + command->number + 1;
    restore->reader = sm_image_reader_new_restoring(&restore->image);
    sm->restore = restore;
}

void sm_restore_apply_record(struct sm *sm, const struct sm_place *place,
                             const struct sm_command_restore *command, struct sm_result *ret)
{
    struct sm_restore *restore = sm->restore;

    if (restore == NULL || command->number != restore->number + 1 ||
        command->number > restore->begin.number || !sm_restore_takes(command->record_type)) {
        sm_restore_discard(sm);
        ret->reason = SM_RESTORE_BROKEN;
        return;
    }
    restore->number++;
    restore->next_index++;
    restore->digest = sm_restore_digest(restore->digest, command->record_type, command->body);
    restore->image.time_ms = place->time_ms > sm->time_ms ? place->time_ms : sm->time_ms;
    if (sm_image_read(restore->reader, command->record_type, command->body) != RK_OK) {
        sm_restore_discard(sm);
        ret->reason = SM_RESTORE_BROKEN;
    }
}

/* The cluster's own nodes are what they are, whatever the backup's were: there are as many as members. */
static void keep_catalog(const struct sm *sm, struct sm *successor)
{
    const struct omap_cut start = {.side = OMAP_BEFORE};
    struct omap_entry entry;

    for (struct omap_place at = omap_first_after(sm->catalog.root, start); at.item != NULL;
         at = omap_next(sm->catalog.root, at)) {
        omap_item_read(at.item, &entry);
        omap_put(&successor->catalog, &entry);
    }
}

void sm_restore_apply_end(struct sm *sm, const struct sm_place *place, struct sm_result *ret)
{
    const struct sm_restore *restore = sm->restore;

    if (restore == NULL || restore->number == 0 || restore->number != restore->begin.number ||
        restore->digest != restore->begin.digest || place->index != restore->image.index) {
        sm_restore_discard(sm);
        ret->reason = SM_RESTORE_BROKEN;
        return;
    }
    sm->restore = NULL;
    RK_ASSERT(sm->successor == NULL);
    struct sm *successor = sm_image_reader_take(restore->reader);
    successor->last_applied = place->index;
    successor->time_ms = place->time_ms > sm->time_ms ? place->time_ms : sm->time_ms;
    successor->kv_index = place->index;
    successor->session_index = place->index;
    successor->restored_index = place->index;
    successor->tombstones.floor = place->index;
    successor->feature_level = sm->feature_level;
    keep_catalog(sm, successor);
    successor->answer_cost_max = sm->answer_cost_max;
    sm_history_begin_after(&successor->history, place->index);
    sm->successor = successor;
    sm_image_reader_free(restore->reader);
    rk_heap_free((void *)(uintptr_t)restore);
}

/* ---- the entries of the image ---- */

/* In this cluster's time, with what was left of it. Never 0, which would be never. */
static uint64_t translate(const struct sm_image_restore *restore, uint64_t ends_ms)
{
    const uint64_t left_ms =
        ends_ms > restore->image_time_ms ? ends_ms - restore->image_time_ms : 1;

    return sm_time_add(restore->time_ms, left_ms);
}

void sm_restore_adapt(const struct sm_image_restore *restore, uint8_t type,
                      struct omap_entry *entry)
{
    entry->create_index = restore->index;
    entry->modify_index = restore->index;
    switch (type) {
    case SM_IMAGE_SESSIONS:
        entry->flags = sm_session_ends_ms(entry, restore->time_ms);
        entry->lock_index = restore->index;
        break;
    case SM_IMAGE_DELAYS:
    case SM_IMAGE_TOKENS:
    case SM_IMAGE_TTLS:
        entry->flags = translate(restore, entry->flags);
        break;
    default:
        break;
    }
}

/* What follows from the maps grows with them: the end of a restore has no time for it. */
void sm_restore_follow(struct sm *sm, uint8_t type, const struct omap_entry *entry)
{
    switch (type) {
    case SM_IMAGE_LOCKS:
        sm_lock_follow(sm, entry);
        break;
    case SM_IMAGE_SESSIONS:
        sm_catalog_follow(sm, entry);
        sm_deadline_follow(sm, SM_DEADLINE_SESSION, entry);
        break;
    case SM_IMAGE_DELAYS:
        sm_deadline_follow(sm, SM_DEADLINE_DELAY, entry);
        break;
    case SM_IMAGE_TOKENS:
        sm->tokens_bytes += entry->value.size;
        sm_deadline_follow(sm, SM_DEADLINE_TOKEN, entry);
        break;
    case SM_IMAGE_TTLS:
        sm_deadline_follow(sm, SM_DEADLINE_KEY, entry);
        break;
    default:
        break;
    }
}
