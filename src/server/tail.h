/* tail.h -- the newest part of the log in memory: what the disk is writing, what waits to be
 * applied, and a bounded rest for peers that are a little behind: a small one that all of them have,
 * a larger one that one of them lacks. Older entries are read back by the disk thread.
 *
 * Entries are contiguous, first .. last; empty when last == first - 1. The chain and term of the
 * entry before the first one are kept, so that what follows can always be sealed and checked.
 *
 * Thread: the node thread.
 */
#ifndef RK_SERVER_TAIL_H
#define RK_SERVER_TAIL_H

#include <stdbool.h>

#include "base/bytes.h"
#include "raft/types.h"
#include "server/block.h"

enum {
    TAIL_BYTES_KEPT = 4 << 20, /* of memory, behind the applied and durable index, for slow peers */
    TAIL_BYTES_SETTLED = 1 << 20, /* the same, once every peer has what goes */
    TAIL_BLOCK_COST = 64,         /* of a block beside its bytes */
};

struct tail_entry {
    raft_term term;
    uint64_t chain;
    enum raft_entry_type type;
    struct rk_bytes frame; /* sealed; inside block */
    struct block *block;
};

struct tail {
    raft_index first;
    raft_index last;
    uint64_t chain_before; /* chain at first - 1 */
    raft_term term_before; /* term at first - 1; 0 when first is 1 */
    struct tail_entry *slots;
    uint64_t slots_count; /* a power of two; entry i is slots[i & (slots_count - 1)] */
    uint64_t bytes;       /* of memory that is held: entries and their blocks */
};

/* Empty, going on after entry `last` with that chain. */
void tail_init(struct tail *tail, struct raft_entry_id last, uint64_t chain);
void tail_done(struct tail *tail);

/* NULL: not held (older than first, or past last). Lent until the next call on `tail`. */
const struct tail_entry *tail_get(const struct tail *tail, raft_index index);

/* The chain at `index`. False: not known here (older than first - 1, or past last). */
bool tail_chain(const struct tail *tail, raft_index index, uint64_t *ret);

/* Appends the entry last + 1; refers to its block once more. */
void tail_append(struct tail *tail, const struct tail_entry *entry);

/* Drops entries >= index. index >= first (asserted): what was held and is not any more is applied,
 * and what is applied is never truncated. What was never held, being older than this start, may be
 * truncated: the caller then begins anew with tail_init(). */
void tail_truncate(struct tail *tail, raft_index index);

/* Drops entries up to `index` from the front while more than TAIL_BYTES_KEPT is held, or, of those up
 * to `settled`, which no peer lacks, more than TAIL_BYTES_SETTLED. */
void tail_trim(struct tail *tail, raft_index index, raft_index settled);

#endif
