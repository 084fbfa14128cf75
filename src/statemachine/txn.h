/* txn.h -- what a transaction answers: the entries that its operations yield, or why it was rolled
 * back; as bytes, in the body of a result. Byte layout: head of txn.c.
 *
 * A transaction is evaluated whole before anything is changed: each operation sees what those before
 * it would have done (contract 2.3). Thread: any.
 */
#ifndef RK_STATEMACHINE_TXN_H
#define RK_STATEMACHINE_TXN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "statemachine/command.h"
#include "statemachine/query.h"
#include "statemachine/result.h"

/* What the entries of one answer may come to, counted as they are rendered at worst: see
 * sm_txn_cost(). */
enum { SM_TXN_COST_MAX = 4 << 20, SM_ONCE_COST_MAX = 2 * SM_ONCE_BODY_SIZE_MAX };

/* An operation that failed. */
struct sm_txn_error {
    uint32_t op;               /* its place among the operations */
    enum sm_reason reason;     /* not SM_DONE */
    raft_index modify_index;   /* SM_INDEX_DIFFERS: what the key has */
    struct session_id session; /* SM_SESSION_DIFFERS: who holds the key; all zero: nobody */
};

/* Takes one off the front of a body; false: there are no more. What is lent points into it. A body
 * that comes from another node is checked on the way: what is no entry ends the walk. */
bool sm_txn_entry_next(struct rk_bytes *rest, struct sm_kv_entry *ret, bool *ret_has_value);
bool sm_txn_error_next(struct rk_bytes *rest, struct sm_txn_error *ret);

/* A transaction that only reads, at one root: ret->reason and ret->body are as if it had been
 * applied there. */
void sm_txn_read(const struct sm_root *root, const struct sm_command_txn *txn,
                 struct sm_result *ret);
/* Whether the operation changes nothing, whatever the state. */
bool sm_kv_verb_reads(enum sm_kv_verb verb);

#endif
