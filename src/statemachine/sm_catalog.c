/* sm_catalog.c -- the cluster's own nodes, as the leader writes them down, and what ends with them. */
#include <string.h>

#include "base/assert.h"
#include "statemachine/catalog.h"
#include "statemachine/sm_internal.h"

/* A session that is tied to its node's check stands in `checked` as the node's name, a 0, its id. */
struct tie {
    uint8_t bytes[RK_NODE_NAME_SIZE_MAX + 1 + SESSION_ID_SIZE];
    uint32_t size;
};

static struct rk_bytes tie_bytes(const struct tie *tie)
{
    return (struct rk_bytes){.data = tie->bytes, .size = tie->size};
}

/* Without an id: what all ties of the node begin with. */
static void tie_make(struct tie *tie, struct rk_bytes node, const struct session_id *id)
{
    RK_ASSERT(node.size > 0 && node.size <= RK_NODE_NAME_SIZE_MAX);
    rk_bytes_copy(tie->bytes, node);
    tie->bytes[node.size] = 0;
    tie->size = node.size + 1;
    if (id != NULL) {
        memcpy(tie->bytes + tie->size, id->bytes, SESSION_ID_SIZE);
        tie->size += SESSION_ID_SIZE;
    }
}

void sm_catalog_tie(struct sm *sm, struct rk_bytes node, const struct session_id *id)
{
    struct tie tie;

    tie_make(&tie, node, id);
    omap_put(&sm->checked, &(struct omap_entry){.key = tie_bytes(&tie)});
}

void sm_catalog_untie(struct sm *sm, struct rk_bytes node, const struct session_id *id)
{
    struct tie tie;

    tie_make(&tie, node, id);
    const bool was_there = omap_delete(&sm->checked, tie_bytes(&tie));
    RK_ASSERT(was_there);
}

void sm_catalog_follow(struct sm *sm, const struct omap_entry *session)
{
    struct session_record record;
    struct session_id id;
    const enum rk_status status = session_record_decode(session->value, &record);

    RK_ASSERT(status == RK_OK); /* looked at when it was read */
    if (record.checks_count > 0) {
        memcpy(id.bytes, session->key.data, SESSION_ID_SIZE);
        sm_catalog_tie(sm, record.node, &id);
    }
}

void sm_catalog_rebuild(struct sm *sm)
{
    const struct omap_cut start = {.side = OMAP_BEFORE};
    struct omap_entry entry;

    for (struct omap_place at = omap_first_after(sm->sessions.root, start); at.item != NULL;
         at = omap_next(sm->sessions.root, at)) {
        omap_item_read(at.item, &entry);
        sm_catalog_follow(sm, &entry);
    }
}

bool sm_catalog_is_critical(const struct sm *sm, struct rk_bytes node)
{
    const struct sm_root root = sm_view(sm);
    struct sm_node found;

    return sm_node_get(&root, node, &found) && found.status == SM_CHECK_CRITICAL;
}

uint64_t sm_tied_count(const struct sm *sm, struct rk_bytes node)
{
    struct tie tie;

    tie_make(&tie, node, NULL);
    return omap_prefix_total(sm->checked.root, tie_bytes(&tie)).count;
}

bool sm_tied_next(const struct sm *sm, struct rk_bytes after, struct rk_bytes *ret_node)
{
    struct omap_cut cut = {.side = OMAP_BEFORE};
    struct omap_entry entry;
    struct tie tie;

    if (after.size > 0) {
        tie_make(&tie, after, NULL);
        cut = (struct omap_cut){.key = tie_bytes(&tie), .side = OMAP_AFTER_PREFIX};
    }
    const struct omap_place place = omap_first_after(sm->checked.root, cut);
    if (place.item == NULL) {
        return false;
    }
    omap_item_read(place.item, &entry);
    *ret_node = (struct rk_bytes){.data = entry.key.data,
                                  .size = (uint32_t)strlen((const char *)entry.key.data)};
    return true;
}

/* --- what the leader says --- */

static void indexes_note(struct sm *sm, raft_index index, bool is_node, bool is_check)
{
    const struct omap_item *item = omap_find(sm->catalog.root, (struct rk_bytes){.data = NULL});
    struct omap_entry entry = {.create_index = index};

    if (item != NULL) {
        omap_item_read(item, &entry);
    }
    entry.modify_index = index;
    entry.flags = is_node ? index : entry.flags;
    entry.lock_index = is_check ? index : entry.lock_index;
    omap_put(&sm->catalog, &entry);
}

static bool is_same_node(const struct sm_node *a, const struct sm_command_node *b)
{
    return a->id == b->id && a->address.size == b->address.size &&
           memcmp(a->address.data, b->address.data, b->address.size) == 0;
}

static void node_store(struct sm *sm, const struct sm_command_node *node,
                       const struct omap_entry *indexes)
{
    const struct node_record record = {
        .status = node->status, .id = node->id, .address = node->address};
    struct omap_entry entry = *indexes;
    struct rk_buf value;

    rk_buf_init(&value, NODE_RECORD_SIZE_MAX);
    sm_node_record_encode(&record, &value);
    entry.key = node->name;
    entry.value = rk_buf_bytes(&value);
    omap_put(&sm->catalog, &entry);
    rk_buf_done(&value);
}

void sm_catalog_apply_set(struct sm *sm, const struct sm_place *place,
                          const struct sm_command_node *node)
{
    const struct sm_root root = sm_view(sm);
    struct sm_node old;

    if (node->term != place->term) {
        return;
    }
    const bool exists = sm_node_get(&root, node->name, &old);
    const bool is_node = !exists || !is_same_node(&old, node);
    const bool is_check = !exists || old.status != node->status;
    if (!is_node && !is_check) {
        return;
    }
    node_store(sm, node,
               &(struct omap_entry){
                   .create_index = exists ? old.create_index : place->index,
                   .modify_index = place->index,
                   .flags = is_node ? place->index : old.modify_index,
                   .lock_index = is_check ? place->index : old.check_modify_index,
               });
    indexes_note(sm, place->index, is_node, is_check);
}

/* So many that their ends are one entry and one turn, as with those whose time is over. */
static void end_tied(struct sm *sm, const struct sm_place *place, const struct tie *tie)
{
    uint64_t locks = 0;

    for (uint32_t i = 0; i < SM_EXPIRE_ITEMS_MAX && locks < SM_SESSION_LOCKS_MAX; i++) {
        const struct omap_cut start = {.key = tie_bytes(tie), .side = OMAP_BEFORE};
        const struct omap_place first = omap_first_after(sm->checked.root, start);
        struct omap_entry entry;
        struct session_id id;
        if (first.item == NULL) {
            return;
        }
        omap_item_read(first.item, &entry);
        if (entry.key.size != tie->size + SESSION_ID_SIZE ||
            memcmp(entry.key.data, tie->bytes, tie->size) != 0) {
            return;
        }
        memcpy(id.bytes, entry.key.data + tie->size, SESSION_ID_SIZE);
        locks += sm_lock_count(sm, &id);
        sm_session_apply_destroy(sm, place, &id);
    }
}

void sm_catalog_apply_clear(struct sm *sm, const struct sm_place *place,
                            const struct sm_command_node *node)
{
    const struct sm_root root = sm_view(sm);
    struct sm_node found;
    struct tie tie;

    const bool exists = sm_node_get(&root, node->name, &found);
    if (node->term != place->term || (exists && found.status != SM_CHECK_CRITICAL)) {
        return;
    }
    tie_make(&tie, node->name, NULL);
    end_tied(sm, place, &tie);
    if (exists && node->is_gone && sm_tied_count(sm, node->name) == 0) {
        (void)omap_delete(&sm->catalog, node->name);
        indexes_note(sm, place->index, true, true);
    }
}
