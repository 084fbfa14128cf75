#include <stddef.h>

#include "base/assert.h"
#include "statemachine/omap.h"
#include "statemachine/omap_node.h"

const struct omap_item *omap_find(const struct omap_node *root, struct rk_bytes key)
{
    const struct omap_node *node = root;
    if (node == NULL) {
        return NULL;
    }
    while (node->level > 0) {
        node = omap_branch_read(node)->children[omap_branch_slot(node, key)];
    }
    return omap_leaf_find(node, key);
}

struct omap_total omap_total(const struct omap_node *root)
{
    struct omap_total total = {0};
    if (root != NULL) {
        omap_node_sum(root, &total);
    }
    return total;
}

/* --- sums of a range --- */

static void sum_slots(struct omap_total *total, const struct omap_node *node, uint32_t from,
                      uint32_t to)
{
    for (uint32_t slot = from; slot < to; slot++) {
        if (node->level > 0) {
            omap_total_add(total, &omap_branch_read(node)->totals[slot]);
        } else {
            const struct omap_item *item = node->keys[slot];
            const struct omap_total one = {
                .count = 1, .index_max = item->modify_index, .digest = item->digest};
            omap_total_add(total, &one);
        }
    }
}

/* Adds all below `node` that is after the cut. */
static void sum_after(struct omap_total *total, const struct omap_node *node, struct omap_cut cut)
{
    while (node->level > 0) {
        const uint32_t slot = omap_node_cut_slot(node, cut);
        sum_slots(total, node, slot + 1, node->count);
        node = omap_branch_read(node)->children[slot];
    }
    sum_slots(total, node, omap_node_cut_slot(node, cut), node->count);
}

static void sum_before(struct omap_total *total, const struct omap_node *node, struct omap_cut cut)
{
    while (node->level > 0) {
        const uint32_t slot = omap_node_cut_slot(node, cut);
        sum_slots(total, node, 0, slot);
        node = omap_branch_read(node)->children[slot];
    }
    sum_slots(total, node, 0, omap_node_cut_slot(node, cut));
}

struct omap_total omap_prefix_total(const struct omap_node *root, struct rk_bytes prefix)
{
    if (root == NULL || prefix.size == 0) {
        return omap_total(root);
    }
    const struct omap_cut low = {.key = prefix, .side = OMAP_BEFORE};
    const struct omap_cut high = {.key = prefix, .side = OMAP_AFTER_PREFIX};
    struct omap_total total = {0};
    const struct omap_node *node = root;
    uint32_t from = omap_node_cut_slot(node, low);
    uint32_t to = omap_node_cut_slot(node, high);
    while (node->level > 0 && from == to) {
        node = omap_branch_read(node)->children[from];
        from = omap_node_cut_slot(node, low);
        to = omap_node_cut_slot(node, high);
    }
    if (node->level == 0) {
        sum_slots(&total, node, from, to);
        return total;
    }
    sum_slots(&total, node, from + 1, to);
    sum_after(&total, omap_branch_read(node)->children[from], low);
    sum_before(&total, omap_branch_read(node)->children[to], high);
    return total;
}

/* --- walking --- */

static struct omap_place place_none(void)
{
    return (struct omap_place){0};
}

struct omap_place omap_place_at(const struct omap_node *leaf, uint32_t slot)
{
    return (struct omap_place){.item = leaf->keys[slot], .leaf = leaf, .slot = slot};
}

static const struct omap_node *leftmost_leaf(const struct omap_node *node)
{
    while (node->level > 0) {
        node = omap_branch_read(node)->children[0];
    }
    return node;
}

static const struct omap_node *rightmost_leaf(const struct omap_node *node)
{
    while (node->level > 0) {
        node = omap_branch_read(node)->children[node->count - 1];
    }
    return node;
}

struct omap_place omap_first_after(const struct omap_node *root, struct omap_cut cut)
{
    const struct omap_node *node = root;
    const struct omap_node *next = NULL; /* the nearest subtree to the right of the way down */
    if (node == NULL) {
        return place_none();
    }
    while (node->level > 0) {
        const struct omap_branch *branch = omap_branch_read(node);
        const uint32_t slot = omap_node_cut_slot(node, cut);
        if (slot + 1 < node->count) {
            next = branch->children[slot + 1];
        }
        node = branch->children[slot];
    }
    const uint32_t slot = omap_node_cut_slot(node, cut);
    if (slot < node->count) {
        return omap_place_at(node, slot);
    }
    return next == NULL ? place_none() : omap_place_at(leftmost_leaf(next), 0);
}

struct omap_place omap_last_before(const struct omap_node *root, struct omap_cut cut)
{
    const struct omap_node *node = root;
    const struct omap_node *previous = NULL;
    if (node == NULL) {
        return place_none();
    }
    while (node->level > 0) {
        const struct omap_branch *branch = omap_branch_read(node);
        const uint32_t slot = omap_node_cut_slot(node, cut);
        if (slot > 0) {
            previous = branch->children[slot - 1];
        }
        node = branch->children[slot];
    }
    const uint32_t slot = omap_node_cut_slot(node, cut);
    if (slot == 0 && previous == NULL) {
        return place_none();
    }
    const struct omap_node *leaf = slot > 0 ? node : rightmost_leaf(previous);
    return omap_place_at(leaf, (slot > 0 ? slot : leaf->count) - 1);
}

struct omap_place omap_next(const struct omap_node *root, struct omap_place place)
{
    RK_ASSERT(place.item != NULL);
    if (place.slot + 1 < place.leaf->count) {
        return omap_place_at(place.leaf, place.slot + 1);
    }
    return omap_first_after(
        root, (struct omap_cut){.key = omap_item_key(place.item), .side = OMAP_AFTER});
}
