/* writes.h -- the writes handed out and not yet durable, and what of the log that leaves durable.
 *
 * Completions name a write number. A truncation lowers what every write before it stands for, so
 * the completion of a write whose entries are gone says nothing about the entries that took their
 * place (pitfall 35).
 *
 * Bounded: when the ring is full, the newest slot takes the next write in, keeping the older
 * time. Completions of single writes inside it then only count together, which is late, never
 * wrong.
 */
#ifndef RK_RAFT_WRITES_H
#define RK_RAFT_WRITES_H

#include <stdbool.h>

#include "raft/types.h"

enum { WRITES_SLOTS_MAX = 64 };

struct writes_slot {
    uint64_t number;       /* of the newest write in it */
    raft_index last_index; /* its entries end here, as far as they are still in the log */
    uint64_t since_ms;     /* when the oldest write in it was handed out */
};

/* Invariants: persisted <= newest; slots ascend in number, never fall in last_index;
 * without slots persisted == newest. */
struct writes {
    uint64_t newest;          /* number of the latest write; 0 before the first */
    uint64_t persisted;       /* every write up to here is durable */
    raft_index durable_index; /* the log is durable up to here */
    uint32_t first;
    uint32_t count;
    struct writes_slot slots[WRITES_SLOTS_MAX];
};

/* Nothing is under way, the log is durable up to `durable_index`. */
void writes_init(struct writes *writes, raft_index durable_index);

/* Write `newest` has been filled: the log ends at `last_index` after it. */
void writes_add(struct writes *writes, raft_index last_index, uint64_t now_ms);

/* The log is cut: entries from `from` on are no longer those that were written. */
void writes_truncate(struct writes *writes, raft_index from);

/* Every write up to `number` is durable. Repetitions and old numbers change nothing. */
void writes_persisted(struct writes *writes, uint64_t number);

/* False when all that was handed out is durable. */
bool writes_pending(const struct writes *writes);

/* How long the oldest pending write has been under way; 0 when none is. */
uint64_t writes_age_ms(const struct writes *writes, uint64_t now_ms);

#endif
