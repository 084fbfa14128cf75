/* tombstones.h -- what deletions leave behind, so that the index of a prefix never falls.
 *
 * A deleted key leaves its index under its own key; a deleted prefix leaves one index that counts
 * for every prefix above and below it, and takes the place of all tombstones below it. They stand
 * in two generations. New ones go to the young one; when that holds half of SM_TOMBSTONES_MAX, the
 * old one is given up as a whole, its greatest index becomes the floor, and the young one grows
 * old. So giving up is O(1), and the floor, which moves the index of every prefix below it, rises
 * once in tens of thousands of deletions. All of it follows from the commands alone, and is equal
 * on all replicas.
 *
 * Thread: the node thread; queries any, on a held root.
 */
#ifndef RK_STATEMACHINE_TOMBSTONES_H
#define RK_STATEMACHINE_TOMBSTONES_H

#include <stdbool.h>

#include "base/bytes.h"
#include "raft/types.h"
#include "statemachine/omap.h"

/* An item's modify_index is the greatest index of both kinds at this key, its lock_index that of
 * the deletion of this whole prefix, 0 if there was none. */
struct sm_tombstones {
    struct omap young;
    struct omap old;
    raft_index floor; /* greatest index that was given up */
};

void sm_tombstones_init(struct sm_tombstones *tombstones, struct omap_heap *heap);
void sm_tombstones_clear(struct sm_tombstones *tombstones);

/* Whether the two generations, filled by somebody else, are within their bounds. */
bool sm_tombstones_are_legal(const struct sm_tombstones *tombstones);

/* `index` is not below any that was added before. */
void sm_tombstones_add_key(struct sm_tombstones *tombstones, struct rk_bytes key, raft_index index);
void sm_tombstones_add_prefix(struct sm_tombstones *tombstones, struct rk_bytes prefix,
                              raft_index index);
/* The key was made anew: its own index is above that of its tombstone, which is not needed. */
void sm_tombstones_forget_key(struct sm_tombstones *tombstones, struct rk_bytes key);

/* The greatest index of a deletion that touched the prefix; 0: none is known. `root` is that of
 * one generation. */
raft_index sm_tombstones_index(const struct omap_node *root, struct rk_bytes prefix);

#endif
