/* command.h -- every write as a struct, and its versioned encoding: the body of a
 * RAFT_ENTRY_COMMAND frame. Byte layout: head of command.c.
 *
 * A command is encoded once, where it enters, and decoded once per node, at apply. Decoding
 * checks everything and never reads past its input (fuzzed); what an old version wrote stays
 * readable (golden files).
 */
#ifndef RK_STATEMACHINE_COMMAND_H
#define RK_STATEMACHINE_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/status.h"

/* Values on disk: never renumber; retired ones stay listed. */
enum sm_command_type {
    SM_COMMAND_KV_PUT = 1,
    SM_COMMAND_KV_DELETE = 2,
    SM_COMMAND_KV_DELETE_PREFIX = 3,
};

struct sm_command_put {
    struct rk_bytes key;   /* 1 .. RK_KEY_SIZE_MAX bytes */
    struct rk_bytes value; /* 0 .. RK_VALUE_SIZE_MAX bytes */
    uint64_t flags;
    bool has_cas;
    uint64_t cas; /* 0: only if absent; else only if modify_index equals it */
};

struct sm_command_delete {
    struct rk_bytes key;
    bool has_cas;
    uint64_t cas; /* 0: never deletes an existing key; else only if modify_index equals it */
};

struct sm_command_delete_prefix {
    struct rk_bytes prefix; /* may be empty: everything */
};

struct sm_command {
    enum sm_command_type type;
    union {
        struct sm_command_put put;
        struct sm_command_delete delete;
        struct sm_command_delete_prefix delete_prefix;
    };
};

/* Appends the encoding (no frame). Asserts the limits above: the caller has checked its input. */
void sm_command_encode(const struct sm_command *command, struct rk_buf *buf);

/* Bytes in *ret are lent from `bytes`. Errors: RK_CORRUPT (not an encoding this version knows,
 * or outside the limits); *ret is then untouched. */
RK_MUST_USE enum rk_status sm_command_decode(struct rk_bytes bytes, struct sm_command *ret);

#endif
