/* trail.h -- the log without its payloads: which term the entry at each index has.
 *
 * The core decides by (index, term) alone, so it keeps runs of equal terms instead of entries: a
 * lookup needs no disk, and the whole log fits the fixed memory of the core.
 *
 *   base            runs[0]       runs[1]              last
 *   (snapshot) | i  i  i  i  i | i  i  i  i  i  i  i  i |
 *
 * Thread and memory: embedded in struct raft.
 */
#ifndef RK_RAFT_TRAIL_H
#define RK_RAFT_TRAIL_H

#include <stdbool.h>

#include "raft/raft.h"
#include "raft/types.h"

/* Invariant: base.index <= last_index; runs ascend in index and in term, the first begins at
 * base.index + 1 when there is one, and there is none exactly when the log is empty. */
struct trail {
    struct raft_entry_id base; /* the last entry that a snapshot replaced */
    raft_index last_index;
    uint32_t runs_count;
    struct raft_trail_run runs[RAFT_TRAIL_RUNS_MAX];
};

/* `runs` cover base.index + 1 .. last.index, of which `last` is the last entry (asserted). */
void trail_init(struct trail *trail, struct raft_entry_id base, struct raft_entry_id last,
                const struct raft_trail_run *runs, uint32_t runs_count);

/* The last entry; base when the log is empty. */
struct raft_entry_id trail_last(const struct trail *trail);

/* True for base.index .. last_index: where trail_term() may be asked. */
bool trail_has(const struct trail *trail, raft_index index);

/* Never guesses: `index` must be one that trail_has() (asserted; pitfall 37). */
raft_term trail_term(const struct trail *trail, raft_index index);

/* True when the log holds exactly this entry (Log Matching, 3.5). */
bool trail_matches(const struct trail *trail, struct raft_entry_id id);

/* The greatest entry whose index and term are both at most those of `id`; base if there is none.
 * No entry between it and id.index can be shared with a log that has `id` (conflict hint, 3.5). */
struct raft_entry_id trail_guess(const struct trail *trail, struct raft_entry_id id);

/* How many runs are still free. */
uint32_t trail_room(const struct trail *trail);

/* `count` entries of `term` follow the last one. The term may not fall, and a new term needs room
 * for a run (both asserted). */
void trail_append(struct trail *trail, raft_term term, uint32_t count);

/* The entries up to `index` are gone, base is the last of them; base.index <= index <= last_index
 * (asserted). */
void trail_compact(struct trail *trail, raft_index index);

/* All entries are gone, and the log goes on after `base`. */
void trail_reset(struct trail *trail, struct raft_entry_id base);

/* Drops the entries from `from` on; base.index < from <= last_index (asserted). */
void trail_truncate(struct trail *trail, raft_index from);

#endif
