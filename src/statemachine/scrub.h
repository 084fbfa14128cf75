/* scrub.h -- looks at what is held in memory, some at a time: is it what its hash says?
 *
 * The digest of the state is a sum of hashes that were made when the items were. A bit that flips in
 * memory later changes what clients read and not the digest; whoever reads all of it again finds it. The
 * walk goes on from the last key, over whatever the maps hold by then: it sees everything that stays.
 *
 * Thread: the owner's of the state machine, between two commands.
 */
#ifndef RK_STATEMACHINE_SCRUB_H
#define RK_STATEMACHINE_SCRUB_H

#include <stdbool.h>

#include "base/buf.h"
#include "raft/types.h"
#include "statemachine/sm.h"

struct sm_scrub {
    uint32_t map;        /* which of the maps is being walked */
    struct rk_buf after; /* the last key that was looked at there */
    bool has_after;
    uint64_t rounds; /* walks that are over, through all maps */
};

void sm_scrub_init(struct sm_scrub *scrub);
void sm_scrub_done(struct sm_scrub *scrub);

/* Looks at the next items, of about `budget` bytes together; to the end of the walk at most. False: one
 * is not what it was; *ret_index is its modify_index, as far as that can be believed. */
RK_MUST_USE bool sm_scrub_step(struct sm_scrub *scrub, struct sm *sm, size_t budget,
                               raft_index *ret_index);

#endif
