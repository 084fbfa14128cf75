#include "statemachine/tombstones.h"

#include <stddef.h>

#include "base/assert.h"
#include "statemachine/sm.h"

enum { GENERATION_COUNT_MAX = SM_TOMBSTONES_MAX / 2 };

void sm_tombstones_init(struct sm_tombstones *tombstones, struct omap_heap *heap)
{
    omap_init(&tombstones->young, heap);
    omap_init(&tombstones->old, heap);
    tombstones->floor = 0;
}

void sm_tombstones_clear(struct sm_tombstones *tombstones)
{
    omap_clear(&tombstones->young);
    omap_clear(&tombstones->old);
}

bool sm_tombstones_are_legal(const struct sm_tombstones *tombstones)
{
    return omap_total(tombstones->young.root).count <= GENERATION_COUNT_MAX &&
           omap_total(tombstones->old.root).count <= GENERATION_COUNT_MAX;
}

static void grow_old(struct sm_tombstones *tombstones)
{
    const raft_index given_up = omap_total(tombstones->old.root).index_max;
    if (given_up > tombstones->floor) {
        tombstones->floor = given_up;
    }
    omap_clear(&tombstones->old);
    tombstones->old.root = tombstones->young.root;
    tombstones->young.root = NULL;
}

static void add(struct sm_tombstones *tombstones, const struct omap_entry *tombstone)
{
    RK_ASSERT(tombstone->modify_index >= omap_total(tombstones->young.root).index_max);
    if (omap_total(tombstones->young.root).count >= GENERATION_COUNT_MAX) {
        grow_old(tombstones);
    }
    omap_put(&tombstones->young, tombstone);
}

static raft_index prefix_index_at(const struct omap *generation, struct rk_bytes key)
{
    struct omap_entry entry = {0};
    const struct omap_item *item = omap_find(generation->root, key);
    if (item != NULL) {
        omap_item_read(item, &entry);
    }
    return entry.lock_index;
}

void sm_tombstones_add_key(struct sm_tombstones *tombstones, struct rk_bytes key, raft_index index)
{
    add(tombstones, &(struct omap_entry){.key = key,
                                         .create_index = index,
                                         .modify_index = index,
                                         .lock_index = prefix_index_at(&tombstones->young, key)});
}

void sm_tombstones_add_prefix(struct sm_tombstones *tombstones, struct rk_bytes prefix,
                              raft_index index)
{
    (void)omap_delete_prefix(&tombstones->young, prefix);
    (void)omap_delete_prefix(&tombstones->old, prefix);
    add(tombstones,
        &(struct omap_entry){
            .key = prefix, .create_index = index, .modify_index = index, .lock_index = index});
}

static void forget_in(struct omap *generation, struct rk_bytes key)
{
    if (prefix_index_at(generation, key) == 0) {
        (void)omap_delete(generation, key);
    }
}

void sm_tombstones_forget_key(struct sm_tombstones *tombstones, struct rk_bytes key)
{
    forget_in(&tombstones->young, key);
    forget_in(&tombstones->old, key);
}

static uint32_t common_size(struct rk_bytes a, struct rk_bytes b)
{
    uint32_t size = 0;
    while (size < a.size && size < b.size && a.data[size] == b.data[size]) {
        size++;
    }
    return size;
}

/* The index of the longest deleted prefix that `prefix` begins with: it is the latest one too,
 * because deleting a shorter one removes those below it. Each round looks at a shorter key. */
static raft_index index_above(const struct omap_node *root, struct rk_bytes prefix)
{
    struct omap_cut cut = {.key = prefix, .side = OMAP_AFTER};
    for (;;) {
        const struct omap_place place = omap_last_before(root, cut);
        if (place.item == NULL) {
            return 0;
        }
        struct omap_entry entry;
        omap_item_read(place.item, &entry);
        const uint32_t common = common_size(entry.key, prefix);
        if (common < entry.key.size) {
            RK_ASSERT(common < cut.key.size);
            cut =
                (struct omap_cut){.key = {.data = prefix.data, .size = common}, .side = OMAP_AFTER};
        } else if (entry.lock_index == 0) {
            cut = (struct omap_cut){.key = entry.key, .side = OMAP_BEFORE};
        } else {
            return entry.lock_index;
        }
    }
}

raft_index sm_tombstones_index(const struct omap_node *root, struct rk_bytes prefix)
{
    const raft_index below = omap_prefix_total(root, prefix).index_max;
    const raft_index above = index_above(root, prefix);
    return below > above ? below : above;
}
