#include "statemachine/omap.h"

#include <stddef.h>

#include "base/assert.h"
#include "statemachine/omap_node.h"

struct omap_step {
    struct omap_node *node; /* changed only after path_own() */
    uint32_t slot;          /* branch: of the child on the path */
};

/* From the root down to a leaf. Steps are structs, not two arrays: for a loop over two arrays of
 * different stride gcc 12.2 makes an address out of a null base, takes the access for one to NULL,
 * hence the function for free of effects, and drops calls of it. */
struct omap_path {
    uint32_t depth;
    bool found; /* the leaf's slot holds the key */
    struct omap_step steps[OMAP_DEPTH_MAX];
};

void omap_init(struct omap *map, struct omap_heap *heap)
{
    *map = (struct omap){.heap = heap};
}

void omap_clear(struct omap *map)
{
    omap_retire(map->heap, OMAP_RETIRED_SUBTREE, map->root);
    map->root = NULL;
}

/* --- paths --- */

static void path_push(struct omap_path *path, struct omap_node *node, uint32_t slot)
{
    RK_ASSERT(path->depth < OMAP_DEPTH_MAX);
    path->steps[path->depth++] = (struct omap_step){.node = node, .slot = slot};
}

static void path_to_key(const struct omap *map, struct rk_bytes key, struct omap_path *path)
{
    struct omap_node *node = map->root;
    path->depth = 0;
    while (node->level > 0) {
        const uint32_t slot = omap_branch_slot(node, key);
        path_push(path, node, slot);
        node = omap_branch(node)->children[slot];
    }
    const uint32_t slot = omap_leaf_slot(node, key, &path->found);
    path_push(path, node, slot);
}

static void path_to_cut(const struct omap *map, struct omap_cut cut, struct omap_path *path)
{
    struct omap_node *node = map->root;
    path->depth = 0;
    path->found = false;
    while (node->level > 0) {
        const uint32_t slot = omap_node_cut_slot(node, cut);
        path_push(path, node, slot);
        node = omap_branch(node)->children[slot];
    }
    path_push(path, node, omap_node_cut_slot(node, cut));
}

static void path_own(struct omap *map, struct omap_path *path)
{
    map->root = omap_node_own(map->heap, map->root);
    path->steps[0].node = map->root;
    for (uint32_t i = 1; i < path->depth; i++) {
        struct omap_branch *parent = omap_branch(path->steps[i - 1].node);
        struct omap_node *child = parent->children[path->steps[i - 1].slot];
        child = omap_node_own(map->heap, child);
        parent->children[path->steps[i - 1].slot] = child;
        path->steps[i].node = child;
    }
}

/* Sums up anew, from the leaf upwards, what the branches of the path say about it. */
static void path_sum(struct omap_path *path)
{
    for (uint32_t i = path->depth - 1; i > 0; i--) {
        struct omap_branch *parent = omap_branch(path->steps[i - 1].node);
        omap_node_sum(path->steps[i].node, &parent->totals[path->steps[i - 1].slot]);
    }
}

/* --- put --- */

static void path_add(struct omap_path *path, const struct omap_item *item)
{
    const struct omap_total one = {
        .count = 1, .index_max = item->modify_index, .digest = item->digest};
    for (uint32_t i = 0; i + 1 < path->depth; i++) {
        omap_total_add(&omap_branch(path->steps[i].node)->totals[path->steps[i].slot], &one);
    }
}

/* Takes the item out of the sums. Its index is looked for anew only where it was the greatest,
 * which needs the level below to be right: hence upwards. */
static void path_subtract(struct omap_path *path, const struct omap_item *item)
{
    for (uint32_t i = path->depth - 1; i > 0; i--) {
        struct omap_branch *parent = omap_branch(path->steps[i - 1].node);
        struct omap_total *total = &parent->totals[path->steps[i - 1].slot];
        total->count--;
        total->digest -= item->digest;
        if (total->index_max == item->modify_index) {
            struct omap_total anew;
            omap_node_sum(path->steps[i].node, &anew);
            total->index_max = anew.index_max;
        }
    }
}

static void path_grow(struct omap *map, struct omap_path *path)
{
    RK_ASSERT(path->depth < OMAP_DEPTH_MAX);
    struct omap_node *root = omap_node_new(map->heap, map->root->level + 1U);
    omap_branch_insert(omap_branch(root), 0, NULL, map->root);
    map->root = root;
    for (uint32_t i = path->depth; i > 0; i--) {
        path->steps[i] = path->steps[i - 1];
    }
    path->steps[0] = (struct omap_step){.node = root, .slot = 0};
    path->depth++;
}

/* Splits node `i` of the path, whose parent has room, and keeps the path on `key`. At its right
 * end the node stays full: keys that come in order then fill the tree, not half of it. */
static void path_split(struct omap *map, struct omap_path *path, uint32_t i, struct rk_bytes key)
{
    struct omap_node *node = path->steps[i].node;
    struct omap_branch *parent = omap_branch(path->steps[i - 1].node);
    const uint32_t parent_slot = path->steps[i - 1].slot;
    const bool at_end = path->steps[i].slot + (node->level > 0 ? 1U : 0U) == node->count;
    const uint32_t at = at_end ? OMAP_FANOUT - 1 : OMAP_FANOUT / 2;
    struct omap_item *separator;
    struct omap_node *right = omap_node_split(map->heap, node, at, &separator);
    const bool goes_right = omap_bytes_compare(key, omap_item_key(separator)) >= 0;
    omap_branch_insert(parent, parent_slot + 1, separator, right);
    omap_node_sum(node, &parent->totals[parent_slot]);
    if (goes_right) {
        path->steps[i - 1].slot++;
        path->steps[i].node = right;
        path->steps[i].slot -= at;
    }
}

/* Makes room in the leaf: splits the full nodes above it, the highest one first. */
static void path_make_room(struct omap *map, struct omap_path *path, struct rk_bytes key)
{
    uint32_t i = path->depth;
    while (i > 0 && path->steps[i - 1].node->count == OMAP_FANOUT) {
        i--;
    }
    if (i == 0) {
        path_grow(map, path);
        i = 1;
    }
    for (; i < path->depth; i++) {
        path_split(map, path, i, key);
    }
}

static void map_put_first(struct omap *map, struct omap_item *item)
{
    map->root = omap_node_new(map->heap, 0);
    omap_leaf_insert(map->root, 0, item);
}

void omap_put(struct omap *map, const struct omap_entry *entry)
{
    struct omap_item *item = omap_item_new(map->heap, entry);
    if (map->root == NULL) {
        map_put_first(map, item);
        return;
    }
    struct omap_path path;
    path_to_key(map, entry->key, &path);
    path_own(map, &path);
    if (path.found) {
        struct omap_node *leaf = path.steps[path.depth - 1].node;
        const uint32_t slot = path.steps[path.depth - 1].slot;
        struct omap_item *old = leaf->keys[slot];
        leaf->keys[slot] = item;
        path_add(&path, item); /* first: a greater index spares the search for the old one */
        path_subtract(&path, old);
        omap_retire(map->heap, OMAP_RETIRED_ITEM, old);
        return;
    }
    if (path.steps[path.depth - 1].node->count == OMAP_FANOUT) {
        path_make_room(map, &path, entry->key);
    }
    omap_leaf_insert(path.steps[path.depth - 1].node, path.steps[path.depth - 1].slot, item);
    path_add(&path, item);
}

/* --- delete --- */

static void root_shrink(struct omap *map)
{
    struct omap_node *root = map->root;
    while (root->level > 0 && root->count == 1) {
        map->root = omap_branch(root)->children[0];
        omap_node_discard(map->heap, root);
        root = map->root;
    }
    if (root->count == 0) {
        map->root = NULL;
        omap_node_discard(map->heap, root);
    }
}

/* After entries went from the nodes of the path: no node stays empty, and one that is nearly so
 * shares with a neighbour. Sums were right before and stay so. */
static void path_repair(struct omap *map, struct omap_path *path)
{
    for (uint32_t i = path->depth - 1; i > 0; i--) {
        struct omap_node *node = path->steps[i].node;
        struct omap_branch *parent = omap_branch(path->steps[i - 1].node);
        const uint32_t slot = path->steps[i - 1].slot;
        if (node->count == 0) {
            omap_branch_take(map->heap, parent, slot);
            omap_node_discard(map->heap, node);
        } else if (node->count < OMAP_FILL_MIN && parent->node.count > 1) {
            omap_branch_even(map->heap, parent, slot > 0 ? slot - 1 : 0);
        }
    }
    root_shrink(map);
}

bool omap_delete(struct omap *map, struct rk_bytes key)
{
    if (omap_find(map->root, key) == NULL) {
        return false;
    }
    struct omap_path path;
    path_to_key(map, key, &path);
    path_own(map, &path);
    struct omap_node *leaf = path.steps[path.depth - 1].node;
    const uint32_t slot = path.steps[path.depth - 1].slot;
    const struct omap_item *old = leaf->keys[slot];
    omap_leaf_remove(map->heap, leaf, slot, slot + 1);
    path_subtract(&path, old);
    path_repair(map, &path);
    return true;
}

/* Children from .. to - 1 go as they are, whole. */
static void branch_drop(struct omap_heap *heap, struct omap_node *node, uint32_t from, uint32_t to)
{
    struct omap_branch *branch = omap_branch(node);
    for (uint32_t slot = to; slot > from; slot--) {
        omap_retire(heap, OMAP_RETIRED_SUBTREE, branch->children[slot - 1]);
        omap_branch_take(heap, branch, slot - 1);
    }
}

/* Of a node on one border of the range: what lies inside it. */
static void border_drop(struct omap_heap *heap, struct omap_node *node, uint32_t from, uint32_t to)
{
    if (node->level > 0) {
        branch_drop(heap, node, from, to);
    } else {
        omap_leaf_remove(heap, node, from, to);
    }
}

/* Drops all between two paths that were owned. */
static void range_drop(struct omap *map, struct omap_path *left, struct omap_path *right)
{
    const uint32_t depth = left->depth;
    uint32_t i = 0;
    while (i + 1 < depth && left->steps[i].slot == right->steps[i].slot) {
        i++;
    }
    if (i + 1 == depth) {
        omap_leaf_remove(map->heap, left->steps[i].node, left->steps[i].slot, right->steps[i].slot);
        return;
    }
    branch_drop(map->heap, left->steps[i].node, left->steps[i].slot + 1, right->steps[i].slot);
    for (i++; i < depth; i++) {
        struct omap_node *node = left->steps[i].node;
        border_drop(map->heap, node, left->steps[i].slot + (node->level > 0 ? 1U : 0U),
                    node->count);
        border_drop(map->heap, right->steps[i].node, 0, right->steps[i].slot);
    }
}

uint64_t omap_delete_prefix(struct omap *map, struct rk_bytes prefix)
{
    const uint64_t count = omap_prefix_total(map->root, prefix).count;
    if (count == 0) {
        return 0;
    }
    const struct omap_cut low = {.key = prefix, .side = OMAP_BEFORE};
    const struct omap_cut high = {.key = prefix, .side = OMAP_AFTER_PREFIX};
    struct omap_path left;
    struct omap_path right;
    path_to_cut(map, low, &left);
    path_own(map, &left);
    path_to_cut(map, high, &right);
    path_own(map, &right);
    range_drop(map, &left, &right);

    /* The places on both paths have changed: look for them again. Sums first, on both. */
    path_to_cut(map, low, &left);
    path_sum(&left);
    path_to_cut(map, high, &right);
    path_sum(&right);
    path_repair(map, &left);
    if (map->root != NULL) {
        path_to_cut(map, high, &right);
        path_own(map, &right);
        path_repair(map, &right);
    }
    return count;
}
