/* result.h -- what applying a command says to the one who asked for it. */
#ifndef RK_STATEMACHINE_RESULT_H
#define RK_STATEMACHINE_RESULT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/status.h"
#include "raft/types.h"
#include "statemachine/session.h"

/* Why a command changed nothing. Values between nodes: never renumber. */
enum sm_reason {
    SM_DONE = 0,
    SM_STALE_INDEX = 1,       /* a compare-and-set did not hold */
    SM_LOCK_HELD = 2,         /* by another session */
    SM_LOCK_DELAYED = 3,      /* the last holder's lock-delay is not over */
    SM_SESSION_UNKNOWN = 4,   /* no such session */
    SM_SESSION_MISSING = 5,   /* none was named */
    SM_NOT_HOLDER = 6,        /* to be released, but not held by that session */
    SM_TOO_MANY_LOCKS = 7,    /* past SM_SESSION_LOCKS_MAX */
    SM_TOO_MANY_SESSIONS = 8, /* past SM_SESSIONS_MAX */
    SM_ROLLED_BACK = 9,       /* a transaction, of which an operation failed: see txn.h */
    SM_KEY_MISSING = 10,      /* from here on: an operation of a transaction */
    SM_INDEX_DIFFERS = 11,
    SM_SESSION_DIFFERS = 12,
    SM_KEY_EXISTS = 13,
    SM_RESULT_TOO_LARGE = 14,  /* what it reads does not fit an answer */
    SM_TOKEN_REUSED = 15,      /* for a request that is not the one it came with first */
    SM_TOO_MANY_TOKENS = 16,   /* past SM_TOKENS_MAX, or SM_TOKENS_BYTES_MAX */
    SM_CHECK_IS_CRITICAL = 17, /* of the node that a session would be tied to */
    SM_RESTORE_BROKEN = 18,    /* something came in between, or it is not what its begin said */
    SM_REASONS_COUNT,
};

struct sm_result {
    bool accepted;           /* reason is SM_DONE */
    enum sm_reason reason;   /* else nothing was changed */
    raft_index index;        /* of the entry that carried the command */
    raft_index modify_index; /* of the key afterwards; 0: no such key */
    raft_index fence;        /* of a lock that was taken or is held already: the index at which this
                                holder got it; rises from holder to holder. Else 0 */
    struct rk_buf body;      /* of a creation: the session's id; of a renewal: its record; of a
                                transaction: see txn.h. Owned */
};

/* Empty, SM_DONE. */
void sm_result_init(struct sm_result *result);
void sm_result_done(struct sm_result *result);
/* *to, which was initialised, becomes what *from was; *from is empty then. */
void sm_result_move(struct sm_result *to, struct sm_result *from);

/* Of an answer that is remembered. */
enum { SM_ONCE_BODY_SIZE_MAX = 256 << 10 };

/* For answers to forwarded writes: at most SM_RESULT_SIZE_MAX bytes. */
enum { SM_RESULT_FIXED_SIZE = 28, SM_RESULT_BODY_SIZE_MAX = 2 << 20 };
enum { SM_RESULT_SIZE_MAX = SM_RESULT_FIXED_SIZE + SM_RESULT_BODY_SIZE_MAX };
void sm_result_encode(const struct sm_result *result, struct rk_buf *buf);
/* *ret was initialised; its body is filled. Errors: RK_CORRUPT; *ret is then untouched. */
RK_MUST_USE enum rk_status sm_result_decode(struct rk_bytes bytes, struct sm_result *ret);

#endif
