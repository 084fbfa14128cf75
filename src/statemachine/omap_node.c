#include "statemachine/omap_node.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"

static size_t node_size(uint32_t level)
{
    return level > 0 ? sizeof(struct omap_branch) : sizeof(struct omap_node);
}

/* Slot of the first key: a branch has none before its first child. */
static uint32_t keys_first(const struct omap_node *node)
{
    return node->level > 0 ? 1 : 0;
}

struct omap_branch *omap_branch(struct omap_node *node)
{
    RK_ASSERT(node->level > 0);
    return (struct omap_branch *)node;
}

const struct omap_branch *omap_branch_read(const struct omap_node *node)
{
    RK_ASSERT(node->level > 0);
    return (const struct omap_branch *)node;
}

/* --- life --- */

struct omap_node *omap_node_new(struct omap_heap *heap, uint32_t level)
{
    RK_ASSERT(level < OMAP_DEPTH_MAX);
    struct omap_node *node = rk_heap_alloc(node_size(level));
    node->version = heap->version;
    node->count = 0;
    node->level = (uint16_t)level;
    node->skip = 0;
    heap->memory += node_size(level);
    return node;
}

void omap_node_free(struct omap_heap *heap, struct omap_node *node)
{
    heap->memory -= node_size(node->level);
    rk_heap_free(node);
}

void omap_node_discard(struct omap_heap *heap, struct omap_node *node)
{
    if (node->version == heap->version) {
        omap_node_free(heap, node);
    } else {
        omap_retire(heap, OMAP_RETIRED_NODE, node);
    }
}

static void slots_copy(struct omap_node *to, uint32_t to_slot, const struct omap_node *from,
                       uint32_t from_slot, uint32_t count)
{
    memmove(&to->hints[to_slot], &from->hints[from_slot], count * sizeof(to->hints[0]));
    memmove(&to->keys[to_slot], &from->keys[from_slot], count * sizeof(to->keys[0]));
    if (to->level > 0) {
        struct omap_branch *to_branch = omap_branch(to);
        const struct omap_branch *from_branch = omap_branch_read(from);
        memmove(&to_branch->children[to_slot], &from_branch->children[from_slot],
                count * sizeof(to_branch->children[0]));
        memmove(&to_branch->totals[to_slot], &from_branch->totals[from_slot],
                count * sizeof(to_branch->totals[0]));
    }
}

struct omap_node *omap_node_own(struct omap_heap *heap, struct omap_node *node)
{
    if (node->version == heap->version) {
        return node;
    }
    RK_ASSERT(node->version < heap->version);
    struct omap_node *copy = omap_node_new(heap, node->level);
    copy->count = node->count;
    copy->skip = node->skip;
    slots_copy(copy, 0, node, 0, node->count);
    omap_retire(heap, OMAP_RETIRED_NODE, node);
    return copy;
}

/* --- totals --- */

void omap_total_add(struct omap_total *total, const struct omap_total *more)
{
    total->count += more->count;
    total->digest += more->digest;
    if (more->index_max > total->index_max) {
        total->index_max = more->index_max;
    }
}

void omap_node_sum(const struct omap_node *node, struct omap_total *ret)
{
    struct omap_total total = {0};
    for (uint32_t slot = 0; slot < node->count; slot++) {
        if (node->level > 0) {
            omap_total_add(&total, &omap_branch_read(node)->totals[slot]);
        } else {
            const struct omap_item *item = node->keys[slot];
            const struct omap_total one = {
                .count = 1, .index_max = item->modify_index, .digest = item->digest};
            omap_total_add(&total, &one);
        }
    }
    *ret = total;
}

/* --- search --- */

/* Bytes skip .. skip + 7, missing ones as zero: keys whose hints differ compare as the hints. */
static uint64_t hint_of(struct rk_bytes key, uint32_t skip)
{
    uint64_t hint = 0;
    if (key.size >= skip + 8) {
        for (uint32_t i = 0; i < 8; i++) {
            hint = hint << 8 | key.data[skip + i];
        }
        return hint;
    }
    for (uint32_t i = 0; i < 8; i++) {
        hint = hint << 8 | (skip + i < key.size ? key.data[skip + i] : 0U);
    }
    return hint;
}

/* Compares `key` with the bytes that all keys of the node have in common. */
static int node_compare_skipped(const struct omap_node *node, struct rk_bytes key)
{
    struct rk_bytes skipped = omap_item_key(node->keys[keys_first(node)]);
    skipped.size = node->skip;
    const struct rk_bytes start = {.data = key.data,
                                   .size = key.size < node->skip ? key.size : node->skip};
    return omap_bytes_compare(start, skipped);
}

/* First slot from `low` on whose key is >= `key`, or count, by what comes behind `skip`. */
static uint32_t node_search(const struct omap_node *node, struct rk_bytes key, uint32_t low,
                            bool *found)
{
    const uint64_t hint = hint_of(key, node->skip);
    uint32_t high = node->count;
    *found = false;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        int order = (node->hints[middle] > hint) - (node->hints[middle] < hint);
        if (order == 0) {
            order = omap_bytes_compare(omap_item_key(node->keys[middle]), key);
        }
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* First slot whose key is >= `key`, or count. */
static uint32_t node_lower_bound(const struct omap_node *node, struct rk_bytes key, bool *found)
{
    const uint32_t first = keys_first(node);
    *found = false;
    if (first >= node->count) {
        return node->count;
    }
    const int skipped = node->skip == 0 ? 0 : node_compare_skipped(node, key);
    if (skipped != 0) {
        return skipped < 0 ? first : node->count;
    }
    return node_search(node, key, first, found);
}

/* Where a key stands is of no interest here, so the bytes in common are not looked at: a key that
 * differs in them differs from every item that the search compares it with. */
const struct omap_item *omap_leaf_find(const struct omap_node *leaf, struct rk_bytes key)
{
    RK_ASSERT(leaf->level == 0);
    bool found;
    const uint32_t slot = node_search(leaf, key, 0, &found);
    return found ? leaf->keys[slot] : NULL;
}

uint32_t omap_leaf_slot(const struct omap_node *leaf, struct rk_bytes key, bool *found)
{
    RK_ASSERT(leaf->level == 0);
    return node_lower_bound(leaf, key, found);
}

uint32_t omap_branch_slot(const struct omap_node *branch, struct rk_bytes key)
{
    RK_ASSERT(branch->level > 0);
    bool found;
    const uint32_t slot = node_lower_bound(branch, key, &found);
    return found ? slot : slot - 1;
}

uint32_t omap_node_cut_slot(const struct omap_node *node, struct omap_cut cut)
{
    uint32_t low = keys_first(node);
    uint32_t high = node->count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (omap_cut_is_above(cut, node->keys[middle])) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low - keys_first(node);
}

/* --- changing --- */

static void node_rehint(struct omap_node *node)
{
    const uint32_t first = keys_first(node);
    node->skip = 0;
    if (first >= node->count) {
        return;
    }
    const struct rk_bytes low = omap_item_key(node->keys[first]);
    const struct rk_bytes high = omap_item_key(node->keys[node->count - 1]);
    while (node->skip < low.size && node->skip < high.size &&
           low.data[node->skip] == high.data[node->skip]) {
        node->skip++;
    }
    for (uint32_t slot = first; slot < node->count; slot++) {
        node->hints[slot] = hint_of(omap_item_key(node->keys[slot]), node->skip);
    }
}

/* Moves the entries from `from` on to `to`; what was between is overwritten or out of count. */
static void node_shift(struct omap_node *node, uint32_t from, uint32_t to)
{
    RK_ASSERT(from <= node->count && node->count - from + to <= OMAP_FANOUT);
    slots_copy(node, to, node, from, node->count - from);
    node->count = (uint16_t)(node->count - from + to);
}

/* Sets the key of a slot that was just opened. One comparison tells whether the hints of the
 * others stay good. */
static void node_set_key(struct omap_node *node, uint32_t slot, struct omap_item *item)
{
    const struct rk_bytes key = omap_item_key(item);
    const uint32_t first = keys_first(node);
    node->keys[slot] = item;
    if (node->count - first <= 1) {
        node_rehint(node);
        return;
    }
    const uint32_t other = slot == first ? first + 1 : first;
    struct rk_bytes skipped = omap_item_key(node->keys[other]);
    RK_ASSERT(skipped.size >= node->skip);
    if (key.size >= node->skip &&
        (node->skip == 0 || memcmp(key.data, skipped.data, node->skip) == 0)) {
        node->hints[slot] = hint_of(key, node->skip);
    } else {
        node_rehint(node);
    }
}

void omap_leaf_insert(struct omap_node *leaf, uint32_t slot, struct omap_item *item)
{
    RK_ASSERT(leaf->level == 0);
    node_shift(leaf, slot, slot + 1);
    node_set_key(leaf, slot, item);
}

void omap_leaf_remove(struct omap_heap *heap, struct omap_node *leaf, uint32_t from, uint32_t to)
{
    RK_ASSERT(leaf->level == 0 && from <= to && to <= leaf->count);
    for (uint32_t slot = from; slot < to; slot++) {
        omap_retire(heap, OMAP_RETIRED_ITEM, leaf->keys[slot]);
    }
    node_shift(leaf, to, from);
}

void omap_branch_insert(struct omap_branch *branch, uint32_t slot, struct omap_item *separator,
                        struct omap_node *child)
{
    struct omap_node *node = &branch->node;
    RK_ASSERT((slot == 0) == (separator == NULL) && (slot > 0 || node->count == 0));
    node_shift(node, slot, slot + 1);
    branch->children[slot] = child;
    omap_node_sum(child, &branch->totals[slot]);
    node->keys[slot] = separator;
    if (separator != NULL) {
        node_set_key(node, slot, separator);
    }
}

void omap_branch_take(struct omap_heap *heap, struct omap_branch *branch, uint32_t slot)
{
    struct omap_node *node = &branch->node;
    RK_ASSERT(slot < node->count);
    if (slot > 0) {
        omap_retire(heap, OMAP_RETIRED_ITEM, node->keys[slot]);
    } else if (node->count > 1) {
        omap_retire(heap, OMAP_RETIRED_ITEM, node->keys[1]);
        node->keys[1] = NULL;
    }
    node_shift(node, slot + 1, slot);
}

/* What parts `left` and `right`: made for leaves, taken out of `right` for branches. */
static struct omap_item *separator_between(struct omap_heap *heap, const struct omap_node *left,
                                           struct omap_node *right)
{
    if (right->level == 0) {
        return omap_separator_new(heap, left->keys[left->count - 1], right->keys[0]);
    }
    struct omap_item *separator = right->keys[0];
    right->keys[0] = NULL;
    return separator;
}

struct omap_node *omap_node_split(struct omap_heap *heap, struct omap_node *node, uint32_t at,
                                  struct omap_item **separator)
{
    RK_ASSERT(at > 0 && at < node->count);
    struct omap_node *right = omap_node_new(heap, node->level);
    right->count = (uint16_t)(node->count - at);
    slots_copy(right, 0, node, at, right->count);
    node->count = (uint16_t)at;
    *separator = separator_between(heap, node, right);
    node_rehint(node);
    node_rehint(right);
    return right;
}

/* Leaves `keep` entries in `left`, the rest in `right`. */
static void nodes_level_out(struct omap_node *left, struct omap_node *right, uint32_t keep)
{
    if (keep >= left->count) {
        const uint32_t moved = keep - left->count;
        slots_copy(left, left->count, right, 0, moved);
        node_shift(right, moved, 0);
    } else {
        const uint32_t moved = left->count - keep;
        node_shift(right, 0, moved);
        slots_copy(right, 0, left, keep, moved);
    }
    left->count = (uint16_t)keep;
}

void omap_branch_even(struct omap_heap *heap, struct omap_branch *branch, uint32_t slot)
{
    struct omap_node *node = &branch->node;
    RK_ASSERT(slot + 1 < node->count);
    struct omap_node *left = omap_node_own(heap, branch->children[slot]);
    struct omap_node *right = omap_node_own(heap, branch->children[slot + 1]);
    branch->children[slot] = left;
    branch->children[slot + 1] = right;
    if (right->level > 0) {
        right->keys[0] = node->keys[slot + 1];
        node->keys[slot + 1] = NULL;
    }
    const uint32_t total = (uint32_t)left->count + right->count;
    nodes_level_out(left, right, total <= OMAP_FANOUT ? total : total / 2);
    node_rehint(left);
    omap_node_sum(left, &branch->totals[slot]);
    if (right->count == 0) {
        omap_branch_take(heap, branch, slot + 1);
        omap_node_discard(heap, right);
        return;
    }
    omap_retire(heap, OMAP_RETIRED_ITEM, node->keys[slot + 1]);
    node->keys[slot + 1] = separator_between(heap, left, right);
    node_rehint(right);
    omap_node_sum(right, &branch->totals[slot + 1]);
    node_rehint(node);
}
