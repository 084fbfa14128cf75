/* sm.h -- the replicated state machine's write side: commands in commit order, results out.
 *
 * Pure: no clock, no chance, no I/O, no thread. The map is copy-on-write: sm_publish() freezes
 * what is there as a root that readers hold for as long as they like; commands after it copy the
 * nodes they touch. What a newer version replaced is kept on a list with the version that
 * replaced it until sm_reclaim() is told that nobody holds an older one. There are no refcounts
 * and no atomics here: who holds what is the server's business (server/root.h).
 *
 * Tombstones: so that an index never goes back, a deletion leaves its index behind per key (one
 * for a whole prefix). At most SM_TOMBSTONES_MAX are kept; past it the older half is given up and
 * root.tombstone_floor rises to their greatest index, below which no prefix index falls.
 *
 * Thread: the node thread.
 */
#ifndef RK_STATEMACHINE_SM_H
#define RK_STATEMACHINE_SM_H

#include "base/bytes.h"
#include "base/status.h"
#include "raft/types.h"
#include "statemachine/command.h"
#include "statemachine/query.h"
#include "statemachine/result.h"

enum {
    SM_TOMBSTONES_MAX = 65536,
    SM_SESSIONS_MAX = 65536,
    SM_TOKENS_MAX = 65536,          /* requests that are remembered by their token ... */
    SM_TOKENS_BYTES_MAX = 64 << 20, /* ... and what was answered to them */
    SM_SESSION_LOCKS_MAX = 2048,    /* of one session: its end is one entry, and one turn */
};

struct sm;

struct sm *sm_new(void);
void sm_free(struct sm *sm); /* everything, held roots included; NULL is allowed */

/* Where an entry stands in the log, and when its leader took it in. */
struct sm_place {
    raft_term term;
    raft_index index;
    uint64_t time_ms; /* cluster time */
};

/* Applies the command of the entry at `place` (the body of its frame); indexes rise (asserted).
 * Errors: RK_CORRUPT: not a command this version knows. The caller must stop the node: an entry
 * that others apply may not be skipped (pitfall 141). *ret is then untouched; else the caller ends
 * it with sm_result_done(). */
RK_MUST_USE enum rk_status sm_apply(struct sm *sm, const struct sm_place *place,
                                    struct rk_bytes command, struct sm_result *ret);

/* Notes that entries without a command (no-op, configuration) up to `place` are applied. */
void sm_skip(struct sm *sm, const struct sm_place *place);

/* Cluster time at which something ends next: a session, a lock-delay, the memory of a
 * request. What nobody would miss may wait for a second. UINT64_MAX: nothing does. */
uint64_t sm_next_deadline_ms(const struct sm *sm);

/* What the leader of term and time `now` has to propose because it is over: as many sessions, or
 * as many keys, as one entry may end; what was over first comes first. Its items are in `items`, which
 * is empty before. False: nothing is, and both are untouched. */
bool sm_find_expired(const struct sm *sm, const struct sm_place *now, struct rk_buf *items,
                     struct sm_command *ret);

/* Nodes to whose check sessions are tied: the one after `after`, lent until the next change; empty:
 * the first. False: there is none. */
bool sm_tied_next(const struct sm *sm, struct rk_bytes after, struct rk_bytes *ret_node);
uint64_t sm_tied_count(const struct sm *sm, struct rk_bytes node);

/* Freezes the present state. Cheap; without a change since the last call, last_applied included,
 * the version stays. The first version is 1. */
struct sm_root sm_publish(struct sm *sm);

/* What is held now, for the owner's own eyes: a root that lasts until the next change. */
struct sm_root sm_view(const struct sm *sm);

/* For one that takes another's place: its next root has a version above `version`, so that whoever
 * compares versions sees them rise. */
void sm_continue(struct sm *sm, uint64_t version);

/* Frees what only roots older than `oldest_version` could reach: every root that somebody holds
 * has that version or a later one. The root published last counts as held, whatever the argument.
 * At most `budget` nodes and items a call. Returns true while more is left to free. */
bool sm_reclaim(struct sm *sm, uint64_t oldest_version, uint32_t budget);

/* The cluster's level (feature.h), as far as applied. It never falls. */
uint32_t sm_feature_level(const struct sm *sm);

/* What sm_digest() says of the state as it is now, published or not. */
uint64_t sm_digest_now(const struct sm *sm);

/* Bytes held: live and not yet reclaimed. For metrics and tests. */
uint64_t sm_memory(const struct sm *sm);

#endif
