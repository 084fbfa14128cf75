/* restore.h -- the whole state replaced by a backup's, through the log.
 *
 * Three commands, each an entry: `begin` says how many records follow and what they come to, then
 * each record of the backup's image, then `end`. They count only if they stand one behind the other in
 * the log, in one term. So whatever comes in between, a write, a new leader's first entry, makes every
 * replica alike give up what it has gathered, and the index of the end is known at the beginning.
 *
 * What is restored is as if it had been written by the end: that is the create and modify index of
 * everything, and the fence of every lock, greater than any that this cluster gave out. Sessions get
 * their whole time to live anew; what else ends by itself keeps what was left of its time. There are no
 * tombstones: below the end no index is told. The cluster's own nodes and its feature level stay.
 *
 * The records gather in a state machine of their own beside the one in force, which goes on answering.
 * The end makes it the successor; the caller of sm_apply() puts it in the place of the old one.
 *
 * Thread: the node thread.
 */
#ifndef RK_STATEMACHINE_RESTORE_H
#define RK_STATEMACHINE_RESTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "statemachine/sm.h"

/* Whether a record of this type is part of a restore: what belongs to a cluster is not. */
bool sm_restore_takes(uint8_t type);

/* What the records up to this one come to; 0 before the first. */
uint64_t sm_restore_digest(uint64_t before, uint8_t type, struct rk_bytes body);

/* Between a begin and its end. No snapshot may be taken then: it would not hold what is gathered. */
bool sm_is_restoring(const struct sm *sm);

/* After sm_apply(): the state machine that takes the place of this one, now the caller's; NULL: none. */
struct sm *sm_take_successor(struct sm *sm);

/* What was gathered and given up, for the caller to free, which may take long; NULL: nothing. */
struct sm *sm_take_discarded(struct sm *sm);

#endif
