/* omap_node.h -- items and nodes of the ordered map; for the omap_*.c files only.
 *
 * An item is one allocation: a fixed part, the numbers that differ from their usual value, key,
 * value. A leaf points to its items. A branch with n children has n - 1 separators, items
 * without a value, in keys[1 .. n-1]: what is below child i is >= keys[i] and < keys[i + 1].
 * Every node has at least one entry. All leaves are on level 0.
 *
 * To compare without leaving the node, it keeps 8 bytes of each key as a big-endian number, taken
 * behind the `skip` bytes that all its keys have in common.
 */
#ifndef RK_STATEMACHINE_OMAP_NODE_H
#define RK_STATEMACHINE_OMAP_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "statemachine/omap.h"

enum {
    OMAP_FANOUT = 32,
    OMAP_FILL_MIN = 8, /* below it a deletion joins the node with a neighbour */
};

/* Numbers kept only when they are not the usual one, in this order behind the fixed part. */
enum omap_extra {
    OMAP_EXTRA_FLAGS = 1,  /* usually 0 */
    OMAP_EXTRA_CREATE = 2, /* usually modify_index */
    OMAP_EXTRA_LOCK = 4,   /* usually 0 */
};

struct omap_item {
    uint64_t modify_index;
    uint64_t digest;
    uint32_t value_size;
    uint16_t key_size;
    uint8_t extras;     /* set of enum omap_extra */
    uint8_t key_offset; /* of the key in bytes[]: 8 for each extra */
    uint8_t bytes[];    /* extras, key, value */
};

struct omap_node {
    uint64_t version; /* that made it; read by the owner only */
    uint16_t count;   /* entries, 1 .. OMAP_FANOUT */
    uint16_t level;   /* 0: leaf */
    uint16_t skip;    /* bytes that all keys have in common; maybe not all of them */
    uint64_t hints[OMAP_FANOUT];
    struct omap_item *keys[OMAP_FANOUT]; /* leaf: items. Branch: separators, keys[0] is NULL */
};

struct omap_branch {
    struct omap_node node;
    struct omap_node *children[OMAP_FANOUT];
    struct omap_total totals[OMAP_FANOUT]; /* of the child in the same place */
};

enum omap_retired_kind { OMAP_RETIRED_NODE, OMAP_RETIRED_ITEM, OMAP_RETIRED_SUBTREE };

/* Keeps `thing` until reclaim. A NODE goes alone, a SUBTREE with all below. NULL is allowed. */
void omap_retire(struct omap_heap *heap, enum omap_retired_kind kind, void *thing);

/* Items. */
struct omap_item *omap_item_new(struct omap_heap *heap, const struct omap_entry *entry);
/* The shortest key that is above `left`'s and not above `right`'s. */
struct omap_item *omap_separator_new(struct omap_heap *heap, const struct omap_item *left,
                                     const struct omap_item *right);
void omap_item_free(struct omap_heap *heap, struct omap_item *item); /* at once */
struct rk_bytes omap_item_key(const struct omap_item *item);
bool omap_cut_is_above(struct omap_cut cut, const struct omap_item *item);

/* Nodes. */
struct omap_node *omap_node_new(struct omap_heap *heap, uint32_t level);
void omap_node_free(struct omap_heap *heap, struct omap_node *node); /* it alone, at once */
/* It alone: at once if no published root can reach it, else it is retired. */
void omap_node_discard(struct omap_heap *heap, struct omap_node *node);
/* `node` if this version made it, else a copy, and `node` is retired. */
struct omap_node *omap_node_own(struct omap_heap *heap, struct omap_node *node);
struct omap_branch *omap_branch(struct omap_node *node);                  /* level > 0 (asserted) */
const struct omap_branch *omap_branch_read(const struct omap_node *node); /* the same */
void omap_node_sum(const struct omap_node *node, struct omap_total *ret);
void omap_total_add(struct omap_total *total, const struct omap_total *more);

/* NULL: the leaf has no such key. */
const struct omap_item *omap_leaf_find(const struct omap_node *leaf, struct rk_bytes key);
/* First slot of a leaf whose key is >= `key`, or count. */
uint32_t omap_leaf_slot(const struct omap_node *leaf, struct rk_bytes key, bool *found);
/* Slot of the child whose range holds `key`. */
uint32_t omap_branch_slot(const struct omap_node *branch, struct rk_bytes key);
/* First slot behind the cut: of a leaf the first key above it, of a branch the child it is in. */
uint32_t omap_node_cut_slot(const struct omap_node *node, struct omap_cut cut);

/* Changing nodes that were owned before. */
void omap_leaf_insert(struct omap_node *leaf, uint32_t slot, struct omap_item *item);
void omap_leaf_remove(struct omap_heap *heap, struct omap_node *leaf, uint32_t from, uint32_t to);
void omap_branch_insert(struct omap_branch *branch, uint32_t slot, struct omap_item *separator,
                        struct omap_node *child);
/* Takes child `slot` out of the branch and retires its separator, not the child. */
void omap_branch_take(struct omap_heap *heap, struct omap_branch *branch, uint32_t slot);
/* Moves the entries from `at` on to a new node; *separator goes between the two. */
struct omap_node *omap_node_split(struct omap_heap *heap, struct omap_node *node, uint32_t at,
                                  struct omap_item **separator);
/* Joins children `slot` and `slot + 1`, or evens them out if one node cannot hold both. */
void omap_branch_even(struct omap_heap *heap, struct omap_branch *branch, uint32_t slot);

#endif
