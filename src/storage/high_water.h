/* high_water.h -- what the log once held, kept outside the database.
 *
 * Why: SQLite ends its WAL at the first bad frame and says nothing, so one flipped bit makes a log
 * that is whole, shorter, and has forgotten what it acknowledged (correctness F1, 49 to 51). A node
 * whose log is short of its mark may neither vote nor campaign until a leader has refilled it, and
 * a vote that the database forgot is still known here.
 *
 * The last entry is noted at most HIGH_WATER_LAG_MS after it became durable: what is lost from a
 * log in that window goes unnoticed. Term and vote are durable here before the answer leaves. The
 * mark may never run ahead of the log: call it after log_store_write().
 *
 * Thread: the disk thread. The file is made whole, 8 KiB, and written in place: a full disk does
 * not stop it.
 */
#ifndef RK_STORAGE_HIGH_WATER_H
#define RK_STORAGE_HIGH_WATER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "raft/types.h"

enum { HIGH_WATER_LAG_MS = 200 };

struct high_water_mark {
    struct raft_entry_id last; /* {0, 0}: the log was empty */
    uint64_t chain;            /* of that entry's frame */
    struct raft_hard_state hard_state;
};

struct high_water;

/* Opens or creates the file at `path`. `incarnation` (not 0) ties it to its directory. *ret_is_new
 * says that there was none: beside a log that is not empty, somebody has removed it.
 * Errors: RK_IO, RK_FULL, RK_CORRUPT (both copies fail their check: this node may not vote until
 * it was replaced), RK_CONFLICT (of another incarnation); `message` then says why, and the results
 * are untouched. */
RK_MUST_USE enum rk_status high_water_open(const char *path, uint64_t incarnation,
                                           struct high_water **ret, bool *ret_is_new, char *message,
                                           size_t message_size);

/* The mark as it was opened, then as it is kept. Lent until the next call on `water`. */
const struct high_water_mark *high_water_mark(const struct high_water *water);

/* Makes term and vote durable in both copies, at once; without a change nothing is written.
 * Errors: RK_IO, RK_FULL: the process must stop, everything after it returns RK_IO. */
RK_MUST_USE enum rk_status high_water_vote(struct high_water *water,
                                           const struct raft_hard_state *hard_state);

/* The log now ends at `last`, durably; `now_ms` is any clock that never falls. Written when the
 * last write is HIGH_WATER_LAG_MS ago, else kept until high_water_flush(). Errors: as above. */
RK_MUST_USE enum rk_status high_water_advance(struct high_water *water, struct raft_entry_id last,
                                              uint64_t chain, uint64_t now_ms);

/* The mark is not before `last` from now on, durably in both copies: what reached so far is about to be
 * given up. Errors: as above. */
RK_MUST_USE enum rk_status high_water_raise(struct high_water *water, struct raft_entry_id last,
                                            uint64_t chain);

/* When high_water_flush() is due; UINT64_MAX: nothing waits. */
uint64_t high_water_deadline_ms(const struct high_water *water);

/* Writes what waits. Errors: as above. */
RK_MUST_USE enum rk_status high_water_flush(struct high_water *water, uint64_t now_ms);

void high_water_close(struct high_water *water); /* writes nothing; NULL is allowed */

/* Does a log that ends at `last` hold all that the mark promises? Terms never fall in a log, so a
 * lost suffix is smaller in (term, index), and a suffix that a newer leader replaced is not. */
bool high_water_is_reached(const struct high_water_mark *mark, struct raft_entry_id last);

/* The later one of the term and vote that the log store has and those of the mark: either may
 * have lost its last write. Errors: RK_CORRUPT (two votes in one term); *ret is then untouched. */
RK_MUST_USE enum rk_status high_water_hard_state(const struct high_water_mark *mark,
                                                 const struct raft_hard_state *stored,
                                                 struct raft_hard_state *ret);

#endif
