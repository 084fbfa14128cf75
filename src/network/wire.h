/* wire.h -- peer messages as bytes: a JSON line, and for appends and forwarded writes records
 * after it. Layouts: docs/wire-format.md.
 *
 * Everything that comes in is hostile until decoded: sizes, counts, ranges, CRCs, contiguity and
 * terms of entries (pitfall 43) are checked here, before any state is touched. Fuzzed.
 *
 * Thread: any; no state. Decoded bytes are lent from the body.
 */
#ifndef RK_NETWORK_WIRE_H
#define RK_NETWORK_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"
#include "raft/message.h"
#include "raft/types.h"

/* What goes with heartbeats so that replicas compare their states. 0: of that there is nothing to say. */
struct wire_check {
    raft_index index;   /* question: tell the digest of the state there; answer: */
    uint64_t digest;    /* this was the state's digest at `index` */
    raft_index differs; /* question: the receiver's state was found to differ there; answer: the
                           sender knows that its own does, and neither serves nor votes */
    bool is_repair;     /* question: an operator wants the receiver to begin anew */
};

/* On every request and answer. A cluster id of zeros: the sender is of no cluster yet. */
struct wire_envelope {
    uint64_t cluster_high;
    uint64_t cluster_low;
    raft_node_id from;
    raft_node_id to;
    uint64_t from_incarnation;
    uint32_t protocol;            /* RK_PROTOCOL_VERSION */
    uint32_t election_timeout_ms; /* of the sender: a setting of the cluster */
    uint32_t feature_level;       /* that the sender reads; 0: it does not say, and is of 0.1 */
    struct wire_check check;      /* of heartbeats and their answers alone */
};

/* An append's `previous` carries its chain (design: one record format). */
struct wire_append_extra {
    uint64_t previous_chain;
};

/* Everywhere below, numbers are less than 2^53 (asserted when encoding, checked when decoding);
 * cluster, incarnations, chains and fingerprints are any 64 bits. A decoder's `reason` is NULL
 * with RK_OK, else text valid until the thread's next decoding.
 *
 * Requests: /raft/vote, /raft/append (appends and heartbeats), /raft/timeout-now; and their
 * answers. message.term, from, to are part of the line; the envelope's from and to are not looked
 * at. request and after_write stay here. For an append request, `frames` is the run of sealed
 * frames, exactly those that entries_count and entries_last name (asserted), and follows the line;
 * `extra` may be NULL with the other types. */
void wire_encode_message(const struct wire_envelope *envelope, const struct raft_message *message,
                         const struct wire_append_extra *extra, struct rk_bytes frames,
                         struct rk_buf *buf);

/* Path of a message that is a request: "/raft/vote", "/raft/append", "/raft/timeout-now". */
const char *wire_path(enum raft_message_type type);

struct wire_message {
    struct wire_envelope envelope;
    struct raft_message message; /* append_request.entries points to `entries` */
    struct wire_append_extra extra;
    struct raft_entry entries[RAFT_WRITE_ENTRIES_MAX]; /* frames lent from the body; config NULL:
                                                          the node decodes configurations */
};
/* `is_request` says which types are legal; `path`, of the exchange, must fit the type (NULL: not
 * looked at). A request's term is not 0, and neither are from and to. Frames are
 * checked one by one, contiguous after previous, terms not falling and not above message.term,
 * and their chain follows previous_chain. Errors: RK_INVALID (also: another protocol version),
 * RK_CORRUPT (a frame fails its check); *ret is then undefined. */
RK_MUST_USE enum rk_status wire_decode_message(struct rk_bytes body, const char *path,
                                               bool is_request, struct wire_message *ret,
                                               const char **reason);

/* GET /raft/identity: who answers here, and what it knows. */
struct wire_identity {
    struct wire_envelope envelope; /* cluster zeros: of no cluster; `from`: own id, 0 if none yet */
    char node_name[RK_NODE_NAME_SIZE_MAX + 1];
    char peer_address[RK_ADDRESS_SIZE_MAX + 1];
    char client_address[RK_ADDRESS_SIZE_MAX + 1];
    bool is_forming;    /* its data directory is new: it would take part in forming a cluster */
    uint64_t formation; /* fingerprint of the initial-cluster it was given */
    raft_term term;
    raft_node_id leader;
    /* Asked with ?name=N: what its configuration says of member N. */
    bool asked_is_member;
    uint64_t asked_incarnation;                   /* 0: not seen yet */
    raft_node_id asked_id;                        /* 0: no member */
    char leader_address[RK_ADDRESS_SIZE_MAX + 1]; /* "": none is known */
    uint32_t cluster_level; /* feature level that a member has to read; 0: it does not say */
};
void wire_encode_identity(const struct wire_identity *identity, struct rk_buf *buf);
RK_MUST_USE enum rk_status wire_decode_identity(struct rk_bytes body, struct wire_identity *ret,
                                                const char **reason); /* RK_INVALID */

/* POST /raft/read-index: question and answer. */
struct wire_read_index {
    struct wire_envelope envelope;
    raft_term term;
    enum rk_status status; /* answer: RK_OK, RK_NOT_LEADER, RK_BUSY, ... */
    raft_index read_index; /* answer, with RK_OK */
};
void wire_encode_read_index(const struct wire_read_index *read_index, struct rk_buf *buf);
RK_MUST_USE enum rk_status wire_decode_read_index(struct rk_bytes body, struct wire_read_index *ret,
                                                  const char **reason); /* RK_INVALID */

/* POST /raft/forward: a follower's clients' writes, as frame payloads without a header (type,
 * version, body, CRC), each after its u32 size; the answer carries one status and one result per
 * write, in order. */
struct wire_forward {
    struct wire_envelope envelope;
    uint32_t count; /* 1 .. RK_FORWARD_ITEMS_MAX */
    struct rk_bytes payloads[RK_FORWARD_ITEMS_MAX];
};
void wire_encode_forward(const struct wire_forward *forward, struct rk_buf *buf);
RK_MUST_USE enum rk_status wire_decode_forward(struct rk_bytes body, struct wire_forward *ret,
                                               const char **reason); /* RK_INVALID, RK_CORRUPT */

/* POST /raft/admin: what an administrator asked another node for, whole, for the leader to do. */
enum { WIRE_METHOD_SIZE_MAX = 8 };
struct wire_admin {
    struct wire_envelope envelope;
    char method[WIRE_METHOD_SIZE_MAX + 1];
    struct rk_bytes target; /* raw, as it stood in the request line; no NUL behind it */
    struct rk_bytes body;
};
void wire_encode_admin(const struct wire_admin *admin, struct rk_buf *buf);
RK_MUST_USE enum rk_status wire_decode_admin(struct rk_bytes body, struct wire_admin *ret,
                                             const char **reason); /* RK_INVALID */

struct wire_admin_answer {
    struct wire_envelope envelope;
    enum rk_status status; /* RK_NOT_LEADER: nothing was done, ask another; RK_OK: what follows */
    uint32_t http_status;  /* 200 .. 599; 0 when there is no answer */
    bool is_json;
    bool is_unknown; /* it may have happened or not */
    struct rk_bytes body;
};
void wire_encode_admin_answer(const struct wire_admin_answer *answer, struct rk_buf *buf);
RK_MUST_USE enum rk_status wire_decode_admin_answer(struct rk_bytes body,
                                                    struct wire_admin_answer *ret,
                                                    const char **reason); /* RK_INVALID */

/* POST /raft/snapshot: the leader's offer of a snapshot (RAFT_SNAPSHOT_REQUEST) with a piece of its
 * file; without one it asks how much of it is there. */
enum { WIRE_SNAPSHOT_CONFIG_SIZE_MAX = 64 * 1024 };
struct wire_snapshot {
    struct wire_envelope envelope;
    raft_term term;
    struct raft_entry_id last; /* the entry that the snapshot ends with */
    raft_index config_index;
    uint64_t sequence;
    uint64_t size;   /* of the file, in bytes */
    uint64_t digest; /* of the file */
    uint64_t offset; /* of the piece; offset + piece.size <= size */
    struct rk_bytes config;
    struct rk_bytes piece;
};
void wire_encode_snapshot(const struct wire_snapshot *snapshot, struct rk_buf *buf);
RK_MUST_USE enum rk_status wire_decode_snapshot(struct rk_bytes body, struct wire_snapshot *ret,
                                                const char **reason); /* RK_INVALID */

struct wire_snapshot_answer {
    struct wire_envelope envelope;
    raft_term term;
    uint64_t sequence; /* echoed */
    bool is_over;      /* RAFT_SNAPSHOT_RESPONSE, see accepted and match; else more is wanted: */
    bool accepted;
    raft_index match;
    uint64_t offset; /* so many bytes of the file are there */
};
void wire_encode_snapshot_answer(const struct wire_snapshot_answer *answer, struct rk_buf *buf);
RK_MUST_USE enum rk_status wire_decode_snapshot_answer(struct rk_bytes body,
                                                       struct wire_snapshot_answer *ret,
                                                       const char **reason); /* RK_INVALID */

enum { WIRE_RESULT_SIZE_MAX = (2 << 20) + 64 };
struct wire_forward_item {
    enum rk_status status;  /* RK_OK: applied, see result; RK_UNKNOWN: appended, fate open; else:
                              never appended */
    struct rk_bytes result; /* statemachine's encoding, opaque here. Borrowed, lent */
};
struct wire_forward_answer {
    struct wire_envelope envelope;
    raft_term term;
    uint32_t count;
    struct wire_forward_item items[RK_FORWARD_ITEMS_MAX];
};
void wire_encode_forward_answer(const struct wire_forward_answer *answer, struct rk_buf *buf);
RK_MUST_USE enum rk_status wire_decode_forward_answer(struct rk_bytes body,
                                                      struct wire_forward_answer *ret,
                                                      const char **reason); /* RK_INVALID */

#endif
