/* progress.h -- what a node knows of one peer; all transitions of it are here.
 *
 *   PROBE       where the logs meet is unknown: one append under way, next_index stands still
 *   REPLICATE   they meet at match_index: appends leave one after another, up to the window
 *   SNAPSHOT    what it needs next is not in the log any more: a snapshot is under way, no appends
 *
 *        accepted: PROBE -> REPLICATE
 *        refused, lost, unreachable: REPLICATE -> PROBE at match_index + 1
 *        next_index <= base: PROBE, REPLICATE -> SNAPSHOT
 *        installed, failed, nothing heard of it: SNAPSHOT -> PROBE at match_index + 1
 *
 * Window slots are freed by index, not by message: the transport may carry one append as several
 * requests, each of whose answers moves match_index (10.2.1).
 */
#ifndef RK_RAFT_PROGRESS_H
#define RK_RAFT_PROGRESS_H

#include <stdbool.h>

#include "raft/raft.h"
#include "raft/types.h"

enum progress_state { PROGRESS_PROBE = 1, PROGRESS_REPLICATE, PROGRESS_SNAPSHOT };

enum progress_vote { PROGRESS_VOTE_NONE = 0, PROGRESS_VOTE_GRANTED, PROGRESS_VOTE_REFUSED };

struct progress {
    raft_node_id id;
    enum progress_vote vote; /* in the campaign under way */

    enum progress_state state;
    raft_index match_index; /* known to be durable there (Figure 3.1); never falls but by a loss */
    raft_index next_index;  /* first entry to send (Figure 3.1); > match_index (pitfall 30) */
    uint64_t sequence;      /* of the latest append or offer of a snapshot */

    uint64_t probe_sequence;    /* of the probe under way; 0: none */
    raft_index probe_last;      /* its last entry */
    bool is_paused;             /* unreachable: nothing more until it has answered something */
    uint64_t pipeline_sequence; /* refusals of appends up to this one are of an earlier pipeline */
    uint64_t loss_sequence;     /* answers to appends up to this one promise what was lost since */
    raft_index snapshot_index;  /* SNAPSHOT: the last entry it covers; else 0 */
    uint64_t moved_ms; /* when match_index last rose, sending began with nothing under way, or the
                          snapshot moved */

    uint64_t contact_ms;   /* when it last answered in this term; 0: never */
    uint64_t round_acked;  /* greatest heartbeat round it answered (6.4) */
    uint64_t anchor_round; /* heartbeat that left when anchor_match was known; 0: none */
    raft_index anchor_match;
    raft_index commit_index; /* as it last reported */
    raft_index last_applied;

    uint32_t inflight_first;
    uint32_t inflight_count;
    raft_index inflight[RAFT_INFLIGHT_MAX]; /* ring: last entry of each append under way */
};

/* A peer that nothing is known of. */
void progress_init(struct progress *progress, raft_node_id id);

/* A leader begins with this peer: probe, first with the entries from `next_index` on. */
void progress_reset(struct progress *progress, raft_index next_index, uint64_t now_ms);

/* True when an append may leave now. */
bool progress_may_send(const struct progress *progress, uint32_t inflight_max);

/* True while where the logs meet still has to be found out. */
bool progress_is_unsure(const struct progress *progress);

/* An append up to `entries_last` (next_index - 1: without entries) leaves; returns its sequence.
 * progress_may_send() held. */
uint64_t progress_sent(struct progress *progress, raft_index entries_last, uint64_t now_ms);

/* A snapshot up to `snapshot_index` is offered; returns the sequence of the offer. What else was
 * under way is given up. progress_may_send() held. */
uint64_t progress_snapshot(struct progress *progress, raft_index snapshot_index, uint64_t now_ms);

/* The snapshot is still on its way. */
void progress_snapshot_moved(struct progress *progress, uint64_t now_ms);

/* The snapshot will not come: probe again, and so offer one again, once the peer has answered
 * something. */
void progress_snapshot_failed(struct progress *progress);

/* The peer holds the leader's log up to `match`, by the answer to append `sequence`. True when
 * match_index rose. */
bool progress_accepted(struct progress *progress, uint64_t sequence, raft_index match,
                       uint64_t now_ms);

/* Append `sequence`, which followed entry `previous`, was refused; `next_index` is where the hint
 * points. Ignored unless it names the probe under way, or an append of this pipeline (then back
 * to probing at match_index + 1): next_index never falls to match_index or below (pitfall 30).
 * A hint that leads nowhere new leaves the probe standing, to be sent again by the clock. */
void progress_refused(struct progress *progress, uint64_t sequence, raft_index previous,
                      raft_index next_index);

/* Back to probing at match_index + 1; what is under way is given up. */
void progress_probe(struct progress *progress);

/* A message was lost for certain: nothing more, until the peer has answered something; then probe,
 * if it was replicating. A snapshot on its way has a fate of its own. */
void progress_unreachable(struct progress *progress);

/* Called at a sign of life: appends that had no answer for `patience_ms`, and a snapshot that was
 * not heard of for four times that, count as lost (pitfall 40). */
void progress_expire(struct progress *progress, uint64_t now_ms, uint64_t patience_ms);

/* The peer's log ends at `last_index`, before what it acknowledged: it is refilled from there and
 * no longer counts for what it lost. */
void progress_lost(struct progress *progress, raft_index last_index, uint64_t now_ms);

#endif
