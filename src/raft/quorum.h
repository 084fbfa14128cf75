/* quorum.h -- the only majority arithmetic in the tree (pitfall 79).
 *
 * Votes, commit, check-quorum and read confirmation all ask the same question: what has a quorum
 * reached? A joint configuration (4.3) needs a majority of both halves, and because there is one
 * function, no caller can forget the old half.
 */
#ifndef RK_RAFT_QUORUM_H
#define RK_RAFT_QUORUM_H

#include <stdint.h>

#include "raft/types.h"

/* What `voter` has reached: its match_index, the time of its last answer, 1 for a granted vote. */
typedef uint64_t quorum_value(const void *context, raft_node_id voter);

/* Voters that make a majority of `voters_count`. */
uint32_t quorum_size(uint32_t voters_count);

/* The greatest value that a quorum of `config` has reached: a majority of voters and, while the
 * configuration is joint, a majority of old_voters too. 0 when nobody votes. */
uint64_t quorum_reached(const struct raft_config *config, quorum_value *value, const void *context);

#endif
