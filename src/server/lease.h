/* lease.h -- the node's lease, where HTTP loops can look at it (dissertation 6.4.1).
 *
 * A reader takes a root first and asks lease_holds() after: a yes says that at a moment in between
 * this node was the leader beyond doubt and the root held all that was committed, however long the
 * reader, or the whole machine, stood still on the way (pitfall 107). What anybody was told of as
 * done before is in that root, since the node publishes what is committed before a message says so.
 *
 * Thread: publishing on the node thread, before what the step put out leaves; asking on any.
 */
#ifndef RK_SERVER_LEASE_H
#define RK_SERVER_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "raft/types.h"

struct lease {
    _Atomic uint64_t end_ms; /* CLOCK_BOOTTIME; 0: none */
    _Atomic raft_index commit_index;
};

/* From now on `end_ms` and `commit_index` are the core's. */
void lease_publish(struct lease *lease, uint64_t end_ms, raft_index commit_index);

/* May what was read from a state that has applied `last_applied` be answered as it is? */
bool lease_holds(const struct lease *lease, raft_index last_applied);

/* How long a round keeps other leaders away: the election timeout less the share, in per cent,
 * by which a leader's clock may run slower than a voter's, and less a millisecond, since times are
 * cut to whole ones. More than 0 for a timeout of 20 ms or more and a share of 50 or less. */
uint32_t lease_length_ms(uint32_t election_timeout_ms, uint32_t drift_percent);

#endif
