/* watch_tree.h -- byte strings in a crit-bit tree: which of them begin with a given one, and with
 * which of them a given one begins. For watch.c only.
 *
 * Why not a hash table: a change of one key concerns every watched prefix of it, a deletion of a
 * prefix every watched key below it. Here both are one walk down, whatever else is watched.
 *
 * A byte counts as nine bits, the first of which says that there is a byte, so that a string may
 * begin another one. A branch stands where its two sides first differ. Leaves are chained in the
 * order of their strings.
 *
 * Thread: the owner's. Memory: leaves are embedded in what has a string.
 */
#ifndef RK_STATEMACHINE_WATCH_TREE_H
#define RK_STATEMACHINE_WATCH_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct watch_branch;

/* One of the two is set; both NULL: an empty tree. */
struct watch_place {
    struct watch_branch *branch;
    struct watch_leaf *leaf;
};

struct watch_leaf {
    struct rk_bytes key; /* the owner's; unchanged while it is in the tree */
    struct watch_leaf *previous;
    struct watch_leaf *next;
};

struct watch_tree {
    struct watch_place root;
};

/* NULL: no leaf has this key. */
struct watch_leaf *watch_tree_find(const struct watch_tree *tree, struct rk_bytes key);
/* No leaf has its key yet (asserted). */
void watch_tree_add(struct watch_tree *tree, struct watch_leaf *leaf);
void watch_tree_remove(struct watch_tree *tree, struct watch_leaf *leaf);

/* The first leaf whose key begins with `prefix`, itself included; NULL: none. The others follow it
 * in the chain. */
struct watch_leaf *watch_tree_below(const struct watch_tree *tree, struct rk_bytes prefix);
bool watch_key_begins(struct rk_bytes key, struct rk_bytes prefix);

/* Visits every leaf with whose key `key` begins, itself included. */
void watch_tree_visit_above(const struct watch_tree *tree, struct rk_bytes key,
                            void (*visit)(void *context, struct watch_leaf *leaf), void *context);

#endif
