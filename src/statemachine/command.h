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
#include "raft/types.h"
#include "statemachine/query.h"
#include "statemachine/session.h"

/* Values on disk: never renumber; retired ones stay listed. */
enum sm_command_type {
    SM_COMMAND_KV_PUT = 1,
    SM_COMMAND_KV_DELETE = 2,
    SM_COMMAND_KV_DELETE_PREFIX = 3,
    SM_COMMAND_KV_OP = 4,
    SM_COMMAND_SESSION_CREATE = 5,
    SM_COMMAND_SESSION_DESTROY = 6,
    SM_COMMAND_SESSION_RENEW = 7,
    SM_COMMAND_EXPIRE = 8,
    SM_COMMAND_TXN = 9,
    SM_COMMAND_ONCE = 10,
    SM_COMMAND_KV_PUT_TTL = 11, /* a put of a key that ends by itself */
    SM_COMMAND_EXPIRE_KEYS = 12,
    SM_COMMAND_RESTORE_BEGIN = 13, /* these three: restore.h */
    SM_COMMAND_RESTORE_RECORD = 14,
    SM_COMMAND_RESTORE_END = 15,
    SM_COMMAND_FEATURE_LEVEL = 16, /* from here on, and a new type: a line in feature.c */
    SM_COMMAND_NODE_SET = 20,
    SM_COMMAND_NODE_CLEAR = 21,
};

struct sm_command_put {
    struct rk_bytes key;   /* 1 .. RK_KEY_SIZE_MAX bytes */
    struct rk_bytes value; /* 0 .. RK_VALUE_SIZE_MAX bytes */
    uint64_t flags;
    bool has_cas;
    uint64_t cas;    /* 0: only if absent; else only if modify_index equals it */
    uint64_t ttl_ms; /* of a KV_PUT_TTL 1 .. SM_KEY_TTL_MS_MAX; of a KV_PUT 0: the key stays */
};
#define SM_KEY_TTL_MS_MAX UINT64_C(315360000000) /* ten years */

struct sm_command_delete {
    struct rk_bytes key;
    bool has_cas;
    uint64_t cas; /* 0: never deletes an existing key; else only if modify_index equals it */
};

struct sm_command_delete_prefix {
    struct rk_bytes prefix; /* may be empty: everything */
};

/* One operation on a key (contract 2.3). Values on disk. */
enum sm_kv_verb {
    SM_KV_SET = 1,
    SM_KV_CAS = 2,    /* sets if modify_index is `index`, or, for 0, if there is no such key */
    SM_KV_LOCK = 3,   /* sets, and takes the lock for a session (contract 2.2: acquire) */
    SM_KV_UNLOCK = 4, /* sets, and gives the lock back (release) */
    SM_KV_GET = 5,
    SM_KV_GET_OR_EMPTY = 6,
    SM_KV_GET_TREE = 7,
    SM_KV_CHECK_INDEX = 8,
    SM_KV_CHECK_SESSION = 9, /* without a session: that nobody holds the lock */
    SM_KV_CHECK_NOT_EXISTS = 10,
    SM_KV_DELETE = 11,
    SM_KV_DELETE_TREE = 12,
    SM_KV_DELETE_CAS = 13, /* a missing key is well */
};

struct sm_kv_op {
    enum sm_kv_verb verb;
    struct rk_bytes key; /* 1 .. RK_KEY_SIZE_MAX bytes; of a tree the prefix, may be empty */
    struct rk_bytes value;
    uint64_t flags;
    raft_index index;
    bool has_session;
    struct session_id session; /* all zero: one that nobody can have */
};

/* All of them or none. */
enum { SM_TXN_OPS_MAX = 2048, SM_TXN_TREES_MAX = 256 };
struct sm_command_txn {
    uint32_t count;      /* 0 .. SM_TXN_OPS_MAX; at most SM_TXN_TREES_MAX of trees */
    struct rk_bytes ops; /* encoded, one behind the other */
};
void sm_kv_op_append(const struct sm_kv_op *op, struct rk_buf *buf);
/* Takes one off the front; false: there are no more. */
bool sm_kv_op_next(struct rk_bytes *rest, struct sm_kv_op *ret);

/* Another command, but none of expiry and not once, that is applied once however often it comes. */
enum { SM_TOKEN_SIZE_MAX = 128 };
#define SM_ONCE_WINDOW_MS_MAX UINT64_C(86400000)
struct sm_command_once {
    struct rk_bytes token;   /* 1 .. SM_TOKEN_SIZE_MAX bytes */
    uint8_t fingerprint[16]; /* of the request: another one under the same token is refused */
    uint64_t window_ms;      /* how long it is remembered, 1 .. SM_ONCE_WINDOW_MS_MAX */
    struct rk_bytes command; /* encoded */
};

struct sm_command_session {
    struct session_id id;
    struct session_record record; /* of a creation only */
};

/* What the leader found to have ended (pitfalls 123, 124, 131): it counts only in an entry of the
 * leader's own term, and a session only if nobody has renewed it since, a key only if nobody has set
 * it since. */
struct sm_expire_item {
    struct session_id id;
    raft_index renew_index;
};
enum {
    SM_EXPIRE_ITEMS_MAX = 256,
    SM_EXPIRE_KEYS_MAX = 512,               /* a turn ends no more ... */
    SM_EXPIRE_KEYS_BYTES_TARGET = 64 * 1024 /* ... and their names stop here */
};
struct sm_expire_key {
    struct rk_bytes key;
    raft_index ttl_index; /* of the write that gave it its time to live */
};

struct sm_command_expire {
    raft_term term;
    uint32_t count; /* 0 .. SM_EXPIRE_ITEMS_MAX; lock-delays that are over go by themselves */
    struct rk_bytes items; /* encoded, one behind the other; of EXPIRE_KEYS keys */
};
void sm_expire_item_append(const struct sm_expire_item *item, struct rk_buf *buf);
struct sm_expire_item sm_expire_item_at(const struct sm_command_expire *expire, uint32_t i);
void sm_expire_key_append(const struct sm_expire_key *item, struct rk_buf *buf);
/* Takes one off the front; false: there are no more. */
bool sm_expire_key_next(struct rk_bytes *rest, struct sm_expire_key *ret);

/* The cluster's level is at least this from here on (feature.h). */
struct sm_command_feature_level {
    uint32_t level; /* not 0 */
};

/* What the leader sees of one of the cluster's own nodes; as with expire, it counts only in an entry
 * of its own term. Set: so it is. Clear, of a node that is not passing: sessions that are tied to its
 * check end, as many as one entry may end; when none is left and `is_gone`, the node is forgotten. */
struct sm_command_node {
    raft_term term;
    struct rk_bytes name;        /* 1 .. RK_NODE_NAME_SIZE_MAX bytes */
    enum sm_check_status status; /* the rest: of set only ... */
    raft_node_id id;
    struct rk_bytes address; /* at most RK_ADDRESS_SIZE_MAX bytes: host:port of the peer side */
    bool is_gone;            /* ... but this one of clear */
};

/* A part of a restore. Another type of record than these needs another version of the command: all
 * members must be able to read what is in the log. */
enum { SM_RESTORE_TYPE_MAX = 12 };
#define SM_RESTORE_RECORDS_MAX (UINT64_C(1) << 40)
struct sm_command_restore {
    uint64_t id;          /* drawn by who restores: the same in all parts */
    uint64_t number;      /* of a begin: how many records follow; of a record: which, from 1 */
    uint64_t digest;      /* of a begin: of all records */
    uint8_t record_type;  /* of a record: enum sm_image_type ... */
    struct rk_bytes body; /* ... and its body */
};

struct sm_command {
    enum sm_command_type type;
    union {
        struct sm_command_put put;
        struct sm_command_delete delete;
        struct sm_command_delete_prefix delete_prefix;
        struct sm_kv_op op;
        struct sm_command_session session;
        struct sm_command_expire expire;
        struct sm_command_txn txn;
        struct sm_command_once once;
        struct sm_command_restore restore;
        struct sm_command_feature_level feature_level;
        struct sm_command_node node;
    };
};

/* Appends the encoding (no frame). Asserts the limits above: the caller has checked its input. */
void sm_command_encode(const struct sm_command *command, struct rk_buf *buf);

/* Bytes in *ret are lent from `bytes`. Errors: RK_CORRUPT (not an encoding this version knows,
 * or outside the limits); *ret is then untouched. */
RK_MUST_USE enum rk_status sm_command_decode(struct rk_bytes bytes, struct sm_command *ret);

#endif
