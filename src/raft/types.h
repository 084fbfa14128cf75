/* types.h -- the nouns of Raft (dissertation, Figure 3.1). No functions, no other headers of ours
 * than base/bytes.h: every folder may include this one. */
#ifndef RK_RAFT_TYPES_H
#define RK_RAFT_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

typedef uint64_t raft_term;  /* 0 only before the first election */
typedef uint64_t raft_index; /* 1-based; 0 means "before the first entry" */
typedef uint64_t
    raft_node_id; /* 0 means "nobody"; below 2^53, so that JSON readers keep it whole */

/* Term and index travel together, so that a call cannot swap them. */
struct raft_entry_id {
    raft_term term;
    raft_index index;
};

/* Values on disk and wire: never renumber. */
enum raft_entry_type { RAFT_ENTRY_NOOP = 1, RAFT_ENTRY_COMMAND = 2, RAFT_ENTRY_CONFIG = 3 };

enum {
    RAFT_VOTERS_MAX = 9, /* one to nine nodes */
    RAFT_LEARNERS_MAX = 9,
    RAFT_MEMBERS_MAX = 2 * RAFT_VOTERS_MAX + RAFT_LEARNERS_MAX, /* both halves may be disjoint */
};

/* Who counts. While `old_voters_count` > 0 the configuration is joint (dissertation 4.3): every
 * decision needs a majority of `voters` and a majority of `old_voters`. Ids ascend in each list. */
struct raft_config {
    raft_node_id voters[RAFT_VOTERS_MAX];
    uint32_t voters_count;
    raft_node_id old_voters[RAFT_VOTERS_MAX];
    uint32_t old_voters_count;
    raft_node_id learners[RAFT_LEARNERS_MAX];
    uint32_t learners_count;
};

struct raft_entry {
    struct raft_entry_id id;
    enum raft_entry_type type;
    const struct raft_config *config; /* RAFT_ENTRY_CONFIG: decoded by the node; else NULL */
    struct rk_bytes frame; /* base/frame.h: header and payload. The core never looks inside; in a
                              proposal the header is still unwritten room */
};

struct raft_hard_state {
    raft_term term;
    raft_node_id vote; /* candidate voted for in `term`, or 0 */
};

/* What a snapshot stands for (dissertation 5.1): all entries up to `id`, and the configuration in
 * force there, both halves and learners (pitfall 65). The bytes are the node's business. */
struct raft_snapshot {
    struct raft_entry_id id;   /* the last entry it covers; {0, 0}: no snapshot */
    raft_index config_index;   /* of the entry that holds `config`; <= id.index */
    struct raft_config config; /* in force at id.index */
};

enum { RAFT_WRITE_ENTRIES_MAX = 256 };

/* One durable change, all or nothing, applied in field order. The core emits it and the log
 * store takes it as it is: no translation in between, hence no translation bug. */
struct raft_write {
    bool has_hard_state; /* false: term and vote are unchanged */
    struct raft_hard_state hard_state;
    /* NULL: none. Else this snapshot, received from the leader and durable as a file, replaces the
     * whole log, whatever is in it: the log is empty and goes on after snapshot->id. */
    const struct raft_snapshot *snapshot;
    raft_index truncate_from;         /* 0: keep all; else drop entries >= this index */
    const struct raft_entry *entries; /* contiguous, continuing the truncated log */
    uint32_t entries_count;           /* 0 .. RAFT_WRITE_ENTRIES_MAX */
};

/* Entries first_index, first_index + 1, ... up to the next run have this term. */
struct raft_trail_run {
    raft_index first_index;
    raft_term term;
};

#endif
