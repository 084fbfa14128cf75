/* cluster_time.h -- the clock that all members share: a count of milliseconds since the cluster's
 * first entry, stamped by the leader into every entry it seals.
 *
 * Each member goes on from the last stamp it has seen by its own monotonic clock, so a new leader
 * neither starts anew nor leaves out what passed without an entry (pitfall 126). It never runs
 * ahead of real time: a stamp is seen after it was made, and what passes while nobody is up to
 * count is left out. A new leader may have left out more than others did; from its first entry on
 * they count as it does, or a time to live that it began would end early under the next. So a
 * deadline in cluster time may come late, and never comes early.
 *
 * Thread: the owner's. Pure: the caller says what its clock shows.
 */
#ifndef RK_STATEMACHINE_CLUSTER_TIME_H
#define RK_STATEMACHINE_CLUSTER_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "raft/types.h"

/* All zero: nothing was seen yet, and it stands at 0. */
struct cluster_time {
    uint64_t stamp_ms; /* cluster time ... */
    uint64_t at_ms;    /* ... when the member's monotonic clock showed this */
    raft_term term;    /* of the entry that was noted last */
    bool is_running;
    bool is_doubted; /* the next stamp counts whatever it says */
};

/* Cluster time at `now_ms` of the member's clock. */
uint64_t cluster_time_ms(const struct cluster_time *time, uint64_t now_ms);

/* An entry of this term with this stamp is in the log, or in the snapshot that takes its place. One
 * that came late does not put the clock back, unless it is the first of its term. */
void cluster_time_note(struct cluster_time *time, raft_term term, uint64_t stamp_ms,
                       uint64_t now_ms);

/* Entries whose stamps were noted are gone from the log: what the next leader says counts, for the
 * one before may have begun to count earlier. Until then the clock goes on, so that no stamp falls
 * below that of an entry that stayed. */
void cluster_time_doubt(struct cluster_time *time);

#endif
