/* result.h -- what applying a command says to the one who asked for it. */
#ifndef RK_STATEMACHINE_RESULT_H
#define RK_STATEMACHINE_RESULT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/status.h"
#include "raft/types.h"

struct sm_result {
    bool accepted;           /* false: a compare-and-set did not hold; nothing was changed */
    raft_index index;        /* of the entry that carried the command */
    raft_index modify_index; /* of the key afterwards; 0: no such key */
};

/* For answers to forwarded writes. Fixed size: SM_RESULT_SIZE bytes. */
enum { SM_RESULT_SIZE = 20 };
void sm_result_encode(const struct sm_result *result, struct rk_buf *buf);
/* Errors: RK_CORRUPT; *ret is then untouched. */
RK_MUST_USE enum rk_status sm_result_decode(struct rk_bytes bytes, struct sm_result *ret);

#endif
