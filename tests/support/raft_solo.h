/* raft_solo.h -- one consensus core and nothing around it, quick to make and to copy: for tests that
 * try all states of a kind. Time stands still but for the election. */
#ifndef RK_TESTS_SUPPORT_RAFT_SOLO_H
#define RK_TESTS_SUPPORT_RAFT_SOLO_H

#include "raft/raft.h"

enum { SOLO_LOG_MAX = 8 };

struct solo_log {
    uint32_t count; /* entry i has index i + 1 */
    raft_term terms[SOLO_LOG_MAX];
};

struct solo {
    struct raft *raft;
    struct raft_outputs *out; /* of the latest step */
    uint64_t now_ms;
};

struct solo solo_new(void); /* memory only: solo_start() or solo_copy() comes next */
void solo_free(struct solo *solo);
void solo_copy(struct solo *to, const struct solo *from);

/* Begins with `log`, in `term`, as node `id` of `config`. */
void solo_start(struct solo *solo, raft_node_id id, const struct raft_config *config,
                const struct solo_log *log, raft_term term);
/* Begins with what is given. */
void solo_restore(struct solo *solo, raft_node_id id, const struct raft_restored *restored);

enum rk_status solo_step(struct solo *solo, struct raft_event event);
void solo_receive(struct solo *solo, const struct raft_message *message);
void solo_persist(struct solo *solo); /* all writes are durable */

/* Wins the next term by the votes of `voters`; its no-op is not durable here yet, and what it sent at
 * the beginning is in solo->out. */
void solo_lead(struct solo *solo, const raft_node_id *voters, uint32_t voters_count);

/* Whether two logs may exist in one cluster: where they have the same entry, they are the same up to
 * it (Log Matching, 3.5). */
bool solo_logs_match(const struct solo_log *a, const struct solo_log *b);
/* All logs of up to `length_max` entries in the terms 1 .. `terms`, at most `logs_max` of them (asserted); how many. */
uint32_t solo_all_logs(struct solo_log *logs, uint32_t logs_max, uint32_t length_max,
                       raft_term terms);

#endif
