/* cluster_time.h -- the clock that all members share: a count of milliseconds since the cluster's
 * first entry, stamped by the leader into every entry it seals.
 *
 * Each member goes on from the last stamp it has seen by its own monotonic clock, so a new leader
 * neither starts anew nor leaves out what passed without an entry (pitfall 126). It never runs
 * ahead of real time: a stamp is seen after it was made, and what passes while nobody is up to
 * count is left out. Each stamp counts, also one that is behind: a leader that was down may have left
 * out more than others did, and its oscillator may be the slower one; who counted on without it
 * would end early, as the next leader, what was given a time to live under this one. So a deadline
 * in cluster time may come late, and never comes early.
 *
 * Thread: the owner's. Pure: the caller says what its clock shows.
 */
#ifndef RK_STATEMACHINE_CLUSTER_TIME_H
#define RK_STATEMACHINE_CLUSTER_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: nothing was seen yet, and it stands at 0. */
struct cluster_time {
    uint64_t stamp_ms; /* cluster time ... */
    uint64_t at_ms;    /* ... when the member's monotonic clock showed this */
    bool is_running;
};

/* Cluster time at `now_ms` of the member's clock. */
uint64_t cluster_time_ms(const struct cluster_time *time, uint64_t now_ms);

/* An entry with this stamp is the last of the log, or of the snapshot that takes its place. */
void cluster_time_note(struct cluster_time *time, uint64_t stamp_ms, uint64_t now_ms);

#endif
