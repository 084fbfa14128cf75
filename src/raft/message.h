/* message.h -- the messages between nodes, one struct per message (dissertation, Figure 3.1).
 *
 * A request carries `request`, a number of the transport's that the core copies into the response
 * it makes, so that the answer leaves on the exchange the question came by. Every request gets
 * exactly one response, possibly held until a write is durable.
 */
#ifndef RK_RAFT_MESSAGE_H
#define RK_RAFT_MESSAGE_H

#include <stdbool.h>

#include "raft/types.h"

enum raft_message_type {
    RAFT_VOTE_REQUEST = 1,
    RAFT_VOTE_RESPONSE = 2,
    RAFT_APPEND_REQUEST = 3,
    RAFT_APPEND_RESPONSE = 4,
    RAFT_HEARTBEAT_REQUEST = 5,
    RAFT_HEARTBEAT_RESPONSE = 6,
    RAFT_TIMEOUT_NOW = 7, /* leadership transfer (3.10); no response */
    RAFT_SNAPSHOT_REQUEST = 8,
    RAFT_SNAPSHOT_RESPONSE = 9,
};

/* RequestVote (3.4) and PreVote (9.6). */
struct raft_vote_request {
    bool pre_vote;             /* message.term is then the term it would campaign in */
    bool transfer;             /* by TimeoutNow: stickiness (4.2.3) does not apply */
    struct raft_entry_id last; /* the candidate's last entry */
    uint64_t campaign;         /* number of this try; a response to another try is not counted */
};

struct raft_vote_response {
    bool pre_vote;
    bool granted;
    raft_term request_term; /* the term asked about: a pre-vote grant echoes it (pitfall 7) */
    uint64_t campaign;
};

/* AppendEntries (3.5): entries previous.index + 1 .. entries_last. When it leaves the core,
 * `entries` is NULL and the node fills in the bytes, perhaps as several messages; when it enters
 * the core, `entries` are the decoded ones, contiguous after previous. */
struct raft_append_request {
    struct raft_entry_id previous;
    raft_index leader_commit;
    raft_index entries_last; /* = previous.index: no entries, a probe */
    const struct raft_entry *entries;
    uint32_t entries_count;
    uint64_t sequence; /* of this leader to this peer, rising: tells an old answer from a new one */
};

struct raft_append_response {
    bool accepted;
    raft_index match;    /* accepted: previous.index + entries_count of that request, durable */
    raft_index previous; /* refused: previous.index of that request */
    struct raft_entry_id hint; /* refused: the greatest entry that may match (conflict hint) */
    uint64_t sequence;         /* echoed */
};

/* A heartbeat never waits behind entries; it carries authority and the read round, no log. */
struct raft_heartbeat_request {
    raft_index commit; /* at most the peer's match_index (pitfall 27) */
    uint64_t round;    /* read confirmation round of this leader and term (6.4), rising */
};

struct raft_heartbeat_response {
    uint64_t round;  /* echoed */
    raft_index last; /* the peer's durable last index: a leader that knows better probes */
    raft_index commit_index;
    raft_index last_applied; /* for status only */
};

/* InstallSnapshot (5.3), the offer: the node sends the file along, in as many pieces as it likes.
 * `snapshot` is lent: by the core until its next step, to the core for the step. */
struct raft_snapshot_request {
    const struct raft_snapshot *snapshot;
    uint64_t
        sequence; /* counted with the appends: an append that left later takes the offer back */
};

/* Leaves when the snapshot is installed and durable, or need not or cannot be. */
struct raft_snapshot_response {
    bool accepted;
    raft_index match;  /* accepted: the log is the leader's up to here, durable */
    uint64_t sequence; /* echoed */
};

struct raft_message {
    enum raft_message_type type;
    raft_node_id from;
    raft_node_id to;
    raft_term term;   /* of the sender; a pre-vote request's: the term asked for */
    uint64_t request; /* see above; 0 in a message that is no answer and came from no exchange */
    uint64_t after_write; /* outputs: leaves only when this write is durable; 0: at once */
    union {
        struct raft_vote_request vote_request;
        struct raft_vote_response vote_response;
        struct raft_append_request append_request;
        struct raft_append_response append_response;
        struct raft_heartbeat_request heartbeat_request;
        struct raft_heartbeat_response heartbeat_response;
        struct raft_snapshot_request snapshot_request;
        struct raft_snapshot_response snapshot_response;
    };
};

#endif
