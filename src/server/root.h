/* root.h -- the published root: how HTTP loops read the state machine without a lock.
 *
 * The node thread publishes an immutable root. A reader announces in a slot of its own how
 * old a root it may be about to use, then takes the current one, and clears the slot when it is
 * done with it. Whatever a newer root replaced may be freed once no slot holds an older one. The announcement and the
 * publication are sequentially consistent: a reader that the freeing side did not see took its
 * root after that look, hence a root that is still current.
 *
 * Thread: publish and oldest on the node thread; a slot belongs to one reader thread.
 */
#ifndef RK_SERVER_ROOT_H
#define RK_SERVER_ROOT_H

#include <stdint.h>

#include "statemachine/query.h"

struct root_board;

struct root_board *root_board_new(uint32_t slots_count);
void root_board_free(struct root_board *board); /* NULL is allowed */

/* Makes *root the current one. Versions do not fall (asserted). */
void root_publish(struct root_board *board, const struct sm_root *root);

/* The version of the oldest root that a reader may still be using; of the current one when there
 * is none. */
uint64_t root_oldest(struct root_board *board);

/* Lends the current root until root_release(); one at a time per slot. */
const struct sm_root *root_acquire(struct root_board *board, uint32_t slot);
void root_release(struct root_board *board, uint32_t slot);

#endif
